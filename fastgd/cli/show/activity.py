"""``fastgd show activity``: one example on its way through the network."""

from __future__ import annotations

import click
import numpy as np

from fastgd.cli.models import class_names
from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments
from fastgd.cli.show.weights import image_option

__all__ = ["activity"]

EPILOG = """\b
Examples:
  fastgd show activity --example 7
  fastgd show activity model.safetensors mnist/ --example 8 --out activity.svg
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option(
    "Picture",
    "--example",
    metavar="N",
    type=int,
    default=0,
    show_default=True,
    help="Which example of the test rows, counted from 0.",
)
@image_option
@picture_options("activity")
def activity(
    model: str | None, data: str | None, target: str | None, example: int,
    image_shape: tuple[int, int] | None, out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Draw the activations of one example, layer by layer.

    The example is one of the test rows, which the network was not trained on.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.plot.activity import ActivityDisplay

        about = subject(model, data, target, output)
        n, dataset = len(about.X_test), about.dataset
        if not 0 <= example < n:
            raise ValueError(f"example must be from 0 to {n - 1}, the test rows; got {example}")
        classes = dataset.is_classification
        true = about.y_test[example]
        display = ActivityDisplay.from_network(
            about.network,
            about.X_test[example],
            image_shape=image_shape or dataset.image_shape,
            class_names=class_names(dataset) if classes else None,
            truth=int(true) if classes else None,
        )
        names = display.class_names
        output.say(f"example  {example} of {n:,} test rows")
        rows = []
        for name, a in zip(display.names[1:], display.activations, strict=True):
            active = int(np.count_nonzero(np.abs(a) > 0.5))
            rows.append([name, f"{len(a):,}", f"{a.min():.3f}", f"{a.max():.3f}", f"{active:,}"])
        output.table(["layer", "units", "smallest", "largest", "above 0.5 in size"], rows)
        output.say(display.title())
        if len(display.outputs) > 1 and names is not None:
            order = np.argsort(-display.outputs, kind="stable")[:3]
            words = ", ".join(f"{names[k]} {display.outputs[k]:.4f}" for k in order)
            output.say(f"outputs  {words}")
        if not classes:
            output.say(f"target   {true}")
        record = {
            "example": example,
            "outputs": display.outputs,
            "class": None if display.winner is None or names is None else names[display.winner],
            "target": true if display.truth is None or names is None else names[display.truth],
            "activations": display.activations,
        }
        finish(display, out, output, "activity", record)
