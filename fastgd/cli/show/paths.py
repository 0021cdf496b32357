"""``fastgd show paths``: full batch, mini-batches and single examples, from one start."""

from __future__ import annotations

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.fresh import (
    examples_option,
    fresh_network,
    rate_for,
    some_examples,
    training_options,
)
from fastgd.cli.show.subject import (
    BATCH_SIZE,
    draw,
    finish,
    picture_options,
    subject,
    subject_arguments,
)

__all__ = ["paths"]

EPILOG = """\b
Example:
  fastgd show paths --examples 100 --epochs 20 --learning-rate 5 --out paths.png
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@examples_option(100)
@option("Paths", "--seed", type=int, default=0, show_default=True, metavar="N",
        help="Which start, which examples.")  # fmt: skip
@option("Paths", "--points", type=int, default=40, show_default=True, metavar="N",
        help="Costs along each axis of the map.")  # fmt: skip
@training_options(20, BATCH_SIZE)
@picture_options("paths")
def paths(
    model: str | None, data: str | None, target: str | None, examples: int, seed: int,
    points: int, epochs: int, batch_size: int, learning_rate: float | None, out: str, dark: bool,
    as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Train from one start with the full batch, with mini-batches and with single examples.

    All see the same examples as often. The full batch marches smoothly, but makes one step an
    epoch; single examples make a step each, as a drunken walk, and come further. With few
    examples, as here, all three fit in one picture.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.plot.landscape import PathsDisplay
        from fastgd.rules.optimizers import SGD

        about = subject(model, data, target, output)
        X, y = some_examples(about, examples, seed, output)
        rate = rate_for(about, learning_rate, model)
        display = PathsDisplay.from_network(
            fresh_network(about.network, seed), X, y, epochs=epochs,
            batch_sizes=(None, batch_size, 1), optimizer=SGD(rate), points=points,
        )  # fmt: skip
        found = display.paths
        output.say(f"training {epochs} epochs at rate {rate:g}")
        output.say(str(found))
        record = {
            name: {"steps": path.steps, "examples": path.examples, "costs": path.costs,
                   "walked": path.length, "from_start": path.distance,
                   "coordinates": found.coordinates[name]}
            for name, path in found.paths.items()
        }  # fmt: skip
        finish(display, out, output, "paths",
               {"paths": record, "shares": found.landscape.shares})  # fmt: skip
