"""The command line when the world ends early: signals at any line, a full disk, a reader gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from stress_form import rounds

import fastgd

pytestmark = pytest.mark.slow  # processes
PACKAGE = Path(fastgd.__file__).resolve().parents[1]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and devices of POSIX")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")

#: Sends a signal when a module is looked for, and then starts the program as `python -m` would.
PROGRAM = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{number})
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


#: What is said of each signal, and the exit code.
ENDS = {
    "SIGINT": (b"interrupted", 130), "SIGTERM": (b"ended by SIGTERM", 143),
    "SIGHUP": (b"ended by SIGHUP", 129),
}  # fmt: skip

#: Trains again and again; a signal comes a line later each time, from the first of the training on.
EVERY_LINE = """
import itertools, os, pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from fastgd.cli import main
from fastgd.engine.fit import Fit
FILES = ("cli/train.py", "cli/fitting.py", "cli/signals.py", "engine/fit.py", "checkpoint.py")
out, kept = pathlib.Path("m.st"), pathlib.Path("c.ckpt")
args = ["train", "a.csv", "--target", "y", "--hidden", "2", "--epochs", "2", "--optimizer", "adam",
        "--out", str(out), "--checkpoint", str(kept), "--early-stopping", "5", "--quiet"]
def code():
    Fit.interrupted = -1e9  # each training is its own
    for path in (out, kept):
        path.unlink(missing_ok=True)
    try:
        main(args)
    except SystemExit as end:
        return end.code
def lines(send):
    begun, left = False, send
    def trace(frame, event, arg):
        nonlocal begun, left
        where = frame.f_code.co_filename
        if not where.endswith(FILES) or frame.f_code.co_name == "ending":
            return None  # what gives the signals back to the caller
        begun = begun or (frame.f_code.co_name == "on_train_begin" and "fitting" in where)
        if event == "line" and begun:
            left -= 1
            if not left:
                os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        return trace
    sys.settrace(trace)
    ended = code()
    sys.settrace(None)
    return ended, left
assert code() == 0
step = int(sys.argv[2])
sent = 0
for line in itertools.count(1, step):
    ended, left = lines(line)
    if left > 0:
        break
    sent += ended == int(sys.argv[3])
    # At the very end all is done; 0 is right then.
    print(line, ended, out.exists())
"""


#: Sends a signal while data are read.
READING = """
import os, signal, fastgd.data
signal.signal(signal.SIGINT, signal.default_int_handler)
from fastgd.cli import main
def load(*args, **options):
    exec("os.kill(os.getpid(), signal.{number})\\nfor i in range(1000): pass", globals())
fastgd.data.load = load
main()
"""

#: Sends a signal in a training that a diagnosis tries.
EXPLAINING = """
import os, signal, sys, fastgd
from fastgd.explain.symptoms import training
from fastgd.engine import fit
signal.signal(signal.SIGINT, signal.default_int_handler)
from fastgd.cli import main
tried, epochs = training._try, fit.Fit._epochs
def sending(*args):
    fit.Fit._epochs = epochs
    print("tried", file=sys.stderr)
    os.kill(os.getpid(), signal.{number})
def trying(*args):
    fit.Fit._epochs, training._try = sending, tried
    return tried(*args)
training._try = trying
main()
"""

#: Starts the command line in place of a program.
EXEC = "import sys; os.execv(sys.executable, [sys.executable, '-m', 'fastgd', *sys.argv[1:]])"

#: A disk with room for so many bytes of a log.
FULL_LOG = """
import errno, os, stat
from fastgd.cli import main
real = os.write
def write(file, piece):
    where = os.readlink(f"/proc/self/fd/{{file}}") if os.path.exists("/proc/self/fd") else ""
    if "full" in where and os.fstat(file).st_size + len(piece) > {size}:
        raise OSError(errno.EFBIG, "File too large")
    return real(file, piece)
