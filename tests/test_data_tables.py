"""Tables: good ones in every spelling, and what is said of bad ones."""

from __future__ import annotations

import csv
import gzip
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES

import fastgd.data as data
from fastgd.tables.cells import numbers_of

PIXELS = [f"pixel{i}" for i in range(784)]


def assert_same(one: data.Dataset, other: data.Dataset) -> None:
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.y, other.y)
    assert one.class_names == other.class_names and one.X.dtype == other.X.dtype


# ------------------------------------------------------------------------------- tables


def test_csv_of_classes(save):
    table = data.load(save("a,b,kind\n1,2.5,0\n-3,4e-1,2\n5,6,1\n"), target="kind")
    np.testing.assert_array_equal(table.X, [[1, 2.5], [-3, 0.4], [5, 6]])
    assert table.X.dtype == np.float64 and table.X.flags.c_contiguous
    assert table.y.tolist() == [0, 2, 1] and table.y.dtype == np.int64
    assert (table.kind, table.input_scale, table.image_shape) == ("csv", 1.0, None)
    assert table.feature_names == ("a", "b") and table.class_names is None
    assert table.name == "data.csv" and table.n_classes == 3


@pytest.mark.parametrize("position", [0, 1, 2])
def test_target_may_be_any_column(save, position):
    columns = [["a", "1", "2"], ["b", "3", "4"]]
    columns.insert(position, ["t", "0.5", "1.5"])
    table = data.load(save("\n".join(map(",".join, zip(*columns, strict=True)))), target="t")
    np.testing.assert_array_equal(table.X, [[1, 3], [2, 4]])
    np.testing.assert_array_equal(table.y, [0.5, 1.5])
    assert table.feature_names == ("a", "b") and not table.is_classification
    assert table.n_classes is None


@pytest.mark.parametrize("name", ["target", "label", "class", "y", "Label"])
def test_target_column_known_by_its_name(save, name):
    assert data.load(save(f"a,{name}\n5,1\n6,0\n")).y.tolist() == [1, 0]


def test_two_usual_target_names_must_be_told_apart(save, refusal):
    path = save("x,y,label\n1,2,0\n3,4,1\n")
    assert "(--target), as y and label could each be it" in refusal(data.load, path)
    assert data.load(path, target="label").feature_names == ("x", "y")


def test_target_must_be_named(save, refusal):
    message = refusal(data.load, save("a,b\n1,2\n"))
    assert "name the target column" in message and "columns are a, b" in message


def test_unknown_target_names_the_nearest(save, refusal):
    path = save("length,weight,species\n1,2,0\n")
    message = refusal(data.load, path, target="specie")
    assert "no target column 'specie'; did you mean 'species'?" in message
    assert "columns are length, weight, species" in message
    many = save(",".join(f"c{i}" for i in range(50)) + "\n1" + ",2" * 49 + "\n")
    assert "c9, ... (50 in all)" in refusal(data.load, many, target="zzz")


def test_labels_of_words_are_sorted(save):
    table = data.load(save('a,class\n1,setosa\n2, iris x\n3,setosa\n4,"b,c"\n'))
    assert table.class_names == ("b,c", "iris x", "setosa")
    assert table.y.tolist() == [2, 1, 2, 0] and table.n_classes == 3


def test_whole_numbers_that_do_not_start_at_zero_get_names(save):
    table = data.load(save("a,y\n1,3\n2,1\n3,3.0\n4,-1\n"))
    assert table.class_names == ("-1", "1", "3") and table.y.tolist() == [2, 1, 2, 0]


def test_what_is_a_class(save, refusal):
    def kind(values, **kwargs):
        text = "a,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values))
        return data.load(save(text), **kwargs)

    assert kind(range(20)).n_classes == 20
    assert not kind(range(21)).is_classification
    assert kind([*range(47)] * 2).n_classes == 47  # 0..k-1, twice each
    assert not kind([*range(1900, 1947)] * 2).is_classification  # years
    assert not kind([0, 1, 1.5]).is_classification
    assert kind(range(1, 61), task="classification").class_names[-1] == "60"
    forced = kind([0, 1, 1], task="regression")
    assert forced.y.dtype == np.float64 and not forced.is_classification
    assert "0.5 is no class" in refusal(kind, [0, 0.5], task="classification")
    with pytest.raises(ValueError, match=r"task must be one of .*did you mean 'regression'"):
        kind([0, 1], task="regresion")


def test_words_among_numbers(save, refusal):
    path = save("a,y\n1,2\n2,cat\n3,2.0\n")
    message = refusal(data.load, path)
    assert "line 3, column 'y': 'cat' is not a number; task='classification'" in message
    both = data.load(path, task="classification")
    assert both.class_names == ("2", "2.0", "cat")  # as text, once there are words
    message = refusal(data.load, save("a,y\n1,cat\n2,7\n"))
    assert "line 3, column 'y': '7' is a number among words" in message


