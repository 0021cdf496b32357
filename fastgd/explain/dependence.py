"""How answers go with one column, all others being as they are: partial dependence.

Friedman (2001), section 8.2: the prediction, averaged over rows, with the column set to one value
in all of them, for one value after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.columns import columns, plainly
from fastgd.explain.confusion import name_classes
from fastgd.explain.importance import Groups, column_groups, columns_of
from fastgd.rules.checks import check_integer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["ColumnDependence", "Dependence", "dependence_of", "partial_dependence"]

Array = np.ndarray

#: The share of a column's values left out at each end, where rows are few.
TAIL = 0.02


@dataclass(frozen=True)
class ColumnDependence:
    """The averaged answers along one column.

    Attributes
    ----------
    name : str
    group : str
        The original column: the name, or that of what it is a part of.
    values : ndarray of shape (n_points,)
        The column's values, ascending; 0, 1, ... for categories.
    labels : tuple of str or None
        The categories.
    outputs : ndarray of shape (n_points, n_outputs)
    shares : ndarray of shape (n_points,)
        The share of rows at or nearest to each value.
    """

    name: str
    group: str
    values: Array
    labels: tuple[str, ...] | None
    outputs: Array
    shares: Array

    @property
    def effect(self) -> float:
        """How far the answer that changes most goes."""
        return float(np.ptp(self.outputs, axis=0).max())

    def label(self, k: int) -> str:
        """Return the k-th value in words."""
        return plainly(self.values[k]) if self.labels is None else self.labels[k]


@dataclass(frozen=True)
class Dependence:
    """The partial dependence on each column.

    Attributes
    ----------
    columns : tuple of ColumnDependence
    output_names : tuple of str
    n : int
        How many rows were averaged.
    """

    columns: tuple[ColumnDependence, ...]
    output_names: tuple[str, ...]
    n: int

    def first(self, names: Sequence[str], most: int) -> Dependence:
        """Return the same for at most so many columns, in the order of the original ones."""
        place = {name: k for k, name in enumerate(names)}
        known = sorted(self.columns, key=lambda column: place.get(column.group, len(place)))
        return Dependence(tuple(known[:most]), self.output_names, self.n)

    def to_list(self) -> list[dict[str, Any]]:
        """Return each column's values and answers."""
        return [
            {
                "column": column.name,
                "values": column.values if column.labels is None else column.labels,
                "outputs": column.outputs,
            }
            for column in self.columns
        ]

    def __str__(self) -> str:
        rows = []
        for column in self.columns:
            j = int(np.ptp(column.outputs, axis=0).argmax())
            line = column.outputs[:, j]
            low, high = int(line.argmin()), int(line.argmax())
            rows.append([
                column.name, self.output_names[j], plainly(line[low]), column.label(low),
                plainly(line[high]), column.label(high),
            ])  # fmt: skip
        return columns(["column", "answer", "lowest", "at", "highest", "at"], rows)


def partial_dependence(
    predict: Callable[[Array], Array], X: Array, groups: Groups, output_names: Sequence[str],
    *, input_names: Sequence[str] | None = None, points: int = 20, rows: int = 500, seed: int = 0,
) -> Dependence:  # fmt: skip
    """Return the averaged answers along each column.

    Parameters
    ----------
    predict : callable
        ``predict(X)`` returns the outputs (n, n_outputs) for encoded rows.
    X : ndarray of shape (n, n_inputs)
        The rows to average over; they are not changed.
    groups : mapping of str to slice or sequence of int
        The original columns. A group of several encoded columns is set as a whole, to each of
        the patterns that occur (the categories of a one-hot column); where there are more
        patterns than points, each of its columns goes by itself.
    output_names : sequence of str
    input_names : sequence of str, optional
        The encoded columns, for the names of categories: ``"color=red"``.
    points : int, default 20
        Values along a column: those that occur, or as many quantiles.
    rows : int, default 500
        Rows to average over at most, drawn at random.
    seed : int, default 0

    Examples
    --------
    >>> X = np.array([[0.0, 5.0], [1.0, 7.0], [2.0, 9.0]])
    >>> found = partial_dependence(lambda X: 10 * X[:, :1], X, {"a": [0], "b": [1]}, ["y"])
    >>> found.columns[0].outputs.ravel().tolist(), found.columns[1].effect
    ([0.0, 10.0, 20.0], 0.0)
    """
    check_integer("points", points, 2)
    check_integer("rows", rows, 1)
    base = X
    if len(X) > rows:
        base = X[np.sort(np.random.default_rng(seed).choice(len(X), rows, replace=False))]
    names = column_groups(X.shape[1]) if input_names is None else input_names
    found = []
    for name, group, patterns, labels, where in _places(X, groups, list(names), points):
        outputs, changed = [], base.copy()
        for pattern in patterns:
            changed[:, where] = pattern
            outputs.append(predict(changed).astype(np.float64).reshape(len(base), -1).mean(axis=0))
        values = patterns[:, 0].astype(np.float64) if labels is None else np.arange(len(patterns))
        shares = _shares(X[:, where], patterns)
        found.append(ColumnDependence(name, group, values, labels, np.array(outputs), shares))
    return Dependence(tuple(found), tuple(map(str, output_names)), len(base))


