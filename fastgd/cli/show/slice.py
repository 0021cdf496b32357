"""``fastgd show slice``: the cost along one weight, or along one direction, with its tangent."""

from __future__ import annotations

from typing import Any

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.fresh import examples_option, some_examples
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments

__all__ = ["slice_"]

EPILOG = """\b
Examples:
  fastgd show slice                             # along the weight with the steepest slope
  fastgd show slice --weight 1,3,4              # along weights[1][3, 4]
  fastgd show slice --direction gradient        # the steepest way down
"""


class Weight(click.ParamType):
    """A weight: layer, from which unit, to which unit, each from 0."""

    name = "layer,i,j"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        parts = [part.strip() for part in value.split(",")]
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
            self.fail(f"{value!r} is not a weight; give LAYER,I,J, from 0, as 1,3,4")
        return tuple(map(int, parts))


@click.command("slice", cls=Command, epilog=EPILOG)
@subject_arguments
@examples_option(10_000)
@option("Line", "--weight", type=Weight(), metavar="LAYER,I,J", help="Along weights[LAYER][I, J].")
@option("Line", "--direction", type=click.Choice(["gradient", "random"]),
        help="Along the negative gradient, or a random one as long as the weights.")  # fmt: skip
@option("Line", "--span", type=float, metavar="NUMBER", help="How far to each side.")
@option("Line", "--points", type=int, default=101, show_default=True, metavar="N",
        help="How many costs.")  # fmt: skip
@option("Line", "--seed", type=int, default=0, show_default=True, metavar="N",
        help="Which random direction, which examples.")  # fmt: skip
@picture_options("slice")
def slice_(
    model: str | None, data: str | None, target: str | None, examples: int,
    weight: tuple[int, int, int] | None, direction: str | None, span: float | None, points: int,
    seed: int, out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Draw the cost as one weight, or all of them in one direction, are changed.

    Without --weight or --direction it is the weight with the steepest slope. The tangent is the
    slope that backpropagation computes: gradient descent takes a step down it.
    """
    if weight and direction:
        raise click.UsageError("give --weight or --direction, not both")
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.plot.landscape import SliceDisplay

        about = subject(model, data, target, output)
        X, y = some_examples(about, examples, seed, output)
        display = SliceDisplay.from_network(
            about.network, X, y, weight=weight, direction=direction, span=span, points=points,
            seed=seed,
        )  # fmt: skip
        found = display.slice
        output.say(str(found))
        record = {"along": found.name, "at": found.at, "cost": found.cost, "slope": found.slope}
        finish(display, out, output, "slice", {**record, "x": found.x, "costs": found.costs})
