"""Which columns a model needs: what its score loses when one is shuffled (Breiman 2001)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import Accuracy, classes_of, score_kind
from fastgd.explain.columns import columns
from fastgd.explain.confusion import true_classes
from fastgd.explain.report import number_report
from fastgd.rules.checks import check_integer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Groups", "Importance", "column_groups", "importance_of", "permutation_importance"]

Array = np.ndarray
#: Each original column and its encoded ones: a slice or a list of numbers.
Groups = Mapping[str, Any]

#: Rows of the printed table.
MOST_TOLD = 30


@dataclass(frozen=True)
class Importance:
    """What the score loses when a column is shuffled.

    Attributes
    ----------
    names : tuple of str
        The columns.
    drops : ndarray of shape (n_columns, repeats)
        The score minus that with the column shuffled, each time in another order.
    score : float
        With all columns as they are.
    score_name : str
        ``"accuracy"`` or ``"R^2"``.
    n : int
        How many rows it was measured on.
    """

    names: tuple[str, ...]
    drops: Array
    score: float
    score_name: str
    n: int

    @property
    def mean(self) -> Array:
        """The average loss of each column, (n_columns,)."""
        return self.drops.mean(axis=1)

    @property
    def spread(self) -> Array:
        """The standard deviation over the repeats, (n_columns,)."""
        return self.drops.std(axis=1, ddof=min(1, self.drops.shape[1] - 1))

    @property
    def order(self) -> Array:
        """The columns by importance, the greatest first."""
        return np.argsort(-self.mean, kind="stable")

    def to_list(self) -> list[dict[str, Any]]:
        """Return each column's name, mean and spread, the most important first."""
        mean, spread = self.mean, self.spread
        return [
            {"column": self.names[k], "drop": float(mean[k]), "spread": float(spread[k])}
            for k in self.order
        ]

    def __str__(self) -> str:
        rows = [
            [row["column"], f"{row['drop']:.4f}", f"{row['spread']:.4f}"]
            for row in self.to_list()[:MOST_TOLD]
        ]
        more = len(self.names) - len(rows)
        head = (
            f"{self.score_name} {self.score:.4f} on {self.n:,} rows; what shuffling a column costs"
        )
        table = columns(["column", "drop", "+-"], rows)
        return f"{head}\n{table}" + (f"\n... and {more:,} columns that cost less" if more else "")


def permutation_importance(
    predict: Callable[[Array], Array], X: Array, groups: Groups,
    score: Callable[[Array], float], *, score_name: str = "score", repeats: int = 5,
    seed: int = 0, progress: Callable[[str, int, int], None] | None = None,
) -> Importance:  # fmt: skip
    """Shuffle one column after the other among the rows, and measure what the score loses.

    Parameters
    ----------
    predict : callable
        ``predict(X)`` returns the outputs for encoded rows X (n, n_inputs).
    X : ndarray of shape (n, n_inputs)
        Rows the model was not trained on; they are not changed.
    groups : mapping of str to slice or sequence of int
        The columns: what is shuffled together, by name.
    score : callable
        ``score(outputs)`` returns a number, more being better.
    score_name : str
    repeats : int, default 5
        How often each column is shuffled.
    seed : int, default 0
    progress : callable, optional
        Called as ``progress("column", done, total)``.

    Notes
    -----
    Where two columns say the same, a model can lean on either: each then costs little by itself.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> found = permutation_importance(
    ...     lambda X: X[:, 0], X, {"used": [0], "ignored": [1]},
    ...     lambda outputs: -np.abs(outputs - X[:, 0]).mean(),
    ... )
    >>> found.order.tolist(), found.drops[1].tolist()
    ([0, 1], [0.0, 0.0, 0.0, 0.0, 0.0])
    """
    check_integer("repeats", repeats, 1)
    whole, rng = score(predict(X)), np.random.default_rng(seed)
    drops = np.zeros((len(groups), repeats))
    shuffled = X.copy()
    for g, (name, group) in enumerate(groups.items()):
        where = columns_of(group, X.shape[1], name)
        for k in range(repeats):
            order = rng.permutation(len(X))
            shuffled[:, where] = X[np.ix_(order, where)]
            drops[g, k] = whole - score(predict(shuffled))
        shuffled[:, where] = X[:, where]
        if progress is not None:
            progress("column", g + 1, len(groups))
    return Importance(tuple(groups), drops, float(whole), score_name, len(X))


def importance_of(
    network: Network, X: Any, y: Any, groups: Groups | None = None, **options: Any
) -> Importance:
    """Return what each column is worth to a network: of its accuracy, or R^2 for numbers.

    Parameters
    ----------
    network : Network
    X : array of shape (n, n_inputs)
    y : array
        As in `Network.score`.
    groups : mapping of str to slice or sequence of int, optional
        As in `permutation_importance`; by default each input by itself.
    **options
        ``repeats``, ``seed``, ``progress`` of `permutation_importance`.
    """
    targets = network.check_examples(X, y).targets
    X = np.asarray(X)
    if score_kind(network.architecture, targets) is Accuracy:
        true, threshold = true_classes(network, y), network.architecture.loss.threshold
        name = Accuracy.label

        def score(outputs: Array) -> float:
            return float((classes_of(outputs, threshold) == true).mean())
    else:
        Y, name = np.asarray(y, dtype=np.float64), "R^2"

        def score(outputs: Array) -> float:
            return float(number_report(Y, outputs).r2.mean())

    groups = column_groups(X.shape[1]) if groups is None else groups
    return permutation_importance(network.predict, X, groups, score, score_name=name, **options)


def column_groups(n_inputs: int, names: Sequence[str] | None = None) -> dict[str, list[int]]:
    """Return groups of one column each: all that a plain table of numbers needs."""
    names = [f"input {k}" for k in range(n_inputs)] if names is None else names
    return {name: [k] for k, name in enumerate(names)}


def columns_of(group: Any, n_inputs: int, name: str) -> Array:
    """Return the numbers of a group's columns, from a slice or a list."""
    try:
        where = np.atleast_1d(np.arange(n_inputs)[group])
    except IndexError:
        raise ValueError(f"groups[{name!r}] must be columns of {n_inputs}; got {group!r}") from None
    return where
