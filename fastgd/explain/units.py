"""Units that do no work of their own: copies of others, and those stuck at an end."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.checks import check_number

__all__ = ["END", "TOLERANCE", "at_end", "distinct_units"]

Array = np.ndarray

#: Two units are copies where no number of theirs differs by more than this share of the largest.
TOLERANCE = 1e-3
#: A unit is saturated where a is within this distance of an end: 0 or 1, for tanh -1 or 1.
END = 0.01


def distinct_units(network: Any, tolerance: float = TOLERANCE) -> list[int]:
    """Count the units of each hidden layer that are no copies of another one.

    Two units are copies where all their incoming weights, biases and outgoing weights agree up to
    ``tolerance`` times the largest of them. Copies get the same gradient, so they stay copies; but
    rounding may part them where a backend sums their columns in different orders, as the NumPy
    backend's matrix product does, and training then drives them further apart.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.units import distinct_units
    >>> distinct_units(fastgd.Network([2, 5, 3, 1], init="zeros"))
    [1, 1]
    >>> distinct_units(fastgd.Network([2, 5, 3, 1], seed=0))
    [5, 3]
    """
    check_number("tolerance", tolerance, minimum=0)
    weights, biases = network.weights, network.biases
    return [
        _distinct(np.vstack([W, b, after.T]).T.astype(np.float64), tolerance)
        for W, b, after in zip(weights[:-1], biases[:-1], weights[1:], strict=True)
    ]


def _distinct(units: Array, tolerance: float) -> int:
    """Count rows that differ from all rows before that were counted."""
    largest = np.abs(units).max(axis=1)
    left, count = np.arange(len(units)), 0
    while len(left):
        first, count = left[0], count + 1
        apart = np.abs(units[left] - units[first]).max(axis=1)
        left = left[apart > tolerance * np.maximum(largest[left], largest[first])]
    return count


def at_end(a: Array, activation: str) -> Array:
    """Return where activations lie within 0.01 of an end; of those that saturate at two.

    >>> at_end(np.array([0.005, 0.5, 0.995]), "sigmoid")
    array([ True, False,  True])
    """
    rule = ACTIVATIONS.find(activation)
    if not rule.saturates:
        return np.zeros(a.shape, dtype=bool)
    low, high = rule.reach
    return (a <= low + END) | (a >= high - END)
