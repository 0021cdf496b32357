"""How fastgd writes files: whole or not at all, whatever happens meanwhile.

The content goes to a sibling with a name of its own, to the disk (fsync), and only then takes the
target's name (rename, and fsync of the folder): at every moment the old file or the new one is
there. The sibling is locked for as long as its process lives, so that the next write in the folder
can tell what a process that was killed has left, and removes it. docs/files.md says what is kept
of the file that was there.
"""

from __future__ import annotations

import _thread
import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from fastgd.errors import WriteError
from fastgd.visible import visible

if sys.platform != "win32":
    import fcntl

__all__ = [
    "StrPath",
    "append_whole",
    "check_target",
    "move_into_place",
    "stream_of",
    "write_whole",
]

StrPath = str | os.PathLike[str]
Pieces = Iterable[bytes | memoryview]

#: What is asked of the system at a time; between pieces a write can be given up.
PIECE = 1 << 24
SCRATCH = re.compile(r"\.fastgd-[0-9a-f]{16}\.tmp")
#: Names of a stream that is open already, on Linux and macOS.
DESCRIPTOR = re.compile(rf"/dev/fd/(\d+)|/proc/(?:self|thread-self|{os.getpid()})/fd/(\d+)")
#: What a folder answers that cannot be synchronised, or that may not be read.
NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOSYS}
KEPT = "what was there is as it was"


def write_whole(path: StrPath, content: bytes | Pieces) -> None:
    """Write a file, whole or not at all; a pipe or a character device is written to directly.

    Ctrl-C gives the write up, unless it is done: a second one does not wait for that.

    Parameters
    ----------
    path : path
    content : bytes, or an iterable of them
        Taken from in another thread.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such folder, or the path is one.
    WriteError
        If it cannot be written: no permission, a full disk, a file that is read-only.
    """
    pieces = (content,) if isinstance(content, bytes) else content
    stream = stream_of(path)
    if stream is not None:
        for text in (sys.stdout, sys.stderr):  # what was printed before comes before
            with suppress(AttributeError, OSError, ValueError):
                text.flush()
        _undisturbed(path, lambda job: _write(stream, pieces, job))
        return
    target = check_target(path)
    if target.exists() and not target.is_file():
        _undisturbed(path, lambda job: _pour(target, pieces, job))
    else:
        _undisturbed(path, lambda job: _replace(target, pieces, job))


def append_whole(path: StrPath, content: bytes) -> None:
    """Add to the end of a file, all of it or nothing.

    Raises
    ------
    WriteError
        If that cannot be.
    """

    new = not os.path.exists(path)

    def append(job: _Job) -> None:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _CLOEXEC | _BINARY, 0o666)
        try:
            size = os.fstat(file).st_size
            try:
                _write(file, (content,), job)
            except BaseException:
                with suppress(OSError):  # a pipe cannot be cut
                    os.ftruncate(file, size)
                    if new:
                        os.unlink(path)
                raise
        finally:
            os.close(file)

    _undisturbed(path, append)


