"""One update taken apart: the chain of slopes that makes one weight's step.

The chain rule as in Nielsen, Neural Networks and Deep Learning, chapter 2: eq. BP1 (delta of the
output), BP2 (delta carried back), BP4 (slope of a weight = value that feeds in times delta).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.backends import reference
from fastgd.errors import SettingError
from fastgd.explain.layers import Layers, layers
from fastgd.explain.names import Names, names_for
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.checks import check_integer, check_number

if TYPE_CHECKING:
    from fastgd.engine.architecture import Architecture
    from fastgd.network import Network
    from fastgd.rules.activations import Activation

__all__ = ["Contribution", "Factor", "UpdateExplanation", "explain_update", "one_example"]

Array = np.ndarray

#: How many contributions are told one by one.
TOLD = 5


@dataclass(frozen=True)
class Factor:
    """One slope of the chain.

    Attributes
    ----------
    symbol : str
        ``"dC/da"``, ``"da/dz"``, ``"dC/dz"`` (cost and activation joined) or ``"dz/dw"``.
    meaning : str
        In words.
    working : str
        The sum it comes from, such as ``"2 x (6 - 10)"``; empty where it is just a value.
    value : float
    """

    symbol: str
    meaning: str
    working: str
    value: float


@dataclass(frozen=True)
class Contribution:
    """What one unit of the next layer sends back: its delta through the weight between."""

    unit: int
    name: str
    weight: float
    delta: float

    @property
    def value(self) -> float:
        """Weight times delta."""
        return self.weight * self.delta


@dataclass(frozen=True, eq=False)
class UpdateExplanation:
    """One weight's step for one example; printed, told step by step.

    Attributes
    ----------
    layer, i, j : int
        The weight is ``net.weights[layer][i, j]``.
    name : str
        The weight in words.
    weight, learning_rate : float
    loss, activation : str
        The cost, and the activation of the unit the weight goes to.
    input, z, a : float
        The value that feeds in, the unit's weighted input and its activation. For softmax, z is
        log a.
    target : float or None
        What the unit should say; None for a hidden unit.
    factors : tuple of Factor
        They multiply to the slope.
    contributions : tuple of Contribution
        For a hidden unit, what each unit of the next layer sends back, largest first; their sum
        is the first factor.
    deltas : tuple of ndarray
        dC/dz of every unit, of this layer and the later ones.
    delta : float
        dC/dz of the unit: the factors but the last, multiplied.
    slope : float
        dC/dw: all factors multiplied.
    update : float
        What the step adds to the weight: minus learning rate times slope.
    new_weight : float
    kernel_slope : float
        The same slope, as the backend that trains the network computes it.
    cost : float
        The cost of the example.
    """

    layer: int
    i: int
    j: int
    name: str
    weight: float
    learning_rate: float
    loss: str
    activation: str
    input: float
    z: float
    a: float
    target: float | None
    factors: tuple[Factor, ...]
    contributions: tuple[Contribution, ...]
    deltas: tuple[Array, ...]
    kernel_slope: float
    cost: float
    names: Names = field(repr=False)

    @property
    def delta(self) -> float:
        return float(np.prod([factor.value for factor in self.factors[:-1]]))

    @property
    def slope(self) -> float:
        return float(np.prod([factor.value for factor in self.factors]))

    @property
    def update(self) -> float:
        return -self.learning_rate * self.slope

    @property
    def new_weight(self) -> float:
        return self.weight + self.update

    @property
    def product(self) -> str:
        """The factors and what they make, such as ``"-8 x 1 x 3 = -24"``."""
        first, *rest = (factor.value for factor in self.factors)
        return f"{' x '.join([number(first), *map(signed, rest)])} = {number(self.slope)}"

    @property
    def step(self) -> str:
        """The step in numbers, such as ``"2 - 0.01 x (-24) = 2.24"``."""
        rate, slope = number(self.learning_rate), signed(self.slope)
        return f"{number(self.weight)} - {rate} x {slope} = {number(self.new_weight)}"

    def __str__(self) -> str:
        unit = self.names.unit(self.layer + 1, self.j)
        # Of softmax z is known up to a constant only.
        gets = (
            "" if ACTIVATIONS.find(self.activation).row_wise else f"gets z = {number(self.z)} and "
        )
        lines = [
            f"The weight from {self.name}, net.weights[{self.layer}][{self.i}, {self.j}], is "
            f"{number(self.weight)}.",
            f"For this example {unit} {gets}says a = {number(self.a)}"
            + (f"; it should say {number(self.target)}." if self.target is not None else "."),
            f"The cost is {number(self.cost)} ({self.loss}).",
            "",
            *self._back(),
        ]
        for k, factor in enumerate(self.factors, start=1):
            working = f"{factor.working} = " if factor.working else ""
            lines.append(
                f"{k}. {factor.meaning}: {factor.symbol} = {working}{number(factor.value)}"
            )
            if k == 1:
                lines += self._told_contributions()
        kernel = f"the kernel's own gradient says {number(self.kernel_slope)}"
        verb = "so the weight stays"
        if self.update:
            verb = f"so the weight {'falls' if self.slope > 0 else 'rises'}"
        return "\n".join(
            [
                *lines,
                "",
                f"Multiplied: dC/dw = {self.product} ({kernel}).",
                f"A slope of {number(self.slope)}, {verb}: {self.step}.",
            ]
        )

    def _back(self) -> list[str]:
        """Tell how delta comes back from the output to the layer after this one."""
        lines = []
        n = len(self.names.sizes) - 1
        for layer in range(n - 1, self.layer, -1):
            deltas = self.deltas[layer - self.layer]
            largest = np.argsort(-np.abs(deltas), kind="stable")[:3]
            told = ", ".join(f"unit {k} ({number(deltas[k])})" for k in largest)
            where = "At the output" if layer == n - 1 else f"In hidden layer {layer}"
            lines.append(f"{where}, delta = dC/dz is largest in {told}.")
        return [*lines, ""] if lines else []

    def _told_contributions(self) -> list[str]:
        lines = [
            f"     from {c.name}: weight {number(c.weight)} x delta {number(c.delta)} = "
            f"{number(c.value)}"
            for c in self.contributions[:TOLD]
        ]
        rest = self.contributions[TOLD:]
        if rest:
            total = number(sum(c.value for c in rest))
            lines.append(f"     from the other {len(rest)} units together: {total}")
        return lines


def explain_update(
    network: Network,
    x: Any,
    y: Any,
    layer: int,
    i: int,
    j: int,
    learning_rate: float = 0.1,
    *,
    image_shape: Any = None,
    feature_names: Any = None,
    class_names: Any = None,
) -> UpdateExplanation:
    """Take apart the step that one example makes with one weight.

    The factors multiply to the very slope the kernels compute for a mini-batch of this example:
    slope of the cost with respect to the activation, slope of the activation, value that feeds
    in. With cross-entropy the first two are one, a - y (Nielsen, eq. 67). For a hidden unit the
    first is the sum of what the units of the next layer send back, weight times delta (eq. BP2).

    Parameters
    ----------
    network : Network
        Not changed.
    x : array of shape (n_inputs,) or (1, n_inputs)
        The example; for one input a number will do.
    y : int, float or array
        Its class or targets.
    layer, i, j : int
        Which weight: ``network.weights[layer][i, j]``, from input i to output j of that layer.
    learning_rate : float, default 0.1
        At least 0.
    image_shape, feature_names, class_names : optional
        For the names: (height, width) of images, names of inputs, labels of outputs.

    Returns
    -------
    UpdateExplanation

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted.

    Examples
    --------
    One linear unit with weight 2 says 6 for 3, and should say 10:

    >>> import fastgd
    >>> from fastgd.explain.update import explain_update
    >>> net = fastgd.Network([1, 1], output="identity", loss="sse", seed=0)
    >>> net.parameters = [2, 0]
    >>> told = explain_update(net, 3, 10, layer=0, i=0, j=0, learning_rate=0.01)
    >>> told.product, told.step
    ('-8 x 1 x 3 = -24', '2 - 0.01 x (-24) = 2.24')
    """
    X, Y = one_example(network, x, y)
    architecture = network.architecture
    check_place(architecture.sizes, layer, i, j)
    check_number("learning_rate", learning_rate, minimum=0)
    names = names_for(network, image_shape, feature_names, class_names)
    network.check_parameters()
    values = layers(network, X, Y)
    assert values.delta is not None
    targets = target_row(network, Y)
    last = len(architecture.sizes) - 2
    feeds = float(values.a[layer][0, i])
    contributions: tuple[Contribution, ...] = ()
    if layer == last:
        factors = _output_factors(architecture, values, targets, j)
    else:
        contributions = _contributions(network, values, layer, j, names)
        factors = _hidden_factors(architecture, values, layer, j, contributions)
    source = "activation" if layer else "value"
    feeding = Factor("dz/dw", f"the {source} that feeds in, from {names.unit(layer, i)}", "", feeds)
    return UpdateExplanation(
        layer=layer, i=i, j=j,
        name=names.weight(layer, i, j),
        weight=float(network.weights[layer][i, j]),
        learning_rate=float(learning_rate),
        loss=str(architecture.loss),
        activation=architecture.rules[layer].name,
        input=feeds,
        z=float(values.z[layer][0, j]),
        a=float(values.a[layer + 1][0, j]),
        target=float(targets[j]) if layer == last else None,
        factors=(*factors, feeding),
        contributions=contributions,
        deltas=tuple(delta[0] for delta in values.delta[layer:]),
        kernel_slope=float(architecture.layout.weights(network.gradient(X, Y))[layer][i, j]),
        cost=network.loss(X, Y),
        names=names,
    )  # fmt: skip


def one_example(network: Network, x: Any, y: Any) -> tuple[Any, Array]:
    """Return one example as the rows X and Y of a mini-batch.

    Raises
    ------
    ValueError
        If x is not one example, or y not one class or row of targets.
    """
    n_inputs, n_outputs = network.sizes[0], network.sizes[-1]
    if not hasattr(x, "tocsr"):
        x = np.asarray(x)
        x = x[None, :] if x.ndim == 1 else x.reshape(1, 1) if x.ndim == 0 else x
    if x.shape[0] != 1 or x.ndim != 2:
        raise SettingError("x", f"must be one example of {n_inputs} numbers; got shape {x.shape}")
    y = np.asarray(y)
    if y.ndim == 0:
        y = y.reshape(1)
    elif y.ndim == 1 and len(y) == n_outputs > 1:
        y = y[None, :]
    if y.ndim > 2 or len(y) != 1:
        accepted = f"a class, or {n_outputs} targets" if n_outputs > 1 else "one target"
        raise SettingError("y", f"must be {accepted}, of one example; got shape {y.shape}")
    return x, y


def target_row(network: Network, Y: Array) -> Array:
    """Return the targets of one example as numbers, (n_outputs,), a class as one-hot."""
    targets = network.check_targets(Y).rows(0, 1)
    return reference.one_hot(network.architecture, targets)[0]


def check_place(
    sizes: tuple[int, ...], layer: int, i: int | None = None, j: int | None = None
) -> None:
    """Raise unless there is such a layer, input i and output j of it."""
    check_integer("layer", layer, 0)
    if layer > len(sizes) - 2:
        raise SettingError("layer", f"must be from 0 to {len(sizes) - 2}; got {layer}")
    for argument, given, n in (("i", i, sizes[layer]), ("j", j, sizes[layer + 1])):
        if given is not None and check_integer(argument, given, 0) >= n:
            raise SettingError(argument, f"must be from 0 to {n - 1} in layer {layer}; got {given}")


def _output_factors(
    architecture: Architecture, values: Layers, targets: Array, j: int
) -> tuple[Factor, ...]:
    """Return the slopes from the cost down to z of an output unit (eq. BP1)."""
    loss, rule = architecture.loss, architecture.rules[-1]
    z, a = values.z[-1][:, j], values.a[-1][:, j]
    y, n = targets[j : j + 1], architecture.n_outputs if loss.output_average else 1
    slope = float(loss.delta_of(z, a, y, np.ones(1, a.dtype))[0]) / n
    difference = f"{number(a[0])} - {signed(y[0])}"
    if loss.joined:
        meaning = f"the slopes of the cost and of the {rule.name}, joined: they make a - y"
        return (Factor("dC/dz", meaning, difference, slope),)
    working = loss.slope_in_words.format(e=difference)
    if n > 1:
        working += f" / {n} outputs"
    return (
        Factor("dC/da", "the slope of the cost", working, slope),
        _slope_factor(rule, z, a),
    )


def _slope_factor(rule: Activation, z: Array, a: Array) -> Factor:
    meaning = f"the slope of the activation ({rule.name})"
    working = rule.slope_in_words.format(a=number(a[0]), b=signed(a[0]))
    return Factor("da/dz", meaning, working, float(rule.derivative(z, a)[0]))


def _contributions(
    network: Network, values: Layers, layer: int, j: int, names: Names
) -> tuple[Contribution, ...]:
    """Return what each unit of the next layer sends back to unit j, largest first."""
    assert values.delta is not None
    weights, deltas = network.weights[layer + 1][j], values.delta[layer + 1][0]
    found = [
        Contribution(k, names.unit(layer + 2, k), float(weights[k]), float(deltas[k]))
        for k in range(len(deltas))
    ]
    return tuple(sorted(found, key=lambda c: -abs(c.value)))


def _hidden_factors(
    architecture: Architecture, values: Layers, layer: int, j: int,
    contributions: tuple[Contribution, ...],
) -> tuple[Factor, ...]:  # fmt: skip
    """Return the slopes from the cost down to z of a hidden unit (eq. BP2)."""
    z, a = values.z[layer][:, j], values.a[layer + 1][:, j]
    n = len(contributions)
    working = "the sum of weight x delta over the units it feeds"
    if n == 1:
        only = contributions[0]
        working = f"{number(only.weight)} x {signed(only.delta)}"
    total = sum(c.value for c in contributions)
    return (
        Factor("dC/da", "the slope of the cost, carried back", working, total),
        _slope_factor(architecture.rules[layer], z, a),
    )


def number(value: Any) -> str:
    """Return a number to five digits.

    >>> number(2.24), number(-0.000012345), number(np.float32(0))
    ('2.24', '-1.2345e-05', '0')
    """
    return f"{float(value) + 0.0:.5g}"


def signed(value: Any) -> str:
    """Return a number as it stands in a sum: in parentheses if negative."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text
