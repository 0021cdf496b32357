"""MNIST from mirrors that fail in every way: a real server on loopback, and no network."""

from __future__ import annotations

import gzip
import io
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd import data
from fastgd.data import fetch
from fastgd.data.download import Known
from fastgd.errors import DataError

RNG = np.random.default_rng(4)
IMAGES = RNG.integers(0, 256, (60, 6, 5), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 60).astype(np.uint8)
N_TEST = 10


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


PLAIN = {
    "train-images-idx3-ubyte.gz": idx(IMAGES),
    "train-labels-idx1-ubyte.gz": idx(LABELS),
    "t10k-images-idx3-ubyte.gz": idx(IMAGES[:N_TEST]),
    "t10k-labels-idx1-ubyte.gz": idx(LABELS[:N_TEST]),
}
PACKED = {name: gzip.compress(content, mtime=0) for name, content in PLAIN.items()}
FILES = {
    name: Known(len(packed), sha256(packed).hexdigest(), sha256(PLAIN[name]).hexdigest())
    for name, packed in PACKED.items()
}
FIRST = "train-images-idx3-ubyte.gz"
HALF = len(PACKED[FIRST]) // 2


class Handler(BaseHTTPRequestHandler):
    """The first part of the path says how this mirror behaves."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        _, how, name = self.path.split("/")
        asked = self.headers.get("Range")
        with self.server.lock:
            self.server.log.append((how, name, asked))
        self.close_connection = True
        getattr(self, f"send_{how}")(PACKED[name], int(asked[6:-1]) if asked else 0)

    def send_all(self, status, body, headers=(), length=None):
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        if length != "none":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def send_good(self, body, start):
        if not start:
            return self.send_all(200, body)
        where = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self.send_all(206, body[start:], [("Content-Range", where)])

    def send_missing(self, body, start):
        self.send_all(404, b"no such thing")

    def send_broken(self, body, start):
        self.send_all(500, b"")

    def send_forgetful(self, body, start):
        """Know nothing of ranges."""
        self.send_all(200, body)

    def send_closes(self, body, start):
        """Close in the middle, the first time."""
        if start:
            return self.send_good(body, start)
        return self.send_all(200, body[: len(body) // 2], length=len(body))

    def send_closes_always(self, body, start):
        self.send_all(200, body[: len(body) // 2], length=len(body))

    def send_cuts(self, body, start):
        """Send half, and call that everything."""
        self.send_all(200, body[: len(body) // 2])

    def send_cuts_unsaid(self, body, start):
        self.send_all(200, body[: len(body) // 2], length="none")

    def send_unsaid(self, body, start):
        self.send_all(200, body, length="none")

    def send_wrong(self, body, start):
        self.send_good(bytes(len(body)), start)

    def send_endless(self, body, start):
        self.send_all(200, 2 * body, length="none")

    def send_other_range(self, body, start):
        """Send from the first byte whatever is asked for, and say so."""
        where = [("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")]
        self.send_all(206 if start else 200, body, where if start else ())

    def send_no_range(self, body, start):
        self.send_all(416, b"") if start else self.send_all(200, body)

    def send_redirects(self, body, start):
        location = self.path.replace("redirects", "good")
        self.send_all(302, b"", [("Location", location)])

    def send_circles(self, body, start):
        self.send_all(302, b"", [("Location", self.path)])

    def send_silent(self, body, start):
        self.server.over.wait(30)

    def send_stops(self, body, start):
        """Send half, then nothing, and keep the connection."""
        if start:
            return self.send_good(body, start)
        self.send_all(200, body[: len(body) // 2], length=len(body))
        self.wfile.flush()
        return self.server.over.wait(30)

    def send_drips(self, body, start):
        self.send_all(200, b"", length=len(body))
        self.drip(body)

    def send_drips_headers(self, body, start):
        """Begin an answer, and never come to its end."""
        self.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Wait: and see\r\n" * 90)

    def send_drips_lengths(self, body, start):
        """Begin a chunk, and never come to the end of its length."""
        self.send_all(200, b"", [("Transfer-Encoding", "chunked")], length="none")
        self.drip(b"0" * 10_000)

    def drip(self, what):
        for i in range(len(what)):
            self.wfile.write(what[i : i + 1])
            if self.server.over.wait(0.02):
                break

    def send_to_ftp(self, body, start):
        self.send_all(302, b"", [("Location", "ftp://127.0.0.1/file")])

    def send_to_file(self, body, start):
        self.send_all(302, b"", [("Location", "file:///etc/passwd")])

    def send_to_nowhere(self, body, start):
        self.send_all(302, b"", [("Location", "http://[::bad/")])

    def send_to_no_scheme(self, body, start):
        self.send_all(302, b"", [("Location", "gopher+x:what")])

    def send_chunks(self, body, start, n=None):
        """Send pieces, each with its length: nobody knows the length of all."""
        self.send_all(200, b"", [("Transfer-Encoding", "chunked")], length="none")
        for i in range(0, len(body[:n]), 100):
            piece = body[i : i + 100]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if n is None:
            self.wfile.write(b"0\r\n\r\n")

    def send_chunks_cut(self, body, start):
        self.send_chunks(body, start, 200)

    def send_resets(self, body, start):
        """Send half, and hang up with what TCP has for accidents."""
        self.send_all(200, body[: len(body) // 2], length=len(body))
        self.wfile.flush()
        time.sleep(0.05)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def send_slow(self, body, start):
        time.sleep(0.1)
        self.send_good(body, start)

    def send_nonsense(self, body, start):
        self.wfile.write(b"hello, this is no HTTP\r\n\r\n")

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.log, self.lock, self.over = [], threading.Lock(), threading.Event()

    def mirror(self, how: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{how}"

    def handle_error(self, request, client_address):
        pass  # a client that has gone away is what is tested


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    """Ask no proxy, and keep nothing outside of the test."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("FASTGD_MNIST", raising=False)
    monkeypatch.setenv("FASTGD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def get(server):
    """A function that fetches the files from mirrors that behave in the given ways."""

    def get(*ways: str, folder=None, timeout=5.0, **kwargs):
        mirrors = [way if "://" in way else server.mirror(way) for way in ways]
        return fetch.fetch_mnist(folder, mirrors=mirrors, timeout=timeout, files=FILES, **kwargs)

    return get


def closed_port() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/refused"


def check(mnist: data.Dataset) -> None:
    np.testing.assert_array_equal(mnist.X, IMAGES.reshape(60, 30))
    np.testing.assert_array_equal(mnist.y, LABELS)
    np.testing.assert_array_equal(mnist.X_test, IMAGES[:N_TEST].reshape(-1, 30))
    np.testing.assert_array_equal(mnist.y_test, LABELS[:N_TEST])


def parts(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.part*")]


# ------------------------------------------------------------------------------- all is well


def test_files_are_fetched_once(get, server, tmp_path):
    mnist = get("good")
    check(mnist)
    folder = tmp_path / "cache" / "mnist"
    assert (mnist.name, mnist.kind, mnist.image_shape) == ("mnist", "idx", (6, 5))
    assert {name: (folder / name).read_bytes() for name in FILES} == PACKED
    assert parts(folder) == []
    assert server.log == [("good", name, None) for name in FILES]
    check(get("missing"))  # all is there: nobody is asked
    check(get(closed_port()))
    assert len(server.log) == 4


def test_a_folder_of_the_user_s(get, tmp_path):
    check(get("good", folder=str(tmp_path / "a" / "b")))
    check(data.load(tmp_path / "a" / "b"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "how", ["redirects", "unsaid", "chunks", "forgetful", "no_range", "other_range"]
)
def test_servers_with_ways_of_their_own(get, how):
    check(get(how))


def test_progress_is_told(get, server):
    seen = []
    get("closes", progress=lambda *args: seen.append(args))
    for name, known in FILES.items():
        counts = [n for told, n, size in seen if told == name and size == known.size]
        assert counts == sorted(counts) and counts[-1] == known.size


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal_only(get, monkeypatch, capsys, tmp_path):
    get("good")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    get("good", folder=tmp_path / "quiet", progress=False)
    assert sys.stderr.getvalue() == ""
    get("good", folder=tmp_path / "loud")
    assert "t10k-labels" in sys.stderr.getvalue()
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------ a mirror that fails

FAILURES = {
    "missing": "answered 404 Not Found",
    "broken": "answered 500 Internal Server Error",
    "closes_always": f"stopped after {HALF:,} of {2 * HALF:,}",
    "cuts": f"offers {HALF:,} bytes, not",
    "cuts_unsaid": f"stopped after {HALF:,} of",
    "chunks_cut": "broke off (IncompleteRead(",
    "resets": "broke off (Connection reset by peer)",
    "wrong": "sent another file (sha256",
    "endless": f"sends more than {len(PACKED[FIRST]):,} bytes",
    "circles": "answered 302 The HTTP server returned a redirect error",
    "silent": "sent nothing for 0.4 s",
    "drips": "is too slow (",
    "drips_headers": "is too slow (",
    "drips_lengths": "is too slow (",
    "to_ftp": "answered 302 ",
    "to_file": "answered 302 ",
    "to_nowhere": "cannot be reached (",
    "to_no_scheme": "answered 302 ",
    "nonsense": "cannot be reached (",
    "refused": "cannot be reached (Connection refused)",
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_mirror_that_fails(get, server, how, tmp_path, refusal):
    way = closed_port() if how == "refused" else how
    folder = tmp_path / "f"
    message = refusal(get, way, folder=folder, timeout=0.4)
    expected = FAILURES[how].replace(f"{2 * HALF:,}", f"{len(PACKED[FIRST]):,}")
    assert message.startswith(f"{FIRST} could not be downloaded: 127.0.0.1:")
    assert expected in message, message
    assert f"Without a network, put {FIRST}, train-labels" in message
    assert message.endswith(f"t10k-labels-idx1-ubyte.gz into {folder}")
    assert not (folder / FIRST).exists()

    server.log.clear()
    check(get(way, "good", folder=folder, timeout=0.4))
    assert parts(folder) == []
    names = [name for asked, name, _ in server.log if asked == how]
    assert set(names) <= {FIRST}  # the mirror that works is asked first from then on


def test_every_mirror_is_heard(get, refusal):
    message = refusal(get, "missing", closed_port(), "wrong", "broken")
    said = message.split(": ", 1)[1].split(". Without")[0].split("; ")
    assert [words.split(" ", 1)[1][:12] for words in said] == [
        "answered 404", "cannot be re", "sent another", "answered 500",
    ]  # fmt: skip


def test_offline(get, monkeypatch, refusal, tmp_path):
    def no_name(*args, **kwargs):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    message = refusal(fetch.fetch_mnist, progress=False)
    assert "ossci-datasets.s3.amazonaws.com cannot be reached (Temporary failure in" in message
    assert "storage.googleapis.com cannot be reached (" in message
    assert message.endswith(f"into {tmp_path / 'cache' / 'mnist'}")
    with pytest.raises(DataError, match="could not be downloaded"):
        data.load("mnist")


# -------------------------------------------------------------------------------- resuming


def test_it_goes_on_where_a_mirror_stopped(get, server):
    check(get("closes"))
    for name, packed in PACKED.items():
        asked = [(how, again) for how, which, again in server.log if which == name]
        assert asked == [("closes", None), ("closes", f"bytes={len(packed) // 2}-")]


def test_it_goes_on_with_another_mirror(get, server):
    check(get("closes_always", "good"))
    assert ("good", FIRST, f"bytes={HALF}-") in server.log


def test_it_goes_on_after_a_stall(get, server):
    check(get("stops", timeout=0.3))
    assert ("stops", FIRST, f"bytes={HALF}-") in server.log


@pytest.mark.parametrize("how", ["good", "forgetful", "no_range", "other_range"])
@pytest.mark.parametrize("size", [1, HALF, len(PACKED[FIRST]), 10 * len(PACKED[FIRST])])
def test_garbage_from_before(get, how, size, tmp_path):
    (tmp_path / f"{FIRST}.part").write_bytes(b"?" * size)
    check(get(how, folder=tmp_path))
    assert parts(tmp_path) == []


@pytest.mark.parametrize("n", [1, HALF, len(PACKED[FIRST])])
def test_the_right_bytes_from_before(get, server, n, tmp_path):
    (tmp_path / f"{FIRST}.part").write_bytes(PACKED[FIRST][:n])
    check(get("good", folder=tmp_path))
    asked = [again for _, name, again in server.log if name == FIRST]
    assert asked == ([] if n == len(PACKED[FIRST]) else [f"bytes={n}-"])


def test_wrong_bytes_are_not_kept(get, tmp_path, refusal):
    refusal(get, "wrong", folder=tmp_path)
    assert parts(tmp_path) == [] and not (tmp_path / FIRST).exists()


# ------------------------------------------------------------------------- what is there already


def test_a_damaged_file_in_the_cache_is_replaced(get, server, tmp_path):
    get("good")
    server.log.clear()
    folder = tmp_path / "cache" / "mnist"
    (folder / FIRST).write_bytes(PACKED[FIRST][:-1])
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"would be read first")
    check(get("good"))
    assert [name for _, name, _ in server.log] == [FIRST, "t10k-labels-idx1-ubyte.gz"]


def test_a_damaged_file_stays_until_there_is_a_better_one(get, tmp_path, refusal):
    get("good")
    path = tmp_path / "cache" / "mnist" / FIRST
    path.write_bytes(b"damaged")
    refusal(get, "missing")
    assert path.read_bytes() == b"damaged"


@pytest.mark.parametrize("name", [FIRST, "train-images.idx3-ubyte", "train-images-idx3-ubyte"])
def test_a_file_of_others_is_never_touched(get, server, name, tmp_path, refusal):
    (tmp_path / name).write_bytes(b"Fashion-MNIST has the same names")
    message = refusal(get, "good", folder=tmp_path)
    assert f"{tmp_path / name}: not MNIST's file" in message
    assert os.listdir(tmp_path) == [name] and server.log == []


def test_files_put_there_by_hand(get, server, tmp_path):
    """As published, unpacked, and packed anew, as archives and browsers leave them."""
    first, second, third, fourth = FILES
    (tmp_path / first).write_bytes(PACKED[first])
    (tmp_path / second.removesuffix(".gz")).write_bytes(PLAIN[second])
    (tmp_path / third.replace("-idx", ".idx").removesuffix(".gz")).write_bytes(PLAIN[third])
    (tmp_path / fourth).write_bytes(gzip.compress(PLAIN[fourth], compresslevel=1))
    check(get(closed_port(), folder=tmp_path))
    assert len(os.listdir(tmp_path)) == 4  # not even a lock


# ------------------------------------------------------------------------- disks and processes


def test_a_folder_that_cannot_be(get, server, tmp_path, refusal):
    (tmp_path / "file").write_text("")
    message = refusal(get, "good", folder=tmp_path / "file" / "mnist")
    assert f"{tmp_path / 'file' / 'mnist'}: cannot be written to (" in message
    assert "name another folder" in message and server.log == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes all")
def test_a_folder_that_is_read_only(get, tmp_path, refusal):
    tmp_path.chmod(0o500)
    try:
        assert "Permission denied" in refusal(get, "good", folder=tmp_path)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is full")
def test_a_full_disk(get, server, tmp_path, refusal):
    (tmp_path / f"{FIRST}.part").symlink_to("/dev/full")
    message = refusal(get, "good", "forgetful", folder=tmp_path)
    assert "cannot be written to (No space left on device)" in message
    assert len(server.log) == 1  # another mirror would not help


def test_two_at_once(get, server):
    found = []
    threads = [threading.Thread(target=lambda: found.append(get("slow"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for mnist in found:
        check(mnist)
    assert len(found) == 3 and len(server.log) == 4


def test_a_process_that_was_killed(get, server, tmp_path):
    """It holds no lock, and what it had is not lost."""
    code = f"""
from fastgd.data.download import Known
from fastgd.data.fetch import fetch_mnist
files = {{name: Known(*known) for name, known in {[(n, tuple(k)) for n, k in FILES.items()]}}}
fetch_mnist({str(tmp_path)!r}, mirrors={server.mirror("stops")!r}, files=files)
"""
    package = str(Path(fastgd.__file__).parent.parent)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=package)
    part = tmp_path / f"{FIRST}.part"
    for _ in range(1000):
        if part.exists() and part.stat().st_size == HALF:
            break
        time.sleep(0.02)
    process.kill()
    process.wait(20)
    check(get("good", folder=tmp_path))
    assert ("good", FIRST, f"bytes={HALF}-") in server.log


# ---------------------------------------------------------------------------- places and names


def test_where_the_cache_is(monkeypatch):
    home = Path.home()
    places = ("FASTGD_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA")
    for platform, name, value, expected in [
        ("linux", None, "", home / ".cache" / "fastgd"),
        ("linux", "XDG_CACHE_HOME", os.path.abspath("x"), Path("x").absolute() / "fastgd"),
        ("linux", "XDG_CACHE_HOME", "relative", home / ".cache" / "fastgd"),
        ("darwin", None, "", home / "Library" / "Caches" / "fastgd"),
        ("win32", "LOCALAPPDATA", os.path.abspath("x"), Path("x").absolute() / "fastgd"),
        ("win32", None, "", home / "AppData" / "Local" / "fastgd"),
        ("linux", "FASTGD_CACHE", "here", Path("here").absolute()),
        ("win32", "FASTGD_CACHE", os.path.join("~", "x"), home / "x"),
    ]:
        with monkeypatch.context() as context:
            for place in places:
                context.delenv(place, raising=False)
            if name:
                context.setenv(name, value)
            context.setattr(sys, "platform", platform)
            assert fetch.cache_folder() == expected


def test_load_by_name(get, monkeypatch, tmp_path):
    folder = tmp_path / "fetched"
    get("good", folder=folder)
    asked = []
    monkeypatch.setattr(data, "download_mnist", lambda: asked.append(1) or folder)
    monkeypatch.chdir(tmp_path)
    check(data.load("mnist"))
    assert data.load("mnist", need_target=False).y is None and len(asked) == 2
    for refused in ({"target": "y"}, {"task": "regression"}):
        with pytest.raises(ValueError, match="mnist"):
            data.load("mnist", **refused)
    folder.rename(tmp_path / "mnist")  # a folder of that name comes first
    check(data.load("mnist"))
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"mirrors": []}, "at least one address"),
        ({"mirrors": ["file:///etc/"]}, "http:// or https:// addresses; got 'file:///etc/'"),
        ({"mirrors": "example.org"}, "got 'example.org'"),
        ({"mirrors": [b"http://x/"]}, "got b'http://x/'"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0; got 0"),
        ({"timeout": float("nan")}, "got nan"),
        ({"timeout": "5"}, "got '5'"),
    ],
)
def test_wrong_arguments(wrong, says):
    with pytest.raises((TypeError, ValueError)) as caught:
        data.fetch_mnist(**wrong)
    assert says in str(caught.value) and not isinstance(caught.value, DataError)


def test_the_digests_are_those_of_real_mnist(mnist_folder):
    """Of what the files unpack to; some copies of the training images differ in a few pixels."""
    for name, known in list(fetch.MNIST.items())[1:]:
        path = next(p for p in fetch._spellings(mnist_folder, name) if p.is_file())
        assert fetch._is(path, known), name
        assert not fetch._is(path, known._replace(content="0" * 64, sha256="0" * 64))
