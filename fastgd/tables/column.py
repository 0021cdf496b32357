"""One column: the inputs that are made of it, and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fastgd.data.reading import plain, short
from fastgd.tables.cells import (
    BadCell,
    Words,
    dates_of,
    days_of,
    numbers_of,
    words_of,
)

__all__ = ["OTHER", "Column", "days_in", "numbers_in", "part_of"]

Array = np.ndarray

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

    def encode(self, series: pd.Series, out: Array, notes: list[str]) -> None:
        """Write the inputs of each row to ``out``, (n, width) of zeros.

        Notes say what the rows of the fit did not have.
        """
        if self.kind == "category":
            return self._encode_words(series, out, notes)
        if self.kind == "date":
            values = days_in(series, self.written)
        else:
            values = numbers_in(series, self.written, self.kind == "yes/no")
        missing = ~np.isfinite(values)
        n_missing = int(missing.sum())
        if n_missing:
            if self.fill != self.fill:
                raise BadCell(int(series.index[np.argmax(missing)]), self.name, "the cell is empty")
            values = np.where(missing, self.fill, values)
            self._note(notes, n_missing, "filled by the training rows' median")
        if self.gaps:
            out[:, -1] = missing
        for i, part in enumerate(self.parts):
            out[:, i] = part_of(values, part)
        if self.kind != "date":
            out[:, 0] = values

    def _encode_words(self, series: pd.Series, out: Array, notes: list[str]) -> None:
        words = words_of(series)
        place = {category: i for i, category in enumerate(self.categories)}
        unseen = len(self.categories) if self.other else -1
        to = np.array([place.get(word, unseen) for word in words.words] + [-1], np.int64)
        if self.gaps:
            to[-1] = out.shape[1] - 1
        new = [i for i, word in enumerate(words.words) if word not in place and words.counts[i]]
        if new and not self.other:
            rows = int(words.counts[new].sum())
            notes.append(
                f"column {short(self.name)}: {rows:,} cells of categories never seen in training, "
                f"such as {plain(words.words[new[0]])}, count as none"
            )
        n_missing = int((words.codes < 0).sum())
        if n_missing:
            self._note(notes, n_missing, "are a category of their own" if self.gaps else
                       "count as no category")  # fmt: skip
        inputs = to[words.codes]
        rows_in = np.flatnonzero(inputs >= 0)
        out[rows_in, inputs[rows_in]] = 1

    def _note(self, notes: list[str], n: int, what: str) -> None:
        if not self.gaps:
            cells = "empty cell" if n == 1 else "empty cells"
            notes.append(f"column {short(self.name)}: {n:,} {cells} {what}, though training had none")


def numbers_in(series: pd.Series, style: str = "", truth: bool = False) -> Array:
    """Return a column's numbers, nan where there is none; refuse the first word among them."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if pd.api.types.is_timedelta64_dtype(series.dtype):
        return (series / pd.Timedelta(days=1)).to_numpy(np.float64)
    if pd.api.types.is_numeric_dtype(series.dtype):  # booleans, too
        values = series.to_numpy(np.float64, na_value=np.nan)
        return np.where(np.isinf(values), np.nan, values) if np.isinf(values).any() else values
    words = words_of(series)
    if truth:
        folded = [word.casefold() for word in words.words]
        known = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
        values = np.array([known.get(word, np.nan) for word in folded], np.float64)
        _refuse_first(series, words, np.isfinite(values), "neither True nor False")
    else:
        numbers = numbers_of(words.words, style)
        values = np.where(np.isinf(numbers.values), np.nan, numbers.values)
        _refuse_first(series, words, numbers.good, "not a number")
    return np.append(values, np.nan)[words.codes]


def days_in(series: pd.Series, written: str) -> Array:
    """Return a column's dates as days since 1970, nan where there is none."""
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return days_of(series)
    words = words_of(series)
    days = dates_of(words.words, written or "ISO8601")
    _refuse_first(series, words, np.isfinite(days), f"no date as the others are ({written})")
    return np.append(days, np.nan)[words.codes]


def _refuse_first(series: pd.Series, words: Words, good: Array, problem: str) -> None:
    """Refuse the first cell whose word is no good."""
    if good.all():
        return
    bad = np.append(~good, False)[words.codes]
    if bad.any():
        i = int(np.argmax(bad))
        what = short(words.words[words.codes[i]])
        raise BadCell(int(series.index[i]), str(series.name), f"{what} is {problem}")


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
