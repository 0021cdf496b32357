/* The rules' scalar forms, in the order of fastgd/rules: a rule's place is its code. To add one, name
   it in its list and write its forms. For a rule that is not here Python takes another backend.
   Included once for each `number`, the loops being vectorised by the compiler; and once for the
   names alone. */

#define ACTIVATIONS(RULE) \
    RULE(identity)        \
    RULE(sigmoid)         \
    RULE(tanh)            \
    RULE(relu)            \
    RULE(softmax)         \
    RULE(leaky_relu)      \
    RULE(elu)             \
    RULE(selu)            \
    RULE(softplus)        \
    RULE(gelu)            \
    RULE(gelu_tanh)       \
    RULE(silu)            \
    RULE(hard_sigmoid)    \
    RULE(softsign)        \
    RULE(exp)

#define LOSSES(RULE)                \
    RULE(quadratic)                 \
    RULE(sse)                       \
    RULE(mse)                       \
    RULE(binary_cross_entropy)      \
    RULE(categorical_cross_entropy) \
    RULE(absolute_error)            \
    RULE(huber)                     \
    RULE(log_cosh)                  \
    RULE(quantile)                  \
    RULE(poisson)                   \
    RULE(hinge)                     \
    RULE(focal)                     \
    RULE(clipped_binary_cross_entropy) \
    RULE(clipped_categorical_cross_entropy)

#define UPDATES(RULE)      \
    RULE(gradient_descent) \
    RULE(momentum)         \
    RULE(adaptive_moments) \
    RULE(largest_moments)  \
    RULE(nesterov_moments) \
    RULE(root_mean_square) \
    RULE(sum_of_squares)   \
    RULE(adaptive_delta)   \
    RULE(signed_steps)     \
    RULE(signed_momentum)

#ifndef NAMES_ONLY

INLINE number positive(number z) { return z < 0 ? 0 : z; } /* this way round NaN stays NaN */
INLINE number sign_of(number x) { return x > 0 ? (number)1 : x < 0 ? (number)-1 : (number)0; }
INLINE number size_of(number x) { return x < 0 ? -x : x; }
INLINE number sigmoid_of(number z) { return 1 / (1 + exp_of(-z)); }
INLINE number softplus_of(number z) { return positive(z) + log1p_of(exp_of(-size_of(z))); }
INLINE number normal_below(number z) {
    return (number)0.5 + (number)0.5 * erf_of(z * (number)0.7071067811865476);
}
INLINE number gelu_tanh_of(number z) {
    return tanh_of((number)0.7978845608028654 * z * (1 + (number)0.044715 * z * z));
}
INLINE number clamp_of(number x, number low, number high) {
    return x < low ? low : x > high ? high : x;
}

#if defined(__clang__) /* which trusts `restrict` alone */
#define FOR(n) for (integer i = 0; i < (n); i++)
#else
#define FOR(n) _Pragma("GCC ivdep") for (integer i = 0; i < (n); i++)
#endif

/* Activations: a from z, and da/dz from z and a; p is the rule's parameter. Softmax has loops of its
   own. */

#define VALUE(name) INLINE number value_##name(number z, number p)
#define SLOPE(name) INLINE number slope_##name(number z, number a, number p)
#define UNUSED (void)z, (void)p

