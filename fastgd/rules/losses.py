"""Losses: what one example costs, and delta = dC/dz at the output, as arrays and as scalars.

To add one, write a class with a ``name``, the ``outputs`` it goes with, both NumPy forms, both
scalar forms and how delta changes (for second derivatives: no kernel needs it), and list it in
``LOSSES``. All forms work element by element; ``cost`` is summed over a row, and the caller
averages over the batch (``batch_average``) and the outputs (``output_average``). ``slope`` is the
output activation's da/dz.

Softmax outputs hand over z as log a, so that the cost of a certain mistake stays finite.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.registry import Registry, unknown_name
from fastgd.rules.scalar import exp, like, log1p

__all__ = ["LOSSES", "LOSS_NAMES", "Loss", "find_loss"]

Array = np.ndarray
ELEMENTWISE = tuple(name for name, rule in ACTIVATIONS.items() if not rule.row_wise)


class Loss:
    """One loss, for one group of output activations.

    Attributes
    ----------
    name : str
        The name kernels know it by; unique.
    public_name : str
        The name people use, as in ``Network(loss=public_name)``.
    outputs : tuple of str
        The output activations it goes with.
    batch_average, output_average : bool
        Whether the cost is averaged over the batch, and over the outputs.
    probabilities : bool
        Whether targets are probabilities, from 0 to 1.
    """

    name: ClassVar[str]
    public_name: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]] = ELEMENTWISE
    batch_average: ClassVar[bool] = True
    output_average: ClassVar[bool] = False
    probabilities: ClassVar[bool] = False

    @staticmethod
    def cost(z: Array, a: Array, y: Array) -> Array:
        """Return each element's share of the cost; the shape of a."""
        raise NotImplementedError

    @staticmethod
    def delta(a: Array, y: Array, slope: Array) -> Array:
        """Return dC/dz, elementwise; the shape of a."""
        raise NotImplementedError

    @staticmethod
    def delta_change(a: Array, y: Array, slope: Array, da: Array, dslope: Array) -> Array:
        """Return how delta changes, to first order, where a changes by da and slope by dslope."""
        raise NotImplementedError

    @staticmethod
    def scalar_cost(z: float, a: float, y: float) -> float:
        """Return one element's share of the cost."""
        raise NotImplementedError

    @staticmethod
    def scalar_delta(a: float, y: float, slope: float) -> float:
        """Return dC/dz of one element."""
        raise NotImplementedError

    @classmethod
    def scale(cls, n_examples: int, n_outputs: int) -> float:
        """Return what a sum of costs over examples and outputs is multiplied by."""
        return 1.0 / (
            (n_examples if cls.batch_average else 1) * (n_outputs if cls.output_average else 1)
        )


class Quadratic(Loss):
    """C = 1/2 sum_j (a_j - y_j)^2, averaged over the batch (Nielsen, eq. 6)."""

    name = public_name = "quadratic"

    @staticmethod
    def cost(z: Array, a: Array, y: Array) -> Array:
        return (a - y) ** 2 / 2

    @staticmethod
    def delta(a: Array, y: Array, slope: Array) -> Array:
        return (a - y) * slope

    @staticmethod
    def delta_change(a: Array, y: Array, slope: Array, da: Array, dslope: Array) -> Array:
        return da * slope + (a - y) * dslope

    @staticmethod
    def scalar_cost(z: float, a: float, y: float) -> float:
        return (a - y) * (a - y) * like(0.5, a)

    @staticmethod
    def scalar_delta(a: float, y: float, slope: float) -> float:
        return (a - y) * slope


