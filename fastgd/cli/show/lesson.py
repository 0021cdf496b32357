"""What pictures of a training need: a new network, the data it will learn, and their options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastgd import data as sources
from fastgd.cli import models
from fastgd.cli.options import option
from fastgd.cli.output import Output, count
from fastgd.cli.progress import compile_kernels
from fastgd.cli.scaling import input_scale_of
from fastgd.cli.settings import default_rate, rules_of
from fastgd.cli.show.subject import units_line
from fastgd.cli.types import Layers
from fastgd.data import Dataset
from fastgd.engine.inputs import check_examples
from fastgd.engine.scaling import SCALINGS, standardized
from fastgd.network import Network
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.optimizers import SGD

__all__ = ["RULES", "Lesson", "a_lesson", "lesson_options"]

#: Share of the examples that validate, where the data has no test part.
HOLDOUT = 0.2
#: The options that choose what outputs compute and what it costs.
RULES = (
    option("Network", "--output", metavar="NAME",
           help="What outputs compute.  [default: softmax for classes]"),
    option("Network", "--loss", metavar="NAME",
           help="The cost.  [default: cross_entropy for classes]"),
)  # fmt: skip


@dataclass
class Lesson:
    """A network that has not learned yet, scaled for its examples."""

    network: Network
    dataset: Dataset
    X: Any
    y: Any
    validation: tuple[Any, Any]
    epochs: int
    batch_size: int
    seed: int
    rate: float

    def training(self, rate: float | None = None) -> dict[str, Any]:
        """Return the arguments of `Network.fit` and its like."""
        sgd = SGD(self.rate if rate is None else rate)
        return {"epochs": self.epochs, "batch_size": self.batch_size, "optimizer": sgd}


def lesson_options(
    *, hidden: str, activation: str = "", epochs: int, batch_size: int = 10, rate: str = ""
) -> list[Callable[[Any], Any]]:
    """Return the options of a training with these defaults; "" leaves one out.

    The rate's default is a text, since it may follow from the network.
    """
    number: dict[str, Any] = {"type": int, "metavar": "N", "show_default": True}
    layers = f"Units in each hidden layer: 30, or 16,16, or none.  [default: {hidden}]"
    options = [option("Network", "--hidden", type=Layers(), default=hidden, help=layers)]
    if activation:
        options.append(option("Network", "--activation", metavar="NAME", default=activation,
                              show_default=True, help="What hidden units compute."))  # fmt: skip
    for name, default, words in (
        ("--epochs", epochs, "How often every example is visited."),
        ("--batch-size", batch_size, "Examples in a mini-batch."),
        ("--seed", 0, "Another seed is another run."),
    ):
        options.append(option("Training", name, default=default, help=words, **number))
    if rate:
        options.append(option("Training", "--learning-rate", type=float, metavar="NUMBER",
                              help=f"How far a step goes.  [default: {rate}]"))  # fmt: skip
    return options


def a_lesson(
    data: str, target: str | None, sep: str | None, out: Output, *, hidden: list[int],
    activation: str, epochs: int, batch_size: int, seed: int, learning_rate: float | None = None,
    output: str | None = None, loss: str | None = None, examples: int | None = None,
) -> Lesson:  # fmt: skip
    """Return a new network and its data, from the options; a fifth of the data is held out.

    Output and loss follow from the task as in ``fastgd train`` unless named; columns of tables are
    scaled as there. ``examples`` takes only so many for the training.
    """
    for name, number, least in (("epochs", epochs, 1), ("batch_size", batch_size, 1),
                                ("seed", seed, 0)):  # fmt: skip
        check_integer(name, number, least)
    if learning_rate is not None:
        check_number("learning_rate", learning_rate, above=0)
    dataset = _divided(data, target, sep, seed)
    X, y, X_test, y_test = dataset.X, dataset.y, dataset.X_test, dataset.y_test
    assert y is not None and X_test is not None and y_test is not None
    classes = dataset.is_classification
    output, loss = rules_of(classes, output if classes else None, loss if classes else None)
    scale = input_scale_of(X, dataset.input_scale)
    network = Network(
        [dataset.n_features, *hidden, dataset.n_outputs], activation=activation, output=output,
        loss=loss, input_scale=scale, seed=seed,
    )  # fmt: skip
    scaled = standardized(network.architecture, check_examples(X, y, network.architecture))
    network = network.like(**{name: getattr(scaled, name) for name in SCALINGS}, seed=seed)
    X, y = X[:examples], y[:examples]
    out.say(
        f"network  {'-'.join(map(str, network.sizes))} ({f'{activation}, ' if hidden else ''}"
        f"{output}, {loss}); data {dataset.name}: {count(len(X), 'example')} to learn, "
        f"{len(X_test):,} held out"
    )
    if units := units_line(network, dataset):
        out.say(units)
    compile_kernels(network.dtype, None, out)
    rate = default_rate(classes, activation) if learning_rate is None else learning_rate
    return Lesson(network, dataset, X, y, (X_test, y_test), epochs, batch_size, seed, rate)


def _divided(data: str, target: str | None, sep: str | None, seed: int) -> Dataset:
    """Read data and hold a fifth out; a table's columns are those of the rows left to learn."""
    about = {"target": [target] if target else [], "sep": sep, "ignore": (), "categorical": (),
             "task": None, "test": None, "holdout": None, "sample_weight": None}  # fmt: skip
    read, _ = models.open_source(data, about)
    if isinstance(read, Dataset):
        return sources.split(read, HOLDOUT, seed)
    return read.divide(HOLDOUT, seed)
