"""How good predictions are: of each class, or in the units of the numbers predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import Accuracy, classes_of, score_kind
from fastgd.explain.columns import columns
from fastgd.explain.confusion import name_classes, true_classes

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["ClassReport", "NumberReport", "class_report", "number_report", "report"]

Array = np.ndarray

#: Rows of the printed table; where there are more classes, those with the most mistakes.
MOST_CLASSES = 20


@dataclass(frozen=True)
class ClassReport:
    """How well classes are told apart.

    Attributes
    ----------
    counts : int64 ndarray of shape (n_classes, n_classes)
        Rows are true classes, columns predicted ones.
    class_names : tuple of str
    log_loss : float or None
        Minus the logarithm of the probability given to the true class, averaged; None where the
        outputs are no probabilities.
    """

    counts: Array
    class_names: tuple[str, ...]
    log_loss: float | None = None

    @property
    def n(self) -> int:
        """How many rows there are."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return float(self.counts.trace() / self.n)

    @property
    def precision(self) -> Array:
        """Of what was taken for each class, the share that is of it; NaN where nothing was."""
        return _share(self.counts.diagonal(), self.counts.sum(axis=0))

    @property
    def recall(self) -> Array:
        """Of each class, the share that was taken for it; NaN where it does not occur."""
        return _share(self.counts.diagonal(), self.counts.sum(axis=1))

    @property
    def f1(self) -> Array:
        """Twice what is right of a class, over how often it occurs and is predicted."""
        size = self.counts.sum(axis=0) + self.counts.sum(axis=1)
        return _share(2 * self.counts.diagonal(), size)

    def to_dict(self) -> dict[str, Any]:
        """Return it all by name."""
        rows = zip(
            self.class_names, self.counts.sum(axis=1), self.precision, self.recall, self.f1,
            strict=True,
        )  # fmt: skip
        each = [
            {"class": name, "rows": n, "precision": p, "recall": r, "f1": f}
            for name, n, p, r, f in rows
        ]
        return {"accuracy": self.accuracy, "log_loss": self.log_loss, "by_class": each}

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and rows of a table, a class each."""
        mistakes = self.counts.copy()
        np.fill_diagonal(mistakes, 0)
        order = np.argsort(-mistakes.sum(axis=1), kind="stable")[:MOST_CLASSES]
        totals, precision, recall = self.counts.sum(axis=1), self.precision, self.recall
        table = []
        for c in sorted(order.tolist()):
            worst = int(mistakes[c].argmax())
            times = mistakes[c, worst]
            taken = f"{self.class_names[worst]} ({times:,}x)" if times else ""
            shares = [_percent(precision[c]), _percent(recall[c])]
            table.append([self.class_names[c], f"{totals[c]:,}", *shares, taken])
        return ["class", "rows", "precision", "recall", "mostly mistaken for"], table

    def __str__(self) -> str:
        right = f"accuracy {100 * self.accuracy:.2f} % ({self.counts.trace():,} of {self.n:,})"
        loss = "" if self.log_loss is None else f", log loss {self.log_loss:.4g}"
        return f"{right}{loss}\n{columns(*self.rows())}"


@dataclass(frozen=True)
class NumberReport:
    """How well numbers are predicted, in their own units.

    Attributes
    ----------
    r2, mae, rmse : ndarray of shape (n_targets,)
        The coefficient of determination, the mean size of the error, and the root of its mean
        square.
    target_names : tuple of str
    n : int
    """

    r2: Array
    mae: Array
    rmse: Array
    target_names: tuple[str, ...]
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return it all by name; with several targets, R2 is their average."""
        each = [
            {"target": name, "r2": r2, "mae": mae, "rmse": rmse}
            for name, r2, mae, rmse in zip(
                self.target_names, self.r2, self.mae, self.rmse, strict=True
            )
        ]
        average = {"r2": self.r2.mean(), "mae": self.mae.mean(), "rmse": self.rmse.mean()}
        return {**average, "by_target": each}

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and rows of a table, a target each."""
        numbers = zip(self.target_names, self.r2, self.mae, self.rmse, strict=True)
        rows = [[n, f"{r2:.4f}", f"{mae:.4g}", f"{rmse:.4g}"] for n, r2, mae, rmse in numbers]
        return ["target", "R2", "MAE", "RMSE"], rows

    def __str__(self) -> str:
        return columns(*self.rows())


def report(
    network: Network, X: Any, y: Any, class_names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
) -> ClassReport | NumberReport:  # fmt: skip
    """Return how good a network is on some examples.

    Parameters
    ----------
    network : Network
    X : array of shape (n, n_inputs)
    y : array
        Classes or labels (n,), one-hot targets, or numbers.
    class_names, target_names : sequence of str, optional
        What to call classes and numbers; by default labels, and "target 0", ...

    Raises
    ------
    TypeError, ValueError
        If X and y do not fit the network.

    Examples
    --------
    >>> import fastgd
    >>> net = fastgd.Network([1, 1], loss="cross_entropy", init="zeros")
    >>> net.parameters = [1.0, 0.0]
    >>> print(report(net, [[-1.0], [1.0], [2.0]], [0, 1, 0], ["no", "yes"]))
    accuracy 66.67 % (2 of 3), log loss 0.9178
    class  rows  precision   recall  mostly mistaken for
    no        2    100.0 %   50.0 %             yes (1x)
    yes       1     50.0 %  100.0 %
    """
    examples = network.check_examples(X, y)
    a, outputs = network.architecture, network.predict(X)
    if score_kind(a, examples.targets) is Accuracy:
        true = true_classes(network, y)
        found = classes_of(outputs, a.loss.threshold)
        names = name_classes(class_names, a.n_classes, network)
        likely = network.predict_proba(X) if a.classifies and a.output.reach == (0, 1) else None
        return class_report(true, found, likely, names)
    return number_report(y, outputs, target_names)


def class_report(
    true: Array, found: Array, proba: Array | None, names: Sequence[str]
) -> ClassReport:
    """Return the report of classes 0, 1, ... and of probabilities (n, n_classes), if any."""
    n = len(names)
    counts = np.bincount(true * n + found, minlength=n * n).reshape(n, n)
    loss = None
    if proba is not None:
        given = proba[np.arange(len(true)), true].astype(np.float64)
        loss = float(-np.log(given.clip(min=np.finfo(proba.dtype).tiny)).mean())
    return ClassReport(counts, tuple(map(str, names)), loss)


def number_report(y: Any, found: Array, names: Sequence[str] | None = None) -> NumberReport:
    """Return the report of numbers (n,) or (n, n_targets) and what was predicted for them."""
    Y = np.asarray(y, dtype=np.float64).reshape(len(found), -1)
    errors = found.reshape(Y.shape).astype(np.float64) - Y
    square, spread = (errors**2).mean(axis=0), Y.var(axis=0)
    constant = spread == 0
    r2 = np.where(constant, square == 0, 1 - square / np.where(constant, 1, spread))
    if names is None:
        names = ["target"] if Y.shape[1] == 1 else [f"target {k}" for k in range(Y.shape[1])]
    mae = np.abs(errors).mean(axis=0)
    return NumberReport(r2, mae, np.sqrt(square), tuple(map(str, names)), len(Y))


def _share(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _percent(share: float) -> str:
    return "" if np.isnan(share) else f"{100 * share:.1f} %"
