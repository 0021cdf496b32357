"""The network as a diagram: units in columns, weights as edges, biases on the units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.names import names_for
from fastgd.plot.display import Display
from fastgd.plot.style import matplotlib, palette
from fastgd.plot.units import (
    HEIGHT,
    LARGEST,
    MINUS,
    TIMES,
    WIDTH,
    blank,
    caption,
    check_depth,
    diverging,
    fit,
    layer_names,
    places,
    points,
    readable_on,
    shorten,
    strongest,
)
from fastgd.rules.checks import check_integer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["MOST_UNITS", "DiagramDisplay", "draw_edges"]

Array = np.ndarray

#: Units drawn in one column.
MOST_UNITS = 16
#: Edges drawn into each unit from a layer of which only a part is drawn.
EDGES = 6
RADIUS = 0.38
#: Letters of a name beside a unit, and the width of one.
LONGEST, LETTER = 18, 0.33


class DiagramDisplay(Display):
    """The network's diagram: blue for what raises a unit, orange for what lowers it.

    Of a layer with over 16 units the 16 with the largest weights are drawn: those into the next
    layer, for the output those into it (root of the sum of squares).

    Parameters
    ----------
    sizes : list of int
    names : list of str
        What each column is.
    units : list of int ndarray
        The units drawn in each column.
    edges : list of int ndarray of shape (k, 2)
        For each layer of weights the edges drawn, as pairs of unit from and unit to.
    weights : list of ndarray of shape (k,)
        The weights of those edges.
    largest : list of float
        Each layer's largest weight in size, of all its weights, to which widths are relative.
    biases : list of ndarray
        The biases of the units drawn, of all columns but the first.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import DiagramDisplay
    >>> net = fastgd.Network([784, 16, 16, 10], seed=1)
    >>> display = DiagramDisplay.from_network(net)  # doctest: +SKIP
    >>> [len(units) for units in display.units]  # doctest: +SKIP
    [16, 16, 16, 10]
    """

    def __init__(
        self, *, sizes: list[int], names: list[str], units: list[Array], edges: list[Array],
        weights: list[Array], largest: list[float], biases: list[Array],
        feature_names: tuple[str, ...] | None = None, class_names: tuple[str, ...] | None = None,
    ):  # fmt: skip
        self.feature_names, self.class_names = feature_names, class_names
        self.sizes, self.names, self.units = sizes, names, units
        self.edges, self.weights, self.largest, self.biases = edges, weights, largest, biases

    @classmethod
    def from_network(
        cls, network: Network, *, strongest: int | None = None,
        feature_names: Sequence[str] | None = None, class_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> DiagramDisplay:  # fmt: skip
        """Draw a network of at most 10 layers.

        Parameters
        ----------
        network : Network
        strongest : int, optional
            Edges drawn into each unit, the largest in size. By default 6 where the layer before
            is drawn only in part, otherwise all.
        feature_names, class_names : sequence of str, optional
            What is written beside inputs and outputs; by default nothing and labels, or numbers.
        ax : matplotlib Axes, optional

        Raises
        ------
        ValueError
            If the network has over 10 layers, or a parameter is not finite.
        """
        if strongest is not None:
            check_integer("strongest", strongest, 1)
        check_depth(network, "diagram")
        network.check_parameters()
        called = names_for(network, None, feature_names, class_names)
        units = _drawn_units(network)
        edges, weights = [], []
        for W, before, after in zip(network.weights, units, units[1:], strict=False):
            k = strongest or (EDGES if len(before) < len(W) else len(before))
            pairs = _strongest_edges(W, before, after, k)
            edges.append(pairs)
            weights.append(W[pairs[:, 0], pairs[:, 1]].copy())
        return cls(
            sizes=network.sizes,
            names=_column_names(network),
            units=units,
            edges=edges,
            weights=weights,
            largest=[float(np.abs(W).max()) for W in network.weights],
            biases=[b[drawn].copy() for b, drawn in zip(network.biases, units[1:], strict=True)],
            feature_names=called.feature_names,
            class_names=called.class_names,
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> DiagramDisplay:
        """Draw the columns of units, and the edges between them."""
        n = len(self.sizes)
        rows = max(len(u) + self._abbreviated(c) for c, u in enumerate(self.units))
        height = max(rows, 3) + 4.4
        room = WIDTH / min(LARGEST, HEIGHT / height)
        left, right = (2.0 + LETTER * self._longest(column) for column in (0, -1))
        apart = min(13.0, max(3.6, (room - left - right) / (n - 1)))
        width = apart * (n - 1) + left + right
        size, unit = fit(width, height)
        axis = self._axes(ax, size)
        blank(axis, width, height)
        x = left + apart * np.arange(n)
        y = [places(len(u), self._abbreviated(c)) - 0.2 for c, u in enumerate(self.units)]
        for layer, (pairs, weights) in enumerate(zip(self.edges, self.weights, strict=True)):
            ends = [np.searchsorted(self.units[layer + i], pairs[:, i]) for i in (0, 1)]
            start = np.column_stack([np.full(len(pairs), x[layer]), y[layer][ends[0]]])
            stop = np.column_stack([np.full(len(pairs), x[layer + 1]), y[layer + 1][ends[1]]])
            draw_edges(axis, start, stop, weights / (self.largest[layer] or 1.0))
            shape = f"{self.sizes[layer]:,} {TIMES} {self.sizes[layer + 1]:,}\nweights"
            axis.text((x[layer] + x[layer + 1]) / 2, height / 2 - 1.9, shape, ha="center",
                      va="center", fontsize=points(unit, 7.5))  # fmt: skip
        self._draw_units(axis, x, y, unit, height)
        self._legend(axis, unit)
        axis.set_title(f"{self._n_parameters():,} weights and biases: each edge is one weight")
        caption(axis, self.left_out())
        self._settle(ax is None)
        return self

    def left_out(self) -> str:
        """Say what widths mean, and what is not drawn."""
        words = ["An edge is the wider the larger its weight, within its layer."]
        parts = [
            f"{len(self.units[c])} of {self.sizes[c]:,} ({self.names[c].splitlines()[0]})"
            for c in range(len(self.sizes))
            if self._abbreviated(c)
        ]
        if len(parts) > 3:
            parts = [f"at most {MOST_UNITS} in a layer"]
        if parts:
            words.append(f"Units drawn: {', '.join(parts)}, those with the largest weights.")
        n_edges = sum(map(len, self.weights))
        n_weights = sum(a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False))
        if n_edges < n_weights:
            words.append(
                f"Edges drawn: {n_edges:,} of {n_weights:,}, the strongest into each unit drawn."
            )
        return " ".join(words)

    def _n_parameters(self) -> int:
        return sum((a + 1) * b for a, b in zip(self.sizes, self.sizes[1:], strict=False))

    def _abbreviated(self, column: int) -> bool:
        return len(self.units[column]) < self.sizes[column]

    def _draw_units(self, axis: Any, x: Array, y: list[Array], unit: float, height: float) -> None:
        """Draw each unit as a circle, coloured by its bias, and each column's name."""
        colors, shades = palette(), diverging()
        circle = matplotlib().patches.Circle
        scale = max((float(np.abs(b).max()) for b in self.biases), default=0.0) or 1.0
        for column, heights in enumerate(y):
            biases = self.biases[column - 1] if column else np.zeros(len(heights))
            for at, bias in zip(heights, biases, strict=True):
                face = shades(0.5 + 0.5 * float(bias) / scale) if column else colors.background
                axis.add_patch(
                    circle((x[column], at), RADIUS, facecolor=face, edgecolor=colors.text,
                           linewidth=1.0, zorder=3)
                )  # fmt: skip
                if column:
                    self._write_bias(axis, x[column], at, float(bias), face, unit)
            if self._abbreviated(column):
                axis.text(x[column], -0.2, "⋮", ha="center", va="center",
                          fontsize=points(unit, 13), zorder=4)  # fmt: skip
            axis.text(x[column], -height / 2 + 1.1, self.names[column], ha="center", va="center",
                      fontsize=points(unit, 8.5), linespacing=1.25)  # fmt: skip
        for column, aside, side in ((0, -0.75, "right"), (-1, 0.75, "left")):
            for words, at in zip(self._words(column), y[column], strict=True):
                axis.text(x[column] + aside, at, words, va="center", ha=side,
                          fontsize=points(unit, 8.5))  # fmt: skip

    def _words(self, column: int) -> list[str]:
        """Return what is written beside the inputs (column 0) or the outputs (-1)."""
        names = self.class_names if column else self.feature_names
        if names is None:
            return [str(k) if column else "" for k in self.units[column]]
        return [shorten(names[k], LONGEST) for k in self.units[column]]

    def _longest(self, column: int) -> int:
        return max(0, max(map(len, self._words(column))) - 3)

    def _write_bias(
        self, axis: Any, x: float, y: float, bias: float, face: Any, unit: float
    ) -> None:
        """Write a bias into its unit; only its sign where there is no room."""
        roomy = unit >= 0.4
        words = f"{bias:.1f}" if roomy else "+" if bias > 0 else MINUS if bias < 0 else ""
        axis.text(x, y, words.replace("-", MINUS), ha="center", va="center_baseline",
                  fontsize=6.5 if roomy else points(unit, 7.5), color=readable_on(face),
                  zorder=4)  # fmt: skip

    def _legend(self, axis: Any, unit: float) -> None:
        colors, line = palette(), matplotlib().lines.Line2D
        dot = {"marker": "o", "linestyle": "", "markeredgecolor": colors.text, "markersize": 8}
        handles = [
            line([], [], color=colors.positive, linewidth=2, label="weight above 0"),
            line([], [], color=colors.negative, linewidth=2, label="below 0"),
            line([], [], markerfacecolor=colors.positive, label="bias above 0", **dot),
            line([], [], markerfacecolor=colors.negative, label="below 0", **dot),
        ]
        axis.legend(handles=handles, loc="lower center", ncols=4, borderaxespad=0.0,
                    fontsize=points(unit, 8))  # fmt: skip


