"""The command line: ``fastgd train``, ``evaluate``, ``predict``, ``explain``, ``show``, ...

One module for each command, imported when it is asked for. Whatever goes wrong ends in one line
and an exit code (`fastgd.cli.failures`), never in a traceback.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import Any

import click

from fastgd.cli.failures import NobodyReadsError, guarded
from fastgd.cli.options import debug_option
from fastgd.rules.registry import unknown_name

__all__ = ["main"]

COMMANDS = ("train", "evaluate", "predict", "explain", "show", "info", "bench")


class Program(click.Group):
    """The group of commands: each is the function of its own name in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"fastgd.cli.{cmd_name}"), cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(str(unknown_name("the command", args[0], COMMANDS)), ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; `guarded` tells of Ctrl-C and of readers that have left, not click."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None
        except BrokenPipeError:
            raise NobodyReadsError from None

    def main(self, args: Any = None, prog_name: Any = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run the program and exit; with ``standalone_mode=False``, return or raise instead."""
        exits = extra.pop("standalone_mode", True)
        args = list(sys.argv[1:] if args is None else args)
        run = partial(super().main, args, prog_name, standalone_mode=False, **extra)
        return guarded(run, debug="--debug" in args) if exits else run()


def _show_version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from fastgd import __version__

        click.echo(f"fastgd {__version__}")
        ctx.exit()


@click.group(
    "fastgd",
    cls=Program,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: fastgd train digits",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@debug_option
@click.pass_context
def main(ctx: click.Context) -> None:
    """Train small dense neural networks by gradient descent on a CPU, fast.

    'fastgd COMMAND --help' explains a command and gives an example.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
