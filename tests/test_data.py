"""Digits, IDX files and archives, good and bad; splits and predictions."""

from __future__ import annotations

import gzip
import os
import struct
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import fastgd.data as data

# ------------------------------------------------------------------------------- digits


def test_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_digits(return_X_y=True)
    digits = data.load("digits")
    np.testing.assert_array_equal(digits.X, X)
    np.testing.assert_array_equal(digits.y, y)


def test_digits():
    digits = data.load_digits()
    assert digits.X.shape == (1797, 64) and digits.X.dtype == np.uint8
    assert digits.y.dtype == np.int64 and digits.X.sum() == 561718 and digits.y.sum() == 8070
    assert (digits.X.min(), digits.X.max(), digits.input_scale) == (0, 16, 1 / 16)
    assert (digits.kind, digits.name, digits.image_shape) == ("digits", "digits", (8, 8))
    assert (digits.n_features, digits.n_classes, digits.is_classification) == (64, 10, True)
    assert digits.X_test is None and digits.y_test is None
    assert digits.feature_names is None and digits.class_names is None


def test_digits_without_target_or_with_given_names():
    assert data.load("digits", need_target=False).y is None
    reversed_names = [str(i) for i in range(9, -1, -1)]
    y = data.load("digits", class_names=reversed_names).y
    np.testing.assert_array_equal(y, 9 - data.load_digits().y)


def test_the_licence_lies_beside_the_digits():
    note = (Path(data.__file__).parent / "digits.txt").read_text(encoding="utf-8")
    assert "10.24432/C50P49" in note and "CC BY 4.0" in note and "Alpaydin" in note


# ------------------------------------------------------------------------------- IDX


def idx_bytes(array: np.ndarray, magic: int | None = None) -> bytes:
    array = np.asarray(array, np.uint8)
    magic = 0x800 + array.ndim if magic is None else magic
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(1).integers(0, 256, (5, 4, 3))
LABELS = np.array([3, 0, 9, 1, 3])


@pytest.fixture
def mnist_like(tmp_path):
    """A small folder of IDX files; keywords replace the bytes of one of them."""

    def write(dash="-", ending="", **replaced: bytes | None) -> Path:
        contents = {
            "train_images": idx_bytes(IMAGES),
            "train_labels": idx_bytes(LABELS),
            "t10k_images": idx_bytes(IMAGES[:2]),
            "t10k_labels": idx_bytes(LABELS[:2]),
        } | replaced
        for key, content in contents.items():
            part, what = key.split("_")
            dimensions = "idx3" if what == "images" else "idx1"
            if content is not None:
                path = tmp_path / f"{part}-{what}{dash}{dimensions}-ubyte{ending}"
                path.write_bytes(gzip.compress(content) if ending else content)
        return tmp_path

    return write


@pytest.mark.parametrize("dash", "-.")
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_in_every_spelling(mnist_like, dash, ending):
    mnist = data.load(mnist_like(dash, ending))
    np.testing.assert_array_equal(mnist.X, IMAGES.reshape(5, 12))
    np.testing.assert_array_equal(mnist.X_test, IMAGES[:2].reshape(2, 12))
    np.testing.assert_array_equal(mnist.y, LABELS)
    np.testing.assert_array_equal(mnist.y_test, LABELS[:2])
    assert mnist.X.dtype == np.uint8 and mnist.y.dtype == np.int64
    assert (mnist.kind, mnist.image_shape, mnist.input_scale) == ("idx", (4, 3), 1 / 255)
    assert mnist.n_classes == 10 and mnist.class_names is None


def test_idx_of_real_mnist(mnist_folder):
    mnist = data.load(mnist_folder)
    assert mnist.X.shape == (60000, 784) and mnist.X_test.shape == (10000, 784)
    assert mnist.X.dtype == np.uint8 and mnist.image_shape == (28, 28)
    t10k = struct.pack(">4I", 2051, 10000, 28, 28) + mnist.X_test.tobytes()
    assert sha256(t10k).hexdigest().startswith("0fa7898d509279e4")
    labels = struct.pack(">2I", 2049, 60000) + mnist.y.astype(np.uint8).tobytes()
    assert sha256(labels).hexdigest().startswith("65a50cbbf4e906d7")
    assert np.bincount(mnist.y_test).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip


def test_idx_with_one_part_only(mnist_like):
    mnist = data.load_idx(mnist_like(train_images=None, train_labels=None))
    assert mnist.X.shape == (2, 12) and mnist.y.tolist() == [3, 0] and mnist.X_test is None


