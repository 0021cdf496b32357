"""The slope of any function, from its values: central differences, extrapolated to step 0."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

__all__ = ["slope"]

Array = np.ndarray
Function = Callable[[float], float]

#: Differences are taken over steps of FIRST * max(1, |w|), and ever a quarter of the one before.
FIRST, SHRINK, LEVELS = 0.1, 4.0, 12
#: Where left and right slope are compared: a bend fades with the distance, a kink does not.
DISTANCES = (1e-3, 1e-4, 1e-5, 1e-6)
EPS = float(np.finfo(np.float64).eps)


def slope(f: Function, w: float) -> float:
    """Return df/dw at w.

    Central differences over ever smaller steps are extrapolated to step 0, and the value with the
    smallest estimate of its error is taken (Ridders, Accurate computation of F'(x) and
    F'(x)F''(x), 1982): about 1e-9 for smooth functions of float64. A slope that is smaller than
    its error is 0. Steps at which f has no finite value are left out.

    Parameters
    ----------
    f : callable
        Takes a float and returns one; must be finite at w.
    w : float

    Raises
    ------
    ValueError
        If there is no slope: the left and the right one differ, it grows without bound, or f is
        not finite beside w. The message does not name w.

    Examples
    --------
    >>> round(slope(lambda w: (w - 3) ** 2, 0.0), 9)
    -6.0
    >>> slope(abs, 0.0)
    Traceback (most recent call last):
    ValueError: not differentiable: the slope is -1 on the left and 1 on the right
    """
    _check_kink(f, w)
    steps = [FIRST * max(1.0, abs(w)) / SHRINK**level for level in range(LEVELS)]
    differences = [_central(f, w, step) for step in steps]
    known = [d for d in differences if d is not None]
    if len(known) < 2:
        raise ValueError("no slope: the values on both sides are not finite")
    ends = [value for value, _ in known[-5:]]
    if len(ends) == 5 and all(a and b / a > 1.3 for a, b in pairwise(ends)):
        raise ValueError(f"no slope: it grows without bound (beyond {ends[-1]:.3g})")
    best, error = _extrapolate(differences)
    return 0.0 if abs(best) <= error else best


def _central(f: Function, w: float, step: float) -> tuple[float, float] | None:
    """Return the central difference and its rounding error, or None where f has no value."""
    left, right = w - step, w + step
    low, high = _value(f, left), _value(f, right)
    if not np.isfinite(low) or not np.isfinite(high):
        return None
    return (high - low) / (right - left), 2 * EPS * max(abs(low), abs(high)) / step


def _extrapolate(differences: list[tuple[float, float] | None]) -> tuple[float, float]:
    """Return the best entry of Neville's table, and its error."""
    best, smallest = 0.0, np.inf
    row: list[float] = []
    for difference in differences:
        if difference is None:
            row = []
            continue
        above, row = row, [difference[0]]
        for order, upper in enumerate(above, start=1):
            factor = SHRINK ** (2 * order)
            row.append((factor * row[-1] - upper) / (factor - 1))
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - upper)) + difference[1]
            if error < smallest:
                best, smallest = row[-1], error
    return best, smallest


def _check_kink(f: Function, w: float) -> None:
    """Raise ValueError if left and right slope differ, however near one looks."""
    nearest = DISTANCES[-1] * max(1.0, abs(w))
    known = [bool(np.isfinite(_value(f, w + side * nearest))) for side in (-1, 1)]
    if sum(known) == 1:
        raise ValueError(
            f"no slope: the values on the {('left', 'right')[known[0]]} are not finite"
        )
    here, gaps = _value(f, w), []
    left = right = 0.0
    for distance in DISTANCES:
        h = distance * max(1.0, abs(w))
        low, high = _value(f, w - h), _value(f, w + h)
        if not np.isfinite(low) or not np.isfinite(high):
            continue
        left, right = (here - low) / (w - (w - h)), (high - here) / ((w + h) - w)
        noise = 50 * EPS * max(abs(low), abs(here), abs(high)) / h
        gaps.append(right - left)
        if abs(gaps[-1]) <= 1e-4 * max(abs(left), abs(right)) + noise:
            return
    if len(gaps) > 1 and all(b / a > 0.5 for a, b in pairwise(gaps)):
        raise ValueError(
            f"not differentiable: the slope is {left:.3g} on the left and {right:.3g} on the right"
        )


def _value(f: Function, w: float) -> float:
    """Return f(w), NaN where it raises."""
    try:
        return f(w)
    except (ValueError, ArithmeticError):
        return float("nan")
