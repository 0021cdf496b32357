"""What a command prints: lines for people, tables, or one JSON object."""

from __future__ import annotations

import errno
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TextIO

import click
import numpy as np

from fastgd.cli.failures import drop_stdout, one_line
from fastgd.visible import visible
from fastgd.writing import stream_of

__all__ = ["Output", "count", "plain"]

#: The width of tables where there is no terminal.
PIPE_WIDTH = 160


class Output:
    """Prints to stdout what was asked for: lines (the default), JSON, or nothing.

    Parameters
    ----------
    as_json : bool
        Whether lines are left out and `finish` prints the record.
    quiet : bool
        Whether lines and notes are left out.

    Attributes
    ----------
    needed : bool
        Whether what is printed is what the command is for: then a stream that is closed is an
        error.
    """

    def __init__(self, as_json: bool, quiet: bool):
        self.as_json = as_json
        self.quiet = quiet
        self.talks = not (as_json or quiet)
        self.needed = as_json
        self._failed: OSError | None = None

    def leave_to(self, path: str) -> None:
        """Print nothing where a file is written to: lines would be part of it."""
        if stream_of(path) != 1:
            return
        if self.as_json:
            raise click.UsageError(f"--json prints to where {path} is written; name a file")
        self.talks = False

    @property
    def live(self) -> bool:
        """Whether to show a live bar, which goes to stderr: on a terminal only."""
        return (
            not self.quiet and is_terminal(sys.stderr) and (self.as_json or is_terminal(sys.stdout))
        )

    def say(self, text: str = "") -> None:
        """Print a line for people, or several; names in them cannot do anything to a terminal."""
        if self.talks:
            self.write("".join(f"{visible(line)}\n" for line in text.split("\n")))

    @property
    def abandoned(self) -> bool:
        """Whether nobody reads the lines any more."""
        return isinstance(self._failed, BrokenPipeError)

    def note(self, line: str) -> None:
        """Print a line for people to stderr, where it cannot disturb what others read."""
        if not self.quiet:
            with suppress(OSError):  # what cannot be told stops no work
                click.echo(f"fastgd: {one_line(line)}", err=True)

    def write_rows(self, text: str) -> None:
        """Print lines for programs: as they are, but on a terminal as `say` does."""
        if is_terminal(sys.stdout):
            text = "\n".join(map(visible, text.split("\n")))
        self.needed = True
        self.write(text)

    def finish(self, record: Mapping[str, Any]) -> None:
        """Print the record as JSON, if that was asked for; everything is printed then.

        Raises
        ------
        OSError
            If something could not be: now, as the work is done.
        """
        if self.as_json:
            self.write(json.dumps(plain(record), allow_nan=False) + "\n")
        if isinstance(self._failed, BrokenPipeError):
            raise self._failed
        if self._failed is not None:
            raise OSError(self._failed.errno, self._failed.strerror, "standard output")

    def write(self, text: str) -> None:
        """Print text as it is.

        A reader that has left (``| head``), or a full disk, does not stop the work.
        """
        if self._failed is not None:
            return
        if sys.stdout is None and self.needed:
            self._failed = OSError(errno.EBADF, "is closed")
        try:
            click.echo(text, nl=False)
        except OSError as error:
            self._failed = error
            drop_stdout()

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: bool = False
    ) -> None:
        """Print a table; its first column is text, the others are numbers, or text to the left."""
        if not self.talks:
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        terminal = is_terminal(sys.stdout)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns:
            table.add_column(
                Text(one_line(column)), justify="left" if left or column == columns[0] else "right"
            )
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        width = Console().width if terminal else PIPE_WIDTH
        text = io.StringIO()
        Console(file=text, width=width, force_terminal=terminal).print(table)
        self.write("\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n")


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether somebody looks at a stream; one that is closed is None."""
    return stream is not None and stream.isatty()


def plain(value: Any) -> Any:
    """Return a value as JSON has it: no NumPy, and null for what is not finite.

    >>> plain({"cost": np.float32(0.5), "score": float("nan"), "sizes": (64, 10)})
    {'cost': 0.5, 'score': None, 'sizes': [64, 10]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Count things.

    >>> count(1, "row"), count(13002, "row"), count(3, "class", "classes")
    ('1 row', '13,002 rows', '3 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
