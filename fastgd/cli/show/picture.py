"""What a picture declares, and the command that is made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import click

from fastgd.cli import models
from fastgd.cli.options import Command, option, output_options, with_options
from fastgd.cli.output import Output
from fastgd.cli.settings import MAX_BYTES, SEP
from fastgd.cli.show.lesson import Lesson, a_lesson
from fastgd.cli.show.subject import Subject, a_subject
from fastgd.errors import MissingExtraError
from fastgd.plot.display import FORMATS, Display, check_format, numbers_only
from fastgd.plot.style import matplotlib, theme
from fastgd.plot.training import FILM_FORMATS

__all__ = ["DATA", "MODEL_DATA", "NOTHING", "Asked", "Drawn", "fields", "integer", "picture"]

#: What a picture hands back: its Display (None if it is in its file already) and its numbers.
Drawn = tuple[Display | None, dict[str, Any]]
#: What adds an argument or an option.
Adds = Callable[[Any], Any]

integer = partial(option, type=int, metavar="N", show_default=True)

_TABLE = (
    option("Data", "--target", metavar="COLUMN", help="The column to learn, for tables."), SEP,
    MAX_BYTES,
)  # fmt: skip
#: What pictures need: a network and its data, data to learn, or nothing.
MODEL_DATA = (
    click.argument("model", required=False), click.argument("data", required=False), *_TABLE,
)  # fmt: skip
DATA = (click.argument("data", default="digits", required=False), *_TABLE)
NOTHING = ()


class Asked(Output):
    """What somebody asked a picture for: where it goes, what it is about, how it is told.

    Networks and data are fetched when they are used, so that slips in options are told before.
    """

    def __init__(
        self, as_json: bool, quiet: bool, out: str, *, model: str | None = None,
        data: str | None = None, target: str | None = None, sep: str | None = None,
    ):  # fmt: skip
        super().__init__(as_json, quiet)
        self.out, self.model, self.data = out, model, data
        self.target, self.sep = target, sep

    @cached_property
    def subject(self) -> Subject:
        """The MODEL and its DATA; without them a network that has learned the digits."""
        return a_subject(self.model, self.data, self.target, self.sep, self)

    def lesson(self, given: dict[str, Any], **settings: Any) -> Lesson:
        """Return a new network and the DATA it shall learn; see `a_lesson`."""
        return a_lesson(str(self.data), self.target, self.sep, self, **given, **settings)


def picture(
    name: str, needs: Sequence[Adds], *options: Adds, examples: Sequence[str], notes: str = "",
    film: bool = False,
) -> Callable[[Callable[..., Drawn]], click.Command]:  # fmt: skip
    """Declare a picture: make a command of the function that computes and draws it.

    The function gets what was `Asked` and its options, and returns what it has `Drawn`; its
    docstring is the help.

    Parameters
    ----------
    name : str
        Of the command.
    needs : sequence
        `MODEL_DATA`, `DATA` or `NOTHING`.
    *options
        What adds the picture's own options.
    examples : sequence of str
        What comes after ``fastgd show``.
    notes : str
        What stands below the examples.
    film : bool
        Whether it is a film, or can be.
    """
    formats = FILM_FORMATS if film else FORMATS
    lines = [f"  fastgd show {example}" for example in examples]
    title = "Examples:" if len(lines) > 1 else "Example:"
    epilog = "\n".join(["\b", title, *lines, "", notes])

    def declare(compute: Callable[..., Drawn]) -> click.Command:
        def run(out: str, dark: bool, as_json: bool, quiet: bool, **given: Any) -> None:
            about = {key: given.pop(key) for key in ("model", "data", "target", "sep")
                     if key in given}  # fmt: skip
            for option_name in ("target", "sep"):
                if "model" in about and about["model"] is None and about[option_name] is not None:
                    raise click.UsageError(
                        f"--{option_name} is for a MODEL and its DATA; give both"
                    )
            ask = Asked(as_json, quiet, out, **about)
            with _drawing(out, dark, formats, ask.model, ask.data) as missing:
                display, record = compute(ask, **given)
                if missing:
                    ask.note(f"no picture: {missing}")
                elif display is not None:
                    display.save(out)
                    ask.say(f"picture  {out}")
                drawn = None if missing else out
                ask.finish({"command": f"show {name}", "picture": drawn, **record})

        run = with_options([*needs, *options, *_shared(name, film)])(run)
        return click.command(name, cls=Command, help=compute.__doc__, epilog=epilog)(run)

    return declare


def _shared(name: str, film: bool) -> tuple[Adds, ...]:
    """Return the options every picture has."""
    where = "Where the picture goes: .png or .svg."
    if film:
        where = "Where the film goes: .gif or .html; .png or .svg for its last frame."
    out = f"{name}.{'gif' if film else 'png'}"
    return (
        option("Picture", "--out", metavar="FILE", default=out, show_default=True, help=where),
        option("Picture", "--dark", is_flag=True, help="Draw on a dark background."),
        output_options,
    )


@contextmanager
def _drawing(out: str, dark: bool, formats: tuple[str, ...], *sources: str | None) -> Iterator[str]:
    """Check, before any work, that the picture can be written; then draw in its theme.

    Without matplotlib only numbers are computed; what is yielded says so.
    """
    try:
        check_format(out, formats)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--out") from None
    models.check_out(out, *filter(None, sources))
    try:
        matplotlib().use("Agg")
    except MissingExtraError as error:
        with numbers_only():
            yield str(error)
        return
    with theme("dark" if dark else "light"):
        yield ""
    matplotlib().pyplot.close("all")


def fields(of: Any, *names: str) -> dict[str, Any]:
    """Return attributes by their names, for a record."""
    return {name: getattr(of, name) for name in names}
