"""What the commands' options share: sections in the help, and errors that name the option."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, TypeVar

import click

from fastgd.errors import DataError, SettingError, SettingTypeError

__all__ = ["Command", "debug_option", "option", "output_options", "with_options"]

#: The section that ends each help page.
LAST = "Other"

Function = TypeVar("Function", bound=Callable[..., Any])

debug_option = click.option("--debug", is_flag=True, hidden=True, expose_value=False)


class Option(click.Option):
    """An option that knows its section of the help page."""

    def __init__(self, *args: Any, section: str = LAST, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.section = section


def option(section: str, *names: str, **kwargs: Any) -> Callable[[Function], Function]:
    """Declare an option in a section of the help page."""
    return click.option(*names, cls=Option, section=section, **kwargs)


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Function], Function]:
    """Add several options, in this order."""
    return lambda function: reduce(lambda f, add: add(f), reversed(options), function)


class Command(click.Command):
    """A command with its options in sections; the library's errors name the option at fault."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                section = getattr(parameter, "section", LAST)
                sections.setdefault(section, []).append(record)
        for section in sorted(sections, key=LAST.__eq__):
            with formatter.section(section):
                formatter.write_dl(sections[section])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DataError:
            raise
        except (ValueError, TypeError) as error:
            if not isinstance(error, SettingError | SettingTypeError):
                raise
            for parameter in self.params:
                if parameter.name == error.setting and isinstance(parameter, click.Option):
                    raise click.UsageError(f"{parameter.opts[0]} {error.problem}", ctx) from error
            raise


def output_options(function: Function) -> Function:
    """Add --json, --quiet and the hidden --debug."""
    quiet = option(LAST, "-q", "--quiet", is_flag=True, help="Print nothing but errors.")
    as_json = option(
        LAST,
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as one JSON object instead.",
    )
    return as_json(quiet(debug_option(function)))
