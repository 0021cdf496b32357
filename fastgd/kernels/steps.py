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
    MAX_SPARSE_VECTORS,
    MAX_VECTORS,
    VECTOR_BYTES,
    compress,
    never_inline,
    part,
    prefetch,
    scatter,
    sparse_row,
    tile,
    transpose_block,
)
from fastgd.rules.scalar import exp

__all__ = [
    "COST", "GRADIENT", "PREDICT", "TRAIN", "Task", "backward", "copy_outputs", "copy_panel",
    "cost_and_delta", "first_layer", "forward", "gather", "gather_targets", "learn", "load",
    "share", "share_first_layer", "store",
]  # fmt: skip

#: What a call may do.
PREDICT, COST, GRADIENT, TRAIN = range(4)
#: One call from Python: what to do, and over which arrays; see `fastgd.backends.compiled`.
Task = namedtuple(
    "Task",
    "task plan work flat slots inputs pointers columns gathered lengths kind scale order n classes"
    " targets outputs linear update settings costs n_threads thread sparse first_layer",
)
#: A thread's part of the first layer's weights and biases: columns left to right, which lie from
#: ``at`` on, rows ``ld`` apart. ``by_columns``: it computes them for all rows of a block.
FirstLayer = namedtuple("FirstLayer", "by_columns left right at ld")

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


@compiled
def pack(plan, work, flat, base):
    """Copy a flat vector into padded rows at ``base``, weights then biases of each layer."""
    never_inline()
    for layer in range(1, len(plan)):
        n, ld, rows = plan[layer, P.N_OUT], plan[layer, P.LD], plan[layer, P.N_IN] + 1
        start = base + plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS]
        copy_rows(flat, plan[layer, P.FLAT], n, work, start, ld, rows, n)


@compiled
def unpack(plan, work, base, flat):
    """Copy padded rows back into a flat vector."""
    never_inline()
    for layer in range(1, len(plan)):
        n, ld, rows = plan[layer, P.N_OUT], plan[layer, P.LD], plan[layer, P.N_IN] + 1
        start = base + plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS]
        copy_rows(work, start, ld, flat, plan[layer, P.FLAT], n, rows, n)


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
    plan, work = t.plan, t.work
    pack(plan, work, t.flat, plan[0, P.PARAMETERS])
    for row in range(plan[0, P.ROWS]):
        t.costs[row] = 0
    for slot in range(len(t.slots)):
        pack(plan, work, t.slots[slot], plan[0, P.SLOTS] + slot * plan[0, P.N_PADDED])
    if t.task == GRADIENT:
        pack(plan, work, t.outputs, plan[0, P.GRADIENT])
    if t.task >= GRADIENT:
        for layer in range(2, len(plan)):
            transpose(plan, work, layer, ZERO, plan[layer, P.N_IN])


@inlined
def store(t):
    """Copy parameters and the optimizer's state back from the working memory."""
    plan, work = t.plan, t.work
    if t.task == GRADIENT:
        unpack(plan, work, plan[0, P.GRADIENT], t.outputs)
    if t.task == TRAIN:
        unpack(plan, work, plan[0, P.PARAMETERS], t.flat)
        for slot in range(len(t.slots)):
            unpack(plan, work, plan[0, P.SLOTS] + slot * plan[0, P.N_PADDED], t.slots[slot])


@compiled
def _convert(numbers, x, scale):
    for i in range(x.size):
        x[i] = x.dtype.type(numbers[i]) * scale


@compiled
def convert(source, kind, first, n, x, scale):
    """Read n numbers of the bytes ``source``, which hold the kind of number ``kind`` says."""
    never_inline()
    if kind == 0:
        _convert(part(source, first * 4, n * 4).view(np.float32), x, scale)
    elif kind == 1:
        _convert(part(source, first * 8, n * 8).view(np.float64), x, scale)
    else:
        _convert(part(source, first, n), x, scale)


@compiled
def all_finite(x):
    """Return whether all numbers are finite: those that are not make x - x NaN."""
    found = False
    for i in range(x.size):
        found |= x[i] - x[i] != 0
    return not found


