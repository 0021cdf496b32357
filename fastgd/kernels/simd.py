"""Vectors, and the register tiles that all products are made of.

LLVM vectorises loops only where it can prove that no two pointers meet, and blocked products are
beyond it. So the innermost products are written down as the vector instructions they should
become: LLVM's own vector types, one fused multiply-add for each row and vector. The same tiles as
csrc/simd.h.
"""

from __future__ import annotations

from copy import copy

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgd.kernels.machine import I32, INT, ask_for

__all__ = [
    "DOT_LANES", "MAX_ROWS", "MAX_SPARSE_VECTORS", "MAX_VECTORS", "VECTOR_BYTES", "compress",
    "copy_vector", "dot", "marked_sum", "scatter", "sparse_row", "sum_rows", "tile",
    "transpose_block",
]  # fmt: skip


def _registers() -> tuple[int, int]:
    """Return this processor's vector size in bytes and its number of vector registers."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 32
    if features.get("avx"):
        return 32, 16
    return 16, 32 if features.get("neon") else 16


VECTOR_BYTES, _N_REGISTERS = _registers()

#: For 1, 2, 3 and 4 vectors: the most rows whose sums, with the vectors, fit the registers.
MAX_ROWS = (8, 8, 6, 6) if _N_REGISTERS == 32 else (8, 5, 4, 3)
MAX_VECTORS = 4
#: The most vectors of a sparse row, two sums side by side.
MAX_SPARSE_VECTORS = _N_REGISTERS // 4
#: The depth from which on a tile asks for what it adds its sums to before it makes them.
DEEP = 64
#: How many sums of a dot product run side by side: the same for any vector.
DOT_LANES = 64


class _Vectors:
    """Emits vector instructions over a 1-D array of numbers."""

    def __init__(self, context, builder, kind, array):
        self.builder = builder
        element = context.get_data_type(kind.dtype)
        self.itemsize = kind.dtype.bitwidth // 8
        self.vector = ir.VectorType(element, VECTOR_BYTES // self.itemsize)
        self.lanes = self.vector.count
        self.data = context.make_array(kind)(context, builder, array).data
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        name = f"llvm.fma.v{self.lanes}f{8 * self.itemsize}"
        function = ir.FunctionType(self.vector, [self.vector] * 3)
        self._fma = cgutils.get_or_insert_function(builder.module, function, name)

    def over(self, data):
        """Return the same over numbers at an address."""
        other = copy(self)
        other.data = data
        return other

    def fma(self, a, b, c):
        return self.builder.call(self._fma, [a, b, c])

    def at(self, start, *terms):
        """Return the index start + sum of terms; a term is a number or a product of two."""
        for term in terms:
            if isinstance(term, tuple):
                term = self.builder.mul(*(INT(t) if isinstance(t, int) else t for t in term))
            elif isinstance(term, int):
                term = INT(term)
            start = self.builder.add(start, term)
        return start

    def _pointer(self, index):
        pointer = self.builder.gep(self.data, [index])
        return self.builder.bitcast(pointer, self.vector.as_pointer())

    def load(self, index):
        return self.builder.load(self._pointer(index), align=self.itemsize)

    def store(self, value, index):
        self.builder.store(value, self._pointer(index), align=self.itemsize)

    def ask_for(self, index):
        """Ask for the cache line of a number ahead of its use."""
        ask_for(self.builder, self.builder.gep(self.data, [index]), 3)

    def keep(self, vector, kept):
        """Return the lanes that are kept, moved to the front, then zeros."""
        # As integers: where no instruction does this, LLVM 22 gives up on other numbers.
        bits = 32 if vector.type.element == I32 else 8 * self.itemsize
        whole = ir.VectorType(ir.IntType(bits), self.lanes)
        function = ir.FunctionType(whole, [whole, kept.type, whole])
        function = cgutils.get_or_insert_function(
            self.builder.module, function, f"llvm.experimental.vector.compress.v{self.lanes}i{bits}"
        )
        zeros, moved = ir.Constant(whole, [0] * self.lanes), self.builder.bitcast(vector, whole)
        return self.builder.bitcast(self.builder.call(function, [moved, kept, zeros]), vector.type)

    def splat(self, scalar):
        """Return a vector with the scalar in every lane."""
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
        lanes = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, undefined, lanes)

    def number(self, index):
        """Return the number at an index, in every lane."""
        return self.splat(self.builder.load(self.builder.gep(self.data, [index])))

    def sums(self, n):
        """Return n running sums, which LLVM keeps in registers."""
        sums = [cgutils.alloca_once(self.builder, self.vector) for _ in range(n)]
        for total in sums:
            self.builder.store(self.zero, total)
        return sums

    def add_to(self, total, a, b):
        self.builder.store(self.fma(a, b, self.builder.load(total)), total)


def _choose(builder, key, cases):
    """Emit a switch; cases maps an integer to a function that emits its code."""
    end = builder.append_basic_block("end")
    switch = builder.switch(key, end)
    for value, emit in cases.items():
        block = builder.append_basic_block(f"case_{value}")
        switch.add_case(INT(value), block)
        builder.position_at_end(block)
        emit()
        builder.branch(end)
    builder.position_at_end(end)


def _emit_tile(
    e, rows, vectors, depth, place, s, rows_at, depths_at, w, ldw, start, ld_start, c, ldc, *scale
):
    b = e.builder
    cells = [(r, v) for r in range(rows) for v in range(vectors)]
    sums = dict(zip(cells, e.sums(len(cells)), strict=True))
    with b.if_then(b.icmp_signed(">=", depth, INT(DEEP))):  # they are there when they are needed
        for r, v in cells:
            e.ask_for(e.at(start, (ld_start, r), v * e.lanes))
    scalars = [b.gep(s, [place(rows_at, INT(r))]) for r in range(rows)]
    with cgutils.for_range(b, depth) as loop:
        row = e.at(w, (loop.index, ldw))
        vs = [e.load(e.at(row, v * e.lanes)) for v in range(vectors)]
        shift = place(depths_at, loop.index)
        for r in range(rows):
            x = e.splat(b.load(b.gep(scalars[r], [shift])))
            for v in range(vectors):
                e.add_to(sums[r, v], x, vs[v])
    beta, alpha = map(e.splat, scale)
    for r, v in cells:
        old = e.load(e.at(start, (ld_start, r), v * e.lanes))
        total = e.builder.fmul(alpha, e.builder.load(sums[r, v]))
        e.store(e.fma(beta, old, total), e.at(c, (ldc, r), v * e.lanes))


def _data(context, builder, signature, args, i):
    """Return the address of an argument's numbers."""
    return context.make_array(signature.args[i])(context, builder, args[i]).data


