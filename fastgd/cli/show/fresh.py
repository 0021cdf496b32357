"""A new network like the one a picture is about, to be trained once more while one looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.cli.options import Function, option
from fastgd.cli.output import Output
from fastgd.cli.settings import default_rate
from fastgd.cli.show.subject import RATE, Subject

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["examples_option", "fresh_network", "rate_for", "some_examples", "training_options"]


def training_options(epochs: int, batch_size: int) -> Any:
    """Add --epochs, --batch-size and --learning-rate, for a training that is watched."""

    def add(function: Function) -> Function:
        number = {"type": int, "metavar": "N", "show_default": True}
        e = option("Training", "--epochs", default=epochs, **number, help="Epochs to train.")
        b = option("Training", "--batch-size", default=batch_size, **number,
                   help="Examples in a mini-batch.")  # fmt: skip
        rate = option(
            "Training", "--learning-rate", type=float, metavar="NUMBER",
            help=f"[default: {RATE:g} without a MODEL, else what suits most]",
        )  # fmt: skip
        return e(b(rate(function)))

    return add


def examples_option(default: int) -> Any:
    """Add --examples."""
    return option(
        "Data", "--examples", type=int, metavar="N", default=default, show_default=True,
        help="Take at most so many examples, drawn at random.",
    )  # fmt: skip


def some_examples(about: Subject, n: int, seed: int, output: Output) -> tuple[Any, Any]:
    """Return at most n of the training examples, in their order; say so where they are fewer."""
    if n < 1:
        raise ValueError(f"examples must be at least 1; got {n}")
    total = len(about.X)
    if n >= total:
        return about.X, about.y
    rows = np.sort(np.random.default_rng(seed).choice(total, n, replace=False))
    output.say(f"examples {n:,} of {total:,}, drawn at random")
    return about.X[rows], about.y[rows]


def fresh_network(network: Network, seed: int) -> Network:
    """Return an untrained network of the same architecture and backend."""

    return network.like(seed=seed)


def rate_for(about: Subject, given: float | None, model: str | None) -> float:
    """Return the learning rate: the one given, the digits' one, or a safe one."""
    if given is not None:
        return given
    if model is None:
        return RATE
    return default_rate(about.dataset.is_classification, about.network.architecture.activation_name)