def test_idx_without_labels_where_none_are_needed(mnist_like):
    folder = mnist_like(train_labels=None, t10k_labels=None)
    mnist = data.load(folder, need_target=False)
    assert mnist.y is None and mnist.y_test is None and len(mnist.X_test) == 2
    assert mnist.n_classes is None and not mnist.is_classification


def test_idx_unpacked_under_its_gz_name(mnist_like):
    folder = mnist_like(train_images=None)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(idx_bytes(IMAGES))
    np.testing.assert_array_equal(data.load(folder).X, IMAGES.reshape(5, 12))


BAD_IDX = {
    "truncated": (
        {"train_images": idx_bytes(IMAGES)[:-7]},
        ["train-images-idx3-ubyte: truncated", "expected 60 bytes", "5 x 4 x 3", "found 53"],
    ),
    "truncated header": (
        {"train_images": b"\0\0\x08\x03\0\0"},
        ["train-images-idx3-ubyte: truncated", "16 bytes, found 6"],
    ),
    "empty": ({"train_labels": b""}, ["train-labels-idx1-ubyte: truncated", "found 0"]),
    "too long": (
        {"t10k_labels": idx_bytes(LABELS[:2]) + b"abc"},
        ["t10k-labels-idx1-ubyte: too long", "expected 2 bytes", "found 5"],
    ),
    "labels as images": (
        {"train_images": idx_bytes(LABELS) + bytes(20)},
        ["train-images-idx3-ubyte", "magic number 2051, found 2049"],
    ),
    "floats": (
        {"train_images": idx_bytes(IMAGES, magic=0xD03)},
        ["magic number 2051, found 3331"],
    ),
    "huge": (
        {"train_images": struct.pack(">4I", 2051, *[2**32 - 1] * 3) + b"x"},
        ["train-images-idx3-ubyte: truncated", "found 1"],
    ),
    "no images": (
        {"train_images": idx_bytes(np.zeros((0, 28, 28)))},
        ["holds no images", "0 x 28 x 28"],
    ),
    "counts": (
        {"train_labels": idx_bytes(LABELS[:4])},
        ["train-labels-idx1-ubyte: 4 labels for the 5 images of train-images-idx3-ubyte"],
    ),
    "sizes": (
        {"t10k_images": idx_bytes(IMAGES[:2, :3])},
        ["training images are 4 x 3 pixels, test images 3 x 3"],
    ),
    "no label file": (
        {"train_labels": None},
        ["has train-images-idx3-ubyte but no train-labels-idx1-ubyte[.gz]"],
    ),
    "no image file": (
        {"t10k_images": None},
        ["has t10k-labels-idx1-ubyte but no t10k-images-idx3-ubyte[.gz]"],
    ),
    "nothing": (
        dict.fromkeys(["train_images", "train_labels", "t10k_images", "t10k_labels"]),
        ["holds no MNIST IDX files", "train-images-idx3-ubyte"],
    ),
}


@pytest.mark.parametrize("case", BAD_IDX)
def test_bad_idx(mnist_like, case, refusal):
    replaced, says = BAD_IDX[case]
    message = refusal(data.load, mnist_like(**replaced))
    assert all(part in message for part in says), message


@pytest.mark.parametrize("damage", [lambda z: z[:-9], lambda z: z[:30] + b"\xff" * 9 + z[39:]])
def test_corrupt_gzip(mnist_like, damage, refusal):
    folder = mnist_like(ending=".gz")
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    assert "train-images-idx3-ubyte.gz: corrupt or truncated gzip" in refusal(data.load, folder)


def test_idx_wants_a_folder(mnist_like, refusal):
    folder = mnist_like()
    assert "give the folder" in refusal(data.load_idx, folder / "train-images-idx3-ubyte")
    assert "give the folder" in refusal(data.load, folder / "train-images-idx3-ubyte")
    assert "no such file or folder" in refusal(data.load_idx, folder / "nowhere")


# ------------------------------------------------------------------------------- npz


@pytest.fixture
def archive(tmp_path):
    def archive(**arrays) -> Path:
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return path

    return archive


