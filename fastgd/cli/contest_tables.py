"""What ``fastgd bench`` prints: tables of times that fit the terminal, and what they ran on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastgd.cli.output import Output, is_terminal

if TYPE_CHECKING:
    from fastgd.benchmarks.contest import Result
    from fastgd.benchmarks.workloads import Workload

__all__ = ["held_lines", "show_about", "show_crowds", "show_origins", "show_threads", "show_times"]

#: How wide tables are where there is no terminal, and how wide they may be on any.
WIDTH, LEAST = 100, 60
#: Who gets less of a core is not alone on it.
ALONE = 0.9
GAP = 2

ORIGINS = {
    "mnist": "on MNIST",
    "synthetic": "on synthetic images as large and as dark as MNIST's (--mnist FOLDER for those)",
    "table": "on a synthetic table",
    "normal": "on normal numbers",
}


def microseconds(seconds: float) -> str:
    """Write a time in microseconds, in about three digits.

    >>> microseconds(9.977e-6), microseconds(63.5e-6), microseconds(0.02884)
    ('9.98', '63.5', '28,840')
    """
    return digits(1e6 * seconds)


def digits(number: float) -> str:
    """Write a number in about three digits, with commas.

    >>> digits(0.123), digits(99.94), digits(1234.5)
    ('0.12', '99.9', '1,234')
    """
    return f"{number:,.{2 if number < 9.995 else 1 if number < 99.95 else 0}f}"


def show_times(output: Output, results: Sequence[Result], names: Sequence[str]) -> None:
    """Print a table for steps, for steps on several threads, and for predictions."""
    kinds: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        kinds.setdefault((result.workload.task, result.workload.threads), []).append(result)
    for (task, threads), those in kinds.items():
        unit = "us per step" if task == "step" else "us per call"
        title = unit if threads == 1 else f"{unit}, {threads} threads"
        for chunk in chunks(title, [(r.workload.name, column(r, names)) for r in those], names):
            heads, columns = zip(*chunk, strict=True)
            labels = [*["zeros"], *names, *LAST]
            rows = [[label, *(c.get(label, "") for c in columns)] for label in labels]
            output.say()
            output.table([title, *heads], [row for row in rows if set(row[1:]) - {"", "-"}])
    output.say()
    if any(result.own_loss for result in results):
        output.say("* trained with a loss of its own: it does not have this one")
    if any(result.first for result in results):
        output.say(f"{START}: what a fit of fastgd's fastest checks, compresses and packs first")


#: Rows below the contestants.
FASTEST, AHEAD, START, EPOCHS = "fastest rival", "takes", "fit to step 1, ms", "  in epochs"
LAST = (FASTEST, AHEAD, START, EPOCHS)


def column(result: Result, names: Sequence[str]) -> dict[str, str]:
    """Return one workload's cells, by row."""
    cells = {"zeros": f"{100 * result.zeros:.0f} %"}
    for name in names:
        if name in result.best:
            mark = "*" if name in result.own_loss else ""
            ratio = result.best[name] / result.reference()
            cells[name] = f"{microseconds(result.best[name])}{mark} {ratio:4.1f}x"
        else:
            cells[name] = "-"
    if ahead := result.ahead():
        cells[FASTEST], cells[AHEAD] = ahead[0], f"{ahead[1]:.2f}x"
    if result.first:
        name = min(result.first, key=lambda name: result.best[name])
        cells[START] = digits(1e3 * result.first[name])
        epoch = result.steps_an_epoch() * result.best[name]
        cells[EPOCHS] = digits(result.first[name] / epoch)
    return cells


def chunks(
    title: str, columns: Sequence[tuple[str, dict[str, str]]], names: Sequence[str]
) -> Iterator[list[tuple[str, dict[str, str]]]]:
    """Yield as many columns at a time as fit the terminal."""
    room = WIDTH
    if is_terminal(sys.stdout):
        room = max(LEAST, shutil.get_terminal_size((WIDTH, 24)).columns)
    first = max(map(len, [title, *names, *LAST]))
    chunk: list[tuple[str, dict[str, str]]] = []
    used = first
    for head, cells in columns:
        width = GAP + max(map(len, [head, *cells.values()]))
        if chunk and used + width > room:
            yield chunk
            chunk, used = [], first
        chunk.append((head, cells))
        used += width
    if chunk:
        yield chunk


def show_threads(output: Output, results: Mapping[str, Result], names: Sequence[str]) -> None:
    """Print how many times as fast several threads are as one, where both were measured."""
    pairs = {}
    for name, result in results.items():
        base = results.get(name.removesuffix("-2"))
        if base is not None and base.workload.threads < result.workload.threads:
            pairs[name] = base, result
    if not pairs:
        return
    rows = []
    for name in names:
        gains = [
            f"{one.best[name] / several.best[name]:.2f}x"
            if name in one.best and name in several.best
            else "-"
            for one, several in pairs.values()
        ]
        rows.append([name, *gains])
    output.say()
    output.table(["times one thread", *pairs], rows)


def show_about(
    output: Output, about: Mapping[int, Mapping[str, Any]], names: Sequence[str]
) -> None:
    """Print each contestant's version, what multiplies for it, and with which kernels."""
    told: dict[str, Any] = {}
    for threads in sorted(about, reverse=True):
        told |= about[threads]
    rows = [
        [name, told[name]["version"], told[name]["products"], told[name]["kernels"],
         str(told[name]["threads"])]
        for name in names
        if name in told
    ]  # fmt: skip
    output.say()
    output.table(["contestant", "version", "products by", "kernels", "threads"], rows, left=True)


def show_crowds(output: Output, results: Sequence[Result]) -> None:
    """Say where other work took much of the core: those times are no good."""
    crowded = [r for r in results if r.workload.threads == 1 and r.core < ALONE]
    if crowded:
        names = ", ".join(result.workload.name for result in crowded)
        least = min(result.core for result in crowded)
        output.say(
            f"other work took up to {100 * (1 - least):.0f} % of the core meanwhile; "
            f"measure again on a quiet machine: {names}"
        )


def named(workload: Workload) -> str:
    """Return a workload's name; of a data set of one's own, with what it is."""
    about = f" ({workload.description})" if workload.source == "own" else ""
    return workload.name + about


def show_origins(output: Output, results: Sequence[Result]) -> None:
    """Say which workloads ran on which data."""
    origins: dict[str, list[str]] = {}
    for result in results:
        words = ORIGINS.get(result.origin, f"on {result.origin}")
        origins.setdefault(words, []).append(named(result.workload))
    for words, names in origins.items():
        output.say(f"{', '.join(names)}: {words}")


def held_lines(variables: Mapping[str, str], held: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield what the environment would have held back, and that it did not."""
    if not variables:
        return
    words = ", ".join(f"{name}={text}" for name, text in variables.items())
    yield f"timed without {words}, in a process of its own"
    if not held:
        yield "  which changes no kernels that a contestant tells of"
    changes: dict[tuple[str, str], list[str]] = {}
    for name, change in held.items():
        changes.setdefault((change[0], change[1]), []).append(name)
    for (before, after), names in changes.items():
        yield f"  held to {before}, can do {after}: {', '.join(names)}"