os.write = write
main()
"""


def as_from_a_shell():
    """Let no signal be ignored: nohup, and shells that put a job in the background, do that."""
    for name in ENDS:
        signal.signal(signal.Signals[name], signal.SIG_DFL)


def run(*args, **options):
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120} | options
    if os.name == "posix":
        options["preexec_fn"] = as_from_a_shell
    return subprocess.run([sys.executable, *map(str, args)], env=environment, **options)


@POSIX
@pytest.mark.parametrize(
    ("module", "start", "number"), list(product(MODULES, STARTS, ENDS))[:: rounds(5, 1)]
)
def test_a_signal_among_imports(module, start, number, tmp_path):
    (tmp_path / "a.csv").write_text("a,y\n1,0\n2,1\n")
    argv, orig, code = STARTS[start]
    more = ["train", "a.csv"]
    words, rc = ENDS[number]
    values = {"argv": argv + more, "orig": orig + more, "number": number}
    program = PROGRAM.format(module=module, start=code, **values)
    done = run("-c", program, cwd=tmp_path)
    if words not in done.stderr and done.returncode == 0:
        pytest.fail(f"{module} is not imported by this command")
    assert done.stderr == b"fastgd: " + words + b"\n", done.stderr.decode()
    assert done.returncode == rc
    assert not list(tmp_path.glob("*.safetensors"))


@POSIX
@pytest.mark.parametrize("number", ENDS)
def test_a_signal_at_any_line_keeps_the_model(number, tmp_path):
    """From the first mini-batch on, through the writing of the model, to the end of the command."""
    rows = "".join(f"{i % 7},{i % 3},{'ab'[i % 2]}\n" for i in range(40))
    (tmp_path / "a.csv").write_text("u,v,y\n" + rows)
    rc = ENDS[number][1]
    done = run("-c", EVERY_LINE, number, rounds(9, 1), rc, cwd=tmp_path)
    ends = [line.split() for line in done.stdout.decode().splitlines()]
    assert done.returncode == 0 and len(ends) > 40, done.stderr.decode()[-2000:]
    bad = [end for end in ends if end[2] != "True" or int(end[1]) not in (rc, 0)]
    assert not bad, done.stderr.decode()[:2000]
    assert [end[1] for end in ends[:-5]] == [str(rc)] * (len(ends) - 5)


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


@POSIX
@pytest.mark.parametrize("blocks", [0, 4])
def test_a_log_that_does_not_fit_ends_no_training(tmp_path, blocks):
    """Neither at its first line nor later; the model comes to lie elsewhere."""
    (tmp_path / "log.csv").symlink_to(tmp_path / "full" / "log.csv")
    (tmp_path / "full").mkdir()
    program = FULL_LOG.format(size=1024 * blocks)
    command = ["train", "digits", "--hidden", "4", "--optimizer", "adam", "--epochs", "60",
               "--out", "m.safetensors", "--log", "log.csv", "--quiet"]  # fmt: skip
    done = run("-c", program, *command, cwd=tmp_path)
    assert done.returncode == 0 and fastgd.load(tmp_path / "m.safetensors").n_parameters
    kept = "; what was there is as it was" if blocks else ""
    name = tmp_path / "full" / "log.csv"
    said = f"fastgd: note: the log could not be written: log.csv: File too large{kept}\n"
    assert done.stderr.decode() == said
    assert name.exists() == bool(blocks)
    if blocks:
        lines = name.read_text().splitlines()
        assert 0 < name.stat().st_size <= 4096 and all(line.count(",") == 5 for line in lines)


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
@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such device")
def test_what_is_written_to_streams_and_devices(tmp_path):
    """As docs/files.md says; nothing else is printed there, and a reader may leave."""
    train = ["-m", "fastgd", "train", "digits", "--epochs", "1", "--out"]
    done = run(*train, "/dev/stdout", cwd=tmp_path)
    (tmp_path / "m.st").write_bytes(done.stdout)
    assert done.returncode == 0 and fastgd.load(tmp_path / "m.st").n_parameters
    assert run(*train, "/dev/null", cwd=tmp_path).stdout.count(b"/dev/null") == 1  # wrote
    predict = ["-m", "fastgd", "predict", "m.st", "digits", "--out"]
    told = run(*predict[:-1], cwd=tmp_path).stdout
    assert run(*predict, "/dev/stdout", cwd=tmp_path).stdout == told
    assert run(*predict, "/dev/null", cwd=tmp_path).returncode == 0
    os.mkfifo(tmp_path / "pipe")
    done = run(*predict, "pipe", cwd=tmp_path)
    assert done.returncode == 2 and b"pipe that nobody reads" in done.stderr
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    assert run(*predict, "pipe", cwd=tmp_path).returncode == 0
    assert reader.communicate()[0] == told
    ours, theirs = os.pipe()
    os.close(ours)
    for command in (train, predict):
        done = run(*command, "/dev/stdout", stdout=theirs, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (141, b"")
    os.close(theirs)
    assert run(*train, "/dev/stdout", "--json", cwd=tmp_path).returncode == 2


@POSIX
def test_closed_streams_keep_the_model(tmp_path):
    command = f"{sys.executable} -m fastgd train digits --epochs 12 --out m.safetensors >&- 2>&-"
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, timeout=120)
    assert done.returncode == 0 and fastgd.load(tmp_path / "m.safetensors").n_parameters


@POSIX
@pytest.mark.parametrize("number", ENDS)
def test_a_signal_while_data_are_read(number, tmp_path):
    """Also in what goes through an exec, which Python itself would end by SIGINT for."""
    fastgd.Network([64, 10], seed=0).save(tmp_path / "m.st")
    (tmp_path / "reading.py").write_text(READING.format(number=number))
    done = run("-m", "reading", "predict", "m.st", "digits", cwd=tmp_path)
    words, rc = ENDS[number]
    assert (done.returncode, done.stderr) == (rc, b"fastgd: " + words + b"\n")


@POSIX
@pytest.mark.parametrize("number", ENDS)
def test_a_signal_while_a_failure_is_explained(number, tmp_path):
    """In a small training that is tried: the command ends in its own words alone."""
    rows = "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(60))  # nothing to be learned
    (tmp_path / "a.csv").write_text("u,v,y\n" + rows)
    command = ["train", "a.csv", "--target", "y", "--hidden", "4", "--epochs", "100",
               "--optimizer", "adam", "-q"]  # fmt: skip
    done = run("-c", EXPLAINING.format(number=number), *command, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (ENDS[number][1], b"tried\n")
    assert (tmp_path / "a.safetensors").exists()


@POSIX
def test_a_result_that_nobody_gets(tmp_path):
    """Where the output is closed, it is not lost without a word."""
    fastgd.Network([64, 10], seed=0).save(tmp_path / "m.st")
    for args in ("predict m.st digits", "evaluate m.st digits --json", "info m.st"):
        done = run("-c", f"import os; os.close(1); {EXEC}", *args.split(), cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == b"fastgd: error: standard output: is closed\n"
    done = run("-c", f"import os; os.close(1); {EXEC}", "predict", "m.st", "digits", "--out",
               "answers.csv", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0 and (tmp_path / "answers.csv").exists()


def test_signal_of_a_thread():
    """`guarded` off the main thread cannot set signals, and does not try."""
    import threading

    from fastgd.cli.signals import ending

    found = []

    def work():
        with ending() as came:
            found.append(came.number)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None] and signal.getsignal(signal.SIGINT) is before
