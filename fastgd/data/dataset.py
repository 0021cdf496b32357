"""The data of one problem, as read, and the split into training and test part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fastgd.errors import DataError, SettingError

if TYPE_CHECKING:
    from fastgd.tables import Columns, Target

__all__ = ["KINDS", "Dataset", "held_out", "split"]

KINDS = ("digits", "idx", "csv", "kaggle", "npz")
_DIGIT_IMAGES = ("digits", "idx", "kaggle")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Examples, their targets, and what is known about both.

    Attributes
    ----------
    X : array (n, n_features)
        The inputs in the type they were stored in: uint8 for pixels.
    y : int64 array (n,), float array (n,) or (n, n_outputs), or None
        Classes 0..n_classes-1, or numeric targets, or nothing to predict from.
    X_test, y_test : array or None
        The test part, where the source has one.
    input_scale : float
        What inputs are to be multiplied by: 1/255 for MNIST pixels, 1/16 for
        digits, else 1.
    name : str
        The file, the folder, or "digits".
    kind : str
        "digits", "idx", "csv", "kaggle" or "npz".
    image_shape : (height, width) or None
    feature_names : tuple of str or None
        The column of each input, where a table names them.
    class_names : tuple of str or None
        The label of class i; None where labels are the integers 0..n_classes-1.
    weights : float array (n,) or None
        What each row of X counts in training, where a table says so.
    columns, target : Columns, Target or None
        What made X and y of a table's columns.
    checksum : str
        The CRC-32 of a table's file, or "".
    notes : tuple of str
        What was done to a table in reading that somebody might not expect.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgd.data import Dataset
    >>> Dataset(np.zeros((3, 2)), np.array([0, 1, 1]), name="tiny")
    <Dataset tiny: 3 x 2 float64, 2 classes>
    """

    X: np.ndarray
    y: np.ndarray | None = None
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    input_scale: float = 1.0
    name: str = "data"
    kind: str = "npz"
    image_shape: tuple[int, int] | None = None
    feature_names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    weights: np.ndarray | None = None
    columns: Columns | None = None
    target: Target | None = None
    checksum: str = ""
    notes: tuple[str, ...] = ()

    @property
    def n_features(self) -> int:
        """Number of inputs of one example."""
        return self.X.shape[1]

    @property
    def is_classification(self) -> bool:
        """Whether the targets are classes."""
        return self.y is not None and self.y.dtype.kind == "i"

    @property
    def n_classes(self) -> int | None:
        """Number of classes; None for regression or without targets.

        Digit images have ten classes at least: a few rows of MNIST that happen
        to hold no 9 are still about ten digits.
        """
        if not self.is_classification:
            return None
        if self.class_names is not None:
            return len(self.class_names)
        known = [part.max() for part in (self.y, self.y_test) if part is not None and part.size]
        return max(10 if self.kind in _DIGIT_IMAGES else 0, 1 + int(max(known)))

    @property
    def n_outputs(self) -> int:
        """Outputs of a network that learns it: one for each class, or number.

        Raises
        ------
        DataError
            If every row has the same class, so that there is nothing to learn.
        """
        assert self.y is not None  # whoever asks has read targets
        if self.n_classes == 1:
            raise DataError(f"{self.name}: every row has the same class; nothing to learn")
        return self.n_classes or (1 if self.y.ndim == 1 else self.y.shape[1])

    def __repr__(self) -> str:
        rows = f"{len(self.X):,} x {self.n_features} {self.X.dtype}"
        test = f", {len(self.X_test):,} for testing" if self.X_test is not None else ""
        what = "no target" if self.y is None else "regression"
        if self.is_classification:
            what = f"{self.n_classes} classes"
        return f"<Dataset {self.name}: {rows}{test}, {what}>"


def split(dataset: Dataset, fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Move a random part of the examples into `X_test`, `y_test`.

    Every class gives its share (to the nearest example) and keeps one example at
    least. Both parts stay in the order of the source. A dataset that has a test
    part already is returned as it is.

    Parameters
    ----------
    dataset : Dataset
    fraction : float
        The share to hold out, between 0 and 1.
    seed : int
        Seed of the `numpy.random.Generator` that draws the part.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If `fraction` is not between 0 and 1.
    DataError
        If there are fewer than two examples.

    Examples
    --------
    >>> from fastgd.data import load_digits, split
    >>> split(load_digits(), fraction=0.25)
    <Dataset digits: 1,348 x 64 uint8, 449 for testing, 10 classes>
    """
    _check_fraction(fraction)
    if dataset.X_test is not None:
        return dataset
    y = dataset.y
    out = held_out(len(dataset.X), y, fraction, seed, dataset.name)
    return replace(
        dataset,
        X=dataset.X[~out],
        y=None if y is None else y[~out],
        weights=None if dataset.weights is None else dataset.weights[~out],
        X_test=dataset.X[out],
        y_test=None if y is None else y[out],
    )


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise SettingError("fraction", f"must be between 0 and 1, both excluded; got {fraction!r}")


def held_out(n: int, y: np.ndarray | None, fraction: float, seed: int, name: str) -> np.ndarray:
    """Return which of n rows `split` holds out, bool (n,)."""
    _check_fraction(fraction)
    if n < 2:
        raise DataError(f"{name}: {n} example cannot be split into training and test part")
    n_test = min(max(1, round(n * fraction)), n - 1)
    rng = np.random.default_rng(seed)
    out = np.zeros(n, dtype=bool)
    if y is not None and y.dtype.kind == "i":
        out[_stratified(y, n_test, rng)] = True
    if out.sum() < n_test / 2:  # no classes, or most have one example only
        out[:] = False
        out[rng.permutation(n)[:n_test]] = True
    return out


def _stratified(y: np.ndarray, n_test: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n_test rows, as many of each class as its share, by largest remainder."""
    counts = np.bincount(y)
    quota = counts * (n_test / len(y))
    take = np.floor(quota).astype(np.int64)
    take[np.argsort(take - quota, kind="stable")[: n_test - take.sum()]] += 1
    take = np.minimum(take, np.maximum(counts - 1, 0))  # a class never leaves training altogether
    rows = [rng.permutation(np.flatnonzero(y == c))[:k] for c, k in enumerate(take)]
    return np.concatenate(rows)
