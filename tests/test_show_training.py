"""The film of a training: its moments, its frames, its files and the command."""

from __future__ import annotations

import base64
import copy
import io
import json
import re

import click
import numpy as np
import pytest
from pictures import check_picture
from PIL import Image

import fastgd
from fastgd.cli.show.network import training
from fastgd.explain.recording import record
from fastgd.plot import theme
from fastgd.plot.training import TrainingAnimation


@pytest.fixture(scope="module")
def digits():
    return fastgd.data.split(fastgd.data.load("digits"), seed=0)


@pytest.fixture(scope="module")
def network(digits):
    return fastgd.Network([64, 12, 10], input_scale=digits.input_scale, seed=0)


@pytest.fixture(scope="module")
def film(network, digits):
    with theme():
        return TrainingAnimation.from_network(
            network, digits.X[:200], digits.y[:200], image_shape=digits.image_shape, epochs=3,
            validation_data=(digits.X_test, digits.y_test), optimizer=fastgd.SGD(1.0),
        )  # fmt: skip


def test_moments_are_those_of_a_training(film, network, digits):
    moments = film.recording.moments
    assert [m.step for m in moments] == [0, 1, 2, 3, 4, 6, 8, 11, 16, 20, 40, 60]
    assert [m.epoch for m in moments][-3:] == [1, 2, 3]
    X, y = digits.X[:200], digits.y[:200]
    start, twin = moments[0], copy.deepcopy(network)
    assert start.cost == network.loss(X, y)
    assert start.validation_cost == network.loss(digits.X_test, digits.y_test)
    assert start.score == network.score(digits.X_test, digits.y_test)
    np.testing.assert_array_equal(start.weights, network.weights[0])
    twin.fit(X, y, epochs=1, batch_size=10, optimizer=fastgd.SGD(1.0))  # the same order
    first = next(m for m in moments if m.epoch == 1)
    np.testing.assert_allclose(first.weights, twin.weights[0], rtol=1e-4, atol=1e-6)
    assert first.cost == pytest.approx(twin.loss(X, y), rel=1e-5)
    np.testing.assert_allclose(first.outputs, twin.predict(film.recording.X), rtol=1e-4, atol=1e-6)
    assert moments[-1].cost < first.cost < start.cost


def test_the_network_stays_as_it_is(digits):
    network = fastgd.Network([64, 10], input_scale=1 / 16, seed=3)
    before = network.parameters.copy()
    film = record(network, digits.X[:50], digits.y[:50], epochs=2, n_watched=3)
    np.testing.assert_array_equal(network.parameters, before)
    assert film.y.tolist() == [0, 1, 2]  # one of each of the first classes
    again = record(network, digits.X[:50], digits.y[:50], epochs=2, n_watched=3)
    np.testing.assert_array_equal(again.moments[-1].weights, film.moments[-1].weights)


def test_many_epochs_make_no_endless_film(digits):
    network = fastgd.Network([64, 10], input_scale=1 / 16, seed=0)
    film = record(network, digits.X[:20], digits.y[:20], epochs=500)
    assert len(film.moments) <= 100
    assert film.moments[-1].epoch == 500


@pytest.mark.parametrize("look", ["light", "dark"])
def test_picture(tmp_path, network, digits, look):
    with theme(look):
        display = TrainingAnimation.from_network(
            network, digits.X[:100], digits.y[:100], image_shape=digits.image_shape, epochs=2
        )
        for frame in (0, -1):
            display.show_frame(frame)
            if frame == -1 or look == "light":
                check_picture(display, tmp_path)


def test_a_frame_shows_its_moment(film):
    film.show_frame(5)
    moment = film.recording.moments[5]
    cost, weights, _, bars = film.ax_[:4]
    assert f"step {moment.step}: {100 * moment.score:.1f} % right" in cost.get_title()
    shown = weights.images[0].get_array()
    np.testing.assert_array_equal(shown[:8, :8], moment.weights[:, 0].reshape(8, 8))
    np.testing.assert_array_equal(shown[:8, 9:17], moment.weights[:, 1].reshape(8, 8))
    widths = [bar.get_width() for bar in bars.patches]
    np.testing.assert_allclose(widths, moment.outputs[0])
    film.show_frame(-1)


@pytest.mark.slow
def test_gif_and_html(tmp_path, film):
    calls = []
    n = len(film.recording.moments)
    with theme():
        film.save(tmp_path / "a.gif", lambda *done: calls.append(done))
        film.save(tmp_path / "b.gif")
        film.save(tmp_path / "a.html")
    assert calls == [(i, n) for i in range(1, n + 1)]
    gif = (tmp_path / "a.gif").read_bytes()
    assert gif == (tmp_path / "b.gif").read_bytes() and len(gif) < 3e6
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == n and image.size == (840, 560)
    page = (tmp_path / "a.html").read_text()
    assert "http" not in page  # it needs nothing besides itself
    pictures = json.loads(re.search(r"const pictures = (\[.*?\]);", page)[1])
    words = json.loads(re.search(r"const words = (\[.*?\]);", page)[1])
    assert len(pictures) == len(words) == n and words[0].startswith("epoch 0")
    first, last = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[i]))).convert("RGB"), float)
        for i in (0, -1)
    )
    assert first.shape == last.shape == (560, 840, 3) and np.abs(first - last).max() > 100


def test_tables_and_a_single_output(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int)
    network = fastgd.Network([2, 3, 1], seed=0)
    with theme():
        display = TrainingAnimation.from_network(network, X, y, epochs=2, class_names=["no", "yes"])
        check_picture(display, tmp_path)
    moment = display.recording.moments[0]
    assert moment.score == np.mean((network.predict(X)[:, 0] >= 0.5) == y)


def test_bad_input(network, digits, film, tmp_path):
    X, y = digits.X[:20], digits.y[:20]
    with pytest.raises(ValueError, match="image_shape must be"):
        TrainingAnimation.from_network(network, X, y, image_shape=(8, 7))
    with pytest.raises(ValueError, match="epochs must be an integer at least 1"):
        TrainingAnimation.from_network(network, X, y, epochs=0)
    with pytest.raises(ValueError, match=r"at most 20 classes.*CurvesDisplay"):
        TrainingAnimation.from_network(fastgd.Network([64, 21]), X, y)
    with pytest.raises(ValueError, match="y must be 0 or 1"):
        TrainingAnimation.from_network(fastgd.Network([64, 1]), X, y)
    with pytest.raises(ValueError, match=r"\.gif or \.html"):
        film.save(tmp_path / "film.mp4")
    with pytest.raises(ValueError, match="frame must be"):
        film.show_frame(1000)


@pytest.mark.slow
def test_command(tmp_path, capsys):
    out = tmp_path / "film.gif"
    training(["digits", "--out", str(out), "--json", "--epochs", "2"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert record["bytes"] == out.stat().st_size < 3e6
    assert record["frames"] == len(record["history"]["step"]) > 10
    assert record["history"]["step"][-1] == 2 * 144
    with pytest.raises(click.BadParameter, match=r"\.gif or \.html"):
        training(["--out", str(tmp_path / "film.mp4")], standalone_mode=False)
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("a,target\n" + "".join(f"{i},{i / 3}\n" for i in range(50)))
    with pytest.raises(click.UsageError, match="fastgd show curves"):
        training([str(numbers), "--out", str(out)], standalone_mode=False)
