"""What training changes: arrays, integers and a generator. All of it, so that it can be kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgd.engine.turns import Turn
from fastgd.rules.optimizers import Optimizer

__all__ = ["State"]

Array = np.ndarray


@dataclass(eq=False)
class State:
    """Where a network's training stands.

    Attributes
    ----------
    parameters : ndarray of shape (n_parameters,)
        Weights and biases, flat.
    rng : numpy.random.Generator
        Where randomness comes from. Drawn from, in this order: the initial parameters; `seed`,
        when first needed; one permutation of the rows as each epoch begins.
    optimizer : Optimizer or None
        What ``slots`` belong to.
    slots : ndarray of shape (n_slots, n_parameters)
        The optimizer's state.
    step : int
        How many steps the optimizer has made.
    epoch : int
        How many epochs, for its schedule.
    position : int
        How many rows of the epoch have been visited.
    sums : ndarray of shape (2,)
        The sum of those rows' costs, each times its weight, and what rounding left out of it.
    order : ndarray of shape (n,), int64, or None
        The order of the epoch's rows; None between epochs.
    turn : Turn
        What a thread holds while it changes all this.
    """

    parameters: Array
    rng: np.random.Generator
    optimizer: Optimizer | None = None
    slots: Array = field(default_factory=lambda: np.empty((0, 0)))
    step: int = 0
    epoch: int = 0
    position: int = 0
    sums: Array = field(default_factory=lambda: np.zeros(2))
    order: Array | None = None
    drawn_seed: int | None = None
    turn: Turn = field(default_factory=Turn, repr=False)

    def __post_init__(self) -> None:
        # A view: nobody can resize it behind the back of what points to its memory.
        self.parameters = self.parameters.view()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def seed(self) -> int:
        """The 63 bits dropout and validation splits come from."""
        if self.drawn_seed is None:
            self.drawn_seed = int(self.rng.integers(1 << 63))
        return self.drawn_seed

    def use(self, optimizer: Optimizer) -> None:
        """Go on with an optimizer: its slots are kept for as long as they mean the same."""
        if optimizer == self.optimizer:
            return
        if self.optimizer is None or not _alike(optimizer, self.optimizer):
            self.slots = np.zeros(
                (len(optimizer.update.slots), len(self.parameters)), self.parameters.dtype
            )
            optimizer.start(self.slots)
            self.step = 0
        self.optimizer, self.epoch = optimizer, 0
        self.end_epoch()

    @property
    def at_work(self) -> Optimizer:
        """The optimizer, where there is one."""
        if self.optimizer is None:
            raise ValueError("there is no learning_rate yet: no optimizer has been at work")
        return self.optimizer

    def epoch_of(self, optimizer: Optimizer) -> int:
        """Return at which epoch that optimizer would go on."""
        return self.epoch if optimizer == self.optimizer else 0

    def forget(self) -> None:
        """Forget what the optimizer has gathered: the parameters are others now."""
        self.optimizer = None

    def end_epoch(self) -> None:
        """Forget the order of the epoch."""
        self.position, self.sums, self.order = 0, np.zeros(2), None


def _alike(new: Optimizer, old: Optimizer) -> bool:
    """Return whether the slots of one optimizer mean the same to another, whatever its numbers."""
    return new.whole == old.whole and new.update is old.update
