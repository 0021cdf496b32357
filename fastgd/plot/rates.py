"""The range test over learning rates, with the rate that follows from it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.rates import LearningRate, suggest_learning_rate
from fastgd.plot.display import Display
from fastgd.plot.style import palette

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["LearningRateDisplay"]

#: Costs are drawn up to this many times the start.
HIGHEST = 1.6


class LearningRateDisplay(Display):
    """The cost while the learning rate was raised, with the suggested rate and what bounds it.

    Parameters
    ----------
    learning_rate : fastgd.explain.rates.LearningRate

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import LearningRateDisplay
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 30, 10], input_scale=1 / 16, seed=0)
    >>> display = LearningRateDisplay.from_network(
    ...     net, digits.X, digits.y, batch_size=10
    ... )  # doctest: +SKIP
    >>> display.learning_rate.suggested  # doctest: +SKIP
    """

    def __init__(self, *, learning_rate: LearningRate):
        self.learning_rate = learning_rate

    @classmethod
    def from_network(
        cls, network: Network, X: Any, y: Any, *, batch_size: int = 32, seed: int = 0,
        ax: Any = None,
    ) -> LearningRateDisplay:  # fmt: skip
        """Suggest a rate, and draw why; arguments as of `suggest_learning_rate`."""
        found = suggest_learning_rate(network, X, y, batch_size=batch_size, seed=seed)
        return cls(learning_rate=found).plot(ax=ax)

    def plot(self, ax: Any = None) -> LearningRateDisplay:
        """Draw the curve and the rates on it."""
        axis, found, colors = self._axes(ax, (7.4, 5.0)), self.learning_rate, palette()
        test = found.range_test
        top = HIGHEST * test.start_cost
        seen = np.where(np.isfinite(test.costs) & (test.costs <= top), test.costs, np.nan)
        axis.plot(
            test.rates, seen, ".", color=colors.muted, markersize=4,
            label="cost after each mini-batch",
        )  # fmt: skip
        axis.plot(
            test.rates, np.where(test.smoothed <= top, test.smoothed, np.nan),
            color=colors.positive, linewidth=2, label="smoothed",
        )  # fmt: skip
        self._mark(axis)
        axis.set_xscale("log")
        shown = seen[np.isfinite(seen)]
        low = float(min(shown.min(), test.smoothed.min()))
        high = float(min(top, max(shown.max(), test.start_cost)))
        margin = 0.08 * (high - low or 1)
        axis.set_ylim(low - margin, high + margin)
        axis.set(
            title=f"Raising the learning rate step by step: begin with about {found.suggested:g}",
            xlabel=f"learning rate (raised with every mini-batch of {found.batch_size})",
            ylabel="cost per example",
        )
        axis.legend(
            loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=4.5, ncols=2,
            fontsize="small",
        )  # fmt: skip
        return self

    def _mark(self, axis: Any) -> None:
        """Mark the suggested rate, the fastest fall, the lowest cost, 2/lambda and the blow-up."""
        found, test, colors = self.learning_rate, self.learning_rate.range_test, palette()

        def on_curve(rate: float) -> float:
            return float(np.interp(np.log(rate), np.log(test.rates), test.smoothed))

        if test.steepest is not None:
            axis.plot(
                [test.steepest], [on_curve(test.steepest)], "v", color=colors.text, markersize=9,
                label=f"falls fastest: {test.steepest:.2g}",
            )  # fmt: skip
            axis.plot(
                [test.best], [on_curve(test.best)], "s", color=colors.text, markersize=7,
                label=f"lowest: {test.best:.2g}",
            )  # fmt: skip
        axis.plot(
            [found.suggested], [on_curve(found.suggested)], "*", color=colors.cycle[2],
            markersize=17, zorder=4, label=f"suggested: {found.suggested:g}",
        )  # fmt: skip
        if math.isfinite(found.largest_stable_rate):
            axis.axvline(
                found.largest_stable_rate, linestyle="--", color=colors.negative,
                label=f"largest stable, 2 / eigenvalue: {found.largest_stable_rate:.2g}",
            )  # fmt: skip
        if test.blow_up is not None:
            axis.axvline(
                test.blow_up, linestyle=":", color=colors.negative, linewidth=2,
                label=f"blows up: {test.blow_up:.2g}",
            )  # fmt: skip
