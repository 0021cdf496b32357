"""What can be wrong with the data: inputs unscaled or constant, outliers, unreachable targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastgd.explain.symptoms.case import Case, Finding

__all__ = [
    "constant_inputs", "inputs_not_scaled", "outliers", "squared_loss_for_classes",
    "targets_out_of_reach",
]  # fmt: skip

Array = np.ndarray

#: Root mean square of the scaled inputs: beyond these, z is far from the size activations expect.
LARGE, SMALL = 5.0, 0.02
#: How often the spread of one column may be that of another.
RATIO = 30.0
#: How many spreads a column may lie from 0.
OFF_CENTRE = 10.0
#: A column is looked at where at least this share of its values differ from its median.
BUSY = 0.1
#: From this robust z-score on a number is an outlier.
FAR = 10.0
#: The share of the cost, or of the targets' spread, that few outliers must make to matter.
MOST_OF_IT = 0.3
#: Few: at most this share of the examples.
FEW = 0.05


def inputs_not_scaled(case: Case) -> Iterator[Finding]:
    """Inputs far from size 1, columns of very different spread, columns far from 0.

    LeCun et al., Efficient BackProp, 1998, section 4.3: inputs should be centred and of equal
    variance.
    """
    X = case.inputs
    evidence, numbers, problem = [], {}, False
    rms = float(np.sqrt((X * X).mean()))
    busy = X[:, (np.median(X, axis=0) != X).mean(axis=0) >= BUSY]
    if rms > LARGE or 0 < rms < SMALL:
        problem = rms > 6 * LARGE
        evidence.append(
            f"as the network sees them they are of size {rms:.3g} (root mean square), not 1"
        )
        numbers["rms"] = rms
    spread = busy.std(axis=0)
    busy, spread = busy[:, spread > 0], spread[spread > 0]
    if len(spread) and spread.max() > RATIO * spread.min():
        evidence.append(
            f"one column spreads by {spread.max():.3g}, another by {spread.min():.3g} "
            f"(standard deviation), {spread.max() / spread.min():,.0f} times less"
        )
        numbers["spread_ratio"] = float(spread.max() / spread.min())
        problem = problem or spread.max() > RATIO**2 * spread.min()
    if len(spread):
        away = np.abs(busy.mean(axis=0)) / spread
        if away.max() > OFF_CENTRE:
            evidence.append(
                f"{_columns(int((away > OFF_CENTRE).sum()))} far from 0, up to {away.max():.3g} "
                f"times the column's own spread"
            )
            numbers["off_centre"] = float(away.max())
    if evidence:
        yield Finding(
            "inputs not scaled",
            "problem" if problem else "warning",
            "; ".join(evidence),
            "scale each column to mean 0 and standard deviation 1: fit(standardize=True), which "
            "keeps the training data's numbers for all data; for pixels input_scale=1/255 will do",
            numbers,
        )


def _columns(n: int) -> str:
    return "1 column lies" if n == 1 else f"{n:,} columns lie"


def constant_inputs(case: Case) -> Iterator[Finding]:
    """Columns that never change: they tell the examples apart in nothing."""
    X = case.inputs
    if len(X) < 2:
        return
    same = np.ptp(X, axis=0) == 0
    n, width, nonzero = int(same.sum()), X.shape[1], int((same & (X[0] != 0)).sum())
    if not n:
        return
    severity = "warning" if nonzero or n >= width / 2 else "note"
    severity = "problem" if n == width else severity
    examples = ", ".join(map(str, np.flatnonzero(same)[:5])) + (", ..." if n > 5 else "")
    what = "a second bias and nothing else" if nonzero else "without any effect"
    yield Finding(
        "constant inputs",
        severity,
        f"{n:,} of {width:,} columns have the same value in every example (X[:, {examples}])",
        f"leave them out: they are {what}" if n < width else "check how X was read: all rows agree",
        {"columns": n, "not_zero": nonzero},
    )


def outliers(case: Case) -> Iterator[Finding]:
    """A few targets or residuals far from the others, which the square makes most of the cost.

    Robust z-score: the distance from the median over 1.4826 times the median distance, which is
    the standard deviation where numbers are normal (Huber, Robust Statistics, 1981).
    """
    loss = case.network.architecture.loss
    if case.is_classification or not loss.squared or case.n < 20:
        return
    residuals = case.wanted - case.outputs
    squares = (residuals**2).sum(axis=1)
    spread = ((case.wanted - np.median(case.wanted, axis=0)) ** 2).sum(axis=1)
    for what, values, weight, whole in (
        ("residual", residuals, squares, "cost"),
        ("target", case.wanted, spread, "targets' squared spread"),
    ):
        score = _robust_z(values).max(axis=1)
        far = score > FAR
        share = float(weight[far].sum() / weight.sum()) if weight.sum() else 0.0
        if not far.any() or far.mean() > FEW or share < MOST_OF_IT:
            continue
        rows = np.flatnonzero(far)[np.argsort(-score[far], kind="stable")]
        listed = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
        yield Finding(
            "outliers",
            "problem" if share > 0.5 else "warning",
            f"{len(rows):,} of {case.n:,} examples (rows {listed}) make {share:.0%} of the {whole}:"
            f" their {what} lies up to {score.max():,.0f} robust standard deviations off",
            f"look at these rows; if they are slips, correct or leave them out; else take "
            f'loss="huber" or loss="absolute_error" ({str(loss)!r} squares each residual), or '
            f"learn the targets' logarithm",
            {"examples": len(rows), "share": share, "robust_z": float(score.max()), "rows": rows},
        )
        return


def squared_loss_for_classes(case: Case) -> Iterator[Finding]:
    """Classes under a squared loss, whose slope fades where an answer is sure and wrong.

    Nielsen, chapter 3, "The cross-entropy cost function".
    """
    a, wanted = case.network.architecture, case.wanted
    if not a.loss.squared or not ((wanted == 0) | (wanted == 1)).all() or len(wanted) < 2:
        return
    one_each = wanted.shape[1] > 1 and (wanted.sum(axis=1) == 1).all()
    output = "softmax" if one_each else "sigmoid"
    yield Finding(
        "squared loss for classes",
        "note",
        f"all targets are 0 or 1, classes, and loss {str(a.loss)!r} takes them for numbers",
        f'loss="cross_entropy" with output="{output}" usually learns classes in fewer epochs',
        {},
    )


def _robust_z(values: Array) -> Array:
    """Return distances from the median in robust standard deviations, 0 where there is none."""
    away = np.abs(values - np.median(values, axis=0))
    unit = 1.4826 * np.median(away, axis=0)
    return np.divide(away, unit, out=np.zeros_like(away), where=unit > 0)


def targets_out_of_reach(case: Case) -> Iterator[Finding]:
    """Targets that the output's activation cannot give."""
    output = case.network.architecture.output
    low, high = output.reach
    bounded = np.isfinite([low, high]).any() and not output.row_wise
    if not bounded or case.targets.are_classes:
        return
    outside = ((case.wanted < low) | (case.wanted > high)).any(axis=1)
    if not outside.any():
        return
    bounds = f"from {low:g} to {high:g}" if np.isfinite(high) else f"of at least {low:g}"
    yield Finding(
        "targets out of reach",
        "problem" if outside.mean() > FEW else "warning",
        f"a {output} output answers {bounds}; {int(outside.sum()):,} of {case.n:,} targets lie "
        f"outside: they go from {case.wanted.min():.4g} to {case.wanted.max():.4g}",
        'take output="identity" for numbers, or scale the targets into that range',
        {"examples": int(outside.sum()), "lowest": case.wanted.min(), "highest": case.wanted.max()},
    )
