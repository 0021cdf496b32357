"""The cost as a landscape: along a line, over a plane, and the paths of training in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.explain.landscape import (
    Landscape,
    Paths,
    Slice,
    TrainingPath,
    along_direction,
    along_weight,
    compare_paths,
    plane,
)
from fastgd.plot.display import Display
from fastgd.plot.style import matplotlib, palette

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["LandscapeDisplay", "PathsDisplay", "SliceDisplay"]

Array = np.ndarray

#: How many contours, and from which ratio of costs on they are spaced by factors.
LEVELS, WIDE = 10, 20.0
#: Lines, and the markers where they end: paths differ in more than colour.
LINES, WIDTHS, ENDS = ("-", "--", "-", ":"), (2.4, 1.6, 0.9, 1.6), ("s", "D", "^", "v")
WAYS = {
    "the negative gradient": "distance down the negative gradient",
    "a random direction": "random direction (1: as long as each unit's own weights)",
    "the direction given": "multiples of the direction given",
}


class SliceDisplay(Display):
    """The cost along one line through the parameters, with the tangent where the network is.

    Parameters
    ----------
    slice : fastgd.explain.landscape.Slice

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import SliceDisplay
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 10], input_scale=1 / 16, seed=0)
    >>> display = SliceDisplay.from_network(
    ...     net, digits.X, digits.y, weight=(0, 20, 3)
    ... )  # doctest: +SKIP
    >>> display.slice.slope == net.gradient(digits.X, digits.y)[203]  # doctest: +SKIP
    True
    """

    def __init__(self, *, slice: Slice):
        self.slice = slice

    @classmethod
    def from_network(
        cls,
        network: Network,
        X: Any,
        y: Any,
        *,
        weight: tuple[int, int | None, int] | None = None,
        direction: Any = None,
        seed: int = 0,
        ax: Any = None,
        **options: Any,
    ) -> SliceDisplay:
        """Draw the cost as one weight changes, or as all do in one direction.

        ``weight`` is (layer, i, j) as of `along_weight`, by default the one with the steepest
        slope; ``direction``, ``seed`` and the other options are as of `along_direction`.
        """
        if direction is None:
            layer, i, j = _steepest(network, X, y) if weight is None else weight
            return cls(slice=along_weight(network, X, y, layer, i, j, **options)).plot(ax=ax)
        if weight is not None:
            raise ValueError("weight and direction must not both be given")
        options["seed"] = seed  # of a random direction
        return cls(slice=along_direction(network, X, y, direction, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> SliceDisplay:
        """Draw the curve, the tangent and the network."""
        axis, found, colors = self._axes(ax), self.slice, palette()
        finite = np.isfinite(found.costs)
        if not finite.any():
            raise SettingError("slice", "must have a finite cost to draw; all are infinite or NaN")
        curve = np.where(finite, found.costs, np.nan)
        axis.plot(found.x, curve, color=colors.positive, label="cost")
        low, high = np.nanmin(curve), np.nanmax(curve)
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        axis.set_ylim(low - margin, high + margin)
        tangent = found.cost + found.slope * (found.x - found.at)
        axis.plot(
            found.x, tangent, "--", color=colors.negative,
            label=f"tangent: slope {found.slope:.3g}",
        )  # fmt: skip
        axis.plot(
            [found.at], [found.cost], "o", color=colors.text, markersize=8, zorder=3,
            label=f"the network now: cost {found.cost:.4g}",
        )  # fmt: skip
        rest = "" if found.name in WAYS else ", all else unchanged"
        axis.set(
            title=f"The cost along {found.name}{rest}",
            xlabel=WAYS.get(found.name, f"value of {found.name}"),
            ylabel="cost",
        )
        axis.locator_params(axis="x", nbins=7)
        _legend_below(axis)
        return self


def _steepest(network: Network, X: Any, y: Any) -> tuple[int, int, int]:
    """Return layer, i and j of the weight with the largest slope."""
    weights = network.architecture.layout.weights(np.abs(network.gradient(X, y)))
    layer = int(np.argmax([W.max() for W in weights]))
    i, j = np.unravel_index(np.argmax(weights[layer]), weights[layer].shape)
    return layer, int(i), int(j)


class LandscapeDisplay(Display):
    """The cost over a plane of parameters, as contours, with the training path on it.

    Parameters
    ----------
    landscape : fastgd.explain.landscape.Landscape

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import LandscapeDisplay
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 10], input_scale=1 / 16, seed=0)
    >>> display = LandscapeDisplay.from_network(net, digits.X, digits.y)  # doctest: +SKIP
    >>> display.landscape.costs.shape  # doctest: +SKIP
    (50, 50)
    """

    def __init__(self, *, landscape: Landscape):
        self.landscape = landscape

    @classmethod
    def from_network(
        cls,
        network: Network,
        X: Any,
        y: Any,
        *,
        directions: str = "random",
        path: TrainingPath | None = None,
        ax: Any = None,
        **options: Any,
    ) -> LandscapeDisplay:
        """Draw the plane through a network, or a path's end; arguments as of `plane`."""
        landscape = plane(network, X, y, directions, path=path, **options)
        return cls(landscape=landscape).plot(ax=ax)

    def plot(self, ax: Any = None) -> LandscapeDisplay:
        """Draw the contours, with a colour bar that names their costs, and the path."""
        axis, found = self._axes(ax, (7.2, 5.4)), self.landscape
        filled = _contours(axis, found, palette().sequential)
        _color_bar(self.figure_, axis, filled)
        if found.path is None:
            _mark(axis, [0.0], [0.0], "*", "white", "the network")
        else:
            _draw_path(axis, found.path)
        title = "The cost around the network"
        if found.directions == "path":
            title = "The cost over the plane of the training path"
        elif found.path is not None:
            title = "The training path over two random directions"
        axis.set(title=title, xlim=found.a[[0, -1]], ylim=found.b[[0, -1]])
        _name_axes(axis, found)
        _legend_below(axis)
        self._settle(ax is None)
        return self


