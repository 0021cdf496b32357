"""Epochs of scikit-learn's stochastic solvers, each a call or two to a backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastgd.engine.rows import Rows
from fastgd.engine.runner import CALL_WORK
from fastgd.rules.dropout import Draw
from fastgd.rules.update import COLUMNS, L2, SHRINK, Update
from fastgd.rules.updates import AdaptiveMoments, GradientDescent, Momentum
from fastgd.sklearn.problem import Problem, computer, flat_parameters, threads_of

__all__ = ["Epochs"]

Array = np.ndarray
NO_LIMITS = (1.0, 0.0, 0.0, math.inf, math.inf, math.inf)


class Piece(NamedTuple):
    """Steps of an epoch that one call makes: the first, and that after the last."""

    first: int
    stop: int
    rule: type[Update]
    table: Array  # (n_steps, 2, n_columns): written anew for each epoch
    train: Callable[[Array], tuple[int, float]]


class Epochs:
    """Makes epochs on an estimator's coefficients and its solver's state, both changed in place.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its ``_optimizer`` is scikit-learn's; ``coefs_`` and ``intercepts_`` become views of one
        vector.
    problem : Problem
    batch_size : int
    rates : callable, optional
        Returns the learning rate of the steps from one of an epoch to before another, in place of
        the solver's.
    after : callable, optional
        Called with the steps, examples and mean loss of the epoch so far; it may return True to
        stop there.
    single : bool
        Whether that is after every step.
    """

    def __init__(
        self,
        estimator: Any,
        problem: Problem,
        batch_size: int,
        rates: Callable[[int, int], Array] | None = None,
        after: Callable[[int, int, float], bool] | None = None,
        single: bool = False,
    ):
        self.estimator, self.problem, self.batch_size = estimator, problem, batch_size
        self.rates, self.after, self.single, self.stopped = rates, after, single, False
        self.backend, layout = computer(estimator), problem.architecture.layout
        dtype = problem.architecture.dtype
        n = len(problem)
        self.n_threads = threads_of(estimator, problem.architecture, min(batch_size, n))
        self.flat = flat_parameters(layout, estimator.coefs_, estimator.intercepts_, dtype)
        # In place: after early stopping scikit-learn's best ones are these very lists.
        estimator.coefs_[:] = layout.weights(self.flat)
        estimator.intercepts_[:] = layout.biases(self.flat)
        optimizer, k = estimator._optimizer, len(layout.shapes)
        names = ("ms", "vs") if estimator.solver == "adam" else ("velocities",)
        kept = [getattr(optimizer, name) for name in names]
        self.slots = np.array([flat_parameters(layout, s[:k], s[k:], dtype) for s in kept])
        for name, slot in zip(names, self.slots, strict=True):
            setattr(optimizer, name, [*layout.weights(slot), *layout.biases(slot)])
        self.starts = np.arange(0, n, batch_size)
        self.counts = np.diff(self.starts, append=n).astype(np.float64)
        self.order = np.empty(n, np.int64) if estimator.shuffle else None
        self.Y = problem.Y.copy() if estimator.shuffle else problem.Y
        weights = problem.weights
        self.weights = None if weights is None else np.empty_like(weights)
        self.totals = self.counts  # the sums of the batches' weights
        self.penalties = np.empty(len(self.starts)) if estimator.alpha else None
        self._set_penalties()
        self.draw = None
        if problem.architecture.has_dropout:
            self.draw = Draw(int(estimator._random_state.randint(1 << 31)), 0)
        self.pieces = self._cut()

    def run(self, order: Array | None) -> float | None:
        """Make one epoch in that order, or as the rows come; return scikit-learn's loss.

        None where it is not finite, or a batch has no weight: nothing has changed then.
        """
        self._visit(order)
        if self.totals.min() <= 0:
            return None
        before, slots = self.flat.copy(), self.slots.copy()
        total = 0.0
        for piece in self.pieces:
            with np.errstate(over="ignore", invalid="ignore"):
                steps, cost = piece.train(self._table(piece))
            total = total + cost if steps == piece.stop - piece.first else math.nan
            if not math.isfinite(total):
                break
            if self.after and self._stop_after(piece, total):
                break
        finite = math.isfinite(total) and np.isfinite(self.flat).all()
        if not (finite and np.isfinite(self.slots).all()):
            self.flat[:], self.slots[:] = before, slots
            return None
        self._advance(piece.stop)
        return self._mean(piece, total)

    def _mean(self, piece: Piece, total: float) -> float:
        """Return the mean loss of an epoch's examples up to a piece's end, as NumPy's number."""
        return np.float64(total / (self.visits(piece.stop) * self.problem.per_output))

    def visits(self, steps: int) -> int:
        """Return how many examples an epoch's first steps visit."""
        return min(steps * self.batch_size, len(self.problem))

    def _stop_after(self, piece: Piece, total: float) -> bool:
        visits, loss = self.visits(piece.stop), self._mean(piece, total)
        self.stopped = self.after is not None and self.after(piece.stop, visits, loss)
        return self.stopped

    def _advance(self, n_steps: int) -> None:
        """Count an epoch's steps."""
        optimizer = self.estimator._optimizer
        if self.estimator.solver == "adam":
            optimizer.t += n_steps
            first = 1 - optimizer.beta_1**optimizer.t
            root = np.sqrt(1 - optimizer.beta_2**optimizer.t)
            optimizer.learning_rate = optimizer.learning_rate_init * root / first
        if self.draw:
            self.draw = self.draw._replace(step=self.draw.step + n_steps)

    def _visit(self, order: Array | None) -> None:
        """Put the epoch's targets and weights in the order of its visits.

        Each batch counts as many examples as it has in scikit-learn's loss: the weights are scaled
        so that they sum to that, which changes no step.
        """
        problem = self.problem
        if self.order is not None and order is not None:
            self.order[:] = order
            np.take(problem.Y, order, axis=0, out=self.Y, mode="clip")
        if self.weights is None or problem.weights is None:
            return
        weights = problem.weights if order is None else problem.weights[order]
        self.totals = np.add.reduceat(weights, self.starts, dtype=np.float64)
        if self.totals.min() > 0:
            scale = np.repeat(self.counts / self.totals, self.counts.astype(np.int64))
            self.weights[:] = weights * scale
            self._set_penalties()

    def _set_penalties(self) -> None:
        if self.penalties is not None:
            factor = 0.5 * self.estimator.alpha * self.problem.per_output
            self.penalties[:] = factor * self.counts / self.totals

    def _cut(self) -> list[Piece]:
        """Return what one epoch's calls are: each is back soon."""
        n, plain = len(self.starts), self._plain
        architecture = self.problem.architecture
        rows = max(256, CALL_WORK // architecture.layout.n_parameters)
        most = 1 if self.single else max(1, rows // self.batch_size)
        ends = [*range(most, n, most), n]
        if plain and n > 1 and n - 1 not in ends:
            ends.insert(-1, n - 1)
        # Without momentum the velocities are the last step, which that rule has to write.
        pieces, first = [], 0
        for stop in ends:
            rule = GradientDescent if plain and stop < n else self._rule
            pieces.append(Piece(first, stop, rule, np.empty(0), lambda table: (0, 0.0)))
            first = stop
        return [self._prepared(piece, len(pieces) <= 2) for piece in pieces]

    @property
    def _plain(self) -> bool:
        return self.estimator.solver == "sgd" and not self.estimator._optimizer.momentum

    @property
    def _rule(self) -> type[Update]:
        return AdaptiveMoments if self.estimator.solver == "adam" else Momentum

    def _prepared(self, piece: Piece, keeps: bool) -> Piece:
        """Return a piece with its table and what trains on it; ``keeps`` memory for each call."""
        first, stop, rule = piece[:3]
        problem, batch = self.problem, self.batch_size
        visits = slice(first * batch, stop * batch)
        rows = Rows(problem.X, self.Y, self.order, self.weights)[visits]
        penalties = None if self.penalties is None else self.penalties[first:stop]
        slots = self.slots[:0] if rule is GradientDescent else self.slots
        table = np.zeros((stop - first, 2, len(COLUMNS) + len(rule.columns)))
        table[:, :, : len(COLUMNS)] = NO_LIMITS
        optimizer = self.estimator._optimizer
        if rule is AdaptiveMoments:
            rest = [1.0, 1 - optimizer.beta_1, 1 - optimizer.beta_2, optimizer.epsilon]
        else:
            rest = [optimizer.momentum, float(optimizer.nesterov)] if rule is Momentum else []
        table[:, :, len(COLUMNS) + 1 :] = rest
        piece = piece._replace(table=table)
        arguments = problem.architecture, self.flat, slots, rows, batch, rule
        self._table(piece)
        lasting = getattr(self.backend, "repeated", None) if keeps and not self.draw else None
        train = lasting and lasting(*arguments, table, self.n_threads, penalties)
        if train:
            return piece._replace(train=train)

        def train_once(table: Array) -> tuple[int, float]:
            draw = self.draw and self.draw._replace(step=self.draw.step + first)
            return self.backend.train(*arguments, table, self.n_threads, draw, penalties)

        return piece._replace(train=train_once)

    def _table(self, piece: Piece) -> Array:
        """Return the settings of a piece's steps now."""
        first, stop, rule, table, _ = piece
        optimizer, decay = self.estimator._optimizer, self.estimator.alpha / self.totals[first:stop]
        if rule is AdaptiveMoments:
            t = optimizer.t + 1.0 + np.arange(first, stop)
            root, start = np.sqrt(1 - optimizer.beta_2**t), 1 - optimizer.beta_1**t
            rate = self._rates(first, stop, optimizer.learning_rate_init) * root / start
        else:
            rate = self._rates(first, stop, optimizer.learning_rate)
        table[:, :, len(COLUMNS)] = rate[:, None]
        if rule.linear:
            table[:, 0, SHRINK] = 1 - rate * decay
        else:
            table[:, 0, L2] = decay
        return table

    def _rates(self, first: int, stop: int, otherwise: float) -> Array:
        return self.rates(first, stop) if self.rates else np.full(stop - first, otherwise)
