"""What fastgd's extras see of an estimator's fit: its learning rates, measures and callbacks."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastgd.engine.history import History
from fastgd.engine.listeners import Listeners, check_callbacks
from fastgd.rules.schedule import Clock
from fastgd.sklearn.extras import schedule_of
from fastgd.sklearn.networks import network_of

__all__ = ["Watch"]

Array = np.ndarray


class Watch:
    """One call of an estimator's solver, as its schedule and its callbacks see it.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    validation : tuple (X, y, sample_weight) or None
    n, n_steps : int
        The examples and the steps of an epoch.
    incremental : bool
        Whether this is partial_fit, which goes on with the epochs made so far.
    """

    def __init__(
        self, estimator: Any, validation: tuple | None, n: int, n_steps: int, incremental: bool
    ):
        self.estimator, self.validation = estimator, validation
        self.n, self.n_steps, self.epoch = n, n_steps, 0
        self.history = History()
        self.schedule = schedule_of(estimator)
        before = list(estimator.loss_curve_) if incremental else []
        self.history.measures["cost"] = before
        epochs = None if incremental else estimator.max_iter
        self.clock = Clock(n_steps, epochs, self.history, 0, len(before))
        callbacks = estimator.callbacks
        callbacks = [] if callbacks is None else check_callbacks(callbacks)
        self.listeners = Listeners(None, callbacks)
        self.measures = bool(callbacks) or self.schedule is not None

    @property
    def hears_batches(self) -> bool:
        """Whether a callback wants to be called after steps."""
        return self.listeners.steps_to_next_call(0) is not None

    def rates(self, first: int, stop: int) -> Array:
        """Return the learning rates of an epoch's steps from one to before another."""
        assert self.schedule is not None
        return self.schedule.rates(self.epoch * self.n_steps + np.arange(first, stop), self.clock)

    def begin(self, flat: Array) -> None:
        """Tell that training begins, with the network whose parameters those are."""
        if self.listeners:
            network = network_of(self.estimator)
            network.state.parameters = flat
            self.listeners = Listeners(network, self.listeners.callbacks)
            self.listeners.call("plan", self.clock.epochs or 1, self.n)
            self.listeners.tell("on_train_begin")

    def begin_epoch(self) -> None:
        """Tell that an epoch begins."""
        self.started = time.perf_counter()
        self.listeners.tell("on_epoch_begin", self.epoch)

    def after(self, steps: int, visits: int, loss: float) -> bool:
        """Tell of the steps of an epoch made so far; return whether a callback wants to stop."""
        logs = {"examples": visits, "cost": loss}
        stop = self.listeners.tell("on_progress", self.epoch, logs)
        return self.listeners.tell_batch(self.epoch * self.n_steps + steps, logs) or stop

    def end_epoch(self, loss: float) -> bool:
        """Measure after an epoch, and tell; return whether a callback wants to stop."""
        stop = False
        if self.measures:
            seconds = time.perf_counter() - self.started
            logs = {"cost": loss, "learning_rate": self._rate(), "seconds": seconds}
            if self.validation is not None:
                logs |= self._validation_logs()
            self.history.append(logs)
            stop = self.listeners.tell("on_epoch_end", self.epoch, logs)
        self.epoch += 1
        return stop

    def _rate(self) -> float:
        """Return the learning rate of an epoch's last step, before Adam's corrections."""
        if self.schedule is not None:
            return float(self.rates(self.n_steps - 1, self.n_steps)[0])
        optimizer = self.estimator._optimizer
        sgd = self.estimator.solver == "sgd"
        return float(optimizer.learning_rate if sgd else optimizer.learning_rate_init)

    def _validation_logs(self) -> dict[str, float]:
        X, y, weight = self.validation or (None, None, None)
        network = self.listeners.network or network_of(self.estimator)
        cost = network.loss(X, y, sample_weight=weight)
        return {"validation_cost": cost, "validation_score": self.estimator.validation_scores_[-1]}

    def close(self) -> None:
        """Let the callbacks close what they have open, however training ended."""
        self.listeners.call("close")

    def end(self, stop_reason: str) -> None:
        """Tell that training has ended."""
        self.history.stop_reason = stop_reason
        self.listeners.tell("on_train_end", self.history)
