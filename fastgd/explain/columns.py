"""Tables in plain text, for the results that are printed."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["columns", "plainly"]


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text: the first column to the left, the others, numbers, to the right.

    Examples
    --------
    >>> print(columns(["rate", "cost"], [["0.1", "0.5"], ["10", "12.5"]]))
    rate  cost
    0.1    0.5
    10    12.5
    """
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def plainly(value: float) -> str:
    """Return a number to four figures or more, without powers of ten where it is of usual size.

    Examples
    --------
    >>> plainly(0.123456), plainly(254321.7), plainly(1.5e12)
    ('0.1235', '254,322', '1.5e+12')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"