class SumOfSquares(Loss):
    """C = sum_j (a_j - y_j)^2, summed over the batch (the classic notes)."""

    name = public_name = "sse"
    batch_average = False

    @staticmethod
    def cost(z: Array, a: Array, y: Array) -> Array:
        return (a - y) ** 2

    @staticmethod
    def delta(a: Array, y: Array, slope: Array) -> Array:
        return 2 * (a - y) * slope

    @staticmethod
    def delta_change(a: Array, y: Array, slope: Array, da: Array, dslope: Array) -> Array:
        return 2 * (da * slope + (a - y) * dslope)

    @staticmethod
    def scalar_cost(z: float, a: float, y: float) -> float:
        return (a - y) * (a - y)

    @staticmethod
    def scalar_delta(a: float, y: float, slope: float) -> float:
        return like(2.0, a) * (a - y) * slope


class MeanSquaredError(SumOfSquares):
    """C = mean_j (a_j - y_j)^2, averaged over the batch; for regression."""

    name = public_name = "mse"
    batch_average = True
    output_average = True


class BinaryCrossEntropy(Loss):
    """C = -sum_j [y_j log a_j + (1 - y_j) log(1 - a_j)] (Nielsen, eq. 63), sigmoid outputs.

    Computed from z as max(z, 0) - z y + log(1 + e^-|z|), which never overflows; dC/dz = a - y.
    """

    name = "binary_cross_entropy"
    public_name = "cross_entropy"
    outputs = ("sigmoid",)
    probabilities = True

    @staticmethod
    def cost(z: Array, a: Array, y: Array) -> Array:
        return np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))

    @staticmethod
    def delta(a: Array, y: Array, slope: Array) -> Array:
        return a - y

    @staticmethod
    def delta_change(a: Array, y: Array, slope: Array, da: Array, dslope: Array) -> Array:
        return da

    @staticmethod
    def scalar_cost(z: float, a: float, y: float) -> float:
        positive = like(0.0, z) if z < like(0.0, z) else z
        return positive - z * y + log1p(exp(-abs(z)))

    @staticmethod
    def scalar_delta(a: float, y: float, slope: float) -> float:
        return a - y


class CategoricalCrossEntropy(Loss):
    """C = -sum_j y_j log a_j over softmax outputs (Nielsen, eq. 80); dC/dz = a - y."""

    name = "categorical_cross_entropy"
    public_name = "cross_entropy"
    outputs = ("softmax",)
    probabilities = True

    @staticmethod
    def cost(z: Array, a: Array, y: Array) -> Array:
        # z is log a here; 0 log 0 counts as 0, also where log a is -infinity.
        return np.where(y == 0, 0, -y * z)

    @staticmethod
    def delta(a: Array, y: Array, slope: Array) -> Array:
        return a - y

    @staticmethod
    def delta_change(a: Array, y: Array, slope: Array, da: Array, dslope: Array) -> Array:
        return da

    @staticmethod
    def scalar_cost(z: float, a: float, y: float) -> float:
        return like(0.0, z) if y == like(0.0, y) else -y * z

    @staticmethod
    def scalar_delta(a: float, y: float, slope: float) -> float:
        return a - y


LOSSES: Registry[type[Loss]] = Registry(
    "loss",
    [Quadratic, SumOfSquares, MeanSquaredError, BinaryCrossEntropy, CategoricalCrossEntropy],
)
LOSS_NAMES = tuple(dict.fromkeys(rule.public_name for rule in LOSSES.values()))


def find_loss(name: str, output: str) -> type[Loss]:
    """Return the loss of that public name for that output activation.

    Raises
    ------
    ValueError
        If nobody knows the name, or the pair is not supported.
    """
    if name not in LOSS_NAMES:
        raise unknown_name("loss", name, LOSS_NAMES)
    rules = [rule for rule in LOSSES.values() if rule.public_name == name]
    for rule in rules:
        if output in rule.outputs:
            return rule
    outputs = [o for rule in rules for o in rule.outputs]
    losses = dict.fromkeys(r.public_name for r in LOSSES.values() if output in r.outputs)
    raise ValueError(
        f"loss {name!r} goes with output {', '.join(outputs)}; got output {output!r}, "
        f"which goes with loss {', '.join(losses)}"
    )
