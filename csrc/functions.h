/* exp, tanh, log, log1p and erf for one `number`, at most 2 units in the last place from the exact
   value and without a branch, so that loops over them vectorise. exp reduces by Cody and Waite, log and
   log1p are FreeBSD's msun (Sun 1993), the polynomials Chebyshev fits to what is left. The same as in
   fastgd/kernels/functions.py. */

#if defined(NUMBER_DOUBLE)
typedef uint64_t number_bits;
#define MANTISSA 52
#define BIAS 1023
#define ONE_BITS UINT64_C(0x3ff0000000000000)
#define SQRT_HALF_BITS UINT64_C(0x3fe6a09e667f3bcd)
#define LEAST_NORMAL 0x1p-1022
#define MOST 0x1.fffffffffffffp+1023
#define EXP_FROM -708.0 /* below it exp stays where it is: the least normal numbers */
#define EXP_TO 710.0
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define RECIPROCAL_BITS UINT64_C(0x7fde623822fc16e6)
#define ERF_TO 6.0
#define ERF_CENTER 2.5
#else
typedef uint32_t number_bits;
#define MANTISSA 23
#define BIAS 127
#define ONE_BITS UINT32_C(0x3f800000)
#define SQRT_HALF_BITS UINT32_C(0x3f3504f3)
#define LEAST_NORMAL 0x1p-126f
#define MOST 0x1.fffffep+127f
#define EXP_FROM -86.0f
#define EXP_TO 89.0f
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define RECIPROCAL_BITS UINT32_C(0x7ef311c7)
#define ERF_TO 4.0f
#define ERF_CENTER 2.0f
#endif
#define SHIFT ((number)3 * (number)((number_bits)1 << (MANTISSA - 1))) /* 1.5 2^MANTISSA */

/* A polynomial by Horner's rule, its highest coefficient first. */
#define HORNER1(x, p) (p)
#define HORNER2(x, p, c) ((p) * (x) + (number)(c))
#define HORNER3(x, p, c, ...) HORNER2(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER4(x, p, c, ...) HORNER3(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER5(x, p, c, ...) HORNER4(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER6(x, p, c, ...) HORNER5(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER7(x, p, c, ...) HORNER6(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER8(x, p, c, ...) HORNER7(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER9(x, p, c, ...) HORNER8(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER10(x, p, c, ...) HORNER9(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER11(x, p, c, ...) HORNER10(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER12(x, p, c, ...) HORNER11(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER13(x, p, c, ...) HORNER12(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER14(x, p, c, ...) HORNER13(x, HORNER2(x, p, c), __VA_ARGS__)
#define HORNER15(x, p, c, ...) HORNER14(x, HORNER2(x, p, c), __VA_ARGS__)

/* (e^x - 1 - x) / x^2 for |x| <= ln 2 / 2; (tanh x / x - 1) / x^2 of x^2 for |x| <= 5/8;
   (2 artanh x / x - 2) / x^2 of x^2 for |x| <= 0.1716; erf x / x - 1 of x^2 for |x| <= 1; and
   e^(x^2) (1 - erf x) of (x - ERF_CENTER) / (x + ERF_CENTER) for 1 <= x <= ERF_TO. */
#if defined(NUMBER_DOUBLE)
INLINE number exp_series(number x) {
    return HORNER10(x, 2.510038549551032e-08, 2.7620088445409746e-07, 2.7557268459997064e-06,
                    2.4801521295954376e-05, 0.00019841269863053618, 0.0013888888917213717,
                    0.008333333333330062, 0.04166666666662413, 0.16666666666666669, 0.5000000000000001);
}
INLINE number tanh_series(number x) {
    return HORNER11(x, -1.724487449484433e-05, 7.959955735264808e-05, -0.00023077616269519857,
                    0.0005874372860094381, -0.001455309297534642, 0.0035920589774734554,
                    -0.008863229830925709, 0.021869488260559115, -0.05396825396139557,
                    0.13333333333326658, -0.3333333333333332);
}
INLINE number log_series(number x) {
    return HORNER7(x, 0.14616585424888623, 0.15331710618210773, 0.18182889455674947,
                   0.22222211130259878, 0.2857142862600327, 0.39999999999899444, 0.666666666666667);
}
INLINE number erf_near(number x) {
    return HORNER12(x, -7.795898827002142e-10, 1.3720064546777686e-08, -1.6208483801871705e-07,
                    1.6447424703317362e-06, -1.492473690741966e-05, 0.00012055294904839707,
                    -0.0008548325975389692, 0.0052239776071164225, -0.02686617064323777,
                    0.11283791670945006, -0.37612638903183543, 0.12837916709551256);
}
INLINE number erf_far(number x) {
    return HORNER15(x, -1.587633893127344e-06, -2.2328516517555215e-06, 7.499735050763299e-06,
                    1.8596747731144528e-05, -3.4175718896856294e-05, -0.00012887483134837842,
                    0.0002283799633257643, 0.0008759152875774328, -0.0026423659518134547,
                    -0.003993701160123029, 0.03992253907546523, -0.12503305237891782,
                    0.2517131932174488, -0.37173673394897294, 0.2108063640611436);
}
#else
INLINE number exp_series(number x) {
    return HORNER6(x, 1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                   1.6666665459e-1f, 5.0000001201e-1f);
}
INLINE number tanh_series(number x) {
    return HORNER5(x, -5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                   -3.33332819422e-1f);
}
INLINE number log_series(number x) {
    return HORNER3(x, 0.2958005304318844f, 0.39988778282162807f, 0.6666668504515603f);
}
INLINE number erf_near(number x) {
    return HORNER7(x, 7.875875062685488e-05f, -0.000801686428716587f, 0.005189087423433974f,
                   -0.026854212010626412f, 0.11283594715160218f, -0.37612626666720334f,
                   0.12837916584835093f);
}
INLINE number erf_far(number x) {
    return HORNER7(x, -0.0008379754387023134f, 0.006811140131085635f, 0.0037323717589395444f,
                   -0.07896830612793473f, 0.2416582015255602f, -0.4271859897684867f,
                   0.25539567631050575f);
}
#endif

