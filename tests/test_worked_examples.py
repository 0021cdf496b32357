"""Examples small enough to work out on paper, on every backend and in both number types."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS
from fastgd.engine.architecture import DTYPES

pytestmark = [
    pytest.mark.parametrize("backend", BACKENDS),
    pytest.mark.parametrize("dtype", DTYPES),
]


@pytest.fixture
def unit(backend, dtype):
    """One linear unit with weight 2 and bias 0: for input 3 it says 6."""
    net = fastgd.Network([1, 1], output="identity", loss="sse", dtype=dtype, backend=backend)
    net.parameters = [2, 0]
    return net


class TestOneLinearUnit:
    """C = (3 w + b - 10)^2; at w = 2, b = 0: C = 16, dC/dw = -24, dC/db = -8."""

    def test_output_cost_and_gradient(self, unit):
        assert unit.predict([[3]]).tolist() == [[6]]
        assert unit.loss([[3]], [10]) == 16
        assert unit.gradient([[3]], [10]).tolist() == [-24, -8]

    def test_one_step(self, unit, dtype):
        history = unit.fit([[3]], [10], epochs=1, optimizer=fastgd.SGD(learning_rate=0.01))
        assert history.cost == [16]
        eps = float(np.finfo(dtype).eps)
        assert float(unit.weights[0][0, 0]) == pytest.approx(2.24, rel=eps)
        assert float(unit.biases[0][0]) == pytest.approx(0.08, rel=2 * eps)

    def test_two_steps(self, unit, dtype):
        # After one step 3 w + b = 6.8: dC/dw = -19.2, dC/db = -6.4.
        unit.fit([[3]], [10], epochs=2, optimizer=fastgd.SGD(learning_rate=0.01))
        expected = pytest.approx([2.432, 0.144], rel=4 * float(np.finfo(dtype).eps))
        assert unit.parameters.tolist() == expected

    def test_sum_of_two_examples(self, unit):
        """``sse`` sums over the batch: C = 16 + (1 w + b - 3)^2 = 17."""
        X, y = [[3], [1]], [10, 3]
        assert unit.loss(X, y) == 17
        assert unit.gradient(X, y).tolist() == [-26, -10]

    def test_momentum(self, unit, dtype):
        # v = -0.01 * -24 = 0.24; then 3 w + b = 6.8, v = 0.5 * 0.24 + 0.192 = 0.312.
        unit.fit([[3]], [10], epochs=2, optimizer=fastgd.SGD(0.01, momentum=0.5))
        expected = pytest.approx(2.24 + 0.312, rel=4 * float(np.finfo(dtype).eps))
        assert float(unit.parameters[0]) == expected

    def test_penalty_on_the_weight_only(self, unit, dtype):
        # dC/dw + l2 w = -24 + 0.5 * 2 = -23; the bias steps by 0.01 * 8.
        unit.fit([[3]], [10], epochs=1, optimizer=fastgd.SGD(0.01, l2=0.5))
        expected = pytest.approx([2.23, 0.08], rel=4 * float(np.finfo(dtype).eps))
        assert unit.parameters.tolist() == expected


@pytest.mark.parametrize(
    ("loss", "cost", "slope"), [("quadratic", 1.25, 1), ("sse", 5, 4), ("mse", 1.25, 1)]
)
def test_losses_of_two_examples_with_two_outputs(backend, dtype, loss, cost, slope):
    """Outputs (1, 2) and (0, 0) for targets (0, 0): squares 1 + 4 and 0 + 0."""
    net = fastgd.Network([1, 2], output="identity", loss=loss, dtype=dtype, backend=backend)
    net.parameters = [1, 2, 0, 0]
    X, y = [[1], [0]], [[0, 0], [0, 0]]
    assert net.loss(X, y) == cost
    # d/da of a^2 is 2 a, halved by quadratic or by the two outputs, and by the two examples.
    assert net.gradient(X, y).tolist() == ([2, 4, 2, 4] if slope == 4 else [0.5, 1, 0.5, 1])


def test_one_sigmoid_neuron_of_the_book(backend, dtype):
    """Nielsen, chapter 3: weight 0.6, bias 0.9, input 1, target 0, learning rate 0.15."""
    net = fastgd.Network([1, 1], dtype=dtype, backend=backend)
    net.parameters = [0.6, 0.9]
    assert float(net.predict([[1]])[0, 0]) == pytest.approx(0.82, abs=0.005)
    net.fit([[1]], [0], epochs=300, optimizer=fastgd.SGD(0.15))
    assert float(net.predict([[1]])[0, 0]) == pytest.approx(0.09, abs=0.005)


def test_exclusive_or_is_computed_by_two_hidden_units(backend, dtype):
    net = fastgd.Network(
        [2, 2, 1], activation="relu", output="identity", dtype=dtype, backend=backend
    )
    net.parameters = [1, 1, 1, 1, 0, -1, 1, -2, 0]
    X = [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert net.predict(X)[:, 0].tolist() == [0, 1, 1, 0]
    assert net.loss(X, [0, 1, 1, 0]) == 0


@pytest.mark.parametrize(
    ("sizes", "n_parameters"),
    [([784, 16, 16, 10], 13_002), ([784, 30, 10], 23_860), ([1, 1], 2), ([3, 2], 8)],
)
def test_number_of_parameters(backend, dtype, sizes, n_parameters):
    net = fastgd.Network(sizes, dtype=dtype, backend=backend)
    assert net.n_parameters == len(net.parameters) == n_parameters
    assert (
        sum(W.size + b.size for W, b in zip(net.weights, net.biases, strict=True)) == n_parameters
    )
