"""What is wrong with a network that does not train, with the evidence, and what to try."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingTypeError
from fastgd.explain.columns import columns
from fastgd.explain.symptoms import data, training, units
from fastgd.explain.symptoms.case import SEVERITIES, Case, Finding, LayerHealth
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.checks import check_integer
from fastgd.rules.optimizers import Optimizer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Diagnosis", "Finding", "LayerHealth", "diagnose"]

#: How wide the report is.
WIDTH = 92

#: What the columns of the table count.
MEANING = (
    "(saturated: activations within 0.01 of an end, where sure outputs lie; stuck: units\n"
    "saturated for nearly every example; dead: units zero for every example)"
)

#: Every symptom, in the order in which one would mend them.
SYMPTOMS = (
    data.constant_inputs,
    data.inputs_not_scaled,
    data.targets_out_of_reach,
    data.outliers,
    data.squared_loss_for_classes,
    training.rate_too_high,
    training.rate_too_low,
    units.copies,
    units.saturated,
    units.wrong_and_certain,
    units.dead,
    units.one_class,
    training.overfits,
    training.not_learned,
)


@dataclass(frozen=True)
class Diagnosis:
    """What was found; printing it gives a report.

    Attributes
    ----------
    findings : list of Finding
        What is wrong, the worst first.
    notes : list of Finding
        What is worth knowing and does no harm.
    layers : list of LayerHealth
        Saturated, dead and copied units of each layer, the output last.
    cost, baseline : float
        The cost per example; and that of the best answer that is the same for every example.
    score, score_name : float, str
    validation_cost, validation_score : float or None
    examples : int
    words : str
        The network in a few words.
    a : list of ndarray
        Each layer's activations for the examples that were looked at, as `layers` returns them.
    """

    findings: list[Finding]
    notes: list[Finding]
    layers: list[LayerHealth]
    cost: float
    baseline: float
    score: float
    score_name: str
    validation_cost: float | None
    validation_score: float | None
    examples: int
    words: str
    a: list[np.ndarray] = field(repr=False)

    @property
    def healthy(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.findings

    @property
    def names(self) -> list[str]:
        """The names of the findings."""
        return [finding.name for finding in self.findings]

    def __str__(self) -> str:
        lines = [self.words]
        lines.append(
            f"cost per example {self.cost:.4g} ({self.baseline:.4g} for the best constant answer), "
            f"{self.score_name} {self.score:.4g} on {self.examples:,} examples"
        )
        if self.validation_cost is not None:
            lines.append(
                f"cost per example {self.validation_cost:.4g}, {self.score_name} "
                f"{self.validation_score:.4g} on the validation data"
            )
        layers = [_row(layer) for layer in self.layers]
        layers[-1][0] += " output"
        header = ["layer", "units", "saturated", "stuck", "dead", "copies"]
        lines += ["", columns(header, layers), MEANING, ""]
        if self.healthy:
            lines.append("nothing wrong found")
        for i, finding in enumerate(self.findings, 1):
            lines += [f"{i}. {finding.name} ({finding.severity})", *_explained(finding)]
        for note in self.notes:
            lines += [f"worth knowing: {note.name}", *_explained(note)]
        return "\n".join(lines)


def _row(layer: LayerHealth) -> list[str]:
    rule = ACTIVATIONS.find(layer.activation)
    bounded, relu = rule.saturates, rule.dies
    return [
        f"{layer.layer} {layer.activation}",
        str(layer.units),
        f"{layer.saturated:.1%}" if bounded else "-",
        str(layer.stuck) if bounded else "-",
        str(layer.dead) if relu else "-",
        str(layer.copies),
    ]


def _explained(finding: Finding) -> list[str]:
    return [
        textwrap.fill(text, WIDTH, initial_indent=f"   {label:<9}", subsequent_indent=" " * 12)
        for label, text in (("evidence", finding.evidence), ("try", finding.advice))
    ]


def diagnose(
    network: Network,
    X: Any,
    y: Any,
    *,
    validation_data: tuple[Any, Any] | None = None,
    history: Any = None,
    optimizer: str | Optimizer | None = None,
    learning_rate: float | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> Diagnosis:
    """Say what is wrong with a network, its data or its training, and what to try.

    It looks for: a learning rate too high or too low, saturated, dead and copied units, inputs not
    scaled or constant, outliers under a squared loss, targets the output cannot reach, answers
    that collapse to one class, and overfitting. The more it is given, the more it can find. The
    network is never changed: steps are tried on copies.

    Parameters
    ----------
    network : Network
        Best after some training: a new network has not learned anything.
    X, y : array
        What it is trained on, as in `Network.fit`. Activations and inputs are looked at for at
        most 10,000 examples, drawn by ``seed``.
    validation_data : tuple (X, y), optional
        Examples it is not trained on; needed to find overfitting.
    history : History, mapping or DivergenceError, optional
        What `Network.fit` returned or raised.
    optimizer : Optimizer or str, optional
        What it is trained with; needed to try its rate on copies.
    learning_rate : float, optional
        The same as ``optimizer=SGD(learning_rate)``; by default the last one of ``history``.
    batch_size : int, default 32
        Of the steps on copies.
    seed : int, default 0
        Of what is drawn.

    Returns
    -------
    Diagnosis

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.diagnose import diagnose
    >>> net = fastgd.Network([64, 30, 10], init="zeros")
    >>> digits = fastgd.data.load("digits")
    >>> found = diagnose(net, digits.X, digits.y)
    >>> found.healthy, found.names
    (False, ['copies', 'inputs not scaled', 'has not learned'])
    >>> print(found.findings[0].evidence)
    layer 1 has 30 units but only 1 different: the others are copies in all weights
    """
    if not hasattr(network, "architecture"):
        raise SettingTypeError("network", f"must be a fastgd.Network; got {type(network).__name__}")
    check_integer("batch_size", batch_size, 1)
    check_integer("seed", seed, 0)
    case = Case.of(
        network, X, y, validation_data, history, optimizer, learning_rate, batch_size, seed
    )
    with np.errstate(over="ignore", invalid="ignore"):  # of a network that has diverged
        found = [finding for symptom in SYMPTOMS for finding in symptom(case)]
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    validation = case.validation or (None, None)
    a = network.architecture
    return Diagnosis(
        findings=[finding for finding in found if finding.severity != "note"],
        notes=[finding for finding in found if finding.severity == "note"],
        layers=case.health,
        cost=case.cost,
        baseline=case.baseline,
        score=case.score,
        score_name=case.score_name,
        validation_cost=validation[0],
        validation_score=validation[1],
        examples=case.n,
        words=f"{'-'.join(map(str, a.sizes))} network: {a.activation_name} units, "
        f"{a.output} output, loss {a.loss}",
        a=case.layers.a[1:],
    )
