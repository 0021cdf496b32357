"""The activation functions and their slopes, as a picture and as a command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

from fastgd.cli import main
from fastgd.plot import ActivationsDisplay, theme


@pytest.mark.parametrize("look", ["light", "dark"])
def test_picture(tmp_path, look):
    with theme(look):
        check_picture(ActivationsDisplay.from_function(), tmp_path)


def test_slopes_are_those_of_the_curve():
    display = ActivationsDisplay.from_function()
    assert set(display.slopes) >= {"identity", "sigmoid", "tanh", "relu", "gelu"}
    for name, value in display.values.items():
        kinks = np.minimum(np.abs(display.z), np.abs(np.abs(display.z) - 3))
        inside = np.abs(display.z) < np.abs(display.z).max()  # the ends have one neighbour
        away = inside & (kinks > 0.1)  # relu has one at 0, hard_sigmoid at 3
        differences = np.gradient(value, display.z)
        np.testing.assert_allclose(
            display.slopes[name][away], differences[away], rtol=1e-2, atol=1e-2
        )


@pytest.mark.slow
def test_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["show", "activations", "--json"], standalone_mode=False)
    assert result.exception is None
    record = json.loads(result.stdout)
    assert record["steepest_slope"]["sigmoid"] == pytest.approx(0.25)
    assert (tmp_path / "activations.png").stat().st_size > 1000
