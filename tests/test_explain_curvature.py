"""Second derivatives: exact, symmetric, and what they say about learning rates comes true."""

from __future__ import annotations

import copy
import importlib
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.explain import curvature as module
from fastgd.explain.curvature import (
    curvature,
    hessian,
    hessian_vector,
    largest_eigenvalue,
    largest_stable_rate,
)
from fastgd.explain.valley import FACTORS, valley
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.losses import LOSSES, Point

ELEMENTWISE = [name for name, rule in ACTIVATIONS.items() if not rule.row_wise]
PAIRS = [(rule.name, output) for rule in LOSSES.values() for output in rule.outputs]


def data(sizes, n=9, seed=0):
    """Return X, and targets that every loss accepts."""
    rng = np.random.default_rng(seed)
    y = rng.random((n, sizes[-1]))
    return rng.standard_normal((n, sizes[0])), y / y.sum(axis=1, keepdims=True)


def difference(network, X, y, v, step=1e-5):
    """Return how the gradient changes along v, by central differences."""
    moved = copy.deepcopy(network)
    gradients = []
    for sign in (1, -1):
        moved.parameters = network.parameters + sign * step * v
        gradients.append(moved.gradient(X, y))
    return (gradients[0] - gradients[1]) / (2 * step)


def digits(n=300, **settings):
    found = fastgd.data.load("digits")
    settings = {"input_scale": found.input_scale, "seed": 0, **settings}
    return fastgd.Network([64, 8, 10], **settings), found.X[:n], found.y[:n]


class TestRules:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_second_derivative_is_the_slope_of_the_derivative(self, name, dtype):
        rule, z = ACTIVATIONS[name], np.linspace(-4, 4, 100)  # 100 points: none is 0
        up, down = ((z + s, rule.value(z + s)) for s in (1e-6, -1e-6))
        expected = (rule.derivative(*up) - rule.derivative(*down)) / 2e-6
        z = z.astype(dtype)
        actual = rule.second_derivative(z, rule.value(z))
        assert actual.dtype == dtype
        np.testing.assert_allclose(
            actual, expected, rtol=1e-5, atol=2e-6 if dtype == "float32" else 1e-7
        )

    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_change_is_a_directional_derivative(self, name):
        rng = np.random.default_rng(0)
        rule, z, dz = ACTIVATIONS[name], *rng.standard_normal((2, 5, 4))
        expected = (rule.value(z + 1e-6 * dz) - rule.value(z - 1e-6 * dz)) / 2e-6
        np.testing.assert_allclose(rule.change(z, rule.value(z), dz), expected, atol=1e-8)

    @pytest.mark.parametrize("name", LOSSES)
    def test_delta_change_is_a_directional_derivative(self, name):
        rule = LOSSES[name]
        rng, output = np.random.default_rng(0), ACTIVATIONS[rule.outputs[0]]
        z, dz, y = rng.standard_normal((3, 6, 3))
        y = rng.random((6, 3)) if rule.maximum or rule.minimum is not None else y
        slopes = (lambda z, a: z * 0 + 1, lambda z, a: z * 0)
        slope, bend = slopes if output.row_wise else (output.derivative, output.second_derivative)

        def delta(z):
            a = output.value(z)
            return rule.delta_of(z, a, y, slope(z, a))

        a = output.value(z)
        at = Point(z, a, y, slope(z, a))
        change = Point(dz, output.change(z, a, dz), 0.0, bend(z, a) * dz)
        expected = (delta(z + 1e-6 * dz) - delta(z - 1e-6 * dz)) / 2e-6
        np.testing.assert_allclose(rule.delta_change(at, change), expected, atol=1e-8)


