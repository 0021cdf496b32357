"""First-layer weights as images, as a picture and as a command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.cli.show.network import weights as command
from fastgd.plot.style import matplotlib, theme
from fastgd.plot.units import diverging, square_shape
from fastgd.plot.weights import WeightsDisplay


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    matplotlib().pyplot.close("all")


@pytest.mark.parametrize(
    ("look", "sizes", "shape", "units"),
    [
        ("light", [64, 30, 10], None, None),
        ("dark", [64, 3], None, None),
        ("light", [8, 2], (2, 4), None),
        ("dark", [100, 1], (50, 2), None),
    ],
)
def test_picture(tmp_path, look, sizes, shape, units):
    with theme(look):
        net = fastgd.Network(sizes, seed=1)
        check_picture(WeightsDisplay.from_network(net, image_shape=shape, units=units), tmp_path)


def test_an_image_is_what_its_unit_looks_for():
    net = fastgd.Network([6, 4, 2], seed=1)
    display = WeightsDisplay.from_network(net, image_shape=(2, 3))
    for unit, image in zip(display.units, display.images, strict=True):
        # A unit's z for one bright pixel is that pixel's weight.
        for pixel in range(6):
            assert image[pixel // 3, pixel % 3] == net.weights[0][pixel, unit]
    np.testing.assert_array_equal(display.biases, net.biases[0])
    assert display.scale == np.abs(net.weights[0]).max()


@pytest.mark.parametrize("backend", fastgd.backends.BACKENDS)
def test_weights_are_what_the_backend_multiplies_by(backend):
    if fastgd.backends.why_not(backend):
        pytest.skip(f"{backend} is not here")
    net = fastgd.Network([6, 4], output="identity", seed=1, backend=backend)
    display = WeightsDisplay.from_network(net, image_shape=(2, 3))
    outputs = net.predict(np.eye(6))  # no biases yet
    np.testing.assert_allclose(display.images.reshape(4, 6).T, outputs, rtol=1e-6)


def test_all_images_have_one_scale_with_0_at_the_background():
    with theme("light"):
        display = WeightsDisplay.from_network(fastgd.Network([4, 3], seed=1))
        images = [axis.images[0] for axis in display.ax_.flat if axis.images]
        assert {image.get_clim() for image in images} == {(-display.scale, display.scale)}
        shades, to_hex = diverging().resampled(2001), matplotlib().colors.to_hex
        middle, above, below = (to_hex(shades(share)) for share in (0.5, 0.7, 0.3))
    assert middle == "#ffffff"
    assert (above, below) == ("#0072b2", "#d55e00")


@pytest.mark.slow
def test_of_many_units_those_with_the_largest_weights():
    net = fastgd.Network([9, 60, 2], seed=1)
    norms = (net.weights[0] ** 2).sum(axis=0)
    display = WeightsDisplay.from_network(net)
    assert display.units.tolist() == sorted(np.argsort(-norms)[:40])
    assert "40 of 60 first hidden units" in display.title()
    display = WeightsDisplay.from_network(net, units=3)
    assert display.units.tolist() == sorted(np.argsort(-norms)[:3])
    assert WeightsDisplay.from_network(net, units=[7, 2]).units.tolist() == [7, 2]


def test_shapes():
    assert square_shape(64, None) == (8, 8)
    assert square_shape(6, None) is None
    assert square_shape(6, (2, 3)) == (2, 3)


def test_it_draws_into_given_axes():
    figure, axes = matplotlib().pyplot.subplots(1, 2)
    display = WeightsDisplay.from_network(fastgd.Network([9, 2]), ax=axes)
    assert display.figure_ is figure
    assert all(axis.images for axis in axes)
    with pytest.raises(ValueError, match="array of 3 axes"):
        WeightsDisplay.from_network(fastgd.Network([9, 3]), ax=axes)
    matplotlib().pyplot.close(figure)


def test_bad_input():
    table = fastgd.Network([8, 3])
    with pytest.raises(ValueError, match=r"image_shape must be given .* 8 inputs make no square"):
        WeightsDisplay.from_network(table)
    for shape in ((3, 3), (8,), "28x28", (-2, -4), 8):
        with pytest.raises(ValueError, match=r"image_shape must be \(height, width\) .* = 8"):
            WeightsDisplay.from_network(table, image_shape=shape)
    net = fastgd.Network([9, 200])
    for units, words in [
        (101, "units must be at most 100 for one picture; got 101"),
        (0, "units must be an integer at least 1"),
        ([], "at least one unit"),
        ([3, 200], r"units\[1\] must be below 200"),
        ([-1], r"units\[0\] must be an integer at least 0"),
    ]:
        with pytest.raises(ValueError, match=words):
            WeightsDisplay.from_network(net, units=units)
    with pytest.raises(TypeError, match=r"units\[0\] must be an integer"):
        WeightsDisplay.from_network(net, units=[1.5])


def test_command(tmp_path):
    out = tmp_path / "weights.png"
    arguments = ["--out", str(out), "--units", "4", "--json"]
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert result.exception is None
    record = json.loads(result.stdout)
    assert record["n_units"] == 30
    assert len(record["units"]) == len(record["norms"]) == 4
    assert record["image_shape"] == [8, 8]
    assert out.stat().st_size > 1000


def test_command_refuses(tmp_path):
    arguments = ["--out", str(tmp_path / "a.png"), "--image-shape", "3", "4"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert "--image-shape must be (height, width) with height x width = 64" in result.stderr


class TestInputsWithNames:
    """A table's columns make no image, however many they are."""

    NAMES = ("a $ of b_$^", "$x$", "height", "a name that is much longer than there is room for")

    def test_each_unit_is_a_column_and_each_input_a_row(self, tmp_path):
        net = fastgd.Network([4, 5, 1], seed=0)
        display = WeightsDisplay.from_network(net, feature_names=self.NAMES)
        assert display.images.shape == (5, 4, 1)
        image = np.asarray(display.ax_.images[0].get_array())
        np.testing.assert_array_equal(image, net.weights[0])
        words = [label.get_text() for label in display.ax_.get_yticklabels()]
        assert words[:3] == list(self.NAMES[:3])
        assert display.title().endswith("the 4 inputs")
        with theme("light"):
            check_picture(display, tmp_path)

    def test_dollars_in_names_are_dollars(self):
        net = fastgd.Network([4, 5, 1], seed=0)
        display = WeightsDisplay.from_network(net, feature_names=self.NAMES)
        assert not any(label.get_parse_math() for label in display.ax_.get_yticklabels())

    def test_an_image_that_is_given_wins(self):
        net = fastgd.Network([4, 5, 1], seed=0)
        display = WeightsDisplay.from_network(net, image_shape=(2, 2), feature_names=self.NAMES)
        assert display.images.shape == (5, 2, 2)

    def test_of_many_inputs_the_largest_are_drawn(self, tmp_path):
        net = fastgd.Network([90, 3], seed=0)
        names = [f"column number {k}" for k in range(90)]
        display = WeightsDisplay.from_network(net, feature_names=names)
        assert len(display.ax_.get_yticklabels()) == 40
        assert "the 40 largest of the 90 inputs" in display.title()
        with theme("light"):
            check_picture(display, tmp_path)

    def test_names_must_be_as_many_as_the_inputs(self):
        net = fastgd.Network([4, 5, 1], seed=0)
        with pytest.raises(ValueError, match="feature_names must be 4 names; got 1"):
            WeightsDisplay.from_network(net, feature_names=["a"])
