"""Tables as they are: what each kind of column becomes, and what is told or refused."""

from __future__ import annotations

import gzip
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

import fastgd
from fastgd import data
from fastgd.tables import Columns, Target

RNG = np.random.default_rng(0)
N = 60


def a_frame() -> pd.DataFrame:
    """Return a column of each kind."""
    gaps = RNG.normal(size=N)
    gaps[[3, 7]] = np.nan
    frame = pd.DataFrame({"age": RNG.normal(size=N), "gaps": gaps})
    frame["color"] = ["red", "blue", "green"] * (N // 3)
    frame["paid"] = [True, False] * (N // 2)
    frame["when"] = pd.date_range("2023-12-01", periods=N).strftime("%Y-%m-%d")
    frame["row"] = np.arange(1, N + 1)
    frame["name"] = [f"name {i}" for i in range(N)]
    frame["same"] = 5
    frame["void"] = np.nan
    frame["city"] = ["A"] * 30 + ["B"] * 20 + [f"rare {i}" for i in range(10)]
    return frame


def test_each_kind_of_column():
    frame = a_frame()
    columns = Columns.of(frame)
    kinds = {column.name: column.kind for column in columns.columns}
    assert kinds["age"] == kinds["gaps"] == "number" and kinds["paid"] == "yes/no"
    assert kinds["when"] == "date" and kinds["color"] == kinds["city"] == "category"
    assert set(columns.dropped) == {"row", "name", "same", "void"}
    assert "constant (5)" in columns.dropped["same"] and "id" in columns.dropped["row"]
    X = columns.transform(frame)
    assert X.shape == (N, len(columns.names)) and X.flags.c_contiguous and np.isfinite(X).all()
    inputs = dict(zip(columns.names, X.T, strict=True))
    assert inputs["gaps"][3] == np.nanmedian(frame["gaps"]) and inputs["gaps is missing"][3] == 1
    assert inputs["gaps is missing"].sum() == 2
    np.testing.assert_array_equal(inputs["color=red"], frame["color"] == "red")
    np.testing.assert_array_equal(inputs["paid"], frame["paid"])
    stamps = pd.to_datetime(frame["when"])
    names = {"year": "year", "month": "month", "weekday": "day_of_week"}
    for part in names:
        np.testing.assert_array_equal(inputs[f"when: {part}"], getattr(stamps.dt, names[part]))
    assert "when: hour" not in inputs
    assert inputs["city=(other)"].sum() == 10
    assert X[:, columns.groups["city"]].sum() == N


def test_the_description_is_plain_json():
    columns = Columns.of(a_frame())
    again = Columns.from_json(json.dumps(json.loads(columns.to_json())))
    assert again == columns and again.names == columns.names
    for target in (Target(("a", "b")), Target(("c",), ("no", "yes")), Target(("c",), ("0",), True)):
        assert Target.from_json(target.to_json()) == target


def test_unseen_rows_are_told(refusal):
    frame = a_frame()
    columns = Columns.of(frame)
    new = frame.head(4).copy()[::-1][list(frame.columns[::-1])]
    new["color"] = ["red", "violet", "violet", None]
    new["city"] = "nowhere"
    new.loc[new.index[0], "age"] = np.nan
    X, notes = columns.encode(new)
    text = " | ".join(notes)
    assert "'color': 2 cells of categories never seen in training, such as violet" in text
    assert "'age': 1 empty cell filled by the training rows' median" in text
    assert X[:, columns.names.index("city=(other)")].tolist() == [1] * 4
    message = refusal(columns.transform, new.drop(columns=["age", "paid"]))
    assert "no input column 'age' (nor 'paid')" in message


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,250", "80", "1,000,000"], [1250, 80, 1000000]),
        (["1,5", "2,25", "3"], [1.5, 2.25, 3]),
        (["1.250,5", "80", "1.000"], [1250.5, 80, 1000]),
        (["1 250", "80", "3.5"], [1250, 80, 3.5]),
        (["\uff14", "5", "6"], [4, 5, 6]),
    ],
)
def test_numbers_in_every_spelling(cells, values):
    columns = Columns.of(pd.DataFrame({"x": cells}))
    assert columns.transform(pd.DataFrame({"x": cells})).ravel().tolist() == values


FRAME = pd.DataFrame({"a": [1.5, 2.5, 4.0], "b": ["x", "y", "x"], "y": [0.5, 1.5, 2.5]})