@intrinsic
def tile(
    typing, work, x, rows_at, depths_at, rows, vectors, depth, s, w, ldw, start, ld_start, c, ldc,
    beta, alpha,
):  # fmt: skip
    """C[r, :] = beta start[r, :] + alpha sum_p S[r, p] W[p, :] for a few rows and vectors.

    S[r, p] is x[s + rows_at[r] + depths_at[p]], whether rows are steps apart or lie anywhere: a
    form for each would be compiled for every tile. The other matrices lie in ``work`` (1-D):
    W[p, :] begins at w + p * ldw, start[r, :] at start + r * ld_start, C[r, :] at c + r * ldc.
    Sums run in the order of p, whatever the tile, so that results do not depend on how rows are
    grouped.
    """
    signature = types.void(work, x, rows_at, depths_at, *[types.int64] * 10, work.dtype, work.dtype)

    def codegen(context, builder, signature, args):
        e = _Vectors(context, builder, signature.args[0], args[0])
        x, rows_at, depths_at = (_data(context, builder, signature, args, i) for i in (1, 2, 3))
        rows, vectors, depth, s, *rest = args[4:]
        key, s = e.at(rows, (vectors, MAX_ROWS[0])), builder.gep(x, [s])

        def place(places, i):
            return builder.load(builder.gep(places, [i]))

        cases = {
            v * MAX_ROWS[0] + r: lambda r=r, v=v: _emit_tile(
                e, r, v, depth, place, s, rows_at, depths_at, *rest
            )
            for v, most in enumerate(MAX_ROWS, start=1)
            for r in range(1, most + 1)
        }
        _choose(builder, key, cases)
        return context.get_dummy_value()

    return signature, codegen


def _column(context, builder, signature, args, i):
    """Return a function that loads the i-th of int32 columns as an index."""
    data = _data(context, builder, signature, args, i)
    return lambda i: builder.sext(builder.load(builder.gep(data, [i])), INT)


