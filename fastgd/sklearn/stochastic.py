"""Epochs of scikit-learn's stochastic solvers, each a call or two to a backend."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from fastgd.engine.rows import Rows
from fastgd.engine.session import Pace
from fastgd.engine.tally import Tally
from fastgd.rules.dropout import Draw
from fastgd.rules.optimizers import Adam
from fastgd.rules.update import COLUMNS, L2, SHRINK, Update
from fastgd.rules.updates import AdaptiveMoments, GradientDescent, Momentum
from fastgd.sklearn.problem import Problem, computer, flat_parameters, threads_of

__all__ = ["Epochs"]

Array = np.ndarray
NO_LIMITS = (1.0, 0.0, 0.0, math.inf, math.inf, math.inf)


class Epochs:
    """Makes epochs on an estimator's coefficients and its solver's state, both changed in place.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its ``_optimizer`` is scikit-learn's; ``coefs_`` and ``intercepts_`` become views of one
        vector.
    problem : Problem
    batch_size : int
    """

    def __init__(self, estimator: Any, problem: Problem, batch_size: int):
        self.estimator, self.problem, self.batch_size = estimator, problem, batch_size
        self.backend, layout = computer(estimator), problem.architecture.layout
        dtype = problem.architecture.dtype
        n = len(problem)
        self.n_threads = threads_of(estimator, problem.architecture, min(batch_size, n))
        self.flat = flat_parameters(layout, estimator.coefs_, estimator.intercepts_, dtype)
        estimator.coefs_, estimator.intercepts_ = (
            layout.weights(self.flat),
            layout.biases(self.flat),
        )
        optimizer, k = estimator._optimizer, len(layout.shapes)
        names = ("ms", "vs") if estimator.solver == "adam" else ("velocities",)
        kept = [getattr(optimizer, name) for name in names]
        self.slots = np.array([flat_parameters(layout, s[:k], s[k:], dtype) for s in kept])
        for name, slot in zip(names, self.slots, strict=True):
            setattr(optimizer, name, [*layout.weights(slot), *layout.biases(slot)])
        self.starts = np.arange(0, n, batch_size)
        self.counts = np.diff(self.starts, append=n).astype(np.float64)
        if estimator.solver == "adam":
            self.adam = Adam(
                1.0, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, epsilon_hat=True
            )
        self.pace, self.draw = Pace(), None
        if problem.architecture.has_dropout:
            seed = int(estimator._random_state.randint(1 << 31))
            self.draw = Draw(seed, 0)

    def run(self, order: Array | None) -> float | None:
        """Make one epoch in that order, or as the rows come; return scikit-learn's loss.

        None where it is not finite, or a batch has no weight: nothing has changed then.
        """
        problem, optimizer = self.problem, self.estimator._optimizer
        weights, totals = self._weights(order)
        if totals.min() <= 0:
            return None
        decay = self.estimator.alpha / totals
        Y = problem.Y if order is None else problem.Y[order]
        rows = Rows(problem.X, Y, order, weights)
        before, slots = self.flat.copy(), self.slots.copy()
        cost = self._call(rows, decay)
        if cost is None or not np.isfinite(self.flat).all():
            self.flat[:], self.slots[:] = before, slots
            return None
        n_steps = len(self.starts)
        if self.estimator.solver == "adam":
            optimizer.t += n_steps
            rate, t = optimizer.learning_rate_init, optimizer.t
            first, root = 1 - optimizer.beta_1**t, np.sqrt(1 - optimizer.beta_2**t)
            optimizer.learning_rate = rate * root / first
        if self.draw:
            self.draw = self.draw._replace(step=self.draw.step + n_steps)
        return cost / (len(problem) * problem.per_output)

    def _weights(self, order: Array | None) -> tuple[Array | None, Array]:
        """Return the visits' weights, and each batch's sum of the weights.

        Each batch counts as many examples as it has in scikit-learn's loss: the weights are scaled
        so that they sum to that, which changes no step.
        """
        weights = self.problem.weights
        if weights is None:
            return None, self.counts
        weights = weights if order is None else weights[order]
        totals = np.add.reduceat(weights, self.starts, dtype=np.float64)
        if totals.min() <= 0:
            return None, totals
        scale = np.repeat(self.counts / totals, self.counts.astype(np.int64))
        return (weights * scale).astype(weights.dtype), totals

    def _call(self, rows: Rows, decay: Array) -> float | None:
        """Make the steps, as many in a call as are soon done; return the sum of all costs."""
        plain = self.estimator.solver == "sgd" and not self.estimator.momentum
        n, step, total = len(self.starts), 0, 0.0
        # Without momentum the velocities are the last step, which the rule then has to write.
        ends = [n - 1, n] if plain and n > 1 else [n]
        while step < n:
            end = ends[0] if step < ends[0] else n
            rule = GradientDescent if plain and end < n else None
            stop = min(end, step + self.pace.steps)
            started = time.perf_counter()
            cost = self._steps(rows, step, stop, decay[step:stop], rule)
            self.pace.saw(stop - step, time.perf_counter() - started)
            if cost is None:
                return None
            step, total = stop, total + cost
        return total

    def _steps(
        self, rows: Rows, first: int, stop: int, decay: Array, rule: type[Update] | None
    ) -> float | None:
        estimator, problem, batch = self.estimator, self.problem, self.batch_size
        own, rule = self._settings(first, stop, rule)
        table = table_of(own, rule, decay)
        penalties = None
        if estimator.alpha:
            penalties = 0.5 * problem.per_output * self.counts[first:stop] * decay
        draw = self.draw and self.draw._replace(step=self.draw.step + first)
        slots = self.slots[:0] if rule is GradientDescent else self.slots
        whole = first == 0 and stop == len(self.starts)
        with np.errstate(over="ignore", invalid="ignore"):
            steps, cost = self.backend.train(
                problem.architecture, self.flat, slots,
                rows if whole else rows[first * batch : stop * batch],
                batch, rule, table, self.n_threads, draw, Tally(problem.ceiling, penalties),
            )  # fmt: skip
        return cost if steps == stop - first and math.isfinite(cost) else None

    def _settings(
        self, first: int, stop: int, rule: type[Update] | None
    ) -> tuple[dict[str, Any], type[Update]]:
        """Return what the rule's own columns hold in those steps of the epoch, and the rule."""
        estimator, optimizer = self.estimator, self.estimator._optimizer
        if estimator.solver == "adam":
            steps = optimizer.t + np.arange(first, stop)
            rates = np.full(len(steps), float(optimizer.learning_rate_init))
            return self.adam.settings(steps, rates), AdaptiveMoments
        rate = {"rate": optimizer.learning_rate}
        if rule is GradientDescent:
            return rate, rule
        nesterov = float(optimizer.nesterov)
        return {**rate, "momentum": optimizer.momentum, "nesterov": nesterov}, Momentum


def table_of(own: dict[str, Any], rule: type[Update], decay: Array) -> Array:
    """Return the settings of steps whose weights are penalised by ``decay`` of their own."""
    table = np.zeros((len(decay), 2, len(COLUMNS) + len(rule.columns)))
    table[:, :, : len(COLUMNS)] = NO_LIMITS
    for i, name in enumerate(rule.columns, len(COLUMNS)):
        table[:, :, i] = np.reshape(own[name], (-1, 1))
    if rule.linear:
        table[:, 0, SHRINK] -= own["rate"] * decay
    else:
        table[:, 0, L2] = decay
    return table