INLINE number_bits bits_of(number x) {
    number_bits bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
INLINE number number_of(number_bits bits) {
    number x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* n / d for a normal d > 0, where a division comes after a square root: the divider then has but one
   of them to do. Less the bits of d is 1 / d to 12 %; a cubic step takes the cube of what is missing.
   Beyond a quarter of the largest number d stays there. */
INLINE number quotient_of(number n, number d) {
#if defined(TIER_AVX512)
    d = d > MOST / 4 ? MOST / 4 : d; /* this way round NaN stays NaN */
    number y = number_of(RECIPROCAL_BITS - bits_of(d)), missing = 1 - d * y;
    y += y * (missing + missing * missing);
    missing = 1 - d * y;
#if defined(NUMBER_DOUBLE)
    y += y * (missing + missing * missing);
#else
    y += y * missing;
#endif
    number q = n * y;
    return q + (n - q * d) * y;
#else
    return n / d;
#endif
}

INLINE number exp_of(number x) {
    x = x > EXP_TO ? EXP_TO : x; /* comparisons this way round let NaN through */
    x = x < EXP_FROM ? EXP_FROM : x;
    /* Adding SHIFT rounds to an integer, which then stands in the lowest bits. */
    number shifted = x * (number)1.4426950408889634 + SHIFT;
    number n = shifted - SHIFT;
    number r = x - n * LN2_HIGH;
    r = r - n * LN2_LOW;
    number p = exp_series(r) * r * r + r + 1;
    /* 2^n may be beyond the largest number where e^x is not: 2^(n - 1) never is. */
    return (p + p) * number_of(bits_of(shifted + (BIAS - 1)) << MANTISSA);
}

INLINE number tanh_of(number x) {
    number square = x * x, size = x < 0 ? -x : x;
    number near_ = tanh_series(square) * square * x + x;
    number far_ = 1 - 2 / (exp_of(2 * size) + 1);
    far_ = x < 0 ? -far_ : far_;
    return size < (number)0.625 ? near_ : far_;
}

/* log(2^shift x) + correction for a normal x > 0; other x as log has them. */
INLINE number log_sum(number x, number shift, number correction) {
    number_bits bits = bits_of(x) + (ONE_BITS - SQRT_HALF_BITS);
    /* An integer beside the mantissa of 2^MANTISSA is that many units: a conversion to vectorise. */
    number units = (number)((number_bits)1 << MANTISSA);
    number k = number_of(bits >> MANTISSA | bits_of(units)) - (units + BIAS) + shift;
    number f = number_of((bits & (((number_bits)1 << MANTISSA) - 1)) + SQRT_HALF_BITS) - 1;
    number s = f / (2 + f), square = s * s, half = (number)0.5 * f * f;
    number low = s * (half + log_series(square) * square) + (k * LN2_LOW + correction);
    number value = k * LN2_HIGH - ((half - low) - f);
    number outside = x == 0 ? -(number)INFINITY : (number)NAN;
    return x > 0 ? (x <= MOST ? value : x) : outside;
}

INLINE number log_of(number x) {
    int small = x < LEAST_NORMAL;
    number power = (number)((number_bits)1 << (MANTISSA + 2));
    return log_sum(small ? x * power : x, small ? -(number)(MANTISSA + 2) : (number)0, 0);
}

INLINE number log1p_of(number x) {
    number sum = 1 + x;
    return log_sum(sum, 0, (x - (sum - 1)) / sum);
}

INLINE number erf_of(number x) {
    number square = x * x, size = x < 0 ? -x : x;
    number near_ = erf_near(square) * x + x;
    size = size > ERF_TO ? ERF_TO : size;
    number far_ = erf_far((size - ERF_CENTER) / (size + ERF_CENTER));
    far_ = 1 - far_ * exp_of(-size * size);
    far_ = x < 0 ? -far_ : far_;
    return size < 1 ? near_ : far_;
}
