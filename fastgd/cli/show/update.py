"""``fastgd show update``: the step one example makes with one weight, taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import numpy as np

from fastgd.cli.models import class_names
from fastgd.cli.options import Command, option
from fastgd.cli.output import Output
from fastgd.cli.show.subject import draw, finish, picture_options, subject, subject_arguments

if TYPE_CHECKING:
    from fastgd.data import Dataset
    from fastgd.network import Network

__all__ = ["naming", "update"]

#: What the library calls i and j.
OPTIONS = {"i": "from", "j": "to"}

EPILOG = """\b
Examples:
  fastgd show update
  fastgd show update digits.safetensors digits --layer 0 --from 19 --to 7
"""


@click.command(cls=Command, epilog=EPILOG)
@subject_arguments
@option(
    "Weight", "--example", type=int, default=0, metavar="N", show_default=True,
    help="Which test example, from 0.",
)  # fmt: skip
@option("Weight", "--layer", type=int, metavar="N", help="From 0; the output layer by default.")
@option(
    "Weight", "--from", "i", type=int, metavar="N",
    help="The input or unit the weight comes from; by default where the step is largest.",
)  # fmt: skip
@option(
    "Weight", "--to", "j", type=int, metavar="N",
    help="The unit the weight goes to; by default where the step is largest.",
)  # fmt: skip
@option(
    "Weight", "--learning-rate", type=float, default=0.1, show_default=True, metavar="RATE",
    help="The step size.",
)  # fmt: skip
@picture_options("update")
def update(
    model: str | None, data: str | None, target: str | None, example: int, layer: int | None,
    i: int | None, j: int | None, learning_rate: float, out: str, dark: bool, as_json: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Take apart one weight's update: the chain of slopes that multiply to it.

    Slope of the cost, slope of the activation, value that feeds in: what backpropagation does.
    """
    output = Output(as_json, quiet)
    with draw(out, dark, model):
        about = subject(model, data, target, output)
        network, n = about.network, len(about.X_test)
        if not 0 <= example < n:
            raise ValueError(f"example must be from 0 to {n - 1}; got {example}")
        x, y = about.X_test[example], about.y_test[example]
        layer = len(network.sizes) - 2 if layer is None else layer
        i, j = _largest(network, x, y, layer, i, j)
        from fastgd.plot.update import UpdateDisplay

        display = UpdateDisplay.from_network(
            network,
            x,
            y,
            layer=layer,
            i=i,
            j=j,
            learning_rate=learning_rate,
            **naming(network, about.dataset),
        )
        told = display.told
        output.say(f"example  {example}, its target {y}\n")
        output.say(f"{told}")
        record = {
            "example": example, "layer": layer, "from": i, "to": j, "weight": told.weight,
            "factors": [
                {"symbol": f.symbol, "meaning": f.meaning, "value": f.value} for f in told.factors
            ],
            "contributions": [
                {"unit": c.unit, "weight": c.weight, "delta": c.delta, "value": c.value}
                for c in told.contributions
            ],
            "slope": told.slope, "kernel_slope": told.kernel_slope,
            "learning_rate": learning_rate, "update": told.update, "new_weight": told.new_weight,
        }  # fmt: skip
        finish(display, out, output, "update", record)


def naming(network: Network, dataset: Dataset) -> dict[str, object]:
    """Return what is known about the names of a network's inputs and outputs."""
    names = class_names(dataset) if dataset.is_classification else None
    return {
        "image_shape": dataset.image_shape,
        "feature_names": dataset.feature_names,
        "class_names": names if names and len(names) == network.sizes[-1] else None,
    }


def _largest(
    network: Network, x: np.ndarray, y: object, layer: int, i: int | None, j: int | None
) -> tuple[int, int]:
    """Return input and output of the weight with the largest step, of those not given."""
    from fastgd.explain.update import check_place, one_example

    try:
        check_place(network.architecture.sizes, layer, i, j)
    except ValueError as error:
        name, rest = str(error).split(" ", 1)
        raise click.UsageError(f"--{OPTIONS.get(name, name)} {rest}") from None
    X, Y = one_example(network, x, y)
    steps = np.abs(network.architecture.layout.weights(network.gradient(X, Y))[layer])
    rows = slice(None) if i is None else slice(i, i + 1)
    columns = slice(None) if j is None else slice(j, j + 1)
    part = steps[rows, columns]
    row, column = np.unravel_index(int(np.argmax(part)), part.shape)
    return (int(row) if i is None else i), (int(column) if j is None else j)
