"""``fastgd show gradients``: how large the gradient is in each layer of a deep network."""

from __future__ import annotations

from typing import Any

import click

from fastgd.cli.options import Command
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels
from fastgd.cli.show.practice import Epochs, moving_bar, practice, practice_options
from fastgd.cli.show.subject import draw, finish, picture_options

__all__ = ["gradients"]

EPILOG = """\b
Example:
  fastgd show gradients --hidden 30,30,30,30,30
"""


@click.command(cls=Command, epilog=EPILOG)
@practice_options(
    hidden="30,30,30,30", activation=None, epochs=20, batch_size=10, rate="0.1, or 0.02 for numbers"
)
@picture_options("gradients")
def gradients(out: str, dark: bool, as_json: bool, quiet: bool, **given: Any) -> None:
    """Draw the gradient's size in each layer as a sigmoid and a relu network learn DATA.

    On its way back through a sigmoid layer the gradient is multiplied by slopes of at most 1/4:
    the first layers of a deep network hardly move. DATA is 'digits' where none is given.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, given["data"]):
        from fastgd.plot.gradients import GradientsDisplay
        from fastgd.rules.optimizers import SGD

        networks, about = {}, None
        for name in ("sigmoid", "relu"):
            about = practice(given, output, activation=name)
            networks[name] = about.network
        assert about is not None  # relu: what suits it both can bear
        rate = about.rate
        compile_kernels(about.network.dtype, None, output)
        with moving_bar(output) as move:
            display = GradientsDisplay.from_network(
                networks, about.X, about.y, epochs=given["epochs"],
                batch_size=given["batch_size"], optimizer=SGD(rate),
                callbacks=Epochs(move, len(networks) * given["epochs"]),
            )  # fmt: skip
        for name, found in display.gradients.items():
            output.say(f"\n{name}\n{found}")
        record = {
            name: {"norms": found.norms, "ratio": found.ratio, "scores": found.scores}
            for name, found in display.gradients.items()
        }
        finish(display, out, output, "gradients", record)
