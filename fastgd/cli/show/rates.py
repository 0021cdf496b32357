"""``fastgd show rates``: the same network at many learning rates."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels
from fastgd.cli.show.practice import moving_bar, practice, practice_options
from fastgd.cli.show.subject import draw, finish, picture_options

__all__ = ["rates"]

EPILOG = """\b
Examples:
  fastgd show rates
  fastgd show rates --rates 0.5,1,2,4,8 --activation sigmoid
"""


class Rates(click.ParamType):
    """Several learning rates: 0.1,1,10."""

    name = "rates"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[float]:
        if isinstance(value, list):
            return value
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} must be learning rates, such as 0.1,1,10")


@click.command(cls=Command, epilog=EPILOG)
@practice_options(hidden="30", activation="relu", epochs=5, batch_size=10, rate=None)
@option(
    "Training", "--rates", "chosen", type=Rates(), metavar="NUMBER,...",
    help="The learning rates.  [default: two for each power of ten from 0.001 to 100]",
)  # fmt: skip
@option(
    "Network", "--output", metavar="NAME",
    help="What outputs compute.  [default: softmax for classes]",
)  # fmt: skip
@option("Network", "--loss", metavar="NAME", help="The cost.  [default: cross_entropy for classes]")
@picture_options("rates")
def rates(
    chosen: list[float] | None, loss: str | None, out: str, dark: bool, as_json: bool,
    quiet: bool, **given: Any,
) -> None:  # fmt: skip
    """Train the same network on DATA at many learning rates, and compare.

    Each starts from the same weights and sees the same mini-batches. Rates at which the cost
    diverges are shown as such. DATA is 'digits' where none is given.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, given["data"]):
        from fastgd.plot.sweep import SweepDisplay

        about = practice(given, output, output=given["output"], loss=loss)
        compile_kernels(about.network.dtype, None, output)
        with moving_bar(output) as move:
            display = SweepDisplay.from_network(
                about.network, about.X, about.y, rates=chosen, epochs=given["epochs"],
                batch_size=given["batch_size"], validation_data=about.validation,
                on_rate=partial(move, "rate"),
            )  # fmt: skip
        found = display.sweep
        output.say(str(found))
        record = {
            "rates": found.rates,
            "costs": found.costs,
            "scores": found.scores,
            "score_name": found.score_name,
            "diverged_in_epoch": found.diverged,
            "start_cost": found.start_cost,
            "best_rate": None if found.best is None else found.rates[found.best],
        }
        finish(display, out, output, "rates", record)
