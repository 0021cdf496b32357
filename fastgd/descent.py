"""Gradient descent on any function of one or a few numbers: every step, and what became of it."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgd.errors import SettingTypeError
from fastgd.explain.slopes import slope
from fastgd.rules.checks import check_integer, check_number

__all__ = ["VERDICTS", "Descent", "DescentError", "descend"]

Array = np.ndarray
Function = Callable[[Any], Any]

CONVERGING = "converging"
SLOW = "too slow"
OVERSHOOTING = "overshooting"
DIVERGING = "diverging"
FLAT = "stopped at a flat point"
VERDICTS = (CONVERGING, SLOW, OVERSHOOTING, DIVERGING, FLAT)

#: Rows of a printed table: all up to MOST_ROWS, else the first and the last few.
MOST_ROWS, FIRST_ROWS, LAST_ROWS = 41, 12, 4
#: NaN so far away is an overflow.
FAR = 1e100


class DescentError(ValueError):
    """The function has no value or no slope at a point of the path; the message names it.

    Attributes
    ----------
    w : float or ndarray
        The point.
    path, costs, slopes : ndarray
        What was known before: ``path`` ends with w, the others where nothing was known any more.
    """

    def __init__(self, message: str, path: Array, costs: Array, slopes: Array):
        super().__init__(message)
        self.path, self.costs, self.slopes = path, costs, slopes
        self.w = path[-1]

    def __reduce__(self):
        return type(self), (self.args[0], self.path, self.costs, self.slopes)


@dataclass(frozen=True, eq=False)
class Descent:
    """The path of a descent, in numbers; printed, a table.

    Attributes
    ----------
    path : ndarray of shape (n + 1,), or (n + 1, d) for d numbers
        w at the start and after each of the n steps made.
    costs : ndarray of shape (n + 1,)
        C(w) at each point.
    slopes : ndarray, the shape of path
        dC/dw at each point.
    updates : ndarray of shape (n,) or (n, d)
        What each step added to w: minus learning rate times slope.
    learning_rate : float
    verdict : str
        One of `VERDICTS`; `descend` says how it is found.
    reason : str
        Why, in a sentence.
    heading : float or ndarray
        Where the last steps point to (Aitken's extrapolation); NaN where that is unknown.
    function : callable
        What was descended.
    """

    path: Array
    costs: Array
    slopes: Array
    updates: Array
    learning_rate: float
    verdict: str
    reason: str
    heading: Any = field(repr=False)
    function: Function = field(repr=False)

    def __str__(self) -> str:
        n = len(self.updates)
        rows = [("step", "w", "C(w)", "slope", "update")]
        for k in range(n + 1):
            if n + 1 > MOST_ROWS and FIRST_ROWS <= k <= n - LAST_ROWS:
                if k == FIRST_ROWS:
                    rows.append(("...",) * 5)
                continue
            update = show(self.updates[k]) if k < n else "-"
            cells = show(self.path[k]), show(self.costs[k]), show(self.slopes[k])
            rows.append((str(k), *cells, update))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        ]
        return "\n".join([*lines, "", f"{self.verdict}: {self.reason}"])


def descend(
    f: Function,
    start: Any,
    learning_rate: float,
    steps: int,
    derivative: Function | None = None,
) -> Descent:
    """Descend any function: w <- w - learning_rate * slope, again and again.

    The verdict follows from the steps, by the first of these that holds (r is a step divided by
    the one before, along it; the median of all):

    - *stopped at a flat point*: the slope is 0, or the step too small to change w, at the start,
      or later at a point that is no minimum (the cost is not higher on all sides).
    - *diverging*: the cost overflows; or it is higher at the end than at the start, by steps
      longer than the first; or every step is longer than the one before and the last at least ten
      times the first.
    - *overshooting*: r <= -1/2: steps jump over the minimum and land at least half as far on its
      other side.
    - *too slow*: from where the path ends, what is left to go is more than a tenth of the way
      made; what is left follows from the last two steps, as if they shrank on so (Aitken).
    - *converging* otherwise.

    For C(w) = (w - 3)^2, r = 1 - 2 learning_rate.

    Parameters
    ----------
    f : callable
        Takes one number, or a 1-D array of several, and returns one number.
    start : number or sequence of numbers
        Where to begin; f is called with a float for a number, with a 1-D float64 array else.
    learning_rate : float
        The step size, above 0.
    steps : int
        How many steps at most, at least 1; a point where no step moves ends the path.
    derivative : callable, optional
        Takes what f takes and returns the slope, or as many slopes; by default numeric
        (`fastgd.explain.slopes`). It is trusted where f is not differentiable.

    Returns
    -------
    Descent

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted.
    DescentError
        (A ValueError.) If f or the derivative raises, is not finite, or f is not differentiable
        at a point of the path; the message names it. A cost that overflows on the way is no error
        but the verdict *diverging*.

    Examples
    --------
    >>> from fastgd.descent import descend
    >>> print(descend(lambda w: (w - 3) ** 2, 0, 0.1, 3))
    step      w    C(w)   slope  update
       0      0       9      -6     0.6
       1    0.6    5.76    -4.8    0.48
       2   1.08  3.6864   -3.84   0.384
       3  1.464  2.3593  -3.072       -
    <BLANKLINE>
    too slow: after 3 steps there is still 1.54 to go, and 1.46 is behind; try a larger rate
    >>> descend(lambda w: w**3, 0, 0.1, 20).verdict
    'stopped at a flat point'
    """
    check_number("learning_rate", learning_rate, above=0)
    check_integer("steps", steps, 1)
    for name, given in (("f", f), ("derivative", derivative)):
        if not callable(given) and not (name == "derivative" and given is None):
            raise SettingTypeError(name, f"must be a function; got {reprlib.repr(given)}")
    return _Walk(f, derivative, _check_start(start), float(learning_rate)).run(steps)


class _Walk:
    """A descent on its way."""

    def __init__(self, f: Function, derivative: Function | None, start: Array, rate: float):
        self.f, self.derivative, self.rate = f, derivative, rate
        self.single = start.ndim == 0
        self.path = [np.atleast_1d(start)]
        self.costs: list[float] = []
        self.slopes: list[Array] = []

    def run(self, steps: int) -> Descent:
        for _ in range(steps):
            if not self.look() or not self.step():
                return self.result()
        self.look()
        return self.result()

    def look(self) -> bool:
        """Note cost and slope where the path is now; return False where the cost overflows."""
        w = self.path[-1]
        try:
            cost = self.value(w)
            far = len(self.path) > 1 and (np.isinf(cost) or np.abs(w).max() > FAR)
            if not np.isfinite(cost) and not far:
                raise self.error(f"f returns {cost}")
            if np.isfinite(cost):
                self.costs.append(cost)
                self.slopes.append(self.slope(w))
                return True
        except OverflowError:
            if len(self.path) == 1:
                raise self.error("the result of f is too large for a number") from None
        # What follows an overflow is no part of the path: there are no numbers to show.
        self.overflow = self.path.pop()
        del self.costs[len(self.path) :]
        return False

    overflow: Array | None = None

    def step(self) -> bool:
        """Step once; return False where that does not move w."""
        w = self.path[-1]
        with np.errstate(over="ignore", invalid="ignore"):
            new = w - self.rate * self.slopes[-1]
        if np.array_equal(new, w):
            return False
        if not np.isfinite(new).all():
            self.overflow = new
            return False
        self.path.append(new)
        return True

    def value(self, w: Array) -> float:
        """Return f(w); what goes wrong names w."""
        try:
            with np.errstate(all="ignore"):
                return _number(self.f(self.given(w)))
        except OverflowError:
            raise
        except _NotANumber as problem:
            raise self.error(f"f must return one number; it returns {problem}", w) from None
        except Exception as problem:
            raise self.error(f"f raises {_describe(problem)}", w) from problem

    def slope(self, w: Array) -> Array:
        """Return the slope at w, numeric or given."""
        if self.derivative is None:
            return np.array([self.partial(w, k) for k in range(len(w))])
        try:
            with np.errstate(all="ignore"):
                given = np.asarray(self.derivative(self.given(w)), dtype=np.float64)
        except OverflowError:
            raise
        except Exception as problem:
            raise self.error(f"derivative raises {_describe(problem)}") from problem
        if given.size != w.size or given.ndim > 1:
            raise self.error(f"derivative must return {_count(w.size)}; it returns {given!r}")
        if not np.isfinite(given).all():
            if np.abs(w).max() > FAR:
                raise OverflowError
            raise self.error(f"derivative returns {show(given)}")
        return given.reshape(w.shape)

    def partial(self, w: Array, k: int) -> float:
        """Return the numeric slope along one of the numbers."""

        def along(x: float) -> float:
            point = w.copy()
            point[k] = x
            return self.value(point)

        try:
            return slope(along, float(w[k]))
        except DescentError:
            raise
        except ValueError as problem:
            if np.abs(w).max() > FAR:
                raise OverflowError from None
            name = "f" if self.single else f"f, along w[{k}],"
            raise self.error(
                f"{name} is {problem}".replace("is no slope", "has no slope")
            ) from None

    def given(self, w: Array) -> Any:
        """Return w as f takes it; a copy, so that f cannot change the path."""
        return float(w[0]) if self.single else w.copy()

    def error(self, problem: str, w: Array | None = None) -> DescentError:
        path, slopes = self.points(self.path), self.points(self.slopes)
        n = len(self.path) - 1
        where = show(self.path[-1] if w is None else w)
        when = f"after {n} step{'s' * (n != 1)}" if n else "the start"
        return DescentError(
            f"{problem} at w = {where} ({when})", path, np.array(self.costs), slopes
        )

    def points(self, values: list[Array]) -> Array:
        array = np.array(values).reshape(-1, len(self.path[0]))
        return array[:, 0] if self.single else array

    def result(self) -> Descent:
        path, slopes = np.array(self.path), np.array(self.slopes)
        with np.errstate(all="ignore"):  # of a path that overflows
            heading = _heading(path, -self.rate * slopes)
            verdict, reason = self.verdict(path, -self.rate * slopes, heading)
        return Descent(
            path=self.points(self.path),
            costs=np.array(self.costs),
            slopes=self.points(self.slopes),
            updates=self.points(list(-self.rate * slopes[: len(path) - 1])),
            learning_rate=self.rate,
            verdict=verdict,
            reason=reason,
            heading=float(heading[0]) if self.single else heading,
            function=self.f,
        )

    def verdict(self, path: Array, moves: Array, heading: Array) -> tuple[str, str]:
        """Return the verdict and its reason; ``moves`` are the steps, and the one to come."""
        n, w = len(path) - 1, show(path[-1])
        if self.overflow is not None:
            where = show(self.overflow)
            return DIVERGING, f"step {n + 1} leads to w = {where}, where the cost overflows"
        kind, minimum = "", False
        if stopped := np.array_equal(path[-1] + moves[-1], path[-1]):
            kind, minimum = self.surroundings()
        if stopped and not (minimum and n):
            when = f"after {_steps(n)}" if n else "at the start"
            return FLAT, f"the slope is {show(self.slopes[-1])} at w = {w}, {when}: {kind}"
        lengths = np.linalg.norm(moves, axis=1)
        ratio = _ratio(moves, lengths)
        longer = lengths[-1] > lengths[0] * (1 + 1e-6)
        runs = lengths[-1] >= 10 * lengths[0] and (np.diff(lengths) > 0).all()
        first, last = show(self.costs[0]), show(self.costs[-1])
        if (longer and self.costs[-1] > self.costs[0]) or runs:
            why = f"the cost goes from {first} to {last}, by ever longer steps"
            if ratio < 0:
                why = f"each step lands {abs(ratio):.3g} times as far on the other side: the cost "
                why += f"rises from {first} to {last}"
            return DIVERGING, f"{why}; try a smaller rate"
        if ratio <= -0.5:
            why = "each step jumps over the minimum and lands"
            return OVERSHOOTING, f"{why} {-ratio:.3g} times as far on the other side"
        if stopped:
            return CONVERGING, f"the slope is 0 at w = {w}, a minimum, after {_steps(n)}"
        left = float(np.linalg.norm(heading - path[-1]))
        made = float(np.linalg.norm(path[-1] - path[0]))
        if not np.isfinite(left):
            why = f"after {_steps(n)} the steps are not getting shorter: no end is in sight"
            return SLOW, f"{why}; try a larger rate"
        if left > made / 10:
            why = f"after {_steps(n)} there is still {left:.3g} to go, and {made:.3g} is behind"
            return SLOW, f"{why}; try a larger rate"
        return CONVERGING, f"the cost goes from {first} to {last}; {left:.3g} is left to go"

    def surroundings(self) -> tuple[str, bool]:
        """Return what is around a flat point, in words, and whether it is a minimum."""
        w, cost = self.path[-1], self.costs[-1]
        beside = []
        for k in range(len(w)):
            for sign in (-1, 1):
                point = w.copy()
                point[k] += sign * 0.01 * max(1.0, abs(w[k]))
                try:
                    beside.append((self.value(point), point))
                except (DescentError, OverflowError):
                    continue
        lower = [point for value, point in beside if value < cost]
        if lower:
            return f"no minimum, the cost is lower at w = {show(lower[0])}", False
        if beside and all(value > cost for value, _ in beside):
            return "a minimum", True
        return "level ground", False


def _ratio(moves: Array, lengths: Array) -> float:
    """Return the median of each step over the one before, along it; rounding left out."""
    real = lengths[:-1] > 1e-9 * lengths.max()
    along = (moves[1:] * moves[:-1]).sum(axis=1)
    return float(np.median(along[real] / lengths[:-1][real] ** 2))


def _heading(path: Array, moves: Array) -> Array:
    """Return where steps end that shrink on as the last two did (Aitken); NaN if they do not."""
    if len(moves) < 2 or len(moves) != len(path):
        return np.full(path.shape[1:], np.nan)
    before, last = np.linalg.norm(moves[-2]), np.linalg.norm(moves[-1])
    if last <= 1e-8 * np.linalg.norm(path[-1] - path[0]):  # there, but for rounding
        return path[-1]
    ratio = float(moves[-1] @ moves[-2] / before**2)
    if abs(ratio) >= 1 or last >= before:
        return np.full(path.shape[1:], np.nan)
    return path[-1] + moves[-1] / (1 - ratio)


class _NotANumber(TypeError):
    """Something that should have been a number."""


def _number(given: Any) -> float:
    """Return what f returned as a float, or raise `_NotANumber`."""
    if not isinstance(given, float):
        array = np.asarray(given)
        if array.size != 1 or array.dtype.kind not in "biuf":
            if isinstance(given, int):
                raise OverflowError  # an integer of any size
            raise _NotANumber(reprlib.repr(given))
        given = array.item()
    return float(given)


def _check_start(start: Any) -> Array:
    error = f"start must be a number or a sequence of numbers; got {reprlib.repr(start)}"
    try:
        array = np.asarray(start)
    except ValueError:
        raise TypeError(error) from None
    if array.dtype.kind not in "iuf":
        raise TypeError(error)
    if array.ndim > 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(error.replace("numbers;", "finite numbers;"))
    return array.astype(np.float64)


def _describe(problem: Exception) -> str:
    return f"{type(problem).__name__} ({problem})" if str(problem) else type(problem).__name__


def _count(n: int) -> str:
    return "one number" if n == 1 else f"{n} numbers"


def _steps(n: int) -> str:
    return f"{n} step{'s' * (n != 1)}"


def _cells(value: Any) -> Iterator[str]:
    for number in np.atleast_1d(value):
        yield f"{float(number) + 0.0:.5g}"


def show(value: Any) -> str:
    """Return a number, or several in parentheses, to five digits.

    >>> show(0.1234567), show([1.0, -2.5])
    ('0.12346', '(1, -2.5)')
    """
    cells = list(_cells(value))
    return cells[0] if len(cells) == 1 else f"({', '.join(cells)})"
