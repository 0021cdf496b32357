"""What all losses have; they themselves are in `fastgd.rules.losses`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.registry import Rule

__all__ = ["ELEMENTWISE", "Loss", "Point"]

Array = np.ndarray
Numbers = tuple[float, ...]
ELEMENTWISE = tuple(name for name, rule in ACTIVATIONS.items() if not rule.row_wise)


class Point(NamedTuple):
    """What a loss is computed from, or how that changes: arrays of the shape of a."""

    z: Array
    a: Array
    y: Array | float
    slope: Array


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
    minimum, maximum : float or None
        Between which targets must lie.
    classifies : bool
        Whether what it trains is scored by accuracy whatever its targets look like.
    squared : bool
        Whether it squares a - y: outliers then count much.
    joined : bool
        Whether dC/dz is that of cost and activation in one, without the activation's slope.
    slope_in_words : str
        How people work dC/da out of the residual {e}; empty where there is no such way.
    threshold : float
        From which single output on an example belongs to class 1.
    """

    formula: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]] = ELEMENTWISE
    batch_average: ClassVar[bool] = True
    output_average: ClassVar[bool] = False
    minimum: ClassVar[float | None] = None
    maximum: ClassVar[float | None] = None
    classifies: ClassVar[bool] = False
    squared: ClassVar[bool] = False
    joined: ClassVar[bool] = False
    slope_in_words: ClassVar[str] = ""
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

    def delta_of(self, z: Array, a: Array, y: Array, slope: Array) -> Array:
        """Return dC/dz, elementwise; the shape of a."""
        raise NotImplementedError

    def delta_change(self, at: Point, change: Point) -> Array:
        """Return how delta changes, to first order: ``change`` holds dz, da, dy = 0 and dslope."""
        raise NotImplementedError

    @staticmethod
    def scalar_cost(z: float, a: float, y: float, p: Numbers) -> float:
        """Return one element's share of the cost."""
        raise NotImplementedError

    @staticmethod
    def scalar_delta(z: float, a: float, y: float, slope: float, p: Numbers) -> float:
        """Return dC/dz of one element."""
        raise NotImplementedError

    def scale(self, n_examples: int, n_outputs: int) -> float:
        """Return what a sum of costs over examples and outputs is multiplied by."""
        return 1.0 / (
            (n_examples if self.batch_average else 1) * (n_outputs if self.output_average else 1)
        )
