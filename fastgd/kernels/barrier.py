"""A barrier for threads that meet many times: a counter and a generation, on two cache lines."""

from __future__ import annotations

import sys

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgd.kernels.compiling import compiled

__all__ = ["wait_for_all"]

#: Spin this often before giving the core to somebody else.
SPINS = 500
#: How many integers a cache line holds.
LINE = 8

_give_way = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)


def _pointer(context, builder, signature, args):
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


@intrinsic
def _add(typing, array, index, value):
    """Add to array[index] atomically; return what was there."""

    def codegen(context, builder, signature, args):
        pointer = _pointer(context, builder, signature, args)
        return builder.atomic_rmw("add", pointer, args[2], "acq_rel")

    return types.int64(array, types.int64, types.int64), codegen


@intrinsic
def _load(typing, array, index):
    """Return array[index], and see what other threads wrote before they changed it."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(_pointer(context, builder, signature, args), "acquire", 8)

    return types.int64(array, types.int64), codegen


@intrinsic
def _store(typing, array, index, value):
    """Set array[index], after all this thread wrote before."""

    def codegen(context, builder, signature, args):
        builder.store_atomic(args[2], _pointer(context, builder, signature, args), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


@intrinsic
def _pause(typing):
    """Tell the processor that this loop waits."""

    def codegen(context, builder, signature, args):
        if builder.module.triple.startswith(("x86_64", "i686", "i386")):
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(
                cgutils.get_or_insert_function(builder.module, pause, "llvm.x86.sse2.pause"), []
            )
        return context.get_dummy_value()

    return types.void(), codegen


@compiled
def wait_for_all(barrier, n_threads):
    """Return once all threads of the team have called it; what they wrote before is seen."""
    if n_threads == 1:
        return
    now = _load(barrier, LINE)
    if _add(barrier, 0, 1) == n_threads - 1:
        _store(barrier, 0, 0)
        _store(barrier, LINE, now + 1)
        return
    spins = 0
    while _load(barrier, LINE) == now and _load(barrier, LINE + 1) == 0:
        spins += 1
        if spins < SPINS:
            _pause()
        else:
            _give_way()
