"""The negative gradient read aloud: directions, bands, counts, predictions, picture, command."""

from __future__ import annotations

import json

import click
import numpy as np
import pytest
from pictures import check_picture

import fastgd
from fastgd.backends import BACKENDS
from fastgd.cli.show.step import nudges as command
from fastgd.explain.nudges import nudges
from fastgd.plot.nudges import NudgesDisplay
from fastgd.plot.style import theme


@pytest.fixture(scope="module")
def digits():
    data = fastgd.data.load_digits()
    return data.X[:300], data.y[:300]


def network(**options):
    options = {"input_scale": 1 / 16, "seed": 2, **options}
    return fastgd.Network([64, 8, 10], **options)


@pytest.mark.parametrize("backend", BACKENDS)
def test_they_are_the_gradient(digits, backend):
    X, y = digits
    net = network(dtype="float64", backend=backend)
    before = net.parameters.copy()
    told = nudges(net, X, y, top=12, learning_rate=0.5)
    gradient = net.gradient(X, y)
    assert np.array_equal(told.gradient, gradient)
    assert [t.index for t in told.top] == np.argsort(-np.abs(gradient))[:12].tolist()
    for t in told.top:
        assert t.slope == gradient[t.index]
        assert t.update == -0.5 * t.slope
        assert t.value == net.parameters[t.index]
        assert t.direction == ("decrease" if t.slope > 0 else "increase")
        values = net.biases[t.layer][t.j] if t.i is None else net.weights[t.layer][t.i, t.j]
        assert values == t.value
        assert t.share == pytest.approx(t.slope**2 / (gradient @ gradient))
    assert told.share == pytest.approx(sum(t.share for t in told.top))
    assert np.array_equal(net.parameters, before)
    assert told.cost == net.loss(X, y)


def test_each_alone_lowers_the_cost_in_its_direction(digits):
    """Central differences of the cost along single parameters: sign and size."""
    X, y = digits
    net = network(dtype="float64")
    for t in nudges(net, X, y, top=5).top:
        costs = []
        for h in (-1e-5, 1e-5):
            net.parameters[t.index] = t.value + h
            costs.append(net.loss(X, y))
        net.parameters[t.index] = t.value
        assert (costs[1] - costs[0]) / 2e-5 == pytest.approx(t.slope, rel=1e-6)


def test_bands():
    """One linear unit with inputs 1, -1/2, 0.49, 0.1, -0.09, 0: slopes are -2 times these."""
    net = fastgd.Network([6, 1], output="identity", loss="sse", dtype="float64", init="zeros")
    told = nudges(net, [[1, -0.5, 0.49, 0.1, -0.09, 0]], [1], top=7)
    # The bias has slope -2, as the first weight.
    assert told.counts == {
        "a lot": (2, 1), "somewhat": (2, 0), "a little": (0, 1), "not at all": (1, 0),
    }  # fmt: skip
    bands = {t.name: (t.direction, t.band) for t in told.top}
    assert bands == {
        "input 0 to output 0": ("increase", "a lot"),
        "bias of output 0": ("increase", "a lot"),
        "input 1 to output 0": ("decrease", "a lot"),
        "input 2 to output 0": ("increase", "somewhat"),
        "input 3 to output 0": ("increase", "somewhat"),
        "input 4 to output 0": ("decrease", "a little"),
        "input 5 to output 0": ("stay", "not at all"),
    }
    assert told.share == pytest.approx(1)


def test_counts_cover_every_parameter(digits):
    net = network()
    told = nudges(net, *digits)
    assert sum(map(sum, told.counts.values())) == net.n_parameters
    assert told.counts["not at all"][0] > 0  # pixels that are 0 in every image


def test_predictions_of_a_quadratic_cost():
    """C = (10 - 3 w)^2, so that the truth is known: -eta |g|^2 + eta^2 |J g|^2."""
    net = fastgd.Network([1, 1], output="identity", loss="sse", dtype="float64")
    net.parameters = [2, 0]
    told = nudges(net, [[3]], [10], step_sizes=[0.001, 0.01, 0.1, 1])
    for p in told.predictions:
        length = 24**2 + 8**2
        assert p.predicted == pytest.approx(-p.step_size * length, rel=1e-12)
        assert p.true == pytest.approx(-p.step_size * length + (p.step_size * 80) ** 2, rel=1e-9)
    assert told.predictions[0].ratio == pytest.approx(0.99)
    assert told.predictions[-1].true > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_first_order_is_right_for_small_steps(digits, dtype):
    net = network(dtype=dtype, output="softmax", loss="cross_entropy")
    told = nudges(net, *digits, learning_rate=0.1)
    assert [p.step_size for p in told.predictions] == pytest.approx(
        (0.1 * 10.0 ** np.arange(-2, 2.5, 0.5)).tolist()
    )
    # The remainder is of second order: ten times the step, ten times as far off.
    off = [1 - p.ratio for p in told.predictions]
    assert 0 < off[0] < 0.01
    assert off[2] / off[0] == pytest.approx(10, rel=0.1)
    copy = network(dtype="float64", output="softmax", loss="cross_entropy")
    copy.parameters = net.parameters - 0.1 * told.gradient
    start = network(dtype="float64", output="softmax", loss="cross_entropy")
    start.parameters = net.parameters
    change = copy.loss(*digits) - start.loss(*digits)
    assert told.predictions[4].true == pytest.approx(change, rel=1e-6)


