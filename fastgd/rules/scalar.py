"""The elementary functions of the rules' scalar forms.

In Python they are the standard library's; a compiling backend replaces them with its own,
which keep the element type and vectorise.
"""

from __future__ import annotations

import math

__all__ = ["erf", "exp", "like", "log", "log1p", "sqrt", "tanh"]

erf = math.erf
log = math.log
log1p = math.log1p
sqrt = math.sqrt


def exp(x: float) -> float:
    """Return e to the power x, 0 or infinity where that leaves the number's range."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def tanh(x: float) -> float:
    """Return the hyperbolic tangent of x."""
    return math.tanh(x)


def like(value: float, x: float) -> float:
    """Return ``value`` in the element type of ``x``, so that float32 stays float32."""
    return type(x)(value)
