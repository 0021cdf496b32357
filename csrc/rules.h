/* The rules' scalar forms, in the order of fastgd/rules/activations.py, losses.py and optimizers.py.
   Included once for each `number`; the loops over them are vectorised by the compiler. */

INLINE number relu_of(number z) { return z < 0 ? 0 : z; } /* this way round NaN stays NaN */
INLINE number sigmoid_of(number z) { return 1 / (1 + exp_of(-z)); }

#if defined(__clang__) /* which trusts `restrict` alone */
#define FOR(n) for (integer i = 0; i < (n); i++)
#else
#define FOR(n) _Pragma("GCC ivdep") for (integer i = 0; i < (n); i++)
#endif

enum { IDENTITY, SIGMOID, TANH, RELU };

static void activate(integer activation, integer n, const number *restrict z, number *restrict a) {
    switch (activation) {
        case IDENTITY: FOR(n) a[i] = z[i]; break;
        case SIGMOID: FOR(n) a[i] = sigmoid_of(z[i]); break;
        case TANH: FOR(n) a[i] = tanh_of(z[i]); break;
        case RELU: FOR(n) a[i] = relu_of(z[i]); break;
    }
}

static void multiply_by_slope(integer activation, integer n, const number *restrict z,
                              const number *restrict a, number *restrict delta) {
    switch (activation) {
        case IDENTITY: break;
        case SIGMOID: FOR(n) delta[i] *= a[i] * (1 - a[i]); break;
        case TANH: FOR(n) delta[i] *= 1 - a[i] * a[i]; break;
        case RELU: FOR(n) delta[i] *= z[i] > 0 ? (number)1 : (number)0; break;
    }
}

enum { QUADRATIC, SSE, MSE, BINARY_CROSS_ENTROPY, CATEGORICAL_CROSS_ENTROPY };

INLINE double cost_of(integer loss, number z, number a, number y) {
    switch (loss) {
        case QUADRATIC: return (a - y) * (a - y) * (number)0.5;
        case SSE: case MSE: return (a - y) * (a - y);
        case BINARY_CROSS_ENTROPY:
            return relu_of(z) - z * y + LOG1P(exp_of(-(z < 0 ? -z : z)));
        default: return y == 0 ? 0 : -y * z;
    }
}

static void output_delta(integer loss, integer n, const number *restrict a,
                         const number *restrict y, number *restrict delta, number share) {
    switch (loss) {
        case QUADRATIC: FOR(n) delta[i] = (a[i] - y[i]) * delta[i] * share; break;
        case SSE: case MSE: FOR(n) delta[i] = 2 * (a[i] - y[i]) * delta[i] * share; break;
        default: FOR(n) delta[i] = (a[i] - y[i]) * share; break;
    }
}

enum { GRADIENT_DESCENT, MOMENTUM };

static void apply_update(integer update, integer n, number *restrict w, const number *restrict g,
                         number *restrict v, const number *settings) {
    const number eta = settings[0], l2 = settings[1], mu = settings[2], nesterov = settings[3];
    switch (update) {
        case GRADIENT_DESCENT: FOR(n) w[i] = w[i] - eta * (g[i] + l2 * w[i]); break;
        case MOMENTUM:
            FOR(n) {
                number step = eta * (g[i] + l2 * w[i]);
                v[i] = mu * v[i] - step;
                w[i] += nesterov > 0 ? mu * v[i] - step : v[i];
            }
            break;
    }
}