class PathsDisplay(Display):
    """Trainings with several sizes of mini-batch from one start: where they go, what they gain.

    Parameters
    ----------
    paths : fastgd.explain.landscape.Paths

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import PathsDisplay
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 10], input_scale=1 / 16, seed=0)
    >>> X, y = digits.X[:200], digits.y[:200]
    >>> display = PathsDisplay.from_network(net, X, y, epochs=20)  # doctest: +SKIP
    >>> display.paths.paths["full batch"].steps  # doctest: +SKIP
    20
    """

    def __init__(self, *, paths: Paths):
        self.paths = paths

    @classmethod
    def from_network(
        cls, network: Network, X: Any, y: Any, *, ax: Any = None, **options: Any
    ) -> PathsDisplay:
        """Train copies of the network and draw their paths; arguments as of `compare_paths`."""
        return cls(paths=compare_paths(network, X, y, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> PathsDisplay:
        """Draw the paths, the surroundings of the start, and cost over examples seen.

        ``ax`` is an array of three axes, or None.
        """
        axes = self._axes(ax, (10.0, 4.4), 1, 3)
        whole, near, progress = axes.flat
        landscape, coordinates = self.paths.landscape, self.paths.coordinates
        colors = palette()
        filled = _contours(whole, landscape, _shades())
        _color_bar(self.figure_, whole, filled, location="bottom")
        for axis in (whole, near):
            for (name, way), style in zip(coordinates.items(), _styles(), strict=False):
                color, line, width, end = style
                axis.plot(*way.T, line, color=color, linewidth=width, label=name)
                axis.plot(*way[-1], end, color=color, markersize=8, markeredgecolor=colors.text)
            start = axis.plot([0], [0], "o", color=colors.text, markersize=7, label="start")
        near.legend(handles=start, loc="best", fontsize="small")
        whole.set(
            title="From one start, the same epochs", xlim=landscape.a[[0, -1]],
            ylim=landscape.b[[0, -1]],
        )  # fmt: skip
        _name_axes(whole, landscape)
        self._zoom(near)
        self._progress(progress)
        self._settle(ax is None)
        return self

    def _zoom(self, axis: Any) -> None:
        """Show the surroundings of the shortest path, which the others leave at once."""
        ways = self.paths.coordinates
        name = min(ways, key=lambda name: np.ptp(ways[name], axis=0).max())
        way = ways[name]
        middle, half = (way.min(axis=0) + way.max(axis=0)) / 2, 0.75 * np.ptp(way, axis=0).max()
        axis.locator_params(axis="x", nbins=4)
        axis.set(
            title=f"Enlarged: the {name}", xlabel="first axis", ylabel="second axis",
            xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half),
        )  # fmt: skip

    def _progress(self, axis: Any) -> None:
        """Show what each path's cost is after so many examples."""
        for (name, path), style in zip(self.paths.paths.items(), _styles(), strict=False):
            color, line, width, end = style
            axis.plot(path.examples, path.costs, line, color=color, linewidth=width, label=name)
            axis.plot(
                path.examples[-1:], path.costs[-1:], end, color=color,
                markeredgecolor=palette().text, clip_on=False, zorder=3,
            )  # fmt: skip
        axis.set(title="What it gains", xlabel="examples seen", ylabel="cost of all examples")
        axis.set_ylim(bottom=0)
        axis.locator_params(axis="x", nbins=4)
        axis.xaxis.set_major_formatter(matplotlib().ticker.EngFormatter(sep=""))
        axis.legend(loc="best", fontsize="small")


def _styles() -> Iterator[tuple[str, str, float, str]]:
    """Yield a colour, a line, its width and an end marker for each path, without end."""
    return zip(*map(cycle, (palette().cycle, LINES, WIDTHS, ENDS)), strict=False)


def _shades() -> Any:
    """Return a quiet colour map, from the background half-way to grey: lines stand out on it."""
    colors = matplotlib().colors
    background, muted = (
        np.array(colors.to_rgb(c)) for c in (palette().background, palette().muted)
    )
    ends = [background, (background + muted) / 2]
    return colors.LinearSegmentedColormap.from_list("shades", ends)


def _levels(costs: Array) -> Array:
    """Return the costs of the contours: by equal steps, or by equal factors where costs differ."""
    finite = costs[np.isfinite(costs)]
    if not len(finite):
        raise SettingError("landscape", "must have a finite cost to draw; all are infinite or NaN")
    low, high = float(finite.min()), float(finite.max())
    if high - low <= 1e-9 * abs(high):  # flat
        return np.linspace(low, low + (abs(low) or 1.0), LEVELS + 1)
    if low > 0 and high / low > WIDE:
        return np.geomspace(low, high, LEVELS + 1)
    return np.linspace(low, high, LEVELS + 1)


def _contours(axis: Any, landscape: Landscape, colors: Any) -> Any:
    """Fill the bands between contours; each band has one colour, whatever its width."""
    levels = _levels(landscape.costs)
    levels[0] -= 1e-9 * abs(levels[0])  # the lowest and highest cost belong to a band
    levels[-1] += 1e-9 * abs(levels[-1])
    costs = np.ma.masked_invalid(landscape.costs)
    norm = matplotlib().colors.BoundaryNorm(levels, 256)
    filled = axis.contourf(landscape.a, landscape.b, costs, levels=levels, cmap=colors, norm=norm)
    axis.contour(
        landscape.a, landscape.b, costs, levels=levels, colors=palette().muted, linewidths=0.5
    )
    return filled


def _color_bar(figure: Any, axis: Any, filled: Any, location: str = "right") -> None:
    """Name the cost of each contour."""
    levels = filled.levels if location == "right" else filled.levels[::2]
    bar = figure.colorbar(filled, ax=axis, label="cost", ticks=levels, location=location)
    digits = next((k for k in range(2, 9) if len({f"{x:.{k}g}" for x in levels}) == len(levels)), 9)
    write = matplotlib().ticker.FuncFormatter(lambda level, _: f"{level:.{digits}g}")
    (bar.ax.yaxis if location == "right" else bar.ax.xaxis).set_major_formatter(write)
    bar.ax.tick_params(labelsize="small")
    bar.outline.set_edgecolor(palette().muted)


def _legend_below(axis: Any) -> None:
    """Put the legend under the label of the x-axis, away from what is drawn."""
    axis.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=4.5, ncols=3, fontsize="small"
    )


