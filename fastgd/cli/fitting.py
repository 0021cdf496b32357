"""The options of a fit besides network and optimizer: when to stop, and what rows count."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fastgd.cli.options import option
from fastgd.cli.types import ClassWeight
from fastgd.errors import SettingError
from fastgd.rules.checks import check_integer, check_number

if TYPE_CHECKING:
    from fastgd.data import Dataset
    from fastgd.engine.callbacks import CSVLog
    from fastgd.engine.history import History
    from fastgd.network import Network

__all__ = [
    "EARLY_STOPPING",
    "STOPPING",
    "WEIGHTS",
    "Learned",
    "check_fit",
    "class_weight_of",
    "stoppers",
]

#: How often a checkpoint is written at least.
CHECKPOINT_SECONDS = 30.0
#: The share of the rows trained on that early stopping watches.
WATCHED = 0.1

EARLY_STOPPING = option(
    "Most used",
    "--early-stopping",
    type=int,
    metavar="EPOCHS",
    help="Stop when the cost on rows kept out of training has not fallen for so many epochs, and "
    "keep the best network.  [default: never]",
)
STOPPING = [
    option(
        "Stopping",
        "--validation-split",
        type=float,
        metavar="SHARE",
        help="Share of the training rows to watch instead of the rows held out.  "
        f"[default: {WATCHED} with --early-stopping, else 0]",
    ),
    option(
        "Stopping",
        "--time-budget",
        type=float,
        metavar="SECONDS",
        help="Stop training after so long.",
    ),
    option(
        "Stopping",
        "--log",
        metavar="FILE",
        help="Write what is measured after each epoch to a .csv file.",
    ),
    option(
        "Stopping",
        "--checkpoint",
        metavar="FILE",
        help="Keep the training in a file: after an end of any kind the same command goes on "
        "from there.",
    ),
    option(
        "Stopping",
        "--checkpoint-seconds",
        type=float,
        metavar="SECONDS",
        help="How often that is written at least.  [default: 30]",
    ),
]
WEIGHTS = [
    option(
        "Weights",
        "--class-weight",
        type=ClassWeight(),
        metavar="WEIGHTS",
        help="What rows of each class count in training: balanced, for all classes alike, or "
        "yes=5,no=1.",
    ),
    option(
        "Weights",
        "--weights",
        "--sample-weight",
        "sample_weight",
        metavar="COLUMN",
        help="The column that says what each row counts in training, for tables; no input then.",
    ),
]


def check_fit(given: dict[str, Any]) -> None:
    """Refuse bad settings before any work."""
    if given["early_stopping"] is not None:
        check_integer("early_stopping", given["early_stopping"], 1)
    if given["validation_split"] is not None:
        check_number("validation_split", given["validation_split"], minimum=0, below=1)
        if given["early_stopping"] is not None and not given["validation_split"]:
            raise click.UsageError("--early-stopping needs rows to watch: --validation-split 0.1")
    if given["time_budget"] is not None:
        check_number("time_budget", given["time_budget"], above=0)
    if given["checkpoint_seconds"] is None:
        given["checkpoint_seconds"] = CHECKPOINT_SECONDS
    elif given["checkpoint"] is None:
        raise click.UsageError("--checkpoint-seconds needs a file to write: --checkpoint FILE")
    check_number("checkpoint_seconds", given["checkpoint_seconds"], minimum=0)
    if given["log"] is not None and not Path(given["log"]).absolute().parent.is_dir():
        raise click.UsageError(f"--log: the folder {Path(given['log']).parent} does not exist")


def validation_split(given: dict[str, Any]) -> float:
    """Return the share of the training rows that validates."""
    if given["validation_split"] is None:
        return 0.0 if given["early_stopping"] is None else WATCHED
    return float(given["validation_split"])


def stoppers(given: dict[str, Any]) -> list[Any]:
    """Return the callbacks the options ask for."""
    from fastgd.engine.callbacks import EarlyStopping, TimeBudget

    made: list[Any] = []
    if given["early_stopping"] is not None:
        made.append(EarlyStopping(patience=given["early_stopping"]))
        made[-1].called = "--early-stopping"
    if given["time_budget"] is not None:
        made.append(TimeBudget(given["time_budget"]))
        made[-1].called = "--time-budget"
    if given["log"] is not None:
        made.append(log_to(given["log"]))
    return made


def log_to(path: str) -> CSVLog:
    """Return the callback of --log. A full disk ends no training: what is not written waits."""
    from fastgd.engine.callbacks import CSVLog

    class Log(CSVLog):
        called = "--log"
        waiting, begins, told = "", False, False

        def write(self, lines: str, begins: bool) -> None:
            self.waiting, self.begins = self.waiting + lines, self.begins or begins
            with self.bearing():
                super().write(self.waiting, self.begins)
                self.waiting, self.begins = "", False

        def state_dict(self) -> dict[str, Any]:
            return {**super().state_dict(), "waiting": self.waiting, "begins": self.begins}

        def load_state_dict(self, kept: Mapping[str, Any]) -> None:
            self.waiting, self.begins = kept["waiting"], kept["begins"]
            with self.bearing():
                super().load_state_dict(kept)

        @contextmanager
        def bearing(self) -> Iterator[None]:
            """Tell once of a file that cannot be written."""
            try:
                yield
            except OSError as error:
                if not self.told:
                    warnings.warn(f"the log could not be written: {error}", stacklevel=2)
                self.told = True

    return Log(path)


class Learned:
    """Callbacks, and one after them that knows what was learned where the fit cannot say it.

    Parameters
    ----------
    callbacks : list

    Attributes
    ----------
    history : History or None
        None until there is something to keep.
    """

    def __init__(self, callbacks: list[Any]):
        self._others, self._ended = callbacks, False
        self.callbacks = [*callbacks, self]
        self.history: History | None = None

    def on_train_begin(self, network: Network) -> None:
        """Begin a history."""
        from fastgd.engine.history import History

        self.history = History(stop_reason="interrupted")

    def on_epoch_end(self, network: Network, epoch: int, logs: dict[str, float]) -> None:
        """Add what was measured."""
        assert self.history is not None
        self.history.append(logs)

    def on_train_end(self, network: Network, history: History) -> None:
        """Take the fit's own history."""
        self.history, self._ended = history, True

    def end(self, network: Network) -> History:
        """Return the history of a fit that was left; let everybody know of its end."""
        from fastgd.engine.listeners import Listeners

        assert self.history is not None
        if not self._ended:
            Listeners(network, self._others).tell("on_train_end", self.history)
        return self.history


def class_weight_of(given: str | dict[str, float] | None, dataset: Dataset) -> Any:
    """Return the weights of classes by their numbers, from their labels.

    Raises
    ------
    click.UsageError
        If there are no classes, or no such label.
    """
    if given is None:
        return None
    if not dataset.is_classification:
        raise click.UsageError("--class-weight is for classes; here numbers are learned")
    if isinstance(given, str):
        return given
    n_classes = dataset.n_classes or 0
    labels = list(dataset.class_names or map(str, range(n_classes)))
    for label in given:
        if label not in labels:
            known = ", ".join(labels[:20]) + (", ..." if n_classes > 20 else "")
            raise click.UsageError(f"--class-weight: no class {label!r}; classes are {known}")
        try:
            check_number("class_weight", given[label], minimum=0)
        except SettingError as error:
            raise click.UsageError(f"--class-weight of {label!r} {error.problem}") from None
    return {labels.index(label): weight for label, weight in given.items()}
