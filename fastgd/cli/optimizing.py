"""The options that choose an optimizer and a schedule, from their registries.

Every number or flag that an optimizer or a schedule has is an option of its own; one that several
have is one option, which says whose it is.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import click

from fastgd.cli.options import option
from fastgd.errors import SettingError
from fastgd.rules.optimizers import OPTIMIZERS
from fastgd.rules.registry import unknown_name
from fastgd.rules.schedules import SCHEDULES, Rated, Schedule, Warmup
from fastgd.rules.update import Optimizer

__all__ = ["LEARNING", "OPTIONS", "optimizer_of"]

DEFAULT_OPTIMIZER = "sgd"
#: What another option asks for, or what follows from the cost being watched.
ASKED = {"learning_rate", "epochs", "higher_is_better"}
#: Options whose name another option has.
RENAMED = {"warmup": "warmup_share"}
#: The schedules whose settings are numbers with names of their own.
OFFERED = {name: rule for name, rule in SCHEDULES.items() if issubclass(rule, Rated)}
#: What all optimizers have.
COMMON = {field.name: field for field in dataclasses.fields(Optimizer)}

WORDS = {
    "momentum": "How much of the last step is kept, from 0 to below 1",
    "nesterov": "Let the momentum look ahead",
    "beta1": "How much of the mean gradient is kept",
    "beta2": "How much of the mean square is kept",
    "epsilon": "What keeps a division by 0 away",
    "epsilon_hat": "Add epsilon before the bias is corrected",
    "momentum_decay": "How slowly the momentum rises",
    "alpha": "How much of the mean square is kept",
    "initial_sum": "Where the sums of squares start",
    "rho": "How much of the means is kept",
    "shrink": "What a step is multiplied by where the slope turned",
    "grow": "What a step is multiplied by where it did not",
    "smallest": "The smallest step",
    "largest": "The largest step",
    "memory": "How many steps the curvature is estimated from",
    "tolerance": "How little is no progress any more",
    "max_evaluations": "How often the cost may be computed in an epoch",
    "factor": "What the rate is multiplied by",
    "every": "After how many epochs that happens",
    "decay": "What the rate is multiplied by after every epoch",
    "power": "The power of time in it",
    "end": "The rate at the end",
    "minimum": "The least rate",
    "period": "After how many epochs it starts again; once without it",
    "cycles": "How many waves it makes, each twice as long as the one before",
    "warmup": "The share of the epochs in which the rate rises",
    "start_factor": "What the rate starts with, as a share of the highest",
    "end_factor": "What the rate ends with, as a share of the highest",
    "patience": "How many epochs without a lower cost are waited for",
}
LIMIT_WORDS = {
    "l1": "Penalty on the sizes of weights",
    "l2": "Penalty on the squares of weights",
    "weight_decay": "Share of the rate by which weights shrink in a step, apart from the gradient",
    "clip_value": "The largest a number of the gradient may be",
    "clip_norm": "The longest the gradient may be",
    "max_norm": "The longest a unit's incoming weights may be",
}


class Setting(NamedTuple):
    """A setting of one optimizer or schedule."""

    section: str  # and the option that chooses it
    rule: str
    field: Any
    default: Any


def _settings() -> dict[str, list[Setting]]:
    """Return the settings that are options, by the options' names."""
    found: dict[str, list[Setting]] = {}
    for section, rules in (("Optimizer", OPTIMIZERS), ("Schedule", OFFERED)):
        for rule_name, rule in rules.items():
            for field in dataclasses.fields(rule):
                default = getattr(rule, field.name, field.default)
                number = isinstance(default, (int, float)) or "float" in str(field.type)
                if number and field.init and field.name not in ASKED | set(COMMON):
                    name = RENAMED.get(field.name, field.name)
                    setting = Setting(section, rule_name, field, default)
                    found.setdefault(name, []).append(setting)
    return found


SETTINGS = _settings()


def _option_of(name: str, settings: list[Setting]) -> Any:
    """Return the option of a setting, which says whose it is."""
    first = settings[0]
    flag = isinstance(first.default, bool)
    whose: dict[str, list[str]] = {}
    for setting in settings:
        default = "" if flag or setting.default is None else f" [{setting.default:g}]"
        whose.setdefault(default, []).append(setting.rule)
    listed = ", ".join(", ".join(rules) + default for default, rules in whose.items())
    kind: dict[str, Any] = {"is_flag": True, "default": None}
    if not flag:
        whole = isinstance(first.default, int)
        kind = {"type": int if whole else float, "metavar": "N" if whole else "NUMBER"}
    words = WORDS.get(first.field.name, "A setting")
    return option(first.section, f"--{name.replace('_', '-')}", **kind, help=f"{words}: {listed}.")


