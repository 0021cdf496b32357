"""One file from several mirrors: checked, resumed, and whole or not there at all.

What has arrived lies in `name.part` beside the file, so that a download that broke off goes
on where it stopped, from another mirror too (HTTP range requests, RFC 9110, section 14). The
file gets its name only once its sha256 is right.

By hand, not by pooch: that has one address for a file, resumes nothing, and bounds neither what
arrives nor how slowly.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from fastgd.errors import DataError
from fastgd.writing import move_into_place

if TYPE_CHECKING:
    from http.client import HTTPResponse

__all__ = ["Known", "MirrorError", "download", "sha256_of", "writing"]

#: How often one mirror is asked for a file before the next one is.
ATTEMPTS = 4
#: Slower than this, in bytes a second over the time-out, is as good as nothing.
SLOWEST = 1000
_PIECE = 1 << 16

#: Called with the file's name, the bytes that are there, and the bytes there will be.
Report = Callable[[str, int, int], None]


class Known(NamedTuple):
    """What is known of a gzip file before it is here.

    Attributes
    ----------
    size : int
        Its bytes.
    sha256 : str
        The SHA-256 of the file, hexadecimal.
    content : str
        The SHA-256 of what it unpacks to.
    """

    size: int
    sha256: str
    content: str


class MirrorError(Exception):
    """What one mirror did wrong, in a few words."""


def download(
    name: str, known: Known, mirrors: Iterable[str], folder: Path, timeout: float, report: Report
) -> str:
    """Bring `folder / name` here from the first mirror that has it.

    Parameters
    ----------
    name : str
        The file's name, in the folder and at every mirror.
    known : Known
    mirrors : iterable of str
        The addresses it is below, each with a slash at the end.
    folder : Path
    timeout : float
        Seconds without an answer, or with next to none, after which a mirror is given up.
    report : callable
        ``report(name, n_bytes, size)``, as bytes arrive.

    Returns
    -------
    str
        The mirror it came from.

    Raises
    ------
    MirrorError
        If no mirror has it: what each one said.
    DataError
        If the folder cannot be written to.
    """
    part = folder / f"{name}.part"
    said = []
    for mirror in mirrors:
        try:
            _from_mirror(mirror + name, part, known, timeout, lambda n: report(name, n, known.size))
        except MirrorError as error:
            said.append(f"{urlsplit(mirror).netloc} {error}")
        else:
            with writing(folder):
                move_into_place(part, folder / name)
            return mirror
    raise MirrorError("; ".join(said))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the system says of writing to `folder` into a one-line DataError."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{folder}: cannot be written to ({why}); name another folder") from error


def _from_mirror(
    url: str, part: Path, known: Known, timeout: float, report: Callable[[int], None]
) -> None:
    """Complete `part` from one mirror.

    It is asked again where it sent something and broke off, and where the bytes may be wrong
    because of those that were there before.
    """
    for last in [False] * (ATTEMPTS - 1) + [True]:
        start = _start(part, known.size)
        try:
            own = start if start == known.size else _receive(url, part, start, known.size, timeout,
                                                             report)  # fmt: skip
        except MirrorError as error:
            if last or _size(part) <= start or isinstance(error.__cause__, _TooSlow):
                raise
            continue
        with writing(part.parent):
            found = sha256_of(part)
            if found == known.sha256:
                return
            part.unlink()
        if last or own == 0:  # all of these bytes are this mirror's
            raise MirrorError(f"sent another file (sha256 {found[:8]}..., {known.sha256[:8]}... "
                              "expected)")  # fmt: skip


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _start(part: Path, size: int) -> int:
    """Return how many bytes are there to go on from; more than the file has are dropped."""
    there = _size(part)
    if there > size:
        with writing(part.parent):
            part.unlink()
        return 0
    return there


def _receive(
    url: str, part: Path, start: int, size: int, timeout: float, report: Callable[[int], None]
) -> int:
    """Append to `part` what is missing; return from which byte on it is this mirror's."""
    response = _ask(url, start, timeout)
    with response:
        if response.status != 206:
            start = 0  # it ignores ranges, and sends all
        offered = response.headers.get("Content-Length", "")
        if offered.isdigit() and int(offered) != size - start:
            raise MirrorError(f"offers {start + int(offered):,} bytes, not {size:,}")
        with writing(part.parent):
            file = part.open("ab" if start else "wb")
        done = start
        try:
            for piece in _pieces(response, timeout):
                if done + len(piece) > size:
                    raise MirrorError(f"sends more than {size:,} bytes")
                with writing(part.parent):
                    file.write(piece)
                    file.flush()
                done += len(piece)
                report(done)
        finally:
            with writing(part.parent):
                file.close()
    if done < size:
        raise MirrorError(f"stopped after {done:,} of {size:,} bytes")
    return start


