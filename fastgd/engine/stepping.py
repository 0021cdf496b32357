"""One step at a time, for tools that bring their own loop: `Network.partial_fit`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.backends import backend, current
from fastgd.engine.threads import threads_for
from fastgd.errors import DivergenceError
from fastgd.engine.inputs import check_pair
from fastgd.rules.optimizers import Optimizer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Stepper"]


class Stepper:
    """An optimizer with its state, stepping one network."""

    def __init__(self, network: Network, optimizer: Optimizer):
        self.network, self.optimizer = network, optimizer
        self.rate = optimizer.schedule(0)
        self.settings = optimizer.settings(self.rate)
        shape = optimizer.update.n_slots, network.n_parameters
        self.slots = np.zeros(shape, dtype=network.dtype)
        self._quick: tuple[str, Any] | None = None

    def step(self, X: Any, y: Any) -> float:
        """Step on one mini-batch; return its cost before the step."""
        quick = self._quick_steps()
        total = quick.step(X, y) if quick else None
        if total is None:
            return self._checked_step(X, y)
        if not math.isfinite(total):
            raise self._diverged()
        if not quick.parameters_are_finite():
            raise self._diverged(", and so did the parameters: set them anew")
        average = self.network.architecture.loss.batch_average
        return total / len(X) if average else total

    def _quick_steps(self) -> Any:
        """Return what steps with little overhead, if the backend has it."""
        name = self.network.backend or current()
        if self._quick is None or self._quick[0] != name:
            make = getattr(backend(name), "quick", None)
            network = self.network
            self._quick = (
                name,
                make
                and make(
                    network.architecture,
                    network.parameters,
                    self.slots,
                    self.optimizer.update,
                    self.settings,
                ),
            )
        return self._quick[1]

    def _checked_step(self, X: Any, y: Any) -> float:
        """Step the long way: any kind of data, any size."""
        network = self.network
        inputs, targets = check_pair(X, y, network.architecture)
        network.check_parameters()
        before, slots = network.parameters.copy(), self.slots.copy()
        order = np.arange(len(inputs))
        rows, visited = inputs.visit(order)
        with np.errstate(over="ignore", invalid="ignore"):
            steps, total = backend(network.backend).train(
                network.architecture, network.parameters, self.slots, rows, visited,
                targets.visit(order), len(order), self.optimizer.update, self.settings,
                threads_for(network.threads, network.architecture, len(order)),
            )  # fmt: skip
        if not steps or not np.isfinite(network.parameters).all():
            network.parameters[:], self.slots[:] = before, slots
            raise self._diverged()
        return total / len(inputs) if network.architecture.loss.batch_average else total

    def _diverged(self, also: str = "") -> DivergenceError:
        return DivergenceError(
            f"the cost became NaN or infinite at learning rate {self.rate:g}{also}; "
            f"try a learning rate of {min(self.rate / 10, 0.1):g} or less",
            1,
            self.rate,
        )
