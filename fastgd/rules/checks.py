"""The gate for settings: numbers and flags, refused before any work with an error for people."""

from __future__ import annotations

import math
import numbers
import operator
import reprlib

from fastgd.errors import SettingError, SettingTypeError

__all__ = ["check_flag", "check_integer", "check_number"]


def check_number(
    argument: str,
    given: object,
    *,
    minimum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    integer: bool = False,
) -> float:
    """Return a finite number within its bounds, or raise an error that names all three.

    Raises
    ------
    TypeError
        If it is no number (or no integer where one is needed).
    ValueError
        If it is not finite or out of bounds.
    """
    kind = "an integer" if integer else "a number"
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("at least", minimum), ("above", above), ("below", below))
        if bound is not None
    ]
    accepted = " ".join([kind, " and ".join(bounds)]).strip()
    expected = numbers.Integral if integer else numbers.Real
    problem = f"must be {accepted}; got {reprlib.repr(given)}"
    if isinstance(given, bool) or not isinstance(given, expected):
        raise SettingTypeError(argument, problem)
    try:
        value = float(given)
    except OverflowError:
        raise SettingError(argument, problem) from None
    if (
        not math.isfinite(value)
        or (minimum is not None and value < minimum)
        or (above is not None and value <= above)
        or (below is not None and value >= below)
    ):
        raise SettingError(argument, problem)
    return value


def check_integer(argument: str, given: object, minimum: int) -> int:
    """Return an integer of at least ``minimum``, of any size.

    Raises
    ------
    TypeError, ValueError
        As `check_number` does.
    """
    problem = f"must be an integer at least {minimum}; got {reprlib.repr(given)}"
    if isinstance(given, bool) or not isinstance(given, numbers.Integral):
        raise SettingTypeError(argument, problem)
    value = operator.index(given)
    if value < minimum:
        raise SettingError(argument, problem)
    return value


def check_flag(argument: str, given: object) -> bool:
    """Return a truth value, or raise TypeError: 0.9 is a likely slip for True."""
    if not isinstance(given, (bool,)) and type(given).__name__ not in ("bool_", "bool"):
        raise SettingTypeError(argument, f"must be True or False; got {given!r}")
    return bool(given)
