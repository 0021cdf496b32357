"""The negative gradient: the weights it asks most of, and how far it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.explain.nudges import Nudges, nudges
from fastgd.plot.display import Display
from fastgd.plot.style import matplotlib, palette
from fastgd.plot.units import TIMES, shorten

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["NudgesDisplay"]

#: At most so many weights are drawn, with so many letters each.
MOST, LONGEST = 30, 48


class NudgesDisplay(Display):
    """The largest nudges as bars; how many there are of each kind; predicted and true cost.

    Bars to the right are weights that should increase, hatched bars to the left decrease.

    Parameters
    ----------
    told : Nudges

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import NudgesDisplay
    >>> data = fastgd.data.load_digits()
    >>> net = fastgd.Network([64, 30, 10], input_scale=1 / 16, seed=0)
    >>> display = NudgesDisplay.from_network(
    ...     net, data.X, data.y, image_shape=(8, 8)
    ... )  # doctest: +SKIP
    >>> display.told.counts["a lot"]  # doctest: +SKIP
    (0, 47)
    """

    def __init__(self, *, told: Nudges):
        self.told = told

    @classmethod
    def from_network(
        cls, network: Network, X: Any, y: Any, *, top: int = 20, learning_rate: float = 0.1,
        ax: Any = None, **options: Any,
    ) -> NudgesDisplay:  # fmt: skip
        """Compute the nudges (`fastgd.explain.nudges`) and draw them.

        ``ax`` is an array of three axes, or None.
        """
        if isinstance(top, int) and top > MOST:
            raise SettingError(
                "top",
                f"must be at most {MOST} for a picture; got {top} (net.nudges names as many "
                "as you like)",
            )
        return cls(told=nudges(network, X, y, top, learning_rate, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> NudgesDisplay:
        """Draw three panels; ``ax`` is an array of three axes, or None."""
        told, own = self.told, ax is None
        if own:
            ax = self._own_axes(min(6.8, 2.2 + 0.23 * len(told.top)))
        elif np.size(ax) != 3:
            raise SettingError("ax", "must be an array of 3 axes, or None")
        self.ax_ = np.asarray(ax)
        self.figure_ = self.ax_.flat[0].figure
        bars, counts, costs = self.ax_.flat
        self._draw_top(bars)
        self._draw_counts(counts)
        self._draw_costs(costs)
        if own:
            n = len(told.gradient)
            self.figure_.suptitle(f"What the gradient asks of {n:,} weights and biases")
        self._settle(own)
        return self

    def _own_axes(self, height: float) -> Any:
        figure = matplotlib().pyplot.figure(figsize=(9.8, max(height, 5.2)), layout="constrained")
        axes = figure.subplot_mosaic([["top", "counts"], ["top", "costs"]], width_ratios=[1.15, 1])
        return np.array([axes["top"], axes["counts"], axes["costs"]])

    def _draw_top(self, axis: Any) -> None:
        colors, top = palette(), self.told.top
        updates = np.array([nudge.update for nudge in top])
        rows = np.arange(len(top))
        drawn = axis.barh(
            rows, updates, height=0.7, edgecolor=colors.background,
            color=np.where(updates > 0, colors.positive, colors.negative),
        )  # fmt: skip
        for bar, update in zip(drawn, updates, strict=True):
            bar.set_hatch("" if update > 0 else "//")
        axis.set_yticks(rows, [shorten(nudge.name, LONGEST) for nudge in top], fontsize="small")
        axis.invert_yaxis()
        axis.axvline(0, color=colors.muted, linewidth=0.8)
        axis.locator_params(axis="x", nbins=3)
        axis.set_xlabel(f"update: -{self.told.learning_rate:g} {TIMES} slope")
        axis.set_title(f"These {len(top)} save most: {self.told.share:.0%} of it all")

    def _draw_counts(self, axis: Any) -> None:
        colors, counts = palette(), dict(self.told.counts)
        still = sum(counts.pop("not at all"))
        rows, bands = np.arange(len(counts)), list(counts)
        kinds = (
            ("should increase", "", colors.positive),
            ("should decrease", "//", colors.negative),
        )
        for k, (label, hatch, color) in enumerate(kinds):
            n = [counts[band][k] for band in bands]
            drawn = axis.barh(
                rows + 0.4 * k - 0.2, n, height=0.36, color=color, hatch=hatch,
                edgecolor=colors.background, label=label,
            )  # fmt: skip
            axis.bar_label(drawn, [f"{count:,}" for count in n], padding=3, fontsize="small")
        axis.set_yticks(rows, bands)
        axis.invert_yaxis()
        axis.set_xscale("symlog", linthresh=1)
        most = max((max(pair) for pair in counts.values()), default=1)
        axis.set_xlim(0, max(10, most) * 8)
        axis.minorticks_off()
        axis.set_xlabel("how many" + (f" ({still:,} more: not at all)" if still else ""))
        axis.set_title("How many, and how much")
        axis.set_ylim(len(bands) - 0.4, -1.5)  # the legend stands above the bars
        axis.legend(loc="upper right", fontsize="x-small", ncols=2)

    def _draw_costs(self, axis: Any) -> None:
        colors, told = palette(), self.told
        sizes = [p.step_size for p in told.predictions]
        true = np.array([told.cost + p.true for p in told.predictions])
        predicted = np.array([told.cost + p.predicted for p in told.predictions])
        axis.axhline(told.cost, color=colors.muted, linewidth=0.8)
        axis.plot(
            sizes, predicted, "s--", color=colors.negative, markersize=4,
            label=f"predicted: gradient {TIMES} step",
        )  # fmt: skip
        axis.plot(sizes, true, "o-", color=colors.positive, markersize=4, label="true")
        axis.set_xscale("log")
        known = true[np.isfinite(true)]
        if known.size:
            fall = max(told.cost - known.min(), known.max() - told.cost, 1e-12)
            top = min(known.max(), told.cost + 3 * fall)
            axis.set_ylim(told.cost - 1.8 * fall, max(top, told.cost) + 0.9 * fall)
        axis.set(xlabel="step size (learning rate)", ylabel="cost after the step")
        axis.set_title("How far the gradient can be trusted")
        axis.legend(loc="upper left", fontsize="small")
