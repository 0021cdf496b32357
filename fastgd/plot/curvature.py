"""The cost along the direction in which it curves most, and what that means for the rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.valley import Valley, valley
from fastgd.plot.display import Display
from fastgd.plot.style import palette

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["CurvatureDisplay"]

#: Each descent has its line and its marker: they differ in more than colour.
LINES, MARKERS = ("-", "--", "-.", ":"), ("o", "s", "^", "D")
#: Costs above and below these multiples of the start lie outside the picture, or on its edge.
MOST, LEAST = 1e3, 1e-6


class CurvatureDisplay(Display):
    """The cost along the direction in which it curves most, with the parabola of that curvature.

    Beside it: gradient descent on all examples from there, with rates below and above the largest
    stable one, 2 / (largest eigenvalue of the second derivatives).

    Parameters
    ----------
    valley : fastgd.explain.valley.Valley

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import CurvatureDisplay
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 10], input_scale=1 / 16, seed=0)
    >>> display = CurvatureDisplay.from_network(net, digits.X, digits.y)  # doctest: +SKIP
    >>> display.valley.curvature.stable_rate()  # doctest: +SKIP
    """

    def __init__(self, *, valley: Valley):
        self.valley = valley

    @classmethod
    def from_network(
        cls, network: Network, X: Any, y: Any, *, steps: int = 40, seed: int = 0, ax: Any = None
    ) -> CurvatureDisplay:
        """Compute and draw; a few thousand examples tell as much as all."""
        return cls(valley=valley(network, X, y, steps=steps, seed=seed)).plot(ax=ax)

    def plot(self, ax: Any = None) -> CurvatureDisplay:
        """Draw the walls and the descents; ``ax`` is an array of two axes, or None."""
        left, right = np.ravel(self._axes(ax, (9.6, 4.4), 1, 2))
        self._draw_walls(left)
        if self.valley.descents:
            self._draw_descents(right)
        else:
            right.set_axis_off()
            words = "No direction curves upwards:\nno largest stable rate follows."
            right.text(0.5, 0.5, words, ha="center", transform=right.transAxes)
        return self

    def _draw_walls(self, axis: Any) -> None:
        found, colors = self.valley, palette()
        top = found.curvature
        axis.plot(
            found.distances, found.costs, color=colors.positive, linewidth=2.4,
            label="where it curves most",
        )  # fmt: skip
        axis.plot(
            found.distances, found.parabola, "--", color=colors.negative,
            label=f"parabola, second derivative {top.eigenvalue:.3g}",
        )  # fmt: skip
        axis.plot(
            found.distances, found.random_costs, ":", color=colors.text,
            label=f"a random direction, second derivative {found.random_curvature:.2g}",
        )  # fmt: skip
        axis.plot([0], [top.cost], "o", color=colors.text, label=f"here: cost {top.cost:.3g}")
        drawn = np.concatenate([found.costs, found.random_costs, found.parabola])
        low, high = np.min(drawn[np.isfinite(drawn)]), np.max(found.parabola)
        high = max(high, top.cost)
        axis.set_ylim(low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1))
        axis.set(
            title="The cost in two directions",
            xlabel="distance the parameters are moved",
            ylabel="cost",
        )
        _legend_below(axis, 1)

    def _draw_descents(self, axis: Any) -> None:
        found, colors = self.valley, palette()
        stable, start = found.curvature.stable_rate(), found.curvature.cost
        shades = (colors.positive, colors.cycle[2], colors.negative, colors.cycle[3])
        for i, (factor, costs) in enumerate(found.descents.items()):
            axis.plot(
                np.clip(costs, start * LEAST, start * MOST * 10), LINES[i % 4], color=shades[i % 4],
                marker=MARKERS[i % 4], markersize=4, markevery=max(1, len(costs) // 8),
                label=f"{factor:g} x: rate {stable * factor:.3g}",
            )  # fmt: skip
        drawn = np.concatenate([c[c <= start * MOST] for c in found.descents.values()])
        low, high = max(float(drawn.min()), start * LEAST), float(drawn.max())
        if low > 0 and high > 5 * low:
            axis.set_yscale("log")
            axis.set_ylim(low / 1.3, high * 1.3)
        else:
            margin = 0.05 * (high - low) or 1.0
            axis.set_ylim(low - margin, high + margin)
        axis.set(
            title=f"Descent with rates around the largest stable, {stable:.3g}",
            xlabel="step (all examples in each)",
            ylabel="cost",
        )
        _legend_below(axis, 2)


def _legend_below(axis: Any, n_columns: int) -> None:
    axis.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=4.5, ncols=n_columns,
        fontsize="small",
    )  # fmt: skip
