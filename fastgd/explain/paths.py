"""The way parameters take as a network learns, and the plane in which most of that way lies."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.explain.costs import Costs
from fastgd.rules.checks import check_integer

if TYPE_CHECKING:
    from fastgd.network import Network
    from fastgd.rules.optimizers import Optimizer

__all__ = ["MOST_NUMBERS", "POINTS", "TrainingPath", "principal_axes", "training_path"]

Array = np.ndarray

#: The most numbers (parameters times recorded points) a path may hold: 200 MB in float32.
MOST_NUMBERS = 50_000_000
#: How many points are recorded where ``every`` is not given, at most.
POINTS = 500
#: How many numbers are converted to float64 at once.
PIECE = 1 << 22
#: A second axis with less than this share of the first one's variance is rounding.
NO_VARIANCE = 1e-12


@dataclass(frozen=True, eq=False)
class TrainingPath:
    """The parameters a network went through, and its cost there.

    Attributes
    ----------
    parameters : ndarray of shape (n, n_parameters)
        The start, and the parameters every so many steps; the end is the last.
    examples : int64 ndarray of shape (n,)
        How many examples had been seen.
    costs : float64 ndarray of shape (n,)
        The cost of all examples, as of ``net.loss``.
    network : Network
        The copy that was trained.
    batch_size, steps, every : int
        Examples in a mini-batch; mini-batches in all; and from one recorded point to the next.
    """

    parameters: Array
    examples: Array
    costs: Array
    network: Network
    batch_size: int
    steps: int
    every: int

    @property
    def length(self) -> float:
        """The way walked from recorded point to recorded point."""
        return sum(_distance(a, b) for a, b in pairwise(self.parameters))

    @property
    def distance(self) -> float:
        """The straight way from the start to the end."""
        return _distance(self.parameters[0], self.parameters[-1])

    def __str__(self) -> str:
        step = "step" if self.steps == 1 else "steps"
        return (
            f"{self.steps:,} {step} of {self.batch_size:,} examples: cost {self.costs[0]:.4g} to "
            f"{self.costs[-1]:.4g}; walked {self.length:.3g}, and is {self.distance:.3g} from "
            "the start"
        )


def _distance(a: Array, b: Array) -> float:
    return float(np.linalg.norm(np.subtract(a, b, dtype=np.float64)))


class _Recorder:
    """A callback that keeps the parameters every so many steps."""

    def __init__(self, every: int, points: Array, n_examples: int):
        self.every, self.points, self.n_examples = every, points, n_examples
        self.kept = self.epoch = 0
        self.examples = np.zeros(len(points), dtype=np.int64)

    def on_epoch_begin(self, network: Network, epoch: int) -> None:
        self.epoch = epoch

    def on_batch_end(self, network: Network, step: int, logs: dict[str, float]) -> None:
        self.record(network, self.epoch * self.n_examples + int(logs["examples"]))

    def record(self, network: Network, examples: int) -> None:
        """Keep the parameters now."""
        self.points[self.kept], self.examples[self.kept] = network.parameters, examples
        self.kept += 1


def training_path(
    network: Network,
    X: Any,
    y: Any,
    *,
    epochs: int = 10,
    batch_size: int = 32,
    optimizer: str | Optimizer = "sgd",
    every: int | None = None,
) -> TrainingPath:
    """Train a copy of the network, the very steps `Network.fit` makes, and keep where it went.

    Parameters
    ----------
    network : Network
        The start; stays as it is, its random generator too.
    X, y : array
        As in `Network.fit`; the costs on the way are those of all of them.
    epochs, batch_size, optimizer
        As in `Network.fit`.
    every : int, optional
        Steps (mini-batches) from one recorded point to the next; by default so many that there are
        about 500 points.

    Returns
    -------
    TrainingPath

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or the path would hold more than 50,000,000 numbers
        (n_parameters times points).
    DivergenceError
        If the cost becomes NaN or infinite.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.paths import training_path
    >>> net = fastgd.Network(
    ...     [1, 1], output="identity", loss="sse", init="zeros", dtype="float64"
    ... )
    >>> sgd = fastgd.SGD(learning_rate=0.01)
    >>> path = training_path(net, [[3.0]], [10.0], epochs=2, batch_size=1, optimizer=sgd)
    >>> path.parameters[:, 0].round(2).tolist()  # 0, then 0 + 0.01 x 2 x 10 x 3, ...
    [0.0, 0.6, 1.08]
    >>> path.costs.round(2)
    array([100.  ,  64.  ,  40.96])
    """
    n = len(network.check_examples(X, y))
    check_integer("epochs", epochs, 1)
    check_integer("batch_size", batch_size, 1)
    batch_size = min(batch_size, n)
    steps = epochs * -(-n // batch_size)
    every = _check_every(every, steps, network.n_parameters)
    costs = Costs(network, X, y)
    points = np.empty((1 + -(-steps // every), network.n_parameters), dtype=network.dtype)
    learner, recorder = network.copy(), _Recorder(every, points, n)
    recorder.record(learner, 0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="training interrupted")
        history = learner.fit(
            X, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, callbacks=recorder
        )
    if history.stop_reason == "interrupted":
        raise KeyboardInterrupt  # Ctrl-C ends the caller's work, not only the training
    if steps % every:
        recorder.record(learner, epochs * n)
    on_the_way = np.array([costs.at(point) for point in points])
    return TrainingPath(points, recorder.examples, on_the_way, learner, batch_size, steps, every)


def _check_every(every: int | None, steps: int, n_parameters: int) -> int:
    """Return how many steps lie between recorded points, such that they fit in memory."""
    most = MOST_NUMBERS // n_parameters - 1
    if most < 1:
        raise ValueError(
            f"a path of {n_parameters:,} parameters cannot be recorded: {MOST_NUMBERS:,} numbers "
            f"are the limit, so at most {MOST_NUMBERS // 2:,} parameters; take a smaller network, "
            "or directions='random', which needs no path"
        )
    if every is None:
        return -(-steps // min(POINTS, most))
    check_integer("every", every, 1)
    points = 1 + -(-steps // every)
    if points > most + 1:
        raise SettingError(
            "every",
            f"must be at least {-(-steps // most)} for {steps:,} steps; got {every}: "
            f"{points:,} points of {n_parameters:,} parameters are more than "
            f"{MOST_NUMBERS:,} numbers",
        )
    return every


def principal_axes(points: list[Array]) -> tuple[Array, Array, Array]:
    """Return the plane closest to points in many dimensions, by principal component analysis.

    The eigenvectors of the covariance are found from the n x n matrix of inner products of the
    centred points (Turk and Pentland 1991, section 2.2), since points are few and parameters many.

    Parameters
    ----------
    points : list of ndarray, each of shape (n, n_parameters)
        They are taken together, each row alike.

    Returns
    -------
    mean : float64 ndarray of shape (n_parameters,)
    axes : float64 ndarray of shape (2, n_parameters)
        Orthonormal; each points from the first row towards the last of the first array.
    shares : float64 ndarray of shape (2,)
        The share of the points' variance along each axis.

    Raises
    ------
    ValueError
        If all points are the same, or there is one parameter only.

    Examples
    --------
    >>> mean, axes, shares = principal_axes([np.array([[0.0, 0, 0], [3, 4, 0], [6, 8, 0]])])
    >>> axes[0].round(6), shares.round(6)
    (array([0.6, 0.8, 0. ]), array([1., 0.]))
    """
    n_parameters = points[0].shape[1]
    if n_parameters < 2:
        raise ValueError("a plane needs at least 2 parameters; the network has 1: use along_weight")
    if all((point == points[0][0]).all() for each in points for point in each):
        raise SettingError("path", "must move: all its points are the same parameters")
    mean = sum(each.sum(axis=0, dtype=np.float64) for each in points) / sum(map(len, points))
    n = sum(map(len, points))
    pieces = [slice(i, i + max(1, PIECE // n)) for i in range(0, n_parameters, max(1, PIECE // n))]

    def centred(piece: slice) -> Array:
        return np.concatenate([each[:, piece] - mean[piece] for each in points])

    products = np.zeros((n, n))
    for piece in pieces:
        rows = centred(piece)
        products += rows @ rows.T
    values, vectors = np.linalg.eigh(products)
    total = np.trace(products)
    axes = np.empty((2, n_parameters))
    for piece in pieces:
        axes[:, piece] = vectors[:, [-1, -2]].T @ centred(piece)
    if values[-2] <= NO_VARIANCE * values[-1]:  # a straight path: any second axis will do
        axes[1] = np.random.default_rng(0).standard_normal(n_parameters)
    axes = np.linalg.qr(axes.T)[0].T
    way = points[0][-1].astype(np.float64) - points[0][0]
    axes *= np.where(axes @ way < -1e-9 * np.linalg.norm(way), -1.0, 1.0)[:, None]
    return mean, axes, np.maximum(values[[-1, -2]], 0) / total
