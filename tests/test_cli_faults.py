"""The command line when the world ends early: Ctrl-C among imports, a full disk, a reader gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fastgd

PACKAGE = Path(fastgd.__file__).resolve().parents[1]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and devices of POSIX")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")

#: Sends Ctrl-C when a module is looked for, and then starts the program as `python -m` would.
PROGRAM = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = {argv!r}
sys.orig_argv = {orig!r}
{start}
"""
STARTS = {
    "module": (["-m"], ["python", "-m", "fastgd"], "runpy.run_module('fastgd', alter_sys=True, "
               "run_name='__main__')"),
    "script": (["/usr/bin/fastgd"], ["python", "/usr/bin/fastgd"],
               "from fastgd.cli import main; main()"),
}  # fmt: skip
MODULES = ["numpy", "fastgd.network", "fastgd.cli", "click", "fastgd.cli.options",
           "fastgd.cli.train", "fastgd.cli.progress", "fastgd.data", "pandas"]  # fmt: skip


def run(*args, **options):
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120} | options
    return subprocess.run([sys.executable, *map(str, args)], env=environment, **options)


@POSIX
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("module", MODULES)
def test_ctrl_c_among_imports(module, start, tmp_path):
    (tmp_path / "a.csv").write_text("a,y\n1,0\n2,1\n")
    argv, orig, code = STARTS[start]
    more = ["train", "a.csv"]
    program = PROGRAM.format(module=module, argv=argv + more, orig=orig + more, start=code)
    done = run("-c", program, cwd=tmp_path)
    if b"fastgd: interrupted" not in done.stderr and done.returncode == 0:
        pytest.fail(f"{module} is not imported by this command")
    assert done.stderr == b"fastgd: interrupted\n", done.stderr.decode()
    assert done.returncode == 130
    assert not list(tmp_path.glob("*.safetensors"))


@POSIX
def test_python_keeps_its_own_ctrl_c():
    program = "import signal, fastgd; print(signal.getsignal(signal.SIGINT).__name__)"
    assert run("-c", program).stdout == b"default_int_handler\n"


@FULL
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_full_disk_keeps_the_model(tmp_path, more):
    with open("/dev/full", "wb") as full:
        command = ["train", "digits", "--epochs", "12", "--out", "m.safetensors", *more]
        done = run("-m", "fastgd", *command, stdout=full, cwd=tmp_path)
    assert fastgd.load(tmp_path / "m.safetensors").n_parameters
    assert done.returncode == 2
    assert done.stderr == b"fastgd: error: standard output: No space left on device\n"


@FULL
def test_a_full_disk_elsewhere(tmp_path):
    fastgd.Network([64, 10], seed=0).save(tmp_path / "m.safetensors")
    for args in (["info"], ["--help"], ["--version"], ["predict", "m.safetensors", "digits"]):
        with open("/dev/full", "wb") as full:
            done = run("-m", "fastgd", *args, stdout=full, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1, (args, done.stderr)
        assert b"No space left on device" in done.stderr
    with open("/dev/full", "wb") as full:
        done = run("-m", "fastgd", "train", "digits", "--epochs", "1", stderr=full, cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "digits.safetensors").exists()


@POSIX
def test_a_reader_that_is_gone_keeps_the_model(tmp_path):
    ours, theirs = os.pipe()
    os.close(ours)
    command = ["train", "digits", "--epochs", "12", "--out", "m.safetensors"]
    done = run("-m", "fastgd", *command, stdout=theirs, cwd=tmp_path)
    os.close(theirs)
    assert fastgd.load(tmp_path / "m.safetensors").n_parameters
    assert done.returncode == 141
    said = b"fastgd: nobody reads the output any more; wrote the network to m.safetensors\n"
    assert done.stderr == said


@POSIX
def test_closed_streams_keep_the_model(tmp_path):
    command = f"{sys.executable} -m fastgd train digits --epochs 12 --out m.safetensors >&- 2>&-"
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, timeout=120)
    assert done.returncode == 0 and fastgd.load(tmp_path / "m.safetensors").n_parameters


def test_signal_of_a_thread():
    """`guarded` off the main thread cannot set signals, and does not try."""
    import threading

    from fastgd.cli.signals import interrupts

    found = []

    def work():
        with interrupts() as came:
            found.append(came)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[]] and signal.getsignal(signal.SIGINT) is before
