"""``fastgd bench``: microseconds per step, of fastgd and of whatever else is installed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from fastgd.benchmarks import workloads
from fastgd.benchmarks.workloads import WORKLOADS, Workload, find_mnist, find_workload
from fastgd.cli.failures import one_line
from fastgd.cli.options import Command, option, output_options
from fastgd.cli.output import Output
from fastgd.rules.checks import check_integer, check_number

if TYPE_CHECKING:
    import numpy as np

    from fastgd.benchmarks.rivals import Rival, Trainer
    from fastgd.benchmarks.timing import Summary

__all__ = ["bench"]

#: Tried before the measurement, to find out how many steps fit the time.
PROBE_STEPS = 4
SEED = 1

EPILOG = """\b
Examples:
  fastgd bench --workload nielsen
  fastgd bench --rival sklearn --rival torch --mnist data/mnist
"""


@click.command(cls=Command, epilog=EPILOG)
@option(
    "What",
    "--workload",
    multiple=True,
    metavar="NAME",
    help=f"A network and its data, repeatable: {', '.join(WORKLOADS)}.  [default: all]",
)
@option(
    "What",
    "--rival",
    multiple=True,
    metavar="NAME",
    help="What to compare with, repeatable: numpy, nielsen, sklearn, torch, jax; or none.  "
    "[default: all that are installed]",
)
@option(
    "What",
    "--mnist",
    metavar="FOLDER",
    help="The folder of MNIST files.  [default: $FASTGD_MNIST, else seeded synthetic images]",
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
    default=1,
    show_default=True,
    help="Cores the process is pinned to, and threads a rival may start.",
)
@output_options
def bench(
    workload: tuple[str, ...],
    rival: tuple[str, ...],
    mnist: str | None,
    seconds: float,
    repeats: int,
    threads: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Time one training step of fastgd and of its rivals.

    Every contestant trains the same network from the same start on the same mini-batches. Beside
    its time stands how many times as long as fastgd's best it takes. What is not installed is left
    out and named.
    """
    output = Output(as_json, quiet)
    check_number("seconds", seconds, above=0)
    check_integer("repeats", repeats, 1)
    check_integer("threads", threads, 1)
    chosen = [find_workload(name) for name in workload] or list(WORKLOADS.values())
    contestants, skipped = choose(rival)
    find_mnist(mnist)  # refuse a folder that is not there before the first workload
    with pinned(threads) as where:
        output.say(f"{where}; best of {repeats} rounds, about {seconds:g} s for each contestant")
        results = {}
        for i, item in enumerate(chosen, 1):
            with showing(output, f"{item.name} ({i} of {len(chosen)})"):
                match = Match(item, mnist, threads)
                skipped |= match.enter(contestants)
                results[item.name] = match.play(seconds, repeats)
    show(output, results, contestants, skipped)
    output.finish(
        {
            "command": "bench",
            "pinned": where,
            "threads": threads,
            "repeats": repeats,
            "skipped": skipped,
            "workloads": {name: result.record() for name, result in results.items()},
        }
    )


@dataclass(frozen=True)
class Result:
    """What was measured on one workload: seconds per step, and on which data."""

    workload: Workload
    origin: str
    times: Mapping[str, Summary]

    def reference(self) -> float:
        """Return the best time of fastgd's backends, or of all where none ran."""
        own = [time.best for name, time in self.times.items() if name.startswith("fastgd-")]
        return min(own or [time.best for time in self.times.values()])

    def record(self) -> dict[str, Any]:
        """Return it for --json, in microseconds."""
        return {
            "data": self.origin,
            "sizes": self.workload.sizes,
            "batch_size": self.workload.batch_size,
            "us_per_step": {name: 1e6 * time.best for name, time in self.times.items()},
            "median_us_per_step": {name: 1e6 * time.median for name, time in self.times.items()},
            "ratio": {name: time.best / self.reference() for name, time in self.times.items()},
        }


