"""What each part of the recipe is worth: the same fits with one thing changed.

    python bench/defaults.py

Twelve of the sets of bench/tables.py, three of five folds. Columns are made inputs as
scikit-learn's contestants have them, and all is standardised, so that nothing but the part in
question differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from table_sets import SETS, TableSet
from tables import Part, columns_of, numbers_of, parts

import fastgd
from fastgd.recipe import Recipe, choose

Array = np.ndarray
NAMES = ("glass", "election", "weather", "mortgages", "Chile", "tips", "cars", "quakes",
         "diabetes", "Boston", "houses", "computers")  # fmt: skip
FOLDS = 3
#: No input is further from its mean, in deviations.
FURTHEST = 10.0


def optimizer(**settings: Any) -> Callable[[Recipe], Recipe]:
    """Return what changes settings of a recipe's optimizer."""
    return lambda recipe: dataclasses.replace(
        recipe, optimizer=dataclasses.replace(recipe.optimizer, **settings)
    )


def recipe(**settings: Any) -> Callable[[Recipe], Recipe]:
    """Return what changes settings of a recipe."""
    return lambda recipe: dataclasses.replace(recipe, **settings)


def smoothed(recipe: Recipe) -> Recipe:
    loss = fastgd.CrossEntropy(label_smoothing=0.1)
    return recipe if recipe.task == "numbers" else dataclasses.replace(recipe, loss=loss)


def doubled_batch(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, batch_size=2 * recipe.batch_size)


VARIANTS: dict[str, Callable[[Recipe], Recipe]] = {
    "the recipe": recipe(),
    "AdamW's usual weight decay, 0.01": optimizer(weight_decay=0.01),
    "weight decay 0.5 everywhere": optimizer(weight_decay=0.5),
    "weight decay 2 everywhere": optimizer(weight_decay=2.0),
    "a constant rate": optimizer(learning_rate=0.001),
    "RealMLP's schedule, CosLog": optimizer(learning_rate=fastgd.CosLog(0.002)),
    "CosLog, a fifth held out, best epoch": optimizer(learning_rate=fastgd.CosLog(0.002)),
    "labels smoothed by 0.1": smoothed,
    "smooth clipping of inputs (at 3)": recipe(),
    "silu units": recipe(activation="silu"),
    "one hidden layer": recipe(hidden=(128,)),
    "three hidden layers": recipe(hidden=(128, 128, 128)),
    "batches twice as large": doubled_batch,
}
HOLDS_OUT, CLIPS = "CosLog, a fifth held out, best epoch", "smooth clipping of inputs (at 3)"


def arrays(part: Part) -> tuple[Array, Array, Array, Array]:
    """Return X, y, X_test, y_test: standardised inputs; classes, or standardised numbers."""
    made = columns_of(part.X, numbers_of(part.X)).set_params(sparse_threshold=0).fit(part.X)
    X, X_test = (np.asarray(made.transform(frame), float) for frame in (part.X, part.X_test))
    mean, furthest = X.mean(axis=0), np.abs(X - X.mean(axis=0)).max(axis=0)
    scale = np.maximum(X.std(axis=0), furthest / FURTHEST)
    scale[scale == 0] = 1
    X, X_test = ((A - mean) / scale for A in (X, X_test))
    if part.classes:
        labels, y = np.unique(part.y, return_inverse=True)
        return X, y, X_test, np.searchsorted(labels, part.y_test)
    y, y_test = ((y - part.y.mean()) / part.y.std() for y in (part.y, part.y_test))
    return X, y, X_test, y_test


def score(name: str, part: Part) -> tuple[float, float]:
    """Return the score of a variant, and the seconds it took."""
    X, y, X_test, y_test = arrays(part)
    task = "classes" if part.classes else "numbers"
    n_outputs = int(y.max()) + 1 if part.classes else 1
    made = VARIANTS[name](choose(task, len(X), X.shape[1], n_outputs))
    if name == CLIPS:
        X, X_test = (A / np.sqrt(1 + (A / 3) ** 2) for A in (X, X_test))
    started = time.perf_counter()
    net = fastgd.Network(made.sizes, **made.rules, seed=part.seed)
    held_out: dict[str, Any] = {}
    if name == HOLDS_OUT:
        held_out = {"validation_split": 0.2, "callbacks": [fastgd.BestParameters()]}
    net.fit(
        X.astype(np.float32), y, epochs=made.epochs, batch_size=made.batch_size,
        optimizer=made.optimizer, **held_out,
    )  # fmt: skip
    return net.score(X_test.astype(np.float32), y_test), time.perf_counter() - started


def gap(scores: list[float], usual: list[float]) -> str:
    """Write the mean difference of scores, with its standard error over the fits.

    >>> gap([0.5, 0.6], [0.5, 0.5])
    '+0.050 ± 0.050'
    """
    gaps = [a - b for a, b in zip(scores, usual, strict=True)]
    return f"{statistics.mean(gaps):+.3f} ± {statistics.stdev(gaps) / math.sqrt(len(gaps)):.3f}"


def main(arguments: Any = None) -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(arguments)
    sets: list[TableSet] = [one for one in SETS if one.name in NAMES]
    print("| | accuracy | R² | seconds |\n|---|---|---|---|")
    usual: list[tuple[bool, float]] = []
    for name in VARIANTS:
        found, seconds = [], 0.0
        for one in sets:
            for _, part in zip(range(FOLDS), parts(one, seed=0), strict=False):
                reached, took = score(name, part)
                found.append((one.classes, reached))
                seconds += took
        usual = usual or found
        cells = []
        for classes in (True, False):
            ours, theirs = ([s for kind, s in a if kind == classes] for a in (found, usual))
            cells.append(f"{statistics.mean(ours):.3f}" if found is usual else gap(ours, theirs))
        print(f"| {name} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
