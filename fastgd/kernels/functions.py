"""Compiled forms of `fastgd.rules.scalar`: they keep the element type, and they vectorise.

At most 2 units in the last place from the exact value and without a branch. exp reduces by Cody
and Waite, log and log1p are FreeBSD's msun (Sun 1993), the polynomials Chebyshev fits to what is
left. The same as in csrc/functions.h.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastgd.kernels.compiling import compiled
from fastgd.rules import scalar


class Format(NamedTuple):
    """What depends on the element type."""

    mantissa: int
    bias: int
    one_bits: int
    sqrt_half_bits: int
    exp_from: float  # below it exp stays where it is: the least normal numbers
    exp_to: float
    ln2_high: float
    ln2_low: float
    erf_to: float
    erf_center: float


FLOAT32 = Format(
    23, 127, 0x3F800000, 0x3F3504F3, -86.0, 89.0, 0.693359375, -2.12194440e-4, 4.0, 2.0
)  # fmt: skip
FLOAT64 = Format(
    52, 1023, 0x3FF0000000000000, 0x3FE6A09E667F3BCD, -708.0, 710.0,
    6.93147180369123816490e-01, 1.90821492927058770002e-10, 6.0, 2.5,
)  # fmt: skip


def _format(x: Any) -> Format:
    return FLOAT32 if x == types.float32 else FLOAT64


def polynomial(float32: list[float], float64: list[float]) -> Any:
    """Return a polynomial by Horner's rule, its highest coefficient first."""

    @intrinsic
    def horner(typing, x):
        first, *others = float32 if x == types.float32 else float64

        def codegen(context, builder, signature, args):
            (at,) = args
            value = ir.Constant(at.type, first)
            for c in others:
                value = builder.fmul(value, at, flags=("contract",))
                value = builder.fadd(value, ir.Constant(at.type, c), flags=("contract",))
            return value

        return x(x), codegen

    return horner


#: (e^x - 1 - x) / x^2 for |x| <= ln 2 / 2.
exp_series = polynomial(
    [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
     5.0000001201e-1],
    [2.510038549551032e-08, 2.7620088445409746e-07, 2.7557268459997064e-06,
     2.4801521295954376e-05, 0.00019841269863053618, 0.0013888888917213717,
     0.008333333333330062, 0.04166666666662413, 0.16666666666666669, 0.5000000000000001],
)  # fmt: skip
#: (tanh x / x - 1) / x^2 of x^2 for |x| <= 5/8.
tanh_series = polynomial(
    [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1],
    [-1.724487449484433e-05, 7.959955735264808e-05, -0.00023077616269519857,
     0.0005874372860094381, -0.001455309297534642, 0.0035920589774734554, -0.008863229830925709,
     0.021869488260559115, -0.05396825396139557, 0.13333333333326658, -0.3333333333333332],
)  # fmt: skip
#: (2 artanh x / x - 2) / x^2 of x^2 for |x| <= 0.1716.
log_series = polynomial(
    [0.2958005304318844, 0.39988778282162807, 0.6666668504515603],
    [0.14616585424888623, 0.15331710618210773, 0.18182889455674947, 0.22222211130259878,
     0.2857142862600327, 0.39999999999899444, 0.666666666666667],
)  # fmt: skip
#: erf x / x - 1 of x^2 for |x| <= 1.
erf_near = polynomial(
    [7.875875062685488e-05, -0.000801686428716587, 0.005189087423433974, -0.026854212010626412,
     0.11283594715160218, -0.37612626666720334, 0.12837916584835093],
    [-7.795898827002142e-10, 1.3720064546777686e-08, -1.6208483801871705e-07,
     1.6447424703317362e-06, -1.492473690741966e-05, 0.00012055294904839707,
     -0.0008548325975389692, 0.0052239776071164225, -0.02686617064323777, 0.11283791670945006,
     -0.37612638903183543, 0.12837916709551256],
)  # fmt: skip
#: e^(x^2) (1 - erf x) of (x - c) / (x + c) for 1 <= x <= erf_to, c being erf_center.
erf_far = polynomial(
    [-0.0008379754387023134, 0.006811140131085635, 0.0037323717589395444, -0.07896830612793473,
     0.2416582015255602, -0.4271859897684867, 0.25539567631050575],
    [-1.587633893127344e-06, -2.2328516517555215e-06, 7.499735050763299e-06,
     1.8596747731144528e-05, -3.4175718896856294e-05, -0.00012887483134837842,
     0.0002283799633257643, 0.0008759152875774328, -0.0026423659518134547, -0.003993701160123029,
     0.03992253907546523, -0.12503305237891782, 0.2517131932174488, -0.37173673394897294,
     0.2108063640611436],
)  # fmt: skip


def _bits_of(builder: Any, x: Any, layout: Format) -> Any:
    return builder.bitcast(x, ir.IntType(64 if layout is FLOAT64 else 32))


@intrinsic
def _power_of_two(typing, shifted):
    """Return 2^n for an integer n + bias in the lowest bits of ``shifted``."""
    layout = _format(shifted)

    def codegen(context, builder, signature, args):
        bits = _bits_of(builder, args[0], layout)
        return builder.bitcast(
            builder.shl(bits, ir.Constant(bits.type, layout.mantissa)), args[0].type
        )

    return shifted(shifted), codegen


