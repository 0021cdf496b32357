"""The Numba backend: hands a call's arrays to the kernel, and the kernel to a team of threads."""

from __future__ import annotations

from fastgd.backends.compiled import Call, Compiled
from fastgd.backends.team import run_team
from fastgd.kernels import entries

__all__ = ["forward", "loss_and_gradient", "train"]


def _run(call: Call) -> tuple[int, float]:
    number = call.work.dtype.type
    scale, settings = number(call.scale), tuple(map(number, call.settings))
    arguments = call._replace(scale=scale, settings=settings)
    return run_team(lambda thread: entries.run(*arguments, thread), call.n_threads)


_backend = Compiled(_run)
forward, loss_and_gradient, train = (
    _backend.forward,
    _backend.loss_and_gradient,
    _backend.train,
)