VALUE(identity) { UNUSED; return z; }
SLOPE(identity) { UNUSED; (void)a; return 1; }
VALUE(sigmoid) { UNUSED; return sigmoid_of(z); }
SLOPE(sigmoid) { UNUSED; return a * (1 - a); }
VALUE(tanh) { UNUSED; return tanh_of(z); }
SLOPE(tanh) { UNUSED; return 1 - a * a; }
VALUE(relu) { UNUSED; return positive(z); }
SLOPE(relu) { UNUSED; (void)a; return z > 0 ? (number)1 : (number)0; }
VALUE(softmax) { UNUSED; return z; }
SLOPE(softmax) { UNUSED; (void)a; return 1; }
VALUE(leaky_relu) { return z < 0 ? p * z : z; }
SLOPE(leaky_relu) { (void)a; return z > 0 ? (number)1 : p; }
VALUE(elu) { return z > 0 ? z : p * (exp_of(z) - 1); }
SLOPE(elu) { return z > 0 ? (number)1 : a + p; }
VALUE(selu) {
    UNUSED;
    return z > 0 ? (number)1.0507009873554805 * z : (number)1.7580993408473766 * (exp_of(z) - 1);
}
SLOPE(selu) {
    UNUSED;
    return z > 0 ? (number)1.0507009873554805 : a + (number)1.7580993408473766;
}
VALUE(softplus) { UNUSED; return softplus_of(z); }
SLOPE(softplus) { UNUSED; (void)a; return sigmoid_of(z); }
VALUE(gelu) { UNUSED; return z * normal_below(z); }
SLOPE(gelu) {
    UNUSED; (void)a;
    return normal_below(z) + z * (number)0.3989422804014327 * exp_of((number)-0.5 * z * z);
}
VALUE(gelu_tanh) { UNUSED; return (number)0.5 * z * (1 + gelu_tanh_of(z)); }
SLOPE(gelu_tanh) {
    UNUSED; (void)a;
    number t = gelu_tanh_of(z), bend = 1 + 3 * (number)0.044715 * z * z;
    return (number)0.5 * (1 + t) +
           (number)0.5 * z * (1 - t * t) * (number)0.7978845608028654 * bend;
}
VALUE(silu) { UNUSED; return z / (1 + exp_of(-z)); }
SLOPE(silu) {
    UNUSED; (void)a;
    number s = sigmoid_of(z);
    return s * (1 + z * (1 - s));
}
VALUE(hard_sigmoid) { UNUSED; return clamp_of((z + 3) / 6, 0, 1); }
SLOPE(hard_sigmoid) { UNUSED; (void)a; return size_of(z) < 3 ? (number)(1.0 / 6) : (number)0; }
VALUE(softsign) { UNUSED; return z / (1 + size_of(z)); }
SLOPE(softsign) { UNUSED; return (1 - size_of(a)) * (1 - size_of(a)); }
VALUE(exp) { UNUSED; return exp_of(z); }
SLOPE(exp) { UNUSED; return a; }

#define CODE(name) ACTIVATION_##name,
enum { ACTIVATIONS(CODE) N_ACTIVATIONS };
#undef CODE

#define LOOP(name)                                                                    \
    static void activate_##name(integer n, const number *restrict z, number *restrict a, \
                                number p) {                                           \
        FOR(n) a[i] = value_##name(z[i], p);                                          \
    }                                                                                 \
    static void bend_##name(integer n, const number *restrict z, const number *restrict a, \
                            number *restrict delta, number p) {                       \
        FOR(n) delta[i] *= slope_##name(z[i], a[i], p);                               \
    }
ACTIVATIONS(LOOP)
#undef LOOP

static void activate(integer activation, integer n, const number *z, number *a, const number *p) {
    switch (activation) {
#define CASE(name) case ACTIVATION_##name: activate_##name(n, z, a, p[0]); break;
        ACTIVATIONS(CASE)
#undef CASE
    }
}

static void multiply_by_slope(integer activation, integer n, const number *z, const number *a,
                              number *delta, const number *p) {
    switch (activation) {
#define CASE(name) case ACTIVATION_##name: bend_##name(n, z, a, delta, p[0]); break;
        ACTIVATIONS(CASE)
#undef CASE
    }
}

/* Losses: an element's cost, and dC/dz; p and q are the rule's numbers (Loss.numbers_for). */

#define COST(name) INLINE number cost_##name(number z, number a, number y, number p, number q)
#define DELTA_OF(name) \
    INLINE number delta_##name(number z, number a, number y, number slope, number p, number q)
#undef UNUSED
#define UNUSED (void)z, (void)a, (void)y, (void)p, (void)q

