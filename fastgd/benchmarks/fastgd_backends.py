"""fastgd's own backends, in the form of the rivals they are measured against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from fastgd.backends import BACKENDS, why_not
from fastgd.benchmarks.rivals import Rival, Trainer
from fastgd.benchmarks.workloads import Parameters, Workload
from fastgd.engine.inputs import check_examples
from fastgd.engine.session import Session
from fastgd.errors import MissingExtraError
from fastgd.network import Network
from fastgd.rules.optimizers import SGD
from fastgd.rules.registry import Registry

__all__ = ["FASTGD", "Backend", "BackendTrainer"]

Array = np.ndarray


class BackendTrainer(Trainer):
    """One fit of a `fastgd.Network`: all of it but the check of the data and the shuffle.

    Pacing, copies kept for divergence and the checks for NaN are part of what is timed.
    """

    def __init__(
        self,
        workload: Workload,
        X: Array,
        y: Array,
        parameters: Parameters,
        threads: int = 1,
        *,
        backend: str,
    ):
        self.backend = backend
        super().__init__(workload, X, y, parameters, threads)

    def set_up(self) -> None:
        w = self.workload
        self.network = Network(
            w.sizes, activation=w.activation, output=w.output, loss=w.loss, init="zeros",
            backend=self.backend, threads=self.threads,
        )  # fmt: skip
        self.data = check_examples(self.X, self.y, self.network.architecture)
        if getattr(self.network.runner.backend(), "leaves_out_zeros", True):
            self.data.inputs.leave_out_zeros()
        self.optimizer = SGD(w.learning_rate)
        self.start = np.concatenate([p.ravel() for layer in self.parameters for p in layer])

    def run(self, order: Array) -> Parameters:
        self.network.parameters = self.start
        state = self.network.state
        session = Session(self.network.runner, self.optimizer, state, batch_size=self.batch_size)
        session.begin()
        state.order = self.batches(order).ravel()
        while not session.advance(self.data).ended:
            pass
        layers = zip(self.network.weights, self.network.biases, strict=True)
        return [(W.copy(), b.copy()) for W, b in layers]


@dataclass(frozen=True)
class Backend(Rival):
    """A backend of fastgd as a contestant; ``module`` is its name in `fastgd.backends`."""

    def available(self) -> str | None:
        """Return None, or in one line why it cannot run here."""
        return why_not(self.module)

    def prepare(
        self, workload: Workload, X: Array, y: Array, parameters: Parameters, threads: int = 1
    ) -> Trainer:
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
        trainer = partial(BackendTrainer, backend=self.module)
        return trainer(workload, X, y, parameters, threads)


FASTGD: Registry[Rival] = Registry(
    "backend", [Backend(f"fastgd-{name}", BackendTrainer, name, name) for name in BACKENDS]
)
