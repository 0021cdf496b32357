"""How many threads a call gets: as many as help, and never more than this process may use."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from fastgd.architecture import Architecture
from fastgd.checks import check_integer

__all__ = ["available_threads", "check_threads", "threads_for"]

#: A step, or a prediction, with fewer multiplications than this is faster on one thread: the
#: threads would wait for each other longer than they work. Measured, see bench/RESULTS.md.
WORTH_A_THREAD = 500_000
#: More threads than this have not been measured to help networks of this size.
MOST = 16


def check_threads(argument: str, given: object) -> int | str:
    """Return "auto" or a number of threads, or raise."""
    if given == "auto":
        return "auto"
    if isinstance(given, str):
        raise ValueError(f'{argument} must be "auto" or an integer at least 1; got {given!r}')
    return check_integer(argument, given, 1)


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
    limits = [_cores(), _control_group(Path("/sys/fs/cgroup"))]
    asked = os.environ.get("FASTGD_NUM_THREADS")
    if asked:
        try:
            limits.append(max(1, int(asked)))
        except ValueError:
            raise ValueError(f"FASTGD_NUM_THREADS must be an integer; got {asked!r}") from None
    return min(limits)


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
