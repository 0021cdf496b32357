"""The native backend: hands a call's arrays to the C kernels of csrc/, built in ``_native``."""

from __future__ import annotations

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.backends import _native  # type: ignore[attr-defined]
from fastgd.backends.compiled import NOTHING, PREDICT, TRAIN, Call, Compiled, call_for
from fastgd.backends.plan import plan_for
from fastgd.backends.team import run_team
from fastgd.rules.optimizers import N_SETTINGS, GradientDescent, Settings, Update

__all__ = ["forward", "loss_and_gradient", "train"]

#: The instruction tier in use, and all this processor runs.
TIER, TIERS = _native.TIER, _native.TIERS
#: Little calls: predictions of up to so many rows, and mini-batches of up to so many.
SMALL_ROWS, QUICK_ROWS = 4, 64


def _run(call: Call) -> tuple[int, float]:
    native = _native.Call(*map(_none_if_empty, call))
    return run_team(native.run, call.n_threads, call.barrier)


def _none_if_empty(argument: object) -> object:
    """C tells what is absent by a null pointer."""
    return None if isinstance(argument, np.ndarray) and argument.size == 0 else argument


_backend = Compiled(_run)
forward, loss_and_gradient, train = (
    _backend.forward,
    _backend.loss_and_gradient,
    _backend.train,
)


def quick(
    architecture: Architecture,
    parameters: np.ndarray,
    slots: np.ndarray | None = None,
    update: type[Update] = GradientDescent,
    settings: Settings = (0.0,) * N_SETTINGS,
) -> _native.Quick:
    """Return what makes little calls on these parameters: predictions, or with slots steps."""
    rows = SMALL_ROWS if slots is None else QUICK_ROWS
    plan = plan_for(architecture, rows, 0 if slots is None else len(slots))
    no_slots = parameters[:0].reshape(0, parameters.size)
    call = call_for(
        PREDICT if slots is None else TRAIN, architecture, plan, plan.allocate(), parameters,
        no_slots if slots is None else slots, np.zeros((1, architecture.n_inputs), dtype=np.uint8),
        NOTHING, rows, rows, NOTHING, parameters[:0], update, settings,
    )  # fmt: skip
    native = _native.Call(*map(_none_if_empty, call))
    return _native.Quick(
        native, rows, architecture.n_inputs, architecture.n_outputs,
        architecture.loss.probabilities,
    )  # fmt: skip
