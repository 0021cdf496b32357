"""The loss and gradient of all examples at once, for scikit-learn's L-BFGS."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgd.engine.rows import Rows
from fastgd.sklearn.problem import Problem, computer, threads_of

__all__ = ["Whole"]

Array = np.ndarray


class Whole:
    """What L-BFGS minimises; its vectors hold all coefficients, then all intercepts."""

    def __init__(self, estimator: Any, problem: Problem):
        self.estimator, self.problem, self.backend = estimator, problem, computer(estimator)
        layout = problem.architecture.layout
        self.n_threads = threads_of(estimator, problem.architecture, len(problem))
        places = np.arange(layout.n_parameters)
        #: Where scikit-learn's numbers are in fastgd's vector.
        self.order = np.concatenate(
            [place.ravel() for place in [*layout.weights(places), *layout.biases(places)]]
        )
        self.flat = np.empty(layout.n_parameters, problem.architecture.dtype)
        self.gradient = np.empty_like(self.flat)
        weights = problem.weights
        self.rows = Rows(problem.X, problem.Y, None, weights)
        self.total_weight = self.rows.total_weight

    def loss_and_gradient(self, packed: Array) -> tuple[float, Array]:
        """Return scikit-learn's loss and gradient there."""
        problem, alpha, n_weights = self.problem, self.estimator.alpha, self._n_weights
        self.flat[self.order] = packed
        self.gradient[:] = 0
        with np.errstate(over="ignore", invalid="ignore"):
            cost = self.backend.loss_and_gradient(
                problem.architecture, self.flat, self.rows, self.gradient, self.n_threads,
            )  # fmt: skip
        gradient = self.gradient[self.order].astype(np.float64)
        W = packed[:n_weights].astype(np.float64)
        gradient[:n_weights] += alpha * W
        gradient /= self.total_weight
        loss = cost / problem.per_output + 0.5 * alpha * float(W @ W)
        return np.float64(loss / self.total_weight), gradient  # as scikit-learn's is

    @property
    def _n_weights(self) -> int:
        return self.problem.architecture.layout.n_weights