@inlined
def gather(t, first, m, start, stop):
    """Read this thread's rows of the block, times the scale, into the block's inputs.

    The cost of a row that cannot be predicted, for its numbers are not finite, is NaN.
    """
    plan, work, order, inputs, columns = t.plan, t.work, t.order, t.inputs, t.columns
    n, ld = plan[1, P.N_IN], plan[0, P.LD_X]
    itemsize = 4 if t.kind == 0 else 8 if t.kind == 1 else 1
    for row in range(start, stop):
        x, count = plan[0, P.X] + row * ld, n
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
            convert(inputs, t.kind, begin, count, part(work, x, count), t.scale)
            kept, read = part(t.gathered, row * ld, count), part(columns, begin, count)
            for i in range(count):
                kept[i] = read[i]
        else:
            if ahead >= 0:
                for at in range(ahead * n * itemsize, (ahead + 1) * n * itemsize, 64):
                    prefetch(inputs, at)
            convert(inputs, t.kind, source * n, n, part(work, x, n), t.scale)
            if t.sparse:
                count = compress(work, t.gathered, n, x, row * ld)
        if t.sparse:
            t.lengths[row] = count
        if t.task == PREDICT and not all_finite(part(work, x, count)):
            t.costs[row] = math.nan


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


@compiled
def softmax(plan, work, layer, start, stop):
    """Turn each row of z into log a, and write a."""
    never_inline()
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


