"""``fastgd show nudges``: the negative gradient read aloud."""

from __future__ import annotations

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments
from fastgd.cli.show.update import naming

__all__ = ["nudges"]

EPILOG = """\b
Examples:
  fastgd show nudges
  fastgd show nudges digits.safetensors digits --top 10 --learning-rate 3
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option(
    "Nudges", "--top", type=int, default=20, show_default=True, metavar="N",
    help="How many weights to name.",
)  # fmt: skip
@option(
    "Nudges", "--learning-rate", type=float, default=0.1, show_default=True, metavar="RATE",
    help="The step size the nudges are for.",
)  # fmt: skip
@picture_options("nudges")
def nudges(
    model: str | None, data: str | None, target: str | None, top: int, learning_rate: float,
    out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Say which weights should increase or decrease to lower the cost, and how much.

    The gradient is that of the cost over the training examples.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model):
        about = subject(model, data, target, output)
        from fastgd.plot.nudges import NudgesDisplay

        display = NudgesDisplay.from_network(
            about.network, about.X, about.y, top=top, learning_rate=learning_rate,
            **naming(about.network, about.dataset),
        )  # fmt: skip
        told = display.told
        output.say(f"\n{told}")
        record = {
            "cost": told.cost, "gradient_length": told.length, "learning_rate": learning_rate,
            "counts": {
                band: {"increase": up, "decrease": down}
                if band != "not at all" else {"stay": up}
                for band, (up, down) in told.counts.items()
            },
            "top": [
                {
                    "index": t.index, "name": t.name, "layer": t.layer, "from": t.i, "to": t.j,
                    "value": t.value, "slope": t.slope, "update": t.update, "band": t.band,
                    "direction": t.direction, "share": t.share,
                }
                for t in told.top
            ],
            "predictions": [
                {"step_size": p.step_size, "predicted": p.predicted, "true": p.true}
                for p in told.predictions
            ],
        }  # fmt: skip
        finish(display, out, output, "nudges", record)
