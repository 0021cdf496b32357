"""MNIST from its public mirrors, kept in the user's cache folder."""

from __future__ import annotations

import gzip
import math
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from fastgd.data.dataset import Dataset
from fastgd.data.download import Known, MirrorError, Report, download, sha256_of, writing
from fastgd.data.idx import load_idx
from fastgd.data.reading import open_binary, reading
from fastgd.errors import DataError, SettingError, SettingTypeError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = [
    "MIRRORS",
    "MNIST",
    "cache_folder",
    "download_mnist",
    "fetch_mnist",
    "known_mnist",
    "mnist_folder",
]

#: Where MNIST's files are, as PyTorch's and TensorFlow's downloads have them.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
#: The files as LeCun, Cortes and Burges published them, byte for byte.
MNIST = {
    "train-images-idx3-ubyte.gz": Known(
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte.gz": Known(
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte.gz": Known(
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte.gz": Known(
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}


def fetch_mnist(
    folder: str | PathLike[str] | None = None,
    *,
    mirrors: str | Sequence[str] = MIRRORS,
    progress: bool | Report | None = None,
    timeout: float = 20.0,
    files: Mapping[str, Known] = MNIST,
) -> Dataset:
    """Return MNIST; what is not there yet is downloaded (11.6 MB), once.

    Every file's SHA-256 is checked, each time. A download that broke off goes on where it
    stopped; where a mirror fails, the next one is asked; of several processes at once, one
    downloads and the others wait for it.

    Parameters
    ----------
    folder : path, optional
        Where the files are kept; by default the folder `mnist` in FASTGD_CACHE, or else in
        the user's cache folder: `~/.cache/fastgd` (or below XDG_CACHE_HOME),
        `~/Library/Caches/fastgd` on macOS, `fastgd` below LOCALAPPDATA on Windows. Files
        that are there already may be plain or packed. One that is not MNIST's is downloaded
        again in the cache folder, and never touched in a folder named here.
    mirrors : str or sequence of str
        The http or https addresses the files are below, asked in this order.
    progress : bool or callable, optional
        True shows a bar, False does not, None does on a terminal (stderr). A function is
        called as ``progress(name, n_bytes, size)``.
    timeout : float
        Seconds without an answer (or with under 1 kB a second) before a mirror is given up.
    files : mapping of str to Known
        What is fetched: names, sizes and SHA-256; MNIST's four files.

    Returns
    -------
    Dataset
        As `load_idx` reads it: 60,000 images in X (uint8, (n, 784)), 10,000 in X_test.

    Raises
    ------
    DataError
        If a file cannot be had (says what each mirror said, and what to do without a
        network), is not MNIST's, or the folder cannot be written to.
    TypeError, ValueError
        If an argument is not accepted.

    Examples
    --------
    >>> from fastgd.data import fetch_mnist
    >>> fetch_mnist(mirrors="ftp://example.org/")
    Traceback (most recent call last):
        ...
    fastgd.errors.SettingError: mirrors must be http:// or https:// addresses; got 'ftp://example.org/'
    """
    return load_idx(download_mnist(folder, mirrors, progress, timeout, files))


def download_mnist(
    folder: str | PathLike[str] | None = None,
    mirrors: str | Sequence[str] = MIRRORS,
    progress: bool | Report | None = None,
    timeout: float = 20.0,
    files: Mapping[str, Known] = MNIST,
) -> Path:
    """Return the folder that holds the files, after `fetch_mnist` has seen to that."""
    addresses = _check_mirrors(mirrors)
    if not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
        raise SettingError("timeout", f"must be a number of seconds above 0; got {timeout!r}")
    own = folder is None
    place = cache_folder() / "mnist" if folder is None else Path(folder)
    if not _missing(place, files, own):
        return place
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    with _alone(place), _reporting(progress) as report:
        missing = _missing(place, files, own)  # another process may just have brought them
        for name in missing:
            try:
                source = download(name, files[name], addresses, place, timeout, report)
            except MirrorError as error:
                raise DataError(
                    f"{name} could not be downloaded: {error}. Without a network, put "
                    f"{_listed(missing)} into {place}"
                ) from error
            addresses = [source, *(address for address in addresses if address != source)]
            _drop_others(place, name)
    return place


def mnist_folder() -> Path:
    """Return the folder that "mnist" means, whether or not it is there yet."""
    return known_mnist() or cache_folder() / "mnist"


def known_mnist() -> Path | None:
    """Return the folder of MNIST's files that FASTGD_MNIST names, or None.

    Raises
    ------
    DataError
        If there is no such folder: whoever names one does not want a download.
    """
    named = os.environ.get("FASTGD_MNIST")
    if not named:
        return None
    if not Path(named).is_dir():
        raise DataError(f"FASTGD_MNIST must name a folder of MNIST files; got {named}")
    return Path(named)


def cache_folder() -> Path:
    """Return fastgd's folder for what can be downloaded again; it need not exist.

    FASTGD_CACHE names it; else it is where the system keeps such things. A relative
    XDG_CACHE_HOME counts as none (XDG Base Directory Specification 0.8).
    """
    try:
        if named := os.environ.get("FASTGD_CACHE"):
            return Path(named).expanduser().absolute()
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return Path(local or Path.home() / "AppData" / "Local") / "fastgd"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "fastgd"
        xdg = os.environ.get("XDG_CACHE_HOME", "")
        return Path(xdg if Path(xdg).is_absolute() else Path.home() / ".cache") / "fastgd"
    except RuntimeError as error:
        raise DataError("there is no home folder to keep MNIST in; set FASTGD_CACHE") from error


def _check_mirrors(mirrors: str | Sequence[str]) -> list[str]:
    """Return the addresses, each ending in a slash."""
    given = [mirrors] if isinstance(mirrors, str) else list(mirrors)
    if not given:
        raise SettingError("mirrors", "must name at least one address; got none")
    for address in given:
        if not isinstance(address, str):
            raise SettingTypeError("mirrors", f"must be addresses; got {address!r}")
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SettingError("mirrors", f"must be http:// or https:// addresses; got {address!r}")
    return [address.rstrip("/") + "/" for address in given]


def _missing(folder: Path, files: Mapping[str, Known], own: bool) -> list[str]:
    """Return the names of those that are not there; in a folder of others, none may be wrong."""
    missing = []
    for name, known in files.items():
        with reading(folder):
            path = next((p for p in _spellings(folder, name) if p.is_file()), None)
        if path is None:
            missing.append(name)
        elif not _is(path, known):
            if not own:
                raise DataError(
                    f"{path}: not MNIST's file (its sha256 is another); move it away, or read the "
                    "folder as it is with fastgd.data.load"
                )
            missing.append(name)
    return missing


def _spellings(folder: Path, name: str) -> list[Path]:
    """Return the names a file may have, in the order in which `load_idx` looks for them."""
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    return [folder / spelling for spelling in (plain, dotted, name, f"{dotted}.gz")]


def _is(path: Path, known: Known) -> bool:
    """Return whether a file is the one that is known, as published or packed otherwise."""
    with reading(path):
        if sha256_of(path) == known.sha256:
            return True
        digest = sha256()
        try:
            with open_binary(path) as file:
                for piece in iter(lambda: file.read(1 << 20), b""):
                    digest.update(piece)
        except (gzip.BadGzipFile, EOFError, zlib.error, DataError):
            return False
        return digest.hexdigest() == known.content


def _drop_others(folder: Path, name: str) -> None:
    """Remove other spellings of a file: they were wrong, and would be read instead of it."""
    with writing(folder):
        for path in _spellings(folder, name):
            if path.name != name:
                path.unlink(missing_ok=True)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process downloads to the folder, and keep others waiting.

    The lock is the system's: it goes with the process that holds it, however that ends.
    """
    with writing(folder):
        file = (folder / ".lock").open("ab")
    with file:
        with suppress(OSError):  # a file system without locks: sha256 still finds what went wrong
            while not _lock(file):
                time.sleep(0.05)
        yield


def _lock(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; return whether no other process has."""
    if sys.platform == "win32":
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
    else:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextmanager
def _reporting(progress: bool | Callable[[str, int, int], None] | None) -> Iterator[Report]:
    """Return what to call with the progress: the given function, a bar's, or nothing."""
    if callable(progress):
        yield progress
        return
    if progress is None:
        progress = sys.stderr is not None and sys.stderr.isatty()
    if not progress:
        yield lambda name, n_bytes, size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("MNIST", total=None)
        yield lambda name, n_bytes, size: bar.update(
            task, description=name, completed=n_bytes, total=size
        )
