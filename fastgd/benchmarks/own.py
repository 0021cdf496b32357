"""Workloads for a data set of one's own: a set of networks for its columns, and its rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from fastgd.benchmarks.rivals import MOSTLY_ZEROS
from fastgd.benchmarks.workloads import Workload
from fastgd.errors import DataError

__all__ = ["Own", "load_own", "own_workloads"]

#: Rows beyond these take no part: they would cost memory, and tell nothing more.
MOST_ROWS = 50_000


@dataclass(frozen=True)
class Own:
    """A data set, prepared as networks like it.

    Attributes
    ----------
    name : str
    X : (n_rows, n_in) float32 array
        Each column divided by its largest size, so that zeros stay; standardised where few of
        its numbers are zero.
    y : (n_rows,) int64 classes, or (n_rows, n_out) float32 numbers, standardised
    """

    name: str
    X: np.ndarray
    y: np.ndarray

    @property
    def n_outputs(self) -> int:
        """One for each class, or each number."""
        return int(self.y.max()) + 1 if self.y.ndim == 1 else self.y.shape[1]

    def rows(self, workload: Workload) -> tuple[np.ndarray, np.ndarray]:
        """Return the workload's rows in its dtype, one after the other, from the first again."""
        X = self.X[np.arange(workload.n_rows) % len(self.X)]
        y = self.y[np.arange(workload.n_rows) % len(self.y)]
        kind = y.dtype if y.ndim == 1 else workload.dtype
        return X.astype(workload.dtype, copy=False), y.astype(kind, copy=False)


def load_own(
    source: str, target: str | None = None, sep: str | None = None, max_bytes: int | None = None
) -> Own:
    """Read a data set as `fastgd.data.load` does; take its first 50,000 training rows.

    Raises
    ------
    fastgd.errors.DataError
        In one line, if it cannot be read, or holds nothing to learn.
    """
    from fastgd.data import load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = load(source, target=target, sep=sep, max_bytes=max_bytes)
    y = dataset.y
    if y is None:
        raise DataError(f"{source}: holds no targets to train on")
    dataset.n_outputs  # noqa: B018 - or it raises: every row has the same class
    X = np.asarray(dataset.X[:MOST_ROWS], dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if float((X == 0).mean()) < MOSTLY_ZEROS:
            X = X - X.mean(axis=0)
            scale = X.std(axis=0)
        else:
            scale = np.abs(X).max(axis=0)
        X = X / np.where(scale > 0, scale, 1)
    y = y[:MOST_ROWS]
    if not dataset.is_classification:
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        spread = y.std(axis=0)
        y = ((y - y.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
    return Own(dataset.name, np.ascontiguousarray(X, dtype=np.float32), y)


def own_workloads(own: Own) -> list[Workload]:
    """Return networks for these columns, small and large, and predictions of one of them.

    Examples
    --------
    >>> own = Own("waves", np.ones((500, 8), np.float32), np.zeros((500, 1), np.float32))
    >>> [(w.name, w.sizes, w.batch_size) for w in own_workloads(own)][:2]
    [('30', (8, 30, 1), 10), ('100', (8, 100, 1), 32)]
    """
    n_in, n_out = own.X.shape[1], own.n_outputs
    rules = ("softmax", "cross_entropy") if own.y.ndim == 1 else ("identity", "quadratic")
    rows = max(len(own.X), 1024)

    def network(name: str, hidden: tuple[int, ...], batch_size: int) -> Workload:
        sizes = (n_in, *hidden, n_out)
        again = f", the {len(own.X)} again and again" if len(own.X) < rows else ""
        text = f"{'-'.join(map(str, sizes))}, batch {batch_size}, relu, {rows:,} rows{again}"
        return Workload(name, sizes, "relu", *rules, min(batch_size, rows), 0.01, "own", rows, text)

    steps = [
        network("30", (30,), 10),
        network("100", (100,), 32),
        network("100-100", (100, 100), 32),
        network("512-512", (512, 512), 128),
    ]
    hundred, wide = steps[1], steps[3]
    adam = replace(hundred, name="100-adam", optimizer="adam", learning_rate=0.001)
    two = replace(wide, name="512-512-2", threads=2)
    shape, many = "-".join(map(str, hundred.sizes)), min(10_000, rows)
    predictions = [
        replace(
            hundred, name=name, task="predict", batch_size=n, n_rows=n,
            description=f"{shape}, {n:,} at once",
        )
        for name, n in (("predict", many), ("row", 1))
    ]  # fmt: skip
    return [*steps, adam, two, *predictions]
