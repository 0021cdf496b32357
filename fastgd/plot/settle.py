"""Layouts that stay: the same picture, the same bytes, however often it is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastgd.plot.style import matplotlib
from fastgd.visible import visible

__all__ = ["settle"]


def settle(figure: Any, own: bool, drawn: Iterable[Any] = ()) -> None:
    """Finish the layout of a figure; keep it, if the figure is a display's ``own``.

    Ticks depend on the layout and the layout on ticks: a constrained layout moves with the first
    few drawings, and what is placed by pixels must wait for the last. ``drawn`` are the parts of
    the figure whose names are the display's; all of its own figure.
    """
    for part in [figure] if own else drawn:
        _spell(part)
    for _ in range(3):
        figure.draw_without_rendering()
    if own:
        figure.set_layout_engine("none")


def _spell(part: Any) -> None:
    """Write names as they are: dollars in them begin no formula, but in powers of ten they do."""
    axes, text = matplotlib().axis.Axis, matplotlib().text.Text
    powers = {
        id(label)
        for axis in part.findobj(axes)
        if axis.get_scale() != "linear"
        for label in axis.findobj(text)
        if label is not axis.label
    }
    for axis in part.findobj(axes):
        names = [label.get_text() for label in axis.get_majorticklabels()]
        if names != (shown := list(map(_visible, names))):
            axis.set_ticklabels(shown)  # ticks take their names anew each time they are drawn
    for words in part.findobj(text):
        if id(words) not in powers:
            words.set_parse_math(False)
            words.set_text(_visible(words.get_text()))


def _visible(words: str) -> str:
    return "\n".join(map(visible, words.split("\n")))
