"""Where a network with two inputs changes its mind: its answer at every point of the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import R2, classes_of, score_kind
from fastgd.errors import SettingError
from fastgd.explain.columns import plainly
from fastgd.explain.confusion import name_classes, true_classes
from fastgd.plot.display import Display
from fastgd.plot.style import matplotlib, palette
from fastgd.plot.units import caption

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["GRID", "MOST_CLASSES", "MOST_POINTS", "BoundaryDisplay"]

Array = np.ndarray

#: Points a side at which the network is asked.
GRID = 241
MOST_POINTS = 2000
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST_CLASSES = len(MARKERS)
#: Besides the boundary, where the winning output reaches this.
SURE = 0.9


class BoundaryDisplay(Display):
    """The classes, or the output, that a network gives each point of the plane.

    Parameters
    ----------
    x0, x1 : ndarray of shape (m,)
        The inputs at which the network was asked: a grid.
    outputs : ndarray of shape (m, m, n_outputs)
        `Network.predict` at each point of the grid, x1 along the first axis.
    X : ndarray of shape (n, 2)
        The examples.
    y : ndarray of shape (n,)
        Their classes, or the numbers to be predicted.
    predicted : ndarray of shape (n,)
        The network's classes, or outputs, for them.
    class_names : tuple of str or None
        None for regression.
    feature_names : tuple of two str

    Attributes
    ----------
    x0, x1, outputs, X, y, predicted, class_names, feature_names
        As given.
    classes : int64 ndarray of shape (m, m), or None
        The class of each point of the grid.
    wrong : bool ndarray of shape (n,), or None
        Which examples the network gets wrong.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.toys import toy
    >>> from fastgd.plot import BoundaryDisplay
    >>> X, y = toy("moons")
    >>> net = fastgd.Network([2, 8, 2], output="softmax", loss="cross_entropy", seed=0)
    >>> history = net.fit(X, y, epochs=50, optimizer="sgd")
    >>> display = BoundaryDisplay.from_network(net, X, y)  # doctest: +SKIP
    >>> int(display.wrong.sum())  # doctest: +SKIP
    40
    """

    def __init__(
        self, *, x0: Array, x1: Array, outputs: Array, X: Array, y: Array, predicted: Array,
        class_names: tuple[str, ...] | None, feature_names: tuple[str, ...] = ("x0", "x1"),
    ):  # fmt: skip
        self.x0, self.x1, self.outputs = x0, x1, outputs
        self.X, self.y, self.predicted = X, y, predicted
        self.class_names, self.feature_names = class_names, feature_names
        self.classes = self.wrong = None
        if class_names is not None:
            flat = outputs.reshape(-1, outputs.shape[2])
            self.classes = classes_of(flat).reshape(outputs.shape[:2])
            self.wrong = predicted != y

    @classmethod
    def from_network(
        cls,
        network: Network,
        X: Any,
        y: Any,
        *,
        class_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> BoundaryDisplay:
        """Ask a network with two inputs about the plane around the examples X, and draw.

        Parameters
        ----------
        network : Network
            With two inputs; at most 7 classes, or one output for regression.
        X : array of shape (n, 2)
        y : array
            Classes, one-hot targets, or numbers (n,) for regression; numbers that are all 0 or 1
            are classes.
        class_names : sequence of str, optional
        feature_names : sequence of two str, optional
        ax : matplotlib Axes, optional

        Raises
        ------
        TypeError, ValueError
            If the network has another number of inputs, too many outputs, or X and y do not fit.
        """
        _check_network(network)
        examples = network.check_examples(X, y)
        inputs, targets = examples.inputs, examples.targets
        network.check_parameters()
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(inputs.X)
        names = None if feature_names is None else tuple(map(str, feature_names))
        if names is not None and len(names) != 2:
            raise SettingError(
                "feature_names", f"must be 2 names, one for each input; got {len(names)}"
            )
        regression = score_kind(network.architecture, targets) is R2
        regression = regression and not np.isin(targets.y, (0, 1)).all()
        if regression and network.architecture.n_outputs > 1:
            raise SettingError(
                "network",
                "must have one output for regression, or y be classes; it has "
                f"{network.architecture.n_outputs} (draw one: a network of its own, or "
                "net.predict)",
            )
        x0, x1 = (_span(X[:, i]) for i in (0, 1))
        grid = np.stack(np.meshgrid(x0, x1), axis=-1)
        outputs = network.predict(grid.reshape(-1, 2)).reshape(GRID, GRID, -1)
        known = targets.y[:, 0] if regression else true_classes(network, y)
        answers, n_classes = network.predict(X), max(2, network.architecture.n_outputs)
        classes = None if regression else name_classes(class_names, n_classes, network)
        return cls(
            x0=x0, x1=x1, outputs=outputs, X=X, y=known,
            predicted=answers[:, 0] if regression else classes_of(answers),
            class_names=classes,
            feature_names=names or ("x0", "x1"),
        ).plot(ax=ax)  # fmt: skip

    def plot(self, ax: Any = None) -> BoundaryDisplay:
        """Draw the regions, or the output's contours, and the examples on them."""
        axis = self._axes(ax, (7.4, 5.8))
        axis.set(
            xlabel=self.feature_names[0],
            ylabel=self.feature_names[1],
            xlim=(self.x0[0], self.x0[-1]),
            ylim=(self.x1[0], self.x1[-1]),
        )
        if self.class_names is None:
            self._draw_output(axis)
        else:
            self._draw_regions(axis)
            self._draw_boundaries(axis)
            self._draw_points(axis)
            axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)
        axis.set_title(self.title())
        shown = len(self._shown())
        if shown < len(self.X):
            words = f"{shown:,} of {len(self.X):,} examples are drawn"
            caption(axis, f"{self.feature_names[0]}   ({words})")
        self._settle(ax is None)
        return self

    def title(self) -> str:
        """Say what is seen."""
        n = len(self.X)
        if self.wrong is None:
            error = np.sqrt(np.mean((self.predicted.astype(np.float64) - self.y) ** 2))
            words = f"(root mean square error {plainly(error)})"
            return f"The network's output, and {n:,} examples {words}"
        wrong = int(self.wrong.sum())
        return f"What the network says where: {wrong:,} of {n:,} examples wrong"

    def _shown(self) -> Array:
        """Return the examples drawn: all, or a random part that is always the same."""
        n = len(self.X)
        if n <= MOST_POINTS:
            return np.arange(n)
        return np.sort(np.random.default_rng(0).permutation(n)[:MOST_POINTS])

    def _draw_output(self, axis: Any) -> None:
        """Draw the output of a regression as filled contours, the examples in its colours."""
        values, colors = self.outputs[:, :, 0].astype(np.float64), palette()
        points = self._shown()
        low = min(float(values.min()), float(self.y.min()))
        high = max(float(values.max()), float(self.y.max()))
        high = high if high > low else low + 1.0
        levels = matplotlib().ticker.MaxNLocator(16).tick_values(low, high)
        filled = axis.contourf(self.x0, self.x1, values, levels, cmap=colors.sequential)
        axis.contour(self.x0, self.x1, values, levels[::2], colors=colors.background,
                     linewidths=0.6, linestyles="solid")  # fmt: skip
        axis.scatter(
            *self.X[points].T, c=self.y[points], cmap=colors.sequential, s=26,
            vmin=levels[0], vmax=levels[-1],
            edgecolors=colors.text, linewidths=0.8, zorder=3,
        )  # fmt: skip
        bar = self.figure_.colorbar(
            filled, ax=axis, ticks=levels[::2], format=lambda at, _: plainly(at)
        )
        bar.set_label("output; in the circles, the target")

    def _draw_regions(self, axis: Any) -> None:
        """Draw the plane in the colours of the classes, the fuller the surer."""
        assert self.classes is not None
        first = np.array(matplotlib().colors.to_rgb(palette().background))
        paints = np.array([matplotlib().colors.to_rgb(c) for c in palette().cycle])
        chance = 1 / self._scores().shape[2]
        sure = np.clip((self._scores().max(axis=2) - chance) / (1 - chance), 0, 1)
        strength = (0.1 + 0.32 * sure)[..., None]
        image = (1 - strength) * first + strength * paints[self.classes]
        edges = (self.x0[0], self.x0[-1], self.x1[0], self.x1[-1])
        axis.imshow(image, origin="lower", extent=edges, aspect="auto", interpolation="bilinear")

    def _scores(self) -> Array:
        """Return one number for each class at each point: the outputs; 1 - a and a for one a."""
        outputs = self.outputs.astype(np.float64)
        return outputs if outputs.shape[2] > 1 else np.concatenate([1 - outputs, outputs], axis=2)

    def _draw_boundaries(self, axis: Any) -> None:
        """Draw the line where the class changes, and where the winner reaches 0.9."""
        scores, colors = self._scores(), palette()
        line = matplotlib().lines.Line2D
        n = scores.shape[2]
        for c in range(n if n > 2 else 1):
            ahead = scores[:, :, c] - np.delete(scores, c, axis=2).max(axis=2)
            if ahead.min() < 0 < ahead.max():
                axis.contour(self.x0, self.x1, ahead, [0.0], colors=colors.text, linewidths=1.6)
        best = scores.max(axis=2)
        axis.add_line(line([], [], color=colors.text, linewidth=1.6, label="boundary"))
        if best.min() < SURE < best.max():
            axis.contour(self.x0, self.x1, best, [SURE], colors=colors.text, linewidths=0.9,
                         linestyles="dashed")  # fmt: skip
            words = f"output {SURE}"
            axis.add_line(line([], [], color=colors.text, linewidth=0.9, linestyle="--",
                               label=words))  # fmt: skip

    def _draw_points(self, axis: Any) -> None:
        """Draw the examples, each class with its marker, and a ring around the wrong ones."""
        assert self.class_names is not None and self.wrong is not None
        colors, points = palette(), self._shown()
        X, y, wrong = self.X[points], self.y[points], self.wrong[points]
        size = 34 if len(X) <= 500 else 14
        for c, name in enumerate(self.class_names):
            axis.scatter(
                *X[y == c].T, s=size, marker=MARKERS[c], color=colors.cycle[c],
                edgecolors=colors.background, linewidths=0.7, zorder=3,
                label=name if len(name) <= 16 else f"{name[:15]}…",
            )  # fmt: skip
        if wrong.any():
            axis.scatter(
                *X[wrong].T, s=4 * size, marker="o", facecolors="none", edgecolors=colors.text,
                linewidths=1.3, zorder=4, label="wrong",
            )  # fmt: skip


def _check_network(network: Network) -> None:
    """Raise ValueError unless a network's answers can be drawn in a plane."""
    n_inputs, n_outputs = network.architecture.n_inputs, network.architecture.n_outputs
    if n_inputs != 2:
        raise SettingError(
            "network",
            f"must have 2 inputs for its boundary to be drawn; it has {n_inputs} (train "
            f"one on two columns of the data, or see its first layer with WeightsDisplay and one "
            f"example with ActivityDisplay)",
        )
    if n_outputs > MOST_CLASSES:
        raise SettingError(
            "network",
            f"must have at most {MOST_CLASSES} classes for them to be told apart in one "
            f"picture; it has {n_outputs} (see ConfusionDisplay)",
        )


def _span(values: Array) -> Array:
    """Return GRID numbers from a little below the least to a little above the largest."""
    low, high = float(values.min()), float(values.max())
    margin = 0.12 * (high - low) or max(1.0, 0.1 * abs(low))
    return np.linspace(low - margin, high + margin, GRID)
