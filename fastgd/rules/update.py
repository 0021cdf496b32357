"""What every optimizer is made of: an update rule the backends run, and one row of settings a step.

For each call the optimizer computes, in float64, a table with two rows for every step: one for
weights and one for biases. Kernels read the row of their step and know nothing of time: learning
rates after their schedule, bias corrections, warm-up and penalties are all columns.

A step is the same for all rules: the gradient g is scaled where its norm is above ``clip_norm``,
then limited to ``clip_value`` in size; the penalties are added, g + l2 w + l1 sign(w); w is
multiplied by ``shrink`` (decoupled weight decay); the rule changes w and its slots; and each unit's
incoming weights are scaled back to ``max_norm``.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fastgd.rules.checks import check_number
from fastgd.rules.schedule import Clock, Constant, Schedule, find_schedule

__all__ = ["COLUMNS", "Optimizer", "Update", "column", "prepare"]

Array = np.ndarray
#: The columns every rule's rows begin with; its own follow.
COLUMNS = ("shrink", "l1", "l2", "clip_value", "clip_norm", "max_norm")
SHRINK, L1, L2, CLIP_VALUE, CLIP_NORM, MAX_NORM = range(len(COLUMNS))
#: The norm's guard against a division by 0, torch.nn.utils.clip_grad_norm_'s.
NORM_EPSILON = 1e-6


class Update:
    """One update rule: new parameters from old ones, their gradient and the rule's slots.

    A parameter that is 0, with gradient and slots of 0, must stay 0: the kernels' padding is made
    of such.

    Attributes
    ----------
    name : str
        The name kernels know it by.
    slots : tuple of str
        What it keeps for each parameter: one number each.
    columns : tuple of str
        Its own settings, in the order ``scalar_apply`` gets them.
    linear : bool
        Whether it is w <- w - rate g, rate being its only column: kernels then update the weights
        as they compute the gradient.
    """

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[str, ...]]
    linear: ClassVar[bool] = False

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: tuple[float, ...]) -> None:
        """Change w (any shape) and slots (n_slots, *w.shape) in place; row: its own columns."""
        raise NotImplementedError

    @staticmethod
    def scalar_apply(
        w: float, g: float, slots: tuple[float, ...], row: tuple[float, ...]
    ) -> tuple[float, tuple[float, ...]]:
        """Return the new w and slots."""
        raise NotImplementedError


def prepare(w: Array, g: Array, row: tuple[float, ...], factor: float) -> Array:
    """Return the gradient as the rule gets it, and shrink w in place; row: the common columns."""
    shrink, l1, l2, clip_value = row[:4]
    g = np.clip(g * factor, -clip_value, clip_value) + l2 * w + l1 * np.sign(w)
    w *= shrink
    return g


def column(update: type[Update], name: str) -> int:
    """Return where a column stands in a row of the rule's settings."""
    return (*COLUMNS, *update.columns).index(name)


@dataclass(frozen=True)
class Optimizer:
    """What the user sets: a learning rate or schedule, the rule's settings, and penalties.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        The step size, at least 0; a schedule, or a function of the epoch (of the step, if its
        parameter is called ``step``), counted from 0.
    l1, l2 : float, default 0
        The penalty l1 sum(abs(w)) + l2/2 sum(w^2) on weights, not biases. The costs fastgd reports
        do not include it.
    weight_decay : float, default 0
        Decoupled decay: weights, not biases, lose this share times the learning rate in each step
        (Loshchilov and Hutter 2019).
    clip_value, clip_norm : float, optional
        The largest size of any number of the gradient, and of the whole of it (Pascanu et al.
        2013).
    max_norm : float, optional
        The largest length of the weights into any unit (Srivastava et al. 2014, section 5.1).
    """

    name: ClassVar[str]
    #: Whether it works on all examples at once, by itself, instead of stepping.
    whole: ClassVar[bool] = False
    learning_rate: Any = 0.001
    l1: float = dataclasses.field(default=0.0, kw_only=True)
    l2: float = dataclasses.field(default=0.0, kw_only=True)
    weight_decay: float = dataclasses.field(default=0.0, kw_only=True)
    clip_value: float | None = dataclasses.field(default=None, kw_only=True)
    clip_norm: float | None = dataclasses.field(default=None, kw_only=True)
    max_norm: float | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        given, schedule = self.learning_rate, self.schedule  # which refuses what is none
        if isinstance(schedule, Constant) and not isinstance(given, Schedule):
            object.__setattr__(self, "learning_rate", schedule.learning_rate)
        for name in ("l1", "l2", "weight_decay"):
            self._check(name, minimum=0)
        for name in ("clip_value", "clip_norm", "max_norm"):
            if getattr(self, name) is not None:
                self._check(name, above=0)

    def _check(self, name: str, **bounds: float | None) -> None:
        value = check_number(name, getattr(self, name), **bounds)  # type: ignore[arg-type]
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        changed = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)
            if field.name == "learning_rate" or getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    @cached_property
    def schedule(self) -> Schedule:
        """The learning rate as a schedule."""
        return find_schedule(self.learning_rate)

    @property
    def update(self) -> type[Update]:
        """The rule the backends run."""
        raise NotImplementedError

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        """Return the rule's own columns for steps counted from 0: numbers, or one a step."""
        raise NotImplementedError

    def start(self, slots: Array) -> None:
        """Set the slots (n_slots, n_parameters), zeros so far, before the first step."""

    def table(self, first_step: int, n_steps: int, clock: Clock | None = None) -> Array:
        """Return the settings of some steps, float64 of shape (n_steps, 2, n_columns).

        Parameters
        ----------
        first_step : int
            The first of them, counted from 0 for the first step ever made.
        clock : Clock, optional
            How steps make epochs, for schedules; without it every step is of the first epoch.

        Returns
        -------
        ndarray
            table[i, 0] are the settings of weights in step ``first_step + i``, table[i, 1] those
            of biases, which are not penalised; columns are `COLUMNS` and then the rule's own.
        """
        steps = first_step + np.arange(n_steps)
        rates = self.schedule.rates(steps, clock or Clock()) if n_steps else np.empty(0)
        return self.rows(steps, rates)

    def rows(self, steps: Array, rates: Array) -> Array:
        """Return the `table` of steps at these rates."""
        update, n_common = self.update, len(COLUMNS)
        with np.errstate(over="ignore"):  # rates near the largest number: the step tells
            own = self.settings(steps, rates)
        table = np.empty((len(steps), 2, n_common + len(update.columns)))
        table[:] = self._fixed  # the same in every step
        for i, name in enumerate(update.columns, n_common):
            table[:, :, i] = np.reshape(own[name], (-1, 1))
        decay = self.weight_decay
        if update.linear and not self.l1:  # one product then does it all
            decay += self.l2
            table[:, 0, L2] = 0
        if decay:
            table[:, 0, SHRINK] = 1 - rates * decay
        return table

    @cached_property
    def _fixed(self) -> Array:
        """What of a row of settings no step changes, of weights and of biases."""
        limits = (self.clip_value, self.clip_norm, self.max_norm)
        clip_value, clip_norm, max_norm = (math.inf if x is None else x for x in limits)
        own = [0.0] * len(self.update.columns)
        weights = [1.0, self.l1, self.l2, clip_value, clip_norm, max_norm, *own]
        return np.array([weights, [1.0, 0.0, 0.0, clip_value, clip_norm, math.inf, *own]])
