"""How costs are summed, where it is not as the loss alone says."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = ["PLAIN", "Tally"]


class Tally(NamedTuple):
    """What the sums of costs that a backend returns take account of; steps do not change by it.

    Parameters
    ----------
    ceiling : float, default infinity
        The most that one output of an example may cost.
    penalties : ndarray of shape (n_steps,), float64, optional
        In training, what each step's cost has on top for every unit of the sum of the squares of
        the weights (not the biases) before it.
    """

    ceiling: float = math.inf
    penalties: np.ndarray | None = None


PLAIN = Tally()
