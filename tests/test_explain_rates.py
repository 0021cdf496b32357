"""The suggested learning rate: what it is made of, and that training with it works."""

from __future__ import annotations

import copy
import importlib
import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.backends import BACKENDS
from fastgd.explain.curvature import largest_stable_rate
from fastgd.explain.rates import range_test, suggest_learning_rate

#: Rates a person would try.
SWEEP = (0.001, 0.01, 0.1, 1.0, 10.0)
CLASSIFIERS = {
    "the book's": {},
    "relu": {"activation": "relu", "output": "softmax", "loss": "cross_entropy"},
}


@pytest.fixture(scope="module")
def digits():
    return fastgd.data.split(fastgd.data.load("digits"), seed=0)


def linear(loss="quadratic", n=40):
    """Return a problem whose cost is a parabola in every direction."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    net = fastgd.Network([3, 1], output="identity", loss=loss, dtype="float64", seed=0)
    return net, X, X @ [1.0, -2.0, 0.5] + 3


def score(network, rate, X, y, X_test, y_test, batch_size, epochs=10):
    learner = copy.deepcopy(network)
    try:
        learner.fit(X, y, epochs=epochs, batch_size=batch_size, optimizer=fastgd.SGD(rate))
    except fastgd.DivergenceError:
        return -np.inf
    return learner.score(X_test, y_test)


class TestSuggestion:
    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("name", CLASSIFIERS)
    def test_digits(self, digits, name, seed):
        pytest.importorskip("scipy")
        net = fastgd.Network(
            [64, 30, 10], input_scale=digits.input_scale, seed=seed, **CLASSIFIERS[name]
        )
        parts = (digits.X, digits.y, digits.X_test, digits.y_test)
        found = suggest_learning_rate(net, digits.X, digits.y, batch_size=10, seed=seed)
        best = max(score(net, rate, *parts, 10) for rate in SWEEP)
        assert score(net, found.suggested, *parts, 10) > max(0.9, best - 0.04)

    @pytest.mark.parametrize("loss", ["mse", "sse"])
    def test_regression(self, loss):
        pytest.importorskip("scipy")
        rng = np.random.default_rng(3)
        X = rng.standard_normal((1000, 6))
        y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(1000)
        net = fastgd.Network([6, 32, 1], activation="tanh", output="identity", loss=loss, seed=0)
        parts = (X[:800], y[:800], X[800:], y[800:])
        found = suggest_learning_rate(net, X[:800], y[:800], batch_size=20)
        best = max(score(net, rate, *parts, 20, epochs=30) for rate in SWEEP)
        actual = score(net, found.suggested, *parts, 20, epochs=30)
        assert best > 0.5 and actual > best - 0.05

    def test_units_of_the_inputs_do_not_matter(self):
        """Inputs 1,000 times as large curve the cost 1,000^2 times as much."""
        net, X, y = linear()
        large = fastgd.Network(
            [3, 1], output="identity", loss="quadratic", dtype="float64", init="zeros",
            input_scale=1000.0,
        )  # fmt: skip
        rates = [suggest_learning_rate(n, X, y, batch_size=10).suggested for n in (net, large)]
        assert 3e5 < rates[0] / rates[1] < 3e6

    def test_it_is_made_of_both(self):
        net, X, y = linear()
        for batch_size in (1, 40):
            found = suggest_learning_rate(net, X, y, batch_size=batch_size)
            test, stable = found.range_test, largest_stable_rate(net, X, y)
            assert found.largest_stable_rate == pytest.approx(stable)
            assert found.suggested == float(f"{min(stable / 2, test.best):.2g}")
            assert float(found) == found.suggested
            assert found.batch_size == test.batch_size == batch_size
            text = str(found)
            assert f"suggested learning rate: {found.suggested:g}" in text
            assert "2 / the largest eigenvalue" in text and "range test" in text
        assert test.blow_up is not None and stable < test.blow_up < 30 * stable

    def test_a_sum_allows_less(self):
        average, whole = (
            suggest_learning_rate(*linear(loss), batch_size=8) for loss in ("quadratic", "sse")
        )
        # Steps of sse are 2 x 8 times as large.
        assert average.largest_stable_rate == pytest.approx(16 * whole.largest_stable_rate)
        assert average.suggested == pytest.approx(16 * whole.suggested, rel=0.1)

    def test_the_same_seed_is_the_same_rate_and_nothing_changes(self, digits):
        pytest.importorskip("scipy")
        net = fastgd.Network([64, 12, 10], input_scale=digits.input_scale, seed=0)
        before, state = net.parameters.copy(), copy.deepcopy(net.rng.bit_generator.state)
        a, b = (suggest_learning_rate(net, digits.X, digits.y, seed=4) for _ in range(2))
        assert np.array_equal(a.range_test.costs, b.range_test.costs)
        assert a.largest_stable_rate == b.largest_stable_rate and a.suggested == b.suggested
        assert np.array_equal(net.parameters, before)
        assert net.rng.bit_generator.state == state

    def test_a_network_that_has_learned(self):
        net, X, y = linear()
        net.parameters = [1.0, -2.0, 0.5, 3.001]
        rng = np.random.default_rng(1)
        y = y + rng.standard_normal(len(y))
        best = np.linalg.lstsq(np.c_[X, np.ones(len(X))], y, rcond=None)[0]
        net.parameters = best + 1e-3
        found = suggest_learning_rate(net, X, y, batch_size=len(X))
        assert not found.range_test.fell and found.range_test.steepest is None
        assert found.suggested <= found.largest_stable_rate / 2 * 1.05
        assert "hardly falls" in found.reason and "never falls" in str(found)

    def test_where_nothing_curves_upwards(self):
        """A sigmoid far on the wrong side: the cost is curved downwards."""
        net = fastgd.Network([1, 1], init="zeros", dtype="float64")
        net.parameters = [0.0, 3.0]
        found = suggest_learning_rate(net, [[0.0], [0.0]], [0.0, 0.0])
        assert found.largest_stable_rate == np.inf
        assert found.suggested == float(f"{found.range_test.best:.2g}")
        assert "curves upwards in no direction" in str(found)

    def test_refused(self):
        dead = fastgd.Network([1, 1], output="relu", init="zeros")
        with pytest.raises(ValueError, match=r"gradient that is not 0.*net\.diagnose"):
            suggest_learning_rate(dead, [[1.0]], [1.0])
        net = fastgd.Network([1, 1], seed=0)
        with pytest.raises(ValueError, match="batch_size must be an integer at least 1; got 0"):
            suggest_learning_rate(net, [[1.0]], [1.0], batch_size=0)
        with pytest.raises(ValueError, match="X must have 1 columns"):
            suggest_learning_rate(net, [[1.0, 2.0]], [1.0])
        net.parameters[0] = np.nan
        with pytest.raises(ValueError, match=r"parameters must be finite; parameters\[0\] is nan"):
            suggest_learning_rate(net, [[1.0]], [1.0])


class TestRangeTest:
    def test_steps_are_those_of_descent(self):
        net, X, y = linear()
        found = range_test(net, X, y, 1e-3, 0.1, steps=10, batch_size=40)
        np.testing.assert_allclose(found.rates, np.geomspace(1e-3, 0.1, 10))
        learner, costs = copy.deepcopy(net), []
        for rate in found.rates:
            learner.parameters[:] -= rate * learner.gradient(X, y)
            costs.append(learner.loss(X, y))
        np.testing.assert_allclose(found.costs, costs, rtol=1e-9)
        assert found.start_cost == pytest.approx(net.loss(X, y))
        assert found.best == found.rates[-1] and found.blow_up is None and found.fell

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_it_blows_up_above_the_stable_rate(self, backend):
        net, X, y = linear()
        net.backend = backend
        stable = largest_stable_rate(net, X, y)
        found = range_test(net, X, y, stable * 1e-4, stable * 1e4, batch_size=40)
        assert found.steepest < found.best < 3 * stable
        assert stable < found.blow_up < 30 * stable
        assert len(found.rates) < 100  # it ended early

    def test_overflow_is_a_result(self):
        net, X, y = linear()
        found = range_test(net, X, y, 1e-3, 1e200, steps=20)
        assert np.isfinite(found.smoothed).all() and found.blow_up is not None
        assert "blows up at rate" in str(found)

    def test_other_kinds_of_data(self, digits):
        scipy = pytest.importorskip("scipy.sparse")
        net = fastgd.Network([64, 10], input_scale=digits.input_scale, seed=0)
        plain, sparse, listed = (
            range_test(net, X, digits.y[:200], steps=12, high=1.0)
            for X in (
                digits.X[:200],
                scipy.csr_matrix(digits.X[:200].astype(np.float32)),
                digits.X[:200].tolist(),
            )
        )
        np.testing.assert_allclose(plain.costs, sparse.costs, rtol=1e-4)
        np.testing.assert_allclose(plain.costs, listed.costs, rtol=1e-4)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"low": 0}, "low must be a number above 0; got 0"),
            ({"low": 1, "high": 1}, "high must be a number above 1; got 1"),
            ({"high": np.nan}, "high must be .*; got nan"),
            ({"steps": 9}, "steps must be an integer at least 10; got 9"),
            ({"steps": 10_001}, "steps must be at most 10,000; got 10001"),
            ({"seed": -1}, "seed must be an integer at least 0; got -1"),
        ],
    )
    def test_refused(self, options, message):
        net, X, y = linear()
        with pytest.raises(ValueError, match=message):
            range_test(net, X, y, **options)


class TestShow:
    @pytest.mark.parametrize("look", ["light", "dark"])
    @pytest.mark.parametrize("name", CLASSIFIERS)
    def test_picture(self, digits, tmp_path, look, name):
        pytest.importorskip("scipy")
        plot = importlib.import_module("fastgd.plot.rates")
        style = importlib.import_module("fastgd.plot.style")
        net = fastgd.Network(
            [64, 30, 10], input_scale=digits.input_scale, seed=0, **CLASSIFIERS[name]
        )
        with style.theme(look):
            display = plot.LearningRateDisplay.from_network(net, digits.X, digits.y, batch_size=10)
            check_picture(display, tmp_path)
        found = display.learning_rate
        marked = {
            line.get_label().split(":")[0]: line.get_xdata()[0] for line in display.ax_.get_lines()
        }
        assert marked["suggested"] == found.suggested
        assert marked["falls fastest"] == found.range_test.steepest
        assert marked["largest stable, 2 / eigenvalue"] == found.largest_stable_rate

    def test_pictures_of_little(self, tmp_path):
        plot = importlib.import_module("fastgd.plot.rates")
        style = importlib.import_module("fastgd.plot.style")
        net = fastgd.Network([1, 1], init="zeros", dtype="float64")
        net.parameters = [0.0, 3.0]
        with style.theme("light"):
            display = plot.LearningRateDisplay.from_network(net, [[0.0], [0.0]], [0.0, 0.0])
            check_picture(display, tmp_path)
            display = plot.LearningRateDisplay.from_network(*linear(), batch_size=1)
            check_picture(display, tmp_path)

    def test_command(self, tmp_path, monkeypatch):
        pytest.importorskip("scipy")
        monkeypatch.chdir(tmp_path)
        command = importlib.import_module("fastgd.cli.show.rates").learning_rate
        result = CliRunner().invoke(command, ["--json"], standalone_mode=False)
        assert result.exception is None
        record = json.loads(result.stdout)
        assert 0 < record["suggested"] < record["largest_stable_rate"]
        assert record["score_after_training"] > 0.9
        assert (tmp_path / "learning-rate.png").stat().st_size > 1000
