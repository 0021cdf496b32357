"""Files and frames as pandas frames; what pandas would take in silence is told or refused."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from fastgd.data.reading import plain, reading, short
from fastgd.data.targets import number_or_none
from fastgd.errors import DataError
from fastgd.rules.checks import check_integer
from fastgd.tables.cells import BadCell
from fastgd.tables.unpacking import BINARY, content_of, is_packed

__all__ = ["Header", "Source", "header_of", "read_frame"]

SEPARATORS = (",", ";", "\t", "|")
SPOKEN = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
#: The lines that separators and decimal commas are judged by.
SAMPLE = 50
#: So many bytes of a file are looked at together: they stay in the cache.
PIECE = 1 << 18
#: The longest line, in bytes, and the most columns: a file of one line, or of nothing but commas,
#: takes a hundred times its size as cells.
MOST_LINE, MOST_COLUMNS = 1 << 24, 1 << 20
#: Where the ends of lines are looked for first.
SHORT = 1 << 10


@dataclass
class Source:
    """A frame, where it comes from, and what was said while it was read.

    Attributes
    ----------
    frame : pandas.DataFrame
        Its index counts the rows from 0, its columns are different texts.
    name, path : str
        The name of the data, and what errors call it.
    notes : list of str
        What was done that somebody might not expect.
    style : str
        "decimal" where commas are decimal in the file.
    checksum : str
        The CRC-32 of the content, or "".
    header : Header or None
        Of a text file.
    """

    frame: pd.DataFrame
    name: str
    path: str
    notes: list[str] = field(default_factory=list)
    style: str = ""
    checksum: str = ""
    header: Header | None = None

    def error(self, bad: BadCell) -> DataError:
        """Return the error for a cell, with its file and line."""
        where = f"row {bad.row + 1}"
        if self.header is not None:
            where = f"line {self.header.line_of(bad.row)}"
        return DataError(f"{self.path}, {where}, column {short(bad.column)}: {bad.problem}")


class Text:
    """A text in UTF-8, without a byte order mark: a file that is one as it lies, or bytes.

    Attributes
    ----------
    path : Path
    content : bytes or None
        None where the file is read as it lies, which takes no memory.
    checksum : str
        The CRC-32 of the file, unpacked.
    encoding : str or None
        What the file was if it was something else.
    quoted : bool
        Whether a quotation mark is in it.
    """

    def __init__(self, path: Path, max_bytes: int | None = None):
        self.path = path
        self.content: bytes | None = None
        self.encoding: str | None = None
        crc, as_it_lies, self.quoted = 0, not is_packed(path), False
        if as_it_lies:
            for piece in _lines_bounded(path, self.pieces()):
                crc = zlib.crc32(piece, crc)
                self.quoted = self.quoted or b'"' in piece
                if not piece.isascii():
                    as_it_lies = False
                    break
        if not as_it_lies:
            content = content_of(path, max_bytes)
            crc = zlib.crc32(content)
            self.content, self.encoding = _in_utf8(path, content)
            for _ in _lines_bounded(path, self.pieces()):
                pass
            self.quoted = b'"' in self.content
        self.checksum = f"{crc:08x}"

    def open(self) -> BinaryIO:
        """Open it at its beginning."""
        return self.path.open("rb") if self.content is None else io.BytesIO(self.content)

    def pieces(self) -> Iterator[bytes]:
        """Yield it, so many bytes at a time."""
        with self.open() as file:
            while piece := file.read(PIECE):
                yield piece

    def read(self) -> bytes:
        """Return all of it."""
        return self.path.read_bytes() if self.content is None else self.content


@dataclass
class Header:
    """The text of a file, and what its first lines say.

    Attributes
    ----------
    path : Path
    text : Text
    separator : str
    names : list of str
    decimal : str
        "," where commas are decimal.
    notes : list of str
    """

    path: Path
    text: Text
    separator: str
    names: list[str]
    decimal: str
    notes: list[str]

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows that are not blank, each with the line it begins on, from 1."""
        return _records(self.text.open, self.separator, self.path)

    def line_of(self, row: int) -> int:
        """Return the line of a row, both as they are counted: from 0, and from 1."""
        return next((line for line, _ in islice(self.records(), row + 1, None)), row + 2)

    def read(self, **options: Any) -> Any:
        """Read the rows below the header with pandas.

        Raises
        ------
        DataError
            With the line, where pandas cannot read it.
        """
        self.check_width(islice(self.records(), 1, 2))
        content = self.text.content
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            warnings.simplefilter("error", pd.errors.DtypeWarning)
            try:
                return pd.read_csv(
                    self.path.absolute() if content is None else io.BytesIO(content),
                    compression=None,
                    sep=self.separator,
                    decimal=self.decimal,
                    header=0,
                    names=self.names,
                    index_col=False,
                    encoding="utf-8",
                    **options,
                )
            except pd.errors.DtypeWarning:  # parts of a column look different; see it as a whole
                return self.read(low_memory=False, **options)
            except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
                self.check_width(self.records())
                raise DataError(f"{self.path}: {' '.join(str(error).split())}") from error

    def check_width(self, records: Iterator[tuple[int, list[str]]]) -> None:
        """Refuse the first row that has not as many cells as there are names."""
        width = len(self.names)
        for line, row in records:
            if len(row) != width:
                raise DataError(
                    f"{self.path}, line {line}: {len(row)} cells where the header names {width} "
                    f"columns (separated by {SPOKEN.get(self.separator, repr(self.separator))})"
                )

    def check(self, frame: pd.DataFrame) -> None:
        """Refuse what pandas reads without a word: rows cut short, quotes left open."""
        suspect = False
        if frame.iloc[:, -1].isna().any():
            suspect = _count(self.text, self.separator) != (len(frame) + 1) * (len(self.names) - 1)
        if not suspect and self.text.quoted:
            text = self.text.read()
            lines = _count(self.text, "\n") + (not text.endswith(b"\n"))
            ends = re.escape(self.separator) + r'\r\n"'
            stray = re.compile(f'"(?<![{ends}]")(?![{ends}])'.encode())
            suspect = lines != len(frame) + 1
            suspect = suspect or stray.search(text.rstrip().rstrip(b'"')) is not None
        if suspect:
            self.check_width(self.records())


