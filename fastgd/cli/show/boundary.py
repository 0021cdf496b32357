"""``fastgd show boundary``: where a network with two inputs changes its mind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import numpy as np

from fastgd.cli.models import class_names
from fastgd.cli.options import Command, option
from fastgd.cli.output import Output, count
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["boundary"]

EPILOG = """\b
Examples:
  fastgd show boundary --problem spirals
  fastgd show boundary model.safetensors table.csv --target species
"""

#: The network of the toy problems.
HIDDEN, EPOCHS, BATCH_SIZE, RATE = [16, 16], 300, 10, 0.1
#: The names of `fastgd.explain.toys.TOYS`, which a test compares.
PROBLEMS = ("moons", "spirals", "rings")


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option(
    "Problem",
    "--problem",
    type=click.Choice(PROBLEMS),
    default="moons",
    show_default=True,
    help="The toy problem to learn where no MODEL is given.",
)
@option("Problem", "--seed", metavar="N", type=int, default=0, show_default=True,
        help="Where the problem's points and the network's start come from.")  # fmt: skip
@picture_options("boundary")
def boundary(
    model: str | None, data: str | None, target: str | None, problem: str, seed: int,
    out: str, dark: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Draw what a network with two inputs says at every point.

    Without a MODEL, a small network first learns a toy problem with two inputs, since the digits
    have 64.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model, data):
        from fastgd.plot.boundary import BoundaryDisplay

        if model is None:
            network, X, y = _learn(problem, seed, output)
            display = BoundaryDisplay.from_network(network, X, y)
        else:
            about = subject(model, data, target, output)
            network, X, y, dataset = about.network, about.X_test, about.y_test, about.dataset
            names = class_names(dataset) if dataset.is_classification else None
            display = BoundaryDisplay.from_network(
                network, X, y, class_names=names, feature_names=dataset.feature_names
            )
        if display.wrong is not None and display.class_names is not None:
            rows = []
            for c, name in enumerate(display.class_names):
                of_class, share = display.y == c, float(np.mean(display.classes == c))
                n_wrong = f"{int(display.wrong[of_class].sum()):,}"
                rows.append([name, f"{int(of_class.sum()):,}", n_wrong, f"{share:.0%}"])
            output.table(["class", "examples", "wrong", "of the area drawn"], rows)
        output.say(display.title())
        record = {
            "n_examples": len(X),
            "n_wrong": None if display.wrong is None else int(display.wrong.sum()),
            "score": network.score(X, y),
        }
        finish(display, out, output, "boundary", record)


def _learn(problem: str, seed: int, output: Output) -> tuple[Network, np.ndarray, np.ndarray]:
    """Return a network trained on a toy problem, and the problem."""
    from fastgd.explain.toys import toy
    from fastgd.network import Network
    from fastgd.rules.optimizers import SGD

    X, y = toy(problem, seed=seed)
    sizes = [2, *HIDDEN, int(y.max()) + 1]
    network = Network(
        sizes, activation="tanh", output="softmax", loss="cross_entropy", seed=seed
    )  # fmt: skip
    network.fit(X, y, epochs=EPOCHS, batch_size=BATCH_SIZE, optimizer=SGD(RATE))
    output.say(
        f"network  {'-'.join(map(str, sizes))}, trained on {count(len(X), 'point')} of the toy "
        f"problem {problem} for {EPOCHS} epochs (give MODEL DATA to see your own)"
    )
    return network, X, y
