"""Gradient descent on any function: slopes, steps, verdicts, errors, picture and command."""

from __future__ import annotations

import json
import math
import pickle
import re

import click
import numpy as np
import pytest
from pictures import check_picture

from fastgd.cli.show.formula import formula
from fastgd.cli.show.step import descent as command
from fastgd.descent import VERDICTS, DescentError, descend
from fastgd.explain.slopes import slope
from fastgd.plot.descent import DescentDisplay
from fastgd.plot.style import theme


def bowl(w):
    return (w - 3) ** 2


def valley(w):
    return w[0] ** 2 + 10 * w[1] ** 2


@pytest.mark.parametrize(
    ("f", "derivative", "w"),
    [
        (math.exp, math.exp, 1.0),
        (math.sin, math.cos, 2.0),
        (lambda w: math.sin(1000 * w), lambda w: 1000 * math.cos(1000 * w), 0.3),
        (lambda w: math.exp(50 * w), lambda w: 50 * math.exp(50 * w), 0.1),
        (math.log, lambda w: 1 / w, 1e-5),
        (math.sqrt, lambda w: 0.5 / math.sqrt(w), 1e-4),
        (lambda w: w**4 + 1e6, lambda w: 4 * w**3, 2.0),
        (lambda w: 1e-12 * w**2, lambda w: 2e-12 * w, 1.0),
        (lambda w: max(0.0, w), lambda w: 1.0, 1e-5),
        (lambda w: w * abs(w), lambda w: 2 * abs(w), 0.0),
        (lambda w: w**2, lambda w: 2 * w, 1e6),
        (lambda w: 7.0, lambda w: 0.0, -2.0),
    ],
)
def test_numeric_slopes(f, derivative, w):
    assert slope(f, w) == pytest.approx(derivative(w), rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("power", [2, 3, 4, 5, 6, 7])
def test_a_slope_of_zero_is_zero(power):
    assert slope(lambda w: w**power, 0.0) == 0.0


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (abs, "-1 on the left and 1 on the right"),
        (lambda w: math.sqrt(abs(w)), "not differentiable"),
        (lambda w: float(w >= 0), "not differentiable"),
        (lambda w: float(np.cbrt(w)), "grows without bound"),
        (math.sqrt, "on the left are not finite"),
        (lambda w: 1.0 if w == 0 else float("nan"), "on both sides are not finite"),
    ],
)
def test_no_slope(f, message):
    with pytest.raises(ValueError, match=message):
        slope(f, 0.0)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("rate", "verdict"),
        [(0.01, "too slow"), (0.1, "converging"), (0.9, "overshooting"), (1.1, "diverging")],
    )
    @pytest.mark.parametrize("derivative", [None, lambda w: 2 * (w - 3)])
    def test_the_four_rates(self, rate, verdict, derivative):
        told = descend(bowl, 0, rate, 20, derivative)
        assert told.verdict == verdict
        expected = 3 - 3 * (1 - 2 * rate) ** np.arange(21)
        np.testing.assert_allclose(told.path, expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(told.costs, bowl(expected), rtol=1e-7)
        np.testing.assert_allclose(told.slopes, 2 * (expected - 3), rtol=1e-7)
        np.testing.assert_allclose(told.updates, -rate * told.slopes[:-1], rtol=1e-15)

    @pytest.mark.parametrize(
        ("f", "start", "rate", "steps", "verdict", "reason"),
        [
            (lambda w: w**3, 0, 0.1, 20, "stopped at a flat point", "lower at w = -0.01"),
            (math.cos, 0, 0.1, 20, "stopped at a flat point", "no minimum"),
            (bowl, 3, 0.1, 20, "stopped at a flat point", "a minimum"),
            (lambda w: max(0.0, w), -1, 0.1, 9, "stopped at a flat point", "level ground"),
            (lambda w: max(0.0, w), 1, 0.3, 9, "stopped at a flat point", "after 4 steps"),
            (lambda w: w[0] * w[1], [0, 0], 0.1, 9, "stopped at a flat point", "level"),
            (bowl, 0, 0.5, 20, "converging", "slope is 0 at w = 3, a minimum"),
            (bowl, 0, 0.1, 1000, "converging", "a minimum"),
            (bowl, 0, 0.9, 1000, "overshooting", "0.8 times"),
            (bowl, 0, 1.0, 20, "overshooting", "1 times"),
            (bowl, 0, 1.1, 5000, "diverging", "overflows"),
            (bowl, 0, 1e200, 20, "diverging", "step 1 leads to w = 6e.200"),
            (lambda w: -w * w, 1, 0.1, 20, "diverging", "longer"),
            (lambda w: math.exp(-w) if w < 0 else w, 0.5, 2000, 9, "diverging", "overflows"),
            (lambda w: w, 0, 0.1, 20, "too slow", "no end is in sight"),
            (valley, [4, 1], 0.005, 20, "too slow", "still"),
            (valley, [4, 1], 0.08, 40, "converging", "left to go"),
            (valley, [4, 1], 0.098, 20, "overshooting", "other side"),
            (valley, [4, 1], 0.11, 20, "diverging", "rises"),
        ],
    )
    def test_others(self, f, start, rate, steps, verdict, reason):
        told = descend(f, start, rate, steps)
        assert (told.verdict, told.verdict in VERDICTS) == (verdict, True)
        assert re.search(reason, told.reason), told.reason
        assert np.isfinite(told.path).all() and np.isfinite(told.costs).all()
        assert len(told.path) == len(told.costs) == len(told.slopes) == len(told.updates) + 1

    def test_several_numbers(self):
        told = descend(valley, [4.0, 1.0], 0.04, 3)
        k = np.arange(4)
        np.testing.assert_allclose(told.path, np.c_[4 * 0.92**k, 0.2**k], rtol=1e-9)
        given = descend(valley, [4.0, 1.0], 0.04, 3, lambda w: [2 * w[0], 20 * w[1]])
        np.testing.assert_allclose(given.slopes, told.slopes, rtol=1e-9)

    def test_the_caller_cannot_change_the_path(self):
        def f(w):
            w += 1
            return float(w @ w)

        assert descend(f, [1.0, 1.0], 0.1, 1).path[0].tolist() == [1, 1]

    def test_table(self):
        lines = str(descend(bowl, 0, 0.1, 20)).splitlines()
        assert lines[0].split() == ["step", "w", "C(w)", "slope", "update"]
        assert lines[1].split() == ["0", "0", "9", "-6", "0.6"]
        assert lines[21].split()[-1] == "-"
        assert lines[-1].startswith("converging: ")
        assert len(str(descend(bowl, 0, 0.001, 500)).splitlines()) < 25


class TestErrors:
    @pytest.mark.parametrize(
        ("f", "start", "rate", "message", "n"),
        [
            (abs, 1, 0.25, r"not differentiable.* at w = 0 \(after 4 steps\)", 5),
            (math.log, 1, 0.6, r"raises ValueError .* at w = -1.1 \(after 2 steps\)", 3),
            (lambda w: 1 / w, 0, 0.1, r"ZeroDivisionError .* at w = 0 \(the start\)", 1),
            (lambda w: math.nan, 2, 0.1, r"f returns nan at w = 2", 1),
            (lambda w: math.inf, 2, 0.1, r"f returns inf at w = 2", 1),
            (lambda w: math.nan if w > 1 else -w, 0, 0.8, r"returns nan at w = 1.6", 3),
            (math.exp, 1000, 0.1, r"too large .* at w = 1000", 1),
            (lambda w: [1, 2], 0, 0.1, r"must return one number; it returns \[1, 2\] at w = 0", 1),
            (lambda w: w + 1j, 0, 0.1, r"must return one number", 1),
            (lambda w: abs(w[0]) + w[1], [0, 1], 0.1, r"along w\[0\].* at w = \(0, 1\)", 1),
        ],
    )
    def test_the_point_is_named(self, f, start, rate, message, n):
        with pytest.raises(ValueError, match=message) as caught:
            descend(f, start, rate, 20)
        error = caught.value
        assert isinstance(error, DescentError)
        assert len(error.path) == n
        assert np.array_equal(error.w, error.path[-1])
        assert pickle.loads(pickle.dumps(error)).args == error.args

    @pytest.mark.parametrize(
        ("derivative", "message"),
        [
            (lambda w: math.nan, "derivative returns nan at w = 0"),
            (lambda w: [1, 2], "derivative must return one number"),
            (lambda w: 1 / w, "derivative raises ZeroDivisionError"),
        ],
    )
    def test_derivatives(self, derivative, message):
        with pytest.raises(DescentError, match=message):
            descend(bowl, 0, 0.1, 3, derivative)

    def test_a_given_derivative_is_trusted_at_a_kink(self):
        assert descend(abs, 1, 0.25, 6, lambda w: np.sign(w)).path[-1] == 0

    @pytest.mark.parametrize(
        ("arguments", "kind", "message"),
        [
            ((1, 0, 0.1, 3), TypeError, "f must be a function; got 1"),
            ((bowl, 0, 0.1, 3, 2), TypeError, "derivative must be a function"),
            ((bowl, "x", 0.1, 3), TypeError, "start must be a number or a sequence"),
            ((bowl, [[1]], 0.1, 3), ValueError, "start must be"),
            ((bowl, math.nan, 0.1, 3), ValueError, "start must be .*finite"),
            ((bowl, [], 0.1, 3), ValueError, "start must be"),
            ((bowl, 0, 0, 3), ValueError, "learning_rate must be a number above 0; got 0"),
            ((bowl, 0, "a", 3), TypeError, "learning_rate"),
            ((bowl, 0, 0.1, 0), ValueError, "steps must be an integer at least 1; got 0"),
            ((bowl, 0, 0.1, 1.5), TypeError, "steps"),
        ],
    )
    def test_arguments(self, arguments, kind, message):
        with pytest.raises(kind, match=message):
            descend(*arguments)


class TestFormula:
    def test_values(self):
        text = "sigmoid(w) + max(w, 2, -pi) - w**2/e + tanh(-w)*exp(0.5)"
        w = 1.5
        expected = 1 / (1 + math.exp(-w)) + 2 - w**2 / math.e - math.tanh(w) * math.exp(0.5)
        assert formula(text, 1)(w) == pytest.approx(expected, rel=1e-15)
        assert formula("w[0]*w[1] - 1", 2)([3.0, 4.0]) == 11

    @pytest.mark.parametrize(
        "text",
        [
            "__import__('os').getcwd()", "open('x')", "w.real", "lambda: 1", "[w]", "w if w else 1",
            "(w-3)^2", "x**2", "w[0]", "True", "1j", "'a'", "f'{w}'", "max(w)", "exp(w, 2)",
            "exp(*[w])", "max(w, key=w)", "w := 1", "", "(", "(" * 300, "w" + "+w" * 400, "w @ w",
            "abs.__class__", "sin",
        ],
    )  # fmt: skip
    def test_nothing_else_is_accepted(self, text):
        with pytest.raises(ValueError, match="function"):
            formula(text, 1)

    def test_huge_powers_end(self):
        with pytest.raises(OverflowError):
            formula("9**9**9**9", 1)(1.0)


class TestPicture:
    @pytest.mark.parametrize("look", ["light", "dark"])
    @pytest.mark.parametrize(
        ("f", "start", "rates"),
        [(bowl, 0, [0.01, 0.1, 0.9, 1.1]), (valley, [4, 1], [0.05, 0.095]), (bowl, 3, 0.1)],
    )
    def test_pictures(self, tmp_path, look, f, start, rates):
        with theme(look):
            display = DescentDisplay.from_function(f, start, learning_rate=rates, title="C(w)")
            check_picture(display, tmp_path)
        assert display.figure_.bbox.width <= 1000

    def test_it_shows_the_descent(self):
        display = DescentDisplay.from_function(bowl, 0, learning_rate=0.1, steps=5)
        assert display.ax_.get_title() == "learning rate 0.1:\ntoo slow"
        tangent, steps = display.ax_.lines[1], display.ax_.lines[3]
        x, y = tangent.get_data()
        np.testing.assert_allclose(y, 9 - 6 * x)
        np.testing.assert_allclose(steps.get_ydata(), display.descents[0].costs)
        assert {"0", "1", "5"} <= {text.get_text() for text in display.ax_.texts}

    def test_the_minimum_a_slow_path_heads_to_is_seen(self):
        display = DescentDisplay(descents=[descend(bowl, 0, 0.01, 20)])
        assert display.ranges[0][0, 1] > 3

    def test_own_axes(self):
        from matplotlib.figure import Figure

        axes = Figure().subplots(1, 2)
        display = DescentDisplay.from_function(bowl, 0, learning_rate=[0.1, 0.9], ax=axes)
        assert display.figure_ is axes[0].figure
        with pytest.raises(ValueError, match="ax must be an array of 3 axes"):
            DescentDisplay.from_function(bowl, 0, learning_rate=[0.1, 0.2, 0.3], ax=axes)

    def test_gaps_where_there_is_no_value(self):
        display = DescentDisplay.from_function(math.log, 1, learning_rate=0.01, steps=3)
        assert display.descents[0].verdict == "too slow"

    def test_limits(self):
        with pytest.raises(ValueError, match="one or two numbers for a picture; got 3"):
            DescentDisplay.from_function(lambda w: w @ w, [1, 2, 3])
        with pytest.raises(ValueError, match="1 to 8 rates, a panel each; got 9"):
            DescentDisplay.from_function(bowl, 0, learning_rate=[0.1] * 9)
        with pytest.raises(ValueError, match="1 to 8 rates, a panel each; got 0"):
            DescentDisplay(descents=[])


class TestCommand:
    def run(self, *arguments):
        command(list(arguments), standalone_mode=False)

    @pytest.mark.slow
    def test_the_four_rates(self, tmp_path, capsys):
        out = str(tmp_path / "d.png")
        self.run("--json", "--out", out)
        record = json.loads(capsys.readouterr().out)
        assert [d["verdict"] for d in record["descents"]] == [
            "too slow", "converging", "overshooting", "diverging",
        ]  # fmt: skip
        assert record["descents"][1]["path"][1] == pytest.approx(0.6)
        self.run("--out", out)
        words = capsys.readouterr().out
        assert "C(w) = (w-3)**2" in words and "1.1  diverging" in words

    def test_one_rate_prints_the_table(self, tmp_path, capsys):
        out = str(tmp_path / "d.svg")
        self.run("--function", "w[0]**2 + w[1]**2", "--start", "1,2", "--learning-rate", "0.1",
                 "--dark", "--out", out)  # fmt: skip
        assert "(0.8, 1.6)" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--function", "open(w)"], "--function .open.w"),
            (["--function", "log(w)"], "at w = 0"),
            (["--start", "a"], "--start must be"),
            (["--start", "1,2,3"], "--start must be"),
            (["--learning-rate", "-1"], "--learning-rate must be a number above 0"),
            (["--steps", "0"], "--steps must be"),
            (["--out", "d.txt"], "must end in .png or .svg"),
        ],
    )
    def test_bad_input(self, arguments, message, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises((click.UsageError, ValueError)) as caught:
            self.run(*arguments)
        words = getattr(caught.value, "format_message", lambda: str(caught.value))()
        assert re.search(message, words) and "\n" not in words