def read_frame(source: Any, sep: str | None = None, max_bytes: int | None = None) -> Source:
    """Read a table: a path, or a frame of pandas, polars or pyarrow, or a dict of columns.

    Parameters
    ----------
    source : path or frame
        .csv, .tsv or .txt, plain or in .gz or .zip; .parquet, .feather, .xlsx.
    sep : str, optional
        What separates the columns of a text file; else it is seen from its first lines.
    max_bytes : int, optional
        How far a compressed file may grow; see `fastgd.data.load`.

    Raises
    ------
    DataError
        In one line that names file and line.
    """
    if max_bytes is not None:
        check_integer("max_bytes", max_bytes, 1)
    if isinstance(source, Header):
        return _of_text(source)
    if not isinstance(source, str | PathLike):
        return _of_frame(source)
    path = Path(source)
    name = path.name.lower()
    reader = next((read for end, read in BINARY.items() if name.endswith(end)), None)
    if reader is None:
        return _of_text(header_of(path, sep, max_bytes))
    frame, checksum = reader(path, max_bytes)
    made = _of_frame(frame, path.name, str(path))
    made.checksum = checksum
    return made


def _of_frame(frame: Any, name: str = "the table", path: str | None = None) -> Source:
    """Take a frame as it is, its rows counted from 0."""
    if hasattr(frame, "to_pandas"):
        try:
            frame = frame.to_pandas()
        except ImportError:  # polars without pyarrow
            frame = {column: frame[column].to_list() for column in frame.columns}
    if not isinstance(frame, pd.DataFrame):
        try:
            frame = pd.DataFrame(frame)
        except (ValueError, TypeError) as error:
            raise DataError(f"{name}: {error}") from None
    names = [str(column) for column in frame.columns]
    frame = frame.set_axis(names, axis=1).reset_index(drop=True)
    where = path or name
    twice = next((column for i, column in enumerate(names) if column in names[:i]), None)
    if twice is not None:
        raise DataError(f"{where}: two columns are called {short(twice)}")
    if not names:
        raise DataError(f"{where}: has no columns")
    if not len(frame):
        raise DataError(f"{where}: has column names but no rows")
    return Source(frame, name, where)


def _of_text(header: Header) -> Source:
    with reading(header.path):
        frame = header.read()
    header.check(frame)
    if not len(frame):
        raise DataError(f"{header.path}: has column names but no rows")
    _check_header(header, frame)
    style = "decimal" if header.decimal == "," else ""
    path, notes = header.path, list(header.notes)
    return Source(frame, path.name, str(path), notes, style, header.text.checksum, header)


def _check_header(header: Header, frame: pd.DataFrame) -> None:
    """Refuse a file whose first line is a row like the others."""
    numeric = [number_or_none(name) is not None for name in header.names]
    numbers = [name for name, n in zip(header.names, numeric, strict=True) if n]
    words = [name for name, n in zip(header.names, numeric, strict=True) if not n]

    def is_alike(name: str) -> bool:
        if pd.api.types.is_numeric_dtype(frame[name].dtype):
            return name in numbers
        return name in words and bool((frame[name] == name).any())

    # Cells are searched for the name only where nothing has shown yet that they differ.
    enough = any if numbers else all
    if all(map(is_alike, numbers)) and enough(map(is_alike, words)):
        listed = ", ".join(map(plain, header.names[:4]))
        raise DataError(
            f"{header.path}, line 1: {listed} are values that stand below, too; the first line "
            "must name the columns"
        )


