"""The gate for data: what is taken as it is, what is refused and how, and what memory it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS
from fastgd.engine import inputs

rng = np.random.default_rng(0)
#: Whole numbers, so that every number type holds the same data exactly.
WHOLE = rng.integers(0, 2, (60, 6))
CLASSES = rng.integers(0, 3, 60)
TARGETS = rng.integers(0, 2, (60, 3)).astype(np.float64)


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def net(backend):
    return fastgd.Network([6, 5, 3], seed=1, backend=backend)


def unaligned(array):
    """Return a copy that begins at an odd address."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    copy = memory[1:].view(array.dtype).reshape(array.shape)
    copy[:] = array
    assert not copy.flags.aligned
    return copy


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def every_other(array):
    wide = np.full((2 * array.shape[0], 2 * array.shape[1]), -77, array.dtype)
    wide[::2, ::2] = array
    return wide[::2, ::2]


DTYPES = (
    *("float16", "float32", "float64", "longdouble", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64", "bool", ">f8", ">f4", ">i2", "<i4", "object", "U3"),
)
FORMS = {
    **{name: lambda X, name=name: X.astype(name) for name in DTYPES},
    "Fortran order": lambda X: np.asfortranarray(X, dtype=np.float64),
    "Fortran order, uint8": lambda X: np.asfortranarray(X, dtype=np.uint8),
    "every other": lambda X: every_other(X.astype(np.float64)),
    "every other float32": lambda X: every_other(X.astype(np.float32)),
    "backwards": lambda X: X[::-1, ::-1].astype(np.float64)[::-1, ::-1],
    "unaligned": lambda X: unaligned(X.astype(np.float64)),
    "unaligned float32": lambda X: unaligned(X.astype(np.float32)),
    "read-only": lambda X: read_only(X.astype(np.float64)),
    "read-only uint8": lambda X: read_only(X.astype(np.uint8)),
    "subclass": lambda X: X.astype(np.float64).view(type("Mine", (np.ndarray,), {})),
    "masked, nothing hidden": lambda X: np.ma.masked_array(X, mask=False),
    "list": lambda X: X.tolist(),
    "tuple of arrays": lambda X: tuple(X.astype(np.float32)),
}


@pytest.fixture(params=["whole", "in pieces"])
def pieces(request, monkeypatch):
    """Run a test as usual, and with X and y converted a few rows at a time."""
    if request.param == "in pieces":
        monkeypatch.setattr(inputs, "COPY_BYTES", -(1 << 40))
        monkeypatch.setattr(inputs, "PIECE", 50)


@pytest.mark.usefixtures("pieces")
class TestForms:
    """Data of any type, order and alignment give what their float64 copy gives."""

    @pytest.mark.parametrize("form", FORMS)
    def test_of_inputs(self, net, form):
        X, plain = FORMS[form](WHOLE), WHOLE.astype(np.float64)
        before = np.array(X).tobytes()
        assert np.array_equal(net.predict(X), net.predict(plain))
        assert net.loss(X, CLASSES) == pytest.approx(net.loss(plain, CLASSES), rel=1e-6)
        np.testing.assert_allclose(
            net.gradient(X, CLASSES), net.gradient(plain, CLASSES), rtol=1e-5, atol=1e-8
        )
        assert net.score(X, CLASSES) == net.score(plain, CLASSES)
        assert self.trained(net, X, CLASSES) == self.trained(net, plain, CLASSES)
        assert np.array(X).tobytes() == before

    @pytest.mark.parametrize("form", [form for form in FORMS if form != "U3"])
    def test_of_targets(self, net, form):
        y = FORMS[form](TARGETS)
        before = np.array(y).tobytes()
        assert self.trained(net, WHOLE, y) == self.trained(net, WHOLE, TARGETS)
        assert net.loss(WHOLE, y) == net.loss(WHOLE, TARGETS)
        assert net.score(WHOLE, y) == pytest.approx(net.score(WHOLE, TARGETS), rel=1e-12)
        assert np.array(y).tobytes() == before

    @pytest.mark.parametrize(
        "form",
        ["float16", "float64", "int8", "int64", "uint8", "uint64", ">f8", ">i2", "object", "list"],
    )
    def test_of_classes(self, net, form):
        y = FORMS[form](CLASSES)
        assert self.trained(net, WHOLE, y) == self.trained(net, WHOLE, CLASSES)
        assert net.score(WHOLE, y) == net.score(WHOLE, CLASSES)

    def test_of_classes_that_are_truth_values(self, net):
        y = CLASSES > 0
        for form in (y, every_other(y[:, None])[:, 0], y.tolist()):
            assert self.trained(net, WHOLE, form) == self.trained(net, WHOLE, y.astype(int))

    def test_numbers_for_one_output(self, backend):
        net = fastgd.Network([6, 5, 1], output="identity", seed=1, backend=backend)
        y = TARGETS[:, 0]
        for form in (
            y[:, None],
            y.tolist(),
            y.astype(">f4"),
            y.astype(bool),
            TARGETS.T[0][::-1][::-1],
        ):
            assert self.trained(net, WHOLE, form) == self.trained(net, WHOLE, y)

    def trained(self, net, X, y):
        twin = fastgd.Network(
            net.sizes, output=net.architecture.output, seed=1, backend=net.backend
        )
        history = twin.fit(X, y, epochs=2, batch_size=7, validation_data=(X, y), optimizer="sgd")
        return twin.parameters.tobytes(), history.cost, history.validation_cost


def test_no_form_is_compiled_for():
    """Compiling takes seconds: all data reach the kernels as one kind of array."""
    run = pytest.importorskip("fastgd.kernels.entries").run
    net = fastgd.Network([6, 5, 3], seed=1, backend="numba")
    net.fit(WHOLE, CLASSES, epochs=1, optimizer="sgd")
    before = list(run.signatures)
    X, targets, classes = (
        WHOLE.astype("float32"),
        TARGETS.astype("float32"),
        CLASSES.astype("int64"),
    )
    for changed in (read_only, unaligned, every_other, np.asfortranarray):
        column = changed(classes[:, None])[:, 0]
        for data in ((changed(X), classes), (X, changed(targets)), (X, column)):
            net.predict(data[0]), net.loss(*data), net.gradient(*data), net.score(*data)
            net.fit(*data, epochs=1, validation_data=data, optimizer="sgd")
            assert list(run.signatures) == before, changed.__name__


class TestPandas:
    @pytest.fixture(autouse=True)
    def pandas(self):
        self.pd = pytest.importorskip("pandas")

    def frame(self):
        columns = {f"x{j}": WHOLE[:, j] for j in range(6)}
        frame = self.pd.DataFrame(columns, index=np.arange(60)[::-1] * 10)
        return frame.astype({"x0": "int8", "x1": "float32", "x2": bool, "x3": "Int64"})

    def test_frames_and_series(self, net):
        frame, y = self.frame(), self.pd.Series(CLASSES, index=np.arange(60) + 5)
        before = frame.copy()
        assert np.array_equal(net.predict(frame), net.predict(WHOLE))
        twin = fastgd.Network(net.sizes, seed=1, backend=net.backend)
        net.fit(frame, y, epochs=2, validation_data=(frame[:10], y[:10]), optimizer="sgd")
        twin.fit(WHOLE, CLASSES, epochs=2, optimizer="sgd")
        assert net.parameters.tobytes() == twin.parameters.tobytes()
        assert net.score(frame, self.pd.DataFrame(np.eye(3)[CLASSES])) == net.score(WHOLE, CLASSES)
        self.pd.testing.assert_frame_equal(frame, before)

    def test_text_columns(self, net):
        frame = self.frame()
        frame["x4"] = ["a", "b"] * 30
        with pytest.raises(TypeError, match=r"X must hold numbers; got 'a' at X\[0, 4\]"):
            net.predict(frame)

    @pytest.mark.parametrize("missing", [np.nan, None])
    def test_missing_values(self, net, missing):
        frame = self.frame().astype("Float64")
        frame.iloc[7, 2] = missing
        with pytest.raises((TypeError, ValueError), match=r"X\[7, 2\] \(row 7 column 2\)"):
            net.predict(frame)

    def test_text_classes(self, net):
        y = self.pd.Series(["cat", "dog", "cow"] * 20)
        with pytest.raises(TypeError, match=r"y must hold numbers; got 'cat' at y\[0\] .*classes"):
            net.score(WHOLE, y)
        net.fit(WHOLE, y, epochs=1, optimizer="sgd")
        assert net.classes.tolist() == ["cat", "cow", "dog"]


def with_value(value, dtype=np.float64):
    X = WHOLE.astype(dtype)
    X[41, 4] = value
    return X


BAD_X = {
    "nan": (with_value(np.nan), ValueError, r"X\[41, 4\] \(row 41 column 4\) is nan"),
    "inf": (with_value(np.inf), ValueError, r"X\[41, 4\] \(row 41 column 4\) is inf"),
    "-inf": (with_value(-np.inf, np.float32), ValueError, r"X\[41, 4\] .* is -inf"),
    "float16 nan": (with_value(np.nan, np.float16), ValueError, r"X\[41, 4\] .* is nan"),
    "big-endian nan": (with_value(np.nan, ">f8"), ValueError, r"X\[41, 4\] .* is nan"),
    "nan in Fortran order": (
        np.asfortranarray(with_value(np.nan)), ValueError, r"X\[41, 4\] \(row 41 column 4\)",
    ),
    "too large": (with_value(1e39), ValueError, r"X\[41, 4\] .* is 1e\+39, too large for float32"),
    "too large integer": ([[10**400] * 6], (TypeError, ValueError), "X"),
    "None": (with_value(None, object), (TypeError, ValueError), r"X\[41, 4\] \(row 41 column 4\)"),
    "text": (with_value("abc", object), TypeError, r"numbers; got 'abc' at X\[41, 4\]"),
    "an object": (with_value({}, object), TypeError, r"X must hold numbers; got {} at X\[41, 4\]"),
    "all text": ([["a", "b", "c", "d", "e", "f"]], TypeError, r"X must hold numbers; got .*'a'"),
    "complex": (with_value(1j, complex), TypeError, "X must hold real numbers; got dtype complex"),
    "complex objects": (with_value(1j, object), TypeError, r"X must hold numbers; got 1j at X\[41"),
    "dates": (WHOLE.astype("M8[s]"), TypeError, "X must hold real numbers; got dtype datetime64"),
    "records": (np.zeros(60, "f4,f4"), TypeError, "X must hold real numbers; got dtype"),
    "masked": (
        np.ma.masked_array(WHOLE, mask=WHOLE > 0), ValueError, "X must have no masked values",
    ),
    "1-D": (WHOLE[0], ValueError, r"X must be 2-D, .*got shape \(6,\); reshape .*X\[None, :\]"),
    "3-D": (WHOLE[None], ValueError, r"X must be 2-D, \(examples, 6\); got shape \(1, 60, 6\)"),
    "0-D": (3.0, ValueError, r"X must be 2-D, .*; got shape \(\)"),
    "nothing": (None, (TypeError, ValueError), "X must"),
    "a word": ("abc", (TypeError, ValueError), "X must"),
    "a dict": ({"a": 1}, (TypeError, ValueError), "X must"),
    "a set": ({1, 2}, (TypeError, ValueError), "X must"),
    "a function": (print, (TypeError, ValueError), "X must|y must come with the chunks"),
    "too narrow": (WHOLE[:, :5], ValueError, r"X must have 6 columns, .*; got shape \(60, 5\)"),
    "too wide": (np.ones((60, 7)), ValueError, r"X must have 6 columns, .*got shape \(60, 7\)"),
    "no columns": (np.ones((60, 0)), ValueError, "X must have 6 columns"),
    "no rows": (WHOLE[:0], ValueError, r"X must hold at least one example; got shape \(0, 6\)"),
    "empty list": ([], ValueError, "X must be 2-D"),
    "ragged": ([[1, 2, 3, 4, 5, 6], [1, 2]], ValueError, "X must be a rectangular array"),
}  # fmt: skip

BAD_Y = {
    "a class too many": ([0, 1, 3] * 20, ValueError, r"from 0 to 2; y\[2\] \(row 2\) is 3"),
    "a negative class": ([0, -1, 2] * 20, ValueError, r"from 0 to 2; y\[1\] \(row 1\) is -1"),
    "a fraction": ([0, 1, 0.5] * 20, ValueError, r"integers from 0 to 2; y\[2\] \(row 2\) is 0.5"),
    "classes with nan": ([0, 1, np.nan] * 20, ValueError, r"y\[2\] \(row 2\) is nan"),
    "classes with inf": ([0, np.inf, 1] * 20, ValueError, r"y\[1\] \(row 1\) is inf"),
    "huge unsigned": (np.full(60, 2**64 - 1, np.uint64), ValueError, r"y\[0\] .* is 184467440"),
    "targets with nan": (
        np.where(np.arange(180).reshape(60, 3) == 125, np.nan, TARGETS), ValueError,
        r"y\[41, 2\] \(row 41 column 2\) is nan",
    ),
    "too large targets": (TARGETS * 1e39, ValueError, "too large for float32"),
    "too narrow": (TARGETS[:, :2], ValueError, r"y must be .*\(n, 3\); got shape \(60, 2\)"),
    "a column": (CLASSES[:, None], ValueError, r"y must be .*\(n, 3\); got shape \(60, 1\)"),
    "3-D": (TARGETS[None], ValueError, r"y must be .*; got shape \(1, 60, 3\)"),
    "0-D": (1, ValueError, r"y must be .*; got shape \(\)"),
    "nothing": (None, (TypeError, ValueError), "y must"),
    "empty": ([], ValueError, r"y must hold at least one target; got shape \(0,\)"),
    "too short": (CLASSES[:59], ValueError, "X and y must have .*got 60 rows and 59 targets"),
    "too long": (np.tile(TARGETS, (2, 1)), ValueError, "got 60 rows and 120 targets"),
    "words": (
        ["a", "b", "c", "d"] * 15, (TypeError, ValueError),
        r"y must hold (numbers; got 'a' at y\[0\]|as many classes .* 3; got 4: 'a', 'b', 'c', 'd')",
    ),
    "one word": ("abc", (TypeError, ValueError), "y must"),
    "a dict": ({}, (TypeError, ValueError), "y must"),
    "complex": (TARGETS * 1j, TypeError, "y must hold real numbers; got dtype complex128"),
    "masked": (np.ma.masked_array(CLASSES, mask=CLASSES > 0), ValueError, "y must have no masked"),
    "ragged": ([[1, 0, 0], [1, 0]], ValueError, "y must be a rectangular array"),
}  # fmt: skip


class TestRefused:
    """The message names the argument and the place, and nothing has changed."""

    def refuse(self, net, X, y, error, message):
        before = net.parameters.tobytes(), str(net.rng.bit_generator.state)
        for call in (net.fit, net.loss, net.gradient, net.score):
            with pytest.raises(error, match=message):
                call(X, y)
        assert (net.parameters.tobytes(), str(net.rng.bit_generator.state)) == before

    @pytest.mark.parametrize("case", BAD_X)
    def test_inputs(self, net, case):
        X, error, message = BAD_X[case]
        with pytest.raises(error, match=message) as caught:
            net.predict(X)
        assert len(str(caught.value)) < 400
        self.refuse(net, X, CLASSES, error, message)

    @pytest.mark.parametrize("case", BAD_Y)
    def test_targets(self, net, case):
        y, error, message = BAD_Y[case]
        self.refuse(net, WHOLE, y, error, message)

    @pytest.mark.parametrize("column", range(6))
    @pytest.mark.parametrize("row", [0, 7, 8, 9, 59])
    def test_the_place_is_found_in_every_piece(self, net, row, column, monkeypatch):
        monkeypatch.setattr(inputs, "PIECE", 50)  # 8 rows
        X = WHOLE.astype(np.float32)
        X[row, column] = X[59, 5] = np.nan
        with pytest.raises(
            ValueError, match=rf"X\[{row}, {column}\] \(row {row} column {column}\)"
        ):
            net.predict(X)

    def test_float64_networks_take_large_numbers(self, backend):
        net = fastgd.Network([6, 3], dtype="float64", backend=backend)
        assert np.isfinite(net.predict(with_value(1e39))).all()

    def test_sparse_targets(self, net):
        sparse = pytest.importorskip("scipy.sparse")
        with pytest.raises(TypeError, match="y must be a dense array"):
            net.fit(WHOLE, sparse.csr_matrix(TARGETS), optimizer="sgd")

    @pytest.mark.parametrize(
        ("output", "y", "message"),
        [
            ("sigmoid", TARGETS + 0.5, r"y must lie between 0 and 1 for loss 'cross_entropy'; y\["),
            ("sigmoid", TARGETS - 1, r"y must lie between 0 and 1"),
            ("softmax", np.full((60, 3), 0.5), "each row of y must sum to 1 .*row 0 sums to 1.5"),
        ],
    )
    def test_probabilities(self, backend, output, y, message):
        net = fastgd.Network([6, 3], output=output, loss="cross_entropy", backend=backend)
        self.refuse(net, WHOLE, y, ValueError, message)

    def test_one_sigmoid_output_takes_numbers_not_classes(self, backend):
        net = fastgd.Network([6, 1], loss="cross_entropy", backend=backend)
        self.refuse(net, WHOLE, CLASSES, ValueError, r"y must lie between 0 and 1 .* is 2")


MEASURE = """
import sys, resource
import numpy as np, fastgd

def peak():
    "Megabytes. ru_maxrss would begin with what the parent process had; VmHWM does not."
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes

backend, kind, batch_size, task = sys.argv[1:]
warm = fastgd.Network([4, 3, 2], backend=backend)
warm.fit(np.zeros((4, 4)), [0, 1, 0, 1], epochs=1, optimizer="sgd")
try:  # compiling, where the cache is cold, is not what is measured
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
except OSError:
    pass
start = peak()
dtype, order = kind.split()
rows = 200_000_000 // (250 * np.dtype(dtype).itemsize)
X = np.empty((rows, 250), dtype, order=order)
X[:] = 1
wide = task == "wide targets"
y = X if wide else np.zeros(rows, int)
size = peak() - start
net = fastgd.Network([250, 8, 250 if wide else 10], seed=0, backend=backend)
if task == "score":
    net.score(X, y)
else:
    batch_size = rows if batch_size == "all" else int(batch_size)
    net.fit(X, y, epochs=1, batch_size=batch_size, optimizer="sgd")
print(size, peak() - start - size)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
@pytest.mark.slow
class TestMemory:
    """Data of 200 MB cost at most a quarter more, and 100 MB."""

    @pytest.mark.parametrize(
        ("backend", "kind", "batch_size", "task"),
        [
            ("numba", "float64 C", "1000", "fit"),
            ("numba", "float64 C", "all", "fit"),
            ("numba", "float64 F", "all", "fit"),
            ("numba", "float16 C", "1000", "fit"),
            ("numba", "float16 C", "all", "fit"),
            ("numba", "float64 C", "1000", "wide targets"),
            ("numba", "float64 F", "1000", "score"),
            ("numpy", "float64 C", "1000", "fit"),
            ("numpy", "float64 C", "all", "fit"),
        ],
    )
    def test_peak(self, backend, kind, batch_size, task):
        result = subprocess.run(
            [sys.executable, "-c", MEASURE, backend, kind, batch_size, task],
            env={**os.environ, "PYTHONPATH": str(Path(fastgd.__file__).parents[1])},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        size, extra = map(float, result.stdout.split())
        assert 180 < size < 260
        assert extra <= 100 + size / 4, f"{extra:.0f} MB for {size:.0f} MB of data"
