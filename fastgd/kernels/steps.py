"""The kernels: gather, forward and backpropagate, over one block of rows; `learning` goes on.

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
from fastgd.backends.compiled import GRADIENT, PREDICT, TRAIN
from fastgd.kernels.compiling import compiled, inlined
from fastgd.kernels.dropout import drop, drop_columns, layer_key, row_key
from fastgd.kernels.machine import multiples, never_inline, part, prefetch, restore_subnormals
from fastgd.kernels.rules import activate, multiply_by_slope, numbers, output_delta
from fastgd.kernels.simd import (
    MAX_ROWS,
    MAX_SPARSE_VECTORS,
    MAX_VECTORS,
    VECTOR_BYTES,
    compress,
    copy_vector,
    dot,
    sparse_row,
    tile,
    transpose_block,
)
from fastgd.rules.scalar import exp

__all__ = [
    "DEPTHS_PLACED", "IN_STEPS", "ONE", "ZERO", "Block", "FirstLayer", "Left", "Right", "Thread",
    "backward", "copy_outputs", "copy_rows", "cost_and_delta", "first_layer", "forward", "gather",
    "gather_targets", "input_row", "load", "narrow", "product", "share", "store",
]  # fmt: skip

#: One thread's part in a call: the `Call`, the plan and memory of it, and what part is its own.
#: Row r of the block's inputs begins at x[places[r]]; of sparse ones, its columns likewise.
#: ``marked_from``: the first of the columns whose inputs are marked; -1 where none are.
Thread = namedtuple("Thread", "call plan work thread sparse first_layer x columns marked_from")
#: A thread's part of the first layer's weights and biases: columns left to right, which lie from
#: ``at`` on, rows ``ld`` apart. ``by_columns``: it computes them for all rows of a block.
FirstLayer = namedtuple("FirstLayer", "by_columns left right at ld")
#: A block of m visits from ``first`` on, which begin at row ``row`` of batch number ``step``; of
#: them the thread has ``start`` to ``stop``.
Block = namedtuple("Block", "step first row m start stop")

#: Typed: Numba would compile `product` once more for each literal argument.
ZERO, ONE = np.int64(0), np.int64(1)
#: The left side of a product: S[r, p] is x[at + r * row + p * depth]. Where rows lie anywhere,
#: places[r] takes the place of r * row; where rows of its transpose do, places[p] of p * depth.
Left = namedtuple("Left", "kind x at row depth places")
IN_STEPS, ROWS_PLACED, DEPTHS_PLACED = np.int64(0), np.int64(1), np.int64(2)
#: Its right side, W (depth, n), from ``at`` on, rows ``ld`` apart; or, where ``panel`` has room for
#: it (else 0), the transpose of W (n_rows, depth), a part at a time. ``zero`` is a row of zeros.
Right = namedtuple("Right", "at ld n_rows zero panel")


@compiled
def share(n, unit, thread, n_threads):
    """Return this thread's part of n things, in whole units, as start and stop."""
    if n_threads == 1:  # divisions cost as much as a small layer's update
        return 0, n
    units = (n + unit - 1) // unit
    return min(n, units * thread // n_threads * unit), min(
        n, units * (thread + 1) // n_threads * unit
    )


@compiled
def pack_transposed(work, w, ldw, n, first, width, depth, zero, panel):
    """Write a part of W transposed, vectors wide and some deep, to ``panel``.

    Column j of it is row ``first`` + j of W; of n rows in all, those beyond are zero.
    """
    lanes = VECTOR_BYTES // work.itemsize
    for j in range(0, width, lanes):
        for p in range(0, depth, lanes):
            transpose_block(
                work, w + (first + j) * ldw + p, ldw, n - first - j, zero, panel + p * width + j,
                width,
            )  # fmt: skip


