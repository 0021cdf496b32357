"""What every reader shares: opening a file, and failures told in one line."""

from __future__ import annotations

import difflib
import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from fastgd.errors import DataError

__all__ = ["did_you_mean", "not_found", "open_binary", "plain", "reading", "short"]


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


def open_binary(path: Path) -> BinaryIO:
    """Open a file to read its bytes, decompressed where they are gzip.

    The content decides, not the name: browsers and archive tools often unpack
    a file and leave its `.gz` on, or the other way round.
    """
    file = path.open("rb")
    try:
        compressed = file.peek(2)[:2] == b"\x1f\x8b"
    except BaseException:
        file.close()
        raise
    if not compressed:
        return file
    file.close()
    return cast(BinaryIO, gzip.open(path, "rb"))


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
