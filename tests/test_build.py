"""How the native backend is built: optional, portable, and never with what changes a process."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import fastgd
from fastgd.backends import why_not

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ROOT / "setup.py").exists() or sys.platform == "win32",
        reason="no source tree, or Windows",
    ),
]
needs_setuptools = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("setuptools", "Cython")),
    reason="building needs setuptools and Cython",
)


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Build the extension as ``pip install`` would, from a copy of what it is made of."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("csrc", "fastgd"):
        ignored = shutil.ignore_patterns("*.so", "__pycache__", "_native_missing.txt")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    return subprocess.run(
        [sys.executable, "setup.py", "bdist_wheel", "--dist-dir", "dist"],
        cwd=folder,
        env={**os.environ, "FASTGD_NATIVE": "", "FASTGD_REQUIRE_NATIVE": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def files_of(folder: Path) -> dict[str, str]:
    """Return the names and texts of the files of the only wheel that was built."""
    (wheel,) = (folder / "dist").glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name).decode("latin-1") for name in archive.namelist()}


@needs_setuptools
def test_without_a_compiler_the_wheel_says_so(tmp_path):
    done = build(tmp_path, CC="/no/compiler")
    assert done.returncode == 0, done.stderr
    files = files_of(tmp_path)
    note = files["fastgd/backends/_native_missing.txt"]
    assert note.count("\n") == 1 and "/no/compiler" in note
    assert not any(name.endswith(".so") for name in files)


@needs_setuptools
def test_what_an_earlier_build_left_is_not_packed(tmp_path):
    assert build(tmp_path, CC="/no/compiler").returncode == 0
    (library,) = (tmp_path / "build").glob("lib*")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    stale = library / f"fastgd/backends/_native{suffix}"
    stale.write_text("older than its sources")
    os.utime(stale, (0, 0))
    shutil.rmtree(tmp_path / "dist")
    assert build(tmp_path, CC="/no/compiler").returncode == 0
    assert not any("_native." in name for name in files_of(tmp_path))


@needs_setuptools
def test_the_native_backend_may_be_required(tmp_path):
    done = build(tmp_path, CC="/no/compiler", FASTGD_REQUIRE_NATIVE="1")
    assert done.returncode != 0 and "/no/compiler" in done.stderr
    assert not (tmp_path / "dist").exists()


@needs_setuptools
def test_the_native_backend_may_be_left_out(tmp_path):
    done = build(tmp_path, CC="/no/compiler", FASTGD_NATIVE="0", FASTGD_REQUIRE_NATIVE="1")
    assert done.returncode == 0, done.stderr
    assert "fastgd/backends/_native_missing.txt" not in files_of(tmp_path)


def test_why_native_is_missing_is_one_line(tmp_path, monkeypatch):
    package = shutil.copytree(
        Path(fastgd.__file__).parent,
        tmp_path / "fastgd",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    (package / "backends/_native_missing.txt").write_text("gcc was not found\n")
    done = subprocess.run(
        [sys.executable, "-m", "fastgd", "info"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "FASTGD_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.split()[:1] == ["native"])
    assert line.endswith("gcc was not found")


def test_no_flag_that_ties_it_to_a_machine_or_changes_a_process():
    code = re.sub(r"(?m)#.*$", "", (ROOT / "setup.py").read_text())
    for flag in ("-march", "-mtune", "-mcpu", "fast-math", "-Ofast", "openmp", "funsafe"):
        assert flag not in code, flag
    written = [path for path in (ROOT / "csrc").glob("*.[ch]") if path.stem != "_native"]
    assert "omp" not in re.findall(
        r"#\s*(?:include|pragma)\W*(\w+)", "".join(map(Path.read_text, written))
    )


@pytest.mark.skipif(why_not("native") is not None, reason="native is not built here")
def test_subnormal_numbers_stay_after_loading_it():
    """-ffast-math at the link would flush them to zero, for the whole process."""
    code = "import numpy, fastgd.backends._native; print(numpy.float64(5e-324) * 1.0 > 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_the_checkout_is_not_taken_for_what_is_installed(tmp_path):
    """``python -m pytest`` puts it first, without its native backend."""
    from checkout import ROOT, paths_without_the_checkout

    (tmp_path / "fastgd").mkdir()
    (tmp_path / "fastgd" / "__init__.py").touch()
    here, installed, none = str(ROOT), str(tmp_path), str(tmp_path / "none")
    assert paths_without_the_checkout([here, installed], "") == [installed]
    assert paths_without_the_checkout([here, installed], here) == [here, installed]
    assert paths_without_the_checkout([here, none], "") == [here, none]
