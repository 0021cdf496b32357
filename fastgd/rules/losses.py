"""Losses: what one example costs, and delta = dC/dz at the output, as arrays and as scalars.

A rule is an instance, ``Huber(delta=1.0)``; its name alone means the defaults. To add one, write a
frozen dataclass with a ``name``, the ``outputs`` it goes with, both NumPy forms, both scalar forms
and how delta changes (for second derivatives: no kernel needs it), and list it in ``LOSSES``. All
forms work element by element; ``cost`` is summed over a row, and the caller averages over the batch
(``batch_average``) and the outputs (``output_average``). ``slope`` is the output's da/dz, ``p`` the
numbers of `Loss.numbers_for`. Softmax outputs hand over z as log a: sure mistakes cost no infinity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastgd.errors import SettingError
from fastgd.rules.clipped import CLIPPED
from fastgd.rules.loss import Loss, Point
from fastgd.rules.registry import Registry
from fastgd.rules.scalar import exp, like, log, log1p, tanh

__all__ = [
    "LOSSES", "LOSS_NAMES", "PUBLIC_LOSSES", "AbsoluteError", "BinaryCrossEntropy",
    "CrossEntropy", "Focal", "Hinge", "Huber", "LogCosh", "Loss", "Point", "Poisson", "Quantile",
    "find_loss", "losses_for",
]  # fmt: skip

Array = np.ndarray
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Quadratic(Loss):
    """C = 1/2 sum_j (a_j - y_j)^2, averaged over the batch (Nielsen, eq. 6).

    Examples
    --------
    >>> Quadratic.scalar_cost(0.0, 3.0, 1.0, ())
    2.0
    """

    name = "quadratic"
    formula = "C = sum_j (a_j - y_j)^2 / 2"
    slope_in_words = "{e}"
    squared = True

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        return (a - y) ** 2 / 2

    def delta_of(self, z: Array, a: Array, y: Array, slope: Array) -> Array:
        return (a - y) * slope

    def delta_change(self, at: Point, change: Point) -> Array:
        return change.a * at.slope + (at.a - at.y) * change.slope

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        return (a - y) * (a - y) * like(0.5, a)

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        return (a - y) * slope


@dataclass(frozen=True)
class SumOfSquares(Loss):
    """C = sum_j (a_j - y_j)^2, summed over the batch: least squares (Legendre 1805).

    Examples
    --------
    >>> SumOfSquares.scalar_cost(0.0, 3.0, 1.0, ())
    4.0
    """

    name = "sse"
    formula = "C = sum_j (a_j - y_j)^2, summed over examples"
    slope_in_words = "2 x ({e})"
    squared = True
    batch_average = False

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        return (a - y) ** 2

    def delta_of(self, z: Array, a: Array, y: Array, slope: Array) -> Array:
        return 2 * (a - y) * slope

    def delta_change(self, at: Point, change: Point) -> Array:
        return 2 * (change.a * at.slope + (at.a - at.y) * change.slope)

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        return (a - y) * (a - y)

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        return like(2.0, a) * (a - y) * slope


@dataclass(frozen=True)
class MeanSquaredError(SumOfSquares):
    """C = mean_j (a_j - y_j)^2, averaged over the batch (scikit-learn's mean_squared_error).

    Examples
    --------
    >>> MeanSquaredError().scale(n_examples=5, n_outputs=2)
    0.1
    """

    name = "mse"
    formula = "C = mean_j (a_j - y_j)^2"
    batch_average = True
    output_average = True


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """C = -sum_j y_j log a_j of a softmax, or of each sigmoid by itself (Nielsen, eqs. 63, 80).

    Parameters
    ----------
    label_smoothing : float, default 0
        How much of each target is spread evenly over what it might have been (Szegedy et al.
        2016, section 7), from 0 to below 1.

    Examples
    --------
    >>> CrossEntropy().for_output("sigmoid").name
    'binary_cross_entropy'
    """

    name = public_name = "cross_entropy"
    formula = "C = -sum_j y_j log a_j"
    outputs: ClassVar[tuple[str, ...]] = ("softmax", "sigmoid")
    minimum, maximum = 0.0, 1.0
    classifies = joined = True
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        self._check("label_smoothing", minimum=0, below=1)

    def for_output(self, output: str) -> Loss:
        variants: tuple[type[CrossEntropy], ...] = (BinaryCrossEntropy, CategoricalCrossEntropy)
        for variant in variants if type(self) is CrossEntropy else ():
            if output in variant.outputs:
                return variant(self.label_smoothing)
        return self

    def numbers_for(self, n_outputs: int) -> Numbers:
        return 1 - self.label_smoothing, self.label_smoothing / self.n_choices(n_outputs)

    def n_choices(self, n_outputs: int) -> int:
        """Return among how many values a target chooses."""
        raise NotImplementedError

    def smooth(self, y: Array) -> Array:
        """Return the targets (n, n_outputs), smoothed."""
        if not self.label_smoothing:
            return y
        share, rest = self.numbers_for(y.shape[1])
        return share * y + rest

    def delta_of(self, z: Array, a: Array, y: Array, slope: Array) -> Array:
        return a - self.smooth(y)

    def delta_change(self, at: Point, change: Point) -> Array:
        return change.a

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        return a - (p[0] * y + p[1])


@dataclass(frozen=True)
class BinaryCrossEntropy(CrossEntropy):
    """C = -sum_j [y_j log a_j + (1 - y_j) log(1 - a_j)] (Nielsen, eq. 63), sigmoid outputs.

    Computed from z as max(z, 0) - z y + log(1 + e^-|z|), which never overflows; dC/dz = a - y. For
    several classes that may all be true of one example (multilabel), or one true or not.

    Parameters
    ----------
    label_smoothing : float, default 0
        As in `CrossEntropy`: y becomes (1 - s) y + s / 2.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(BinaryCrossEntropy().cost(np.zeros((1, 1)), None, np.ones((1, 1)))[0, 0]), 4)
    0.6931
    """

    name = "binary_cross_entropy"
    formula = "C = -sum_j [y_j log a_j + (1 - y_j) log(1 - a_j)]"
    outputs = ("sigmoid",)

    def n_choices(self, n_outputs: int) -> int:
        return 2

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        return np.maximum(z, 0) - z * self.smooth(y) + np.log1p(np.exp(-np.abs(z)))

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        positive = like(0.0, z) if z < like(0.0, z) else z
        return positive - z * (p[0] * y + p[1]) + log1p(exp(-abs(z)))


@dataclass(frozen=True)
class CategoricalCrossEntropy(CrossEntropy):
    """C = -sum_j y_j log a_j over softmax outputs (Nielsen, eq. 80); dC/dz = a - y.

    Parameters
    ----------
    label_smoothing : float, default 0
        As in `CrossEntropy`: y becomes (1 - s) y + s / n_outputs.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([[1.0, 0.0]])
    >>> CategoricalCrossEntropy(0.1).delta_of(None, y, y, None)
    array([[ 0.05, -0.05]])
    """

    name = "categorical_cross_entropy"
    outputs = ("softmax",)

    def n_choices(self, n_outputs: int) -> int:
        return n_outputs

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        # z is log a here; 0 log 0 counts as 0, also where log a is -infinity.
        y = self.smooth(y)
        return np.where(y == 0, 0, -y * z)

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        y = p[0] * y + p[1]
        return like(0.0, z) if y == like(0.0, y) else -y * z


@dataclass(frozen=True)
class Residual(Loss):
    """A loss of the residual a - y, averaged over outputs and the batch; for numbers."""

    output_average = True

    def of(self, e: Array) -> tuple[Array, Array, Array]:
        """Return the cost of residuals, and its first and second derivative."""
        raise NotImplementedError

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        return self.of(a - y)[0]

    def delta_of(self, z: Array, a: Array, y: Array, slope: Array) -> Array:
        return self.of(a - y)[1] * slope

    def delta_change(self, at: Point, change: Point) -> Array:
        _, first, second = self.of(at.a - at.y)
        return second * change.a * at.slope + first * change.slope


@dataclass(frozen=True)
class AbsoluteError(Residual):
    """C = mean_j |a_j - y_j|: it fits the median, and outliers count little (Laplace 1774).

    Examples
    --------
    >>> import numpy as np
    >>> AbsoluteError().cost(None, np.array([[3.0]]), np.array([[5.0]]))
    array([[2.]])
    """

    name = "absolute_error"
    formula = "C = mean_j |a_j - y_j|"

    def of(self, e: Array) -> tuple[Array, Array, Array]:
        return np.abs(e), np.sign(e), np.zeros_like(e)

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        return abs(a - y)

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        return slope if a > y else (-slope if a < y else slope * (a - y))


@dataclass(frozen=True)
class Huber(Residual):
    """C = mean_j of e^2/2 where |e| <= delta, else delta (|e| - delta/2); e = a - y (Huber 1964).

    Parameters
    ----------
    delta : float, default 1
        From where on errors count by their size, not its square; above 0.

    Examples
    --------
    >>> import numpy as np
    >>> Huber(delta=1.0).cost(None, np.array([[0.5, 3.0]]), np.zeros((1, 2)))
    array([[0.125, 2.5  ]])
    """

    name = "huber"
    formula = "C = mean_j of e^2/2, or delta (|e| - delta/2) beyond delta"
    delta: float = 1.0

    def __post_init__(self) -> None:
        self._check("delta", above=0)

    def of(self, e: Array) -> tuple[Array, Array, Array]:
        size = np.abs(e)
        near = size <= self.delta
        cost = np.where(near, e * e / 2, self.delta * (size - self.delta / 2))
        return cost, np.clip(e, -self.delta, self.delta), near.astype(e.dtype)

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        half, size = like(0.5, a), abs(a - y)
        return half * size * size if size <= p[0] else p[0] * (size - half * p[0])

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        e = a - y
        e = p[0] if e > p[0] else e
        return (-p[0] if e < -p[0] else e) * slope


@dataclass(frozen=True)
class LogCosh(Residual):
    """C = mean_j log cosh(a_j - y_j): e^2/2 near 0 and |e| - log 2 far away, smooth throughout.

    Examples
    --------
    >>> import numpy as np
    >>> LogCosh().cost(None, np.array([[0.0, 1000.0]]), np.zeros((1, 2))).round(4)
    array([[  0.    , 999.3069]])
    """

    name = "log_cosh"
    formula = "C = mean_j log cosh(a_j - y_j)"

    def of(self, e: Array) -> tuple[Array, Array, Array]:
        size, t = np.abs(e), np.tanh(e)
        far = size + np.log1p(np.exp(-2 * size)) - np.log(2).astype(e.dtype)
        near = -0.5 * np.log1p(-np.minimum(t * t, 0.75))  # keeps its digits near 0
        return np.where(size < 1, near, far), t, 1 - t * t

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        size = abs(a - y)
        t = tanh(size)
        near = like(-0.5, a) * log1p(-t * t)
        far = size + log1p(exp(like(-2.0, a) * size)) - like(0.6931471805599453, a)
        return near if size < like(1.0, a) else far

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        return tanh(a - y) * slope


@dataclass(frozen=True)
class Quantile(Residual):
    """C = mean_j of q (y - a) where y is above a, else (1 - q) (a - y) (Koenker and Bassett 1978).

    What it fits is the q-th quantile of y: the pinball loss.

    Parameters
    ----------
    quantile : float, default 0.5
        Above 0 and below 1.

    Examples
    --------
    >>> import numpy as np
    >>> Quantile(0.75).cost(None, np.array([[0.0, 2.0]]), np.array([[1.0, 1.0]]))
    array([[0.75, 0.25]])
    """

    name = "quantile"
    formula = "C = mean_j of q (y_j - a_j), or (1 - q) (a_j - y_j) below"
    quantile: float = 0.5

    def __post_init__(self) -> None:
        self._check("quantile", above=0, below=1)

    def of(self, e: Array) -> tuple[Array, Array, Array]:
        slope = np.where(e > 0, 1 - self.quantile, -self.quantile) * (e != 0)
        slope = slope.astype(e.dtype)
        return slope * e, slope, np.zeros_like(e)

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        e = a - y
        return (like(1.0, a) - p[0]) * e if e > like(0.0, a) else -p[0] * e

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        above = (like(1.0, a) - p[0]) * slope
        return above if a > y else (-p[0] * slope if a < y else slope * (a - y))


@dataclass(frozen=True)
class Poisson(Loss):
    """C = mean_j of y log(y / a) - y + a, half the Poisson deviance, for counts; outputs ``exp``.

    As scikit-learn's; z is log a, and dC/dz = a - y (McCullagh and Nelder 1989, table 2.1).

    Examples
    --------
    >>> import numpy as np
    >>> Poisson().cost(np.zeros((1, 2)), np.ones((1, 2)), np.array([[0.0, 1.0]]))
    array([[1., 0.]])
    """

    name = "poisson"
    formula = "C = mean_j of y_j log(y_j / a_j) - y_j + a_j"
    outputs = ("exp",)
    output_average = joined = True
    minimum = 0.0

    def numbers_for(self, n_outputs: int) -> Numbers:
        return (-np.inf,)  # below that z the cost is infinite

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        own = np.where(y > 0, y * np.log(np.where(y > 0, y, 1)), 0)
        return np.where(z < self.numbers_for(1)[0], np.inf, own - y * z - y + a)

    def delta_of(self, z: Array, a: Array, y: Array, slope: Array) -> Array:
        return a - y

    def delta_change(self, at: Point, change: Point) -> Array:
        return change.a

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        own = y * log(y if y > like(0.0, a) else like(1.0, a))
        return like(np.inf, a) if z < p[0] else own - y * z - y + a

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        return a - y


@dataclass(frozen=True)
class Hinge(Loss):
    """C = sum_j max(0, 1 - t_j a_j), t = 1 for targets of 1 and -1 for 0 (Cortes, Vapnik 1995).

    For several classes each output is one against the rest.

    Examples
    --------
    >>> import numpy as np
    >>> Hinge().cost(None, np.array([[2.0, -0.5]]), np.array([[1.0, 1.0]]))
    array([[0. , 1.5]])
    """

    name = "hinge"
    formula = "C = sum_j max(0, 1 - t_j a_j), t = 2 y - 1"
    outputs = ("identity", "tanh")
    minimum, maximum = 0.0, 1.0
    classifies = True
    threshold = 0.0

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        return np.maximum(1 - (2 * y - 1) * a, 0)

    def delta_of(self, z: Array, a: Array, y: Array, slope: Array) -> Array:
        t = 2 * y - 1
        return np.where(t * a < 1, -t, 0) * slope

    def delta_change(self, at: Point, change: Point) -> Array:
        return self.delta_of(at.z, at.a, np.asarray(at.y), change.slope)

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        one, zero = like(1.0, a), like(0.0, a)
        short = one - (y + y - one) * a
        return zero if short < zero else short

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        one = like(1.0, a)
        t = y + y - one
        return -t * slope if t * a < one else like(0.0, a) * (t * a)


@dataclass(frozen=True)
class Focal(Loss):
    """C = -sum_j [y (1 - a)^g log a + (1 - y) a^g log(1 - a)]: sure examples count little.

    Lin et al. 2017, eq. 4, for sigmoid outputs; computed from z, as `BinaryCrossEntropy` is, which
    it is at gamma 0.

    Parameters
    ----------
    gamma : float, default 2
        How little; at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> Focal(2.0).cost(np.zeros((1, 1)), np.full((1, 1), 0.5), np.ones((1, 1))).round(4)
    array([[0.1733]])
    """

    name = "focal"
    formula = "C = -sum_j [y_j (1 - a_j)^g log a_j + (1 - y_j) a_j^g log(1 - a_j)]"
    outputs = ("sigmoid",)
    minimum, maximum = 0.0, 1.0
    classifies = joined = True
    gamma: float = 2.0

    def __post_init__(self) -> None:
        self._check("gamma", minimum=0)

    def _parts(self, z: Array, y: Array) -> tuple[Array, Array, Array, Array]:
        """Return -log(1 - a), -log a, y (1 - a)^g and (1 - y) a^g."""
        away = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
        near = away - z
        return away, near, y * np.exp(-self.gamma * away), (1 - y) * np.exp(-self.gamma * near)

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        away, near, ones, zeros = self._parts(z, y)
        return ones * near + zeros * away

    def delta_of(self, z: Array, a: Array, y: Array, slope: Array) -> Array:
        away, near, ones, zeros = self._parts(z, y)
        g = self.gamma
        return ones * (a - 1 - g * a * near) + zeros * (a + g * (1 - a) * away)

    def delta_change(self, at: Point, change: Point) -> Array:
        z, a, y, _ = at
        away, near, ones, zeros = self._parts(z, y)  # type: ignore[arg-type]
        g, s = self.gamma, a * (1 - a)
        one = -g * a * (a - 1 - g * a * near) + s * (1 + g - g * near)
        zero = g * (1 - a) * (a + g * (1 - a) * away) + s * (1 + g - g * away)
        return (ones * one + zeros * zero) * change.z

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        positive = like(0.0, z) if z < like(0.0, z) else z
        away = positive + log1p(exp(-abs(z)))
        near = away - z
        rest = like(1.0, z) - y
        return y * exp(-p[0] * away) * near + rest * exp(-p[0] * near) * away

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        one = like(1.0, z)
        positive = like(0.0, z) if z < like(0.0, z) else z
        away = positive + log1p(exp(-abs(z)))
        near = away - z
        ones = y * exp(-p[0] * away) * (a - one - p[0] * a * near)
        return ones + (one - y) * exp(-p[0] * near) * (a + p[0] * (one - a) * away)


#: csrc/rules.h has them in this order; rules that are only here come last.
LOSSES: Registry[Loss] = Registry(
    "loss",
    [
        Quadratic(), SumOfSquares(), MeanSquaredError(), BinaryCrossEntropy(),
        CategoricalCrossEntropy(), AbsoluteError(), Huber(), LogCosh(), Quantile(), Poisson(),
        Hinge(), Focal(), *CLIPPED,
    ],
)  # fmt: skip
#: The names people use: those of `LOSSES`, and what means one or another by the output.
PUBLIC_LOSSES: Registry[Loss] = Registry("loss", [*LOSSES.values(), CrossEntropy()])
LOSS_NAMES = tuple(PUBLIC_LOSSES)


def find_loss(given: str | Mapping[str, Any] | Loss, output: str) -> Loss:
    """Return the loss of that name, or the loss given, for that output activation.

    Raises
    ------
    ValueError
        If nobody knows the name, or the pair is not supported.
    """
    loss = PUBLIC_LOSSES.find(given)
    if output in loss.outputs:
        return loss.for_output(output)
    losses = ", ".join(losses_for(output))
    goes = f"{loss.name!r} goes with output {', '.join(loss.outputs)}; got output {output!r}, "
    raise SettingError("loss", f"{goes}which goes with loss {losses}")


def losses_for(output: str) -> list[str]:
    """Return what people call the losses that go with an output activation.

    >>> losses_for("softmax")
    ['cross_entropy']
    """
    fitting = [rule for rule in PUBLIC_LOSSES.values() if output in rule.outputs]
    return list(dict.fromkeys(rule.public_name or rule.name for rule in fitting))
