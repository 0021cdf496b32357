"""The mistakes a network pays most for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import classes_of
from fastgd.explain.columns import columns
from fastgd.explain.confusion import name_classes, true_classes
from fastgd.rules.checks import check_integer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Mistakes", "worst_mistakes"]

Array = np.ndarray


@dataclass(frozen=True)
class Mistakes:
    """The worst mistakes, those with the largest cost first.

    Attributes
    ----------
    rows : int64 ndarray of shape (k,)
        Which rows of X they are.
    costs : float64 ndarray of shape (k,)
        The cost of each alone, ``net.loss(X[[row]], y[[row]])``.
    true, taken : int64 ndarray of shape (k,)
        The class each is, and the one it is taken for.
    outputs : ndarray of shape (k, n_outputs)
    n_wrong, n_examples : int
        How many mistakes there are among how many examples.
    class_names : tuple of str
    """

    rows: Array
    costs: Array
    true: Array
    taken: Array
    outputs: Array
    n_wrong: int
    n_examples: int
    class_names: tuple[str, ...]

    def scores(self) -> Array:
        """Return one number for each class, (k, n_classes): the outputs; 1 - a and a for a
        single output a."""
        if self.outputs.shape[1] > 1:
            return self.outputs
        return np.concatenate([1 - self.outputs, self.outputs], axis=1)

    def __str__(self) -> str:
        if not self.n_wrong:
            return f"no mistakes: all {self.n_examples:,} examples are right"
        head = f"{self.n_wrong:,} of {self.n_examples:,} examples are wrong; the worst:"
        names, scores, table = self.class_names, self.scores(), []
        for k, (row, true, taken) in enumerate(zip(self.rows, self.true, self.taken, strict=True)):
            numbers = [self.costs[k], scores[k, true], scores[k, taken]]
            cells = [f"{number:.4f}" for number in numbers]
            table.append([str(row), names[true], names[taken], *cells])
        header = ["row", "true class", "taken for", "cost", "output for true", "output for taken"]
        return f"{head}\n{columns(header, table)}"


def worst_mistakes(
    network: Network, X: Any, y: Any, n: int = 12, class_names: Sequence[str] | None = None
) -> Mistakes:
    """Find the n examples with the largest cost among those whose class is wrong.

    Parameters
    ----------
    network : Network
    X : array of shape (n_examples, n_inputs)
    y : array
        Classes, or one-hot targets; 0 and 1 for a single output.
    n : int, default 12
        How many; fewer where there are fewer.
    class_names : sequence of str, optional

    Raises
    ------
    TypeError, ValueError
        If X and y do not fit the network, or y holds no classes.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.mistakes import worst_mistakes
    >>> net = fastgd.Network([1, 1], init="zeros")
    >>> net.parameters = [1.0, 0.0]
    >>> found = worst_mistakes(net, [[-1.0], [1.0], [2.0]], [0, 0, 0])
    >>> found.rows, found.n_wrong
    (array([2, 1]), 2)
    """
    check_integer("n", n, 1)
    network.check_examples(X, y)
    X, y = X.tocsr() if hasattr(X, "tocsr") else np.asarray(X), np.asarray(y)
    classes = true_classes(network, y)
    names = name_classes(class_names, network.architecture.n_classes, network)
    outputs = network.predict(X)
    taken = classes_of(outputs)
    wrong = np.flatnonzero(taken != classes)
    costs = np.array([network.loss(X[i : i + 1], y[i : i + 1]) for i in wrong])
    order = np.argsort(-costs, kind="stable")[:n]
    rows = wrong[order]
    return Mistakes(
        rows, costs[order], classes[rows], taken[rows], outputs[rows], len(wrong), len(classes),
        names,
    )  # fmt: skip