def _mark(axis: Any, a: Any, b: Any, marker: str, face: str, label: str) -> None:
    """Draw a marker seen on every colour."""
    axis.plot(
        a, b, marker, color=face, markeredgecolor="black", label=label, zorder=4, clip_on=False,
        markersize=14 if marker == "*" else 9, linestyle="none",
    )  # fmt: skip


def _draw_path(axis: Any, path: Array) -> None:
    """Draw a path in white with a dark edge, its start and its end."""
    effects = _effects()
    edge = [effects.Stroke(linewidth=3.2, foreground="black"), effects.Normal()]
    axis.plot(*path.T, color="white", linewidth=1.6, path_effects=edge, label="training path")
    _mark(axis, path[:1, 0], path[:1, 1], "o", "white", "start")
    _mark(axis, path[-1:, 0], path[-1:, 1], "*", "white", "end: the trained network")


def _effects() -> Any:
    """Return matplotlib's patheffects."""
    matplotlib()
    import matplotlib.patheffects as effects

    return effects


def _name_axes(axis: Any, landscape: Landscape) -> None:
    """Say what the axes are, and how much of the paths they hold."""
    if landscape.shares is None:
        names = [f"{which} random direction" for which in ("first", "second")]
    else:
        names = [
            f"{which} axis: {100 * share:.0f} % of the variance"
            for which, share in zip(("first", "second"), landscape.shares, strict=True)
        ]
    axis.set(xlabel=names[0], ylabel=names[1])
    axis.locator_params(axis="x", nbins=5)
