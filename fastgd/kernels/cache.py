"""Compiled kernels on disk, so that a machine compiles each once.

Numba's own cache unpickles, and runs, whatever its folder holds. Here a file is read only where
nobody else could have written it, and begins with a checksum over its key and content: one that is
cut short, damaged or another's counts as none, and is built again. One process compiles a kernel;
others that need it wait for it, not for ever. Where nothing can be written, kernels stay in memory.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from numba import config, njit
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

from fastgd.kernels.compiling import OPTIONS

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["KernelCache", "cached"]

PACKAGE = Path(__file__).parents[1]
DIGEST = hashlib.sha256().digest_size
#: How many kernels a folder keeps, the newest: those of old versions go.
KEPT = 16
#: How long to wait for another process that compiles, in seconds.
WAIT = 600.0


def folders() -> Iterator[Path]:
    """Yield where kernels may lie, whether there or not: what Numba is told, here, the user's."""
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR) / "fastgd"
    yield PACKAGE / "kernels" / "__pycache__" / "compiled"
    named = os.environ.get("FASTGD_CACHE")
    own = Path(named or AppDirs("fastgd", appauthor=False).user_cache_dir)
    if own.is_absolute():  # else there is no home
        yield own / "kernels"


def ours(status: os.stat_result) -> bool:
    """Return whether only those can have written here who may run code in this process anyway."""
    if sys.platform == "win32":  # where what a user keeps is the user's
        return True
    owners = (os.getuid(), 0, PACKAGE.stat().st_uid)
    return status.st_uid in owners and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def trusted(make: bool = False) -> Iterator[Path]:
    """Yield the folders that are ours; make those that are missing."""
    for folder in folders():
        with suppress(OSError):
            if make and not folder.exists():
                folder.parent.mkdir(parents=True, exist_ok=True)
                folder.mkdir(0o755 if PACKAGE in folder.parents else 0o700, exist_ok=True)
            if ours(folder.stat()):
                yield folder


def lock(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; return whether no other process has."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:  # not flock, which a forked child would hold as well
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


class KernelCache(NullCache):
    """What Numba asks for a compiled kernel, and gives it to.

    Parameters
    ----------
    made_of : str
        Stands for all that kernels are made of, except their types and the processor.
    """

    def __init__(self, made_of: str):
        self._made_of = made_of
        self._file: IO[bytes] | None = None

    @property
    def cache_path(self) -> str | None:
        """The folder, or None where there is none."""
        for folder in trusted(make=True):
            if os.access(folder, os.W_OK) or any(folder.glob("*.kernel")):
                return str(folder)
        return None

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Return a kernel that was compiled before, or None: then the caller is to compile it."""
        target_context.refresh()
        key = self._key(sig, target_context.codegen())
        end = time.monotonic() + WAIT
        while (found := self._read(key, target_context)) is None:
            if self._locked(key) or time.monotonic() > end:
                return self._read(key, target_context)  # it may have come just now
            time.sleep(0.05)
        return found

    def save_overload(self, sig: Any, result: CompileResult) -> None:
        """Write a kernel, if it can be."""
        if result.library.has_dynamic_globals:  # addresses of this process
            return
        key = self._key(sig, result.library.codegen)
        content = dumps(result._reduce())
        content = hashlib.sha256(key + content).digest() + content
        for folder in trusted(make=True):
            with suppress(OSError):
                write(folder / name_of(key), content)
                return

    def release(self) -> None:
        """Let other processes compile that kernel."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _key(self, sig: Any, codegen: Any) -> bytes:
        parts = (self._made_of, sys.implementation.cache_tag, str(sig), codegen.magic_tuple())
        return repr(parts).encode()

    def _read(self, key: bytes, target_context: Any) -> CompileResult | None:
        for folder in trusted():
            with suppress(Exception):  # whatever is wrong with a file, it is built again
                with (folder / name_of(key)).open("rb") as file:
                    content = file.read() if ours(os.fstat(file.fileno())) else b""
                digest, content = content[:DIGEST], content[DIGEST:]
                if hashlib.sha256(key + content).digest() == digest:
                    return CompileResult._rebuild(target_context, *pickle.loads(content))
        return None

    def _locked(self, key: bytes) -> bool:
        """Return whether this process is the one to compile that; also where there are no locks."""
        self.release()
        for folder in trusted(make=True):
            with suppress(OSError):
                handle = os.open(
                    (folder / name_of(key)).with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600
                )
                file = os.fdopen(handle, "r+b")
                if not lock(file):
                    file.close()
                    return False
                self._file = file
                return True
        return True


def name_of(key: bytes) -> str:
    """Return the name of a kernel's file."""
    return hashlib.sha256(key).hexdigest()[:32] + ".kernel"


def write(path: Path, content: bytes) -> None:
    """Write a file whole, for its owner to change and all to read; drop the oldest beside it."""
    handle, name = tempfile.mkstemp(prefix=path.stem, dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    with suppress(OSError):
        files = sorted(path.parent.glob("*.kernel"), key=lambda file: file.stat().st_mtime)
        for old in files[:-KEPT]:
            old.unlink()
            old.with_suffix(".lock").unlink(missing_ok=True)


def cached(function: Callable, made_of: str) -> Any:
    """Compile a function, once for each type of arguments on this machine."""
    kernel = njit(**OPTIONS)(function)
    if not hasattr(kernel, "overloads"):  # NUMBA_DISABLE_JIT
        return kernel
    cache = kernel._cache = KernelCache(made_of)
    compile_now = kernel.compile

    def compile_alone(signature: Any) -> Any:
        try:
            return compile_now(signature)
        finally:
            cache.release()

    kernel.compile = compile_alone
    return kernel
