"""Fixtures for every test."""

from __future__ import annotations

import math
import os
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import checkout  # noqa: F401 (before fastgd is imported)
import hypothesis
import pytest

from fastgd.backends import backend, why_not
from fastgd.engine.architecture import DTYPES
from fastgd.engine.fit import Fit
from fastgd.errors import DataError
from fastgd.network import Network

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # by a shell, for what runs behind it
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("MPLBACKEND", "Agg")  # pictures are written, not shown
# The same cases in every run; HYPOTHESIS_PROFILE=default draws others each time.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True, scope="session")
def outside_the_checkout(tmp_path_factory):
    """Work in an empty folder, so that subprocesses import the fastgd that is installed."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("outside"))
    yield
    os.chdir(before)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    """Mark one case of every test as quick, another from test to test; not of the slow ones.

    Tests that write a picture in every form are slow; so are Numba's, to compile which takes a
    minute.
    """
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and "check_picture" in item.function.__code__.co_names:
            item.add_marker(pytest.mark.slow)
        if "numba" in item.nodeid:
            continue
        tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for number, cases in enumerate(tests.values()):
        case = cases[number % len(cases)]
        if not case.get_closest_marker("slow"):
            case.add_marker(pytest.mark.quick)


@contextmanager
def alone(lock: Path, limit: float = 300.0):
    """Wait until no other process has the lock, a folder, or for ``limit`` seconds."""
    started = time.monotonic()
    while time.monotonic() - started < limit:
        try:
            lock.mkdir()
            break
        except FileExistsError:
            time.sleep(0.05)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            lock.rmdir()


@pytest.fixture(autouse=True, scope="session")
def compiled_once(request, tmp_path_factory, outside_the_checkout):
    """Compile Numba's kernels once, each dtype in another worker; from then on all load them.

    Without this each worker would compile all of them, a minute or two of one core.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    named = any("numba" in item.nodeid for item in request.session.items)
    if not worker or why_not("numba") or not (named or backend() is backend("numba")):
        return
    from numba.core.caching import IndexDataCacheFile

    folder, save = tmp_path_factory.getbasetemp().parent, IndexDataCacheFile.save

    def save_alone(self, key, data):
        with alone(folder / "saving"):  # two at once could mix up their files
            save(self, key, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IndexDataCacheFile, "save", save_alone)
        first = int(worker.removeprefix("gw")) % len(DTYPES)
        for dtype in (*DTYPES[first:], *DTYPES[:first]):
            with alone(folder / f"compiling-{dtype}"):
                Network([1, 1], dtype=dtype, init="zeros", backend="numba").predict([[0.0]])


@pytest.fixture(autouse=True)
def no_earlier_interrupt(monkeypatch):
    """Each test's Ctrl-C is the first."""
    monkeypatch.setattr(Fit, "interrupted", -math.inf)


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder of the real MNIST files: FASTGD_MNIST, or shared/data/mnist nearby."""
    named = os.environ.get("FASTGD_MNIST")
    parents = Path(__file__).resolve().parents[1:3]  # the checkout, and where it lies
    places = [Path(named)] if named else [parent / "shared/data/mnist" for parent in parents]
    for place in places:
        if place.is_dir():
            return place
    pytest.skip("no MNIST here: set FASTGD_MNIST to a folder of its IDX files")


@pytest.fixture
def save(tmp_path):
    """A function that writes text or bytes to a file and returns its path."""

    def save(content: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return save


@pytest.fixture
def refusal():
    """A function that makes a call, expects a DataError and returns its one line."""

    def refusal(call, *args, **kwargs) -> str:
        with pytest.raises(DataError) as caught:
            call(*args, **kwargs)
        message = str(caught.value)
        assert "\n" not in message and len(message) < 500
        return message

    return refusal
