"""What every reader shares: opening a file, and failures told in one line."""

from __future__ import annotations

import difflib
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Protocol

from fastgd.errors import DataError
from fastgd.regular import open_regular
from fastgd.rules.checks import check_integer

__all__ = [
    "Readable",
    "did_you_mean",
    "most_bytes",
    "not_found",
    "open_binary",
    "plain",
    "reading",
    "short",
    "too_large",
]

#: How far a compressed file may grow unless more is allowed: so many bytes, or times its size.
MOST, TIMES = 1 << 30, 20
#: So much is unpacked at a time.
PIECE = 1 << 20


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the system says of `path` into a one-line DataError."""
    try:
        yield
    except FileNotFoundError:
        raise not_found(path) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: corrupt or truncated gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


class Readable(Protocol):
    """What is read piece by piece."""

    def read(self, size: int, /) -> bytes: ...


class _Bounded:
    """An unpacked file that ends in an error where it grows beyond a bound."""

    def __init__(self, file: Readable, path: Path, most: int):
        self.file, self.path, self.most, self.done = file, path, most, 0

    def read(self, size: int, /) -> bytes:
        piece = self.file.read(min(size, PIECE))
        self.done += len(piece)
        if self.done > self.most:
            raise too_large(self.path, self.most)
        return piece


@contextmanager
def open_binary(path: Path, max_bytes: int | None = None) -> Iterator[Readable]:
    """Open a file to read its bytes, decompressed where they are gzip.

    The content decides, not the name: browsers and archive tools often unpack
    a file and leave its `.gz` on, or the other way round.
    """
    with BufferedReader(open_regular(path)) as file:
        if file.peek(2)[:2] != b"\x1f\x8b":
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield _Bounded(unpacked, path, most_bytes(file, max_bytes))


def most_bytes(file: BinaryIO, max_bytes: int | None) -> int:
    """Return how far a compressed file may grow: what is given, else 1 GiB or 20 times its size.

    Text and pixels seldom pack to less than a twentieth; files made to fill a memory, to a
    thousandth.
    """
    if max_bytes is None:
        return max(MOST, TIMES * os.fstat(file.fileno()).st_size)
    return check_integer("max_bytes", max_bytes, 1)


def too_large(path: Path, most: int) -> DataError:
    """Build the error for a compressed file that grows beyond its bound."""
    return DataError(
        f"{path}: unpacks to more than {most:,} bytes; if that is meant, allow it with max_bytes "
        "(--max-bytes)"
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return '; did you mean ...?' for the nearest known name, or nothing."""
    folded = {candidate.casefold(): candidate for candidate in known}
    nearest = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[nearest[0]]!r}?" if nearest else ""


def not_found(path: Path, also: Iterable[str] = ()) -> DataError:
    """Build the error for a file that is not there, with the nearest name that is."""
    try:
        neighbours = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        neighbours = []
    hint = did_you_mean(path.name, [*also, *neighbours])
    return DataError(f"{path}: no such file or folder{hint}")


def short(text: str, limit: int = 40) -> str:
    """Quote text from a file, shortened so that the message stays one line."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def plain(text: str) -> str:
    """Name something from a file without quotes, if that keeps to one line."""
    return text if text.isprintable() and len(text) <= 40 else short(text)
