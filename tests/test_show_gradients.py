"""Each layer's gradient over the epochs: the numbers, the picture and the command."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from pictures import check_picture

import fastgd
from fastgd.cli.show.start import gradients
from fastgd.explain.gradients import gradient_sizes, layer_norms
from fastgd.plot import theme
from fastgd.plot.gradients import GradientsDisplay

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 4)), RNG.integers(0, 3, 40)


def deep(activation: str) -> fastgd.Network:
    return fastgd.Network(
        [4, 6, 6, 6, 3], activation=activation, output="softmax", loss="cross_entropy",
        dtype="float64", seed=1,
    )  # fmt: skip


def test_norms_against_finite_differences():
    network = deep("sigmoid")
    norms, parameters = layer_norms(network, X, Y), network.parameters
    differences = np.zeros_like(parameters)
    for i in range(len(parameters)):
        before = parameters[i]
        parameters[i] = before + 1e-5
        above = network.loss(X, Y)
        parameters[i] = before - 1e-5
        differences[i] = (above - network.loss(X, Y)) / 2e-5
        parameters[i] = before
    expected = [np.sqrt((W**2).sum()) for W in network.architecture.layout.weights(differences)]
    np.testing.assert_allclose(norms, expected, rtol=1e-6)


def test_they_are_those_of_the_training():
    network = deep("tanh")
    before = network.parameters.copy()
    found = gradient_sizes(network, X, Y, epochs=3, batch_size=8)
    np.testing.assert_array_equal(network.parameters, before)
    twin = copy.deepcopy(network)
    expected = [layer_norms(twin, X, Y)]
    for _ in range(3):
        twin.fit(X, Y, epochs=1, batch_size=8, optimizer="sgd")
        expected.append(layer_norms(twin, X, Y))
    # The order of examples goes on from epoch to epoch within one fit, so only two are the same.
    np.testing.assert_array_equal(found.norms[:2], expected[:2])
    whole = copy.deepcopy(network)
    whole.fit(X, Y, epochs=3, batch_size=8, optimizer="sgd")
    np.testing.assert_array_equal(found.norms[-1], layer_norms(whole, X, Y))
    assert found.scores[-1] == whole.score(X, Y)


def test_it_vanishes_in_sigmoid_layers_only():
    sigmoid, relu = (gradient_sizes(deep(name), X, Y, epochs=0) for name in ("sigmoid", "relu"))
    assert (np.diff(sigmoid.norms[0]) > 0).all()  # from the inputs to the outputs
    assert sigmoid.ratio < 0.05 < 0.2 < relu.ratio


def test_divergence_is_told():
    network = fastgd.Network([4, 1], output="identity", loss="mse", seed=0)
    found = gradient_sizes(network, X, Y.astype(float), epochs=50, optimizer=fastgd.SGD(1e6))
    assert found.diverged is not None and len(found.norms) == found.diverged
    assert f"infinite in epoch {found.diverged}" in str(found)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_picture(tmp_path, look):
    networks = {name: deep(name) for name in ("sigmoid", "relu")}
    with theme(look):
        display = GradientsDisplay.from_network(networks, X, Y, epochs=4)
        check_picture(display, tmp_path)
    found = display.gradients["relu"]
    for layer, line in enumerate(display.ax_[1].lines):
        np.testing.assert_array_equal(line.get_ydata(), found.norms[:, layer])


def test_picture_of_many_layers(tmp_path):
    with theme():
        network = fastgd.Network([4, *[3] * 10, 3], seed=0)
        display = GradientsDisplay.from_network(network, X, Y, epochs=1)
        check_picture(display, tmp_path)
    assert len(display.ax_.lines) == 7


def test_bad_input():
    with pytest.raises(ValueError, match="network must be a network, or a dict of 1 to 4"):
        GradientsDisplay.from_network({}, X, Y)
    with pytest.raises(ValueError, match="epochs must be"):
        gradient_sizes(deep("relu"), X, Y, epochs=-1)


def test_command(tmp_path, capsys):
    out = tmp_path / "gradients.png"
    arguments = ["--out", str(out), "--json", "--epochs", "2", "--hidden", "10,10,10"]
    gradients(arguments, standalone_mode=False)
    record = json.loads(capsys.readouterr().out)
    assert np.shape(record["sigmoid"]["norms"]) == (3, 4)
    assert record["sigmoid"]["ratio"] < 0.1 < record["relu"]["ratio"]
