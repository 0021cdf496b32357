"""The kernels: gather, forward, backpropagate, and gradient with update, over one block of rows.

All numbers lie in ``work``; ``plan`` says where (see `fastgd.backends.plan`). A block's rows are
computed together. Nothing here allocates, raises or holds the GIL.
"""

from __future__ import annotations

import math

import numpy as np

from fastgd.backends import plan as P
from fastgd.kernels.compiling import compiled, inlined
from fastgd.kernels.rules import (
    activate,
    apply_update,
    multiply_by_slope,
    output_delta,
)
from fastgd.kernels.simd import (
    MAX_ROWS,
    MAX_VECTORS,
    VECTOR_BYTES,
    never_inline,
    part,
    prefetch,
    tile,
)
from fastgd.scalar import exp

__all__ = [
    "backward", "copy_outputs", "cost_and_delta", "descend", "forward", "gather",
    "gather_targets", "gradient_and_update", "load", "pack", "store", "unpack",
]  # fmt: skip

#: The depth of a product computed at once: 128 rows of 4 vectors are 32 KiB, a small L1 cache.
DEPTH = 128
#: Typed: Numba would compile `product` once more for each literal argument.
ZERO, ONE = np.int64(0), np.int64(1)


@compiled
def product(work, m, n, depth, s, s_row, s_depth, w, ldw, start, ld_start, c, ldc, beta, alpha):
    """C (m, n) = beta start + alpha S (m, depth) W (depth, n); n is a multiple of the padding.

    See `fastgd.kernels.simd.tile` for the strides.
    """
    never_inline()
    lanes = VECTOR_BYTES // work.itemsize
    for first in range(0, depth, DEPTH):
        some = min(DEPTH, depth - first)
        column = 0
        while column < n:
            left = (n - column) // lanes
            tiles = (left + MAX_VECTORS - 1) // MAX_VECTORS
            vectors = (left + tiles - 1) // tiles
            most = MAX_ROWS[vectors - 1]
            row = 0
            while row < m:
                tiles = (m - row + most - 1) // most
                rows = (m - row + tiles - 1) // tiles
                tile(
                    work, rows, vectors, some,
                    s + row * s_row + first * s_depth, s_row, s_depth,
                    w + first * ldw + column, ldw,
                    start + row * ld_start + column, ld_start,
                    c + row * ldc + column, ldc, beta, alpha,
                )  # fmt: skip
                row += rows
            column += vectors * lanes
        start, ld_start, beta = c, ldc, work.dtype.type(1)


@compiled
def copy_rows(source, first, stride, target, start, ld, rows, n):
    """Copy rows of n numbers from source[first + row * stride] to target[start + row * ld]."""
    for row in range(rows):
        a, b = part(source, first + row * stride, n), part(target, start + row * ld, n)
        for i in range(n):
            b[i] = a[i]


@inlined
def pack(plan, flat, work, base):
    """Copy a flat vector into padded rows at ``base``, weights then biases of each layer."""
    for layer in range(1, len(plan)):
        n, ld, rows = plan[layer, P.N_OUT], plan[layer, P.LD], plan[layer, P.N_IN] + 1
        start = base + plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS]
        copy_rows(flat, plan[layer, P.FLAT], n, work, start, ld, rows, n)


@inlined
def unpack(plan, work, base, flat):
    """Copy padded rows back into a flat vector."""
    for layer in range(1, len(plan)):
        n, ld, rows = plan[layer, P.N_OUT], plan[layer, P.LD], plan[layer, P.N_IN] + 1
        start = base + plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS]
        copy_rows(work, start, ld, flat, plan[layer, P.FLAT], n, rows, n)


@compiled
def transpose(plan, layer, work):
    """Copy a layer's weights, transposed, to where the backward pass reads them."""
    n_in, n_out = plan[layer, P.N_IN], plan[layer, P.N_OUT]
    ld_in, ld = plan[layer, P.LD_IN], plan[layer, P.LD]
    w, t = plan[layer, P.WEIGHTS], plan[layer, P.TRANSPOSED]
    for first in range(0, n_in, 16):
        last = min(first + 16, n_in)
        for j in range(n_out):
            for i in range(first, last):
                work[t + j * ld_in + i] = work[w + i * ld + j]


@inlined
def load(plan, work, flat, slots):
    """Copy parameters and the optimizer's state into the working memory."""
    pack(plan, flat, work, plan[0, P.PARAMETERS])
    for slot in range(len(slots)):
        pack(plan, slots[slot], work, plan[0, P.SLOTS] + slot * plan[0, P.N_PADDED])
    for layer in range(2, len(plan)):
        transpose(plan, layer, work)


