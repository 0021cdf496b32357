"""The native backend: hands a call to the C kernels of csrc/, built in ``_native``.

Rules that are in Python alone are not in the kernels: where a network has one, its calls go to the
next backend that works.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from fastgd.backends import _native, backend  # type: ignore[attr-defined]
from fastgd.backends.compiled import Call, Compiled
from fastgd.backends.team import run_team
from fastgd.engine import sparse
from fastgd.engine.architecture import Architecture
from fastgd.engine.rows import Rows
from fastgd.rules.update import Update
from fastgd.rules.updates import GradientDescent

__all__ = ["forward", "loss_and_gradient", "train"]

#: The instruction tier in use, and all this processor runs.
TIER, TIERS = _native.TIER, _native.TIERS

sparse.fill = _native.compress


def _bind(call: Call) -> Callable[[], tuple[int, float]]:
    run = _native.Call(call).run

    def alone() -> tuple[int, float]:
        return _native.Call(call._replace(n_threads=1)).run(0)

    return lambda: run_team(run, call.n_threads, call.barrier, alone)


def _little(call: Call, *limits: Any) -> _native.Quick:
    return _native.Quick(_native.Call(call), *limits)


_backend = Compiled(_bind, _little)


def covers(architecture: Architecture, update: type[Update] = GradientDescent) -> bool:
    """Return whether the kernels have all rules of an architecture and an update."""
    return _covers(architecture, update.name)


@lru_cache(maxsize=64)
def _covers(architecture: Architecture, update: str) -> bool:
    rules = _native.RULES
    activations = {rule.name for rule in architecture.rules}
    return (
        activations <= set(rules["activation"])
        and architecture.loss.name in rules["loss"]
        and update in rules["update"]
    )


def _for(architecture: Architecture, update: type[Update] = GradientDescent) -> Any:
    """Return what computes a network: the kernels, or the next backend."""
    return _backend if covers(architecture, update) else _next()


def _next() -> ModuleType:
    try:
        return backend("numba")
    except ValueError:
        return backend("numpy")


def forward(architecture: Architecture, *args: Any) -> bool:
    """Write the network's outputs for the rows of X; return whether X is finite."""
    return _for(architecture).forward(architecture, *args)


def loss_and_gradient(architecture: Architecture, *args: Any, **kwargs: Any) -> float:
    """Return the sum of the rows' costs, and add their gradients to ``gradient``."""
    return _for(architecture).loss_and_gradient(architecture, *args, **kwargs)


def train(
    architecture: Architecture,
    parameters: np.ndarray,
    slots: np.ndarray,
    rows: Rows,
    batch_size: int,
    update: type[Update],
    *args: Any,
    **kwargs: Any,
) -> tuple[int, float]:
    """Step once for each mini-batch of the rows."""
    return _for(architecture, update).train(
        architecture, parameters, slots, rows, batch_size, update, *args, **kwargs
    )


def repeated(
    architecture: Architecture, parameters: np.ndarray, slots: np.ndarray, rows: Rows,
    batch_size: int, update: type[Update], *args: Any,
) -> Callable[[np.ndarray], tuple[int, float]] | None:  # fmt: skip
    """Return `train` on these arrays as a function of the table, if what computes them has it."""
    make = getattr(_for(architecture, update), "repeated", None)
    return make and make(architecture, parameters, slots, rows, batch_size, update, *args)


def quick(
    architecture: Architecture,
    parameters: np.ndarray,
    slots: np.ndarray | None = None,
    update: type[Update] = GradientDescent,
    *args: Any,
) -> _native.Quick | None:
    """Return what makes little calls on these parameters: see `Compiled.quick`."""
    if not covers(architecture, update):
        return None
    return _backend.quick(architecture, parameters, slots, update, *args)
