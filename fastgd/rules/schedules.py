"""Schedules: the learning rate of every step.

To add one, write a frozen dataclass on `Rated` with ``__call__(epoch)``, epoch from 0, and list it
in ``SCHEDULES``; one that changes with every step is also a `PerStep` and has ``_rates(steps,
clock)`` instead. ``SGD(learning_rate=...)`` takes a number, a schedule or a function.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from fastgd.errors import SettingError, SettingTypeError
from fastgd.rules.checks import check_flag, check_integer, check_number
from fastgd.rules.registry import Registry
from fastgd.rules.schedule import Clock, Constant, PerStep, Rated, Schedule, find_schedule

__all__ = [
    "SCHEDULES", "Clock", "Constant", "CosLog", "Cosine", "Exponential", "InverseScaling",
    "OneCycle", "Piecewise", "Polynomial", "ReduceOnPlateau", "Schedule", "Step", "Warmup",
    "find_schedule",
]  # fmt: skip

Array = np.ndarray


def _power(base: float, exponent: float) -> float:
    """Return base to the power exponent, infinity where that is too large."""
    try:
        return float(base) ** float(exponent)
    except OverflowError:
        return math.inf


def _half_wave(start: float, end: float, share: Array) -> Array:
    """Return what goes from start to end along half a cosine while share goes from 0 to 1."""
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2


@dataclass(frozen=True, repr=False)
class Step(Rated):
    """learning_rate * factor^floor(epoch / every): steps downwards (torch's StepLR).

    >>> [Step(1.0, factor=0.5, every=2)(epoch) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    name = "step"
    factor: float = 0.5
    every: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("factor", above=0)
        object.__setattr__(self, "every", check_integer("every", self.every, 1))

    def __call__(self, epoch: float) -> float:
        return self.learning_rate * _power(self.factor, epoch // self.every)


@dataclass(frozen=True, repr=False)
class Exponential(Rated):
    """learning_rate * decay^epoch (torch's ExponentialLR).

    >>> Exponential(1.0, decay=0.5)(epoch=3)
    0.125
    """

    name = "exponential"
    decay: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("decay", above=0)

    def __call__(self, epoch: float) -> float:
        return self.learning_rate * _power(self.decay, epoch)


@dataclass(frozen=True, repr=False)
class InverseScaling(Rated):
    """learning_rate / (epoch + 1)^power (scikit-learn's ``invscaling``, counted in epochs).

    >>> InverseScaling(1.0, power=0.5)(epoch=3)
    0.5
    """

    name = "inverse_scaling"
    power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("power", minimum=0)

    def __call__(self, epoch: float) -> float:
        return self.learning_rate * _power(epoch + 1, -self.power)


@dataclass(frozen=True, repr=False)
class Piecewise(PerStep):
    """values[i] from epoch boundaries[i - 1] on, values[0] before (torch's MultiStepLR).

    Parameters
    ----------
    boundaries : sequence of float
        The epochs with which another rate begins, ascending, above 0; in fractions where it is to
        begin within an epoch.
    values : sequence of float
        The rates, one more than boundaries.

    Examples
    --------
    >>> schedule = Piecewise([2, 3], [0.5, 0.1, 0.01])
    >>> [schedule(epoch) for epoch in range(5)]
    [0.5, 0.5, 0.1, 0.01, 0.01]
    """

    name = "piecewise"
    boundaries: Sequence[float]
    values: Sequence[float]

    def __post_init__(self) -> None:
        self._check_all("boundaries", above=0)
        self._check_all("values", minimum=0)
        if len(self.values) != len(self.boundaries) + 1:
            raise SettingError(
                "values",
                f"must be one more than boundaries; got {len(self.values)} values and "
                f"{len(self.boundaries)} boundaries",
            )
        if any(a >= b for a, b in itertools.pairwise(self.boundaries)):
            raise SettingError("boundaries", f"must ascend; got {list(self.boundaries)}")

    def _check_all(self, name: str, **bounds: float | None) -> None:
        given = getattr(self, name)
        if isinstance(given, (str, Mapping)) or not hasattr(given, "__iter__"):
            raise SettingTypeError(name, f"must be a sequence of numbers; got {given!r}")
        numbers = tuple(
            check_number(f"{name}[{i}]", x, **bounds)  # type: ignore[arg-type]
            for i, x in enumerate(given)
        )
        object.__setattr__(self, name, numbers)

    def _rates(self, steps: Array, clock: Clock) -> Array:
        pieces = np.searchsorted(self.boundaries, clock.epoch(steps), side="right")
        return np.asarray(self.values)[pieces]


@dataclass(frozen=True, repr=False)
class Polynomial(PerStep, Rated):
    """end + (learning_rate - end) (1 - epoch / epochs)^power, step by step; then end.

    As Keras' PolynomialDecay and, with end 0, torch's PolynomialLR; power 1 is a straight line.

    Parameters
    ----------
    learning_rate : float
        The rate of the first step.
    epochs : float, optional
        How many epochs it takes; by default all of the fit.
    power : float, default 1
        Above 0.
    end : float, default 0
        The rate after that, at least 0.

    Examples
    --------
    >>> schedule = Polynomial(1.0, epochs=4)
    >>> [schedule(epoch) for epoch in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    name = "polynomial"
    epochs: float | None = None
    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None:
            self._check("epochs", above=0)
        self._check("power", above=0)
        self._check("end", minimum=0)

    def _rates(self, steps: Array, clock: Clock) -> Array:
        left = 1 - self._share(self.epochs, steps, clock)
        return self.end + (self.learning_rate - self.end) * left**self.power


@dataclass(frozen=True, repr=False)
class Cosine(PerStep, Rated):
    """Half a cosine, step by step; once, or again and again (Loshchilov and Hutter 2017, SGDR).

    minimum + (learning_rate - minimum) (1 + cos(pi epoch / epochs)) / 2, and then minimum. With
    ``period`` it restarts: epoch counts from the last restart, and epochs is the length of the
    period.

    Parameters
    ----------
    learning_rate : float
        The rate of the first step.
    epochs : float, optional
        How many epochs it takes; by default all of the fit.
    minimum : float, default 0
        The rate it ends with, from 0 to ``learning_rate``.
    period : float, optional
        How many epochs the first period takes; without it there are no restarts.
    factor : float, default 1
        How many times longer each period is than the one before, at least 1.

    Examples
    --------
    >>> schedule = Cosine(1.0, epochs=4)
    >>> [round(schedule(epoch), 3) for epoch in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    >>> restarts = Cosine(1.0, period=2, factor=2)
    >>> [round(restarts(epoch), 3) for epoch in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    name = "cosine"
    epochs: float | None = None
    minimum: float = 0.0
    period: float | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "period"):
            if getattr(self, name) is not None:
                self._check(name, above=0)
        self._check("minimum", minimum=0)
        _check_up_to_rate("minimum", self.minimum, self.learning_rate)
        self._check("factor", minimum=1)
        if self.epochs is not None and self.period is not None:
            raise ValueError(
                f"epochs and period must not both be given: restarts have no end; got "
                f"epochs={self.epochs:g} and period={self.period:g}"
            )
        if self.factor != 1 and self.period is None:
            raise SettingError("factor", f"needs a period; got factor={self.factor:g} alone")

    def _rates(self, steps: Array, clock: Clock) -> Array:
        if self.period is None:
            share = self._share(self.epochs, steps, clock)
        else:
            share = _share_of_period(clock.epoch(steps) / self.period, self.factor)
        return _half_wave(self.learning_rate, self.minimum, share)


@dataclass(frozen=True, repr=False)
class CosLog(PerStep, Rated):
    """Whole cosine waves, each twice as long as the one before (Holzmueller et al. 2024, eq. 2).

    learning_rate (1 - cos(2 pi log2(1 + (2^cycles - 1) t))) / 2, where t goes from 0 to 1 in the
    epochs given; RealMLP's coslog4 with four cycles. Each wave ends at 0 with a network as good as
    a fit of that length makes: where one of the epochs is kept, they are the candidates.

    Parameters
    ----------
    learning_rate : float
        The largest rate.
    epochs : float, optional
        How many epochs it takes; by default all of the fit.
    cycles : int, default 4
        How many waves there are.

    Examples
    --------
    >>> schedule = CosLog(1.0, epochs=15)
    >>> [round(schedule(epoch), 3) for epoch in range(8)]
    [0.0, 0.0, 0.93, 0.0, 0.718, 0.93, 0.324, 0.0]
    """

    name = "coslog"
    epochs: float | None = None
    cycles: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None:
            self._check("epochs", above=0)
        object.__setattr__(self, "cycles", check_integer("cycles", self.cycles, 1))

    def _rates(self, steps: Array, clock: Clock) -> Array:
        share = self._share(self.epochs, steps, clock)
        waves = np.log2(1 + (2.0**self.cycles - 1) * share)
        return self.learning_rate * (1 - np.cos(2 * np.pi * waves)) / 2


def _share_of_period(time: Array, factor: float) -> Array:
    """Return the share of its period that is over; time in first periods.

    Period n, of length factor^n, begins at 1 + factor + ... + factor^(n - 1).
    """
    if factor == 1:
        return time % 1

    def begins(n: Array) -> Array:
        return (factor**n - 1) / (factor - 1)

    n = np.floor(np.log1p(time * (factor - 1)) / math.log(factor))
    n += time >= begins(n + 1)  # the logarithm is rounded
    n -= time < begins(n)
    return (time - begins(n)) / factor**n


def _check_up_to_rate(name: str, value: float, rate: float) -> None:
    if value > rate:
        raise SettingError(name, f"must be at most the learning_rate, {rate:g}; got {value:g}")


@dataclass(frozen=True, repr=False)
class OneCycle(PerStep, Rated):
    """Up to the largest rate and far down, along half cosines (Smith and Topin 2018).

    As torch's OneCycleLR: of n steps, counted from 0, those to number warmup n - 1 go from
    start_factor learning_rate to learning_rate, those to number n - 1 on to end_factor
    learning_rate.

    Parameters
    ----------
    learning_rate : float
        The largest rate.
    epochs : float, optional
        How many epochs it takes; by default all of the fit.
    warmup : float, default 0.3
        The share of the steps that go up, from 0 to below 1.
    start_factor, end_factor : float, default 0.04 and 4e-6
        The first and the last rate as shares of the largest, from 0; torch's ``div_factor=25`` and
        ``final_div_factor=1e4`` are 1 / 25 and 1 / 25 / 1e4.

    Examples
    --------
    >>> schedule = OneCycle(1.0, epochs=5, warmup=0.4)
    >>> [round(schedule(epoch), 3) for epoch in range(5)]
    [0.04, 1.0, 0.75, 0.25, 0.0]
    """

    name = "one_cycle"
    epochs: float | None = None
    warmup: float = 0.3
    start_factor: float = 0.04
    end_factor: float = 4e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None:
            self._check("epochs", above=0)
        self._check("warmup", minimum=0, below=1)
        self._check("start_factor", minimum=0)
        self._check("end_factor", minimum=0)

    def _rates(self, steps: Array, clock: Clock) -> Array:
        n = self._lasts(self.epochs, clock) * self._steps_per_epoch(clock)
        at = steps - clock.origin
        top = self.learning_rate
        peak, last = self.warmup * n - 1, n - 1  # peak is before step 0 where nothing goes up
        up = np.clip(at / peak, 0, 1) if peak > 0 else np.ones(len(at))
        down = np.clip((at - peak) / (last - peak), 0, 1) if last > peak else np.ones(len(at))
        rising = _half_wave(self.start_factor * top, top, up)
        return np.where(at <= peak, rising, _half_wave(top, self.end_factor * top, down))


@dataclass(frozen=True, repr=False)
class Warmup(PerStep):
    """(step + 1) / n of a rate in each of the first n steps; then another schedule.

    Goyal et al. 2017, section 2.2. What follows begins when the warm-up is over: its epochs and
    steps count from there, and those of the fit are so many fewer.

    Parameters
    ----------
    epochs : float, optional
        How many epochs it takes. Either this or ``steps`` must be given.
    steps : int, optional
        How many steps it takes.
    then : float, Schedule or callable
        What follows; it warms up to the rate this begins with.

    Examples
    --------
    >>> schedule = Warmup(epochs=4, then=Step(1.0, every=2))
    >>> [schedule(epoch) for epoch in range(8)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5, 0.5]
    """

    name = "warmup"
    epochs: float | None = None
    steps: int | None = None
    then: Any = field(kw_only=True)

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                f"either epochs or steps must be given; got epochs={self.epochs!r} and "
                f"steps={self.steps!r}"
            )
        if self.steps is None:
            self._check("epochs", above=0)
        else:
            object.__setattr__(self, "steps", check_integer("steps", self.steps, 1))
        try:
            follows = find_schedule(self.then)
        except (SettingError, SettingTypeError) as error:
            raise type(error)("then", error.problem) from None
        if isinstance(follows, Constant):
            object.__setattr__(self, "then", follows.learning_rate)

    @cached_property
    def _follows(self) -> Schedule:
        return find_schedule(self.then)

    def check(self, measured: Mapping[str, bool | None]) -> None:
        self._follows.check(measured)

    def _rates(self, steps: Array, clock: Clock) -> Array:
        if self.steps is None:
            n = round(float(self.epochs or 0) * self._steps_per_epoch(clock))
        else:
            n = self.steps
        later = clock
        if clock.epochs is not None and clock.steps_per_epoch:
            later = replace(clock, epochs=max(0.0, clock.epochs - n / clock.steps_per_epoch))
        # While it warms up, what follows is at its first step.
        rates = self._follows.rates(np.maximum(steps - n, clock.origin), later)
        return rates * np.minimum(1, (steps - clock.origin + 1) / max(n, 1))


@dataclass(frozen=True, repr=False)
class ReduceOnPlateau(PerStep, Rated):
    """The rate times ``factor`` whenever more than ``patience`` epochs in a row bring nothing.

    As torch's ReduceLROnPlateau: an epoch brings something where the monitor is below
    best (1 - tolerance), best being the last that did. The rate follows from the history of the fit
    alone; where nothing is measured, it stays.

    Parameters
    ----------
    learning_rate : float
        The rate at first.
    monitor : str, default "cost"
        What is watched: a name in the history, such as ``"validation_cost"``.
    factor : float, default 0.1
        From above 0 to below 1.
    patience : int, default 10
        How many epochs in a row may bring nothing.
    tolerance : float, default 1e-4
        By which share the best must be beaten, from 0 to below 1.
    minimum : float, default 0
        The rate it ends with, from 0 to ``learning_rate``.
    higher_is_better : bool, default False
        Whether the monitor is one that should rise, such as ``"validation_score"``; best
        (1 + tolerance) is then to be beaten.

    Examples
    --------
    >>> schedule = ReduceOnPlateau(0.5, patience=1)
    >>> for costs in ([], [3, 2], [3, 2, 2], [3, 2, 2, 2], [3, 2, 2, 2, 1]):
    ...     print(schedule.rates(np.array([0]), Clock(history={"cost": costs})))
    [0.5]
    [0.5]
    [0.5]
    [0.05]
    [0.05]
    """

    name = "reduce_on_plateau"
    monitor: str = "cost"
    factor: float = 0.1
    patience: int = 10
    tolerance: float = 1e-4
    minimum: float = 0.0
    higher_is_better: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.monitor, str):
            raise SettingTypeError("monitor", f"must be a name of a measure; got {self.monitor!r}")
        self._check("factor", above=0, below=1)
        object.__setattr__(self, "patience", check_integer("patience", self.patience, 0))
        self._check("tolerance", minimum=0, below=1)
        self._check("minimum", minimum=0)
        _check_up_to_rate("minimum", self.minimum, self.learning_rate)
        higher = check_flag("higher_is_better", self.higher_is_better)
        object.__setattr__(self, "higher_is_better", higher)

    def check(self, measured: Mapping[str, bool | None]) -> None:
        if self.monitor not in measured:
            raise ValueError(
                f"monitor {self.monitor!r} is not measured; measured are {', '.join(measured)}"
            )
        better = measured[self.monitor]
        if better is not None and better != self.higher_is_better:
            raise SettingError(
                "higher_is_better",
                f"must be {better} for the monitor {self.monitor!r}; got {self.higher_is_better}",
            )

    def _rates(self, steps: Array, clock: Clock) -> Array:
        measured = {name: values for name, values in clock.history.items() if len(values)}
        if measured and self.monitor not in measured:
            self.check(dict.fromkeys(measured))
        sign = -1.0 if self.higher_is_better else 1.0
        share = 1 - sign * self.tolerance
        rate, best, waited = self.learning_rate, sign * math.inf, 0
        for value in measured.get(self.monitor, ()):
            better = value > best * share if self.higher_is_better else value < best * share
            best, waited = (value, 0) if better else (best, waited + 1)
            if waited > self.patience:
                rate, waited = max(rate * self.factor, self.minimum), 0
        return np.full(len(steps), rate)


SCHEDULES: Registry[type[Schedule]] = Registry(
    "schedule",
    [
        Constant, Step, Exponential, InverseScaling, Piecewise, Polynomial, Cosine, CosLog,
        OneCycle, Warmup, ReduceOnPlateau,
    ],
)  # fmt: skip
