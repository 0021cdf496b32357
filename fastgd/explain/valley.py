"""The cost along the direction in which it curves most, and descents with rates around 2/lambda."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.columns import columns
from fastgd.explain.costs import Costs
from fastgd.explain.curvature import Curvature, Hessian, curvature
from fastgd.rules.checks import check_integer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["FACTORS", "Valley", "valley"]

Array = np.ndarray

#: The rates of the descents, as multiples of the largest stable rate.
FACTORS = (0.1, 0.5, 1.1, 1.5)
#: Points of the curves; and how far they reach: to where the parabola has risen by this many costs.
POINTS, HEIGHT = 101, 4.0


@dataclass(frozen=True)
class Valley:
    """The walls of the valley a network is in, and how gradient descent fares there.

    Attributes
    ----------
    curvature : Curvature
        The direction of the steepest walls.
    random_curvature : float
        The second derivative along a random direction of the same length.
    distances : float64 ndarray of shape (n,)
        How far the parameters are moved, 0 in the middle.
    costs, random_costs : float64 ndarray of shape (n,)
        The costs there, along the direction that curves most and the random one.
    parabola : float64 ndarray of shape (n,)
        cost + slope x distance + eigenvalue x distance^2 / 2.
    descents : dict of float to float64 ndarray of shape (steps + 1,)
        For each multiple of the largest stable rate, the cost before the first and after every step
        of gradient descent on all examples; empty where no direction curves upwards.
    """

    curvature: Curvature
    random_curvature: float
    distances: Array
    costs: Array
    random_costs: Array
    parabola: Array
    descents: dict[float, Array]

    def __str__(self) -> str:
        lines = [
            str(self.curvature),
            f"second derivative along a random direction: {self.random_curvature:.3g}",
        ]
        if self.descents:
            stable = self.curvature.stable_rate()
            rows = [
                [f"{stable * factor:.4g}", f"{factor:g}", f"{costs[0]:.4g}", f"{costs.max():.4g}",
                 f"{costs[-1]:.4g}"]
                for factor, costs in self.descents.items()
            ]  # fmt: skip
            steps = len(next(iter(self.descents.values()))) - 1
            header = ["rate", "x stable", "cost", "highest", f"after {steps} steps"]
            lines += ["gradient descent on all examples, from here:", columns(header, rows)]
        return "\n".join(lines)


def valley(network: Network, X: Any, y: Any, *, steps: int = 40, seed: int = 0) -> Valley:
    """Follow the cost along the direction in which it curves most, and descend from here.

    Parameters
    ----------
    network : Network
        Stays as it is.
    X, y : array
        As in `Network.fit`; a few thousand examples tell as much as all.
    steps : int, default 40
        Of each descent.
    seed : int, default 0
        Of the random direction and the start of the eigenvalue's search.

    Raises
    ------
    TypeError, ValueError, MissingExtraError
        As `fastgd.explain.curvature.curvature` does.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.valley import valley
    >>> net = fastgd.Network([1, 1], output="identity", loss="quadratic", init="zeros")
    >>> found = valley(net, [[3.0]], [10.0])  # 2 / eigenvalue is 0.2
    >>> [bool(costs[-1] < costs[0]) for costs in found.descents.values()]
    [True, True, False, False]
    """
    check_integer("steps", steps, 1)
    found = curvature(network, X, y, seed=seed)
    other = np.random.default_rng(seed).standard_normal(network.n_parameters)
    other /= np.linalg.norm(other)
    wall = abs(found.eigenvalue)
    reach = float(np.sqrt(2 * HEIGHT * found.cost / wall)) if wall and found.cost > 0 else 1.0
    # The parabola's lowest point is to be seen, too.
    reach = max(reach, 1.5 * abs(found.slope) / wall) if wall else reach
    distances = np.linspace(-reach, reach, POINTS)
    costs, start = Costs(network, X, y), network.parameters.astype(np.float64)
    return Valley(
        curvature=found,
        random_curvature=float(other @ Hessian(network, X, y).times(other)),
        distances=distances,
        costs=costs.along(start, found.direction, distances),
        random_costs=costs.along(start, other, distances),
        parabola=found.cost + found.slope * distances + found.eigenvalue * distances**2 / 2,
        descents={
            factor: _descend(network, X, y, factor * found.stable_rate(), steps)
            for factor in (FACTORS if found.eigenvalue > 0 else ())
        },
    )


def _descend(network: Network, X: Any, y: Any, rate: float, steps: int) -> Array:
    """Return the costs of gradient descent on all examples; infinite once it has diverged."""
    learner, costs = copy.deepcopy(network), np.full(steps + 1, np.inf)
    for step in range(steps + 1):
        costs[step] = learner.loss(X, y)
        if not np.isfinite(costs[step]):
            costs[step:] = np.inf
            break
        with np.errstate(over="ignore", invalid="ignore"):
            learner.parameters[:] -= rate * learner.gradient(X, y)
    return costs
