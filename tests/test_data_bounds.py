"""Data that would take all memory, all time, or wait for ever: refused by name."""

from __future__ import annotations

import gzip
import io
import os
import socket
import struct
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import fastgd
from fastgd import data
from fastgd.cli import main
from fastgd.errors import DataError, ModelFileError, SettingError

NAMES = ["a.csv", "a.tsv", "a.csv.gz", "a.csv.zip", "a.npz", "a.parquet", "a.feather", "a.xlsx"]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no such files")


def make(kind, path):
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as there:
            there.bind(str(path))
    else:
        path.symlink_to("/dev/zero")


@POSIX
@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a device"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file(kind, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    make(kind, path if kind != "a socket" else name)
    with pytest.raises(DataError, match=f"{name}: is {kind}"):
        data.load(path, target=None if name == "a.npz" else "y")
    if name != "a.npz":
        for read in (fastgd.Table.read, fastgd.train):
            with pytest.raises(DataError, match=f"{name}: is {kind}"):
                read(path, "y")
    done = CliRunner().invoke(main, ["train", name])
    assert done.exit_code == 2 and f"{name}: is {kind}" in done.stderr


@POSIX
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"])
def test_a_pipe_in_a_folder_of_images(name, tmp_path):
    os.mkfifo(tmp_path / name)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(DataError, match=f"{name}: is a pipe"):
        data.load(tmp_path)


@POSIX
def test_a_pipe_as_a_model(tmp_path):
    os.mkfifo(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="is a pipe; name a model file"):
        fastgd.load(tmp_path / "m.safetensors")


# ------------------------------------------------------------------------------------------ growth

ROWS = b"a,b,y\n" + b"1,2,0\n3,4,1\n" * 5000


