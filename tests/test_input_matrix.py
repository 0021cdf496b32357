"""Every number type in every layout and shape: the reference's result, or a refusal by name."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS

RNG = np.random.default_rng(6)

ACCEPTED = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
            "float16", "float32", "float64", "longdouble", "object"]  # fmt: skip
REFUSED = [
    "complex64",
    "complex128",
    "complex object",
    "datetime64[s]",
    "timedelta64[s]",
    "V4",
]


def unaligned(a):
    room = np.zeros(a.nbytes + a.dtype.alignment, np.uint8)
    place = room[1 : 1 + a.nbytes].view(a.dtype).reshape(a.shape)
    place[...] = a
    return place


def strided(a):
    wide = np.zeros([2 * n for n in a.shape], a.dtype)
    view = wide[(..., *(slice(None, None, 2) for _ in a.shape))]
    view[...] = a
    return view


def backwards(a):
    turn = (..., *(slice(None, None, -1) for _ in a.shape))
    return np.array(a[turn])[turn]


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def mapped(a, path):
    file = np.memmap(path, a.dtype, "w+", shape=a.shape)
    file[...] = a
    file.flush()
    return np.memmap(path, a.dtype, "r", shape=a.shape)


LAYOUTS = {
    "C": lambda a, path: np.ascontiguousarray(a),
    "F": lambda a, path: np.asfortranarray(a),
    "strided": lambda a, path: strided(a),
    "backwards": lambda a, path: backwards(a),
    "unaligned": lambda a, path: unaligned(a) if a.dtype != object and a.size else a,
    "swapped": lambda a, path: a.astype(a.dtype.newbyteorder("S")),
    "read-only": lambda a, path: read_only(a),
    "mapped": lambda a, path: mapped(a, path) if a.dtype != object and a.size else a,
    "masked": lambda a, path: np.ma.masked_array(a, mask=False),
    "repeated": lambda a, path: np.broadcast_to(a[:1], a.shape) if a.ndim and len(a) else a,
}
#: Each with the inputs of the network it is offered to, and whether that takes it.
SHAPES = {
    "one row": ((1, 3), 3, True),
    "no rows": ((0, 3), 3, False),
    "no columns": ((5, 0), 3, False),
    "one column": ((5, 1), 1, True),
    "a few": ((5, 3), 3, True),
    "an odd size": ((67, 17), 17, True),
    "many columns": ((2, 65_539), 65_539, True),
    "1-D": ((3,), 3, False),
    "3-D": ((2, 3, 4), 3, False),
    "0-D": ((), 3, False),
    "too wide": ((5, 4), 3, False),
}


def values_of(dtype, shape):
    """Return small whole numbers of a type: each type holds them."""
    whole = RNG.integers(0, 2 if dtype == "bool" else 6, shape)
    if dtype == "complex object":
        return np.asarray(whole + 1j).astype(object)
    return np.asarray(whole).astype(dtype)


def network(n_inputs, backend):
    return fastgd.Network([n_inputs, 3, 2], seed=2, dtype="float64", backend=backend, loss="mse",
                          output="identity")  # fmt: skip


def answers(net, X, y):
    net = net.copy()
    found = [net.predict(X), net.loss(X, y), net.gradient(X, y)]
    history = net.fit(X, y, epochs=1, batch_size=4, optimizer="sgd", shuffle=False)
    return [*map(np.asarray, found), np.asarray(history.cost), net.parameters]


def check_same(found, expected, name):
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=name)


def check_refused(net, X, y):
    for call in (net.predict, lambda X: net.loss(X, y), lambda X: net.gradient(X, y),
                 lambda X: net.fit(X, y, epochs=1)):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match="X"):
            call(X)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ACCEPTED)
def test_accepted_types(dtype, shape, backend, tmp_path):
    size, n_inputs, taken = SHAPES[shape]
    net, reference = network(n_inputs, backend), network(n_inputs, "numpy")
    y = RNG.normal(size=(size[0] if taken else 5, 2))
    for name, layout in LAYOUTS.items():
        if shape == "many columns" and name not in ("C", "F", "swapped", "mapped"):
            continue
        X = layout(values_of(dtype, size), tmp_path / name)
        if taken:
            expected = answers(reference, np.array(X, dtype=np.float64, order="C"), y)
            check_same(answers(net, X, y), expected, name)
            continue
        check_refused(net, X, y)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", REFUSED)
def test_refused_types(dtype, backend, tmp_path):
    net, y = network(3, backend), np.zeros((5, 2))
    for name, layout in LAYOUTS.items():
        if name == "swapped" and dtype == "V4":
            continue
        check_refused(net, layout(values_of(dtype, (5, 3)), tmp_path / name), y)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ACCEPTED)
def test_targets(dtype, backend, tmp_path):
    net, reference = network(3, backend), network(3, "numpy")
    X = RNG.normal(size=(7, 3))
    for name, layout in LAYOUTS.items():
        y = layout(values_of(dtype, (7, 2)), tmp_path / name)
        expected = answers(reference, X, np.array(y, dtype=np.float64, order="C"))
        check_same(answers(net, X, y), expected, name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", REFUSED)
def test_refused_targets(dtype, backend, tmp_path):
    net, X = network(3, backend), np.zeros((5, 3))
    for name, layout in LAYOUTS.items():
        if name == "swapped" and dtype == "V4":
            continue
        y = layout(values_of(dtype, (5, 2)), tmp_path / name)
        for call in (net.loss, net.gradient, lambda X, y: net.fit(X, y, epochs=1)):
            with pytest.raises((ValueError, TypeError), match="y"):
                call(X, y)


def test_masked_values_are_no_numbers():
    X = np.ma.masked_array(np.ones((5, 3)), mask=np.eye(5, 3, dtype=bool))
    with pytest.raises(ValueError, match="X"), warnings.catch_warnings():
        warnings.simplefilter("error")
        network(3, None).predict(X)
