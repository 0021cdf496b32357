/* Predictions of a few rows, straight from the flat parameters: copying them into padded rows would
   cost more than the arithmetic. Inputs that are zero are passed over. */

enum { SMALL_ROWS = 4 };

/* z[column + v * LANES] = b + sum_k x[k] W[k, column + v * LANES] for V vectors within a row. */
INLINE void small_columns(const int V, integer n_in, integer n_out, const number *x,
                          const number *w, integer column, number *z) {
    vector sums[4];
    UNROLL for (int v = 0; v < V; v++) sums[v] = load_vector(w + n_in * n_out + column + v * LANES);
    for (integer k = 0; k < n_in; k++) {
        if (x[k] == 0) continue;
        const number *row = w + k * n_out + column;
        UNROLL for (int v = 0; v < V; v++) sums[v] += x[k] * load_vector(row + v * LANES);
    }
    UNROLL for (int v = 0; v < V; v++) store_vector(z + column + v * LANES, sums[v]);
}

/* z = b + x W; the last vector overlaps the one before, so that no row is read beyond its end. */
static void small_layer(integer n_in, integer n_out, const number *x, const number *w, number *z) {
    if (n_out < LANES) {
        for (integer j = 0; j < n_out; j++) z[j] = w[n_in * n_out + j];
        for (integer k = 0; k < n_in; k++)
            for (integer j = 0; j < n_out; j++) z[j] += x[k] * w[k * n_out + j];
        return;
    }
    integer column = 0;
    for (; column + 4 * LANES <= n_out; column += 4 * LANES)
        small_columns(4, n_in, n_out, x, w, column, z);
    for (; column + 2 * LANES <= n_out; column += 2 * LANES)
        small_columns(2, n_in, n_out, x, w, column, z);
    for (; column < n_out; column += LANES)
        small_columns(1, n_in, n_out, x, w, smaller(column, n_out - LANES), z);
}

static void small_predict(Thread *t) {
    const Call *call = t->call;
    const integer *last = layer_of(t, t->block[N_LAYERS]);
    for (integer row = 0; row < call->n; row++) {
        number *a = t->work + t->block[X];
        read_inputs(call, row * layer_of(t, 1)[N_IN], layer_of(t, 1)[N_IN], a, NULL,
                    (number)call->scale);
        if (!all_finite(layer_of(t, 1)[N_IN], a)) call->costs[0] = NAN;
        for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
            const integer *l = layer_of(t, i);
            number *z = t->work + l[Z];
            unsigned before = flush_subnormals();
            small_layer(l[N_IN], l[N_OUT], a, (const number *)call->flat + l[FLAT], z);
            restore_subnormals(before);
            a = t->work + l[A];
            if (i == t->block[N_LAYERS] && t->block[ROW_WISE]) softmax(t, l, 0, 1);
            else activate(l[ACTIVATION], l[WIDTH], z, a, t->work + l[NUMBERS]);
        }
        memcpy((number *)call->outputs + row * last[N_OUT], a, (size_t)last[N_OUT] * sizeof(number));
    }
}