class TestHessianVector:
    @pytest.mark.parametrize(
        ("activation", "loss", "output"),
        [*((name, "quadratic", "sigmoid") for name in ELEMENTWISE), *(("tanh", *p) for p in PAIRS)],
    )
    def test_is_the_change_of_the_gradient(self, loss, output, activation):
        for sizes in ([4, 3], [4, 5, 3], [4, 6, 5, 3]):
            net = fastgd.Network(
                sizes, activation=activation, output=output, loss=loss, dtype="float64",
                init="standard_normal", input_scale=0.5, seed=3,
            )  # fmt: skip
            X, y = data(sizes)
            v = np.random.default_rng(1).standard_normal(net.n_parameters)
            expected = difference(net, X, y, v)
            assert np.abs(expected).max() > 1e-3 or len(sizes) == 2  # a plane has no curvature
            actual = hessian_vector(net, X, y, v)
            most = max(np.abs(expected).max(), 1e-3)
            np.testing.assert_allclose(actual, expected, atol=1e-5 * most)

    @pytest.mark.parametrize("loss", ["quadratic", "sse", "mse"])
    def test_rows_in_blocks_and_other_kinds_of_x(self, loss):
        scipy = pytest.importorskip("scipy.sparse")
        rng = np.random.default_rng(0)
        X = rng.integers(0, 255, (2500, 6), dtype=np.uint8) * (rng.random((2500, 6)) < 0.3)
        X, y = X.astype(np.uint8), rng.integers(0, 3, 2500)
        net = fastgd.Network([6, 4, 3], loss=loss, dtype="float64", input_scale=1 / 255, seed=0)
        v = rng.standard_normal(net.n_parameters)
        expected = difference(net, X, y, v)
        for given in (X, scipy.csr_matrix(X.astype(float)), X.astype(np.int64)[:, ::1].tolist()):
            actual = hessian_vector(net, given, y, v)
            np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())

    def test_float32_networks_are_computed_in_float64(self):
        net, X, y = digits(activation="tanh", output="softmax", loss="cross_entropy")
        wide, _, _ = digits(
            activation="tanh", output="softmax", loss="cross_entropy", dtype="float64"
        )
        wide.parameters = net.parameters
        v = np.random.default_rng(0).standard_normal(net.n_parameters)
        actual = hessian_vector(net, X, y, v)
        assert actual.dtype == np.float64
        np.testing.assert_allclose(actual, hessian_vector(wide, X, y, v), rtol=1e-10)

    def test_large_outputs_of_a_certain_mistake(self):
        net = fastgd.Network([2, 2], output="softmax", loss="cross_entropy", dtype="float64")
        net.parameters = [500, -500, 0, 0, 0, 0]
        assert not hessian_vector(net, [[1, 0]], [1], np.ones(6)).any()  # flat: -z + max z

    def test_at_its_kink_a_relu_counts_as_flat(self):
        net = fastgd.Network([1, 1], output="relu", init="zeros")
        assert not hessian(net, [[1.0]], [1.0]).any()

    def test_nothing_is_changed(self):
        net, X, y = digits()
        before, state = net.parameters.copy(), copy.deepcopy(net.rng.bit_generator.state)
        v = np.ones(net.n_parameters)
        hessian_vector(net, X, y, v)
        valley(net, X, y, steps=2)
        assert np.array_equal(net.parameters, before) and (v == 1).all()
        assert net.rng.bit_generator.state == state

    @pytest.mark.parametrize(
        ("v", "error", "message"),
        [
            (np.ones(8), ValueError, r"v must have shape \(9,\), .*; got shape \(8,\)"),
            (np.ones((9, 1)), ValueError, r"v must have shape \(9,\), .*; got shape \(9, 1\)"),
            ([1.0, [2.0]], ValueError, r"v must have shape \(9,\)"),
            (["a"] * 9, TypeError, "v must be real numbers; got dtype"),
            ([0.0, np.nan] + [0.0] * 7, ValueError, r"v must be finite; v\[1\] is nan"),
        ],
    )
    def test_refused(self, v, error, message):
        net = fastgd.Network([2, 2, 1], seed=0)
        with pytest.raises(error, match=message):
            hessian_vector(net, [[1.0, 2.0]], [1.0], v)

    def test_a_divergent_network_is_refused(self):
        settings = {"activation": "identity", "output": "identity", "dtype": "float64"}
        net = fastgd.Network([2, 2, 1], **settings)
        net.parameters[:] = 1e200
        message = r"second derivatives must be finite; for parameters\[0\] \(input 0 to hidden"
        with pytest.raises(ValueError, match=message):
            hessian_vector(net, [[1.0, 2.0]], [1.0], np.ones(9))
        net.parameters[3] = np.inf
        with pytest.raises(ValueError, match=r"parameters must be finite; parameters\[3\] is inf"):
            hessian_vector(net, [[1.0, 2.0]], [1.0], np.ones(9))

    def test_data_is_checked(self):
        net = fastgd.Network([2, 1])
        with pytest.raises(ValueError, match="X must have 2 columns"):
            hessian_vector(net, [[1.0]], [1.0], np.ones(3))


