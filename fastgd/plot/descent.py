"""Gradient descent on a curve or on contours: every step where it was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastgd.descent import DIVERGING, Descent, _number, descend, show
from fastgd.errors import SettingError
from fastgd.plot.display import Display
from fastgd.plot.style import palette

__all__ = ["DescentDisplay"]

Array = np.ndarray

#: Panels in a row, and in a picture.
ROW, MOST = 4, 8
#: Points of a curve, and along each side of a contour map.
CURVE, SIDE = 401, 61
#: Steps of a diverging path that are shown: the later ones would make these a dot.
DIVERGING_STEPS = 6
#: The steps that are numbered where there is room, and the room each number needs, in pixels.
NUMBERED, ROOM = 5, 17.0


class DescentDisplay(Display):
    """The function, the steps on it, and the tangent at the start; a panel for each descent.

    Functions of one number are curves, of two numbers contours. The first steps are numbered,
    and the last. A diverging path is shown as far as its sixth step.

    Parameters
    ----------
    descents : list of Descent
        Of one function.
    title : str

    Attributes
    ----------
    ranges : list of ndarray of shape (d, 2)
        What each panel shows, from and to, for each of the d numbers.

    Examples
    --------
    >>> from fastgd.plot import DescentDisplay
    >>> display = DescentDisplay.from_function(
    ...     lambda w: (w - 3) ** 2, 0, learning_rate=[0.01, 0.1, 0.9, 1.1]
    ... )  # doctest: +SKIP
    >>> [descent.verdict for descent in display.descents]  # doctest: +SKIP
    ['too slow', 'converging', 'overshooting', 'diverging']
    """

    def __init__(self, *, descents: list[Descent], title: str = ""):
        _check_panels(len(descents))
        for descent in descents:
            _check_numbers(_points(descent).shape[1])
        self.descents, self.title = descents, title
        self.ranges = [_range(descent, descents) for descent in descents]

    @classmethod
    def from_function(
        cls,
        f: Callable[[Any], Any],
        start: Any,
        *,
        learning_rate: float | Sequence[float] = 0.1,
        steps: int = 20,
        derivative: Callable[[Any], Any] | None = None,
        title: str = "",
        ax: Any = None,
    ) -> DescentDisplay:
        """Descend a function of one or two numbers, with each of the learning rates, and draw.

        Parameters
        ----------
        f, start, steps, derivative
            As in `fastgd.descend`.
        learning_rate : float or sequence of float
            A panel each.
        title : str, optional
        ax : Axes, or array of as many as there are rates, optional

        Raises
        ------
        TypeError, ValueError
            As `fastgd.descend`; and if there are more than two numbers or eight rates.
        """
        _check_numbers(int(np.size(start)))
        rates = list(learning_rate) if np.ndim(learning_rate) else [learning_rate]  # type: ignore[arg-type]
        _check_panels(len(rates))
        descents = [descend(f, start, rate, steps, derivative) for rate in rates]  # type: ignore[arg-type]
        return cls(descents=descents, title=title).plot(ax=ax)

    def plot(self, ax: Any = None) -> DescentDisplay:
        """Draw one panel for each descent; ``ax`` is an array of as many axes, or None."""
        n, own = len(self.descents), ax is None
        columns, rows = min(n, ROW), -(-n // ROW)
        if not own and np.size(ax) != n:
            raise SettingError("ax", f"must be an array of {n} axes, one for each descent, or None")
        if own:
            size = (6.4, 4.6) if n == 1 else (2.4 * columns + 0.3, 3.3 * rows + 0.9)
            ax = self._axes(None, size, rows, columns)
        self.ax_ = ax
        axes = list(np.atleast_1d(ax).flat)
        self.figure_ = axes[0].figure
        for axis in axes[n:]:
            axis.set_visible(False)
        flat = _points(self.descents[0]).shape[1] == 2
        draw = self._draw_contours if flat else self._draw_curve
        for k, (axis, descent) in enumerate(zip(axes, self.descents, strict=False)):
            draw(axis, descent, self.ranges[k])
            axis.set_title(f"learning rate {descent.learning_rate:g}:\n{descent.verdict}")
            if k % columns == 0:
                axis.set_ylabel("w[1]" if flat else "cost C(w)")
        if own and self.title:
            self.figure_.suptitle(self.title, fontsize="large")
        handles, labels = axes[0].get_legend_handles_labels()
        if own:
            self.figure_.legend(handles, labels, loc="outside lower center", ncols=4)
        else:
            axes[0].legend(handles, labels, fontsize="small")
        self._settle(own)
        for axis, descent in zip(axes, self.descents, strict=False):
            _number_steps(axis, _seen(descent), flat)
        return self

    def _draw_curve(self, axis: Any, descent: Descent, span: Array) -> None:
        colors = palette()
        low, high = span[0]
        w = np.linspace(low, high, CURVE)
        curve = _values(descent.function, w[:, None], _is_single(descent))
        axis.plot(w, curve, color=colors.muted, linewidth=2, label="cost C(w)")
        # One step more than is numbered shows where a diverging path goes.
        part = slice(_last_seen(descent) + 1)
        path, costs = _points(descent)[part, 0], descent.costs[part]
        slope = float(np.ravel(descent.slopes)[0])
        reach = 0.3 * (high - low)
        ends = np.array([max(low, path[0] - reach), min(high, path[0] + reach)])
        bottom, top = _limits(_seen(descent)[1], curve)
        axis.set(xlim=(low, high), ylim=(bottom, top), xlabel="w")
        axis.plot(
            ends, costs[0] + slope * (ends - path[0]), "--", color=colors.negative,
            label=f"tangent at the start, slope {show(slope)}",
        )  # fmt: skip
        axis.plot(path, costs, "-", color=colors.positive, linewidth=0.9, alpha=0.6)
        axis.plot(path, costs, "o", color=colors.positive, markersize=4, label="steps")
        axis.plot(path[:1], costs[:1], "s", color=colors.positive, markersize=7, label="start")

    def _draw_contours(self, axis: Any, descent: Descent, span: Array) -> None:
        colors = palette()
        x, y = (np.linspace(low, high, SIDE) for low, high in span)
        grid = np.stack([*np.meshgrid(x, y)], axis=-1).reshape(-1, 2)
        values = _values(descent.function, grid, False).reshape(SIDE, SIDE)
        if np.isfinite(values).any() and np.nanmin(values) < np.nanmax(values):
            low, high = np.nanmin(values), np.nanmax(values)
            # Closer where the cost is low: the valley is where the path ends.
            levels = low + (high - low) * np.linspace(0, 1, 13)[1:-1] ** 2
            lines = axis.contour(
                x, y, np.ma.masked_invalid(values), levels, cmap=colors.sequential,
                linewidths=1, vmin=low - (high - low) / 2 * (colors.background != "#ffffff"),
            )  # fmt: skip
            bar = axis.figure.colorbar(
                lines, ax=axis, location="bottom", format="%.3g", ticks=levels[[0, 5, 10]],
                aspect=30,
            )  # fmt: skip
            bar.set_label("cost C(w)")
        path = _points(descent)[: _last_seen(descent) + 1]
        axis.set(xlim=tuple(span[0]), ylim=tuple(span[1]), xlabel="w[0]")
        direction = -np.ravel(descent.slopes[0])
        if direction.any():
            length = 0.15 * np.linalg.norm(span[:, 1] - span[:, 0])
            end = path[0] + direction / np.linalg.norm(direction) * length
            axis.plot(
                *zip(path[0], end, strict=True), "--", color=colors.negative,
                label="steepest way down at the start",
            )  # fmt: skip
        axis.plot(*path.T, "-", color=colors.positive, linewidth=0.9, alpha=0.6)
        axis.plot(*path.T, "o", color=colors.positive, markersize=4, label="steps")
        axis.plot(*path[:1].T, "s", color=colors.positive, markersize=7, label="start")


def _points(descent: Descent) -> Array:
    """Return the path as (n + 1, d), also for one number."""
    return descent.path.reshape(len(descent.path), -1)


def _is_single(descent: Descent) -> bool:
    return descent.path.ndim == 1


def _last_seen(descent: Descent) -> int:
    """Return how many points are shown."""
    n = len(descent.path)
    return min(n, DIVERGING_STEPS + 1) if descent.verdict == DIVERGING else n


def _seen(descent: Descent) -> tuple[Array, Array, Array]:
    """Return points, costs and slopes as far as they are shown."""
    part = slice(_last_seen(descent))
    return _points(descent)[part], descent.costs[part], descent.slopes[part]


def _range(descent: Descent, descents: list[Descent]) -> Array:
    """Return what to show: where all that do not diverge are and head to, or the first steps."""
    if descent.verdict == DIVERGING:
        points = _seen(descent)[0]
    else:
        staying = [d for d in descents if d.verdict != DIVERGING]
        points = np.concatenate([np.vstack([_points(d), _ahead(d)]) for d in staying])
    low, high = points.min(axis=0), points.max(axis=0)
    widest = float((high - low).max()) or max(1.0, float(np.abs(low).max()))
    room = np.maximum(0.2 * (high - low), 0.15 * widest)
    if (high == low).all():
        room = np.full_like(low, widest)
    return np.stack([low - room, high + room], axis=1)


def _ahead(descent: Descent) -> Array:
    """Return the point the path heads to, no farther than three times the way made."""
    points = _points(descent)
    heading = np.atleast_1d(descent.heading)
    if not np.isfinite(heading).all():
        return points[-1]
    rest, made = heading - points[-1], float(np.linalg.norm(points[-1] - points[0]))
    length = float(np.linalg.norm(rest))
    return points[-1] + rest * min(1.0, 3 * made / length if length else 1.0)


def _values(f: Callable[[Any], Any], points: Array, single: bool) -> Array:
    """Return f at each point; NaN, a gap in the picture, where it has no value."""
    values = np.full(len(points), np.nan)
    with np.errstate(all="ignore"):
        for k, point in enumerate(points):
            try:
                value = _number(f(float(point[0]) if single else point.copy()))
            except Exception:
                continue
            if np.isfinite(value):
                values[k] = value
    return values


def _limits(costs: Array, curve: Array) -> tuple[float, float]:
    """Return the cost axis: the steps and the valley, with room for numbers below."""
    known = curve[np.isfinite(curve)]
    bottom = min(costs.min(), known.min() if known.size else np.inf)
    top = max(costs.max(), min(known.max() if known.size else -np.inf, costs.max() * 1.3))
    height = (top - bottom) or max(1.0, abs(top))
    return bottom - 0.14 * height, top + 0.08 * height


def _number_steps(axis: Any, seen: tuple[Array, Array, Array], flat: bool) -> None:
    """Write the numbers of the start, the last and the first steps beside them, where free."""
    import matplotlib.patheffects

    points, costs, slopes = seen
    places = axis.transData.transform(points if flat else np.c_[points[:, 0], costs])
    box = axis.bbox
    taken: list[Array] = []
    n = len(points) - 1
    # A rim in the colour of the background keeps numbers legible where lines pass.
    stroke = matplotlib.patheffects.withStroke(linewidth=3, foreground=palette().background)
    for k in dict.fromkeys([0, n, *range(1, min(n, NUMBERED) + 1)]):
        if not flat:
            ahead = axis.transData.transform([points[k, 0] + 1, costs[k] + np.ravel(slopes)[k]])
            dx, dy = ahead - axis.transData.transform([points[k, 0], costs[k]])
            away = np.array([dy, -dx]) / (np.hypot(dx, dy) or 1)  # below the curve
        else:
            away = np.array([0.6, 0.8])
        place = places[k] + 13 * away
        inside = box.x0 + 7 < place[0] < box.x1 - 7 and box.y0 + 8 < place[1] < box.y1 - 8
        if not inside or any(np.hypot(*(place - other)) < ROOM for other in taken):
            continue
        taken.append(place)
        points_per_pixel = 72 / axis.figure.dpi
        text = axis.annotate(
            str(k), (points[k, 0], points[k, 1] if flat else costs[k]),
            xytext=13 * away * points_per_pixel, textcoords="offset points",
            ha="center", va="center", fontsize="small",
        )  # fmt: skip
        text.set_in_layout(False)
        text.set_path_effects([stroke])


def _check_numbers(n: int) -> None:
    if n > 2:
        raise SettingError(
            "start",
            f"must be one or two numbers for a picture; got {n} (print the Descent instead)",
        )


def _check_panels(n: int) -> None:
    if not 1 <= n <= MOST:
        raise SettingError("learning_rate", f"must be 1 to {MOST} rates, a panel each; got {n}")
