"""``fastgd show diagnosis``: what is wrong with a network, with the evidence, and what to try."""

from __future__ import annotations

from dataclasses import asdict

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import (
    BATCH_SIZE,
    RATE,
    draw,
    finish,
    picture_options,
    subject,
    subject_arguments,
)

__all__ = ["diagnosis"]

EPILOG = """\b
Examples:
  fastgd show diagnosis
  fastgd show diagnosis model.safetensors data.csv --learning-rate 0.1
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option(
    "Training", "--learning-rate", type=float,
    help="The rate to judge, on copies: that of your training.",
)  # fmt: skip
@option("Training", "--batch-size", type=int, default=BATCH_SIZE, show_default=True)
@picture_options("diagnosis")
def diagnosis(
    model: str | None,
    data: str | None,
    target: str | None,
    learning_rate: float | None,
    batch_size: int,
    out: str,
    dark: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say what is wrong with a network, with the evidence, and what to try.

    The picture shows where the activations of each layer lie: at the marked places a unit gets
    hardly any gradient. Rows the model was not trained on serve to find overfitting.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.plot.diagnosis import DiagnosisDisplay

        found = subject(model, data, target, output)
        if model is None and learning_rate is None:
            learning_rate = RATE
        unseen = (found.X_test, found.y_test) if found.X_test is not found.X else None
        display = DiagnosisDisplay.from_network(
            found.network, found.X, found.y, validation_data=unseen,
            learning_rate=learning_rate, batch_size=batch_size,
        )  # fmt: skip
        output.say(str(display.diagnosis))
        names = ("healthy", "cost", "baseline", "score", "validation_cost", "validation_score")
        record = {name: getattr(display.diagnosis, name) for name in names}
        for name in ("findings", "notes", "layers"):
            record[name] = [asdict(entry) for entry in getattr(display.diagnosis, name)]
        finish(display, out, output, "diagnosis", record)
