"""`partial_fit` and predictions of a few rows: the short way gives what the long way gives."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS, why_not
from fastgd.engine.architecture import DTYPES

SHAPES = ((7, 3), (20, 5, 2), (40, 16, 4), (33, 30, 10), (9, 100, 70, 3))


@pytest.fixture(params=BACKENDS)
def backend(request):
    if why_not(request.param):
        pytest.skip(why_not(request.param))
    return request.param


def network(sizes, backend, **settings):
    settings = {"output": "softmax", "loss": "cross_entropy", "seed": 1, **settings}
    return fastgd.Network(sizes, backend=backend, **settings)


def examples(sizes, n, dtype="float32"):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((n, sizes[0])) * (rng.random((n, sizes[0])) < 0.6)).astype(dtype)
    return X, rng.integers(0, sizes[-1], n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SHAPES)
def test_few_rows_are_predicted_as_in_many(backend, sizes, dtype):
    net = network(sizes, backend, dtype=dtype, input_scale=0.5)
    X, _ = examples(sizes, 40, dtype)
    expected = network(sizes, "numpy", dtype=dtype, input_scale=0.5).predict(X)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for n in (1, 2, 4, 5):
        np.testing.assert_allclose(net.predict(X[:n]), expected[:n], rtol=tolerance, atol=tolerance)
    net.parameters[:] = 0  # the array itself is what is predicted with
    np.testing.assert_allclose(net.predict(X[:1]), 1 / sizes[-1], rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_any_kind_one_after_the_other(backend, dtype, kind, scale):
    """A call reads rows where they lie, or copies them, by their kind and not the last ones'."""
    nets = [
        network((20, 5, 2), name, dtype=dtype, input_scale=scale) for name in (backend, "numpy")
    ]
    y = np.array([0, 1, 1])
    for given in (dtype, kind, dtype):
        X = (np.random.default_rng(0).random((3, 20)) * 9).astype(given)
        got, expected = ((net.predict(X), net.partial_fit(X, y)) for net in nets)
        np.testing.assert_allclose(got[0], expected[0], rtol=1e-4)
        np.testing.assert_allclose(got[1], expected[1], rtol=1e-4)


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    memory[:] = np.frombuffer(array.tobytes(), np.uint8)
    return memory.view(array.dtype).reshape(array.shape)


@pytest.mark.parametrize(
    "form",
    [
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: a.view(type("Subclass", (np.ndarray,), {})),
        np.ndarray.tolist,
        np.asfortranarray,
        unaligned,
    ],
    ids=["rows", "columns", "swapped", "subclass", "list", "fortran", "unaligned"],
)
def test_arrays_of_any_form(backend, form):
    net, other = (
        network((7, 5, 3), backend, output="identity", loss="mse", dtype="float64") for _ in "ab"
    )
    X, _ = examples((7, 5, 3), 4, "float64")
    Y = np.random.default_rng(1).random((4, 3))
    for x, y in ((form(X), Y), (X, form(Y)), (form(X), form(Y))):
        np.testing.assert_allclose(net.predict(x), other.predict(X), rtol=1e-12)
        assert net.partial_fit(x, y) == pytest.approx(other.partial_fit(X, Y), rel=1e-12)
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-12)


@pytest.mark.parametrize("name", ["native", "numba"])
def test_plain_arrays_take_the_short_way(name):
    if why_not(name):
        pytest.skip(why_not(name))
    net = network((7, 5, 3), name)
    X, y = examples((7, 5, 3), 4)
    for _ in range(2):
        net.partial_fit(X, y)
        net.predict(X)
    frozen = X.copy()
    frozen.flags.writeable = False
    for plain in (X, frozen, X.astype("uint8"), pickle.loads(pickle.dumps(X)), X[1:2]):
        assert net._quick[1].predict(plain) is not None
        settings = net._stepper._settings()
        assert net._stepper._quick[1].step(plain, y[: len(plain)], *settings) is not None
    wide = X.astype("float64")
    assert np.array_equal(net._quick[1].predict(wide), net._quick[1].predict(X))
    assert net._stepper._quick[1].step(wide, y, *settings) is None  # it may be too large
    assert net._quick[1].predict(wide * 1e300) is None
    strange = (X[::2], X[:, ::-1], X.astype("int64"), X[0], X[:0], X[0, 0])
    for other in (*strange, X[:, :6], np.zeros((100, 7), "float32"), unaligned(X), X.tolist()):
        assert net._quick[1].predict(other) is None
        assert net._stepper._quick[1].step(other, y, *settings) is None
    for classes in (y + 3, y - 3, y[:3], y.astype("int32"), y[:, None], y[::-1], y.astype("<f8")):
        assert net._stepper._quick[1].step(X, classes, *settings) is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_out", [1, 3])
