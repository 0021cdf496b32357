"""The kernels, second half: gradient, norm and update; csrc/learning.h has the same steps.

Where the update is linear and nothing stands between, the gradient goes straight to the weights.
"""

from __future__ import annotations

import math

import numpy as np

from fastgd.backends import plan as P
from fastgd.backends.compiled import TRAIN
from fastgd.kernels.barrier import wait_for_all
from fastgd.kernels.compiling import compiled, inlined
from fastgd.kernels.machine import never_inline, part
from fastgd.kernels.rules import apply_update
from fastgd.kernels.simd import (
    MAX_SPARSE_VECTORS,
    MAX_VECTORS,
    VECTOR_BYTES,
    marked_sum,
    scatter,
    sum_rows,
)
from fastgd.kernels.steps import (
    DEPTHS_PLACED,
    IN_STEPS,
    ONE,
    ZERO,
    FirstLayer,
    Left,
    Right,
    Thread,
    copy_rows,
    input_row,
    narrow,
    product,
    share,
)
from fastgd.rules.update import CLIP_NORM, COLUMNS, MAX_NORM, NORM_EPSILON, SHRINK

__all__ = ["copy_panel", "learn", "share_first_layer", "squared_weights"]

#: Sparse inputs of batches up to this many rows may be counted one by one into the weights; of
#: more, each part of a step could be too small for that.
DIRECT_ROWS = 64
#: How many sums of squares run side by side.
NORM_LANES = 64
#: What squares are taken after multiplying with, so that those of large gradients are finite.
NORM_SCALE = 2.0**-30
#: Where the learning rate stands in a row of a linear rule.
RATE = len(COLUMNS)


@compiled
def first_from(columns, low, high, column):
    """Return the first place from ``low`` to ``high`` whose column is not before a column."""
    while low < high:
        middle = (low + high) // 2
        if columns[middle] < column:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def find_cursors(plan, columns, places, lengths, thread, first, m):
    """Put a thread's cursors at the first input from column ``first`` on."""
    cursors = (1 + thread) * plan[0, P.ROWS]
    for row in range(m):
        at, n = places[row], lengths[row] if first else 0
        lengths[cursors + row] = first_from(columns, at, at + n, first) - at


