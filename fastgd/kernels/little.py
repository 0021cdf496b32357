"""Little calls: the kernel itself looks at the arrays it is given, and takes those that are plain.

In Python that would take longer than the arithmetic. As `Quick` of csrc's door does.
"""

from __future__ import annotations

import numpy as np

from fastgd.backends.compiled import KINDS, PREDICT, Call
from fastgd.kernels.compiling import compiled
from fastgd.kernels.fields import (
    AT,
    DATA,
    FLAGS,
    HALF,
    HEAD,
    KIND,
    KIND_MASK,
    N_DIM,
    SHAPE,
    STEPS,
    TYPE,
    described,
    kind_of_type,
    memory,
    packed,
)
from fastgd.kernels.steps import all_finite

__all__ = ["packed_little", "take"]

#: What follows a `Call` that takes little ones: the most rows; inputs and outputs of the network;
#: whether targets are held to be probabilities; whether numbers of the network's type need no
#: change; what stands for absent classes and targets.
MOST_ROWS, N_IN, N_OUT, PROBABILITIES, AS_SEEN, NO_CLASSES, NO_TARGETS = range(STEPS + 1, STEPS + 8)
#: The types of numbers that are plain: those that inputs may be of, by their codes, and of classes.
TYPES = tuple(map(kind_of_type, (*KINDS, np.dtype("int64"))))
CLASSES = len(KINDS)
#: NumPy's flags of an array that lies in its order, each number at a multiple of its size.
PLAIN = 0x0101

_TASK, _INPUTS, _KIND, _IN_PLACE, _N, _BATCH, _CLASSES, _TARGETS, _OUTPUTS = (
    AT[name]
    for name in (
        "task", "inputs", "kind", "in_place", "n", "batch", "classes", "targets", "outputs",
    )
)  # fmt: skip


def packed_little(
    call: Call, most_rows: int, n_in: int, n_out: int, probabilities: bool
) -> np.ndarray:
    """Return the fields of a `Call` that takes little ones."""
    return packed(
        call, most_rows, n_in, n_out, probabilities, call.in_place, id(call.classes),
        id(call.targets),
    )  # fmt: skip


@compiled
def kind_of(array):
    """Return the code of the kind of number a plain array holds, `CLASSES` for int64, or -1."""
    if array[FLAGS] & PLAIN != PLAIN:
        return -1
    given = memory(array[TYPE], KIND + 1, np.int64)[KIND] & KIND_MASK
    for kind in range(len(TYPES)):
        if given == TYPES[kind]:
            return kind
    return -1


@compiled
def are_finite(data, n, kind):
    """Return whether n numbers at an address are finite."""
    if kind == 0:
        return all_finite(memory(data, n, np.float32))
    if kind == 1:
        return all_finite(memory(data, n, np.float64))
    return True


@compiled
def take_inputs(fields, array, own):
    """Point the call at the rows of an array; return whether they are plain.

    ``own`` is the network's kind: float64 may be too large for float32. What is seen in
    predictions, which are given up then.
    """
    if array[N_DIM] & HALF != 2:
        return False
    shape, kind = memory(array[SHAPE], 2, np.int64), kind_of(array)
    n = shape[0]
    too_large = kind == 1 and own == 0 and fields[_TASK] != PREDICT  # predictions show it
    if not 0 <= kind < CLASSES or too_large or shape[1] != fields[N_IN]:
        return False
    if n < 1 or n > fields[MOST_ROWS]:
        return False
    fields[_KIND], fields[_IN_PLACE] = kind, fields[AS_SEEN] and kind == own
    fields[_N] = fields[_BATCH] = n
    return True


@compiled
def take_classes(fields, array):
    """Return whether an array holds one class for each row."""
    n, n_out = fields[_N], fields[N_OUT]
    if array[N_DIM] & HALF != 1 or kind_of(array) != CLASSES or n_out < 2:
        return False
    if memory(array[SHAPE], 1, np.int64)[0] != n:
        return False
    classes, within = memory(array[DATA], n, np.int64), True
    for i in range(n):
        within &= 0 <= classes[i] < n_out
    return within


@compiled
def take_targets(fields, array, own):
    """Return whether an array holds targets (n, n_out), or (n,) for one output."""
    n, n_out, n_dim = fields[_N], fields[N_OUT], array[N_DIM] & HALF
    if fields[PROBABILITIES] or kind_of(array) != own or n_dim not in (1, 2):
        return False
    shape = memory(array[SHAPE], 2, np.int64)
    if shape[0] != n or (shape[1] if n_dim == 2 else 1) != n_out:
        return False
    return are_finite(array[DATA], n * n_out, own)


@compiled
def take(fields, work, X, Y):
    """Point the call at two arrays, by where their objects lie; return whether both are plain.

    X are inputs. Y is what predictions are written to; else classes, or targets.
    """
    inputs, own = memory(X, HEAD, np.int64), 0 if work.itemsize == 4 else 1
    if not take_inputs(fields, inputs, own):
        return False
    fields[_INPUTS] = X
    if fields[_TASK] == PREDICT:
        fields[_OUTPUTS] = Y
        return True
    if not are_finite(inputs[DATA], fields[_N] * fields[N_IN], fields[_KIND]):
        return False
    given = memory(Y, HEAD, np.int64)
    fields[_CLASSES], fields[_TARGETS] = fields[NO_CLASSES], fields[NO_TARGETS]
    if take_classes(fields, given):
        fields[_CLASSES] = Y
    elif take_targets(fields, given, own):
        fields[_TARGETS] = Y
    else:
        return False
    sums = described(fields, work).sums
    sums[0] = sums[1] = 0
    return True
