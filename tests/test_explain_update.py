"""One update taken apart: factors that multiply to what the kernels do, as picture and command."""

from __future__ import annotations

import copy
import json
from itertools import pairwise

import click
import numpy as np
import pytest
from pictures import check_picture

import fastgd
from fastgd.backends import BACKENDS
from fastgd.cli.show.step import update as command
from fastgd.explain.names import Names, names_for
from fastgd.explain.update import explain_update
from fastgd.plot.style import theme
from fastgd.plot.update import UpdateDisplay
from fastgd.plot.update import _curves as curves_of

SIZES = [3, 4, 5, 2]
#: Every kind of chain: activation, output, loss.
KINDS = [
    ("sigmoid", "sigmoid", "quadratic"),
    ("tanh", "identity", "mse"),
    ("relu", "tanh", "sse"),
    ("identity", "sigmoid", "mse"),
    ("tanh", "softmax", "cross_entropy"),
    ("sigmoid", "sigmoid", "cross_entropy"),
]
X = np.array([0.5, -1.25, 2.0])
Y = np.array([0.25, 0.75])


def network(activation="sigmoid", output="sigmoid", loss="quadratic", sizes=SIZES, **options):
    options = {"dtype": "float64", "seed": 3, "input_scale": 0.5, **options}
    return fastgd.Network(sizes, activation=activation, output=output, loss=loss, **options)


def unit(**options):
    """One linear unit with weight 2: for 3 it says 6, and should say 10."""
    net = fastgd.Network([1, 1], output="identity", loss="sse", **options)
    net.parameters = [2, 0]
    return net


def places(sizes=SIZES):
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        for i in range(n_in):
            for j in range(n_out):
                yield layer, i, j


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_linear_unit_of_the_notes(backend, dtype):
    told = explain_update(unit(backend=backend, dtype=dtype), 3, 10, 0, 0, 0, learning_rate=0.01)
    assert [factor.value for factor in told.factors] == [-8, 1, 3]
    assert [factor.symbol for factor in told.factors] == ["dC/da", "da/dz", "dz/dw"]
    assert told.factors[0].working == "2 x (6 - 10)"
    assert (told.slope, told.kernel_slope) == (-24, -24)
    assert (told.update, told.new_weight) == pytest.approx((0.24, 2.24))
    assert (told.product, told.step) == ("-8 x 1 x 3 = -24", "2 - 0.01 x (-24) = 2.24")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("backend", BACKENDS)
