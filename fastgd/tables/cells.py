"""What the cells of a column say: numbers in every spelling, dates, and words.

Each function works on the different cells of a column, not on its rows, so that a million rows
cost little more than telling them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fastgd.data.reading import short
from fastgd.errors import DataError

__all__ = [
    "BadCell",
    "Cells",
    "Numbers",
    "Words",
    "date_format_of",
    "dates_of",
    "numbers_of",
    "text_of",
    "words_of",
]

Array = np.ndarray

#: What people write where they know nothing.
PLACEHOLDERS = frozenset(
    ("?", "-", "--", ".", "..", "...", "*", "na", "n/a", "n.a.", "nan", "none", "null", "nil")
) | {"missing", "unknown", "not available", "#n/a", "#value!", "#div/0!"}

#: Groups of three digits, and what a decimal comma looks like.
THOUSANDS = r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"
POINTS = r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?"
SPACES = r"[+-]?[1-9]\d{0,2}(?:[ '\u2019\u00a0\u202f]\d{3})+(?:[.,]\d*)?"
DECIMAL = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"

#: How dates are written, the likelier first; each may be followed by a time.
DATES: tuple[str, ...] = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m/%d/%y",
)
DATES += ("%d/%m/%y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y")
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")

#: A column is of numbers, or of dates, where so many of its cells are.
MOST = 0.9


class BadCell(DataError):
    """A cell that cannot be taken: its row (a label of the frame's index), column and problem."""

    def __init__(self, row: int, column: str, problem: str):
        super().__init__(f"row {row + 1}, column {short(column)}: {problem}")
        self.row, self.column, self.problem = row, column, problem


@dataclass(frozen=True)
class Words:
    """The different cells of a column, and which of them stands in each row; -1 is none.

    Attributes
    ----------
    codes : int array (n,)
    words : list of str
        Without spaces around them; two spellings of one word are two.
    counts : int array (len(words),)
    """

    codes: Array
    words: list[str]
    counts: Array

    def first_row(self, code: int) -> int:
        """Return the first row that holds a word."""
        return int(np.argmax(self.codes == code))


class Cells:
    """A column, and its words once they are asked for."""

    def __init__(self, series: pd.Series):
        self.series, self.dtype, self.name = series, series.dtype, str(series.name)

    @cached_property
    def words(self) -> Words:
        """The different cells, as text."""
        return words_of(self.series)

    def bad(self, row: int, problem: str) -> BadCell:
        """Return the error for the cell of a row, from 0."""
        return BadCell(int(self.series.index[row]), self.name, problem)

    def refuse_words(self, good: Array, problem: str) -> None:
        """Refuse the first cell whose word is no good."""
        if good.all():
            return
        bad = np.append(~good, False)[self.words.codes]
        if bad.any():
            row = int(np.argmax(bad))
            raise self.bad(row, f"{short(self.words.words[self.words.codes[row]])} is {problem}")


def words_of(series: pd.Series) -> Words:
    """Tell the cells of a column apart, as text."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        distinct: list = list(series.cat.categories)
    else:
        try:
            codes, uniques = pd.factorize(series)
        except TypeError:
            kind = type(series.dropna().iloc[0]).__name__
            raise BadCell(int(series.index[0]), str(series.name), f"a {kind} is no cell") from None
        distinct = list(uniques)
    words = [text_of(value) for value in distinct]
    empty = [not word or word == "nan" for word in words]
    if any(empty):  # cells of spaces
        codes = np.append(np.where(empty, -1, np.arange(len(words))), -1)[codes]
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    return Words(codes, words, counts)


def text_of(value: object) -> str:
    """Return what a cell says: 3.0 says 3, since a gap makes floats of integers."""
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 2**53 else str(number)
    return str(value).strip()


@dataclass(frozen=True)
class Numbers:
    """What words say as numbers: nan for words that stand for nothing.

    Attributes
    ----------
    values : float array
    good : bool array
        Whether a word is a number, or stands for nothing.
    style : str
        "" where they are written plainly, "thousands" or "decimal" for what a comma is.
    """

    values: Array
    good: Array
    style: str


#: Digits written small, in circles or as fractions are words: their plain forms mean other numbers.
SMALL_DIGITS = r"[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2089\u2150-\u215f\u2460-\u24ff]"


def numbers_of(words: list[str], style: str = "") -> Numbers:
    """Read words as numbers, also 1,234.5 and 1.234,5 and 3,14.

    Parameters
    ----------
    words : list of str
    style : str
        What a comma is where both are possible: "thousands" or "decimal"; thousands if "".

    Examples
    --------
    >>> numbers_of(["1,250", "80"]).values, numbers_of(["1,25", "80"]).values
    (array([1250.,   80.]), array([ 1.25, 80.  ]))
    """
    raw = pd.Series(words, dtype=object).astype(str)
    text = raw.str.normalize("NFKC").where(~raw.str.contains(SMALL_DIGITS, regex=True), raw)
    values = pd.to_numeric(text, errors="coerce").to_numpy(np.float64).copy()
    values[text.str.contains(r"[_xX]", regex=True).to_numpy(bool)] = np.nan
    good = ~np.isnan(values)
    points = style == "decimal" and bool(text[good].str.fullmatch(POINTS).any())
    if good.all() and not points:
        return Numbers(values, good, style)
    empty = text.str.casefold().isin(PLACEHOLDERS).to_numpy(bool)
    rest = text[~good & ~empty]
    grouped = text.str.fullmatch(THOUSANDS).to_numpy(bool)[rest.index]
    with_points = rest.str.fullmatch(POINTS).to_numpy(bool)
    decimal = rest.str.fullmatch(DECIMAL).to_numpy(bool) | with_points
    spaced = rest.str.fullmatch(SPACES).to_numpy(bool)
    plain = rest.str.replace(r"[ '\u2019\u00a0\u202f](?=\d{3})", "", regex=True).where(spaced, rest)
    as_decimal = decimal.sum() > grouped.sum() or (style == "decimal" and decimal.any()) or points
    if as_decimal:
        if with_points.any() or points:  # then a point groups digits everywhere in the column
            whole = text[good].str.fullmatch(POINTS).to_numpy(bool)
            again = text[good][whole].str.replace(".", "", regex=False)
            values[again.index] = again.astype(float)
        plain = plain.where(~decimal, plain.str.replace(".", "", regex=False))
        plain = plain.str.replace(",", ".", regex=False)
    else:
        plain = plain.where(~grouped, plain.str.replace(",", "", regex=False))
    taken = decimal if as_decimal else grouped
    usable = plain.where(taken | spaced)
    read = pd.to_numeric(usable, errors="coerce").to_numpy(np.float64)
    values[rest.index] = read
    good[rest.index] = ~np.isnan(read)
    good |= empty
    used = "decimal" if as_decimal else "thousands" if taken.any() or spaced.any() else style
    return Numbers(values, good, used)


def date_format_of(words: list[str]) -> str | None:
    """Return how words are written as dates, if most of them are; None if not.

    >>> date_format_of(["2024-02-29", "2024-03-01"]), date_format_of(["31/12/2024", "1/2/2024"])
    ('%Y-%m-%d', '%d/%m/%Y')
    """
    sample = pd.Series(words[:: max(1, len(words) // 1000)], dtype=object)
    looks = sample.str.contains(r"\d[-/. ,](?:\d|[A-Za-z]{3})|[A-Za-z]{3} \d", regex=True)
    if len(sample) == 0 or looks.mean() < MOST:
        return None
    for time in TIMES:
        for date in DATES:
            parsed = pd.to_datetime(sample, format=date + time, errors="coerce")
            if parsed.notna().mean() >= MOST and not _rather(sample, date + time, parsed):
                return date + time
    parsed = pd.to_datetime(sample, format="ISO8601", errors="coerce", utc=True)
    return "ISO8601" if parsed.notna().mean() >= MOST else None


def _rather(sample: pd.Series, written: str, parsed: pd.Series) -> bool:
    """Whether the day comes before the month, as some dates are else impossible."""
    if parsed.notna().all() or not written.startswith("%m/%d"):
        return False
    swapped = written.replace("%m/%d", "%d/%m")
    return bool(pd.to_datetime(sample, format=swapped, errors="coerce").notna().all())


def dates_of(words: list[str], written: str) -> Array:
    """Return words as days since 1970, nan where they are no dates."""
    text = pd.Series(words, dtype=object)
    stamps = pd.to_datetime(text, format=written, errors="coerce", utc=True)
    return days_of(stamps)


def days_of(stamps: pd.Series) -> Array:
    """Return days since 1970, nan where there is no date."""
    if stamps.dt.tz is not None:
        stamps = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    # In microseconds: in nanoseconds pandas knows no date after 2262.
    moments = stamps.to_numpy("datetime64[us]", na_value=np.datetime64("NaT"))
    days: Array = (moments - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    return days
