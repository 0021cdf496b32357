"""Zip archives of strangers: nothing is unpacked before its size and its packing are known."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastgd.data.reading import most_bytes, too_large
from fastgd.errors import DataError, SettingError, SettingTypeError

__all__ = ["check_members", "unzipping"]

#: Of these the zipfile module unpacks no more at a time than it is asked for.
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@contextmanager
def unzipping(path: Path, file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; whatever is wrong with it or its members is a one-line DataError."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (DataError, SettingError, SettingTypeError, OSError, MemoryError):
        raise
    except Exception as error:  # damaged bytes reach many lines of zipfile, struct and zlib
        words = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: corrupt archive ({words[:200]})") from error


def check_members(
    path: Path, file: BinaryIO, members: Iterable[zipfile.ZipInfo], max_bytes: int | None
) -> None:
    """Refuse members that cannot be unpacked within the bound.

    Their stated sizes are enough: zipfile unpacks no more of a member than it states.
    """
    total, most = 0, most_bytes(file, max_bytes)
    for member in members:
        if member.flag_bits & 1:
            raise DataError(f"{path}: {member.filename} is encrypted; unpack the archive first")
        if member.compress_type not in PACKINGS:
            raise DataError(
                f"{path}: {member.filename} is packed by method {member.compress_type}; accepted "
                "are 0 (stored) and 8 (deflate); unpack the archive first"
            )
        total += member.file_size
    if total > most:
        raise too_large(path, most)
