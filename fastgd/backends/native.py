"""The native backend: hands a call's arrays to the C kernels of csrc/, built in ``_native``."""

from __future__ import annotations

import numpy as np

from fastgd.backends import _native  # type: ignore[attr-defined]
from fastgd.backends.compiled import Call, Compiled
from fastgd.backends.team import run_team

__all__ = ["TIER", "forward", "loss_and_gradient", "train"]

#: The instruction tier in use, and all this processor runs.
TIER, TIERS = _native.TIER, _native.TIERS


def _run(call: Call) -> tuple[int, float]:
    native = _native.Call(*map(_none_if_empty, call))
    return run_team(native.run, call.n_threads)


def _none_if_empty(argument: object) -> object:
    """C tells what is absent by a null pointer."""
    return None if isinstance(argument, np.ndarray) and argument.size == 0 else argument


_backend = Compiled(_run)
forward, loss_and_gradient, train = (
    _backend.forward,
    _backend.loss_and_gradient,
    _backend.train,
)
