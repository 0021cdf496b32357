"""What every schedule is made of: the clock it reads, and the rate of every step it returns.

See `fastgd.rules.schedules` for the schedules themselves.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import numbers
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fastgd.errors import SettingError, SettingTypeError
from fastgd.rules.checks import check_number

__all__ = ["Clock", "Constant", "Function", "PerStep", "Rated", "Schedule", "find_schedule"]

Array = np.ndarray


@dataclass(frozen=True)
class Clock:
    """How steps make epochs, and what has been measured so far.

    Parameters
    ----------
    steps_per_epoch : int, optional
        None where there are no epochs: every step is then of the first.
    epochs : float, optional
        How many will be made in all, where that is known.
    history : mapping of str to list of float
        What was measured after each epoch so far.
    first_step, first_epoch : int
        The step, of all ever made, and the epoch that begin together now.
    """

    steps_per_epoch: int | None = None
    epochs: float | None = None
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    first_step: int = 0
    first_epoch: int = 0

    def epoch(self, steps: Array) -> Array:
        """Return the epoch of steps counted from 0, in fractions."""
        if not self.steps_per_epoch:
            return np.full(len(steps), float(self.first_epoch))
        return self.first_epoch + (steps - self.first_step) / self.steps_per_epoch

    @property
    def origin(self) -> int:
        """The step with which epoch 0 began, or would have; 0 where there are no epochs."""
        if not self.steps_per_epoch:
            return 0
        return self.first_step - self.first_epoch * self.steps_per_epoch


@dataclass(frozen=True)
class Schedule:
    """A learning rate that changes with time."""

    name: ClassVar[str]

    def __call__(self, epoch: float) -> float:
        """Return the rate of an epoch, counted from 0."""
        raise NotImplementedError

    def rates(self, steps: Array, clock: Clock) -> Array:
        """Return the rate of each step, counted from 0 and ascending: by default its epoch's.

        Raises
        ------
        ValueError
            If a rate is NaN, infinite or negative; the message names the step.
        """
        epochs = np.floor(clock.epoch(steps)).astype(np.int64)
        if len(epochs) and epochs[0] == epochs[-1]:  # steps ascend: all of one epoch
            rate = np.array([self(int(epochs[0]))], dtype=np.float64)
            return np.repeat(check_rates(self, steps[:1], rate), len(steps))
        found, places = np.unique(epochs, return_inverse=True)
        rates = np.array([self(int(epoch)) for epoch in found], dtype=np.float64)[places]
        return check_rates(self, steps, rates)

    def check(self, measured: Mapping[str, bool | None]) -> None:
        """Refuse, before a fit, what it could not follow.

        Parameters
        ----------
        measured : mapping of str to bool or None
            What will be measured after each epoch, and whether higher is better; None where
            nobody knows.
        """

    def _check(self, name: str, **bounds: float | None) -> None:
        """Refuse a setting that is no number within its bounds; keep it as a float."""
        value = check_number(name, getattr(self, name), **bounds)  # type: ignore[arg-type]
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        """Return what makes it, without the settings that are the defaults."""
        changed = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


@dataclass(frozen=True, repr=False)
class Rated(Schedule):
    """A schedule with one rate that the others follow from.

    Parameters
    ----------
    learning_rate : float
        At least 0.
    """

    learning_rate: float

    def __post_init__(self) -> None:
        self._check("learning_rate", minimum=0)


class PerStep(Schedule):
    """A schedule whose rate changes with every step, not only with the epoch."""

    def __call__(self, epoch: float) -> float:
        """Return the rate of an epoch, counted from 0, as if it were one step."""
        return float(self.rates(np.array([epoch]), Clock(steps_per_epoch=1))[0])

    def rates(self, steps: Array, clock: Clock) -> Array:
        """Return the rate of each step, counted from 0.

        Raises
        ------
        ValueError
            If a rate is NaN, infinite or negative; the message names the step.
        """
        return check_rates(self, steps, self._rates(steps, clock))

    def _rates(self, steps: Array, clock: Clock) -> Array:
        raise NotImplementedError

    def _lasts(self, epochs: float | None, clock: Clock) -> float:
        """Return how many epochs it lasts: its own, or those of the fit."""
        lasts = clock.epochs if epochs is None else epochs
        if lasts is None:
            raise SettingError(
                "epochs",
                f"must be given: {self} lasts as long as the fit, and here nobody knows how "
                f"long that is",
            )
        return lasts

    def _steps_per_epoch(self, clock: Clock) -> int:
        """Return how many steps an epoch has."""
        if not clock.steps_per_epoch:
            raise ValueError(f"{self} counts epochs, and there are none here")
        return clock.steps_per_epoch

    def _share(self, epochs: float | None, steps: Array, clock: Clock) -> Array:
        """Return which share of its epochs is over, from 0 to 1."""
        lasts, now = self._lasts(epochs, clock), clock.epoch(steps)
        # Where a warm-up leaves none, what follows is at its beginning until it is over.
        return np.clip(now / lasts, 0, 1) if lasts > 0 else np.heaviside(now, 0)


def check_rates(given: object, steps: Array, rates: Array) -> Array:
    """Return rates, or refuse the first that is none and name its step."""
    with np.errstate(invalid="ignore"):
        right = (rates >= 0) & np.isfinite(rates)
    if not right.all():
        at = int(np.argmin(right))
        raise SettingError(
            "learning_rate",
            f"must be finite and at least 0; {given} gives {rates[at]:g} "
            f"at step {int(steps[at])}, counted from 0",
        )
    return rates


@dataclass(frozen=True, repr=False)
class Function(Schedule):
    """Any function of the epoch, or of the step where its first parameter is called so.

    >>> Function(lambda epoch: 0.5 / (1 + epoch)).rates(np.arange(4), Clock(steps_per_epoch=2))
    array([0.5 , 0.5 , 0.25, 0.25])
    >>> Function(lambda step: 0.5 / (1 + step)).rates(np.arange(2), Clock(steps_per_epoch=2))
    array([0.5 , 0.25])
    """

    name = "function"
    learning_rate: Callable[[int], Any]
    counts: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", _counts(self.learning_rate))

    def __repr__(self) -> str:
        return getattr(self.learning_rate, "__name__", None) or repr(self.learning_rate)

    def __call__(self, epoch: float) -> float:
        """Return the rate of an epoch, or of a step, counted from 0."""
        given = self.learning_rate(epoch)  # type: ignore[arg-type]
        value = given.item() if getattr(given, "ndim", None) == 0 else given
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise SettingTypeError(
                "learning_rate",
                f"must be a number, also where a function gives it; {self} gives "
                f"{reprlib.repr(given)} at {self.counts} {epoch}, counted from 0",
            )
        try:
            return float(value)
        except OverflowError:  # an integer beyond all floats
            return math.inf

    def rates(self, steps: Array, clock: Clock) -> Array:
        if self.counts == "epoch":
            return super().rates(steps, clock)
        rates = np.array([self(int(step)) for step in steps], dtype=np.float64)
        return check_rates(self, steps, rates)


def _counts(function: Callable[..., Any]) -> str:
    """Return what a function is one of: the step or the epoch.

    Raises
    ------
    TypeError
        If it cannot be called with one argument.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return "epoch"
    try:
        signature.bind(0)
    except TypeError:
        name = getattr(function, "__name__", None) or repr(function)
        raise SettingTypeError(
            "learning_rate",
            f"must be a function of one argument, the epoch or the step; got {name}{signature}",
        ) from None
    first = next(iter(signature.parameters.values()))
    return "step" if first.name == "step" and first.kind != first.VAR_POSITIONAL else "epoch"


def find_schedule(given: Any) -> Schedule:
    """Return a number, a schedule or a function as a schedule.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or a number below 0.
    """
    if isinstance(given, Schedule):
        return given
    number = isinstance(given, numbers.Real) and not isinstance(given, bool)
    if number:
        return Constant(given)
    if not callable(given) or isinstance(given, type):
        raise SettingTypeError(
            "learning_rate",
            f"must be a number at least 0, a schedule such as "
            f"fastgd.Step(0.1, every=10), or a function of the epoch; got {reprlib.repr(given)}",
        )
    return Function(given)


@dataclass(frozen=True, repr=False)
class Constant(Rated):
    """The same rate throughout.

    >>> Constant(0.5)(epoch=7)
    0.5
    """

    name = "constant"

    def __call__(self, epoch: float) -> float:
        return self.learning_rate

    def rates(self, steps: Array, clock: Clock) -> Array:
        return np.full(len(steps), self.learning_rate)
