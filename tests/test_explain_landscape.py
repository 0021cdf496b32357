"""The cost along lines and over planes, and the paths of training: numbers, pictures, commands."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.cli.show.landscape import landscape as landscape_command
from fastgd.cli.show.landscape import paths as paths_command
from fastgd.cli.show.landscape import slice_ as slice_command
from fastgd.explain import paths as paths_module
from fastgd.explain.costs import Costs
from fastgd.explain.landscape import (
    along_direction,
    along_weight,
    compare_paths,
    filter_normalised,
    plane,
    training_path,
)
from fastgd.explain.paths import principal_axes
from fastgd.plot import theme
from fastgd.plot.landscape import LandscapeDisplay, PathsDisplay, SliceDisplay


def network(**options):
    return fastgd.Network([4, 5, 3], **{"dtype": "float64", "seed": 3, **options})


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    return rng.standard_normal((30, 4)), rng.integers(0, 3, 30)


def loss_at(net, X, y, parameters):
    other = copy.deepcopy(net)
    other.parameters = parameters
    return other.loss(X, y)


def slope_of(found):
    """The slope at the middle of a slice, by differences of its costs."""
    middle = len(found.x) // 2
    return (found.costs[middle + 1] - found.costs[middle - 1]) / (
        found.x[middle + 1] - found.x[middle - 1]
    )


class TestCosts:
    @pytest.mark.parametrize("backend", ["native", "numba", "numpy"])
    @pytest.mark.parametrize("share", [0.1, 1.0])
    def test_every_backend_with_and_without_zeros(self, backend, share):
        if fastgd.backends.why_not(backend):
            pytest.skip(f"no {backend} here")
        rng = np.random.default_rng(0)
        X = rng.integers(1, 255, (300, 100)).astype(np.uint8) * (rng.random((300, 100)) < share)
        y = rng.integers(0, 10, 300)
        net = fastgd.Network([100, 8, 10], input_scale=1 / 255, seed=1, backend=backend)
        costs = Costs(net, X, y)
        if backend != "numpy" and share < 0.3:
            assert costs.examples.inputs.sparse is not None
        other = 1.5 * net.parameters
        assert costs.at(other) == pytest.approx(loss_at(net, X, y, other), rel=1e-6)
        assert costs.at(net.parameters) == pytest.approx(net.loss(X, y), rel=1e-6)

    def test_summed_losses_are_not_averaged(self, examples):
        X, y = examples
        net = network(loss="sse")
        assert Costs(net, X, y).at(net.parameters) == net.loss(X, y)


class TestAlongAWeight:
    @pytest.mark.parametrize(("layer", "i", "j"), [(0, 2, 4), (1, 3, 1), (0, None, 2)])
    def test_slope_is_the_gradients_and_the_curves(self, examples, layer, i, j):
        net = network()
        found = along_weight(net, *examples, layer, i, j, span=1e-3, points=3)
        layout, gradient = net.architecture.layout, net.gradient(*examples)
        of = layout.biases(gradient)[layer] if i is None else layout.weights(gradient)[layer][i]
        value = net.biases[layer][j] if i is None else net.weights[layer][i, j]
        assert found.slope == of[j] != 0
        assert slope_of(found) == pytest.approx(found.slope, rel=1e-4)
        assert found.at == found.x[1] == value
        assert found.costs[1] == found.cost == net.loss(*examples)

    def test_costs_are_those_of_the_changed_network(self, examples):
        net = network()
        found = along_weight(net, *examples, 1, 2, 0, span=2.0, points=5)
        assert found.name == "weights[1][2, 0]"
        np.testing.assert_allclose(found.x, net.weights[1][2, 0] + np.array([-2, -1, 0, 1, 2]))
        for x, cost in zip(found.x, found.costs, strict=True):
            other = copy.deepcopy(net)
            other.weights[1][2, 0] = x
            assert cost == pytest.approx(other.loss(*examples), rel=1e-12)

    def test_costs_that_overflow_are_told_with_their_place(self):
        net = fastgd.Network([1, 1], output="identity", seed=0, init="zeros")
        found = along_weight(net, [[1.0]], [0.0], 0, 0, 0, span=1e30, points=5)
        assert np.isfinite(found.costs).tolist() == [False, False, True, False, False]
        assert "not finite at 4 points, the first at -1e+30" in str(found)
        assert found.lowest == 2

    @pytest.mark.parametrize(
        ("place", "options", "words"),
        [
            ((2, 0, 0), {}, "layer must be an integer from 0 to 1; got 2"),
            ((0, 4, 0), {}, "i must be an integer from 0 to 3; got 4"),
            ((0, 0, -1), {}, "j must be an integer at least 0; got -1"),
            ((0, 0, 0), {"points": 2}, "points must be an integer at least 3; got 2"),
            ((0, 0, 0), {"span": 0.0}, "span must be a number above 0; got 0.0"),
        ],
    )
    def test_bad_input(self, examples, place, options, words):
        with pytest.raises(ValueError, match=words):
            along_weight(network(), *examples, *place, **options)


class TestAlongADirection:
    def test_the_gradient_is_the_steepest_way_down(self, examples):
        net = network()
        found = along_direction(net, *examples, span=1e-3, points=3)
        norm = np.linalg.norm(net.gradient(*examples))
        assert found.slope == pytest.approx(-norm, rel=1e-12)
        assert slope_of(found) == pytest.approx(-norm, rel=1e-4)

    def test_a_direction_of_ones_own_is_taken_as_it_is(self, examples):
        net = network()
        gradient = net.gradient(*examples)
        found = along_direction(net, *examples, 2 * gradient, span=1e-3, points=3)
        assert found.slope == pytest.approx(2 * gradient @ gradient)
        assert slope_of(found) == pytest.approx(found.slope, rel=1e-4)

    def test_a_random_direction(self, examples):
        net = network()
        found = along_direction(net, *examples, "random", span=1e-3, points=3, seed=5)
        assert slope_of(found) == pytest.approx(found.slope, rel=1e-3)
        again = along_direction(net, *examples, "random", span=1e-3, points=3, seed=5)
        other = along_direction(net, *examples, "random", span=1e-3, points=3, seed=6)
        assert found.slope == again.slope != other.slope

    def test_bad_input(self, examples):
        net = network()
        with pytest.raises(ValueError, match="did you mean 'gradient'"):
            along_direction(net, *examples, "gradiant")
        with pytest.raises(ValueError, match=r"direction must be .* shape \(43,\)"):
            along_direction(net, *examples, np.ones(3))
        with pytest.raises(ValueError, match="not 0 everywhere"):
            along_direction(net, *examples, np.zeros(43))
        flat = fastgd.Network([1, 1], output="identity", init="zeros")
        with pytest.raises(ValueError, match="needs a slope"):
            along_direction(flat, [[1.0]], [0.0])
        with pytest.raises(ValueError, match="parameters must not all be 0"):
            along_direction(flat, [[1.0]], [0.0], "random")


class TestFilters:
    def test_each_units_part_is_as_long_as_its_own(self):
        net = network()
        drawn = np.random.default_rng(0).standard_normal(net.n_parameters)
        layout = net.architecture.layout
        scaled = filter_normalised(layout, net.parameters, drawn)
        for l in range(2):  # noqa: E741
            D = np.vstack([layout.weights(scaled)[l], layout.biases(scaled)[l]])
            W = np.vstack([net.weights[l], net.biases[l]])
            given = np.vstack([layout.weights(drawn)[l], layout.biases(drawn)[l]])
            np.testing.assert_allclose(np.linalg.norm(D, axis=0), np.linalg.norm(W, axis=0))
            ratio = D / given  # the direction within a unit is kept
            np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape))
            assert (ratio > 0).all()

    def test_a_unit_without_weights_stays(self):
        net = network()
        net.weights[0][:, 1] = 0
        net.biases[0][1] = 0
        layout = net.architecture.layout
        scaled = filter_normalised(layout, net.parameters, np.ones(net.n_parameters))
        assert not layout.weights(scaled)[0][:, 1].any() and layout.weights(scaled)[0][:, 0].any()


class TestTrainingPath:
    @pytest.mark.parametrize("every", [None, 1, 3, 100])
    def test_it_is_what_fit_does(self, examples, every):
        optimizer = fastgd.SGD(fastgd.Exponential(0.5, 0.9), momentum=0.5)
        settings = {"epochs": 3, "batch_size": 7, "optimizer": optimizer}
        net, fitted = network(), network()
        path = training_path(net, *examples, every=every, **settings)
        fitted.fit(*examples, **settings)
        np.testing.assert_array_equal(path.parameters[0], net.parameters)
        np.testing.assert_array_equal(path.parameters[-1], fitted.parameters)
        np.testing.assert_array_equal(path.network.parameters, fitted.parameters)
        assert path.costs[-1] == pytest.approx(fitted.loss(*examples), rel=1e-12)
        assert path.examples[0] == 0 and path.examples[-1] == 90
        assert path.steps == 15 and len(path.parameters) == 1 + -(-15 // path.every)

    def test_points_on_the_way(self, examples):
        net, settings = network(), {"epochs": 2, "batch_size": 7}
        fine, coarse = (training_path(net, *examples, every=k, **settings) for k in (1, 3))
        assert fine.examples.tolist() == [0, 7, 14, 21, 28, 30, 37, 44, 51, 58, 60]
        assert coarse.examples.tolist() == [0, 21, 37, 58, 60]
        np.testing.assert_array_equal(coarse.parameters, fine.parameters[[0, 3, 6, 9, 10]])
        np.testing.assert_array_equal(coarse.costs, fine.costs[[0, 3, 6, 9, 10]])
        assert fine.length >= coarse.length >= fine.distance == coarse.distance > 0

    def test_a_full_batch_steps_against_the_gradient(self, examples):
        net = network()
        path = training_path(
            net, *examples, epochs=1, batch_size=99, optimizer=fastgd.SGD(0.5), every=1
        )
        expected = net.parameters - 0.5 * net.gradient(*examples)
        np.testing.assert_allclose(path.parameters[1], expected, rtol=1e-12)

    def test_bad_input(self, examples, monkeypatch):
        with pytest.raises(ValueError, match="epochs must be an integer at least 1"):
            training_path(network(), *examples, epochs=0)
        with pytest.raises(fastgd.DivergenceError, match="try a learning rate"):
            training_path(
                network(output="identity"), *examples, optimizer=fastgd.SGD(1e200), batch_size=5
            )
        monkeypatch.setattr(paths_module, "MOST_NUMBERS", 43 * 10)
        with pytest.raises(ValueError, match=r"every must be at least 4 .*; got 1: 31 points"):
            training_path(network(), *examples, epochs=1, batch_size=1, every=1)
        few = training_path(network(), *examples, epochs=1, batch_size=1)
        assert few.every == 4 and len(few.parameters) == 9  # fits by itself
        monkeypatch.setattr(paths_module, "MOST_NUMBERS", 80)
        with pytest.raises(ValueError, match=r"at most 40 parameters; take .*'random'"):
            training_path(network(), *examples)


class TestPrincipalAxes:
    def test_against_numpy(self, monkeypatch):
        monkeypatch.setattr(paths_module, "PIECE", 100)  # several pieces
        rng = np.random.default_rng(0)
        points = rng.standard_normal((20, 3)) @ rng.standard_normal((3, 50)) + 7
        mean, axes, shares = principal_axes([points[:5], points[5:]])
        _, s, V = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        np.testing.assert_allclose(mean, points.mean(axis=0))
        np.testing.assert_allclose(np.abs(axes @ V[:2].T), np.eye(2), atol=1e-10)
        np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(shares, (s**2 / (s**2).sum())[:2])
        assert (axes @ (points[4] - points[0]) > 0).all()

    def test_a_straight_path(self):
        points = np.outer([0.0, 1, 3], [1.0, 2, 2, 0])
        _, axes, shares = principal_axes([points])
        np.testing.assert_allclose(axes[0], [1 / 3, 2 / 3, 2 / 3, 0], atol=1e-12)
        np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(shares, [1, 0], atol=1e-12)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="path must move"):
            principal_axes([np.ones((3, 4))])
        with pytest.raises(ValueError, match="use along_weight"):
            principal_axes([np.ones((3, 1))])


class TestPlane:
    def test_random_directions(self, examples):
        net = network()
        found = plane(net, *examples, points=5, span=0.5, seed=2)
        assert found.costs[2, 2] == found.cost == net.loss(*examples)
        for k, l in ((0, 3), (4, 1)):  # noqa: E741
            moved = net.parameters + found.a[l] * found.axes[0] + found.b[k] * found.axes[1]
            assert found.costs[k, l] == pytest.approx(loss_at(net, *examples, moved), rel=1e-12)
        for axis in found.axes:
            again = filter_normalised(net.architecture.layout, net.parameters, axis)
            np.testing.assert_allclose(again, axis)
        np.testing.assert_array_equal(found.axes, plane(net, *examples, points=2, seed=2).axes)

    def test_the_plane_of_a_path_holds_its_end(self, examples):
        net = network()
        path = training_path(net, *examples, epochs=20, batch_size=5, optimizer=fastgd.SGD(2.0))
        found = plane(net, *examples, "path", path=path, points=6)
        end = path.parameters[-1]
        np.testing.assert_allclose(found.parameters_at(*found.path[-1]), end, atol=1e-12)
        assert found.cost == pytest.approx(loss_at(net, *examples, end), rel=1e-12)
        np.testing.assert_allclose(found.path, (path.parameters - end) @ found.axes.T, atol=1e-12)
        assert 0.5 < found.shares.sum() <= 1 and found.shares[0] >= found.shares[1]
        low, high = found.path.min(axis=0), found.path.max(axis=0)
        assert found.a[0] < low[0] and found.b[0] < low[1]
        assert found.a[-1] > high[0] and found.b[-1] > high[1]
        assert "% of the path's variance" in str(found)

    def test_a_path_over_random_directions(self, examples):
        net = network()
        path = training_path(net, *examples, epochs=5)
        found = plane(net, *examples, path=path, points=3)
        assert abs(found.axes[0] @ found.axes[1]) > 1e-3  # askew: least squares are needed
        way = (path.parameters - path.parameters[-1]).T
        expected = np.linalg.lstsq(found.axes.T, way, rcond=None)[0].T
        np.testing.assert_allclose(found.path, expected, atol=1e-12)
        np.testing.assert_array_equal(found.path_costs, path.costs)

    def test_bad_input(self, examples):
        net = network()
        with pytest.raises(ValueError, match="did you mean 'random'"):
            plane(net, *examples, "randon")
        with pytest.raises(ValueError, match="needs path=training_path"):
            plane(net, *examples, "path")
        with pytest.raises(TypeError, match="path must be a TrainingPath; got list"):
            plane(net, *examples, "path", path=[1, 2])
        other = training_path(fastgd.Network([4, 3], seed=0), *examples, epochs=1)
        with pytest.raises(ValueError, match="43 parameters; got one with 15"):
            plane(net, *examples, path=other)
        still = training_path(net, *examples, epochs=2, optimizer=fastgd.SGD(0.0))
        with pytest.raises(ValueError, match="path must move"):
            plane(net, *examples, "path", path=still)
        with pytest.raises(ValueError, match="points must be an integer at least 2"):
            plane(net, *examples, points=1)


class TestComparePaths:
    def test_one_start_the_same_epochs(self, examples):
        net = network()
        found = compare_paths(net, *examples, epochs=4, optimizer=fastgd.SGD(0.5), points=4)
        steps = {name: path.steps for name, path in found.paths.items()}
        assert steps == {"full batch": 4, "mini-batches of 10": 12, "single examples": 120}
        axes = found.landscape.axes
        for name, path in found.paths.items():
            assert path.examples[-1] == 120
            expected = (path.parameters - net.parameters) @ axes.T
            np.testing.assert_allclose(found.coordinates[name], expected, atol=1e-12)
            np.testing.assert_allclose(found.coordinates[name][0], 0, atol=1e-12)
        assert found.landscape.cost == net.loss(*examples)
        k, l = 1, 2  # noqa: E741
        there = found.landscape.parameters_at(found.landscape.a[l], found.landscape.b[k])
        there = loss_at(net, *examples, there)
        assert found.landscape.costs[k, l] == pytest.approx(there, rel=1e-12)

    def test_a_mini_batch_larger_than_the_data_is_the_full_batch(self, examples):
        found = compare_paths(network(), *examples, epochs=1, batch_sizes=[None, 99], points=2)
        assert list(found.paths) == ["full batch"]

    def test_bad_input(self, examples):
        with pytest.raises(ValueError, match="batch_sizes must be an integer at least 1; got 0"):
            compare_paths(network(), *examples, batch_sizes=[0])
        with pytest.raises(TypeError, match="batch_sizes must be several numbers; got 10"):
            compare_paths(network(), *examples, batch_sizes=10)
        with pytest.raises(fastgd.DivergenceError, match="single examples: the cost became"):
            compare_paths(
                network(output="identity"), *examples, batch_sizes=[1], optimizer=fastgd.SGD(1e200)
            )


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_network_stays_as_it_is(examples, monkeypatch, interrupted):
    net = network()
    before, random = net.parameters.copy(), copy.deepcopy(net.rng.bit_generator.state)
    at, calls = Costs.at, []

    def interrupting(self, parameters):
        calls.append(1)
        if interrupted and len(calls) % 3 == 0:
            raise KeyboardInterrupt
        return at(self, parameters)

    monkeypatch.setattr(Costs, "at", interrupting)
    for work in (
        lambda: along_weight(net, *examples, 0, 0, 0),
        lambda: along_direction(net, *examples),
        lambda: plane(net, *examples, points=3),
        lambda: compare_paths(net, *examples, epochs=2, points=3),
    ):
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                work()
        else:
            work()
        np.testing.assert_array_equal(net.parameters, before)
        assert net.rng.bit_generator.state == random


class TestPictures:
    @pytest.mark.parametrize("look", ["light", "dark"])
    def test_slices(self, examples, tmp_path, look):
        with theme(look):
            display = SliceDisplay.from_network(network(), *examples, weight=(0, 1, 2))
            check_picture(display, tmp_path)
            assert "weights[0][1, 2]" in display.ax_.get_title()
            for direction in ("gradient", "random"):
                display = SliceDisplay.from_network(network(), *examples, direction=direction)
                check_picture(display, tmp_path)

    def test_the_tangent_is_the_slope(self, examples):
        display = SliceDisplay.from_network(network(), *examples, weight=(0, 1, 2))
        x, y = display.ax_.lines[1].get_data()
        assert (y[-1] - y[0]) / (x[-1] - x[0]) == pytest.approx(display.slice.slope)
        assert y[len(y) // 2] == pytest.approx(display.slice.cost)

    def test_without_a_choice_the_steepest_weight(self, examples):
        net = network()
        display = SliceDisplay.from_network(net, *examples)
        assert (
            abs(display.slice.slope)
            == np.abs(
                np.concatenate(
                    [W.ravel() for W in net.architecture.layout.weights(net.gradient(*examples))]
                )
            ).max()
        )
        with pytest.raises(ValueError, match="must not both be given"):
            SliceDisplay.from_network(net, *examples, weight=(0, 1, 2), direction="gradient")

    @pytest.mark.parametrize("look", ["light", "dark"])
    def test_landscapes(self, examples, tmp_path, look):
        net = network()
        path = training_path(net, *examples, epochs=5, batch_size=5, optimizer=fastgd.SGD(2.0))
        with theme(look):
            check_picture(LandscapeDisplay.from_network(net, *examples, points=9), tmp_path)
            display = LandscapeDisplay.from_network(
                net, *examples, directions="path", path=path, points=9
            )
            check_picture(display, tmp_path)
            np.testing.assert_array_equal(display.ax_.lines[0].get_xydata(), display.landscape.path)

    @pytest.mark.parametrize("look", ["light", "dark"])
    def test_paths(self, examples, tmp_path, look):
        with theme(look):
            display = PathsDisplay.from_network(network(), *examples, epochs=4, points=5)
            check_picture(display, tmp_path)
            curves = {line.get_label(): line for line in display.ax_[2].lines}
            for name, path in display.paths.paths.items():
                expected = np.stack([path.examples, path.costs], axis=1)
                np.testing.assert_array_equal(curves[name].get_xydata(), expected)

    def test_costs_that_are_not_finite_are_left_out(self, tmp_path):
        net = fastgd.Network([1, 2, 1], output="identity", activation="identity", seed=0)
        with theme("light"):
            display = LandscapeDisplay.from_network(net, [[1.0]], [0.0], span=1e12, points=9)
            check_picture(display, tmp_path)
        assert "not finite at" in str(display.landscape)
        flat = fastgd.Network([1, 1], activation="identity", output="identity", init="zeros")
        beyond = along_weight(flat, [[1.0]], [0.0], 0, 0, 0, span=1e30, points=4)
        with pytest.raises(ValueError, match="must have a finite cost to draw"):
            SliceDisplay(slice=beyond).plot()

    @pytest.mark.parametrize("span", [1e-3, 1e-12])
    def test_costs_that_hardly_differ(self, examples, tmp_path, span):
        with theme("light"):
            display = LandscapeDisplay.from_network(network(), *examples, span=span, points=4)
            check_picture(display, tmp_path)
        names = [label.get_text() for label in display.figure_.axes[1].get_yticklabels()]
        assert len(set(names)) == len(names) > 5

    def test_axes_of_ones_own(self, examples):
        pyplot = pytest.importorskip("matplotlib.pyplot")
        figure, axes = pyplot.subplots(1, 2)
        display = LandscapeDisplay.from_network(network(), *examples, points=3, ax=axes[1])
        assert display.ax_ is axes[1] and display.figure_ is figure
        with pytest.raises(ValueError, match="ax must be an array of 3 axes"):
            PathsDisplay.from_network(network(), *examples, epochs=1, points=2, ax=axes)
        pyplot.close(figure)


class TestCommands:
    @pytest.fixture(autouse=True)
    def in_a_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.folder = tmp_path

    def run(self, command, *arguments):
        result = CliRunner().invoke(command, arguments)
        assert result.exception is None, result.output
        return result.stdout

    def test_slice(self):
        record = json.loads(self.run(slice_command, "--weight", "1,3,4", "--json"))
        assert record["command"] == "show slice" and record["along"] == "weights[1][3, 4]"
        assert record["costs"][50] == pytest.approx(record["cost"])
        assert (self.folder / "slice.png").stat().st_size > 1000
        said = self.run(slice_command, "--direction", "gradient", "--dark")
        assert "along      the negative gradient" in said and "slope -" in said
        assert "weights[" in self.run(slice_command, "--out", "steepest.svg")

    def test_landscape(self):
        options = ("--epochs", "3", "--points", "6", "--examples", "200")
        record = json.loads(self.run(landscape_command, *options, "--json"))
        assert np.shape(record["costs"]) == (6, 6) and sum(record["shares"]) <= 1
        assert record["path"][-1] == pytest.approx([0, 0], abs=1e-9)
        said = self.run(landscape_command, *options, "--directions", "random")
        assert "examples 200 of" in said and "random plane, 6 x 6 costs" in said

    @pytest.mark.slow
    def test_paths(self):
        said = self.run(paths_command, "--epochs", "3", "--points", "5")
        assert "mini-batches of 10" in said and "single examples" in said
        record = json.loads(self.run(paths_command, "--epochs", "3", "--points", "5", "--json"))
        assert record["paths"]["full batch"]["steps"] == 3
        assert record["paths"]["single examples"]["examples"][-1] == 300

    @pytest.mark.parametrize(
        ("command", "arguments", "words"),
        [
            (slice_command, ["--weight", "1,2"], "give LAYER,I,J"),
            (slice_command, ["--weight", "1,2,3", "--direction", "random"], "not both"),
            (slice_command, ["--span", "-1"], "--span must be a number above 0"),
            (landscape_command, ["--examples", "0"], "--examples must be at least 1"),
            (landscape_command, ["--out", "plane.gif"], "must end in .png or .svg"),
            (paths_command, ["--batch-size", "0"], "integer at least 1; got 0"),
        ],
    )
    def test_bad_input(self, command, arguments, words):
        result = CliRunner().invoke(command, arguments)
        assert words in result.output + str(result.exception)
        assert result.exit_code == 2 or isinstance(result.exception, ValueError)
        assert not list(self.folder.iterdir())
