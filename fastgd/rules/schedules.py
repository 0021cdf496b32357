"""Learning-rate schedules: the rate in force in each epoch, counted from 0.

To add one, write a dataclass with a ``learning_rate`` and ``__call__(epoch)``, and list it in
``SCHEDULES``. ``SGD(learning_rate=...)`` takes a number or a schedule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fastgd.rules.checks import check_number
from fastgd.rules.registry import Registry

__all__ = ["SCHEDULES", "Constant", "Exponential", "InverseScaling", "Schedule", "Step"]


def _power(base: float, exponent: float) -> float:
    """Return base to the power exponent, infinity where that is too large."""
    try:
        return float(base) ** float(exponent)
    except OverflowError:
        return math.inf


@dataclass(frozen=True)
class Schedule:
    """A learning rate that may change from epoch to epoch.

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