def move_into_place(source: StrPath, target: StrPath) -> None:
    """Give a file that is complete another name in its folder, so that it outlasts a power loss.

    Raises
    ------
    OSError
        If that cannot be.
    """
    file = os.open(source, os.O_RDWR | _CLOEXEC | _BINARY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(source, target)
    _sync_folder(Path(target).parent)


def check_target(path: StrPath) -> Path:
    """Return the file that a path leads to, at the end of its links, if it can be written.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, WriteError
        As `write_whole` does.
    """
    if not os.fspath(path):
        raise FileNotFoundError("the path is empty; name a file")
    target = Path(os.path.realpath(path))  # a link stays one
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            folder = visible(target.parent)
            raise FileNotFoundError(f"the folder {folder} does not exist") from None
        return target
    except OSError as error:
        raise WriteError(error.errno, error.strerror, str(path)) from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{visible(target)} is a folder; name a file in it")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        raise WriteError(errno.EINVAL, "is not a regular file; name another", str(path))
    if not mode & 0o222 or not os.access(target, os.W_OK):  # root may write all
        raise WriteError(errno.EACCES, f"is read-only; {KEPT}", str(path))
    return target


def stream_of(path: StrPath) -> int | None:
    """Return the stream that a path such as /dev/stdout names, also through links.

    Opened by its name, a redirected file would begin anew.
    """
    name = os.fspath(path)
    for _ in range(40):
        if sys.platform != "win32" and (found := DESCRIPTOR.fullmatch(os.path.abspath(name))):
            return int(found[1] or found[2])
        if not os.path.islink(name):
            break
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    return None


# ----------------------------------------------------------------------------- one thread for it


class _GivenUp(Exception):
    """Nobody waits for this write any more."""


class _Job:
    """Work for a thread of its own, and how far it is."""

    def __init__(self, work: Callable[[_Job], None]):
        self.work = work
        self.error: BaseException | None = None
        self.stop = self.begun = self.ended = False
        self.done = _thread.allocate_lock()
        self.done.acquire()

    def run(self) -> None:
        self.begun = True
        try:
            if not self.stop:
                self.work(self)
        except BaseException as error:
            self.error = error
        finally:
            self.ended = True
            self.done.release()


def _undisturbed(path: StrPath, work: Callable[[_Job], None]) -> None:
    """Do work in a thread of its own, where no signal interrupts it between two steps.

    What its steps say of `path` becomes a `WriteError`. The thread is a bare one, for Ctrl-C may
    come between any two steps of `threading`, too, and leave its locks closed.
    """
    job = _Job(work)
    try:
        try:
            _thread.start_new_thread(job.run, ())
        except RuntimeError:  # there is no thread to be had
            job.run()
        job.done.acquire()
    except BaseException:
        job.stop = True
        # If it has not begun, it will see that it is to stop, should it begin at all.
        if job.begun and not job.ended:
            job.done.acquire()
        raise
    error = job.error
    if isinstance(error, OSError) and not isinstance(error, WriteError | BrokenPipeError):
        words = f"{error.strerror or error}"
        if os.path.isfile(path):
            words += f"; {KEPT}"
        raise WriteError(error.errno or errno.EIO, words, os.fspath(path)) from error
    if error is not None:
        raise error


def _write(file: int, pieces: Pieces, job: _Job) -> None:
    for piece in pieces:
        rest = memoryview(piece).cast("B")
        while len(rest):
            if job.stop:
                raise _GivenUp
            written = os.write(file, rest[:PIECE])
            if written <= 0:
                raise OSError(errno.EIO, "nothing could be written")
            rest = rest[written:]


def _pour(target: Path, pieces: Pieces, job: _Job) -> None:
    """Write to a named pipe that somebody reads, or to a device."""
    try:
        file = os.open(target, os.O_WRONLY | _CLOEXEC | getattr(os, "O_NONBLOCK", 0) | _NOCTTY)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise WriteError(error.errno, "is a pipe that nobody reads", str(target)) from error
        raise
    try:
        if hasattr(os, "set_blocking"):
            os.set_blocking(file, True)
        _write(file, pieces, job)
    finally:
        os.close(file)


# ------------------------------------------------------------------------- the sibling, the rename

_CLOEXEC, _BINARY = getattr(os, "O_CLOEXEC", 0), getattr(os, "O_BINARY", 0)
_NOCTTY, _NOFOLLOW = getattr(os, "O_NOCTTY", 0), getattr(os, "O_NOFOLLOW", 0)


def _replace(target: Path, pieces: Pieces, job: _Job) -> None:
    """Write beside a regular file, or where none is, and take its name."""
    _clear(target.parent)
    old = os.stat(target) if target.exists() else None
    # A new file has the permissions the system gives it; what replaces one that others may not
    # read is never theirs to read.
    file, scratch = _scratch(target.parent, 0o666 if old is None else 0o600)
    try:
        try:
            _write(file, pieces, job)
            if old is not None:
                _take_over(file, target, old)
            os.fsync(file)
            if sys.platform != "win32":  # there an open file keeps its name
                _rename(scratch, target, job)
        finally:
            os.close(file)
        if sys.platform == "win32":
            _rename(scratch, target, job)
    except BaseException:
        with suppress(OSError):
            os.unlink(scratch)
        raise
    try:
        _sync_folder(target.parent)
    except OSError as error:
        words = f"written, but it may not outlast a power loss: {error.strerror or error}"
        raise WriteError(error.errno or errno.EIO, words, str(target)) from error


def _rename(scratch: str, target: Path, job: _Job) -> None:
    if job.stop:
        raise _GivenUp
    os.replace(scratch, target)


def _scratch(folder: Path, mode: int) -> tuple[int, str]:
    """Open a new file in a folder, locked."""
    for _ in range(100):
        name = str(folder / f".fastgd-{secrets.token_hex(8)}.tmp")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOEXEC | _BINARY | _NOFOLLOW
        try:
            file = os.open(name, flags, mode)
        except FileExistsError:
            continue
        # Between the two lines another process may have taken it for one that was left.
        if _lock(file) and os.fstat(file).st_nlink:
            return file, name
        os.close(file)
    raise OSError(errno.EEXIST, "no name is free for a temporary file")


def _lock(file: int) -> bool:
    """Lock a file until it is closed; return whether nobody else has."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            pass
    return True


def _clear(folder: Path) -> None:
    """Remove what writes that were killed have left in a folder."""
    if sys.platform == "win32":
        return
    with suppress(OSError):  # a folder that may not be listed
        left = [entry.path for entry in os.scandir(folder) if SCRATCH.fullmatch(entry.name)]
        for name in left:
            with suppress(OSError):  # somebody writes it, it is another's, or gone
                file = os.open(name, os.O_RDWR | _CLOEXEC | _NOFOLLOW | os.O_NONBLOCK)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(name)
                finally:
                    os.close(file)


def _take_over(file: int, target: Path, old: os.stat_result) -> None:
    """Give a new file the owner, permissions and extended attributes of the one it replaces."""
    if not hasattr(os, "fchown"):
        return
    mode = stat.S_IMODE(old.st_mode)
    new = os.fstat(file)
    if new.st_uid != old.st_uid:
        try:
            os.fchown(file, old.st_uid, -1)
        except OSError:  # only root gives files away
            mode &= 0o777
    if new.st_gid != old.st_gid:
        try:
            os.fchown(file, -1, old.st_gid)
        except OSError:  # another group may do what everybody may
            mode = mode & 0o707 | (mode & 0o007) << 3
    os.fchmod(file, mode)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(target):
                with suppress(OSError):
                    os.setxattr(file, name, os.getxattr(target, name))


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can say so."""
    if sys.platform == "win32":
        return
    try:
        file = os.open(folder, os.O_RDONLY | _CLOEXEC)
    except OSError:  # it may not be read
        return
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(file)
