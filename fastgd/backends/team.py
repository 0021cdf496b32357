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
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import numpy as np

__all__ = ["run_team"]

Result = TypeVar("Result")

#: Where in the barrier a team is told that it will not be complete.
ABANDONED = 9
#: How long helpers may take to be there, in seconds; where memory is short they never are.
PATIENCE = 10.0


class TeamError(Exception):
    """Threads cannot be started here."""


class Team:
    """Helper threads. They end with the team."""

    def __init__(self, n_helpers: int):
        self._work: list[SimpleQueue] = []
        self._done: SimpleQueue = SimpleQueue()
        try:
            for _ in range(n_helpers):
                self._work.append(SimpleQueue())
                start_new_thread(_help, (self._work[-1], self._done))
            for _ in range(n_helpers):
                self._done.get(timeout=PATIENCE)
        except (RuntimeError, MemoryError, Empty) as error:
            raise TeamError from error

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
    done.put(None)
    while True:
        job: tuple[Callable[[int], Any], int, np.ndarray] | None = work.get()
        if job is None:
            return
        error: BaseException | None = None
        try:
            job[0](job[1])
        except BaseException as caught:
            job[2][ABANDONED] = 1
            error = caught
        del job  # the caller's arrays are not kept until the next call
        done.put(error)
        del error


_free: dict[int, list[Team]] = {}
#: Teams of this size or more cannot be had here; found out slowly, so that it is kept.
_too_large: list[int] = []
# Before the interpreter ends; and threads do not survive a fork: the child starts its own.
atexit.register(_free.clear)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free.clear)


def _team_of(n_threads: int) -> Team:
    """Return a team that nobody uses, or raise TeamError."""
    try:
        return _free.setdefault(n_threads, []).pop()
    except IndexError:
        pass
    if _too_large and n_threads >= _too_large[0]:
        raise TeamError
    try:
        return Team(n_threads - 1)
    except TeamError:
        _too_large[:] = [n_threads]
        raise


def _keep(team: Team, n_threads: int) -> None:
    """Keep a team for the next call, unless as many threads wait as there are processors."""
    free = _free.setdefault(n_threads, [])
    if (len(free) + 1) * (n_threads - 1) <= max(n_threads - 1, os.cpu_count() or 1):
        free.append(team)


def run_team(
    part: Callable[[int], Result],
    n_threads: int,
    barrier: np.ndarray,
    alone: Callable[[], Result],
) -> Result:
    """Run ``part(thread)`` for 0 to n_threads - 1 at the same time; return that of thread 0.

    The parts wait for each other, so each team has threads of its own: a team is never queued
    behind another one's barrier. Where threads cannot be had, ``alone`` does the work.
    """
    if n_threads == 1:
        return part(0)
    try:
        try:
            team = _team_of(n_threads)
        except TeamError:
            return alone()
        result = team.run(part, barrier)
    except BaseException:  # Ctrl-C, most likely: the others must not wait for what never comes
        barrier[ABANDONED] = 1
        raise
    _keep(team, n_threads)
    return result
