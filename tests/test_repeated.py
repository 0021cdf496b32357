"""Calls that are made again and again, and costs that count the weights."""

import numpy as np
import pytest

from fastgd.backends import BACKENDS, backend, reference, why_not
from fastgd.engine.architecture import Architecture
from fastgd.engine.rows import Rows
from fastgd.rules.optimizers import SGD, Adam

OPTIMIZERS = [SGD(0.1), SGD(0.1, momentum=0.9, l2=0.3), Adam(0.01, l2=0.3)]
COMPILED = [name for name in BACKENDS if name != "numpy" and why_not(name) is None]


def problem(dtype):
    rng = np.random.default_rng(5)
    architecture = Architecture((7, 33, 4), "tanh", "identity", "quadratic", dtype)
    X, Y = rng.normal(size=(50, 7)).astype(dtype), rng.normal(size=(50, 4)).astype(dtype)
    flat = rng.normal(size=architecture.layout.n_parameters).astype(dtype)
    order = rng.permutation(50)
    return architecture, flat, Rows(X, Y[order], order), rng.uniform(1, 2, 4)


def epochs(module, optimizer, dtype, n_threads=1, repeated=True):
    """Return the costs of three epochs of four steps, and the parameters after them."""
    architecture, flat, rows, penalties = problem(dtype)
    update, costs = optimizer.update, []
    slots = np.zeros((len(update.slots), len(flat)), dtype)
    arguments = architecture, flat, slots, rows, 15, update
    if repeated:
        train = module.repeated(*arguments, optimizer.table(0, 4), n_threads, penalties)
    for epoch in range(3):
        table = optimizer.table(4 * epoch, 4)
        if repeated:
            steps, cost = train(table)
        else:
            steps, cost = module.train(*arguments, table, n_threads, penalties=penalties)
        assert steps == 4
        costs.append(cost)
    return costs, flat


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("name", COMPILED)
def test_costs_with_penalties_are_the_references(name, optimizer, dtype):
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    costs, flat = epochs(backend(name), optimizer, dtype)
    expected, expected_flat = epochs(reference, optimizer, dtype, repeated=False)
    np.testing.assert_allclose(costs, expected, rtol=tolerance)
    np.testing.assert_allclose(flat, expected_flat, rtol=tolerance, atol=tolerance)
    for other in (
        epochs(backend(name), optimizer, dtype, n_threads=2),
        epochs(backend(name), optimizer, dtype, repeated=False),
    ):
        assert other[0] == costs
        np.testing.assert_array_equal(other[1], flat)


def test_penalties_are_the_squares_of_the_weights():
    architecture, flat, rows, penalties = problem("float64")
    plain, counted = (
        reference.train(
            architecture, flat.copy(), np.empty((0, len(flat))), rows, 50, SGD(0.1).update,
            SGD(0.1).table(0, 1), penalties=given,
        )[1]
        for given in (None, penalties[:1])
    )  # fmt: skip
    squares = sum((W**2).sum() for W in architecture.layout.weights(flat))
    assert counted - plain == pytest.approx(penalties[0] * squares)