def test_a_column_of_names_is_no_target(save, refusal):
    path = save("a,y\n" + "".join(f"{i},name{i}\n" for i in range(30)))
    assert "30 different words in 30 rows look like names" in refusal(data.load, path)
    assert data.load(path, task="classification").n_classes == 30


def test_given_class_names(save, refusal):
    names = ("a", "b", "c")
    assert data.load(save("x,y\n1,c\n2, a\n"), class_names=names).y.tolist() == [2, 0]
    numbers = data.load(save("x,y\n1,2\n2,2.0\n"), class_names=("0", "1", "2"))
    assert numbers.y.tolist() == [2, 2] and numbers.n_classes == 3
    message = refusal(data.load, save("x,y\n1,c\n\n2,d\n"), class_names=names)
    assert "line 4, column 'y': 'd' is not one of the classes a, b, c" in message


def test_given_feature_names(save, refusal):
    path = save("id,b,y,a\nk1,1,0,2\nk2,3,1,4\n")
    table = data.load(path, feature_names=("a", "b"))
    assert table.X.tolist() == [[2, 1], [4, 3]] and table.y.tolist() == [0, 1]
    swapped = data.load(path, feature_names=("a", "y"), need_target=False)
    assert swapped.X.tolist() == [[2, 0], [4, 1]]
    message = refusal(data.load, path, feature_names=("a", "bb"))
    assert "no input column 'bb'; did you mean 'b'?" in message
    assert "'y' is input and target" in refusal(
        data.load, path, target="y", feature_names=("a", "y")
    )
    with pytest.raises(ValueError, match="twice"):
        data.load(path, feature_names=("a", "a"))


def test_a_table_to_predict(save, refusal):
    path = save("a,b\n1,2\n")
    assert data.load(path, need_target=False).X.tolist() == [[1, 2]]
    assert data.load(path, target="t", need_target=False).y is None
    for header in ("a,b,t", "t,a,b"):
        row = "1,2,?" if header.endswith("t") else ",1,2"
        table = data.load_csv(save(f"{header}\n{row}\n"), target="t", need_target=False)
        assert table.X.tolist() == [[1, 2]] and table.y is None
    assert "no column is left" in refusal(data.load, save("y\n1\n"), need_target=False)


def kaggle_text(rows: np.ndarray, labels=None, names=PIXELS) -> str:
    header = ([] if labels is None else ["label"]) + list(names)
    body = rows if labels is None else np.column_stack([labels, rows])
    return "\n".join([",".join(header), *(",".join(map(str, row)) for row in body.tolist())])


def test_kaggle(save, refusal):
    rows = np.random.default_rng(0).integers(0, 256, (6, 784))
    train = data.load(save(kaggle_text(rows, [1, 0, 1, 4, 0, 7])))
    assert train.kind == "kaggle" and train.X.dtype == np.uint8 and train.X.flags.c_contiguous
    np.testing.assert_array_equal(train.X, rows)
    assert train.y.tolist() == [1, 0, 1, 4, 0, 7] and train.y.dtype == np.int64
    assert (train.input_scale, train.image_shape) == (1 / 255, (28, 28))
    assert train.n_classes == 10 and train.class_names is None  # ten digits, whatever is seen
    test = save(kaggle_text(rows))
    assert "no column 'label'" in refusal(data.load, test)
    test = data.load(test, need_target=False)
    assert test.kind == "kaggle" and test.y is None
    np.testing.assert_array_equal(test.X, rows)
    unlabelled = data.load(save(kaggle_text(rows, [""] * 6)), need_target=False)
    np.testing.assert_array_equal(unlabelled.X, rows)


def test_kaggle_pixels_counted_from_one_or_written_as_floats(save):
    rows = np.arange(784).reshape(1, 784) % 256
    names = [f"pixel{i}" for i in range(1, 785)]
    fashion = data.load(save(kaggle_text(rows, [9], names)))
    assert fashion.kind == "kaggle"
    np.testing.assert_array_equal(fashion.X, rows)
    floats = data.load(save(kaggle_text(rows.astype(float), [9.0])))
    assert floats.X.dtype == np.uint8 and floats.y.tolist() == [9]
    np.testing.assert_array_equal(floats.X, rows)


@pytest.mark.parametrize("cell", ["256", "-1", "0.5", "nan", "x", ""])
def test_kaggle_pixels_must_be_bytes(save, cell, refusal):
    text = kaggle_text(np.zeros((2, 784), int), [1, 2])
    message = refusal(data.load, save(text[:-1] + cell))
    assert "line 3, column 'pixel783': " in message
    assert ("empty" if cell == "" else f"{cell!r} is not a whole number from 0 to 255") in message


def test_one_pixel_fewer_is_an_ordinary_table(save):
    assert data.load(save(kaggle_text(np.zeros((2, 783), int), [1, 0], PIXELS[:-1]))).kind == "csv"