def test_npz(archive):
    X = np.arange(12, dtype=np.float32).reshape(4, 3)
    path = archive(
        X=X, y=np.array([0, 2, 1, 2]), X_test=X[:1], y_test=np.array([1]), input_scale=0.5, other=1
    )
    table = data.load(path)
    np.testing.assert_array_equal(table.X, X)
    np.testing.assert_array_equal(table.X_test, X[:1])
    assert table.X.dtype == np.float32 and table.y.dtype == np.int64
    assert table.y.tolist() == [0, 2, 1, 2] and table.y_test.tolist() == [1]
    assert (table.input_scale, table.kind, table.name) == (0.5, "npz", "data.npz")
    assert table.n_classes == 3


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32", "float64"])
def test_npz_keeps_the_stored_type(archive, dtype):
    assert data.load(archive(X=np.ones((2, 2), dtype), y=[0, 1])).X.dtype == dtype


def test_npz_in_other_orders_of_memory(archive):
    X = np.arange(6.0).reshape(2, 3)
    for stored in (np.asfortranarray(X), X.astype(">f8")):
        table = data.load(archive(X=stored, y=[0, 1]))
        assert table.X.flags.c_contiguous and table.X.dtype.isnative
        np.testing.assert_array_equal(table.X, X)
    assert data.load(archive(X=X > 2, y=[True, False])).X.dtype == np.uint8


def test_npz_targets(archive):
    X = np.zeros((4, 1))

    def load(y, **kwargs):
        return data.load(archive(X=X, y=y), **kwargs)

    floats = load(np.array([0.5, 1, 2, 3], np.float32))
    assert floats.y.dtype == np.float32 and not floats.is_classification
    assert load(np.eye(4)).y.shape == (4, 4) and load(np.eye(4)).n_classes is None
    assert load(np.eye(4, dtype=int)).y.dtype == np.float64
    assert load(np.array([[1], [0], [0], [1]])).y.tolist() == [1, 0, 0, 1]
    words = load(np.array(["b", "a", "b", "b"]))
    assert words.y.tolist() == [1, 0, 1, 1] and words.class_names == ("a", "b")
    assert load(np.array([1, 5, 5, 1])).class_names == ("1", "5")
    assert load(np.array([1, 5, 5, 1]), task="regression").y.tolist() == [1, 5, 5, 1]
    given = load(np.array([1, 5, 5, 1]), class_names=("5", "1", "3"))
    assert given.y.tolist() == [1, 0, 0, 1] and given.n_classes == 3


def test_npz_parts_share_their_classes(archive):
    X = np.zeros((2, 1))
    table = data.load(archive(X=X, y=["b", "c"], X_test=X, y_test=["c", "a"]))
    assert table.class_names == ("a", "b", "c")
    assert table.y.tolist() == [1, 2] and table.y_test.tolist() == [2, 0]


def test_npz_without_target(archive, refusal):
    path = archive(X=np.zeros((2, 3)))
    assert data.load(path, need_target=False).y is None
    assert "has no array 'y'; it holds X" in refusal(data.load, path)


