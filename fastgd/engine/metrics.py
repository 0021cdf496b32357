"""Scores: accuracy for classes, R^2 for numbers, gathered a piece of the rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.engine.inputs import PIECE, Targets

__all__ = ["R2", "Accuracy", "classes_of", "score_for"]

Array = np.ndarray


def classes_of(outputs: Array) -> Array:
    """Return each row's class: the largest output, or for a single output whether it is >= 0.5.

    >>> classes_of(np.array([[0.1, 0.9], [0.8, 0.2]]))
    array([1, 0])
    """
    if outputs.shape[1] == 1:
        return (outputs[:, 0] >= 0.5).astype(np.int64)
    return outputs.argmax(axis=1)


class Accuracy:
    """The fraction of rows whose class is right.

    With several sigmoid outputs and targets that are not one-hot, a row is right where every
    output, rounded, is.
    """

    name = "accuracy"

    def __init__(self, exclusive: bool):
        self.exclusive = exclusive
        self.right = self.n = 0

    def add(self, outputs: Array, Y: Array) -> None:
        """Count some rows, Y as backends read it."""
        if Y.ndim == 1:
            right = classes_of(outputs) == Y
        elif self.exclusive:
            right = outputs.argmax(axis=1) == Y.argmax(axis=1)
        else:
            right = ((outputs >= 0.5) == (Y >= 0.5)).all(axis=1)
        self.right += int(np.count_nonzero(right))
        self.n += len(right)

    def result(self) -> float:
        """Return the fraction."""
        return self.right / self.n


class R2:
    """The coefficient of determination, averaged over outputs.

    As in scikit-learn: an output that never changes scores 1 if predicted exactly, else 0.
    """

    name = "R^2"

    def __init__(self, targets: Targets):
        mean = sum(piece.sum(axis=0, dtype=np.float64) for piece in _pieces(targets))
        mean = mean / len(targets)
        self.spread = np.zeros(len(mean))
        for piece in _pieces(targets):
            self.spread += ((piece - mean) ** 2).sum(axis=0)
        self.residual = np.zeros_like(self.spread)

    def add(self, outputs: Array, Y: Array) -> None:
        """Count some rows."""
        self.residual += ((Y - outputs.astype(np.float64)) ** 2).sum(axis=0)

    def result(self) -> float:
        """Return the average over outputs."""
        constant = self.spread == 0
        scores = 1 - self.residual / np.where(constant, 1, self.spread)
        scores[constant] = self.residual[constant] == 0
        return float(scores.mean())


def score_for(architecture: Architecture, targets: Targets) -> Accuracy | R2:
    """Return accuracy for classes (given as such, one-hot, or under cross-entropy), else R^2."""
    if targets.are_classes:
        return Accuracy(exclusive=True)
    several = architecture.n_outputs > 1
    one_hot = several and all(
        bool(((piece == 0) | (piece == 1)).all() and (piece.sum(axis=1) == 1).all())
        for piece in _pieces(targets)
    )
    if one_hot or architecture.loss == "cross_entropy":
        return Accuracy(exclusive=one_hot or architecture.output == "softmax")
    return R2(targets)


def _pieces(targets: Targets) -> Iterator[Array]:
    step = max(1, PIECE // targets.y.shape[1])
    return (targets.y[start : start + step] for start in range(0, len(targets), step))
