"""What is visited: rows of X in an order, with their targets and weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgd.engine.sparse import Sparse

__all__ = ["Rows"]

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows one call to a backend visits.

    Parameters
    ----------
    X : ndarray of shape (any, n_inputs), or Sparse
        C-contiguous float32, float64 or uint8.
    Y : ndarray
        One entry a visit: classes, int64 (n,), or targets (n, n_outputs) in the network's dtype.
    order : ndarray of shape (n,), int64, optional
        The rows of X that are visited; all in their order if None.
    weights : ndarray of shape (n,), optional
        What each visit counts, in the network's dtype; all 1 if None.
    """

    X: Array | Sparse
    Y: Array
    order: Array | None = None
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.X) if self.order is None else len(self.order)

    def __getitem__(self, visits: slice) -> Rows:
        """Return consecutive visits."""
        weights = None if self.weights is None else self.weights[visits]
        if self.order is None:
            return Rows(self.X[visits], self.Y[visits], None, weights)
        return Rows(self.X, self.Y[visits], self.order[visits], weights)

    @property
    def total_weight(self) -> float:
        """The sum of the weights."""
        return len(self) if self.weights is None else float(self.weights.sum(dtype=np.float64))
