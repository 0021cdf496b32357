"""Pictures of a network: its diagram, its weights, one example on its way, the film."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from fastgd import plot
from fastgd.cli.models import class_names
from fastgd.cli.options import option
from fastgd.cli.progress import Epochs, moving_bar
from fastgd.cli.show.lesson import lesson_options
from fastgd.cli.show.picture import DATA, MODEL_DATA, Asked, Drawn, fields, integer, picture
from fastgd.cli.show.subject import RATE
from fastgd.errors import SettingError
from fastgd.plot.display import drawing

__all__ = ["activity", "network", "training", "weights"]

#: Rows of the table of weights.
LINES = 10
#: Of the film's hidden layers, as the book has them; with others its rate would not suit.
ACTIVATION = "sigmoid"

image_option = option("Picture", "--image-shape", nargs=2, type=int, metavar="HEIGHT WIDTH",
                      help="The image the inputs are.  [default: as the data says, else a square]",
)  # fmt: skip


@picture(
    "network", MODEL_DATA,
    option("Picture", "--strongest", metavar="K", type=int, help="Draw the K strongest edges into "
           "each unit.  [default: 6 after a wide layer, else all]"),
    examples=("network --strongest 3", "network model.safetensors mnist/ --out network.svg"),
)  # fmt: skip
def network(ask: Asked, strongest: int | None) -> Drawn:
    """Draw the network: its units, its weights as edges, its biases.

    Blue raises the unit it leads to, orange lowers it; the wider the edge, the larger the weight.
    """
    net, names = ask.subject.network, ask.subject.names
    display = plot.DiagramDisplay.from_network(
        net, strongest=strongest, feature_names=names["feature_names"],
        class_names=names["class_names"],
    )  # fmt: skip
    rows = [["input", f"{net.sizes[0]:,}", "", "", "", ""]]
    for l, W in enumerate(net.weights):  # noqa: E741
        words = f"{display.names[l + 1].splitlines()[0]} ({net.architecture.rules[l].name})"
        above = f"{100 * float(np.mean(W > 0)):.0f}%"
        units = f"{W.shape[1]:,}"
        rows.append([words, units, f"{W.size:,}", units, f"{np.abs(W).max():.3g}", above])
    ask.table(["layer", "units", "weights", "biases", "largest weight", "weights above 0"], rows)
    ask.say(f"in all   {net.n_parameters:,} weights and biases")
    ask.say(f"drawn    {display.left_out()}")
    return display, {
        "sizes": net.sizes,
        "n_parameters": net.n_parameters,
        "units_drawn": display.units,
        "edges_drawn": [len(weights) for weights in display.weights],
        "largest_weights": display.largest,
    }


@picture(
    "weights", MODEL_DATA,
    option("Picture", "--units", metavar="N", type=int, help="Show the N units with the largest "
           "weights.  [default: all, at most 40]"),
    image_option,
    examples=("weights", "weights model.safetensors mnist/ --units 16 --out weights.svg"),
)  # fmt: skip
def weights(ask: Asked, units: int | None, image_shape: tuple[int, int] | None) -> Drawn:
    """Draw each first-layer unit's weights as an image, or input by input where those have names.

    Where an image is blue, bright pixels raise the unit; where it is orange, they lower it.
    """
    about = ask.subject
    shape = image_shape or about.dataset.image_shape
    display = plot.WeightsDisplay.from_network(
        about.network, image_shape=shape, units=units, feature_names=about.dataset.feature_names
    )
    names = display.feature_names
    norms = np.sqrt((display.images.astype(np.float64) ** 2).sum(axis=(1, 2)))
    ask.say(f"The {display.layer} units with the largest weights:")
    rows = []
    for i in np.argsort(-norms, kind="stable")[:LINES]:
        image = display.images[i]
        ends = [f"{image.max():.3f}", f"{image.min():.3f}"]
        if names is not None:
            where = (names[int(image.argmax())], names[int(image.argmin())])
            ends = [f"{name} {end}" for name, end in zip(where, ends, strict=True)]
        numbers = [norms[i], display.biases[i]]
        rows.append([f"unit {display.units[i]}", *ends, *(f"{number:.3f}" for number in numbers)])
    ask.table(["unit", "largest", "smallest", "size of all", "bias"], rows)
    if len(display.units) < display.n_units:
        ask.say(f"shown    {len(display.units)} of {display.n_units:,} units")
    shown = {"image_shape": display.images.shape[1:] if names is None else None,
             "feature_names": names, "norms": norms}  # fmt: skip
    return display, {**fields(display, "units", "n_units"), **shown,
                     **fields(display, "biases", "scale")}  # fmt: skip


@picture(
    "activity", MODEL_DATA,
    integer("Picture", "--example", default=0,
            help="Which example of the rows not trained on, counted from 0."),
    image_option,
    examples=("activity --example 7",
              "activity model.safetensors mnist/ --example 8 --out activity.svg"),
)  # fmt: skip
def activity(ask: Asked, example: int, image_shape: tuple[int, int] | None) -> Drawn:
    """Draw the activations of one example, layer by layer.

    The example is one that the network was not trained on, where that is known.
    """
    about = ask.subject
    n, classes = len(about.X_test), about.class_names
    if not 0 <= example < n:
        raise SettingError("example", f"must be from 0 to {n - 1}, of {about.rows}; got {example}")
    true = about.y_test[example]
    display = plot.ActivityDisplay.from_network(
        about.network, about.X_test[example],
        image_shape=image_shape or about.dataset.image_shape, class_names=classes,
        feature_names=about.dataset.feature_names,
        truth=None if classes is None else int(true), output_names=about.targets,
    )  # fmt: skip
    names, outputs = display.class_names, display.outputs
    ask.say(f"example  {example} of {about.rows}")
    rows = []
    for name, a in zip(display.names[1:], display.activations, strict=True):
        active = int(np.count_nonzero(np.abs(a) > 0.5))
        rows.append([name, f"{len(a):,}", f"{a.min():.3f}", f"{a.max():.3f}", f"{active:,}"])
    ask.table(["layer", "units", "smallest", "largest", "above 0.5 in size"], rows)
    ask.say(display.title())
    if len(outputs) > 1 and names is not None:
        order = np.argsort(-outputs, kind="stable")[:3]
        ask.say(f"outputs  {', '.join(f'{names[k]} {outputs[k]:.4f}' for k in order)}")
    if classes is None:
        ask.say(f"target   {about.true(example)}")
    return display, {
        "example": example,
        "outputs": outputs,
        "class": None if display.winner is None or names is None else names[display.winner],
        "target": true if display.truth is None or names is None else names[display.truth],
        "activations": display.activations,
    }


@picture(
    "training", (*DATA, *lesson_options(hidden="30", activation=ACTIVATION, epochs=30,
                                        rate="3, the book's; 0.1 with relu")),
    film=True,
    examples=("training digits --out training.gif",
              "training digits --out training.html --learning-rate 0.3"),
)  # fmt: skip
def training(ask: Asked, **given: Any) -> Drawn:
    """Film a network as it learns DATA: its cost, its weights as images, a few predictions.

    The frames are close together at first, where most happens. DATA is 'digits' where none is
    given; its targets must be classes.
    """
    about = ask.lesson(given, output="sigmoid", loss="quadratic")
    data = about.dataset
    if not data.is_classification:
        raise click.UsageError(
            f"{ask.data} holds numbers to predict, not classes; "
            f"'fastgd show curves {ask.data}' shows how its cost falls"
        )
    books = given["activation"] == ACTIVATION and given["learning_rate"] is None
    started = time.perf_counter()
    with moving_bar(ask) as move:
        film = plot.TrainingAnimation.from_network(
            about.network, about.X, about.y, image_shape=data.image_shape,
            class_names=class_names(data), feature_names=data.feature_names,
            validation_data=about.validation,
            callbacks=Epochs(move, about.epochs, done=1), **about.training(RATE if books else None),
        )  # fmt: skip
        if drawing():
            film.save(ask.out, partial(move, "drawing"))
    return None, _tell_film(ask, film, time.perf_counter() - started)


def _tell_film(ask: Asked, film: Any, seconds: float) -> dict[str, Any]:
    """Print a few moments of a film that is written; return its record."""
    moments = film.recording.moments
    n = len(moments)
    rows = []
    for i in sorted({0, 1, *(round(i * (n - 1) / 6) for i in range(7))}):
        m = moments[i]
        numbers = [f"{m.cost:.4f}", f"{m.validation_cost:.4f}", f"{m.score:.4f}"]
        rows.append([f"{m.epoch:.3g}", f"{m.step:,}", *numbers])
    ask.table(["epoch", "step", "cost", "validation cost", "validation accuracy"], rows)
    size = Path(ask.out).stat().st_size if drawing() else None
    if size is not None:
        ask.say(f"film     {ask.out}: {n} frames, {size / 1e6:.1f} MB, made in {seconds:.1f} s")
    names = ("epoch", "step", "cost", "validation_cost", "score")
    history = {name: [getattr(moment, name) for moment in moments] for name in names}
    return {"frames": n, "bytes": size, "history": history}
