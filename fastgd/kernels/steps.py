"""The kernels: gather, forward, backpropagate, and gradient with update, over one block of rows.

All numbers lie in ``work``; ``plan`` says where (see `fastgd.backends.plan`). A block's rows are
computed together; of a team of threads, each computes the rows ``start`` to ``stop`` of it.
Nothing here allocates, raises or holds the GIL. csrc/steps.h has the same steps, in the same order
and under the same names.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np

from fastgd.backends import plan as P
from fastgd.kernels.compiling import compiled, inlined
from fastgd.kernels.rules import activate, apply_update, multiply_by_slope, output_delta
from fastgd.kernels.simd import (
    MAX_ROWS,
    MAX_VECTORS,
    SPARSE_SUMS,
    VECTOR_BYTES,
    never_inline,
    part,
    prefetch,
    scatter,
    sparse_row,
    tile,
    transpose_block,
)
from fastgd.scalar import exp

__all__ = [
    "COST", "GRADIENT", "PREDICT", "TRAIN", "Task", "backward", "copy_outputs", "cost_and_delta",
    "forward", "gather", "gather_targets", "learn", "load", "share", "store",
]  # fmt: skip

#: What a call may do.
PREDICT, COST, GRADIENT, TRAIN = range(4)
#: One call from Python: what to do, and over which arrays; see `fastgd.backends.compiled`.
Task = namedtuple(
    "Task",
    "task plan work flat slots inputs pointers columns gathered lengths kind scale order n classes"
    " targets outputs linear update settings costs n_threads thread",
)

#: The depth of a product computed at once: 128 rows of 4 vectors are 32 KiB, a small L1 cache.
DEPTH = 128
#: Sparse inputs of batches up to this many rows change the weights one example at a time: with
#: more, their parts of the step could be too small to count one by one.
DIRECT_ROWS = 64
#: Typed: Numba would compile `product` once more for each literal argument.
ZERO, ONE = np.int64(0), np.int64(1)


@compiled
def share(n, unit, thread, n_threads):
    """Return this thread's part of n things, in whole units, as start and stop."""
    units = (n + unit - 1) // unit
    return min(n, units * thread // n_threads * unit), min(
        n, units * (thread + 1) // n_threads * unit
    )


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
def pack(t, flat, base):
    """Copy a flat vector into padded rows at ``base``, weights then biases of each layer."""
    plan = t.plan
    for layer in range(1, len(plan)):
        n, ld, rows = plan[layer, P.N_OUT], plan[layer, P.LD], plan[layer, P.N_IN] + 1
        start = base + plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS]
        copy_rows(flat, plan[layer, P.FLAT], n, t.work, start, ld, rows, n)


@inlined
def unpack(t, base, flat):
    """Copy padded rows back into a flat vector."""
    plan = t.plan
    for layer in range(1, len(plan)):
        n, ld, rows = plan[layer, P.N_OUT], plan[layer, P.LD], plan[layer, P.N_IN] + 1
        start = base + plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS]
        copy_rows(t.work, start, ld, flat, plan[layer, P.FLAT], n, rows, n)


@compiled
def transpose(plan, work, layer, start, stop):
    """Copy some rows of a layer's weights, transposed, to where the backward pass reads them."""
    width, ld_in, ld = plan[layer, P.WIDTH], plan[layer, P.LD_IN], plan[layer, P.LD]
    w, transposed = plan[layer, P.WEIGHTS], plan[layer, P.TRANSPOSED]
    lanes = VECTOR_BYTES // work.itemsize
    for first in range(start, stop, lanes):
        for column in range(0, width, lanes):
            transpose_block(
                work, w + first * ld + column, ld, stop - first, plan[0, P.ZERO],
                transposed + column * ld_in + first, ld_in,
            )  # fmt: skip


@inlined
def load(t):
    """Copy parameters and the optimizer's state into the working memory."""
    plan = t.plan
    pack(t, t.flat, plan[0, P.PARAMETERS])
    for slot in range(len(t.slots)):
        pack(t, t.slots[slot], plan[0, P.SLOTS] + slot * plan[0, P.N_PADDED])
    if t.task == GRADIENT:
        pack(t, t.outputs, plan[0, P.GRADIENT])
    if t.task >= GRADIENT:
        for layer in range(2, len(plan)):
            transpose(plan, t.work, layer, ZERO, plan[layer, P.N_IN])


@inlined
def store(t):
    """Copy parameters and the optimizer's state back from the working memory."""
    plan = t.plan
    if t.task == GRADIENT:
        unpack(t, plan[0, P.GRADIENT], t.outputs)
    if t.task == TRAIN:
        unpack(t, plan[0, P.PARAMETERS], t.flat)
        for slot in range(len(t.slots)):
            unpack(t, plan[0, P.SLOTS] + slot * plan[0, P.N_PADDED], t.slots[slot])


