"""The Numba backend: hands a call's arrays to the kernel, and the kernel to a team of threads."""

from __future__ import annotations

import numpy as np

from fastgd.backends.compiled import Call, Compiled
from fastgd.backends.team import run_team
from fastgd.kernels import entries

__all__ = ["forward", "loss_and_gradient", "train"]


def _run(call: Call) -> tuple[int, float]:
    number = call.work.dtype.type
    scale, settings = number(call.scale), tuple(map(number, call.settings))
    arguments = call._replace(
        scale=scale,
        settings=settings,
        inputs=_read_only(call.inputs),
        pointers=_read_only(call.pointers),
        columns=_read_only(call.columns),
        order=_read_only(call.order),
        classes=_read_only(call.classes),
        targets=_read_only(call.targets),
    )
    return run_team(lambda thread: entries.run(*arguments, thread), call.n_threads, call.barrier)


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return a view nobody writes to: whether the caller's array is writable is part of its type,
    and Numba would compile the kernel again for each.
    """
    view = array.view()
    view.flags.writeable = False
    return view


_backend = Compiled(_run)
forward, loss_and_gradient, train = (
    _backend.forward,
    _backend.loss_and_gradient,
    _backend.train,
)
