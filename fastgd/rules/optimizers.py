"""Optimizers: how a gradient changes the parameters, as NumPy arrays and as scalars.

An optimizer is made of what the user sets (``SGD(...)``) and an update rule the backends run. To
add one, write a rule with both forms of its update and an optimizer that names it; list the rule
in ``UPDATES`` and the optimizer in ``OPTIMIZERS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fastgd.rules.checks import check_flag, check_number
from fastgd.rules.registry import Registry
from fastgd.rules.schedules import Constant, Schedule

__all__ = ["N_SETTINGS", "OPTIMIZERS", "SGD", "UPDATES", "Optimizer", "Update", "find_optimizer"]

Array = np.ndarray
Settings = tuple[float, ...]

#: How many numbers an update rule's settings hold; unused ones are 0.
N_SETTINGS = 4


class Update:
    """One update rule: the new parameter from the old one, its gradient and the rule's state.

    ``settings`` are `N_SETTINGS` numbers in an order of the rule's own. Settings[1] is the L2
    penalty in every rule: backends set it to 0 for biases, which are not penalised.

    Attributes
    ----------
    name : str
        The name kernels know it by.
    n_slots : int
        How many numbers of state it keeps for each parameter, 0 or 1.
    linear : bool
        Whether it is w <- (1 - s[0] s[1]) w - s[0] g of settings s: kernels then update the
        weights as they compute the gradient.
    """

    name: ClassVar[str]
    n_slots: ClassVar[int]
    linear: ClassVar[bool] = False

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, settings: Settings) -> None:
        """Change w (any shape) and slots (n_slots, *w.shape) in place."""
        raise NotImplementedError


class GradientDescent(Update):
    """w <- w - eta (g + l2 w) (Nielsen, eqs. 20, 21 and 93). Settings: eta, l2."""

    name = "gradient_descent"
    n_slots = 0
    linear = True

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, settings: Settings) -> None:
        learning_rate, l2 = settings[:2]
        w -= learning_rate * (g + l2 * w)

    @staticmethod
    def scalar_apply(w: float, g: float, settings: Settings) -> float:
        """Return the new w."""
        return w - settings[0] * (g + settings[1] * w)


class Momentum(Update):
    """v <- mu v - eta (g + l2 w), w <- w + v (Nielsen, eqs. 107, 108); Nesterov's looks ahead.

    Nesterov's form, w <- w + mu v - eta (g + l2 w) with the new v, is Sutskever et al. 2013 as
    scikit-learn writes it. Settings: eta, l2, mu, and 1 for Nesterov's form or 0.
    """

    name = "momentum"
    n_slots = 1

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, settings: Settings) -> None:
        learning_rate, l2, momentum, nesterov = settings
        step = learning_rate * (g + l2 * w)
        velocity = slots[0]
        velocity *= momentum
        velocity -= step
        w += momentum * velocity - step if nesterov else velocity

    @staticmethod
    def scalar_apply(w: float, g: float, v: float, settings: Settings) -> tuple[float, float]:
        """Return the new w and v."""
        step = settings[0] * (g + settings[1] * w)
        v = settings[2] * v - step
        ahead = settings[2] * v - step
        return w + (ahead if settings[3] > settings[1] * 0 else v), v


UPDATES: Registry[type[Update]] = Registry("update", [GradientDescent, Momentum])


class Optimizer:
    """What the user sets: a learning rate or schedule, and an update rule's settings."""

    name: ClassVar[str]
    learning_rate: float | Schedule

    @property
    def schedule(self) -> Schedule:
        """The learning rate as a schedule."""
        rate = self.learning_rate
        return rate if isinstance(rate, Schedule) else Constant(rate)

    @property
    def update(self) -> type[Update]:
        """The rule the backends run."""
        raise NotImplementedError

    def settings(self, learning_rate: float) -> Settings:
        """Return the rule's `N_SETTINGS` numbers for that learning rate."""
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: small steps against the gradient of a mini-batch.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.1
        The step size eta, at least 0.
    momentum : float, default 0
        How much of the last step is kept, from 0 to below 1.
    nesterov : bool, default False
        Whether the momentum looks ahead (Sutskever et al. 2013); needs ``momentum`` above 0.
    l2 : float, default 0
        The penalty l2/2 * sum(w^2) on weights, not biases, at least 0. The costs fastgd reports
        do not include it.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.SGD(learning_rate=0.5, momentum=0.9)
    SGD(learning_rate=0.5, momentum=0.9, nesterov=False, l2=0.0)
    """

    name = "sgd"
    learning_rate: float | Schedule = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    l2: float = 0.0

    def __post_init__(self) -> None:
        below = {"momentum": 1.0}
        for name in ("learning_rate", "momentum", "l2"):
            given = getattr(self, name)
            if not isinstance(given, Schedule):
                value = check_number(name, given, minimum=0, below=below.get(name))
                object.__setattr__(self, name, value)
        if check_flag("nesterov", self.nesterov) and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0; got momentum=0")

    @property
    def update(self) -> type[Update]:
        return Momentum if self.momentum else GradientDescent

    def settings(self, learning_rate: float) -> Settings:
        return (learning_rate, self.l2, self.momentum, float(self.nesterov))


OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer", [SGD])


def find_optimizer(given: str | Optimizer) -> Optimizer:
    """Return an optimizer from its name (default settings) or as it is."""
    if isinstance(given, Optimizer):
        return given
    if isinstance(given, str):
        return OPTIMIZERS.find(given)()
    raise TypeError(
        f"optimizer must be an optimizer such as fastgd.SGD(learning_rate=0.1), "
        f"or a name of one; got {given!r}"
    )
