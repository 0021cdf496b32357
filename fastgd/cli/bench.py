"""``fastgd bench``: microseconds per step, of fastgd and of whatever else is installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from fastgd.benchmarks.environment import held_back, holding, instructions, processor
from fastgd.benchmarks.workloads import WORKLOADS, Workload, find_mnist, find_workload
from fastgd.cli import contest_tables as tables
from fastgd.cli.failures import one_line
from fastgd.cli.options import Command, option, output_options
from fastgd.cli.output import Output
from fastgd.rules.checks import check_integer, check_number

if TYPE_CHECKING:
    from fastgd.benchmarks.apart import Job
    from fastgd.benchmarks.contest import Result

__all__ = ["bench"]

EPILOG = """\b
Examples:
  fastgd bench --workload nielsen --workload dense-nielsen
  fastgd bench --rival sklearn --rival torch --mnist data/mnist
  fastgd bench --data houses.csv --target price
"""


@click.command(cls=Command, epilog=EPILOG)
@option(
    "What",
    "--workload",
    multiple=True,
    metavar="NAME",
    help=f"A network and its data, repeatable: {', '.join(WORKLOADS)}; with --data those its "
    "table names.  [default: all]",
)
@option(
    "What",
    "--rival",
    multiple=True,
    metavar="NAME",
    help="What to compare with, repeatable: numpy, scipy-csr, nielsen, sklearn, sklearn-csr, "
    "torch, jax, onnxruntime; or none.  [default: all that are installed]",
)
@option(
    "What",
    "--mnist",
    metavar="FOLDER",
    help="The folder of MNIST files.  [default: $FASTGD_MNIST, else seeded synthetic images]",
)
@option(
    "What",
    "--data",
    metavar="DATA",
    help="A data set of your own, dense or mostly zeros: a table, an .npz or a folder of IDX "
    "files, as `fastgd train` takes them. It gets a set of networks.",
)
@option("What", "--target", metavar="COLUMN", help="The column to learn, for tables.")
@option(
    "What",
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="The numbers everybody computes in.",
)
@option(
    "How",
    "--seconds",
    type=float,
    metavar="NUMBER",
    default=1.0,
    show_default=True,
    help="About how long each contestant runs on each workload.",
)
@option(
    "How",
    "--repeats",
    type=int,
    metavar="N",
    default=5,
    show_default=True,
    help="Rounds in which the contestants take turns; the best is reported.",
)
@option(
    "How",
    "--threads",
    type=int,
    metavar="N",
    help="Cores the process is pinned to, and threads anybody may start.  [default: 1, and 2 for "
    "the workloads that end in -2]",
)
@output_options
def bench(
    workload: tuple[str, ...],
    rival: tuple[str, ...],
    mnist: str | None,
    data: str | None,
    target: str | None,
    dtype: str,
    seconds: float,
    repeats: int,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Time one training step, or prediction, of fastgd and of its rivals.

    Every contestant trains the same network from the same start on the same mini-batches. Beside
    its time stands how many times as long as fastgd's best it takes. fastgd leaves out inputs that
    are zero, and so do the rivals called -csr; all others compute densely. What is not installed
    is left out and named.
    """
    output = Output(as_json, quiet)
    check_number("seconds", seconds, above=0)
    check_integer("repeats", repeats, 1)
    if threads is not None and check_integer("threads", threads, 1) > cores():
        raise click.UsageError(f"--threads must be from 1 to {cores()}, the cores here")
    if target is not None and data is None:
        raise click.UsageError("--target is for --data")
    told = None if data is None else {"source": data, "target": target}
    chosen = choose(workload, told, threads, dtype)
    find_mnist(mnist)  # refuse a folder that is not there before the first workload
    from fastgd.benchmarks.apart import Job
    from fastgd.benchmarks.contest import find_contestants

    contest = Contest(output)
    contestants, contest.skipped = find_contestants(rivals_of(rival))
    names = [name for name in contestants if not name.startswith("fastgd-")]

    def job(n: int, those: list[Workload]) -> Job:
        return Job(those, names, n, seconds, repeats, mnist, told)

    output.say(
        f"{processor()} ({instructions()}); best of {repeats} rounds, about {seconds:g} s for "
        f"each contestant, {dtype}"
    )
    contest.run(chosen, job)
    contest.show(list(contestants))
    output.finish(
        {"command": "bench", "processor": processor(), "instructions": instructions(),
         "repeats": repeats, "dtype": dtype, **contest.record()}
    )  # fmt: skip