COST(quadratic) { UNUSED; return (a - y) * (a - y) * (number)0.5; }
DELTA_OF(quadratic) { UNUSED; return (a - y) * slope; }
COST(sse) { UNUSED; return (a - y) * (a - y); }
DELTA_OF(sse) { UNUSED; return 2 * (a - y) * slope; }
COST(mse) { UNUSED; return (a - y) * (a - y); }
DELTA_OF(mse) { UNUSED; return 2 * (a - y) * slope; }
COST(binary_cross_entropy) { /* in this order: what is small is added last, and keeps its digits */
    UNUSED;
    return positive(z) - z * (p * y + q) + log1p_of(exp_of(-size_of(z)));
}
DELTA_OF(binary_cross_entropy) { UNUSED; (void)slope; return a - (p * y + q); }
COST(categorical_cross_entropy) {
    UNUSED;
    number smooth = p * y + q;
    return smooth == 0 ? 0 : -smooth * z;
}
DELTA_OF(categorical_cross_entropy) { UNUSED; (void)slope; return a - (p * y + q); }
COST(absolute_error) { UNUSED; return size_of(a - y); }
DELTA_OF(absolute_error) { UNUSED; return a > y ? slope : a < y ? -slope : slope * (a - y); }
COST(huber) {
    UNUSED;
    number size = size_of(a - y);
    return size <= p ? (number)0.5 * size * size : p * (size - (number)0.5 * p);
}
DELTA_OF(huber) { UNUSED; return clamp_of(a - y, -p, p) * slope; }
COST(log_cosh) {
    UNUSED;
    number size = size_of(a - y), t = tanh_of(size);
    number near_ = (number)-0.5 * log1p_of(-t * t);
    number far_ = size + log1p_of(exp_of(-2 * size)) - (number)0.6931471805599453;
    return size < 1 ? near_ : far_;
}
DELTA_OF(log_cosh) { UNUSED; return tanh_of(a - y) * slope; }
COST(quantile) { UNUSED; return a - y > 0 ? (1 - p) * (a - y) : -p * (a - y); }
DELTA_OF(quantile) {
    UNUSED;
    return a > y ? (1 - p) * slope : a < y ? -p * slope : slope * (a - y);
}
COST(poisson) {
    (void)q;
    return z < p ? (number)INFINITY : y * log_of(y > 0 ? y : (number)1) - y * z - y + a;
}
DELTA_OF(poisson) { UNUSED; (void)slope; return a - y; }
COST(hinge) { UNUSED; return positive(1 - (y + y - 1) * a); }
DELTA_OF(hinge) {
    UNUSED;
    number t = y + y - 1;
    return t * a < 1 ? -t * slope : 0 * (t * a);
}
COST(focal) {
    UNUSED;
    number away = softplus_of(z), near_ = away - z;
    return y * exp_of(-p * away) * near_ + (1 - y) * exp_of(-p * near_) * away;
}
DELTA_OF(focal) {
    UNUSED; (void)slope;
    number away = softplus_of(z), near_ = away - z;
    return y * exp_of(-p * away) * (a - 1 - p * a * near_) +
           (1 - y) * exp_of(-p * near_) * (a + p * (1 - a) * away);
}
COST(clipped_binary_cross_entropy) {
    number c = clamp_of(a, p, q);
    (void)z;
    return -(y * log_of(c) + (1 - y) * log_of(1 - c));
}
DELTA_OF(clipped_binary_cross_entropy) { UNUSED; (void)slope; return a - y; }
COST(clipped_categorical_cross_entropy) { (void)z; return y * -log_of(clamp_of(a, p, q)); }
DELTA_OF(clipped_categorical_cross_entropy) { UNUSED; (void)slope; return a - y; }

#define CODE(name) LOSS_##name,
enum { LOSSES(CODE) N_LOSSES };
#undef CODE

#define LOOP(name)                                                                        \
    static void output_delta_##name(integer n, number *restrict z, const number *restrict a, \
                                    const number *restrict y, number *restrict delta,     \
                                    number p, number q, number share) {                   \
        FOR(n) {                                                                          \
            number cost = cost_##name(z[i], a[i], y[i], p, q);                            \
            delta[i] = delta_##name(z[i], a[i], y[i], delta[i], p, q) * share;            \
            z[i] = cost;                                                                  \
        }                                                                                 \
    }
LOSSES(LOOP)
#undef LOOP

/* Turn slopes into deltas times `share`, and z, which nothing needs any more, into costs. */
static void output_delta(integer loss, integer n, number *z, const number *a, const number *y,
                         number *delta, const number *p, number share) {
    switch (loss) {
#define CASE(name) case LOSS_##name: output_delta_##name(n, z, a, y, delta, p[0], p[1], share); break;
        LOSSES(CASE)
#undef CASE
    }
}

/* Update rules: w from w and the prepared gradient g; s0, s1, s2 are its slots, c its columns. */

enum { MAX_COLUMNS = 6, MAX_SLOTS = 3 };
typedef struct { number c[MAX_COLUMNS]; } Columns;

#define UPDATE(name) \
    INLINE number step_##name(number w, number g, number *s0, number *s1, number *s2, Columns r)
#undef UNUSED
#define UNUSED (void)s0, (void)s1, (void)s2

