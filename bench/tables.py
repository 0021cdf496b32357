"""fastgd's defaults on real tables, beside scikit-learn's and RealMLP-TD-S's.

    python bench/tables.py --results results.json

Every contestant is given the same rows: five folds, drawn anew for each seed (of each class alike),
the network's seed being the fold's. What is shown is the mean over all of them, and the mean
difference from fastgd with its standard error over the pairs.

- fastgd: ``fastgd.train(frame, target=..., holdout=0)``: the folds hold rows out already; nothing
  else is said;
- scikit-learn: ``MLPClassifier()`` and ``MLPRegressor()`` behind the usual ColumnTransformer
  (median, an indicator for gaps, StandardScaler; most frequent, OneHotEncoder), and beside it, for
  numbers, the same with the target standardised too (which its defaults do not do);
- RealMLP-TD-S (Holzmueller, Grinsztajn and Steinwart 2024) of pytabkit, with the gaps filled as
  above, for it accepts none;
- the constant answer: the commonest class, the mean.

Results are kept in a JSON file and made where they are missing, so that a run can go on later.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("FASTGD_NUM_THREADS", "1")

import numpy as np
from table_sets import SETS, TableSet

Array = np.ndarray
FOLDS = 5
#: More rows than that are many: they get fewer seeds, --seeds-of-large.
LARGE = 10_000


@dataclass(frozen=True)
class Part:
    """What a contestant trains on and is scored on."""

    X: Any
    y: Array  # labels as text, or numbers
    X_test: Any
    y_test: Array
    classes: bool
    seed: int


def parts(one: TableSet, seed: int) -> Iterator[Part]:
    """Yield the folds of a seed."""
    from sklearn.model_selection import KFold, StratifiedKFold

    frame = one.frame()
    y = frame[one.target].astype(str if one.classes else float).to_numpy()
    X = frame.drop(columns=one.target)
    folds = (StratifiedKFold if one.classes else KFold)(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(X, y):
        yield Part(X.iloc[train], y[train], X.iloc[test], y[test], one.classes, seed)


def judge(part: Part, answers: Array, chances: Array | None, labels: Any) -> dict[str, float]:
    """Return accuracy and log loss, or R^2 and RMSE in the target's deviations."""
    from sklearn.metrics import accuracy_score, log_loss, r2_score

    if not part.classes:
        r2 = float(r2_score(part.y_test, answers))
        rmse = float(np.sqrt(np.mean((part.y_test - answers) ** 2)))
        return {"score": r2, "cost": rmse / float(part.y.std())}
    score = float(accuracy_score(part.y_test, answers))
    cost = log_loss(part.y_test, chances, labels=list(labels)) if chances is not None else math.nan
    return {"score": score, "cost": float(cost)}


def with_fastgd(part: Part) -> dict[str, float]:
    import fastgd

    target = "the answer"
    frame = part.X.assign(**{target: part.y})
    model = fastgd.train(frame, target=target, holdout=0, seed=part.seed, verbose=False)
    answers = np.asarray(model.predict(part.X_test))
    if not part.classes:
        return judge(part, answers.astype(float).ravel(), None, None)
    return judge(part, answers.astype(str), model.predict_proba(part.X_test), np.unique(part.y))


