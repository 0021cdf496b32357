"""Schedules: the learning rate of every step.

To add one, write a frozen dataclass with a ``learning_rate`` and ``__call__(epoch)``, epoch from 0
and in fractions, and list it in ``SCHEDULES``; ``SGD(learning_rate=...)`` takes a number, a
schedule or a function.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fastgd.rules.checks import check_number
from fastgd.rules.registry import Registry

__all__ = [
    "SCHEDULES", "Clock", "Constant", "Exponential", "InverseScaling", "Schedule", "Step",
    "find_schedule",
]  # fmt: skip

Array = np.ndarray


@dataclass(frozen=True)
class Clock:
    """How steps make epochs, and what has been measured so far.

    Parameters
    ----------
    steps_per_epoch : int, optional
        None where there are no epochs: every step is then of the first.
    epochs : int, optional
        How many will be made in all, where that is known.
    history : mapping of str to list of float
        What was measured after each epoch so far.
    first_step, first_epoch : int
        The step, of all ever made, and the epoch that begin together now.
    """

    steps_per_epoch: int | None = None
    epochs: int | None = None
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    first_step: int = 0
    first_epoch: int = 0

    def epoch(self, steps: Array) -> Array:
        """Return the epoch of steps counted from 0, in fractions."""
        if not self.steps_per_epoch:
            return np.full(len(steps), float(self.first_epoch))
        return self.first_epoch + (steps - self.first_step) / self.steps_per_epoch


def _power(base: float, exponent: float) -> float:
    """Return base to the power exponent, infinity where that is too large."""
    try:
        return float(base) ** float(exponent)
    except OverflowError:
        return math.inf


@dataclass(frozen=True)
class Schedule:
    """A learning rate that changes from epoch to epoch.

    Parameters
    ----------
    learning_rate : float
        The rate of the first epoch, at least 0.
    """

    name: ClassVar[str]
    learning_rate: float

    def __post_init__(self) -> None:
        rate = check_number("learning_rate", self.learning_rate, minimum=0)
        object.__setattr__(self, "learning_rate", rate)

    def __call__(self, epoch: int) -> float:
        """Return the rate of an epoch, counted from 0."""
        raise NotImplementedError

    def rates(self, steps: Array, clock: Clock) -> Array:
        """Return the rate of each step, counted from 0: by default that of its epoch.

        Raises
        ------
        ValueError
            If a rate is NaN, infinite or negative; the message names the step.
        """
        epochs = np.floor(clock.epoch(steps)).astype(np.int64)
        if epochs[0] == epochs[-1]:  # steps ascend: all of one epoch
            rate = np.array([self(int(epochs[0]))], dtype=np.float64)
            return np.repeat(check_rates(self, steps[:1], rate), len(steps))
        found, places = np.unique(epochs, return_inverse=True)
        rates = np.array([self(int(epoch)) for epoch in found], dtype=np.float64)[places]
        return check_rates(self, steps, rates)


def check_rates(given: object, steps: Array, rates: Array) -> Array:
    """Return rates, or refuse the first that is none and name its step."""
    with np.errstate(invalid="ignore"):
        right = (rates >= 0) & np.isfinite(rates)
    if not right.all():
        at = int(np.argmin(right))
        raise ValueError(
            f"learning_rate must be finite and at least 0; {given} gives {rates[at]:g} "
            f"at step {int(steps[at])}, counted from 0"
        )
    return rates


@dataclass(frozen=True)
class Function(Schedule):
    """Any function of the epoch, or of the step where its parameter is called so."""

    name = "function"
    learning_rate: Callable[[int], float]  # type: ignore[assignment]

    def __post_init__(self) -> None:
        pass

    def __str__(self) -> str:
        return getattr(self.learning_rate, "__name__", repr(self.learning_rate))

    def __call__(self, epoch: int) -> float:
        return float(self.learning_rate(epoch))

    def rates(self, steps: Array, clock: Clock) -> Array:
        if "step" not in inspect.signature(self.learning_rate).parameters:
            return super().rates(steps, clock)
        return check_rates(self, steps, np.array([self(int(step)) for step in steps], dtype=float))


def find_schedule(given: Any) -> Schedule:
    """Return a number, a schedule or a function as a schedule."""
    if isinstance(given, Schedule):
        return given
    if callable(given):
        return Function(given)
    return Constant(given)


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout.

    >>> Constant(0.5)(epoch=7)
    0.5
    """

    name = "constant"

    def __call__(self, epoch: int) -> float:
        return self.learning_rate


@dataclass(frozen=True)
class Step(Schedule):
    """The rate times ``factor`` after every ``every`` epochs.

    >>> [Step(1.0, factor=0.5, every=2)(epoch) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    name = "step"
    factor: float = 0.5
    every: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("factor", self.factor, above=0)
        check_number("every", self.every, minimum=1, integer=True)

    def __call__(self, epoch: int) -> float:
        return self.learning_rate * _power(self.factor, epoch // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """learning_rate * decay^epoch.

    >>> Exponential(1.0, decay=0.5)(epoch=3)
    0.125
    """

    name = "exponential"
    decay: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("decay", self.decay, above=0)

    def __call__(self, epoch: int) -> float:
        return self.learning_rate * _power(self.decay, epoch)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """learning_rate / (epoch + 1)^power (scikit-learn's ``invscaling``, counted in epochs).

    >>> InverseScaling(1.0, power=0.5)(epoch=3)
    0.5
    """

    name = "inverse_scaling"
    power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("power", self.power, minimum=0)

    def __call__(self, epoch: int) -> float:
        return self.learning_rate * _power(epoch + 1, -self.power)


SCHEDULES: Registry[type[Schedule]] = Registry(
    "schedule", [Constant, Step, Exponential, InverseScaling]
)
