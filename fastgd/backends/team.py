"""Threads that run one kernel together: the calling thread and helpers that wait between calls."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

__all__ = ["run_team"]

Result = TypeVar("Result")

#: Where in the barrier a team is told that it will not be complete.
ABANDONED = 9

_pools: dict[int, list[ThreadPoolExecutor]] = {}


def _forget() -> None:
    """Threads do not survive a fork: the child starts its own."""
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run_team(part: Callable[[int], Result], n_threads: int, barrier: np.ndarray) -> Result:
    """Run ``part(thread)`` for 0 to n_threads - 1 at the same time; return that of thread 0.

    The parts wait for each other, so each team has threads of its own: a team is never queued
    behind another one's barrier.
    """
    if n_threads == 1:
        return part(0)
    free = _pools.setdefault(n_threads, [])
    try:
        pool = free.pop()
    except IndexError:
        pool = ThreadPoolExecutor(n_threads - 1, thread_name_prefix="fastgd")
    try:
        others: list[Future] = [pool.submit(part, thread) for thread in range(1, n_threads)]
        result = part(0)
        for other in others:
            other.result()
    except BaseException:  # Ctrl-C, most likely: the others must not wait for what never comes
        barrier[ABANDONED] = 1
        pool.shutdown(wait=False)
        raise
    free.append(pool)
    return result
