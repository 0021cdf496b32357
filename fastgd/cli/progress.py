"""How training is going: a live bar on a terminal, about ten plain lines anywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastgd.cli.output import Output

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Epochs", "Watch", "compile_kernels", "moving_bar", "score_text", "watching"]

#: Lines printed where there is no terminal.
LINES = 10
#: Kernels that take longer than this to load are being compiled, in seconds.
LOAD_SECONDS = 2.0


def compile_kernels(dtype: str, backend: str | None, output: Output) -> None:
    """Compile the kernels or load them from the cache; say so where it takes long."""
    from fastgd.network import Network

    line = "compiling kernels, once on this machine: about 15 seconds ..."
    timer = threading.Timer(LOAD_SECONDS, output.note, [line])
    timer.daemon = True
    timer.start()
    try:
        Network([1, 1], dtype=dtype, init="zeros", backend=backend).predict([[0.0]])
    finally:
        timer.cancel()


def score_text(score: float, name: str) -> str:
    """Write a score.

    >>> score_text(0.96379, "accuracy"), score_text(0.5, "R^2")
    ('accuracy 96.38 %', 'R^2 0.5000')
    """
    return f"{name} {100 * score:.2f} %" if name == "accuracy" else f"{name} {score:.4f}"


class Watch:
    """A callback for `Network.fit` that follows it.

    Parameters
    ----------
    output : Output
    epochs, n_examples : int
        How many epochs there will be, and examples in each.
    score_name : str
        "accuracy" or "R^2".
    cost_factor : float
        What costs are multiplied by before they are shown.
    """

    def __init__(
        self, output: Output, epochs: int, n_examples: int, score_name: str, cost_factor: float
    ):
        self.output = output
        self.epochs = epochs
        self.n_examples = n_examples
        self.score_name = score_name
        self.cost_factor = cost_factor
        self.every = -(-epochs // LINES)
        self.started = time.perf_counter()
        self.bar: Any = None
        self.task: Any = None
        self.score = ""

    def on_progress(self, network: Network, epoch: int, logs: dict[str, float]) -> None:
        """Move the bar."""
        if self.bar is not None:
            done = epoch * self.n_examples + logs["examples"]
            rate = done / max(time.perf_counter() - self.started, 1e-9)
            self.bar.update(
                self.task,
                completed=done,
                epoch=epoch + 1,
                cost=f"cost {logs['cost'] * self.cost_factor:.4g}",
                rate=f"{_short(rate)} examples/s",
            )

    def on_epoch_end(self, network: Network, epoch: int, logs: dict[str, float]) -> None:
        """Print a line every few epochs, or show the score beside the bar."""
        if "validation_score" in logs:
            self.score = score_text(logs["validation_score"], self.score_name)
        if self.bar is not None:
            self.bar.update(self.task, score=self.score)
        elif (epoch + 1) % self.every == 0 or epoch in (0, self.epochs - 1):
            width = len(str(self.epochs))
            cost = f"cost {logs['cost'] * self.cost_factor:<9.4g}"
            self.output.say(
                f"epoch {epoch + 1:{width}d}/{self.epochs}  {cost}  {self.score}".rstrip()
            )


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Show a live bar meanwhile, where there is a terminal."""
    if not watch.output.live or not watch.epochs:
        yield watch
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn(f"epoch {{task.fields[epoch]}}/{watch.epochs}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[cost]}"),
        TextColumn("{task.fields[score]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    ]
    with Progress(*columns, console=Console(stderr=True), expand=True) as watch.bar:
        total = watch.epochs * watch.n_examples
        watch.task = watch.bar.add_task("", total=total, epoch=1, cost="", score="", rate="")
        yield watch


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


def _short(number: float) -> str:
    """Write a number in three digits.

    >>> _short(12_345), _short(2_800_000), _short(87)
    ('12.3k', '2.8M', '87')
    """
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"
