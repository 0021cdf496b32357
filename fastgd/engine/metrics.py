"""Scores: how good predictions are, gathered a piece of the rows at a time.

To add one, write a class as `Score` says and list it in ``METRICS``; ``fit(metrics=[...])`` then
knows its name.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.engine.inputs import PIECE, Examples, Targets
from fastgd.errors import SettingError, SettingTypeError
from fastgd.rules.checks import check_integer
from fastgd.rules.registry import unknown_name

__all__ = [
    "METRICS", "R2", "Accuracy", "Score", "check_metrics", "classes_of",
    "score_for", "score_kind",
]  # fmt: skip

Array = np.ndarray


class Score:
    """One score of a network's outputs on some examples.

    Parameters
    ----------
    architecture : Architecture
    examples : Examples
        All that will be added, for scores that need to know something of all.
    """

    name: ClassVar[str]
    label: ClassVar[str] = ""  # how people write it
    #: None where nobody knows.
    higher_is_better: ClassVar[bool | None] = True

    def __init__(self, architecture: Architecture, examples: Examples):
        self.architecture, self.examples = architecture, examples
        self.sum = self.weight = 0.0

    def check(self) -> None:
        """Refuse, before a fit, targets or outputs it says nothing about."""

    def add(self, outputs: Array, Y: Array, weights: Array | None) -> None:
        """Count some rows: outputs (n, n_out), Y as backends read it, weights (n,) or None."""
        values = self.of_rows(outputs, Y).astype(np.float64)
        if weights is None:
            self.sum, self.weight = self.sum + float(values.sum()), self.weight + len(values)
        else:
            self.sum += float(values @ weights.astype(np.float64))
            self.weight += float(weights.sum(dtype=np.float64))

    def of_rows(self, outputs: Array, Y: Array) -> Array:
        """Return each row's score, for scores that are an average over rows."""
        raise NotImplementedError

    def result(self) -> float:
        """Return the score of all that was added."""
        return self.sum / self.weight


def classes_of(outputs: Array, threshold: float = 0.5) -> Array:
    """Return each row's class: the largest output, or for a single one whether it is high enough.

    >>> classes_of(np.array([[0.1, 0.9], [0.8, 0.2]]))
    array([1, 0])
    """
    if outputs.shape[1] == 1:
        return (outputs[:, 0] >= threshold).astype(np.int64)
    return outputs.argmax(axis=1)


def wanted_classes(Y: Array) -> Array:
    """Return each row's class, from classes or targets."""
    return Y if Y.ndim == 1 else classes_of(Y)


def check_classes(score: Score, *, exclusive: bool) -> None:
    """Refuse numbers where classes are needed; with ``exclusive`` also several classes a row."""
    architecture, targets = score.architecture, score.examples.targets
    y = targets.y
    if score_kind(architecture, targets) is R2 and not ((y == 0) | (y == 1)).all():
        raise SettingError("metrics", f"{score.name!r} is for classes, and y holds numbers")
    several = y.ndim == 2 and y.shape[1] > 1 and not targets.are_exclusive
    if exclusive and several and not architecture.output.row_wise:
        raise SettingError(
            "metrics", f"{score.name!r} needs one class a row, and rows of y hold several or none"
        )


class Accuracy(Score):
    """The fraction of rows whose class is right.

    With several outputs that are not exclusive (multilabel), a row is right where every output, on
    its side of the threshold, is.
    """

    name = label = "accuracy"

    def __init__(self, architecture: Architecture, examples: Examples):
        super().__init__(architecture, examples)
        self.threshold = architecture.loss.threshold
        self.exclusive = examples.targets.are_exclusive or architecture.output.row_wise

    def check(self) -> None:
        check_classes(self, exclusive=False)

    def of_rows(self, outputs: Array, Y: Array) -> Array:
        if Y.ndim == 1 or self.exclusive:
            return classes_of(outputs, self.threshold) == wanted_classes(Y)
        return ((outputs >= self.threshold) == (Y >= 0.5)).all(axis=1)


class TopK(Score):
    """The fraction of rows whose class is among the k largest outputs."""

    name = "top_k"

    def __init__(self, architecture: Architecture, examples: Examples, k: int = 5):
        super().__init__(architecture, examples)
        self.k = k

    def check(self) -> None:
        check_classes(self, exclusive=True)
        if self.k > self.architecture.n_outputs:
            raise SettingError(
                "metrics",
                f"'top_{self.k}' must be of at most the {self.architecture.n_outputs} outputs",
            )

    def of_rows(self, outputs: Array, Y: Array) -> Array:
        wanted = outputs[np.arange(len(outputs)), wanted_classes(Y)]
        return (outputs > wanted[:, None]).sum(axis=1) < self.k


class MacroF1(Score):
    """The F1 scores 2 TP / (2 TP + FP + FN) of the classes that occur or are predicted, averaged.

    As scikit-learn's ``f1_score(average="macro")``.
    """

    name = "f1"

    def __init__(self, architecture: Architecture, examples: Examples):
        super().__init__(architecture, examples)
        n = max(2, architecture.n_outputs)
        self.counts = np.zeros((n, n))

    def check(self) -> None:
        check_classes(self, exclusive=True)

    def add(self, outputs: Array, Y: Array, weights: Array | None) -> None:
        found = classes_of(outputs, self.architecture.loss.threshold)
        np.add.at(self.counts, (wanted_classes(Y), found), 1.0 if weights is None else weights)

    def result(self) -> float:
        right = np.diag(self.counts)
        size = self.counts.sum(axis=0) + self.counts.sum(axis=1)
        return float((2 * right[size > 0] / size[size > 0]).mean())


