"""Checks that hold for every picture: it has labels, nothing is cut off, no text on another."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

from fastgd.plot.display import Display

#: Texts may touch by so many pixels: bounding boxes are larger than letters.
SLACK = 2.0


def check_picture(display: Display, folder: Path) -> None:
    """Assert what every picture must have; write it as PNG, and as SVG twice: the same bytes."""
    figure = display.figure_
    figure.canvas.draw()
    for axis in figure.axes:
        if axis.axison and axis.get_visible() and axis.has_data():
            named = axis.get_title() or axis.get_xlabel() or axis.get_ylabel()
            assert named, "axes without a title or label"
    check_texts(figure)
    paths = [folder / name for name in ("1.png", "1.svg", "2.svg")]
    for path in paths:
        display.save(path)
        assert path.stat().st_size > 1000
    assert paths[1].read_bytes() == paths[2].read_bytes()


def texts_of(figure: Any) -> list[tuple[str, Any]]:
    """Return every text that is seen, with its box in pixels."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    within_axis = {id(t) for axis in figure.findobj(Axis) for t in axis.findobj(Text)}
    texts = [text for text in figure.findobj(Text) if id(text) not in within_axis]
    for axis in figure.findobj(Axis):
        if axis.get_visible() and axis.axes.get_visible() and axis.axes.axison:
            texts += [axis.label, axis.offsetText, *_tick_labels(axis)]
    renderer = figure.canvas.get_renderer()
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in texts
        if text.get_visible() and text.get_text().strip()
    ]
    return [(words, box) for words, box in boxes if box.width > 0 and box.height > 0]


def _tick_labels(axis: Any) -> list[Any]:
    """Return the labels of ticks that lie within the view."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    seen = [tick for tick in ticks if low - slack <= tick.get_loc() <= high + slack]
    return [label for tick in seen for label in (tick.label1, tick.label2)]


def check_texts(figure: Any) -> None:
    """Assert that all texts lie within the figure, and none on another."""
    width, height = figure.bbox.width, figure.bbox.height
    texts = texts_of(figure)
    for words, box in texts:
        inside = box.x0 >= -SLACK and box.y0 >= -SLACK
        inside = inside and box.x1 <= width + SLACK and box.y1 <= height + SLACK
        assert inside, f"{words!r} is cut off"
    for (words, box), (other_words, other) in combinations(texts, 2):
        across = min(box.x1, other.x1) - max(box.x0, other.x0)
        down = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert across <= SLACK or down <= SLACK, f"{words!r} lies on {other_words!r}"
