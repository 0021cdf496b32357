"""Time of one prediction of 784-30-10, for one row and for 10,000, through each tool's Python face.

    pytest bench/test_predict.py --benchmark-columns=min,median --benchmark-sort=min

One core; images, of which 81 % is zero, and normal numbers. Every tool has the same parameters,
takes a NumPy array (scipy-csr and sklearn-csr a CSR matrix) and gives an array back, and must give
what NumPy gives. On a machine with other work, ``--benchmark-timer=time.process_time`` leaves that
work out. What is not installed is skipped by name (``pip install ".[bench]"`` brings it).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from fastgd.benchmarks.fastgd_backends import FASTGD
from fastgd.benchmarks.rivals import RIVALS
from fastgd.benchmarks.timing import limit_threads
from fastgd.benchmarks.workloads import WORKLOADS, initial_parameters, load_data

CONTESTANTS = {**FASTGD, **RIVALS}
NAMES = [workload.name for workload in WORKLOADS.values() if workload.task == "predict"]


@lru_cache(maxsize=1)
def data_of(name: str):
    return load_data(WORKLOADS[name])


@pytest.mark.benchmark(max_time=0.5, warmup=True, warmup_iterations=10)
@pytest.mark.parametrize("contestant", CONTESTANTS)
@pytest.mark.parametrize("name", NAMES)
def test_predict(benchmark, name: str, contestant: str) -> None:
    workload, rival = WORKLOADS[name], CONTESTANTS[contestant]
    if reason := rival.available():
        pytest.skip(f"{contestant}: {reason}")
    X, y, origin = data_of(name)
    if not rival.takes(workload, float((X == 0).mean())):
        pytest.skip(f"{contestant} does not do this: see fastgd.benchmarks.rivals")
    start = initial_parameters(workload, seed=0)
    predictor = rival.prepare(workload, X, y, start)
    benchmark.group = f"{name}: {workload.description}; 784-30-10, float32, {origin}"
    with limit_threads(1):
        outputs = benchmark(predictor.predict, predictor.rows)
    expected = RIVALS["numpy"].prepare(workload, X, y, start).run(np.arange(workload.batch_size))
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)
