"""Cross-entropies of outputs that are clipped first, as scikit-learn reports its log loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgd.rules.loss import Loss, Point
from fastgd.rules.scalar import like, log

__all__ = ["CLIPPED", "ClippedBinaryCrossEntropy", "ClippedCategoricalCrossEntropy"]

Array = np.ndarray
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Clipped(Loss):
    """What both have in common; dC/dz = a - y takes no account of the clipping.

    Parameters
    ----------
    epsilon : float, default 2.2e-16
        How close to 0 and 1 outputs come; above 0 and below 1/2.
    """

    public_name = "cross_entropy"
    minimum, maximum = 0.0, 1.0
    classifies = joined = True
    epsilon: float = 2.0**-52

    def __post_init__(self) -> None:
        self._check("epsilon", above=0, below=0.5)

    def numbers_for(self, n_outputs: int) -> Numbers:
        return self.epsilon, 1 - self.epsilon

    def clip(self, a: Array) -> Array:
        """Return the outputs, clipped."""
        return np.clip(a, self.epsilon, 1 - self.epsilon)

    def delta_of(self, z: Array, a: Array, y: Array, slope: Array) -> Array:
        return a - y

    def delta_change(self, at: Point, change: Point) -> Array:
        return change.a

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        return a - y


@dataclass(frozen=True)
class ClippedBinaryCrossEntropy(Clipped):
    """C = -sum_j [y_j log c_j + (1 - y_j) log(1 - c_j)] of sigmoid outputs, c = a clipped.

    Examples
    --------
    >>> import numpy as np
    >>> cost = ClippedBinaryCrossEntropy().cost(None, np.array([[1.0]]), np.array([[0.0]]))
    >>> round(float(cost[0, 0]), 2)
    36.04
    """

    name = "clipped_binary_cross_entropy"
    formula = "C = -sum_j [y_j log c_j + (1 - y_j) log(1 - c_j)], c = a clipped"
    outputs = ("sigmoid",)

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        c = self.clip(a)
        return -(y * np.log(c) + (1 - y) * np.log(1 - c))

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        one = like(1.0, a)
        c = p[0] if a < p[0] else (p[1] if a > p[1] else a)
        return -(y * log(c) + (one - y) * log(one - c))


@dataclass(frozen=True)
class ClippedCategoricalCrossEntropy(Clipped):
    """C = -sum_j y_j log c_j of softmax outputs, c = a clipped.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([[1.0, 0.0]])
    >>> ClippedCategoricalCrossEntropy(0.25).cost(None, y, y).round(3).tolist()
    [[0.288, 0.0]]
    """

    name = "clipped_categorical_cross_entropy"
    formula = "C = -sum_j y_j log c_j, c = a clipped"
    outputs = ("softmax",)

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        return y * -np.log(self.clip(a))

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        return y * -log(p[0] if a < p[0] else (p[1] if a > p[1] else a))


#: With their default parameters.
CLIPPED = (ClippedBinaryCrossEntropy(), ClippedCategoricalCrossEntropy())