@compiled
def _convert(numbers, x, scale):
    for i in range(x.size):
        x[i] = x.dtype.type(numbers[i]) * scale


@inlined
def convert(source, kind, first, n, x, scale):
    """Read n numbers of the bytes ``source``, which hold the kind of number ``kind`` says."""
    if kind == 0:
        _convert(part(source, first * 4, n * 4).view(np.float32), x, scale)
    elif kind == 1:
        _convert(part(source, first * 8, n * 8).view(np.float64), x, scale)
    else:
        _convert(part(source, first, n), x, scale)


@inlined
def gather(t, first, m, start, stop):
    """Read this thread's rows of the block, times the scale, into the block's inputs."""
    plan, work, order, inputs, columns = t.plan, t.work, t.order, t.inputs, t.columns
    n, ld, x = plan[1, P.N_IN], plan[0, P.LD_X], plan[0, P.X]
    itemsize = 4 if t.kind == 0 else 8 if t.kind == 1 else 1
    for row in range(start, stop):
        source = order[first + row] if len(order) else first + row
        # Rows come in no order the processor could guess: ask for the next batch's now.
        ahead = order[first + row + m] if first + row + m < len(order) else -1
        if len(t.pointers):
            begin = t.pointers[source]
            count = t.pointers[source + 1] - begin
            if ahead >= 0:
                for at in range(t.pointers[ahead], t.pointers[ahead + 1], 16):
                    prefetch(inputs, at * itemsize)
                    prefetch(columns, at)
            convert(inputs, t.kind, begin, count, part(work, x + row * ld, count), t.scale)
            for i in range(count):
                t.gathered[row * ld + i] = columns[begin + i]
            t.lengths[row] = count
        else:
            if ahead >= 0:
                for at in range(ahead * n * itemsize, (ahead + 1) * n * itemsize, 64):
                    prefetch(inputs, at)
            convert(inputs, t.kind, source * n, n, part(work, x + row * ld, n), t.scale)


@inlined
def gather_targets(t, first, start, stop):
    """Write the targets of this thread's rows: numbers, or a 1 in the column of each class."""
    plan, work, classes = t.plan, t.work, t.classes
    last = len(plan) - 1
    n, ld, at = plan[last, P.N_OUT], plan[last, P.LD], plan[0, P.Y]
    if len(classes):
        for row in range(start, stop):
            y = part(work, at + row * ld, n)
            for j in range(n):
                y[j] = 0
            y[classes[first + row]] = 1
    else:
        copy_rows(t.targets, (first + start) * n, n, work, at + start * ld, ld, stop - start, n)


@inlined
def softmax(plan, work, layer, start, stop):
    """Turn each row of z into log a, and write a."""
    n, ld = plan[layer, P.N_OUT], plan[layer, P.LD]
    for row in range(start, stop):
        z = part(work, plan[layer, P.Z] + row * ld, ld)
        a = part(work, plan[layer, P.A] + row * ld, ld)
        largest = z[0]
        for j in range(1, n):
            largest = z[j] if z[j] > largest else largest
        for j in range(ld):
            z[j] -= largest
            a[j] = exp(z[j])
        total = 0.0
        for j in range(n):
            total += a[j]
        fraction, log_total = z.dtype.type(1 / total), z.dtype.type(math.log(total))
        for j in range(ld):
            a[j] *= fraction
            z[j] -= log_total