@compiled
def product(work, m, n, depth, s, w, start, ld_start, c, ldc, beta, alpha):
    """C (m, n) = beta start + alpha S (m, depth) W (depth, n); n is a multiple of the padding.

    As many as `DEPTH` numbers of a sum are added at once.
    """
    never_inline()
    if m == 0:
        return
    lanes = VECTOR_BYTES // work.itemsize
    row_steps = multiples(min(m, MAX_ROWS[0]), s.row)
    depth_steps = multiples(min(depth, P.DEPTH), s.depth)
    for first in range(0, depth, P.DEPTH):
        some = min(P.DEPTH, depth - first)
        depths = part(s.places, first, some) if s.kind == DEPTHS_PLACED else depth_steps
        column = 0
        while column < n:
            left = (n - column) // lanes
            tiles = (left + MAX_VECTORS - 1) // MAX_VECTORS
            vectors = (left + tiles - 1) // tiles
            most = MAX_ROWS[vectors - 1]
            right, ldw = w.at + first * w.ld + column, w.ld
            if w.panel:
                right, ldw = w.panel, vectors * lanes
                pack_transposed(
                    work, w.at + first, w.ld, w.n_rows, column, ldw, some, w.zero, right
                )
            row = 0
            while row < m:
                tiles = (m - row + most - 1) // most
                rows = (m - row + tiles - 1) // tiles
                tile(
                    work, s.x, part(s.places, row, rows) if s.kind == ROWS_PLACED else row_steps,
                    depths, rows, vectors, some, s.at + row * s.row + first * s.depth, right, ldw,
                    start + row * ld_start + column, ld_start, c + row * ldc + column, ldc,
                    beta, alpha,
                )  # fmt: skip
                row += rows
            column += vectors * lanes
        start, ld_start, beta = c, ldc, work.dtype.type(1)


@compiled
def copy_rows(source, first, stride, target, start, ld, rows, n):
    """Copy rows of n numbers from source[first + row * stride] to target[start + row * ld]."""
    lanes = VECTOR_BYTES // source.itemsize
    for row in range(rows):
        a, b = part(source, first + row * stride, n), part(target, start + row * ld, n)
        if n < lanes:
            for i in range(n):
                b[i] = a[i]
            continue
        # The last vector overlaps the one before: rows are short, and this has no remainder.
        for i in range(0, n - lanes, lanes):
            copy_vector(a, i, b, i)
        copy_vector(a, n - lanes, b, n - lanes)


@compiled
def pack(plan, work, flat, base):
    """Copy a flat vector into padded rows at ``base``, weights then biases of each layer."""
    never_inline()
    for layer in range(1, len(plan)):
        n, ld, rows = plan[layer, P.N_OUT], plan[layer, P.LD_W], plan[layer, P.N_IN] + 1
        start = base + plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS]
        copy_rows(flat, plan[layer, P.FLAT], n, work, start, ld, rows, n)


@compiled
def unpack(plan, work, base, flat):
    """Copy padded rows back into a flat vector."""
    never_inline()
    for layer in range(1, len(plan)):
        n, ld, rows = plan[layer, P.N_OUT], plan[layer, P.LD_W], plan[layer, P.N_IN] + 1
        start = base + plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS]
        copy_rows(work, start, ld, flat, plan[layer, P.FLAT], n, rows, n)


@inlined
def load(t):
    """Copy parameters and the optimizer's state into the working memory."""
    call, plan, work = t.call, t.plan, t.work
    pack(plan, work, call.flat, plan[0, P.PARAMETERS])
    for row in range(plan[0, P.ROWS]):
        call.costs[row] = 0
    for k in range(call.n_slots):
        slot = part(call.slots, k * call.n_parameters, call.n_parameters)
        pack(plan, work, slot, plan[0, P.SLOTS] + k * plan[0, P.N_PADDED])
    if call.task == GRADIENT:
        pack(plan, work, call.outputs, plan[0, P.GRADIENT])


