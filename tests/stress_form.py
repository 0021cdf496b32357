"""How long tests of damage and chance go on: short, or long with FASTGD_STRESS=1."""

from __future__ import annotations

import os
from typing import TypeVar

__all__ = ["rounds"]


T = TypeVar("T")


def rounds(short: T, long: T) -> T:
    """Return how many rounds a test makes, or what else is another in the long form."""
    return long if os.environ.get("FASTGD_STRESS", "0") not in ("", "0") else short
