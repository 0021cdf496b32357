"""Small wrong changes, each made to a copy of fastgd, and the tests that must notice it.

    python -m tests.stress.mutants [--kind python|csrc|numba|all] [--only TEXT] [--first N]

Prints a line for each, and how many were noticed (killed). Those of csrc are built for it, half a
minute each; those of Numba's kernels compile for a minute or two. What is known to change nothing
says why. The list is in `tests.stress.changes`.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

from tests.stress.changes import CACHE, MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
KINDS = ("python", "csrc", "numba")
#: How long tests may take, in seconds: a change may make them wait for ever.
LIMIT = 600.0
#: What is imported once, for all tests.
NEEDED = ("numpy", "scipy.sparse", "numba", "pandas", "sklearn", "click", "rich")


def kind_of(mutant: Mutant) -> str:
    """Return what has to be built for a mutant."""
    if mutant.file.startswith("csrc"):
        return "csrc"
    kernels = mutant.file.startswith("fastgd/kernels") and mutant.file != CACHE
    return "numba" if kernels else "python"


def copy_of(root: Path, target: Path) -> None:
    """Copy what tests need."""
    for name in ("fastgd", "csrc", "tests"):
        ignored = shutil.ignore_patterns("*.pyc")  # but with compiled kernels
        shutil.copytree(root / name, target / name, ignore=ignored)
    shutil.copytree(root / "docs", target / "docs", ignore=shutil.ignore_patterns("*.png", "*.gif"))
    for name in ("setup.py", "pyproject.toml", "README.md", "CONTRIBUTING.md", "LICENSE"):
        shutil.copy(root / name, target)
    # By their hashes: a change within a second of another has the same time.
    mode = PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(target / "fastgd", quiet=1, invalidation_mode=mode)


def build(folder: Path) -> bool:
    """Build the native backend; return whether it could be."""
    environment = {**os.environ, "FASTGD_CFLAGS": "-O1", "FASTGD_REQUIRE_NATIVE": "1"}
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    return not subprocess.run(command, cwd=folder, env=environment, capture_output=True).returncode


def passes(kind: str, tests: list[str], folder: Path, changed: bool = True) -> bool:
    """Return whether tests pass, in a process that has imported already what all of them need."""
    chosen = "numba" if kind == "numba" else "not numba and not every_backend"
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", chosen]
    child = os.fork()
    if not child:
        os.setsid()
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os.chdir(folder)
        os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.path[:] = [str(folder), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
        sys.dont_write_bytecode = changed
        code = 1
        try:
            code = int(pytest.main([*options, *(f"tests/{name}" for name in tests)]))
        finally:
            os._exit(code)
    end, ended = time.monotonic() + LIMIT, (0, 0)
    while not ended[0]:
        ended = os.waitpid(child, os.WNOHANG)
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
        time.sleep(0.05)
    return ended[1] == 0


def survives(mutant: Mutant, folder: Path) -> bool:
    """Return whether the tests pass with the change; the copy is as before then."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    kind = kind_of(mutant)
    try:
        if kind == "csrc" and not build(folder):
            raise RuntimeError(f"{mutant.file} with {mutant.new!r} cannot be built")
        return passes(kind, list(dict.fromkeys(mutant.tests.split())), folder)
    finally:
        path.write_text(text, encoding="utf-8")
        if kind == "csrc":
            for built in (ROOT / "fastgd/backends").glob("_native*.*"):
                shutil.copy(built, folder / "fastgd/backends")


def chosen(kind: str, only: str, first: int) -> list[Mutant]:
    """Return the mutants that are asked for; what they change must be there."""
    found = []
    for mutant in MUTANTS[first:]:
        if only not in f"{mutant.file} {mutant.old} {mutant.new}":
            continue
        if kind in ("all", kind_of(mutant)):
            found.append(mutant)
    for mutant in found:
        if mutant.old not in (ROOT / mutant.file).read_text(encoding="utf-8"):
            raise SystemExit(f"{mutant.file} has no {mutant.old!r}")
    return found


def unsound(mutant: Mutant, folder: Path, known: dict[tuple[str, str], bool]) -> list[str]:
    """Return the tests that fail without any change, too, or are none: they notice nothing."""
    kind, tests = kind_of(mutant), list(dict.fromkeys(mutant.tests.split()))
    for test in tests:
        if (kind, test) not in known:
            known[kind, test] = passes(kind, [test], folder, changed=False)
    return [test for test in tests if not known[kind, test]]


def main() -> int:
    """Try the mutants; return 0 where at least 95 % of those that matter are killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=("all", *KINDS), default="python")
    parser.add_argument("--only", default="", help="those with this text")
    parser.add_argument("--first", type=int, default=0, help="where to begin")
    arguments = parser.parse_args()
    killed, survivors, same = 0, 0, 0
    known: dict[tuple[str, str], bool] = {}
    for needed in NEEDED:
        with suppress(ImportError):
            importlib.import_module(needed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of(ROOT, folder)
        for mutant in chosen(arguments.kind, arguments.only, arguments.first):
            bad = unsound(mutant, folder, known)
            started = time.monotonic()
            alive = bool(bad) or survives(mutant, folder)
            word = ("same" if mutant.equivalent else "SURVIVED") if alive else "killed"
            seconds = time.monotonic() - started
            what = f"{mutant.old!r} -> {mutant.new!r}"[:110]
            why = f" (they fail without it: {', '.join(bad)})" if bad else ""
            print(f"{word:8} {seconds:5.1f} s  {mutant.file}: {what}{why}", flush=True)
            killed, survivors = killed + (word == "killed"), survivors + (word == "SURVIVED")
            same += word == "same"
    n = killed + survivors
    print(f"{killed} of {n} killed; {survivors} survived; {same} change nothing")
    return int(killed < 0.95 * n)


if __name__ == "__main__":
    sys.exit(main())
