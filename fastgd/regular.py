"""What is read is a file: a pipe, a device or a socket is refused by name, and never waited for."""

from __future__ import annotations

import os
import stat
from io import FileIO

from fastgd.errors import DataError

__all__ = ["open_regular"]

KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip


def open_regular(
    path: str | os.PathLike[str], hint: str = "name a file", error: type[DataError] = DataError
) -> FileIO:
    """Open a regular file to read its bytes, unbuffered.

    Parameters
    ----------
    path : path
    hint : str
        What the message advises.
    error : type
        What is raised.

    Raises
    ------
    DataError
        Or ``error``, if it is no regular file.
    OSError
        If there is no such file, or it may not be read.
    """
    # Some devices act when they are opened, and a pipe waits for its other end: hence the look
    # before, and the flag for what takes its place meanwhile.
    _check(path, os.stat(path).st_mode, hint, error)
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags | getattr(os, "O_NONBLOCK", 0)), "rb", buffering=0)
    try:
        _check(path, os.fstat(file.fileno()).st_mode, hint, error)
    except BaseException:
        file.close()
        raise
    return file


def _check(path: str | os.PathLike[str], mode: int, hint: str, error: type[DataError]) -> None:
    if not stat.S_ISREG(mode):
        what = KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise error(f"{os.fspath(path)}: is {what}; {hint}")
