"""How training is going: a live bar on a terminal, about ten plain lines anywhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastgd.cli.output import Output
from fastgd.progress import Progress

if TYPE_CHECKING:
    pass

__all__ = ["Epochs", "bars", "compile_kernels", "moving_bar", "score_text"]

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


class Lines:
    """A file whose text goes where an `Output` prints."""

    def __init__(self, output: Output):
        self.write = output.write

    def flush(self) -> None:
        """Do nothing: `Output` does."""


def bars(output: Output, score_name: str) -> list[Progress]:
    """Return the callback that shows a fit, or none where nothing is to be shown.

    Parameters
    ----------
    output : Output
    score_name : str
        "accuracy" or "R^2".
    """

    def show(logs: Mapping[str, float]) -> str:
        text = f"cost {logs['cost']:<9.4g}"
        if "validation_score" in logs:
            text += f"  {score_text(logs['validation_score'], score_name)}"
        return text

    if output.live:
        return [Progress(show)]
    return [Progress(show, file=Lines(output))] if output.talks else []


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
