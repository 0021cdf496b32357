"""The worst mistakes, each with its image and the network's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.explain.mistakes import Mistakes, worst_mistakes
from fastgd.plot.display import Display
from fastgd.plot.style import matplotlib, palette
from fastgd.rules.checks import check_integer

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["MistakesDisplay", "check_image_shape", "draw_image", "draw_outputs", "short"]

Array = np.ndarray

#: Mistakes in a picture.
MOST_MISTAKES = 24
#: Outputs shown for each: the largest, and that of the true class.
BARS = 4
MOST_LETTERS = 8


class MistakesDisplay(Display):
    """The wrong answers with the largest cost: what was shown, and what the outputs said.

    Parameters
    ----------
    mistakes : Mistakes
    images : ndarray of shape (k, height, width) or (k, height, width, 3), or None
        Those of ``mistakes.rows``; None where the data are no images, and only outputs are drawn.

    Attributes
    ----------
    mistakes, images
        As given.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import MistakesDisplay
    >>> net = fastgd.Network([64, 10], seed=0)
    >>> digits = fastgd.data.load("digits")
    >>> display = MistakesDisplay.from_network(
    ...     net, digits.X, digits.y, image_shape=digits.image_shape, n=6
    ... )  # doctest: +SKIP
    >>> print(display.mistakes)  # doctest: +SKIP
    """

    def __init__(self, *, mistakes: Mistakes, images: Array | None = None):
        self.mistakes, self.images = mistakes, images

    @classmethod
    def from_network(
        cls,
        network: Network,
        X: Any,
        y: Any,
        *,
        image_shape: tuple[int, ...] | None = None,
        n: int = 12,
        class_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> MistakesDisplay:
        """Find and draw the n worst mistakes among the examples X, whose classes are y.

        ``image_shape`` is (height, width), or (height, width, 3) for colours; without it only the
        outputs are drawn. At most 24 mistakes fit a picture.
        """
        check_integer("n", n, 1)
        if n > MOST_MISTAKES:
            raise SettingError(
                "n",
                f"must be at most {MOST_MISTAKES} for a picture; got {n} "
                f"(fastgd.explain.mistakes.worst_mistakes lists any number)",
            )
        shape = check_image_shape(image_shape, network.architecture.n_inputs)
        found = worst_mistakes(network, X, y, n, class_names)
        images = None
        if shape is not None:
            rows = X.tocsr()[found.rows].toarray() if hasattr(X, "tocsr") else np.asarray(X)
            rows = rows if hasattr(X, "tocsr") else rows[found.rows]
            images = rows.reshape(-1, *shape)
        return cls(mistakes=found, images=images).plot(ax=ax)

    def plot(self, ax: Any = None) -> MistakesDisplay:
        """Draw one image and its outputs for each mistake; ``ax`` is an array of axes, or None:
        two axes for each where there are images, else one."""
        k = len(self.mistakes.rows)
        if not k:
            return self._plot_none(ax)
        each = 1 if self.images is None else 2
        columns = min(4, k) if k <= 12 else 6
        rows = -(-k // columns)
        ratios = {"width_ratios": [1.0, 0.8] * columns} if each == 2 else {}
        size = (max(1.0, min(2.4 if columns <= 4 else 1.65, 9.8 / columns)) * columns,
                min(1.75 * rows + 0.7, 7.0))  # fmt: skip
        axes = self._axes(ax, (max(size[0], 4.8), size[1]), rows, columns * each, **ratios)
        flat = np.atleast_1d(axes).ravel()
        for axis in flat[each * k :]:
            axis.set_visible(False)
        for i in range(k):
            self._draw(i, flat[each * i : each * (i + 1)])
        if ax is None:
            self._say_what()
        self._settle(ax is None)
        return self

    def _draw(self, i: int, axes: Array) -> None:
        """Draw the i-th mistake."""
        found = self.mistakes
        true, taken = int(found.true[i]), int(found.taken[i])
        names = [short(name) for name in found.class_names]
        words = f"true {names[true]}\ntaken for {names[taken]}"
        axes[0].set_title(words, fontsize=8)
        if self.images is not None:
            draw_image(axes[0], self.images[i])
            axes[1].set_title(f"cost\n{found.costs[i]:#.3g}", fontsize=8)
        else:
            axes[0].set_title(f"{words}\ncost {found.costs[i]:#.3g}", fontsize=8)
        draw_outputs(axes[-1], found.scores()[i], names, true, taken)

    def _say_what(self) -> None:
        """Write above the whole what is shown, and below what the bars are."""
        colors, found = palette(), self.mistakes
        k = len(found.rows)
        which = f"The {k} worst of {found.n_wrong:,} mistakes"
        if k == found.n_wrong:
            which = f"All {k} mistakes" if k > 1 else "The only mistake"
        n = found.n_examples
        self.figure_.suptitle(f"{which} among {n:,} example{'s' * (n > 1)}", fontsize="medium")
        patch = matplotlib().patches.Patch
        handles = [
            patch(color=colors.negative, label="output of the class taken"),
            patch(facecolor=colors.positive, hatch="///", edgecolor=colors.background,
                  label="of the true class"),
            patch(color=colors.muted, label="of others"),
        ]  # fmt: skip
        self.figure_.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)

    def _plot_none(self, ax: Any) -> MistakesDisplay:
        axis = self._axes(None if getattr(ax, "size", 1) > 1 else ax, (4.8, 1.6))
        axis.set_axis_off()
        words = f"No mistakes: all {self.mistakes.n_examples:,} examples are right."
        axis.text(0.5, 0.5, words, ha="center", va="center")
        return self


def draw_image(axis: Any, image: Array) -> Any:
    """Draw one image as it is, light on dark; return the artist."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    if image.ndim == 3:
        return axis.imshow((image - image.min()) / max(float(np.ptp(image)), 1e-12))
    return axis.imshow(image, cmap="gray", interpolation="nearest")


