"""``fastgd show descent``: gradient descent on a formula, with several learning rates."""

from __future__ import annotations

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.formula import FUNCTIONS, formula
from fastgd.cli.show.subject import draw, finish, picture_options

__all__ = ["descent"]

RATES = (0.01, 0.1, 0.9, 1.1)

EPILOG = f"""\b
Examples:
  fastgd show descent
  fastgd show descent --function "w**4 - 3*w**2 + w" --start 2 --learning-rate 0.02
  fastgd show descent --function "w[0]**2 + 10*w[1]**2" --start 4,1 --learning-rate 0.05

Formulas have numbers, w, pi, e, + - * / ** and {", ".join(FUNCTIONS)}.
"""


@click.command(cls=Command, epilog=EPILOG)
@option(
    "Descent", "--function", metavar="FORMULA", default="(w-3)**2", show_default=True,
    help="The cost, a formula in w, or in w[0] and w[1].",
)  # fmt: skip
@option(
    "Descent", "--start", metavar="W", default="0", show_default=True,
    help="Where to begin: a number, or two with a comma.",
)  # fmt: skip
@option(
    "Descent", "--learning-rate", type=float, multiple=True, metavar="RATE", default=RATES,
    show_default="0.01, 0.1, 0.9, 1.1", help="The step size; give several to compare them.",
)  # fmt: skip
@option(
    "Descent", "--steps", type=int, default=20, show_default=True, help="How many steps at most."
)
@picture_options("descent")
def descent(
    function: str, start: str, learning_rate: tuple[float, ...], steps: int,
    out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Go down a curve step by step, and say what became of it.

    The step is the learning rate times the slope. Too small, and it takes for ever; too large,
    and it jumps over the minimum, or away.
    """
    output = Output(as_json, quiet)
    point = _numbers(start)
    cost = formula(function, len(point))
    with draw(out, dark):
        from fastgd.descent import show
        from fastgd.plot.descent import DescentDisplay

        where = show(point)
        display = DescentDisplay.from_function(
            cost,
            point[0] if len(point) == 1 else point,
            learning_rate=learning_rate,
            steps=steps,
            title=f"Gradient descent on C(w) = {_short(function)}, from w = {where}",
        )
        descents = display.descents
        output.say(f"C(w) = {function}, from w = {where}\n")
        if len(descents) == 1:
            output.say(f"{descents[0]}")
        else:
            output.table(
                ["learning rate", "steps", "w at the end", "C(w)", "verdict"],
                [
                    [f"{d.learning_rate:g}", str(len(d.updates)), show(d.path[-1]),
                     show(d.costs[-1]), d.verdict]
                    for d in descents
                ],
            )  # fmt: skip
            output.say()
            for d in descents:
                output.say(f"{d.learning_rate:g}  {d.verdict}: {d.reason}")
        record = {
            "function": function,
            "start": point,
            "descents": [
                {
                    "learning_rate": d.learning_rate, "verdict": d.verdict, "reason": d.reason,
                    "path": d.path, "costs": d.costs, "slopes": d.slopes, "updates": d.updates,
                }
                for d in descents
            ],
        }  # fmt: skip
        finish(display, out, output, "descent", record)


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2:
        raise ValueError(f"start must be a number, or two with a comma; got {text!r}")
    return numbers


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
