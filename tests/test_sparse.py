"""Inputs with many zeros: scipy.sparse matrices, and dense ones whose zeros are left out."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS, why_not
from fastgd.engine import sparse
from fastgd.engine.architecture import Architecture
from fastgd.engine.inputs import Inputs
from fastgd.engine.sparse import Sparse, compress

scipy_sparse = pytest.importorskip("scipy.sparse")

N, WIDTH, CLASSES = 120, 90, 4


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, WIDTH))
    X[rng.random(X.shape) < 0.8] = 0
    X[3] = 0  # a row of nothing but zeros
    return X


@pytest.fixture
def y():
    return np.random.default_rng(1).integers(0, CLASSES, N)


@pytest.fixture(params=BACKENDS)
def backend(request):
    if why_not(request.param):
        pytest.skip(why_not(request.param))
    return request.param


def network(backend=None, **settings):
    return fastgd.Network(
        [WIDTH, 20, CLASSES], activation="tanh", output="softmax", loss="cross_entropy", seed=1,
        dtype="float64", backend=backend, **settings,
    )  # fmt: skip


def untidy(X):
    """Return a CSR array with duplicates, columns out of order and kept zeros."""
    row, column = np.nonzero(X)
    values = X[row, column]
    coo = scipy_sparse.coo_array(
        (
            np.concatenate([values / 4, values * 0.75, [0.0]]),
            (np.concatenate([row, row, [0]]), np.concatenate([column, column, [1]])),
        ),
        shape=X.shape,
    )
    order = np.random.default_rng(2).permutation(coo.nnz)
    rows = coo.row[order]
    by_row = np.argsort(rows, kind="stable")
    order = order[by_row]
    pointers = np.searchsorted(rows[by_row], np.arange(len(X) + 1))
    return scipy_sparse.csr_array((coo.data[order], coo.col[order], pointers), shape=X.shape)


FORMS = {
    "csr_array": scipy_sparse.csr_array,
    "csr_matrix": scipy_sparse.csr_matrix,
    "csc_array": scipy_sparse.csc_array,
    "coo_array": scipy_sparse.coo_array,
    "untidy": untidy,
    "float32": lambda X: scipy_sparse.csr_array(X.astype(np.float32)),
    "int64 indices": lambda X: _with_wide_indices(scipy_sparse.csr_array(X)),
}


def _with_wide_indices(csr):
    csr.indices, csr.indptr = csr.indices.astype(np.int64), csr.indptr.astype(np.int64)
    return csr


@pytest.mark.parametrize("form", FORMS)
def test_scipy_sparse_is_the_same_as_dense(backend, form, X, y):
    if form == "float32":
        X = X.astype(np.float32).astype(np.float64)
    given = FORMS[form](X)
    before = [np.copy(part) for part in _parts(given)]
    dense, sparse = network(backend), network(backend)
    for net, data in ((dense, X), (sparse, given)):
        net.fit(data, y, epochs=2, batch_size=7, optimizer=fastgd.SGD(0.3, momentum=0.5))
    np.testing.assert_allclose(sparse.parameters, dense.parameters, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sparse.predict(given), dense.predict(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sparse.gradient(given, y), dense.gradient(X, y), atol=1e-12)
    assert sparse.loss(given, y) == pytest.approx(dense.loss(X, y))
    assert sparse.score(given, y) == dense.score(X, y)
    for part, old in zip(_parts(given), before, strict=True):
        assert np.array_equal(part, old), "the given matrix was changed"


def _parts(matrix):
    return [
        getattr(matrix, name)
        for name in ("data", "indices", "indptr", "row", "col")
        if hasattr(matrix, name)
    ]


def test_zeros_of_dense_inputs_are_left_out_where_they_are_many(X):
    given = Inputs(X, Architecture((X.shape[1], 1), dtype="float64"))
    given.leave_out_zeros()
    assert given.sparse is not None
    assert np.array_equal(given.sparse.dense(), X)
    full = Inputs(X + 1, Architecture((X.shape[1], 1), dtype="float64"))
    full.leave_out_zeros()
    assert full.sparse is None


@pytest.mark.parametrize("kind", ["float32", "float64", "uint8"])
def test_a_fit_without_the_zeros_is_the_same(backend, kind, y, monkeypatch):
    rng = np.random.default_rng(3)
    X = (rng.integers(0, 256, (N, WIDTH)) * (rng.random((N, WIDTH)) < 0.2)).astype(kind)
    nets = []
    for density in (0.0, 1.0):
        monkeypatch.setattr(sparse, "SPARSE_DENSITY", density)
        net = network(backend, input_scale=1 / 255)
        net.fit(X, y, epochs=3, batch_size=10, optimizer=fastgd.SGD(0.5))
        nets.append(net)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-9, atol=1e-12)


def test_bad_sparse_inputs(X, y):
    net = network()
    csr = scipy_sparse.csr_array(X)
    with pytest.raises(ValueError, match=r"X must have 90 columns.*\(120, 50\)"):
        net.predict(csr[:, :50])
    with pytest.raises(ValueError, match="at least one example"):
        net.predict(csr[:0])
    with pytest.raises(TypeError, match="complex128"):
        net.predict(csr.astype(complex))
    bad = csr.copy()
    bad.data[5] = np.nan
    row = int(np.searchsorted(csr.indptr, 5, side="right")) - 1
    column = int(csr.indices[5])
    with pytest.raises(ValueError, match=rf"X\[{row}, {column}\] \(row {row} column {column}\)"):
        net.fit(bad, y, optimizer="sgd")


@pytest.mark.parametrize("index", [-1, 4, 2**30])
def test_columns_outside_of_the_matrix(backend, index):
    csr = scipy_sparse.csr_matrix(np.eye(4, dtype="f4"))
    csr.indices[1] = index
    net = fastgd.Network([4, 3, 2], seed=1, backend=backend)
    for use in (net.predict, lambda X: net.fit(X, [0, 1, 0, 1], optimizer="sgd")):
        with pytest.raises(ValueError, match=rf"X is no valid CSR.*indices\[1\] is {index}"):
            use(csr)


@pytest.mark.parametrize("pointer", [0, 10**6])
def test_rows_outside_of_the_matrix(backend, pointer):
    csr = scipy_sparse.csr_matrix(np.eye(4, dtype="f4"))
    csr.indptr[3] = pointer
    with pytest.raises(ValueError, match="X is no valid CSR matrix: its indptr"):
        fastgd.Network([4, 3, 2], seed=1, backend=backend).predict(csr)


def test_predictions_whose_scaled_inputs_overflow(backend):
    net = fastgd.Network([4, 3, 1], input_scale=1e10, backend=backend, seed=1)
    for X in (np.full((1, 4), 1e35), scipy_sparse.csr_array(np.full((9, 4), 1e35))):
        with pytest.raises(ValueError, match="1e\\+35, too large for float32 as the network"):
            net.predict(X)


def test_rows_of_sparse():
    X = np.array([[0, 1.0, 0], [0, 0, 0], [2, 0, 3]])
    rows = compress(X)
    assert isinstance(rows, Sparse) and len(rows) == 3
    assert np.array_equal(rows[1:].dense(), X[1:])
    assert np.array_equal(rows.dense(np.array([2, 0])), X[[2, 0]])
    assert np.array_equal(rows.take(np.array([2, 2, 1])).dense(), X[[2, 2, 1]])


@pytest.mark.parametrize("optimizer", [fastgd.SGD(0.01), fastgd.Adam(0.01)], ids=["sgd", "adam"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("rows", "columns", "density"),
    [(70, 2100, 0.02), (130, 1500, 0.02), (600, 400, 0.02), (40, 4_000, 0.2)],
)
def test_columns_are_summed_a_part_at_a_time(backend, rows, columns, density, threads, optimizer):
    """More of them than are marked at once, more rows than a word of marks has bits."""
    rng = np.random.default_rng(rows)
    X = scipy_sparse.random_array((2 * rows + 5, columns), density=density, rng=rng, format="csr")
    Y = rng.standard_normal((X.shape[0], 1))
    trained = []
    for name, count in ((backend, threads), ("numpy", 1)):
        net = fastgd.Network(
            [columns, 33, 1], output="identity", loss="mse", seed=2, dtype="float64", backend=name,
            threads=count,
        )  # fmt: skip
        net.fit(X, Y, epochs=1, batch_size=rows, optimizer=optimizer)
        trained.append(net.parameters)
    np.testing.assert_allclose(*trained, rtol=1e-9, atol=1e-12)
