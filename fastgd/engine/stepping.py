"""One step at a time, for tools that bring their own loop: `Network.partial_fit`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastgd.engine.inputs import check_examples
from fastgd.engine.runner import Runner
from fastgd.engine.session import Session
from fastgd.engine.state import State
from fastgd.errors import DivergenceError, SettingError, SettingTypeError
from fastgd.rules.optimizers import Optimizer
from fastgd.rules.schedules import Clock

__all__ = ["Stepper"]


#: How many steps' settings are computed at once.
AHEAD = 64


class Stepper:
    """An optimizer stepping one network."""

    def __init__(self, runner: Runner, optimizer: Optimizer, state: State):
        self.runner, self.optimizer, self.state = runner, optimizer, state
        self._quick: tuple[Any, Any] | None = None
        self._first, self._rows = 0, np.empty(0)

    def step(self, X: Any, y: Any, sample_weight: Any, class_weight: Any) -> float:
        """Step on one mini-batch; return its cost before the step."""
        plain = sample_weight is None and class_weight is None
        begun = self.optimizer is self.state.optimizer  # a first step may yet be refused
        quick = self._quick_steps() if plain and begun else None
        if quick:
            total = quick.step(X, y, *self._settings())
            if total is not None:
                return self._quick_result(quick, total, len(X))
        architecture = self.runner.architecture
        examples = check_examples(X, y, architecture, sample_weight)
        examples = examples.by_class(class_weight, architecture)
        check_finite(self.state.parameters)
        session = Session(
            self.runner, self.optimizer, self.state, batch_size=len(examples), shuffle=False
        )
        made = session.advance(examples)
        self.optimizer = session.optimizer
        average = self.runner.architecture.loss.batch_average
        return made.cost / made.weight if average and made.weight else made.cost

    def _settings(self) -> tuple[np.ndarray, int, int]:
        """Return the step's row of settings, and its seed and number for dropout."""
        step = self.state.step
        if not self._first <= step < self._first + len(self._rows):  # one row costs as much as many
            self._first = step
            with np.errstate(over="ignore"):  # a rate too large for float32: the step tells
                rows = self.optimizer.table(step, AHEAD).astype(self.state.parameters.dtype)
            self._rows = rows
        table = self._rows[step - self._first]
        draws = self.runner.architecture.has_dropout
        return table, self.state.seed if draws else 0, self.state.step

    def _quick_result(self, quick: Any, total: float, n: int) -> float:
        if not math.isfinite(total):
            self._quick = None  # its memory may hold what is not finite
            rate = self.optimizer.schedule.rates(np.array([self.state.step]), Clock())[0]
            raise DivergenceError(
                f"the cost became NaN or infinite at learning rate {rate:g}",
                1,
                rate,
                advice=f"a learning rate of {min(rate / 10, 0.1):g} or less",
            )
        self.state.step += 1
        return total / n if self.runner.architecture.loss.batch_average else total

    def _quick_steps(self) -> Any:
        """Return what steps with little overhead, if the backend has it."""
        module = self.runner.backend()
        if self._quick is None or self._quick[0] is not module:
            make = getattr(module, "quick", None)
            state = self.state
            with np.errstate(over="ignore"):
                steps = make and make(
                    self.runner.architecture,
                    state.parameters,
                    state.slots,
                    self.optimizer.update,
                    self.optimizer.table(0, 1),
                )
            self._quick = (module, steps)
        return self._quick[1]


def check_finite(parameters: np.ndarray) -> None:
    """Raise ValueError unless every parameter is finite."""
    finite = np.isfinite(parameters)
    if not finite.all():
        index = int(np.argmin(finite))
        raise ValueError(
            f"the network's parameters must be finite; parameters[{index}] is {parameters[index]}"
        )


def check_parameters(values: Any, n: int, dtype: str) -> np.ndarray:
    """Return values as n finite parameters of that dtype, or raise."""
    given = np.asarray(values)
    if given.shape != (n,):
        raise SettingError("parameters", f"must have shape ({n},); got shape {given.shape}")
    if given.dtype.kind not in "biuf":
        raise SettingTypeError("parameters", f"must be real numbers; got dtype {given.dtype}")
    with np.errstate(over="ignore"):
        converted = given.astype(dtype)
    finite = np.isfinite(converted)
    if not finite.all():
        index = int(np.argmin(finite))
        raise SettingError("parameters", f"must be finite; parameters[{index}] is {given[index]}")
    return converted