def draw_outputs(axis: Any, scores: Array, names: Sequence[str], true: int, taken: int) -> None:
    """Draw the largest outputs, and that of the true class, as bars with their numbers."""
    colors = palette()
    order = [int(c) for c in np.argsort(-scores, kind="stable")]
    chosen = order[:BARS]
    if true not in chosen:
        chosen = [*order[: BARS - 1], true]
    # Outputs from 0 to 1 share one scale, so that bars of different examples can be compared.
    low, high = min(0.0, float(scores.min())), max(1.0, float(scores.max()))
    for place, c in enumerate(chosen):
        color = colors.positive if c == true else colors.negative if c == taken else colors.muted
        hatch = "///" if c == true else None
        axis.barh(place, scores[c], color=color, hatch=hatch, edgecolor=colors.background)
        axis.text(
            max(0.0, float(scores[c])) + 0.04 * (high - low), place, f"{scores[c]:.2f}",
            va="center", fontsize=7,
        )  # fmt: skip
    axis.set_yticks(range(len(chosen)), [names[c] for c in chosen], fontsize=8)
    axis.set(xlim=(low, low + 1.5 * (high - low)), ylim=(max(len(chosen), 3) - 0.4, -0.6))
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)
    axis.tick_params(length=0)


def check_image_shape(image_shape: Any, n_inputs: int) -> tuple[int, ...] | None:
    """Return the shape of images, or raise ValueError if it does not fit the inputs."""
    if image_shape is None:
        return None
    try:
        shape = tuple(int(size) for size in image_shape)
    except (TypeError, ValueError):
        shape = ()
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if not fits or min(shape) < 1 or int(np.prod(shape)) != n_inputs:
        raise SettingError(
            "image_shape",
            f"must be (height, width) or (height, width, 3) with height x width "
            f"(x 3) = {n_inputs}, the number of inputs; got {image_shape!r}",
        )
    return shape


def short(name: str) -> str:
    """Return the two ends of a long name."""
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 4]}…{name[-3:]}"
