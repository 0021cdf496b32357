"""How well fastgd's, Keras's and scikit-learn's defaults do on three small data sets.

    python bench/scores.py

All get the same quarter of the examples held out for the score, and inputs (for numbers targets,
too) scaled to mean 0 and deviation 1 by the others. All train one hidden layer of 100 relu units,
scikit-learn's default, with Adam at its defaults. fastgd and Keras also take mini-batches of 32,
their default, and stop by a tenth of what they train on (``EarlyStopping`` with the patience of 10
and the return to the best epoch that are fastgd's defaults; Keras's patience would be 0).
scikit-learn does what it does alone: 200 epochs at most, a penalty, no early stopping.

What is not installed is left out and named. Keras runs on the first of TensorFlow, JAX and PyTorch
that is installed, or on the one that KERAS_BACKEND names.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastgd

Array = np.ndarray

HIDDEN, EPOCHS, PATIENCE, HELD_OUT = 100, 1000, 10, 0.1
#: Keras's names of what it may run on, each the package's, too.
KERAS_BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class Task:
    """A data set of scikit-learn's."""

    name: str
    loader: str
    classes: bool = True

    @property
    def measure(self) -> str:
        """What the score is."""
        return "accuracy" if self.classes else "R²"


TASKS = (
    Task("digits", "load_digits"),
    Task("breast cancer", "load_breast_cancer"),
    Task("diabetes", "load_diabetes", classes=False),
)


@dataclass(frozen=True)
class Split:
    """What all train on and are scored on."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array
    classes: bool
    seed: int

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Units per layer."""
        return self.X.shape[1], HIDDEN, int(self.y.max()) + 1 if self.classes else 1

    def score(self, outputs: Array) -> float:
        """Return the accuracy or R^2 of outputs, or of predicted classes, for the test examples."""
        from sklearn.metrics import accuracy_score, r2_score

        if not self.classes:
            return float(r2_score(self.y_test, np.ravel(outputs)))
        chosen = outputs.argmax(axis=1) if outputs.ndim == 2 else outputs
        return float(accuracy_score(self.y_test, chosen))


def split(task: Task, seed: int) -> Split:
    """Return a task's examples, split and scaled."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    X, y = getattr(datasets, task.loader)(return_X_y=True)
    parts = train_test_split(
        X, y, test_size=0.25, stratify=y if task.classes else None, random_state=seed
    )
    scaler = StandardScaler().fit(parts[0])
    X, X_test = (scaler.transform(part).astype(np.float32) for part in parts[:2])
    y, y_test = parts[2:]
    if not task.classes:
        mean, deviation = y.mean(), y.std()
        y, y_test = (((part - mean) / deviation).astype(np.float32) for part in (y, y_test))
    return Split(X, y, X_test, y_test, task.classes, seed)


def with_fastgd(data: Split) -> float:
    rules = ("softmax", "cross_entropy") if data.classes else ("identity", "mse")
    net = fastgd.Network(
        data.sizes, activation="relu", output=rules[0], loss=rules[1], seed=data.seed
    )
    net.fit(
        data.X, data.y, epochs=EPOCHS, optimizer="adam", validation_split=HELD_OUT,
        callbacks=[fastgd.EarlyStopping()],
    )  # fmt: skip
    return data.score(net.predict(data.X_test))


def with_keras(data: Split) -> float:
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(data.seed)
    n_in, n_hidden, n_out = data.sizes
    model = keras.Sequential(
        [
            keras.Input((n_in,)),
            keras.layers.Dense(n_hidden, activation="relu"),
            keras.layers.Dense(n_out, activation="softmax" if data.classes else None),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy" if data.classes else "mse")
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    # Keras holds out the last rows: those of a shuffled split.
    model.fit(data.X, data.y, epochs=EPOCHS, validation_split=HELD_OUT, callbacks=[stop], verbose=0)
    return data.score(np.asarray(model.predict(data.X_test, verbose=0)))


def with_sklearn(data: Split) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    model = (MLPClassifier if data.classes else MLPRegressor)(random_state=data.seed)
    with warnings.catch_warnings():  # it says where its 200 epochs are not enough
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data.X, data.y)
    return data.score(model.predict(data.X_test))


CONTESTANTS: dict[str, Callable[[Split], float]] = {
    "fastgd": with_fastgd,
    "keras": with_keras,
    "sklearn": with_sklearn,
}


def why_not(name: str) -> str | None:
    """Return None, or in one line why a contestant is left out."""
    if importlib.util.find_spec(name) is None:
        return f"{name} left out: it is not installed"
    if name == "keras" and not choose_keras_backend():
        return f"keras left out: it needs one of {', '.join(KERAS_BACKENDS)}"
    return None


def choose_keras_backend() -> str:
    """Return what Keras runs on, chosen where nobody has; empty where there is nothing."""
    found = [name for name in KERAS_BACKENDS if importlib.util.find_spec(name)]
    return os.environ.setdefault("KERAS_BACKEND", found[0]) if found else ""


def cell(scores: list[float], percent: bool) -> str:
    """Write the median of scores and their range.

    >>> cell([0.9, 0.97, 0.95], True), cell([0.5, 0.4], False)
    ('95.0 % (90.0 to 97.0)', '0.450 (0.400 to 0.500)')
    """
    median, low, high = statistics.median(scores), min(scores), max(scores)
    if percent:
        return f"{100 * median:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{median:.3f} ({low:.3f} to {high:.3f})"


def rows(names: list[str], n_seeds: int) -> Iterator[list[str]]:
    """Yield a table's rows as they are found."""
    for task in TASKS:
        splits = [split(task, seed) for seed in range(n_seeds)]
        scores = {name: [CONTESTANTS[name](data) for data in splits] for name in names}
        cells = [cell(scores[name], task.classes) for name in names]
        yield [f"{task.name}, {task.measure}", *cells]


def versions(names: list[str]) -> str:
    """Return which versions were measured."""
    found = [f"{name} {__import__(name).__version__}" for name in names]
    on = f", Keras on {os.environ['KERAS_BACKEND']}" if "keras" in names else ""
    return ", ".join(found) + on


def main(arguments: Any = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="splits and starts (default: 20)")
    n_seeds = parser.parse_args(arguments).seeds
    reasons = {name: why_not(name) for name in CONTESTANTS}
    names = [name for name, reason in reasons.items() if reason is None]
    if "sklearn" not in names:
        raise SystemExit("the data are scikit-learn's: pip install scikit-learn")
    print(f"| median of {n_seeds} (range) |", " | ".join(names), "|")
    print("|---" * (1 + len(names)) + "|")
    for row in rows(names, n_seeds):
        print("|", " | ".join(row), "|", flush=True)
    print()
    print(versions(names))
    for reason in filter(None, reasons.values()):
        print(reason)


if __name__ == "__main__":
    main()
