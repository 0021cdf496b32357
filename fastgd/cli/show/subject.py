"""The network and the data a picture is about: those given, or the digits and their network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from fastgd import data as sources
from fastgd.cli import models
from fastgd.cli.output import Output
from fastgd.cli.settings import default_rate
from fastgd.data import Dataset
from fastgd.errors import SettingError
from fastgd.network import Network
from fastgd.rules.optimizers import SGD

__all__ = ["BATCH_SIZE", "EPOCHS", "HIDDEN", "RATE", "Subject", "a_subject"]

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
    given: bool  # whether it is somebody's own
    rows: str  # which X_test are: "the 360 rows held out of training"

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The labels of the classes, None for regression."""
        return models.class_names(self.dataset) if self.dataset.is_classification else None

    @property
    def names(self) -> dict[str, Any]:
        """What is known about the names of the network's inputs and outputs."""
        outputs = self.class_names or self.targets
        return {
            "image_shape": self.dataset.image_shape,
            "feature_names": self.dataset.feature_names,
            "class_names": outputs if outputs and len(outputs) == self.network.sizes[-1] else None,
        }

    @property
    def targets(self) -> tuple[str, ...] | None:
        """The columns of numbers that a table's network predicts."""
        learned = self.dataset.target
        numbers = learned is not None and not self.dataset.is_classification
        return learned.columns if numbers and learned is not None else None

    def true(self, example: int) -> str:
        """Return the target of a test example in the data's own words."""
        y, names = self.y_test[example], self.class_names
        if names is not None:
            return names[int(y)]
        return ", ".join(f"{number:,.7g}" for number in np.atleast_1d(y))

    def check_classes(self, what: str) -> None:
        """Refuse numbers where a picture is one of classes."""
        if not self.dataset.is_classification:
            raise click.UsageError(
                f"{self.dataset.name} holds numbers to predict, not classes; {what} of classes "
                "('fastgd evaluate' and 'fastgd explain' say how good the numbers are)"
            )

    def some(self, n: int, seed: int, output: Output) -> tuple[Any, Any]:
        """Return at most n of the training examples, in their order; say so if not all."""
        if n < 1:
            raise SettingError("examples", f"must be at least 1; got {n}")
        total = len(self.X)
        if n >= total:
            return self.X, self.y
        rows = np.sort(np.random.default_rng(seed).choice(total, n, replace=False))
        output.say(f"examples {n:,} of {total:,}, drawn at random")
        return self.X[rows], self.y[rows]

    def untrained(self, seed: int) -> Network:
        """Return a new network like this one: of its architecture and backend."""
        return self.network.like(seed=seed)

    def rate(self, asked: float | None) -> float:
        """Return the learning rate asked for, else the digits' one, or a safe one."""
        if asked is not None:
            return asked
        classes, rules = self.dataset.is_classification, self.network.architecture.activation
        return default_rate(classes, list(rules)) if self.given else RATE


def a_subject(
    model: str | None, data: str | None, target: str | None, sep: str | None, output: Output
) -> Subject:  # fmt: skip
    """Return what a picture is about: a MODEL with its DATA, or both made of the digits."""
    if model is None:
        return _digits(output)
    if data is None:
        if not model.endswith(".safetensors"):
            raise click.UsageError(f"give a MODEL and its DATA; got {model} alone")
        raise click.UsageError(f"give the data of {model}, too: ... {model} DATA")
    network = models.load_model(model, data, None)
    dataset = models.load_rows(
        network, data, target=target, need_target=True, sep=sep, output=output
    )
    part = models.unseen_part(network, dataset)
    known = dataset
    if part.which == "held_out":
        known = sources.split(dataset, *models.split_of(network.notes))
    output.say(f"network  {'-'.join(map(str, network.sizes))} of {model}; data {dataset.name}")
    if units := units_line(network, dataset):
        output.say(units)
    return Subject(network, dataset, known.X, known.y, part.X, part.y, True, part.words)


def units_line(network: Network, dataset: Dataset) -> str:
    """Say in which units numbers are learned; "" where they are as they were."""
    shift, scale = (np.atleast_1d(getattr(network, f"output_{which}"))
                    for which in ("shift", "scale"))  # fmt: skip
    if not (shift.any() or (scale != 1).any()):
        return ""
    if len(shift) != 1 or len(scale) != 1:
        return "units    costs and slopes are of standardised targets: mean 0, deviation 1"
    names = ("target",) if dataset.target is None else dataset.target.columns
    less = f"{abs(shift[0]):,.6g}"
    learned = f"({names[0]} {'+' if shift[0] < 0 else '-'} {less}) / {scale[0]:,.6g}"
    return f"units    costs and slopes are of what is learned: {learned}"


def _digits(output: Output) -> Subject:
    d = sources.split(sources.load("digits"), seed=0)
    sizes = [d.n_features, HIDDEN, d.n_classes]
    network = Network(sizes, input_scale=d.input_scale, seed=0)  # type: ignore[arg-type]
    network.fit(d.X, d.y, epochs=EPOCHS, batch_size=BATCH_SIZE, optimizer=SGD(RATE))
    output.say(
        f"network  {'-'.join(map(str, sizes))}, trained on the digits for {EPOCHS} epochs "
        "(give MODEL DATA to see your own)"
    )
    rows = f"the {len(d.X_test):,} rows held out of training"  # type: ignore[arg-type]
    return Subject(network, d, d.X, d.y, d.X_test, d.y_test, False, rows)