def test_names_and_words(digits):
    told = nudges(network(), *digits, top=500, image_shape=(8, 8))
    names = [t.name for t in told.top]
    assert any(name.startswith("pixel (") and "to hidden unit" in name for name in names)
    assert any(name.startswith("bias of output") for name in names)
    words = str(nudges(network(), *digits, top=2))
    for part in ("should increase", "should decrease", "a lot", "not at all", "The 2 that give"):
        assert part in words


def test_no_gradient_at_all():
    net = fastgd.Network([2, 1], output="identity", loss="sse", init="zeros")
    told = nudges(net, [[1, 2]], [0], top=1)
    assert told.counts["not at all"] == (3, 0)
    assert told.top[0].direction == "stay" and np.isnan(told.predictions[0].ratio)
    assert "not at all" in str(told)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"top": 0}, ValueError, "top must be an integer at least 1; got 0"),
        ({"top": 1.5}, TypeError, "top"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be a number above 0"),
        ({"step_sizes": [0.1, -1]}, ValueError, r"step_sizes\[1\] must be"),
        ({"image_shape": (2, 2)}, ValueError, "image_shape must be"),
    ],
)
def test_bad_input(digits, options, kind, message):
    with pytest.raises(kind, match=message):
        nudges(network(), *digits, **options)


class TestPicture:
    @pytest.mark.parametrize("look", ["light", "dark"])
    @pytest.mark.parametrize("top", [3, 30])
    def test_pictures(self, digits, tmp_path, look, top):
        with theme(look):
            display = NudgesDisplay.from_network(
                network(), *digits, top=top, learning_rate=3.0, image_shape=(8, 8)
            )
            check_picture(display, tmp_path)
        assert display.figure_.bbox.width <= 1000 and display.figure_.bbox.height <= 700

    def test_it_shows_the_numbers(self, digits):
        display = NudgesDisplay.from_network(network(), *digits, top=4)
        told = display.told
        assert [b.get_width() for b in display.ax_[0].patches] == [t.update for t in told.top]
        predicted, true = display.ax_[2].lines[1:3]
        assert true.get_ydata().tolist() == [told.cost + p.true for p in told.predictions]
        assert predicted.get_ydata().tolist() == [told.cost + p.predicted for p in told.predictions]

    def test_no_gradient(self, tmp_path):
        net = fastgd.Network([2, 1], output="identity", loss="sse", init="zeros")
        with theme("dark"):
            check_picture(NudgesDisplay.from_network(net, [[1, 2]], [0]), tmp_path)

    def test_axes_and_limit(self, digits):
        from matplotlib.figure import Figure

        axes = Figure().subplots(1, 3)
        assert NudgesDisplay.from_network(network(), *digits, ax=axes).figure_ is axes[0].figure
        with pytest.raises(ValueError, match="array of 3 axes"):
            NudgesDisplay.from_network(network(), *digits, ax=axes[0])
        with pytest.raises(ValueError, match="top must be at most 30 for a picture; got 31"):
            NudgesDisplay.from_network(network(), *digits, top=31)


class TestCommand:
    @pytest.fixture
    def model(self, tmp_path):
        network().save(tmp_path / "m.safetensors")
        return [str(tmp_path / "m.safetensors"), "digits", "--out", str(tmp_path / "n.png")]

    def test_json(self, model, capsys):
        command([*model, "--json", "--top", "3", "--learning-rate", "2"], standalone_mode=False)
        record = json.loads(capsys.readouterr().out)
        assert len(record["top"]) == 3 and len(record["predictions"]) == 9
        assert record["top"][0]["update"] == pytest.approx(-2 * record["top"][0]["slope"])
        assert record["counts"]["a lot"].keys() == {"increase", "decrease"}

    def test_words(self, model, capsys):
        command([*model, "--dark"], standalone_mode=False)
        words = capsys.readouterr().out
        assert "should increase" in words and "How well first order predicts" in words

    def test_bad_input(self, model):
        with pytest.raises(click.UsageError, match="--top must be"):
            command([*model, "--top", "0"], standalone_mode=False)
