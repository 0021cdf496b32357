"""One example on its way through the network: every unit's activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import classes_of
from fastgd.errors import SettingError
from fastgd.explain.layers import layers
from fastgd.explain.names import names_for
from fastgd.plot.diagram import draw_edges
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
    ink,
    layer_names,
    places,
    points,
    readable_on,
    shorten,
    square_shape,
    strongest,
)
from fastgd.rules.activations import ACTIVATIONS

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["MOST_CELLS", "ActivityDisplay"]

Array = np.ndarray

#: Cells in one column; a layer with more units takes two, the output one.
MOST_CELLS = 16
#: Inputs drawn as bars where they are no image.
MOST_BARS = 16
#: Letters of an input's name, and the width of one.
LONGEST_INPUT, LETTER = 18, 0.27
#: Sizes in units of the drawing: a cell is 1 high.
CELL, LEAST_GAP, MOST_GAP = 1.7, 1.5, 6.5
BARS_WIDTH = 6.3
LONGEST_NAME = 12


class ActivityDisplay(Display):
    """The activations of one example, layer by layer, up to the output that wins.

    Parameters
    ----------
    inputs : ndarray of shape (n_inputs,)
        As the network sees them, shifted and scaled.
    image_shape : (height, width) or None
    activations : list of ndarray
        Those of each layer; the last are the outputs, as `Network.predict` gives them.
    contributions : list of ndarray of shape (n_in, n_out)
        For each layer but the first, what each unit before adds to each z: a x w.
    rules : list of str
        Each layer's activation function.
    names : list of str
        What each column is, the input first.
    class_names : tuple of str or None
        None where the outputs stand for numbers, and none of them wins.
    truth : int, optional
        The class the example really is.
    feature_names : tuple of str, optional
        What the inputs are called, where they are no image.
    output_names : tuple of str, optional
        What outputs are called that stand for numbers.

    Attributes
    ----------
    inputs, image_shape, activations, contributions, rules, names, class_names, truth,
    feature_names, output_names
        As given.
    outputs : ndarray of shape (n_outputs,)
        The last of ``activations``.
    winner : int or None
        The class the network chooses.
    units : list of int ndarray
        The units drawn of each layer: all, or those with the largest activations in size.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import ActivityDisplay
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 16, 10], input_scale=digits.input_scale, seed=0)
    >>> display = ActivityDisplay.from_network(net, digits.X[0])  # doctest: +SKIP
    >>> display.outputs.shape  # doctest: +SKIP
    (10,)
    """

    def __init__(
        self, *, inputs: Array, image_shape: tuple[int, int] | None, activations: list[Array],
        contributions: list[Array], rules: list[str], names: list[str],
        class_names: tuple[str, ...] | None, truth: int | None = None,
        feature_names: tuple[str, ...] | None = None,
        output_names: tuple[str, ...] | None = None,
    ):  # fmt: skip
        self.feature_names, self.output_names = feature_names, output_names
        self.inputs, self.image_shape, self.activations = inputs, image_shape, activations
        self.rules, self.names, self.class_names, self.truth = rules, names, class_names, truth
        self.contributions, self.outputs = contributions, activations[-1]
        self.winner = None if class_names is None else int(classes_of(self.outputs[None])[0])
        self.units = [strongest(np.abs(a), self._room()) for a in activations[:-1]]
        # Of classes the most likely: the one that wins is always shown.
        last = self.outputs if self.winner is not None else np.abs(self.outputs)
        self.units.append(strongest(last, MOST_CELLS))

    @classmethod
    def from_network(
        cls,
        network: Network,
        x: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        feature_names: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
        truth: int | None = None,
        output_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> ActivityDisplay:
        """Draw what one example makes of a network of at most 10 layers.

        Parameters
        ----------
        network : Network
        x : array of shape (n_inputs,) or (1, n_inputs)
            The example.
        image_shape : (height, width), optional
            By default a square, if the inputs make one and have no names; otherwise they are drawn
            as bars.
        feature_names : sequence of str, optional
            What the inputs are called.
        class_names : sequence of str, optional
            By default 0, 1, ... for softmax and several sigmoid outputs and under cross-entropy;
            otherwise outputs are numbers, not classes.
        truth : int, optional
            The example's class, to say whether the network is right.
        output_names : sequence of str, optional
            What outputs are called that stand for numbers.
        ax : matplotlib Axes, optional

        Raises
        ------
        TypeError, ValueError
            If x is not one example of the network's inputs, the names are not as many as the
            classes, or the network has over 10 layers.
        """
        check_depth(network, "picture of activations")
        network.check_parameters()
        known = names_for(network, image_shape, feature_names, output_names)
        called = known.feature_names
        shape = image_shape
        if called is None or image_shape is not None:
            shape = square_shape(network.architecture.n_inputs, image_shape)
        names = _class_names(network, class_names)
        if truth is not None and (names is None or not 0 <= truth < len(names)):
            accepted = "None, without classes" if names is None else f"from 0 to {len(names) - 1}"
            raise SettingError("truth", f"must be {accepted}; got {truth!r}")
        row = x if hasattr(x, "tocsr") else np.asarray(x)
        row = row[None] if row.ndim == 1 else row
        if row.ndim == 2 and row.shape[0] != 1:
            raise SettingError("x", f"must be one example; got {row.shape[0]} rows (try X[[0]])")
        found = [a[0] for a in layers(network, row).a]
        return cls(
            inputs=found[0],
            image_shape=shape,
            activations=[*found[1:-1], network.predict(row)[0]],
            contributions=[
                a[:, None] * W for a, W in zip(found[1:-1], network.weights[1:], strict=True)
            ],
            rules=[rule.name for rule in network.architecture.rules],
            names=layer_names(network),
            class_names=names,
            truth=truth,
            feature_names=called,
            output_names=None if output_names is None else known.class_names,
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> ActivityDisplay:
        """Draw the input, a column of cells for each layer, and which output wins."""
        wide = [-(-len(u) // MOST_CELLS) * CELL for u in self.units]
        image = 9.0 if len(wide) <= 5 else 6.5
        first = image if self.image_shape else self._bars_width()
        last = 0.8 + 0.33 * max([len(name) for name in self._output_names()], default=0)
        rows = [-(-len(u) * CELL // w) for u, w in zip(self.units, wide, strict=True)]
        height = max(*rows, *self._input_rows(image), 1.0) + 4.4
        room = WIDTH / min(LARGEST, HEIGHT / height) - first - last - sum(wide)
        gap = min(MOST_GAP, max(LEAST_GAP, room / len(wide)))
        lefts = first + gap * np.arange(1, len(wide) + 1) + np.cumsum([0, *wide[:-1]])
        width = lefts[-1] + wide[-1] + last
        size, unit = fit(width, height)
        axis = self._axes(ax, size)
        blank(axis, width, height)
        self._draw_inputs(axis, image, unit)
        for layer, left in enumerate(lefts):
            self._draw_layer(axis, layer, left, wide[layer], unit)
            if layer:
                self._draw_contributions(axis, layer, lefts, wide)
        axis.annotate(
            "", (lefts[0] - 0.3, 0), (first + 0.3, 0),
            arrowprops={"arrowstyle": "-|>", "color": palette().text, "linewidth": 1.2},
        )  # fmt: skip
        self._draw_names(axis, lefts[-1] + CELL + 0.3, unit)
        axis.set_title(self.title())
        caption(axis, self.legend())
        self._settle(ax is None)
        return self

    def title(self) -> str:
        """Say what the network answers."""
        if self.winner is None or self.class_names is None:
            names = self.output_names or [""] * len(self.outputs)
            values = ", ".join(
                f"{name and f'{name} '}{_answer(value)}"
                for name, value in zip(names[:4], self.outputs, strict=False)
            )
            return f"The network answers {values}{', …' if len(self.outputs) > 4 else ''}"
        says = f"The network says {self.class_names[self.winner]}"
        if self.truth is None:
            return says
        right = "and is right" if self.truth == self.winner else "but it is "
        return f"{says}, {right}" + (
            "" if self.truth == self.winner else self.class_names[self.truth]
        )

    def legend(self) -> str:
        """Say what the shades mean, and what is left out."""
        words = ["Each cell is one unit and its activation: the larger, the stronger the shade."]
        signed = [bool(a.min() < 0) for a in self.activations]
        if any(signed):
            which = "Blue cells are" if all(signed) else "Coloured cells are blue where"
            words.append(f"{which} above 0, orange below.")
        if self.contributions:
            line = f"A line is what a unit adds to the next: activation {TIMES} weight"
            words.append(f"{line}, blue above 0, orange below.")
        parts = [
            f"{len(units)} of {len(a):,} ({name})"
            for name, a, units in zip(self.names[1:], self.activations, self.units, strict=True)
            if len(units) < len(a)
        ]
        if len(parts) > 3:
            parts = [f"at most {self._room()} of a layer"]
        if parts:
            words.append(f"Units shown: {', '.join(parts)}, those with the largest activations.")
        if self.image_shape is None and len(self.inputs) > MOST_BARS:
            words.append(f"Of {len(self.inputs):,} inputs the {MOST_BARS} largest are shown.")
        return " ".join(words)

    def _room(self) -> int:
        """Return how many units of a hidden layer are drawn: two columns, if there are few."""
        return MOST_CELLS * (2 if len(self.activations) <= 5 else 1)

    def _input_rows(self, image: float) -> list[float]:
        """Return how high the input is."""
        if self.image_shape is None:
            return [float(min(len(self.inputs), MOST_BARS))]
        height, width = self.image_shape
        return [image * height / max(height, width)]

    def _places(self, layer: int) -> tuple[Array, Array]:
        """Return the column of cells (0 or 1) and the height of each unit drawn of a layer."""
        n = len(self.units[layer])
        columns = -(-n // MOST_CELLS)
        each = -(-n // columns)
        column = np.arange(n) // each
        return column, places(each, False)[np.arange(n) - column * each]

    def _output_names(self) -> list[str]:
        """Return what is written beside each output drawn."""
        names = self.class_names
        if names is None and self.output_names is not None:
            return [shorten(self.output_names[k], LONGEST_NAME) for k in self.units[-1]]
        if names is None:
            return [str(k) for k in self.units[-1]] if len(self.outputs) > 1 else [""]
        if len(self.outputs) == 1:
            words = [names[int(self.winner or 0)]]
        else:
            words = [names[k] for k in self.units[-1]]
        cut = [shorten(word, LONGEST_NAME) for word in words]
        return [f"{w} ◀" if self._wins(k) else w for w, k in zip(cut, self.units[-1], strict=True)]

    def _wins(self, k: int) -> bool:
        return self.winner is not None and (len(self.outputs) == 1 or k == self.winner)

    def _draw_contributions(self, axis: Any, layer: int, lefts: Array, wide: list[float]) -> None:
        """Draw what each unit drawn adds to each unit of the next layer."""
        before, after = self.units[layer - 1], self.units[layer]
        added = self.contributions[layer - 1][np.ix_(before, after)]
        column, y = self._places(layer - 1)
        next_column, next_y = self._places(layer)
        start = np.column_stack([lefts[layer - 1] + (column + 1) * CELL - 0.14, y])
        stop = np.column_stack([lefts[layer] + next_column * CELL + 0.14, next_y])
        i, j = (index.ravel() for index in np.indices(added.shape))
        largest = float(np.abs(self.contributions[layer - 1]).max()) or 1.0
        draw_edges(axis, start[i], stop[j], added.ravel() / largest)

    def _draw_inputs(self, axis: Any, side: float, unit: float) -> None:
        """Draw the input as an image, or as bars."""
        if self.image_shape is None:
            return self._draw_bars(axis, unit)
        height, width = self.image_shape
        scale = side / max(height, width)
        w, h = width * scale, height * scale
        image = self.inputs.reshape(self.image_shape)
        colors, low, high = _shades(image, "")
        left = (side - w) / 2
        axis.imshow(
            image, cmap=colors, vmin=low, vmax=high, interpolation="nearest",
            extent=(left, left + w, h / 2, -h / 2),
        )  # fmt: skip
        frame = matplotlib().patches.Rectangle
        axis.add_patch(frame((left, -h / 2), w, h, fill=False, edgecolor=palette().muted))
        blank(axis, axis.get_xlim()[1], axis.get_ylim()[0] * 2)  # imshow has changed the view
        axis.text(side / 2, -h / 2 - 1.0, f"input\n{height} {TIMES} {width}", ha="center",
                  va="center", fontsize=points(unit, 8.5))  # fmt: skip
        return None

    def _input_name(self, k: int) -> str:
        return shorten(
            str(k) if self.feature_names is None else self.feature_names[k], LONGEST_INPUT
        )

    def _bars_width(self) -> float:
        """Return the width of the bars with their names."""
        chosen = strongest(np.abs(self.inputs), MOST_BARS)
        longest = max(len(self._input_name(k)) for k in chosen)
        return BARS_WIDTH + LETTER * max(0, longest - 2)

    def _draw_bars(self, axis: Any, unit: float) -> None:
        """Draw the largest inputs as bars with their numbers."""
        chosen = strongest(np.abs(self.inputs), MOST_BARS)
        values, colors = self.inputs[chosen], palette()
        scale = float(np.abs(values).max()) or 1.0
        heights = places(len(chosen), False)
        middle = self._bars_width() - BARS_WIDTH / 2 + 0.4
        for k, value, y in zip(chosen, values, heights, strict=True):
            color = colors.negative if value < 0 else colors.positive
            length = 2.2 * float(value) / scale
            axis.barh(y, length, 0.7, left=middle, color=color)
            axis.text(0.1, y, self._input_name(k), va="center", fontsize=points(unit, 7))
            axis.text(middle + max(length, 0) + 0.2, y, _number(value), va="center",
                      fontsize=points(unit, 7))  # fmt: skip
        axis.text(middle, heights[0] - 1.4, f"input\n{len(self.inputs):,}", ha="center",
                  va="center", fontsize=points(unit, 8.5))  # fmt: skip

    def _draw_layer(self, axis: Any, layer: int, left: float, wide: float, unit: float) -> None:
        """Draw a layer's units as cells, each with its activation."""
        a, units = self.activations[layer], self.units[layer]
        shades, low, high = _shades(a, self.rules[layer])
        box, colors = matplotlib().patches.FancyBboxPatch, palette()
        for k, column, y in zip(units, *self._places(layer), strict=True):
            x, share = left + column * CELL, (float(a[k]) - low) / ((high - low) or 1.0)
            face = shades(share)
            wins = layer == len(self.units) - 1 and self._wins(k)
            axis.add_patch(
                box((x + 0.14, y - 0.36), CELL - 0.28, 0.72, facecolor=face, zorder=2,
                    boxstyle="round,pad=0,rounding_size=0.18",
                    edgecolor=colors.positive if wins else colors.muted,
                    linewidth=2.6 if wins else 0.7)
            )  # fmt: skip
            axis.text(x + CELL / 2, y, _number(a[k], 2 if unit > 0.24 else 1), ha="center",
                      va="center_baseline", fontsize=points(unit, 7), color=readable_on(face),
                      zorder=3)  # fmt: skip
        top = self._places(layer)[1].min()
        size = f"{len(units)} of {len(a):,}" if len(units) < len(a) else f"{len(a):,}"
        axis.text(left + wide / 2, top - 1.6, f"{self.names[layer + 1]}\n{size}\n"
                  f"{self.rules[layer]}", ha="center", va="center",
                  fontsize=points(unit, 8.5), linespacing=1.1)  # fmt: skip

    def _draw_names(self, axis: Any, x: float, unit: float) -> None:
        """Write beside each output what it stands for, and mark the one that wins."""
        colors = palette()
        heights = self._places(len(self.units) - 1)[1]
        for k, y, name in zip(self.units[-1], heights, self._output_names(), strict=True):
            wins = self._wins(k)
            axis.text(
                x, y, name, va="center", fontsize=points(unit, 9),
                fontweight="bold" if wins else "normal",
                color=colors.positive if wins else colors.text,
            )  # fmt: skip