class Share:
    """A slow contestant that makes every ``share``-th of the steps only.

    The stopwatch counts ``len(order) // batch_size`` steps, so that its batch size is that many
    times as large.
    """

    def __init__(self, trainer: Trainer, share: int):
        self.trainer = trainer
        self.share = share
        self.threads = trainer.threads
        self.batch_size = trainer.batch_size * share

    def warm_up(self, order: np.ndarray | None = None) -> None:
        """Warm up with as much as is going to be timed."""
        self.trainer.warm_up(None if order is None else order[: len(order) // self.share])

    def run(self, order: np.ndarray) -> Any:
        """Make the first of the steps."""
        return self.trainer.run(order[: len(order) // self.share])


def choose(names: tuple[str, ...]) -> tuple[dict[str, Rival], dict[str, str]]:
    """Return the contestants that can run here, and why the others cannot."""
    from fastgd.benchmarks.fastgd_backends import FASTGD
    from fastgd.benchmarks.rivals import RIVALS

    wanted = [] if names == ("none",) else [RIVALS.find(name).name for name in names or RIVALS]
    contestants, skipped = {}, {}
    for name, contestant in [*FASTGD.items(), *((name, RIVALS[name]) for name in wanted)]:
        reason = contestant.available()
        if reason is None:
            contestants[name] = contestant
        else:
            skipped[name] = reason
    return contestants, skipped


class Match:
    """One workload, and the contestants that are ready for it."""

    def __init__(self, workload: Workload, mnist: str | None, threads: int):
        self.workload = workload
        self.threads = threads
        self.X, self.y, self.origin = workloads.load_data(workload, mnist)
        self.order = workloads.orders(workload, 1, SEED)[0]
        self.trainers: dict[str, Trainer] = {}
        self.estimates: dict[str, float] = {}

    def enter(self, contestants: dict[str, Rival]) -> dict[str, str]:
        """Prepare the contestants; take out those that fail to start, and return why.

        A broken installation of one must not cost the others their times.
        """
        start = workloads.initial_parameters(self.workload, SEED)
        failed = {}
        for name, contestant in list(contestants.items()):
            try:
                trainer = contestant.prepare(self.workload, self.X, self.y, start, self.threads)
                self.estimates[name] = probe(trainer, self.order)
            except Exception as error:
                failed[name] = f"does not start: {type(error).__name__}: {error}"
                del contestants[name]
            else:
                self.trainers[name] = trainer
        return failed

    def play(self, seconds: float, repeats: int) -> Result:
        """Time all in turns, each for about so many seconds."""
        from fastgd.benchmarks import timing

        budget, batch_size = seconds / repeats, self.workload.batch_size
        fastest = min(self.estimates.values())
        most = min(len(self.order) // batch_size, max(1, int(budget / fastest)))
        steps = 1 << (most.bit_length() - 1)
        shares = {
            name: Share(trainer, share_of(steps, budget / self.estimates[name]))
            for name, trainer in self.trainers.items()
        }
        times = timing.time_steps(shares, self.order[: steps * batch_size], repeats)
        return Result(self.workload, self.origin, timing.summarise(times))


def probe(trainer: Trainer, order: np.ndarray) -> float:
    """Return about how many seconds a step takes, after a first run that may compile."""
    from fastgd.benchmarks.timing import limit_threads

    few = order[: PROBE_STEPS * trainer.batch_size]
    with limit_threads(trainer.threads):
        trainer.run(few)
        started = time.perf_counter()
        trainer.run(few)
    return max(1e-7, (time.perf_counter() - started) / PROBE_STEPS)


def share_of(steps: int, fitting: float) -> int:
    """Return the power of two by which ``steps``, one too, must be divided in order to fit.

    >>> share_of(4096, 5000.0), share_of(4096, 1000.0), share_of(4096, 0.1)
    (1, 8, 4096)
    """
    share = 1
    while share < steps and steps / share > fitting:
        share *= 2
    return share


@contextmanager
def pinned(threads: int) -> Iterator[str]:
    """Keep the process on a few cores meanwhile; say which."""
    from fastgd.benchmarks import timing

    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        where = timing.pin(threads)
    except ValueError as error:
        raise click.UsageError(f"--threads: {error}") from error
    try:
        yield where
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)


@contextmanager
def showing(output: Output, text: str) -> Iterator[None]:
    """Show what is being measured, on a terminal."""
    if not output.live:
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"timing {text}"):
        yield


def microseconds(seconds: float) -> str:
    """Write a time in microseconds, in about three digits.

    >>> microseconds(9.977e-6), microseconds(63.5e-6), microseconds(0.02884)
    ('9.98', '63.5', '28,840')
    """
    us = 1e6 * seconds
    return f"{us:,.{2 if us < 10 else 1 if us < 100 else 0}f}"


def show(
    output: Output,
    results: Mapping[str, Result],
    contestants: Mapping[str, Rival],
    skipped: Mapping[str, str],
) -> None:
    """Print one table, and what there is to know about it."""
    rows = []
    for name, contestant in contestants.items():
        cells = []
        for result in results.values():
            best = result.times[name].best
            ratio = best / result.reference()
            mark = "" if contestant.same_loss(result.workload) else "*"
            cells.append(f"{microseconds(best)}{mark} {ratio:4.1f}x")
        rows.append([name, *cells])
    output.say()
    output.table(["us per step", *results], rows)
    output.say()
    origins: dict[str, list[str]] = {}
    for name, result in results.items():
        origins.setdefault(ORIGINS[result.origin], []).append(name)
    for origin, names in origins.items():
        output.say(f"{', '.join(names)}: {origin}")
    if any("*" in cell for row in rows for cell in row):
        output.say("* trained with its own log loss: it has no quadratic one for classes")
    for name, reason in skipped.items():
        output.say(f"{name} left out: {one_line(reason)}")


ORIGINS = {
    "mnist": "on MNIST",
    "synthetic": "on synthetic images as large and as dark as MNIST's (--mnist FOLDER for those)",
    "table": "on a synthetic table",
}
