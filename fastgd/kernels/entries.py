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
from fastgd.kernels.compiling import OPTIONS, compiled
from fastgd.kernels.steps import (
    backward,
    copy_outputs,
    cost_and_delta,
    descend,
    forward,
    gather,
    gather_targets,
    gradient_and_update,
    load,
    pack,
    store,
    unpack,
)

__all__ = ["COST", "GRADIENT", "PREDICT", "TRAIN", "run"]

PREDICT, COST, GRADIENT, TRAIN = range(4)

PACKAGE = Path(__file__).parents[1]
RULES = ("activations.py", "losses.py", "optimizers.py", "scalar.py", "backends/plan.py")


def _fingerprint() -> str:
    """Return a digest of all that a compiled kernel is made of, except the processor."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for file in [*sorted(PACKAGE.glob("kernels/*.py")), *(PACKAGE / name for name in RULES)]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _compile(function: Callable) -> Callable:
    """Compile an entry, cached on disk where some folder is writable."""
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # no folder to cache in
        return compiled(function)


def _make_run(fingerprint: str) -> Callable:
    @_compile
    def run(
        task, plan, work, flat, X, kind, scale, order, n, batch, classes, targets, outputs,
        slots, average, linear, update, settings,
    ):  # fmt: skip
        """Do a task over n rows of X, in batches; return the steps made and the sum of costs.

        PREDICT writes into ``outputs``, GRADIENT adds to ``outputs``; TRAIN steps once a batch
        and ends before a batch whose cost is not finite.
        """
        fingerprint  # noqa: B018
        load(plan, work, flat, slots)
        if task == GRADIENT:
            pack(plan, outputs, work, plan[0, P.GRADIENT])
        block, total, steps = plan[0, P.ROWS], 0.0, 0
        shrink = work.dtype.type(1) - settings[0] * settings[1]
        for start in range(0, n, batch):
            stop = min(start + batch, n)
            factor = 1.0 / (stop - start) if average else 1.0
            cost = 0.0
            for first in range(start, stop, block):
                m = min(block, stop - first)
                gather(plan, work, X, kind, scale, order, first, m)
                forward(plan, work, m)
                if task == PREDICT:
                    copy_outputs(plan, work, first, m, outputs)
                    continue
                gather_targets(plan, work, classes, targets, first, m)
                cost += cost_and_delta(plan, work, m, factor)
                if task == COST:
                    continue
                if task == TRAIN and not math.isfinite(cost):
                    break
                backward(plan, work, m)
                if task == TRAIN and linear and stop - start <= block:
                    descend(plan, work, m, shrink, settings[0])
                    continue
                keep = task == GRADIENT or stop - start > block
                fresh = task == TRAIN and first == start
                step = task == TRAIN and first + m == stop
                gradient_and_update(plan, work, m, fresh, keep, step, update, settings)
            if task == TRAIN and not math.isfinite(cost):
                break
            total += cost
            steps += 1
        if task == GRADIENT:
            unpack(plan, work, plan[0, P.GRADIENT], outputs)
        if task == TRAIN:
            store(plan, work, flat, slots)
        return steps, total

    return run


run = _make_run(_fingerprint())
