"""The training loop: epochs, in calls to the backend that return at least every 100 ms."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.backends import backend, reference
from fastgd.engine.sparse import Sparse
from fastgd.engine.threads import threads_for
from fastgd.errors import DivergenceError
from fastgd.engine.history import History
from fastgd.engine.inputs import Inputs, Targets
from fastgd.rules.optimizers import Optimizer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Trainer"]

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


@dataclass
class Trainer:
    """One fit of a network, already checked."""

    network: Network
    inputs: Inputs
    targets: Targets
    optimizer: Optimizer
    batch_size: int
    validation: tuple[Inputs, Targets] | None
    callbacks: Sequence[Any]
    shuffle: bool

    def __post_init__(self) -> None:
        n_parameters = self.network.n_parameters
        n_slots = self.optimizer.update.n_slots
        self.slots = np.zeros((n_slots, n_parameters), dtype=self.network.dtype)
        self.n_threads = threads_for(
            self.network.threads, self.network.architecture, self.batch_size
        )
        self.inputs.leave_out_zeros()
        self.pace = Pace()
        self.history = History()
        n = len(self.inputs)
        self.order = np.arange(n, dtype=np.int32 if n < 2**31 else np.int64)

    def run(self, epochs: int) -> History:
        """Train; Ctrl-C ends it with the parameters so far."""
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                self._epochs(epochs)
        except KeyboardInterrupt:
            self.history.stop_reason = "interrupted"
            warnings.warn(
                f"training interrupted in epoch {self.history.epochs + 1}; "
                f"the network keeps what it has learned so far",
                stacklevel=3,
            )
        return self.history

    def _epochs(self, epochs: int) -> None:
        for epoch in range(epochs):
            logs = self._epoch(epoch)
            self.history.append(logs)
            if self._ask("on_epoch_end", epoch, logs):
                self.history.stop_reason = "callback"
                break

    def _ask(self, event: str, epoch: int, logs: dict[str, float]) -> bool:
        """Call every callback that listens; return whether one asks to stop."""
        answers = [
            getattr(callback, event)(self.network, epoch, dict(logs))
            for callback in self.callbacks
            if callable(getattr(callback, event, None))
        ]
        return any(answer is True or answer is np.True_ for answer in answers)

    def _epoch(self, epoch: int) -> dict[str, float]:
        rate = self.optimizer.schedule(epoch)
        started = time.perf_counter()
        if self.shuffle:
            self.network.rng.shuffle(self.order)
        total, n, done = 0.0, len(self.order), 0
        while done < n:
            rows = self._rows(n - done)
            total += self._call(self.order[done : done + rows], epoch, rate)
            done += rows
            cost = total * self._scale(done)
            self._ask("on_progress", epoch, {"examples": done, "cost": cost})
        logs = {"cost": total * self._scale(n), "learning_rate": rate}
        logs["seconds"] = time.perf_counter() - started
        if self.validation:
            logs["validation_cost"] = self.network._loss(*self.validation)
            logs["validation_score"] = self.network._score(*self.validation)
        return logs

    def _scale(self, n: int) -> float:
        return 1 / n if self.network.architecture.loss.batch_average else 1.0

    def _most_rows(self) -> int:
        """Return how many rows one call may take; a mini-batch may be larger."""
        most = min(self.inputs.most_rows, self.targets.most_rows)
        return max(1, min(most, self.network.rows_per_call))

    def _rows(self, left: int) -> int:
        """Return how many rows the next call visits: whole mini-batches, or the last ones."""
        batches = min(self.pace.steps, max(1, self._most_rows() // self.batch_size))
        return min(batches * self.batch_size, left)

    def _call(self, order: Array, epoch: int, rate: float) -> float:
        """Train on the rows ``order``; return the sum of their costs."""
        parameters = self.network.parameters
        before, slots = parameters.copy(), self.slots.copy()
        started = time.perf_counter()
        if len(order) > self._most_rows():
            steps, total = self._large_step(order, rate)
            repeat = None
        else:
            repeat = self._train_on(order, rate)
            steps, total = repeat(len(order))
        self.pace.saw(steps + 1, time.perf_counter() - started)
        finite = bool(np.isfinite(parameters).all())
        if steps * self.batch_size < len(order) or not finite:
            if not finite:
                self._rewind(parameters, before, slots, max(0, steps - 1), repeat)
            raise self._diverged(epoch, rate)
        return total

    def _train_on(self, order: Array, rate: float) -> Callable[[int], tuple[int, float]]:
        """Return a function that trains on the first n of the rows ``order``."""
        X, rows = self.inputs.visit(order)
        Y = self.targets.visit(order)
        settings = self.optimizer.settings(rate)

        def train(n: int) -> tuple[int, float]:
            return backend(self.network.backend).train(
                self.network.architecture, self.network.parameters, self.slots, X, rows[:n], Y[:n],
                self.batch_size, self.optimizer.update, settings, self.n_threads,
            )  # fmt: skip

        return train

    def _large_step(self, order: Array, rate: float) -> tuple[int, float]:
        """Make one step for a mini-batch too large for one call: its gradient in pieces."""
        network, most = self.network, self._most_rows()
        gradient, total = np.zeros_like(network.parameters), 0.0
        for start in range(0, len(order), most):
            piece = order[start : start + most]
            total += backend(network.backend).loss_and_gradient(
                network.architecture, network.parameters, self.inputs.take(piece),
                self.targets.visit(piece), gradient, self.n_threads,
            )  # fmt: skip
        if not np.isfinite(total):
            return 0, 0.0
        gradient *= self._scale(len(order))
        reference.apply_update(
            network.architecture, network.parameters, gradient, self.slots, self.optimizer.update,
            self.optimizer.settings(rate),
        )  # fmt: skip
        return 1, total

    def _rewind(
        self,
        parameters: Array,
        before: Array,
        slots: Array,
        steps: int,
        train: Callable[[int], tuple[int, float]] | None,
    ) -> None:
        """Go back to the last parameters that were finite: repeat the call, a step less."""
        parameters[:], self.slots[:] = before, slots
        if steps and train:
            train(steps * self.batch_size)
        if not np.isfinite(parameters).all():
            parameters[:] = before

    def _diverged(self, epoch: int, rate: float) -> DivergenceError:
        largest = _largest(self.inputs) * abs(self.network.architecture.input_scale)
        # Far too high a rate is not a tenth too high: name one that suits most networks.
        lower = min(rate / 10, 0.1)
        advice = f"a learning rate of {lower:g} or less" if rate else "other parameters"
        if largest > 10:
            advice += f", or inputs scaled to about 1 (the largest is {largest:g}; input_scale=...)"
        error = DivergenceError(
            f"the cost became NaN or infinite in epoch {epoch + 1} at learning rate {rate:g}; "
            f"try {advice}. The network keeps its last finite parameters.",
            epoch + 1,
            rate,
        )
        self.history.stop_reason = "diverged"
        error.history = self.history
        return error


def _largest(inputs: Inputs) -> float:
    """Return the largest size of an input among the first rows: enough for advice."""
    rows = inputs.rows(0, min(len(inputs), 1000))
    numbers = rows.values[: rows.pointers[-1]] if isinstance(rows, Sparse) else rows
    return float(np.abs(numbers.astype(np.float64)).max(initial=0))
