"""Names and what they stand for: one lookup for every kind of rule."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

__all__ = ["Registry", "unknown_name"]

Rule = TypeVar("Rule")


def unknown_name(argument: str, given: object, accepted: Iterable[str]) -> ValueError:
    """Build the error for a name nobody knows, with the nearest known one."""
    names = list(accepted)
    nearest = difflib.get_close_matches(str(given).lower(), names, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(f"{argument} must be one of {', '.join(names)}; got {given!r}{hint}")


class Registry(Mapping[str, Rule], Generic[Rule]):
    """An ordered mapping from public names to rules.

    A rule's position is the integer code under which compiled kernels know it.
    """

    def __init__(self, argument: str, rules: Iterable[Rule]):
        self.argument = argument
        self._rules: dict[str, Rule] = {rule.name: rule for rule in rules}  # type: ignore[attr-defined]

    def __getitem__(self, name: str) -> Rule:
        return self._rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def find(self, name: object, argument: str = "") -> Rule:
        """Return the rule of that name, or raise ValueError with the nearest known one."""
        if not isinstance(name, str) or name not in self._rules:
            raise unknown_name(argument or self.argument, name, self._rules)
        return self._rules[name]

    def code(self, name: str) -> int:
        """Return the integer that stands for a rule in compiled kernels."""
        return list(self._rules).index(name)
