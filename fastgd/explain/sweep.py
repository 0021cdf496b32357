"""The same network trained at many learning rates: which are too low, right, too high."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import score_kind
from fastgd.errors import DivergenceError, SettingError, SettingTypeError
from fastgd.explain.columns import columns
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.optimizers import SGD

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["RATES", "Sweep", "sweep_rates"]

Array = np.ndarray

#: From far too low to far too high for most networks: two for each power of ten.
RATES = tuple(float(f"{10.0**k:.3g}") for k in np.arange(-3, 2.25, 0.5))
MOST_RATES = 100


@dataclass(frozen=True)
class Sweep:
    """What some epochs at each learning rate, from the same start, led to.

    Attributes
    ----------
    rates : float64 ndarray of shape (n,)
        Ascending.
    costs : float64 ndarray of shape (n,)
        ``net.loss`` on the training examples afterwards; NaN where training diverged.
    scores : float64 ndarray of shape (n,)
        ``net.score`` on the validation examples afterwards; NaN where training diverged.
    diverged : int64 ndarray of shape (n,)
        The epoch, from 1, in which the cost became NaN or infinite; 0 where it did not.
    start_cost : float
        The cost before training.
    epochs : int
    score_name : str
        ``"accuracy"`` or ``"R^2"``.
    """

    rates: Array
    costs: Array
    scores: Array
    diverged: Array
    start_cost: float
    epochs: int
    score_name: str

    @property
    def worse(self) -> Array:
        """Whether each ended with a cost no lower than that of the start, or diverged; (n,)."""
        return ~(self.costs < self.start_cost)

    @property
    def best(self) -> int | None:
        """Which rate had the lowest cost; None where none lowered it."""
        return None if self.worse.all() else int(np.nanargmin(self.costs))

    def outcome(self, i: int) -> str:
        """Say in words how the i-th rate ended."""
        if self.diverged[i]:
            return f"diverged in epoch {self.diverged[i]}"
        if self.worse[i]:
            return "no better than the start"
        return "lowest cost" if i == self.best else ""

    def __str__(self) -> str:
        rows = [
            [
                f"{rate:g}",
                "NaN" if np.isnan(self.costs[i]) else f"{self.costs[i]:.4g}",
                "" if self.diverged[i] else f"{self.scores[i]:.4g}",
                self.outcome(i),
            ]
            for i, rate in enumerate(self.rates)
        ]
        score = f"validation {self.score_name}"
        s = "" if self.epochs == 1 else "s"
        head = f"cost before training {self.start_cost:.4g}; after {self.epochs} epoch{s}:"
        return f"{head}\n{columns(['rate', 'cost', score, ''], rows)}"


def sweep_rates(
    network: Network,
    X: Any,
    y: Any,
    rates: Iterable[float] | None = None,
    *,
    epochs: int = 5,
    batch_size: int = 10,
    validation_data: tuple[Any, Any] | None = None,
    on_rate: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Train a copy of the network for some epochs at each learning rate.

    Every copy has the same start and sees the same mini-batches in the same order.

    Parameters
    ----------
    network : Network
        Stays as it is.
    X, y : array
        As in `Network.fit`.
    rates : iterable of float, optional
        At most 100, each above 0; by default two for each power of ten from 0.001 to 100.
    epochs, batch_size : int
        As in `Network.fit`.
    validation_data : tuple (X, y), optional
        What scores are measured on; the training examples where it is not given.
    on_rate : callable, optional
        Called as ``on_rate(done, total)`` before the first rate and after each.

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted. A rate that diverges is no error: it is part of the result.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.sweep import sweep_rates
    >>> net = fastgd.Network([1, 1], output="identity", loss="mse", init="zeros")
    >>> found = sweep_rates(net, [[1.0], [2.0]], [2.0, 4.0], [0.001, 0.1, 1e30], epochs=20)
    >>> [found.outcome(i) for i in range(3)]
    ['', 'lowest cost', 'diverged in epoch 2']
    """
    chosen = _check_rates(RATES if rates is None else rates)
    check_integer("epochs", epochs, 1)
    X_score, y_score = (X, y) if validation_data is None else _pair(validation_data)
    start_cost = network.loss(X, y)
    network.score(X_score, y_score)  # refuses what does not fit, before any work
    costs, scores = np.full(len(chosen), np.nan), np.full(len(chosen), np.nan)
    diverged = np.zeros(len(chosen), dtype=np.int64)
    for i, rate in enumerate(chosen):
        if on_rate:
            on_rate(i, len(chosen))
        learner = copy.deepcopy(network)
        try:
            learner.fit(X, y, epochs=epochs, batch_size=batch_size, optimizer=SGD(rate))
        except DivergenceError as error:
            diverged[i] = error.epoch
        else:
            costs[i], scores[i] = learner.loss(X, y), learner.score(X_score, y_score)
    if on_rate:
        on_rate(len(chosen), len(chosen))
    name = score_kind(network.architecture, network.check_targets(y_score)).label
    return Sweep(np.array(chosen), costs, scores, diverged, start_cost, epochs, name)


def _pair(validation_data: Any) -> tuple[Any, Any]:
    """Return (X, y), or raise TypeError."""
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
        raise SettingTypeError(
            "validation_data", f"must be a pair (X, y); got {type(validation_data).__name__}"
        )
    return validation_data[0], validation_data[1]


def _check_rates(rates: Iterable[float]) -> list[float]:
    if isinstance(rates, (int, float, str)):
        raise SettingTypeError("rates", f"must be several learning rates; got {rates!r}")
    chosen = sorted({check_number("rates", _plain(rate), above=0) for rate in rates})
    if not 1 <= len(chosen) <= MOST_RATES:
        raise SettingError("rates", f"must be 1 to {MOST_RATES} learning rates; got {len(chosen)}")
    return chosen


def _plain(rate: Any) -> Any:
    return rate.item() if isinstance(rate, np.generic) else rate
