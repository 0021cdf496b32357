"""The training loop: epochs, in calls to the backend that return at least every 100 ms."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.backends import backend
from fastgd.errors import DivergenceError
from fastgd.history import History
from fastgd.inputs import Inputs, Targets
from fastgd.optimizers import Optimizer

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
        self.pace = Pace()
        self.history = History()
        n = len(self.inputs)
        self.order = np.arange(n, dtype=np.int32 if n < 2**31 else np.int64)

    def run(self, epochs: int) -> History:
        """Train; Ctrl-C ends it with the parameters so far."""
        try:
            for epoch in range(epochs):
                logs = self._epoch(epoch)
                self.history.append(logs)
                if self._ask("on_epoch_end", epoch, logs):
                    self.history.stop_reason = "callback"
                    break
        except KeyboardInterrupt:
            self.history.stop_reason = "interrupted"
            warnings.warn(
                f"training interrupted in epoch {self.history.epochs + 1}; "
                f"the network keeps what it has learned so far",
                stacklevel=3,
            )
        return self.history

    def _ask(self, event: str, epoch: int, logs: dict[str, float]) -> bool:
        """Call every callback that listens; return whether one asks to stop."""
        answers = [
            getattr(callback, event)(self.network, epoch, dict(logs))
            for callback in self.callbacks
            if hasattr(callback, event)
        ]
        return any(answer is True or answer is np.True_ for answer in answers)

    def _epoch(self, epoch: int) -> dict[str, float]:
        rate = self.optimizer.schedule(epoch)
        started = time.perf_counter()
        if self.shuffle:
            self.network.rng.shuffle(self.order)
        total, n, done = 0.0, len(self.order), 0
        while done < n:
            rows = min(self.pace.steps * self.batch_size, n - done, self._most_rows())
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
        return 1 / n if self.network.architecture.loss_rule.batch_average else 1.0

    def _most_rows(self) -> int:
        """Return whole mini-batches that may be converted at once, or one."""
        return max(1, self.inputs.most_rows // self.batch_size) * self.batch_size

    def _call(self, order: Array, epoch: int, rate: float) -> float:
        """Train on the rows ``order``; return the sum of their costs."""
        parameters = self.network.parameters
        before, slots = parameters.copy(), self.slots.copy()
        X, rows = self.inputs.visit(order)
        Y = self.targets.visit(order)
        settings = self.optimizer.settings(rate)

        def train(n: int) -> tuple[int, float]:
            return backend(self.network.backend).train(
                self.network.architecture, parameters, self.slots, X, rows[:n], Y[:n],
                self.batch_size, self.optimizer.update, settings,
            )  # fmt: skip

        started = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):
            steps, total = train(len(rows))
        self.pace.saw(steps + 1, time.perf_counter() - started)
        finite = bool(np.isfinite(parameters).all())
        if steps * self.batch_size < len(rows) or not finite:
            if not finite:
                self._rewind(parameters, before, slots, max(0, steps - 1), train)
            raise self._diverged(epoch, rate)
        return total

    def _rewind(
        self, parameters: Array, before: Array, slots: Array, steps: int, train: Callable
    ) -> None:
        """Go back to the last parameters that were finite: repeat the call, a step less."""
        parameters[:], self.slots[:] = before, slots
        if steps:
            train(steps * self.batch_size)
        if not np.isfinite(parameters).all():
            parameters[:] = before

    def _diverged(self, epoch: int, rate: float) -> DivergenceError:
        largest = _largest(self.inputs) * abs(self.network.architecture.input_scale)
        advice = f"a learning rate of {rate / 10:g} or less"
        if largest > 10:
            advice += f", or inputs scaled to about 1 (the largest is {largest:g}; input_scale=...)"
        error = DivergenceError(
            f"the cost became NaN or infinite in epoch {epoch + 1} at learning rate {rate:g}; "
            f"try {advice}. The network keeps its last finite parameters.",
            epoch + 1,
            rate,
        )
        error.history = self.history
        return error


def _largest(inputs: Inputs) -> float:
    """Return the largest size of an input among the first rows: enough for advice."""
    return float(np.abs(inputs.rows(0, min(len(inputs), 1000)).astype(np.float64)).max())
