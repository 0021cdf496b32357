"""What the compiled backends share: from the arrays of a call to the arguments of a kernel.

A compiled backend is one function that runs a `Call`, made into the three of `fastgd.backends` by
`Compiled`. csrc/call.h has its fields in the same order; Numba's kernel makes it of integers again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastgd.backends.plan import Memory, Plan, plan_for
from fastgd.engine.architecture import Architecture
from fastgd.engine.rows import Rows
from fastgd.engine.scaling import seen_as_finite
from fastgd.engine.sparse import Sparse, mostly_zeros
from fastgd.rules.dropout import Draw
from fastgd.rules.optimizers import UPDATES, GradientDescent
from fastgd.rules.update import CLIP_NORM, CLIP_VALUE, COLUMNS, MAX_NORM, Update

__all__ = [
    "COST", "GRADIENT", "NOTHING", "PREDICT", "SMALL_ROWS", "TRAIN", "Call", "Compiled", "call_for",
]  # fmt: skip

Array = np.ndarray

#: What a call may do.
PREDICT, COST, GRADIENT, TRAIN = range(4)
KINDS = {np.dtype(name): code for code, name in enumerate(("float32", "float64", "uint8"))}
NOTHING = np.empty(0, dtype=np.int64)
NO_NUMBERS = np.empty(0)
NO_STEPS = np.empty((0, 2, len(COLUMNS) + 1))
NO_DRAW = Draw(0, 0)
#: The common columns of a step without penalties and limits.
NO_LIMITS = [1.0, 0.0, 0.0, math.inf, math.inf, math.inf]
#: Beside an epsilon below this, slots too small to be normal in float32 count.
SMALL_EPSILON = 1e-18
#: Fewer rows are not worth looking at for zeros to leave out.
LOOK_ROWS = 256
#: Little calls have up to so many rows; predictions of so many need no weights in padded rows.
QUICK_ROWS, SMALL_ROWS = 64, 4
#: Rows computed at once where there is no mini-batch: they fill the tiles and stay in cache.
BLOCK = 64


class Call(NamedTuple):
    """What a kernel does, and over which arrays: all its threads get the same.

    Empty arrays stand for what is absent. ``number`` is the network's float32 or float64.
    """

    task: int  # PREDICT, COST, GRADIENT or TRAIN
    plan: Array  # (n_layers + 1, N_COLUMNS) int64: see `fastgd.backends.plan`
    work: Array  # number: the working memory
    flat: Array  # (n_parameters,) number: parameters
    n_parameters: int
    slots: Array  # (n_slots * n_parameters,) number: the optimizer's state
    n_slots: int
    inputs: Array  # (any * n_in,) of `kind`; or, sparse, the values
    pointers: Array  # int64; sparse: where each row begins and the last ends
    columns: Array  # int32; sparse: the column of each value, ascending in a row
    gathered: Array  # (ROWS * LD_X,) int32; sparse: columns of the block's rows
    lengths: Array  # ((1 + n_threads) * ROWS,) int32; sparse: their lengths, then cursors
    marks: Array  # (n_threads * MARKED_COLUMNS * words,) int64; sparse: for each of some columns
    # which rows, 64 a word, have a number in it
    places: Array  # (ROWS,) int64: where each row of the block begins: among the inputs, or copied
    in_place: int  # whether the block's inputs are read where they lie, and not copied
    kind: int  # of the inputs: 0 float32, 1 float64, 2 uint8
    scale: float  # number: what inputs are multiplied by; not where columns differ:
    shifts: Array  # (n_in,) float64: what is taken off each column, or absent
    scales: Array  # (n_in,) float64: what each is multiplied by then, in float64
    order: Array  # (n,) int64: rows visited; absent: all in their order
    n: int  # visits
    batch: int  # visits in a mini-batch
    classes: Array  # (n,) int64: one for each visit; or absent
    targets: Array  # (n * n_out,) number; or absent
    weights: Array  # (n,) number: what each visit counts; absent: 1
    outputs: Array  # number: predictions, or the gradient
    average: int  # whether a batch's gradient is divided by the sum of its weights
    share: float  # float64: 1 / n_out where the cost is averaged over outputs, else 1
    penalties: Array  # (n_steps,) float64: what each step's cost has for |W|^2; or absent
    sums: Array  # (2,) float64: the costs are added to it, a sum and what it rounded off
    exact: int  # whether steps count numbers too small to be normal, where that is slow
    update: int  # the update rule's code
    linear: int  # whether it is w <- shrink w - rate g, and nothing else
    by_norm: int  # whether the gradient's norm is limited in any step
    limited: int  # whether the weights' lengths are limited in any step
    table: Array  # (n_steps * 2 * n_columns,) number: see `Optimizer.table`
    n_columns: int
    seed_low: int  # of dropout: the lower and upper 32 bits of its seed
    seed_high: int
    first_step: int  # the step, and the row of its batch, at which the call begins
    first_row: int
    costs: Array  # (ROWS,) float64: the cost of each row of the block; predictions: 0 or NaN
    n_threads: int
    barrier: Array  # (16,) int64: two counters, each on a cache line of its own


class Compiled:
    """The functions of a backend, from what makes of a `Call` a function that runs it.

    That function returns (steps, total), and may be called again. ``little`` makes of a `Call` what
    makes little ones, again and again: it gets the most rows, the numbers of inputs and outputs,
    whether targets are held to be probabilities, and the columns that outputs are scaled by.
    """

    def __init__(
        self, bind: Callable[[Call], Callable[[], tuple[int, float]]], little: Callable[..., Any]
    ):
        self._bind, self._little = bind, little

    def forward(
        self,
        architecture: Architecture,
        parameters: Array,
        X: Array | Sparse,
        outputs: Array,
        n_threads: int = 1,
    ) -> bool:
        """Write the network's outputs for the rows of X; return whether X is finite."""
        rows = Rows(X, NOTHING)
        plan = self._plan_for_all(architecture, rows, n_threads)
        total = self._run(
            PREDICT, architecture, plan, parameters, rows, outputs=outputs.reshape(-1)
        )[1]
        # A sum of inputs that is not finite may be one too large of inputs that are.
        return not math.isnan(total) or seen_as_finite(architecture, X)

    def loss_and_gradient(
        self,
        architecture: Architecture,
        parameters: Array,
        rows: Rows,
        gradient: Array | None,
        n_threads: int = 1,
        draw: Draw | None = None,
    ) -> float:
        """Return the sum of the rows' costs, and add their gradients to ``gradient``."""
        plan = self._plan_for_all(architecture, rows, n_threads, gradient is not None, draw)
        task = COST if gradient is None else GRADIENT
        return self._run(task, architecture, plan, parameters, rows, outputs=gradient, draw=draw)[1]

    def train(
        self,
        architecture: Architecture,
        parameters: Array,
        slots: Array,
        rows: Rows,
        batch_size: int,
        update: type[Update],
        table: Array,
        n_threads: int = 1,
        draw: Draw | None = None,
        penalties: Array | None = None,
        sums: Array | None = None,
    ) -> tuple[int, float]:
        """Step once for each mini-batch of the rows."""
        batch_size = min(batch_size, len(rows))
        plan = _plan_to_train(architecture, slots, rows, batch_size, table, n_threads, draw)
        return self._run(
            TRAIN, architecture, plan, parameters, rows, slots=slots, batch_size=batch_size,
            update=update, table=table, draw=draw, penalties=penalties, sums=sums,
        )  # fmt: skip

    def repeated(
        self,
        architecture: Architecture,
        parameters: Array,
        slots: Array,
        rows: Rows,
        batch_size: int,
        update: type[Update],
        table: Array,
        n_threads: int = 1,
        penalties: Array | None = None,
    ) -> Callable[[Array], tuple[int, float]]:
        """Return `train` on these arrays, whatever they then hold, as a function of the table.

        Its columns that are 0 or infinite in ``table`` must stay so.
        """
        batch_size = min(batch_size, len(rows))
        plan = _plan_to_train(architecture, slots, rows, batch_size, table, n_threads, None)
        call = call_for(
            TRAIN, architecture, plan, plan.allocate(), parameters, rows, slots=slots,
            batch_size=batch_size, update=update, table=table, penalties=penalties,
        )  # fmt: skip
        run, own, sums = self._bind(call), call.table.reshape(table.shape), call.sums

        def train(table: Array) -> tuple[int, float]:
            own[:], sums[:] = table, 0
            return run()

        return train

    def quick(
        self,
        architecture: Architecture,
        parameters: Array,
        slots: Array | None = None,
        update: type[Update] = GradientDescent,
        table: Array = NO_STEPS,
    ) -> Any:
        """Return what makes little calls on these parameters: predictions, or with slots steps.

        ``table`` is a row of settings like those of the steps: which limits there are.
        """
        stepping, n_in = slots is not None, architecture.n_inputs
        plan = plan_for(
            architecture, QUICK_ROWS, 0 if slots is None else len(slots), bool(by_norm(table)),
            dropout=stepping and architecture.has_dropout,
        )  # fmt: skip
        X = np.zeros((QUICK_ROWS, n_in), dtype=parameters.dtype)
        call = call_for(
            TRAIN if stepping else PREDICT, architecture, plan, plan.allocate(), parameters,
            Rows(X, NOTHING), slots=slots, update=update, table=table,
        )  # fmt: skip
        loss = architecture.loss
        free = loss.minimum is None and loss.maximum is None and not architecture.output.row_wise
        return self._little(
            call, QUICK_ROWS, n_in, architecture.n_outputs, not free, architecture.output_columns
        )

    def _plan_for_all(
        self,
        architecture: Architecture,
        rows: Rows,
        n_threads: int,
        gradient: bool = False,
        draw: Draw | None = None,
    ) -> Plan:
        """Return the plan to go through all rows in, as if they were one batch."""
        n = len(rows)
        block = min(BLOCK * (4 if gradient else n_threads), 1 << (n - 1).bit_length())
        width = _width(rows.X)
        looks = n >= LOOK_ROWS and not architecture.shifts_inputs
        if looks and not isinstance(rows.X, Sparse) and mostly_zeros(rows.X, 16):
            width = architecture.n_inputs
        return plan_for(architecture, block, 0, gradient, width, n_threads, draw is not None)

    def _run(
        self, task: int, architecture: Architecture, plan: Plan, parameters: Array, rows: Rows,
        **kwargs: Any,
    ) -> tuple[int, float]:  # fmt: skip
        memory = plan.borrow()
        call = call_for(task, architecture, plan, memory, parameters, rows, **kwargs)
        steps, total = self._bind(call)()
        # A step that is not finite may have spoilt the padding, which must be 0: it is not kept.
        made = task != TRAIN or steps == math.ceil(call.n / call.batch)
        if made and (task != TRAIN or np.isfinite(parameters).all()):
            plan.release(memory)
        return steps, total