UPDATE(gradient_descent) { UNUSED; return w - r.c[0] * g; }
UPDATE(momentum) {
    UNUSED;
    number step = r.c[0] * g;
    *s0 = r.c[1] * *s0 - step;
    return w + (r.c[2] > 0 ? r.c[1] * *s0 - step : *s0);
}
UPDATE(adaptive_moments) {
    UNUSED;
    *s0 += r.c[2] * (g - *s0);
    *s1 += r.c[3] * (g * g - *s1);
    return w - quotient_of(r.c[0] * *s0, r.c[1] * sqrt_of(*s1) + r.c[4]);
}
UPDATE(largest_moments) {
    *s0 += r.c[2] * (g - *s0);
    *s1 += r.c[3] * (g * g - *s1);
    *s2 = *s2 > *s1 ? *s2 : *s1;
    return w - quotient_of(r.c[0] * *s0, r.c[1] * sqrt_of(*s2) + r.c[4]);
}
UPDATE(nesterov_moments) {
    UNUSED;
    *s0 += r.c[3] * (g - *s0);
    *s1 += r.c[4] * (g * g - *s1);
    return w - quotient_of(r.c[0] * g + r.c[1] * *s0, r.c[2] * sqrt_of(*s1) + r.c[5]);
}
UPDATE(root_mean_square) {
    UNUSED;
    *s0 += r.c[1] * (g * g - *s0);
    *s1 = r.c[2] * *s1 + quotient_of(g, sqrt_of(*s0) + r.c[3]);
    return w - r.c[0] * *s1;
}
UPDATE(sum_of_squares) {
    UNUSED;
    *s0 += g * g;
    return w - quotient_of(r.c[0] * g, sqrt_of(*s0) + r.c[1]);
}
UPDATE(adaptive_delta) {
    UNUSED;
    *s0 += r.c[1] * (g * g - *s0);
    number step = quotient_of(sqrt_of(*s1 + r.c[2]), sqrt_of(*s0 + r.c[2])) * g;
    *s1 += r.c[1] * (step * step - *s1);
    return w - r.c[0] * step;
}
UPDATE(signed_steps) {
    UNUSED;
    number same = g * *s0, slope = same < 0 ? 0 : g;
    *s1 = clamp_of(*s1 * (same > 0 ? r.c[0] : same < 0 ? r.c[1] : (number)1), r.c[2], r.c[3]);
    *s0 = slope;
    return w - (slope > 0 ? (number)1 : slope < 0 ? (number)-1 : slope) * *s1;
}
UPDATE(signed_momentum) {
    UNUSED;
    number mixed = *s0 + r.c[1] * (g - *s0);
    *s0 += r.c[2] * (g - *s0);
    return w - (mixed > 0 ? r.c[0] : mixed < 0 ? -r.c[0] : mixed);
}

#define CODE(name) UPDATE_##name,
enum { UPDATES(CODE) N_UPDATES };
#undef CODE

/* Make the gradient what the rule gets: scaled, limited, with the penalties (fastgd.rules.update). */
static void prepare(integer n, const number *restrict w, number *restrict g, const number *row,
                    number factor) {
    number clip = row[CLIP_VALUE], l1 = row[L1], l2 = row[L2];
    if (factor != 1 || clip <= MOST) FOR(n) g[i] = clamp_of(g[i] * factor, -clip, clip);
    if (l1 != 0 || l2 != 0) FOR(n) g[i] = g[i] + l2 * w[i] + l1 * sign_of(w[i]);
}

#define LOOP(name)                                                                            \
    static void apply_##name(integer n, number *restrict w, const number *restrict g,         \
                             number *restrict s0, number *restrict s1, number *restrict s2,   \
                             const number *row, integer n_own) {                              \
        const number shrink = row[SHRINK];                                                    \
        Columns columns;                                                                      \
        for (int i = 0; i < MAX_COLUMNS; i++) columns.c[i] = i < n_own ? row[N_COMMON + i] : 0; \
        FOR(n) w[i] = step_##name(shrink * w[i], g[i], s0 + i, s1 + i, s2 + i, columns);      \
    }
UPDATES(LOOP)
#undef LOOP

/* How many parameters are prepared at a time: they stay in the first level of cache. */
enum { PREPARED = 1024 };

/* Step n parameters, whose slots lie `stride` apart; g is used up. */
static void apply_update(integer update, integer n, number *w, number *g, number *slots,
                         integer stride, const number *row, integer n_own, number factor) {
    for (integer size; n > 0; n -= size, w += size, g += size, slots += size) {
        size = n < PREPARED ? n : PREPARED;
        prepare(size, w, g, row, factor);
        number *s1 = slots + stride, *s2 = slots + 2 * stride;
        switch (update) {
#define CASE(name) case UPDATE_##name: apply_##name(size, w, g, slots, s1, s2, row, n_own); break;
            UPDATES(CASE)
#undef CASE
        }
    }
}
#undef COST
#undef VALUE
#undef SLOPE
#undef DELTA_OF
#undef UPDATE
#undef UNUSED
#endif
