"""One core for every contestant, and a table of microseconds per step at the end."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

from fastgd.benchmarks.apart import start_free
from fastgd.benchmarks.environment import about, holding
from fastgd.benchmarks.timing import pin
from fastgd.benchmarks.workloads import WORKLOADS


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    # One process: the tests' -n auto would have contestants on all cores, and times mean nothing.
    config.option.numprocesses, config.option.dist = 0, "no"


def pytest_configure(config: pytest.Config) -> None:
    capture = config.pluginmanager.get_plugin("capturemanager")
    if holding(os.environ, 1) and capture is not None:
        capture.stop_global_capturing()  # or the next process would write to where it captures
    start_free(["-m", "pytest", *config.invocation_params.args], threads=1)
    # Before anything is imported that counts cores.
    config.fastgd_pinned = pin(1)


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    session = getattr(config, "_benchmarksession", None)
    steps: dict[str, dict[str, float]] = defaultdict(dict)
    for bench in session.benchmarks if session else []:
        info = bench.extra_info
        if "workload" in info and bench.stats.rounds:
            steps[info["workload"]][info["contestant"]] = bench.stats.min * 1e6
    if not steps:
        return
    names = list(dict.fromkeys(name for row in steps.values() for name in row))
    write = terminalreporter.write_line
    terminalreporter.section("us per step, best round")
    write(f"{config.fastgd_pinned}; the workloads are those of fastgd.benchmarks.workloads")
    write(f"{'':14}" + "".join(f"{name:>14}" for name in names))
    for workload in WORKLOADS:
        if workload in steps:
            cells = (f"{steps[workload][n]:14.2f}" if n in steps[workload] else f"{'-':>14}"
                     for n in names)  # fmt: skip
            write(f"{workload:14}" + "".join(cells))
    for name, told in about(names, 1).items():
        write(f"{name}: {told['version']}; {told['products']}, kernels {told['kernels']}")
