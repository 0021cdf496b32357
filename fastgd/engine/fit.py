"""A fit: epochs of a session, what is measured after each, and who is told."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fastgd.engine.history import History
from fastgd.engine.inputs import Examples
from fastgd.engine.listeners import Listeners
from fastgd.engine.metrics import Maker, maker_is_better, score_for
from fastgd.engine.session import Session
from fastgd.errors import DivergenceError
from fastgd.rules.registry import unknown_name

__all__ = ["Fit", "check_on_interrupt"]

#: What Ctrl-C does: it ends the fit, which returns; or it is raised, once the fit is in order.
ON_INTERRUPT = ("stop", "raise")
#: A Ctrl-C that comes within so many seconds of the last is let through: it means the program.
AGAIN = 5.0


@dataclass
class Fit:
    """One fit of a network, already checked.

    Parameters
    ----------
    session : Session
    chunks : callable
        Returns an iterable of the `Examples` an epoch goes through, one after the other.
    examples : Examples, optional
        All of them, where they are there at once; metrics are then measured on them, too.
    validation : Examples, optional
    listeners : Listeners, optional
    metrics : dict of str to maker
        What else is measured after every epoch.
    checkpoint : Checkpoint, optional
        Keeps the fit in a file: see `fastgd.checkpoint`.

    Attributes
    ----------
    chunk : int
        Which chunk of the epoch is at work.
    cost, weight : float
    visits : int
        Of the chunks before it: their costs, the weights of their rows, and how many there are.
    spent : float
        The seconds of the epoch before this process went on with it.
    stopped : bool
        Whether a callback has ended the fit.
    """

    session: Session
    chunks: Callable[[], Iterable[Examples]]
    examples: Examples | None = None
    validation: Examples | None = None
    listeners: Listeners = field(default_factory=lambda: Listeners(None))
    metrics: dict[str, Maker] = field(default_factory=dict)
    history: History = field(default_factory=History)
    steps: int = 0
    on_interrupt: str = "stop"
    checkpoint: Any = None
    chunk: int = 0
    cost: float = 0.0
    weight: float = 0.0
    visits: int = 0
    spent: float = 0.0
    stopped: bool = False
    started: float = 0.0
    #: When Ctrl-C last ended a fit of this process.
    interrupted: ClassVar[float] = -math.inf

    def run(self, epochs: int) -> History:
        """Train; Ctrl-C ends it with the parameters so far, twice in short time the program."""
        self.session.begin()
        self.listeners.call("plan", epochs, None if self.examples is None else len(self.examples))
        try:
            with self.checkpoint.kept() if self.checkpoint else nullcontext():
                if not (self.checkpoint and self.checkpoint.resume(self)):
                    self.listeners.tell("on_train_begin")
                    self._note()
                self._epochs(epochs)
        except KeyboardInterrupt:
            self.history.stop_reason = "interrupted"
            now, last = time.monotonic(), Fit.interrupted
            Fit.interrupted = now
            if self.on_interrupt == "raise" or now - last < AGAIN:
                raise
            warnings.warn(
                f"training interrupted in epoch {self.history.epochs + 1}; "
                f"the network keeps what it has learned so far (Ctrl-C again within {AGAIN:g} s "
                "ends the program, too)",
                stacklevel=3,
            )
        except DivergenceError as error:
            self.history.stop_reason = "diverged"
            error.history = self.history
            raise
        finally:
            self.session.state.end_epoch()
            self.listeners.call("close")
        self.listeners.tell("on_train_end", self.history)
        return self.history

    def measured(self) -> dict[str, bool | None]:
        """Return what will be measured after each epoch, and whether higher is better."""
        names: dict[str, bool | None] = {"cost": False, "learning_rate": None, "seconds": False}
        better = {name: maker_is_better(maker) for name, maker in self.metrics.items()}
        if self.validation is not None:
            names |= {"validation_cost": False, "validation_score": True}
            names |= {f"validation_{name}": up for name, up in better.items()}
        return names | (better if self.examples is not None else {})

    def check(self) -> None:
        """Refuse, before any work, what watches what will not be measured."""
        self.session.optimizer.schedule.check(self.measured())
        for examples in filter(None, (self.examples, self.validation)):
            for make in self.metrics.values():
                make(self.session.runner.architecture, examples).check()
        self.listeners.call("check", self.measured())

    def _epochs(self, epochs: int) -> None:
        """Make the epochs that are not made yet."""
        for epoch in range(self.history.epochs, epochs):
            if self.stopped:
                break
            if not (self.chunk or self.session.state.position):
                self.listeners.tell("on_epoch_begin", epoch)
            self.started = time.perf_counter()
            cost = self._epoch(epoch)
            if cost is None:
                break
            logs = {"cost": cost, "learning_rate": self.session.rate}
            logs["seconds"] = self.spent_so_far()
            self.history.append({**logs, **self._measure()})
            self.chunk, self.visits, self.cost, self.weight, self.spent = 0, 0, 0.0, 0.0, 0.0
            last = {name: values[-1] for name, values in self.history.items()}
            self.stopped = self.listeners.tell("on_epoch_end", epoch, last)
            self._note(epoch_ended=True)
        if self.stopped:
            self.history.stop_reason = "callback"

    def spent_so_far(self) -> float:
        """Return the seconds the epoch has taken."""
        return self.spent + time.perf_counter() - self.started

    def _note(self, epoch_ended: bool = False) -> None:
        """Note where the fit is: between two calls, with everybody told."""
        if self.checkpoint:
            self.checkpoint.take(self, epoch_ended)

    def _epoch(self, epoch: int) -> float | None:
        """Go through the data once; return its cost, or None where a callback stopped it."""
        session = self.session
        for number, chunk in enumerate(self.chunks()):
            if number < self.chunk:  # made before the fit was stopped
                continue
            ended = False
            while not ended:
                made = session.advance(chunk, self.listeners.steps_to_next_call(self.steps))
                self.steps += made.steps
                ended = made.ended
                total, weight = self.cost + made.cost, self.weight + made.weight
                visits = self.visits + made.visits
                if ended:
                    self.cost, self.weight, self.visits = total, weight, visits
                    self.chunk += 1
                logs = {"examples": visits, "cost": self._mean(total, weight)}
                stop = self.listeners.tell("on_progress", epoch, logs)
                self.stopped = self.listeners.tell_batch(self.steps, logs) or stop
                self._note()
                if self.stopped:
                    return None
        session.state.epoch += 1
        return self._mean(self.cost, self.weight)

    def _mean(self, cost: float, weight: float) -> float:
        """Return what an epoch's cost is reported as."""
        average = self.session.runner.architecture.loss.batch_average
        return cost / weight if average and weight else cost

    def _measure(self) -> dict[str, float]:
        """Return the validation cost and score, and the metrics."""
        runner, parameters = self.session.runner, self.session.state.parameters
        logs = {}
        if self.validation is not None:
            names = ["validation_score", *(f"validation_{name}" for name in self.metrics)]
            logs["validation_cost"] = runner.loss(parameters, self.validation)
            scores = [make(runner.architecture, self.validation) for make in self._makers()]
            logs |= zip(names, runner.score(parameters, self.validation, scores), strict=True)
        if self.metrics and self.examples is not None:
            scores = [make(runner.architecture, self.examples) for make in self.metrics.values()]
            logs |= zip(self.metrics, runner.score(parameters, self.examples, scores), strict=True)
        return logs

    def _makers(self) -> list[Maker]:
        return [score_for, *self.metrics.values()]


def check_on_interrupt(given: Any) -> str:
    """Return what Ctrl-C does, or raise."""
    if given not in ON_INTERRUPT:
        raise unknown_name("on_interrupt", given, ON_INTERRUPT)
    return given