def test_files_of_every_kind(tmp_path):
    pytest.importorskip("pyarrow")
    pytest.importorskip("openpyxl")
    text = FRAME.to_csv(index=False)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", text)
    (tmp_path / "t.csv.zip").write_bytes((tmp_path / "t.zip").read_bytes())
    (tmp_path / "semi.csv").write_text(FRAME.to_csv(index=False, sep=";", decimal=","))
    (tmp_path / "bars.txt").write_text(FRAME.to_csv(index=False, sep="|"))
    (tmp_path / "utf16.csv").write_bytes(text.encode("utf-16"))
    FRAME.to_parquet(tmp_path / "t.parquet")
    FRAME.to_feather(tmp_path / "t.feather")
    FRAME.to_excel(tmp_path / "t.xlsx", index=False)
    names = "t.csv.gz t.csv.zip semi.csv bars.txt utf16.csv t.parquet t.feather t.xlsx"
    for name in names.split():
        read = data.load(tmp_path / name, target="y")
        assert read.X.tolist() == [[1.5, 1, 0], [2.5, 0, 1], [4, 1, 0]], name
        assert read.y.tolist() == [0.5, 1.5, 2.5], name


def test_frames():
    polars = pytest.importorskip("polars")
    expected = fastgd.Table.read(FRAME, target="y").divide()
    frames = [polars.from_dict(FRAME.to_dict("list")), FRAME.to_dict("list")]
    frames += [FRAME.convert_dtypes(), FRAME.astype({"b": "category"})]
    for frame in frames:
        found = fastgd.Table.read(frame, target="y").divide()
        np.testing.assert_array_equal(found.X, expected.X)
        assert found.feature_names == expected.feature_names


def test_rows_held_out_are_those_of_split():
    frame = a_frame()
    table = fastgd.Table.read(frame, target="color")
    divided = table.divide(0.25, seed=3)
    whole = table.dataset(divided.columns, divided.target)
    again = data.split(whole, 0.25, 3)
    np.testing.assert_array_equal(divided.X, again.X)
    np.testing.assert_array_equal(divided.y_test, again.y_test)


def test_rows_without_a_target_are_left_out(save):
    path = save("a,y\n1,0.5\n2,\n3,1.5\n")
    table = fastgd.Table.read(path, target="y")
    assert len(table) == 2 and table.notes == ["1 row has no y, and is left out"]


NINETY = "".join(f"{i / 7:.3f},{i % 2}\n" for i in range(40))
BAD = {
    "a stray word": (f"a,y\n{NINETY}x4,1\n", "line 42, column 'a': 'x4' is not a number"),
    "same name twice": ("a,b,a,y\n1,2,3,0\n", "line 1: columns 1 and 3 are both 'a'"),
    "a header missing": ("5.1,red\n4.0,red\n3.0,blue\n", "line 1: 5.1, red are values"),
    "mixed encodings": (b"a,y\n\xc3\xa9,1\n\xe9,0\n", "line 3: byte 0xe9 is not UTF-8"),
    "infinite target": ("a,y\n1,0.5\n2,inf\n", "line 3, column 'y': the number is infinite"),
    "cut short": ("a,b,y\n1,2,0\n3,4\n", "line 3: 2 cells where the header names 3"),
    "an open quote": ('a,b,y\n1,"x,0\n2,y,1\n3,"z,0\n', "line 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_with_their_line(save, case, refusal):
    content, says = BAD[case]
    target = "red" if case == "a header missing" else "y"
    assert says in refusal(data.load, save(content), target=target)


def test_what_is_accepted_is_told(save):
    path = save("a,b,y\n" + "1,inf,0.5\n2,3,1.5\n" * 3)
    read = data.load(path, target="y")
    done = {column.name: column.done for column in read.columns.columns}
    assert "3 of them infinite" in done["b"]
    changing = save("a,y\n" + "1,0.5\n" * 10 + "x,1.5\n" * 10)
    read = data.load(changing, target="y")
    assert "numbers among words are taken as words" in read.columns.columns[0].done
    latin = data.load(save(b"a,y\ncaf\xe9,0\nthe,1\n"), target="y")
    assert latin.feature_names[0] == "a=caf\xe9" and "Windows-1252" in latin.notes[0]
    nameless = data.load(save(",a,y\n9,1,2\n4,1,3\n"), target="y")
    assert any("has no name" in note for note in nameless.notes)
    once = fastgd.Table.read({"a": [1, 2, 3, 4], "y": ["u", "u", "u", "v"]}, target="y").divide()
    assert "class v has one row only, which is trained on" in once.notes


def test_memory_stays_near_the_size_of_the_inputs():
    import tracemalloc

    frame = pd.DataFrame({f"x{i}": RNG.normal(size=100_000) for i in range(20)})
    columns = Columns.of(frame)
    tracemalloc.start()
    X = columns.transform(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * X.nbytes