def test_targets_in_units_of_their_own(backend, n_out, dtype):
    X, _ = examples((7, n_out), 12, dtype)
    Y = (50 + 20 * np.random.default_rng(1).random((12, n_out))).astype(dtype)
    settings = {"output": "identity", "loss": "mse", "output_shift": 60.0, "output_scale": 0.1}
    nets = [network((7, 5, n_out), name, dtype=dtype, **settings) for name in (backend, "numpy")]
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    for y in (Y[:, 0], Y) if n_out == 1 else (Y, Y.astype("float64")):
        got, expected = ((net.partial_fit(X, y), net.predict(X[:2])) for net in nets)
        np.testing.assert_allclose(got[0], expected[0], rtol=tolerance)
        np.testing.assert_allclose(got[1], expected[1], rtol=tolerance)
        assert got[1].dtype == expected[1].dtype


@pytest.mark.parametrize(
    "optimizer",
    [
        fastgd.SGD(0.2),
        fastgd.SGD(0.1, momentum=0.9, nesterov=True, l2=0.01),
        fastgd.SGD(lambda step: 0.3 / (1 + step)),
        fastgd.Adam(0.01, epsilon=1e-3),
    ],
    ids=["plain", "momentum", "schedule", "adam"],
)
@pytest.mark.parametrize("sizes", SHAPES)
def test_steps_are_those_of_fit(backend, sizes, optimizer):
    X, y = examples(sizes, 60)
    fitted, stepped = network(sizes, backend), network(sizes, backend)
    fitted.fit(X, y, epochs=2, batch_size=10, optimizer=optimizer, shuffle=False)
    for _ in range(2):
        for start in range(0, 60, 10):
            batch = slice(start, start + 10)
            expected = stepped.loss(X[batch], y[batch])
            cost = stepped.partial_fit(X[batch], y[batch], optimizer=optimizer)
            assert cost == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(stepped.parameters, fitted.parameters, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("kind", ["float32", "float64", "int64"])
def test_steps_on_targets_are_those_of_fit(backend, n_out, kind):
    sizes, optimizer = (7, 5, n_out), fastgd.SGD(0.05)
    X, _ = examples(sizes, 30)
    Y = (10 * np.random.default_rng(1).random((30, n_out))).astype(kind)
    for y in (Y, Y[:, 0]) if n_out == 1 else (Y, np.asfortranarray(Y)):
        settings = {"output": "identity", "loss": "mse"}
        fitted, stepped = network(sizes, backend, **settings), network(sizes, backend, **settings)
        fitted.fit(X, y, epochs=1, batch_size=10, optimizer=optimizer, shuffle=False)
        for start in range(0, 30, 10):
            batch = slice(start, start + 10)
            stepped.partial_fit(X[batch], y[batch], optimizer=optimizer)
        np.testing.assert_allclose(stepped.parameters, fitted.parameters, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([[0.5, np.nan]]), r"y\[0, 1\] .* is nan"),
        (np.array([[0.5, np.inf]]), r"y\[0, 1\] .* is inf"),
        (np.array([[0.9, 0.9]]), "must sum to 1"),
        (np.array([[-0.5, 1.5]]), "between 0 and 1"),
        (np.zeros((1, 3)), r"of shape \(n, 2\)"),
        (np.zeros((2, 2)), "one row for each|must sum to 1"),
        (np.zeros((1, 2, 1)), r"of shape \(n, 2\)"),
        (np.float32(1), "y must"),
    ],
)
def test_bad_targets_change_nothing(backend, y, message):
    net = network((2, 2), backend)
    before = net.parameters.tobytes()
    for kind in ("float32", "float64"):
        with pytest.raises((TypeError, ValueError), match=message):
            net.partial_fit(np.zeros((1, 2), "float32"), y.astype(kind))
    assert net.parameters.tobytes() == before


def test_state_is_kept_for_an_equal_optimizer_only(backend):
    X, y = examples((5, 3), 8)

    def run(*optimizers):
        net = network((5, 3), backend)
        for optimizer in optimizers:
            net.partial_fit(X, y, optimizer=optimizer)
        return net.parameters.copy()

    first, equal, other = (fastgd.SGD(0.1, momentum=m) for m in (0.9, 0.9, 0.5))
    assert np.array_equal(run(first, first, first), run(first, equal, None))
    assert not np.array_equal(run(first, first), run(first, other))