class MeanAbsoluteError(Score):
    """The size of the error, averaged over rows and outputs."""

    name = "mae"
    higher_is_better = False

    def of_rows(self, outputs: Array, Y: Array) -> Array:
        if Y.ndim == 1:
            Y = np.eye(outputs.shape[1])[Y]
        return np.abs(outputs - Y.astype(np.float64)).mean(axis=1)


class R2(Score):
    """The coefficient of determination, averaged over outputs.

    As in scikit-learn: an output that never changes scores 1 if predicted exactly, else 0.
    """

    name = "r2"
    label = "R^2"

    def __init__(self, architecture: Architecture, examples: Examples):
        super().__init__(architecture, examples)
        total = sum(weighted(Y, w).sum(axis=0) for Y, w in _pieces(examples))
        mean = total / examples.total_weight
        self.spread = np.zeros(architecture.n_outputs)
        for Y, w in _pieces(examples):
            self.spread += weighted((Y - mean) ** 2, w).sum(axis=0)
        self.residual = np.zeros_like(self.spread)

    def add(self, outputs: Array, Y: Array, weights: Array | None) -> None:
        Y = np.eye(outputs.shape[1])[Y] if Y.ndim == 1 else Y
        errors = (Y - outputs.astype(np.float64)) ** 2
        self.residual += weighted(errors, weights).sum(axis=0)

    def result(self) -> float:
        constant = self.spread == 0
        scores = 1 - self.residual / np.where(constant, 1, self.spread)
        scores[constant] = self.residual[constant] == 0
        return float(scores.mean())


def weighted(values: Array, weights: Array | None) -> Array:
    """Return rows (n, n_out) in float64, each times its weight."""
    values = values.astype(np.float64)
    return values if weights is None else values * weights.astype(np.float64)[:, None]


METRICS: dict[str, type[Score]] = {
    score.name: score for score in (Accuracy, TopK, MacroF1, R2, MeanAbsoluteError)
}
#: Makes a score for an architecture and examples.
Maker = Callable[[Architecture, Examples], Score]


def check_metrics(given: Any) -> dict[str, Maker]:
    """Return what makes each score, by name.

    Parameters
    ----------
    given : sequence
        Names of ``METRICS`` (``"top_3"`` for the three largest), or callables
        ``metric(y, outputs)`` that return a number.

    Raises
    ------
    TypeError, ValueError
        If one is neither; the message names it and those that are known.
    """
    makers: dict[str, Maker] = {}
    for metric in [given] if isinstance(given, str) or callable(given) else list(given):
        if callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
            makers[name] = _from_callable(metric, name)
        else:
            makers[str(metric)] = _named(metric)
    return makers


def maker_is_better(maker: Maker) -> bool | None:
    """Return whether higher is better in what it makes."""
    return getattr(maker, "higher_is_better", True)


def _named(name: Any) -> Maker:
    if isinstance(name, str) and name.startswith("top_") and name[4:].isdecimal():
        k = check_integer("metrics top_k", int(name[4:]), 1)
        return lambda architecture, examples: TopK(architecture, examples, k)
    if not isinstance(name, str) or name not in METRICS:
        raise unknown_name("metrics", name, METRICS)
    return METRICS[name]


def _from_callable(function: Callable[[Array, Array], float], label: str) -> Maker:
    class Measured(Score):
        """Any function of targets and outputs."""

        name = label
        higher_is_better = None

        def __init__(self, architecture: Architecture, examples: Examples):
            super().__init__(architecture, examples)
            self.seen: list[tuple[Array, Array]] = []

        def add(self, outputs: Array, Y: Array, weights: Array | None) -> None:
            self.seen.append((Y, outputs))

        def result(self) -> float:
            Y, outputs = (np.concatenate(arrays) for arrays in zip(*self.seen, strict=True))
            value = function(Y, outputs)
            try:
                return float(value)
            except (TypeError, ValueError):
                problem = f"must return one number; {label} returned {reprlib.repr(value)}"
                raise SettingTypeError("metrics", problem) from None

    return Measured


def score_kind(architecture: Architecture, targets: Targets) -> type[Score]:
    """Return accuracy for classes (given as such, one-hot, or by the loss), else R^2."""
    classes = targets.are_classes or targets.are_exclusive or architecture.loss.classifies
    return Accuracy if classes else R2


def score_for(architecture: Architecture, examples: Examples) -> Score:
    """Return the score that says how good a network is: that of `score_kind`."""
    return score_kind(architecture, examples.targets)(architecture, examples)


def _pieces(examples: Examples) -> Iterator[tuple[Array, Array | None]]:
    targets, n_outputs = examples.targets, examples.targets.n_outputs
    step = max(1, PIECE // n_outputs)
    for start in range(0, len(examples), step):
        rows = slice(start, start + step)
        Y = targets.y[rows]
        yield (np.eye(n_outputs)[Y] if Y.ndim == 1 else Y), examples.weights_of(rows)
