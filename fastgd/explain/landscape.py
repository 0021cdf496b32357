"""The cost as a landscape over a plane of parameters, and the paths of training in it.

Every cost is computed by the network's backend, every slope from its gradient.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import DivergenceError, SettingError, SettingTypeError
from fastgd.explain.columns import columns
from fastgd.explain.costs import Costs
from fastgd.explain.paths import TrainingPath, principal_axes, training_path
from fastgd.explain.slices import (
    Slice,
    along_direction,
    along_weight,
    even_steps,
    filter_normalised,
    lowest,
    random_axes,
)  # fmt: skip
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.registry import unknown_name

if TYPE_CHECKING:
    from fastgd.network import Network
    from fastgd.rules.optimizers import Optimizer

__all__ = [
    "Landscape", "Paths", "Slice", "TrainingPath", "along_direction", "along_weight",
    "compare_paths", "filter_normalised", "plane", "training_path",
]  # fmt: skip

Array = np.ndarray

PLANES = ("random", "path")
#: How far to look around a path, in its own extent.
MARGIN = 0.2
#: Sizes of mini-batch to compare; None is all examples.
SIZES = (None, 10, 1)


@dataclass(frozen=True, eq=False)
class Landscape:
    """The cost over a plane through parameters.

    Attributes
    ----------
    a, b : float64 ndarray of shape (n,)
        The coordinates along the two axes.
    costs : float64 ndarray of shape (n, n)
        ``costs[k, l]`` is the cost at origin + a[l] axes[0] + b[k] axes[1], by the backend.
    origin : float64 ndarray of shape (n_parameters,)
        The parameters at a = b = 0.
    cost : float
        The cost at the origin.
    axes : float64 ndarray of shape (2, n_parameters)
    directions : {"random", "path"}
        What the axes are.
    shares : float64 ndarray of shape (2,), or None
        For a path's plane: the share of the path's variance along each axis.
    path : float64 ndarray of shape (k, 2), or None
        The training path as coordinates in the plane: where it comes closest to the path.
    path_costs : float64 ndarray of shape (k,), or None
        The cost on the path itself, which lies off the plane.
    """

    a: Array
    b: Array
    costs: Array
    origin: Array
    cost: float
    axes: Array
    directions: str
    shares: Array | None = None
    path: Array | None = None
    path_costs: Array | None = None

    def coordinates(self, parameters: Any) -> Array:
        """Return where in the plane parameters (..., n_parameters) are closest, (..., 2)."""
        return _coordinates(np.asarray(parameters), self.origin, self.axes)

    def parameters_at(self, a: float, b: float) -> Array:
        """Return the parameters (n_parameters,) at two coordinates."""
        return self.origin + a * self.axes[0] + b * self.axes[1]

    def __str__(self) -> str:
        row, column = divmod(lowest(self.costs), len(self.a))
        low, a, b = self.costs[row, column], self.a[column], self.b[row]
        if not low <= self.cost:  # the centre lies between the points of the map
            low, a, b = self.cost, 0.0, 0.0
        kind = "plane of the training path" if self.directions == "path" else "random plane"
        lines = [
            f"{kind}, {len(self.b)} x {len(self.a)} costs",
            f"centre     cost {self.cost:.6g}",
            f"lowest     cost {low:.6g} at ({a:.3g}, {b:.3g})",
            f"highest    cost {np.max(self.costs, where=np.isfinite(self.costs), initial=0):.6g}",
        ]
        if self.shares is not None:
            first, second = 100 * self.shares
            lines.append(f"axes       hold {first:.1f} % and {second:.1f} % of the path's variance")
        if self.path is not None and self.path_costs is not None:
            (a0, b0), (a1, b1) = self.path[0], self.path[-1]
            lines.append(
                f"path       from ({a0:.3g}, {b0:.3g}) to ({a1:.3g}, {b1:.3g}), cost "
                f"{self.path_costs[0]:.4g} to {self.path_costs[-1]:.4g}"
            )
        bad = np.argwhere(~np.isfinite(self.costs))
        if len(bad):
            row, column = bad[0]
            lines.append(
                f"not finite at {len(bad):,} points, the first at ({self.a[column]:.3g}, "
                f"{self.b[row]:.3g})"
            )
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Paths:
    """Several trainings from one start, in one plane.

    Attributes
    ----------
    paths : dict of str to TrainingPath
        By name: ``full batch``, ``mini-batches of 10``, ``single examples``.
    coordinates : dict of str to float64 ndarray of shape (k, 2)
        Each path in the landscape's plane.
    landscape : Landscape
        The plane closest to all of them, through their start.
    """

    paths: dict[str, TrainingPath]
    coordinates: dict[str, Array]
    landscape: Landscape

    def __str__(self) -> str:
        rows = [
            [name, f"{path.steps:,}", f"{path.costs[-1]:.4g}", f"{path.length:.3g}",
             f"{path.distance:.3g}", f"{path.length / max(path.distance, 1e-300):.2f}"]
            for name, path in self.paths.items()
        ]  # fmt: skip
        start = next(iter(self.paths.values())).costs[0]
        head = ["path", "steps", "cost", "walked", "from start", "walked / from start"]
        first, second = 100 * np.asarray(self.landscape.shares)
        return (
            f"cost at the start {start:.4g}; after the same number of epochs:\n"
            f"{columns(head, rows)}\n"
            f"the plane's axes hold {first:.1f} % and {second:.1f} % of the paths' variance"
        )


def plane(
    network: Network,
    X: Any,
    y: Any,
    directions: str = "random",
    *,
    path: TrainingPath | None = None,
    span: float | None = None,
    points: int = 50,
    seed: int = 0,
) -> Landscape:
    """Return the cost over a plane through the network's parameters, or through a path's end.

    Parameters
    ----------
    network : Network
        Stays as it is.
    X, y : array
        As in `Network.fit`.
    directions : {"random", "path"}, default "random"
        Two random directions, scaled by `filter_normalised` (Li et al. 2018, section 4); or the
        two directions in which the path varies most, by PCA of its points (the same, section 7.2),
        of length 1, so that distances are those between parameters.
    path : TrainingPath, optional
        Of the same network. The plane then goes through its end, and its points are in
        ``landscape.path``.
    span : float, optional
        How far to each side of the centre; by default 1, or around the whole path.
    points : int, default 50
        How many costs along each axis, at least 2; an odd number has the centre among them where
        the span is given or the directions are random.
    seed : int, default 0
        Which random directions.

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or the path does not move.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.landscape import plane
    >>> net = fastgd.Network([2, 3, 1], seed=0)
    >>> X, y = [[0.0, 1.0], [1.0, 0.0]], [0, 1]
    >>> landscape = plane(net, X, y, points=5)
    >>> landscape.costs.shape, bool(landscape.costs[2, 2] == net.loss(X, y))
    ((5, 5), True)
    """
    steps = even_steps(points, 2)
    _check_path(network, path, directions)
    costs = Costs(network, X, y)
    origin = (network.parameters if path is None else path.parameters[-1]).astype(np.float64)
    shares = None
    if directions == "path" and path is not None:
        _, axes, shares = principal_axes([path.parameters])
    else:
        axes = random_axes(network, origin, seed)
    walked = None if path is None else _coordinates(path.parameters, origin, axes)
    if span is None and directions == "path":
        a, b = _around(np.asarray(walked), points)
    else:
        a = b = check_number("span", 1.0 if span is None else span, above=0) * steps
    return Landscape(
        a, b, _grid(costs, origin, axes, a, b), origin, costs.at(origin), axes, directions, shares,
        walked, None if path is None else path.costs,
    )  # fmt: skip


def compare_paths(
    network: Network,
    X: Any,
    y: Any,
    *,
    epochs: int = 10,
    batch_sizes: Iterable[int | None] = SIZES,
    optimizer: str | Optimizer = "sgd",
    points: int = 40,
) -> Paths:
    """Train copies of the network with several sizes of mini-batch, and see where they go.

    All see the same number of examples. The full batch makes one step an epoch, straight down but
    few; single examples make many, each in its own direction, and come further, as a drunken walk.

    Parameters
    ----------
    network : Network
        The common start; stays as it is.
    X, y : array
        As in `Network.fit`.
    epochs : int, default 10
        The same for all.
    batch_sizes : iterable of int or None, default (None, 10, 1)
        None, or as many as there are examples, is the full batch.
    optimizer : Optimizer or str
        As in `Network.fit`, the same for all.
    points : int, default 40
        Costs along each axis of the landscape under the paths.

    Returns
    -------
    Paths
        With the plane that lies closest to all recorded points (PCA), shifted to go through the
        start.

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted.
    DivergenceError
        If a cost becomes NaN or infinite; it names the size of mini-batch.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.landscape import compare_paths
    >>> net = fastgd.Network([2, 3, 1], seed=0)
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1]
    >>> found = compare_paths(net, X, y, epochs=5, batch_sizes=[None, 1], points=5)
    >>> [(name, path.steps) for name, path in found.paths.items()]
    [('full batch', 5), ('single examples', 15)]
    """
    even_steps(points, 2)
    costs = Costs(network, X, y)
    sizes = _check_sizes(batch_sizes, len(costs.examples))
    paths = {}
    for size in sizes:
        name = _batch_name(size, len(costs.examples))
        try:
            paths[name] = training_path(
                network, X, y, epochs=epochs, batch_size=size, optimizer=optimizer
            )
        except DivergenceError as error:
            raise DivergenceError(
                f"{name}: {error.problem}", error.epoch, error.learning_rate, advice=error.advice,
                kept=error.kept,
            ) from None  # fmt: skip
    origin = network.parameters.astype(np.float64)
    _, axes, shares = principal_axes([path.parameters for path in paths.values()])
    walked = {name: _coordinates(path.parameters, origin, axes) for name, path in paths.items()}
    a, b = _around(np.concatenate(list(walked.values())), points)
    landscape = Landscape(
        a, b, _grid(costs, origin, axes, a, b), origin, costs.at(origin), axes, "path", shares
    )
    return Paths(paths, walked, landscape)


def _check_path(network: Network, path: TrainingPath | None, directions: str) -> None:
    if directions not in PLANES:
        raise unknown_name("directions", directions, PLANES)
    if path is None:
        if directions == "path":
            raise ValueError("directions='path' needs path=training_path(network, X, y, ...)")
        return
    if not isinstance(path, TrainingPath):
        raise SettingTypeError("path", f"must be a TrainingPath; got {type(path).__name__}")
    if path.parameters.shape[1] != network.n_parameters:
        raise SettingError(
            "path",
            f"must be of a network with {network.n_parameters:,} parameters; got one with "
            f"{path.parameters.shape[1]:,}",
        )


def _coordinates(parameters: Array, origin: Array, axes: Array) -> Array:
    """Return where in a plane parameters are closest, by least squares: axes may be askew."""
    flat = parameters.reshape(-1, len(origin))
    inner = np.array([axes @ (point.astype(np.float64) - origin) for point in flat])
    found = np.linalg.solve(axes @ axes.T, inner.T).T
    return found.reshape(*parameters.shape[:-1], 2)


def _around(walked: Array, points: int) -> tuple[Array, Array]:
    """Return evenly spaced coordinates that leave a margin around a path (k, 2)."""
    low, high = walked.min(axis=0), walked.max(axis=0)
    extent = high - low
    margin = MARGIN * np.maximum(extent, 0.2 * extent.max())
    a, b = np.linspace(low - margin, high + margin, points).T
    return a, b


def _grid(costs: Costs, origin: Array, axes: Array, a: Array, b: Array) -> Array:
    return np.array([costs.along(origin + step * axes[1], axes[0], a) for step in b])


def _check_sizes(batch_sizes: Iterable[int | None], n: int) -> list[int]:
    if isinstance(batch_sizes, (int, str)):
        raise SettingTypeError("batch_sizes", f"must be several numbers; got {batch_sizes!r}")
    given = [n if size is None else size for size in batch_sizes]
    for size in given:
        check_integer("batch_sizes", size, 1)
    sizes = sorted({min(size, n) for size in given}, reverse=True)
    if not sizes:
        raise SettingError("batch_sizes", "must be at least one number; got none")
    return sizes


def _batch_name(size: int, n: int) -> str:
    if size >= n:
        return "full batch"
    return "single examples" if size == 1 else f"mini-batches of {size}"
