"""Predictions of a few rows, straight from the flat parameters: copying them into padded rows would
cost more than the arithmetic. What is zero is passed over.

csrc/small.h has the same steps under the same names.
"""

from __future__ import annotations

import math

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgd.backends import plan as P
from fastgd.kernels.compiling import compiled, inlined
from fastgd.kernels.machine import (
    I32,
    INT,
    flush_subnormals,
    never_inline,
    part,
    restore_subnormals,
)
from fastgd.kernels.rules import activate, numbers
from fastgd.kernels.simd import VECTOR_BYTES, _choose, _column, _Vectors, compress
from fastgd.kernels.steps import all_finite, read_inputs, softmax

__all__ = ["small_predict"]

#: How many sums of some vectors hide the multiplication's latency. 0 vectors are a part of one: few
#: columns have no need of it, and are added in the order of all predictions.
SIDES = {0: 1, 1: 4, 2: 4, 4: 2}


def _load_part(e, index, n):
    """Return the first n numbers at an index, then zeros; nothing beyond them is read."""
    b, lanes = e.builder, ir.VectorType(I32, e.lanes)
    ramp = ir.Constant(lanes, list(range(e.lanes)))
    mask = b.icmp_signed("<", ramp, e.splat(b.trunc(n, I32)))
    pointer = e.vector.as_pointer()
    kind = ir.FunctionType(e.vector, [pointer, I32, mask.type, e.vector])
    name = f"llvm.masked.load.v{e.lanes}f{8 * e.itemsize}.p0"
    load = cgutils.get_or_insert_function(b.module, kind, name)
    place = b.bitcast(b.gep(e.data, [index]), pointer)
    return b.call(load, [place, I32(e.itemsize), mask, e.zero])


def _emit_small_columns(e, weights, place, vectors, n, n_in, n_out, x, w, first, z):
    b, side, whole = e.builder, SIDES[vectors], vectors > 0
    last = b.sub(n_out, INT(e.lanes))
    columns = [e.at(first, v * e.lanes) for v in range(vectors)]
    columns = [b.select(b.icmp_signed("<", c, last), c, last) for c in columns] or [first]
    sums = [e.sums(len(columns)) for _ in range(side)]

    def row(p):
        starts = [e.at(w, (p, n_out), column) for column in columns]
        return [weights.load(at) if whole else _load_part(weights, at, n_out) for at in starts]

    def add(p, sums):
        value = e.number(e.at(x, p))
        for total, vector in zip(sums, row(place(p)), strict=True):
            e.add_to(total, value, vector)

    steps = b.udiv(n, INT(side))
    with cgutils.for_range(b, steps) as loop:
        for u in range(side):
            add(e.at(b.mul(loop.index, INT(side)), u), sums[u])
    with cgutils.for_range(b, n, start=b.mul(steps, INT(side))) as loop:
        add(loop.index, sums[0])
    for column, bias, *totals in zip(columns, row(n_in), *sums, strict=True):
        total = b.load(totals[0])
        for other in totals[1:]:
            total = b.fadd(total, b.load(other))
        e.store(b.fadd(total, bias), e.at(z, column))


@intrinsic
def small_columns(typing, work, flat, places, vectors, n, n_in, n_out, x, w, first, z):
    """z[j] = b[j] + sum_p work[x + p] W[places[p], j] for some vectors of columns from ``first``.

    W (n_in, n_out) and b begin at flat[w]. Vectors lie within a row: the last ones overlap; 0 stand
    for all columns of less than a vector.
    """
    signature = types.void(work, flat, places, *[types.int64] * 8)

    def codegen(context, builder, signature, args):
        e, weights = (_Vectors(context, builder, signature.args[i], args[i]) for i in (0, 1))
        place = _column(context, builder, signature, args, 2)
        cases = {v: lambda v=v: _emit_small_columns(e, weights, place, v, *args[4:]) for v in SIDES}
        _choose(builder, args[3], cases)
        return context.get_dummy_value()

    return signature, codegen


@compiled
def small_layer(work, flat, places, n, n_in, n_out, x, w, z):
    """z = b + x W, of the n numbers of x that are not zero."""
    never_inline()
    lanes = VECTOR_BYTES // work.itemsize
    at = 0
    while at < n_out:
        left = (n_out - at + lanes - 1) // lanes
        vectors = 4 if left >= 4 else 2 if left >= 2 else 1 if n_out >= lanes else 0
        small_columns(work, flat, places, vectors, n, n_in, n_out, x, w, at, z)
        at += max(vectors, 1) * lanes


@inlined
def small_predict(call, work):
    """Predict the call's rows; the first one's cost is NaN where one of them cannot be."""
    plan, places = call.plan, call.gathered
    n_layers = len(plan) - 1
    call.costs[0] = 0
    for row in range(call.n):
        a = plan[0, P.X]
        n_in = plan[1, P.N_IN]
        read_inputs(call, row * n_in, n_in, part(work, a, n_in), part(places, 0, 0))
        for layer in range(1, n_layers + 1):
            n_in, n_out = plan[layer, P.N_IN], plan[layer, P.N_OUT]
            z, width = plan[layer, P.Z], plan[layer, P.WIDTH]
            before = flush_subnormals()
            n = compress(work, places, n_in, a, 0)
            small_layer(work, call.flat, places, n, n_in, n_out, a, plan[layer, P.FLAT], z)
            restore_subnormals(before)
            if layer == 1 and not all_finite(part(work, z, n_out)):
                call.costs[0] = math.nan
            a = plan[layer, P.A]
            if layer == n_layers and plan[0, P.ROW_WISE] == 1:
                softmax(plan, work, layer, 0, 1)
            else:
                p = numbers(work, plan[layer, P.NUMBERS])
                activate(plan[layer, P.ACTIVATION], (part(work, z, width), part(work, a, width), p))
            for j in range(n_out, width):  # what `compress` reads is padded with zeros
                work[a + j] = 0
        outputs = part(call.outputs, row * n_out, n_out)
        for j in range(n_out):
            outputs[j] = work[a + j]