def test_factors_multiply_to_what_the_kernel_does(backend, kind):
    net = network(*kind, backend=backend)
    weights = net.architecture.layout.weights
    gradient = weights(net.gradient(X[None], Y[None]))
    stepped = copy.deepcopy(net)
    stepped.partial_fit(X[None], Y[None], optimizer=fastgd.SGD(learning_rate=0.3))
    before = net.parameters.copy()
    for layer, i, j in places():
        told = explain_update(net, X, Y, layer, i, j, learning_rate=0.3)
        assert told.slope == pytest.approx(gradient[layer][i, j], rel=1e-9, abs=1e-13)
        assert told.kernel_slope == gradient[layer][i, j]
        assert told.weight == net.weights[layer][i, j]
        assert told.new_weight == pytest.approx(stepped.weights[layer][i, j], rel=1e-12)
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32(backend):
    net = network(dtype="float32", backend=backend)
    for layer, i, j in places():
        told = explain_update(net, X, Y, layer, i, j)
        assert told.slope == pytest.approx(told.kernel_slope, rel=2e-5, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_each_factor_is_the_slope_it_is_said_to_be(kind):
    """Each, alone, against differences of the curve that is drawn."""
    net = network(*kind)
    for layer, i, j in [(0, 1, 2), (1, 3, 4), (2, 4, 1)]:
        told = explain_update(net, X, Y, layer, i, j)
        for factor, curve in zip(told.factors, curves_of(net, told, Y, X[None]), strict=True):
            if curve is None:
                continue
            near = np.argsort(np.abs(curve.x - curve.x0))[:3]
            a, b = curve.x[near.min()], curve.x[near.max()]
            drawn = (curve.y[near.max()] - curve.y[near.min()]) / (b - a)
            assert factor.value == pytest.approx(drawn, rel=0.05, abs=2e-3)
            assert np.interp(curve.x0, curve.x, curve.y) == pytest.approx(curve.y0, abs=2e-3)


def test_the_output_with_cross_entropy_is_joined():
    for output in ("sigmoid", "softmax"):
        net = network(output=output, loss="cross_entropy")
        told = explain_update(net, X, Y, 2, 1, 0)
        a = net.predict(X[None])[0, 0]
        assert [factor.symbol for factor in told.factors] == ["dC/dz", "dz/dw"]
        assert told.factors[0].value == pytest.approx(a - Y[0], rel=1e-12)
        assert "a - y" in told.factors[0].meaning and "joined" in str(told)


def test_mean_squares_share_the_slope_among_the_outputs():
    told = explain_update(network(output="identity", loss="mse"), X, Y, 2, 0, 1)
    assert told.factors[0].value == pytest.approx(told.a - Y[1])
    assert told.factors[0].working.endswith("/ 2 outputs")


def test_delta_comes_back_through_the_next_layer():
    net = network("tanh")
    told = explain_update(net, X, Y, layer=0, i=1, j=2)
    assert [c.weight for c in told.contributions] == [
        net.weights[1][2, c.unit] for c in told.contributions
    ]
    assert sum(c.value for c in told.contributions) == pytest.approx(told.factors[0].value)
    sizes = [abs(c.value) for c in told.contributions]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 5
    # delta is dC/db, which the kernel computes.
    biases = net.architecture.layout.biases(net.gradient(X[None], Y[None]))
    for delta, bias in zip(told.deltas, biases, strict=True):
        np.testing.assert_allclose(delta, bias, rtol=1e-9, atol=1e-14)
    assert told.delta == pytest.approx(biases[0][2], rel=1e-9)


def test_words():
    words = str(explain_update(unit(), 3, 10, 0, 0, 0, learning_rate=0.01))
    for part in ("says a = 6", "2 x (6 - 10) = -8", "-8 x 1 x 3 = -24", "rises", "= 2.24"):
        assert part in words
    net = network(sizes=[3, 4, 12, 2])
    words = str(explain_update(net, X, Y, layer=0, i=1, j=2))
    assert "from the other 7 units together" in words and "At the output, delta" in words
    assert "the weight stays" in str(explain_update(net, [0, 0, 0], Y, 0, 0, 0))


@pytest.mark.parametrize(
    ("x", "y"),
    [(X, 1), (X[None], [1]), (X.tolist(), [0, 1]), (X[None], [[0, 1]]), (X, np.int64(1))],
)
def test_forms_of_one_example(x, y):
    net = network()
    told = explain_update(net, x, y, 2, 0, 1)
    assert told.slope == explain_update(net, X[None], np.array([[0.0, 1.0]]), 2, 0, 1).slope


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((X, 1, 3, 0, 0), ValueError, "layer must be from 0 to 2; got 3"),
        ((X, 1, -1, 0, 0), ValueError, "layer must be"),
        ((X, 1, 0, 3, 0), ValueError, "i must be from 0 to 2 in layer 0; got 3"),
        ((X, 1, 2, 0, 2), ValueError, "j must be from 0 to 1 in layer 2; got 2"),
        ((X, 1, 0, 0.5, 0), TypeError, "i must be an integer"),
        ((X, 1, 0, 0, 0, -1), ValueError, "learning_rate must be"),
        (([X, X], 1, 0, 0, 0), ValueError, r"x must be one example of 3 numbers; got shape \(2, 3"),
        ((X, [1, 0, 1], 0, 0, 0), ValueError, "y must be a class, or 2 targets, of one example"),
        ((X[:2], 1, 0, 0, 0), ValueError, "3 columns"),
        ((X, 2, 0, 0, 0), ValueError, "classes, integers from 0 to 1"),
    ],
)
def test_bad_input(arguments, kind, message):
    with pytest.raises(kind, match=message):
        explain_update(network(), *arguments)


def test_names():
    names = Names((6, 3, 4, 2), image_shape=(2, 3), class_names=("cat", "dog"))
    assert names.weight(0, 5, 2) == "pixel (1, 2) to unit 2 of hidden layer 1"
    assert names.weight(2, 3, 1) == "unit 3 of hidden layer 2 to output 1 (dog)"
    net = fastgd.Network([6, 3, 4, 2])
    for index in range(net.n_parameters):
        layer, i, j = names.place(index)
        net.parameters[:] = 0
        net.parameters[index] = 1
        found = net.biases[layer][j] if i is None else net.weights[layer][i, j]
        assert found == 1
    with pytest.raises(ValueError, match=r"image_shape must be .* of 6 pixels; got \(2, 2\)"):
        names_for(net, image_shape=(2, 2))
    with pytest.raises(ValueError, match="feature_names must be 6 names; got 1"):
        names_for(net, feature_names=["a"])


