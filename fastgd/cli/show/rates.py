"""Pictures of the learning rate: one that is suggested, and many side by side."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from fastgd import plot
from fastgd.cli.options import option
from fastgd.cli.progress import moving_bar
from fastgd.cli.show.lesson import RULES, lesson_options
from fastgd.cli.show.picture import DATA, Asked, Drawn, fields, picture

__all__ = ["learning_rate", "rates"]


@picture(
    "learning-rate", (*DATA, *lesson_options(hidden="30", activation="relu", epochs=10)), *RULES,
    examples=("learning-rate",
              "learning-rate --activation sigmoid --output sigmoid --loss quadratic",
              "learning-rate houses.csv --target price"),
)  # fmt: skip
def learning_rate(ask: Asked, **given: Any) -> Drawn:
    """Suggest a learning rate for a network on DATA, and train with it to see.

    The curvature of the cost gives the largest stable rate; a range test raises the rate from
    mini-batch to mini-batch until the cost blows up. DATA is 'digits' where none is given.
    """
    about = ask.lesson(given)
    network, epochs = about.network, about.epochs
    display = plot.LearningRateDisplay.from_network(
        network, about.X, about.y, batch_size=about.batch_size, seed=about.seed
    )
    found = display.learning_rate
    ask.say(f"\n{found}\n")
    settings = about.training(found.suggested)
    history = network.fit(about.X, about.y, validation_data=about.validation, **settings)
    score = network.score(*about.validation)
    ask.say(
        f"trained at {found.suggested:g} for {epochs} epoch{'s' * (epochs != 1)}: "
        f"cost {history.cost[-1]:.4g}, "
        f"{'accuracy' if about.dataset.is_classification else 'R^2'} {score:.4f} "
        "on the examples held out"
    )
    test = found.range_test
    return display, {
        **fields(found, "suggested", "largest_stable_rate"),
        "largest_eigenvalue": found.curvature.eigenvalue,
        "steepest": test.steepest, "lowest": test.best,
        **fields(test, "blow_up", "rates", "costs", "smoothed"),
        "reason": found.reason, "score_after_training": score,
    }  # fmt: skip


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


@picture(
    "rates", (*DATA, *lesson_options(hidden="30", activation="relu", epochs=5)),
    option("Training", "--rates", "chosen", type=Rates(), metavar="NUMBER,...",
           help="The learning rates.  [default: two for each power of ten from 0.001 to 100]"),
    *RULES,
    examples=("rates", "rates --rates 0.5,1,2,4,8 --activation sigmoid"),
)  # fmt: skip
def rates(ask: Asked, chosen: list[float] | None, **given: Any) -> Drawn:
    """Train the same network on DATA at many learning rates, and compare.

    Each starts from the same weights and sees the same mini-batches. Rates at which the cost
    diverges are shown as such. DATA is 'digits' where none is given.
    """
    about = ask.lesson(given)
    with moving_bar(ask) as move:
        display = plot.SweepDisplay.from_network(
            about.network, about.X, about.y, rates=chosen, epochs=about.epochs,
            batch_size=about.batch_size, validation_data=about.validation,
            on_rate=partial(move, "rate"),
        )  # fmt: skip
    found = display.sweep
    ask.say(str(found))
    return display, {
        **fields(found, "rates", "costs", "scores", "score_name"),
        "diverged_in_epoch": found.diverged,
        "start_cost": found.start_cost,
        "best_rate": None if found.best is None else found.rates[found.best],
    }