def _emit_sparse_row(e, inputs, place, vectors, side, n, x, first, w, ldw, start, c, *scale):
    """Emit C = beta start + alpha sum_p x[p] W[places[p], :], with ``side`` sums side by side."""
    b, sums, (beta, alpha) = e.builder, e.sums(vectors * side), map(e.splat, scale)

    def add(p, which):
        value = inputs.number(e.at(x, p))
        row = e.at(w, (place(e.at(first, p)), ldw))
        for v in range(vectors):
            e.add_to(sums[which * vectors + v], value, e.load(e.at(row, v * e.lanes)))

    whole = b.udiv(n, INT(side))
    with cgutils.for_range(b, whole) as loop:
        for u in range(side):
            add(e.at(b.mul(loop.index, INT(side)), u), u)
    with cgutils.for_range(b, n, start=b.mul(whole, INT(side))) as loop:
        add(loop.index, 0)
    for v in range(vectors):
        total = b.load(sums[v])
        for u in range(1, side):
            total = b.fadd(total, b.load(sums[u * vectors + v]))
        old = b.fmul(beta, e.load(e.at(start, v * e.lanes)))
        e.store(e.fma(alpha, total, old), e.at(c, v * e.lanes))


@intrinsic
def sparse_row(
    typing, work, inputs, places, width, vectors, n, x, first, w, ldw, start, c, beta, alpha
):  # fmt: skip
    """C[:] = beta start[:] + alpha sum_p x[p] W[places[first + p], :] for n numbers, some vectors.

    x[p] is inputs[x + p].
    How many sums hide the multiplication's latency comes from the whole ``width``, in vectors, so
    that results do not depend on which columns a thread has.
    """
    signature = types.void(work, inputs, places, *[types.int64] * 9, work.dtype, work.dtype)

    def codegen(context, builder, signature, args):
        e, inputs = (_Vectors(context, builder, signature.args[i], args[i]) for i in (0, 1))
        place = _column(context, builder, signature, args, 2)
        narrow = builder.icmp_signed("<=", args[3], INT(2))
        key = builder.add(args[4], builder.select(narrow, INT(0), INT(2)))
        sides = [(1, 4), (2, 4), *((v, 2) for v in range(1, MAX_SPARSE_VECTORS + 1))]
        cases = {
            i: lambda v=v, side=side: _emit_sparse_row(e, inputs, place, v, side, *args[5:])
            for i, (v, side) in enumerate(sides, start=1)
        }
        _choose(builder, key, cases)
        return context.get_dummy_value()

    return signature, codegen


def _emit_marked_sum(e, vectors, words, word, x, ldx, d, ldd, start, c, *scale):
    b, sums, (beta, alpha) = e.builder, e.sums(vectors), map(e.splat, scale)
    left = cgutils.alloca_once(b, INT)
    with cgutils.for_range(b, words) as loop:
        b.store(word(loop.index), left)
        first = b.mul(loop.index, INT(64))
        more, add, done = (b.append_basic_block(name) for name in ("more", "add", "done"))
        b.branch(more)
        b.position_at_end(more)
        b.cbranch(b.icmp_signed("!=", b.load(left), INT(0)), add, done)
        b.position_at_end(add)
        row = b.add(first, b.cttz(b.load(left), ir.Constant(ir.IntType(1), 1)))
        value, delta = e.number(e.at(x, (row, ldx))), e.at(d, (row, ldd))
        for v in range(vectors):
            e.add_to(sums[v], value, e.load(e.at(delta, v * e.lanes)))
        b.store(b.and_(b.load(left), b.sub(b.load(left), INT(1))), left)
        b.branch(more)
        b.position_at_end(done)
    for v in range(vectors):
        old = b.fmul(beta, e.load(e.at(start, v * e.lanes)))
        e.store(e.fma(alpha, b.load(sums[v]), old), e.at(c, v * e.lanes))


@intrinsic
def marked_sum(
    typing, work, marks, vectors, words, first, x, ldx, d, ldd, start, c, beta, alpha
):  # fmt: skip
    """C[:] = beta start[:] + alpha sum_r x[r ldx] D[r, :] over the rows that are marked.

    A bit each, 64 a word, from marks[first] on.
    """
    signature = types.void(work, marks, *[types.int64] * 9, work.dtype, work.dtype)

    def codegen(context, builder, signature, args):
        e = _Vectors(context, builder, signature.args[0], args[0])
        data, (vectors, words, first, *rest) = _data(context, builder, signature, args, 1), args[2:]

        def word(i):
            return builder.load(builder.gep(data, [builder.add(first, i)]))

        cases = {
            v: lambda v=v: _emit_marked_sum(e, v, words, word, *rest)
            for v in range(1, MAX_SPARSE_VECTORS + 1)
        }
        _choose(builder, vectors, cases)
        return context.get_dummy_value()

    return signature, codegen


