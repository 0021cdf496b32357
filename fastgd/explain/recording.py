"""A training as a film: the state of a network at moments that are close together at first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import classes_of
from fastgd.explain.confusion import true_classes
from fastgd.rules.checks import check_integer
from fastgd.rules.optimizers import Optimizer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Moment", "Recording", "record"]

Array = np.ndarray

#: Most moments of a recording: a film of ten seconds.
MOMENTS = 100
#: After so many steps nobody is called.
NEVER = 1 << 40


@dataclass(frozen=True)
class Moment:
    """What a network is at one moment of its training.

    Attributes
    ----------
    epoch : float
        How many epochs it has trained; a fraction within the first.
    step : int
        How many mini-batches that is.
    cost, validation_cost : float
        ``net.loss`` on the training and on the validation examples.
    score : float
        The share of the validation examples whose class is right.
    weights : ndarray of shape (n_inputs, n)
        Those into the first n units of the first layer.
    outputs : ndarray of shape (k, n_outputs)
        The outputs for the examples that are watched.
    """

    epoch: float
    step: int
    cost: float
    validation_cost: float
    score: float
    weights: Array
    outputs: Array


@dataclass
class Recording:
    """The moments of a training, and what is watched.

    Attributes
    ----------
    moments : list of Moment
        The first before any step.
    X, y : ndarray of shape (k, n_inputs) and (k,)
        The validation examples that are watched, and their classes.
    n_examples : int
    """

    X: Array
    y: Array
    n_examples: int
    moments: list[Moment] = field(default_factory=list)

    def __str__(self) -> str:
        first, last = self.moments[0], self.moments[-1]
        return (
            f"{len(self.moments)} moments of {last.epoch:g} epochs ({last.step:,} steps): "
            f"cost {first.cost:.4g} to {last.cost:.4g}, "
            f"{100 * first.score:.1f} % right to {100 * last.score:.1f} % of the validation "
            f"examples"
        )


class Recorder:
    """A callback for `Network.fit` that keeps the moments after some of its epochs.

    Parameters
    ----------
    recording : Recording
    X, y, X_validation, y_validation : array
        What costs are measured on.
    classes : ndarray of shape (n_validation,)
        What y_validation stands for.
    n_units : int
        How many units of the first layer are watched.
    wanted : set of int
        The epochs, from 1, after which a moment is kept.
    steps_per_epoch : int
    """

    def __init__(
        self, recording: Recording, X: Any, y: Any, X_validation: Any, y_validation: Any,
        classes: Array, n_units: int, wanted: set[int], steps_per_epoch: int,
    ):  # fmt: skip
        self.recording, self.n_units = recording, n_units
        self.X, self.y, self.X_validation, self.y_validation = X, y, X_validation, y_validation
        self.classes = classes
        self.wanted, self.steps_per_epoch = wanted, steps_per_epoch
        self.early = {round(2 ** (k / 2)) for k in range(2 * steps_per_epoch.bit_length())}
        self.every = 1

    def on_train_begin(self, network: Network) -> None:
        """Keep the start; in the first epoch look at every step."""
        self.every = 1
        self.keep(network, 0.0, 0)

    def on_batch_end(self, network: Network, step: int, logs: dict[str, float]) -> None:
        """Keep this moment, where it is one of those half a doubling apart."""
        if step in self.early and step < self.steps_per_epoch:
            self.keep(network, step / self.steps_per_epoch, step)

    def on_epoch_end(self, network: Network, epoch: int, logs: dict[str, float]) -> None:
        """Keep this moment; from now on steps are nobody's business."""
        self.every = NEVER
        if epoch == 0 or epoch + 1 in self.wanted:
            self.keep(network, float(epoch + 1), (epoch + 1) * self.steps_per_epoch)

    def keep(self, network: Network, epoch: float, step: int) -> None:
        """Keep this moment."""
        moment = Moment(
            epoch=epoch,
            step=step,
            cost=network.loss(self.X, self.y),
            validation_cost=network.loss(self.X_validation, self.y_validation),
            score=float(np.mean(classes_of(network.predict(self.X_validation)) == self.classes)),
            weights=network.weights[0][:, : self.n_units].copy(),
            outputs=network.predict(self.recording.X),
        )
        self.recording.moments.append(moment)


def record(
    network: Network,
    X: Any,
    y: Any,
    *,
    validation_data: tuple[Any, Any] | None = None,
    epochs: int = 30,
    batch_size: int = 10,
    optimizer: str | Optimizer = "sgd",
    n_watched: int = 4,
    n_units: int = 30,
    callbacks: Any = (),
) -> Recording:
    """Train a copy of the network and keep its moments: after 0, 1, 2, 3, 4, 6, 8, ... steps
    of the first epoch, then after each epoch.

    Parameters
    ----------
    network : Network
        Stays as it is.
    X, y : array
        As in `Network.fit`; y are classes.
    validation_data : tuple (X, y), optional
        What the score is measured on, and where the watched examples come from: one of each of the
        first classes. The training examples where it is not given.
    epochs : int, default 30
        At least 1. Of more than about 70, evenly spread ones are kept.
    batch_size, optimizer
        As in `Network.fit`.
    n_watched, n_units : int
        How many examples and units of the first layer to keep.
    callbacks
        As in `Network.fit`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or y holds no classes.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.recording import record
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 10], input_scale=digits.input_scale, seed=0)
    >>> film = record(net, digits.X[:80], digits.y[:80], epochs=2)
    >>> [moment.step for moment in film.moments]
    [0, 1, 2, 3, 4, 6, 8, 16]
    """
    for name, given in (("epochs", epochs), ("n_watched", n_watched), ("n_units", n_units)):
        check_integer(name, given, 1)
    check_integer("batch_size", batch_size, 1)
    X, y = _array(X), np.asarray(y)
    network.check_examples(X, y)
    X_validation, y_validation = (X, y) if validation_data is None else validation_data
    X_validation, y_validation = _array(X_validation), np.asarray(y_validation)
    names = ("validation_data[0]", "validation_data[1]")
    network.check_examples(X_validation, y_validation, None, names)
    true_classes(network, y)
    classes = true_classes(network, y_validation)
    rows = _one_of_each(classes, n_watched)
    recording = Recording(_dense(X_validation[rows]), classes[rows], X.shape[0])
    steps = -(-X.shape[0] // batch_size)
    room = MOMENTS - 2 * steps.bit_length()
    wanted = set(np.unique(np.linspace(1, epochs, min(epochs, room)).round().astype(int)).tolist())
    recorder = Recorder(
        recording, X, y, X_validation, y_validation, classes, n_units, wanted, steps
    )  # fmt: skip
    network.copy().fit(
        X, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer,
        callbacks=[recorder, *(callbacks if isinstance(callbacks, (list, tuple)) else [callbacks])],
    )  # fmt: skip
    return recording


def _one_of_each(classes: Array, n: int) -> Array:
    """Return rows: the first of each class, in the order of classes, then others; n at most."""
    firsts = np.unique(classes, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(classes)), firsts)
    return np.concatenate([firsts, others])[:n]


def _array(X: Any) -> Any:
    """Return what rows can be taken of."""
    return X.tocsr() if hasattr(X, "tocsr") else np.asarray(X)


def _dense(X: Any) -> Array:
    return X.toarray() if hasattr(X, "toarray") else X
