"""How many threads a call gets: as many as help, and never more than this process may use."""

from __future__ import annotations

import os
import reprlib
from functools import lru_cache
from pathlib import Path

from fastgd.engine.architecture import Architecture
from fastgd.rules.checks import check_integer

__all__ = ["available_threads", "check_threads", "threads_for"]

#: A step, or a prediction, with fewer multiplications than this is faster on one thread: the
#: threads would wait for each other longer than they work. Measured, see bench/RESULTS.md.
WORTH_A_THREAD = 500_000
#: More threads than this have not been measured to help networks of this size.
MOST = 16
#: More threads than this are a slip: each has memory of its own.
LIMIT = 256


def check_threads(argument: str, given: object) -> int | str:
    """Return "auto" or a number of threads, or raise."""
    if isinstance(given, str) and given == "auto":
        asked_threads()
        return "auto"
    error = f'{argument} must be "auto" or an integer from 1 to {LIMIT}; got {reprlib.repr(given)}'
    try:
        n = check_integer(argument, given, 1)
    except TypeError:
        raise TypeError(error) from None
    except ValueError:
        raise ValueError(error) from None
    if n > LIMIT:
        raise ValueError(error)
    return n


def threads_for(threads: int | str, architecture: Architecture, n_rows: int) -> int:
    """Return how many threads to use for a batch of ``n_rows``."""
    if threads != "auto":
        return int(threads)
    helpful = min(MOST, n_rows, n_rows * architecture.layout.n_weights // WORTH_A_THREAD)
    return min(helpful, available_threads()) if helpful > 1 else 1


def available_threads() -> int:
    """Return how many threads this process may use.

    FASTGD_NUM_THREADS, or the cores the process is bound to, or its control group's share of
    them, whichever is least.
    """
    limits = [_cores(), _control_group(Path("/sys/fs/cgroup")), asked_threads()]
    return min(limits)


def asked_threads() -> int:
    """Return what FASTGD_NUM_THREADS asks for, or raise ValueError."""
    asked = os.environ.get("FASTGD_NUM_THREADS") or str(LIMIT)
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueError(f"FASTGD_NUM_THREADS must be an integer at least 1; got {asked!r}")
    return int(asked)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _control_group(root: Path) -> int:
    """Return how many cores' time a Linux control group grants, rounded up."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return 1 << 30
