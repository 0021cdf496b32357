"""Time of a fit, for scikit-learn's own classes and fastgd's.

    pytest bench/test_sklearn.py --benchmark-only

The cases are those of bench/sklearn_speed.py, which prints ratios of processor times.
"""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("sklearn")

from sklearn_speed import Case, cases, contestants, data_of

from fastgd.benchmarks.timing import limit_threads


@pytest.mark.parametrize("contestant", ["scikit-learn", "fastgd"])
@pytest.mark.parametrize("case", list(cases()), ids=lambda c: f"{c.name} {c.dtype} {c.backend}")
def test_fit(benchmark, case: Case, contestant: str) -> None:
    X, y = data_of(case.data, case.dtype)
    estimator = contestants(case)[contestant]
    benchmark.group = f"{case.name}, {case.dtype}"
    with limit_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rounds = 2 if case.data == "MNIST" else 5
        benchmark.pedantic(estimator.fit, args=(X, y), rounds=rounds, warmup_rounds=1)