def dependence_of(
    network: Network, X: Any, groups: Groups | None = None,
    class_names: Sequence[str] | None = None, target_names: Sequence[str] | None = None,
    **options: Any,
) -> Dependence:  # fmt: skip
    """Return the partial dependence of a network's answers on each column.

    Answers are probabilities (of the second class, where there are two) or numbers. The options
    are those of `partial_dependence`.
    """
    a = network.architecture
    if a.classifies and a.output.reach == (0.0, 1.0):
        names = name_classes(class_names, a.n_classes, network)
        predict, answers = network.predict_proba, [f"probability of {name}" for name in names]
        if a.n_classes == 2:
            predict, answers = (lambda X: network.predict_proba(X)[:, 1:]), answers[1:]
    else:
        predict, n = network.predict, a.n_outputs
        unnamed = ["prediction"] if n == 1 else [f"output {k}" for k in range(n)]
        answers = list(target_names or class_names or unnamed)
    X = np.asarray(X)
    groups = column_groups(a.n_inputs) if groups is None else groups
    return partial_dependence(predict, X, groups, answers, **options)


def _places(X: Array, groups: Groups, names: list[str], points: int) -> Any:
    """Yield each column's name, group, patterns (n_points, n_encoded), labels and place."""
    for name, encoded in groups.items():
        where = columns_of(encoded, X.shape[1], name)
        if len(where) == 1:
            yield name, name, _grid(X[:, where[0]], points)[:, None], None, where
            continue
        patterns, counts = np.unique(X[:, where], axis=0, return_counts=True)
        if ((patterns == 0) | (patterns == 1)).all():  # one-hot: the most frequent, in order
            kept = np.sort(np.argsort(-counts, kind="stable")[:points])[::-1]
            labels = tuple(
                _category(row, name, [names[k] for k in where]) for row in patterns[kept]
            )
            yield name, name, patterns[kept], labels, where
            continue
        for k in where:  # the parts of a date; a number and whether it is missing
            part = names[k] if names[k].startswith(name) else f"{name}: {names[k]}"
            yield part, name, _grid(X[:, k], points)[:, None], None, np.array([k])


def _grid(values: Array, points: int) -> Array:
    """Return the values that occur, or as many quantiles, without the outermost tails."""
    distinct = np.unique(values)
    if len(distinct) <= points:
        return distinct
    shares = np.linspace(TAIL, 1 - TAIL, points)
    return np.unique(np.quantile(values.astype(np.float64), shares))


def _category(pattern: Array, name: str, names: list[str]) -> str:
    """Return the category that a one-hot pattern stands for."""
    on = [n.removeprefix(f"{name}=") for n, bit in zip(names, pattern, strict=True) if bit]
    return ", ".join(on) if on else "(none)"


def _shares(rows: Array, patterns: Array) -> Array:
    """Return the share of rows at each pattern, or nearest to it."""
    if patterns.shape[1] == 1:
        middle = (patterns[1:, 0] + patterns[:-1, 0]) / 2
        places = np.searchsorted(middle, rows[:, 0])
        return np.bincount(places, minlength=len(patterns)) / len(rows)
    return np.array([(rows == pattern).all(axis=1).mean() for pattern in patterns])
