"""What a fit does where nothing is said: chosen by what is learned, and from how many rows.

`choose` is the whole of it; docs/defaults.md says on which tables it was found, and what each part
is worth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastgd.errors import SettingTypeError
from fastgd.rules.checks import check_flag, check_integer
from fastgd.rules.optimizers import AdamW, Optimizer, find_optimizer
from fastgd.rules.schedules import Cosine

if TYPE_CHECKING:
    from fastgd.engine.architecture import Architecture
    from fastgd.engine.inputs import Examples

__all__ = ["Recipe", "Training", "choose", "recipe_for"]

TASKS = ("classes", "numbers")
#: How many rows chunks are taken to bring: nobody knows before they came.
MANY = 100_000
#: From so many rows on, mini-batches are so large: small ones teach more a row, large ones are
#: faster.
BATCH_SIZES = ((0, 32), (1_000, 64), (5_000, 128), (20_000, 256))


@dataclass(frozen=True)
class Recipe:
    """A network and a way to train it.

    Attributes
    ----------
    task : {"classes", "numbers"}
        What is learned.
    n_inputs, n_outputs : int
        Columns read, and outputs.
    hidden : tuple of int
        Units of the hidden layers.
    activation : str, Activation, or a sequence of them
        As in `Network`.
    output, init : str
        As in `Network`.
    loss : str or Loss
        As in `Network`.
    optimizer : Optimizer
        With its schedule.
    epochs, batch_size : int
        As in `Network.fit`.
    standardize : bool
        Whether inputs, and numbers to predict, are brought to mean 0 and deviation 1.

    Print it for one line that says what was chosen.
    """

    task: str
    n_inputs: int
    n_outputs: int
    hidden: tuple[int, ...]
    activation: Any
    output: str
    init: str
    loss: Any
    optimizer: Optimizer
    epochs: int
    batch_size: int
    standardize: bool = True

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, hidden layers, outputs."""
        return (self.n_inputs, *self.hidden, self.n_outputs)

    @property
    def rules(self) -> dict[str, Any]:
        """What `Network` takes besides sizes."""
        return {
            "activation": self.activation, "output": self.output, "loss": self.loss,
            "init": self.init,
        }  # fmt: skip

    def changed(self, hidden: Any = None, activation: Any = None) -> Recipe:
        """Return it with other layers or another activation, where they are given.

        An activation that is not the recipe's starts from weights as any network's do.

        >>> choose("numbers", 400, 10, 1).changed(activation="tanh").init
        'normal'
        """
        if isinstance(hidden, int):
            hidden = (hidden,)
        if hidden is not None and not isinstance(hidden, Iterable):
            raise SettingTypeError("hidden", f"must be integers, one for a layer; got {hidden!r}")
        recipe = self if hidden is None else replace(self, hidden=tuple(hidden))
        if activation is None:
            return recipe
        return replace(recipe, activation=activation, init="normal")

    def __str__(self) -> str:
        units = " and ".join(map(str, self.hidden))
        return f"{units} {self.activation} units; {self.training}"

    @property
    def training(self) -> Training:
        """How it is trained."""
        return Training(self.optimizer, self.epochs, self.batch_size, self.standardize)


class Training(NamedTuple):
    """How a network is trained, as far as it is known. Print it for one line that says it."""

    optimizer: Any = None
    epochs: Any = None
    batch_size: Any = None
    standardize: Any = None

    @classmethod
    def said(
        cls, optimizer: Any, epochs: Any, batch_size: Any, standardize: Any = None
    ) -> Training:
        """Return what somebody said, checked.

        Raises
        ------
        TypeError, ValueError
            If something is not accepted.
        """
        return cls(
            None if optimizer is None else find_optimizer(optimizer),
            None if epochs is None else check_integer("epochs", epochs, 0),
            None if batch_size is None else check_integer("batch_size", batch_size, 1),
            None if standardize is None else check_flag("standardize", standardize),
        )

    def complete(self, architecture: Architecture, examples: Examples | None) -> Training:
        """Return all of it: the recipe's where no optimizer was given, else plain defaults."""
        rest = PLAIN if self.optimizer is not None else _for_network(architecture, examples)
        return Training(*(b if a is None else a for a, b in zip(self, rest, strict=True)))

    def __str__(self) -> str:
        s = "" if self.epochs == 1 else "s"
        line = f"{self.epochs} epoch{s} in batches of {self.batch_size} with {self.optimizer}"
        return f"{line}, on standardised data" if self.standardize else line


#: What is not said beside an optimizer.
PLAIN = Training(None, 10, 32, False)


def _for_network(architecture: Architecture, examples: Examples | None) -> Training:
    """Return what the recipe does for a network that is there, and its examples or chunks."""
    classes = architecture.loss.classifies or (
        examples is not None and examples.targets.are_exclusive
    )
    n_rows = MANY if examples is None else len(examples)
    sizes = architecture.sizes
    recipe = choose("classes" if classes else "numbers", n_rows, sizes[0], sizes[-1])
    training = recipe.training
    return training if examples is not None else training._replace(standardize=False)


def choose(task: str, n_rows: int, n_inputs: int, n_outputs: int) -> Recipe:
    """Return the recipe for a task.

    Parameters
    ----------
    task : {"classes", "numbers"}
    n_rows : int
        How many rows are trained on.
    n_inputs, n_outputs : int
        Columns read (each category is one), and classes or numbers to predict.

    Examples
    --------
    >>> recipe = choose("numbers", n_rows=400, n_inputs=10, n_outputs=1)
    >>> recipe.sizes
    (10, 128, 128, 1)
    """
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}; got {task!r}")
    classes = task == "classes"
    return Recipe(
        task=task, n_inputs=n_inputs, n_outputs=n_outputs, hidden=(128, 128), activation="relu",
        output="softmax" if classes else "identity", init="he_normal",
        loss="cross_entropy" if classes else "mse",
        optimizer=AdamW(Cosine(0.002), weight_decay=_weight_decay(classes, n_rows, n_outputs)),
        epochs=_epochs(n_rows), batch_size=_batch_size(n_rows),
    )  # fmt: skip


def recipe_for(dataset: Any, n_rows: int) -> Recipe:
    """Return the recipe for a `fastgd.data.Dataset`, of which so many rows are trained on."""
    task = "classes" if dataset.is_classification else "numbers"
    return choose(task, n_rows, dataset.n_features, dataset.n_outputs)


def _weight_decay(classes: bool, n_rows: int, n_outputs: int) -> float:
    """Return the weight decay: strong, as what keeps a network from learning rows by heart.

    The more classes there are, and the more rows of numbers (which say more than labels), the more
    there is to learn and the less it may be.
    """
    share = (2 / max(n_outputs, 2)) ** 0.5 if classes else 1000 / max(n_rows, 1)
    return round(2 * float(np.clip(share, 0.025, 1)), 2)


def _epochs(n_rows: int) -> int:
    """Return the epochs: few rows are seen more often."""
    return int(np.clip(250_000 / max(n_rows, 1), 20, 100))


def _batch_size(n_rows: int) -> int:
    return max(size for rows, size in BATCH_SIZES if n_rows >= rows)
