"""A sweep over learning rates: the numbers, divergence, the picture and the command."""

from __future__ import annotations

import copy
import json

import click
import numpy as np
import pytest
from pictures import check_picture

import fastgd
from fastgd.cli.show.rates import rates
from fastgd.explain.sweep import RATES, sweep_rates
from fastgd.plot import theme
from fastgd.plot.sweep import SweepDisplay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5]


@pytest.fixture
def network():
    return fastgd.Network([3, 1], output="identity", loss="mse", seed=0)


def test_each_rate_is_a_training_of_its_own(network):
    before = network.parameters.copy()
    found = sweep_rates(
        network, X[:40], Y[:40], [0.1, 0.01], epochs=3, validation_data=(X[40:], Y[40:])
    )
    np.testing.assert_array_equal(network.parameters, before)
    assert found.rates.tolist() == [0.01, 0.1] and found.score_name == "R^2"
    for i, rate in enumerate(found.rates):
        twin = copy.deepcopy(network)
        twin.fit(X[:40], Y[:40], epochs=3, batch_size=10, optimizer=fastgd.SGD(rate))
        assert found.costs[i] == twin.loss(X[:40], Y[:40])
        assert found.scores[i] == twin.score(X[40:], Y[40:])
    assert found.start_cost == network.loss(X[:40], Y[:40])


def test_divergence_is_part_of_the_result(network):
    found = sweep_rates(network, X, Y, [1e-3, 0.1, 1.6, 1e20], epochs=3)
    assert found.diverged[-1] > 0 and np.isnan(found.costs[-1]) and np.isnan(found.scores[-1])
    assert found.worse.tolist() == [False, False, True, True]
    assert found.diverged[2] == 0 and found.costs[2] > found.start_cost
    assert found.best == 1 and found.outcome(1) == "lowest cost"
    assert found.outcome(2) == "no better than the start"
    assert found.outcome(3) in str(found)


def test_nothing_helps(network, tmp_path):
    with theme():
        display = SweepDisplay.from_network(network, X, Y, rates=[1e20, 1e25], epochs=2)
        check_picture(display, tmp_path)
    assert display.sweep.best is None
    assert "No learning rate" in display.ax_[0].get_title()


@pytest.mark.parametrize("look", ["light", "dark"])
def test_picture(tmp_path, network, look):
    with theme(look):
        display = SweepDisplay.from_network(
            network, X, Y, rates=[0.01, 0.1, 1.2, 1e3], epochs=8, batch_size=60
        )
        check_picture(display, tmp_path)
    assert display.sweep.worse.tolist() == [False, False, True, True]
    labels = display.ax_[0].get_legend_handles_labels()[1]
    assert "diverged: cost NaN or infinite" in labels
    crosses = next(line for line in display.ax_[0].lines if line.get_label().startswith("diverged"))
    assert crosses.get_xdata().tolist() == [1e3]


def test_bad_input(network):
    with pytest.raises(ValueError, match="rates must be a number above 0; got -1"):
        sweep_rates(network, X, Y, [0.1, -1])
    with pytest.raises(ValueError, match="rates must be 1 to 100"):
        sweep_rates(network, X, Y, [])
    with pytest.raises(TypeError, match="several learning rates"):
        sweep_rates(network, X, Y, 0.1)
    with pytest.raises(TypeError, match="validation_data must be a pair"):
        sweep_rates(network, X, Y, validation_data=X)


@pytest.mark.slow
def test_command(tmp_path, capsys):
    out = tmp_path / "rates.png"
    rates(["--out", str(out), "--json", "--epochs", "1"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert record["rates"] == list(RATES) == sorted(RATES)
    assert record["costs"][-1] is None or record["costs"][-1] > record["start_cost"]
    assert 0.01 < record["best_rate"] < 1
    squares = ["--loss", "quadratic", "--output", "identity", "--rates", "0.1,100"]
    rates([*squares, "--out", str(out), "--json", "--epochs", "1"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert record["costs"][1] is None and record["diverged_in_epoch"] == [0, 1]
    with pytest.raises(click.BadParameter, match=r"such as 0\.1,1,10"):
        rates(["--rates", "fast"], standalone_mode=False)
