"""One example on its way through the network, as a picture and as a command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.cli.show.network import activity as command
from fastgd.plot.activity import ActivityDisplay
from fastgd.plot.style import matplotlib, theme

DIGITS = fastgd.data.load("digits")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    matplotlib().pyplot.close("all")


def network(sizes=(64, 16, 10), **options):
    return fastgd.Network(sizes, input_scale=1 / 16, seed=1, **options)


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


@pytest.mark.parametrize(
    ("look", "sizes", "options"),
    [
        ("light", (64, 16, 16, 10), {}),
        ("dark", (64, 30, 10), {"output": "softmax", "loss": "cross_entropy"}),
        ("light", (20, 64, 64, 1), {"activation": "relu", "output": "identity"}),
        ("dark", (3, 4, 1), {"activation": "tanh", "loss": "cross_entropy"}),
        ("light", (64, *[30] * 9, 26), {"activation": "tanh"}),
        ("dark", (1, 1), {"output": "identity"}),
    ],
)
def test_picture(tmp_path, look, sizes, options):
    x = np.random.default_rng(0).normal(size=sizes[0]) * 16
    with theme(look):
        check_picture(ActivityDisplay.from_network(network(sizes, **options), x), tmp_path)


@pytest.mark.parametrize("backend", fastgd.backends.BACKENDS)
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
def test_every_activation_is_that_of_the_backend(backend, activation):
    if fastgd.backends.why_not(backend):
        pytest.skip(f"{backend} is not here")
    sizes = [64, 12, 7, 10]
    net = network(sizes, activation=activation, backend=backend)
    x = DIGITS.X[3]
    display = ActivityDisplay.from_network(net, x)
    np.testing.assert_array_equal(display.outputs, net.predict(x[None])[0])
    assert display.winner == net.predict(x[None]).argmax()
    np.testing.assert_allclose(display.inputs, x / 16)
    for depth in (1, 2):  # the network cut off after a hidden layer predicts that layer
        short = network(sizes[: depth + 1], output=activation, activation=activation,
                        backend=backend)  # fmt: skip
        short.parameters = net.parameters[: short.n_parameters]
        np.testing.assert_allclose(
            display.activations[depth - 1], short.predict(x[None])[0], rtol=2e-5, atol=1e-6
        )


def test_contributions_and_bias_add_up_to_z():
    net = network((64, 12, 10), output="identity", dtype="float64")
    net.biases[1][:] = np.arange(10)
    display = ActivityDisplay.from_network(net, DIGITS.X[0])
    (added,) = display.contributions
    assert added.shape == (12, 10)
    z = added.sum(axis=0) + net.biases[1]
    np.testing.assert_allclose(z, net.predict(DIGITS.X[:1])[0], rtol=1e-12)


def test_cells_show_the_activations_and_which_output_wins():
    net = network()
    display = ActivityDisplay.from_network(net, DIGITS.X[0], truth=int(DIGITS.y[0]))
    best = int(net.predict(DIGITS.X[:1]).argmax())
    assert f"{best} ◀" in texts(display)
    assert f"{net.predict(DIGITS.X[:1])[0, best]:.2f}" in texts(display)
    assert display.title().startswith(f"The network says {best}, ")


def test_right_and_wrong():
    net = network()
    best = int(net.predict(DIGITS.X[:1]).argmax())
    right = ActivityDisplay.from_network(net, DIGITS.X[0], truth=best)
    assert right.title() == f"The network says {best}, and is right"
    other = (best + 1) % 10
    wrong = ActivityDisplay.from_network(net, DIGITS.X[0], truth=other)
    assert wrong.title() == f"The network says {best}, but it is {other}"


def test_names_of_classes():
    net = fastgd.Network([2, 1], init="zeros", loss="cross_entropy")
    net.parameters = [1.0, 0.0, 0.0]
    for x, says in ([3.0, 0.0], "ill"), ([-3.0, 0.0], "well"):
        display = ActivityDisplay.from_network(net, x, class_names=["well", "ill"])
        assert display.title() == f"The network says {says}"
        assert f"{says} ◀" in texts(display)


def test_numbers_have_no_winner():
    net = fastgd.Network([2, 3], output="identity", init="zeros")
    net.biases[0][:] = [1.5, -2.0, 0.0]
    display = ActivityDisplay.from_network(net, [1.0, 2.0])
    assert display.winner is None
    assert display.title() == "The network answers 1.50, \u22122.00, 0.00"


def test_the_output_that_wins_is_shown_among_many():
    net = fastgd.Network([2, 30], output="identity", init="zeros")
    net.biases[0][:] = -np.arange(30.0) - 1  # the largest has the smallest size
    display = ActivityDisplay.from_network(net, [0.0, 0.0], class_names=list(map(str, range(30))))
    assert display.winner == 0
    assert display.units[-1].tolist() == list(range(16))
    assert "16 of 30 (output)" in display.legend()


def test_of_wide_layers_the_largest_activations():
    net = network((64, 100, 10))
    display = ActivityDisplay.from_network(net, DIGITS.X[0])
    a = display.activations[0]
    assert display.units[0].tolist() == sorted(np.argsort(-a, kind="stable")[:32])
    assert "32 of 100 (hidden)" in display.legend()


def test_inputs_that_are_no_image_are_bars():
    display = ActivityDisplay.from_network(fastgd.Network([3, 2], seed=0), [0.5, -2.0, 1.0])
    assert display.image_shape is None
    assert not display.ax_.images
    assert {"0.50", "\u22122.00", "1.00"} <= set(texts(display))
    image = ActivityDisplay.from_network(fastgd.Network([6, 2]), np.arange(6.0), image_shape=(2, 3))
    assert image.ax_.images[0].get_array().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_sparse_rows_and_given_axes():
    sparse = pytest.importorskip("scipy.sparse")
    net = network()
    figure, ax = matplotlib().pyplot.subplots()
    display = ActivityDisplay.from_network(net, sparse.csr_matrix(DIGITS.X[:1] * 1.0), ax=ax)
    assert display.ax_ is ax
    np.testing.assert_allclose(display.outputs, net.predict(DIGITS.X[:1])[0], rtol=1e-5)
    matplotlib().pyplot.close(figure)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": DIGITS.X[:3]}, r"x must be one example; got 3 rows"),
        ({"x": DIGITS.X[0][:9]}, "must have 64 columns"),
        ({"x": [np.nan] * 64}, "must be finite"),
        ({"image_shape": (7, 9)}, "image_shape must be"),
        ({"class_names": ["a"]}, "class_names must be 10 names"),
        ({"truth": 10}, "truth must be from 0 to 9; got 10"),
        ({"network": fastgd.Network([64, *[2] * 11])}, "room for 10 layers; the network has 11"),
    ],
)
def test_bad_input(change, words):
    with pytest.raises(ValueError, match=words):
        ActivityDisplay.from_network(**{"network": network(), "x": DIGITS.X[0]} | change)


def test_command(tmp_path):
    out = tmp_path / "activity.png"
    arguments = ["--out", str(out), "--example", "3", "--json"]
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert result.exception is None
    record = json.loads(result.stdout)
    outputs = record["outputs"]
    assert record["class"] == str(np.argmax(outputs))
    held_out = fastgd.data.split(DIGITS, seed=0)
    assert record["target"] == str(held_out.y_test[3])
    assert [len(a) for a in record["activations"]] == [30, 10]
    assert out.stat().st_size > 1000


def test_command_refuses(tmp_path):
    arguments = ["--out", str(tmp_path / "a.png"), "--example", "359"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert (
        "--example must be from 0 to 358, of the 359 rows held out of training; got 359"
        in result.stderr
    )


def test_inputs_of_a_table_have_their_names(tmp_path):
    network = fastgd.Network([4, 6, 1], activation="tanh", output="identity", loss="mse", seed=0)
    names = ["age", "income in thousands a year", "rooms", "x"]
    with theme("dark"):
        display = ActivityDisplay.from_network(network, [0.2, -3.0, 1.0, 0.0], feature_names=names)
        check_picture(display, tmp_path)
    assert display.image_shape is None, "four columns are no image of 2 x 2 pixels"
    drawn = {text.get_text() for text in display.ax_.texts}
    assert {"age", "income in t…a year", "rooms", "x"} <= drawn
    with pytest.raises(ValueError, match="feature_names must be 4 names; got 1"):
        ActivityDisplay.from_network(network, [0.2, -3.0, 1.0, 0.0], feature_names=["age"])
