"""The register tile: a small matrix product whose sums stay in vector registers.

LLVM vectorises loops only where it can prove that no two pointers meet, and blocked products are
beyond it. So the innermost product is written down as the vector instructions it should become:
LLVM's own vector types, one fused multiply-add for each row and vector.
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

__all__ = ["MAX_ROWS", "MAX_VECTORS", "VECTOR_BYTES", "never_inline", "part", "prefetch", "tile"]

INT = ir.IntType(64)
I32 = ir.IntType(32)


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


def _fma(builder, vector):
    suffix = "f32" if isinstance(vector.element, ir.FloatType) else "f64"
    name = f"llvm.fma.v{vector.count}{suffix}"
    return cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), name
    )


class _Tile:
    """Emits one tile: ``rows`` x ``vectors`` sums, kept in registers over the whole depth."""

    def __init__(self, builder, element, data, operands):
        self.builder = builder
        self.vector = ir.VectorType(
            element, VECTOR_BYTES // (4 if element == ir.FloatType() else 8)
        )
        self.align = 4 if element == ir.FloatType() else 8
        self.fma = _fma(builder, self.vector)
        self.data, self.operands = data, operands

    def at(self, offset, row, stride, column=0):
        """Return the index offset + row * stride + column."""
        b = self.builder
        index = b.add(offset, b.mul(stride, INT(row))) if row else offset
        return b.add(index, INT(column)) if column else index

    def splat(self, scalar):
        """Return a vector with the scalar in every lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
        lanes = ir.Constant(ir.VectorType(I32, self.vector.count), [0] * self.vector.count)
        return self.builder.shuffle_vector(one, undefined, lanes)

    def load(self, index):
        b = self.builder
        pointer = b.bitcast(b.gep(self.data, [index]), self.vector.as_pointer())
        return b.load(pointer, align=self.align)

    def store(self, value, index):
        b = self.builder
        pointer = b.bitcast(b.gep(self.data, [index]), self.vector.as_pointer())
        b.store(value, pointer, align=self.align)

    def emit(self, rows, vectors):
        b, lanes = self.builder, self.vector.count
        depth, s, s_row, s_depth, w, ldw, start, ld_start, c, ldc, beta, alpha = self.operands
        cells = [(r, v) for r in range(rows) for v in range(vectors)]
        zero = ir.Constant(self.vector, [0.0] * lanes)
        scalars = [self.at(s, r, s_row) for r in range(rows)]
        before, loop = b.block, b.append_basic_block("depth")
        b.branch(loop)

        b.position_at_end(loop)
        p = b.phi(INT)
        sums = [b.phi(self.vector) for _ in cells]
        row = b.add(w, b.mul(p, ldw))
        vs = [self.load(self.at(row, 0, ldw, v * lanes)) for v in range(vectors)]
        shift = b.mul(p, s_depth)
        splats = [self.splat(b.load(b.gep(self.data, [b.add(i, shift)]))) for i in scalars]
        added = [
            b.call(self.fma, [splats[r], vs[v], total])
            for (r, v), total in zip(cells, sums, strict=True)
        ]
        following = b.add(p, INT(1))
        p.add_incoming(INT(0), before)
        p.add_incoming(following, loop)
        for total, new in zip(sums, added, strict=True):
            total.add_incoming(zero, before)
            total.add_incoming(new, loop)
        after = b.append_basic_block("store")
        b.cbranch(b.icmp_signed("<", following, depth), loop, after)

        b.position_at_end(after)
        beta, alpha = self.splat(beta), self.splat(alpha)
        for (r, v), total in zip(cells, added, strict=True):
            old = self.load(self.at(start, r, ld_start, v * lanes))
            new = b.call(self.fma, [beta, old, b.fmul(alpha, total)])
            self.store(new, self.at(c, r, ldc, v * lanes))


@intrinsic
def tile(
    typing, work, rows, vectors, depth, s, s_row, s_depth, w, ldw, start, ld_start, c, ldc,
    beta, alpha,
):  # fmt: skip
    """C[r, :] = beta start[r, :] + alpha sum_p S[r, p] W[p, :] for a few rows and vectors.

    All matrices lie in ``work`` (1-D); S[r, p] is work[s + r * s_row + p * s_depth], W[p, :]
    begins at w + p * ldw, start[r, :] at start + r * ld_start, C[r, :] at c + r * ldc. Sums run
    in the order of p, whatever the tile, so that results do not depend on how rows are grouped.
    The depth is at least 1.
    """
    signature = types.void(work, *[types.int64] * 12, work.dtype, work.dtype)

    def codegen(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        element = context.get_data_type(signature.args[0].dtype)
        key = builder.add(builder.mul(args[2], INT(MAX_ROWS[0])), args[1])
        end = builder.append_basic_block("end")
        switch = builder.switch(key, end)
        for vectors_, most in enumerate(MAX_ROWS, start=1):
            for rows_ in range(1, most + 1):
                block = builder.append_basic_block(f"tile_{rows_}x{vectors_}")
                switch.add_case(INT(vectors_ * MAX_ROWS[0] + rows_), block)
                builder.position_at_end(block)
                _Tile(builder, element, array.data, args[3:]).emit(rows_, vectors_)
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return signature, codegen


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
def prefetch(typing, array, index):
    """Ask for the cache line of array[index] ahead of its use."""
    signature = types.void(array, types.int64)

    def codegen(context, builder, signature, args):
        whole = context.make_array(signature.args[0])(context, builder, args[0])
        byte = ir.IntType(8).as_pointer()
        pointer = builder.bitcast(builder.gep(whole.data, [args[1]]), byte)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32]),
            "llvm.prefetch.p0",
        )
        builder.call(function, [pointer, I32(0), I32(2), I32(1)])
        return context.get_dummy_value()

    return signature, codegen