def columns_of(X: Any, numbers: list[Any]) -> Any:
    """Return the usual ColumnTransformer for a frame."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    number = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    text = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    rest = [name for name in X if name not in numbers]
    return make_column_transformer((number, numbers), (text, rest))


def numbers_of(X: Any) -> list[Any]:
    return list(X.select_dtypes("number").columns)


def with_sklearn(part: Part, scaled: bool = False) -> dict[str, float]:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network: Any = (MLPClassifier if part.classes else MLPRegressor)(random_state=part.seed)
    if scaled:
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    model = make_pipeline(columns_of(part.X, numbers_of(part.X)), network)
    with warnings.catch_warnings():  # it says where its 200 epochs are not enough, and new words
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        model.fit(part.X, part.y)
        chances = model.predict_proba(part.X_test) if part.classes else None
        return judge(part, model.predict(part.X_test), chances, np.unique(part.y))


def with_sklearn_scaled(part: Part) -> dict[str, float]:
    return with_sklearn(part, scaled=True)


def with_realmlp(part: Part) -> dict[str, float]:
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    numbers = numbers_of(part.X)
    X, X_test = part.X.copy(), part.X_test.copy()
    for name in numbers:
        missing = X[name].isna()
        for frame in (X, X_test):
            if missing.any():
                frame[f"{name} is missing"] = frame[name].isna().astype(float)
            frame[name] = frame[name].fillna(X[name].median()).astype(float)
    rest = [name for name in part.X if name not in numbers]
    for frame in (X, X_test):
        frame[rest] = frame[rest].astype(object).fillna("missing").astype(str)
    kind = RealMLP_TD_S_Classifier if part.classes else RealMLP_TD_S_Regressor
    model = kind(device="cpu", random_state=part.seed, n_threads=1, verbosity=0)
    model.fit(X, part.y, cat_col_names=rest)
    chances = model.predict_proba(X_test) if part.classes else None
    return judge(part, model.predict(X_test), chances, np.unique(part.y))


def with_constant(part: Part) -> dict[str, float]:
    if not part.classes:
        return judge(part, np.full(len(part.y_test), part.y.mean()), None, None)
    labels, counts = np.unique(part.y, return_counts=True)
    chances = np.tile(counts / counts.sum(), (len(part.y_test), 1))
    answers = np.full(len(part.y_test), labels[counts.argmax()])
    return judge(part, answers, chances, labels)


SCALED = "sklearn, target scaled"
CONTESTANTS: dict[str, Callable[[Part], dict[str, float]]] = {
    "fastgd": with_fastgd,
    "sklearn": with_sklearn,
    SCALED: with_sklearn_scaled,
    "RealMLP-TD-S": with_realmlp,
    "constant": with_constant,
}


class Results:
    """What was measured so far: {set: {contestant: {"seed/fold": {score, cost, seconds}}}}."""

    def __init__(self, path: Path | None):
        self.path = path
        self.found: dict[str, Any] = {}
        if path is not None and path.exists():
            self.found = json.loads(path.read_text())

    def of(self, name: str, contestant: str) -> dict[str, dict[str, float]]:
        """Return what one contestant reached on one set."""
        return self.found.setdefault(name, {}).setdefault(contestant, {})

    def complete(self, one: TableSet, contestant: str, n_seeds: int) -> None:
        """Measure what is missing."""
        done = self.of(one.name, contestant)
        for seed in range(n_seeds):
            if all(f"{seed}/{fold}" in done for fold in range(FOLDS)):
                continue
            for fold, part in enumerate(parts(one, seed)):
                if f"{seed}/{fold}" not in done:
                    started = time.perf_counter()
                    result = CONTESTANTS[contestant](part)
                    result["seconds"] = time.perf_counter() - started
                    done[f"{seed}/{fold}"] = result
                    self.save()

    def save(self) -> None:
        """Write all down, whole or not at all."""
        if self.path is not None:
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(self.found, indent=1))
            new.replace(self.path)

    def difference(self, name: str, other: str, measure: str = "score") -> tuple[float, float, int]:
        """Return fastgd minus another: mean, standard error, pairs."""
        ours, theirs = self.of(name, "fastgd"), self.of(name, other)
        gaps = [ours[key][measure] - theirs[key][measure] for key in ours if key in theirs]
        if len(gaps) < 2:
            return math.nan, math.nan, len(gaps)
        return statistics.mean(gaps), statistics.stdev(gaps) / math.sqrt(len(gaps)), len(gaps)

    def mean(self, name: str, contestant: str, measure: str) -> float:
        """Return a contestant's mean."""
        values = [result[measure] for result in self.of(name, contestant).values()]
        return statistics.mean(values) if values else math.nan


def cell(mean: float, error: float) -> str:
    """Write a difference; bold where it is worse by more than its standard error.

    >>> cell(0.0123, 0.004), cell(-0.02, 0.004)
    ('+0.012 ± 0.004', '**-0.020 ± 0.004**')
    """
    if math.isnan(mean):
        return "-"
    text = f"{mean:+.3f} ± {error:.3f}"
    return f"**{text}**" if mean < -error else text


