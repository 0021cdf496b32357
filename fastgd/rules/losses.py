"""Losses: what one example costs, and delta = dC/dz at the output, as arrays and as scalars.

A rule is an instance, ``Huber(delta=1.0)``; its name alone means the defaults. To add one, write a
frozen dataclass with a ``name``, the ``outputs`` it goes with, both NumPy forms, both scalar forms
and how delta changes (for second derivatives: no kernel needs it), and list it in ``LOSSES``. All
forms work element by element; ``cost`` is summed over a row, and the caller averages over the batch
(``batch_average``) and the outputs (``output_average``). ``slope`` is the output activation's
da/dz. Scalar forms receive the numbers of `Loss.numbers_for` as ``p``.

Softmax outputs hand over z as log a, so that the cost of a certain mistake stays finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.registry import Registry, Rule
from fastgd.rules.scalar import exp, like, log1p

__all__ = ["LOSSES", "LOSS_NAMES", "CrossEntropy", "Loss", "find_loss"]

Array = np.ndarray
Numbers = tuple[float, ...]
ELEMENTWISE = tuple(name for name, rule in ACTIVATIONS.items() if not rule.row_wise)


@dataclass(frozen=True)
class Loss(Rule):
    """One loss, for one group of output activations.

    Attributes
    ----------
    name : str
        The name, as in ``Network(loss=name)``.
    formula : str
        The cost of one example, as people write it.
    outputs : tuple of str
        The output activations it goes with, the usual one first.
    batch_average, output_average : bool
        Whether the cost is averaged over the batch, and over the outputs.
    probabilities : bool
        Whether targets are probabilities, from 0 to 1.
    classifies : bool
        Whether what it trains is scored by accuracy whatever its targets look like.
    threshold : float
        From which single output on an example belongs to class 1.
    """

    formula: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]] = ELEMENTWISE
    batch_average: ClassVar[bool] = True
    output_average: ClassVar[bool] = False
    probabilities: ClassVar[bool] = False
    classifies: ClassVar[bool] = False
    threshold: ClassVar[float] = 0.5

    def numbers_for(self, n_outputs: int) -> Numbers:
        """Return what kernels get of its parameters, for a network of so many outputs."""
        return self.numbers

    def for_output(self, output: str) -> Loss:
        """Return the loss that this one means for that output activation."""
        return self

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        """Return each element's share of the cost; the shape of a."""
        raise NotImplementedError

    def delta(self, a: Array, y: Array, slope: Array) -> Array:
        """Return dC/dz, elementwise; the shape of a."""
        raise NotImplementedError

    def delta_change(self, a: Array, y: Array, slope: Array, da: Array, dslope: Array) -> Array:
        """Return how delta changes, to first order, where a changes by da and slope by dslope."""
        raise NotImplementedError

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        """Return one element's share of the cost."""
        raise NotImplementedError

    @staticmethod
    def scalar_delta(a: float, y: float, slope: float, p: Numbers) -> float:
        """Return dC/dz of one element."""
        raise NotImplementedError

    def scale(self, n_examples: int, n_outputs: int) -> float:
        """Return what a sum of costs over examples and outputs is multiplied by."""
        return 1.0 / (
            (n_examples if self.batch_average else 1) * (n_outputs if self.output_average else 1)
        )


@dataclass(frozen=True)
class Quadratic(Loss):
    """C = 1/2 sum_j (a_j - y_j)^2, averaged over the batch (Nielsen, eq. 6)."""

    name = "quadratic"

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        return (a - y) ** 2 / 2

    def delta(self, a: Array, y: Array, slope: Array) -> Array:
        return (a - y) * slope

    def delta_change(self, a: Array, y: Array, slope: Array, da: Array, dslope: Array) -> Array:
        return da * slope + (a - y) * dslope

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        return (a - y) * (a - y) * like(0.5, a)

    @staticmethod
    def scalar_delta(a: float, y: float, slope: float, p: Numbers) -> float:
        return (a - y) * slope


@dataclass(frozen=True)
class SumOfSquares(Loss):
    """C = sum_j (a_j - y_j)^2, summed over the batch (the classic notes)."""

    name = "sse"
    batch_average = False

    def cost(self, z: Array, a: Array, y: Array) -> Array:
        return (a - y) ** 2

    def delta(self, a: Array, y: Array, slope: Array) -> Array:
        return 2 * (a - y) * slope

    def delta_change(self, a: Array, y: Array, slope: Array, da: Array, dslope: Array) -> Array:
        return 2 * (da * slope + (a - y) * dslope)

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        return (a - y) * (a - y)

    @staticmethod
    def scalar_delta(a: float, y: float, slope: float, p: Numbers) -> float:
        return like(2.0, a) * (a - y) * slope


@dataclass(frozen=True)
class MeanSquaredError(SumOfSquares):
    """C = mean_j (a_j - y_j)^2, averaged over the batch; for regression."""

    name = "mse"
    batch_average = True
    output_average = True


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy: of every output by itself for sigmoid, of the whole row for softmax.

    Parameters
    ----------
    label_smoothing : float, default 0
        How much of each target is spread evenly over what it might have been (Szegedy et al.
        2016, section 7), from 0 to below 1.
    """

    name = public_name = "cross_entropy"
    formula = "C = -sum_j y_j log a_j"
    outputs = ("softmax", "sigmoid")
    probabilities = True
    classifies = True
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

    def delta(self, a: Array, y: Array, slope: Array) -> Array:
        return a - self.smooth(y)

    def delta_change(self, a: Array, y: Array, slope: Array, da: Array, dslope: Array) -> Array:
        return da

    @staticmethod
    def scalar_delta(a: float, y: float, slope: float, p: Numbers) -> float:
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
    >>> CategoricalCrossEntropy(0.1).delta(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]), None)
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


LOSSES: Registry[Loss] = Registry(
    "loss",
    [
        Quadratic(),
        SumOfSquares(),
        MeanSquaredError(),
        BinaryCrossEntropy(),
        CategoricalCrossEntropy(),
    ],
)
#: The names people use: those of `LOSSES`, and what means one or another by the output.
_PUBLIC: Registry[Loss] = Registry("loss", [*LOSSES.values(), CrossEntropy()])
LOSS_NAMES = tuple(_PUBLIC)


def find_loss(given: str | Mapping[str, Any] | Loss, output: str) -> Loss:
    """Return the loss of that name, or the loss given, for that output activation.

    Raises
    ------
    ValueError
        If nobody knows the name, or the pair is not supported.
    """
    loss = _PUBLIC.find(given)
    if output in loss.outputs:
        return loss.for_output(output)
    losses = [name for name, rule in _PUBLIC.items() if output in rule.outputs]
    raise ValueError(
        f"loss {loss.name!r} goes with output {', '.join(loss.outputs)}; got output {output!r}, "
        f"which goes with loss {', '.join(losses)}"
    )
