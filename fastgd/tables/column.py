"""One column: the inputs that are made of it, and how."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fastgd.data.reading import plain, short
from fastgd.tables.cells import Cells, Words, dates_of, days_of, numbers_of

__all__ = ["OTHER", "Column", "Writer", "column_from", "days_in", "numbers_in", "part_of"]

Array = np.ndarray

#: Writes the inputs of some rows to (len(rows), width) zeros.
Writer = Callable[[Array, slice], None]

#: What rare and unseen categories are called.
OTHER = "(other)"


@dataclass(frozen=True)
class Column:
    """What is done to a column.

    Attributes
    ----------
    name, kind : str
        The kind is "number", "yes/no", "category", "date" or "left out".
    done : str
        What is done, in words.
    fill : float
        What stands in for an empty cell: a number, or days since 1970; nan where none may.
    gaps : bool
        Whether an input says that the cell is empty.
    categories : tuple of str
    other : bool
        Whether rare categories share an input, which those never seen go to, too.
    parts : tuple of str
        Of a date: "year", "month", "weekday", "hour", "days".
    written : str
        How dates are written, or what a comma is in numbers.
    """

    name: str
    kind: str
    done: str = ""
    fill: float = 0.0
    gaps: bool = False
    categories: tuple[str, ...] = ()
    other: bool = False
    parts: tuple[str, ...] = ()
    written: str = ""

    @property
    def names(self) -> list[str]:
        """The names of the inputs."""
        if self.kind == "left out":
            return []
        made = [self.name]
        if self.kind == "category":
            made = [f"{self.name}={each}" for each in (*self.categories, *[OTHER] * self.other)]
        elif self.kind == "date":
            made = [f"{self.name}: {part}" for part in self.parts]
        return [*made, *[f"{self.name} is missing"] * self.gaps]

    @property
    def width(self) -> int:
        """The number of inputs."""
        return len(self.names)

    def encode(self, cells: Cells, notes: list[str]) -> Writer:
        """Return what writes the inputs of some rows.

        Notes say what the rows of the fit did not have.
        """
        if self.kind == "category":
            return self._encode_words(cells.words, notes)
        if self.kind == "date":
            values = days_in(cells, self.written)
        else:
            values = numbers_in(cells, self.written, self.kind == "yes/no")
        missing = np.isnan(values)
        n_missing = int(missing.sum())
        if n_missing:
            if self.fill != self.fill:
                raise cells.bad(int(np.argmax(missing)), "the cell is empty")
            values = np.where(missing, self.fill, values)
            self._note(notes, n_missing, "filled by the training rows' median")

        def write(out: Array, rows: slice) -> None:
            for i, part in enumerate(self.parts or ("",)):
                out[:, i] = part_of(values[rows], part) if part else values[rows]
            if self.gaps:
                out[:, -1] = missing[rows]

        return write

    def _encode_words(self, words: Words, notes: list[str]) -> Writer:
        place = {category: i for i, category in enumerate(self.categories)}
        unseen = len(self.categories) if self.other else -1
        to = np.array([place.get(word, unseen) for word in words.words] + [-1], np.int64)
        if self.gaps:
            to[-1] = self.width - 1
        new = [i for i, word in enumerate(words.words) if word not in place and words.counts[i]]
        if new and not self.other:
            rows = int(words.counts[new].sum())
            notes.append(
                f"column {short(self.name)}: {rows:,} cells of categories never seen in training, "
                f"such as {plain(words.words[new[0]])}, count as none"
            )
        n_missing = int((words.codes < 0).sum())
        if n_missing:
            self._note(notes, n_missing, "count as no category")

        def write(out: Array, rows: slice) -> None:
            inputs = to[words.codes[rows]]
            known = np.flatnonzero(inputs >= 0)
            out[known, inputs[known]] = 1

        return write

    def _note(self, notes: list[str], n: int, what: str) -> None:
        if not self.gaps:
            cells = "empty cell" if n == 1 else "empty cells"
            notes.append(
                f"column {short(self.name)}: {n:,} {cells} {what}, though training had none"
            )


KINDS = ("number", "yes/no", "category", "date", "left out")
PARTS = ("year", "month", "weekday", "hour", "days")
#: What each field of a column is in JSON.
AS_JSON: dict[str, Any] = {
    "name": str, "kind": str, "done": str, "fill": (int, float), "gaps": bool,
    "categories": list, "other": bool, "parts": list, "written": str,
}  # fmt: skip


def column_from(entry: dict[str, Any]) -> Column:
    """Return a column from its JSON, whoever wrote that.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    kept = {key: value for key, value in entry.items() if key in AS_JSON}
    if kept.get("fill", 0) is None:
        kept["fill"] = math.nan  # JSON has none
    for key, value in kept.items():
        texts = isinstance(value, list) and not all(isinstance(word, str) for word in value)
        if not isinstance(value, AS_JSON[key]) or texts:
            raise TypeError(f"{key} cannot be {reprlib.repr(value)}")
        if isinstance(value, list):
            kept[key] = tuple(value)
    column = Column(**kept)
    if column.kind not in KINDS or math.isinf(column.fill) or not set(column.parts) <= {*PARTS}:
        raise ValueError(f"no column is like {reprlib.repr(entry)}")
    return column


def numbers_in(cells: Cells, style: str = "", truth: bool = False) -> Array:
    """Return a column's numbers, nan where there is none; refuse the first word among them."""
    series = cells.series
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if pd.api.types.is_timedelta64_dtype(series.dtype):
        days: Array = (series.dt.total_seconds() / 86400).to_numpy(np.float64)
        return days
    if pd.api.types.is_numeric_dtype(series.dtype):  # booleans, too
        values: Array = series.to_numpy(np.float64, na_value=np.nan)
    elif truth:
        known = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
        said = [known.get(word.casefold(), np.nan) for word in cells.words.words]
        cells.refuse_words(np.isfinite(said), "neither True nor False")
        values = np.array([*said, np.nan])[cells.words.codes]
    else:
        numbers = numbers_of(cells.words.words, style)
        cells.refuse_words(numbers.good, "not a number")
        values = np.append(numbers.values, np.nan)[cells.words.codes]
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # then all are: no need to look at each
            return values
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


def days_in(cells: Cells, written: str) -> Array:
    """Return a column's dates as days since 1970, nan where there is none."""
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return days_of(cells.series)
    days = dates_of(cells.words.words, written or "ISO8601")
    cells.refuse_words(np.isfinite(days), f"no date as the others are ({written})")
    found: Array = np.append(days, np.nan)[cells.words.codes]
    return found


def part_of(days: Array, part: str) -> Array:
    """Return a part of dates: year, month, weekday (Monday is 0), hour, or the days themselves."""
    if part == "days":
        return days
    if part == "weekday":
        return (np.floor(days) + 3) % 7  # 1970 began on a Thursday
    if part == "hour":
        return np.floor(days % 1 * 24 + 1e-6)
    dates = np.floor(days).astype("datetime64[D]")
    if part == "year":
        return dates.astype("datetime64[Y]").astype(np.int64) + 1970.0
    return dates.astype("datetime64[M]").astype(np.int64) % 12 + 1.0
