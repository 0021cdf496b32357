"""The reference: what fastgd computes, in NumPy. The other backends are tested against it.

z = a_prev @ W + b and a = activation(z), rows are examples; see `fastgd.backends` for the
arguments. Equations are those of Nielsen, Neural Networks and Deep Learning, chapter 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.engine.rows import Rows
from fastgd.engine.scaling import standard_inputs
from fastgd.engine.sparse import Sparse
from fastgd.engine.step import apply_update
from fastgd.rules import scalar
from fastgd.rules.dropout import Draw, factors
from fastgd.rules.update import Update

__all__ = ["forward", "loss_and_gradient", "train"]

Array = np.ndarray
#: What multiplies the activations of each layer, the inputs first; None where nothing does.
Masks = list[Array | None]

#: It would fill them in again: whoever trains with it need not leave them out.
leaves_out_zeros = False
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
    rows: Rows,
    gradient: Array | None,
    n_threads: int = 1,
    draw: Draw | None = None,
) -> float:
    """Return the sum of the rows' costs, and add their gradients to ``gradient``."""
    return rounded(*costs(architecture, parameters, rows, gradient, draw))


def costs(
    architecture: Architecture, parameters: Array, rows: Rows, gradient: Array | None,
    draw: Draw | None,
) -> tuple[float, float]:  # fmt: skip
    """Do the same; return a sum and what it rounded off."""
    total = rest = 0.0
    for start, block in blocks(rows):
        X = dense(block.X, slice(None) if block.order is None else block.order)
        masks = draw_masks(architecture, draw, start, len(block))
        zs, activations = feed_forward(architecture, parameters, X, masks)
        targets = one_hot(architecture, block.Y)
        here = cost(architecture, zs, activations, targets, block.weights)
        total, rest = scalar.add(total, rest, here)
        if gradient is not None:
            backpropagate(
                architecture, parameters, zs, activations, targets, gradient, block.weights, masks
            )
    return total, rest


def rounded(total: float, rest: float) -> float:
    """Return a sum as one number; it may be infinite."""
    return total + rest if math.isfinite(total) else total


def train(
    architecture: Architecture,
    parameters: Array,
    slots: Array,
    rows: Rows,
    batch_size: int,
    update: type[Update],
    table: Array,
    n_threads: int = 1,
    draw: Draw | None = None,
    penalties: Array | None = None,
    sums: Array | None = None,
) -> tuple[int, float]:
    """Step once for each mini-batch of the rows."""
    sums = np.zeros(2) if sums is None else sums
    gradient = np.empty_like(parameters)
    for step, start in enumerate(range(0, len(rows), batch_size)):
        batch = rows[start : start + batch_size]
        gradient[:] = 0
        here = draw and draw._replace(step=draw.step + step)
        batch_cost, batch_rest = costs(architecture, parameters, batch, gradient, here)
        if not np.isfinite(batch_cost):
            return step, rounded(*sums)
        if penalties is not None:
            weights = architecture.layout.weights(parameters)
            batch_cost += penalties[step] * sum(float((W * W).sum()) for W in weights)
        total, rest = scalar.add(float(sums[0]), float(sums[1]), batch_cost)
        sums[:] = total, rest + batch_rest
        if architecture.loss.batch_average:
            weight = batch.total_weight
            gradient *= 1 / weight if weight else 0.0
        apply_update(architecture.layout, parameters, gradient, slots, update, table[step])
    return math.ceil(len(rows) / batch_size), rounded(*sums)


