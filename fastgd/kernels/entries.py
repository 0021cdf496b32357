"""What Python calls: one kernel for all tasks, compiled once per number type and cached on disk.

Numba's cache notices an edit of this file, but not of the files it compiles in. So the kernel
closes over a fingerprint of all of them, which is part of Numba's key: an upgrade never runs an old
kernel.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import llvmlite
import numba
from numba import njit

from fastgd.backends import plan as P
from fastgd.kernels.barrier import wait_for_all
from fastgd.kernels.compiling import OPTIONS, compiled, inlined
from fastgd.kernels.simd import part
from fastgd.kernels.steps import (
    COST,
    GRADIENT,
    PREDICT,
    TRAIN,
    Task,
    backward,
    copy_outputs,
    copy_panel,
    cost_and_delta,
    first_layer,
    forward,
    gather,
    gather_targets,
    learn,
    load,
    share,
    share_first_layer,
    store,
)

__all__ = ["COST", "GRADIENT", "PREDICT", "TRAIN", "run"]

PACKAGE = Path(__file__).parents[1]
SOURCES = ("kernels/*.py", "rules/*.py", "backends/plan.py")


def _fingerprint() -> str:
    """Return a digest of all that a compiled kernel is made of, except the processor."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for file in sorted(f for pattern in SOURCES for f in PACKAGE.glob(pattern)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _compile(function: Callable) -> Callable:
    """Compile an entry, cached on disk where some folder is writable."""
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # no folder to cache in
        return compiled(function)


@inlined
def run_batch(t, barrier, begin, end, average):
    """Do one batch, in blocks of rows; return its cost. A cost not finite makes no step."""
    plan = t.plan
    block, training, cost = plan[0, P.ROWS], t.task == TRAIN, 0.0
    factor = 1.0 / (end - begin) if average else 1.0
    whole = end - begin <= block
    for first in range(begin, end, block):
        m = min(block, end - first)
        # Predictions do not wait between blocks: a thread keeps to its rows of all of them.
        start, stop = share(block if t.task == PREDICT else m, 1, t.thread, t.n_threads)
        start, stop = min(start, m), min(stop, m)
        gather(t, first, m, start, stop)
        by_columns = t.first_layer.by_columns
        if by_columns:
            wait_for_all(barrier, t.n_threads)
        first_layer(t, 0 if by_columns else start, m if by_columns else stop)
        if by_columns:
            wait_for_all(barrier, t.n_threads)
        forward(t, start, stop)
        if t.task == PREDICT:
            copy_outputs(t, first, start, stop)
            continue
        gather_targets(t, first, start, stop)
        cost_and_delta(t, factor, start, stop)
        if t.task != COST:
            backward(t, start, stop)
        wait_for_all(barrier, t.n_threads)
        for row in range(m):
            cost += t.costs[row]
        if training and not math.isfinite(cost):
            break
        if t.task != COST:
            fresh, step = training and first == begin, training and first + m == end
            learn(t, m, fresh, not (training and whole), step)
        wait_for_all(barrier, t.n_threads)
    return cost


def _make_run(fingerprint: str) -> Callable:
    @_compile
    def run(
        task, plan, work, flat, slots, inputs, pointers, columns, gathered, lengths, kind, scale,
        order, n, batch, classes, targets, outputs, average, linear, update, settings, costs,
        n_threads, barrier, thread,
    ):  # fmt: skip
        """Do a task over n rows, in batches; return the steps made and the sum of costs.

        PREDICT writes into ``outputs``, GRADIENT adds to ``outputs``; TRAIN steps once a batch
        and ends before a batch whose cost is not finite. Every thread of a team runs it whole: a
        thread has its own rows of the block in the forward and backward pass, and its own rows of
        each layer's weights in the gradient, so that no sum is shared and results are the same to
        the last bit for any number of threads.
        """
        fingerprint  # noqa: B018
        t = Task(
            task, plan, part(work, 0, len(work)), part(flat, 0, len(flat)), slots,
            part(inputs, 0, len(inputs)), part(pointers, 0, len(pointers)),
            part(columns, 0, len(columns)), part(gathered, 0, len(gathered)),
            part(lengths, 0, len(lengths)), kind, scale, part(order, 0, len(order)), n,
            part(classes, 0, len(classes)), part(targets, 0, len(targets)),
            part(outputs, 0, len(outputs)), linear, update, settings,
            part(costs, 0, len(costs)), n_threads, thread,
            len(lengths) > 0,
            share_first_layer(
                task, plan, len(lengths) > 0, batch, linear, settings[1], n_threads, thread
            ),
        )  # fmt: skip
        if thread == 0:
            load(t)
        wait_for_all(barrier, n_threads)
        if t.first_layer.by_columns:
            copy_panel(plan, t.work, t.first_layer, False)
        total, steps = 0.0, 0
        for start in range(0, n, batch):
            cost = run_batch(t, barrier, start, min(start + batch, n), average)
            if task == TRAIN and not math.isfinite(cost):
                break
            total += cost
            steps += 1
        if t.first_layer.by_columns:
            copy_panel(plan, t.work, t.first_layer, True)
        wait_for_all(barrier, n_threads)
        if thread == 0:
            store(t)
            if task == PREDICT:
                for row in range(plan[0, P.ROWS]):
                    total += costs[row]
        return steps, total

    return run


run = _make_run(_fingerprint())