class TestHessian:
    def test_is_symmetric_and_made_of_the_products(self):
        net, X, y = digits(100, dtype="float64")
        H, rng = hessian(net, X, y), np.random.default_rng(0)
        assert H.shape == (net.n_parameters,) * 2 and np.array_equal(H, H.T)
        for v in rng.standard_normal((3, net.n_parameters)):
            np.testing.assert_allclose(hessian_vector(net, X, y, v), H @ v, atol=1e-12)
        u, v = rng.standard_normal((2, net.n_parameters))
        products = (hessian_vector(net, X, y, w) for w in (u, v))
        assert v @ next(products) == pytest.approx(u @ next(products), rel=1e-9)

    def test_linear_network_by_hand(self):
        X, y = data([3, 1], n=20)
        net = fastgd.Network([3, 1], output="identity", loss="mse", dtype="float64", seed=0)
        A = np.c_[X, np.ones(20)]
        np.testing.assert_allclose(hessian(net, X, y), 2 * A.T @ A / 20, atol=1e-13)

    def test_too_large(self):
        net = fastgd.Network([64, 50, 10])
        message = "at most 3,000 parameters; this one has 3,760.*hessian_vector"
        with pytest.raises(ValueError, match=message):
            hessian(net, np.zeros((1, 64)), [0])


class TestEigenvalue:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"activation": "relu", "output": "softmax", "loss": "cross_entropy"},
            {"activation": "tanh", "output": "identity", "loss": "sse", "dtype": "float64"},
        ],
    )
    def test_is_that_of_numpy(self, settings):
        pytest.importorskip("scipy")
        net, X, y = digits(**settings)
        assert net.n_parameters > module.FEW_PARAMETERS
        values = np.linalg.eigvalsh(hessian(net, X, y))
        assert largest_eigenvalue(net, X, y) == pytest.approx(values[-1], rel=1e-4)
        found = curvature(net, X, y, seed=5)
        assert found.eigenvalue == pytest.approx(values[-1], rel=1e-4)
        product = hessian_vector(net, X, y, found.direction)
        np.testing.assert_allclose(product, found.eigenvalue * found.direction,
                                   atol=1e-3 * found.eigenvalue)  # fmt: skip
        assert np.linalg.norm(found.direction) == pytest.approx(1)
        assert found.slope == pytest.approx(net.gradient(X, y) @ found.direction, rel=1e-3)
        assert largest_stable_rate(net, X, y) == pytest.approx(2 / values[-1], rel=1e-4)

    @pytest.mark.parametrize("sizes", [[1, 1], [2, 1], [3, 4, 2]])
    def test_tiny_networks_need_no_scipy(self, sizes, monkeypatch):
        monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
        X, y = data(sizes)
        net = fastgd.Network(sizes, dtype="float64", seed=0)
        expected = np.linalg.eigvalsh(hessian(net, X, y))[-1]
        assert largest_eigenvalue(net, X, y) == pytest.approx(expected, rel=1e-9)

    def test_it_is_the_largest_not_the_one_of_largest_size(self):
        pytest.importorskip("scipy")
        net, X, y = digits(init="standard_normal", loss="quadratic", dtype="float64")
        net.parameters[-10:] = -2.0  # outputs far from the targets: curved downwards, too
        y = np.ones((len(X), 10))
        values = np.linalg.eigvalsh(hessian(net, X, y))
        assert -values[0] > values[-1] > 0
        assert largest_eigenvalue(net, X, y) == pytest.approx(values[-1], rel=1e-4)

    def test_no_curvature(self):
        pytest.importorskip("scipy")
        for sizes in ([3, 2], [64, 10]):  # dead: every output is 0 for every weight nearby
            net = fastgd.Network(sizes, output="relu", init="zeros")
            for b in net.biases:
                b[:] = -1
            X, y = data(sizes)
            found = curvature(net, X, y)
            assert found.eigenvalue == 0 and found.stable_rate() == np.inf
            assert "no direction curves upwards" in str(found)

    def test_missing_scipy(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
        net, X, y = digits()
        with pytest.raises(fastgd.MissingExtraError, match=r'pip install "fastgd\[plot\]"'):
            largest_eigenvalue(net, X, y)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"seed": -1}, "seed must be an integer at least 0; got -1"),
            ({"tolerance": 0}, "tolerance must be a number above 0 .*; got 0"),
            ({"batch_size": 0}, "batch_size must be an integer at least 1; got 0"),
        ],
    )
    def test_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            largest_stable_rate(fastgd.Network([1, 1]), [[1.0]], [1.0], **options)


