"""Small things that users met, each held by a test."""

from __future__ import annotations

import io
import pickle
import re

import numpy as np
import pytest
from click.testing import CliRunner

import fastgd
from fastgd.cli import main
from fastgd.engine.fit import Fit

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 4)), np.arange(60) % 3


class Interrupt:
    """Ctrl-C at the end of an epoch."""

    def on_epoch_end(self, network, epoch, logs):
        raise KeyboardInterrupt


class TestCtrlC:
    def test_a_second_one_soon_after_ends_the_program(self):
        net = fastgd.Network([4, 3], seed=0)
        with pytest.warns(UserWarning, match=r"training interrupted .* \(Ctrl-C again within"):
            assert net.fit(X, Y, callbacks=Interrupt()).stop_reason == "interrupted"
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, Y, callbacks=Interrupt())

    def test_one_long_after_ends_a_fit(self, monkeypatch):
        net = fastgd.Network([4, 3], seed=0)
        for _ in range(2):
            with pytest.warns(UserWarning, match="training interrupted"):
                net.fit(X, Y, callbacks=Interrupt())
            monkeypatch.setattr(Fit, "interrupted", Fit.interrupted - 60)

    def test_it_can_be_raised(self):
        net = fastgd.Network([4, 3], seed=0)
        before = net.parameters.copy()
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, Y, callbacks=Interrupt(), on_interrupt="raise")
        assert (net.parameters != before).any() and np.isfinite(net.parameters).all()
        with pytest.raises(ValueError, match="on_interrupt"):
            net.fit(X, Y, on_interrupt="ask")


class TestPixels:
    def fit(self, X, **settings):
        fastgd.Network([X.shape[1], 3], seed=0, **settings).fit(X, Y, epochs=1, optimizer="sgd")

    @pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
    def test_raw_ones_get_a_hint(self, dtype):
        pixels = RNG.integers(0, 256, (60, 20)).astype(dtype)
        with pytest.warns(UserWarning, match=r"raw pixels.*input_scale=1/255"):
            self.fit(pixels)
        self.fit(pixels, input_scale=1 / 255)
        self.fit(pixels / 255)

    def test_sparse_ones_too(self):
        sparse = pytest.importorskip("scipy.sparse")
        pixels = RNG.integers(0, 256, (60, 20)) * (RNG.random((60, 20)) < 0.2)
        with pytest.warns(UserWarning, match="raw pixels"):
            self.fit(sparse.csr_matrix(pixels))

    def test_other_numbers_do_not(self):
        self.fit(RNG.normal(0, 60, (60, 20)))
        self.fit(RNG.integers(0, 17, (60, 20)))
        self.fit(RNG.integers(0, 256, (60, 4)))


@pytest.mark.parametrize("name", ["m.pkl", "m.npz", "m.JSON", "m.h5"])
def test_a_model_is_not_saved_as_what_it_is_not(tmp_path, name):
    net = fastgd.Network([4, 3], seed=0)
    with pytest.raises(ValueError, match=r"path must end in \.safetensors"):
        net.save(tmp_path / name)
    args = ["train", "digits", "--epochs", "1", "--out", str(tmp_path / name)]
    assert CliRunner().invoke(main, args).exit_code == 2
    assert not list(tmp_path.iterdir())
    assert pickle.loads(pickle.dumps(net)).predict(X).shape == (60, 3)


def test_one_column_of_inputs_is_told_how_to_stand_up():
    with pytest.raises(ValueError, match=re.escape("one number for each example with X[:, None]")):
        fastgd.Network([1, 3]).fit(X[:, 0], Y)
    with pytest.raises(ValueError, match=re.escape("reshape one example with X[None, :]")):
        fastgd.Network([4, 3]).predict(X[0])


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_bar_keeps_its_words(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    file = Terminal()
    net = fastgd.Network([4, 3], seed=0)
    net.fit(X, Y, epochs=3, validation_split=0.2, callbacks=fastgd.Progress(file=file))
    said = re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue()))
    assert "…" not in said
    assert re.search(r"validation cost [0-9.]+ score [0-9.]+", said)


def test_the_centre_of_a_landscape_counts():
    net = fastgd.Network([4, 3], output="softmax", loss="cross_entropy", seed=0)
    net.fit(X, Y, epochs=50)
    found = fastgd.explain.landscape.plane(net, X, Y, points=4)
    said = str(found)
    centre, lowest = (float(re.search(rf"{word} +cost (\S+)", said)[1]) for word in
                      ("centre", "lowest"))  # fmt: skip
    assert lowest <= centre


def test_the_folder_of_mnist_can_be_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTGD_MNIST", str(tmp_path / "gone"))
    with pytest.raises(fastgd.DataError, match=r"FASTGD_MNIST must name a folder .*gone"):
        fastgd.data.load("mnist")