X23 = np.zeros((2, 3))
BAD_ARCHIVES = {
    "no X": ({"x": X23, "y": [0, 1]}, "no array 'X'; it holds x, y; did you mean 'x'?"),
    "objects": ({"X": X23, "y": np.array([{}, 1], object)}, "Python objects"),
    "object X": ({"X": X23.astype(object), "y": [0, 1]}, "Python objects"),
    "vector": ({"X": np.zeros(3), "y": [0, 1, 1]}, "X has shape (3,)"),
    "images": ({"X": np.zeros((2, 4, 4)), "y": [0, 1]}, "X has shape (2, 4, 4)"),
    "no rows": ({"X": np.zeros((0, 3)), "y": []}, "X has shape (0, 3)"),
    "complex": ({"X": X23 * 1j, "y": [0, 1]}, "X has type complex128"),
    "lengths": ({"X": X23, "y": [0, 1, 1]}, "X has 2 rows, y has 3"),
    "test lengths": (
        {"X": X23, "y": [0, 1], "X_test": X23, "y_test": [1]},
        "X_test has 2 rows, y_test has 1",
    ),
    "cube of targets": ({"X": X23, "y": np.zeros((2, 1, 1))}, "y has shape (2, 1, 1)"),
    "nan": ({"X": X23 * np.nan, "y": [0, 1]}, "X[0, 0] is nan"),
    "inf target": ({"X": X23, "y": [0, np.inf]}, "y[1] is inf"),
    "other width": (
        {"X": X23, "y": [0, 1], "X_test": np.zeros((2, 4)), "y_test": [0, 1]},
        "X has 3 columns, X_test 4",
    ),
    "test without targets": ({"X": X23, "y": [0, 1], "X_test": X23}, "no array 'y_test'"),
    "test targets alone": ({"X": X23, "y": [0, 1], "y_test": [0, 1]}, "y_test but no X_test"),
    "words and numbers": (
        {"X": X23, "y": [0, 1], "X_test": X23, "y_test": ["a", "b"]},
        "y and y_test differ",
    ),
    "scale": ({"X": X23, "y": [0, 1], "input_scale": [1.0, 2.0]}, "input_scale must be one"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_npz(archive, case, refusal):
    arrays, says = BAD_ARCHIVES[case]
    message = refusal(data.load, archive(**arrays))
    assert says in message and "data.npz" in message, message


def test_npz_that_is_none(save, archive, refusal):
    assert "not an .npz archive" in refusal(data.load, save("hello", "a.npz"))
    whole = archive(X=np.random.default_rng(0).normal(size=(50, 50)), y=np.zeros(50)).read_bytes()
    assert "truncated" in refusal(data.load, save(whole[:-99], "b.npz"))
    assert "corrupt" in refusal(data.load, save(whole[:900] + b"#" * 9 + whole[909:], "c.npz"))
    with zipfile.ZipFile(save(b"", "d.npz"), "w") as bare:
        bare.writestr("X", b"no array")
    assert "d.npz: X is a file that holds no array" in refusal(data.load, bare.filename)


def test_npz_with_contradicting_task(archive, refusal):
    words = archive(X=X23, y=["a", "b"])
    assert "text cannot be" in refusal(data.load, words, task="regression")
    matrix = archive(X=X23, y=np.eye(2))
    assert "classes are a vector" in refusal(data.load, matrix, task="classification")


# ------------------------------------------------------------------------------- load


def test_unknown_sources_name_the_nearest(save, tmp_path, monkeypatch, refusal):
    monkeypatch.chdir(tmp_path)
    message = refusal(data.load, "digit")
    assert "digit: no such file or folder; did you mean 'digits'?" in message
    assert "a folder of MNIST IDX files" in message and ".npz" in message
    save("a,y\n1,0\n", "train.csv")
    assert "did you mean 'train.csv'?" in refusal(data.load, "trian.csv")
    assert "did you mean 'train.csv'?" in refusal(data.load_csv, "trian.csv")
    assert "no such file" in refusal(data.load_npz, tmp_path / "no" / "where.npz")
    message = refusal(data.load, save("x", "book.docx"))
    assert "book.docx: not a kind of file" in message and "accepted are 'digits'" in message


def test_arguments_that_do_not_fit_the_source(archive):
    with pytest.raises(ValueError, match="target is for tables"):
        data.load("digits", target="y")
    with pytest.raises(ValueError, match="target is for tables"):
        data.load(archive(X=X23, y=[0, 1]), target="y")
    with pytest.raises(ValueError, match="images of classes"):
        data.load("digits", task="regression")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_unreadable_file(save, refusal):
    path = save("a,y\n1,0\n")
    path.chmod(0)
    assert "Permission denied" in refusal(data.load, path)


# ------------------------------------------------------------------------------- split


def test_split_is_stratified():
    digits = data.load_digits()
    parts = data.split(digits, fraction=0.2, seed=3)
    assert len(parts.X) + len(parts.X_test) == 1797 and len(parts.X_test) == 359
    share = np.bincount(parts.y_test) - 0.2 * np.bincount(digits.y)
    assert np.abs(share).max() < 1
    assert parts.X.dtype == np.uint8 and parts.input_scale == digits.input_scale
    together = np.vstack(
        [np.column_stack(p) for p in ((parts.X, parts.y), (parts.X_test, parts.y_test))]
    )
    original = np.column_stack([digits.X, digits.y])
    np.testing.assert_array_equal(
        together[np.lexsort(together.T)], original[np.lexsort(original.T)]
    )


def test_split_follows_its_seed():
    digits = data.load_digits()
    one, same, other = (data.split(digits, seed=seed).X_test for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_split_keeps_every_class_in_training():
    y = np.array([0] * 8 + [1, 2])
    parts = data.split(data.Dataset(np.arange(10)[:, None], y), fraction=0.5)
    assert set(parts.y) == {0, 1, 2}
    alone = data.split(data.Dataset(np.arange(4)[:, None], np.arange(4)), fraction=0.25)
    assert len(alone.X_test) == 1  # one example a class: no class can give


def test_split_of_values_and_of_inputs_alone():
    X = np.arange(20).reshape(10, 2)
    parts = data.split(data.Dataset(X, X[:, 0] / 2), fraction=0.3)
    assert len(parts.X_test) == 3
    np.testing.assert_array_equal(parts.y_test, parts.X_test[:, 0] / 2)
    np.testing.assert_array_equal(parts.y, parts.X[:, 0] / 2)
    inputs = data.split(data.Dataset(X), fraction=0.01)
    assert len(inputs.X_test) == 1 and inputs.y_test is None


def test_split_leaves_a_test_part_alone(mnist_like):
    mnist = data.load(mnist_like())
    assert data.split(mnist) is mnist


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 2, float("nan")])
def test_split_refuses(fraction):
    with pytest.raises(ValueError, match="fraction must be between 0 and 1"):
        data.split(data.load_digits(), fraction=fraction)


def test_split_refuses_one_example(refusal):
    assert "1 example" in refusal(data.split, data.Dataset(np.zeros((1, 2))))


def test_dataset_is_frozen_and_says_what_it_is():
    digits = data.load_digits()
    with pytest.raises(AttributeError):
        digits.X = None
    assert repr(digits) == "<Dataset digits: 1,797 x 64 uint8, 10 classes>"
    assert "no target" in repr(data.Dataset(X23))


# ------------------------------------------------------------------------------- predictions


def written(tmp_path, *args, **kwargs) -> str:
    path = tmp_path / "out.csv"
    data.write_predictions(path, *args, **kwargs)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]
    return path.read_bytes().decode()