def draw_edges(axis: Any, start: Array, stop: Array, strength: Array) -> None:
    """Draw lines from start to stop, (k, 2) each: by sign, the wider the nearer strength is to
    -1 or 1."""
    colors, mpl = palette(), matplotlib()
    order = np.argsort(np.abs(strength), kind="stable")  # the strongest on top
    size = np.minimum(np.abs(strength[order]), 1.0)
    rgba = np.empty((len(order), 4))
    rgba[:, :3] = np.where(
        strength[order, None] < 0,
        mpl.colors.to_rgb(colors.negative),
        mpl.colors.to_rgb(colors.positive),
    )
    rgba[:, 3] = 0.06 + 0.84 * size
    lines = mpl.collections.LineCollection(
        np.stack([start, stop], axis=1)[order], colors=rgba, linewidths=0.4 + 2.2 * size, zorder=1
    )
    axis.add_collection(lines, autolim=False)


def _drawn_units(network: Network) -> list[Array]:
    """Return each column's units that are drawn: all, or those with the largest weights."""
    outgoing = [np.linalg.norm(W, axis=1) for W in network.weights]
    strengths = [*outgoing, np.linalg.norm(network.weights[-1], axis=0)]
    return [strongest(strength, MOST_UNITS) for strength in strengths]


def _strongest_edges(W: Array, before: Array, after: Array, k: int) -> Array:
    """Return the k strongest edges into each unit of ``after`` from those of ``before``."""
    pairs = []
    for to in after:
        chosen = before[strongest(np.abs(W[before, to]), k)]
        pairs += [(int(unit), int(to)) for unit in chosen]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _column_names(network: Network) -> list[str]:
    """Return each column's name, size and activation."""
    rules = ["", *(f", {rule.name}" for rule in network.architecture.rules)]
    parts = zip(layer_names(network), network.sizes, rules, strict=True)
    return [f"{name}\n{size:,}{rule}" for name, size, rule in parts]