def _moved(builder: Any, x: Any, layout: Format) -> Any:
    """Return the bits of x > 0, moved so that the exponent changes at sqrt(1/2)."""
    bits = _bits_of(builder, x, layout)
    return builder.add(bits, ir.Constant(bits.type, layout.one_bits - layout.sqrt_half_bits))


@intrinsic
def _exponent(typing, x):
    """Return the k of x = 2^k m, m from sqrt(1/2) to sqrt(2)."""
    layout = _format(x)
    units = 1 << layout.mantissa

    def codegen(context, builder, signature, args):
        bits, shift = _moved(builder, args[0], layout), layout.mantissa
        # An integer beside the mantissa of 2^mantissa is that many units: no conversion.
        k = builder.lshr(bits, ir.Constant(bits.type, shift))
        k = builder.or_(
            k, ir.Constant(bits.type, (layout.bias + layout.mantissa) << layout.mantissa)
        )
        k = builder.bitcast(k, args[0].type)
        return builder.fsub(k, ir.Constant(args[0].type, float(units + layout.bias)))

    return x(x), codegen


@intrinsic
def _significand(typing, x):
    """Return the m of x = 2^k m, m from sqrt(1/2) to sqrt(2)."""
    layout = _format(x)

    def codegen(context, builder, signature, args):
        bits = _moved(builder, args[0], layout)
        bits = builder.and_(bits, ir.Constant(bits.type, (1 << layout.mantissa) - 1))
        bits = builder.add(bits, ir.Constant(bits.type, layout.sqrt_half_bits))
        return builder.bitcast(bits, args[0].type)

    return x(x), codegen


def _constants(x: Any, *values: float) -> list[Any]:
    return [(np.float32 if x == types.float32 else np.float64)(value) for value in values]


@overload(scalar.exp)
def _exp(x):
    layout = _format(x)
    low, high, ln2_high, ln2_low, bias = _constants(
        x, layout.exp_from, layout.exp_to, layout.ln2_high, layout.ln2_low, layout.bias - 1
    )
    log2_e, shift, one = _constants(x, 1 / math.log(2), 1.5 * 2**layout.mantissa, 1)

    def exp(x):
        x = high if x > high else x  # comparisons this way round let NaN through
        x = low if x < low else x
        # Adding the shift rounds to an integer, which then stands in the lowest bits.
        shifted = x * log2_e + shift
        n = shifted - shift
        r = x - n * ln2_high
        r = r - n * ln2_low
        p = exp_series(r) * r * r + r + one
        # 2^n may be beyond the largest number where e^x is not: 2^(n - 1) never is.
        return (p + p) * _power_of_two(shifted + bias)

    return exp


@overload(scalar.tanh)
def _tanh(x):
    zero, one, two, limit = _constants(x, 0, 1, 2, 0.625)

    def tanh(x):
        square = x * x
        size = -x if x < zero else x
        near = tanh_series(square) * square * x + x
        far = one - two / (scalar.exp(two * size) + one)
        far = -far if x < zero else far
        return near if size < limit else far

    return tanh


def _log_sum(x: Any) -> Any:
    """Return a function: log(2^shift x) + correction for normal x > 0, others as log has them."""
    layout = _format(x)
    ln2_high, ln2_low = _constants(x, layout.ln2_high, layout.ln2_low)
    zero, half, one, two, infinity, nan, most = _constants(
        x, 0, 0.5, 1, 2, math.inf, math.nan, float(np.finfo(str(x)).max)
    )

    @compiled
    def log_sum(x, shift, correction):
        k = _exponent(x) + shift
        f = _significand(x) - one
        s = f / (two + f)
        square, halved = s * s, half * f * f
        low = s * (halved + log_series(square) * square) + (k * ln2_low + correction)
        value = k * ln2_high - ((halved - low) - f)
        outside = -infinity if x == zero else nan
        inside = value if x <= most else x
        return inside if x > zero else outside

    return log_sum


@overload(scalar.log)
def _log(x):
    log_sum, layout = _log_sum(x), _format(x)
    least, power, shift, zero = _constants(
        x, float(np.finfo(str(x)).tiny), 2.0 ** (layout.mantissa + 2), -layout.mantissa - 2, 0
    )

    def log(x):
        small = x < least
        return log_sum(x * power if small else x, shift if small else zero, zero)

    return log


@overload(scalar.log1p)
def _log1p(x):
    log_sum = _log_sum(x)
    zero, one = _constants(x, 0, 1)

    def log1p(x):
        total = one + x
        return log_sum(total, zero, (x - (total - one)) / total)

    return log1p


@overload(scalar.erf)
def _erf(x):
    layout = _format(x)
    zero, one, end, center = _constants(x, 0, 1, layout.erf_to, layout.erf_center)

    def erf(x):
        size = -x if x < zero else x
        near = erf_near(x * x) * x + x
        size = end if size > end else size
        far = one - erf_far((size - center) / (size + center)) * scalar.exp(-size * size)
        far = -far if x < zero else far
        return near if size < one else far

    return erf


@overload(scalar.like)
def _like(value, x):
    if x == types.float32:
        return lambda value, x: np.float32(value)
    return lambda value, x: np.float64(value)
