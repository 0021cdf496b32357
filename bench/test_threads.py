"""Time of one step on one core and on two: what a second thread gives.

    pytest bench/test_threads.py

Every measurement has a process of its own, kept to its cores before anything is imported that
counts them, as JAX does. Nothing else may run meanwhile: threads that wait for each other show it.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fastgd.benchmarks.apart import free_environment
from fastgd.benchmarks.fastgd_backends import FASTGD
from fastgd.benchmarks.rivals import RIVALS
from fastgd.benchmarks.timing import pin, time_steps
from fastgd.benchmarks.workloads import WORKLOADS, initial_parameters, load_data, orders

#: Steps a round, for rounds of some 20 ms: the best of many finds a quiet moment.
STEPS = {"nielsen": 2000, "hundred": 400, "dense-hundred": 200, "wide": 16, "big": 4}
ROUNDS = 15
THREADS = (1, 2)
CONTESTANTS = {name: {**FASTGD, **RIVALS}[name] for name in
               ("fastgd-native", "fastgd-numba", "jax", "torch")}  # fmt: skip
Times = dict[tuple[str, str, int], float]


def measure(name: str, contestant: str, threads: int) -> list[float]:
    """Return the seconds per step of every round, in this process, on so many cores."""
    pin(threads)
    workload = replace(WORKLOADS[name], threads=threads)
    X, y, _ = load_data(workload)
    order = orders(workload, 1, seed=0)[0, : STEPS[name] * workload.batch_size]
    start = initial_parameters(workload, seed=0)
    trainer = CONTESTANTS[contestant].prepare(workload, X, y, start)
    return time_steps({contestant: trainer}, order, ROUNDS)[contestant]


def measure_elsewhere(*arguments: object) -> list[float]:
    """Run this file as a program, which measures and prints."""
    result = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        env=free_environment(max(THREADS)),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def free_all_cores() -> int:
    """Undo the pinning this process was born with; return how many cores it may use now."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    return len(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def times(request: pytest.FixtureRequest) -> Iterator[Times]:
    """Collect the times; print them beside each other at the end."""
    collected: Times = {}
    yield collected
    plugins = request.config.pluginmanager
    reporter: Any = plugins.get_plugin("terminalreporter")
    capture: Any = plugins.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        reporter.ensure_newline()
        reporter.section("us per step on 1 core, on 2, and how many times as fast")
        for line in table(collected):
            reporter.write_line(line)


def table(times: Times) -> Iterator[str]:
    """Yield a line for each workload, beneath the contestants' names."""
    names = list(dict.fromkeys(contestant for _, contestant, _ in times))
    yield " " * 14 + "".join(f"{name:>26}" for name in names)
    for workload in dict.fromkeys(workload for workload, _, _ in times):
        line = f"{workload:14}"
        for name in names:
            one, two = (times.get((workload, name, n), math.nan) for n in THREADS)
            cells = f"{one * 1e6:10.1f}{two * 1e6:10.1f}{one / two:5.2f}x"
            line += cells.replace("nan", "  -")
        yield line


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("contestant", CONTESTANTS)
@pytest.mark.parametrize("name", STEPS)
def test_threads(benchmark, times: Times, name: str, contestant: str, threads: int) -> None:
    if reason := CONTESTANTS[contestant].available():
        pytest.skip(f"{contestant}: {reason}")
    if threads > (os.cpu_count() or 1):
        pytest.skip(f"needs {threads} cores; there are {os.cpu_count()}")
    benchmark.group = f"{name}: one step, on one core and on two"
    seconds = benchmark.pedantic(measure_elsewhere, args=(name, contestant, threads), rounds=1)
    # What is printed is the time of one step.
    benchmark.stats.stats.data[:] = seconds
    times[name, contestant, threads] = min(seconds)


if __name__ == "__main__":
    free_all_cores()
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