def _class_names(network: Network, given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names of the classes the outputs stand for; None if they are numbers."""
    from fastgd.explain.confusion import name_classes

    shape = network.architecture
    likely = shape.loss.classifies or (shape.output.reach == (0, 1) and shape.n_outputs > 1)
    if given is None and not likely:
        return None
    return name_classes(given, shape.n_classes, network)


def _shades(a: Array, rule: str) -> tuple[Any, float, float]:
    """Return the colours of activations, and the numbers they begin and end with."""
    most = float(np.abs(a).max()) or 1.0
    bounded = rule in ACTIVATIONS and bool(np.isfinite(ACTIVATIONS[rule].reach).all())
    if a.min() < 0:
        limit = 1.0 if bounded else most
        return diverging(), -limit, limit
    return ink(), 0.0, 1.0 if bounded else most


def _answer(value: float) -> str:
    """Return a number of the user's own units, to six figures."""
    size = abs(float(value))
    return _number(value) if size < 99.5 else f"{value:,.6g}".replace("-", MINUS)


def _number(value: float, digits: int = 2) -> str:
    """Return a number in about four letters."""
    size = abs(float(value))
    words = f"{value:.{digits}f}" if size < 99.5 else f"{value:.0f}"
    words = words if size < 99_999.5 else f"{value:.1e}"
    return words.removeprefix("-" if float(words) == 0 else " ").replace("-", MINUS)
