/* The rules' scalar forms: those of fastgd/rules/, under the same names. One block of lines a rule;
   `_native.RULES` lists them for Python, which takes another backend for a rule that is not here.
   Included once for each `number`; the loops over them are vectorised by the compiler. */

#if defined(__clang__) /* which trusts `restrict` alone */
#define FOR(n) for (integer i = 0; i < (n); i++)
#else
#define FOR(n) _Pragma("GCC ivdep") for (integer i = 0; i < (n); i++)
#endif

INLINE number positive(number z) { return z < 0 ? 0 : z; } /* this way round NaN stays NaN */
INLINE number sign_of(number x) { return x > 0 ? (number)1 : x < 0 ? (number)-1 : (number)0; }

/* Activations: a from z, and da/dz from z and a; p0 and p1 are the rule's parameters. */
#define ACTIVATIONS(RULE)                                                                   \
    RULE(identity, z, 1)                                                                    \
    RULE(sigmoid, 1 / (1 + exp_of(-z)), a * (1 - a))                                        \
    RULE(tanh, tanh_of(z), 1 - a * a)                                                       \
    RULE(relu, positive(z), z > 0 ? (number)1 : (number)0)                                  \
    RULE(leaky_relu, z < 0 ? p0 * z : z, z > 0 ? (number)1 : p0)

#define COUNT_RULE(name, ...) activation_##name,
enum { ACTIVATIONS(COUNT_RULE) N_ACTIVATIONS };
#undef COUNT_RULE

static void activate(integer activation, integer n, const number *restrict z, number *restrict a_,
                     const number *p) {
    const number p0 = p[0], p1 = p[1];
    (void)p0, (void)p1;
    switch (activation) {
#define RULE(name, value, slope) \
    case activation_##name:      \
        FOR(n) {                 \
            const number z_ = z[i]; \
            a_[i] = name##_value(z_, p0, p1); \
        }                        \
        break;
    }
}
