"""The options of ``fastgd train``, and what follows from them where something is not given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from fastgd.cli import optimizing
from fastgd.cli.fitting import EARLY_STOPPING, STOPPING, WEIGHTS, check_fit
from fastgd.cli.optimizing import LEARNING
from fastgd.cli.options import option
from fastgd.cli.types import Layers, RuleNames, Shares
from fastgd.engine.architecture import DTYPES
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.initializers import INITIALIZERS
from fastgd.rules.losses import LOSS_NAMES, PUBLIC_LOSSES

if TYPE_CHECKING:
    from fastgd.recipe import Recipe

__all__ = [
    "HOLDOUT", "MAX_BYTES", "OPTIONS", "SEP", "check", "chosen_for", "completed", "default_rate",
    "max_bytes", "rules_of",
]  # fmt: skip

#: The share of the rows that is held out of training.
HOLDOUT = 0.2
#: What is not said beside an optimizer or a rate.
PLAIN: dict[str, Any] = {
    "hidden": [[100]], "activation": "sigmoid", "init": "normal", "epochs": 50, "batch_size": 10,
    "optimizer": "sgd",
}  # fmt: skip


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


NUMBER: dict[str, Any] = {"type": float, "metavar": "NUMBER"}
NAME: dict[str, Any] = {"metavar": "NAME"}
ELEMENTWISE = [name for name, rule in ACTIVATIONS.items() if not rule.row_wise]

MOST_USED = [
    option(
        "Most used",
        "--target",
        metavar="COLUMN",
        multiple=True,
        help="The column to learn, for tables; several times for several columns of numbers.  "
        "[default: target, label, class or y]",
    ),
    option(
        "Most used",
        "--hidden",
        type=Layers(),
        multiple=True,
        help="Units in each hidden layer: 30, or 16,16 for two layers, or none.  "
        "[default: chosen; 100 beside an optimizer or a rate]",
    ),
    option(
        "Most used",
        "--epochs",
        type=int,
        metavar="N",
        help="How often every example is visited.  [default: chosen; else 50]",
    ),
    *LEARNING,
    EARLY_STOPPING,
]

SEP = option(
    "Data",
    "--sep",
    metavar="CHARACTER",
    help="What separates the columns of a text file, or tab.  [default: seen from its first lines]",
)


def _keep(ctx: click.Context, parameter: click.Parameter, value: int | None) -> None:
    ctx.meta[MAX_BYTES_KEY] = value


MAX_BYTES_KEY = "fastgd.max_bytes"
MAX_BYTES = option(
    "Data",
    "--max-bytes",
    type=click.IntRange(1),
    metavar="N",
    expose_value=False,
    callback=_keep,
    help="How far a compressed file may grow.  [default: 1 GiB, or 20 times its size]",
)
DATA = [
    option(
        "Data",
        "--ignore",
        metavar="COLUMN",
        multiple=True,
        help="A column of a table that is no input; may be given several times.",
    ),
    option(
        "Data",
        "--categorical",
        metavar="COLUMN",
        multiple=True,
        help="A column whose numbers are names, as postal codes are; may be given several times.",
    ),
    option(
        "Data",
        "--test",
        metavar="FILE",
        help="A table of rows to score the network on, in place of rows held out.",
    ),
    SEP,
    MAX_BYTES,
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
        "--activation",
        type=RuleNames(several=True),
        **NAME,
        help=f"What hidden units compute: {_names(ELEMENTWISE)}; one for all layers, or one for "
        "each, as relu,tanh. Parameters in brackets: leaky_relu(alpha=0.1).  "
        "[default: chosen; else sigmoid]",
    ),
    option(
        "Network",
        "--dropout",
        type=Shares(),
        default="0",
        metavar="SHARE",
        help="Share of the hidden units each step leaves out; or one for the inputs and one for "
        "each hidden layer, as 0.1,0.5.  [default: 0]",
    ),
    option(
        "Network",
        "--output",
        type=RuleNames(),
        **NAME,
        help=f"What outputs compute: {_names(ACTIVATIONS)}.  "
        "[default: softmax for classes, identity for numbers]",
    ),
    option(
        "Network",
        "--loss",
        type=RuleNames(),
        **NAME,
        help=f"The cost: {_names(LOSS_NAMES)}; with its parameters, as huber(delta=2).  "
        "[default: cross_entropy for classes, mse for numbers]",
    ),
    option(
        "Network",
        "--init",
        **NAME,
        help=f"How weights start: {_names(INITIALIZERS)}.  [default: chosen; else normal]",
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
        "--batch-size",
        type=int,
        metavar="N",
        help="Examples in a mini-batch; each mini-batch is one step.  [default: chosen; else 10]",
    ),
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

OPTIONS = [*MOST_USED, *DATA, *NETWORK, *TRAINING, *optimizing.OPTIONS, *STOPPING, *WEIGHTS]


def max_bytes() -> int | None:
    """Return what --max-bytes says, to whatever reads data for the command."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(MAX_BYTES_KEY)


