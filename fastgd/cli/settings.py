"""The options of ``fastgd train``, and what follows from them where something is not given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import click

from fastgd.cli.options import option
from fastgd.engine.architecture import DTYPES
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.initializers import INITIALIZERS
from fastgd.rules.losses import LOSS_NAMES
from fastgd.rules.optimizers import SGD
from fastgd.rules.registry import Registry
from fastgd.rules.schedules import Constant, Exponential, InverseScaling, Schedule, Step

__all__ = ["HOLDOUT", "OPTIONS", "check", "default_rate", "optimizer_of", "rules_of"]

#: The share of the rows that is held out of training.
HOLDOUT = 0.2
#: The schedules of the command line: those whose settings are numbers with names of their own.
OFFERED: Registry[type[Schedule]] = Registry(
    "schedule", [Constant, Step, Exponential, InverseScaling]
)


class Layers(click.ParamType):
    """Sizes of hidden layers: 30, or 16,16, or none."""

    name = "sizes"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        if value.strip().lower() == "none":
            return ()
        sizes = [part.strip() for part in value.split(",")]
        if not all(size.isascii() and size.isdigit() and int(size) for size in sizes):
            self.fail(f"{value!r} is not a size; give 30, or 16,16 for two layers, or none")
        return tuple(map(int, sizes))


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


NUMBER: dict[str, Any] = {"type": float, "metavar": "NUMBER"}
NAME: dict[str, Any] = {"metavar": "NAME"}
ELEMENTWISE = [name for name, rule in ACTIVATIONS.items() if not rule.row_wise]

DATA = [
    option(
        "Data",
        "--target",
        metavar="COLUMN",
        help="The column to learn, for tables.  [default: target, label, class or y]",
    ),
    option(
        "Data",
        "--task",
        **NAME,
        help="classification or regression.  [default: what the target looks like]",
    ),
    option(
        "Data",
        "--holdout",
        type=float,
        metavar="SHARE",
        help="Share of the rows kept out of training, to score the network on; 0 is none.  "
        f"[default: the data's own test part, else {HOLDOUT}]",
    ),
    option(
        "Data",
        "--input-scale",
        **NUMBER,
        help="What inputs are multiplied by.  [default: what brings pixels to 0..1]",
    ),
    option(
        "Data",
        "--no-standardize",
        is_flag=True,
        help="Train on tables as they are. Else columns, and numbers to learn, are brought to mean "
        "0 and deviation 1 for the training; the model file takes and gives the original units.",
    ),
]

NETWORK = [
    option(
        "Network",
        "--hidden",
        type=Layers(),
        multiple=True,
        default=["100"],
        help="Units in each hidden layer: 30, or 16,16 for two layers, or none.  [default: 100]",
    ),
    option(
        "Network",
        "--activation",
        default="sigmoid",
        show_default=True,
        **NAME,
        help=f"What hidden units compute: {_names(ELEMENTWISE)}.",
    ),
    option(
        "Network",
        "--output",
        **NAME,
        help=f"What outputs compute: {_names(ACTIVATIONS)}.  "
        "[default: softmax for classes, identity for numbers]",
    ),
    option(
        "Network",
        "--loss",
        **NAME,
        help=f"The cost: {_names(LOSS_NAMES)}.  "
        "[default: cross_entropy for classes, mse for numbers]",
    ),
    option(
        "Network",
        "--init",
        default="normal",
        show_default=True,
        **NAME,
        help=f"How weights start: {_names(INITIALIZERS)}.",
    ),
    option(
        "Network",
        "--dtype",
        default="float32",
        show_default=True,
        **NAME,
        help=f"Number type: {_names(DTYPES)}.",
    ),
]

TRAINING = [
    option(
        "Training",
        "--epochs",
        type=int,
        metavar="N",
        default=50,
        help="How often every example is visited.  [default: 50]",
    ),
    option(
        "Training",
        "--batch-size",
        type=int,
        metavar="N",
        default=10,
        help="Examples in a mini-batch; each mini-batch is one step.  [default: 10]",
    ),
    option(
        "Training",
        "--learning-rate",
        **NUMBER,
        help="How far a step goes.  [default: 0.5, or 0.1 with relu; 0.02 for numbers]",
    ),
    option(
        "Training",
        "--momentum",
        **NUMBER,
        default=0.0,
        help="How much of the last step is kept, from 0 to below 1.  [default: 0]",
    ),
    option("Training", "--nesterov", is_flag=True, help="Let the momentum look ahead."),
    option(
        "Training",
        "--l2",
        **NUMBER,
        default=0.0,
        help="Penalty on large weights (weight decay).  [default: 0]",
    ),
    option(
        "Training",
        "--schedule",
        default="constant",
        show_default=True,
        **NAME,
        help=f"How the rate changes with the epochs: {_names(OFFERED)}.",
    ),
]

SCHEDULE_HELP = {
    "factor": "what the rate is multiplied by.",
    "every": "after how many epochs that happens.",
    "decay": "what the rate is multiplied by after every epoch.",
    "power": "the rate is divided by the epoch to this power.",
}


def _settings(schedule: type[Schedule]) -> list[Any]:
    """Return a schedule's own settings, as dataclass fields."""
    return [field for field in dataclasses.fields(schedule) if field.name != "learning_rate"]


