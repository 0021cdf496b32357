"""Pictures of what a network has learned: by heart, wrongly, over the plane, or not at all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
import numpy as np

from fastgd import explain, plot
from fastgd.cli.options import option
from fastgd.cli.output import Output, count
from fastgd.cli.progress import Epochs, moving_bar
from fastgd.cli.show.lesson import lesson_options
from fastgd.cli.show.picture import DATA, MODEL_DATA, Asked, Drawn, fields, integer, picture
from fastgd.cli.show.subject import BATCH_SIZE, RATE
from fastgd.explain.toys import TOYS
from fastgd.network import Network
from fastgd.rules.checks import check_integer
from fastgd.rules.optimizers import SGD

__all__ = ["boundary", "confusion", "curves", "diagnosis", "mistakes"]


@picture(
    "curves",
    (*DATA, *lesson_options(hidden="30,30", activation="relu", epochs=200,
                            rate="0.5, or 0.1 with relu; 0.02 for numbers")),
    integer("Data", "--examples", default=100,
            help="How many examples to learn from; few, so that it overfits."),
    examples=("curves",
              "curves --examples 1000           (more examples overfit less)"),
)  # fmt: skip
def curves(ask: Asked, examples: int, **given: Any) -> Drawn:
    """Train a network on few examples of DATA for long, and see it overfit.

    At first the cost falls on examples it learns and on others alike; then it learns its own by
    heart, and gets worse on others. DATA is 'digits' where none is given.
    """
    check_integer("examples", examples, 1)
    about = ask.lesson(given, examples=examples)
    with moving_bar(ask) as move:
        history = about.network.fit(
            about.X, about.y, validation_data=about.validation,
            callbacks=Epochs(move, about.epochs), **about.training(),
        )  # fmt: skip
    display = plot.CurvesDisplay.from_history(history)
    found = display.overfitting
    ask.say(str(found))
    return display, {
        "overfitting_begins": found.begins,
        **fields(found, "best_epoch", "verdict"),
        "history": history.to_dict(),
    }


@picture(
    "confusion", MODEL_DATA,
    examples=("confusion digits.safetensors digits --out confusion.svg",),
)  # fmt: skip
def confusion(ask: Asked) -> Drawn:
    """Draw the confusion matrix of a MODEL on DATA it has not seen.

    Rows are true classes, columns those the network took them for: what is right lies on the
    diagonal. Of more than 20 classes the most confused are drawn.
    """
    about = ask.subject
    about.check_classes("the confusion matrix is one")
    display = plot.ConfusionDisplay.from_network(
        about.network, about.X_test, about.y_test, class_names=about.class_names
    )
    found = display.confusion
    ask.say(str(found))
    record = {"right": found.right, "n_rows": found.total, "class_names": found.class_names}
    return display, {**record, "confusion": found.counts}


@picture(
    "mistakes", MODEL_DATA,
    integer("Picture", "--n", default=12, help="How many."),
    examples=("mistakes digits.safetensors digits --n 6",),
)  # fmt: skip
def mistakes(ask: Asked, n: int) -> Drawn:
    """Draw the mistakes that cost a MODEL most, on DATA it has not seen.

    Each with its image, its true class, the class it was taken for, and the outputs. Data that are
    no images are shown by their outputs only.
    """
    about = ask.subject
    about.check_classes("mistakes are those")
    display = plot.MistakesDisplay.from_network(
        about.network, about.X_test, about.y_test, image_shape=about.dataset.image_shape, n=n,
        class_names=about.class_names,
    )  # fmt: skip
    found = display.mistakes
    ask.say(str(found))
    names = found.class_names
    return display, {
        "n_wrong": found.n_wrong,
        "n_rows": found.n_examples,
        **fields(found, "rows", "costs"),
        "true": [names[c] for c in found.true],
        "taken_for": [names[c] for c in found.taken],
        "outputs": found.outputs,
    }


@picture(
    "boundary", MODEL_DATA,
    option("Problem", "--problem", type=click.Choice(list(TOYS)), default="moons",
           show_default=True, help="The toy problem to learn where no MODEL is given."),
    integer("Problem", "--seed", default=0,
            help="Where the problem's points and the network's start come from."),
    examples=("boundary --problem spirals",
              "boundary model.safetensors table.csv --target species"),
)  # fmt: skip
def boundary(ask: Asked, problem: str, seed: int) -> Drawn:
    """Draw what a network with two inputs says at every point.

    Without a MODEL, a small network first learns a toy problem with two inputs, since the digits
    have 64.
    """
    if ask.model is None:
        network, X, y = _toy_network(problem, seed, ask)
        names: dict[str, Any] = {}
    else:
        about = ask.subject
        network, X, y = about.network, about.X_test, about.y_test
        names = {"class_names": about.class_names, "feature_names": about.dataset.feature_names}
    display = plot.BoundaryDisplay.from_network(network, X, y, **names)
    if display.wrong is not None and display.class_names is not None:
        rows = []
        for c, name in enumerate(display.class_names):
            of_class, share = display.y == c, float(np.mean(display.classes == c))
            wrong = f"{int(display.wrong[of_class].sum()):,}"
            rows.append([name, f"{int(of_class.sum()):,}", wrong, f"{share:.0%}"])
        ask.table(["class", "examples", "wrong", "of the area drawn"], rows)
    ask.say(display.title())
    n_wrong = None if display.wrong is None else int(display.wrong.sum())
    return display, {"n_examples": len(X), "n_wrong": n_wrong, "score": network.score(X, y)}


def _toy_network(problem: str, seed: int, output: Output) -> tuple[Network, Any, Any]:
    """Return a network trained on a toy problem, and the problem."""
    X, y = explain.toys.toy(problem, seed=seed)
    sizes, epochs = [2, 16, 16, int(y.max()) + 1], 300
    network = Network(sizes, activation="tanh", output="softmax", loss="cross_entropy", seed=seed)
    network.fit(X, y, epochs=epochs, batch_size=10, optimizer=SGD(0.1))
    output.say(
        f"network  {'-'.join(map(str, sizes))}, trained on {count(len(X), 'point')} of the toy "
        f"problem {problem} for {epochs} epochs (give MODEL DATA to see your own)"
    )
    return network, X, y


@picture(
    "diagnosis", MODEL_DATA,
    option("Training", "--learning-rate", type=float,
           help="The rate to judge, on copies: that of your training."),
    option("Training", "--batch-size", type=int, default=BATCH_SIZE, show_default=True),
    examples=("diagnosis", "diagnosis model.safetensors data.csv --learning-rate 0.1"),
)  # fmt: skip
def diagnosis(ask: Asked, learning_rate: float | None, batch_size: int) -> Drawn:
    """Say what is wrong with a network, with the evidence, and what to try.

    The picture shows where the activations of each layer lie: at the marked places a unit gets
    hardly any gradient. Rows the model was not trained on serve to find overfitting.
    """
    about = ask.subject
    if not about.given and learning_rate is None:
        learning_rate = RATE
    unseen = (about.X_test, about.y_test) if about.X_test is not about.X else None
    display = plot.DiagnosisDisplay.from_network(
        about.network, about.X, about.y, validation_data=unseen, learning_rate=learning_rate,
        batch_size=batch_size,
    )  # fmt: skip
    found = display.diagnosis
    ask.say(str(found))
    numbers = fields(found, "healthy", "cost", "baseline", "score", "validation_cost",
                     "validation_score")  # fmt: skip
    for name in ("findings", "notes", "layers"):
        numbers[name] = [asdict(entry) for entry in getattr(found, name)]
    return display, numbers
