"""The Numba backend: hands a call to the kernel, and the kernel to a team of threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgd.backends.compiled import Call, Compiled
from fastgd.backends.team import run_team
from fastgd.kernels import entries

__all__ = ["forward", "loss_and_gradient", "train"]

#: The caller's arrays: whether they are writable is part of their type, and Numba would compile the
#: kernel again for each.
READ_ONLY = (
    "inputs", "pointers", "columns", "shifts", "scales", "order", "classes", "targets", "weights",
    "table", "penalties",
)  # fmt: skip


def _bind(call: Call) -> Callable[[], tuple[int, float]]:
    changed: dict[str, Any] = {name: _read_only(getattr(call, name)) for name in READ_ONLY}
    call = call._replace(**changed)

    def alone() -> tuple[int, float]:
        return entries.run(call._replace(n_threads=1), 0)

    return lambda: run_team(lambda t: entries.run(call, t), call.n_threads, call.barrier, alone)


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


_backend = Compiled(_bind)
forward, loss_and_gradient, train = (
    _backend.forward,
    _backend.loss_and_gradient,
    _backend.train,
)
repeated = _backend.repeated  # not of the three: for speed alone
