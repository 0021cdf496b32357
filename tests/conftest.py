"""Fixtures for every test."""

from __future__ import annotations

import math
import os
from pathlib import Path

import hypothesis
import pytest

from fastgd.engine.fit import Fit
from fastgd.errors import DataError

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
