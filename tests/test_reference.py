"""The reference against what does not share its code: differences, formulas, scikit-learn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from conformance import RULE_TRIPLES, Case
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgd
from fastgd.backends import reference
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.losses import LOSSES

#: Central differences in float64: their error is about STEP^2 + 1e-16 / STEP, well below 1e-6.
STEP = 1e-5


def network(case: Case) -> fastgd.Network:
    net = fastgd.Network(
        case.sizes,
        activation=case.activation,
        output=case.output,
        loss=case.loss,
        dtype=case.dtype,
        input_scale=case.input_scale,
        backend="numpy",
    )
    net.parameters = case.parameters
    return net


def away_from_kinks(case: Case) -> bool:
    """Return whether no step of a difference can carry a z across 0."""
    zs, _ = reference.feed_forward(case.architecture, case.parameters, case.X)
    return min(float(np.abs(z).min()) for z in zs) > 100 * STEP


def smooth_case(**fields) -> Case:
    cases = (Case(seed=seed, n=5, **fields) for seed in itertools.count())
    return next(itertools.dropwhile(lambda case: not away_from_kinks(case), cases))


def differences(net: fastgd.Network, X, y) -> np.ndarray:
    """Return the gradient of ``net.loss`` by central differences."""
    gradient = np.empty(net.n_parameters)
    for i, value in enumerate(net.parameters.copy()):
        costs = []
        for step in (STEP, -STEP):
            net.parameters[i] = value + step
            costs.append(net.loss(X, y))
        net.parameters[i] = value
        gradient[i] = (costs[0] - costs[1]) / (2 * STEP)
    return gradient


class TestFiniteDifferences:
    """Relative error at most 1e-6, layer by layer."""

    @pytest.mark.parametrize("classes", [False, True])
    @pytest.mark.parametrize(("activation", "output", "loss"), RULE_TRIPLES)
    def test_every_rule(self, activation, output, loss, classes):
        case = smooth_case(
            sizes=(4, 6, 5, 3), activation=activation, output=output, loss=loss, classes=classes
        )
        self.check(case)

    @pytest.mark.parametrize("sizes", [(1, 1), (4, 3), (3, 1), (3, 4, 3, 4, 3, 2)])
    def test_other_depths(self, sizes):
        self.check(smooth_case(sizes=sizes, activation="tanh", input_scale=-0.7))

    def check(self, case: Case):
        net = network(case)
        actual, expected = net.gradient(case.X, case.Y), differences(net, case.X, case.Y)
        layout = net.architecture.layout
        views = (layout.weights, layout.biases)
        for a, e in ((a, e) for view in views for a, e in zip(view(actual), view(expected))):  # noqa: B905
            scale = max(np.abs(e).max(), 1e-3 * np.abs(expected).max())
            assert np.abs(a - e).max() <= 1e-6 * scale


def cost_of_row(loss: str, output: str, a: list[float], y: list[float]) -> float:
    """One example's cost, as the books write it."""
    loss = loss.removeprefix("clipped_")  # which clips nothing where outputs are not sure
    squares = sum((a_j - y_j) ** 2 for a_j, y_j in zip(a, y, strict=True))
    if loss == "quadratic":
        return squares / 2
    if loss == "sse":
        return squares
    if loss == "mse":
        return squares / len(a)
    pairs = list(zip(a, y, strict=True))
    each = {
        "absolute_error": lambda a, y: abs(a - y),
        "huber": lambda a, y: (a - y) ** 2 / 2 if abs(a - y) < 1 else abs(a - y) - 0.5,
        "log_cosh": lambda a, y: math.log(math.cosh(a - y)),
        "quantile": lambda a, y: max(0.5 * (y - a), -0.5 * (y - a)),
        "poisson": lambda a, y: (y * math.log(y / a) if y else 0) - y + a,
    }
    if loss in each:
        return sum(each[loss](*pair) for pair in pairs) / len(a)
    if loss == "hinge":
        return sum(max(0.0, 1 - (2 * y_j - 1) * a_j) for a_j, y_j in pairs)
    if loss == "focal":
        return -sum(
            y_j * (1 - a_j) ** 2 * math.log(a_j) + (1 - y_j) * a_j**2 * math.log(1 - a_j)
            for a_j, y_j in pairs
        )
    assert loss in ("binary_cross_entropy", "categorical_cross_entropy")
    certain = sum(y_j * math.log(a_j) for a_j, y_j in zip(a, y, strict=True))
    if output == "softmax":
        return -certain
    return -certain - sum((1 - y_j) * math.log(1 - a_j) for a_j, y_j in zip(a, y, strict=True))


