"""A contest in a process of its own: its cores and its environment are what they should be.

JAX counts cores as it is imported, and BLAS reads its variables as it is loaded: who wants others
needs another process. `play` measures in this one, `play_apart` in another; both yield the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import fastgd
from fastgd.benchmarks import timing
from fastgd.benchmarks.environment import holding
from fastgd.benchmarks.workloads import Workload

__all__ = ["Job", "free_environment", "own_environment", "play", "play_apart", "start_free"]


@dataclass(frozen=True)
class Job:
    """What is to be measured.

    Attributes
    ----------
    workloads : list of Workload
        All with the same number of threads; none for what the contestants run on alone.
    rivals : list of str
    threads : int
    seconds, repeats
        About how long each contestant runs on each workload, and in how many rounds.
    mnist : str, optional
        The folder of MNIST files.
    data : dict, optional
        What `load_own` is told, where the workloads are for a data set of one's own.
    """

    workloads: list[Workload]
    rivals: list[str]
    threads: int
    seconds: float = 1.0
    repeats: int = 5
    mnist: str | None = None
    data: dict[str, Any] | None = field(default=None)


def play(job: Job) -> Iterator[dict[str, Any]]:
    """Measure, on the cores this process is kept to meanwhile; yield what comes, piece by piece.

    Yields
    ------
    dict
        ``where`` it runs; ``begin``, a workload's name; its ``result`` and who ``failed`` to
        start; at last ``about``, what the contestants run on.
    """
    from fastgd.benchmarks.contest import Match, find_contestants
    from fastgd.benchmarks.environment import about
    from fastgd.benchmarks.own import load_own

    with pinned(job.threads) as where:
        yield {"where": where}
        contestants, _ = find_contestants(job.rivals)
        own = load_own(**job.data) if job.data and job.workloads else None
        for workload in job.workloads:
            yield {"begin": workload.name}
            match = Match(workload, job.mnist, own)
            failed = match.enter(contestants)
            yield {"result": match.play(job.seconds, job.repeats).to_json(), "failed": failed}
        yield {"about": about(list(contestants), job.threads)}


@contextmanager
def pinned(threads: int) -> Iterator[str]:
    """Keep the process on a few cores meanwhile; say which."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    where = timing.pin(threads)
    try:
        yield where
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)


def free_environment(threads: int) -> dict[str, str]:
    """Return this process's environment without what holds libraries back; it finds this fastgd."""
    held = holding(os.environ, threads)
    return {name: text for name, text in own_environment().items() if name not in held}


def start_free(command: list[str], threads: int) -> None:
    """Let Python run ``command`` in this process's place if its environment holds anybody back.

    Libraries are loaded by now, and keep to what they found.
    """
    held = holding(os.environ, threads)
    if held:
        words = ", ".join(f"{name}={text}" for name, text in held.items())
        print(f"timed without {words}, in a process of its own", file=sys.stderr, flush=True)
        os.execve(sys.executable, [sys.executable, *command], free_environment(threads))


def own_environment() -> dict[str, str]:
    """Return this process's environment; another with it finds this fastgd."""
    path = [str(Path(fastgd.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def play_apart(job: Job, environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Measure in a process of its own, with that environment.

    Yields
    ------
    dict
        As `play` does; at last ``broken``, in a line why, where the process did not come to its
        end.
    """
    told = False
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "fastgd.benchmarks.apart"],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            with suppress(BrokenPipeError), process.stdin as stdin:  # it has ended: told below
                json.dump(asdict(job), stdin)
            for line in process.stdout:
                message = json.loads(line)
                told = told or "about" in message
                yield message
            process.wait()
        finally:
            if process.poll() is None:
                process.kill()
            process.stdout.close()
            process.wait()
        if not told:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "")
            yield {"broken": last.strip() or f"the process ended with code {process.returncode}"}


def main() -> None:
    """Read a job from stdin, and write a line for each piece."""
    from fastgd.benchmarks.contest import workload_from

    # Libraries may print to stdout; what they print must not be taken for a result.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    told = json.load(sys.stdin)
    job = Job(**{**told, "workloads": [workload_from(record) for record in told["workloads"]]})
    for message in play(job):
        if "where" in message:
            message["where"] += ", in a process of its own"
        channel.write(json.dumps(message) + "\n")
        channel.flush()


if __name__ == "__main__":
    main()
