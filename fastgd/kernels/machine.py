"""What Numba has no words for: parts of arrays without references, cache lines, settings."""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from fastgd.backends.plan import DEPTH

__all__ = [
    "ask_for", "flush_subnormals", "multiples", "never_inline", "part", "prefetch",
    "restore_subnormals", "viewed",
]  # fmt: skip

X86 = llvm.get_process_triple().split("-")[0] in ("x86_64", "amd64")
INT = ir.IntType(64)
I32 = ir.IntType(32)


@intrinsic
def never_inline(typing):
    """Keep the calling function out of line: a large one would be compiled again at each call."""

    def codegen(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def part(typing, array, start, size):
    """Return array[start : start + size] of a 1-D array, without counting a reference to it.

    The loops over it are many and short; two atomic operations for each would show.
    """
    signature = array(array, types.int64, types.int64)

    def codegen(context, builder, signature, args):
        kind = signature.args[0]
        whole = context.make_array(kind)(context, builder, args[0])
        view = context.make_array(kind)(context, builder)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(whole.data.type.pointee))
        data = builder.gep(whole.data, [args[1]])
        populate_array(view, data, [args[2]], [itemsize], itemsize, None)
        return view._getvalue()

    return signature, codegen


@intrinsic
def viewed(typing, array, like):
    """Return a 1-D array's memory as one of the type of ``like``."""
    signature = like(array, like)

    def codegen(context, builder, signature, args):
        whole = context.make_array(signature.args[0])(context, builder, args[0])
        view = context.make_array(signature.return_type)(context, builder)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(view.data.type.pointee))
        nbytes = builder.mul(builder.extract_value(whole.shape, 0), whole.itemsize)
        data = builder.bitcast(whole.data, view.data.type)
        populate_array(view, data, [builder.udiv(nbytes, itemsize)], [itemsize], itemsize, None)
        return view._getvalue()

    return signature, codegen


@intrinsic
def multiples(typing, n, step):
    """Return the first n multiples of a step, n at most `DEPTH`, on the caller's stack."""
    array = types.Array(types.int64, 1, "C")
    signature = array(types.int64, types.int64)

    def codegen(context, builder, signature, args):
        n, step = args
        view, itemsize = context.make_array(array)(context, builder), INT(8)
        data = cgutils.alloca_once(builder, INT, size=INT(DEPTH))
        with cgutils.for_range(builder, n) as loop:
            builder.store(builder.mul(loop.index, step), builder.gep(data, [loop.index]))
        populate_array(view, data, [n], [itemsize], itemsize, None)
        return view._getvalue()

    return signature, codegen


def ask_for(builder, pointer, nearness):
    """Emit a request for a cache line: 3 is to be near, 2 less."""
    byte = ir.IntType(8).as_pointer()
    function = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(pointer, byte), I32(0), I32(nearness), I32(1)])


@intrinsic
def prefetch(typing, array, index):
    """Ask for the cache line of array[index] ahead of its use."""
    signature = types.void(array, types.int64)

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        ask_for(builder, builder.gep(data, [args[1]]), 2)
        return context.get_dummy_value()

    return signature, codegen


def _control(builder, name, place):
    """Read or write the processor's floating-point settings."""
    byte = ir.IntType(8).as_pointer()
    function = ir.FunctionType(ir.VoidType(), [byte])
    function = cgutils.get_or_insert_function(builder.module, function, f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(place, byte)])


@intrinsic
def flush_subnormals(typing):
    """Let numbers too small to be normal count as 0; return what to restore.

    In products each would cost 100 cycles. Where the processor has no such switch, nothing changes.
    """

    def codegen(context, builder, signature, args):
        if not X86:
            return I32(0)
        place = cgutils.alloca_once(builder, I32)
        _control(builder, "stmxcsr", place)
        before = builder.load(place)
        builder.store(builder.or_(before, I32(0x8040)), place)
        _control(builder, "ldmxcsr", place)
        return before

    return types.int32(), codegen


@intrinsic
def restore_subnormals(typing, before):
    """Undo `flush_subnormals`."""

    def codegen(context, builder, signature, args):
        if X86:
            place = cgutils.alloca_once(builder, I32)
            builder.store(args[0], place)
            _control(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.void(types.int32), codegen
