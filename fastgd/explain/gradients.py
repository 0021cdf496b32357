"""How large the gradient is in each layer as a network learns: whether it vanishes on its way."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import score_kind
from fastgd.errors import DivergenceError
from fastgd.explain.columns import columns
from fastgd.rules.checks import check_integer

if TYPE_CHECKING:
    from fastgd.network import Network
    from fastgd.rules.optimizers import Optimizer

__all__ = ["GradientSizes", "Recorder", "gradient_sizes", "layer_norms"]

Array = np.ndarray

#: Epochs told in the text, evenly spread.
EPOCHS_TOLD = 6


@dataclass(frozen=True)
class GradientSizes:
    """The size of dC/dW of each layer before training and after each epoch.

    Attributes
    ----------
    norms : float64 ndarray of shape (epochs + 1, n_layers)
        The Frobenius norm, the root of the sum of squares, of dC/dW over all examples.
    sizes : tuple of int
        Those of the network.
    scores : float64 ndarray of shape (epochs + 1,)
        ``net.score`` on the same examples.
    score_name : str
        ``"accuracy"`` or ``"R^2"``.
    diverged : int or None
        The epoch, from 1, in which the cost became NaN or infinite; norms end before it.
    """

    norms: Array
    sizes: tuple[int, ...]
    scores: Array
    score_name: str = "accuracy"
    diverged: int | None = None

    @property
    def ratio(self) -> float:
        """The first layer's gradient over the last one's, before training; under 1 it vanishes."""
        first, last = self.norms[0, 0], self.norms[0, -1]
        return float(first / last) if last else float("nan")

    @property
    def layer_names(self) -> list[str]:
        """The name of each layer, the first beside the inputs."""
        pairs = zip(self.sizes[:-1], self.sizes[1:], strict=True)
        return [f"layer {i} ({a}-{b})" for i, (a, b) in enumerate(pairs, 1)]

    def __str__(self) -> str:
        told = np.unique(np.linspace(0, len(self.norms) - 1, EPOCHS_TOLD).round().astype(int))
        rows = [
            [name, *(f"{self.norms[epoch, layer]:.2e}" for epoch in told)]
            for layer, name in enumerate(self.layer_names)
        ]
        table = columns(["size of dC/dW", *(f"epoch {epoch}" for epoch in told)], rows)
        lines = [table]
        if len(self.sizes) > 2 and np.isfinite(self.ratio):
            lines.append(
                f"before training the first layer's gradient is {self.ratio:.2g} times the last's"
            )
        before, after = self.scores[0], self.scores[-1]
        lines.append(
            f"{self.score_name} {before:.3f} before training, {after:.3f} after "
            f"{len(self.scores) - 1} epochs"
        )
        if self.diverged is not None:
            lines.append(f"the cost became NaN or infinite in epoch {self.diverged}")
        return "\n".join(lines)


class Recorder:
    """A callback for `Network.fit` that keeps each layer's gradient size after every epoch."""

    def __init__(self, X: Any, y: Any):
        self.X, self.y = X, y
        self.norms: list[Array] = []
        self.scores: list[float] = []

    def on_epoch_end(self, network: Network, epoch: int, logs: dict[str, float]) -> None:
        """Keep the sizes now."""
        self.norms.append(layer_norms(network, self.X, self.y))
        self.scores.append(network.score(self.X, self.y))


def layer_norms(network: Network, X: Any, y: Any) -> Array:
    """Return the Frobenius norm of dC/dW of each layer, (n_layers,) float64.

    >>> import fastgd
    >>> net = fastgd.Network([1, 1], output="identity", loss="sse", init="zeros")
    >>> layer_norms(net, [[3.0]], [10.0])  # 2 (0 - 10) 3
    array([60.])
    """
    gradient = network.gradient(X, y).astype(np.float64)
    return np.array([np.linalg.norm(W) for W in network.architecture.layout.weights(gradient)])


def gradient_sizes(
    network: Network,
    X: Any,
    y: Any,
    *,
    epochs: int = 20,
    batch_size: int = 32,
    optimizer: str | Optimizer = "sgd",
    callbacks: Any = (),
) -> GradientSizes:
    """Train a copy of the network and measure its gradient, layer by layer, after every epoch.

    In a deep sigmoid network it shrinks from layer to layer on its way back, since each multiplies
    it by a slope of at most 1/4: the vanishing gradient (Nielsen, chapter 5).

    Parameters
    ----------
    network : Network
        Stays as it is.
    X, y : array
        As in `Network.fit`; also what the gradient is measured on.
    epochs, batch_size, optimizer, callbacks
        As in `Network.fit`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.gradients import gradient_sizes
    >>> deep = fastgd.Network([2, 5, 5, 5, 1], seed=0)
    >>> found = gradient_sizes(deep, [[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=3)
    >>> found.norms.shape, found.ratio < 0.2
    ((4, 4), True)
    """
    check_integer("epochs", epochs, 0)
    learner, recorder, diverged = copy.deepcopy(network), Recorder(X, y), None
    recorder.on_epoch_end(learner, -1, {})
    others = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    try:
        learner.fit(
            X, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer,
            callbacks=[recorder, *others],
        )  # fmt: skip
    except DivergenceError as error:
        diverged = error.epoch
    name = score_kind(network.architecture, network.check_targets(y)).label
    return GradientSizes(
        np.array(recorder.norms), tuple(network.sizes), np.array(recorder.scores), name, diverged
    )
