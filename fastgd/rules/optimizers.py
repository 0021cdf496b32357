"""Optimizers: how a gradient changes the parameters, as people set it.

An optimizer names an update rule, of `fastgd.rules.updates` or its own, and computes its settings
for every step; see `fastgd.rules.update` for what all have in common. To add one, write a frozen
dataclass and list it in ``OPTIMIZERS``; a rule of its own goes into ``UPDATES``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgd.errors import SettingError, SettingTypeError
from fastgd.rules.checks import check_flag, check_integer
from fastgd.rules.registry import Registry
from fastgd.rules.update import Optimizer, Update
from fastgd.rules.updates import (
    UPDATES,
    AdaptiveDelta,
    AdaptiveMoments,
    GradientDescent,
    LargestMoments,
    Momentum,
    NesterovMoments,
    RootMeanSquare,
    SignedMomentum,
    SignedSteps,
    SumOfSquares,
)

__all__ = [
    "LBFGS", "OPTIMIZERS", "SGD", "UPDATES", "AMSGrad", "Adadelta", "Adagrad", "Adam", "AdamW",
    "GradientDescent", "Lion", "Nadam", "Optimizer", "RMSprop", "Rprop", "find_optimizer",
]  # fmt: skip

Array = np.ndarray
#: The smallest epsilon that is not 0 in float32: 0 / 0 would be NaN where a slope is always 0.
TINY = 1e-37
#: What is smaller beside 1 is lost.
LOST = 2.0**-60


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
        self._check("epsilon", minimum=TINY)
        check_flag("epsilon_hat", self.epsilon_hat)

    @property
    def update(self) -> type[Update]:
        return AdaptiveMoments

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        first = 1 - self.beta1 ** (steps + 1.0)
        root = np.sqrt(1 - self.beta2 ** (steps + 1.0))
        own = {"new1": 1 - self.beta1, "new2": 1 - self.beta2, "epsilon": self.epsilon}
        if self.epsilon_hat:
            return {"rate": rates * root / first, "root": 1.0, **own}
        return {"rate": rates / first, "root": 1 / root, **own}


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """`Adam` with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon, epsilon_hat
        As in `Adam`.
    weight_decay : float, default 0.01
        The share weights lose in each step, times the learning rate.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.AdamW(weight_decay=0.1)
    AdamW(learning_rate=0.001, weight_decay=0.1)
    """

    name = "adamw"
    weight_decay: float = field(default=0.01, kw_only=True)


@dataclass(frozen=True, repr=False)
class AMSGrad(Adam):
    """`Adam` with the largest v so far under the root (Reddi, Kale and Kumar 2018, algorithm 2).

    Examples
    --------
    >>> import fastgd
    >>> fastgd.AMSGrad().update.slots
    ('m', 'v', 'largest')
    """

    name = "amsgrad"

    @property
    def update(self) -> type[Update]:
        return LargestMoments


@dataclass(frozen=True, repr=False)
class Nadam(Optimizer):
    """`Adam` with Nesterov's momentum (Dozat 2016), as torch.optim.NAdam.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.002
    beta1, beta2, epsilon
        As in `Adam`.
    momentum_decay : float, default 0.004
        How fast the momentum of early steps grows to beta1: that of step t, counted from 1, is
        beta1 (1 - 0.96^(t momentum_decay) / 2).

    Examples
    --------
    >>> import fastgd
    >>> fastgd.Nadam()
    Nadam(learning_rate=0.002)
    """

    name = "nadam"
    learning_rate: Any = 0.002
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("beta1", minimum=0, below=1)
        self._check("beta2", minimum=0, below=1)
        self._check("epsilon", minimum=TINY)
        self._check("momentum_decay", minimum=0)

    @property
    def update(self) -> type[Update]:
        return NesterovMoments

    def _momenta(self, count: Array) -> Array:
        """Return the momentum mu of steps counted from 1."""
        return self.beta1 * (1 - 0.5 * 0.96 ** (count * self.momentum_decay))

    def _products(self, count: Array) -> Array:
        """Return the product of all mu up to steps counted from 1, in one formula for any step.

        With q = 0.96^decay, log(prod_k (1 - q^k / 2)) = -sum_n 2^-n / n (q^n + q^2n + ... + q^tn),
        the last a geometric sum.
        """
        products = self.beta1**count
        seen = products > LOST  # later ones are 1 in 1 - product
        n, t = np.arange(1.0, 61.0), count[seen, None]
        log_q = n * self.momentum_decay * math.log(0.96)
        slow = self.momentum_decay == 0  # q is 1
        sums = t if slow else np.exp(log_q) * np.expm1(t * log_q) / np.expm1(log_q)
        products[seen] *= np.exp(-(sums * 0.5**n / n).sum(axis=1))
        return products

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        count = steps + 1.0
        mu, following = self._momenta(count), self._momenta(count + 1)
        product = self._products(count)
        return {
            "now": rates * (1 - mu) / (1 - product),
            "ahead": rates * following / (1 - product * following),
            "root": 1 / np.sqrt(1 - self.beta2**count),
            "new1": 1 - self.beta1,
            "new2": 1 - self.beta2,
            "epsilon": self.epsilon,
        }


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """Steps scaled by a running average of the gradient's square (Hinton 2012, lecture 6e).

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.01
    alpha : float, default 0.99
        How much of the average is kept, from 0 to below 1.
    epsilon : float, default 1e-8
        Added to the average's root, above 0.
    momentum : float, default 0
        How much of the last step is kept, from 0 to below 1.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.RMSprop(0.001, momentum=0.9)
    RMSprop(learning_rate=0.001, momentum=0.9)
    """

    name = "rmsprop"
    learning_rate: Any = 0.01
    alpha: float = 0.99
    epsilon: float = 1e-8
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("alpha", minimum=0, below=1)
        self._check("epsilon", minimum=TINY)
        self._check("momentum", minimum=0, below=1)

    @property
    def update(self) -> type[Update]:
        return RootMeanSquare

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        new, momentum = 1 - self.alpha, self.momentum
        return {"rate": rates, "new": new, "momentum": momentum, "epsilon": self.epsilon}


@dataclass(frozen=True, repr=False)
class Adagrad(Optimizer):
    """Steps scaled by the sum of all squares of the gradient (Duchi, Hazan and Singer 2011).

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.01
    epsilon : float, default 1e-10
        Added to the sum's root, above 0.
    initial_sum : float, default 0
        Where the sums begin, at least 0.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.Adagrad(0.1)
    Adagrad(learning_rate=0.1)
    """

    name = "adagrad"
    learning_rate: Any = 0.01
    epsilon: float = 1e-10
    initial_sum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("epsilon", minimum=TINY)
        self._check("initial_sum", minimum=0)

    @property
    def update(self) -> type[Update]:
        return SumOfSquares

    def start(self, slots: Array) -> None:
        slots[0] = self.initial_sum

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        return {"rate": rates, "epsilon": self.epsilon}


@dataclass(frozen=True, repr=False)
class Adadelta(Optimizer):
    """Steps in the units of the weights: no rate to choose (Zeiler 2012).

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 1
    rho : float, default 0.9
        How much of the averages is kept, from 0 to below 1.
    epsilon : float, default 1e-6
        Added under both roots, above 0.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.Adadelta()
    Adadelta(learning_rate=1.0)
    """

    name = "adadelta"
    learning_rate: Any = 1.0
    rho: float = 0.9
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("rho", minimum=0, below=1)
        self._check("epsilon", minimum=TINY)

    @property
    def update(self) -> type[Update]:
        return AdaptiveDelta

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        return {"rate": rates, "new": 1 - self.rho, "epsilon": self.epsilon}


@dataclass(frozen=True, repr=False)
class Rprop(Optimizer):
    """Steps by the sign of the slope alone; for whole batches (Riedmiller and Braun 1993).

    Parameters
    ----------
    learning_rate : float, default 0.01
        The first size of every weight's step.
    shrink, grow : float, default 0.5 and 1.2
        What a step size is multiplied by where the slope changed its sign, and where not.
    smallest, largest : float, default 1e-6 and 50
        The bounds of step sizes.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.Rprop()
    Rprop(learning_rate=0.01)
    """

    name = "rprop"
    learning_rate: Any = 0.01
    shrink: float = 0.5
    grow: float = 1.2
    smallest: float = 1e-6
    largest: float = 50.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("learning_rate", above=0)
        self._check("shrink", above=0, below=1)
        self._check("grow", above=1)
        self._check("smallest", above=0)
        self._check("largest", above=self.smallest)

    @property
    def update(self) -> type[Update]:
        return SignedSteps

    def start(self, slots: Array) -> None:
        slots[1] = self.learning_rate

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        bounds = {"smallest": self.smallest, "largest": self.largest}
        return {"eta_plus": self.grow, "eta_minus": self.shrink, **bounds}


@dataclass(frozen=True, repr=False)
class Lion(Optimizer):
    """Steps by the sign of a running average of the gradient (Chen et al. 2023, algorithm 2).

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 1e-4
        Three to ten times less than Adam's.
    beta1, beta2 : float, default 0.9 and 0.99
        How much of the average counts in a step, and is kept after it; from 0 to below 1.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.Lion(weight_decay=0.1)
    Lion(learning_rate=0.0001, weight_decay=0.1)
    """

    name = "lion"
    learning_rate: Any = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("beta1", minimum=0, below=1)
        self._check("beta2", minimum=0, below=1)

    @property
    def update(self) -> type[Update]:
        return SignedMomentum

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        return {"rate": rates, "new1": 1 - self.beta1, "new2": 1 - self.beta2}


@dataclass(frozen=True, repr=False)
class LBFGS(Optimizer):
    """L-BFGS on all examples at once, by SciPy (Liu and Nocedal 1989); needs ``fastgd[lbfgs]``.

    An epoch is one iteration; the batch size does not count.

    Parameters
    ----------
    memory : int, default 10
        How many past steps shape the next.
    tolerance : float, default 1e-5
        It ends where no number of the gradient is larger.
    max_evaluations : int, default 20
        How often a step may compute the cost while it searches for its length.
    l2 : float, default 0
        As in `Optimizer`; other penalties, limits and learning rates are refused.

    Examples
    --------
    >>> import fastgd
    >>> fastgd.LBFGS(l2=0.1)
    LBFGS(learning_rate=1.0, l2=0.1)
    """

    name = "lbfgs"
    whole = True
    learning_rate: Any = 1.0
    memory: int = 10
    tolerance: float = 1e-5
    max_evaluations: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learning_rate != 1.0:
            raise SettingError(
                "learning_rate", "must be left out: L-BFGS searches for its step lengths"
            )
        for name in ("l1", "weight_decay", "clip_value", "clip_norm", "max_norm"):
            if getattr(self, name):
                raise SettingError(name, "must be left out: L-BFGS has the penalty l2 alone")
        check_integer("memory", self.memory, 1)
        check_integer("max_evaluations", self.max_evaluations, 1)
        self._check("tolerance", minimum=0)

    @property
    def update(self) -> type[Update]:
        return GradientDescent

    def settings(self, steps: Array, rates: Array) -> dict[str, Any]:
        return {"rate": rates}


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    [
        SGD(), Adam(), AdamW(), AMSGrad(), Nadam(), RMSprop(), Adagrad(), Adadelta(), Rprop(),
        Lion(), LBFGS(),
    ],
)  # fmt: skip


def find_optimizer(given: str | Optimizer) -> Optimizer:
    """Return an optimizer from its name (default settings) or as it is."""
    if isinstance(given, Optimizer):
        return given
    if isinstance(given, str):
        return OPTIMIZERS.find(given)
    raise SettingTypeError(
        "optimizer",
        f"must be an optimizer such as fastgd.SGD(learning_rate=0.1), "
        f"or a name of one; got {given!r}",
    )
