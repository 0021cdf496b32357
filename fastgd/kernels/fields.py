"""A `Call` as one block of integers, which Numba takes at the price of one array.

Of two dozen arrays it would look at every type and count every reference, each time: that takes
longer than a small network. In the block, numbers are as they are, floats by their bits, and arrays
by where their Python objects lie; a kernel finds their numbers and sizes there, as C code that
includes NumPy's headers does, and makes the `Call` again. Whoever packs a `Call` keeps it alive.
"""

from __future__ import annotations

import ctypes
import struct

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from fastgd.backends.compiled import Call
from fastgd.kernels.machine import INT

__all__ = [
    "AT", "DATA", "FLAGS", "HALF", "HEAD", "KIND", "KIND_MASK", "N_DIM", "SHAPE", "STEPS", "TYPE",
    "described", "kind_of_type", "memory", "packed",
]  # fmt: skip

#: Where NumPy's ABI has what an array is (PyArrayObject), in words of 8 bytes. How many dimensions
#: there are, and the flags, are the lower halves of theirs.
DATA = object.__basicsize__ // 8
N_DIM, SHAPE, _, _, TYPE, FLAGS, HEAD = range(DATA + 1, DATA + 8)
HALF = 0xFFFFFFFF
#: Where a type of numbers has what it is (PyArray_Descr): kind, order of bytes, flags and number.
#: Types that arrays were unpickled with are not NumPy's own objects, but have the same there.
KIND, KIND_MASK = DATA + 1, ~(0xFF << 24)

#: The place of each field; after them a kernel writes how many steps it made.
AT = {name: i for i, name in enumerate(Call._fields)}
STEPS = len(AT)
FLOATS = ("scale", "share")
#: What arrays hold; the others numbers of the network's type.
HOLD = {
    **dict.fromkeys(("pointers", "marks", "places", "order", "classes", "barrier"), types.int64),
    **dict.fromkeys(("columns", "gathered", "lengths"), types.int32),
    **dict.fromkeys(("shifts", "scales", "penalties", "sums", "costs"), types.float64),
    "plan": types.int64,
    "inputs": types.uint8,  # bytes of any kind
}
NUMBERS = ("work", "flat", "slots", "targets", "weights", "outputs", "table")

_pack = struct.Struct("".join("d" if name in FLOATS else "q" for name in AT)).pack_into


def packed(call: Call, *more: int) -> np.ndarray:
    """Return the fields, 8 bytes each, room for the steps, and integers that follow."""
    block = np.empty(STEPS + 1 + len(more), dtype=np.int64)
    _pack(block, 0, *[id(value) if isinstance(value, np.ndarray) else value for value in call])
    block[STEPS:] = 0, *more
    return block


def kind_of_type(number: np.dtype) -> int:
    """Return what two types of numbers have in common only if they are the same."""
    return (ctypes.c_int64 * (KIND + 1)).from_address(id(number))[KIND] & KIND_MASK


def _check_abi() -> None:
    """Raise ImportError where arrays are not laid out as they have been since NumPy 1."""
    array = np.zeros((3, 5), dtype=np.float32)
    words = (ctypes.c_int64 * HEAD).from_address(id(array))
    shape = (ctypes.c_int64 * 2).from_address(words[SHAPE])
    found = words[DATA], words[N_DIM] & HALF, *shape, words[TYPE], words[FLAGS] & HALF
    expected = array.ctypes.data, 2, 3, 5, id(array.dtype), array.flags.num
    kind, number = kind_of_type(array.dtype), array.dtype
    if found != expected or (kind & 0xFF, kind >> 32) != (ord(number.kind), number.num):
        raise ImportError(f"NumPy {np.__version__} lays arrays out in another way")


_check_abi()


def _kind(name: str, number: types.Type) -> types.Type:
    """Return the type of a field."""
    if name in NUMBERS or name in HOLD:
        return types.Array(HOLD.get(name, number), 2 if name == "plan" else 1, "C")
    return {"scale": number, "share": types.float64}.get(name, types.int64)


def _words(builder, address):
    """Return a function that loads the i-th word at an address."""
    pointer = builder.inttoptr(address, INT.as_pointer())
    return lambda i: builder.load(builder.gep(pointer, [INT(i)]))


def _array(context, builder, kind, data, shape):
    """Return an array at an address."""
    view = context.make_array(kind)(context, builder)
    size = context.get_abi_sizeof(view.data.type.pointee)
    itemsize = context.get_constant(types.intp, size)
    steps = [itemsize] if len(shape) == 1 else [builder.mul(shape[1], itemsize), itemsize]
    pointer = builder.inttoptr(data, view.data.type)
    populate_array(view, pointer, shape, steps, itemsize, None)
    return view._getvalue()


def _field(context, builder, name, kind, word, itemsize):
    """Return a field from its word; ``itemsize`` is that of the inputs."""
    if isinstance(kind, types.Array):
        array = _words(builder, word)
        shape = _words(builder, array(SHAPE))
        flat = builder.icmp_signed("==", builder.and_(array(N_DIM), INT(HALF)), INT(1))
        rows, columns = shape(0), builder.select(flat, INT(1), shape(1))
        sizes = [rows, columns] if kind.ndim == 2 else [builder.mul(rows, columns)]
        if name == "inputs":
            sizes = [builder.mul(sizes[0], itemsize)]
        return _array(context, builder, kind, array(DATA), sizes)
    if isinstance(kind, types.Float):
        value = builder.bitcast(word, ir.DoubleType())
        return value if kind == types.float64 else builder.fptrunc(value, ir.FloatType())
    return word


@intrinsic
def described(typing, fields, work):
    """Return the `Call` that a block describes; ``work`` holds the network's numbers.

    Its arrays count no references.
    """
    kinds = [_kind(name, work.dtype) for name in AT]
    call = types.NamedTuple(kinds, Call)

    def codegen(context, builder, signature, args):
        block = context.make_array(signature.args[0])(context, builder, args[0])
        words = _words(builder, builder.ptrtoint(block.data, INT))
        itemsize = INT(4)
        for code, size in ((1, 8), (2, 1)):
            kind = builder.icmp_signed("==", words(AT["kind"]), INT(code))
            itemsize = builder.select(kind, INT(size), itemsize)
        made = [
            _field(context, builder, name, kind, words(AT[name]), itemsize)
            for name, kind in zip(AT, kinds, strict=True)
        ]
        return context.make_tuple(builder, call, made)

    return call(fields, work), codegen


@intrinsic
def memory(typing, address, size, number):
    """Return an array of so many numbers at an address; it counts no references."""
    array = types.Array(number.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        return _array(context, builder, array, args[0], [args[1]])

    return array(types.int64, types.int64, number), codegen
