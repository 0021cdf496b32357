"""Calls to a backend, in pieces that return soon: outputs, costs, gradients and scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.engine.inputs import Examples, Inputs
from fastgd.engine.metrics import Score
from fastgd.engine.scaling import in_units
from fastgd.engine.threads import threads_for
from fastgd.rules.scalar import add

__all__ = ["Runner"]

Array = np.ndarray

#: One call to a backend computes at most about this many multiplications: under 100 ms.
CALL_WORK = 1 << 30


@dataclass
class Runner:
    """An architecture, and what computes it.

    Parameters
    ----------
    architecture : Architecture
    backend : callable
        Returns the module of the backend to use.
    threads : "auto" or int
    """

    architecture: Architecture
    backend: Callable[[], ModuleType]
    threads: int | str = "auto"

    @property
    def rows_per_call(self) -> int:
        """How many rows one call to a backend may take: few enough to be back in 100 ms."""
        return max(256, CALL_WORK // self.architecture.layout.n_parameters)

    def n_threads(self, n_rows: int) -> int:
        """Return how many threads work on so many rows."""
        return threads_for(self.threads, self.architecture, n_rows)

    def pieces(self, inputs: Inputs, most_rows: int) -> Iterator[slice]:
        """Yield slices of the rows, each for one call."""
        n = len(inputs)
        rows = min(self.rows_per_call, inputs.most_rows, most_rows)
        for start in range(0, n, rows):
            yield slice(start, min(start + rows, n))

    def outputs(self, parameters: Array, inputs: Inputs, rows: slice, outputs: Array) -> bool:
        """Write the outputs of some rows; return whether their inputs are finite."""
        X = inputs.rows(rows.start, rows.stop)
        with np.errstate(over="ignore", invalid="ignore"):
            return self.backend().forward(
                self.architecture, parameters, X, outputs, self.n_threads(len(X))
            )

    def predict(self, parameters: Array, inputs: Inputs) -> tuple[Array, bool]:
        """Return the answers (n, n_outputs), in the units of targets; and whether X is finite."""
        n, architecture = len(inputs), self.architecture
        scaled = architecture.output_columns is not None
        dtype = "float64" if scaled else architecture.dtype
        answers, finite = np.empty((n, architecture.n_outputs), dtype), True
        for rows in self.pieces(inputs, n):
            outputs = np.empty(answers[rows].shape, architecture.dtype) if scaled else answers[rows]
            finite = self.outputs(parameters, inputs, rows, outputs) and finite
            if scaled:
                answers[rows] = in_units(architecture, outputs)
        return answers, finite

    def total(self, parameters: Array, examples: Examples, gradient: Array | None) -> float:
        """Return the sum of the examples' costs, and add their gradients."""
        total = rest = 0.0
        for piece in self.pieces(examples.inputs, examples.targets.most_rows):
            rows = examples.rows(piece.start, piece.stop)
            with np.errstate(over="ignore", invalid="ignore"):
                cost = self.backend().loss_and_gradient(
                    self.architecture, parameters, rows, gradient, self.n_threads(len(rows))
                )
            total, rest = add(total, rest, float(cost))
        return total + rest if math.isfinite(total) else total

    def scale(self, examples: Examples) -> float:
        """Return what turns sums over the examples into what `loss` reports."""
        return 1 / examples.total_weight if self.architecture.loss.batch_average else 1.0

    def loss(self, parameters: Array, examples: Examples) -> float:
        """Return the cost: the average over the examples' weights, or the sum."""
        return self.total(parameters, examples, None) * self.scale(examples)

    def gradient(self, parameters: Array, examples: Examples) -> Array:
        """Return the gradient of `loss`, flat."""
        gradient = np.zeros_like(parameters)
        self.total(parameters, examples, gradient)
        gradient *= self.scale(examples)
        return gradient

    def score(self, parameters: Array, examples: Examples, scores: list[Score]) -> list[float]:
        """Return scores that gather outputs a piece at a time."""
        with np.errstate(over="ignore", invalid="ignore"):
            for piece in self.pieces(examples.inputs, examples.targets.most_rows):
                n = piece.stop - piece.start
                outputs = np.empty((n, self.architecture.n_outputs), dtype=self.architecture.dtype)
                self.outputs(parameters, examples.inputs, piece, outputs)
                outputs = in_units(self.architecture, outputs)
                rows = examples.targets.in_units(piece)
                for score in scores:
                    score.add(outputs, rows, examples.weights_of(piece))
            return [score.result() for score in scores]
