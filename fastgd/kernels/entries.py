"""What Python calls: one kernel for all tasks, compiled once per number type and cached on disk.

A fingerprint of all files it compiles in is part of its key: an upgrade never runs an old kernel.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import llvmlite
import numba
import numpy as np
from numba import types

from fastgd.backends import plan as P
from fastgd.backends.compiled import COST, PREDICT, SMALL_ROWS, TRAIN
from fastgd.kernels.barrier import wait_for_all
from fastgd.kernels.cache import cached
from fastgd.kernels.compiling import compiled, inlined
from fastgd.kernels.fields import STEPS, described
from fastgd.kernels.learning import copy_panel, learn, share_first_layer, squared_weights
from fastgd.kernels.little import take
from fastgd.kernels.machine import flush_subnormals, part, restore_subnormals, viewed
from fastgd.kernels.small import small_predict
from fastgd.kernels.steps import (
    Block,
    Thread,
    all_finite,
    backward,
    copy_outputs,
    cost_and_delta,
    first_layer,
    forward,
    gather,
    gather_targets,
    load,
    share,
    store,
)
from fastgd.rules import scalar

__all__ = ["kernel_for", "run"]

add = compiled(scalar.add)

PACKAGE = Path(__file__).parents[1]
SOURCES = ("kernels/*.py", "rules/*.py", "backends/plan.py", "backends/compiled.py")


def _fingerprint() -> str:
    """Return a digest of all that a compiled kernel is made of, except the processor."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for file in sorted(f for pattern in SOURCES for f in PACKAGE.glob(pattern)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@inlined
def run_batch(t, step, begin, end):
    """Do one batch, in blocks of rows; return its cost. A cost not finite makes no step."""
    call, plan = t.call, t.plan
    block, training, cost, rest = plan[0, P.ROWS], call.task == TRAIN, 0.0, 0.0
    factor, by_columns = batch_factor(call, begin, end), t.first_layer.by_columns
    whole = end - begin <= block
    for first in range(begin, end, block):
        m = min(block, end - first)
        # Predictions do not wait between blocks: a thread keeps to its rows of all of them.
        start, stop = share(block if call.task == PREDICT else m, 1, t.thread, call.n_threads)
        b = Block(step, first, first - begin, m, min(start, m), min(stop, m))
        gather(t, b)
        before = flush_subnormals()
        if by_columns:
            wait_for_all(call.barrier, call.n_threads)
        first_layer(t, 0 if by_columns else b.start, m if by_columns else b.stop)
        if by_columns:
            wait_for_all(call.barrier, call.n_threads)
        forward(t, b, before)
        if call.task == PREDICT:
            copy_outputs(t, b)
            continue
        gather_targets(t, b)
        cost_and_delta(t, b, factor)
        before = flush_subnormals()
        if call.task != COST:
            backward(t, b)
        if call.task == COST or call.exact:
            restore_subnormals(before)
        wait_for_all(call.barrier, call.n_threads)
        for row in range(m):
            cost, rest = add(cost, rest, call.costs[row])
        if training and not math.isfinite(cost):
            restore_subnormals(before)
            break
        if call.task != COST:
            fresh, last = training and first == begin, training and first + m == end
            learn(t, b, fresh, not (training and whole), last)
            restore_subnormals(before)
        wait_for_all(call.barrier, call.n_threads)
    return cost, rest


@compiled
def batch_factor(call, begin, end):
    """Return what the sum of a batch's gradients is multiplied by."""
    if not call.average:
        return 1.0
    if not len(call.weights):
        return 1.0 / (end - begin)
    total = 0.0
    for visit in range(begin, end):
        total += call.weights[visit]
    return 1.0 / total if total > 0.0 else 0.0


@partial(cached, made_of=_fingerprint())
def run(fields, work, thread, X, Y):
    """Do a `Call`, in batches; return the sum of costs, added to `sums`.

    ``fields`` describe it; the steps made are written to them. X and Y are 0, or where two arrays
    lie that it is to take: if they are not plain, NaN is returned, and nothing, -1 steps, done.
    PREDICT writes into ``outputs``, GRADIENT adds to ``outputs``; TRAIN steps once a batch
    and ends before a batch whose cost is not finite. Every thread of a team runs it whole: a
    thread has its own rows of the block in the forward and backward pass, and its own rows of
    each layer's weights in the gradient, so that no sum is shared and results are the same to
    the last bit for any number of threads.
    """
    if X != 0 and not take(fields, work, X, Y):
        fields[STEPS] = -1
        return math.nan
    call = described(fields, work)
    plan, sparse = call.plan, len(call.lengths) > 0
    # However many threads there are: they must not change how a sum is made.
    if call.task == PREDICT and call.n <= SMALL_ROWS and not len(call.pointers):
        if thread == 0:
            small_predict(call, work)
        return call.costs[0]
    x, columns = part(work, plan[0, P.X], plan[0, P.ROWS] * plan[0, P.LD_X]), call.gathered
    if call.in_place:
        x, columns = viewed(call.inputs, work), viewed(call.columns, columns)
    mine = share_first_layer(call, plan, thread)
    t = Thread(call, plan, work, thread, sparse, mine, x, columns, -1)
    if thread == 0:
        load(t)
    wait_for_all(call.barrier, call.n_threads)
    if t.first_layer.by_columns:
        copy_panel(plan, t.work, t.first_layer, False)
    total, rest, steps = call.sums[0], call.sums[1], 0
    for start in range(0, call.n, call.batch):
        penalty = 0.0
        if len(call.penalties) and thread == 0:
            penalty = call.penalties[steps] * squared_weights(plan, t.work)
        cost, cost_rest = run_batch(t, steps, start, min(start + call.batch, call.n))
        if call.task == TRAIN and not math.isfinite(cost):
            break
        total, rest = add(total, rest, cost + penalty)
        rest += cost_rest
        steps += 1
    if t.first_layer.by_columns:
        copy_panel(plan, t.work, t.first_layer, True)
    wait_for_all(call.barrier, call.n_threads)
    if thread == 0:
        # The caller's parameters are still those before: they stay where the only step spoils them.
        parameters = part(work, plan[0, P.PARAMETERS], plan[0, P.N_PADDED])
        if call.task == TRAIN and steps <= 1 and not all_finite(parameters):
            steps = 0
        else:
            store(t)
        if call.task == PREDICT:
            for row in range(plan[0, P.ROWS]):
                total += call.costs[row]
        call.sums[0], call.sums[1] = total, rest
        fields[STEPS] = steps
    return total + rest if math.isfinite(total) else total


@cache
def kernel_for(number: np.dtype) -> Callable[[np.ndarray, np.ndarray, int, int, int], float]:
    """Return `run` for a type of numbers: itself, not what looks at its arguments' types first."""
    fields, work = types.int64[::1], numba.from_dtype(number)[::1]
    return run.compile((fields, work, types.int64, types.int64, types.int64))
