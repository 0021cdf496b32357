"""What all Displays share: where they draw, and how they are written to a file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.plot.settle import settle
from fastgd.plot.style import DPI, matplotlib
from fastgd.writing import write_whole

__all__ = ["FORMATS", "Display", "check_format", "drawing", "numbers_only"]

FORMATS = (".png", ".svg")


class Display:
    """A picture and the numbers it shows.

    All Displays have one manner, scikit-learn's:

    - The constructor takes numbers that are computed already, by keyword, and keeps them as
      attributes: mostly the result of a function of `fastgd.explain`. It draws nothing.
    - ``plot(ax=None)`` draws them and returns self; it begins with ``axes = self._axes(ax)``.
    - ``from_network(network, X, y, *, ..., ax=None)`` lets a network compute the numbers, and
      plots. X and y are there if the picture needs examples; everything else goes by keyword.
    - Without a network, ``from_history(history)`` shows what ``fit`` returned, and
      ``from_function(...)`` shows functions.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes, or an array of them
    """

    figure_: Any
    ax_: Any

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if "plot" in vars(cls):
            cls.plot = _drawn(cls.plot)  # type: ignore[method-assign]

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
            raise SettingError("ax", f"must be an array of {rows * columns} axes, or None")
        else:
            figure = (ax.flat[0] if rows * columns > 1 else ax).figure
        self.ax_, self.figure_ = ax, figure
        return ax

    def _settle(self, own: bool) -> None:
        """Finish the layout of what is drawn, in a figure of its ``own`` or in another's axes."""
        settle(self.figure_, own, np.atleast_1d(self.ax_).ravel())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture as PNG (100 dots per inch) or SVG, by the ending of the name."""
        check_format(path)
        settle(self.figure_, own=True)
        # No date in the file: the same picture is the same bytes.
        metadata = {"Date": None} if Path(path).suffix.lower() == ".svg" else None
        picture = io.BytesIO()
        ending = Path(path).suffix.lower().removeprefix(".")
        self.figure_.savefig(picture, format=ending, dpi=DPI, metadata=metadata)
        write_whole(path, picture.getvalue())


_DRAWS = ContextVar("draws", default=True)


@contextmanager
def numbers_only() -> Iterator[None]:
    """Let Displays compute their numbers but draw nothing, inside a ``with`` block."""
    token = _DRAWS.set(False)
    try:
        yield
    finally:
        _DRAWS.reset(token)


def drawing() -> bool:
    """Return whether Displays draw; they do unless only numbers are wanted.

    Raises
    ------
    MissingExtraError
        If they would, but matplotlib is not installed: before any work.
    """
    return _DRAWS.get() and bool(matplotlib())


def _drawn(plot: Callable[..., Any]) -> Callable[..., Any]:
    """Return a display's ``plot``, which draws unless only numbers are wanted."""

    @wraps(plot)
    def draw(self: Any, ax: Any = None) -> Any:
        return plot(self, ax) if _DRAWS.get() else self

    return draw


def check_format(path: str | os.PathLike[str], formats: tuple[str, ...] = FORMATS) -> None:
    """Raise ValueError unless a file name ends in one of the formats."""
    if Path(path).suffix.lower() not in formats:
        raise ValueError(f"the picture's name must end in {' or '.join(formats)}; got {path}")
