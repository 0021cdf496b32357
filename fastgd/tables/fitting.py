"""From the cells of a column to what is done to it."""

from __future__ import annotations

from math import ceil

import numpy as np
import pandas as pd

from fastgd.data.reading import plain, short
from fastgd.tables.cells import (
    MOST,
    BadCell,
    Cells,
    Words,
    date_format_of,
    dates_of,
    numbers_of,
)
from fastgd.tables.column import Column, days_in, numbers_in, part_of

__all__ = ["column_of"]

Array = np.ndarray

#: So many categories have an input each (skrub's cardinality_threshold); the others share one.
MOST_CATEGORIES = 40
#: A category has an input of its own if it has so many rows, and one in a thousand: what fewer say
#: is chance, and standardised, their input would be as loud as the others.
LEAST_ROWS = 5
#: Fewer rows do not show that a column is an id, or a category rare.
ENOUGH_ROWS = 20
#: A column of words is an id where so many of its cells differ.
ID_SHARE = 0.95
#: More numbers than these say little more about their median.
MANY = 100_000
#: What integers that name rows are called.
ID_NAMES = ("id", "index", "key", "rownames", "row", "rowid", "unnamed: 0", "column 1", "uuid")


def column_of(cells: Cells, categorical: bool, drop: bool, style: str) -> Column:
    """Decide what is done to a column; see `Columns.of`."""
    name, dtype = cells.name, cells.dtype
    if pd.api.types.is_complex_dtype(dtype):
        raise cells.bad(0, "complex numbers cannot be read")
    if pd.api.types.is_datetime64_any_dtype(dtype) and not categorical:
        return _date(cells, "")
    numeric = pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype)
    if numeric and not categorical:
        return _number(cells, drop, "", pd.api.types.is_bool_dtype(dtype))
    if not cells.words.counts.sum():
        return Column(name, "left out", done="empty")
    if categorical or isinstance(dtype, pd.CategoricalDtype):
        return _category(cells.words, name, drop, False)
    return _text(cells, drop, style)


