"""The bar that shows how a fit is going: on a terminal, in a notebook, or as a few plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Progress"]

#: Lines printed where nothing can be drawn over.
LINES = 10
#: From how many columns on there is room for a bar, and for the speed.
WIDE, WIDEST = 72, 100


class Progress:
    """A callback that shows a live bar in a terminal or notebook, about ten lines anywhere else.

    Parameters
    ----------
    show : callable, optional
        Turns what is measured into the words beside the bar; by default cost and score.
    file : file, optional
        Where to show it; by default standard error.

    Examples
    --------
    >>> import fastgd, sys
    >>> net = fastgd.Network([2, 1], output="identity", loss="mse", init="zeros")
    >>> bar = fastgd.Progress(file=sys.stdout)
    >>> history = net.fit(
    ...     [[1, 2], [3, 4]], [1, 0], epochs=2, optimizer="sgd", shuffle=False, callbacks=bar
    ... )
    epoch 1/2  cost 0.5
    epoch 2/2  cost 0.8
    """

    def __init__(
        self, show: Callable[[Mapping[str, float]], str] | None = None, *, file: Any = None
    ):
        self.show, self.file = show or words, file
        self.epochs = self.n_examples = 0
        self._bar: Any = None
        self._task: Any = None

    def plan(self, epochs: int, n_examples: int | None) -> None:
        """Learn how much there is to do; the fit says so before it begins."""
        self.epochs, self.n_examples = epochs, n_examples or 0

    def on_train_begin(self, network: Any) -> None:
        """Draw the bar, where it can be."""
        from rich.console import Console

        self._started = time.perf_counter()
        file = self.file or sys.stderr
        console = Console(file=file)
        self._logs: dict[str, float] = {}
        terminal = hasattr(file, "isatty") and file.isatty()
        if not self.epochs or not (terminal or console.is_jupyter):
            return
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        columns: list[Any] = [
            TextColumn(f"epoch {{task.fields[epoch]}}/{self.epochs}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[words]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
        ]
        if console.width < WIDE:  # whole words before a bar
            columns = [columns[0], TextColumn("{task.fields[words]}", table_column=Column())]
        elif console.width < WIDEST:
            del columns[3]
        self._bar = Bar(*columns, console=console, expand=True)
        self._task = self._bar.add_task("", total=self._total(), epoch=1, words="", rate="")
        self._bar.start()

    def _total(self) -> float:
        return self.epochs * (self.n_examples or 1)

    def on_progress(self, network: Any, epoch: int, logs: Mapping[str, float]) -> None:
        """Move the bar."""
        if self._bar is None or not self.n_examples:
            return
        done = epoch * self.n_examples + logs["examples"]
        rate = done / max(time.perf_counter() - self._started, 1e-9)
        self._logs.update(logs)
        self._bar.update(
            self._task, completed=done, epoch=epoch + 1, words=self.show(self._logs),
            rate=f"{short(rate)} examples/s",
        )  # fmt: skip

    def on_epoch_end(self, network: Any, epoch: int, logs: Mapping[str, float]) -> None:
        """Say what was measured: beside the bar, or every few epochs in a line."""
        if self._bar is not None:
            done = (epoch + 1) * (self.n_examples or 1)
            self._logs.update(logs)
            self._bar.update(self._task, completed=done, epoch=epoch + 1, words=self.show(logs))
        elif (epoch + 1) % -(-self.epochs // LINES) == 0 or epoch in (0, self.epochs - 1):
            width = len(str(self.epochs))
            line = f"epoch {epoch + 1:{width}d}/{self.epochs}  {self.show(logs)}"
            print(line.rstrip(), file=self.file or sys.stderr)

    def on_train_end(self, network: Any, history: Any) -> None:
        """Leave the bar as it is."""
        self.close()

    def close(self) -> None:
        """Stop drawing; the fit does so too where it ends early."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def words(logs: Mapping[str, float]) -> str:
    """Write cost and score.

    >>> words({"cost": 0.123456, "validation_cost": 0.2, "validation_score": 0.95, "seconds": 3.0})
    'cost 0.1235  validation cost 0.2  score 0.95'
    """
    names = {
        "cost": "cost",
        "validation_cost": "validation cost",
        "validation_score": "score",
    }
    return "  ".join(f"{word} {logs[name]:.4g}" for name, word in names.items() if name in logs)


def short(number: float) -> str:
    """Write a number in three digits.

    >>> short(12_345), short(2_800_000), short(87)
    ('12.3k', '2.8M', '87')
    """
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"
