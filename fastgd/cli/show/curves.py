"""``fastgd show curves``: training and validation cost, and where overfitting begins."""

from __future__ import annotations

from typing import Any

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels
from fastgd.cli.show.practice import Epochs, moving_bar, practice, practice_options
from fastgd.cli.show.subject import draw, finish, picture_options
from fastgd.rules.checks import check_integer

__all__ = ["curves"]

EPILOG = """\b
Examples:
  fastgd show curves
  fastgd show curves --examples 1000           (more examples overfit less)
"""


@click.command(cls=Command, epilog=EPILOG)
@practice_options(
    hidden="30,30", activation="relu", epochs=200, batch_size=10,
    rate="0.5, or 0.1 with relu; 0.02 for numbers",
)  # fmt: skip
@option(
    "Data", "--examples", type=int, metavar="N", default=100, show_default=True,
    help="How many examples to learn from; few, so that it overfits.",
)  # fmt: skip
@picture_options("curves")
def curves(
    examples: int, out: str, dark: bool, as_json: bool, quiet: bool, **given: Any
) -> None:  # fmt: skip
    """Train a network on few examples of DATA for long, and see it overfit.

    At first the cost falls on examples it learns and on others alike; then it learns its own by
    heart, and gets worse on others. DATA is 'digits' where none is given.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, given["data"]):
        from fastgd.plot.curves import CurvesDisplay
        from fastgd.rules.optimizers import SGD

        check_integer("examples", examples, 1)
        about = practice(given, output, examples=examples)
        compile_kernels(about.network.dtype, None, output)
        with moving_bar(output) as move:
            history = about.network.fit(
                about.X, about.y, epochs=given["epochs"], batch_size=given["batch_size"],
                optimizer=SGD(about.rate), validation_data=about.validation,
                callbacks=Epochs(move, given["epochs"]),
            )  # fmt: skip
        display = CurvesDisplay.from_history(history)
        output.say(str(display.overfitting))
        assert display.overfitting is not None
        record = {
            "overfitting_begins": display.overfitting.begins,
            "best_epoch": display.overfitting.best_epoch,
            "verdict": display.overfitting.verdict,
            "history": history.to_dict(),
        }
        finish(display, out, output, "curves", record)