ACTIVATE = {
    "identity": lambda z: z,
    "sigmoid": lambda z: [(1 + math.tanh(z_j / 2)) / 2 for z_j in z],
    "tanh": lambda z: [math.tanh(z_j) for z_j in z],
    "relu": lambda z: [max(0.0, z_j) for z_j in z],
    "leaky_relu": lambda z: [max(z_j, 0.01 * z_j) for z_j in z],
    "elu": lambda z: [z_j if z_j > 0 else math.exp(z_j) - 1 for z_j in z],
    "selu": lambda z: [
        1.0507009873554805 * (z_j if z_j > 0 else 1.6732632423543772 * (math.exp(z_j) - 1))
        for z_j in z
    ],
    "softplus": lambda z: [math.log(1 + math.exp(z_j)) for z_j in z],
    "gelu": lambda z: [z_j * (1 + math.erf(z_j / 2**0.5)) / 2 for z_j in z],
    "gelu_tanh": lambda z: [
        z_j / 2 * (1 + math.tanh((2 / math.pi) ** 0.5 * (z_j + 0.044715 * z_j**3))) for z_j in z
    ],
    "silu": lambda z: [z_j / (1 + math.exp(-z_j)) for z_j in z],
    "hard_sigmoid": lambda z: [min(max(z_j + 3, 0.0), 6.0) / 6 for z_j in z],
    "softsign": lambda z: [z_j / (1 + abs(z_j)) for z_j in z],
    "exp": lambda z: [math.exp(z_j) for z_j in z],
    "softmax": lambda z: [math.exp(z_j) / sum(map(math.exp, z)) for z_j in z],
}


def outputs_of_row(net: fastgd.Network, x: list[float]) -> list[float]:
    """The outputs for one example, one number at a time."""
    a = [net.architecture.input_scale * float(x_i) for x_i in x]
    names = [rule.name for rule in net.architecture.rules]
    for W, b, name in zip(net.weights, net.biases, names, strict=True):
        z = [float(b[j]) + sum(a[i] * float(W[i, j]) for i in range(len(a))) for j in range(len(b))]
        a = ACTIVATE[name](z)
    return a


@pytest.mark.parametrize(("activation", "output", "loss"), RULE_TRIPLES)
def test_outputs_and_costs_are_what_the_books_say(activation, output, loss):
    case = Case(activation=activation, output=output, loss=loss, n=6, input_scale=0.8)
    net = network(case)
    rows = [outputs_of_row(net, x) for x in case.X]
    np.testing.assert_allclose(net.predict(case.X), rows, rtol=1e-12, atol=1e-14)
    costs = [cost_of_row(loss, output, a, list(y)) for a, y in zip(rows, case.Y, strict=True)]
    expected = sum(costs) if loss == "sse" else sum(costs) / len(costs)
    assert net.loss(case.X, case.Y) == pytest.approx(expected, rel=1e-12)


def test_every_rule_is_written_above():
    assert set(ACTIVATIONS) <= set(ACTIVATE)
    for loss in LOSSES:
        assert np.isfinite(cost_of_row(loss, "sigmoid", [0.5], [0.5]))


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_does_not_depend_on_how_rows_are_split(loss):
    case = Case(n=2500, loss=loss, output=LOSSES[loss].outputs[0], sizes=(3, 4, 2))
    net = network(case)
    whole = net.gradient(case.X, case.Y)
    parts = [net.gradient(case.X[i : i + 500], case.Y[i : i + 500]) for i in range(0, 2500, 500)]
    expected = np.sum(parts, axis=0) if loss == "sse" else np.mean(parts, axis=0)
    np.testing.assert_allclose(whole, expected, rtol=1e-10, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-30, 30))
def test_softmax_does_not_see_a_shift_of_all_z(seed, shift):
    case = Case(output="softmax", loss="cross_entropy", classes=True, seed=seed)
    net = network(case)
    before = net.predict(case.X), net.loss(case.X, case.Y)
    net.biases[-1][:] += shift
    np.testing.assert_allclose(net.predict(case.X), before[0], rtol=1e-9)
    assert net.loss(case.X, case.Y) == pytest.approx(before[1], rel=1e-9)


def steps_by_hand(case: Case, epochs: int, momentum: float, nesterov: bool, l2: float):
    """SGD in the order of the rows, from the gradients the tests above hold to differences."""
    net = network(case)
    velocity = np.zeros(net.n_parameters)
    penalised = np.zeros(net.n_parameters)
    for W in net.architecture.layout.weights(penalised):
        W[:] = l2
    for _ in range(epochs):
        for start in range(0, case.n, case.batch_size):
            rows = slice(start, start + case.batch_size)
            g = net.gradient(case.X[rows], case.Y[rows]) + penalised * net.parameters
            velocity = momentum * velocity - 0.1 * g
            net.parameters += momentum * velocity - 0.1 * g if nesterov else velocity
    return net.parameters


