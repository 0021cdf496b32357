"""Who trains: calls that change one network come one after the other."""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakSet

__all__ = ["Turn"]

_all: WeakSet[Turn] = WeakSet()


class Turn:
    """A lock that one thread may take again. A copy, or a process's child, has one of its own."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _all.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Turn, ()


def _begin_again() -> None:
    for turn in _all:
        turn.lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # a lock that another thread held would stay locked
    os.register_at_fork(after_in_child=_begin_again)
