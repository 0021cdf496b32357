"""How long tests of damage and chance go on: short, or long with FASTGD_STRESS=1."""

from __future__ import annotations

import os

__all__ = ["rounds"]


def rounds(short: int, long: int) -> int:
    """Return how many rounds a test makes."""
    return long if os.environ.get("FASTGD_STRESS", "0") not in ("", "0") else short