@compiled
def scatter_rows(
    plan, work, x, columns, places, lengths, thread, mine, first, rows, m, start, ld_start, target,
    ld, beta, alpha,
):  # fmt: skip
    """Write beta start to ``target``, and add alpha dC/dW of the first layer's rows from ``first``.

    One example after the other.
    """
    never_inline()
    lanes, width, last = VECTOR_BYTES // work.itemsize, mine.right - mine.left, first + rows
    if start != target or beta != 1:
        for row in range(rows):
            old, new = (
                part(work, start + row * ld_start, width),
                part(work, target + row * ld, width),
            )
            for i in range(width):
                new[i] = beta * old[i]
    for row in range(m):
        cursor, at = (1 + thread) * plan[0, P.ROWS] + row, places[row]
        begin, count = lengths[cursor], lengths[row]
        stop = begin
        if last == plan[1, P.N_IN]:
            stop = count
        while stop < count and columns[at + stop] < last:
            stop += 1
        lengths[cursor] = stop
        delta = plan[1, P.DELTA] + row * plan[1, P.LD] + mine.left
        for column in range(0, width, MAX_VECTORS * lanes):
            vectors = min((width - column) // lanes, MAX_VECTORS)
            scatter(
                work, x, columns, vectors, stop - begin, at + begin, at + begin,
                delta + column, target - first * ld + column, ld, alpha,
            )  # fmt: skip


@compiled
def columns_pay(plan, work, lengths, m):
    """Return whether to sum the block's sparse inputs column by column.

    That costs each of them as much as some vectors of weights, loaded and stored, and each column
    a wrong guess; then weights are loaded and stored once a column, and not once a number.
    Measured over batches, widths and densities.
    """
    vectors, n = plan[1, P.WIDTH] * work.itemsize // 64, 0
    if m > DIRECT_ROWS and plan[1, P.WIDTH] > P.PAD:  # the other way is for few or narrow rows
        return True
    for row in range(m):
        n += lengths[row]
    return (3 * vectors - 6) * n > (4 * vectors + 30) * plan[1, P.N_IN]


@compiled
def marked(plan, thread):
    """Return where a thread's inputs of some columns lie, their marks, and the words of each.

    Of the numbers (m, MARKED_COLUMNS) those are set that are marked, a bit for each row.
    """
    words, columns = (plan[0, P.ROWS] + 63) // 64, plan[0, P.MARKED_COLUMNS]
    x = plan[0, P.MARKED] + thread * plan[0, P.ROWS] * columns
    return x, thread * words * columns, words


@compiled
def mark_columns(plan, work, marks, x, columns, places, lengths, thread, first, last, m):
    """Mark the block's inputs from column ``first`` to before ``last``, from the cursors on."""
    never_inline()
    numbers, begin, words = marked(plan, thread)
    for i in range(begin, begin + (last - first) * words):
        marks[i] = 0
    for row in range(m):
        cursor, at, count = (1 + thread) * plan[0, P.ROWS] + row, places[row], lengths[row]
        word, bit, begun = begin + row // 64, np.int64(1) << (row % 64), lengths[cursor]
        stop = count
        if last < plan[1, P.N_IN]:
            stop = first_from(columns, at + begun, at + count, last) - at
        lengths[cursor] = stop
        for p in range(at + begun, at + stop):
            column = columns[p] - first
            marks[word + column * words] |= bit
            work[numbers + column] = x[p]
        numbers += plan[0, P.MARKED_COLUMNS]


@compiled
def none(words, marks, at):
    """Return whether no row is marked."""
    found = marks[at]
    for word in range(1, words):
        found |= marks[at + word]
    return found == 0


@compiled
def sum_columns(
    plan, work, marks, thread, marked_from, mine, first, rows, start, ld_start, target, ld, beta,
    alpha,
):  # fmt: skip
    """Do what `scatter_rows` does from inputs that are marked: a sum for each of the weights."""
    never_inline()
    x, begin, words = marked(plan, thread)
    lanes, width = VECTOR_BYTES // work.itemsize, mine.right - mine.left
    for column in range(0, width, MAX_SPARSE_VECTORS * lanes):
        vectors = min((width - column) // lanes, MAX_SPARSE_VECTORS)
        for row in range(rows):
            at = first - marked_from + row
            if start == target and beta == 1 and none(words, marks, begin + at * words):
                continue
            marked_sum(
                work, marks, vectors, words, begin + at * words, x + at, plan[0, P.MARKED_COLUMNS],
                plan[1, P.DELTA] + mine.left + column, plan[1, P.LD],
                start + row * ld_start + column, target + row * ld + column, beta, alpha,
            )  # fmt: skip


@compiled
def narrow_gradient(
    plan, work, x, places, layer, first, rows, m, start, target, beta, alpha
):  # fmt: skip
    """Compute the gradient of narrow layers: see `gradient_rows`."""
    never_inline()
    lanes, inputs = VECTOR_BYTES // work.itemsize, x if layer == 1 else work
    delta, ld, n_in = plan[layer, P.DELTA], plan[layer, P.LD], plan[layer, P.N_IN]
    k = 0
    while rows - k >= lanes:
        vectors = MAX_VECTORS if rows - k >= MAX_VECTORS * lanes else 1
        at = first + k if layer == 1 else plan[layer, P.INPUT] + first + k
        sum_rows(
            work, inputs, places, layer == 1, plan[layer, P.LD_IN], vectors, m, at, delta, ld,
            start + k, target + k, beta, alpha,
        )  # fmt: skip
        k += vectors * lanes
    for last in range(k, rows):
        total = work.dtype.type(0)
        for row in range(m):
            d = work[delta + row * ld]
            if first == n_in:
                total += d
            else:
                total += d * input_row(plan, work, x, places, layer, row)[first + last]
        work[target + last] = beta * work[start + last] + alpha * total


@inlined
def gradient_rows(t, layer, first, rows, m, start, ld_start, target, ld, beta, alpha):
    """Write beta start + alpha dC/dW, for a few rows of a layer's weights, to ``target``.

    Of the first layer, for this thread's columns. The biases are the row after the weights: their
    input is always 1 (Nielsen, eqs. BP3, BP4).
    """
    plan, work, places = t.plan, t.work, t.call.places
    delta, n, biases = plan[layer, P.DELTA], plan[layer, P.WIDTH], first == plan[layer, P.N_IN]
    if layer == 1:
        delta, n = delta + t.first_layer.left, t.first_layer.right - t.first_layer.left
    if layer == 1 and t.sparse and not biases:
        lengths, mine = t.call.lengths, t.first_layer
        if t.marked_from >= 0:
            sum_columns(
                plan, work, t.call.marks, t.thread, t.marked_from, mine, first, rows, start,
                ld_start, target, ld, beta, alpha,
            )  # fmt: skip
        else:
            scatter_rows(
                plan, work, t.x, t.columns, places, lengths, t.thread, mine, first, rows, m, start,
                ld_start, target, ld, beta, alpha,
            )  # fmt: skip
    elif narrow(plan, layer):
        narrow_gradient(plan, work, t.x, places, layer, first, rows, m, start, target, beta, alpha)
    else:
        if biases:
            inputs = Left(IN_STEPS, work, plan[0, P.ONE], ZERO, ZERO, places)
        elif layer == 1:
            inputs = Left(DEPTHS_PLACED, t.x, first, ONE, ZERO, places)
        else:
            at, ld_in = plan[layer, P.INPUT] + first, plan[layer, P.LD_IN]
            inputs = Left(IN_STEPS, work, at, ONE, ld_in, places)
        deltas = Right(delta, plan[layer, P.LD], ZERO, ZERO, ZERO)
        product(work, rows, n, m, inputs, deltas, start, ld_start, target, ld, beta, alpha)


@inlined
def settings(call, step, group):
    """Return where the table has a step's settings: group 0 of weights, 1 of biases."""
    return (2 * step + group) * call.n_columns


@compiled
def rows_at_once(plan, layer):
    """Return how many rows of a layer's weights are a chunk."""
    return max(P.CHUNK_SIZE // plan[layer, P.LD_W], 1)


@compiled
def add_gradient(w, g, shrink, rate):
    """Make a linear step."""
    for i in range(w.size):
        w[i] = shrink * w[i] - rate * g[i]


@inlined
def descend(t, layer, step, start, stop, m):
    """Update rows of a layer as w <- shrink w - rate dC/dw, without writing the gradient down.

    For update rules that are linear: the update is then a product that starts from the weights.
    """
    plan, table, at = t.plan, t.call.table, settings(t.call, step, 0)
    w, ld = plan[layer, P.WEIGHTS], plan[layer, P.LD_W]
    if layer == 1:
        w, ld = t.first_layer.at, t.first_layer.ld
    w += start * ld
    shrink, rate, one = table[at + SHRINK], table[at + RATE], t.work.dtype.type(1)
    by_row = layer == 1 and t.sparse and t.marked_from < 0
    apart = by_row and m > DIRECT_ROWS
    # What shrinks first, and then is added to example by example, is in cache meanwhile.
    chunk = rows_at_once(plan, layer) if apart or (by_row and shrink != 1) else stop - start
    g = plan[0, P.CHUNK] + t.thread * plan[0, P.CHUNK_STRIDE]
    while start < stop:
        rows = min(chunk, stop - start)
        old, ld_old, new, beta, alpha = w, ld, w, shrink, -rate
        if apart:
            old, ld_old, new, beta, alpha = plan[0, P.ZERO], ZERO, g, one, one
        gradient_rows(t, layer, start, rows, m, old, ld_old, new, ld, beta, alpha)
        if apart:
            add_gradient(part(t.work, w, rows * ld), part(t.work, g, rows * ld), shrink, rate)
        start += rows
        w += rows * ld


@inlined
def update_rows(t, w, at, g, size, step, biases, factor):
    """Update ``size`` parameters at ``w``, slots at ``at`` and gradient, used up, at g."""
    call, plan = t.call, t.plan
    row = settings(call, step, 1 if biases else 0)
    apply_update(
        call.update,
        (
            t.work, w, g, plan[0, P.SLOTS] + at, plan[0, P.N_PADDED], size, call.table, row,
            t.work.dtype.type(factor),
        ),
    )  # fmt: skip


@inlined
def gradient_and_update(t, b, layer, start, stop, fresh, keep, update):
    """Compute the gradient of rows of a layer, or of its biases, and use it.

    A few rows at a time, while they are in cache. With ``keep`` it is added to the whole gradient
    (or begins it, with ``fresh``); with ``update`` the parameters are updated.
    """
    plan, work, mine = t.plan, t.work, t.first_layer
    one = work.dtype.type(1)
    n_in, ld = plan[layer, P.N_IN], plan[layer, P.LD_W]
    panel, chunk = layer == 1 and mine.by_columns, rows_at_once(plan, layer)
    first = start
    while first < stop:
        biases = first == n_in
        rows = min(chunk, stop - first)
        at, size = plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS] + first * ld, rows * ld
        g, w = plan[0, P.CHUNK] + t.thread * plan[0, P.CHUNK_STRIDE], plan[0, P.PARAMETERS] + at
        if keep:
            g = plan[0, P.GRADIENT] + at
        if panel:  # only its biases come this way
            w, size = mine.at + first * mine.ld, mine.ld
        old, ld_old = (plan[0, P.ZERO], 0) if fresh else (g, ld)
        gradient_rows(t, layer, first, rows, b.m, old, ld_old, g, ld, one, one)
        if update:
            update_rows(t, w, at, g, size, b.step, biases, 1.0)
        first += rows


@compiled
def fused(task, linear, keep):
    """Return whether the gradient goes straight to the weights: linear, and the batch whole."""
    return task == TRAIN and linear and not keep


@inlined
def share_first_layer(call, plan, thread):
    """Choose how threads share the first layer.

    By columns each keeps its weights to itself, where by rows they would go from core to core in
    every step.
    """
    n_in, width, n_threads = plan[1, P.N_IN], plan[1, P.WIDTH], call.n_threads
    whole = fused(call.task, call.linear, call.batch > plan[0, P.ROWS])
    # Penalties read all weights in one place.
    whole = whole and not len(call.penalties)
    if n_threads > 1 and width >= P.PAD * n_threads and whole:
        left, right = share(width, P.PAD, thread, n_threads)
        return FirstLayer(True, left, right, plan[0, P.PANELS] + (n_in + 1) * left, right - left)
    return FirstLayer(False, ZERO, width, plan[1, P.WEIGHTS], plan[1, P.LD_W])


@compiled
def copy_panel(plan, work, mine, back):
    """Copy a thread's columns of the first layer to memory of their own, or back."""
    w, ld, rows = plan[1, P.WEIGHTS] + mine.left, plan[1, P.LD], plan[1, P.N_IN] + 1
    if back:
        copy_rows(work, mine.at, mine.ld, work, w, ld, rows, mine.ld)
    else:
        copy_rows(work, w, ld, work, mine.at, mine.ld, rows, mine.ld)


@compiled
def sum_of_squares(work, at, n, scale, lanes):
    """Return the sum of the squares of n numbers, each times ``scale``.

    In lanes, which vectorise and are the same for any vector.
    """
    for j in range(NORM_LANES):
        lanes[j] = 0
    for i in range(0, n, NORM_LANES):
        numbers = part(work, at + i, min(NORM_LANES, n - i))
        for j in range(numbers.size):
            scaled = numbers[j] * scale
            lanes[j] += scaled * scaled
    total = 0.0
    for j in range(NORM_LANES):
        total += lanes[j]
    return total


@compiled
def squared_weights(plan, work):
    """Return the sum of the squares of all weights."""
    never_inline()
    total, lanes = 0.0, part(work, plan[0, P.CHUNK], NORM_LANES)
    for layer in range(1, len(plan)):
        w, n = plan[layer, P.WEIGHTS], plan[layer, P.N_IN] * plan[layer, P.LD_W]
        for first in range(0, n, P.CHUNK_SIZE):
            size = min(P.CHUNK_SIZE, n - first)
            total += sum_of_squares(work, w + first, size, work.dtype.type(1), lanes)
    return total


@compiled
def write_norms(plan, work, thread, n_threads):
    """Write the gradient's norms over this thread's share of fixed chunks."""
    n = plan[0, P.N_PADDED]
    start, stop = share(n, P.CHUNK_SIZE, thread, n_threads)
    lanes = part(work, plan[0, P.CHUNK] + thread * plan[0, P.CHUNK_STRIDE], NORM_LANES)
    scale = work.dtype.type(NORM_SCALE)
    for first in range(start, stop, P.CHUNK_SIZE):
        size = min(P.CHUNK_SIZE, n - first)
        total = sum_of_squares(work, plan[0, P.GRADIENT] + first, size, scale, lanes)
        work[plan[0, P.PARTIALS] + first // P.CHUNK_SIZE] = math.sqrt(total) / NORM_SCALE


@compiled
def norm_factor(plan, work, limit):
    """Return what scales the gradient so that its norm is at most the limit."""
    total = 0.0
    for chunk in range((plan[0, P.N_PADDED] + P.CHUNK_SIZE - 1) // P.CHUNK_SIZE):
        norm = work[plan[0, P.PARTIALS] + chunk]
        total += np.float64(norm) * norm
    scale = limit / (math.sqrt(total) + NORM_EPSILON)
    return 1.0 if scale > 1.0 else scale  # this way round NaN stays NaN


@inlined
def update_all(t, step):
    """Update this thread's rows of every layer from the whole gradient, its norm limited."""
    call, plan, work = t.call, t.plan, t.work
    write_norms(plan, work, t.thread, call.n_threads)
    wait_for_all(call.barrier, call.n_threads)
    factor = norm_factor(plan, work, call.table[settings(call, step, 0) + CLIP_NORM])
    for layer in range(1, len(plan)):
        n_in, ld = plan[layer, P.N_IN], plan[layer, P.LD_W]
        start, stop = share(n_in, P.PAD, t.thread, call.n_threads)
        base = plan[layer, P.WEIGHTS] - plan[0, P.PARAMETERS]
        for biases in range(2):
            at, size = base + start * ld, (stop - start) * ld
            if biases:
                at, size = base + n_in * ld, ld
            if size and (not biases or t.thread == call.n_threads - 1):
                w, g = plan[0, P.PARAMETERS] + at, plan[0, P.GRADIENT] + at
                update_rows(t, w, at, g, size, step, biases, factor)


@compiled
def limit_lengths(plan, work, layer, left, right, limit, sums):
    """Scale the columns left to right of a layer's weights back to at most a length."""
    n_in, w, ld = plan[layer, P.N_IN], plan[layer, P.WEIGHTS], plan[layer, P.LD_W]
    totals = part(work, sums, right - left)
    for j in range(totals.size):
        totals[j] = 0
    for row in range(n_in):
        numbers = part(work, w + row * ld + left, right - left)
        for j in range(totals.size):
            totals[j] += numbers[j] * numbers[j]
    for j in range(totals.size):
        length = math.sqrt(totals[j])
        totals[j] = limit / length if length > limit else 1
    for row in range(n_in):
        numbers = part(work, w + row * ld + left, right - left)
        for j in range(totals.size):
            numbers[j] *= totals[j]


@inlined
def limit_weights(t, step):
    """Limit the lengths of this thread's columns of every layer, all threads having updated."""
    call, plan = t.call, t.plan
    limit = call.table[settings(call, step, 0) + MAX_NORM]
    sums = plan[0, P.CHUNK] + t.thread * plan[0, P.CHUNK_STRIDE]
    wait_for_all(call.barrier, call.n_threads)
    for layer in range(1, len(plan)):
        width = 1 if narrow(plan, layer) else plan[layer, P.WIDTH]
        left, right = share(width, P.PAD, t.thread, call.n_threads)
        limit_lengths(plan, t.work, layer, left, right, limit, sums)
    wait_for_all(call.barrier, call.n_threads)


@inlined
def learn(t, b, fresh, keep, step_now):
    """Do this thread's part of the block's gradient; of the batch's last block, and the update."""
    call, plan, mine = t.call, t.plan, t.first_layer
    late = step_now and call.by_norm
    keep = keep or (call.task == TRAIN and call.by_norm)
    for layer in range(len(plan) - 1, 0, -1):  # the first is in cache for the next batch then
        n_in = plan[layer, P.N_IN]
        few, panel = layer == 1 and t.sparse, layer == 1 and mine.by_columns
        start, stop = share(n_in, P.PAD, t.thread, call.n_threads)
        if panel:
            start, stop = 0, n_in
        if few:
            find_cursors(plan, t.columns, call.places, call.lengths, t.thread, start, b.m)
        by_column = few and columns_pay(plan, t.work, call.lengths, b.m)
        some = plan[0, P.MARKED_COLUMNS] if by_column else stop - start
        end = stop + 1 if panel or t.thread == call.n_threads - 1 else stop  # the biases
        first = start
        while first < end:
            last = end if first == n_in else min(first + some, stop)
            if by_column and first < n_in:
                mark_columns(
                    plan, t.work, call.marks, t.x, t.columns, call.places, call.lengths, t.thread,
                    first, last, b.m,
                )  # fmt: skip
            t = Thread(
                call, plan, t.work, t.thread, t.sparse, mine, t.x, t.columns,
                first if by_column else -1,
            )  # fmt: skip
            if fused(call.task, call.linear, keep) and first < n_in:
                descend(t, layer, b.step, first, last, b.m)
            else:
                gradient_and_update(t, b, layer, first, last, fresh, keep, step_now and not late)
            first = last
    if late:
        wait_for_all(call.barrier, call.n_threads)
        update_all(t, b.step)
    if step_now and call.limited:
        limit_weights(t, b.step)
