"""Callbacks for ``fit``: they watch, keep what was best, and stop in time.

Any object with one of the methods of `fastgd.engine.listeners.EVENTS` will do; these are the ones
most fits need.
"""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastgd.errors import SettingError, SettingTypeError
from fastgd.regular import open_regular
from fastgd.rules.checks import check_flag, check_integer, check_number
from fastgd.visible import as_cell
from fastgd.writing import append_whole, check_target, stream_of, write_whole

__all__ = ["BestParameters", "CSVLog", "EarlyStopping", "TimeBudget"]


class BestParameters:
    """Keep the parameters of the epoch in which something was best, and end with them.

    Parameters
    ----------
    monitor : str, optional
        A measure of the history; by default ``"validation_cost"`` where there are validation data,
        else ``"cost"``.
    higher_is_better : bool, optional
        By default so for scores and fastgd's metrics but ``mae``, not so for costs.

    Attributes
    ----------
    best_epoch : int or None
        The epoch, from 0.
    best_value : float
        The measure then.
    best_parameters : ndarray or None

    Examples
    --------
    >>> import fastgd
    >>> digits = fastgd.data.load("digits")
    >>> best = fastgd.BestParameters()
    >>> net = fastgd.Network([64, 20, 10], output="softmax", loss="cross_entropy", seed=1)
    >>> history = net.fit(
    ...     digits.X / 16, digits.y, validation_split=0.2, callbacks=best, epochs=3, verbose=False
    ... )
    >>> best.best_value == min(history.validation_cost)
    True
    """

    restore_best = True
    #: What ``repr`` shows.
    settings: tuple[str, ...] = ("monitor",)

    def __init__(self, monitor: str | None = None, *, higher_is_better: bool | None = None):
        if monitor is not None and not isinstance(monitor, str):
            raise SettingTypeError("monitor", f"must be the name of a measure; got {monitor!r}")
        if higher_is_better is not None:
            check_flag("higher_is_better", higher_is_better)
        self.monitor, self.higher_is_better = monitor, higher_is_better
        self.forget()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({shown})"

    def forget(self) -> None:
        """Forget what was best."""
        self.best_epoch: int | None = None
        self.best_value = math.nan
        self.best_parameters: np.ndarray | None = None

    def check(self, measured: Mapping[str, bool | None]) -> None:
        """Refuse a monitor that will not be measured, before the fit; choose one where none is.

        Parameters
        ----------
        measured : mapping of str to bool or None
            What will be, and whether higher is better; None where nobody knows.
        """
        name = self.monitor
        if name is None:
            name = "validation_cost" if "validation_cost" in measured else "cost"
        if name not in measured:
            raise ValueError(not_measured(name, measured))
        better = measured[name] if self.higher_is_better is None else self.higher_is_better
        if better is None:
            raise SettingError("higher_is_better", f"must be given: nobody knows it of {name!r}")
        self._watched, self._sign = name, 1.0 if better else -1.0

    def on_train_begin(self, network: Any) -> None:
        """Begin anew."""
        self.forget()

    def on_epoch_end(self, network: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        """Keep the parameters where they are the best so far."""
        value = logs[self._watched]
        if self.best_epoch is None or self._sign * (value - self.best_value) > 0:
            self.best_epoch, self.best_value = epoch, value
            self.best_parameters = network.parameters.copy()
        return None

    #: What a checkpoint keeps.
    kept: tuple[str, ...] = ("best_epoch", "best_value", "best_parameters")

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {name: getattr(self, name) for name in self.kept}

    def load_state_dict(self, kept: Mapping[str, Any]) -> None:
        """Take back what a checkpoint kept."""
        self.forget()
        for name in self.kept:
            setattr(self, name, kept[name])

    def on_train_end(self, network: Any, history: Any) -> None:
        """Go back to the best parameters."""
        if self.restore_best and self.best_parameters is not None:
            network.parameters[:] = self.best_parameters


class EarlyStopping(BestParameters):
    """Stop when nothing gets better any more (Prechelt 1998), and go back to the best parameters.

    Parameters
    ----------
    monitor : str, optional
        As in `BestParameters`.
    patience : int, default 10
        How many epochs in a row may bring nothing.
    tolerance : float, default 0
        By how much the best must be beaten to count, at least 0.
    restore_best : bool, default True
        Whether the fit ends with the parameters of the best epoch, or with the last.
    higher_is_better : bool, optional
        As in `BestParameters`.

    Examples
    --------
    >>> import fastgd
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 20, 10], output="softmax", loss="cross_entropy", seed=1)
    >>> stop = fastgd.EarlyStopping(patience=2)
    >>> history = net.fit(
    ...     digits.X / 16, digits.y, epochs=500, optimizer="adam", validation_split=0.2,
    ...     callbacks=[stop],
    ... )
    >>> history.stop_reason, history.epochs - 1 - stop.best_epoch
    ('callback', 2)
    >>> stop
    EarlyStopping(monitor=None, patience=2, tolerance=0.0, restore_best=True)
    """

    settings = ("monitor", "patience", "tolerance", "restore_best")
    kept = (*BestParameters.kept, "waited", "to_beat")

    def __init__(
        self,
        monitor: str | None = None,
        patience: int = 10,
        tolerance: float = 0.0,
        restore_best: bool = True,
        *,
        higher_is_better: bool | None = None,
    ):
        super().__init__(monitor, higher_is_better=higher_is_better)
        self.patience = check_integer("patience", patience, 1)
        self.tolerance = check_number("tolerance", tolerance, minimum=0)
        self.restore_best = check_flag("restore_best", restore_best)

    def forget(self) -> None:
        super().forget()
        self.waited, self.to_beat = 0, math.nan

    def on_epoch_end(self, network: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        """Return True once patience is at its end."""
        super().on_epoch_end(network, epoch, logs)
        value = logs[self._watched]
        if math.isnan(self.to_beat) or self._sign * (value - self.to_beat) > self.tolerance:
            self.waited, self.to_beat = 0, value
        else:
            self.waited += 1
        return self.waited >= self.patience


class TimeBudget:
    """Stop after some time, also in the middle of an epoch.

    Parameters
    ----------
    seconds : float
        Above 0; the fit stops within a tenth of a second of it.
    """

    def __init__(self, seconds: float):
        self.seconds = check_number("seconds", seconds, above=0)
        self._end = math.inf

    def on_train_begin(self, network: Any) -> None:
        """Start the clock."""
        self._end = time.monotonic() + self.seconds

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the seconds that are left."""
        return {"left": self._end - time.monotonic()}

    def load_state_dict(self, kept: Mapping[str, Any]) -> None:
        """Let the clock go on."""
        self._end = time.monotonic() + kept["left"]

    def on_progress(self, network: Any, epoch: int, logs: Mapping[str, float]) -> bool:
        """Return True once the time is up."""
        return time.monotonic() >= self._end


class CSVLog:
    """Write what is measured after each epoch to a CSV file, a line an epoch, as it happens.

    Parameters
    ----------
    path : str or path
        The file; what was there before is replaced by the first line. It grows by whole lines.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        if not self.path.absolute().parent.is_dir():
            raise FileNotFoundError(f"path: the folder {self.path.parent} does not exist")
        self._names: list[str] | None = None

    def on_train_begin(self, network: Any) -> None:
        """Begin anew; the first line replaces what is there."""
        self._names = None
        if stream_of(self.path) is None:
            check_target(self.path)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the columns, and how far the file is written."""
        begun = self._names is not None and self.path.is_file()
        return {"names": self._names, "size": self.path.stat().st_size if begun else 0}

    def load_state_dict(self, kept: Mapping[str, Any]) -> None:
        """Go on where the file was: lines of epochs that are made again are taken off."""
        self._names = kept["names"]
        if self._names is None:
            return
        there = b""
        if self.path.exists():
            with open_regular(self.path) as file:
                there = file.readall()
        write_whole(self.path, there[: kept["size"]])

    def on_epoch_end(self, network: Any, epoch: int, logs: Mapping[str, float]) -> None:
        """Add a line."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        begins = self._names is None
        if self._names is None:
            self._names = list(logs)
            writer.writerow(["epoch", *map(as_cell, self._names)])
        writer.writerow([epoch + 1, *(as_cell(logs.get(name, "")) for name in self._names)])
        self.write(lines.getvalue(), begins)

    def write(self, lines: str, begins: bool) -> None:
        """Put lines at the end of the file, or in place of it."""
        (write_whole if begins else append_whole)(self.path, lines.encode())


def not_measured(name: str, measured: Collection[str]) -> str:
    """Return the words for a monitor that is not measured."""
    hint = "" if "validation_cost" in measured else " (validation data would add some)"
    return f"monitor {name!r} is not measured; measured are {', '.join(measured)}{hint}"