@pytest.mark.parametrize(
    "others",
    [
        ("adam", "nadam"),
        ("sgd", "adam"),
        ("adamw", "amsgrad"),
        ("rprop", "rmsprop"),
        ("adam", "sgd"),
    ],
)
def test_another_kind_of_optimizer_begins_anew(backend, others):
    """Also where its state has the same shape."""
    X, y = examples((5, 3), 8)
    before, after = others
    net, fresh = network((5, 3), backend), network((5, 3), backend)
    for _ in range(3):
        net.partial_fit(X, y, optimizer=before)
    fresh.parameters[:] = net.parameters
    for _ in range(3):
        net.partial_fit(X, y, optimizer=after)
        fresh.partial_fit(X, y, optimizer=after)
    assert np.array_equal(net.parameters, fresh.parameters)
    assert np.array_equal(net.state.slots, fresh.state.slots) and net.state.step == 3


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[0.0, np.nan]], [1], r"X\[0, 1\] .* is nan"),
        ([[0.0]], [1], "X must have 2 columns"),
        ([[0.0, 1.0]], [2], r"y must hold classes, integers from 0 to 1"),
        ([[0.0, 1.0]], [0, 1], "1 rows and 2 targets"),
        (np.empty((0, 2)), [], "at least one|must be 2-D"),
    ],
)
@pytest.mark.parametrize("form", [list, np.asarray, lambda a: np.asarray(a, np.float32)])
def test_bad_input_changes_nothing(backend, X, y, message, form):
    net = network((2, 2), backend)
    before = net.parameters.tobytes()
    y = np.asarray(y, dtype=np.int64)
    with pytest.raises(ValueError, match=message):
        net.partial_fit(form(X), y)
    assert net.parameters.tobytes() == before


def test_divergence_is_told(backend):
    X, y = examples((5, 3), 8)
    net = fastgd.Network([5, 3], output="identity", loss="mse", backend=backend, seed=1)
    with pytest.raises(fastgd.DivergenceError, match="learning rate 1e"):
        for _ in range(100):
            net.partial_fit(X, y, optimizer=fastgd.SGD(1e10))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("X_scale", [1, 1e30])
@pytest.mark.parametrize(
    "optimizer",
    [
        fastgd.SGD(1e300), fastgd.SGD(3e38, momentum=0.9), fastgd.SGD(1e38, clip_norm=1.0),
        fastgd.SGD(1e39, max_norm=1.0), fastgd.Adam(1e308),
    ],
    ids=repr,
)  # fmt: skip
def test_a_step_that_would_spoil_the_network_is_not_made(backend, optimizer, X_scale, dtype):
    """Nor does it leave a trace in the optimizer's state."""
    X, y = examples((5, 3), 8)
    X *= np.float32(X_scale)
    net = fastgd.Network(
        [5, 3], output="identity", loss="mse", backend=backend, seed=1, dtype=dtype
    )
    for _ in range(5):
        before, slots, step = net.parameters.copy(), net.state.slots.copy(), net.state.step
        try:
            net.partial_fit(X, y, optimizer=optimizer)
        except fastgd.DivergenceError:
            assert np.array_equal(net.parameters, before)
            assert step == net.state.step
            assert (
                not net.state.slots.any() if step == 0 else np.array_equal(net.state.slots, slots)
            )
            break
        assert np.isfinite(net.parameters).all()


def test_a_step_that_was_not_made_leaves_no_trace(backend):
    X, y = examples((5, 3), 8)
    optimizer = fastgd.SGD(lambda step: 0.1 if step else 1e39)
    net, other = network((5, 3), backend), network((5, 3), backend)
    with pytest.raises(fastgd.DivergenceError):
        net.partial_fit(X, y, optimizer=optimizer)
    net.state.step = 1  # where the rate is a better one
    net.partial_fit(X, y, optimizer=optimizer)
    other.partial_fit(X, y, optimizer=fastgd.SGD(0.1))
    assert np.array_equal(net.parameters, other.parameters)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_nor_in_the_memory_of_those_that_follow(backend, momentum):
    """Padding that was multiplied by an infinite rate is no number any more."""
    X, y = examples((5, 7, 3), 8)
    optimizer = fastgd.SGD(lambda step: 1e39 if step == 2 else 0.1, momentum=momentum)
    net, other = network((5, 7, 3), backend), network((5, 7, 3), backend)
    for each in (net, other):
        for _ in range(2):
            each.partial_fit(X, y, optimizer=optimizer)
    with pytest.raises(fastgd.DivergenceError):
        net.partial_fit(X, y, optimizer=optimizer)
    for each in (net, other):
        each.state.step = 3
        each.partial_fit(X, y, optimizer=optimizer)
    assert np.array_equal(net.parameters, other.parameters)


def test_copies_are_independent(backend):
    X, y = examples((5, 3), 8)
    net = network((5, 3), backend)
    net.partial_fit(X, y)
    expected = net.predict(X[:1])
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert np.array_equal(other.predict(X[:1]), expected)
        other.parameters[:] = 0
        assert np.array_equal(net.predict(X[:1]), expected)
        other.partial_fit(X, y)
        assert np.array_equal(net.predict(X[:1]), expected)


def test_a_backend_chosen_later_is_used():
    if why_not("native"):
        pytest.skip(why_not("native"))
    net = network((5, 3), None)
    X, _ = examples((5, 3), 1)
    try:
        for name in ("native", "numpy", "native"):
            fastgd.set_backend(name)
            net.predict(X)
            assert net._quick[0] is fastgd.backends.backend(name)
    finally:
        fastgd.set_backend("auto")
