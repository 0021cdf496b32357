"""``fastgd show learning-rate``: which rate to begin with, and why."""

from __future__ import annotations

from typing import Any

import click

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels
from fastgd.cli.show.practice import practice, practice_options
from fastgd.cli.show.subject import draw, finish, picture_options

__all__ = ["learning_rate"]

EPILOG = """\b
Examples:
  fastgd show learning-rate
  fastgd show learning-rate --activation sigmoid --output sigmoid --loss quadratic
  fastgd show learning-rate houses.csv --target price
"""


@click.command("learning-rate", cls=Command, epilog=EPILOG)
@practice_options(hidden="30", activation="relu", epochs=10, batch_size=10, rate=None)
@option(
    "Network", "--output", metavar="NAME",
    help="What outputs compute.  [default: softmax for classes]",
)  # fmt: skip
@option("Network", "--loss", metavar="NAME", help="The cost.  [default: cross_entropy for classes]")
@picture_options("learning-rate")
def learning_rate(
    loss: str | None, out: str, dark: bool, as_json: bool, quiet: bool, **given: Any
) -> None:
    """Suggest a learning rate for a network on DATA, and train with it to see.

    The curvature of the cost gives the largest stable rate; a range test raises the rate from
    mini-batch to mini-batch until the cost blows up. DATA is 'digits' where none is given.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, given["data"]):
        from fastgd.plot.rates import LearningRateDisplay
        from fastgd.rules.optimizers import SGD

        about = practice(given, output, output=given["output"], loss=loss)
        compile_kernels(about.network.dtype, None, output)
        network, batch_size, epochs = about.network, given["batch_size"], given["epochs"]
        display = LearningRateDisplay.from_network(
            network, about.X, about.y, batch_size=batch_size, seed=given["seed"]
        )
        found = display.learning_rate
        output.say(f"\n{found}\n")
        history = network.fit(
            about.X, about.y, epochs=epochs, batch_size=batch_size,
            optimizer=SGD(found.suggested), validation_data=about.validation,
        )  # fmt: skip
        score = network.score(*about.validation)
        classes = about.dataset.is_classification
        epochs_words = f"{epochs} epoch{'s' * (epochs != 1)}"
        output.say(
            f"trained at {found.suggested:g} for {epochs_words}: cost {history.cost[-1]:.4g}, "
            f"{'accuracy' if classes else 'R^2'} {score:.4f} on the examples held out"
        )
        test = found.range_test
        record = {
            "suggested": found.suggested,
            "largest_stable_rate": found.largest_stable_rate,
            "largest_eigenvalue": found.curvature.eigenvalue,
            "steepest": test.steepest, "lowest": test.best, "blow_up": test.blow_up,
            "rates": test.rates, "costs": test.costs, "smoothed": test.smoothed,
            "reason": found.reason, "score_after_training": score,
        }  # fmt: skip
        finish(display, out, output, "learning-rate", record)
