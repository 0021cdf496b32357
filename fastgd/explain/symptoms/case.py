"""What is known about a network that does not train: measured once, read by every symptom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.history import History
from fastgd.engine.inputs import Targets
from fastgd.engine.metrics import Accuracy, score_kind
from fastgd.engine.scaling import standard_answers
from fastgd.errors import DivergenceError, SettingTypeError
from fastgd.explain.layers import Layers, layers
from fastgd.explain.units import at_end, distinct_units
from fastgd.rules.checks import check_number
from fastgd.rules.optimizers import SGD, Optimizer, find_optimizer
from fastgd.rules.schedules import Clock

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["MOST_EXAMPLES", "SEVERITIES", "Case", "Finding", "LayerHealth", "per_example"]

Array = np.ndarray

#: From bad to harmless: a "note" is worth knowing and nothing to mend.
SEVERITIES = ("problem", "warning", "note")
#: Activations and inputs are looked at for so many examples, drawn where there are more.
MOST_EXAMPLES = 10_000
#: Fewer where a network is wide: so many activations at most.
MOST_NUMBERS = 50_000_000
#: From this share of a constant answer's cost on, nothing was learned.
WORTHLESS = 0.9
#: A unit that is saturated for this share of the examples is stuck.
STUCK = 0.95


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    name : str
        Such as ``"dead units"``.
    severity : {"problem", "warning", "note"}
    evidence : str
        What was measured, in a sentence with its numbers.
    advice : str
        What to try.
    numbers : dict of str to float
        The numbers of the evidence.
    """

    name: str
    severity: str
    evidence: str
    advice: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerHealth:
    """How the units of one layer respond to the examples.

    Attributes
    ----------
    layer : int
        Counted from 1.
    activation : str
    units : int
    saturated : float
        The share of activations within 0.01 of an end (sigmoid and tanh, else 0).
    stuck : int
        Units saturated for at least 95 % of the examples.
    dead : int
        Units of a relu layer that are zero for every example.
    copies : int
        Hidden units that are copies of another one.
    """

    layer: int
    activation: str
    units: int
    saturated: float
    stuck: int
    dead: int
    copies: int


