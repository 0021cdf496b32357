"""``fastgd show landscape``: the cost over a plane of parameters, with the training path on it."""

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
    EPOCHS,
    draw,
    finish,
    picture_options,
    subject,
    subject_arguments,
)

__all__ = ["landscape"]

EPILOG = """\b
Examples:
  fastgd show landscape                         # a training path in its own plane
  fastgd show landscape --directions random     # around the trained network
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@examples_option(10_000)
@option("Plane", "--directions", type=click.Choice(["path", "random"]),
        help="The plane of a training path, by PCA; or random directions through the network, as "
        "long as each unit's weights.  [default: random with a MODEL, else path]")  # fmt: skip
@option("Plane", "--span", type=float, metavar="NUMBER", help="How far to each side.")
@option("Plane", "--points", type=int, default=50, show_default=True, metavar="N",
        help="Costs along each axis.")  # fmt: skip
@option("Plane", "--seed", type=int, default=0, show_default=True, metavar="N",
        help="Which start, which random directions, which examples.")  # fmt: skip
@training_options(EPOCHS, BATCH_SIZE)
@picture_options("landscape")
def landscape(
    model: str | None, data: str | None, target: str | None, examples: int,
    directions: str | None, span: float | None, points: int, seed: int, epochs: int,
    batch_size: int, learning_rate: float | None, out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Draw the cost over a plane of parameters, as a map of heights.

    With a MODEL, around it; else a network is trained, and its way drawn in the plane that holds
    most of it. Either is a slice: nearly all directions are not in it.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.explain.landscape import training_path
        from fastgd.plot.landscape import LandscapeDisplay
        from fastgd.rules.optimizers import SGD

        about = subject(model, data, target, output)
        X, y = some_examples(about, examples, seed, output)
        network, path = about.network, None
        directions = directions or ("random" if model else "path")
        if directions == "path":
            rate = rate_for(about, learning_rate, model)
            network = fresh_network(network, seed)
            path = training_path(
                network, X, y, epochs=epochs, batch_size=batch_size, optimizer=SGD(rate)
            )
            what = "a new network like it: " if model else ""
            output.say(f"training {what}{path}, at rate {rate:g}")
        display = LandscapeDisplay.from_network(
            network, X, y, directions=directions, path=path, span=span, points=points, seed=seed
        )
        found = display.landscape
        output.say(str(found))
        record = {name: getattr(found, name) for name in ("cost", "a", "b", "costs", "shares")}
        finish(display, out, output, "landscape",
               {"directions": directions, **record, "path": found.path})  # fmt: skip