PLAIN = "a,b,y\n1,2,0\n3,4,1\n"
SPELLINGS = {
    "crlf": PLAIN.replace("\n", "\r\n"),
    "cr": PLAIN.replace("\n", "\r"),
    "bom": "\ufeff" + PLAIN,
    "no last newline": PLAIN.rstrip(),
    "trailing blank lines": PLAIN + "\n\r\n\n",
    "lines of spaces": PLAIN + "   \n",
    "blank lines within": "\n" + PLAIN.replace("\n", "\n\n"),
    "quoted": '"a","b","y"\n"1","2","0"\n"3","4","1"\n',
    "spaces": "a, b , y\n1, 2 ,0\n 3,4, 1\n",
    "signs": "a,b,y\n+1,2.,0e0\n3e0,.4E+1,1\n",
    "full-width digits": PLAIN.replace("4", "\uff14"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_one_table(save, spelling):
    table = data.load(save(SPELLINGS[spelling]))
    assert table.X.tolist() == [[1, 2], [3, 4]] and table.y.tolist() == [0, 1]
    assert table.feature_names == ("a", "b")


@pytest.mark.parametrize("name", ["t.csv.gz", "t.tsv", "t.TSV.GZ", "T.CSV"])
def test_suffixes(save, name):
    text = PLAIN.replace(",", "\t") if "tsv" in name.lower() else PLAIN
    content = gzip.compress(text.encode()) if name.lower().endswith("gz") else text
    assert data.load(save(content, name)).X.tolist() == [[1, 2], [3, 4]]


BAD_TABLES = {
    "empty file": ("", "data.csv: the file is empty"),
    "blank file": ("\n \n", "data.csv: the file is empty"),
    "header only": ("a,y\n\n", "data.csv: has column names but no rows"),
    "no header": ("1,2,0\n3,4,1\n", "line 1: holds numbers; the first line must name"),
    "short row": ("a,b,y\n1,2,0\n3,4\n", "line 3: 2 cells where the header names 3 columns"),
    "long row": ("a,b,y\n1,2,0,7\n", "line 2: 4 cells where the header names 3 columns"),
    "all rows long": ("a,y\n1,2,0\n1,2,0\n", "line 2: 3 cells where the header names 2"),
    "same name twice": ("a,b,a ,y\n1,2,3,0\n", "line 1: columns 1 and 3 are both 'a'"),
    "open quote": ('a,y\n1,"cat\n2,dog\n', "line 2: a quote is left open"),
    "quote left open": ('a,y\n1,"cat\n2,dog\n3,"cat"\n', "line 2: "),
    "header left open": ('a,"y\n1,0\n', "line 1: a quote is left open"),
    "header over lines": ('a,"b\nb"\n1,0\n', "columns are a, 'b\\nb'"),
    "text after a quote": ('a,y\n"2"3,0\n', "line 2: ',' expected after '\"'"),
    "quoted comma": ('a,b,y\n"1,2",0\n', "line 2: 2 cells where the header names 3"),
    "label of two lines": ('a,y\n1,"cat\ndog"\n', "line 2, column 'y': 'cat\\ndog' runs over"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_table(save, case, refusal):
    content, says = BAD_TABLES[case]
    message = refusal(data.load, save(content))
    assert says in message and "data.csv" in message, message


def test_a_bad_byte_far_into_the_file(save, refusal):
    good = "é,0\n".encode() * 20_000
    assert "line 20002: byte 0xe9" in refusal(data.load, save(b"a,y\n" + good + b"\xe9,1\n"))


def test_truncated_gzip_table(save, refusal):
    content = gzip.compress(("a,y\n" + "1,0\n" * 5000).encode())
    assert "corrupt or truncated gzip" in refusal(data.load, save(content[:-20], "t.csv.gz"))


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LABEL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


def is_label(text: str) -> bool:
    if text in STR_NA_VALUES:  # words for an empty cell
        return False
    try:
        float(text)
    except ValueError:
        number = np.isfinite(numbers_of([text]).values[0])  # such as 1,5
        return text.strip() == text != "" and not number and text not in STR_NA_VALUES
    return False


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, LABEL.filter(is_label)), min_size=1, max_size=15),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n"]),
)
@pytest.mark.slow
def test_what_the_csv_module_writes_is_read_back(tmp_path, rows, quoting, end):
    rows = [*rows, (0.5, 0.25, "z"), (0.25, 0.5, "z")]  # constant columns would be left out
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator=end)
    writer.writerows([("u", "v", "y"), *rows])
    path = tmp_path / "round.csv"
    path.write_bytes(text.getvalue().encode())
    table = data.load(path)
    np.testing.assert_allclose(table.X, [[u, v] for u, v, _ in rows], rtol=1e-15)
    assert [table.class_names[c] for c in table.y] == [label for *_, label in rows]
