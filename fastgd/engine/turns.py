"""Who trains: calls that change one network come one after the other."""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakSet

__all__ = ["Turn"]

_all: WeakSet[Turn] = WeakSet()


class Turn:
    """What trains holds its lock. A copy, or a process's child, has one of its own.

    Attributes
    ----------
    lock : RLock
    thread : int or None
        The thread in which a fit is at work, and calls back.
    """

    def __init__(self) -> None:
        self.begin_again()
        _all.add(self)

    def begin_again(self) -> None:
        """Be free, whoever had the turn."""
        self.lock = threading.RLock()
        self.thread: int | None = None

    def check(self) -> None:
        """Raise where a fit that is at work has called this."""
        if self.thread == threading.get_ident():
            raise RuntimeError(
                "the network is being trained: callbacks must not train it, but network.copy()"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return Turn, ()


def _begin_again() -> None:
    for turn in _all:
        turn.begin_again()


if hasattr(os, "register_at_fork"):  # a lock that another thread held would stay locked
    os.register_at_fork(after_in_child=_begin_again)