def _emit_scatter(e, inputs, column, vectors, n, x, first, d, g, ldg, alpha):
    delta = [e.builder.fmul(e.splat(alpha), e.load(e.at(d, v * e.lanes))) for v in range(vectors)]
    with cgutils.for_range(e.builder, n) as loop:
        value = inputs.number(e.at(x, loop.index))
        row = e.at(g, (column(e.at(first, loop.index)), ldg))
        for v in range(vectors):
            at = e.at(row, v * e.lanes)
            e.store(e.fma(value, delta[v], e.load(at)), at)


@intrinsic
def scatter(typing, work, inputs, columns, vectors, n, x, first, d, g, ldg, alpha):
    """G[columns[first + p], :] += inputs[x + p] alpha D[:] for n numbers and a few vectors."""
    signature = types.void(work, inputs, columns, *[types.int64] * 7, work.dtype)

    def codegen(context, builder, signature, args):
        e, inputs = (_Vectors(context, builder, signature.args[i], args[i]) for i in (0, 1))
        column = _column(context, builder, signature, args, 2)
        cases = {
            v: lambda v=v: _emit_scatter(e, inputs, column, v, *args[4:])
            for v in range(1, MAX_VECTORS + 1)
        }
        _choose(builder, args[3], cases)
        return context.get_dummy_value()

    return signature, codegen


def _emit_sum_rows(e, inputs, vectors, place, m, x, d, ldd, start, c, *scale):
    sums = e.sums(vectors)
    with cgutils.for_range(e.builder, m) as loop:
        delta, row = e.number(e.at(d, (loop.index, ldd))), e.at(x, place(loop.index))
        for v in range(vectors):
            e.add_to(sums[v], delta, inputs.load(e.at(row, v * e.lanes)))
    beta, alpha = map(e.splat, scale)
    for v in range(vectors):
        old = e.load(e.at(start, v * e.lanes))
        total = e.builder.fmul(alpha, e.builder.load(sums[v]))
        e.store(e.fma(beta, old, total), e.at(c, v * e.lanes))


@intrinsic
def sum_rows(
    typing, work, inputs, places, placed, ldx, vectors, m, x, d, ldd, start, c, beta, alpha
):  # fmt: skip
    """C[:] = beta start[:] + alpha sum_r D[r] X[r, :] for m rows and 1 or `MAX_VECTORS` vectors.

    X[r, :] begins at inputs[x + places[r]] where rows are placed, else at inputs[x + r * ldx].
    """
    signature = types.void(
        work, inputs, places, types.boolean, *[types.int64] * 8, work.dtype, work.dtype
    )

    def codegen(context, builder, signature, args):
        e, inputs = (_Vectors(context, builder, signature.args[i], args[i]) for i in (0, 1))
        places = _data(context, builder, signature, args, 2)
        placed, ldx, vectors, *rest = args[3:]

        def place(r):
            there = builder.load(builder.gep(places, [r]))
            return builder.select(placed, there, builder.mul(r, ldx))

        cases = {
            v: lambda v=v: _emit_sum_rows(e, inputs, v, place, *rest) for v in (1, MAX_VECTORS)
        }
        _choose(builder, vectors, cases)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def dot(typing, x, w):
    """Return the sum of x times w, of as many numbers as x has, in `DOT_LANES` sums."""
    signature = x.dtype(x, w)

    def codegen(context, builder, signature, args):
        x, w = (_Vectors(context, builder, signature.args[i], args[i]) for i in (0, 1))
        array = context.make_array(signature.args[0])(context, builder, args[0])
        n, total = builder.extract_value(array.shape, 0), DOT_LANES // x.lanes
        sums, number = x.sums(total), x.vector.element
        whole = builder.mul(builder.udiv(n, INT(DOT_LANES)), INT(DOT_LANES))
        with cgutils.for_range_slice(builder, INT(0), whole, INT(DOT_LANES)) as (k, _):
            for v in range(total):
                at = x.at(k, v * x.lanes)
                x.add_to(sums[v], x.load(at), w.load(at))
        lanes = x.over(cgutils.alloca_once(builder, number, size=INT(DOT_LANES)))
        for v in range(total):
            lanes.store(builder.load(sums[v]), INT(v * x.lanes))
        with cgutils.for_range(builder, n, start=whole) as loop:
            place = builder.gep(lanes.data, [builder.sub(loop.index, whole)])
            a, b = (builder.load(builder.gep(e.data, [loop.index])) for e in (x, w))
            product = builder.fmul(a, b, flags=("contract",))
            builder.store(builder.fadd(builder.load(place), product, flags=("contract",)), place)
        parts = [lanes.load(INT(v * x.lanes)) for v in range(total)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(*pair) for pair in zip(parts[:half], parts[half:], strict=True)]
        last, half = parts[0], x.lanes // 2
        while half:
            mask = [half + i if i < half else i for i in range(x.lanes)]
            mask = ir.Constant(ir.VectorType(I32, x.lanes), mask)
            last = builder.fadd(last, builder.shuffle_vector(last, last, mask))
            half //= 2
        return builder.extract_element(last, I32(0))

    return signature, codegen