def default_rate(classes: bool, activation: Any) -> float:
    """Return a learning rate that is safe for plain steps where none is given.

    0.5 is what Nielsen takes with cross-entropy (chapter 3); units without a ceiling need less.
    """
    if not classes:
        return 0.02
    several = activation if isinstance(activation, list) else [activation]
    rules = [ACTIVATIONS.find(each, "activation") for each in several]
    return 0.5 if all(np.isfinite(rule.reach[1]) for rule in rules) else 0.1


def check(given: dict[str, Any]) -> None:
    """Refuse bad settings before any work; the network refuses the rest when it is made."""
    for name, least in (("epochs", 0), ("batch_size", 1)):
        if given[name] is not None:
            check_integer(name, given[name], least)
    check_integer("seed", given["seed"], 0)
    if given["holdout"] is not None:
        check_number("holdout", given["holdout"], minimum=0, below=1)
    check_fit(given)
    if not chosen_for(given):
        optimizing.optimizer_of(given | completed(given), rate=0.1)


def chosen_for(given: dict[str, Any]) -> bool:
    """Whether the training is left to `fastgd.recipe`: nothing is said of optimizer and rate."""
    names = ("optimizer", "learning_rate", "warmup", *optimizing.SETTINGS, *optimizing.LIMIT_WORDS)
    return given["schedule"] == "constant" and all(given.get(name) is None for name in names)


def completed(given: dict[str, Any], recipe: Recipe | None = None) -> dict[str, Any]:
    """Return the settings with what was not given: the recipe's, else plain defaults.

    >>> completed({name: None for name in PLAIN} | {"epochs": 3})["epochs"]
    3
    """
    rest = PLAIN
    if recipe is not None:
        recipe = recipe.changed(activation=given["activation"])
        names = ("epochs", "batch_size", "activation", "init")
        rest = {name: getattr(recipe, name) for name in names} | {"hidden": [list(recipe.hidden)]}
    return rest | {name: given[name] for name in rest if given[name] not in (None, ())}


def rules_of(classes: bool, output: Any, loss: Any) -> tuple[Any, Any]:
    """Return output and loss; what is not given follows from the other and from the task.

    >>> rules_of(True, None, None), rules_of(True, None, "quadratic"), rules_of(False, None, None)
    (('softmax', 'cross_entropy'), ('sigmoid', 'quadratic'), ('identity', 'mse'))
    """
    outputs = ("softmax", "sigmoid") if classes else ("identity", "sigmoid")
    losses = ("cross_entropy", "quadratic") if classes else ("mse", "cross_entropy")
    if loss is None:
        name = ACTIVATIONS.find(outputs[0] if output is None else output, "output").name
        loss = next((each for each in losses if name in outputs_of(each)), losses[0])
    if output is None:
        fitting = outputs_of(loss)
        output = next((each for each in outputs if each in fitting), fitting[0])
    return output, loss


def outputs_of(loss: Any) -> tuple[str, ...]:
    """Return the outputs a loss goes with."""
    return PUBLIC_LOSSES.find(loss, "loss").outputs
