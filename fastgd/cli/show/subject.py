"""What the pictures share: the network and data they are about, and where they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from fastgd.cli import models
from fastgd.cli.options import Function, option, output_options
from fastgd.cli.output import Output

if TYPE_CHECKING:
    from fastgd.data import Dataset
    from fastgd.network import Network
    from fastgd.plot.display import Display

__all__ = ["Subject", "draw", "finish", "picture_options", "subject", "subject_arguments"]

#: The network of the pictures where none is given: the digits, the book's way.
EPOCHS, BATCH_SIZE, RATE, HIDDEN = 30, 10, 3.0, 30


@dataclass
class Subject:
    """A network and its data: what it was trained on, and what it was not."""

    network: Network
    dataset: Dataset
    X: Any
    y: Any
    X_test: Any
    y_test: Any
    words: str


def subject_arguments(function: Function) -> Function:
    """Add the arguments [MODEL DATA] and the option --target."""
    target = option("Data", "--target", metavar="COLUMN", help="The column to learn, for tables.")
    data = click.argument("data", required=False)
    return click.argument("model", required=False)(data(target(function)))


def picture_options(name: str) -> Callable[[Function], Function]:
    """Add --out (by default the picture's name, as PNG), --dark, --json, --quiet."""

    def add(function: Function) -> Function:
        out = option(
            "Picture",
            "--out",
            metavar="FILE",
            default=f"{name}.png",
            show_default=True,
            help="Where the picture goes: .png or .svg.",
        )
        dark = option("Picture", "--dark", is_flag=True, help="Draw on a dark background.")
        return out(dark(output_options(function)))

    return add


def subject(
    model: str | None, data: str | None, target: str | None, output: Output, seed: int = 0
) -> Subject:
    """Return the network and data a picture is about.

    A MODEL needs its DATA; without both, a network is trained on the digits.
    """
    from fastgd import data as sources

    if model is None:
        dataset = sources.split(sources.load("digits"), seed=seed)
        network = _trained(dataset, seed)
        words = f"{'-'.join(map(str, network.sizes))}, trained on the digits for {EPOCHS} epochs"
        output.say(f"network  {words} (give MODEL DATA to see your own)")
        return Subject(
            network, dataset, dataset.X, dataset.y, dataset.X_test, dataset.y_test, words
        )
    if data is None:
        if not model.endswith(".safetensors"):
            raise click.UsageError(f"give a MODEL and its DATA; got {model} alone")
        raise click.UsageError(f"give the data of {model}, too: ... {model} DATA")
    network = models.load_model(model, data, None)
    dataset = models.load_rows(network, data, target=target, need_target=True)
    part = models.unseen_part(network, dataset)
    if part.which == "held_out":
        split = sources.split(dataset, float(network.notes["holdout"]), int(network.notes["seed"]))
        X, y = split.X, split.y
    else:
        X, y = dataset.X, dataset.y
    words = f"{'-'.join(map(str, network.sizes))} of {model}"
    output.say(f"network  {words}; data {dataset.name}")
    return Subject(network, dataset, X, y, part.X, part.y, words)


def _trained(dataset: Dataset, seed: int) -> Network:
    from fastgd.network import Network
    from fastgd.rules.optimizers import SGD

    sizes = [dataset.n_features, HIDDEN, dataset.n_classes]
    network = Network(sizes, input_scale=dataset.input_scale, seed=seed)  # type: ignore[arg-type]
    network.fit(dataset.X, dataset.y, epochs=EPOCHS, batch_size=BATCH_SIZE, optimizer=SGD(RATE))
    return network


@contextmanager
def draw(
    out: str, dark: bool, *sources: str | None, formats: tuple[str, ...] | None = None
) -> Iterator[None]:
    """Check, before any work, that the picture can be drawn and written; then draw in its theme.

    The name may end in one of ``formats``, by default those of pictures.
    """
    from fastgd.plot.display import FORMATS, check_format
    from fastgd.plot.style import matplotlib, theme

    try:
        check_format(out, formats or FORMATS)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--out") from None
    models.check_out(out, *filter(None, sources))
    matplotlib().use("Agg")
    with theme("dark" if dark else "light"):
        yield
    matplotlib().pyplot.close("all")


def finish(
    display: Display, out: str, output: Output, picture: str, record: Mapping[str, Any]
) -> None:
    """Write the picture, say where, and print the record as JSON if asked."""
    display.save(out)
    output.say(f"picture  {out}")
    output.finish({"command": f"show {picture}", "picture": out, **record})