def test_predictions(tmp_path):
    classes = np.array([2, 0])
    assert written(tmp_path, "kaggle", classes) == "ImageId,Label\n1,2\n2,0\n"
    assert written(tmp_path, "csv", classes) == "row,prediction\n1,2\n2,0\n"
    named = written(tmp_path, "npz", classes, class_names=("a", "b", "c, d"))
    assert named == 'row,prediction\n1,"c, d"\n2,a\n'


def test_predicted_values(tmp_path):
    values = np.array([0.1, 1 / 3], np.float32)
    assert written(tmp_path, "csv", values) == "row,prediction\n1,0.1\n2,0.33333334\n"
    assert written(tmp_path, "csv", values[:, None]).startswith("row,prediction\n1,0.1\n")
    two = written(tmp_path, "csv", np.array([[1.0, 2.5]]))
    assert two == "row,prediction_0,prediction_1\n1,1.0,2.5\n"


def test_predictions_read_back_exactly(tmp_path):
    values = np.random.default_rng(0).normal(size=50)
    text = written(tmp_path, "csv", values)
    back = [float(line.split(",")[1]) for line in text.splitlines()[1:]]
    np.testing.assert_array_equal(back, values)


def test_refused_predictions_touch_nothing(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    classes = np.array([0, 3])
    for args, says in [
        (("kagle", classes), "did you mean 'kaggle'"),
        (("kaggle", np.array([0.5])), "must be classes"),
        (("csv", np.array(["a"])), "integers or floats"),
        (("csv", np.zeros((2, 2), int)), "got shape"),
        (("csv", np.zeros((2, 2, 2))), "got shape"),
        (("csv", classes, ("a", "b")), "from 0 to 1"),
        (("csv", -classes, ("a", "b")), "from 0 to 1"),
    ]:
        with pytest.raises(ValueError, match=says):
            data.write_predictions(path, *args)
    assert path.read_text() == "old"


def test_a_failed_write_loses_nothing(tmp_path, monkeypatch, refusal):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    message = refusal(data.write_predictions, path, "csv", np.array([1]))
    assert "out.csv: cannot be written: No space left on device" in message
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    missing = tmp_path / "no" / "out.csv"
    assert "no does not exist" in refusal(data.write_predictions, missing, "csv", np.array([1]))


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no such device")
def test_predictions_to_a_device_or_through_a_link(tmp_path):
    data.write_predictions(os.devnull, "csv", np.array([1]))
    assert not Path(os.devnull).is_file()
    link, real = tmp_path / "link.csv", tmp_path / "real.csv"
    real.write_text("old")
    link.symlink_to(real)
    data.write_predictions(link, "csv", np.array([1]))
    assert link.is_symlink() and real.read_text() == "row,prediction\n1,1\n"
