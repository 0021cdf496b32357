"""``fastgd show start``: zero, constant and random parameters, and what training makes of them."""

from __future__ import annotations

from typing import Any

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import (
    BATCH_SIZE,
    HIDDEN,
    RATE,
    draw,
    finish,
    picture_options,
    subject,
    subject_arguments,
)

__all__ = ["start"]

EPILOG = """\b
Examples:
  fastgd show start
  fastgd show start model.safetensors data.csv --learning-rate 0.1 --out start.svg
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option("Training", "--epochs", type=int, default=30, show_default=True)
@option("Training", "--batch-size", type=int, default=BATCH_SIZE, show_default=True)
@option("Training", "--learning-rate", type=float, default=RATE, show_default=True)
@option(
    "Training", "--constant", type=float, default=0.1, show_default=True,
    help="The value of all parameters in the constant start.",
)  # fmt: skip
@option("Training", "--seed", type=int, default=0, show_default=True)
@picture_options("start")
def start(
    model: str | None,
    data: str | None,
    target: str | None,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    constant: float,
    seed: int,
    out: str,
    dark: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train from three starts: all parameters zero, all one value, and random.

    Hidden units that start alike get the same gradient, so they stay copies of each other and the
    layer is worth one unit. That is why weights are random. A MODEL gives its settings only.
    """
    from fastgd.rules.optimizers import SGD

    output = Output(as_json, quiet)
    sgd = SGD(learning_rate)
    with draw(out, dark, model, data):
        from fastgd.plot.start import StartsDisplay

        network, X, y = _settings(model, data, target, output)
        display = StartsDisplay.from_network(
            network, X, y, epochs=epochs, batch_size=batch_size, optimizer=sgd,
            constant=constant, seed=seed,
        )  # fmt: skip
        output.say(str(display.starts))
        output.say("copies in one layer get the same gradient: only random weights part them")
        record = {
            s.name: {"cost": s.cost, "score": s.score, "units": s.units, "distinct": s.distinct}
            for s in display.starts.starts
        }
        finish(display, out, output, "start", {"starts": record})


def _settings(
    model: str | None, data: str | None, target: str | None, output: Output
) -> tuple[Any, Any, Any]:
    """Return what to train, and its examples: by default the digits, the book's way."""
    if model is not None:
        found = subject(model, data, target, output)
        return found.network, found.X, found.y
    from fastgd import data as sources

    digits = sources.split(sources.load("digits"), seed=0)
    sizes = [digits.n_features, HIDDEN, digits.n_classes]
    output.say(f"network  {'-'.join(map(str, sizes))} on the digits (give MODEL DATA for your own)")
    return {"sizes": sizes, "input_scale": digits.input_scale}, digits.X, digits.y
