"""The confusion matrix: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.confusion import Confusion, confusion_of
from fastgd.plot.display import Display
from fastgd.plot.style import matplotlib, palette

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["ConfusionDisplay"]

#: Classes in a picture; where there are more, those with the most mistakes.
MOST_CLASSES = 20
#: Letters of a class's name.
MOST_LETTERS = 12


class ConfusionDisplay(Display):
    """How often each class (row) was taken for each (column), mistakes standing out.

    Of more than 20 classes, the 20 with the most mistakes are drawn.

    Parameters
    ----------
    confusion : Confusion

    Attributes
    ----------
    confusion : Confusion
        All classes.
    shown : Confusion
        Those that are drawn.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import ConfusionDisplay
    >>> net = fastgd.Network([64, 10], seed=0)
    >>> digits = fastgd.data.load("digits")
    >>> display = ConfusionDisplay.from_network(net, digits.X, digits.y)  # doctest: +SKIP
    >>> display.confusion.total  # doctest: +SKIP
    1797
    """

    def __init__(self, *, confusion: Confusion):
        self.confusion = confusion
        many = len(confusion.counts) > MOST_CLASSES
        self.shown = confusion.most_confused(MOST_CLASSES) if many else confusion

    @classmethod
    def from_network(
        cls,
        network: Network,
        X: Any,
        y: Any,
        *,
        class_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> ConfusionDisplay:
        """Count and draw what the network takes the examples X for; y are classes or one-hot."""
        return cls(confusion=confusion_of(network, X, y, class_names)).plot(ax=ax)

    def plot(self, ax: Any = None) -> ConfusionDisplay:
        """Draw the matrix."""
        colors, shown = palette(), self.shown
        mistakes, n = shown.mistakes, len(shown.counts)
        names = [_short(name) for name in shown.class_names]
        wordy = 0.075 * max(map(len, names))
        side = max(2.6, min(0.44 * n, 4.9))
        axis = self._axes(ax, (max(side + 0.9 + wordy, 5.2), side + 1.2 + wordy))
        matplotlib_colors = matplotlib().colors
        shades = matplotlib_colors.LinearSegmentedColormap.from_list(
            "mistakes", [colors.background, colors.negative]
        )
        # The root lets one mistake be seen beside a hundred.
        scale = matplotlib_colors.PowerNorm(0.5, vmin=0, vmax=max(1, mistakes.max()))
        axis.imshow(mistakes, cmap=shades, norm=scale)
        small = 9 if n <= 11 else 7 if n <= 15 else 6
        for i in range(n):
            box = matplotlib().patches.Rectangle(
                (i - 0.5, i - 0.5), 1, 1, facecolor=_mix(colors.positive, colors.background),
                edgecolor=colors.positive, linewidth=1.2,
            )  # fmt: skip
            box.set_clip_on(False)
            axis.add_patch(box)
            for j in range(n):
                count, right = int(shown.counts[i, j]), i == j
                back = box.get_facecolor() if right else shades(scale(mistakes[i, j]))
                ink = colors.muted if not count else _ink(back)
                axis.text(
                    j, i, f"{count:,}" if count or right else "·", color=ink, fontsize=small,
                    ha="center", va="center", fontweight="normal" if right else "bold",
                )  # fmt: skip
        turned = {"rotation": 90} if max(map(len, names)) > 3 else {}
        axis.set_xticks(range(n), names, fontsize=small, **turned)
        axis.set_yticks(range(n), names, fontsize=small)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set(xlabel="predicted class", ylabel="true class", title=self._title())
        self._settle(ax is None)
        return self

    def _title(self) -> str:
        whole, n = self.confusion, len(self.shown.counts)
        title = (
            f"{whole.right:,} of {whole.total:,} right ({100 * whole.right / whole.total:.1f} %)"
        )
        if n < len(whole.counts):
            return f"{title}\nthe {n} most confused of {len(whole.counts)} classes"
        return f"{title}; mistakes lie off the diagonal"


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 5]}…{name[-4:]}"


def _mix(color: str, background: str) -> tuple[float, float, float]:
    """Return a quarter of a colour on the background."""
    rgb = matplotlib().colors.to_rgb
    pairs = zip(rgb(color), rgb(background), strict=True)
    red, green, blue = (0.25 * a + 0.75 * b for a, b in pairs)
    return red, green, blue


def _ink(background: Sequence[float] | np.ndarray) -> str:
    """Return what can be read on a colour: black or white."""
    red, green, blue = background[:3]
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.45 else "#ffffff"
