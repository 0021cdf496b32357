"""One workload, timed: the contestants take turns, each for about as long as was asked for."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fastgd.benchmarks import timing, workloads
from fastgd.benchmarks.fastgd_backends import FASTGD, BackendTrainer
from fastgd.benchmarks.own import Own
from fastgd.benchmarks.rivals import RIVALS, Rival
from fastgd.benchmarks.trainers import Trainer
from fastgd.benchmarks.workloads import Workload

__all__ = ["Match", "Result", "find_contestants"]

#: Tried before the measurement, to find out how many steps fit the time.
PROBE_STEPS = 4
SEED = 1


@dataclass(frozen=True)
class Result:
    """What was measured on one workload.

    Attributes
    ----------
    workload : Workload
    origin : str
        Where the data are from.
    zeros : float
        The share of the inputs that is zero.
    best, median : dict of name to seconds
        Per step, or prediction.
    first : dict of name to seconds
        Until a fit has made its first step, less what a step takes: checking and packing.
    core : float
        The share of the cores' time that this process got while it measured.
    own_loss : list of str
        Who trained a loss of its own.
    left_out : dict of name to str
        Who does not do this workload here, and why.
    """

    workload: Workload
    origin: str
    zeros: float
    best: dict[str, float]
    median: dict[str, float]
    first: dict[str, float] = field(default_factory=dict)
    core: float = 1.0
    own_loss: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def reference(self) -> float:
        """Return the best time of fastgd's backends, or of all where none ran."""
        own = [time for name, time in self.best.items() if name in FASTGD]
        return min(own or self.best.values())

    def ahead(self) -> tuple[str, float] | None:
        """Return the fastest rival, and how many times as long as fastgd's best it takes."""
        rivals = {name: time for name, time in self.best.items() if name not in FASTGD}
        if not rivals or len(rivals) == len(self.best):
            return None
        name = min(rivals, key=rivals.__getitem__)
        return name, rivals[name] / self.reference()

    def steps_an_epoch(self) -> int:
        """Return how many mini-batches the training rows fill."""
        return self.workload.n_rows // self.workload.batch_size

    def record(self) -> dict[str, Any]:
        """Return it for --json, in microseconds."""
        w, ahead = self.workload, self.ahead()
        return {
            "data": self.origin,
            "zeros": self.zeros,
            "task": w.task,
            "sizes": w.sizes,
            "activation": w.activation,
            "output": w.output,
            "loss": w.loss,
            "optimizer": w.optimizer,
            "batch_size": w.batch_size,
            "n_rows": w.n_rows,
            "threads": w.threads,
            "dtype": w.dtype,
            "us_per_step": {name: 1e6 * time for name, time in self.best.items()},
            "median_us_per_step": {name: 1e6 * time for name, time in self.median.items()},
            "ratio": {name: time / self.reference() for name, time in self.best.items()},
            "fastest_rival": ahead and ahead[0],
            "ahead": ahead and ahead[1],
            "ms_before_first_step": {name: 1e3 * time for name, time in self.first.items()},
            "share_of_core": self.core,
            "own_loss": self.own_loss,
            "left_out": self.left_out,
        }

    def to_json(self) -> dict[str, Any]:
        """Return all of it, for another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Result:
        """Return what another process has measured."""
        return cls(**{**record, "workload": workload_from(record["workload"])})


def workload_from(record: dict[str, Any]) -> Workload:
    """Return a workload that came as JSON."""
    return Workload(**{**record, "sizes": tuple(record["sizes"])})


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


def find_contestants(rivals: list[str]) -> tuple[dict[str, Rival], dict[str, str]]:
    """Return fastgd's backends and the rivals that can run here, and why others cannot."""
    contestants, skipped = {}, {}
    for name, contestant in [*FASTGD.items(), *((name, RIVALS[name]) for name in rivals)]:
        reason = contestant.available()
        if reason is None:
            contestants[name] = contestant
        else:
            skipped[name] = reason
    return contestants, skipped


class Match:
    """One workload, and the contestants that are ready for it."""

    def __init__(self, workload: Workload, mnist: str | None = None, own: Own | None = None):
        self.workload = workload
        if own is None:
            self.X, self.y, self.origin = workloads.load_data(workload, mnist)
        else:
            (self.X, self.y), self.origin = own.rows(workload), own.name
        self.zeros = float((self.X == 0).mean())
        self.order = workloads.orders(workload, 1, SEED)[0]
        self.trainers: dict[str, Trainer] = {}
        self.estimates: dict[str, float] = {}
        self.own_loss: list[str] = []
        self.left_out: dict[str, str] = {}

    def enter(self, contestants: dict[str, Rival]) -> dict[str, str]:
        """Prepare the contestants; take out those that fail to start, and return why.

        A broken installation of one must not cost the others their times.
        """
        start = workloads.initial_parameters(self.workload, SEED)
        failed = {}
        for name, contestant in list(contestants.items()):
            if not contestant.takes(self.workload, self.zeros):
                continue
            if lacking := contestant.lacks(self.workload):
                self.left_out[name] = lacking
                continue
            try:
                trainer = contestant.prepare(self.workload, self.X, self.y, start)
                self.estimates[name] = probe(trainer, self.order)
            except Exception as error:
                failed[name] = f"does not start: {type(error).__name__}: {error}"
                del contestants[name]
                continue
            self.trainers[name] = trainer
            if not contestant.same_loss(self.workload):
                self.own_loss.append(name)
        return failed

    def play(self, seconds: float, repeats: int) -> Result:
        """Time all in turns, each for about so many seconds."""
        budget, batch_size = seconds / repeats, self.workload.batch_size
        fastest = min(self.estimates.values())
        most = min(len(self.order) // batch_size, max(1, int(budget / fastest)))
        steps = 1 << (most.bit_length() - 1)
        shares = {
            name: Share(trainer, share_of(steps, budget / self.estimates[name]))
            for name, trainer in self.trainers.items()
        }
        began, used = time.perf_counter(), time.process_time()
        times = timing.time_steps(shares, self.order[: steps * batch_size], repeats)
        core = (time.process_time() - used) / (time.perf_counter() - began)
        summaries = timing.summarise(times)
        best = {name: summary.best for name, summary in summaries.items()}
        return Result(
            self.workload, self.origin, self.zeros, best,
            {name: summary.median for name, summary in summaries.items()},
            self.first_steps(best), core, self.own_loss, self.left_out,
        )  # fmt: skip

    def first_steps(self, best: dict[str, float]) -> dict[str, float]:
        """Return how long a fit of each of fastgd's backends takes before its first step."""
        return {
            name: max(0.0, trainer.seconds_to_first_step() - best[name])
            for name, trainer in self.trainers.items()
            if isinstance(trainer, BackendTrainer)
        }


def probe(trainer: Trainer, order: np.ndarray) -> float:
    """Return about how many seconds a step takes, after a first run that may compile."""
    few = order[: PROBE_STEPS * trainer.batch_size]
    with timing.limit_threads(trainer.threads):
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
