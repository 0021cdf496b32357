"""Decision boundaries of networks with two inputs, as a picture and as a command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.cli.show.learned import boundary as command
from fastgd.engine.metrics import classes_of
from fastgd.explain.toys import TOYS, toy
from fastgd.plot.boundary import MOST_POINTS, BoundaryDisplay
from fastgd.plot.style import matplotlib, theme


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    matplotlib().pyplot.close("all")


def trained(problem="moons", **options):
    X, y = toy(problem)
    chosen = {"activation": "tanh", "output": "softmax", "loss": "cross_entropy"} | options
    net = fastgd.Network([2, 8, int(y.max()) + 1], seed=0, **chosen)
    net.fit(X, y, epochs=100, batch_size=10, optimizer="sgd")
    return net, X, y


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("problem", TOYS)
def test_picture(tmp_path, look, problem):
    with theme(look):
        check_picture(BoundaryDisplay.from_network(*trained(problem)), tmp_path)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_picture_of_a_regression(tmp_path, look):
    X = np.random.default_rng(0).uniform(-1, 1, (MOST_POINTS + 50, 2))
    net = fastgd.Network([2, 6, 1], activation="tanh", output="identity", seed=0)
    net.fit(X, X[:, 0] * X[:, 1], epochs=3, optimizer="sgd")
    with theme(look):
        display = BoundaryDisplay.from_network(
            net, X, X[:, 0] * X[:, 1], feature_names=["width (cm)", "height (cm)"]
        )
        check_picture(display, tmp_path)
    assert "2,000 of 2,050 examples" in display.ax_.get_xlabel()
    assert len(display.ax_.collections[-1].get_offsets()) == MOST_POINTS
    error = np.sqrt(np.mean((net.predict(X)[:, 0] - X[:, 0] * X[:, 1]) ** 2))
    assert f"error {error:.4g})" in display.title()


@pytest.mark.parametrize("backend", fastgd.backends.BACKENDS)
def test_every_point_is_what_the_backend_predicts(backend):
    if fastgd.backends.why_not(backend):
        pytest.skip(f"{backend} is not here")
    X, y = toy("spirals")
    net = fastgd.Network([2, 5, 3], seed=1, backend=backend, input_scale=0.5)
    display = BoundaryDisplay.from_network(net, X, y)
    for i, j in [(0, 0), (10, 200), (240, 3), (120, 121)]:
        outputs = net.predict([[display.x0[j], display.x1[i]]])
        np.testing.assert_allclose(display.outputs[i, j], outputs[0], rtol=1e-5)
        assert display.classes[i, j] == outputs.argmax()
    np.testing.assert_array_equal(display.predicted, classes_of(net.predict(X)))
    assert display.wrong.sum() == round(len(X) * (1 - net.score(X, y)))
    assert f"{display.wrong.sum()} of 300 examples wrong" in display.title()


def test_the_boundary_is_drawn_where_the_class_changes():
    net = fastgd.Network([2, 1], init="zeros", loss="cross_entropy")
    net.parameters = [4.0, 0.0, -2.0]  # class 1 where x0 > 0.5
    X = [[0.0, 0.0], [1.0, 1.0], [0.4, 0.0], [0.6, 1.0]]
    display = BoundaryDisplay.from_network(net, X, [0, 1, 1, 1], class_names=["left", "right"])
    assert display.wrong.tolist() == [False, False, True, False]
    right = np.broadcast_to(display.x0 > 0.5, display.classes.shape)
    np.testing.assert_array_equal(display.classes, right)
    contours = [c for c in display.ax_.collections if hasattr(c, "levels")]
    boundary, sure = (c.get_paths()[0].vertices for c in contours)
    np.testing.assert_allclose(boundary[:, 0], 0.5, atol=1e-3)
    # a = 0.9 at z = log 9: x0 = (2 + log 9) / 4; a = 0.1 lies outside, at x0 < -0.04
    assert np.abs(sure[:, 0] - (2 + np.log(9)) / 4).min() < 5e-3
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["boundary", "output 0.9", "left", "right", "wrong"]


def test_wrong_examples_have_a_ring():
    net, X, y = trained()
    display = BoundaryDisplay.from_network(net, X, y)
    wrong = X[classes_of(net.predict(X)) != y]
    assert len(wrong)
    rings = display.ax_.collections[-1]
    assert rings.get_label() == "wrong"
    np.testing.assert_allclose(rings.get_offsets(), wrong)


def test_one_hot_and_single_output_targets():
    net, X, y = trained()
    same = BoundaryDisplay.from_network(net, X, np.eye(2)[y])
    assert same.y.tolist() == y.tolist()
    single = fastgd.Network([2, 1], seed=0)  # quadratic cost, but targets are 0 and 1
    assert BoundaryDisplay.from_network(single, X, y).class_names == ("0", "1")
    assert BoundaryDisplay.from_network(single, X, y + 0.5).class_names is None


def test_it_draws_into_given_axes_and_keeps_the_network():
    net, X, y = trained()
    before = net.parameters.copy()
    figure, ax = matplotlib().pyplot.subplots()
    assert BoundaryDisplay.from_network(net, X, y, ax=ax).ax_ is ax
    np.testing.assert_array_equal(net.parameters, before)
    matplotlib().pyplot.close(figure)


def test_bad_input():
    X, y = toy("moons")
    with pytest.raises(ValueError, match=r"must have 2 inputs .* has 64 \(train .*two columns"):
        BoundaryDisplay.from_network(fastgd.Network([64, 10]), X, y)
    with pytest.raises(ValueError, match="at most 7 classes"):
        BoundaryDisplay.from_network(fastgd.Network([2, 8]), X, y)
    with pytest.raises(ValueError, match="one output for regression, or y be classes; it has 2"):
        BoundaryDisplay.from_network(fastgd.Network([2, 2], output="identity"), X, X)
    net = fastgd.Network([2, 2])
    with pytest.raises(ValueError, match="class_names must be 2 names"):
        BoundaryDisplay.from_network(net, X, y, class_names=["a"])
    with pytest.raises(ValueError, match="feature_names must be 2 names"):
        BoundaryDisplay.from_network(net, X, y, feature_names=["a"])
    with pytest.raises(ValueError, match="one row for each example"):
        BoundaryDisplay.from_network(net, X, y[:-1])


class TestToys:
    @pytest.mark.parametrize("name", TOYS)
    def test_a_seed_gives_the_same_points(self, name):
        X, y = toy(name, seed=4)
        again, other = toy(name, seed=4)[0], toy(name, seed=5)[0]
        np.testing.assert_array_equal(X, again)
        assert not np.array_equal(X, other)
        assert X.shape == (300, 2)
        assert np.ptp(np.bincount(y)) == 0

    def test_shapes_without_noise(self):
        X, y = toy("rings", noise=0)
        radius = np.hypot(*X.T)
        assert radius[y == 0].max() <= 0.45
        np.testing.assert_allclose(radius[y == 1], 1)
        X, y = toy("moons", noise=0)
        upper, lower = X[y == 0] + [0.5, 0.25], X[y == 1] + [0.5, 0.25]
        np.testing.assert_allclose(np.hypot(*upper.T), 1)
        assert upper[:, 1].min() >= 0
        np.testing.assert_allclose(np.hypot(*(lower - [1.0, 0.5]).T), 1)
        assert lower[:, 1].max() <= 0.5

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"name must be one of .*did you mean 'moons'"):
            toy("moon")
        with pytest.raises(ValueError, match="n must be an integer at least 2"):
            toy(n=1)
        with pytest.raises(ValueError, match="noise must be a number at least 0"):
            toy(noise=-1.0)


def test_command(tmp_path):
    out = tmp_path / "boundary.png"
    arguments = ["--out", str(out), "--problem", "spirals", "--json"]
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert result.exception is None
    record = json.loads(result.stdout)
    assert record["n_examples"] == 300
    assert record["score"] == pytest.approx(1 - record["n_wrong"] / 300)
    assert record["score"] > 0.95
    assert out.stat().st_size > 1000


def test_command_with_a_model_of_a_table(tmp_path):
    X, y = toy("moons")
    net, *_ = trained()
    net.save(tmp_path / "model.safetensors")
    np.savez(tmp_path / "data.npz", X=X, y=y)
    places = [str(tmp_path / name) for name in ("model.safetensors", "data.npz", "b.svg")]
    arguments = [*places[:2], "--out", places[2], "--json"]
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert result.exception is None
    assert json.loads(result.stdout)["score"] == pytest.approx(net.score(X, y))


def test_command_refuses_other_numbers_of_inputs(tmp_path):
    net = fastgd.Network([64, 10])
    net.save(tmp_path / "model.safetensors")
    model, out = (str(tmp_path / name) for name in ("model.safetensors", "b.png"))
    result = CliRunner().invoke(command, [model, "digits", "--out", out], standalone_mode=False)
    assert isinstance(result.exception, ValueError)
    assert "must have 2 inputs" in str(result.exception)
