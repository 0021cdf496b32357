"""``fastgd show``: every idea of gradient descent, computed on a real network and drawn.

What a picture needs and what it says is declared once, with `fastgd.cli.show.picture.picture`; one
function makes the command from it. The modules are imported when a picture is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from fastgd.rules.registry import unknown_name

__all__ = ["PICTURES", "show"]

#: Each picture and the module that declares it, in the order in which one would learn.
PICTURES = {
    **dict.fromkeys(("descent", "update", "nudges", "activations"), "step"),
    **dict.fromkeys(("network", "weights", "activity", "training"), "network"),
    **dict.fromkeys(("slice", "landscape", "paths", "curvature"), "landscape"),
    **dict.fromkeys(("learning-rate", "rates"), "rates"),
    **dict.fromkeys(("start", "spread", "gradients"), "start"),
    **dict.fromkeys(("curves", "confusion", "mistakes", "boundary", "diagnosis"), "learned"),
}


class Pictures(click.Group):
    """The group of pictures."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PICTURES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PICTURES:
            return None
        module = importlib.import_module(f"fastgd.cli.show.{PICTURES[cmd_name]}")
        commands = (made for made in vars(module).values() if isinstance(made, click.Command))
        return next(command for command in commands if command.name == cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in PICTURES and not args[0].startswith("-"):
            raise click.UsageError(str(unknown_name("the picture", args[0], PICTURES)), ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Pictures, invoke_without_command=True, epilog="Begin with: fastgd show weights")
@click.pass_context
def show(ctx: click.Context) -> None:
    """Show how a network learns, in numbers and in a picture (PNG or SVG).

    Without a MODEL a small network is trained on the embedded digits first, which takes a second.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
