"""``fastgd show``: every idea of gradient descent, computed on a real network and drawn.

One module for each picture, imported when it is asked for; what they share is in
`fastgd.cli.show.subject`.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from fastgd.rules.registry import unknown_name

__all__ = ["show"]

#: Each picture, in the order in which one would learn.
PICTURES = (
    "descent", "update", "nudges", "activations",  # one step
    "network", "weights", "activity", "training",  # a network
    "slice", "landscape", "paths", "curvature", "learning-rate", "rates",  # where it goes
    "start", "spread", "gradients",  # where it begins
    "curves", "confusion", "mistakes", "boundary", "diagnosis",  # what it has learned
)  # fmt: skip


class Pictures(click.Group):
    """The group of pictures: each is the function of its own name in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PICTURES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PICTURES:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"fastgd.cli.show.{name}")
        return getattr(module, name, None) or getattr(module, f"{name}_")  # slice is Python's own

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
