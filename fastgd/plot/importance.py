"""Which columns a model needs, as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastgd.explain.importance import Importance, importance_of
from fastgd.plot.display import Display
from fastgd.plot.style import palette
from fastgd.plot.units import shorten

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["ImportanceDisplay"]

#: At most so many columns are drawn.
MOST = 20


class ImportanceDisplay(Display):
    """What the score loses when each column is shuffled: bars, with the spread over repeats.

    Parameters
    ----------
    importance : Importance

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import ImportanceDisplay
    >>> data = fastgd.data.load_digits()
    >>> net = fastgd.Network([64, 30, 10], input_scale=1 / 16, seed=0)
    >>> display = ImportanceDisplay.from_network(net, data.X, data.y)  # doctest: +SKIP
    """

    def __init__(self, *, importance: Importance):
        self.importance = importance

    @classmethod
    def from_network(
        cls, network: Network, X: Any, y: Any, *, ax: Any = None, **options: Any
    ) -> ImportanceDisplay:
        """Measure (`fastgd.explain.importance.importance_of`, whose options these are) and draw."""
        return cls(importance=importance_of(network, X, y, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> ImportanceDisplay:
        """Draw the most important columns, the first on top."""
        found, colors = self.importance, palette()
        order = found.order[:MOST]
        rows = range(len(order))
        axis = self._axes(ax, (7.4, 1.7 + 0.27 * max(3, len(order))))
        drops = found.mean[order]
        axis.barh(
            rows, drops, xerr=found.spread[order], height=0.66, ecolor=colors.text, capsize=2,
            color=[colors.positive if drop > 0 else colors.muted for drop in drops],
        )  # fmt: skip
        axis.set_yticks(rows, [shorten(found.names[k]) for k in order])
        axis.set_ylim(len(order) - 0.4, -0.6)
        axis.axvline(0, color=colors.muted, linewidth=0.8)
        axis.locator_params(axis="x", nbins=6)
        score = found.score
        percent = found.score_name == "accuracy"
        whole = f"{100 * score:.1f} %" if percent else f"{score:.3f}"
        axis.set_xlabel(f"loss of {found.score_name} when the column is shuffled")
        more = len(found.names) - len(order)
        title = f"What each column is worth, of {found.score_name} {whole} on {found.n:,} rows"
        axis.set_title(title + (f"\nthe first {len(order)} of {len(found.names)}" if more else ""))
        self._settle(ax is None)
        return self