@inlined
def store(t):
    """Copy parameters and the optimizer's state back from the working memory."""
    call, plan, work = t.call, t.plan, t.work
    if call.task == GRADIENT:
        unpack(plan, work, plan[0, P.GRADIENT], call.outputs)
    if call.task == TRAIN:
        unpack(plan, work, plan[0, P.PARAMETERS], call.flat)
        for k in range(call.n_slots):
            slot = part(call.slots, k * call.n_parameters, call.n_parameters)
            unpack(plan, work, plan[0, P.SLOTS] + k * plan[0, P.N_PADDED], slot)


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
def _convert_by_column(numbers, x, shifts, scales):
    for i in range(x.size):
        x[i] = x.dtype.type((np.float64(numbers[i]) - shifts[i]) * scales[i])


@compiled
def _convert_at(numbers, x, shifts, scales, columns):
    for i in range(x.size):
        x[i] = x.dtype.type((np.float64(numbers[i]) - shifts[columns[i]]) * scales[columns[i]])


@compiled
def convert_by_column(source, kind, first, n, x, shifts, scales, columns):
    """Do the same where each column has its own shift and scale: in float64, rounded once.

    ``columns`` are those of the numbers; empty: all in their order.
    """
    never_inline()
    if kind == 0:
        numbers = part(source, first * 4, n * 4).view(np.float32)
        if columns.size:
            _convert_at(numbers, x, shifts, scales, columns)
        else:
            _convert_by_column(numbers, x, shifts, scales)
    elif kind == 1:
        wide = part(source, first * 8, n * 8).view(np.float64)
        if columns.size:
            _convert_at(wide, x, shifts, scales, columns)
        else:
            _convert_by_column(wide, x, shifts, scales)
    elif columns.size:
        _convert_at(part(source, first, n), x, shifts, scales, columns)
    else:
        _convert_by_column(part(source, first, n), x, shifts, scales)


@inlined
def read_inputs(call, first, n, x, columns):
    """Read n numbers of the inputs, from number ``first`` on, as the network sees them."""
    if len(call.scales):
        convert_by_column(call.inputs, call.kind, first, n, x, call.shifts, call.scales, columns)
    else:
        convert(call.inputs, call.kind, first, n, x, call.scale)


@compiled
def all_finite(x):
    """Return whether all numbers are finite: those that are not make x - x NaN."""
    found = False
    for i in range(x.size):
        found |= x[i] - x[i] != 0
    return not found


@inlined
def drop_inputs(t, b):
    """Leave out some inputs of this thread's rows."""
    call, plan, work = t.call, t.plan, t.work
    kept, gain, ld = plan[0, P.INPUT_KEPT], work[plan[0, P.INPUT_GAIN]], plan[0, P.LD_X]
    layer = layer_key(call.seed_low, call.seed_high, call.first_step + b.step, 0)
    for row in range(b.start, b.stop):
        key = row_key(layer, call.first_row + b.row + row)
        if t.sparse:
            x = part(work, plan[0, P.X] + row * ld, call.lengths[row])
            drop_columns(x, part(call.gathered, row * ld, x.size), key, kept, gain)
        else:
            x = part(work, plan[0, P.X] + row * ld, plan[1, P.N_IN])
            drop(x, x, key, kept, gain)


@inlined
def drop_units(t, b, layer, source, target):
    """Leave out some units of a layer, for this thread's rows of ``source``."""
    plan, work, ld = t.plan, t.work, t.plan[layer, P.LD]
    kept, gain = plan[layer, P.KEPT], work[plan[layer, P.GAIN]]
    call = t.call
    keys = layer_key(call.seed_low, call.seed_high, call.first_step + b.step, layer)
    for row in range(b.start, b.stop):
        key, at = row_key(keys, call.first_row + b.row + row), row * ld
        drop(part(work, source + at, ld), part(work, target + at, ld), key, kept, gain)


