"""``fastgd show confusion``: which classes a network takes for which."""

from __future__ import annotations

import click

from fastgd.cli import models
from fastgd.cli.options import Command
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments

__all__ = ["confusion"]

EPILOG = """\b
Example:
  fastgd show confusion digits.safetensors digits --out confusion.svg
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@picture_options("confusion")
def confusion(
    model: str | None, data: str | None, target: str | None,
    out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Draw the confusion matrix of a MODEL on DATA it has not seen.

    Rows are true classes, columns those the network took them for: what is right lies on the
    diagonal. Of more than 20 classes the most confused are drawn.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.plot.confusion import ConfusionDisplay

        about = subject(model, data, target, output)
        names = models.class_names(about.dataset) or None
        display = ConfusionDisplay.from_network(
            about.network, about.X_test, about.y_test, class_names=names
        )
        found = display.confusion
        output.say(str(found))
        record = {"right": found.right, "n_rows": found.total, "class_names": found.class_names}
        finish(display, out, output, "confusion", {**record, "confusion": found.counts})
