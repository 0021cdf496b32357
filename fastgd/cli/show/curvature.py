"""``fastgd show curvature``: where the cost curves most, and what learning rate that allows."""

from __future__ import annotations

import click
import numpy as np

from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments
from fastgd.rules.checks import check_integer

__all__ = ["curvature"]

EPILOG = """\b
Examples:
  fastgd show curvature
  fastgd show curvature digits.safetensors digits --out curvature.svg
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option(
    "Curvature", "--steps", type=int, metavar="N", default=40, show_default=True,
    help="Steps of each descent.",
)  # fmt: skip
@option(
    "Curvature", "--seed", type=int, metavar="N", default=0, show_default=True,
    help="Of the random direction, and of the examples where they are over 2,000.",
)  # fmt: skip
@picture_options("curvature")
def curvature(
    model: str | None, data: str | None, target: str | None, steps: int, seed: int, out: str,
    dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Find the direction in which the cost curves most: it bounds the learning rate.

    Above 2 / (largest eigenvalue of the second derivatives) steps across that valley grow. Shown
    with descents on all examples, at rates below and above.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.engine.inputs import check_examples
        from fastgd.explain.rates import sample
        from fastgd.plot.curvature import CurvatureDisplay

        check_integer("steps", steps, 1)
        check_integer("seed", seed, 0)
        about = subject(model, data, target, output)
        network = about.network
        rng = np.random.default_rng(seed)
        X, y = sample(network, check_examples(about.X, about.y, network.architecture), rng)
        output.say(f"examples {len(y):,} of those it learned from\n")
        display = CurvatureDisplay.from_network(network, X, y, steps=steps, seed=seed)
        found = display.valley
        output.say(f"{found}")
        record = {
            "examples": len(y),
            "largest_eigenvalue": found.curvature.eigenvalue,
            "largest_stable_rate": found.curvature.stable_rate(),
            "random_curvature": found.random_curvature,
            "distances": found.distances, "costs": found.costs, "parabola": found.parabola,
            "descents": [
                {"rate": factor * found.curvature.stable_rate(), "factor": factor, "costs": costs}
                for factor, costs in found.descents.items()
            ],
        }  # fmt: skip
        finish(display, out, output, "curvature", record)
