"""What a program may know of an error without reading its text."""

from __future__ import annotations

import pickle

import click
import pytest
from click.testing import CliRunner

from fastgd.cli.failures import describe
from fastgd.cli.options import Command, option
from fastgd.errors import DivergenceError, SettingError, SettingTypeError


@pytest.mark.parametrize(("kind", "builtin"), [(SettingError, ValueError),
                                               (SettingTypeError, TypeError)])  # fmt: skip
def test_a_setting_is_named(kind, builtin):
    error = pickle.loads(pickle.dumps(kind("epochs", "must be at least 1; got 0")))
    assert isinstance(error, builtin) and isinstance(error, kind)
    assert (error.setting, error.problem) == ("epochs", "must be at least 1; got 0")
    assert str(error) == "epochs must be at least 1; got 0"


def test_divergence_says_apart_what_happened_what_to_try_and_what_is_kept():
    kept = "The network keeps its last finite parameters."
    error = DivergenceError("the cost became NaN", 3, 5.0, advice="a lower rate", kept=kept)
    error = pickle.loads(pickle.dumps(error))
    assert (error.problem, error.epoch, error.learning_rate) == ("the cost became NaN", 3, 5.0)
    assert str(error) == f"the cost became NaN; try a lower rate. {kept}"
    assert describe(error) == "the cost became NaN; try a lower rate. Nothing is written."
    assert str(DivergenceError("the cost became NaN", 3, 5.0)) == "the cost became NaN"


@pytest.mark.parametrize("kind", [SettingError, SettingTypeError])
def test_the_command_line_names_the_option_of_a_setting(kind):
    @click.command(cls=Command)
    @option("Weight", "--from", "i", type=int)
    @option("Weight", "--to", "j", type=int)
    def command(i, j):
        raise kind("j", "must be from 0 to 9; got 10")

    result = CliRunner().invoke(command, ["--to", "10"], standalone_mode=False)
    assert isinstance(result.exception, click.UsageError)
    assert result.exception.format_message() == "--to must be from 0 to 9; got 10"
