"""The cost along one line through a network's parameters: one weight, or a direction.

Every cost is computed by the network's backend, every slope from its gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.explain.costs import Costs
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.registry import unknown_name

if TYPE_CHECKING:
    from fastgd.engine.layout import Layout
    from fastgd.network import Network

__all__ = [
    "Slice", "along_direction", "along_weight", "even_steps", "filter_normalised", "lowest",
    "random_axes",
]  # fmt: skip

Array = np.ndarray

DIRECTIONS = ("gradient", "random")
#: How far to look where ``span`` is not given: in root mean squares of the layer's weights, ...
WEIGHT_SPAN = 10.0
#: ... and along the gradient in lengths of all parameters.
GRADIENT_SPAN = 0.1


@dataclass(frozen=True, eq=False)
class Slice:
    """The cost along one line through a network's parameters.

    Attributes
    ----------
    x : float64 ndarray of shape (n,)
        Where on the line: the weight's value, or multiples of the direction.
    costs : float64 ndarray of shape (n,)
        The cost there, by the backend; infinite or NaN where it is not finite.
    at, cost, slope : float
        Where the network is, its cost, and the slope there, from ``net.gradient``.
    name : str
        What is varied: ``weights[0][3, 7]``, or the direction.
    """

    x: Array
    costs: Array
    at: float
    cost: float
    slope: float
    name: str

    @property
    def lowest(self) -> int:
        """Which of the costs is the lowest."""
        return lowest(self.costs)

    def __str__(self) -> str:
        low = self.lowest
        lines = [
            f"along      {self.name}",
            f"network    at {self.at:.4g}: cost {self.cost:.6g}, slope {self.slope:.4g}",
            f"lowest     at {self.x[low]:.4g}: cost {self.costs[low]:.6g}",
        ]
        bad = np.flatnonzero(~np.isfinite(self.costs))
        if len(bad):
            lines.append(f"not finite at {len(bad)} points, the first at {self.x[bad[0]]:.4g}")
        return "\n".join(lines)


def along_weight(
    network: Network,
    X: Any,
    y: Any,
    layer: int,
    i: int | None,
    j: int,
    *,
    span: float | None = None,
    points: int = 51,
) -> Slice:
    """Return the cost as one weight changes and all others stay.

    Parameters
    ----------
    network : Network
        Stays as it is.
    X, y : array
        As in `Network.fit`.
    layer, i, j : int
        The weight ``net.weights[layer][i, j]``, from unit i to unit j; with i None the bias
        ``net.biases[layer][j]``.
    span : float, optional
        How far to each side; by default 10 times the root mean square of the layer's weights.
    points : int, default 51
        How many costs, at least 3; an odd number has the weight itself among them.

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.landscape import along_weight
    >>> net = fastgd.Network([1, 1], output="identity", loss="sse", init="zeros")
    >>> found = along_weight(net, [[3.0]], [10.0], 0, 0, 0, span=4, points=5)
    >>> found.x, found.costs  # (3 w - 10)^2
    (array([-4., -2.,  0.,  2.,  4.]), array([484., 256., 100.,  16.,   4.]))
    >>> found.slope  # 2 (0 - 10) 3
    -60.0
    """
    steps = even_steps(points, 3)
    k, name = _find_weight(network, layer, i, j)
    if span is None:
        W = network.weights[layer].astype(np.float64)
        span = WEIGHT_SPAN * float(np.sqrt(np.mean(W**2))) or 1.0
    span = check_number("span", span, above=0)
    costs = Costs(network, X, y)
    start = network.parameters.astype(np.float64)
    direction = np.zeros_like(start)
    direction[k] = 1.0
    return Slice(
        start[k] + span * steps, costs.along(start, direction, span * steps), float(start[k]),
        costs.at(start), float(network.gradient(X, y)[k]), name,
    )  # fmt: skip


def along_direction(
    network: Network,
    X: Any,
    y: Any,
    direction: Any = "gradient",
    *,
    span: float | None = None,
    points: int = 51,
    seed: int = 0,
) -> Slice:
    """Return the cost along a straight line through the network's parameters.

    Parameters
    ----------
    network : Network
        Stays as it is.
    X, y : array
        As in `Network.fit`.
    direction : "gradient", "random" or array of shape (n_parameters,)
        ``"gradient"`` is the steepest way down, -gradient / |gradient|: x is a distance, and the
        slope at 0 is -|gradient|. ``"random"`` is drawn and scaled by `filter_normalised`.
    span : float, optional
        How far to each side, in multiples of the direction; by default 1, along the gradient a
        tenth of the length of all parameters.
    points : int, default 51
        How many costs, at least 3; an odd number has the network itself among them.
    seed : int, default 0
        Which random direction.

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or the gradient is 0 or not finite.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.landscape import along_direction
    >>> net = fastgd.Network([1, 1], output="identity", loss="sse", init="zeros")
    >>> found = along_direction(net, [[3.0]], [10.0], span=3.0, points=3)
    >>> float(round(found.slope, 3))  # -sqrt(60^2 + 20^2)
    -63.246
    """
    steps = even_steps(points, 3)
    gradient = network.gradient(X, y).astype(np.float64)
    start = network.parameters.astype(np.float64)
    axis, name = _direction(network, gradient, direction, seed)
    if span is None:
        downhill = isinstance(direction, str) and direction == "gradient"
        span = GRADIENT_SPAN * float(np.linalg.norm(start)) or 1.0 if downhill else 1.0
    x = check_number("span", span, above=0) * steps
    costs = Costs(network, X, y)
    slope = float(gradient @ axis)
    return Slice(x, costs.along(start, axis, x), 0.0, costs.at(start), slope, name)


def filter_normalised(layout: Layout, parameters: Array, direction: Array) -> Array:
    """Return a direction scaled so that each unit's part is as long as the unit's own weights.

    A unit's part is its incoming weights with its bias: d_j <- d_j |w_j| / |d_j| (Li et al. 2018,
    "Visualizing the Loss Landscape of Neural Nets", section 4, where filters are units here).
    Without it a step that is large for small weights and small for large ones makes one landscape
    look sharper than another that is the same.

    Parameters
    ----------
    layout : Layout
        ``net.architecture.layout``.
    parameters, direction : ndarray of shape (n_parameters,)

    Returns
    -------
    float64 ndarray of shape (n_parameters,)
        The part of a unit whose own weights and bias are 0 is 0.

    Examples
    --------
    >>> from fastgd.engine.layout import Layout
    >>> filter_normalised(Layout((2, 1)), np.array([3.0, 0.0, 4.0]), np.array([0.0, 1.0, 0.0]))
    array([0., 5., 0.])
    """
    scaled = np.array(direction, dtype=np.float64)
    own = np.asarray(parameters, dtype=np.float64)
    parts = zip(
        layout.weights(scaled), layout.biases(scaled), layout.weights(own), layout.biases(own),
        strict=True,
    )  # fmt: skip
    for D, d, W, b in parts:
        given = np.sqrt((D**2).sum(axis=0) + d**2)
        wanted = np.sqrt((W**2).sum(axis=0) + b**2)
        factor = np.divide(wanted, given, out=np.zeros_like(wanted), where=given > 0)
        D *= factor
        d *= factor
    return scaled


def even_steps(points: int, minimum: int) -> Array:
    """Return evenly spaced numbers from -1 to 1; the middle one of an odd number is 0."""
    check_integer("points", points, minimum)
    return (2 * np.arange(points) - (points - 1)) / (points - 1)


def lowest(costs: Array) -> int:
    return int(np.argmin(np.where(np.isfinite(costs), costs, np.inf)))


def _find_weight(network: Network, layer: int, i: int | None, j: int) -> tuple[int, str]:
    """Return which of the parameters a weight or bias is, and its name."""
    layout = network.architecture.layout
    _check_index("layer", layer, len(layout.shapes))
    n_in, n_out = layout.shapes[layer]
    _check_index("j", j, n_out)
    if i is None:
        return layout.offsets[layer] + n_in * n_out + j, f"biases[{layer}][{j}]"
    _check_index("i", i, n_in)
    return layout.offsets[layer] + i * n_out + j, f"weights[{layer}][{i}, {j}]"


def _check_index(argument: str, given: Any, n: int) -> None:
    check_integer(argument, given, 0)
    if given >= n:
        raise SettingError(argument, f"must be an integer from 0 to {n - 1}; got {given}")


def _direction(network: Network, gradient: Array, given: Any, seed: int) -> tuple[Array, str]:
    """Return the direction asked for, and its name."""
    if isinstance(given, str):
        if given == "random":
            start = network.parameters.astype(np.float64)
            return random_axes(network, start, seed, 1)[0], "a random direction"
        if given != "gradient":
            raise unknown_name("direction", given, DIRECTIONS)
        length = float(np.linalg.norm(gradient))
        if not 0 < length < np.inf:
            raise SettingError(
                "direction",
                f"'gradient' needs a slope; the gradient's length here is {length:g}: "
                "try direction='random'",
            )
        return -gradient / length, "the negative gradient"
    axis = np.asarray(given)
    if axis.dtype.kind not in "biuf" or axis.shape != gradient.shape:
        raise SettingError(
            "direction",
            f"must be 'gradient', 'random' or numbers of shape {gradient.shape}; got "
            f"dtype {axis.dtype}, shape {axis.shape}",
        )
    axis = axis.astype(np.float64)
    if not np.isfinite(axis).all() or not axis.any():
        raise SettingError("direction", "must be finite, and not 0 everywhere")
    return axis, "the direction given"


def random_axes(network: Network, origin: Array, seed: int, n: int = 2) -> Array:
    """Return n random filter-normalised directions, (n, n_parameters)."""
    check_integer("seed", seed, 0)
    if not origin.any():
        raise ValueError(
            "the network's parameters must not all be 0: random directions are as long as its "
            "weights; give a direction of your own"
        )
    drawn = np.random.default_rng(seed).standard_normal((n, len(origin)))
    return np.array([filter_normalised(network.architecture.layout, origin, d) for d in drawn])
