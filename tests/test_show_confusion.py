"""Which classes are taken for which: the counts, the picture and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pictures import check_picture

import fastgd
from fastgd.cli.show.learned import confusion
from fastgd.explain.confusion import Confusion, confusion_of
from fastgd.plot import theme
from fastgd.plot.confusion import ConfusionDisplay


@pytest.fixture(scope="module")
def digits():
    return fastgd.data.load("digits")


@pytest.fixture(scope="module")
def network(digits):
    network = fastgd.Network([64, 10], input_scale=digits.input_scale, seed=0)
    network.fit(digits.X, digits.y, epochs=3, optimizer=fastgd.SGD(0.5))
    return network


def test_counts_are_those_of_the_predictions(network, digits):
    found = confusion_of(network, digits.X, digits.y)
    expected = np.zeros((10, 10), int)
    for true, taken in zip(digits.y, network.predict(digits.X).argmax(axis=1), strict=True):
        expected[true, taken] += 1
    np.testing.assert_array_equal(found.counts, expected)
    assert found.right / found.total == network.score(digits.X, digits.y)
    pairs = found.pairs()
    assert pairs[0][2] == (expected - np.diag(expected.diagonal())).max()
    assert sum(n for *_, n in pairs) == found.total - found.right
    one_hot = np.eye(10)[digits.y]
    np.testing.assert_array_equal(confusion_of(network, digits.X, one_hot).counts, expected)


def test_the_most_confused_classes():
    counts = np.array([[9, 0, 0, 1], [0, 9, 0, 0], [0, 0, 9, 5], [0, 0, 0, 9]])
    kept = Confusion(counts, ("a", "b", "c", "d")).most_confused(3)
    assert kept.class_names == ("a", "c", "d")
    np.testing.assert_array_equal(kept.counts, [[9, 0, 1], [0, 9, 5], [0, 0, 9]])


def test_text():
    words = str(Confusion(np.array([[3, 1], [2, 4]]), ("cat", "dog")))
    assert "right: 7 of 10 (70.00 %)" in words
    assert words.splitlines()[2].split() == ["dog", "cat", "2"]


@pytest.mark.parametrize("look", ["light", "dark"])
def test_picture(tmp_path, network, digits, look):
    with theme(look):
        display = ConfusionDisplay.from_network(network, digits.X, digits.y)
        check_picture(display, tmp_path)
    texts = [text.get_text() for text in display.ax_.texts]
    counts = display.confusion.counts
    for i in range(10):
        for j in range(10):
            drawn = texts[10 * i + j]  # row by row
            assert drawn == (str(counts[i, j]) if counts[i, j] or i == j else "·")


def test_more_than_twenty_classes(tmp_path):
    network = fastgd.Network([3, 25], seed=0)
    rng = np.random.default_rng(0)
    X, names = rng.normal(size=(500, 3)), [f"a rather long name {i}" for i in range(25)]
    with theme():
        display = ConfusionDisplay.from_network(
            network, X, rng.integers(0, 25, 500), class_names=names
        )
        check_picture(display, tmp_path)
    assert display.shown.counts.shape == (20, 20)
    assert display.confusion.total == 500
    assert "20 most confused of 25" in display.ax_.get_title()


def test_bad_input(network, digits):
    with pytest.raises(ValueError, match="class_names must be 10 names"):
        confusion_of(network, digits.X, digits.y, ["a", "b"])
    with pytest.raises(ValueError, match="one row for each example"):
        confusion_of(network, digits.X[:5], digits.y[:4])
    with pytest.raises(ValueError, match=r"y must be classes.*net\.predict"):
        confusion_of(network, digits.X[:2], np.full((2, 10), 0.1))
    wide = fastgd.Network([1, 1001], init="zeros")
    with pytest.raises(ValueError, match=r"at most 1,000 classes.*net\.score"):
        confusion_of(wide, [[0.0]], [3])


def test_command(tmp_path, capsys):
    out = tmp_path / "confusion.svg"
    confusion(["--out", str(out), "--json"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert np.trace(record["confusion"]) == record["right"] > 0.9 * record["n_rows"]
    assert out.stat().st_size > 1000