@pytest.mark.parametrize("loss", ["quadratic", "mse", "sse"])
@pytest.mark.parametrize(
    ("momentum", "nesterov", "l2"),
    [(0, False, 0), (0, False, 0.1), (0.9, False, 0), (0.8, True, 0.1)],
)
def test_training_is_steps_against_the_gradient(loss, momentum, nesterov, l2):
    case = Case(loss=loss, n=23, batch_size=5, sizes=(5, 4, 3))
    net = network(case)
    optimizer = fastgd.SGD(0.1, momentum=momentum, nesterov=nesterov, l2=l2)
    net.fit(case.X, case.Y, epochs=3, batch_size=5, optimizer=optimizer, shuffle=False)
    expected = steps_by_hand(case, 3, momentum, nesterov, l2)
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
class TestScikitLearn:
    """The same run from the same start: every coefficient after several epochs."""

    PROBLEMS = (
        # name, n_outputs, output, loss
        ("regression", 1, "identity", "quadratic"),
        ("regressions", 3, "identity", "quadratic"),
        ("two classes", 1, "sigmoid", "cross_entropy"),
        ("labels", 3, "sigmoid", "cross_entropy"),
        ("classes", 3, "softmax", "cross_entropy"),
    )

    @pytest.fixture(autouse=True)
    def neural_network(self):
        self.module = pytest.importorskip("sklearn.neural_network")

    def data(self, name):
        rng = np.random.default_rng(3)
        X = rng.standard_normal((40, 6))
        if name.startswith("regression"):
            y = np.sin(X @ rng.standard_normal((6, 3)))
            return X, y if name == "regressions" else y[:, 0]
        if name == "labels":
            return X, rng.integers(0, 2, (40, 3))
        return X, np.arange(40) % (2 if name == "two classes" else 3)

    def rival(self, name, X, y, rate, epochs=1, **settings):
        kind = "MLPRegressor" if name.startswith("regression") else "MLPClassifier"
        model = getattr(self.module, kind)(
            hidden_layer_sizes=(7, 4), solver="sgd", batch_size=8, learning_rate_init=rate,
            shuffle=False, max_iter=epochs, tol=0, n_iter_no_change=1000, random_state=5,
            **{"alpha": 0, "momentum": 0, **settings},
        )  # fmt: skip
        return model.fit(X, y)

    def flat(self, model):
        layers = zip(model.coefs_, model.intercepts_, strict=True)
        return np.concatenate([part.ravel() for layer in layers for part in layer])

    def compare(self, problem, activation, momentum=0.0, nesterov=False, l2=0.0):
        name, n_outputs, output, loss = problem
        X, y = self.data(name)
        settings = {
            "activation": {"sigmoid": "logistic"}.get(activation, activation),
            "momentum": momentum,
            "nesterovs_momentum": nesterov,
            "alpha": l2 * 8,  # scikit-learn divides it by the size of the batch
        }
        # A rate too small to move anything shows where scikit-learn starts.
        start = self.rival(name, X, y, 1e-30, **settings)
        expected = self.rival(name, X, y, 0.05, epochs=6, **settings)
        net = fastgd.Network(
            [6, 7, 4, n_outputs], activation=activation, output=output, loss=loss,
            dtype="float64", backend="numpy",
        )  # fmt: skip
        net.parameters = self.flat(start)
        optimizer = fastgd.SGD(0.05, momentum=momentum, nesterov=nesterov, l2=l2)
        net.fit(X, y, epochs=6, batch_size=8, optimizer=optimizer, shuffle=False)
        assert np.abs(net.parameters - self.flat(start)).max() > 1e-3
        np.testing.assert_allclose(net.parameters, self.flat(expected), rtol=1e-9, atol=1e-11)
        assert net.score(X, y) == pytest.approx(expected.score(X, y), rel=1e-9)

    @pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "relu"])
    @pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem[0])
    def test_sgd(self, problem, activation):
        self.compare(problem, activation)

    @pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem[0])
    @pytest.mark.parametrize("nesterov", [False, True])
    def test_momentum_and_penalty(self, problem, nesterov):
        self.compare(problem, "tanh", momentum=0.9, nesterov=nesterov)
        self.compare(problem, "tanh", momentum=0.9, nesterov=nesterov, l2=0.01)
