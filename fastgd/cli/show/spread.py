"""``fastgd show spread``: how far z spreads before the sigmoid, by the number of inputs."""

from __future__ import annotations

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options

__all__ = ["spread"]

EPILOG = """\b
Examples:
  fastgd show spread
  fastgd show spread --n-ins 10,100,1000,10000 --activation tanh --out spread.svg
"""


@click.command(cls=Command, epilog=EPILOG)
@option(
    "Measurement", "--n-ins", metavar="N,N,...", default="10,30,100,300,1000", show_default=True,
    help="Numbers of inputs.",
)  # fmt: skip
@option("Measurement", "--activation", default="sigmoid", show_default=True, help="Or tanh.")
@option("Measurement", "--seed", type=int, default=0, show_default=True)
@picture_options("spread")
def spread(
    n_ins: str, activation: str, seed: int, out: str, dark: bool, as_json: bool, quiet: bool
) -> None:
    """Measure how far z spreads in new networks whose weights are of scale 1 or 1/sqrt(n_in).

    With scale 1 z grows like sqrt(n_in), and a unit with many inputs is saturated before training
    begins; with 1/sqrt(n_in) it stays at 1.
    """
    output = Output(as_json, quiet)
    try:
        numbers = [int(n) for n in n_ins.split(",")]
    except ValueError:
        raise ValueError(f"n_ins must be integers with commas between; got {n_ins!r}") from None
    with draw(out, dark):
        from fastgd.explain.start import spread_of_z
        from fastgd.plot.start import SpreadDisplay

        found = spread_of_z(numbers, activation=activation, seed=seed)
        display = SpreadDisplay(spread=found).plot()
        output.say(str(found))
        record = {
            "n_ins": found.n_ins,
            "spread": found.spread,
            "theory": found.theory,
            "saturated": found.saturated,
        }
        finish(display, out, output, "spread", record)
