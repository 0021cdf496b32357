"""The cells of a table: read fast by NumPy's C parser, or carefully.

Whatever the C parser refuses, the careful reader reads again with the csv module: it
gives the same numbers more slowly, or names the line and column of the cell that is wrong.
"""

from __future__ import annotations

import csv
import io
import math
import warnings
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from fastgd.data.reading import did_you_mean, open_binary, plain, reading, short
from fastgd.data.targets import number_or_none
from fastgd.errors import DataError

__all__ = ["Cell", "Table", "as_number", "as_pixel", "as_target", "ignored", "table_at"]

# What a cell's text means; ValueError says what is wrong with it.
Cell = Callable[[str], float]


def as_number(text: str) -> float:
    """Read a finite number."""
    number = number_or_none(text)
    if number is None:
        raise ValueError(f"{short(text)} is not a number" if text.strip() else "the cell is empty")
    if not math.isfinite(number):
        raise ValueError(f"{short(text)} is not a finite number")
    return number


def as_target(text: str) -> float:
    """Read a number in the target column, where a word may have been meant as a label."""
    if text.strip() and number_or_none(text) is None:
        raise ValueError(
            f"{short(text)} is not a number; task='classification' takes both words and "
            "numbers as labels"
        )
    return as_number(text)


@lru_cache(maxsize=1024)
def as_pixel(text: str) -> int:
    """Read a byte."""
    number = number_or_none(text)
    if number is not None and 0 <= number <= 255 and number == int(number):
        return int(number)
    if not text.strip():
        raise ValueError("the cell is empty")
    raise ValueError(f"{short(text)} is not a whole number from 0 to 255")


def ignored(text: str) -> int:
    """Accept anything."""
    return 0


def _unquoted(cell: Cell) -> Cell:
    """Refuse quotes."""

    def read(text: str) -> float:
        if '"' in text:
            raise ValueError("quotes are left to the careful reader")
        return cell(text)

    return read


_PARSED_BY_NUMPY: tuple[Cell, ...] = (as_number, as_target, as_pixel)


@dataclass(frozen=True)
class Table:
    """A file of rows below a header.

    Attributes
    ----------
    path : Path
    delimiter : str
    names : tuple of str
        The columns.
    first_row : tuple of str
        The cells of the first row, to judge the columns by; empty if there is no row.
    """

    path: Path
    delimiter: str
    names: tuple[str, ...]
    first_row: tuple[str, ...]

    def no_column(self, what: str, name: str) -> DataError:
        """Build the error for a column that is not there."""
        hint = did_you_mean(name, self.names)
        return DataError(
            f"{self.path}: no {what} column {name!r}{hint}; columns are {self.listing()}"
        )

    def listing(self) -> str:
        """List the column names, or the first of them."""
        more = f", ... ({len(self.names)} in all)" if len(self.names) > 10 else ""
        return ", ".join(plain(name) for name in self.names[:10]) + more

    def read(self, dtype: type, cells: Sequence[Cell]) -> np.ndarray:
        """Read all rows.

        Parameters
        ----------
        dtype : np.float64 or np.uint8
        cells : sequence of Cell
            How each column is read.

        Returns
        -------
        array (rows, columns) of that dtype

        Raises
        ------
        DataError
            Naming the first line and column that cannot be read.
        """
        with reading(self.path), _utf8(self.path):
            values = self._fast(dtype, cells)
            return self._careful(dtype, cells) if values is None else values

    def _fast(self, dtype: type, cells: Sequence[Cell]) -> np.ndarray | None:
        """Read by NumPy's C parser; None where anything at all is unusual.

        Quotes are, too: NumPy would read "2"3 as 23, and forgive a quote left open.
        """
        others: dict[int | str, Cell] = {
            i: _unquoted(cell) for i, cell in enumerate(cells) if cell not in _PARSED_BY_NUMPY
        }
        with _open_text(self.path) as file, warnings.catch_warnings():
            warnings.simplefilter("error")  # "contained no data", "via a float is deprecated"
            next(_records(file, self.path, self.delimiter))
            try:
                values: np.ndarray = np.loadtxt(
                    file,
                    dtype=dtype,
                    delimiter=self.delimiter,
                    comments=None,
                    converters=others or None,
                    encoding=None,
                    ndmin=2,
                )
            except (ValueError, Warning):
                return None
        if values.shape[1] != len(cells) or len(values) == 0:
            return None
        # nan and inf show in the extremes, without an array of the size of the data
        return values if np.isfinite(values.min()) and np.isfinite(values.max()) else None

    def _careful(self, dtype: type, cells: Sequence[Cell]) -> np.ndarray:
        """Read cell by cell, and name the first that is wrong."""
        values: array = array("B" if dtype is np.uint8 else "d")
        with _open_text(self.path) as file:
            records = _records(file, self.path, self.delimiter)
            for line, row in islice(records, 1, None):
                if len(row) != len(cells):
                    raise DataError(
                        f"{self.path}, line {line}: {len(row)} cells where the header "
                        f"names {len(cells)} columns"
                    )
                read: list[float] = []
                try:
                    for cell, text in zip(cells, row, strict=True):
                        read.append(cell(text))
                except ValueError as error:
                    name = short(self.names[len(read)])
                    raise DataError(f"{self.path}, line {line}, column {name}: {error}") from None
                values.extend(read)
        if not values:
            raise DataError(f"{self.path}: has column names but no rows")
        return np.frombuffer(values, dtype).reshape(-1, len(cells))


def table_at(path: Path) -> Table:
    """Open a table and check its header.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or does not begin with distinct names.
    """
    delimiter = "\t" if path.name.lower().endswith((".tsv", ".tsv.gz")) else ","
    with reading(path), _utf8(path), _open_text(path) as file:
        records = list(islice(_records(file, path, delimiter), 2))
    if not records:
        raise DataError(f"{path}: the file is empty")
    line, header = records[0]
    names = tuple(name.strip() for name in header)
    where = f"{path}, line {line}"
    if len(names) == 1 and any(separator in names[0] for separator in ",;\t"):
        used = "tabs" if delimiter == "\t" else "commas"
        raise DataError(f"{where}: {short(names[0])} is one column; {used} must separate columns")
    if all(number_or_none(name) is not None for name in names):
        raise DataError(f"{where}: holds numbers; the first line must name the columns")
    first: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name:
            raise DataError(
                f"{where}: column {position} has no name (pandas writes its index so; "
                "use to_csv(..., index=False))"
            )
        if name in first:
            raise DataError(f"{where}: columns {first[name]} and {position} are both {short(name)}")
        first[name] = position
    return Table(path, delimiter, names, tuple(records[1][1]) if len(records) > 1 else ())


def _open_text(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_binary(path), encoding="utf-8-sig", newline="")


def _records(file: io.TextIOWrapper, path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line it begins on, from 1."""
    rows = csv.reader(file, delimiter=delimiter, strict=True)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            # the csv module's word for a quote that is never closed
            open_quote = str(error) == "unexpected end of data"
            problem = "a quote is left open" if open_quote else error
            raise DataError(f"{path}, line {line}: {problem}") from error
        if len(row) > 1 or "".join(row).strip():
            yield line, row


@contextmanager
def _utf8(path: Path) -> Iterator[None]:
    """Name the line of the first byte that is not UTF-8."""
    try:
        yield
    except UnicodeDecodeError:
        with open_binary(path) as file:
            for line, content in enumerate(file, 1):
                try:
                    content.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8 "
                        "text; save the file as UTF-8"
                    ) from None
        raise
