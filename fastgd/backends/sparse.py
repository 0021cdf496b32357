"""Sparse inputs: rows that keep only the numbers that are not zero."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Sparse"]

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Sparse:
    """Rows of n_columns numbers, of which only those that are not zero are kept (CSR).

    Parameters
    ----------
    values : ndarray of shape (n_kept,)
        The numbers, row after row; float32, float64 or uint8.
    columns : ndarray of shape (n_kept,), int32
        The column of each, ascending within a row.
    pointers : ndarray of shape (n + 1,), int64
        Where each row begins, and where the last ends.
    n_columns : int
        How many numbers a row would have.
    """

    values: Array
    columns: Array
    pointers: Array
    n_columns: int
    width: int = field(init=False)

    def __post_init__(self) -> None:
        most = int(np.diff(self.pointers).max(initial=0))
        # A power of two, so that blocks of the same data share their plan.
        object.__setattr__(self, "width", 1 << max(4, (most - 1).bit_length()))

    def __len__(self) -> int:
        return len(self.pointers) - 1

    def __getitem__(self, rows: slice) -> Sparse:
        """Return consecutive rows, sharing the numbers."""
        start, stop, _ = rows.indices(len(self))
        return Sparse(
            self.values, self.columns, self.pointers[start : stop + 1], self.n_columns
        )

    def dense(self, rows: Array | slice = slice(None)) -> Array:
        """Return some rows with their zeros: for the reference, and for looking at."""
        chosen = np.arange(len(self))[rows]
        X = np.zeros((len(chosen), self.n_columns), dtype=self.values.dtype)
        for i, row in enumerate(chosen):
            kept = slice(self.pointers[row], self.pointers[row + 1])
            X[i, self.columns[kept]] = self.values[kept]
        return X
