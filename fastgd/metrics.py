"""Scores: accuracy for classes, R^2 for numbers."""

from __future__ import annotations

import numpy as np

from fastgd.architecture import Architecture
from fastgd.inputs import Targets

__all__ = ["accuracy", "classes_of", "is_classification", "r2"]

Array = np.ndarray


def classes_of(outputs: Array) -> Array:
    """Return each row's class: the largest output, or for a single output whether it is >= 0.5.

    >>> classes_of(np.array([[0.1, 0.9], [0.8, 0.2]]))
    array([1, 0])
    """
    if outputs.shape[1] == 1:
        return (outputs[:, 0] >= 0.5).astype(np.int64)
    return outputs.argmax(axis=1)


def is_classification(architecture: Architecture, targets: Targets) -> bool:
    """Return whether these targets are classes: given as such, one-hot, or under cross-entropy."""
    if targets.are_classes or architecture.loss == "cross_entropy":
        return True
    y = targets.y
    return y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def accuracy(outputs: Array, targets: Targets, output: str) -> float:
    """Return the fraction of rows whose class is right.

    With several sigmoid outputs and targets that are not one-hot, a row is right where every
    output, rounded, is.
    """
    y = targets.y
    if targets.are_classes:
        return float(np.mean(classes_of(outputs) == y))
    exclusive = y.shape[1] > 1 and (output == "softmax" or bool((y.sum(axis=1) == 1).all()))
    if exclusive:
        return float(np.mean(outputs.argmax(axis=1) == y.argmax(axis=1)))
    return float(np.mean(((outputs >= 0.5) == (y >= 0.5)).all(axis=1)))


def r2(outputs: Array, y: Array) -> float:
    """Return the coefficient of determination, averaged over outputs.

    As in scikit-learn: an output that never changes scores 1 if predicted exactly, else 0.
    """
    y = y.astype(np.float64)
    residual = ((y - outputs) ** 2).sum(axis=0)
    spread = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    constant = spread == 0
    scores = 1 - residual / np.where(constant, 1, spread)
    scores[constant] = residual[constant] == 0
    return float(scores.mean())