def rivals_of(names: tuple[str, ...]) -> list[str]:
    """Return the rivals by name; all where none is named."""
    from fastgd.benchmarks.rivals import RIVALS

    return [] if names == ("none",) else [RIVALS.find(name).name for name in names or RIVALS]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose(
    names: tuple[str, ...], told: dict[str, Any] | None, threads: int | None, dtype: str
) -> list[Workload]:
    """Return the workloads asked for, with these threads and numbers."""
    known = WORKLOADS
    if told is not None:
        from fastgd.benchmarks.own import load_own, own_workloads

        known = {workload.name: workload for workload in own_workloads(load_own(**told))}
    chosen = [find_workload(name, known) for name in names] or list(known.values())
    if threads is not None:
        named = [w for w in chosen if names or w.threads == 1]
        chosen = [replace(w, threads=threads) for w in named]
    return [replace(workload, dtype=dtype) for workload in chosen]


@dataclass
class Contest:
    """What was measured so far, and what there is to say of it."""

    output: Output
    results: dict[str, Result] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    where: dict[int, str] = field(default_factory=dict)
    about: dict[int, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    held: dict[str, tuple[str, str]] = field(default_factory=dict)

    def run(self, chosen: list[Workload], job: Callable[[int, list[Workload]], Job]) -> None:
        """Measure: what needs other cores or another environment in a process of its own."""
        from fastgd.benchmarks.apart import free_environment, own_environment, play, play_apart

        groups: dict[int, list[Workload]] = {}
        for workload in chosen:
            if workload.threads > cores():
                self.skipped[workload.name] = (
                    f"takes {workload.threads} cores; this process may use {cores()}"
                )
            else:
                groups.setdefault(workload.threads, []).append(workload)
        most = max(groups, default=1)
        self.variables, free = holding(os.environ, most), free_environment(most)
        with showing(self.output) as show:
            for i, (threads, those) in enumerate(groups.items()):
                here = i == 0 and not self.variables
                todo = job(threads, those)
                self.take(threads, play(todo) if here else play_apart(todo, free), show)
            if self.variables and self.about:
                show("what the environment's variables change")
                threads = max(self.about)
                told = dict(list(play_apart(job(threads, []), own_environment()))[-1])
                self.held = held_back(told.get("about", {}), self.about[threads])

    def take(
        self, threads: int, messages: Iterator[dict[str, Any]], show: Callable[[str], None]
    ) -> None:
        """Keep what a process tells, piece by piece."""
        from fastgd.benchmarks.contest import Result

        for message in messages:
            if "begin" in message:
                show(message["begin"])
            elif "result" in message:
                result = Result.from_json(message["result"])
                self.results[result.workload.name] = result
                self.skipped |= message["failed"]
            elif "where" in message:
                self.where[threads] = message["where"]
            elif "about" in message:
                self.about[threads] = message["about"]
            else:
                name = f"what was left of {threads} thread{'s' * (threads > 1)}"
                self.skipped[name] = message["broken"]

    def show(self, names: list[str]) -> None:
        """Print the tables, and what there is to know about them."""
        output, results = self.output, list(self.results.values())
        tables.show_times(output, results, names)
        tables.show_threads(output, self.results, names)
        tables.show_about(output, self.about, names)
        output.say()
        for threads, where in self.where.items():
            output.say(f"{threads} thread{'s' * (threads > 1)}: {where}")
        tables.show_origins(output, results)
        tables.show_crowds(output, results)
        for line in tables.held_lines(self.variables, self.held):
            output.say(line)
        for name, reason in self.skipped.items():
            output.say(f"{name} left out: {one_line(reason)}")
        for name, result in self.results.items():
            for rival, reason in result.left_out.items():
                output.say(f"{rival} left out of {name}: {one_line(reason)}")

    def record(self) -> dict[str, Any]:
        """Return all of it for --json."""
        return {
            "pinned": {str(threads): where for threads, where in self.where.items()},
            "skipped": self.skipped,
            "environment": {"without": self.variables, "held_back": self.held},
            "contestants": {str(threads): about for threads, about in self.about.items()},
            "workloads": {name: result.record() for name, result in self.results.items()},
        }


@contextmanager
def showing(output: Output) -> Iterator[Callable[[str], None]]:
    """Give what shows, on a terminal, what is being measured."""
    if not output.live:
        yield lambda text: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield lambda text: status.update(f"timing {text}")
