"""The Numba backend: hands the arrays of `fastgd.backends`' three functions to the kernels."""

from __future__ import annotations

import numpy as np

from fastgd.architecture import Architecture
from fastgd.backends.plan import Plan, plan_for
from fastgd.kernels import entries as kernel
from fastgd.optimizers import N_SETTINGS, UPDATES, GradientDescent, Settings, Update

__all__ = ["forward", "loss_and_gradient", "train"]

Array = np.ndarray

KINDS = {"float32": 0, "float64": 1, "uint8": 2}
NOTHING = np.empty(0, dtype=np.int64)
#: Rows computed at once where there is no mini-batch: they fill the tiles and stay in cache.
BLOCK = 64


def forward(architecture: Architecture, parameters: Array, X: Array, outputs: Array) -> None:
    """Write the network's outputs for the rows of X."""
    _run_all(kernel.PREDICT, architecture, parameters, X, NOTHING, outputs.reshape(-1))


def loss_and_gradient(
    architecture: Architecture, parameters: Array, X: Array, Y: Array, gradient: Array | None
) -> float:
    """Return the sum of the costs of the rows of X, and add their gradients to ``gradient``."""
    if gradient is None:
        return _run_all(kernel.COST, architecture, parameters, X, Y, parameters[:0])
    return _run_all(kernel.GRADIENT, architecture, parameters, X, Y, gradient)


def train(
    architecture: Architecture,
    parameters: Array,
    slots: Array,
    X: Array,
    order: Array,
    Y: Array,
    batch_size: int,
    update: type[Update],
    settings: Settings,
) -> tuple[int, float]:
    """Step once for each mini-batch of the rows ``order`` of X."""
    batch_size = min(batch_size, len(order))
    plan = plan_for(architecture, batch_size, len(slots), False)
    return _run(
        kernel.TRAIN, architecture, plan, parameters, X, order, len(order), batch_size, Y,
        parameters[:0], slots, update, settings,
    )  # fmt: skip


def _run_all(
    task: int, architecture: Architecture, parameters: Array, X: Array, Y: Array, outputs: Array
) -> float:
    """Do a task over all rows of X in their order; return the sum of their costs."""
    n = len(X)
    rows = min(BLOCK, 1 << (n - 1).bit_length())
    plan = plan_for(architecture, rows, 0, task == kernel.GRADIENT)
    no_slots = parameters[:0].reshape(0, parameters.size)
    return _run(
        task, architecture, plan, parameters, X, NOTHING, n, n, Y, outputs, no_slots,
        GradientDescent, (0.0,) * N_SETTINGS,
    )[1]  # fmt: skip


def _run(
    task: int,
    architecture: Architecture,
    plan: Plan,
    parameters: Array,
    X: Array,
    order: Array,
    n: int,
    batch_size: int,
    Y: Array,
    outputs: Array,
    slots: Array,
    update: type[Update],
    settings: Settings,
) -> tuple[int, float]:
    number = parameters.dtype.type
    classes, targets = (Y, parameters[:0]) if Y.ndim == 1 else (NOTHING, Y.reshape(-1))
    work = plan.borrow()
    result = kernel.run(
        task, plan.table, work, parameters, X.reshape(-1).view(np.uint8), KINDS[X.dtype.name],
        number(architecture.input_scale), order, n, batch_size, classes, targets, outputs, slots,
        architecture.loss_rule.batch_average and task == kernel.TRAIN, update.linear,
        UPDATES.code(update.name), tuple(number(setting) for setting in settings),
    )  # fmt: skip
    plan.release(work)
    return result