@inlined
def gather(t, b):
    """Read this thread's rows of the block, shifted and scaled, into the block's inputs.

    Those that are as the network sees them are read where they lie.
    """
    call, plan, work = t.call, t.plan, t.work
    order, inputs, pointers, columns = call.order, call.inputs, call.pointers, call.columns
    n, ld = plan[1, P.N_IN], plan[0, P.LD_X]
    itemsize = 4 if call.kind == 0 else 8 if call.kind == 1 else 1
    for row in range(b.start, b.stop):
        x, count = plan[0, P.X] + row * ld, n
        source = order[b.first + row] if len(order) else b.first + row
        begin = source * n
        # Rows come in no order the processor could guess: ask for the next batch's now.
        ahead = order[b.first + row + b.m] if b.first + row + b.m < len(order) else -1
        if len(pointers):
            begin = pointers[source]
            count = pointers[source + 1] - begin
            if ahead >= 0:
                for at in range(pointers[ahead], pointers[ahead + 1], 16):
                    prefetch(inputs, at * itemsize)
                    prefetch(columns, at)
        elif ahead >= 0 and not call.in_place:  # those the processor guesses once a row has begun
            for at in range(ahead * n * itemsize, (ahead + 1) * n * itemsize, 64):
                prefetch(inputs, at)
        call.places[row] = begin if call.in_place else row * ld
        if t.sparse:
            call.lengths[row] = count
        if call.in_place:
            continue
        if len(pointers):
            kept, read = part(call.gathered, row * ld, count), part(columns, begin, count)
            read_inputs(call, begin, count, part(work, x, count), read)
            for i in range(count):
                kept[i] = read[i]
        else:
            read_inputs(call, begin, n, part(work, x, n), part(columns, 0, 0))
            if t.sparse:
                call.lengths[row] = compress(work, call.gathered, n, x, row * ld)
    if plan[0, P.INPUT_KEPT]:
        drop_inputs(t, b)


@inlined
def gather_targets(t, b):
    """Write the targets of this thread's rows: numbers, or a 1 in the column of each class."""
    plan, work, classes = t.plan, t.work, t.call.classes
    last = len(plan) - 1
    n, ld, at = plan[last, P.N_OUT], plan[last, P.LD], plan[0, P.Y]
    if len(classes):
        for row in range(b.start, b.stop):
            y = part(work, at + row * ld, n)
            for j in range(n):
                y[j] = 0
            y[classes[b.first + row]] = 1
    else:
        copy_rows(
            t.call.targets, (b.first + b.start) * n, n, work, at + b.start * ld, ld,
            b.stop - b.start, n,
        )  # fmt: skip


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
def input_row(plan, work, x, places, layer, row):
    """Return a row that a layer reads."""
    n = plan[layer, P.N_IN]
    if layer == 1:
        return part(x, places[row], n)
    return part(work, plan[layer, P.INPUT] + row * plan[layer, P.LD_IN], n)


@compiled
def narrow(plan, layer):
    """Return whether a layer has one output, its weights one row: vectors run along its inputs."""
    return plan[layer, P.LD_W] == 1


#: How many rows before it is read a row is asked for, where rows lie anywhere.
ROWS_AHEAD = 2


