"""The network's diagram, as a picture and as a command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.cli.show.network import network as command
from fastgd.plot.diagram import MOST_UNITS, DiagramDisplay
from fastgd.plot.style import matplotlib, theme


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    matplotlib().pyplot.close("all")


@pytest.mark.parametrize(
    ("look", "sizes"),
    [
        ("light", [784, 16, 16, 10]),
        ("dark", [64, 30, 10]),
        ("light", [2, 1]),
        ("dark", [1, 5, 3, 1]),
        ("light", [20, *[30] * 9, 17]),
    ],
)
def test_picture(tmp_path, look, sizes):
    with theme(look):
        check_picture(DiagramDisplay.from_network(fastgd.Network(sizes, seed=1)), tmp_path)


def test_a_small_network_is_drawn_whole():
    net = fastgd.Network([3, 4, 2], seed=1)
    net.biases[0][:] = [1, -2, 3, -4]
    display = DiagramDisplay.from_network(net)
    assert [u.tolist() for u in display.units] == [[0, 1, 2], [0, 1, 2, 3], [0, 1]]
    assert display.biases[0].tolist() == [1, -2, 3, -4]
    for W, pairs, weights in zip(net.weights, display.edges, display.weights, strict=True):
        drawn = np.full(W.shape, np.nan)
        drawn[pairs[:, 0], pairs[:, 1]] = weights
        np.testing.assert_array_equal(drawn, W)
    assert "drawn" not in display.left_out()


def test_lines_run_between_their_units_in_the_colour_of_their_sign():
    net = fastgd.Network([2, 2], init="zeros")
    net.weights[0][:] = [[1.0, -0.5], [0.25, 2.0]]
    with theme("light"):
        display = DiagramDisplay.from_network(net)
    (lines,) = [c for c in display.ax_.collections if hasattr(c, "get_segments")]
    circles = [patch.center for patch in display.ax_.patches]  # inputs first
    to_hex = matplotlib().colors.to_hex
    found = {}
    for segment, color, width in zip(
        lines.get_segments(), lines.get_colors(), lines.get_linewidths(), strict=True
    ):
        ends = tuple(min(range(4), key=lambda i: np.hypot(*(circles[i] - end))) for end in segment)
        assert np.allclose([circles[i] for i in ends], segment)
        found[ends] = (to_hex(color[:3]), width)
    blue, orange = "#0072b2", "#d55e00"
    colors = {ends: color for ends, (color, _) in found.items()}
    assert colors == {(0, 2): blue, (0, 3): orange, (1, 2): blue, (1, 3): blue}
    widths = [found[ends][1] for ends in [(1, 3), (0, 2), (0, 3), (1, 2)]]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 4


def test_of_a_wide_layer_the_units_with_the_largest_weights_are_drawn():
    net = fastgd.Network([50, 40, 30], seed=2)
    display = DiagramDisplay.from_network(net)
    into, out = net.weights
    for units, strength in zip(
        display.units, [(into**2).sum(1), (out**2).sum(1), (out**2).sum(0)], strict=True
    ):
        assert len(units) == MOST_UNITS
        left_out = np.setdiff1d(np.arange(len(strength)), units)
        assert strength[units].min() > strength[left_out].max()
    assert "16 of 50 (input), 16 of 40 (hidden), 16 of 30 (output)" in display.left_out()
    assert f"192 of {50 * 40 + 40 * 30:,}" in display.left_out()


def test_the_strongest_edges_into_each_unit():
    net = fastgd.Network([9, 5, 4], seed=3)
    display = DiagramDisplay.from_network(net, strongest=2)
    for W, pairs in zip(net.weights, display.edges, strict=True):
        assert len(pairs) == 2 * W.shape[1]
        for unit in range(W.shape[1]):
            sources = pairs[pairs[:, 1] == unit, 0]
            best = np.argsort(-np.abs(W[:, unit]))[:2]
            assert sorted(sources) == sorted(best)


def test_it_says_how_many_numbers_there_are():
    display = DiagramDisplay.from_network(fastgd.Network([784, 16, 16, 10], seed=1))
    assert "13,002 weights and biases" in display.ax_.get_title()
    assert {"⋮", "input\n784", "hidden 2\n16, sigmoid"} <= {t.get_text() for t in display.ax_.texts}


def test_it_draws_into_given_axes():
    figure, axes = matplotlib().pyplot.subplots(1, 2)
    display = DiagramDisplay.from_network(fastgd.Network([3, 2]), ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    matplotlib().pyplot.close(figure)


def test_bad_input():
    with pytest.raises(ValueError, match=r"room for 10 layers; the network has 11 .*net\.weights"):
        DiagramDisplay.from_network(fastgd.Network([2] * 12))
    with pytest.raises(ValueError, match="strongest must be an integer at least 1; got 0"):
        DiagramDisplay.from_network(fastgd.Network([2, 2]), strongest=0)
    net = fastgd.Network([2, 2])
    net.weights[0][1, 0] = np.nan
    with pytest.raises(ValueError, match=r"parameters\[2\] is nan"):
        DiagramDisplay.from_network(net)


def test_command(tmp_path):
    out = tmp_path / "network.svg"
    result = CliRunner().invoke(command, ["--out", str(out), "--json"], standalone_mode=False)
    assert result.exception is None
    record = json.loads(result.stdout)
    assert record["sizes"] == [64, 30, 10]
    assert record["n_parameters"] == 64 * 30 + 30 + 30 * 10 + 10
    assert record["edges_drawn"] == [6 * 16, 6 * 10]
    assert out.stat().st_size > 1000
    result = CliRunner().invoke(command, ["--out", str(out)], standalone_mode=False)
    assert "2,260 weights and biases" in result.stdout


def test_command_refuses(tmp_path):
    arguments = ["--out", str(tmp_path / "a.png"), "--strongest", "0"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert "--strongest must be an integer at least 1" in result.stderr


def test_inputs_and_outputs_have_their_names(tmp_path):
    net = fastgd.Network([2, 5, 3], output="softmax", loss="cross_entropy", seed=0)
    net.classes = ["Adelie", "Chinstrap", "a kind with a long name"]
    with theme("dark"):
        display = DiagramDisplay.from_network(net, feature_names=["bill", "flipper"])
        check_picture(display, tmp_path)
    drawn = {text.get_text() for text in display.ax_.texts}
    assert {"bill", "flipper", "Adelie", "Chinstrap", "a kind with…g name"} <= drawn
