"""Every rule by itself: its array form, its scalar form and its compiled form are one function."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conformance import varied

import fastgd
from fastgd.backends import BACKENDS
from fastgd.engine.architecture import DTYPES, Architecture
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.initializers import INITIALIZERS
from fastgd.rules.losses import LOSS_NAMES, LOSSES, find_loss
from fastgd.rules.optimizers import OPTIMIZERS, SGD, UPDATES
from fastgd.rules.registry import Registry
from fastgd.rules.schedules import SCHEDULES, Constant, Exponential, InverseScaling, Step

ELEMENTWISE = [name for name, rule in ACTIVATIONS.items() if not rule.row_wise]
Z = np.concatenate([np.linspace(-20, 20, 401), [-1e3, -88.5, -87, -0.625, 0.625, 87, 88.5, 1e3]])
SMALL = np.array([-1e-3, -1e-5, -1e-20, 0.0, 1e-20, 1e-5, 1e-3])


class TestActivations:
    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_scalar_form_is_the_array_form(self, name):
        z = np.concatenate([Z[np.abs(Z) < 700], SMALL])
        for rule in (ACTIVATIONS[name], varied(ACTIVATIONS[name])):
            a, p = rule.value(z), rule.numbers
            values = [rule.scalar_value(float(z_i), p) for z_i in z]
            np.testing.assert_allclose(values, a, rtol=1e-13, atol=1e-14)
            slopes = [rule.scalar_derivative(*map(float, pair), p) for pair in zip(z, a)]  # noqa: B905
            np.testing.assert_allclose(slopes, rule.derivative(z, a), rtol=1e-13, atol=1e-14)

    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_derivative(self, name):
        z = np.linspace(-4, 4, 100)  # 100 points: none is 0
        for rule in (ACTIVATIONS[name], varied(ACTIVATIONS[name])):
            expected = (rule.value(z + 1e-6) - rule.value(z - 1e-6)) / 2e-6
            actual = rule.derivative(z, rule.value(z))
            np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_dtype_is_kept_and_z_is_not_changed(self, name, dtype):
        rule, z = ACTIVATIONS[name], Z.astype(dtype).reshape(-1, 1)
        before = z.copy()
        with np.errstate(over="ignore"):  # e^1000
            a = rule.value(z)
        assert a.dtype == dtype and a.shape == z.shape and not np.shares_memory(a, z)
        if not rule.row_wise:
            assert rule.derivative(z, a).dtype == dtype
        assert np.array_equal(z, before)

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_every_backend_computes_it_to_rounding(self, name, dtype, backend):
        z = np.concatenate([Z[np.abs(Z) < 87], SMALL, np.linspace(-1, 1, 2001)]).astype(dtype)
        if ACTIVATIONS[name].reach[1] < np.inf or name == "relu":
            z = np.concatenate([z, Z.astype(dtype)])
        net = fastgd.Network([1, 1], output=name, dtype=dtype, backend=backend)
        net.parameters = [1, 0]
        actual = net.predict(z[:, None])[:, 0]
        expected = ACTIVATIONS[name].value(z.astype(np.float64))
        # A few units in the last place; below the smallest normal number, nothing is promised.
        eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
        # Those made of others cancel near 0, or far below it, and keep fewer digits there.
        plain = name in ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "softsign")
        atol = 2 * tiny if plain else 4 * eps
        np.testing.assert_allclose(actual, expected, rtol=(5 if plain else 40) * eps, atol=atol)

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_nan_stays_nan(self, name, dtype, backend):
        """Otherwise divergence would not be seen."""
        net = fastgd.Network([1, 1, 1], activation=name, output=name, dtype=dtype, backend=backend)
        net.parameters[1] = np.nan
        assert np.isnan(net.predict([[0.3]])).all()

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_softmax(self, dtype, backend):
        net = fastgd.Network(
            [3, 3], output="softmax", loss="cross_entropy", dtype=dtype, backend=backend
        )
        net.parameters = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
        a = net.predict([[0, 0, 0], [1, 2, 3], [1e4, -1e4, 0], [300, 300, 299]])
        np.testing.assert_allclose(a.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(a[0], 1 / 3, rtol=1e-6)
        np.testing.assert_allclose(a[1], np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum(), rtol=1e-6)
        np.testing.assert_allclose(a[2], [1, 0, 0], atol=1e-37)
        np.testing.assert_allclose(a[3, 2] / a[3, 0], math.exp(-1), rtol=1e-6)


#: Losses whose outputs may be the targets and cost something, or that have no such targets.
COSTLY = (
    "hinge", "poisson", "clipped_binary_cross_entropy", "clipped_categorical_cross_entropy",
)  # fmt: skip


class TestLosses:
    def values(self, rule, n=7):
        rng = np.random.default_rng(0)
        z = rng.standard_normal((n, 4))
        y = rng.random((n, 4))
        y[0] = [0, 1, 0, 0]
        return z, y / y.sum(axis=1, keepdims=True)

    def outputs(self, output, z):
        """Return z as the loss receives it, a, and da/dz."""
        rule = ACTIVATIONS[output]
        a = rule.value(z)
        return (np.log(a), a, np.ones_like(z)) if rule.row_wise else (z, a, rule.derivative(z, a))

    @pytest.mark.parametrize("name", LOSSES)
    def test_scalar_form_is_the_array_form(self, name):
        for output in LOSSES[name].outputs:
            z, y = self.values(LOSSES[name])
            z, a, slope = self.outputs(output, z)
            cells = list(np.ndindex(z.shape))
            for rule in (LOSSES[name], varied(LOSSES[name])):
                p = rule.numbers_for(4)
                at = [tuple(float(x[i]) for x in (z, a, y, slope)) for i in cells]
                costs = [rule.scalar_cost(*values[:3], p) for values in at]
                deltas = [rule.scalar_delta(*values, p) for values in at]
                np.testing.assert_allclose(costs, rule.cost(z, a, y).ravel(), rtol=1e-12)
                expected = rule.delta_of(z, a, y, slope).ravel()
                np.testing.assert_allclose(deltas, expected, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("name", LOSSES)
    def test_delta_is_the_slope_of_the_cost(self, name):
        rule = varied(LOSSES[name])
        for output in rule.outputs:
            z, y = self.values(rule)
            given, a, slope = self.outputs(output, z)
            expected = np.empty_like(z)
            for j in range(z.shape[1]):
                step = np.zeros_like(z)
                step[:, j] = 1e-6
                up, down = (self.outputs(output, z + s)[:2] for s in (step, -step))
                expected[:, j] = (rule.cost(*up, y) - rule.cost(*down, y)).sum(axis=1) / 2e-6
            kinks = output == "relu" and np.abs(z).min() < 1e-5
            assert not kinks
            actual = rule.delta_of(given, a, y, slope)
            np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-8)

    @pytest.mark.parametrize("name", [name for name in LOSSES if name not in COSTLY])
    def test_no_cost_where_outputs_are_the_targets(self, name):
        rule, y = LOSSES[name], np.array([[0.0, 1.0, 0.0]])
        for output in rule.outputs:
            z = 1000 * (2 * y - 1) if rule.joined and output == "sigmoid" else y
            z = np.where(y > 0, 0, -1000.0) if ACTIVATIONS[output].row_wise else z
            # Losses whose outputs are clipped end a last bit short of 0.
            least = 4 * np.finfo(float).eps if rule.name.startswith("clipped") else 0.0
            assert (rule.cost(z, y, y) <= least).all()
            assert (rule.delta_of(z, y, y, np.ones_like(y)) == 0).all()

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("output", ["sigmoid", "softmax"])
    def test_a_certain_mistake_has_a_finite_cost_and_gradient(self, output, dtype, backend):
        net = fastgd.Network(
            [2, 2], output=output, loss="cross_entropy", dtype=dtype, backend=backend
        )
        net.parameters = [500, -500, 0, 0, 0, 0]
        cost = net.loss([[1, 0]], [1])
        assert cost == pytest.approx(1000, rel=1e-6)
        np.testing.assert_allclose(net.gradient([[1, 0]], [1]), [1, -1, 0, 0, 1, -1], atol=1e-30)
        assert net.loss([[1, 0]], [0]) == pytest.approx(0, abs=1e-30)

    def test_nothing_times_log_of_nothing_is_nothing(self):
        rule, z = LOSSES["categorical_cross_entropy"], np.array([[-np.inf, 0.0]])
        assert rule.scalar_cost(-math.inf, 0.0, 0.0, (1.0, 0.0)) == 0
        with np.errstate(invalid="ignore"):
            assert (rule.cost(z, np.exp(z), np.array([[0.0, 1.0]])) == 0).all()

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_small_cross_entropies_keep_their_digits(self, dtype, backend):
        net = fastgd.Network(
            [1, 1], output="sigmoid", loss="cross_entropy", dtype=dtype, backend=backend
        )
        net.parameters = [1, 0]
        for z in (-60.0, -30.0, -10.0, -1.0, -0.1):
            expected = math.log1p(math.exp(z))
            assert net.loss([[z]], [0]) == pytest.approx(expected, rel=1e-6)
            assert net.loss([[-z]], [1]) == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("output", ACTIVATIONS)
    @pytest.mark.parametrize("loss", LOSS_NAMES)
    def test_pairs_are_accepted_or_explained(self, loss, output):
        rules = [rule for rule in LOSSES.values() if loss in (rule.name, rule.public_name)]
        if any(output in rule.outputs for rule in rules):
            assert find_loss(loss, output) in rules
            assert Architecture((2, 3), output=output, loss=loss).loss in rules
        else:
            with pytest.raises(ValueError, match=f"loss '{loss}' goes with .*output '{output}'"):
                Architecture((2, 3), output=output, loss=loss)

    def test_every_output_has_a_loss(self):
        for output in ACTIVATIONS:
            assert any(output in rule.outputs for rule in LOSSES.values())


#: The standard deviation each initialisation promises.
SCALES = {
    "normal": lambda n_in, n_out: n_in**-0.5,
    "standard_normal": lambda n_in, n_out: 1,
    "glorot_normal": lambda n_in, n_out: (2 / (n_in + n_out)) ** 0.5,
    "glorot_uniform": lambda n_in, n_out: (2 / (n_in + n_out)) ** 0.5,
    "he_normal": lambda n_in, n_out: (2 / n_in) ** 0.5,
    "he_uniform": lambda n_in, n_out: (2 / n_in) ** 0.5,
    "zeros": lambda n_in, n_out: 0,
}


class TestInitializers:
    @pytest.mark.parametrize("name", INITIALIZERS)
    def test_standard_deviation(self, name):
        net = fastgd.Network([300, 200, 100], init=name, seed=0, dtype="float64")
        for W, b in zip(net.weights, net.biases, strict=True):
            assert W.std() == pytest.approx(SCALES[name](*W.shape), rel=0.03)
            assert abs(W.mean()) <= 4 * W.std() / W.size**0.5
            if name == "standard_normal":
                assert b.std() == pytest.approx(1, rel=0.25)
            else:
                assert not b.any()

    @pytest.mark.parametrize("name", ["glorot_uniform", "he_uniform"])
    def test_bounds(self, name):
        (W,) = fastgd.Network([300, 200], init=name, seed=0, dtype="float64").weights
        limit = SCALES[name](300, 200) * 3**0.5
        assert 0.999 * limit < np.abs(W).max() <= limit

    @pytest.mark.parametrize("name", INITIALIZERS)
    def test_float32_is_float64_rounded(self, name):
        start32, start64 = (
            fastgd.Network([7, 5, 3], init=name, seed=4, dtype=dtype).parameters for dtype in DTYPES
        )
        assert start32.dtype == np.float32
        assert np.array_equal(start32, start64.astype(np.float32))

    def test_order_of_draws_is_the_documented_one(self):
        net = fastgd.Network([4, 3, 2], init="standard_normal", seed=9, dtype="float64")
        rng = np.random.default_rng(9)
        for W, b in zip(net.weights, net.biases, strict=True):
            assert np.array_equal(W, rng.standard_normal(W.shape))
            assert np.array_equal(b, rng.standard_normal(b.shape))

    def test_default_is_normal(self):
        default, normal = (fastgd.Network([4, 3], seed=1, **k) for k in ({}, {"init": "normal"}))
        assert np.array_equal(default.parameters, normal.parameters)


class TestOptimizers:
    def test_sgd(self):
        plain, heavy = SGD(0.3, l2=0.1), SGD(0.3, momentum=0.9, nesterov=True)
        assert plain.update is UPDATES["gradient_descent"] and heavy.update is UPDATES["momentum"]
        assert heavy.table(0, 1)[0, 0, 6:].tolist() == [0.3, 0.9, 1]
        assert plain.table(0, 1)[0, :, [0, 2]].tolist() == [[1 - 0.03, 1], [0, 0]]  # one product
        assert SGD().learning_rate == 0.1 and SGD(0.5).schedule == Constant(0.5)

    @pytest.mark.parametrize(
        ("settings", "error", "message"),
        [
            ({"learning_rate": -0.1}, ValueError, r"learning_rate must be .* at least 0; got -0.1"),
            ({"learning_rate": math.nan}, ValueError, "learning_rate must be .*; got nan"),
            ({"learning_rate": math.inf}, ValueError, "learning_rate must be .*; got inf"),
            ({"learning_rate": "0.1"}, TypeError, "learning_rate must be a number .*; got '0.1'"),
            ({"learning_rate": None}, TypeError, "learning_rate must be a number .*; got None"),
            ({"learning_rate": True}, TypeError, "learning_rate must be a number .*; got True"),
            ({"momentum": 1}, ValueError, "momentum must be .* below 1; got 1"),
            ({"momentum": -0.5}, ValueError, "momentum must be .* at least 0 .*; got -0.5"),
            ({"momentum": "0.9"}, TypeError, "momentum must be a number"),
            ({"l2": -1}, ValueError, "l2 must be .* at least 0; got -1"),
            ({"nesterov": True}, ValueError, "nesterov=True needs a momentum above 0"),
            ({"nesterov": 0.9, "momentum": 0.9}, TypeError, "nesterov must be True or False"),
        ],
    )
    def test_refused(self, settings, error, message):
        with pytest.raises(error, match=message):
            SGD(**settings)


class TestSchedules:
    @pytest.mark.parametrize(
        ("schedule", "rates"),
        [
            (Constant(0.5), [0.5, 0.5, 0.5, 0.5, 0.5]),
            (Step(1.0, factor=0.1, every=2), [1, 1, 0.1, 0.1, 0.01]),
            (Exponential(2.0, decay=0.5), [2, 1, 0.5, 0.25, 0.125]),
            (InverseScaling(1.0, power=1), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_rates(self, schedule, rates):
        assert [schedule(epoch) for epoch in range(5)] == pytest.approx(rates)

    @pytest.mark.parametrize("name", ["constant", "step", "exponential", "inverse_scaling"])
    def test_all_begin_at_their_rate_and_refuse_a_negative_one(self, name):
        assert SCHEDULES[name](0.7)(0) == 0.7
        with pytest.raises(ValueError, match=r"learning_rate must be .* at least 0; got -1"):
            SCHEDULES[name](-1)

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda: Step(1, factor=0), ValueError, "factor must be a number above 0; got 0"),
            (lambda: Step(1, every=0), ValueError, "every must be an integer at least 1; got 0"),
            (lambda: Step(1, every=1.5), TypeError, "every must be an integer .*; got 1.5"),
            (lambda: Exponential(1, decay=-1), ValueError, "decay must be .* above 0; got -1"),
            (lambda: InverseScaling(1, power=-1), ValueError, "power must be .*; got -1"),
            (lambda: InverseScaling(1, power="2"), TypeError, "power must be .*; got '2'"),
        ],
    )
    def test_refused(self, make, error, message):
        with pytest.raises(error, match=message):
            make()

    @pytest.mark.parametrize(
        "schedule", [InverseScaling(0.1, power=1000), Exponential(0.1, decay=1e-200)]
    )
    def test_rates_that_fall_fast_end_at_zero(self, schedule):
        assert schedule(5) == 0


class TestRegistry:
    def test_code_is_the_position(self):
        for registry in (ACTIVATIONS, LOSSES, UPDATES):
            assert [registry.code(name) for name in registry] == list(range(len(registry)))

    def test_every_rule_has_its_name(self):
        for registry in (ACTIVATIONS, LOSSES, UPDATES, INITIALIZERS, OPTIMIZERS, SCHEDULES):
            assert isinstance(registry, Registry)
            assert all(rule.name == name for name, rule in registry.items())
            assert all(registry.find(name) is rule for name, rule in registry.items())

    def test_unknown(self):
        with pytest.raises(ValueError) as caught:
            ACTIVATIONS.find("sigmoit")
        assert str(caught.value) == (
            f"activation must be one of {', '.join(ACTIVATIONS)}; "
            "got 'sigmoit'; did you mean 'sigmoid'?"
        )
        with pytest.raises(ValueError, match=r"got 'xyz'$"):
            ACTIVATIONS.find("xyz")
