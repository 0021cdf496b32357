"""What the compiled backends share: from the arrays of a call to the arguments of a kernel.

A compiled backend is one function ``call(task, memory, arguments...)``, made into the three of
`fastgd.backends` by `Compiled`. Numba's and C's kernels take the same arguments under the same
names; csrc/task.h says what each is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.backends.plan import Memory, Plan, plan_for
from fastgd.backends.sparse import Sparse, mostly_zeros
from fastgd.rules.optimizers import N_SETTINGS, UPDATES, GradientDescent, Settings, Update

__all__ = ["COST", "GRADIENT", "NOTHING", "PREDICT", "TRAIN", "Call", "Compiled", "call_for"]

Array = np.ndarray

#: What a call may do.
PREDICT, COST, GRADIENT, TRAIN = range(4)
KINDS = {np.dtype(name): code for code, name in enumerate(("float32", "float64", "uint8"))}
NOTHING = np.empty(0, dtype=np.int64)
#: Fewer rows are not worth looking at for zeros to leave out.
LOOK_ROWS = 256
#: Rows computed at once where there is no mini-batch: they fill the tiles and stay in cache.
BLOCK = 64


class Call(NamedTuple):
    """The arguments of a kernel, in its order, but for the thread."""

    task: int
    plan: Array
    work: Array
    flat: Array
    slots: Array
    inputs: Array
    pointers: Array
    columns: Array
    gathered: Array
    lengths: Array
    kind: int
    scale: float
    order: Array
    n: int
    batch: int
    classes: Array
    targets: Array
    outputs: Array
    average: bool
    linear: bool
    update: int
    settings: Settings
    costs: Array
    n_threads: int
    barrier: Array


class Compiled:
    """The three functions of a backend, from what runs a `Call` and returns (steps, total)."""

    def __init__(self, run: Callable[[Call], tuple[int, float]]):
        self._run_call = run

    def forward(
        self,
        architecture: Architecture,
        parameters: Array,
        X: Array | Sparse,
        outputs: Array,
        n_threads: int = 1,
    ) -> bool:
        """Write the network's outputs for the rows of X; return whether X is finite."""
        return not math.isnan(
            self._run_all(
                PREDICT, architecture, parameters, X, NOTHING, outputs.reshape(-1), n_threads
            )
        )

    def loss_and_gradient(
        self,
        architecture: Architecture,
        parameters: Array,
        X: Array | Sparse,
        Y: Array,
        gradient: Array | None,
        n_threads: int = 1,
    ) -> float:
        """Return the sum of the costs of the rows of X, and add their gradients to ``gradient``."""
        task = COST if gradient is None else GRADIENT
        outputs = parameters[:0] if gradient is None else gradient
        return self._run_all(task, architecture, parameters, X, Y, outputs, n_threads)

    def train(
        self,
        architecture: Architecture,
        parameters: Array,
        slots: Array,
        X: Array | Sparse,
        order: Array,
        Y: Array,
        batch_size: int,
        update: type[Update],
        settings: Settings,
        n_threads: int = 1,
    ) -> tuple[int, float]:
        """Step once for each mini-batch of the rows ``order`` of X."""
        batch_size = min(batch_size, len(order))
        plan = plan_for(architecture, batch_size, len(slots), False, _width(X), n_threads)
        return self._run(
            TRAIN, architecture, plan, parameters, slots, X, order, len(order), batch_size, Y,
            parameters[:0], update, settings,
        )  # fmt: skip

    def _run_all(
        self,
        task: int,
        architecture: Architecture,
        parameters: Array,
        X: Array | Sparse,
        Y: Array,
        outputs: Array,
        n_threads: int,
    ) -> float:
        """Do a task over all rows of X in their order; return the sum of their costs."""
        n = len(X)
        rows = min(BLOCK * (4 if task == GRADIENT else n_threads), 1 << (n - 1).bit_length())
        width = _width(X)
        if not isinstance(X, Sparse) and n >= LOOK_ROWS and mostly_zeros(X, 16):
            width = architecture.n_inputs
        plan = plan_for(architecture, rows, 0, task == GRADIENT, width, n_threads)
        no_slots = parameters[:0].reshape(0, parameters.size)
        return self._run(
            task, architecture, plan, parameters, no_slots, X, NOTHING, n, n, Y, outputs,
            GradientDescent, (0.0,) * N_SETTINGS,
        )[1]  # fmt: skip

    def _run(
        self,
        task: int,
        architecture: Architecture,
        plan: Plan,
        parameters: Array,
        slots: Array,
        X: Array | Sparse,
        order: Array,
        n: int,
        batch_size: int,
        Y: Array,
        outputs: Array,
        update: type[Update],
        settings: Settings,
    ) -> tuple[int, float]:
        memory = plan.borrow()
        call = call_for(
            task, architecture, plan, memory, parameters, slots, X, order, n, batch_size, Y,
            outputs, update, settings,
        )  # fmt: skip
        result = self._run_call(call)
        plan.release(memory)
        return result


def call_for(
    task: int,
    architecture: Architecture,
    plan: Plan,
    memory: Memory,
    parameters: Array,
    slots: Array,
    X: Array | Sparse,
    order: Array,
    n: int,
    batch_size: int,
    Y: Array,
    outputs: Array,
    update: type[Update],
    settings: Settings,
) -> Call:
    """Return the arguments of one call, to work in that memory."""
    classes, targets = (Y, parameters[:0]) if Y.ndim == 1 else (NOTHING, Y.reshape(-1))
    bytes_, pointers, columns, kind = _inputs(X, memory)
    return Call(
        task, plan.table, memory.work, parameters, slots, bytes_, pointers, columns,
        memory.gathered, memory.lengths, kind, architecture.input_scale, order, n, batch_size,
        classes, targets, outputs, architecture.loss_rule.batch_average and task == TRAIN,
        update.linear, UPDATES.code(update.name), settings, memory.costs, plan.n_threads,
        memory.barrier,
    )  # fmt: skip


def _width(X: Array | Sparse) -> int:
    """Return the most numbers a row has, for sparse inputs; 0 for dense ones."""
    return X.width if isinstance(X, Sparse) else 0


def _inputs(X: Array | Sparse, memory: Memory) -> tuple[Array, Array, Array, int]:
    """Return the bytes of the numbers, where rows begin, their columns, and the kind of number."""
    if isinstance(X, Sparse):
        return X.values.view(np.uint8), X.pointers, X.columns, KINDS[X.values.dtype]
    return X.reshape(-1).view(np.uint8), NOTHING, memory.gathered, KINDS[X.dtype]
