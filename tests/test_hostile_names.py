"""Names that would do something: to a terminal, to a spreadsheet, to a picture."""

from __future__ import annotations

import csv
import io
import json
import sys
import warnings

import numpy as np
import pytest
from click.testing import CliRunner

import fastgd
from fastgd.cli import main
from fastgd.cli.show import PICTURES
from fastgd.data import write_predictions
from fastgd.visible import as_cell

ESCAPE = "\x1b[2J\x1b]0;owned\x07"
COLUMNS = [f"{ESCAPE}first", "=cmd|' /C calc'!A0", r"$\frac{", "@sum\x9b1m", "\u202ereversed"]
LABELS = [f"{ESCAPE}cat", "=1+1", r"$\alpha", "+dog\x7f"]
TARGET = "$y$ \x1b[31m"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    with (place / "data\x1b[2J$.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, TARGET])
        for i in range(80):
            writer.writerow([*rng.normal(size=len(COLUMNS)).round(3) + i % 4, LABELS[i % 4]])
    return place


@pytest.fixture(scope="module")
def run(folder):
    def run(*args, code=0):
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("error")
            patch.chdir(folder)
            done = CliRunner().invoke(main, [str(arg) for arg in args])
        assert done.exit_code == code, done.output
        for text in (done.stdout, done.stderr):
            assert all(c.isprintable() or c == "\n" for c in text), repr(text)
            assert "Glyph" not in text
        return done.stdout

    return run


DATA = "data\x1b[2J$.csv"


@pytest.fixture(scope="module")
def model(folder, run):
    options = ["--epochs", 12, "--hidden", 4, "--seed", 1, "--out", "m.safetensors"]
    said = run("train", DATA, "--target", TARGET, *options)
    assert r"data\x1b[2J$.csv" in said and r"\x1b[2J" in said
    return "m.safetensors"


@pytest.mark.slow
def test_every_command(model, run, folder):
    for command in ("evaluate", "explain"):
        run(command, model, DATA)
    for command in ("evaluate", "predict", "explain"):
        run(command, model, DATA, "--json")
    run("explain", model, DATA, "--out", f"p{ESCAPE[:2]}")


def test_predictions_on_a_terminal(model, run, monkeypatch):
    monkeypatch.setattr("fastgd.cli.output.is_terminal", lambda stream: stream is sys.stdout)
    assert r"\x1b[2J" in run("predict", model, DATA)


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture(picture, model, run):
    done = CliRunner().invoke(main, ["show", picture, "--help"])
    takes = [model, DATA] if " [MODEL]" in done.output or " MODEL" in done.output else []
    with_data = takes or ([DATA] if "[DATA]" in done.output else [])
    try:
        run("show", picture, *with_data, "--out", f"{picture}.png")
    except AssertionError as error:
        # Some pictures are not for tables of classes, and say so in a line.
        assert "error:" in str(error) and "bug" not in str(error), error


def test_pictures_in_axes_of_others(model, folder):
    from matplotlib import pyplot

    network = fastgd.Network([5, 4, 4], output="softmax", loss="cross_entropy", seed=1)
    X, y = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 4
    figure, ax = pyplot.subplots()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastgd.plot.ConfusionDisplay.from_network(network, X, y, class_names=LABELS, ax=ax)
        figure.draw_without_rendering()
    words = [text.get_text() for text in ax.get_xticklabels()]
    assert r"$\alpha" in words and all(word.isprintable() for word in words)
    pyplot.close(figure)


@pytest.mark.parametrize("command", [["evaluate"], ["predict"], ["explain"]])
def test_errors_name_them_too(command, run, model, folder):
    (folder / "bad\x1b[1m.csv").write_text("a,b\x1b[2J\n1,2\n")
    run(*command, model, "bad\x1b[1m.csv", code=2)
    run(*command, model, "none\x1b[1m.csv", code=2)
    run(*command, "none\x1b[1m.safetensors", DATA, code=2)
    run("train", DATA, "--target", "\x1b[2J", code=2)


def test_notes_of_a_model(folder, run):
    net = fastgd.Network([5, 4, 4], output="softmax", loss="cross_entropy", seed=1)
    net.notes = {"task": "classification", "data": ESCAPE, "class_names": json.dumps(LABELS)}
    net.save(folder / "noted.safetensors")
    for command in ("evaluate", "predict"):
        CliRunner().invoke(main, [command, str(folder / "noted.safetensors"), str(folder / DATA)])
    run("show", "network", "noted.safetensors", DATA, code=2)


def test_predictions_begin_no_formula(model, run, folder):
    run("predict", model, DATA, "--out", "answers.csv")
    with (folder / "answers.csv").open(newline="", encoding="utf-8") as file:
        answers = [row[1] for row in csv.reader(file)]
    assert not any(answer.startswith(tuple("=+-@\t\r\n")) for answer in answers)
    assert any(answer.startswith(("'=", "'+")) for answer in answers)
    run("predict", model, DATA, "--outputs", "--out", "outputs.csv")
    header = (folder / "outputs.csv").read_text().splitlines()[0]
    assert "'=1+1" in header


@pytest.mark.parametrize("cell", ["=1", "+a", "-a", "@a", "\ta", "\na", "\\ra"])
def test_cells(cell, tmp_path):
    assert as_cell(cell) == f"'{cell}"
    write_predictions(tmp_path / "p.csv", "csv", np.array([0]), [cell])
    with (tmp_path / "p.csv").open(newline="") as file:
        assert list(csv.reader(file))[1] == ["1", f"'{cell}"]


@pytest.mark.parametrize("cell", ["-1.5", "+2", "-inf", "a=1", "", "a-b", -1.5, 3])
def test_cells_that_stay(cell):
    assert as_cell(cell) == cell


def test_history_as_csv(tmp_path):
    log = fastgd.CSVLog(tmp_path / "log.csv")
    log.on_train_begin(None)
    log.on_epoch_end(None, 0, {"=1+1": -1.5, "cost": 2.0})
    rows = list(csv.reader(io.StringIO((tmp_path / "log.csv").read_text())))
    assert rows == [["epoch", "'=1+1", "cost"], ["1", "-1.5", "2.0"]]


@pytest.mark.skipif(sys.platform == "win32", reason="no such names")
def test_a_path_in_what_python_raises(tmp_path):
    """It is spelled out, as on the command line: an error's text goes to a terminal, too."""
    path = tmp_path / "esc\x1b[31mname"
    net = fastgd.Network([2, 1], seed=0)
    path.write_bytes(b"no model")
    folder = path.with_name("\x1bfolder")
    folder.mkdir()
    for fails in (
        lambda: fastgd.load(path),
        lambda: fastgd.load(path.with_name("\x1bgone")),
        lambda: fastgd.data.load(path),
        lambda: net.save(folder),
        lambda: net.save(path.with_name("\x1bgone") / "model"),
    ):
        with pytest.raises((fastgd.DataError, OSError)) as caught:
            fails()
        assert str(caught.value).isprintable() and "\\x1b" in str(caught.value)
