"""What a fit went through, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["History"]


@dataclass
class History(Mapping[str, "list[float]"]):
    """What a fit went through, one entry an epoch; also a mapping, so that ``dict(history)`` works.

    Each measure is an attribute, too: ``history.cost``.

    Attributes
    ----------
    cost : list of float
        The cost of the mini-batches as they were trained on, averaged over the epoch (summed,
        for loss ``sse``).
    validation_cost, validation_score : list of float
        Cost and score on the validation data after the epoch; empty where there is none.
    learning_rate : list of float
        The learning rate in force at the epoch's end.
    seconds : list of float
        Wall-clock time, without validation.
    measures : dict of str to list of float
        All of them, with those of ``fit(metrics=[...])``.
    stop_reason : str
        ``"epochs"`` (all done), ``"callback"``, ``"interrupted"`` (Ctrl-C) or ``"diverged"``.
    """

    measures: dict[str, list[float]] = field(
        default_factory=lambda: {"cost": [], "learning_rate": [], "seconds": []}
    )
    stop_reason: str = "epochs"

    def __getattr__(self, name: str) -> list[float]:
        if name.startswith("_") or name == "measures":
            raise AttributeError(name)
        if name in self.measures:
            return self.measures[name]
        if name in ("validation_cost", "validation_score"):
            return []
        known = ", ".join(self.measures)
        raise AttributeError(f"the history has no {name!r}; it has {known or 'nothing yet'}")

    def __getitem__(self, name: str) -> list[float]:
        return self.measures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.measures)

    def __len__(self) -> int:
        return len(self.measures)

    def __repr__(self) -> str:
        """Return what the last epoch came to; all of it may be thousands of numbers.

        >>> History({"cost": [0.5, 0.25], "learning_rate": [0.1, 0.1], "seconds": [1.0, 1.0]})
        History(epochs=2, stop_reason='epochs', last cost=0.25)
        """
        last = ", ".join(
            f"{name}={values[-1]:.4g}"
            for name, values in self.measures.items()
            if values and name not in ("learning_rate", "seconds")
        )
        start = f"History(epochs={self.epochs}, stop_reason={self.stop_reason!r}"
        return f"{start}, last {last})" if last else f"{start})"

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self.cost)

    def append(self, logs: Mapping[str, float]) -> None:
        """Add one epoch's entries."""
        for name, value in logs.items():
            self.measures.setdefault(name, []).append(value)

    def in_words(self, optimizer: str, batch_size: int) -> str:
        """Return a line on the training, for the notes of a model.

        >>> History({"cost": [0.5, 0.25]}).in_words("SGD(0.1)", batch_size=8)
        '2 epochs, batches of 8, SGD(0.1): cost 0.25'
        """
        epochs = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        cost = f": cost {self.cost[-1]:.4g}" if self.cost else ""
        return f"{epochs}, batches of {batch_size}, {optimizer}{cost}"

    def to_dict(self) -> dict[str, list[float]]:
        """Return the entries as a dict of lists."""
        return {name: list(values) for name, values in self.items()}
