"""Where training starts: copies that stay copies, how far z spreads; the pictures and commands."""

from __future__ import annotations

import copy
import json
from math import erfc

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.cli.show.start import spread, start
from fastgd.explain.start import compare_starts, distinct_units, spread_of_z
from fastgd.explain.units import at_end
from fastgd.plot.start import SpreadDisplay, StartsDisplay
from fastgd.plot.style import theme

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])


@pytest.fixture(scope="module")
def digits():
    return fastgd.data.split(fastgd.data.load("digits"), seed=0)


@pytest.fixture(scope="module")
def starts(digits):
    # In float32 the NumPy backend's rounding parts copies within a few epochs.
    settings = {"sizes": [64, 30, 10], "input_scale": digits.input_scale, "dtype": "float64"}
    sgd = fastgd.SGD(3.0)
    return compare_starts(settings, digits.X, digits.y, epochs=10, batch_size=10, optimizer=sgd)


class TestStarts:
    def test_equal_starts_leave_copies(self, starts):
        assert [s.name for s in starts.starts] == ["zero", "constant", "random"]
        assert starts["zero"].distinct == starts["constant"].distinct == [1]
        assert starts["random"].distinct == [30]
        assert starts["random"].score > 0.9 > 0.5 > starts["zero"].score

    def test_the_numbers_are_the_networks(self, starts, digits):
        for s in starts.starts:
            assert len(s.cost) == 11
            assert s.cost[-1] == s.network.loss(digits.X, digits.y)
            assert s.score == s.network.score(digits.X, digits.y)
        # Sigmoid outputs of 1/2 cost 1/2 * 10 * 1/4 under the quadratic loss.
        assert starts["zero"].cost[0] == pytest.approx(1.25)

    def test_the_random_start_is_that_of_fit(self, starts, digits):
        net = fastgd.Network([64, 30, 10], input_scale=1 / 16, dtype="float64", seed=0)
        assert starts["random"].cost[0] == net.loss(digits.X, digits.y)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    def test_other_activations(self, activation, dtype):
        settings = {"sizes": [2, 6, 5, 1], "activation": activation, "dtype": dtype}
        found = compare_starts(settings, *XOR, epochs=50)
        assert [s.distinct for s in found.starts] == [[1, 1], [1, 1], [6, 5]]

    def test_a_network_gives_its_settings_and_stays(self):
        net = fastgd.Network([2, 3, 1], activation="tanh", dtype="float64", seed=4)
        before, state = net.parameters.copy(), copy.deepcopy(net.rng.bit_generator.state)
        found = compare_starts(net, *XOR, epochs=5)
        assert found["random"].network.architecture == net.architecture
        assert np.array_equal(net.parameters, before)
        assert net.rng.bit_generator.state == state

    def test_same_seed_same_numbers(self):
        first, second, other = (compare_starts([2, 3, 1], *XOR, seed=seed) for seed in (1, 1, 2))
        assert [s.cost for s in first.starts] == [s.cost for s in second.starts]
        assert first["random"].cost != other["random"].cost

    def test_divergence_ends_a_start_and_not_the_comparison(self):
        X = 100 * np.random.default_rng(0).standard_normal((50, 2))
        settings = {"sizes": [2, 4, 1], "activation": "relu", "output": "identity", "loss": "mse"}
        found = compare_starts(settings, X, X[:, 0], optimizer=fastgd.SGD(10.0))
        assert found["random"].diverged
        assert "diverged" in str(found)

    def test_report(self, starts):
        lines = str(starts).splitlines()
        assert lines[1].startswith("zero") and lines[1].endswith("1 of 30")
        assert lines[2].startswith("constant (0.1)")
        assert "accuracy" in lines[0]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"constant": float("nan")}, "constant must be a number"),
            ({"tolerance": -1}, "tolerance must be a number at least 0"),
            ({"epochs": -1}, "epochs must be an integer at least 0"),
            ({"network": {"activation": "tanh"}}, "network must name its sizes"),
            ({"network": {"sizes": [2, 1], "activation": "tnah"}}, "did you mean 'tanh'"),
        ],
    )
    def test_bad_input(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            compare_starts(**{"network": [2, 3, 1], "X": XOR[0], "y": XOR[1], **arguments})
        with pytest.raises(ValueError, match="did you mean 'zero'"):
            compare_starts([2, 3, 1], *XOR, epochs=1)["zeros"]


class TestDistinctUnits:
    def test_every_kind_of_number_counts(self):
        for layer in ("weights", "biases"):
            net = fastgd.Network([3, 4, 2], init="zeros")
            net.parameters[:] = 0.5
            assert distinct_units(net) == [1]
            getattr(net, layer)[0][..., 2] = 0.6
            assert distinct_units(net) == [2]
        net.parameters[:] = 0.5
        net.weights[1][1] = 0.6  # outgoing
        assert distinct_units(net) == [2]

    def test_tolerance(self):
        net = fastgd.Network([3, 2, 2], init="zeros", dtype="float64")
        net.parameters[:] = 2.0
        net.weights[0][0, 1] = 2.001
        assert distinct_units(net) == [1]
        assert distinct_units(net, tolerance=1e-4) == [2]

    def test_no_hidden_layer(self):
        assert distinct_units(fastgd.Network([3, 2])) == []


class TestSpread:
    def test_theory(self):
        found = spread_of_z([10, 100, 1000], units=400, examples=400)
        assert found.theory == {
            "1": pytest.approx([10**0.5, 10.0, 1000**0.5]),
            "1/sqrt(n_in)": [1.0, 1.0, 1.0],
        }
        for scale in found.spread:
            np.testing.assert_allclose(found.spread[scale], found.theory[scale], rtol=0.05)

    @pytest.mark.parametrize(("activation", "z"), [("sigmoid", np.log(99)), ("tanh", None)])
    def test_saturation_is_that_of_a_normal_z(self, activation, z):
        found = spread_of_z([100], ["1"], activation=activation, units=400, examples=400)
        z = np.arctanh(0.99) if z is None else z
        assert found.saturated["1"][0] == pytest.approx(erfc(z / 10 / 2**0.5), rel=0.03)

    def test_ends(self):
        a = np.array([-1.0, -0.995, 0.0, 0.005, 0.5, 0.985, 0.995])
        assert at_end(a, "tanh").tolist() == [True, True, False, False, False, False, True]
        assert at_end(a[2:], "sigmoid").tolist() == [True, True, False, False, True]
        assert not at_end(a, "relu").any()

    def test_same_seed_same_numbers(self):
        assert spread_of_z([10], seed=1) == spread_of_z([10], seed=1)
        assert spread_of_z([10], seed=1) != spread_of_z([10], seed=2)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"n_ins": []}, "must not be empty"),
            ({"n_ins": [0]}, r"n_ins\[0\] must be an integer at least 1; got 0"),
            ({"n_ins": [10**9]}, r"must be at most 20,000,000; got 1,000,000,000 inputs"),
            ({"scales": ["2"]}, "scales must be one of 1, 1/sqrt"),
            ({"activation": "relu"}, "activation must be one of sigmoid, tanh"),
            ({"units": 0}, "units must be an integer at least 1"),
        ],
    )
    def test_bad_input(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            spread_of_z(**arguments)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_pictures(tmp_path, look, starts):
    two = compare_starts([2, 3, 2, 1], *XOR, epochs=2)
    with theme(look):
        for display in (StartsDisplay(starts=starts).plot(), StartsDisplay(starts=two).plot()):
            check_picture(display, tmp_path)
        check_picture(
            SpreadDisplay(spread=spread_of_z([5, 50, 500], activation="tanh")).plot(), tmp_path
        )
        check_picture(SpreadDisplay(spread=spread_of_z()).plot(), tmp_path)


def test_the_pictures_show_the_numbers(starts):
    costs, bars = StartsDisplay(starts=starts).plot().ax_
    for line, s in zip(costs.lines, starts.starts, strict=True):
        assert list(line.get_ydata()) == s.cost
    assert [patch.get_width() for patch in bars.patches] == [30, 1, 30, 1, 30, 30]
    display = SpreadDisplay(spread=spread_of_z([10, 100])).plot()
    lines = [list(line.get_ydata()) for line in display.ax_[0].lines]
    found = display.spread
    assert lines[0] == found.theory["1"] and lines[1] == found.spread["1"]


def test_too_many_layers_for_a_picture():
    found = compare_starts([2] * 9, [[0, 1]], [1], epochs=1)
    with pytest.raises(ValueError, match="at most 6 hidden layers; got 7"):
        StartsDisplay(starts=found).plot()


def test_commands(tmp_path):
    out = str(tmp_path / "a.svg")
    result = CliRunner().invoke(start, ["--epochs", "3", "--json", "--out", out])
    record = json.loads(result.stdout)
    assert record["starts"]["constant"]["distinct"] == [1]
    assert len(record["starts"]["random"]["cost"]) == 4
    result = CliRunner().invoke(start, ["--epochs", "3", "--out", out])
    assert "1 of 30" in result.stdout and out in result.stdout
    result = CliRunner().invoke(spread, ["--n-ins", "4,9", "--json", "--out", out])
    assert json.loads(result.stdout)["theory"]["1"] == [2.0, 3.0]


def test_commands_with_a_model(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    np.savez(tmp_path / "data.npz", X=X, y=X[:, 0])
    net = fastgd.Network([3, 5, 1], output="identity", loss="mse", seed=0)
    net.save(tmp_path / "net.safetensors")
    out = str(tmp_path / "a.png")
    given = [str(tmp_path / "net.safetensors"), str(tmp_path / "data.npz")]
    options = ["--learning-rate", "0.1", "--epochs", "2", "--json", "--out", out]
    result = CliRunner().invoke(start, [*given, *options])
    assert json.loads(result.stdout)["starts"]["random"]["units"] == [5]


@pytest.mark.parametrize("n_ins", ["1,x", "0", ""])
def test_bad_options_are_named(n_ins, tmp_path):
    result = CliRunner().invoke(spread, ["--n-ins", n_ins, "--out", str(tmp_path / "a.png")])
    assert result.exit_code != 0
    assert "n-ins" in result.output or "n_ins" in str(result.exception)
