"""fastgd.sklearn beside scikit-learn's own classes: the README's table.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python bench/sklearn_speed.py

One core and one thread for both, the same settings and seed. Times are the processor's, the least
of a few fits, which alternate; "off" is how far the last losses are apart. MNIST is read from the
folder FASTGD_MNIST names, or ../shared/data/mnist. The grid search is timed by the clock, on two
cores; its workers have started and imported before. bench/sklearn_grid.py has many more settings.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

import fastgd.data
import fastgd.sklearn
from fastgd.backends import why_not

MNIST = Path(os.environ.get("FASTGD_MNIST", "../shared/data/mnist"))
DTYPES = ("float32", "float64")
NIELSEN = {"solver": "sgd", "batch_size": 10, "hidden_layer_sizes": 30, "max_iter": 5}
#: 12 settings, five folds.
SEARCHED = {
    "hidden_layer_sizes": [(10,), (30,), (30, 30)],
    "alpha": [1e-4, 1e-2],
    "learning_rate_init": [0.001, 0.01],
}


class Case(NamedTuple):
    """What both fit, and how many times as fast fastgd should be."""

    name: str
    data: str
    dtype: str
    setting: dict[str, Any]
    backend: str
    asked: float


@lru_cache(maxsize=1)
def data_of(name: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y."""
    if name == "MNIST":
        mnist = fastgd.data.load(MNIST)
        return (mnist.X / np.float64(255)).astype(dtype), mnist.y
    X, y = {"digits": load_digits, "iris": load_iris}[name](return_X_y=True)
    return X.astype(dtype), y


def cases() -> Iterator[Case]:
    """Yield what is fitted on one core."""
    backends = [b for b in ("native", "numba") if not why_not(b)]
    for dtype in DTYPES:
        for name in ("digits", "iris"):
            yield Case(f"{name}, defaults", name, dtype, {}, backends[0], 5)
    for dtype in DTYPES if MNIST.is_dir() else ():
        five = {"max_iter": 5}
        yield Case("MNIST, defaults, 5 epochs", "MNIST", dtype, five, backends[0], 2.5)
        for momentum in (0.0, 0.9):
            name = f"MNIST, 784-30-10, sgd, batch 10, momentum {momentum:g}, 5 epochs"
            for backend in backends:
                yield Case(
                    name, "MNIST", dtype,
                    {**NIELSEN, "momentum": momentum}, backend, 12 if backend == "native" else 10,
                )  # fmt: skip


def contestants(case: Case) -> dict[str, Any]:
    """Return both estimators."""
    return {
        "scikit-learn": neural_network.MLPClassifier(random_state=0, **case.setting),
        "fastgd": fastgd.sklearn.MLPClassifier(
            random_state=0, backend=case.backend, threads=1, **case.setting
        ),
    }


def seconds_of(case: Case, repeats: int) -> tuple[list[float], float]:
    """Return the least processor time of each, and how far their losses are apart."""
    X, y = data_of(case.data, case.dtype)
    pair = list(contestants(case).values())
    if case.backend == "numba":  # compiles
        clone(pair[1]).set_params(max_iter=2).fit(X[:500], y[:500])
    times = [np.inf, np.inf]
    for _ in range(repeats):
        for i, estimator in enumerate(pair):
            started = time.process_time()
            estimator.fit(X, y)
            times[i] = min(times[i], time.process_time() - started)
    theirs, ours = (estimator.loss_ for estimator in pair)
    return times, abs(ours - theirs) / abs(theirs)


def search_seconds(repeats: int) -> tuple[list[float], float]:
    """Return the least time of a search of 60 small fits, and how far the scores are apart."""
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    times, scores = [np.inf, np.inf], [0.0, 0.0]
    for repeat in range(1 + repeats):
        for i, module in enumerate((neural_network, fastgd.sklearn)):
            model = module.MLPClassifier(random_state=0)
            search = GridSearchCV(model, SEARCHED, cv=5, n_jobs=2, refit=False)
            started = time.perf_counter()
            search.fit(X, y)
            if repeat:
                times[i] = min(times[i], time.perf_counter() - started)
            scores[i] = search.best_score_
    return times, abs(scores[1] - scores[0])


def show(name: str, times: list[float], off: float, asked: float) -> None:
    """Print a row."""
    theirs, ours = times
    ratio = theirs / ours
    print(f"{name:82s} {theirs:8.3f} {ours:8.3f} s {ratio:5.1f}x  asked {asked:4g}x  off {off:.0e}")
    sys.stdout.flush()


def main() -> None:
    """Print all rows."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    if cores:
        os.sched_setaffinity(0, {max(cores)})
    print(f"{'':82s} {'scikit':>8s} {'fastgd':>8s}")
    if not MNIST.is_dir():
        print(f"MNIST is left out: {MNIST} is no folder")
    for case in cases():
        repeats = 7 if case.data != "MNIST" else 2
        row = f"{case.name}, {case.dtype}, {case.backend}"
        show(row, *seconds_of(case, repeats), case.asked)
    if cores:
        os.sched_setaffinity(0, cores)
    show("60 small fits, GridSearchCV, two cores", *search_seconds(3), 6)


if __name__ == "__main__":
    os.environ["PYTHONWARNINGS"] = "ignore"  # also in the search's workers
    warnings.simplefilter("ignore")
    main()
