"""Cost and score after some epochs, against the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.sweep import Sweep, sweep_rates
from fastgd.plot.display import Display
from fastgd.plot.style import palette

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["SweepDisplay"]

#: R^2 may be arbitrarily low; nothing under this is drawn to scale.
LOWEST_SCORE = -1.0


class SweepDisplay(Display):
    """The cost and the validation score after the same number of epochs at each learning rate.

    Rates that diverged, or ended no better than they started, are marked as such.

    Parameters
    ----------
    sweep : Sweep

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import SweepDisplay
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 10], input_scale=digits.input_scale, seed=0)
    >>> display = SweepDisplay.from_network(net, digits.X, digits.y)  # doctest: +SKIP
    >>> display.sweep.rates[display.sweep.best]  # doctest: +SKIP
    """

    def __init__(self, *, sweep: Sweep):
        self.sweep = sweep

    @classmethod
    def from_network(
        cls, network: Network, X: Any, y: Any, *, rates: Iterable[float] | None = None,
        epochs: int = 5, batch_size: int = 10, validation_data: tuple[Any, Any] | None = None,
        on_rate: Callable[[int, int], None] | None = None, ax: Any = None,
    ) -> SweepDisplay:  # fmt: skip
        """Train a copy of the network at each rate and draw what came of it."""
        found = sweep_rates(
            network, X, y, rates, epochs=epochs, batch_size=batch_size,
            validation_data=validation_data, on_rate=on_rate,
        )  # fmt: skip
        return cls(sweep=found).plot(ax=ax)

    def plot(self, ax: Any = None) -> SweepDisplay:
        """Draw the costs above the scores; ``ax`` is an array of two axes, or None."""
        found, colors = self.sweep, palette()
        above, below = np.ravel(self._axes(ax, (7.0, 5.6), 2, 1, sharex=True))
        good, lost = ~found.worse, found.diverged > 0
        bad = found.worse & ~lost
        for axis, values in ((above, found.costs), (below, self._scores())):
            axis.plot(found.rates, values, "-", color=colors.muted, linewidth=1)
            axis.plot(found.rates[good], values[good], "o", color=colors.positive)
            axis.plot(
                found.rates[bad], values[bad], "v", color=colors.negative, markersize=8,
                label="no better than the start",
            )  # fmt: skip
            edge = 0.94 if axis is above else 0.06
            axis.plot(
                found.rates[lost], np.full(lost.sum(), edge), "x", color=colors.negative,
                markersize=9, markeredgewidth=2.2, transform=axis.get_xaxis_transform(),
                label="diverged: cost NaN or infinite",
            )  # fmt: skip
            if found.best is not None:
                axis.plot(
                    found.rates[found.best], values[found.best], "*", color=colors.cycle[2],
                    markersize=16, label=f"lowest cost: rate {found.rates[found.best]:g}",
                )  # fmt: skip
            axis.set_xscale("log")
        above.axhline(found.start_cost, color=colors.text, linestyle=":", label="before training")
        self._label(above, below)
        self._settle(ax is None)
        return self

    def _scores(self) -> np.ndarray:
        return np.maximum(self.sweep.scores, LOWEST_SCORE)

    def _label(self, above: Any, below: Any) -> None:
        found = self.sweep
        if np.nanmin(np.append(found.costs, found.start_cost)) > 0:
            above.set_yscale("log")
        finite = np.append(found.costs[np.isfinite(found.costs)], found.start_cost)
        above.margins(y=0.15)
        if len(set(finite.tolist())) == 1:
            above.set_ylim(finite[0] / 10, finite[0] * 10)
        title = "No learning rate lowers the cost"
        if found.best is not None:
            title = "Too low a rate learns slowly, too high a rate not at all"
            if not found.worse.any():
                title = "The learning rate decides how fast the cost falls"
        epochs = f"{found.epochs} epoch{'s' * (found.epochs != 1)}"
        above.set(title=title, ylabel=f"cost after {epochs}")
        shown = [
            (handle, label)
            for handle, label in zip(*above.get_legend_handles_labels(), strict=True)
            if len(handle.get_xdata())
        ]
        above.legend(*zip(*shown, strict=True), fontsize="small", loc="best")
        low = " (-1: or below)" if np.nanmin(np.append(found.scores, 0)) < LOWEST_SCORE else ""
        below.set(xlabel="learning rate", ylabel=f"validation {found.score_name}{low}")
        if found.score_name == "accuracy":
            below.set_ylim(-0.05, 1.05)
