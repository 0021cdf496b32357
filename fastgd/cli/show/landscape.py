"""Pictures of the cost around a network: a line, a plane, its curvature, the ways down."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from fastgd import explain, plot
from fastgd.cli.options import option
from fastgd.cli.show.picture import MODEL_DATA, Asked, Drawn, fields, integer, picture
from fastgd.cli.show.subject import BATCH_SIZE, EPOCHS, RATE
from fastgd.rules.checks import check_integer
from fastgd.rules.optimizers import SGD

__all__ = ["curvature", "landscape", "paths", "slice_"]


class Weight(click.ParamType):
    """A weight: layer, from which unit, to which unit, each from 0."""

    name = "layer,i,j"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        parts = [part.strip() for part in value.split(",")]
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
            self.fail(f"{value!r} is not a weight; give LAYER,I,J, from 0, as 1,3,4")
        return tuple(map(int, parts))


def _examples(default: int) -> Any:
    return integer("Data", "--examples", default=default,
                   help="Take at most so many examples, drawn at random.")  # fmt: skip


def _training(epochs: int) -> tuple[Any, ...]:
    """Return the options of a training one watches."""
    return (
        integer("Training", "--epochs", default=epochs, help="Epochs to train."),
        integer("Training", "--batch-size", default=BATCH_SIZE, help="Examples in a mini-batch."),
        option("Training", "--learning-rate", type=float, metavar="NUMBER",
               help=f"[default: {RATE:g} without a MODEL, else what suits most]"),
    )  # fmt: skip


@picture(
    "slice", MODEL_DATA, _examples(10_000),
    option("Line", "--weight", type=Weight(), metavar="LAYER,I,J",
           help="Along weights[LAYER][I, J]."),
    option("Line", "--direction", type=click.Choice(["gradient", "random"]),
           help="Along the negative gradient, or a random one as long as the weights."),
    option("Line", "--span", type=float, metavar="NUMBER", help="How far to each side."),
    integer("Line", "--points", default=101, help="How many costs."),
    integer("Line", "--seed", default=0, help="Which random direction, which examples."),
    examples=("slice                             # along the weight with the steepest slope",
              "slice --weight 1,3,4              # along weights[1][3, 4]",
              "slice --direction gradient        # the steepest way down"),
)  # fmt: skip
def slice_(
    ask: Asked, examples: int, weight: tuple[int, int, int] | None, direction: str | None,
    span: float | None, points: int, seed: int,
) -> Drawn:  # fmt: skip
    """Draw the cost as one weight, or all of them in one direction, are changed.

    Without --weight or --direction it is the weight with the steepest slope. The tangent is the
    slope that backpropagation computes: gradient descent takes a step down it.
    """
    if weight and direction:
        raise click.UsageError("give --weight or --direction, not both")
    about = ask.subject
    X, y = about.some(examples, seed, ask)
    display = plot.SliceDisplay.from_network(
        about.network, X, y, weight=weight, direction=direction, span=span, points=points, seed=seed
    )
    found = display.slice
    ask.say(str(found))
    return display, {"along": found.name, **fields(found, "at", "cost", "slope", "x", "costs")}


@picture(
    "landscape", MODEL_DATA, _examples(10_000),
    option("Plane", "--directions", type=click.Choice(["path", "random"]),
           help="The plane of a training path, by PCA; or random directions through the network, "
           "as long as each unit's weights.  [default: random with a MODEL, else path]"),
    option("Plane", "--span", type=float, metavar="NUMBER", help="How far to each side."),
    integer("Plane", "--points", default=51,
            help="Costs along each axis; an odd number has the centre among them."),
    integer("Plane", "--seed", default=0,
            help="Which start, which random directions, which examples."),
    *_training(EPOCHS),
    examples=("landscape                         # a training path in its own plane",
              "landscape --directions random     # around the trained network"),
)  # fmt: skip
def landscape(
    ask: Asked, examples: int, directions: str | None, span: float | None, points: int, seed: int,
    epochs: int, batch_size: int, learning_rate: float | None,
) -> Drawn:  # fmt: skip
    """Draw the cost over a plane of parameters, as a map of heights.

    With a MODEL, around it; else a network is trained, and its way drawn in the plane that holds
    most of it. Either is a slice: nearly all directions are not in it.
    """
    about = ask.subject
    X, y = about.some(examples, seed, ask)
    network, path = about.network, None
    directions = directions or ("random" if about.given else "path")
    if directions == "path":
        rate, network = about.rate(learning_rate), about.untrained(seed)
        path = explain.landscape.training_path(
            network, X, y, epochs=epochs, batch_size=batch_size, optimizer=SGD(rate)
        )
        what = "a new network like it: " if about.given else ""
        ask.say(f"training {what}{path}, at rate {rate:g}")
    display = plot.LandscapeDisplay.from_network(
        network, X, y, directions=directions, path=path, span=span, points=points, seed=seed
    )
    found = display.landscape
    ask.say(str(found))
    numbers = fields(found, "cost", "a", "b", "costs", "shares", "path")
    return display, {"directions": directions, **numbers}


@picture(
    "paths", MODEL_DATA, _examples(100),
    integer("Paths", "--seed", default=0, help="Which start, which examples."),
    integer("Paths", "--points", default=40, help="Costs along each axis of the map."),
    *_training(20),
    examples=("paths --examples 100 --epochs 20 --learning-rate 5 --out paths.png",),
)  # fmt: skip
def paths(
    ask: Asked, examples: int, seed: int, points: int, epochs: int, batch_size: int,
    learning_rate: float | None,
) -> Drawn:  # fmt: skip
    """Train from one start with the full batch, with mini-batches and with single examples.

    All see the same examples as often. The full batch marches smoothly, but makes one step an
    epoch; single examples make a step each, as a drunken walk, and come further. With few
    examples, as here, all three fit in one picture.
    """
    about = ask.subject
    X, y = about.some(examples, seed, ask)
    rate = about.rate(learning_rate)
    display = plot.PathsDisplay.from_network(
        about.untrained(seed), X, y, epochs=epochs, batch_sizes=(None, batch_size, 1),
        optimizer=SGD(rate), points=points,
    )  # fmt: skip
    found = display.paths
    ask.say(f"training {epochs} epochs at rate {rate:g}")
    ask.say(str(found))
    record = {
        name: {**fields(path, "steps", "examples", "costs"), "walked": path.length,
               "from_start": path.distance, "coordinates": found.coordinates[name]}
        for name, path in found.paths.items()
    }  # fmt: skip
    return display, {"paths": record, "shares": found.landscape.shares}


@picture(
    "curvature", MODEL_DATA,
    integer("Curvature", "--steps", default=40, help="Steps of each descent."),
    integer("Curvature", "--seed", default=0,
            help="Of the random direction, and of the examples where they are over 2,000."),
    examples=("curvature", "curvature digits.safetensors digits --out curvature.svg"),
)  # fmt: skip
def curvature(ask: Asked, steps: int, seed: int) -> Drawn:
    """Find the direction in which the cost curves most: it bounds the learning rate.

    Above 2 / (largest eigenvalue of the second derivatives) steps across that valley grow. Shown
    with descents on all examples, at rates below and above.
    """
    check_integer("steps", steps, 1)
    check_integer("seed", seed, 0)
    about, rng = ask.subject, np.random.default_rng(seed)
    examples = about.network.check_examples(about.X, about.y)
    X, y = explain.rates.sample(about.network, examples, rng)
    ask.say(f"examples {len(y):,} of those it learned from\n")
    display = plot.CurvatureDisplay.from_network(about.network, X, y, steps=steps, seed=seed)
    found = display.valley
    ask.say(f"{found}")
    stable = found.curvature.stable_rate()
    return display, {
        "examples": len(y),
        "largest_eigenvalue": found.curvature.eigenvalue,
        "largest_stable_rate": stable,
        **fields(found, "random_curvature", "distances", "costs", "parabola"),
        "descents": [
            {"rate": factor * stable, "factor": factor, "costs": costs}
            for factor, costs in found.descents.items()
        ],
    }
