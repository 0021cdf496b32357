"""The command line in a process of its own: pipes, terminals, Ctrl-C, and what it loads."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd import data

PACKAGE = Path(fastgd.__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder; return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def process(*args, python=("-m", "fastgd"), env=(), **kwargs):
    """Start the command line in a process of its own, on the package that is tested."""
    command = [sys.executable, *python, *map(str, args)]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | kwargs
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path, **dict(env)}, **settings
    )


def finish(started, timeout=120):
    out, err = started.communicate(timeout=timeout)
    return started.returncode, out.decode(), err.decode()


@pytest.mark.slow
def test_digits_from_training_to_predictions(folder):
    code, out, err = finish(process("train", "digits", "--json"))
    assert code == 0 and "Traceback" not in err
    record = json.loads(out.splitlines()[-1])
    assert record["score"] >= 0.95 and record["n_held_out"] == 359
    assert record["out"] == "digits.safetensors" and record["stop_reason"] == "epochs"
    assert record["n_parameters"] == fastgd.load(folder / record["out"]).n_parameters
    assert len(record["history"]["cost"]) == record["epochs"]

    code, out, err = finish(process("evaluate", record["out"], "digits", "--json"))
    judged = json.loads(out)
    assert (code, err) == (0, "")
    assert judged["score"] == record["score"] and judged["rows"] == "held_out"
    assert judged["n_rows"] == 359 and np.trace(judged["confusion"]) / 359 == record["score"]

    code, out, _ = finish(process("predict", record["out"], "digits"))
    header, *rows = list(csv.reader(out.splitlines()))
    right = [int(row[1]) == y for row, y in zip(rows, data.load_digits().y, strict=True)]
    assert code == 0 and header == ["row", "prediction"] and np.mean(right) > 0.97


def test_nothing_but_text_in_a_pipe():
    code, out, err = finish(process("train", "digits", "--epochs", 12))
    assert code == 0 and err == ""
    assert all(c.isprintable() or c == "\n" for c in out)
    assert 2 <= out.count("epoch ") <= 12
    assert "digits.safetensors" in out and "\n  fastgd evaluate" in out


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_live_bar_on_a_terminal():
    import pty

    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm", "COLUMNS": "100"}
    started = process("train", "digits", stdout=theirs, stderr=theirs, env=terminal)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # how Linux tells the end
        pass
    os.close(ours)
    assert started.wait() == 0
    text = shown.decode()
    assert "\x1b[" in text and "epoch 100/100" in text and "examples/s" in text
    assert text.count("wrote ") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_ctrl_c_keeps_what_was_learned(folder):
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from fastgd.cli import main; main()"
    )
    options = ["--epochs", 10_000_000, "--out", "stopped.safetensors"]
    started = process("train", "digits", *options, python=("-u", "-c", program))
    assert started.stdout is not None
    for line in started.stdout:
        if line.startswith(b"epoch"):
            break
    time.sleep(0.5)
    started.send_signal(signal.SIGINT)
    code, _, err = finish(started)
    assert code == 130
    said = [line for line in err.splitlines() if "compiling" not in line]
    assert len(said) == 1 and "interrupted" in said[0] and "stopped.safetensors" in said[0]
    digits = data.split(data.load_digits())
    assert fastgd.load(folder / "stopped.safetensors").score(digits.X_test, digits.y_test) > 0.9


def test_a_reader_that_leaves_costs_no_model(folder):
    started = process("train", "digits")
    assert started.stdout is not None and started.stderr is not None
    started.stdout.readline()
    started.stdout.close()
    err = started.stderr.read().decode()
    started.stderr.close()
    assert started.wait() == 141 and "Traceback" not in err and "Broken" not in err
    assert (folder / "digits.safetensors").exists()


def test_help_needs_neither_numba_nor_rich():
    program = (
        "import sys\nfrom fastgd.cli import main\n"
        "try: main(['train', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('numba', 'rich', 'pandas', 'sklearn') if m in sys.modules])"
    )
    _, out, _ = finish(process(python=("-c", program)))
    assert out.endswith("[]\n")
