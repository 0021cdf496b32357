"""Optimizers: how a gradient changes the parameters.

An optimizer is what the user sets (``SGD(...)``) and an update rule the backends run; see
`fastgd.rules.update` for what all have in common. To add one, write the rule with both forms of its
update and the optimizer that names it; list the rule in ``UPDATES`` and the optimizer in
``OPTIMIZERS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgd.rules.checks import check_flag
from fastgd.rules.registry import Registry
from fastgd.rules.scalar import like, sqrt
from fastgd.rules.update import Optimizer, Update

__all__ = ["OPTIMIZERS", "SGD", "UPDATES", "Adam", "Optimizer", "find_optimizer"]

Array = np.ndarray
Numbers = tuple[float, ...]


class GradientDescent(Update):
    """w <- w - eta g (Nielsen, eqs. 20 and 21)."""

    name = "gradient_descent"
    columns = ("rate",)
    linear = True

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        w -= row[0] * g

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        return w - row[0] * g, slots


class Momentum(Update):
    """v <- mu v - eta g, w <- w + v (Nielsen, eqs. 107, 108); Nesterov's form looks ahead.

    That is w <- w + mu v - eta g with the new v (Sutskever et al. 2013, as scikit-learn writes it).
    """

    name = "momentum"
    slots = ("velocity",)
    columns = ("rate", "momentum", "nesterov")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        rate, momentum, nesterov = row
        step, velocity = rate * g, slots[0]
        velocity *= momentum
        velocity -= step
        w += momentum * velocity - step if nesterov else velocity

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        rate, momentum, nesterov = row
        step = rate * g
        velocity = momentum * slots[0] - step
        ahead = momentum * velocity - step
        return w + (ahead if nesterov > like(0.0, w) else velocity), (velocity,)


class AdaptiveMoments(Update):
    """m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, w <- w - rate m / (root sqrt(v) + eps).

    Kingma and Ba 2015, algorithm 1; ``rate`` and ``root`` hold the bias corrections.
    """

    name = "adaptive_moments"
    slots = ("m", "v")
    columns = ("rate", "root", "beta1", "beta2", "epsilon")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        rate, root, beta1, beta2, epsilon = row
        m, v = slots
        m += (1 - beta1) * (g - m)
        v += (1 - beta2) * (g * g - v)
        w -= rate * m / (root * np.sqrt(v) + epsilon)

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        rate, root, beta1, beta2, epsilon = row
        one = like(1.0, w)
        m = slots[0] + (one - beta1) * (g - slots[0])
        v = slots[1] + (one - beta2) * (g * g - slots[1])
        return w - rate * m / (root * sqrt(v) + epsilon), (m, v)


UPDATES: Registry[type[Update]] = Registry("update", [GradientDescent, Momentum, AdaptiveMoments])


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent: small steps against the gradient of a mini-batch.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.1
        The step size eta.
    momentum : float, default 0
        How much of the last step is kept, from 0 to below 1.
    nesterov : bool, default False
        Whether the momentum looks ahead (Sutskever et al. 2013); needs ``momentum`` above 0.
    **penalties
        ``l1``, ``l2``, ``weight_decay``, ``clip_value``, ``clip_norm``, ``max_norm``, as in
        `Optimizer`.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.SGD(learning_rate=0.5, momentum=0.9)
    SGD(learning_rate=0.5, momentum=0.9)
    """

    name = "sgd"
    learning_rate: Any = 0.1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("momentum", minimum=0, below=1)
        if check_flag("nesterov", self.nesterov) and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0; got momentum=0")

    @property
    def update(self) -> type[Update]:
        return Momentum if self.momentum else GradientDescent

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        return {"rate": rates, "momentum": self.momentum, "nesterov": float(self.nesterov)}


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and its square.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
        The step size.
    beta1, beta2 : float, default 0.9 and 0.999
        How much of the averages is kept in each step, from 0 to below 1.
    epsilon : float, default 1e-8
        Added to the root of the squares' average, above 0.
    epsilon_hat : bool, default False
        Whether epsilon is added before the bias correction: the form at the end of section 2 of
        Kingma and Ba 2015, which scikit-learn and TensorFlow have.
    **penalties
        As in `Optimizer`.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.Adam(learning_rate=0.01)
    Adam(learning_rate=0.01)
    """

    name = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("beta1", minimum=0, below=1)
        self._check("beta2", minimum=0, below=1)
        self._check("epsilon", above=0)
        check_flag("epsilon_hat", self.epsilon_hat)

    @property
    def update(self) -> type[Update]:
        return AdaptiveMoments

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        first = 1 - self.beta1 ** (steps + 1.0)
        root = np.sqrt(1 - self.beta2 ** (steps + 1.0))
        own = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon}
        if self.epsilon_hat:
            return {"rate": rates * root / first, "root": 1.0, **own}
        return {"rate": rates / first, "root": 1 / root, **own}


OPTIMIZERS: Registry[Optimizer] = Registry("optimizer", [SGD(), Adam()])


def find_optimizer(given: str | Optimizer) -> Optimizer:
    """Return an optimizer from its name (default settings) or as it is."""
    if isinstance(given, Optimizer):
        return given
    if isinstance(given, str):
        return OPTIMIZERS.find(given)
    raise TypeError(
        f"optimizer must be an optimizer such as fastgd.SGD(learning_rate=0.1), "
        f"or a name of one; got {given!r}"
    )
