"""What a fit went through, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["History"]


@dataclass
class History(Mapping[str, "list[float]"]):
    """What a fit went through, one entry an epoch; also a mapping, so that ``dict(history)`` works.

    Attributes
    ----------
    cost : list of float
        The cost of the mini-batches as they were trained on, averaged over the epoch (summed,
        for loss ``sse``).
    validation_cost, validation_score : list of float
        Cost and score on the validation data after the epoch; empty where there is none.
    learning_rate : list of float
        The learning rate in force.
    seconds : list of float
        Wall-clock time, without validation.
    stop_reason : str
        ``"epochs"`` (all done), ``"callback"``, ``"interrupted"`` (Ctrl-C) or ``"diverged"``.
    """

    cost: list[float] = field(default_factory=list)
    validation_cost: list[float] = field(default_factory=list)
    validation_score: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    stop_reason: str = "epochs"

    def _names(self) -> list[str]:
        names = ["cost", "learning_rate", "seconds"]
        return names + ["validation_cost", "validation_score"] * bool(self.validation_cost)

    def __getitem__(self, name: str) -> list[float]:
        if name not in self._names():
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self.cost)

    def append(self, logs: Mapping[str, float]) -> None:
        """Add one epoch's entries."""
        for name, value in logs.items():
            getattr(self, name).append(value)

    def to_dict(self) -> dict[str, list[float]]:
        """Return the entries as a dict of lists."""
        return {name: list(values) for name, values in self.items()}