@compiled
def sparse_rows(plan, work, gathered, lengths, mine, start, stop):
    """Compute a thread's columns of the first layer's z for rows that leave out zeros."""
    never_inline()
    ld, ld_x, x = plan[1, P.LD], plan[0, P.LD_X], plan[0, P.X]
    bias, z = mine.at + plan[1, P.N_IN] * mine.ld, plan[1, P.Z] + mine.left
    lanes, width = VECTOR_BYTES // work.itemsize, mine.right - mine.left
    for column in range(0, width, MAX_SPARSE_VECTORS * lanes):
        vectors = min((width - column) // lanes, MAX_SPARSE_VECTORS)
        for row in range(start, stop):
            sparse_row(
                work, gathered, plan[1, P.WIDTH] // lanes, vectors, lengths[row],
                x + row * ld_x, row * ld_x, mine.at + column, mine.ld, bias + column,
                z + row * ld + column,
            )  # fmt: skip


@inlined
def first_layer(t, start, stop):
    """Compute this thread's columns of the first layer's z for some rows."""
    plan, work, mine = t.plan, t.work, t.first_layer
    one, ld, ld_x = work.dtype.type(1), plan[1, P.LD], plan[0, P.LD_X]
    if t.sparse:
        sparse_rows(plan, work, t.gathered, t.lengths, mine, start, stop)
    else:
        product(
            work, stop - start, mine.right - mine.left, plan[1, P.N_IN],
            plan[0, P.X] + start * ld_x, ld_x, ONE, mine.at, mine.ld,
            mine.at + plan[1, P.N_IN] * mine.ld, ZERO, plan[1, P.Z] + mine.left + start * ld, ld,
            one, one,
        )  # fmt: skip


@inlined
def forward(t, start, stop):
    """Compute every layer's z and a for this thread's rows, from the first layer's z."""
    plan, work = t.plan, t.work
    one = work.dtype.type(1)
    n_layers = len(plan) - 1
    for layer in range(1, n_layers + 1):
        n_in, ld, w = plan[layer, P.N_IN], plan[layer, P.LD], plan[layer, P.WEIGHTS]
        ld_in, z, a = (
            plan[layer, P.LD_IN],
            plan[layer, P.Z] + start * ld,
            plan[layer, P.A] + start * ld,
        )
        if layer > 1:
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


@compiled
def find_cursors(plan, gathered, lengths, thread, first, m):
    """Put a thread's cursors at the first input from column ``first`` on."""
    rows, ld_x = plan[0, P.ROWS], plan[0, P.LD_X]
    for row in range(m):
        low, high = 0, lengths[row] if first else 0
        while low < high:
            middle = (low + high) // 2
            if gathered[row * ld_x + middle] < first:
                low = middle + 1
            else:
                high = middle
        lengths[(1 + thread) * rows + row] = low


@compiled
def sparse_gradient(plan, work, gathered, lengths, thread, mine, last, m, target, ld, alpha):
    """Add alpha dC/dW of the first layer's rows up to ``last``, for a thread's columns.

    From inputs that are not zero. Row k of the weights is added to at target + k * ld.
    """
    never_inline()
    rows, ld_x, x = plan[0, P.ROWS], plan[0, P.LD_X], plan[0, P.X]
    lanes, width = VECTOR_BYTES // work.itemsize, mine.right - mine.left
    for row in range(m):
        cursor, at = (1 + thread) * rows + row, row * ld_x
        start, count = lengths[cursor], lengths[row]
        stop = start
        if last == plan[1, P.N_IN]:
            stop = count
        while stop < count and gathered[at + stop] < last:
            stop += 1
        lengths[cursor] = stop
        if start == stop:
            continue
        delta = plan[1, P.DELTA] + row * plan[1, P.LD] + mine.left
        for column in range(0, width, MAX_VECTORS * lanes):
            vectors = min((width - column) // lanes, MAX_VECTORS)
            scatter(
                work, gathered, vectors, stop - start, x + at + start, at + start,
                delta + column, target + column, ld, alpha,
            )  # fmt: skip


@inlined
def gradient_rows(t, layer, first, rows, m, start, ld_start, target, ld, beta, alpha):
    """Write beta start + alpha dC/dW, for a few rows of a layer's weights, to ``target``.

    Of the first layer, for this thread's columns. The biases are the row after the weights: their
    input is always 1 (Nielsen, eqs. BP3, BP4).
    """
    plan, work = t.plan, t.work
    delta, n = plan[layer, P.DELTA], plan[layer, P.WIDTH]
    if layer == 1:
        delta, n = delta + t.first_layer.left, t.first_layer.right - t.first_layer.left
    if first == plan[layer, P.N_IN]:
        s, s_row, s_depth = plan[0, P.ONE], 0, 0
    else:
        s, s_row = plan[layer, P.INPUT] + first, 1
        s_depth = plan[0, P.LD_X] if layer == 1 else plan[layer, P.LD_IN]
    product(
        work, rows, n, m, s, s_row, s_depth, delta, plan[layer, P.LD], start, ld_start,
        target, ld, beta, alpha,
    )  # fmt: skip


@inlined
def descend(t, layer, start, stop, m):
    """Update rows of a layer as w <- shrink w - rate dC/dw, without writing the gradient down.

    For update rules that are linear: the update is then a product that starts from the weights.
    """
    plan, settings = t.plan, t.settings
    one = t.work.dtype.type(1)
    w, ld = plan[layer, P.WEIGHTS], plan[layer, P.LD]
    if layer == 1:
        w, ld = t.first_layer.at, t.first_layer.ld
    at, shrink = w + start * ld, one - settings[0] * settings[1]
    gradient_rows(t, layer, start, stop - start, m, at, ld, at, ld, shrink, -settings[0])


@inlined
def gradient_and_update(t, layer, start, stop, m, fresh, keep, step):
    """Compute the gradient of rows of a layer, a few at a time while they are in cache, and use it.

    With ``keep`` it is added to the whole gradient (or begins it, with ``fresh``); with ``step``
    the parameters are updated. The biases, the row after the last, come on their own.
    """
    plan, work, settings, mine = t.plan, t.work, t.settings, t.first_layer
    one = work.dtype.type(1)
    no_penalty = (settings[0], settings[1] * 0, settings[2], settings[3])
    n_in, ld = plan[layer, P.N_IN], plan[layer, P.LD]
    few, panel = layer == 1 and t.sparse, layer == 1 and mine.by_columns
    chunk = max((P.SPARSE_CHUNK_SIZE if few else P.CHUNK_SIZE) // ld, 1)
    first = start
    while first < stop:
        biases = first == n_in
        rows = 1 if biases else min(chunk, min(stop, n_in) - first)
        at, size = plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS] + first * ld, rows * ld
        g, w = plan[0, P.CHUNK] + t.thread * plan[0, P.CHUNK_STRIDE], plan[0, P.PARAMETERS] + at
        if keep:
            g = plan[0, P.GRADIENT] + at
        if panel:  # only its biases come this way
            w, size = mine.at + first * mine.ld, mine.ld
        if few and not biases:
            if fresh:
                zeros = part(work, g, size)
                for i in range(size):
                    zeros[i] = 0
            sparse_gradient(
                plan, work, t.gathered, t.lengths, t.thread, mine, first + rows, m,
                g - first * ld, ld, one,
            )  # fmt: skip
        else:
            old, ld_old = (plan[0, P.ZERO], 0) if fresh else (g, ld)
            gradient_rows(t, layer, first, rows, m, old, ld_old, g, ld, one, one)
        if step:
            apply_update(
                t.update,
                (
                    part(work, w, size),
                    part(work, g, size),
                    part(work, plan[0, P.SLOTS] + at, size),
                    no_penalty if biases else settings,
                ),
            )
        first += rows


@compiled
def fused(task, linear, l2, sparse, m, keep):
    """Return whether a layer's gradient goes straight to its weights.

    The update is linear, and the batch whole. ``sparse``: the layer's inputs leave out zeros.
    """
    return task == TRAIN and linear and not keep and (not sparse or (l2 == 0 and m <= DIRECT_ROWS))


@compiled
def share_first_layer(task, plan, sparse, batch, linear, l2, n_threads, thread):
    """Choose how threads share the first layer.

    By columns each keeps its weights to itself, where by rows they would go from core to core in
    every step.
    """
    n_in, width = plan[1, P.N_IN], plan[1, P.WIDTH]
    whole = fused(task, linear, l2, sparse, batch, batch > plan[0, P.ROWS])
    if n_threads > 1 and width >= P.PAD * n_threads and whole:
        left, right = share(width, P.PAD, thread, n_threads)
        return FirstLayer(True, left, right, plan[0, P.PANELS] + (n_in + 1) * left, right - left)
    return FirstLayer(False, ZERO, width, plan[1, P.WEIGHTS], plan[1, P.LD])


@compiled
def copy_panel(plan, work, mine, back):
    """Copy a thread's columns of the first layer to memory of their own, or back."""
    w, ld, rows = plan[1, P.WEIGHTS] + mine.left, plan[1, P.LD], plan[1, P.N_IN] + 1
    if back:
        copy_rows(work, mine.at, mine.ld, work, w, ld, rows, mine.ld)
    else:
        copy_rows(work, w, ld, work, mine.at, mine.ld, rows, mine.ld)


@inlined
def learn(t, m, fresh, keep, step):
    """Do this thread's part of the block's gradient, and of the update."""
    plan, mine = t.plan, t.first_layer
    for layer in range(1, len(plan)):
        n_in = plan[layer, P.N_IN]
        few, panel = layer == 1 and t.sparse, layer == 1 and mine.by_columns
        start, stop = share(n_in, P.PAD, t.thread, t.n_threads)
        if panel:
            start, stop = 0, n_in
        if few:
            find_cursors(plan, t.gathered, t.lengths, t.thread, start, m)
        # What is left for `gradient_and_update`: nothing, the weights, the biases, or both.
        first, last = start, stop
        if fused(t.task, t.linear, t.settings[1], few, m, keep):
            first = stop
            if few:
                sparse_gradient(
                    plan, t.work, t.gathered, t.lengths, t.thread, mine, stop, m, mine.at,
                    mine.ld, -t.settings[0],
                )  # fmt: skip
            else:
                descend(t, layer, start, stop, m)
        if panel or t.thread == t.n_threads - 1:
            last = n_in + 1
        gradient_and_update(t, layer, first, last, m, fresh, keep, step)
        if step and layer > 1:
            transpose(plan, t.work, layer, start, stop)
