"""What each unit of the first layer looks for: its weights as an image, or as a column."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.explain.names import names_for
from fastgd.plot.display import Display
from fastgd.plot.units import TIMES, diverging, shorten, square_shape, strongest
from fastgd.rules.checks import check_integer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["MOST_IMAGES", "WeightsDisplay"]

Array = np.ndarray

#: Images in one picture, and how many there are by default where units are more.
MOST_IMAGES, IMAGES = 100, 40
#: Inputs with names in one picture.
MOST_INPUTS = 40


class WeightsDisplay(Display):
    """Each unit's weights from the inputs, as an image: where ink raises it, where it lowers it.

    Inputs that have names are no pixels: a unit is then a column, and each input a row.

    Parameters
    ----------
    images : ndarray of shape (k, height, width)
        The first-layer weights of the units shown; of shape (k, n_inputs, 1) where inputs have
        names.
    units : int ndarray of shape (k,)
    biases : ndarray of shape (k,)
    n_units : int
        How many units the layer has.
    layer : str
        What the layer is: ``"hidden"``, or ``"output"`` where there is no hidden one.
    feature_names : tuple of str, optional
        What the inputs are called, where they are no image.

    Attributes
    ----------
    images, units, biases, n_units, layer, feature_names
        As given.
    scale : float
        The largest weight shown, in size; colours go from minus this to this.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import WeightsDisplay
    >>> net = fastgd.Network([64, 30, 10], seed=0)
    >>> display = WeightsDisplay.from_network(net)  # doctest: +SKIP
    >>> display.images.shape  # doctest: +SKIP
    (30, 8, 8)
    """

    def __init__(
        self, *, images: Array, units: Array, biases: Array, n_units: int, layer: str,
        feature_names: tuple[str, ...] | None = None,
    ):  # fmt: skip
        self.feature_names = feature_names
        self.images, self.units, self.biases = images, units, biases
        self.n_units, self.layer = n_units, layer
        self.scale = float(np.abs(images).max())

    @classmethod
    def from_network(
        cls,
        network: Network,
        *,
        image_shape: tuple[int, int] | None = None,
        units: int | Iterable[int] | None = None,
        feature_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> WeightsDisplay:
        """Draw the first-layer weights of a network.

        Parameters
        ----------
        network : Network
        image_shape : (height, width), optional
            Of the inputs; needed where they have no names and are not a square.
        units : int or list of int, optional
            How many units, those with the largest weights (root of the sum of squares), or which,
            counted from 0. By default all; of more than 40 the 40 with the largest weights.
        feature_names : sequence of str, optional
            What the inputs are called; they are then no image, unless image_shape is given.
        ax : array of axes, optional
            One for each unit; a single one where inputs have names.

        Raises
        ------
        TypeError, ValueError
            If the inputs do not fill the image, a unit does not exist, more than 100 are asked
            for, or a parameter is not finite.
        """
        n_inputs, n_units = network.architecture.n_inputs, network.sizes[1]
        named = None
        if image_shape is None:
            named = names_for(network, None, feature_names).feature_names
        shape = square_shape(n_inputs, image_shape) if named is None else (n_inputs, 1)
        if shape is None:
            raise SettingError(
                "image_shape",
                f"must be given as (height, width), because {n_inputs} inputs make no "
                f"square; for inputs that are no image see DiagramDisplay, or net.weights[0]",
            )
        network.check_parameters()
        W = network.weights[0]
        chosen = _chosen(units, np.linalg.norm(W, axis=0))
        return cls(
            images=W[:, chosen].T.reshape(-1, *shape).copy(),
            units=chosen,
            biases=network.biases[0][chosen].copy(),
            n_units=n_units,
            layer="hidden" if len(network.sizes) > 2 else "output",
            feature_names=named,
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> WeightsDisplay:
        """Draw one image for each unit, or one column for each, all on one scale."""
        if self.feature_names is not None:
            return self._plot_columns(ax)
        k, (height, width) = len(self.images), self.images.shape[1:]
        columns = _columns(k, width / height)
        rows = -(-k // columns)
        side = _side(k, columns, width / height)
        size = (
            max((side + 0.08) * columns + 1.0, 4.8),
            rows * (side * height / width + 0.27) + 0.5,
        )
        axes = self._axes(ax, size, rows, columns) if ax is None else self._axes(ax, size, 1, k)
        flat = np.atleast_1d(axes).ravel()
        for axis in flat[k:]:
            axis.set_visible(False)
        drawn = None
        for axis, image, unit in zip(flat, self.images, self.units, strict=False):
            drawn = axis.imshow(
                image, cmap=diverging(), vmin=-(self.scale or 1), vmax=self.scale or 1,
                interpolation="nearest",
            )  # fmt: skip
            axis.set_title(f"{'unit ' if columns <= 5 else ''}{unit}", fontsize=8, pad=3)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(visible=True, linewidth=0.5)
        self._finish(drawn, list(flat), size, own=ax is None)
        return self

    def _plot_columns(self, ax: Any) -> WeightsDisplay:
        """Draw a unit as a column, an input as a row."""
        assert self.feature_names is not None
        W = self.images[:, :, 0].T
        rows = strongest(np.linalg.norm(W, axis=1), min(len(W), MOST_INPUTS))
        cut = [shorten(self.feature_names[k]) for k in rows]
        k = len(self.units)
        left = 0.075 * max(map(len, cut))
        size = (min(max(0.24 * k, 2.2), 8.5) + left + 1.6, max(0.24 * len(rows), 1.4) + 1.3)
        axis = self._axes(ax, size)
        drawn = axis.imshow(
            W[rows], cmap=diverging(), vmin=-(self.scale or 1), vmax=self.scale or 1,
            interpolation="nearest", aspect="auto",
        )  # fmt: skip
        axis.set_yticks(range(len(rows)), cut, fontsize=8)
        small = min(8, max(4, 400 // k))
        axis.set_xticks(range(k), self.units, fontsize=small, rotation=90 if k > 10 else 0)
        axis.set_xlabel(f"{'first hidden' if self.layer == 'hidden' else 'output'} unit")
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        self._finish(drawn, [axis], size, own=ax is None)
        return self

    def _finish(self, drawn: Any, axes: list[Any], size: tuple[float, float], own: bool) -> None:
        """Add the bar of colours and the title."""
        bar = self.figure_.colorbar(
            drawn, ax=axes, fraction=0.04, pad=0.02, aspect=25, shrink=0.9, panchor=False
        )
        label = "weight (below 0: lowers the unit, above 0: raises it)"
        bar.set_label(label if size[1] > 3.8 else "weight", fontsize=8)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
        if own:
            words = textwrap.fill(self.title(), int(11.5 * size[0]))
            self.figure_.suptitle(words, fontsize="medium")
        self._settle(own)

    def title(self) -> str:
        """Say what is shown, and what is left out."""
        k = len(self.units)
        what = f"the {self.layer} units look for: each unit's weights"
        if k < self.n_units:
            what = f"{k:,} of {self.n_units:,} {self.layer} units look for: their weights"
        if self.layer == "hidden":
            what = what.replace("hidden", "first hidden")
        height, width = self.images.shape[1:]
        if self.feature_names is not None:
            most = f"the {MOST_INPUTS} largest of " if height > MOST_INPUTS else ""
            return f"What {what} from {most}the {height} inputs"
        return f"What {what} from the {height} {TIMES} {width} inputs"


def _chosen(units: int | Iterable[int] | None, strength: Array) -> Array:
    """Return the units to show."""
    n = len(strength)
    if units is None:
        return strongest(strength, min(n, IMAGES))
    if isinstance(units, Iterable):
        chosen = [check_integer(f"units[{i}]", unit, 0) for i, unit in enumerate(units)]
        for i, unit in enumerate(chosen):
            if unit >= n:
                raise ValueError(f"units[{i}] must be below {n}, the units there are; got {unit}")
        if not chosen:
            raise SettingError("units", "must name at least one unit; got none")
    else:
        chosen = strongest(strength, check_integer("units", units, 1)).tolist()
    if len(chosen) > MOST_IMAGES:
        raise SettingError(
            "units",
            f"must be at most {MOST_IMAGES} for one picture; got {len(chosen)} "
            f"(a list shows others: units=range({MOST_IMAGES}, {2 * MOST_IMAGES}))",
        )
    return np.array(chosen, dtype=np.int64)


def _side(k: int, columns: int, ratio: float) -> float:
    """Return how wide images can be, in inches, for k of them to fill 9 x 6 inches."""
    return min(9.0 / columns - 0.08, (6.0 / -(-k // columns) - 0.27) * ratio, 2.2)


def _columns(k: int, ratio: float) -> int:
    """Return how many columns give the largest images."""
    return max(range(1, k + 1), key=lambda columns: (_side(k, columns, ratio), -columns))
