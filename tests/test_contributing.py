"""The worked example of CONTRIBUTING.md works as it is written there."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastgd.backends import why_not

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
BUILDS = all(importlib.util.find_spec(name) for name in ("setuptools", "Cython"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="no source tree"),
    pytest.mark.skipif(not BUILDS, reason="building needs setuptools and Cython"),
    pytest.mark.skipif(why_not("native") is not None, reason="native does not build here"),
    pytest.mark.skipif(why_not("numba") is not None, reason="Numba does not work here"),
]

#: Where a reader is told to put them: after the classes, and after the last slope.
CLASSES_END = "\n\ndef _normal_cdf"
SLOPES_END = "\n\n#define CODE(name) ACTIVATION_##name,"

AGREES = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from conformance import Case, check_forward, check_loss_and_gradient, check_train, forward
from fastgd.backends import native, numba, reference
from fastgd.kernels.entries import run

outputs = {{}}
for beta in (0.5, 2.0):
    rule = {{"name": "swish", "beta": beta}}
    case = Case(sizes=(5, 17, 16, 3), activation=rule, output=rule, loss="mse", dtype="float32")
    assert native.covers(case.architecture), "it is computed by Numba"
    for module in (native, numba):
        check_forward(module, case)
        check_loss_and_gradient(module, case)
        check_train(module, case)
    outputs[beta] = [forward(module, case) for module in (reference, native, numba)]
    compiled = len(run.signatures), sum(run.stats.cache_misses.values())
    assert compiled == (1, 1), compiled
assert all(np.abs(a - b).max() > 1e-2 for a, b in zip(*outputs.values()))
"""


def blocks() -> list[str]:
    """Return the code blocks of the section on activations."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## Add an activation\n")[1].split("\n## ")[0]
    return re.findall(r"(?ms)^```(?:python|diff|c)\n(.*?)^```$", section)


def insert(file: Path, block: str, before: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    space = "\n\n" if file.suffix == ".py" else ""
    file.write_text(text.replace(before, f"\n{space}{block.rstrip()}{before}"), encoding="utf-8")


def patch(file: Path, diff: str) -> None:
    """Replace a diff's lines with - by those with +."""
    old, new = ("".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] == sign)
                for sign in "-+")  # fmt: skip
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def run(folder: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(folder),
            "NUMBA_CACHE_DIR": str(folder / "numba"),
            "FASTGD_BACKEND": "",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def copy(tmp_path):
    """The sources in a folder of their own, with what the document says done to them."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "_native_missing.txt")
    for name in ("csrc", "fastgd"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    rule, listed, listed_in_c, forms_in_c = blocks()
    insert(tmp_path / "fastgd/rules/activations.py", rule, CLASSES_END)
    patch(tmp_path / "fastgd/rules/activations.py", listed)
    patch(tmp_path / "csrc/rules.h", listed_in_c)
    insert(tmp_path / "csrc/rules.h", forms_in_c, SLOPES_END)
    return tmp_path


def test_a_new_activation_is_the_blocks_of_the_document(copy):
    # Without optimisation both compilers are much faster, and what they make computes the same.
    flags = os.environ.get("FASTGD_CFLAGS", "") + " -O0"
    native = {"FASTGD_NATIVE": "", "FASTGD_REQUIRE_NATIVE": "1", "FASTGD_CFLAGS": flags}
    run(copy, "setup.py", "-q", "build_ext", "--inplace", **native)
    run(copy, "-c", AGREES.format(tests=str(TESTS)), NUMBA_OPT="0")
    own = ("-k", "swish and not numba", "-n", "0", "-p", "no:cacheprovider")
    assert " passed" in run(copy, "-m", "pytest", "-q", str(TESTS / "test_rules.py"), *own)
