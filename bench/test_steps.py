"""Time per training step of every workload, for fastgd's backends and what else is installed.

    pytest bench --benchmark-only

One core, the same data, start, sizes, steps and order for all. Rivals that are not installed are
skipped by name (``pip install ".[bench]"`` brings them).
"""

from __future__ import annotations

from functools import lru_cache

import pytest

from fastgd.benchmarks.fastgd_backends import FASTGD
from fastgd.benchmarks.rivals import RIVALS
from fastgd.benchmarks.timing import limit_threads
from fastgd.benchmarks.workloads import WORKLOADS, initial_parameters, load_data, orders

CONTESTANTS = {**FASTGD, **RIVALS}
#: Those of one core that train; bench/test_threads.py and bench/test_predict.py have the others.
NAMES = [w.name for w in WORKLOADS.values() if w.task == "step" and w.threads == 1]
#: Steps a round: enough that what a call costs beside its steps does not show.
STEPS = {"wide": 50, "dense-wide": 50, "big": 20, "hundred": 500, "dense-hundred": 500}
DEFAULT_STEPS = 2000
#: Per-example Python loops, timed over fewer steps.
SLOW = ("nielsen",)


@lru_cache(maxsize=1)
def data_of(name: str):
    return load_data(WORKLOADS[name])


@pytest.mark.parametrize("contestant", CONTESTANTS)
@pytest.mark.parametrize("name", NAMES)
def test_step(benchmark, name: str, contestant: str) -> None:
    workload = WORKLOADS[name]
    reason = CONTESTANTS[contestant].available() or CONTESTANTS[contestant].lacks(workload)
    if reason:
        pytest.skip(f"{contestant}: {reason}")
    X, y, origin = data_of(name)
    if not CONTESTANTS[contestant].takes(workload, float((X == 0).mean())):
        pytest.skip(f"{contestant} does not do this: see fastgd.benchmarks.rivals")
    steps = min(STEPS.get(name, DEFAULT_STEPS), workload.n_rows // workload.batch_size)
    steps //= 10 if contestant in SLOW else 1
    order = orders(workload, 1, seed=0)[0, : steps * workload.batch_size]
    trainer = CONTESTANTS[contestant].prepare(workload, X, y, initial_parameters(workload, seed=0))
    benchmark.group = f"{name}: one step ({workload.description}; {origin})"
    benchmark.extra_info.update(workload=name, contestant=contestant)
    with limit_threads(1):
        trainer.warm_up(order)
        benchmark.pedantic(trainer.run, args=(order,), rounds=2 if contestant in SLOW else 5)
    # What is printed is the time of one step.
    benchmark.stats.stats.data[:] = [seconds / steps for seconds in benchmark.stats.stats.data]