def header_of(path: Path, sep: str | None = None, max_bytes: int | None = None) -> Header:
    """Open a text file, and read and check its header.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or does not begin with different names.
    """
    with reading(path):
        text, notes = Text(path, max_bytes), []
    if text.encoding is not None:
        notes.append(f"read as {text.encoding}, as it is no UTF-8")
    separator = sep or ("\t" if ".tsv" in path.name.lower() else _separator_of(text))
    separator = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    if len(separator) != 1:
        raise DataError(f"--sep must be one character, or tab; got {sep!r}")
    _check_width(path, text, separator)
    records = list(_sample(_records(text.open, separator, path)))
    if not records:
        raise DataError(f"{path}: the file is empty")
    line, first = records[0]
    names = _names(f"{path}, line {line}", [name.strip() for name in first], notes)
    decimal = "," if separator != "," and _has_decimal_commas(records[1:]) else "."
    if sep is None and separator != ("\t" if ".tsv" in path.name.lower() else ","):
        notes.append(f"columns are separated by {SPOKEN[separator]}")
    if decimal == ",":
        notes.append("commas are decimal: 1,5 is one and a half")
    return Header(path, text, separator, names, decimal, notes)


def _names(where: str, names: list[str], notes: list[str]) -> list[str]:
    """Check the names; give one to a column that has none."""
    if all(number_or_none(name) is not None for name in names):
        raise DataError(f"{where}: holds numbers; the first line must name the columns")
    given: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name:
            names[position - 1] = f"column {position}"
            notes.append(f"column {position} has no name; it is called 'column {position}'")
        elif name in given:
            raise DataError(f"{where}: columns {given[name]} and {position} are both {short(name)}")
        given[names[position - 1]] = position
    if len(given) < len(names):
        raise DataError(f"{where}: columns without names; name them")
    return names


def _in_utf8(path: Path, content: bytes) -> tuple[bytes, str | None]:
    """Return a text in UTF-8, and what it was if it was something else.

    Raises
    ------
    DataError
        If parts are UTF-8 and parts are not: the line of the first byte that is not.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return content.decode("utf-16").encode(), "UTF-16"
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-16 text, as its first bytes say ({error})") from None
    if content[:3] == b"\xef\xbb\xbf":
        content = content[3:]
    if content.isascii():
        return content, None
    try:
        content.decode("utf-8")
        return content, None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        mixed = re.search(rb"[\xc2-\xf4][\x80-\xbf]", content) is not None
        if not mixed and b"\0" not in content:
            try:
                return content.decode("cp1252").encode(), "Windows-1252"
            except UnicodeDecodeError:
                pass
        raise DataError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8 text"
            f"{', though other lines are' if mixed else ''}; save the file as UTF-8"
        ) from None


def _count(text: Text, character: str) -> int:
    """Count a frequent character: faster than bytes.count, which stops at each."""
    pieces = (np.frombuffer(piece, np.uint8) for piece in text.pieces())
    return sum(int(np.count_nonzero(piece == ord(character))) for piece in pieces)


def _separator_of(text: Text) -> str:
    """Return what separates the columns: what cuts all first lines into equally many cells."""
    best, most = ",", (False, 1)
    with text.open() as file:
        sample, more = file.read(200_000), file.read(1)
    if more:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    for separator in SEPARATORS:
        try:
            records = _records(partial(io.BytesIO, sample), separator, Path(""))
            rows = [row for _, row in _sample(records)]
        except DataError:
            continue
        width = len(rows[0]) if rows else 1
        found = (width > 1 and all(len(row) == width for row in rows), width)
        if found > most:
            best, most = separator, found
    return best


def _sample(records: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the first records, of which there are fewer where they are wide."""
    cells = 0
    for record in islice(records, SAMPLE):
        yield record
        cells += len(record[1])
        if cells > MOST_COLUMNS:
            return


def _lines_bounded(path: Path, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a text; refuse it at the first line that is too long."""
    length = 0
    for piece in pieces:
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r", -SHORT))
        end = piece.rfind(b"\r") if end < 0 else end
        length = length + len(piece) if end < 0 else len(piece) - end
        if length > MOST_LINE:
            raise DataError(f"{path}: has a line of more than {MOST_LINE:,} bytes; is it a table?")
        yield piece


def _check_width(path: Path, text: Text, separator: str) -> None:
    """Refuse a first line of more columns than a network could take."""
    with text.open() as file:
        columns = file.readline(MOST_LINE).count(separator.encode()) + 1
    if columns > MOST_COLUMNS:
        raise DataError(f"{path}, line 1: names {columns:,} columns; at most {MOST_COLUMNS:,} are "
                        "read")  # fmt: skip


def _has_decimal_commas(records: list[tuple[int, list[str]]]) -> bool:
    cells = [cell.strip() for _, row in records for cell in row]
    commas = sum(re.fullmatch(r"[+-]?\d*,\d+", cell) is not None for cell in cells)
    points = sum(re.fullmatch(r"[+-]?\d*\.\d+", cell) is not None for cell in cells)
    return commas > points


def _records(
    opened: Callable[[], BinaryIO], separator: str, path: Path
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line it begins on, from 1."""
    with io.TextIOWrapper(opened(), encoding="utf-8", newline="") as text:
        rows = csv.reader(text, delimiter=separator, strict=True)
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