def _ask(url: str, start: int, timeout: float) -> HTTPResponse:
    """Ask for a file from byte `start` on; from the first, where a mirror cannot do that."""
    from http.client import HTTPException  # here: with ssl they take a while to import
    from urllib.error import HTTPError
    from urllib.request import Request

    headers = {"User-Agent": "fastgd"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = _opener().open(Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        error.close()
        if start and error.code == 416:  # it has no such bytes
            return _ask(url, 0, timeout)
        why = str(error.reason).splitlines()[:1]
        raise MirrorError(" ".join([f"answered {error.code}", *why])) from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: it redirects to no address
        raise MirrorError(_in_words("cannot be reached", error, timeout)) from error
    sent = response.headers.get("Content-Range", "")
    if response.status == 206 and not sent.startswith(f"bytes {start}-"):
        response.close()
        if start:
            return _ask(url, 0, timeout)
        raise MirrorError(f"sent other bytes than it was asked for ({sent!r})")
    return response


class _TooSlow(OSError):
    """A server sends next to nothing; the text says how little."""


class _Watched(RawIOBase):
    """What a server sends, headers and all, for as long as it does so at a sensible speed."""

    def __init__(self, raw: RawIOBase, timeout: float):
        self.raw, self.timeout = raw, timeout
        self.since, self.received = time.monotonic(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n = self.raw.readinto(buffer) or 0
        self.received += n
        seconds = time.monotonic() - self.since
        if seconds > self.timeout:
            if self.received < SLOWEST * seconds:
                raise _TooSlow(f"is too slow ({self.received:,} bytes in {seconds:.2g} s)")
            self.since, self.received = time.monotonic(), 0
        return n

    def close(self) -> None:
        self.raw.close()
        super().close()


@cache
def _opener() -> Any:
    """Return what asks mirrors: it watches their speed, and follows them to http and https only."""
    from http.client import HTTPResponse
    from urllib.error import HTTPError
    from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, build_opener

    class Response(HTTPResponse):
        def __init__(self, sock: Any, *args: Any, timeout: float, **options: Any):
            super().__init__(sock, *args, **options)
            self.fp = BufferedReader(_Watched(self.fp.detach(), timeout))

    def watched(connection: Any) -> Any:
        def make(host: str, timeout: float, **options: Any) -> Any:
            made = connection(host, timeout=timeout, **options)
            made.response_class = partial(Response, timeout=timeout)
            return made

        return make

    class Plain(HTTPHandler):
        def do_open(self, http_class: Any, req: Any, **options: Any) -> Any:
            return super().do_open(watched(http_class), req, **options)

    class Secure(HTTPSHandler):
        def do_open(self, http_class: Any, req: Any, **options: Any) -> Any:
            return super().do_open(watched(http_class), req, **options)

    class Redirects(HTTPRedirectHandler):
        def redirect_request(
            self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
        ) -> Any:
            scheme = urlsplit(newurl).scheme
            if scheme not in ("http", "https"):
                raise HTTPError(newurl, code, f"and leads to {scheme}://", headers, fp)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    return build_opener(Plain, Secure, Redirects)


def _pieces(response: HTTPResponse, timeout: float) -> Iterator[bytes]:
    """Yield the body as it arrives."""
    from http.client import HTTPException

    while True:
        try:
            piece = response.read1(_PIECE)
        except (OSError, HTTPException) as error:
            raise MirrorError(_in_words("broke off", error, timeout)) from error
        if not piece:
            return
        yield piece


def _in_words(what: str, error: BaseException, timeout: float) -> str:
    """Say in a few words what happened with a mirror, and why."""
    reason = getattr(error, "reason", None)  # where urllib wraps it
    if isinstance(reason, BaseException):
        error = reason
    if isinstance(error, _TooSlow):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"sent nothing for {timeout:g} s"
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{what} ({' '.join(str(why).split())})"
