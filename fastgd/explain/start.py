"""Where training starts: why weights are random, and how large they should be.

Units that start alike get the same gradient, so they stay copies of each other; and weights that
are too large drive z so far that a sigmoid is flat there (Nielsen, Neural Networks and Deep
Learning, chapter 3, "Weight initialization").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastgd.engine.metrics import score_kind
from fastgd.errors import DivergenceError, SettingError
from fastgd.explain.columns import columns
from fastgd.explain.layers import layers
from fastgd.explain.units import TOLERANCE, at_end, distinct_units
from fastgd.network import Network
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.optimizers import Optimizer
from fastgd.rules.registry import unknown_name

__all__ = [
    "Spread",
    "Start",
    "Starts",
    "compare_starts",
    "distinct_units",
    "spread_of_z",
]

Array = np.ndarray

#: Each scale of weights: the initialisation that has it, and the spread of z it should give.
SCALES: dict[str, tuple[str, Callable[[int], float]]] = {
    "1": ("standard_normal", lambda n_in: n_in**0.5),
    "1/sqrt(n_in)": ("normal", lambda n_in: 1.0),
}
#: No spread is measured on a network of more weights than this.
MOST_WEIGHTS = 20_000_000


@dataclass(frozen=True)
class Start:
    """One start, and what training made of it.

    Attributes
    ----------
    name : str
        ``"zero"``, ``"constant"`` or ``"random"``.
    cost : list of float
        The training cost before training, and after each epoch.
    score : float
        The training score at the end; NaN where training diverged.
    units, distinct : list of int
        The units of each hidden layer, and how many are no copies of another one.
    network : Network
        As it is after training.
    diverged : bool
        Whether training ended early because the cost was no longer finite.
    """

    name: str
    cost: list[float]
    score: float
    units: list[int]
    distinct: list[int]
    network: Network
    diverged: bool = False


@dataclass(frozen=True)
class Starts:
    """Three starts side by side.

    Attributes
    ----------
    starts : tuple of Start
    constant : float
        The one value of all parameters in the constant start.
    score_name : str
        ``"accuracy"`` or ``"R^2"``.
    tolerance : float
        See `distinct_units`.
    """

    starts: tuple[Start, ...]
    constant: float
    score_name: str
    tolerance: float

    def __getitem__(self, name: str) -> Start:
        for start in self.starts:
            if start.name == name:
                return start
        raise unknown_name("start", name, [start.name for start in self.starts])

    def __str__(self) -> str:
        header = ["start", "cost before", "cost after", self.score_name, "distinct hidden units"]
        rows = []
        for start in self.starts:
            pairs = zip(start.distinct, start.units, strict=True)
            distinct = ", ".join(f"{d} of {n}" for d, n in pairs) or "none are hidden"
            name = f"{start.name} ({self.constant:g})" if start.name == "constant" else start.name
            name += ", diverged" if start.diverged else ""
            after = [f"{start.cost[-1]:.4g}", f"{start.score:.4f}"]
            after = ["-", "-"] if start.diverged else after
            rows.append([name, f"{start.cost[0]:.4g}", *after, distinct])
        return columns(header, rows)


def compare_starts(
    network: Network | Sequence[int] | Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    epochs: int = 30,
    batch_size: int = 32,
    optimizer: str | Optimizer = "sgd",
    constant: float = 0.1,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> Starts:
    """Train the same network from all parameters zero, all one value, and random weights.

    Everything else is the same for the three, also the order of the examples. On the numpy backend
    take ``dtype="float64"``: rounding in float32 parts copies after some epochs (`distinct_units`).

    Parameters
    ----------
    network : Network, list of sizes, or mapping
        What to train: a network's settings (it is not changed), sizes alone, or the arguments of
        `Network` by name. ``init`` is that of the random start; a Network does not know its own,
        so its random start is the default, ``"normal"``.
    X, y : array
        As in `Network.fit`.
    epochs, batch_size, optimizer
        As in `Network.fit`.
    constant : float, default 0.1
        The value of all parameters in the constant start.
    tolerance : float, default 1e-3
        See `distinct_units`.
    seed : int, default 0
        Of the random start, and of the order of the examples.

    Returns
    -------
    Starts

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.start import compare_starts
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> starts = compare_starts([2, 4, 1], X, y, epochs=2000, optimizer=fastgd.SGD(2.0))
    >>> [(start.name, start.distinct) for start in starts.starts]
    [('zero', [1]), ('constant', [1]), ('random', [4])]
    """
    make = _maker(network)
    check_number("constant", constant)
    check_number("tolerance", tolerance, minimum=0)
    check_integer("epochs", epochs, 0)
    started = [_network(make, fill, seed) for fill in (0.0, constant, None)]
    training = {"epochs": epochs, "batch_size": batch_size, "optimizer": optimizer}
    starts = tuple(
        _train(name, net, X, y, training, tolerance, seed)
        for name, net in zip(("zero", "constant", "random"), started, strict=True)
    )
    return Starts(starts, float(constant), _score_name(started[0], y), float(tolerance))


def _maker(network: Any) -> Callable[..., Network]:
    """Return what makes such a network; it takes the arguments that are to differ."""
    if isinstance(network, Network):
        return network.like
    if not isinstance(network, Mapping):
        return partial(Network, network)
    if "sizes" not in network or "seed" in network:
        raise SettingError(
            "network",
            f"must name its sizes and leave seed to the argument seed; got the settings "
            f"{', '.join(map(str, network))}",
        )
    return partial(Network, **network)


def _network(make: Callable[..., Network], fill: float | None, seed: int) -> Network:
    """Return a network at its start: random, or with all parameters one value."""
    if fill is None:
        return make(seed=seed)
    network = make(init="zeros", seed=seed)
    network.parameters = np.full(network.n_parameters, fill)
    return network


class _Costs:
    """A callback that keeps the cost of all examples after each epoch."""

    def __init__(self, network: Network, X: Any, y: Any):
        self.X, self.y = X, y
        self.cost = [network.loss(X, y)]

    def on_epoch_end(self, network: Network, epoch: int, logs: Mapping[str, float]) -> None:
        self.cost.append(network.loss(self.X, self.y))


def _train(
    name: str,
    network: Network,
    X: Any,
    y: Any,
    training: dict[str, Any],
    tolerance: float,
    seed: int,
) -> Start:
    """Train one network and say what became of it."""
    costs, diverged = _Costs(network, X, y), False
    network.state.rng = np.random.default_rng(seed)  # only the random start has drawn from its own
    try:
        network.fit(X, y, callbacks=costs, **training)
    except DivergenceError:
        diverged = True
    units = list(network.sizes[1:-1])
    distinct = distinct_units(network, tolerance)
    score = np.nan if diverged else network.score(X, y)
    return Start(name, costs.cost, score, units, distinct, network, diverged)


def _score_name(network: Network, y: Any) -> str:
    return score_kind(network.architecture, network.check_targets(y)).label


@dataclass(frozen=True)
class Spread:
    """How far z spreads, by the number of inputs and the scale of the weights.

    Attributes
    ----------
    n_ins : list of int
    spread : dict of str to list of float
        For each scale, the standard deviation of z, measured.
    theory : dict of str to list of float
        The same by sqrt(n_in) * scale: the variances of n_in independent products add up.
    saturated : dict of str to list of float
        For each scale, the share of activations within 0.01 of an end.
    activation : str
    """

    n_ins: list[int]
    spread: dict[str, list[float]]
    theory: dict[str, list[float]]
    saturated: dict[str, list[float]]
    activation: str

    def __str__(self) -> str:
        header = ["n_in"]
        for scale in self.spread:
            header += [f"scale {scale}: spread of z", "theory", "saturated"]
        rows = []
        for i, n_in in enumerate(self.n_ins):
            row = [f"{n_in:,}"]
            for scale in self.spread:
                row += [f"{self.spread[scale][i]:.3f}", f"{self.theory[scale][i]:.3f}"]
                row.append(f"{self.saturated[scale][i]:.1%}")
            rows.append(row)
        return columns(header, rows)


def spread_of_z(
    n_ins: Iterable[int] = (10, 30, 100, 300, 1000),
    scales: Sequence[str] = ("1", "1/sqrt(n_in)"),
    *,
    activation: str = "sigmoid",
    units: int = 200,
    examples: int = 200,
    seed: int = 0,
) -> Spread:
    """Measure how far z spreads before the activation in the first layer of new networks.

    Weights are those of ``Network(init="standard_normal")`` for scale 1 and ``init="normal"`` for
    1/sqrt(n_in); inputs are standard normal, biases 0. Then z is a sum of n_in independent
    products of variance scale^2, so its standard deviation is sqrt(n_in) * scale (Nielsen,
    chapter 3, "Weight initialization").

    Parameters
    ----------
    n_ins : sequence of int
        Numbers of inputs.
    scales : sequence of {"1", "1/sqrt(n_in)"}
        Standard deviations of the weights.
    activation : {"sigmoid", "tanh"}, default "sigmoid"
        What saturates.
    units, examples : int, default 200
        How many z are measured: their product.
    seed : int, default 0

    Returns
    -------
    Spread

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or a network would be too large.

    Examples
    --------
    >>> from fastgd.explain.start import spread_of_z
    >>> measured = spread_of_z([10, 1000])
    >>> [f"{s:.0f}" for s in measured.spread["1"]], [f"{s:.0f}" for s in measured.theory["1"]]
    (['3', '32'], ['3', '32'])
    >>> [f"{s:.1f}" for s in measured.spread["1/sqrt(n_in)"]]
    ['1.0', '1.0']
    """
    n_ins, scales = list(n_ins), [scales] if isinstance(scales, str) else list(scales)
    _check_spread(n_ins, scales, activation, units, examples)
    spread: dict[str, list[float]] = {scale: [] for scale in scales}
    saturated: dict[str, list[float]] = {scale: [] for scale in scales}
    for n_in in n_ins:
        X = np.random.default_rng(seed).standard_normal((examples, n_in))
        for scale in scales:
            z, a = _first_layer(SCALES[scale][0], activation, units, X, seed)
            spread[scale].append(float(z.std()))
            saturated[scale].append(float(at_end(a, activation).mean()))
    theory = {scale: [SCALES[scale][1](n) for n in n_ins] for scale in scales}
    return Spread(n_ins, spread, theory, saturated, activation)


def _first_layer(
    init: str, activation: str, units: int, X: Array, seed: int
) -> tuple[Array, Array]:
    """Return z and a of the first layer of a new network, its biases 0."""
    network = Network([X.shape[1], units, 1], activation=activation, init=init, seed=seed)
    network.biases[0][:] = 0
    found = layers(network, X)
    return found.z[0], found.a[1]


def _check_spread(
    n_ins: list[int], scales: list[str], activation: str, units: int, examples: int
) -> None:
    """Raise unless all of this can be measured."""
    check_integer("units", units, 1)
    check_integer("examples", examples, 2)
    if not n_ins or not scales:
        raise ValueError("n_ins and scales must not be empty")
    for i, n_in in enumerate(n_ins):
        check_integer(f"n_ins[{i}]", n_in, 1)
        if n_in * max(units, examples) > MOST_WEIGHTS:
            raise ValueError(
                f"n_ins[{i}] times units or examples must be at most {MOST_WEIGHTS:,}; got "
                f"{n_in:,} inputs, {units:,} units, {examples:,} examples (take fewer units)"
            )
    for scale in scales:
        if scale not in SCALES:
            raise unknown_name("scales", scale, SCALES)
    ends = [name for name, rule in ACTIVATIONS.items() if rule.saturates]
    if activation not in ends:
        raise unknown_name("activation", activation, ends)
