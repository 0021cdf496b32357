"""Where training starts: three starts side by side, and how far z spreads."""

from __future__ import annotations

from typing import Any

from fastgd.explain.start import Spread, Starts, compare_starts
from fastgd.plot.display import Display, drawing
from fastgd.plot.style import matplotlib, palette

__all__ = ["SpreadDisplay", "StartsDisplay"]

LINES = ("-", "--", "-.")
MARKERS = ("o", "s", "^")
#: Bars for more hidden layers than this are too thin to read.
MOST_LAYERS = 6


class StartsDisplay(Display):
    """The cost over epochs from three starts, and how many hidden units are different at the end.

    Parameters
    ----------
    starts : Starts
        What `fastgd.explain.start.compare_starts` returned.

    Examples
    --------
    >>> from fastgd.plot import StartsDisplay
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> display = StartsDisplay.from_network([2, 4, 1], X, y, epochs=20)  # doctest: +SKIP
    >>> display.starts["zero"].distinct  # doctest: +SKIP
    [1]
    """

    def __init__(self, *, starts: Starts):
        self.starts = starts

    @classmethod
    def from_network(
        cls, network: Any, X: Any, y: Any, *, ax: Any = None, **options: Any
    ) -> StartsDisplay:
        """Train from the three starts and draw; the arguments are those of `compare_starts`."""
        drawing()
        return cls(starts=compare_starts(network, X, y, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> StartsDisplay:
        """Draw the costs and the units; ``ax`` is an array of two axes, or None."""
        units = self.starts.starts[0].units
        if len(units) > MOST_LAYERS:
            raise ValueError(
                f"the picture shows at most {MOST_LAYERS} hidden layers; got {len(units)} "
                "(print(starts) shows all)"
            )
        costs, bars = self._axes(ax, (9.6, 4.2), 1, 2).flat
        self._draw_costs(costs)
        self._draw_units(bars)
        self._settle(ax is None)
        return self

    def _draw_costs(self, axis: Any) -> None:
        colors = palette()
        for i, start in enumerate(self.starts.starts):
            label = f"{start.name}, ended early: diverged" if start.diverged else start.name
            axis.plot(
                range(len(start.cost)), start.cost, LINES[i], color=colors.cycle[i], label=label,
                marker=MARKERS[i], markevery=max(1, len(start.cost) // 8), markersize=5,
            )  # fmt: skip
        axis.set(
            xlabel="epoch", ylabel="training cost", yscale="log", title="The cost from each start"
        )
        axis.minorticks_off()
        _plain_log(axis.yaxis)
        axis.legend()

    def _draw_units(self, axis: Any) -> None:
        colors = palette()
        names: list[str] = []
        for i, start in enumerate(self.starts.starts):
            for layer, (distinct, n) in enumerate(zip(start.distinct, start.units, strict=True)):
                y = len(names)
                axis.barh(y, n, facecolor="none", edgecolor=colors.muted)
                axis.barh(y, distinct, color=colors.cycle[i])
                axis.annotate(
                    f"{distinct} of {n}", (n, y), (4, 0), textcoords="offset points", va="center"
                )
                several = len(start.units) > 1
                names.append(f"{start.name}, layer {layer + 1}" if several else start.name)
        most = max(self.starts.starts[0].units, default=1)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.xaxis.set_major_locator(matplotlib().ticker.MaxNLocator(integer=True))
        axis.set(
            xlim=(0, 1.25 * most),
            xlabel="hidden units",
            title="Hidden units that are no copies, after training",
        )


class SpreadDisplay(Display):
    """How far z spreads before the activation, and how many units are saturated, by n_in.

    Parameters
    ----------
    spread : Spread
        What `fastgd.explain.start.spread_of_z` returned.

    Examples
    --------
    >>> from fastgd.plot import SpreadDisplay
    >>> from fastgd.explain.start import spread_of_z
    >>> display = SpreadDisplay(spread=spread_of_z([10, 100, 1000])).plot()  # doctest: +SKIP
    >>> display.spread.theory["1"][1]  # doctest: +SKIP
    10.0
    """

    def __init__(self, *, spread: Spread):
        self.spread = spread

    def plot(self, ax: Any = None) -> SpreadDisplay:
        """Draw the spread and the saturation; ``ax`` is an array of two axes, or None."""
        spreads, shares = self._axes(ax, (9.6, 4.2), 1, 2).flat
        colors, found = palette(), self.spread
        for i, scale in enumerate(found.spread):
            color, theory = colors.cycle[i], "sqrt(n_in)" if scale == "1" else "1"
            look = {"marker": MARKERS[i], "color": color, "markersize": 7}
            spreads.plot(
                found.n_ins, found.theory[scale], LINES[i], color=color, label=f"theory: {theory}"
            )
            spreads.plot(
                found.n_ins, found.spread[scale], linestyle="none", **look,
                label=f"measured, weights of scale {scale}",
            )  # fmt: skip
            share = [100 * s for s in found.saturated[scale]]
            shares.plot(found.n_ins, share, LINES[i], **look, label=f"weights of scale {scale}")
        spreads.set(
            xscale="log", yscale="log", xlabel="inputs of a unit, n_in",
            ylabel="standard deviation of z", title="Weights of scale 1 let z grow with n_in",
        )  # fmt: skip
        shares.set(
            xscale="log", ylim=(-4, 128), yticks=range(0, 101, 20), xlabel="inputs of a unit, n_in",
            ylabel="activations within 0.01 of an end, %",
            title=f"... so that {found.activation} units are saturated",
        )  # fmt: skip
        for axis in (spreads, shares):
            _plain_log(axis.xaxis)
            axis.minorticks_off()
        _plain_log(spreads.yaxis)
        spreads.legend(fontsize="small", loc="upper left")
        low, high = spreads.get_ylim()
        spreads.set_ylim(low, high * (high / low) ** 0.6)  # room for the legend
        shares.legend(fontsize="small", loc="upper left")
        self._settle(ax is None)
        return self


def _plain_log(axis: Any) -> None:
    """Write the numbers of a logarithmic axis as 0.01, 1, 1,000."""
    ticker = matplotlib().ticker
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
