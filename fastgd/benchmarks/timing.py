"""The stopwatch: one core, fixed threads, and contestants that take turns."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastgd.errors import SettingError

__all__ = ["Summary", "Timed", "limit_threads", "pin", "summarise", "time_steps"]


class Timed(Protocol):
    """What the stopwatch needs of a contestant; the rivals' trainers and fastgd's have it."""

    batch_size: int
    threads: int

    def warm_up(self, order: np.ndarray | None = None) -> None:
        """Compile, allocate and touch whatever the first run would."""

    def run(self, order: np.ndarray) -> Any:
        """Train ``len(order) // batch_size`` steps."""


class Summary(NamedTuple):
    """Seconds per step over the repeats: the best, and the median."""

    best: float
    median: float


def keep_memory() -> None:
    """Make the C library keep what is freed: rivals that allocate in every step are at their best.

    glibc gives large blocks back to the system, page by page, until one larger was freed once.
    """
    np.empty(30 << 20, dtype=np.uint8)


def pin(n_cores: int) -> str:
    """Keep this process on its n last cores; the first ones serve most interrupts.

    Threads already running are moved too, and later ones inherit it. JAX counts cores when it is
    imported, so call this before; NumPy's BLAS has counted them by now, and keeps its threads
    unless ``limit_threads`` holds them, as ``time_steps`` does.

    Returns
    -------
    str
        What was done, for the benchmark's report.

    Raises
    ------
    ValueError
        If the process may not use that many cores.
    """
    keep_memory()
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned: this system cannot pin a process to cores"
    cores = sorted(os.sched_getaffinity(0))
    if not 1 <= n_cores <= len(cores):
        raise SettingError(
            "n_cores", f"must be from 1 to {len(cores)}, the cores here; got {n_cores}"
        )
    chosen = cores[-n_cores:]
    os.sched_setaffinity(0, chosen)
    for thread in Path("/proc/self/task").glob("*"):
        with suppress(ProcessLookupError):  # it ended meanwhile
            os.sched_setaffinity(int(thread.name), chosen)
    return f"pinned to core{'s' * (n_cores > 1)} {', '.join(map(str, chosen))}"


@contextmanager
def limit_threads(n: int) -> Iterator[bool]:
    """Hold every BLAS and OpenMP pool already loaded to n threads.

    Yields
    ------
    bool
        Whether they are held: False, with a warning, where threadpoolctl is not installed.

    Examples
    --------
    >>> with limit_threads(1):
    ...     product = np.ones((2, 2)) @ np.ones((2, 2))
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        warnings.warn(
            f"threadpoolctl is not installed: NumPy may use more than {n} threads; "
            "pip install fastgd[bench]",
            stacklevel=3,
        )
        yield False
        return
    with threadpool_limits(limits=n):
        yield True


def time_steps(
    trainers: Mapping[str, Timed], order: np.ndarray, repeats: int
) -> dict[str, list[float]]:
    """Time contestants in turn, so that a noisy moment hits all alike.

    Each is warmed up first; then each round runs every contestant once over the whole order.

    Parameters
    ----------
    trainers : mapping of name to trainer
    order : (n,) integer array
        Rows of the data, as ``workloads.orders`` gives them for one epoch.
    repeats : int
        Rounds.

    Returns
    -------
    dict of name to list of float
        Seconds per training step, one number per round; ``summarise`` shortens it.

    Raises
    ------
    ValueError
        If there are no rounds, or the order does not fill one mini-batch.
    """
    if repeats < 1:
        raise SettingError("repeats", f"must be 1 or more; got {repeats}")
    for name, trainer in trainers.items():
        if len(order) < trainer.batch_size:
            raise SettingError(
                "order",
                f"must fill one mini-batch of {name!r}, {trainer.batch_size} rows; "
                f"got {len(order)}",
            )
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    # Held over all rounds: BLAS threads that nobody holds wait busily on the core that measures.
    with limit_threads(min(trainer.threads for trainer in trainers.values())):
        for trainer in trainers.values():
            with limit_threads(trainer.threads):
                trainer.warm_up(order)
        for _ in range(repeats):
            for name, trainer in trainers.items():
                with limit_threads(trainer.threads):
                    start = time.perf_counter()
                    trainer.run(order)
                    elapsed = time.perf_counter() - start
                seconds[name].append(elapsed / (len(order) // trainer.batch_size))
    return seconds


def summarise(seconds: Mapping[str, list[float]]) -> dict[str, Summary]:
    """Return the best and the median of each contestant's times.

    Examples
    --------
    >>> summarise({"numpy": [3.0, 1.0, 2.0]})
    {'numpy': Summary(best=1.0, median=2.0)}
    """
    return {name: Summary(min(times), median(times)) for name, times in seconds.items()}
