"""What pictures of units share: which are drawn, where, and in what colours."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.plot.style import matplotlib, palette

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = [
    "HEIGHT", "LARGEST", "MINUS", "MOST_LAYERS", "TIMES", "WIDTH", "blank", "caption",
    "check_depth", "diverging", "fit", "ink", "layer_names", "places", "points", "readable_on",
    "shorten", "square_shape", "strongest",
]  # fmt: skip

Array = np.ndarray

#: Signs as they are printed in pictures.
MINUS, TIMES = "\u2212", "\u00d7"
#: Letters of a name, unless a picture has other room.
MOST_LETTERS = 28
#: Layers of weights a picture of columns has room for.
MOST_LAYERS = 10
#: The room a picture may take, in inches, and the largest unit of its drawing.
WIDTH, HEIGHT, LARGEST = 9.6, 5.9, 0.42


def shorten(name: str, most: int = MOST_LETTERS) -> str:
    """Cut a long name in its middle.

    >>> shorten("a very long name of a column", 15)
    'a very l…column'
    """
    return name if len(name) <= most else f"{name[: most - 7]}…{name[-6:]}"


def check_depth(network: Network, picture: str) -> None:
    """Raise ValueError if a network has too many layers to be drawn side by side."""
    n = len(network.sizes) - 1
    if n > MOST_LAYERS:
        raise ValueError(
            f"the {picture} has room for {MOST_LAYERS} layers; the network has {n} "
            f"(fastgd.explain.layers gives the numbers of any, net.weights[l] the weights)"
        )


def strongest(strength: Array, most: int) -> Array:
    """Return the indices of the ``most`` largest, in ascending order; the first of equals.

    >>> strongest(np.array([1.0, 3.0, 2.0, 3.0]), 2)
    array([1, 3])
    """
    return np.sort(np.argsort(-np.asarray(strength), kind="stable")[:most])


def places(n: int, left_out: bool) -> Array:
    """Return the heights of n units in a column, centred at 0, with room for dots if some are
    left out.

    >>> places(3, False)
    array([-1.,  0.,  1.])
    >>> places(4, True)
    array([-2., -1.,  1.,  2.])
    """
    heights = np.arange(n, dtype=np.float64)
    if left_out:
        heights[n // 2 :] += 1
    return heights - (heights[-1] if n else 0.0) / 2


def layer_names(network: Network) -> list[str]:
    """Return what each column is: input, hidden layers, output."""
    hidden = [f"hidden {l}" for l in range(1, len(network.sizes) - 1)]  # noqa: E741
    return ["input", *(["hidden"] if len(hidden) == 1 else hidden), "output"]


def square_shape(n_inputs: int, image_shape: Any) -> tuple[int, int] | None:
    """Return (height, width) as given, or that of a square; None if the inputs make none.

    Raises
    ------
    ValueError
        If the shape given does not hold ``n_inputs`` pixels.

    Examples
    --------
    >>> square_shape(784, None), square_shape(8, None), square_shape(8, (2, 4))
    ((28, 28), None, (2, 4))
    """
    if image_shape is None:
        side = math.isqrt(n_inputs)
        return (side, side) if side * side == n_inputs and side > 1 else None
    try:
        height, width = (int(size) for size in image_shape)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1 or height * width != n_inputs:
        raise SettingError(
            "image_shape",
            f"must be (height, width) with height x width = {n_inputs}, the number "
            f"of inputs; got {image_shape!r}",
        )
    return height, width


def fit(width: float, height: float) -> tuple[tuple[float, float], float]:
    """Return a figure's size in inches for a drawing of this many units, and a unit in inches."""
    unit = min(LARGEST, WIDTH / width, HEIGHT / height)
    return (max(width * unit + 0.2, 5.0), height * unit + 0.9), unit


def points(unit: float, size: float) -> float:
    """Return a font's size in points: ``size``, less where a unit of the drawing is small."""
    return max(6.0, min(size, size * unit / 0.28))


def blank(axis: Any, width: float, height: float) -> None:
    """Make axes a sheet of paper: equal units, x from 0, y downward and centred at 0."""
    axis.set(xlim=(0, width), ylim=(height / 2, -height / 2), aspect="equal", xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def caption(axis: Any, words: str) -> None:
    """Write below a drawing what it shows and what it leaves out."""
    inches = axis.figure.get_size_inches()[0]
    letters = int(15 * inches)  # of 8 points
    axis.set_xlabel(textwrap.fill(words, letters), fontsize=8, color=palette().text)


def diverging() -> Any:
    """Return the colour map from negative over the background, at 0, to positive."""
    colors = palette()
    to_rgb = matplotlib().colors.to_rgb
    ends = []
    for color in (colors.negative, colors.positive):
        # Beyond the colour itself, on toward the text: the largest stand out most.
        ends.append(0.72 * np.array(to_rgb(color)) + 0.28 * np.array(to_rgb(colors.text)))
    stops = [ends[0], colors.negative, colors.background, colors.positive, ends[1]]
    steps = list(zip([0.0, 0.3, 0.5, 0.7, 1.0], stops, strict=True))
    return matplotlib().colors.LinearSegmentedColormap.from_list("signs", steps)


def ink() -> Any:
    """Return the colour map from the background, 0, to the text: the more the clearer."""
    colors = palette()
    return matplotlib().colors.LinearSegmentedColormap.from_list(
        "ink", [colors.background, colors.text]
    )


def readable_on(color: Any) -> str:
    """Return black or white, whichever can be read on a colour (WCAG relative luminance)."""
    rgb = np.asarray(matplotlib().colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "#000000" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "#ffffff"