def blocks(rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Yield pieces of the rows, each with the number of its first."""
    for start in range(0, len(rows), BLOCK):
        yield start, rows[start : start + BLOCK]


def dense(X: Array | Sparse, rows: Array | slice) -> Array:
    """Return some rows of X, with their zeros."""
    return X.dense(rows) if isinstance(X, Sparse) else X[rows]


def draw_masks(architecture: Architecture, draw: Draw | None, first: int, n: int) -> Masks:
    """Return what dropout multiplies the activations of n rows by, from row ``first`` on."""
    sizes, shares = architecture.sizes, architecture.dropout
    if draw is None:
        return [None] * len(sizes)
    here = draw._replace(row=draw.row + first)
    dtype = architecture.dtype
    return [
        factors(here, layer, n, sizes[layer], share).astype(dtype) if share else None
        for layer, share in enumerate(shares)
    ] + [None]


def feed_forward(
    architecture: Architecture, parameters: Array, X: Array, masks: Masks | None = None
) -> tuple[list[Array], list[Array]]:
    """Return every layer's z, and every layer's a, before dropout, with the inputs first (eq. 25).

    Inputs are those after dropout: nothing needs the others.
    """
    weights = architecture.layout.weights(parameters)
    biases = architecture.layout.biases(parameters)
    masks = masks or [None] * len(architecture.sizes)
    zs: list[Array] = []
    activations = [masked(standard_inputs(architecture, X), masks[0])]
    layers = zip(weights, biases, architecture.rules, [None, *masks[1:-1]], strict=True)
    for W, b, rule, mask in layers:
        z = masked(activations[-1], mask) @ W + b
        activations.append(rule.value(z))
        if rule.row_wise:  # z becomes log a
            z = z - z.max(axis=1, keepdims=True)
            z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        zs.append(z)
    return zs, activations


def masked(a: Array, mask: Array | None) -> Array:
    """Return activations after dropout."""
    return a if mask is None else a * mask


def cost(
    architecture: Architecture,
    zs: list[Array],
    activations: list[Array],
    targets: Array,
    weights: Array | None = None,
) -> float:
    """Return the sum of the rows' costs, each times its weight."""
    loss = architecture.loss
    elements = loss.cost(zs[-1], activations[-1], targets)
    if weights is not None:
        elements = elements * weights[:, None]
    scale = 1 / architecture.n_outputs if loss.output_average else 1.0
    return float(elements.sum(dtype=np.float64)) * scale


def backpropagate(
    architecture: Architecture,
    parameters: Array,
    zs: list[Array],
    activations: list[Array],
    targets: Array,
    gradient: Array,
    weights: Array | None = None,
    masks: Masks | None = None,
) -> None:
    """Add the sum over rows of dC/dW and dC/db to the flat ``gradient`` (eqs. BP3, BP4)."""
    d_weights = architecture.layout.weights(gradient)
    d_biases = architecture.layout.biases(gradient)
    masks = [None, *(masks or [None] * len(architecture.sizes))[1:-1]]
    deltas = carry_back(architecture, parameters, zs, activations, targets, weights, masks)
    for d_W, d_b, a, mask, delta in zip(
        d_weights, d_biases, activations[:-1], masks, deltas, strict=True
    ):
        d_W += masked(a, mask).T @ delta
        d_b += delta.sum(axis=0)


def carry_back(
    architecture: Architecture,
    parameters: Array,
    zs: list[Array],
    activations: list[Array],
    targets: Array,
    row_weights: Array | None = None,
    masks: Masks | None = None,
) -> list[Array]:
    """Return every layer's delta = dC/dz, of each row's own cost (eqs. BP1, BP2)."""
    weights, loss = architecture.layout.weights(parameters), architecture.loss
    output = architecture.rules[-1]
    slope = np.ones_like(zs[-1]) if output.row_wise else output.derivative(zs[-1], activations[-1])
    delta = loss.delta_of(zs[-1], activations[-1], targets, slope)
    if loss.output_average:
        delta = delta / architecture.n_outputs
    if row_weights is not None:
        delta = delta * row_weights[:, None]
    deltas = [delta]
    for layer in range(len(weights) - 1, 0, -1):
        slope = architecture.rules[layer - 1].derivative(zs[layer - 1], activations[layer])
        delta = (deltas[-1] @ weights[layer].T) * slope
        deltas.append(masked(delta, masks[layer] if masks else None))
    return deltas[::-1]


def one_hot(architecture: Architecture, Y: Array) -> Array:
    """Return targets as an (n, n_out) array, a 1 in the column of each class."""
    if Y.ndim == 2:
        return Y
    return np.eye(architecture.n_outputs, dtype=architecture.dtype)[Y]