SCHEDULE_SETTINGS = [
    option(
        "Training",
        f"--{field.name.replace('_', '-')}",
        type=int if isinstance(field.default, int) else float,
        metavar="N" if isinstance(field.default, int) else "NUMBER",
        help=f"Schedule {name}: {SCHEDULE_HELP.get(field.name, 'its setting.')}  "
        f"[default: {field.default}]",
    )
    for name, schedule in OFFERED.items()
    for field in _settings(schedule)
]

RUN = [
    option(
        "Training",
        "--seed",
        type=int,
        metavar="N",
        default=0,
        help="Another seed is another run; the same seed is the same run.  [default: 0]",
    ),
    option(
        "Training",
        "--backend",
        **NAME,
        help="What computes; 'fastgd info' lists what works here.  [default: the fastest]",
    ),
]

OPTIONS = [*DATA, *NETWORK, *TRAINING, *SCHEDULE_SETTINGS, *RUN]


def default_rate(classes: bool, activation: str) -> float:
    """Return a learning rate that is safe where none is given.

    0.5 is what Nielsen takes with cross-entropy (chapter 3); units without a ceiling need less.
    """
    if not classes:
        return 0.02
    return 0.1 if activation in ("relu", "identity") else 0.5


def check(given: dict[str, Any]) -> None:
    """Refuse bad settings before any work; the network refuses the rest when it is made."""
    check_integer("epochs", given["epochs"], 0)
    check_integer("batch_size", given["batch_size"], 1)
    check_integer("seed", given["seed"], 0)
    if given["holdout"] is not None:
        check_number("holdout", given["holdout"], minimum=0, below=1)
    optimizer_of(given, rate=0.1)


def optimizer_of(given: dict[str, Any], rate: float) -> SGD:
    """Return the optimizer the options ask for.

    Parameters
    ----------
    given : dict
        The options.
    rate : float
        The learning rate where none was given.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of its bounds.
    click.UsageError
        If a setting belongs to another schedule.
    """
    rate = rate if given["learning_rate"] is None else given["learning_rate"]
    schedule = OFFERED.find(given["schedule"])
    chosen = {}
    for name, other in OFFERED.items():
        for field in _settings(other):
            value = given[field.name]
            if value is not None and other is not schedule:
                raise click.UsageError(
                    f"--{field.name} goes with --schedule {name}; got --schedule {schedule.name}"
                )
            if value is not None:
                chosen[field.name] = value
    return SGD(
        learning_rate=rate if schedule.name == "constant" else schedule(rate, **chosen),
        momentum=given["momentum"],
        nesterov=given["nesterov"],
        l2=given["l2"],
    )


def rules_of(classes: bool, output: str | None, loss: str | None) -> tuple[str, str]:
    """Return output and loss; what is not given follows from the other and from the task.

    >>> rules_of(True, None, None), rules_of(True, None, "quadratic"), rules_of(False, None, None)
    (('softmax', 'cross_entropy'), ('sigmoid', 'quadratic'), ('identity', 'mse'))
    """
    if loss is None:
        squared = "quadratic" if classes else "mse"
        probable = output == "softmax" or (classes and output in (None, "sigmoid"))
        loss = "cross_entropy" if probable else squared
    if output is None:
        linear = "sigmoid" if classes else "identity"
        probable_output = "softmax" if classes else "sigmoid"
        output = probable_output if loss == "cross_entropy" else linear
    return output, loss
