"""``fastgd show mistakes``: the worst mistakes, with their images."""

from __future__ import annotations

import click

from fastgd.cli import models
from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments

__all__ = ["mistakes"]

EPILOG = """\b
Example:
  fastgd show mistakes digits.safetensors digits --n 6
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option("Picture", "--n", type=int, metavar="N", default=12, show_default=True, help="How many.")
@picture_options("mistakes")
def mistakes(
    model: str | None, data: str | None, target: str | None, n: int,
    out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Draw the mistakes that cost a MODEL most, on DATA it has not seen.

    Each with its image, its true class, the class it was taken for, and the outputs. Data that are
    no images are shown by their outputs only.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.plot.mistakes import MistakesDisplay

        about = subject(model, data, target, output)
        names = models.class_names(about.dataset) or None
        display = MistakesDisplay.from_network(
            about.network,
            about.X_test,
            about.y_test,
            image_shape=about.dataset.image_shape,
            n=n,
            class_names=names,
        )
        found = display.mistakes
        output.say(str(found))
        record = {
            "n_wrong": found.n_wrong,
            "n_rows": found.n_examples,
            "rows": found.rows,
            "costs": found.costs,
            "true": [found.class_names[c] for c in found.true],
            "taken_for": [found.class_names[c] for c in found.taken],
            "outputs": found.outputs,
        }
        finish(display, out, output, "mistakes", record)
