"""Compiled forms of `fastgd.rules.scalar`: they keep the element type, and float32's vectorise.

The float32 forms are Cephes' (Moshier, single precision): 1.2e-7 relative error and no branch.
float64 has no vector form here: it uses the standard library's functions.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastgd.rules import scalar

F = np.float32


@intrinsic
def _bits(typing, x):
    """Return the bits of a float32 as an int32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@intrinsic
def _power_of_two(typing, bits):
    """Return the float32 2^n, for n + 127 in the lowest bits of an int32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(
            builder.shl(args[0], ir.Constant(ir.IntType(32), 23)), ir.FloatType()
        )

    return types.float32(types.int32), codegen


_LOG2E, _LN2_HIGH, _LN2_LOW = F(1.44269504), F(0.693359375), F(-2.12194440e-4)
# Adding 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits.
_ROUND, _BIAS = F(12582912.0), F(127.0)
_LARGEST, _SMALLEST = F(88.0), F(-87.0)
_C0, _C1, _C2 = F(1.9875691500e-4), F(1.3981999507e-3), F(8.3334519073e-3)
_C3, _C4, _C5 = F(4.1665795894e-2), F(1.6666665459e-1), F(5.0000001201e-1)
_ONE = F(1.0)


def _exp32(x):
    # Comparisons this way round let NaN through.
    x = _LARGEST if x > _LARGEST else x
    x = _SMALLEST if x < _SMALLEST else x
    shifted = x * _LOG2E + _ROUND
    n = shifted - _ROUND
    r = x - n * _LN2_HIGH
    r = r - n * _LN2_LOW
    p = ((((_C0 * r + _C1) * r + _C2) * r + _C3) * r + _C4) * r + _C5
    p = p * r * r + r + _ONE
    return p * _power_of_two(_bits(shifted + _BIAS))


_T0, _T1, _T2 = F(-5.70498872745e-3), F(2.06390887954e-2), F(-5.37397155531e-2)
_T3, _T4 = F(1.33314422036e-1), F(-3.33332819422e-1)
_TWO, _NEAR = F(2.0), F(0.625)


@overload(scalar.exp)
def _exp(x):
    if x == types.float32:
        return _exp32
    return lambda x: math.exp(x)


@overload(scalar.tanh)
def _tanh(x):
    if x != types.float32:
        return lambda x: math.tanh(x)

    def tanh32(x):
        square = x * x
        p = (((_T0 * square + _T1) * square + _T2) * square + _T3) * square + _T4
        near = p * square * x + x
        size = abs(x)
        far = _ONE - _TWO / (scalar.exp(_TWO * size) + _ONE)
        far = -far if x < F(0.0) else far
        return near if size < _NEAR else far

    return tanh32


@overload(scalar.like)
def _like(value, x):
    if x == types.float32:
        return lambda value, x: F(value)
    return lambda value, x: np.float64(value)
