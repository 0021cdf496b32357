"""``fastgd show network``: the network's diagram."""

from __future__ import annotations

import click
import numpy as np

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments

__all__ = ["network"]

EPILOG = """\b
Examples:
  fastgd show network --strongest 3
  fastgd show network model.safetensors mnist/ --out network.svg
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option(
    "Picture",
    "--strongest",
    metavar="K",
    type=int,
    help="Draw the K strongest edges into each unit.  [default: 6 after a wide layer, else all]",
)
@picture_options("network")
def network(
    model: str | None, data: str | None, target: str | None, strongest: int | None,
    out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Draw the network: its units, its weights as edges, its biases.

    Blue raises the unit it leads to, orange lowers it; the wider the edge, the larger the weight.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.plot.diagram import DiagramDisplay

        net = subject(model, data, target, output).network
        display = DiagramDisplay.from_network(net, strongest=strongest)
        rows = [["input", f"{net.sizes[0]:,}", "", "", "", ""]]
        for l, W in enumerate(net.weights):  # noqa: E741
            words = display.names[l + 1].splitlines()[0]
            rule = net.architecture.rules[l].name
            above = f"{100 * float(np.mean(W > 0)):.0f}%"
            numbers = [f"{W.size:,}", f"{W.shape[1]:,}", f"{np.abs(W).max():.3g}", above]
            rows.append([f"{words} ({rule})", f"{W.shape[1]:,}", *numbers])
        columns = ["layer", "units", "weights", "biases", "largest weight", "weights above 0"]
        output.table(columns, rows)
        output.say(f"in all   {net.n_parameters:,} weights and biases")
        output.say(f"drawn    {display.left_out()}")
        record = {
            "sizes": net.sizes,
            "n_parameters": net.n_parameters,
            "units_drawn": display.units,
            "edges_drawn": [len(weights) for weights in display.weights],
            "largest_weights": display.largest,
        }
        finish(display, out, output, "network", record)
