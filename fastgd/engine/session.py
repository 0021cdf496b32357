"""The one loop that trains: `Session.advance` makes some steps and is back within 100 ms."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgd.engine.inputs import Examples
from fastgd.engine.rows import Rows
from fastgd.engine.runner import Runner
from fastgd.engine.state import State
from fastgd.engine.step import apply_update
from fastgd.errors import DivergenceError
from fastgd.rules.dropout import Draw
from fastgd.rules.optimizers import Optimizer
from fastgd.rules.scalar import add
from fastgd.rules.schedules import Clock

__all__ = ["Pace", "Progress", "Session"]

Array = np.ndarray

#: How long one call to the backend should take, in seconds.
CALL_SECONDS = 0.05


class Pace:
    """How many mini-batches one call takes: as many as fit `CALL_SECONDS`, found by doubling."""

    def __init__(self) -> None:
        self.steps = 1

    def saw(self, steps: int, seconds: float) -> None:
        """Adjust to what a call took."""
        fitting = int(CALL_SECONDS * steps / max(seconds, 1e-9))
        self.steps = max(1, min(fitting, 8 * self.steps))


class Progress(NamedTuple):
    """What `Session.advance` did: the steps it made, and how far the pass has come.

    Of the pass so far: the rows visited, the sum of their weights and of their costs, and whether
    it has ended. They do not depend on how many calls it took.
    """

    steps: int
    visits: int
    weight: float
    cost: float
    ended: bool


class Session:
    """An optimizer at work on a network's state.

    Parameters
    ----------
    runner : Runner
        The architecture, and what computes it.
    optimizer : Optimizer
        Its slots are those of ``state`` for as long as it is the same. Where another takes its
        place in ``state``, the next steps are that one's.
    state : State
        What is changed.
    batch_size : int
        Examples in a mini-batch; the last of an epoch may be smaller.
    shuffle : bool
        Whether each epoch visits the examples in a new order.
    epochs : int, optional
        How many will be made in all, for schedules.
    history : mapping
        What was measured after each epoch, for schedules.
    """

    def __init__(
        self,
        runner: Runner,
        optimizer: Optimizer,
        state: State,
        *,
        batch_size: int = 32,
        shuffle: bool = True,
        epochs: int | None = None,
        history: Mapping[str, Sequence[float]] | None = None,
    ):
        self.runner, self.optimizer, self.state = runner, optimizer, state
        self._begun = False
        self.batch_size, self.shuffle = batch_size, shuffle
        self.epochs, self.history = epochs, {} if history is None else history
        self.pace = Pace()
        self.rate = 0.0  # of the last step
        self._summed: Array | None = None  # the order whose weights `_sums` adds up
        self._sums = np.empty(0)

    def begin(self) -> None:
        """Go to work on the state; until then nothing has changed. The first step does it, too."""
        if not self._begun:
            self.state.use(self.optimizer)
            self._begun = True

    def advance(self, examples: Examples, most_steps: int | None = None) -> Progress:
        """Make steps on the next mini-batches of a pass; begin a pass where there is none.

        Parameters
        ----------
        examples : Examples
            The same in every call of a pass.
        most_steps : int, optional
            How many to make at the most.

        Raises
        ------
        DivergenceError
            If the cost or a parameter is not finite; the state is that after the last good step.
        """
        self.begin()
        state = self.state
        self.optimizer = state.optimizer or self.optimizer  # a callback may have changed its rate
        if state.order is None:
            n = len(examples)
            state.order = state.rng.permutation(n) if self.shuffle else np.arange(n)
        visits = self._visits(len(state.order) - state.position, examples, most_steps)
        order = state.order[state.position : state.position + visits]
        n_steps = math.ceil(visits / self.batch_size)
        steps = state.step + np.arange(n_steps)
        rates = self.optimizer.schedule.rates(steps, self._clock(examples))
        table, self.rate = self.optimizer.rows(steps, rates), float(rates[-1])
        with np.errstate(over="ignore", invalid="ignore"):
            state.sums = self._call(examples, order, table)
        state.step += n_steps
        state.position += visits
        ended = state.position == len(state.order)
        cost = float(state.sums.sum())
        made = Progress(n_steps, state.position, self._weight(examples), cost, ended)
        if ended:
            state.end_epoch()
        return made

    def _weight(self, examples: Examples) -> float:
        """Return the sum of the weights of the rows visited so far."""
        order, position = self.state.order, self.state.position
        if examples.weights is None or order is None:
            return position
        if position == len(examples):
            return examples.total_weight
        if self._summed is not order:
            self._sums = np.cumsum(examples.weights[order], dtype=np.float64)
            self._summed = order
        return float(self._sums[position - 1])

    def _clock(self, examples: Examples) -> Clock:
        state = self.state
        return Clock(
            # Single steps have no epochs: a pass is a batch then.
            steps_per_epoch=self.epochs and math.ceil(len(examples) / self.batch_size),
            epochs=self.epochs,
            history=self.history,
            first_step=state.step - state.position // self.batch_size,
            first_epoch=state.epoch,
        )

    def _most_rows(self, examples: Examples) -> int:
        """Return how many rows one call may take; a mini-batch may be larger."""
        return max(1, min(examples.most_rows, self.runner.rows_per_call))

    def _visits(self, left: int, examples: Examples, most_steps: int | None) -> int:
        """Return how many rows the next call visits: whole mini-batches, or the last ones."""
        steps = min(self.pace.steps, max(1, self._most_rows(examples) // self.batch_size))
        return min(min(steps, most_steps or steps) * self.batch_size, left)

    def _draw(self) -> Draw | None:
        if not self.runner.architecture.has_dropout:
            return None
        return Draw(self.state.seed, self.state.step)

    def _call(self, examples: Examples, order: Array, table: Array) -> Array:
        """Train on the rows ``order``; return the sums of the pass's costs with theirs."""
        state = self.state
        before, slots = state.parameters.copy(), state.slots.copy()
        started = time.perf_counter()
        repeat = None
        if len(order) > self._most_rows(examples):
            steps, sums = self._large_step(examples, order, table)
        else:
            repeat = self._train_on(examples.visit(order), table)
            steps, sums = repeat(len(order))
        self.pace.saw(steps + 1, time.perf_counter() - started)
        finite = bool(np.isfinite(state.parameters).all())
        if steps < len(table) or not finite:
            made = steps if finite else self._rewind(before, slots, steps - 1, repeat)
            state.step += made
            state.position += made * self.batch_size
            raise self._diverged(examples)
        return sums

    def _train_on(self, rows: Rows, table: Array) -> Callable[[int], tuple[int, Array]]:
        """Return a function that trains on the first n of the rows."""
        state, runner = self.state, self.runner
        n_threads = runner.n_threads(min(self.batch_size, len(rows)))
        draw = self._draw()

        def train(n: int) -> tuple[int, Array]:
            sums = state.sums.copy()
            steps, _ = runner.backend().train(
                runner.architecture, state.parameters, state.slots, rows[:n], self.batch_size,
                self.optimizer.update, table, n_threads, draw, sums=sums,
            )  # fmt: skip
            return steps, sums

        return train

    def _large_step(self, examples: Examples, order: Array, table: Array) -> tuple[int, Array]:
        """Make one step for a mini-batch too large for one call: its gradient in pieces."""
        runner, state, most = self.runner, self.state, self._most_rows(examples)
        gradient, total, weight = np.zeros_like(state.parameters), 0.0, 0.0
        draw = self._draw()
        for start in range(0, len(order), most):
            rows = examples.take(order[start : start + most])
            weight += rows.total_weight
            total += runner.backend().loss_and_gradient(
                runner.architecture, state.parameters, rows, gradient, runner.n_threads(len(rows)),
                draw and draw._replace(row=start),
            )  # fmt: skip
        if not np.isfinite(total):
            return 0, state.sums
        if runner.architecture.loss.batch_average:
            gradient *= 1 / weight if weight else 0.0
        apply_update(
            runner.architecture.layout, state.parameters, gradient, state.slots,
            self.optimizer.update, table[0],
        )  # fmt: skip
        return 1, np.array(add(float(state.sums[0]), float(state.sums[1]), total))

    def _rewind(self, before: Array, slots: Array, steps: int, repeat: Any) -> int:
        """Go back to the last parameters that were finite: repeat the call, with fewer steps.

        Most often one step less will do; but a cost may stay finite where parameters are not.
        """
        state = self.state

        def made(n: int) -> bool:
            state.parameters[:], state.slots[:] = before, slots
            if n:
                repeat(n * self.batch_size)
            return bool(np.isfinite(state.parameters).all())

        good, trial = 0, steps if repeat else 0
        bad = trial + 1
        while bad - good > 1:
            good, bad = (trial, bad) if made(trial) else (good, trial)
            trial = (good + bad) // 2
        made(good)
        return good

    def _diverged(self, examples: Examples) -> DivergenceError:
        rate = self.rate
        largest = examples.inputs.largest()
        # Far too high a rate is not a tenth too high: name one that suits most networks.
        lower = min(rate / 10, 0.1)
        advice = f"a learning rate of {lower:g} or less" if rate else "other parameters"
        if largest > 10:
            advice += (
                f", or inputs scaled to about 1 (the largest is {largest:g}; standardize=True, or "
                "input_scale=...)"
            )
        epoch = self.state.epoch + 1
        return DivergenceError(
            f"the cost became NaN or infinite in epoch {epoch} at learning rate {rate:g}",
            epoch,
            rate,
            advice=advice,
            kept="The network keeps its last finite parameters."
            if np.isfinite(self.state.parameters).all()
            else "Its parameters were not finite before that step.",
        )