@dataclass
class Case:
    """A network with its data, and what is known of its training. The network is never changed.

    Use `Case.of`, which checks.
    """

    network: Network
    X: Any
    targets: Targets
    X_sample: Any
    y_sample: Array
    validation_data: tuple[Any, Any] | None
    history: Mapping[str, Sequence[float]] | None
    diverged: str
    optimizer: Optimizer | None
    batch_size: int
    seed: int
    tried: Any = None  # what steps on copies did, once it is known

    @classmethod
    def of(
        cls,
        network: Network,
        X: Any,
        y: Any,
        validation_data: Any,
        history: Any,
        optimizer: str | Optimizer | None,
        learning_rate: float | None,
        batch_size: int,
        seed: int,
    ) -> Case:
        """Return a case from the arguments of `diagnose`, or raise what `Network.fit` would."""
        network.check_parameters()
        examples = network.check_examples(X, y)
        inputs, targets = examples.inputs, examples.targets
        if validation_data is not None:
            network.check_validation(validation_data)
        past, diverged = _history(history)
        optimizer = _optimizer(optimizer, learning_rate, history, past)
        n = len(inputs)
        most = max(256, MOST_NUMBERS // sum(network.sizes))
        rows = np.arange(n)
        if n > min(MOST_EXAMPLES, most):
            drawn = np.random.default_rng(seed).permutation(n)[: min(MOST_EXAMPLES, most)]
            rows = np.sort(drawn)
        X = X.tocsr() if hasattr(X, "tocsr") else np.asarray(X)
        return cls(
            network, X, targets, X[rows], targets.y[rows], validation_data, past, diverged,
            optimizer, batch_size, seed,
        )  # fmt: skip

    @property
    def n(self) -> int:
        """How many examples there are."""
        return len(self.targets)

    @cached_property
    def layers(self) -> Layers:
        """Every layer's z, a and delta for the sample."""
        return layers(self.network, self.X_sample, self.y_sample)

    @cached_property
    def inputs(self) -> Array:
        """The sample's inputs, scaled: what the first layer reads; float64."""
        return self.layers.a[0].astype(np.float64)

    @cached_property
    def outputs(self) -> Array:
        """The outputs for all examples, in the units the network sees; float64."""
        return standard_answers(self.network.architecture, self.network.predict(self.X))

    @cached_property
    def wanted(self) -> Array:
        """All targets as rows (n, n_outputs), in the units the network sees; float64."""
        y = self.targets.y
        rows = np.eye(self.network.sizes[-1])[y] if y.ndim == 1 else y
        return standard_answers(self.network.architecture, rows)

    @cached_property
    def cost(self) -> float:
        """The cost of all examples, per example."""
        return per_example(self.network, self.network.loss(self.X, self.targets.y), self.n)

    @cached_property
    def baseline(self) -> float:
        """The cost, per example, of the best answer that is the same for every example."""
        loss, mean = self.network.architecture.loss, self.wanted.mean(axis=0, keepdims=True)
        output = self.network.architecture.output
        z = a = mean
        if loss.joined:
            low, high = output.reach
            a = np.clip(mean, low + 1e-12, high - 1e-12)
            log_odds = output.saturates and not output.row_wise
            z = np.log(a / (1 - a)) if log_odds else np.log(a)
        elements = loss.cost(z, a, self.wanted).sum() / self.n
        return float(elements / (self.network.sizes[-1] if loss.output_average else 1))

    @property
    def has_not_learned(self) -> bool:
        """Whether the network is hardly better than the best constant answer, or worse."""
        return not self.cost < WORTHLESS * self.baseline

    @property
    def rate(self) -> float | None:
        """The learning rate last in force, where the optimizer is known."""
        if self.optimizer is None:
            return None
        past = self.history or {}
        if past.get("learning_rate"):
            return float(past["learning_rate"][-1])
        epochs = max(1, len(past.get("cost", ())))
        last, clock = np.array([epochs - 1]), Clock(steps_per_epoch=1, epochs=epochs)
        return float(self.optimizer.schedule.rates(last, clock)[0])

    @cached_property
    def is_classification(self) -> bool:
        """Whether the score is an accuracy, or the targets of one output are 0 and 1 only."""
        if score_kind(self.network.architecture, self.targets) is Accuracy:
            return True
        y = self.targets.y
        return self.wanted.shape[1] == 1 and bool(((y == 0) | (y == 1)).all())

    @cached_property
    def score_name(self) -> str:
        """``"accuracy"`` or ``"R^2"``."""
        return score_kind(self.network.architecture, self.targets).label

    @cached_property
    def score(self) -> float:
        """The score on all examples."""
        return self.network.score(self.X, self.targets.y)

    @cached_property
    def validation(self) -> tuple[float, float] | None:
        """Cost (per example) and score on the validation data."""
        if self.validation_data is None:
            return None
        X, y = self.validation_data
        n = len(self.network.check_targets(y))
        return per_example(self.network, self.network.loss(X, y), n), self.network.score(X, y)

    @cached_property
    def health(self) -> list[LayerHealth]:
        """How the units of each layer respond to the sample."""
        distinct = [*distinct_units(self.network), self.network.sizes[-1]]
        activations = zip(self.layers.a[1:], self.network.architecture.rules, strict=True)
        found = []
        for i, (a, rule) in enumerate(activations):
            saturated, dead = at_end(a, rule.name), 0
            if rule.dies:
                dead = int((a == 0).all(axis=0).sum())
            found.append(
                LayerHealth(
                    layer=i + 1,
                    activation=rule.name,
                    units=a.shape[1],
                    saturated=float(saturated.mean()),
                    stuck=int((saturated.mean(axis=0) >= STUCK).sum()),
                    dead=dead,
                    copies=a.shape[1] - distinct[i],
                )
            )
        return found


def per_example(network: Network, cost: float, n: int) -> float:
    """Return a cost per example, also for loss ``sse``, which sums them."""
    return cost if network.architecture.loss.batch_average else cost / n


def _history(given: Any) -> tuple[Mapping[str, Sequence[float]] | None, str]:
    """Return the history as a mapping, and what ended it."""
    if given is None:
        return None, ""
    if isinstance(given, DivergenceError):
        when = f"in epoch {given.epoch} at learning rate {given.learning_rate:g}"
        return given.history, f"the cost became NaN or infinite {when}"
    if not isinstance(given, Mapping) or "cost" not in given:
        raise SettingTypeError(
            "history",
            f"must be what fit returned, a mapping with 'cost', or a DivergenceError; "
            f"got {type(given).__name__}",
        )
    if isinstance(given, History) and given.stop_reason == "diverged":
        return given, "the cost became NaN or infinite"
    return given, ""


def _optimizer(
    optimizer: str | Optimizer | None,
    learning_rate: float | None,
    given: Any,
    history: Mapping[str, Sequence[float]] | None,
) -> Optimizer | None:
    """Return what the network is trained with, as far as that is known."""
    if optimizer is not None and learning_rate is not None:
        raise ValueError(
            f"optimizer and learning_rate must not both be given; got {optimizer!r} and "
            f"{learning_rate!r}"
        )
    if optimizer is not None:
        return find_optimizer(optimizer)
    if learning_rate is None and isinstance(given, DivergenceError):
        learning_rate = given.learning_rate
    elif learning_rate is None and history is not None and len(history.get("learning_rate", ())):
        learning_rate = history["learning_rate"][-1]
    if learning_rate is None:
        return None
    return SGD(check_number("learning_rate", learning_rate, minimum=0))