def _plan_to_train(
    architecture: Architecture, slots: Array, rows: Rows, batch_size: int, table: Array,
    n_threads: int, draw: Draw | None,
) -> Plan:  # fmt: skip
    return plan_for(
        architecture, batch_size, len(slots), bool(by_norm(table)), _width(rows.X), n_threads,
        draw is not None,
    )  # fmt: skip


def call_for(
    task: int,
    architecture: Architecture,
    plan: Plan,
    memory: Memory,
    parameters: Array,
    rows: Rows,
    *,
    slots: Array | None = None,
    batch_size: int = 0,
    outputs: Array | None = None,
    update: type[Update] = GradientDescent,
    table: Array = NO_STEPS,
    draw: Draw | None = None,
    penalties: Array | None = None,
    sums: Array | None = None,
) -> Call:
    """Return the arguments of one call, to work in that memory."""
    nothing = parameters[:0]
    classes, targets = (rows.Y, nothing) if rows.Y.ndim == 1 else (NOTHING, rows.Y.reshape(-1))
    inputs, pointers, columns, kind = _inputs(rows.X, memory)
    columns_scaled = architecture.input_columns
    shifts, scales = columns_scaled or (NO_NUMBERS, NO_NUMBERS)
    seed, first_step, first_row = draw or NO_DRAW
    loss = architecture.loss
    return Call(
        task=task,
        plan=plan.table,
        work=memory.work,
        flat=parameters,
        n_parameters=len(parameters),
        slots=nothing if slots is None else slots.reshape(-1),
        n_slots=0 if slots is None else len(slots),
        inputs=inputs,
        pointers=pointers,
        columns=columns,
        gathered=memory.gathered,
        lengths=memory.lengths,
        marks=memory.marks,
        places=memory.places,
        in_place=int(_is_as_seen(rows.X, architecture, plan)),
        kind=kind,
        scale=parameters.dtype.type(1 if columns_scaled else architecture.input_scale),
        shifts=shifts,
        scales=scales,
        order=NOTHING if rows.order is None else rows.order,
        n=len(rows),
        batch=batch_size or len(rows),
        classes=classes,
        targets=targets,
        weights=nothing if rows.weights is None else rows.weights,
        outputs=nothing if outputs is None else outputs,
        average=int(loss.batch_average and task == TRAIN),
        share=1 / architecture.n_outputs if loss.output_average else 1.0,
        penalties=NO_NUMBERS if penalties is None else penalties,
        sums=np.zeros(2) if sums is None else sums,
        **_stepping(update, table, parameters.dtype),
        seed_low=seed & 0xFFFFFFFF,
        seed_high=seed >> 32,
        first_step=first_step,
        first_row=first_row,
        costs=memory.costs,
        n_threads=plan.n_threads,
        barrier=memory.barrier,
    )