def rows(results: Results, sets: list[TableSet], rivals: list[str]) -> Iterator[list[str]]:
    """Yield the table's rows."""
    for one in sets:
        ours = results.of(one.name, "fastgd")
        means = [results.mean(one.name, name, "score") for name in ("constant", "fastgd")]
        worst = min((result["score"] for result in ours.values()), default=math.nan)
        gaps = [cell(*results.difference(one.name, name)[:2]) for name in rivals]
        pairs = [str(results.difference(one.name, name)[2]) for name in rivals]
        seconds = [results.mean(one.name, name, "seconds") for name in ("fastgd", *rivals)]
        yield [
            one.name, f"{len(one.frame()):,}", "accuracy" if one.classes else "R²",
            *(f"{mean:.3f}" for mean in means), f"{worst:.3f}", *gaps, "/".join(pairs),
            " / ".join("-" if math.isnan(s) else f"{s:.2g}" if s < 10 else f"{s:.0f}"
                       for s in seconds),
        ]  # fmt: skip


def tally(results: Results, sets: list[TableSet], rival: str) -> str:
    """Say on how many sets fastgd is better, level within a standard error, and worse."""
    found = [results.difference(one.name, rival) for one in sets]
    found = [gap for gap in found if gap[2] > 1]
    better = sum(mean > error for mean, error, _ in found)
    worse = sum(mean < -error for mean, error, _ in found)
    at_least = sum(mean >= 0 for mean, _, _ in found)
    return (
        f"against {rival}, of {len(found)} sets: {better} better, {len(found) - better - worse} "
        f"within one standard error, {worse} worse; better or equal in the mean on {at_least}"
    )


def report(results: Results, sets: list[TableSet], rivals: list[str], brief: bool = False) -> str:
    """Return the table in Markdown, and what it comes to."""
    seconds = "seconds: fastgd / " + " / ".join(rivals)
    heads = ["set", "rows", "measure", "constant", "fastgd", "its worst", *rivals, "pairs", seconds]
    left_out = ("constant", "its worst", "pairs", seconds) if brief else ()
    kept = [i for i, head in enumerate(heads) if head not in left_out]
    table = [heads, ["---"] * len(heads), *rows(results, sets, rivals)]
    lines = [f"| {' | '.join(row[i] for i in kept)} |" for row in table]
    return "\n".join([*lines, "", *(tally(results, sets, name) + "  " for name in rivals)])


def main(arguments: Any = None) -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, help="JSON file to keep results in and go on from")
    parser.add_argument("--seeds", type=int, default=5, help="default: 5")
    parser.add_argument(
        "--seeds-of-large", type=int, default=1, help=f"above {LARGE:,} rows (default: 1)"
    )
    parser.add_argument("--seeds-of-realmlp", type=int, default=1, help="default: 1")
    parser.add_argument("--sets", help="names, with commas between (default: all)")
    parser.add_argument("--contestants", help="names, with semicolons between (default: all)")
    parser.add_argument("--quick", action="store_true", help="three small sets, one seed")
    parser.add_argument("--show", action="store_true", help="print what is known, measure nothing")
    parser.add_argument("--brief", action="store_true", help="the columns that README shows")
    given = parser.parse_args(arguments)
    wanted = given.sets.split(",") if given.sets else [one.name for one in SETS]
    if given.quick:
        wanted, given.seeds = ["iris", "penguins", "cars"], 1
    sets = [one for one in SETS if one.name in wanted]
    names = given.contestants.split(";") if given.contestants else list(CONTESTANTS)
    results = Results(given.results)
    for one in [] if given.show else sets:
        large = len(one.frame()) > LARGE
        for name in names:
            if name == SCALED and one.classes:
                continue  # classes are not scaled
            seeds = min(given.seeds, given.seeds_of_large) if large else given.seeds
            if name == "RealMLP-TD-S":
                seeds = min(seeds, given.seeds_of_realmlp)
            results.complete(one, name, seeds)
            print(one.name, name, f"{results.mean(one.name, name, 'score'):.4f}",
                  f"{results.mean(one.name, name, 'seconds'):.2f} s", flush=True)  # fmt: skip
    rivals = [name for name in CONTESTANTS if name not in ("fastgd", "constant")]
    print(report(results, sets, rivals, given.brief))


if __name__ == "__main__":
    main()
