"""What can be wrong with the training: a rate too high or too low, overfitting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import classes_of
from fastgd.errors import DivergenceError
from fastgd.explain.overfitting import overfitting
from fastgd.explain.symptoms.case import Case, Finding, per_example
from fastgd.explain.symptoms.units import unequal_classes

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Trial", "not_learned", "overfits", "rate_too_high", "rate_too_low"]

#: How many steps a copy makes at each rate, fewer where that is much work (multiplications), and
#: on how many examples at most.
STEPS, FEWEST, WORK, EXAMPLES = 300, 30, 1 << 31, 2000
#: The rates that are tried, as multiples of the one in question.
FACTORS = (1.0, 0.1, 0.01, 0.001, 10.0, 100.0)
#: A cost that rises by more than this share counts as risen.
RISE = 0.05
#: An epoch in four that rises is an oscillation.
OFTEN = 0.25
#: Costs are far apart where they differ by this share of the cost of a constant answer.
MUCH = 0.02
#: Scores are far apart from this on.
GAP = 0.1
#: The validation cost may rise by this share above its least before it is a warning.
OVERFIT = 0.5
#: Half of that will do where the score falls by so much. It must have lasted for some epochs.
FALL, LASTS = 0.02, 3


@dataclass(frozen=True)
class Trial:
    """What some steps do to copies of the network, or of a new one like it, at several rates.

    Costs are per example, over the same examples. A cost that diverged is infinite.

    Attributes
    ----------
    start : str
        Where the copies start, in words.
    rate : float
        The rate in question.
    steps : int
    before : float
        The cost before the steps.
    after : dict of float to float
        The cost after them, by the factor of the rate.
    """

    start: str
    rate: float
    steps: int
    before: float
    after: dict[float, float]

    @property
    def best_lower(self) -> float:
        """The factor below 1 after which the cost is least."""
        return min((f for f in FACTORS if f < 1), key=lambda f: self.after[f])

    @property
    def best_higher(self) -> float:
        """The factor above 1 after which the cost is least."""
        return min((f for f in FACTORS if f > 1), key=lambda f: self.after[f])

    def describe(self, factor: float) -> str:
        """Say what the steps did at the rate, and at another one."""
        costs = [f"{c:.4g}" if np.isfinite(c) else "infinity" for c in self.after.values()]
        after = dict(zip(self.after, costs, strict=True))
        return (
            f"{self.steps} steps {self.start} at rate {self.rate:g} take the cost per example "
            f"from {self.before:.4g} to {after[1.0]}; at rate {factor * self.rate:g} to "
            f"{after[factor]}"
        )


def trials(case: Case) -> list[Trial]:
    """Return what `_trials` found, which is tried once for each case."""
    if case.tried is None:
        case.tried = _trials(case)
    return case.tried


def _trials(case: Case) -> list[Trial]:
    """Let copies of the network make a few steps; none where no rate is known.

    A network that has learned nothing may be stuck, so that no rate does anything to it; then a
    new one like it is tried, too.
    """
    rate = case.rate
    if not rate:
        return []
    networks = {}
    if np.isfinite(case.cost):
        networks["on a copy"] = case.network
    if case.has_not_learned:
        networks["from a new start"] = case.network.like(seed=case.seed)
    X, y = case.X_sample, case.y_sample
    if len(y) > EXAMPLES:
        rows = np.sort(np.random.default_rng(case.seed).permutation(len(y))[:EXAMPLES])
        X, y = X[rows], y[rows]
    return [_trial(case, start, network, X, y, rate) for start, network in networks.items()]


def _trial(case: Case, start: str, network: Network, X: Any, y: Any, rate: float) -> Trial:
    steps, after = 0, {}
    for factor in FACTORS:
        tried = replace(case.optimizer, learning_rate=rate * factor)  # type: ignore[type-var]
        steps, after[factor] = _try(case, network, X, y, tried)
    before = per_example(network, network.loss(X, y), len(y))
    return Trial(start, rate, steps, before, after)


def _try(case: Case, given: Network, X: Any, y: Any, optimizer: Any) -> tuple[int, float]:
    """Return how many steps a copy made, and its cost then."""
    network = given.copy()
    network.state.rng = np.random.default_rng(case.seed)
    all_X, all_y, batch_size = X, y, min(case.batch_size, len(y))
    work = 3 * network.n_parameters * batch_size  # forward, backward, gradient
    steps = min(STEPS, max(FEWEST, WORK // work))
    X, y = X[: steps * batch_size], y[: steps * batch_size]
    an_epoch = -(-len(y) // batch_size)
    epochs = -(-steps // an_epoch)
    try:
        network.fit(X, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer)
        cost = per_example(network, network.loss(all_X, all_y), len(all_y))
    except DivergenceError:
        cost = np.inf
    return epochs * an_epoch, cost if np.isfinite(cost) else np.inf


def rate_too_high(case: Case) -> Iterator[Finding]:
    """A cost that is not finite, rises or oscillates, or steps that raise it on a copy."""
    evidence: list[str] = []
    numbers: dict[str, Any] = {}
    if case.diverged:
        evidence.append(f"training ended because {case.diverged}")
        numbers["diverged"] = True
    elif not np.isfinite(case.cost):
        evidence.append(f"the cost is {case.cost}")
        numbers["diverged"] = True
    if case.history is not None:
        said, found = _unsteady(np.array(case.history["cost"], dtype=np.float64), case)
        evidence += said
        numbers.update(found)
    rate, lower = case.rate, 0.1
    for trial in trials(case):
        if _overshoots(trial, case.baseline):
            lower = trial.best_lower
            evidence.append(trial.describe(lower))
            numbers.update(before=trial.before, after=trial.after[1.0], lower=trial.after[lower])
            break
    if evidence:
        advice = "a learning rate ten times lower"
        if rate is not None:
            advice = f"a learning rate of {lower * rate:g} instead of {rate:g}"
        yield Finding(
            "learning rate too high",
            "problem",
            "; ".join(evidence),
            f"start again with {advice}; scale the inputs first if they are not",
            numbers,
        )


def _overshoots(tried: Trial, baseline: float) -> bool:
    """Return whether a lower rate does better, or the cost rises, by a lot."""
    after, lower, much = tried.after[1.0], tried.after[tried.best_lower], MUCH * baseline
    rises = after > (1 + RISE) * tried.before + much and lower < after
    return rises or (lower < 0.8 * after and after - lower > 5 * much)


def _unsteady(cost: np.ndarray, case: Case) -> tuple[list[str], dict[str, float]]:
    """Say whether a history rises at the end, or goes up and down."""
    if len(cost) < 4 or not np.isfinite(cost).all() or cost.max() <= 0:
        return [], {}
    tail, least = max(1, len(cost) // 10), int(cost.argmin())
    last = float(np.median(cost[-tail:]))
    before_the_end = least < len(cost) - tail
    if before_the_end and last > 1.2 * cost[least] and last - cost[least] > RISE * cost.max():
        words = (
            f"the training cost rises: {cost[least]:.4g} in epoch {least + 1}, {last:.4g} at the "
            f"end"
        )
        return [words], {"least": float(cost[least]), "last": last}
    up = np.diff(cost) > RISE * cost[:-1]
    if up.mean() >= OFTEN and cost[len(cost) // 2 :].mean() > RISE * cost.max():
        words = (
            f"the training cost oscillates: it rose by more than {RISE:.0%} in {up.sum()} of "
            f"{len(up)} epochs"
        )
        return [words], {"rises": int(up.sum())}
    return [], {}


def rate_too_low(case: Case) -> Iterator[Finding]:
    """A rate ten or a hundred times as high takes the cost down much further."""
    for trial in trials(case):
        if _overshoots(trial, case.baseline):
            return
        higher = trial.best_higher
        after, better = trial.after[1.0], trial.after[higher]
        if not (
            better < 2 / 3 * min(after, trial.before) and after - better > 10 * MUCH * case.baseline
        ):
            continue
        yield Finding(
            "learning rate too low",
            "warning",
            trial.describe(higher),
            f"a learning rate of {higher * trial.rate:g} instead of {trial.rate:g}",
            {"before": trial.before, "after": after, "higher": better},
        )
        return


def not_learned(case: Case) -> Iterator[Finding]:
    """A cost hardly below that of the best answer that is the same for every example."""
    if not case.has_not_learned or not np.isfinite(case.cost) or unequal_classes(case):
        return
    answers = ""
    if case.is_classification:
        common = np.bincount(classes_of(case.outputs)).max() / case.n
        answers = f"; {common:.0%} of the answers are the same class"
    yield Finding(
        "has not learned",
        "warning",
        f"the cost per example is {case.cost:.4g}, the best answer that is the same for every "
        f"example costs {case.baseline:.4g}{answers}",
        "mend what stands above first, if anything; then more epochs, other rates (ten times and "
        "a tenth), more hidden units",
        {"cost": case.cost, "baseline": case.baseline},
    )


def overfits(case: Case) -> Iterator[Finding]:
    """A validation cost that rises while the training cost falls, or a gap of the scores."""
    evidence: list[str] = []
    numbers: dict[str, Any] = {}
    severity = "note"
    history, validation = case.history, case.validation
    if history is not None and len(history.get("validation_cost", ())) == len(history["cost"]) > 0:
        past = overfitting(history)
        if past.begins is not None:
            rise = past.last / past.least - 1 if past.least > 0 else np.inf
            fell = (past.score_then or 0) - (past.score_last or 0)
            lasts = past.epochs - past.begins >= LASTS
            severity = (
                "warning"
                if lasts and (rise > OVERFIT or (rise > OVERFIT / 2 and fell > FALL))
                else "note"
            )
            evidence.append(
                f"since epoch {past.begins} the validation cost rose from {past.least:.4g} to "
                f"{past.last:.4g} while the training cost fell from {past.training_then:.4g} to "
                f"{past.training_last:.4g}"
            )
            numbers.update(begins=past.begins, rise=rise)
    if validation is not None and case.score - validation[1] > GAP:
        severity = "problem" if case.score - validation[1] > 2 * GAP else "warning"
        evidence.append(
            f"the {case.score_name} is {case.score:.4f} on the training data and "
            f"{validation[1]:.4f} on the validation data, the cost per example {case.cost:.4g} "
            f"and {validation[0]:.4g}"
        )
        numbers.update(score=case.score, validation_score=validation[1])
    if evidence:
        stop = f"stop after epoch {numbers['begins']}" if "begins" in numbers else "stop earlier"
        yield Finding(
            "overfitting",
            severity,
            "; ".join(evidence),
            f"{stop}, take more examples, fewer hidden units, or a penalty on large weights: "
            "SGD(l2=0.001)",
            numbers,
        )