def _text(cells: Cells, drop: bool, style: str) -> Column:
    """Decide what words are: truth, numbers, dates or categories."""
    words = cells.words
    if {word.casefold() for word in words.words[:3]} <= {"true", "false"} and len(words.words) < 5:
        return _number(cells, drop, "", True)
    total = int(words.counts.sum())
    sample = words.words[:: max(1, len(words.words) // 1000)]
    some = numbers_of(sample, style)
    share = 0.0
    if np.isfinite(some.values).mean() >= 0.3:
        numbers = numbers_of(words.words, style)
        is_number = np.isfinite(numbers.values)
        share = float(words.counts[is_number].sum()) / total
        if numbers.good.all() and is_number.any():
            return _number(cells, drop, numbers.style, False)
        if share >= MOST:
            first = int(np.flatnonzero(~numbers.good)[0])
            raise _stray(cells, first, f"not a number, as {share:.2%} of the")
    written = date_format_of(words.words)
    if written is not None:
        days = dates_of(words.words, written)
        bad = np.flatnonzero(np.isnan(days) & (words.counts > 0))
        if not len(bad):
            return _date(cells, written)
        if words.counts[bad].sum() <= (1 - MOST) * total:
            raise _stray(cells, int(bad[0]), f"no date ({written}), as most")
    return _category(words, cells.name, drop and share < 0.3, share >= 0.3)


def _stray(cells: Cells, code: int, what: str) -> BadCell:
    return cells.bad(
        cells.words.first_row(code),
        f"{short(cells.words.words[code])} is {what} column's cells are; mend it, take the column "
        "as categories (--categorical) or leave it out (--ignore)",
    )


def _number(cells: Cells, drop: bool, style: str, truth: bool) -> Column:
    name, values = cells.name, numbers_in(cells, style, truth)
    missing = np.isnan(values)
    finite = values[~missing] if missing.any() else values
    n, n_gaps = len(values), len(values) - len(finite)
    if not len(finite):
        return Column(name, "left out", done="empty")
    low, high = finite.min(), finite.max()
    if drop and low == high and not n_gaps and n > 1:
        return Column(name, "left out", done=f"constant ({low:g})")
    if drop and not n_gaps and not truth and n >= ENOUGH_ROWS and _counts_up(values, name):
        return Column(name, "left out", done="looks like an id: all differ, and only name the row")
    done = "as it is"
    if truth:
        done = "1 for True, 0 for False"
    if style == "thousands":
        done = "digits are in groups: 1,234 is 1234"
    elif style == "decimal":
        done = "commas are decimal: 1,5 is one and a half"
    fill = _median(finite)
    if n_gaps:
        n_infinite = _n_infinite(cells.series)
        infinite = f" ({n_infinite:,} of them infinite)" if n_infinite else ""
        gaps = f"{n_gaps:,} gaps{infinite} filled by {fill:.6g}, and marked"
        done = gaps if done == "as it is" else f"{done}; {gaps}"
    kind = "yes/no" if truth else "number"
    return Column(name, kind, done=done, fill=fill, gaps=n_gaps > 0, written=style)


def _median(values: Array) -> float:
    """Return the median, by one partition (NumPy's makes three of it).

    Of very many, it is the median of every tenth or so.
    """
    values = values[:: max(1, len(values) // MANY)]
    half = len(values) // 2
    ordered = np.partition(values, half)
    if len(values) % 2:
        return float(ordered[half])
    return float(ordered[:half].max() / 2 + ordered[half] / 2)


def _varies(days: Array, part: str) -> bool:
    """Whether a part of dates differs; the first of many usually show it."""
    some = days[:1000]
    return bool(np.ptp(part_of(some, part)) > 0 or np.ptp(part_of(days, part)) > 0)


def _counts_up(values: Array, name: str) -> bool:
    """Whether whole numbers only say which row it is: 1, 2, 3, or different ones called id."""
    called, n = name.casefold(), len(values)
    is_id = called in ID_NAMES or called.endswith(("_id", " id", ".id"))
    is_id = is_id or name.endswith(("Id", "ID"))
    for some in (values[:1000], values):  # the first of many usually show it
        near = -1 < some[0] <= ENOUGH_ROWS and values[-1] < 2 * n and (np.diff(some) > 0).all()
        if not ((is_id or near) and (some == np.floor(some)).all()):
            return False
    return not is_id or len(np.unique(values)) == n


def _n_infinite(series: pd.Series) -> int:
    if pd.api.types.is_float_dtype(series.dtype):
        return int(np.isinf(series.to_numpy(np.float64, na_value=np.nan)).sum())
    return 0


def _category(words: Words, name: str, drop: bool, mixed: bool) -> Column:
    present = np.flatnonzero(words.counts)
    total, distinct = int(words.counts.sum()), len(present)
    n_gaps = len(words.codes) - total
    if drop and distinct == 1 and not n_gaps and total > 1:
        return Column(name, "left out", done=f"constant ({plain(words.words[present[0]])})")
    if drop and distinct >= ID_SHARE * total and total >= ENOUGH_ROWS:
        return Column(name, "left out", done=f"looks like an id: {distinct:,} different texts")
    least = max(LEAST_ROWS, total / 1000) if total >= ENOUGH_ROWS else 1
    order = present[np.argsort(-words.counts[present], kind="stable")]
    kept = [i for i in order[:MOST_CATEGORIES].tolist() if words.counts[i] >= least]
    if not kept:
        return Column(name, "left out", done=f"none of {distinct:,} texts has {ceil(least)} rows")
    other = len(kept) < distinct
    done = f"{len(kept)} categories, an input each"
    if other:
        done = f"{len(kept)} of {distinct:,} categories, an input each; the rare ones share one"
    if n_gaps:
        done += f"; {n_gaps:,} gaps marked"
    if mixed:
        done += "; numbers among words are taken as words"
    categories = tuple(sorted(words.words[i] for i in kept))
    return Column(
        name, "category", done=done, gaps=n_gaps > 0, categories=categories, other=other
    )  # fmt: skip


def _date(cells: Cells, written: str) -> Column:
    name, days = cells.name, days_in(cells, written)
    known = days[~np.isnan(days)]
    n_gaps = len(days) - len(known)
    if not len(known):
        return Column(name, "left out", done="empty")
    every = ("year", "month", "weekday", "hour")
    parts = [part for part in every if _varies(known, part)]
    if np.ptp(known) > 0:
        parts.append("days")
    if not parts and not n_gaps:
        return Column(name, "left out", done="constant")
    done = f"{', '.join(parts)}" + (f", written {written}" if written else "")
    if n_gaps:
        done += f"; {n_gaps:,} gaps filled by the median, and marked"
    return Column(
        name, "date", done=done, fill=_median(known), gaps=n_gaps > 0,
        parts=tuple(parts), written=written,
    )  # fmt: skip
