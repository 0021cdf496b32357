"""A `Call` as Numba's kernel makes it again from one block of integers."""

from __future__ import annotations

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from fastgd.backends.compiled import Call  # noqa: E402
from fastgd.kernels import fields as F  # noqa: E402
from fastgd.kernels.compiling import compiled  # noqa: E402

KINDS = ("int", "float", "Array")


@compiled
def again(block, work):
    return F.described(block, work)


def call_of(number, kind):
    """Return a `Call` of which no two fields are alike."""
    whole = {numba.int64: "int64", numba.int32: "int32", numba.float64: "float64"}
    made = {}
    for i, name in enumerate(Call._fields, 3):
        if name in F.NUMBERS:
            made[name] = np.arange(i, dtype=number)
        elif name == "inputs":
            made[name] = np.arange(3 * i, dtype=("float32", "float64", "uint8")[kind])
        elif name in F.HOLD:
            made[name] = i + np.arange(i, dtype=whole[F.HOLD[name]])
        else:
            made[name] = kind if name == "kind" else i - 10
    made |= {"scale": made["work"].dtype.type(0.1), "share": 1 / 3, "seed_low": 0xFFFFFFFF}
    made |= {"plan": np.arange(15).reshape(3, 5), "weights": made["work"][:0]}
    return Call(**made)


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("number", ["float32", "float64"])
def test_every_field_arrives(number, kind):
    call = call_of(number, kind)
    block = F.packed(call, 7, -8)
    assert block[F.STEPS :].tolist() == [0, 7, -8]
    got = again(block, call.work)
    assert isinstance(got, Call)
    for name, given, found in zip(Call._fields, call, got, strict=True):
        if name == "inputs":
            given = given.view(np.uint8)
        assert np.array_equal(given, found), name
        assert getattr(given, "ndim", 0) == 0 or given.dtype == found.dtype, name


def test_fields_are_of_the_kind_that_is_written_beside_them():
    written = {name: kind.__forward_arg__ for name, kind in Call.__annotations__.items()}
    found = {kind: {name for name in written if written[name] == kind} for kind in KINDS}
    assert found["Array"] == {*F.HOLD, *F.NUMBERS}
    assert found["float"] == set(F.FLOATS)
    assert set(Call._fields) == set.union(*found.values())


def test_arrays_of_two_dimensions_are_taken_flat():
    call = call_of("float32", 1)
    rows = np.arange(6.0).reshape(2, 3)
    got = again(F.packed(call._replace(inputs=rows, shifts=rows)), call.work)
    assert got.inputs.tobytes() == got.shifts.tobytes() == rows.tobytes()


def test_another_layout_of_arrays_is_noticed(monkeypatch):
    F._check_abi()
    monkeypatch.setattr(F, "DATA", F.SHAPE)
    with pytest.raises(ImportError, match="lays arrays out"):
        F._check_abi()
