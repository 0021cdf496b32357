"""What the pictures of a training share: a new network, the data it will learn, and their options.

`fastgd.cli.show.subject` is for networks that are trained already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from fastgd.cli.options import Function, option, with_options
from fastgd.cli.output import Output, count
from fastgd.cli.settings import default_rate, rules_of
from fastgd.cli.types import Layers
from fastgd.rules.checks import check_integer, check_number

if TYPE_CHECKING:
    from fastgd.data import Dataset
    from fastgd.network import Network

__all__ = ["Epochs", "Practice", "moving_bar", "practice", "practice_options"]

#: Share of the examples that validate, where the data has no test part.
HOLDOUT = 0.2


@dataclass
class Practice:
    """A network that has not learned yet, and its examples, scaled for training."""

    network: Network
    dataset: Dataset
    X: Any
    y: Any
    X_test: Any
    y_test: Any
    rate: float

    @property
    def validation(self) -> tuple[Any, Any]:
        """The examples held out."""
        return self.X_test, self.y_test


def practice_options(
    *, hidden: str, activation: str | None, epochs: int, batch_size: int, rate: str | None
) -> Callable[[Function], Function]:
    """Add [DATA] and the options of a training, with these defaults.

    ``activation`` or ``rate`` None leaves that option out; the rate's default is a text, since it
    may follow from the network.
    """
    added = [
        click.argument("data", default="digits", required=False),
        option("Data", "--target", metavar="COLUMN", help="The column to learn, for tables."),
        option(
            "Network",
            "--hidden",
            type=Layers(),
            default=hidden,
            help=f"Units in each hidden layer: 30, or 16,16, or none.  [default: {hidden}]",
        ),
    ]
    if activation is not None:
        added.append(
            option(
                "Network",
                "--activation",
                metavar="NAME",
                default=activation,
                show_default=True,
                help="What hidden units compute.",
            )
        )
    numbers = {"--epochs": epochs, "--batch-size": batch_size, "--seed": 0}
    words = {
        "--epochs": "How often every example is visited.",
        "--batch-size": "Examples in a mini-batch.",
        "--seed": "Another seed is another run.",
    }
    for name, value in numbers.items():
        added.append(
            option(
                "Training",
                name,
                type=int,
                metavar="N",
                default=value,
                show_default=True,
                help=words[name],
            )
        )
    if rate is not None:
        help_text = f"How far a step goes.  [default: {rate}]"
        added.append(
            option("Training", "--learning-rate", type=float, metavar="NUMBER", help=help_text)
        )
    return with_options(added)


def practice(
    given: dict[str, Any],
    out: Output,
    *,
    output: str | None = None,
    loss: str | None = None,
    examples: int | None = None,
    activation: str | None = None,
) -> Practice:
    """Return a new network and its data, from the options; a fifth of the data is held out.

    Output and loss follow from the task as in ``fastgd train`` unless named; columns of tables are
    scaled as there. ``examples`` takes only so many for the training.
    """
    from fastgd import data as sources
    from fastgd.cli.scaling import input_scale_of, scaling_for
    from fastgd.network import Network

    check_integer("epochs", given["epochs"], 1)
    check_integer("batch_size", given["batch_size"], 1)
    check_integer("seed", given["seed"], 0)
    rate = given.get("learning_rate")
    if rate is not None:
        check_number("learning_rate", rate, above=0)
    whole = sources.load(given["data"], target=given["target"])
    if whole.n_classes == 1:
        raise click.UsageError(f"{given['data']}: every row has the same class; nothing to learn")
    dataset = sources.split(whole, HOLDOUT, given["seed"])
    X, y, X_test, y_test = dataset.X, dataset.y, dataset.X_test, dataset.y_test
    assert y is not None and X_test is not None and y_test is not None
    classes = dataset.is_classification
    activation = activation or given["activation"]
    output, loss = rules_of(classes, output if classes else None, loss if classes else None)
    scale = input_scale_of(X, dataset.input_scale)
    network = Network(
        [
            dataset.n_features,
            *given["hidden"],
            dataset.n_classes or (1 if y.ndim == 1 else y.shape[1]),
        ],
        activation=activation,
        output=output,
        loss=loss,
        input_scale=scale,
        seed=given["seed"],
    )
    scaling = scaling_for(X, y, scale == 1, output == "identity")
    if examples is not None:
        X, y = X[:examples], y[:examples]
    X, X_test = (scaling.inputs(part, network.dtype) for part in (X, X_test))
    y, y_test = scaling.targets(y), scaling.targets(y_test)
    hidden_words = f"{activation}, " if given["hidden"] else ""
    out.say(
        f"network  {'-'.join(map(str, network.sizes))} ({hidden_words}{output}, {loss}); "
        f"data {dataset.name}: {count(len(X), 'example')} to learn, {len(X_test):,} held out"
    )
    rate = default_rate(classes, activation) if rate is None else rate
    return Practice(network, dataset, X, y, X_test, y_test, rate)


class Epochs:
    """A callback for `Network.fit` that moves a bar.

    Parameters
    ----------
    move : callable
        What `moving_bar` gives.
    total : int
        How many epochs there are.
    done : int
        How many are over before the first fit.
    """

    def __init__(self, move: Callable[[str, int, int], None], total: int, done: int = 0):
        self.move, self.total, self.done = move, total, done

    def on_epoch_end(self, network: Any, epoch: int, logs: dict[str, float]) -> None:
        """Move the bar by one epoch."""
        self.done += 1
        self.move("epoch", self.done, self.total)


@contextmanager
def moving_bar(out: Output) -> Iterator[Callable[[str, int, int], None]]:
    """Give ``move(what, done, total)``, which shows a live bar where there is a terminal."""
    if not out.live:
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = [TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn()]
    with Progress(*columns, console=Console(stderr=True), expand=True) as progress:
        task = progress.add_task("", total=None)

        def move(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield move
