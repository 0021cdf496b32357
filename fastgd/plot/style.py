"""How pictures look: colours that everybody can tell apart, on light and on dark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from fastgd.errors import MissingExtraError
from fastgd.rules.registry import unknown_name

__all__ = ["DPI", "Palette", "matplotlib", "palette", "theme"]

#: Dots per inch of PNG files.
DPI = 100
THEMES = ("light", "dark")


def matplotlib() -> Any:
    """Return the matplotlib package, with pyplot.

    Raises
    ------
    MissingExtraError
        If it is not installed; the message names the extra.
    """
    try:
        import matplotlib
        import matplotlib.pyplot
    except ImportError as error:
        raise MissingExtraError(
            f'pictures need matplotlib: pip install "fastgd[plot]" ({error})'
        ) from None
    return matplotlib


class Palette(NamedTuple):
    """Colours of Okabe and Ito (2008), which the colour-blind can tell apart, by their role."""

    positive: str
    negative: str
    cycle: tuple[str, ...]
    text: str
    muted: str  # grids, and what is only for orientation
    background: str
    sequential: str  # colour map for sizes


LIGHT = Palette(
    positive="#0072B2", negative="#D55E00",
    cycle=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
    text="#1a1a1a", muted="#8c8c8c", background="#ffffff", sequential="cividis",
)  # fmt: skip
DARK = Palette(
    positive="#56B4E9", negative="#E69F00",
    cycle=("#56B4E9", "#E69F00", "#2fbf97", "#CC79A7", "#F0E442", "#ff8a3d", "#ffffff"),
    text="#e6e6e6", muted="#8c8c8c", background="#15181c", sequential="cividis",
)  # fmt: skip


def palette() -> Palette:
    """Return the colours that suit the background of figures now."""
    colors = matplotlib().colors
    red, green, blue = colors.to_rgb(matplotlib().rcParams["figure.facecolor"])
    return LIGHT if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else DARK


@contextmanager
def theme(name: str = "light") -> Iterator[None]:
    """Draw in fastgd's own look inside a ``with`` block: ``"light"`` or ``"dark"``.

    Without it pictures follow matplotlib's settings, as they are.
    """
    if name not in THEMES:
        raise unknown_name("theme", name, THEMES)
    look = LIGHT if name == "light" else DARK
    mpl = matplotlib()
    settings = {
        "figure.facecolor": look.background,
        "figure.dpi": DPI,
        "savefig.dpi": DPI,
        "savefig.facecolor": look.background,
        "figure.constrained_layout.use": True,
        "axes.facecolor": look.background,
        "axes.edgecolor": look.muted,
        "axes.labelcolor": look.text,
        "axes.titlesize": "medium",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": mpl.cycler(color=look.cycle),
        "text.color": look.text,
        "xtick.color": look.text,
        "ytick.color": look.text,
        "legend.frameon": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "fastgd",  # the same picture, the same bytes
    }
    with mpl.rc_context(settings):
        yield