def zipped(method=zipfile.ZIP_DEFLATED, content=ROWS, name="a.csv"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def packed(kind):
    file = io.BytesIO()
    frame = pd.DataFrame({"a": np.arange(5000) % 3, "y": np.arange(5000) % 2})
    if kind == "a.npz":
        np.savez_compressed(file, X=np.zeros((5000, 4)), y=np.arange(5000) % 2)
    elif kind == "a.parquet":
        frame.to_parquet(file)
    elif kind == "a.xlsx":
        frame[:500].to_excel(file, index=False)
    else:
        return gzip.compress(ROWS) if kind == "a.csv.gz" else zipped()
    return file.getvalue()


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zip", "a.npz", "a.parquet", "a.xlsx"])
def test_a_bound(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(packed(name))
    with pytest.raises(DataError, match=f"{name}: unpacks to more than 4,000 bytes.*--max-bytes"):
        data.load(path, max_bytes=4000)
    assert len(data.load(path, max_bytes=1_000_000).X) >= 500
    assert len(data.load(path).X) >= 500
    done = CliRunner().invoke(main, ["train", str(path), "--max-bytes", "4000"])
    assert done.exit_code == 2 and "--max-bytes" in done.stderr
    if name != "a.npz":
        with pytest.raises(DataError, match="--max-bytes"):
            fastgd.Table.read(path, max_bytes=4000)


def test_a_bound_for_a_model(tmp_path):
    path, out = tmp_path / "a.csv.gz", tmp_path / "m.safetensors"
    path.write_bytes(packed("a.csv.gz"))
    run = CliRunner().invoke
    assert run(main, ["train", str(path), "--epochs", "1", "--out", str(out)]).exit_code == 0
    for command in ("evaluate", "predict", "explain"):
        done = run(main, [command, str(out), str(path), "--max-bytes", "99"])
        assert done.exit_code == 2 and "more than 99 bytes" in done.stderr
    done = run(main, ["show", "confusion", str(out), str(path), "--max-bytes", "99"])
    assert done.exit_code == 2 and "more than 99 bytes" in done.stderr


@pytest.mark.parametrize("bad", [0, -1, 1.5, "9", True])
def test_no_bound(bad, tmp_path):
    (tmp_path / "a.csv").write_bytes(ROWS)
    for read in (data.load, fastgd.Table.read):
        with pytest.raises((SettingError, TypeError), match="max_bytes must be an integer"):
            read(tmp_path / "a.csv", max_bytes=bad)


def test_images_that_grow(tmp_path):
    images = struct.pack(">4I", 2051, 1000, 10, 10) + bytes(100_000)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    labels = struct.pack(">2I", 2049, 1000) + bytes(1000)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    assert len(data.load(tmp_path).X) == 1000
    with pytest.raises(DataError, match="more than 50,000 bytes"):
        data.load(tmp_path, max_bytes=50_000)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_without_a_bound(method, tmp_path):
    (tmp_path / "a.csv.zip").write_bytes(zipped(method))
    with pytest.raises(DataError, match=f"a.csv is packed by method {method}"):
        data.load(tmp_path / "a.csv.zip", target="y")


def member(content, flag=0, method=zipfile.ZIP_STORED):
    """Return an NPZ with X of some bytes, its flags and method patched."""
    whole = bytearray(zipped(zipfile.ZIP_STORED, content, "X.npy"))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = whole.index(mark) + at
        whole[start : start + 4] = struct.pack("<HH", flag, method)
    return bytes(whole)


def npy(header, body=b""):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n"
BROKEN = {
    "unclosed": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3"),
    "no Python": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2L, \x00"),
    "huge": npy(HEADER.replace("(2, 3)", f"({1 << 40}, 1000)"), bytes(48)),
    "negative": npy(HEADER.replace("(2, 3)", "(-2, -3)"), bytes(48)),
    "short": npy(HEADER, bytes(40)),
    "long": npy(HEADER, bytes(56)),
    "objects": npy(HEADER.replace("<f8", "|O"), b"cos\nsystem\n(S'exit'\ntR."),
    "deep": npy("(" * 5000),
    "no array": b"hello",
    "newer": b"\x93NUMPY\x09\x00" + bytes(20),
    "dtype": npy(HEADER.replace("'<f8'", "[('a', '<f8', (1000000000,))]"), bytes(48)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_arrays(case, tmp_path):
    (tmp_path / "a.npz").write_bytes(member(BROKEN[case]))
    said = "X is damaged: .*bytes" if case in ("huge", "negative", "short", "long") else ""
    with pytest.raises(DataError, match=rf"a\.npz: {said}"):
        data.load(tmp_path / "a.npz")
    done = CliRunner().invoke(main, ["train", str(tmp_path / "a.npz")])
    assert done.exit_code == 2 and "bug" not in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("flag", "method", "said"),
    [(1, 0, "is encrypted; unpack"), (0, 99, "method 99"), (0, 14, "method 14"),
     (0, 12, "method 12"), (0, 8, "corrupt")],
)  # fmt: skip
def test_odd_members(flag, method, said, tmp_path):
    (tmp_path / "a.npz").write_bytes(member(npy(HEADER, bytes(48)), flag, method))
    with pytest.raises(DataError, match=said):
        data.load(tmp_path / "a.npz")


def test_an_archive_without_members(tmp_path):
    zipfile.ZipFile(tmp_path / "a.csv.zip", "w").close()
    with pytest.raises(DataError, match="holds 0 files; expected one table"):
        data.load(tmp_path / "a.csv.zip")


# ------------------------------------------------------------------------------- lines and classes


@pytest.mark.parametrize(
    "text", [b"a" * (1 << 25), b"a,y\n1," + b"2" * (1 << 25), b"," * (1 << 23)]
)
def test_long_lines(text, tmp_path):
    (tmp_path / "a.csv").write_bytes(text)
    with pytest.raises(DataError, match=r"line of more than 16,777,216 bytes|names 8,388,609 col"):
        data.load(tmp_path / "a.csv", target="y")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text, 1))
    with pytest.raises(DataError, match=r"line of more than 16,777,216 bytes|names 8,388,609 col"):
        data.load(tmp_path / "a.csv.gz", target="y")


@pytest.mark.parametrize("label", ["{}", "name{}"])
def test_many_classes(label, tmp_path):
    lines = ["a,y", *(f"{i},{label.format(i // 2)}" for i in range(4000))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    done = CliRunner().invoke(main, ["train", str(tmp_path / "a.csv")])
    assert done.exit_code == 2 and "2,000 different values in 4,000 rows" in done.stderr
    with pytest.raises(DataError, match="many for classes"):
        fastgd.train(tmp_path / "a.csv", "y")
    asked = data.load(tmp_path / "a.csv", task="classification")
    assert asked.n_classes == 2000
    np.savez(tmp_path / "a.npz", X=np.zeros((4000, 1)), y=np.arange(4000) // 2)
    with pytest.raises(DataError, match="many for classes"):
        data.load(tmp_path / "a.npz")


def test_dates_far_away(tmp_path):
    lines = ["when,y", *(f"{2020 + 11 * i}-03-04,{i % 2}" for i in range(60))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert data.load(tmp_path / "a.csv").X.shape[0] == 60
