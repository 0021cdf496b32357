"""What all activation functions have; they themselves are in `fastgd.rules.activations`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fastgd.rules.registry import Rule

__all__ = ["Activation"]

Array = np.ndarray
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Activation(Rule):
    """One activation function.

    Attributes
    ----------
    name : str
        The public name, as in ``Network(activation=name)``.
    formula : str
        The function, as people write it.
    row_wise : bool
        True where an output depends on its whole row of z (softmax). Such a rule has no
        elementwise derivative and serves as an output only.
    reach : tuple of two float
        What it can answer, from the lowest to the highest.
    saturates : bool
        Whether its slope falls to 0 at both ends of its reach.
    dies : bool
        Whether it is 0, with a slope of 0, for all low z.
    slope_in_words : str
        How people work da/dz out of {a}, in parentheses {b}; empty where there is no such way.
    """

    formula: ClassVar[str]
    row_wise: ClassVar[bool] = False
    reach: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    saturates: ClassVar[bool] = False
    dies: ClassVar[bool] = False
    slope_in_words: ClassVar[str] = ""

    def value(self, z: Array) -> Array:
        """Return f(z), elementwise; the shape of z."""
        raise NotImplementedError

    def derivative(self, z: Array, a: Array) -> Array:
        """Return da/dz, elementwise; the shape of z."""
        raise NotImplementedError

    def second_derivative(self, z: Array, a: Array) -> Array:
        """Return d2a/dz2, elementwise; the shape of z."""
        raise NotImplementedError

    def change(self, z: Array, a: Array, dz: Array) -> Array:
        """Return how a changes, to first order, where z changes by dz; the shape of z."""
        return self.derivative(z, a) * dz

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        """Return f(z) of one number."""
        raise NotImplementedError

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        """Return da/dz of one number."""
        raise NotImplementedError
