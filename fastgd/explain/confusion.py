"""Which classes a network takes for which others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import classes_of
from fastgd.errors import SettingError
from fastgd.explain.columns import columns

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["MOST_PAIRS", "Confusion", "confusion_of", "name_classes", "true_classes"]

Array = np.ndarray

#: With more classes than this, their mistakes are not counted pair by pair.
MOST_PAIRS = 1000
#: Lines in the text: the pairs that are confused most.
PAIRS_TOLD = 10


@dataclass(frozen=True)
class Confusion:
    """How often class i was taken for class j.

    Attributes
    ----------
    counts : int64 ndarray of shape (n_classes, n_classes)
        Rows are true classes, columns predicted ones; what is right lies on the diagonal.
    class_names : tuple of str
    """

    counts: Array
    class_names: tuple[str, ...]

    @property
    def right(self) -> int:
        """How many examples were taken for what they are."""
        return int(self.counts.trace())

    @property
    def total(self) -> int:
        """How many examples there are."""
        return int(self.counts.sum())

    @property
    def mistakes(self) -> Array:
        """The counts without the diagonal, (n_classes, n_classes)."""
        return self.counts - np.diag(self.counts.diagonal())

    def pairs(self) -> list[tuple[int, int, int]]:
        """Return (true, predicted, count) of every kind of mistake made, the most frequent first.

        >>> Confusion(np.array([[5, 1], [3, 4]]), ("no", "yes")).pairs()
        [(1, 0, 3), (0, 1, 1)]
        """
        mistakes = self.mistakes
        order = np.argsort(-mistakes, axis=None, kind="stable")[: np.count_nonzero(mistakes)]
        places = zip(*np.unravel_index(order, mistakes.shape), strict=True)
        return [(int(i), int(j), int(mistakes[i, j])) for i, j in places]

    def most_confused(self, n: int) -> Confusion:
        """Return the n classes with the most mistakes (made on them or for them), in their order.

        Mistakes between them and other classes are not in the result.
        """
        mistakes = self.mistakes
        each = mistakes.sum(axis=0) + mistakes.sum(axis=1)
        kept = np.sort(np.argsort(-each, kind="stable")[:n])
        names = tuple(self.class_names[c] for c in kept)
        return Confusion(self.counts[np.ix_(kept, kept)], names)

    def __str__(self) -> str:
        share = 100 * self.right / self.total
        head = f"right: {self.right:,} of {self.total:,} ({share:.2f} %)"
        pairs, names = self.pairs(), self.class_names
        if not pairs:
            return head
        rows = [[names[i], names[j], f"{n:,}"] for i, j, n in pairs[:PAIRS_TOLD]]
        table = columns(["true class", "taken for", "times"], rows)
        more = len(pairs) - len(rows)
        return f"{head}\n{table}" + (f"\n... and {more:,} rarer kinds of mistake" if more else "")


def confusion_of(
    network: Network, X: Any, y: Any, class_names: Sequence[str] | None = None
) -> Confusion:
    """Count how often each class is taken for each.

    Parameters
    ----------
    network : Network
    X : array of shape (n, n_inputs)
    y : array
        Classes (n,), or one-hot targets (n, n_outputs); 0 and 1 for a single output.
    class_names : sequence of str, optional
        The name of each class; by default its label.

    Raises
    ------
    TypeError, ValueError
        If X and y do not fit the network, y holds no classes, or there are over 1,000 of them.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.confusion import confusion_of
    >>> net = fastgd.Network([1, 1], init="zeros")
    >>> net.parameters = [10.0, 0.0]
    >>> confusion_of(net, [[-1.0], [1.0], [2.0]], [0, 1, 0]).counts
    array([[1, 1],
           [0, 1]])
    """
    classes = true_classes(network, y)
    n = max(2, network.architecture.n_outputs)
    if n > MOST_PAIRS:
        raise ValueError(
            f"a confusion matrix is for at most {MOST_PAIRS:,} classes; the network has {n:,} "
            f"(net.score(X, y) is the share that is right)"
        )
    names = name_classes(class_names, n, network)
    outputs = network.predict(X)
    if len(outputs) != len(classes):
        raise ValueError(
            f"X and y must have one row for each example; got {len(outputs)} rows and "
            f"{len(classes)} targets"
        )
    pairs = classes * n + classes_of(outputs)
    return Confusion(np.bincount(pairs, minlength=n * n).reshape(n, n), names)


def true_classes(network: Network, y: Any) -> Array:
    """Return the classes (n,) that targets stand for, or raise ValueError if they are none."""
    targets = network.check_targets(y)
    if targets.are_classes:
        return targets.y.astype(np.int64)
    Y = targets.y
    single = Y.shape[1] == 1
    if not ((Y == 0) | (Y == 1)).all() or not (single or (Y.sum(axis=1) == 1).all()):
        accepted = "0 or 1 for each example" if single else "classes, or one-hot"
        raise SettingError(
            "y",
            f"must be {accepted}, so that a prediction is right or wrong; for other targets "
            f"compare net.predict(X) with y",
        )
    return Y[:, 0].astype(np.int64) if single else Y.argmax(axis=1)


def name_classes(
    class_names: Sequence[str] | None, n: int, network: Network | None = None
) -> tuple[str, ...]:
    """Return n names: those given, else those of the network's classes, else 0, 1, ..."""
    if class_names is None:
        known = None if network is None else network.classes
        return tuple(map(str, range(n) if known is None else known.tolist()))
    if len(class_names) != n:
        raise SettingError(
            "class_names", f"must be {n} names, one for each class; got {len(class_names)}"
        )
    return tuple(map(str, class_names))
