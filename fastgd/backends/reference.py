"""The reference: what fastgd computes, in NumPy. The other backends are tested against it.

z = a_prev @ W + b and a = activation(z), rows are examples; see `fastgd.backends` for the
arguments. Equations are those of Nielsen, Neural Networks and Deep Learning, chapter 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.backends.sparse import Sparse
from fastgd.rules.optimizers import Settings, Update

__all__ = ["forward", "loss_and_gradient", "train"]

Array = np.ndarray

#: How many rows are computed at once, so that memory stays bounded.
BLOCK = 1024


def forward(
    architecture: Architecture,
    parameters: Array,
    X: Array | Sparse,
    outputs: Array,
    n_threads: int = 1,
) -> bool:
    """Write the network's outputs for the rows of X; return whether X is finite."""
    finite = True
    for start in range(0, len(X), BLOCK):
        rows = slice(start, start + BLOCK)
        activations = feed_forward(architecture, parameters, dense(X, rows))[1]
        outputs[rows] = activations[-1]
        finite = finite and bool(np.isfinite(activations[0]).all())
    return finite


def loss_and_gradient(
    architecture: Architecture,
    parameters: Array,
    X: Array | Sparse,
    Y: Array,
    gradient: Array | None,
    n_threads: int = 1,
) -> float:
    """Return the sum of the costs of the rows of X, and add their gradients to ``gradient``."""
    total = 0.0
    for start in range(0, len(X), BLOCK):
        rows = slice(start, start + BLOCK)
        zs, activations = feed_forward(architecture, parameters, dense(X, rows))
        targets = one_hot(architecture, Y[rows])
        total += cost(architecture, zs, activations, targets)
        if gradient is not None:
            backpropagate(architecture, parameters, zs, activations, targets, gradient)
    return total


def train(
    architecture: Architecture,
    parameters: Array,
    slots: Array,
    X: Array | Sparse,
    order: Array,
    Y: Array,
    batch_size: int,
    update: type[Update],
    settings: Settings,
    n_threads: int = 1,
) -> tuple[int, float]:
    """Step once for each mini-batch of the rows ``order`` of X."""
    total = 0.0
    gradient = np.empty_like(parameters)
    for step, start in enumerate(range(0, len(order), batch_size)):
        stop = min(start + batch_size, len(order))
        gradient[:] = 0
        batch_cost = 0.0
        for first in range(start, stop, BLOCK):
            visits = slice(first, min(first + BLOCK, stop))
            rows = dense(X, order[visits])
            batch_cost += loss_and_gradient(architecture, parameters, rows, Y[visits], gradient)
        if not np.isfinite(batch_cost):
            return step, total
        total += batch_cost
        if architecture.loss_rule.batch_average:
            gradient /= stop - start
        apply_update(architecture, parameters, gradient, slots, update, settings)
    return -(-len(order) // batch_size), total


def dense(X: Any, rows: Array | slice) -> Array:
    """Return some rows of X, with their zeros."""
    return X.dense(rows) if isinstance(X, Sparse) else X[rows]


def feed_forward(
    architecture: Architecture, parameters: Array, X: Array
) -> tuple[list[Array], list[Array]]:
    """Return every layer's z, and every layer's a with the inputs first (eq. 25)."""
    weights = architecture.layout.weights(parameters)
    biases = architecture.layout.biases(parameters)
    zs: list[Array] = []
    activations = [X.astype(architecture.dtype) * parameters.dtype.type(architecture.input_scale)]
    for W, b, rule in zip(weights, biases, architecture.rules, strict=True):
        z = activations[-1] @ W + b
        activations.append(rule.value(z))
        if rule.row_wise:  # z becomes log a
            z = z - z.max(axis=1, keepdims=True)
            z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        zs.append(z)
    return zs, activations


def cost(
    architecture: Architecture, zs: list[Array], activations: list[Array], targets: Array
) -> float:
    """Return the sum of the rows' costs."""
    loss = architecture.loss_rule
    elements = loss.cost(zs[-1], activations[-1], targets)
    scale = 1 / architecture.n_outputs if loss.output_average else 1.0
    return float(elements.sum(dtype=np.float64)) * scale


def backpropagate(
    architecture: Architecture,
    parameters: Array,
    zs: list[Array],
    activations: list[Array],
    targets: Array,
    gradient: Array,
) -> None:
    """Add the sum over rows of dC/dW and dC/db to the flat ``gradient`` (eqs. BP3, BP4)."""
    d_weights = architecture.layout.weights(gradient)
    d_biases = architecture.layout.biases(gradient)
    deltas = carry_back(architecture, parameters, zs, activations, targets)
    for d_W, d_b, a, delta in zip(d_weights, d_biases, activations, deltas, strict=False):
        d_W += a.T @ delta
        d_b += delta.sum(axis=0)


def carry_back(
    architecture: Architecture,
    parameters: Array,
    zs: list[Array],
    activations: list[Array],
    targets: Array,
) -> list[Array]:
    """Return every layer's delta = dC/dz, of each row's own cost (eqs. BP1, BP2)."""
    weights, loss = architecture.layout.weights(parameters), architecture.loss_rule
    output = architecture.rules[-1]
    slope = np.ones_like(zs[-1]) if output.row_wise else output.derivative(zs[-1], activations[-1])
    delta = loss.delta(activations[-1], targets, slope)
    if loss.output_average:
        delta = delta / architecture.n_outputs
    deltas = [delta]
    for layer in range(len(weights) - 1, 0, -1):
        slope = architecture.rules[layer - 1].derivative(zs[layer - 1], activations[layer])
        deltas.append((deltas[-1] @ weights[layer].T) * slope)
    return deltas[::-1]


def apply_update(
    architecture: Architecture,
    parameters: Array,
    gradient: Array,
    slots: Array,
    update: type[Update],
    settings: Settings,
) -> None:
    """Step every weight, and every bias without the L2 penalty."""
    layout = architecture.layout
    penalty_free = (settings[0], 0.0, *settings[2:])
    groups = ((layout.weights, settings), (layout.biases, penalty_free))
    for views, group_settings in groups:
        for w, g, s in zip(views(parameters), views(gradient), views(slots), strict=True):
            update.apply(w, g, s, group_settings)


def one_hot(architecture: Architecture, Y: Array) -> Array:
    """Return targets as an (n, n_out) array, a 1 in the column of each class."""
    if Y.ndim == 2:
        return Y
    return np.eye(architecture.n_outputs, dtype=architecture.dtype)[Y]
