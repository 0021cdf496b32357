"""Run every row of docs/reliability.md, and print what came of it as a table."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
#: Rows that take longer, in seconds, are ended.
HANGS = 3600.0


@dataclass(frozen=True)
class Row:
    """What is promised, and the tests that try it."""

    what: str
    tests: tuple[str, ...]
    selection: str = ""


ROWS = (
    Row("model files: flipped bits, truncations, mutations", ("test_files_damage.py",)),
    Row("checkpoints: flipped bits, truncations, lies", ("test_checkpoint.py",), "flipped or said"),
    Row("data files: IDX, gz, CSV, NPZ, Parquet", ("test_fuzz_data.py",)),
    Row("what is no model: refused by name", ("test_files.py", "test_files_damage.py"), "looks"),
    Row("kills, faults and concurrent saves", ("test_writing.py",)),
    Row("runs stopped anywhere and gone on with", ("test_checkpoint.py",), "not flipped"),
    Row("threads predicting while others fit", ("test_load.py",), "predicting"),
    Row("random networks: gradients, steps", ("test_load.py", "test_backends.py"), "random"),
    Row("threads and cuts: the same bytes", ("test_load.py",), "cuts"),
    Row("inputs: dtypes, layouts, shapes", ("test_input_matrix.py",)),
    Row("signals at any moment", ("test_load.py",), "signals or command_line"),
    Row("ways to start processes", ("test_processes.py",)),
    Row("memory, threads and descriptors", ("test_memory.py",)),
    Row("what changes while a kernel reads it", ("test_trespass.py",)),
    Row("numbers: sums, logits, NaN, subnormals", ("test_numbers.py",)),
    Row("kernels that are kept: damaged, another's", ("test_kernel_cache.py",)),
    Row("settings of scikit-learn's networks", ("test_sklearn_parity.py",)),
)  # fmt: skip


@dataclass
class Outcome:
    """How a row ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    words: str = ""


def run(row: Row, long: bool) -> Outcome:
    """Run a row's tests, in the long form or the short one; what hangs is ended."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider",
            f"--junitxml={report}", *(str(ROOT / "tests" / test) for test in row.tests),
            *(["-k", row.selection] if row.selection else []),
        ]  # fmt: skip
        forms = {"FASTGD_STRESS": "1", "FASTGD_PARITY": "1000"} if long else {}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env={**os.environ, **forms}, timeout=HANGS,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Outcome(failed=1, seconds=time.monotonic() - started, words="out of time")
        outcome = Outcome(seconds=time.monotonic() - started)
        if not report.exists():
            outcome.failed, outcome.words = 1, done.stdout[-400:] + done.stderr[-400:]
            return outcome
        for suite in xml.parse(report).getroot().iter("testsuite"):
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            outcome.failed, outcome.skipped = bad, int(suite.get("skipped", 0))
            outcome.passed = int(suite.get("tests", 0)) - bad - outcome.skipped
    if outcome.failed or not outcome.passed:
        outcome.words = done.stdout[-1500:]
        outcome.failed = outcome.failed or 1
    return outcome


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0), default=30.0, show_default=True,
              help="Rows begun after so long are run in their short form.")  # fmt: skip
@click.option("--short", is_flag=True, help="Run every row in its short form.")
@click.option("--only", default="", metavar="WORD", help="Only rows that have this word.")
def main(minutes: float, short: bool, only: str) -> None:
    """Try what docs/reliability.md promises."""
    end = time.monotonic() + 60 * minutes
    table = Table("what", "form", "passed", "failed", "skipped", "seconds")
    failures = []
    for row in (row for row in ROWS if only in row.what):
        long = not short and time.monotonic() < end
        outcome = run(row, long)
        table.add_row(
            row.what, "long" if long else "short", str(outcome.passed), str(outcome.failed),
            str(outcome.skipped), f"{outcome.seconds:.0f}",
        )  # fmt: skip
        print(f"{row.what}: {outcome.passed} passed, {outcome.failed} failed", flush=True)
        if outcome.failed:
            failures.append(f"{row.what}\n{outcome.words}")
    Console(width=100).print(table)
    print("\n".join(failures), end="\n" if failures else "")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
