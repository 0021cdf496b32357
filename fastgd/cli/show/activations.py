"""``fastgd show activations``: the activation functions beside their slopes."""

from __future__ import annotations

import click

from fastgd.cli.options import Command
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options

__all__ = ["activations"]

EPILOG = """\b
Example:
  fastgd show activations --out activations.svg
"""


@click.command(cls=Command, epilog=EPILOG)
@picture_options("activations")
def activations(out: str, dark: bool, as_json: bool, quiet: bool) -> None:
    """Draw the activation functions, each with its slope.

    Where the slope is near 0 the unit hardly learns: backpropagation multiplies by it.
    """
    output = Output(as_json, quiet)
    with draw(out, dark):
        from fastgd.plot import ActivationsDisplay

        display = ActivationsDisplay.from_function()
        steepest = {name: float(slope.max()) for name, slope in display.slopes.items()}
        output.table(
            ["activation", "steepest slope"],
            [[name, f"{slope:g}"] for name, slope in steepest.items()],
        )
        finish(display, out, output, "activations", {"steepest_slope": steepest})
