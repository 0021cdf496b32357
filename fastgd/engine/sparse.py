"""Sparse inputs: rows that keep only the numbers that are not zero."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Sparse", "compress", "density", "mostly_zeros"]

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
        return Sparse(self.values, self.columns, self.pointers[start : stop + 1], self.n_columns)

    def take(self, rows: Array) -> Sparse:
        """Return some rows, copied."""
        lengths = np.diff(self.pointers)[rows]
        pointers = np.concatenate([[0], np.cumsum(lengths)])
        shift = np.repeat(self.pointers[rows] - pointers[:-1], lengths)
        places = np.arange(pointers[-1]) + shift
        return Sparse(self.values[places], self.columns[places], pointers, self.n_columns)

    def dense(self, rows: Array | slice = slice(None)) -> Array:
        """Return some rows with their zeros: for the reference, and for looking at."""
        chosen = self.take(np.arange(len(self))[rows])
        X = np.zeros((len(chosen), self.n_columns), dtype=self.values.dtype)
        X[np.repeat(np.arange(len(X)), np.diff(chosen.pointers)), chosen.columns] = chosen.values
        return X


#: How many numbers are looked at together.
PIECE = 1 << 20


def density(X: Array, n_rows: int) -> float:
    """Return the share of numbers that are not zero, in about ``n_rows`` rows spread over X."""
    rows = X[:: -(-len(X) // n_rows)]
    return sum(map(np.count_nonzero, rows)) / rows.size


#: Inputs with fewer numbers that are not zero than this are computed with without their zeros.
SPARSE_DENSITY = 0.3
#: Fewer inputs gain nothing from leaving zeros out.
SPARSE_INPUTS = 64


def mostly_zeros(X: Array, n_rows: int) -> bool:
    """Return whether zeros of X are better left out, from about ``n_rows`` of its rows."""
    return X.shape[1] >= SPARSE_INPUTS and density(X, n_rows) <= SPARSE_DENSITY


def counts(X: Array) -> Array:
    """Return how many numbers of each row (n, n_columns) are not zero: int64 (n,)."""
    found = np.empty(len(X), dtype=np.int64)
    step = max(1, PIECE // max(1, X.shape[1]))
    for start in range(0, len(X), step):
        piece = (X[start : start + step] != 0).view(np.uint8)
        np.add.reduce(piece, axis=1, dtype=np.int32, out=found[start : start + step])
    return found


def compress(X: Array, kept: Array | None = None) -> Sparse:
    """Return a C-contiguous X (n, n_columns) without its zeros; ``kept`` are its `counts`.

    >>> sparse = compress(np.array([[0.0, 2.0], [0.0, 0.0], [3.0, 0.0]]))
    >>> sparse.values, sparse.columns, sparse.pointers
    (array([2., 3.]), array([1, 0], dtype=int32), array([0, 1, 1, 2]))
    """
    pointers = np.zeros(len(X) + 1, dtype=np.int64)
    np.cumsum(counts(X) if kept is None else kept, out=pointers[1:])
    values = np.empty(pointers[-1] + 1, dtype=X.dtype)
    # Zeros: kernels go where they say, also where X changes between the count and the reading.
    columns = np.zeros(pointers[-1] + 1, dtype=np.int32)
    fill(X, pointers, values, columns)
    return Sparse(values[:-1], columns[:-1], pointers, X.shape[1])


def fill(X: Array, pointers: Array, values: Array, columns: Array) -> None:
    """Write the numbers of X that are not zero, and their columns, to where ``pointers`` says.

    The native backend replaces this by a faster one.
    """
    n, width = X.shape
    step = max(1, PIECE // width)
    for start in range(0, n, step):
        piece = X[start : start + step]
        kept = slice(pointers[start], pointers[min(start + step, n)])
        places = np.flatnonzero(piece)
        np.take(piece.reshape(-1), places, out=values[kept])
        columns[kept] = places % width