@inlined
def store(plan, work, flat, slots):
    """Copy parameters and the optimizer's state back from the working memory."""
    unpack(plan, work, plan[0, P.PARAMETERS], flat)
    for slot in range(len(slots)):
        unpack(plan, work, plan[0, P.SLOTS] + slot * plan[0, P.N_PADDED], slots[slot])


@inlined
def copy_outputs(plan, work, first, m, outputs):
    """Write the block's outputs to rows first : first + m of the flat ``outputs``."""
    last = len(plan) - 1
    n, ld = plan[last, P.N_OUT], plan[last, P.LD]
    copy_rows(work, plan[last, P.A], ld, outputs, first * n, n, m, n)


@compiled
def _convert(numbers, x, scale):
    for i in range(x.size):
        x[i] = x.dtype.type(numbers[i]) * scale


@inlined
def gather(plan, work, X, kind, scale, order, first, m):
    """Read the rows order[first : first + m] of X, times ``scale``, into the block's inputs.

    X is the bytes of a C-contiguous array of the kind of number `kind` says.
    """
    n, ld, start = plan[1, P.N_IN], plan[1, P.LD_IN], plan[0, P.X]
    row_bytes = n * (4 if kind == 0 else 8 if kind == 1 else 1)
    for row in range(m):
        if first + row + m < len(order):
            # Rows come in no order the processor could guess: ask for the next batch's now.
            ahead = order[first + row + m] * row_bytes
            for byte in range(ahead, ahead + row_bytes, 64):
                prefetch(X, byte)
        x = part(work, start + row * ld, n)
        source = order[first + row] if len(order) else first + row
        if kind == 0:
            _convert(part(X, source * n * 4, n * 4).view(np.float32), x, scale)
        elif kind == 1:
            _convert(part(X, source * n * 8, n * 8).view(np.float64), x, scale)
        else:
            _convert(part(X, source * n, n), x, scale)


@inlined
def gather_targets(plan, work, classes, targets, first, m):
    """Write the block's targets: rows of ``targets``, or a 1 in the column of each class."""
    last = len(plan) - 1
    n, ld, start = plan[last, P.N_OUT], plan[last, P.LD], plan[0, P.Y]
    if len(classes):
        for row in range(m):
            y = part(work, start + row * ld, n)
            for j in range(n):
                y[j] = 0
            y[classes[first + row]] = 1
    else:
        copy_rows(targets, first * n, n, work, start, ld, m, n)


@inlined
def softmax(plan, work, m):
    """Turn each row of z into log a, and write a."""
    layer = len(plan) - 1
    n, ld = plan[layer, P.N_OUT], plan[layer, P.LD]
    for row in range(m):
        at_z, at_a = plan[layer, P.Z] + row * ld, plan[layer, P.A] + row * ld
        z, a = part(work, at_z, n), part(work, at_a, n)
        largest = z[0]
        for j in range(1, n):
            largest = z[j] if z[j] > largest else largest
        for j in range(n):
            z[j] -= largest
        for j in range(n):
            a[j] = exp(z[j])
        total = 0.0
        for j in range(n):
            total += a[j]
        share, log_total = z.dtype.type(1 / total), z.dtype.type(math.log(total))
        for j in range(n):
            a[j] *= share
            z[j] -= log_total


@inlined
def forward(plan, work, m):
    """Compute every layer's z and a for the m rows of the block."""
    softmax_output = plan[0, P.SOFTMAX] == 1
    for layer in range(1, len(plan)):
        n_in, ld_in, ld = plan[layer, P.N_IN], plan[layer, P.LD_IN], plan[layer, P.LD]
        w, z, a = plan[layer, P.WEIGHTS], plan[layer, P.Z], plan[layer, P.A]
        bias = w + n_in * ld
        product(
            work, m, ld, n_in, plan[layer, P.INPUT], ld_in, ONE, w, ld, bias, ZERO, z, ld,
            work.dtype.type(1), work.dtype.type(1),
        )  # fmt: skip
        if softmax_output and layer == len(plan) - 1:
            softmax(plan, work, m)
        else:
            activate(plan[layer, P.ACTIVATION], (part(work, z, m * ld), part(work, a, m * ld)))


