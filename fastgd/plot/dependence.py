"""How answers go with the columns: a small curve for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.dependence import ColumnDependence, Dependence, dependence_of
from fastgd.plot.display import Display
from fastgd.plot.style import palette
from fastgd.plot.units import shorten

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["DependenceDisplay"]

#: At most so many columns and answers are drawn.
MOST_COLUMNS, MOST_LINES = 9, 5
MARKERS = "os^Dv"


class DependenceDisplay(Display):
    """The averaged answers along each column, all others being as they are.

    Lines are for numbers, dots for categories; what changes most is drawn. Grey bars at the foot
    are the rows: where there are few, the curve says little.

    Parameters
    ----------
    dependence : Dependence
    order : sequence of str, optional
        Which original columns come first, mostly by importance; by default those with the largest
        effect.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import DependenceDisplay
    >>> net = fastgd.Network([2, 8, 1], output="identity", loss="mse", seed=0)
    >>> X = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]
    >>> display = DependenceDisplay.from_network(net, X)  # doctest: +SKIP
    """

    def __init__(self, *, dependence: Dependence, order: Sequence[str] | None = None):
        self.dependence = dependence
        if order is None:
            found = sorted(dependence.columns, key=lambda column: -column.effect)
            order = list(dict.fromkeys(column.group for column in found))
        self.order = tuple(order)

    @classmethod
    def from_network(
        cls, network: Network, X: Any, y: Any = None, *, order: Sequence[str] | None = None,
        ax: Any = None, **options: Any,
    ) -> DependenceDisplay:  # fmt: skip
        """Average (`fastgd.explain.dependence.dependence_of`, whose options these are) and draw."""
        return cls(dependence=dependence_of(network, X, **options), order=order).plot(ax=ax)

    def plot(self, ax: Any = None) -> DependenceDisplay:
        """Draw a panel for each column; ``ax`` is an array of as many axes, or None."""
        shown = self.dependence.first(self.order, MOST_COLUMNS)
        n = len(shown.columns)
        across = min(3, n)
        down = math.ceil(n / across)
        size = (max(6.4, 3.3 * across + 0.4), 2.7 * down + 0.8)
        axes = self._axes(ax, size, down, across, squeeze=False, sharey=True)
        flat = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        lines = self._lines(shown)
        for panel, column in zip(flat, shown.columns, strict=False):
            self._draw(panel, column, lines)
        for panel in flat[n:]:
            panel.set_visible(False)
        for row in range(0, n, across):
            flat[row].set_ylabel("prediction" if len(lines) > 1 else shorten(self._name(lines[0])))
        if ax is None:
            self.figure_.suptitle(self._title(n), fontsize="medium")
            if len(lines) > 1:
                handles, labels = flat[0].get_legend_handles_labels()
                self.figure_.legend(
                    handles, labels, loc="outside lower center", ncols=len(lines), fontsize="small"
                )
        self._settle(ax is None)
        return self

    def _title(self, n: int) -> str:
        total = len(self.dependence.columns)
        which = f"the first {n} of {total} columns" if n < total else "each column"
        n = self.dependence.n
        return f"Predictions along {which}, averaged over {n:,} rows (grey: where rows are)"

    def _lines(self, shown: Dependence) -> list[int]:
        """Return the answers to draw: those that change most."""
        changes = np.max([np.ptp(column.outputs, axis=0) for column in shown.columns], axis=0)
        return sorted(np.argsort(-changes, kind="stable")[:MOST_LINES].tolist())

    def _name(self, line: int) -> str:
        return self.dependence.output_names[line]

    def _draw(self, panel: Any, column: ColumnDependence, lines: list[int]) -> None:
        colors = palette()
        words, places = column.labels is not None, column.values
        for k, line in enumerate(lines):
            panel.plot(
                places, column.outputs[:, line], "" if words else "-", linewidth=1.8,
                marker=MARKERS[k] if words or len(places) < 3 else "", markersize=5,
                color=colors.cycle[k], label=shorten(self._name(line)),
            )  # fmt: skip
        if words:
            names = [shorten(label, 14) for label in column.labels or ()]
            panel.set_xticks(places, names, fontsize="x-small", rotation=90 * (len(names) > 3))
            panel.set_xlim(-0.6, len(places) - 0.4)
        else:
            panel.locator_params(axis="x", nbins=4)
        self._draw_rows(panel, column)
        panel.set_xlabel(shorten(column.name))

    def _draw_rows(self, panel: Any, column: ColumnDependence) -> None:
        """Draw how many rows there are at each value, at the foot of the panel."""
        places = column.values
        width = 0.6 if column.labels is not None else 0.012 * (float(np.ptp(places)) or 1.0)
        foot = panel.inset_axes((0, 0, 1, 0.12), sharex=panel)
        foot.bar(places, column.shares, width=width, color=palette().muted, alpha=0.5)
        foot.set_axis_off()
        foot.set_zorder(-1)
