"""Layouts that stay: the same picture, the same bytes, however often it is written."""

from __future__ import annotations

from typing import Any

__all__ = ["settle"]


def settle(figure: Any, own: bool) -> None:
    """Finish the layout of a figure; keep it, if the figure is a display's ``own``.

    Ticks depend on the layout and the layout on ticks: a constrained layout moves with the first
    few drawings, and what is placed by pixels must wait for the last.
    """
    for _ in range(3):
        figure.draw_without_rendering()
    if own:
        figure.set_layout_engine("none")
