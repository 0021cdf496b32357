"""Callbacks of a fit, as the fit sees them: who listens to what, and when whose turn it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgd.errors import SettingTypeError
from fastgd.rules.checks import check_integer

__all__ = ["EVENTS", "Listeners", "check_callbacks"]

#: What callbacks may listen to; each gets the network first.
EVENTS = (
    "on_train_begin", "on_epoch_begin", "on_batch_end", "on_progress", "on_epoch_end",
    "on_train_end",
)  # fmt: skip


@dataclass(frozen=True)
class Listeners:
    """The callbacks of one fit, and the network they get."""

    network: Any
    callbacks: Sequence[Any] = ()

    def __bool__(self) -> bool:
        return bool(self.callbacks)

    def call(self, method: str, *args: Any) -> None:
        """Call what is not an event, of every callback that has it: plan, check, close."""
        for callback in self.callbacks:
            if callable(getattr(callback, method, None)):
                getattr(callback, method)(*args)

    def tell(self, event: str, *args: Any) -> bool:
        """Call every callback that listens; return whether one asks to stop."""
        answers = [
            getattr(callback, event)(self.network, *args)
            for callback in self.callbacks
            if callable(getattr(callback, event, None))
        ]
        return any(map(_asks_to_stop, answers))

    def steps_to_next_call(self, steps: int) -> int | None:
        """Return after how many more steps the next callback wants to be called."""
        return min((every - steps % every for _, every in self._of_batches()), default=None)

    def tell_batch(self, steps: int, logs: dict[str, float]) -> bool:
        """Call the callbacks whose turn it is; return whether one asks to stop."""
        answers = [
            callback.on_batch_end(self.network, steps, dict(logs))
            for callback, every in self._of_batches()
            if steps % every == 0
        ]
        return any(map(_asks_to_stop, answers))

    def _of_batches(self) -> list[tuple[Any, int]]:
        """Return who listens to batches, and to every how many."""
        listeners = [c for c in self.callbacks if callable(getattr(c, "on_batch_end", None))]
        return [(callback, getattr(callback, "every", 1)) for callback in listeners]


def _asks_to_stop(answer: Any) -> bool:
    return answer is True or answer is np.True_


def check_callbacks(given: Any) -> list[Any]:
    """Return callbacks as a list, or refuse what listens to nothing."""
    callbacks = list(given) if isinstance(given, (list, tuple)) else [given]
    for callback in callbacks:
        if isinstance(callback, type):
            raise SettingTypeError(
                "callbacks", f"must be objects, {callback.__name__}(...); got the class itself"
            )
        listens = any(callable(getattr(callback, event, None)) for event in EVENTS)
        if not listens:
            raise SettingTypeError(
                "callbacks",
                "must be objects with a method on_epoch_end(network, epoch, logs) or "
                f"another of {', '.join(EVENTS)}; got {callback!r}",
            )
        every = getattr(callback, "every", 1)
        if hasattr(callback, "on_batch_end"):
            check_integer(f"every of {type(callback).__name__}", every, 1)
    return callbacks
