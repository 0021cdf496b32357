"""Tables that are packed: text in gzip or zip, and files that pandas and pyarrow read whole."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from fastgd.data.archives import check_members, unzipping
from fastgd.data.reading import PIECE, most_bytes, open_binary, reading, too_large
from fastgd.errors import DataError, MissingExtraError
from fastgd.regular import open_regular

__all__ = ["BINARY", "content_of", "is_packed"]

ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # the second has no members
#: The rows of a Parquet file that are unpacked together.
ROWS = 1 << 14


def is_packed(path: Path) -> bool:
    """Whether a file is gzip or zip: its first bytes say so, not its name."""
    with open_regular(path) as file:
        return file.read(4).startswith((*ZIP, b"\x1f\x8b"))


def content_of(path: Path, max_bytes: int | None) -> bytes:
    """Return the bytes of a text file, unpacked."""
    with reading(path):
        with io.BufferedReader(open_regular(path)) as file:
            if file.peek(4).startswith(ZIP):
                return _zipped(path, file, max_bytes)
        content = io.BytesIO()
        with open_binary(path, max_bytes) as unpacked:
            while piece := unpacked.read(PIECE):
                content.write(piece)
        return content.getvalue()


def _zipped(path: Path, file: BinaryIO, max_bytes: int | None) -> bytes:
    """Return the only file of a zip archive."""
    with unzipping(path, file) as archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
        files = [info for info in files if not info.filename.startswith("__MACOSX")]
        if len(files) != 1:
            raise DataError(f"{path}: holds {len(files)} files; expected one table")
        check_members(path, file, files, max_bytes)
        return archive.read(files[0])


def _parquet(path: Path, file: BinaryIO, most: int) -> Any:
    """Read Parquet some rows at a time: a few bytes may stand for any number of them."""
    from pyarrow import Table
    from pyarrow.parquet import ParquetFile

    parquet = ParquetFile(file)
    about = parquet.metadata
    if max(about.num_rows, 0) * about.num_columns > most:  # a byte for each cell, at least
        raise too_large(path, most)
    batches, size = [], 0
    for batch in parquet.iter_batches(ROWS):
        size += batch.nbytes
        if size > most:
            raise too_large(path, most)
        batches.append(batch)
    return _checked(Table.from_batches(batches, parquet.schema_arrow))


def _feather(path: Path, file: BinaryIO, most: int) -> Any:
    from pyarrow.feather import read_table

    return _checked(read_table(file))


def _checked(table: Any) -> Any:
    """Return a frame, after a look at every offset and text: pyarrow trusts those of files."""
    table.validate(full=True)
    return table.to_pandas()


def _xlsx(path: Path, file: BinaryIO, most: int) -> Any:
    with unzipping(path, file) as archive:
        check_members(path, file, archive.infolist(), most)
    file.seek(0)
    return pd.read_excel(file)


def _reader(read: Callable[[Path, BinaryIO, int], Any], needs: str) -> Any:
    """Return what reads a file, as a frame with its checksum, in one way for all kinds."""

    def reader(path: Path, max_bytes: int | None) -> tuple[Any, str]:
        with reading(path), io.BufferedReader(open_regular(path)) as file:
            most, crc = most_bytes(file, max_bytes), 0
            while piece := file.read(PIECE):
                crc = zlib.crc32(piece, crc)
            file.seek(0)
            try:
                return read(path, file, most), f"{crc:08x}"
            except ImportError as error:
                raise MissingExtraError(
                    f"reading {path.name} needs {needs}: pip install {needs}"
                ) from error
            except DataError:
                raise
            except Exception as error:  # of pandas, pyarrow and openpyxl, who document none
                words = " ".join(str(error).split())
                raise DataError(f"{path}: cannot be read: {words[:500]}") from error

    return reader


#: What reads a file that is no text, by what its name ends in.
BINARY = {
    ".parquet": _reader(_parquet, "pyarrow"),
    ".feather": _reader(_feather, "pyarrow"),
    ".xlsx": _reader(_xlsx, "openpyxl"),
}