class TestPicture:
    @pytest.mark.parametrize("look", ["light", "dark"])
    @pytest.mark.parametrize(
        ("kind", "place"), [(KINDS[0], (1, 2, 3)), (KINDS[2], (2, 1, 1)), (KINDS[4], (2, 1, 1))]
    )
    def test_pictures(self, tmp_path, look, kind, place):
        with theme(look):
            display = UpdateDisplay.from_network(
                network(*kind), X, Y, **dict(zip(("layer", "i", "j"), place, strict=True))
            )
            check_picture(display, tmp_path)
        assert display.figure_.bbox.width <= 1000

    def test_many_contributions(self, tmp_path):
        with theme("light"):
            display = UpdateDisplay.from_network(
                network(sizes=[3, 4, 12, 2]), X, Y, layer=0, i=1, j=2
            )
            check_picture(display, tmp_path)
        widths = [bar.get_width() for bar in display.ax_[0].patches]
        assert len(widths) == 8
        assert sum(widths) == pytest.approx(display.told.factors[0].value)

    def test_without_a_place_the_largest_step(self):
        net = network()
        display = UpdateDisplay.from_network(net, X, Y)
        steps = np.abs(net.architecture.layout.weights(net.gradient([X], [Y]))[-1])
        assert display.told.layer == len(net.sizes) - 2
        assert steps[display.told.i, display.told.j] == steps.max()
        assert UpdateDisplay.from_network(net, X, Y, layer=0, j=1).told.j == 1
        with pytest.raises(ValueError, match="j must be from 0 to"):
            UpdateDisplay.from_network(net, X, Y, j=99)

    def test_own_axes(self):
        from matplotlib.figure import Figure

        axes = Figure().subplots(1, 3)
        UpdateDisplay.from_network(unit(), 3, 10, layer=0, i=0, j=0, learning_rate=0.01, ax=axes)
        assert axes[0].get_title().endswith("dC/da = -8")
        with pytest.raises(ValueError, match="array of 3 axes"):
            UpdateDisplay.from_network(unit(), 3, 10, layer=0, i=0, j=0, ax=axes[0])


class TestCommand:
    @pytest.fixture
    def model(self, tmp_path):
        net = fastgd.Network([64, 6, 10], input_scale=1 / 16, seed=1)
        net.save(tmp_path / "m.safetensors")
        return [str(tmp_path / "m.safetensors"), "digits", "--out", str(tmp_path / "u.png")]

    def test_the_largest_step_by_default(self, model, capsys):
        command([*model, "--json"], standalone_mode=False)
        record = json.loads(capsys.readouterr().out)
        net = fastgd.load(model[0])
        data = fastgd.data.load_digits()
        steps = np.abs(net.architecture.layout.weights(net.gradient(data.X[:1], data.y[:1]))[1])
        assert record["layer"] == 1
        assert np.unravel_index(steps.argmax(), steps.shape) == (record["from"], record["to"])
        product = np.prod([factor["value"] for factor in record["factors"]])
        assert product == pytest.approx(record["slope"])
        assert record["slope"] == pytest.approx(record["kernel_slope"], rel=1e-4)

    def test_a_weight_of_ones_own(self, model, capsys):
        options = ["--layer", "0", "--from", "19", "--to", "3", "--example", "7", "--dark"]
        command([*model, *options], standalone_mode=False)
        words = capsys.readouterr().out
        assert "pixel (2, 3) to hidden unit 3, net.weights[0][19, 3]" in words

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--layer", "2"], "--layer must be from 0 to 1; got 2"),
            (["--from", "6"], "--from must be from 0 to 5 in layer 1; got 6"),
            (["--to", "10"], "--to must be from 0 to 9"),
            (["--example", "9999"], "--example must be from 0 to"),
            (["--learning-rate", "-1"], "--learning-rate must be"),
        ],
    )
    def test_bad_input(self, model, options, message):
        with pytest.raises(click.UsageError) as caught:
            command([*model, *options], standalone_mode=False)
        assert message in caught.value.format_message()