@intrinsic
def copy_vector(typing, source, start, target, place):
    """Copy one vector of numbers, from source[start] on, to target[place] on."""
    signature = types.void(source, types.int64, target, types.int64)

    def codegen(context, builder, signature, args):
        a, b = (_Vectors(context, builder, signature.args[i], args[i]) for i in (0, 2))
        b.store(a.load(args[1]), args[3])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def compress(typing, work, columns, n, x, first):
    """Move the numbers of work[x : x + n] that are not zero to its front; return how many.

    Their columns go to ``columns`` from ``first`` on. Whole vectors are written: there is room for
    n rounded up to one, and zeros after the n numbers.
    """
    signature = types.int64(work, columns, *[types.int64] * 3)

    def codegen(context, builder, signature, args):
        e = _Vectors(context, builder, signature.args[0], args[0])
        data = _data(context, builder, signature, args, 1)
        _, _, n, x, first = args
        indices = ir.VectorType(I32, e.lanes)
        ramp = ir.Constant(indices, list(range(e.lanes)))
        count = cgutils.alloca_once_value(builder, INT(0))
        with cgutils.for_range_slice(builder, INT(0), n, INT(e.lanes)) as (i, _):
            numbers = e.load(e.at(x, i))
            kept = builder.fcmp_unordered("!=", numbers, e.zero)
            column = builder.add(e.splat(builder.trunc(i, I32)), ramp)
            at = builder.load(count)
            e.store(e.keep(numbers, kept), e.at(x, at))
            target = builder.gep(data, [builder.add(first, at)])
            builder.store(
                e.keep(column, kept), builder.bitcast(target, indices.as_pointer()), align=4
            )
            bits = builder.bitcast(kept, ir.IntType(e.lanes))
            builder.store(builder.add(at, builder.zext(builder.ctpop(bits), INT)), count)
        return builder.load(count)

    return signature, codegen


@intrinsic
def transpose_block(typing, work, w, ldw, n_rows, zero, t, ldt):
    """Write a square block of W, a vector wide, transposed to T; rows from n_rows on are zero."""
    signature = types.void(work, *[types.int64] * 6)

    def codegen(context, builder, signature, args):
        e = _Vectors(context, builder, signature.args[0], args[0])
        _, w, ldw, n_rows, zero, t, ldt = args
        n, rows = e.lanes, []
        for r in range(e.lanes):
            inside = builder.icmp_signed("<", INT(r), n_rows)
            rows.append(e.load(builder.select(inside, e.at(w, (ldw, r)), zero)))
        halves = [[k // 2 + n * (k % 2) + part for k in range(n)] for part in (0, n // 2)]
        masks = [ir.Constant(ir.VectorType(I32, n), half) for half in halves]
        for _ in range(n.bit_length() - 1):  # each pass interleaves the halves of the block
            pairs = zip(rows[: n // 2], rows[n // 2 :], strict=True)
            rows = [builder.shuffle_vector(a, b, mask) for a, b in pairs for mask in masks]
        for r, row in enumerate(rows):
            e.store(row, e.at(t, (ldt, r)))
        return context.get_dummy_value()

    return signature, codegen