@inlined
def cost_and_delta(plan, work, m, factor):
    """Write the output's delta, times ``factor``; return the sum of the rows' costs."""
    layer = len(plan) - 1
    n, ld = plan[layer, P.N_OUT], plan[layer, P.LD]
    size = m * ld
    z, a = part(work, plan[layer, P.Z], size), part(work, plan[layer, P.A], size)
    delta, y = part(work, plan[layer, P.DELTA], size), part(work, plan[0, P.Y], size)
    for i in range(size):
        delta[i] = 1
    multiply_by_slope(plan[layer, P.ACTIVATION], (z, a, delta))
    total = output_delta(plan[0, P.LOSS], (z, a, y, delta, n, ld, factor))
    for row in range(m):
        for j in range(row * ld + n, (row + 1) * ld):
            delta[j] = 0
    return total


@inlined
def backward(plan, work, m):
    """Carry the output's delta back through the layers (Nielsen, eq. BP2)."""
    for layer in range(len(plan) - 1, 1, -1):
        n_out, ld_in, ld = plan[layer, P.N_OUT], plan[layer, P.LD_IN], plan[layer, P.LD]
        z, a, delta = plan[layer - 1, P.Z], plan[layer - 1, P.A], plan[layer - 1, P.DELTA]
        product(
            work, m, ld_in, n_out, plan[layer, P.DELTA], ld, ONE,
            plan[layer, P.TRANSPOSED], ld_in, plan[0, P.ZERO], ZERO, delta, ld_in,
            work.dtype.type(1), work.dtype.type(1),
        )  # fmt: skip
        size = m * ld_in
        multiply_by_slope(
            plan[layer - 1, P.ACTIVATION],
            (part(work, z, size), part(work, a, size), part(work, delta, size)),
        )  # fmt: skip


@inlined
def gradient_rows(plan, work, layer, first, rows, m, start, ld_start, target, beta, alpha):
    """Write beta start + alpha dC/dW, for a few rows of a layer's weights, to ``target``.

    The biases are the row after the weights: their input is always 1 (Nielsen, eqs. BP3, BP4).
    """
    ld, delta = plan[layer, P.LD], plan[layer, P.DELTA]
    if first == plan[layer, P.N_IN]:
        s, s_row, s_depth = plan[0, P.ONE], 0, 0
    else:
        s, s_row, s_depth = plan[layer, P.INPUT] + first, 1, plan[layer, P.LD_IN]
    product(
        work, rows, ld, m, s, s_row, s_depth, delta, ld, start, ld_start, target, ld, beta, alpha
    )


@inlined
def descend(plan, work, m, shrink, rate):
    """Update the parameters as w <- shrink w - rate dC/dw, without writing the gradient down.

    For update rules that are linear: the update is then a product that starts from the weights.
    """
    one = work.dtype.type(1)
    for layer in range(1, len(plan)):
        n_in, ld, w = plan[layer, P.N_IN], plan[layer, P.LD], plan[layer, P.WEIGHTS]
        gradient_rows(plan, work, layer, 0, n_in, m, w, ld, w, shrink, -rate)
        bias = w + n_in * ld
        gradient_rows(plan, work, layer, n_in, ONE, m, bias, ld, bias, one, -rate)
        if layer > 1:
            transpose(plan, layer, work)


@inlined
def gradient_and_update(plan, work, m, fresh, keep, step, update, settings):
    """Compute the block's gradient, a few rows of weights at a time while they are in cache.

    With ``keep`` it is added to the whole gradient (or begins it, with ``fresh``); with ``step``
    the parameters are updated.
    """
    one = work.dtype.type(1)
    no_penalty = (settings[0], settings[1] * 0, settings[2], settings[3])
    for layer in range(1, len(plan)):
        n_in, ld = plan[layer, P.N_IN], plan[layer, P.LD]
        chunk = max(P.CHUNK_SIZE // ld, 1)
        first = 0
        while first <= n_in:
            # The biases, the last row, come on their own.
            rows = 1 if first == n_in else min(chunk, n_in - first)
            at = plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS] + first * ld
            g = plan[0, P.GRADIENT] + at if keep else plan[0, P.CHUNK]
            start, ld_start = (plan[0, P.ZERO], 0) if fresh else (g, ld)
            gradient_rows(plan, work, layer, first, rows, m, start, ld_start, g, one, one)
            if step:
                size = rows * ld
                apply_update(
                    update,
                    (
                        part(work, plan[0, P.PARAMETERS] + at, size),
                        part(work, g, size),
                        part(work, plan[0, P.SLOTS] + at, size),
                        no_penalty if first == n_in else settings,
                    ),
                )
            first += rows
        if step and layer > 1:
            transpose(plan, layer, work)