@compiled
def narrow_forward(plan, work, x, places, layer, start, stop):
    """Compute a narrow layer's z."""
    never_inline()
    n_in, ld, w = plan[layer, P.N_IN], plan[layer, P.LD], plan[layer, P.WEIGHTS]
    for row in range(start, stop):
        if layer == 1:
            ahead = places[min(row + ROWS_AHEAD, stop - 1)]
            for k in range(0, n_in, 64 // work.itemsize):
                prefetch(x, ahead + k)
        z = part(work, plan[layer, P.Z] + row * ld, ld)
        for j in range(1, ld):
            z[j] = 0
        inputs = input_row(plan, work, x, places, layer, row)
        z[0] = work[w + n_in] + dot(inputs, part(work, w, n_in))


@compiled
def narrow_backward(plan, work, layer, start, stop):
    """Carry a narrow layer's delta to the outputs below."""
    never_inline()
    n_in, ld_in = plan[layer, P.N_IN], plan[layer, P.LD_IN]
    w = part(work, plan[layer, P.WEIGHTS], n_in)
    for row in range(start, stop):
        delta = work[plan[layer, P.DELTA] + row * plan[layer, P.LD]]
        below = part(work, plan[layer - 1, P.DELTA] + row * ld_in, n_in)
        for i in range(n_in):
            below[i] = delta * w[i]


@compiled
def sparse_rows(plan, work, x, columns, places, lengths, mine, start, stop):
    """Compute a thread's columns of the first layer's z for rows that leave out zeros."""
    never_inline()
    ld = plan[1, P.LD]
    bias, z = mine.at + plan[1, P.N_IN] * mine.ld, plan[1, P.Z] + mine.left
    lanes, width = VECTOR_BYTES // work.itemsize, mine.right - mine.left
    one = work.dtype.type(1)
    for column in range(0, width, MAX_SPARSE_VECTORS * lanes):
        vectors = min((width - column) // lanes, MAX_SPARSE_VECTORS)
        for row in range(start, stop):
            sparse_row(
                work, x, columns, plan[1, P.WIDTH] // lanes, vectors, lengths[row],
                places[row], places[row], mine.at + column, mine.ld, bias + column,
                z + row * ld + column, one, one,
            )  # fmt: skip


@inlined
def first_layer(t, start, stop):
    """Compute this thread's columns of the first layer's z for some rows.

    The cost of a row that cannot be predicted is NaN: where an input is not finite, neither is z.
    """
    call, plan, work, mine = t.call, t.plan, t.work, t.first_layer
    one, n_in, ld, places = work.dtype.type(1), plan[1, P.N_IN], plan[1, P.LD], call.places
    z, width = plan[1, P.Z] + mine.left, mine.right - mine.left
    if narrow(plan, 1):
        narrow_forward(plan, work, t.x, places, ONE, start, stop)
    elif t.sparse:
        sparse_rows(plan, work, t.x, t.columns, places, call.lengths, mine, start, stop)
    else:
        rows = part(places, start, stop - start)
        product(
            work, stop - start, width, n_in, Left(ROWS_PLACED, t.x, ZERO, ZERO, ONE, rows),
            Right(mine.at, mine.ld, ZERO, ZERO, ZERO), mine.at + n_in * mine.ld, ZERO,
            z + start * ld, ld, one, one,
        )  # fmt: skip
    if call.task == PREDICT:
        for row in range(start, stop):
            if not all_finite(part(work, z + row * ld, width)):
                call.costs[row] = math.nan


@inlined
def forward(t, b, settings):
    """Compute every layer's z and a for this thread's rows, from the first layer's z.

    Small outputs are not flushed: ``settings`` are the processor's for them.
    """
    plan, work, start, stop = t.plan, t.work, b.start, b.stop
    one = work.dtype.type(1)
    n_layers = len(plan) - 1
    for layer in range(1, n_layers + 1):
        n_in, ld, w = plan[layer, P.N_IN], plan[layer, P.LD], plan[layer, P.WEIGHTS]
        inputs = plan[layer, P.INPUT]
        ld_in, z, a = (
            plan[layer, P.LD_IN],
            plan[layer, P.Z] + start * ld,
            plan[layer, P.A] + start * ld,
        )
        if layer > 1 and narrow(plan, layer):
            narrow_forward(plan, work, t.x, t.call.places, layer, start, stop)
        elif layer > 1:
            product(
                work, stop - start, plan[layer, P.WIDTH], n_in,
                Left(IN_STEPS, work, inputs + start * ld_in, ld_in, ONE, t.call.places),
                Right(w, ld, ZERO, ZERO, ZERO), w + n_in * ld, ZERO, z, ld, one, one,
            )  # fmt: skip
        if layer == n_layers:
            restore_subnormals(settings)
        if layer == n_layers and plan[0, P.ROW_WISE] == 1:
            softmax(plan, work, layer, start, stop)
        else:
            size = (stop - start) * ld
            p = numbers(work, plan[layer, P.NUMBERS])
            activate(plan[layer, P.ACTIVATION], (part(work, z, size), part(work, a, size), p))
        if plan[layer, P.KEPT]:
            drop_units(t, b, layer, plan[layer, P.A], plan[layer, P.DROPPED])


@inlined
def copy_outputs(t, b):
    """Write the outputs of this thread's rows to the flat ``outputs``."""
    plan = t.plan
    last = len(plan) - 1
    n, ld = plan[last, P.N_OUT], plan[last, P.LD]
    a = plan[last, P.A] + b.start * ld
    copy_rows(t.work, a, ld, t.call.outputs, (b.first + b.start) * n, n, b.stop - b.start, n)


@inlined
def cost_and_delta(t, b, factor):
    """Write the output's delta, times ``factor``, and the cost of each of this thread's rows."""
    call, plan, work, start, rows = t.call, t.plan, t.work, b.start, b.stop - b.start
    layer = len(plan) - 1
    n, ld = plan[layer, P.N_OUT], plan[layer, P.LD]
    size = rows * ld
    z = part(work, plan[layer, P.Z] + start * ld, size)
    a = part(work, plan[layer, P.A] + start * ld, size)
    delta = part(work, plan[layer, P.DELTA] + start * ld, size)
    y = part(work, plan[0, P.Y] + start * ld, size)
    for i in range(size):
        delta[i] = 1
    p = numbers(work, plan[layer, P.NUMBERS])
    multiply_by_slope(plan[layer, P.ACTIVATION], (z, a, p, delta))
    costs, p = part(call.costs, start, rows), numbers(work, plan[0, P.LOSS_NUMBERS])
    output_delta(plan[0, P.LOSS], (z, a, p, y, delta, costs, n, ld, call.share, factor))
    for row in range(rows):
        for j in range(row * ld + n, (row + 1) * ld):
            delta[j] = 0
        if len(call.weights):
            weight = call.weights[b.first + start + row]
            costs[row] *= weight
            for j in range(row * ld, row * ld + n):
                delta[j] *= weight


@inlined
def backward(t, b):
    """Carry the output's delta back through the layers (Nielsen, eq. BP2)."""
    plan, work, start, stop = t.plan, t.work, b.start, b.stop
    one, zero = work.dtype.type(1), plan[0, P.ZERO]
    panel = plan[0, P.PACKED] + t.thread * P.DEPTH * P.PANEL_WIDTH
    for layer in range(len(plan) - 1, 1, -1):
        n_out, ld_in, ld = plan[layer, P.N_OUT], plan[layer, P.LD_IN], plan[layer, P.LD]
        first, size, below = start * ld_in, (stop - start) * ld_in, layer - 1
        delta = plan[below, P.DELTA] + first
        if narrow(plan, layer):
            narrow_backward(plan, work, layer, start, stop)
        else:
            product(
                work, stop - start, plan[layer, P.WIDTH_IN], n_out,
                Left(IN_STEPS, work, plan[layer, P.DELTA] + start * ld, ld, ONE, t.call.places),
                Right(plan[layer, P.WEIGHTS], ld, plan[layer, P.N_IN], zero, panel),
                zero, ZERO, delta, ld_in, one, one,
            )  # fmt: skip
        z, a = (
            part(work, plan[below, P.Z] + first, size),
            part(work, plan[below, P.A] + first, size),
        )
        p = numbers(work, plan[below, P.NUMBERS])
        multiply_by_slope(plan[below, P.ACTIVATION], (z, a, p, part(work, delta, size)))
        if plan[below, P.KEPT]:
            drop_units(t, b, below, plan[below, P.DELTA], plan[below, P.DELTA])
