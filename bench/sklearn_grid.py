"""fastgd.sklearn against scikit-learn: a grid of settings, the slowest named.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE taskset -c 1 python bench/sklearn_grid.py

One core. Times are the processor's, the best of a few fits, which alternate. Each setting's losses are compared:
"off" is how far the last one is from scikit-learn's.
"""

import itertools
import sys
import time
import warnings

import numpy as np
from scipy.sparse import csr_matrix
from sklearn import neural_network
from sklearn.datasets import load_digits, load_iris

import fastgd.sklearn

SOLVERS = ("adam", "sgd", "lbfgs")
BATCHES = (10, 200)
WIDTHS = ((10,), (100,), (100, 100))
DTYPES = ("float32", "float64")
REPEATS = 3


def seconds_of(estimators, X, y):
    """Return the least processor time of a few fits of each, and their last losses."""
    times, losses = [np.inf] * len(estimators), [0.0] * len(estimators)
    for _ in range(REPEATS):
        for i, estimator in enumerate(estimators):
            started = time.process_time()
            estimator.fit(X, y)
            times[i] = min(times[i], time.process_time() - started)
            losses[i] = estimator.loss_
    return times, losses


def compare(name, X, y, **setting):
    """Print one setting's row; return its ratio."""
    pair = [m.MLPClassifier(random_state=0, **setting) for m in (neural_network, fastgd.sklearn)]
    (theirs, ours), (expected, loss) = seconds_of(pair, X, y)
    ratio, off = theirs / ours, abs(loss - expected) / abs(expected)
    print(f"{name:58s} {1e3 * theirs:9.1f} {1e3 * ours:9.1f} ms {ratio:6.1f}x  off {off:.0e}")
    sys.stdout.flush()
    return ratio, name


def pixels(n=3000):
    """Return inputs as large and as empty as MNIST's, drawn."""
    rng = np.random.default_rng(0)
    X = rng.random((n, 784)) * (rng.random((n, 784)) < 0.2)
    return X, rng.integers(10, size=n)


def settings():
    """Yield the name, data and setting of each row."""
    digits, iris = load_digits(return_X_y=True), load_iris(return_X_y=True)
    for dtype in DTYPES:
        for name, (X, y) in (("digits", digits), ("iris", iris)):
            yield f"{name} {dtype}, defaults", X.astype(dtype), y, {}
    for solver, batch, hidden, dtype, sparse in itertools.product(
        SOLVERS, BATCHES, WIDTHS, DTYPES, (False, True)
    ):
        if solver == "lbfgs" and batch != BATCHES[0]:
            continue
        X = digits[0].astype(dtype)
        setting = {"solver": solver, "hidden_layer_sizes": hidden, "max_iter": 10}
        if solver != "lbfgs":
            setting["batch_size"] = batch
        name = f"digits {dtype} {solver} {list(hidden)}" + f" batch {batch}" * (solver != "lbfgs")
        yield name + ", sparse" * sparse, csr_matrix(X) if sparse else X, digits[1], setting
    X, y = pixels()
    for dtype in DTYPES:
        data = X.astype(dtype)
        yield f"784-100-10 {dtype}, defaults", data, y, {"max_iter": 4}
        for momentum in (0.0, 0.9):
            nielsen = {"solver": "sgd", "hidden_layer_sizes": 30, "batch_size": 10, "max_iter": 2}
            name = f"784-30-10 {dtype} sgd batch 10, momentum {momentum:g}"
            yield name, data, y, {**nielsen, "momentum": momentum}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(f"{'':58s} {'scikit':>9s} {'fastgd':>9s}")
    ratios = sorted(compare(n, X, y, **setting) for n, X, y, setting in settings())
    print(f"{len(ratios)} settings; the slowest: {ratios[0][1]}, {ratios[0][0]:.2f}x;", end=" ")
    print(f"the median {ratios[len(ratios) // 2][0]:.1f}x")
