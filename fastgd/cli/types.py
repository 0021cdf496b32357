"""What options are read as, beyond numbers and names."""

from __future__ import annotations

import re
from typing import Any

import click

__all__ = ["ClassWeight", "Layers", "RuleNames", "Shares"]


class Layers(click.ParamType):
    """Sizes of hidden layers: 30, or 16,16, or none."""

    name = "sizes"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        if value.strip().lower() == "none":
            return ()
        sizes = [part.strip() for part in value.split(",")]
        if not all(size.isascii() and size.isdigit() and int(size) for size in sizes):
            self.fail(f"{value!r} is not a size; give 30, or 16,16 for two layers, or none")
        return tuple(map(int, sizes))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class Shares(click.ParamType):
    """One number, or several with commas between them."""

    name = "shares"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | list[float]:
        if not isinstance(value, str):
            return value
        numbers = [_number(part) for part in value.split(",")]
        if None in numbers:
            self.fail(f"{value!r} is not a number; give 0.2, or 0.1,0.5 for each layer")
        return numbers[0] if len(numbers) == 1 else numbers  # type: ignore[return-value]


class RuleNames(click.ParamType):
    """A rule by its name, or with its parameters: huber, or huber(delta=2); several with commas."""

    name = "rules"

    def __init__(self, several: bool = False):
        self.several = several

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = re.split(r",(?![^(]*\))", value)
        rules = [self._rule(part.strip()) for part in parts]
        if len(rules) > 1 and not self.several:
            self.fail(f"{value!r} are {len(rules)} names; give one")
        return rules if len(rules) > 1 else rules[0]

    def _rule(self, text: str) -> str | dict[str, Any]:
        match = re.fullmatch(r"(\w+)\((.*)\)", text)
        if not match:
            return text
        name, settings = match.groups()
        rule: dict[str, Any] = {"name": name}
        for setting in settings.split(","):
            key, equals, number = (part.strip() for part in setting.partition("="))
            if not key.isidentifier() or not equals or _number(number) is None:
                self.fail(f"{text!r} is not a name with its numbers, like huber(delta=2)")
            rule[key] = _number(number)
        return rule


class ClassWeight(click.ParamType):
    """balanced, or label=weight with commas between them."""

    name = "weights"

    def convert(self, value: Any, param: Any, ctx: Any) -> str | dict[str, float]:
        if not isinstance(value, str) or value == "balanced":
            return value
        weights = {}
        for part in value.split(","):
            label, equals, number = part.rpartition("=")
            weight = _number(number)
            if not equals or weight is None:
                self.fail(f"{part!r} is not a label and its weight; give balanced, or yes=5,no=1")
            weights[label.strip()] = weight
        return weights
