"""What all Displays share: where they draw, and how they are written to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastgd.plot.settle import settle
from fastgd.plot.style import DPI, matplotlib

__all__ = ["FORMATS", "Display", "check_format"]

FORMATS = (".png", ".svg")


class Display:
    """A picture and the numbers it shows.

    A subclass keeps the numbers as attributes and draws them in ``plot(ax=None)``, which begins
    with ``axes = self._axes(ax)`` and returns self; its ``from_...`` methods compute the numbers
    and plot.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes, or an array of them
    """

    figure_: Any
    ax_: Any

    def plot(self, ax: Any = None) -> Display:
        """Draw into ``ax``, or into a new figure."""
        raise NotImplementedError

    def _axes(
        self, ax: Any, size: tuple[float, float] = (6.4, 4.4), rows: int = 1, columns: int = 1,
        **options: Any,
    ) -> Any:  # fmt: skip
        """Return what to draw into, kept as ``ax_`` and ``figure_``.

        ``size`` is in inches. With several rows or columns ``ax`` must be None or an array of as
        many axes; an array of them is returned.
        """
        if ax is None:
            figure, ax = matplotlib().pyplot.subplots(
                rows, columns, figsize=size, layout="constrained", **options
            )
        elif rows * columns > 1 and getattr(ax, "size", 1) != rows * columns:
            raise ValueError(f"ax must be an array of {rows * columns} axes, or None")
        else:
            figure = (ax.flat[0] if rows * columns > 1 else ax).figure
        self.ax_, self.figure_ = ax, figure
        return ax

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture as PNG (100 dots per inch) or SVG, by the ending of the name."""
        check_format(path)
        settle(self.figure_, own=True)
        # No date in the file: the same picture is the same bytes.
        metadata = {"Date": None} if Path(path).suffix.lower() == ".svg" else None
        self.figure_.savefig(path, dpi=DPI, metadata=metadata)


def check_format(path: str | os.PathLike[str], formats: tuple[str, ...] = FORMATS) -> None:
    """Raise ValueError unless a file name ends in one of the formats."""
    if Path(path).suffix.lower() not in formats:
        raise ValueError(f"the picture's name must end in {' or '.join(formats)}; got {path}")