class TestStableRate:
    @pytest.mark.parametrize("loss", ["quadratic", "mse", "sse"])
    def test_descent_converges_below_and_diverges_above(self, loss):
        X, y = data([3, 2], n=30)
        net = fastgd.Network([3, 2], output="identity", loss=loss, dtype="float64", seed=0)
        solution = np.linalg.lstsq(np.c_[X, np.ones(30)], y, rcond=None)[0].ravel()
        rate = largest_stable_rate(net, X, y)
        ends = {}
        for factor in (0.98, 1.02):
            learner = copy.deepcopy(net)
            for _ in range(1000):
                learner.partial_fit(X, y, optimizer=fastgd.SGD(factor * rate))
            ends[factor] = np.abs(learner.parameters - solution).max()
        start = np.abs(net.parameters - solution).max()
        assert ends[0.98] < 1e-6 * start and ends[1.02] > 1e6 * start

    def test_a_mini_batch_of_a_sum_is_less_steep(self):
        X, y = data([3, 2], n=30)
        nets = {
            loss: fastgd.Network([3, 2], output="identity", loss=loss, dtype="float64", seed=0)
            for loss in ("quadratic", "sse")
        }
        average, whole = (largest_stable_rate(net, X, y) for net in nets.values())
        assert whole == pytest.approx(average / 60)  # 30 examples, and no 1/2
        rate = largest_stable_rate(nets["sse"], X, y, batch_size=10)
        assert rate == pytest.approx(3 * whole)
        assert largest_stable_rate(nets["quadratic"], X, y, batch_size=10) == average
        assert "mini-batch of m" in str(curvature(nets["sse"], X, y))


class TestValley:
    def test_numbers(self):
        pytest.importorskip("scipy")
        net, X, y = digits(dtype="float64", activation="tanh")
        found = valley(net, X, y, steps=3, seed=1)
        d, middle = found.curvature.direction, net.loss(X, y)
        learner = copy.deepcopy(net)

        def cost(distance):
            learner.parameters = net.parameters + distance * d
            return learner.loss(X, y)

        for i in (0, 50, 77):
            assert found.costs[i] == pytest.approx(cost(found.distances[i]), rel=1e-12)
        # The parabola has the slope and the second derivative of the cost, by differences.
        step = 1e-3
        second = (cost(step) + cost(-step) - 2 * middle) / step**2
        assert found.curvature.eigenvalue == pytest.approx(second, rel=1e-4)
        slope, t = (cost(step) - cost(-step)) / (2 * step), found.distances
        expected = middle + slope * t + second * t**2 / 2
        np.testing.assert_allclose(found.parabola, expected, rtol=1e-3)
        assert list(found.descents) == list(FACTORS)
        learner.parameters = net.parameters
        for _ in range(3):
            rate = 0.5 * found.curvature.stable_rate()
            learner.partial_fit(X, y, optimizer=fastgd.SGD(rate))
        assert found.descents[0.5][3] == pytest.approx(learner.loss(X, y), rel=1e-9)
        assert found.random_curvature < found.curvature.eigenvalue
        assert "after 3 steps" in str(found)

    def test_divergence_is_infinite_not_an_error(self):
        net = fastgd.Network([1, 1], output="identity", loss="quadratic", seed=0)
        found = valley(net, [[3.0]], [10.0], steps=200)
        assert np.isinf(found.descents[1.5][-1]) and found.descents[0.5][-1] < 1e-6

    @pytest.mark.parametrize("look", ["light", "dark"])
    def test_picture(self, tmp_path, look):
        pytest.importorskip("scipy")
        plot = importlib.import_module("fastgd.plot.curvature")
        style = importlib.import_module("fastgd.plot.style")
        net, X, y = digits()
        with style.theme(look):
            display = plot.CurvatureDisplay.from_network(net, X, y)
            check_picture(display, tmp_path)
        lines = {line.get_label(): line for line in display.ax_[0].get_lines()}
        assert np.array_equal(lines["where it curves most"].get_ydata(), display.valley.costs)
        display.plot(ax=display.figure_.subplots(1, 2))
        with pytest.raises(ValueError, match="array of 2 axes"):
            display.plot(ax=display.ax_[0])

    def test_pictures_of_networks_that_diverge_or_are_flat(self, tmp_path):
        plot = importlib.import_module("fastgd.plot.curvature")
        style = importlib.import_module("fastgd.plot.style")
        net = fastgd.Network([1, 1], output="identity", loss="quadratic", seed=0)
        flat = fastgd.Network([1, 1], output="relu", init="zeros")
        flat.biases[0][:] = -1
        with style.theme("light"):
            for network in (net, flat):
                display = plot.CurvatureDisplay.from_network(network, [[3.0]], [10.0], steps=300)
                check_picture(display, tmp_path)
        assert not display.valley.descents

    @pytest.mark.slow
    def test_command(self, tmp_path, monkeypatch):
        pytest.importorskip("scipy")
        monkeypatch.chdir(tmp_path)
        command = importlib.import_module("fastgd.cli.show.landscape").curvature
        result = CliRunner().invoke(command, ["--json", "--steps", "5"], standalone_mode=False)
        assert result.exception is None
        record = json.loads(result.stdout)
        eigenvalue = record["largest_eigenvalue"]
        assert record["largest_stable_rate"] == pytest.approx(2 / eigenvalue)
        assert len(record["descents"][0]["costs"]) == 6
        assert (tmp_path / "curvature.png").stat().st_size > 1000