@inlined
def sparse_forward(t, start, stop):
    """Compute the first layer's z where only the inputs that are not zero are kept."""
    plan, work = t.plan, t.work
    ld, ld_x, w, x = plan[1, P.LD], plan[0, P.LD_X], plan[1, P.WEIGHTS], plan[0, P.X]
    bias, z = w + plan[1, P.N_IN] * ld, plan[1, P.Z]
    lanes = VECTOR_BYTES // work.itemsize
    width = plan[1, P.WIDTH]
    for column in range(0, width, len(SPARSE_SUMS) * lanes):
        vectors = min((width - column) // lanes, len(SPARSE_SUMS))
        for row in range(start, stop):
            sparse_row(
                work, t.gathered, vectors, t.lengths[row], x + row * ld_x, row * ld_x,
                w + column, ld, bias + column, z + row * ld + column,
            )  # fmt: skip


@inlined
def forward(t, start, stop):
    """Compute every layer's z and a for this thread's rows."""
    plan, work = t.plan, t.work
    one = work.dtype.type(1)
    n_layers = len(plan) - 1
    for layer in range(1, n_layers + 1):
        n_in, ld, w = plan[layer, P.N_IN], plan[layer, P.LD], plan[layer, P.WEIGHTS]
        ld_in = plan[0, P.LD_X] if layer == 1 else plan[layer, P.LD_IN]
        z, a = plan[layer, P.Z] + start * ld, plan[layer, P.A] + start * ld
        if layer == 1 and len(t.pointers):
            sparse_forward(t, start, stop)
        else:
            product(
                work, stop - start, plan[layer, P.WIDTH], n_in,
                plan[layer, P.INPUT] + start * ld_in, ld_in, ONE,
                w, ld, w + n_in * ld, ZERO, z, ld, one, one,
            )  # fmt: skip
        if layer == n_layers and plan[0, P.SOFTMAX] == 1:
            softmax(plan, work, layer, start, stop)
        else:
            size = (stop - start) * ld
            activate(plan[layer, P.ACTIVATION], (part(work, z, size), part(work, a, size)))


@inlined
def copy_outputs(t, first, start, stop):
    """Write the outputs of this thread's rows to the flat ``outputs``."""
    plan = t.plan
    last = len(plan) - 1
    n, ld = plan[last, P.N_OUT], plan[last, P.LD]
    a = plan[last, P.A] + start * ld
    copy_rows(t.work, a, ld, t.outputs, (first + start) * n, n, stop - start, n)


@inlined
def cost_and_delta(t, factor, start, stop):
    """Write the output's delta, times ``factor``, and the cost of each of this thread's rows."""
    plan, work = t.plan, t.work
    layer = len(plan) - 1
    n, ld = plan[layer, P.N_OUT], plan[layer, P.LD]
    size = (stop - start) * ld
    z = part(work, plan[layer, P.Z] + start * ld, size)
    a = part(work, plan[layer, P.A] + start * ld, size)
    delta = part(work, plan[layer, P.DELTA] + start * ld, size)
    y = part(work, plan[0, P.Y] + start * ld, size)
    for i in range(size):
        delta[i] = 1
    multiply_by_slope(plan[layer, P.ACTIVATION], (z, a, delta))
    costs = part(t.costs, start, stop - start)
    output_delta(plan[0, P.LOSS], (z, a, y, delta, costs, n, ld, factor))
    for row in range(stop - start):
        for j in range(row * ld + n, (row + 1) * ld):
            delta[j] = 0


@inlined
def backward(t, start, stop):
    """Carry the output's delta back through the layers (Nielsen, eq. BP2)."""
    plan, work = t.plan, t.work
    one = work.dtype.type(1)
    for layer in range(len(plan) - 1, 1, -1):
        n_out, ld_in, ld = plan[layer, P.N_OUT], plan[layer, P.LD_IN], plan[layer, P.LD]
        first, size = start * ld_in, (stop - start) * ld_in
        delta = plan[layer - 1, P.DELTA] + first
        product(
            work, stop - start, plan[layer, P.WIDTH_IN], n_out,
            plan[layer, P.DELTA] + start * ld, ld, ONE,
            plan[layer, P.TRANSPOSED], ld_in, plan[0, P.ZERO], ZERO, delta, ld_in, one, one,
        )  # fmt: skip
        z, a = plan[layer - 1, P.Z] + first, plan[layer - 1, P.A] + first
        multiply_by_slope(
            plan[layer - 1, P.ACTIVATION],
            (part(work, z, size), part(work, a, size), part(work, delta, size)),
        )


@inlined
def find_cursors(t, first, m):
    """Put this thread's cursors at the first input from column ``first`` on."""
    rows, ld_x = t.plan[0, P.ROWS], t.plan[0, P.LD_X]
    for row in range(m):
        low, high = 0, t.lengths[row] if first else 0
        while low < high:
            middle = (low + high) // 2
            if t.gathered[row * ld_x + middle] < first:
                low = middle + 1
            else:
                high = middle
        t.lengths[(1 + t.thread) * rows + row] = low


@inlined
def sparse_gradient(t, last, m, target, alpha):
    """Add alpha dC/dW of the first layer's rows up to ``last``, from inputs that are not zero.

    Row k of the weights is added to at target + k * LD.
    """
    plan, work, lengths = t.plan, t.work, t.lengths
    rows, ld, ld_x, x = plan[0, P.ROWS], plan[1, P.LD], plan[0, P.LD_X], plan[0, P.X]
    lanes, width = VECTOR_BYTES // work.itemsize, plan[1, P.WIDTH]
    for row in range(m):
        cursor, at = (1 + t.thread) * rows + row, row * ld_x
        start, count = lengths[cursor], lengths[row]
        stop = start
        if last == plan[1, P.N_IN]:
            stop = count
        while stop < count and t.gathered[at + stop] < last:
            stop += 1
        lengths[cursor] = stop
        if start == stop:
            continue
        for column in range(0, width, MAX_VECTORS * lanes):
            vectors = min((width - column) // lanes, MAX_VECTORS)
            scatter(
                work, t.gathered, vectors, stop - start, x + at + start, at + start,
                plan[1, P.DELTA] + row * ld + column, target + column, ld, alpha,
            )  # fmt: skip


@inlined
def gradient_rows(t, layer, first, rows, m, start, ld_start, target, beta, alpha):
    """Write beta start + alpha dC/dW, for a few rows of a layer's weights, to ``target``.

    The biases are the row after the weights: their input is always 1 (Nielsen, eqs. BP3, BP4).
    """
    plan, work = t.plan, t.work
    ld, delta = plan[layer, P.LD], plan[layer, P.DELTA]
    if first == plan[layer, P.N_IN]:
        s, s_row, s_depth = plan[0, P.ONE], 0, 0
    else:
        s, s_row = plan[layer, P.INPUT] + first, 1
        s_depth = plan[0, P.LD_X] if layer == 1 else plan[layer, P.LD_IN]
    product(
        work, rows, plan[layer, P.WIDTH], m, s, s_row, s_depth, delta, ld, start, ld_start,
        target, ld, beta, alpha,
    )  # fmt: skip


@inlined
def descend(t, layer, start, stop, m):
    """Update rows of a layer as w <- shrink w - rate dC/dw, without writing the gradient down.

    For update rules that are linear: the update is then a product that starts from the weights.
    """
    plan, settings = t.plan, t.settings
    one = t.work.dtype.type(1)
    ld, shrink = plan[layer, P.LD], one - settings[0] * settings[1]
    at = plan[layer, P.WEIGHTS] + start * ld
    gradient_rows(t, layer, start, stop - start, m, at, ld, at, shrink, -settings[0])


@inlined
def gradient_and_update(t, layer, start, stop, m, fresh, keep, step):
    """Compute the gradient of rows of a layer, a few at a time while they are in cache, and use it.

    With ``keep`` it is added to the whole gradient (or begins it, with ``fresh``); with ``step``
    the parameters are updated. The biases, the row after the last, come on their own.
    """
    plan, work, settings = t.plan, t.work, t.settings
    one = work.dtype.type(1)
    no_penalty = (settings[0], settings[1] * 0, settings[2], settings[3])
    n_in, ld = plan[layer, P.N_IN], plan[layer, P.LD]
    sparse = layer == 1 and len(t.pointers) > 0
    chunk = max((P.SPARSE_CHUNK_SIZE if sparse else P.CHUNK_SIZE) // ld, 1)
    first = start
    while first < stop:
        biases = first == n_in
        rows = 1 if biases else min(chunk, min(stop, n_in) - first)
        at, size = plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS] + first * ld, rows * ld
        g = plan[0, P.CHUNK] + t.thread * plan[0, P.CHUNK_STRIDE]
        if keep:
            g = plan[0, P.GRADIENT] + at
        if sparse and not biases:
            if fresh:
                zeros = part(work, g, size)
                for i in range(size):
                    zeros[i] = 0
            sparse_gradient(t, first + rows, m, g - first * ld, one)
        else:
            old, ld_old = (plan[0, P.ZERO], 0) if fresh else (g, ld)
            gradient_rows(t, layer, first, rows, m, old, ld_old, g, one, one)
        if step:
            apply_update(
                t.update,
                (
                    part(work, plan[0, P.PARAMETERS] + at, size),
                    part(work, g, size),
                    part(work, plan[0, P.SLOTS] + at, size),
                    no_penalty if biases else settings,
                ),
            )
        first += rows


@inlined
def learn(t, m, fresh, keep, step):
    """Do this thread's part of the block's gradient, and of the update."""
    plan = t.plan
    fused = t.task == TRAIN and t.linear and not keep
    for layer in range(1, len(plan)):
        n_in = plan[layer, P.N_IN]
        start, stop = share(n_in, P.PAD, t.thread, t.n_threads)
        sparse = layer == 1 and len(t.pointers) > 0
        if sparse:
            find_cursors(t, start, m)
        if fused and sparse and t.settings[1] == 0 and m <= DIRECT_ROWS:
            sparse_gradient(t, stop, m, plan[1, P.WEIGHTS], -t.settings[0])
        elif fused and not sparse:
            descend(t, layer, start, stop, m)
        else:
            gradient_and_update(t, layer, start, stop, m, fresh, keep, step)
        if t.thread == t.n_threads - 1:
            gradient_and_update(t, layer, n_in, n_in + 1, m, fresh, keep, step)
        if step and layer > 1:
            transpose(plan, t.work, layer, start, stop)
