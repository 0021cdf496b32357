"""The elementary functions of the rules' scalar forms.

In Python they are the standard library's; a compiling backend replaces them with its own,
which keep the element type and vectorise.
"""

from __future__ import annotations

import math

__all__ = ["add", "erf", "exp", "like", "log", "log1p", "sqrt", "tanh"]

sqrt = math.sqrt


def add(total: float, rest: float, x: float) -> tuple[float, float]:
    """Return a sum with x added to it, and what rounding has left out of it so far.

    Knuth's TwoSum (The Art of Computer Programming, volume 2, 4.2.2): of many equal numbers,
    ``total + rest`` is right to the last bit.
    """
    new = total + x
    part = new - total
    return new, rest + ((total - (new - part)) + (x - part))


def exp(x: float) -> float:
    """Return e to the power x, 0 or infinity where that leaves the number's range."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log(x: float) -> float:
    """Return the natural logarithm of x, minus infinity of 0 and NaN below."""
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


def log1p(x: float) -> float:
    """Return the natural logarithm of 1 + x, without loss for small x."""
    return math.log1p(x) if x > -1 else log(1 + x)


def erf(x: float) -> float:
    """Return the error function of x."""
    return math.erf(x)


def tanh(x: float) -> float:
    """Return the hyperbolic tangent of x."""
    return math.tanh(x)


def like(value: float, x: float) -> float:
    """Return ``value`` in the element type of ``x``, so that float32 stays float32."""
    return type(x)(value)
