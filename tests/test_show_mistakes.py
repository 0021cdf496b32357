"""The worst mistakes: which they are, the picture and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pictures import check_picture

import fastgd
from fastgd.cli.show.learned import mistakes
from fastgd.explain.mistakes import worst_mistakes
from fastgd.plot import theme
from fastgd.plot.mistakes import MistakesDisplay


@pytest.fixture(scope="module")
def digits():
    return fastgd.data.load("digits")


@pytest.fixture(scope="module")
def network(digits):
    network = fastgd.Network([64, 10], input_scale=digits.input_scale, seed=0)
    network.fit(digits.X, digits.y, epochs=3, optimizer=fastgd.SGD(0.5))
    return network


def test_they_cost_most_among_the_wrong_ones(network, digits):
    found = worst_mistakes(network, digits.X, digits.y, 7)
    taken = network.predict(digits.X).argmax(axis=1)
    wrong = np.flatnonzero(taken != digits.y)
    costs = {i: network.loss(digits.X[[i]], digits.y[[i]]) for i in wrong}
    assert found.n_wrong == len(wrong) > 7
    assert found.rows.tolist() == sorted(costs, key=costs.__getitem__, reverse=True)[:7]
    np.testing.assert_array_equal(found.costs, [costs[i] for i in found.rows])
    np.testing.assert_array_equal(found.true, digits.y[found.rows])
    np.testing.assert_array_equal(found.taken, taken[found.rows])
    np.testing.assert_array_equal(found.outputs, network.predict(digits.X)[found.rows])
    assert str(found).splitlines()[2].split()[0] == str(found.rows[0])


def test_a_single_output():
    network = fastgd.Network([1, 1], init="zeros")
    network.parameters = [1.0, 0.0]
    found = worst_mistakes(network, [[2.0], [-1.0], [3.0]], [1, 1, 0])
    assert found.rows.tolist() == [2, 1] and found.taken.tolist() == [1, 0]
    a = network.predict([[3.0]])[0, 0]
    np.testing.assert_allclose(found.scores()[0], [1 - a, a])


@pytest.mark.parametrize(
    ("n", "images", "look"),
    [(6, True, "light"), (6, True, "dark"), (13, True, "light"), (5, False, "dark"),
     (1, True, "light")],
)  # fmt: skip
def test_picture(tmp_path, network, digits, n, images, look):
    shape = digits.image_shape if images else None
    with theme(look):
        display = MistakesDisplay.from_network(network, digits.X, digits.y, image_shape=shape, n=n)
        check_picture(display, tmp_path)
    if images:
        row = display.mistakes.rows[-1]
        np.testing.assert_array_equal(display.images[-1], digits.X[row].reshape(8, 8))
    else:
        assert display.images is None


def test_bars_are_the_outputs(network, digits):
    display = MistakesDisplay.from_network(network, digits.X, digits.y, n=3)
    found = display.mistakes
    for k, axis in enumerate(display.ax_.flat):
        shown = {int(label.get_text()): bar.get_width() for label, bar in
                 zip(axis.get_yticklabels(), axis.patches, strict=True)}  # fmt: skip
        assert {int(found.true[k]), int(found.taken[k])} <= set(shown)
        for c, width in shown.items():
            assert width == pytest.approx(found.outputs[k, c])


def test_no_mistakes(tmp_path, network, digits):
    right = network.predict(digits.X).argmax(axis=1) == digits.y
    with theme():
        display = MistakesDisplay.from_network(
            network, digits.X[right], digits.y[right], image_shape=(8, 8)
        )
        check_picture(display, tmp_path)
    assert "no mistakes" in str(display.mistakes)


def test_bad_input(network, digits):
    X, y = digits.X[:50], digits.y[:50]
    with pytest.raises(ValueError, match="image_shape must be"):
        MistakesDisplay.from_network(network, X, y, image_shape=(8, 9))
    with pytest.raises(ValueError, match="n must be at most 24"):
        MistakesDisplay.from_network(network, X, y, image_shape=(8, 8), n=25)
    with pytest.raises(ValueError, match="n must be an integer at least 1"):
        MistakesDisplay.from_network(network, X, y, image_shape=(8, 8), n=0)
    regression = fastgd.Network([64, 1], output="identity")
    with pytest.raises(ValueError, match=r"right or wrong.*net\.predict"):
        worst_mistakes(regression, X, y / 3)


@pytest.mark.slow
def test_command(tmp_path, capsys):
    out = tmp_path / "mistakes.png"
    mistakes(["--out", str(out), "--json", "--n", "4"], standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert len(record["rows"]) == 4 <= record["n_wrong"] < record["n_rows"] / 10
    assert record["costs"] == sorted(record["costs"], reverse=True)
    assert out.stat().st_size > 1000
