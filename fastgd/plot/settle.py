"""Layouts that stay: the same picture, the same bytes, however often it is written."""

from __future__ import annotations

from typing import Any

from fastgd.plot.style import matplotlib

__all__ = ["settle"]


def settle(figure: Any, own: bool) -> None:
    """Finish the layout of a figure; keep it, if the figure is a display's ``own``.

    Ticks depend on the layout and the layout on ticks: a constrained layout moves with the first
    few drawings, and what is placed by pixels must wait for the last.
    """
    if own:
        _spell(figure)
    for _ in range(3):
        figure.draw_without_rendering()
    if own:
        figure.set_layout_engine("none")


def _spell(figure: Any) -> None:
    """Write names as they are: dollars in them begin no formula, but in powers of ten they do."""
    axes, text = matplotlib().axis.Axis, matplotlib().text.Text
    powers = {
        id(label)
        for axis in figure.findobj(axes)
        if axis.get_scale() != "linear"
        for label in axis.findobj(text)
        if label is not axis.label
    }
    for words in figure.findobj(text):
        if id(words) not in powers:
            words.set_parse_math(False)