def _limit_option(name: str, words: str) -> Any:
    """Return the option of a setting that all optimizers have."""
    usual = COMMON[name].default
    own = {rule: getattr(optimizer, name) for rule, optimizer in OPTIMIZERS.items()}
    default = "".join(f"; {rule} {value:g}" for rule, value in own.items() if value != usual)
    default = f"{'none' if usual is None else f'{usual:g}'}{default}"
    return option(
        "Optimizer",
        f"--{name.replace('_', '-')}",
        type=float,
        metavar="NUMBER",
        help=f"{words}.  [default: {default}]",
    )


LEARNING = [
    option(
        "Most used",
        "--optimizer",
        metavar="NAME",
        help=f"How the gradient changes the weights: {', '.join(OPTIMIZERS)}.  "
        f"[default: chosen; {DEFAULT_OPTIMIZER} beside a rate]",
    ),
    option(
        "Most used",
        "--learning-rate",
        type=float,
        metavar="NUMBER",
        help="How far a step goes.  [default: the optimizer's own; for sgd 0.5, or 0.1 with units "
        "that have no ceiling, or 0.02 for numbers]",
    ),
]
LIMITS = [_limit_option(name, words) for name, words in LIMIT_WORDS.items()]
SCHEDULE = [
    option(
        "Schedule",
        "--schedule",
        default="constant",
        show_default=True,
        metavar="NAME",
        help=f"How the rate changes with time: {', '.join(OFFERED)}.",
    ),
    option(
        "Schedule",
        "--warmup",
        type=float,
        metavar="EPOCHS",
        help="In how many epochs the rate rises from 0 before that.",
    ),
]
OPTIONS = [*LIMITS, *SCHEDULE, *(_option_of(*setting) for setting in SETTINGS.items())]


def optimizer_of(given: dict[str, Any], rate: float) -> Optimizer:
    """Return the optimizer the options ask for.

    Parameters
    ----------
    given : dict
        The options.
    rate : float
        The learning rate of the default optimizer where none was given.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of its bounds.
    click.UsageError
        If a setting belongs to another optimizer or schedule.
    """
    optimizer: Optimizer = OPTIMIZERS.find(given["optimizer"])
    chosen = {"Optimizer": optimizer.name, "Schedule": _schedule_named(given["schedule"])}
    own: dict[str, dict[str, Any]] = {"Optimizer": {}, "Schedule": {}}
    for name, settings in SETTINGS.items():
        if given[name] is None:
            continue
        right = [s for s in settings if s.rule == chosen[s.section]]
        if not right:
            raise _misplaced(name, settings, chosen)
        own[right[0].section][right[0].field.name] = given[name]
    if given["learning_rate"] is not None:
        rate = given["learning_rate"]
    elif optimizer.name != DEFAULT_OPTIMIZER:
        rate = optimizer.schedule(0)
    limits = {name: given[name] for name in COMMON if given.get(name) is not None}
    limits.pop("learning_rate", None)
    steady = chosen["Schedule"] == "constant" and given["warmup"] is None
    if optimizer.whole and not steady:
        raise click.UsageError(
            f"--schedule and --warmup do not go with --optimizer {optimizer.name}, which searches "
            f"for its step lengths"
        )
    schedule: Any = rate if steady else _schedule(chosen["Schedule"], rate, own["Schedule"], given)
    return dataclasses.replace(optimizer, learning_rate=schedule, **own["Optimizer"], **limits)


def _schedule_named(name: str) -> str:
    """Return the name of a schedule that is offered, or refuse it."""
    if name not in OFFERED:
        raise unknown_name("schedule", name, OFFERED)
    return name


def _schedule(name: str, rate: float, own: dict[str, Any], given: dict[str, Any]) -> Schedule:
    try:
        schedule = OFFERED[name](rate, **own)
    except SettingError as error:
        raise SettingError(RENAMED.get(error.setting, error.setting), error.problem) from None
    if given["warmup"] is None:
        return schedule
    try:
        return Warmup(epochs=given["warmup"], then=schedule)
    except SettingError as error:
        raise SettingError("warmup", error.problem) from None


def _misplaced(name: str, settings: list[Setting], chosen: dict[str, str]) -> click.UsageError:
    """Return the error for a setting of what was not chosen."""
    option_name = name.replace("_", "-")
    goes = " or ".join(
        f"--{section.lower()} {', '.join(rules)}"
        for section in ("Optimizer", "Schedule")
        if (rules := [s.rule for s in settings if s.section == section])
    )
    sections = sorted({s.section for s in settings})
    got = " and ".join(f"--{section.lower()} {chosen[section]}" for section in sections)
    return click.UsageError(f"--{option_name} goes with {goes}; got {got}")
