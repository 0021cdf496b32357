"""Rules and their names: what every rule has, and one lookup for every kind of rule."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from fastgd.errors import SettingError
from fastgd.rules.checks import check_number

__all__ = ["N_NUMBERS", "Registry", "Rule", "unknown_name"]

#: The most numbers a rule may hand to the kernels.
N_NUMBERS = 4

R = TypeVar("R")


@dataclass(frozen=True)
class Rule:
    """A rule with parameters: a frozen dataclass, whose fields are its parameters.

    Attributes
    ----------
    name : str
        The public name; alone it means the rule with its default parameters.
    public_name : str
        What people call it, where that is another one.
    """

    name: ClassVar[str]
    public_name: ClassVar[str] = ""

    @property
    def numbers(self) -> tuple[float, ...]:
        """What kernels get of its parameters: at most `N_NUMBERS` numbers."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    def spec(self) -> str | dict[str, Any]:
        """Return what says it in a file: its name, or a dict of name and parameters.

        >>> from fastgd.rules.activations import ACTIVATIONS
        >>> ACTIVATIONS.find("tanh").spec()
        'tanh'
        >>> ACTIVATIONS.find({"name": "leaky_relu", "alpha": 0.1}).spec()
        {'name': 'leaky_relu', 'alpha': 0.1}
        """
        changed = any(getattr(self, f.name) != f.default for f in dataclasses.fields(self))
        return {"name": self.name, **dataclasses.asdict(self)} if changed else self.name

    def __str__(self) -> str:
        """Return its name, with the parameters that are not the defaults."""
        changed = [
            f"{field.name}={getattr(self, field.name):g}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        name = self.public_name or self.name
        return f"{name}({', '.join(changed)})" if changed else name

    def _check(self, parameter: str, **bounds: float | None) -> None:
        """Refuse a parameter that is no number within its bounds; keep it as a float."""
        value = check_number(parameter, getattr(self, parameter), **bounds)  # type: ignore[arg-type]
        object.__setattr__(self, parameter, value)


def unknown_name(argument: str, given: object, accepted: Iterable[str]) -> SettingError:
    """Build the error for a name nobody knows, with the nearest known one."""
    names = list(accepted)
    nearest = difflib.get_close_matches(str(given).lower(), names, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    if isinstance(given, type):
        hint = f"; give an object, {given.__name__}()"
    return SettingError(argument, f"must be one of {', '.join(names)}; got {given!r}{hint}")


class Registry(Mapping[str, R], Generic[R]):
    """An ordered mapping from public names to rules, with their default parameters.

    A rule's position is the integer code under which compiled kernels know it.
    """

    def __init__(self, argument: str, rules: Iterable[R]):
        self.argument = argument
        self._rules: dict[str, R] = {rule.name: rule for rule in rules}  # type: ignore[attr-defined]

    def __getitem__(self, name: str) -> R:
        return self._rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def find(self, given: Any, argument: str = "") -> Any:
        """Return a rule from its name, what `Rule.spec` returned, or the rule itself.

        Raises
        ------
        ValueError, TypeError
            If nobody knows the name, with the nearest known one, or a parameter is refused.
        """
        kinds = {type(rule) for rule in self.values()} - {type}
        if isinstance(given, tuple(kinds)):
            return given
        name, parameters = given, {}
        if isinstance(given, Mapping):
            parameters = dict(given)
            name = parameters.pop("name", None)
        if not isinstance(name, str) or name not in self._rules:
            raise unknown_name(argument or self.argument, name, self._rules)
        rule = self._rules[name]
        if not parameters:
            return rule
        own = [field.name for field in dataclasses.fields(rule) if field.init]  # type: ignore[arg-type]
        for parameter in parameters:
            if parameter not in own:
                has = f"its parameters are {', '.join(own)}" if own else "it has no parameters"
                raise SettingError(
                    argument or self.argument, f"{name!r} has no parameter {parameter!r}; {has}"
                )
        return dataclasses.replace(rule, **parameters)  # type: ignore[type-var]

    def code(self, name: str) -> int:
        """Return the integer that stands for a rule in compiled kernels."""
        return list(self._rules).index(name)
