"""Costs over the epochs and where overfitting begins: the rule, the picture and the command."""

from __future__ import annotations

import json

import pytest
from pictures import check_picture

import fastgd
from fastgd.cli.show.learned import curves
from fastgd.explain.overfitting import overfitting
from fastgd.plot import theme
from fastgd.plot.curves import CurvesDisplay

FALLING = [5.0, 4.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("validation", "begins", "words"),
    [
        ([5, 3, 4, 4, 4], 2, "begins after epoch 2"),
        ([5, 4, 3, 2, 1], None, "least in the last epoch"),
        ([5, 3, 3.1, 3.2, 3.1], None, "within 5 %"),  # 3.3 % above
        ([5, 3, 9, 9, 3.1], None, "within 5 %"),  # the end decides
    ],
)
def test_rule(validation, begins, words):
    found = overfitting({"cost": FALLING, "validation_cost": validation})
    assert found.begins == begins and words in found.verdict


def test_both_costs_rising_is_no_overfitting():
    found = overfitting({"cost": [5, 3, 6, 7], "validation_cost": [5, 3, 6, 7]})
    assert found.begins is None and "lower learning rate" in found.verdict


def test_margin_and_end():
    costs = {"cost": FALLING, "validation_cost": [5, 3, 3.1, 3.2, 3.1]}
    assert overfitting(costs, margin=0.03).begins == 2
    long = {"cost": list(range(40, 0, -1)), "validation_cost": [9, 1, *[2] * 34, 1, 1, 1, 1.1]}
    assert overfitting(long).last == pytest.approx(4.1 / 4)  # the mean of the last tenth
    assert overfitting(long).begins is None


def test_bad_input():
    with pytest.raises(ValueError, match="validation_data"):
        overfitting({"cost": FALLING})
    with pytest.raises(ValueError, match="margin"):
        overfitting({"cost": [1], "validation_cost": [1]}, margin=-1)
    with pytest.raises(TypeError, match=r"history must be what net\.fit returns"):
        CurvesDisplay.from_history([1, 2, 3])
    with pytest.raises(ValueError, match="at least one epoch"):
        CurvesDisplay.from_history(
            fastgd.Network([1, 1]).fit([[1.0]], [1.0], epochs=0, optimizer="sgd")
        )


@pytest.mark.parametrize("look", ["light", "dark"])
def test_picture_of_a_real_history(tmp_path, look):
    digits = fastgd.data.split(fastgd.data.load("digits"), seed=0)
    network = fastgd.Network(
        [64, 30, 10], output="softmax", loss="cross_entropy", input_scale=1 / 16, seed=0
    )
    history = network.fit(
        digits.X[:100], digits.y[:100], epochs=60, batch_size=10, optimizer=fastgd.SGD(2.0),
        validation_data=(digits.X_test, digits.y_test),
    )  # fmt: skip
    with theme(look):
        display = CurvesDisplay.from_history(history)
        check_picture(display, tmp_path)
    costs = history.validation_cost
    assert display.overfitting.begins == 1 + costs.index(min(costs))
    assert display.validation_cost[-1] == pytest.approx(
        network.loss(digits.X_test, digits.y_test), rel=1e-6
    )
    assert display.validation_score[-1] == network.score(digits.X_test, digits.y_test)
    training, validation, least = display.ax_[0].lines[:3]
    assert training.get_ydata().tolist() == history.cost
    assert validation.get_ydata().tolist() == costs
    assert float(least.get_ydata()[0]) == min(costs)


@pytest.mark.parametrize("history", [{"cost": [1.0]}, {"cost": [1e6, 1.0, 0.1]}])
def test_without_validation(tmp_path, history):
    with theme():
        display = CurvesDisplay.from_history(history)
        check_picture(display, tmp_path)
    assert display.overfitting is None


@pytest.mark.slow
def test_command(tmp_path, capsys):
    out = tmp_path / "curves.png"
    curves(["--out", str(out)], standalone_mode=False)
    assert "overfitting begins after epoch" in capsys.readouterr().out
    curves(["--out", str(out), "--json", "--epochs", "8"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert record["overfitting_begins"] is None and len(record["history"]["cost"]) == 8
    with pytest.raises(ValueError, match="examples must be an integer at least 1"):
        curves.callback(examples=0, out=str(out), dark=False, as_json=False, quiet=True,
                        data="digits")  # fmt: skip
