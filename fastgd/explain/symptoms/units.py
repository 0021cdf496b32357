"""What can be wrong with the units: saturated, dead or copied, answers that collapse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastgd.engine.metrics import classes_of
from fastgd.explain.symptoms.case import Case, Finding
from fastgd.explain.units import END

__all__ = ["copies", "dead", "one_class", "saturated", "unequal_classes", "wrong_and_certain"]

Array = np.ndarray

#: A layer is saturated where this share of its activations, or of its units, is.
HALF, THIRD = 0.5, 1 / 3
#: The share of examples that may be answered wrongly with certainty.
CERTAIN = 0.1
#: The share of the other classes' examples that must be told apart from the commonest answer.
TOLD_APART = 0.05
#: Classes are unequal where one has so many times its share, or a missed one so much less.
UNEQUAL = 2.0
#: A class of fewer examples is not missed.
LEAST = 5


def saturated(case: Case) -> Iterator[Finding]:
    """Hidden sigmoid or tanh units at their flat ends, where backpropagation multiplies by ~0.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    2010, section 3.
    """
    for layer in case.health[:-1]:
        stuck = layer.stuck / layer.units
        if layer.saturated < HALF and stuck < THIRD:
            continue
        z = float(np.sqrt((case.layers.z[layer.layer - 1].astype(np.float64) ** 2).mean()))
        yield Finding(
            "saturated units",
            "problem" if max(layer.saturated, stuck) > 0.75 else "warning",
            f"in layer {layer.layer} {layer.saturated:.0%} of the {layer.activation} activations "
            f"lie within {END:g} of an end, {layer.stuck} of {layer.units} units for nearly every "
            f"example; z there is of size {z:.3g}, and the slope at an end is nearly 0",
            'start again with smaller weights (init="normal"), scaled inputs and a lower learning '
            "rate: a saturated unit hardly learns its way back",
            {"layer": layer.layer, "share": layer.saturated, "units": layer.stuck, "z": z},
        )


def dead(case: Case) -> Iterator[Finding]:
    """ReLUs that are zero for every example: their gradient is 0, so they stay so."""
    for layer in case.health:
        if not layer.dead:
            continue
        is_output = layer is case.health[-1]
        share = layer.dead / layer.units
        severity = "note" if share < THIRD else "problem" if share >= HALF else "warning"
        if is_output:
            severity = "problem"
        yield Finding(
            "dead units",
            severity,
            f"relu units in layer {layer.layer} that are zero for every one of "
            f"{len(case.inputs):,} examples, so that they get no gradient: {layer.dead} of "
            f"{layer.units}",
            'take output="identity"'
            if is_output
            else 'start again with a lower learning rate, init="he_normal" and scaled inputs; a '
            "few dead units do no harm",
            {"layer": layer.layer, "units": layer.dead, "share": share},
        )


def copies(case: Case) -> Iterator[Finding]:
    """Hidden units with the same weights: they get the same gradient and stay copies."""
    for layer in case.health[:-1]:
        if layer.copies:
            yield Finding(
                "copies",
                "problem" if layer.copies >= layer.units / 2 else "warning",
                f"layer {layer.layer} has {layer.units} units but only "
                f"{layer.units - layer.copies} different: the others are copies in all weights",
                'start from random weights, such as init="normal": copies get the same gradient '
                "and never part",
                {"layer": layer.layer, "copies": layer.copies},
            )


def wrong_and_certain(case: Case) -> Iterator[Finding]:
    """Outputs at the wrong end under a squared loss, where its slope is nearly 0.

    Nielsen, chapter 3, "The cross-entropy cost function": the learning slowdown.
    """
    a = case.network.architecture
    if not a.output.saturates or a.loss.joined:
        return
    low = a.output.reach[0]
    if ((case.wanted < low) | (case.wanted > 1)).mean() > CERTAIN:  # no end is the right one
        return
    at_end = (case.outputs <= low + END) | (case.outputs >= 1 - END)
    wrong = (at_end & (np.abs(case.outputs - case.wanted) > 0.5 * (1 - low))).any(axis=1)
    if wrong.mean() > CERTAIN:
        yield Finding(
            "saturated outputs",
            "problem" if wrong.mean() > HALF else "warning",
            f"{wrong.mean():.0%} of the examples have a {a.output} output within {END:g} of the "
            f"wrong end, where loss {str(a.loss)!r} has a slope of nearly 0",
            'start again with a lower learning rate, smaller weights (init="normal") and scaled '
            'inputs, or take loss="cross_entropy", whose slope stays',
            {"share": float(wrong.mean())},
        )


def class_counts(case: Case) -> Array | None:
    """Return how many examples each class has; None where targets are not one class each."""
    rows = case.wanted
    if not case.is_classification:
        return None
    if rows.shape[1] > 1 and (np.abs(rows.sum(axis=1) - 1) > 1e-3).any():
        return None
    return np.bincount(classes_of(rows), minlength=max(2, rows.shape[1]))


def unequal_classes(case: Case) -> bool:
    """Return whether the largest class has more than twice its share."""
    counts = class_counts(case)
    return counts is not None and bool(counts.max() > UNEQUAL * case.n / (counts > 0).sum())


def one_class(case: Case) -> Iterator[Finding]:
    """Answers that are (nearly) all the commonest class, or rare classes that are never answered.

    A network that has learned nothing, from classes of equal size, is `not_learned` instead.
    """
    counts = class_counts(case)
    if counts is None:
        return
    truth, answers = classes_of(case.wanted), classes_of(case.outputs)
    right = np.bincount(truth[truth == answers], minlength=len(counts))
    common = int(np.bincount(answers).argmax())
    others, told = case.n - int(counts[common]), int(right.sum() - right[common])
    missed = np.flatnonzero((counts >= LEAST) & (right == 0))
    unequal = unequal_classes(case) or (counts[missed] < case.n / len(counts) / UNEQUAL).any()
    if case.has_not_learned and not unequal:
        return
    sizes, advice = "", "train longer, from other random weights, or take more hidden units"
    if unequal:
        sizes = f"; classes have from {counts[counts > 0].min():,} to {counts.max():,} examples"
        advice = (
            "repeat the rows of rare classes until all are as frequent, and judge by the accuracy "
            "of each class"
        )
    numbers = {"class": common, "missed": missed, "counts": counts}
    if others >= LEAST and told <= TOLD_APART * others:
        evidence = (
            f"{(answers == common).mean():.1%} of the answers are class {common}, which "
            f"{counts[common] / case.n:.1%} of the examples are; of the {others:,} others "
            f"{told:,} are told right{sizes}"
        )
        yield Finding("one class", "problem", evidence, advice, numbers)
    elif len(missed):
        listed = ", ".join(map(str, missed[:5])) + (", ..." if len(missed) > 5 else "")
        evidence = (
            f"of the {int(counts[missed].sum()):,} examples of class {listed} none is told "
            f"right{sizes}"
        )
        yield Finding("classes never answered", "warning", evidence, advice, numbers)
