"""Threads that run one kernel together: the calling thread and helpers that wait between calls.

Ctrl-C may arrive between any two steps here, so nothing holds a lock that Python code must give
back: helpers are bare threads, and what passes between them goes through `SimpleQueue`, which is
one step. They never keep a process from ending.
"""

from __future__ import annotations

import atexit
import os
from _thread import start_new_thread
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

__all__ = ["run_team"]

Result = TypeVar("Result")

#: Where in the barrier a team is told that it will not be complete.
ABANDONED = 9


class Team:
    """Helper threads. They end with the team."""

    def __init__(self, n_helpers: int):
        self._work: list[SimpleQueue] = []
        self._done: SimpleQueue = SimpleQueue()
        for _ in range(n_helpers):
            self._work.append(SimpleQueue())
            start_new_thread(_help, (self._work[-1], self._done))

    def __del__(self) -> None:
        for work in self._work:
            work.put(None)

    def run(self, part: Callable[[int], Result], barrier: np.ndarray) -> Result:
        """Run part(0) here and part(1), ... in the helpers; return that of part(0)."""
        for thread, work in enumerate(self._work, 1):
            work.put((part, thread, barrier))
        result = part(0)
        failed = [error for error in (self._done.get() for _ in self._work) if error]
        if failed:
            raise failed[0]
        return result


def _help(work: SimpleQueue, done: SimpleQueue) -> None:
    while True:
        job: tuple[Callable[[int], Any], int, np.ndarray] | None = work.get()
        if job is None:
            return
        part, thread, barrier = job
        error: BaseException | None = None
        try:
            part(thread)
        except BaseException as caught:
            barrier[ABANDONED] = 1
            error = caught
        del job, part, barrier  # the caller's arrays are not kept until the next call
        done.put(error)
        del error


_free: dict[int, list[Team]] = {}
# Before the interpreter ends; and threads do not survive a fork: the child starts its own.
atexit.register(_free.clear)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free.clear)


def run_team(part: Callable[[int], Result], n_threads: int, barrier: np.ndarray) -> Result:
    """Run ``part(thread)`` for 0 to n_threads - 1 at the same time; return that of thread 0.

    The parts wait for each other, so each team has threads of its own: a team is never queued
    behind another one's barrier.
    """
    if n_threads == 1:
        return part(0)
    free = _free.setdefault(n_threads, [])
    try:
        try:
            team = free.pop()
        except IndexError:
            team = Team(n_threads - 1)
        result = team.run(part, barrier)
    except BaseException:  # Ctrl-C, most likely: the others must not wait for what never comes
        barrier[ABANDONED] = 1
        raise
    free.append(team)
    return result
