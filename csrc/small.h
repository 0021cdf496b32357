/* Predictions of a few rows, straight from the flat parameters: copying them into padded rows would
   cost more than the arithmetic. What is zero is passed over. */

enum { SMALL_ROWS = 4 };

/* z[column[v] ...] = b + sum_p x[p] W[places[p], column[v] ...] for V vectors within a row; U sums at a
   time hide the multiplication's latency. */
INLINE void small_columns(const int V, const int U, integer n, integer n_in, integer n_out,
                          const number *x, const int32_t *places, const number *w,
                          const integer *column, number *z) {
    vector sums[4][4];
    integer p = 0;
    UNROLL for (int u = 0; u < U; u++)
        UNROLL for (int v = 0; v < V; v++) sums[u][v] = (vector){0};
    for (; p + U <= n; p += U)
        UNROLL for (int u = 0; u < U; u++) {
            const number *row = w + places[p + u] * n_out;
            UNROLL for (int v = 0; v < V; v++) sums[u][v] += x[p + u] * load_vector(row + column[v]);
        }
    for (; p < n; p++) {
        const number *row = w + places[p] * n_out;
        UNROLL for (int v = 0; v < V; v++) sums[0][v] += x[p] * load_vector(row + column[v]);
    }
    UNROLL for (int u = 1; u < U; u++)
        UNROLL for (int v = 0; v < V; v++) sums[0][v] += sums[u][v];
    UNROLL for (int v = 0; v < V; v++)
        store_vector(z + column[v], sums[0][v] + load_vector(w + n_in * n_out + column[v]));
}

/* z = b + x W, of the n numbers of x that are not zero; the last vector overlaps the one before, so
   that no row is read beyond its end. */
static void small_layer(integer n, integer n_in, integer n_out, const number *x,
                        const int32_t *places, const number *w, number *z) {
    if (n_out < LANES) {
        for (integer j = 0; j < n_out; j++) z[j] = w[n_in * n_out + j];
        for (integer p = 0; p < n; p++)
            for (integer j = 0; j < n_out; j++) z[j] += x[p] * w[places[p] * n_out + j];
        return;
    }
    for (integer at = 0, vectors; at < n_out; at += vectors * LANES) {
        integer left = (n_out - at + LANES - 1) / LANES, column[4];
        vectors = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        for (integer v = 0; v < vectors; v++) column[v] = smaller(at + v * LANES, n_out - LANES);
        if (vectors == 4) small_columns(4, 2, n, n_in, n_out, x, places, w, column, z);
        else if (vectors == 2) small_columns(2, 4, n, n_in, n_out, x, places, w, column, z);
        else small_columns(1, 4, n, n_in, n_out, x, places, w, column, z);
    }
}

static void small_predict(Thread *t) {
    const Call *call = t->call;
    const integer *last = layer_of(t, t->block[N_LAYERS]);
    integer n_in = layer_of(t, 1)[N_IN];
    for (integer row = 0; row < call->n; row++) {
        number *x = t->work + t->block[X], *a = x;
        int32_t *places = call->gathered, n;
        if (call->in_place)
            n = compress(n_in, (const number *)call->inputs + row * n_in, 1, x, places);
        else {
            read_inputs(call, row * n_in, n_in, x, NULL, (number)call->scale);
            n = compress(n_in, x, 1, x, places);
        }
        for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
            const integer *l = layer_of(t, i);
            number *z = t->work + l[Z];
            unsigned before = flush_subnormals();
            if (i > 1) n = compress(l[N_IN], a, 1, a, places);
            small_layer(n, l[N_IN], l[N_OUT], a, places, (const number *)call->flat + l[FLAT], z);
            restore_subnormals(before);
            if (i == 1 && !all_finite(l[N_OUT], z)) call->costs[0] = NAN;
            a = t->work + l[A];
            if (i == t->block[N_LAYERS] && t->block[ROW_WISE]) softmax(t, l, 0, 1);
            else activate(l[ACTIVATION], l[WIDTH], z, a, t->work + l[NUMBERS]);
        }
        memcpy((number *)call->outputs + row * last[N_OUT], a, (size_t)last[N_OUT] * sizeof(number));
    }
}

