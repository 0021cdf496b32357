"""``fastgd show weights``: what the units of the first layer look for."""

from __future__ import annotations

import click
import numpy as np

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments

__all__ = ["image_option", "weights"]

EPILOG = """\b
Examples:
  fastgd show weights
  fastgd show weights model.safetensors mnist/ --units 16 --out weights.svg
"""

#: Rows of the table that is printed.
LINES = 10

image_option = option(
    "Picture",
    "--image-shape",
    nargs=2,
    type=int,
    metavar="HEIGHT WIDTH",
    help="The image the inputs are.  [default: as the data says, else a square]",
)


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option(
    "Picture",
    "--units",
    metavar="N",
    type=int,
    help="Show the N units with the largest weights.  [default: all, at most 40]",
)
@image_option
@picture_options("weights")
def weights(
    model: str | None, data: str | None, target: str | None, units: int | None,
    image_shape: tuple[int, int] | None, out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Draw each first-layer unit's weights as an image.

    Where an image is blue, bright pixels raise the unit; where it is orange, they lower it.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.plot.weights import WeightsDisplay

        about = subject(model, data, target, output)
        shape = image_shape or about.dataset.image_shape
        display = WeightsDisplay.from_network(about.network, image_shape=shape, units=units)
        norms = np.sqrt((display.images.astype(np.float64) ** 2).sum(axis=(1, 2)))
        order = np.argsort(-norms, kind="stable")[:LINES]
        output.say(f"The {display.layer} units with the largest weights:")
        rows = []
        for i in order:
            image = display.images[i]
            numbers = [image.max(), image.min(), norms[i], display.biases[i]]
            rows.append([f"unit {display.units[i]}", *(f"{number:.3f}" for number in numbers)])
        output.table(["unit", "largest", "smallest", "size of all", "bias"], rows)
        record = {
            "units": display.units,
            "n_units": display.n_units,
            "image_shape": display.images.shape[1:],
            "norms": norms,
            "biases": display.biases,
            "scale": display.scale,
        }
        if len(display.units) < display.n_units:
            output.say(f"shown    {len(display.units)} of {display.n_units:,} units")
        finish(display, out, output, "weights", record)
