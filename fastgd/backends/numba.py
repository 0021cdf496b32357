"""The Numba backend: hands a call to the kernel, and the kernel to a team of threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import empty, ndarray

from fastgd.backends.compiled import Call, Compiled
from fastgd.backends.team import run_team
from fastgd.kernels.entries import kernel_for
from fastgd.kernels.fields import AT, STEPS, packed
from fastgd.kernels.little import packed_little

__all__ = ["forward", "loss_and_gradient", "train"]


class Packed:
    """A `Call` as the kernel gets it. Threads of a team run it together."""

    def __init__(self, call: Call):
        self._call = call  # keeps the arrays alive
        self._fields, self._kernel = packed(call), kernel_for(call.work.dtype)

    def run(self, thread: int) -> tuple[int, float]:
        """Run one thread's part; return the steps made and the sum of costs."""
        total = self._kernel(self._fields, self._call.work, thread, 0, 0)
        return self._fields.item(STEPS), total


def _bind(call: Call) -> Callable[[], tuple[int, float]]:
    run = Packed(call).run

    def alone() -> tuple[int, float]:
        return Packed(call._replace(n_threads=1)).run(0)

    return lambda: run_team(run, call.n_threads, call.barrier, alone)


class Quick:
    """Little calls on one network: a few rows, plain arrays, no work but the kernel's.

    `predict` and `step` return None for whatever is not plain; the caller then takes the long way,
    which also finds the words for what is wrong.
    """

    def __init__(
        self, call: Call, most_rows: int, n_in: int, n_out: int, probabilities: bool,
        output_columns: tuple[np.ndarray, np.ndarray] | None,
    ):  # fmt: skip
        self._call, self._most_rows, self._n_out = call, most_rows, n_out
        self._work, self._number, self._columns = call.work, call.work.dtype, output_columns
        self._kernel = kernel_for(self._number)
        # One call at a time works in that memory: who finds nothing here takes the long way.
        self._free = [packed_little(call, most_rows, n_in, n_out, probabilities)]

    def predict(self, X: Any) -> np.ndarray | None:
        """Return the outputs, or None."""
        if type(X) is not ndarray or X.ndim != 2 or (n := len(X)) > self._most_rows:
            return None
        try:
            fields = self._free.pop()
        except IndexError:
            return None
        try:
            outputs = empty((n, self._n_out), self._number)
            total = self._kernel(fields, self._work, 0, id(X), id(outputs))
        finally:  # also after Ctrl-C
            self._free.append(fields)
        if total != total:
            return None
        if self._columns is None:
            return outputs
        shifts, scales = self._columns
        return shifts + scales * outputs

    def step(self, X: Any, y: Any, table: np.ndarray, seed: int, first: int) -> float | None:
        """Make one step; return the sum of the rows' costs (of which NaN made none), or None.

        ``table`` is the step's row of settings, in the network's dtype; seed and the number of the
        first step are dropout's.
        """
        if type(X) is not ndarray or type(y) is not ndarray:
            return None
        if self._columns is not None:
            y = self._as_seen(y, *self._columns)
        try:
            fields = self._free.pop()
        except IndexError:
            return None
        try:
            fields[AT["table"]], fields[AT["first_step"]] = id(table), first
            fields[AT["seed_low"]], fields[AT["seed_high"]] = seed & 0xFFFFFFFF, seed >> 32
            total = self._kernel(fields, self._work, 0, id(X), id(y))
            steps = fields.item(STEPS)
        finally:
            self._free.append(fields)
        if steps < 0:
            return None
        return total if steps else math.nan  # neither parameters nor slots were written

    def _as_seen(self, y: ndarray, shifts: ndarray, scales: ndarray) -> ndarray:
        """Return targets as the network sees them; of what it does not take, nothing."""
        flat = self._n_out == 1 and y.ndim == 1
        if y.dtype.kind != "f" or not (flat or y.shape[1:] == (self._n_out,)):
            return empty(0)
        with np.errstate(over="ignore"):
            return ((y.reshape(-1, self._n_out) - shifts) / scales).astype(self._number)


_backend = Compiled(_bind, Quick)
forward, loss_and_gradient, train = (
    _backend.forward,
    _backend.loss_and_gradient,
    _backend.train,
)
repeated, quick = _backend.repeated, _backend.quick  # not of the three: for speed alone