def _is_as_seen(X: Array | Sparse, architecture: Architecture, plan: Plan) -> bool:
    """Return whether the inputs are those the first layer multiplies, as they lie in memory."""
    changed = architecture.input_columns or architecture.input_scale != 1 or plan.dropout[0]
    numbers = X.values if isinstance(X, Sparse) else X
    alike = numbers.dtype == plan.dtype and isinstance(X, Sparse) == plan.sparse
    return not changed and alike


def _stepping(update: type[Update], table: Array, dtype: np.dtype) -> dict[str, Any]:
    """Return the fields of a `Call` that say how its steps go."""
    return {
        "update": UPDATES.code(update.name),
        "linear": int(is_linear(update, table)),
        "by_norm": by_norm(table),
        "exact": has_small_epsilon(update, table),
        "limited": int(common_of(table)[MAX_NORM] < math.inf),
        "table": table.astype(dtype).reshape(-1),
        "n_columns": table.shape[-1],
    }


def common_of(table: Array) -> list[float]:
    """Return the common columns of weights in the first row.

    But for shrink, what is 0 or infinite there is so in all rows.
    """
    return table[0, 0, : len(COLUMNS)].tolist() if len(table) else NO_LIMITS


def is_linear(update: type[Update], table: Array) -> bool:
    """Return whether every step is w <- shrink w - rate g, and nothing else."""
    _, l1, l2, *limits = common_of(table)
    return update.linear and not l1 and not l2 and limits == NO_LIMITS[CLIP_VALUE:]


def has_small_epsilon(update: type[Update], table: Array) -> int:
    """Return 1 where the rule divides by hardly more than what it has gathered, else 0."""
    if "epsilon" not in update.columns or not len(table):
        return 0
    column = len(COLUMNS) + update.columns.index("epsilon")
    return int(table[0, 0, column] < SMALL_EPSILON)


def by_norm(table: Array) -> int:
    """Return 1 where the gradient's norm is limited, else 0."""
    return int(common_of(table)[CLIP_NORM] < math.inf)


def _width(X: Array | Sparse) -> int:
    """Return the most numbers a row has, for sparse inputs; 0 for dense ones."""
    return X.width if isinstance(X, Sparse) else 0


def _inputs(X: Array | Sparse, memory: Memory) -> tuple[Array, Array, Array, int]:
    """Return the numbers, where rows begin, their columns, and the kind of number."""
    if isinstance(X, Sparse):
        return X.values, X.pointers, X.columns, KINDS[X.values.dtype]
    return X.reshape(-1), NOTHING, memory.gathered, KINDS[X.dtype]
