"""fastgd's own backends, in the form of the rivals they are measured against."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastgd.backends import BACKENDS, why_not
from fastgd.benchmarks.predicting import Predictor
from fastgd.benchmarks.rivals import Rival
from fastgd.benchmarks.trainers import Trainer
from fastgd.benchmarks.workloads import Parameters, Workload
from fastgd.engine.inputs import check_examples
from fastgd.engine.session import Pace, Session
from fastgd.errors import MissingExtraError
from fastgd.network import Network
from fastgd.rules.optimizers import find_optimizer
from fastgd.rules.registry import Registry

__all__ = ["FASTGD", "Backend", "BackendPredictor", "BackendTrainer"]

Array = np.ndarray


def network_of(trainer: Trainer, backend: str) -> Network:
    """Return the workload's network, with the parameters all contestants start from."""
    w = trainer.workload
    network = Network(
        w.sizes, activation=w.activation, output=w.output, loss=w.loss, init="zeros",
        dtype=w.dtype, backend=backend, threads=w.threads,
    )  # fmt: skip
    network.parameters = np.concatenate([p.ravel() for layer in trainer.parameters for p in layer])
    return network


class BackendTrainer(Trainer):
    """An epoch of a fit that goes on: all of it but the check of the data and the shuffle.

    Copies kept for divergence and the checks for NaN are part of what is timed; how many steps a
    call takes is known from the epoch before.
    """

    def __init__(self, *given: Any, backend: str):
        self.backend = backend
        super().__init__(*given)

    def set_up(self) -> None:
        w = self.workload
        self.network = network_of(self, self.backend)
        self.start = self.network.parameters.copy()
        self.data = check_examples(self.X, self.y, self.network.architecture)
        if getattr(self.network.runner.backend(), "leaves_out_zeros", True):
            self.data.inputs.leave_out_zeros()
        self.optimizer = type(find_optimizer(w.optimizer))(w.learning_rate)
        self.pace = Pace()

    def run(self, order: Array) -> Parameters:
        self.network.parameters = self.start
        state = self.network.state
        session = Session(self.network.runner, self.optimizer, state, batch_size=self.batch_size)
        session.begin()
        session.pace = self.pace
        state.order = self.batches(order).ravel()
        while not session.advance(self.data).ended:
            pass
        layers = zip(self.network.weights, self.network.biases, strict=True)
        return [(W.copy(), b.copy()) for W, b in layers]

    def seconds_to_first_step(self, repeats: int = 3) -> float:
        """Return what a fit takes before its first step, as its user sees it, and that step.

        Checking, compressing, packing, and the draw of the first order.
        """
        return min(self._to_first_step() for _ in range(repeats))

    def _to_first_step(self) -> float:
        network, first = network_of(self, self.backend), FirstStep()
        started = time.perf_counter()
        network.fit(
            self.X, self.y, epochs=1, batch_size=self.batch_size, optimizer=self.optimizer,
            callbacks=first, verbose=False,
        )  # fmt: skip
        return first.ended - started


class FirstStep:
    """Ends a fit after its first step, and knows when that was."""

    ended = 0.0

    def on_batch_end(self, *_: Any) -> bool:
        """Note the time; stop."""
        self.ended = time.perf_counter()
        return True


class BackendPredictor(Predictor):
    """`fastgd.Network.predict`."""

    def __init__(self, *given: Any, backend: str):
        self.backend = backend
        super().__init__(*given)

    def predictor(self) -> Any:
        return network_of(self, self.backend).predict


@dataclass(frozen=True)
class Backend(Rival):
    """A backend of fastgd as a contestant; ``module`` is its name in `fastgd.backends`."""

    def available(self) -> str | None:
        """Return None, or in one line why it cannot run here."""
        return why_not(self.module)

    def prepare(self, workload: Workload, X: Array, y: Array, parameters: Parameters) -> Trainer:
        """Return a trainer with the data in place.

        Raises
        ------
        fastgd.errors.MissingExtraError
            If the backend cannot be used here.

        Examples
        --------
        >>> from fastgd.benchmarks import workloads
        >>> table = workloads.WORKLOADS["table"]
        >>> X, y, _ = workloads.load_data(table)
        >>> start = workloads.initial_parameters(table, seed=1)
        >>> trainer = FASTGD["fastgd-numpy"].prepare(table, X, y, start)
        >>> W, b = trainer.run(np.arange(5 * table.batch_size))[0]
        >>> W.shape
        (8, 64)
        """
        reason = self.available()
        if reason:
            raise MissingExtraError(f"backend {self.module!r}: {reason}")
        kind = BackendPredictor if workload.task == "predict" else BackendTrainer
        return partial(kind, backend=self.module)(workload, X, y, parameters)


FASTGD: Registry[Rival] = Registry(
    "backend",
    [
        Backend(f"fastgd-{name}", BackendTrainer, name, name, predictor=BackendPredictor)
        for name in BACKENDS
    ],
)
