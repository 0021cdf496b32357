"""``fastgd show training``: a film of a network as it learns."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from fastgd.cli import models
from fastgd.cli.options import Command, option, output_options
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels
from fastgd.cli.show.practice import Epochs, moving_bar, practice, practice_options
from fastgd.cli.show.subject import draw

__all__ = ["training"]

#: The learning rate of the book's network.
RATE = 3.0

EPILOG = """\b
Examples:
  fastgd show training digits --out training.gif
  fastgd show training digits --out training.html --learning-rate 0.3
"""


@click.command(cls=Command, epilog=EPILOG)
@practice_options(
    hidden="30", activation="sigmoid", epochs=30, batch_size=10, rate="3, the book's; 0.1 with relu"
)
@option(
    "Picture", "--out", metavar="FILE", default="training.gif", show_default=True,
    help="Where the film goes: .gif or .html; .png or .svg for its last frame.",
)  # fmt: skip
@option("Picture", "--dark", is_flag=True, help="Draw on a dark background.")
@output_options
def training(out: str, dark: bool, as_json: bool, quiet: bool, **given: Any) -> None:
    """Film a network as it learns DATA: its cost, its weights as images, a few predictions.

    The frames are close together at first, where most happens. DATA is 'digits' where none is
    given; its targets must be classes.
    """
    output = Output(as_json, quiet)
    from fastgd.plot.training import FILM_FORMATS, TrainingAnimation

    with draw(out, dark, given["data"], formats=FILM_FORMATS):
        from fastgd.rules.optimizers import SGD

        about = practice(given, output, output="sigmoid", loss="quadratic")
        data = about.dataset
        if not data.is_classification:
            raise click.UsageError(
                f"{given['data']} holds numbers to predict, not classes; "
                f"'fastgd show curves {given['data']}' shows how its cost falls"
            )
        rate = given["learning_rate"]
        if rate is None:
            rate = RATE if given["activation"] == "sigmoid" else about.rate
        compile_kernels(about.network.dtype, None, output)
        started = time.perf_counter()
        with moving_bar(output) as move:
            film = TrainingAnimation.from_network(
                about.network, about.X, about.y, image_shape=data.image_shape,
                class_names=models.class_names(data),
                validation_data=about.validation, epochs=given["epochs"],
                batch_size=given["batch_size"], optimizer=SGD(rate),
                callbacks=Epochs(move, given["epochs"], done=1),
            )  # fmt: skip
            film.save(out, partial(move, "drawing"))
        _say(output, film, out, time.perf_counter() - started)


def _say(output: Output, film: Any, out: str, seconds: float) -> None:
    """Print a few moments, and the record."""
    moments = film.recording.moments
    n = len(moments)
    told = sorted({0, 1, *(round(i * (n - 1) / 6) for i in range(7))})
    rows = []
    for moment in (moments[i] for i in told):
        numbers = [f"{moment.cost:.4f}", f"{moment.validation_cost:.4f}", f"{moment.score:.4f}"]
        rows.append([f"{moment.epoch:.3g}", f"{moment.step:,}", *numbers])
    output.table(["epoch", "step", "cost", "validation cost", "validation accuracy"], rows)
    size = Path(out).stat().st_size
    output.say(f"film     {out}: {n} frames, {size / 1e6:.1f} MB, made in {seconds:.1f} s")
    names = ("epoch", "step", "cost", "validation_cost", "score")
    history = {name: [getattr(moment, name) for moment in moments] for name in names}
    output.finish({"command": "show training", "picture": out, "frames": n, "bytes": size,
                   "history": history})  # fmt: skip
