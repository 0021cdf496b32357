/* The kernels: gather, forward, backpropagate, and gradient with update, over one block of rows.
   The same steps, in the same order and under the same names, as fastgd/kernels/steps.py.
   Included once for each `number` and instruction tier. */

typedef struct {
    const Task *task;
    const integer *block;  /* row 0 of the plan */
    number *work;
    number settings[N_SETTINGS];
    integer thread;
    integer from, to;      /* this thread's rows of the block */
    int by_columns;        /* whether it has columns of the first layer, for all rows */
    integer left, right;   /* those columns: else all */
    number *first;         /* the first layer's weights, from column `left` on; then biases */
    integer ld_first;
} Team;

INLINE const integer *layer_of(const Team *t, integer layer) { return t->block + layer * N_COLUMNS; }

INLINE integer smaller(integer a, integer b) { return a < b ? a : b; }

/* This thread's part of n things, in whole units. */
static void share(integer n, integer unit, integer thread, integer n_threads, integer *from,
                  integer *to) {
    integer units = (n + unit - 1) / unit;
    *from = smaller(n, units * thread / n_threads * unit);
    *to = smaller(n, units * (thread + 1) / n_threads * unit);
}

/* The depth of a product computed at once: 128 rows of 4 vectors are 32 KiB, a small L1 cache. */
enum { DEPTH = 128 };
/* Sparse inputs of batches up to this many rows change the weights one example at a time: with
   more, their parts of the step could be too small to count one by one. */
enum { DIRECT_ROWS = 64 };

/* C (m, n) = beta start + alpha S (m, depth) W (depth, n); n is a multiple of PAD. */
static void product(integer m, integer n, integer depth, const number *s, integer s_row,
                    integer s_depth, const number *w, integer ldw, const number *start,
                    integer ld_start, number *c, integer ldc, number beta, number alpha) {
    for (integer first = 0; first < depth; first += DEPTH) {
        integer some = smaller(DEPTH, depth - first), vectors;
        for (integer column = 0; column < n; column += vectors * LANES) {
            integer left = (n - column) / LANES;
            integer tiles = (left + MAX_TILE_VECTORS - 1) / MAX_TILE_VECTORS;
            vectors = (left + tiles - 1) / tiles;
            integer most = MAX_TILE_ROWS[vectors], rows;
            for (integer row = 0; row < m; row += rows) {
                tiles = (m - row + most - 1) / most;
                rows = (m - row + tiles - 1) / tiles;
                tile(rows, vectors, some, s + row * s_row + first * s_depth, s_row, s_depth,
                     w + first * ldw + column, ldw, start + row * ld_start + column, ld_start,
                     c + row * ldc + column, ldc, beta, alpha);
            }
        }
        start = c, ld_start = ldc, beta = 1;
    }
}

static void copy_rows(const number *source, integer stride, number *target, integer ld,
                      integer rows, integer n) {
    for (integer row = 0; row < rows; row++, source += stride, target += ld) {
        if (n < LANES) {
            for (integer i = 0; i < n; i++) target[i] = source[i];
            continue;
        }
        /* The last vector overlaps the one before: rows are short, and this has no remainder. */
        for (integer i = 0; i < n - LANES; i += LANES)
            store_vector(target + i, load_vector(source + i));
        store_vector(target + n - LANES, load_vector(source + n - LANES));
    }
}

/* Copy a flat vector into padded rows at `base`, weights then biases of each layer. */
static void pack(const Team *t, const number *flat, integer base) {
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        copy_rows(flat + l[FLAT], l[N_OUT], t->work + base + l[WEIGHTS] - t->block[PARAMETERS],
                  l[LD], l[N_IN] + 1, l[N_OUT]);
    }
}

/* Copy padded rows back into a flat vector. */
static void unpack(const Team *t, integer base, number *flat) {
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        copy_rows(t->work + base + l[WEIGHTS] - t->block[PARAMETERS], l[LD], flat + l[FLAT],
                  l[N_OUT], l[N_IN] + 1, l[N_OUT]);
    }
}

/* Copy some rows of a layer's weights, transposed, to where the backward pass reads them. */
static void transpose(const Team *t, const integer *l, integer from, integer to) {
    const number *w = t->work + l[WEIGHTS], *zero = t->work + t->block[ZERO];
    number *transposed = t->work + l[TRANSPOSED];
    for (integer first = from; first < to; first += LANES)
        for (integer column = 0; column < l[WIDTH]; column += LANES)
            transpose_block(w + first * l[LD] + column, l[LD], to - first, zero,
                            transposed + column * l[LD_IN] + first, l[LD_IN]);
}

/* Copy parameters and the optimizer's state into the working memory. */
static void load(const Team *t) {
    const Task *task = t->task;
    pack(t, task->flat, t->block[PARAMETERS]);
    memset(task->costs, 0, (size_t)t->block[ROWS] * sizeof(double));
    for (integer slot = 0; slot < task->n_slots; slot++)
        pack(t, (const number *)task->slots + slot * task->n_parameters,
             t->block[SLOTS] + slot * t->block[N_PADDED]);
    if (task->task == GRADIENT_OF) pack(t, task->outputs, t->block[GRADIENT]);
    if (task->task == TRAIN || task->task == GRADIENT_OF)
        for (integer i = 2; i <= t->block[N_LAYERS]; i++)
            transpose(t, layer_of(t, i), 0, layer_of(t, i)[N_IN]);
}

/* Copy parameters and the optimizer's state back from the working memory. */
static void store(const Team *t) {
    const Task *task = t->task;
    if (task->task == GRADIENT_OF) unpack(t, t->block[GRADIENT], task->outputs);
    if (task->task != TRAIN) return;
    unpack(t, t->block[PARAMETERS], task->flat);
    for (integer slot = 0; slot < task->n_slots; slot++)
        unpack(t, t->block[SLOTS] + slot * t->block[N_PADDED],
               (number *)task->slots + slot * task->n_parameters);
}

static void convert(const void *source, integer kind, integer first, integer n, number *x,
                    number scale) {
    switch (kind) {
        case FLOAT32: { const float *p = (const float *)source + first; FOR(n) x[i] = (number)p[i] * scale; break; }
        case FLOAT64: { const double *p = (const double *)source + first; FOR(n) x[i] = (number)p[i] * scale; break; }
        default: { const uint8_t *p = (const uint8_t *)source + first; FOR(n) x[i] = (number)p[i] * scale; }
    }
}

/* Whether n numbers are all finite: those that are not have every bit of the exponent. */
static int all_finite(integer n, const number *x) {
    mask_number bits, found = 0;
    for (integer i = 0; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        found |= (bits & EXPONENT) == EXPONENT;
    }
    return !found;
}

static const integer KIND_BYTES[] = {4, 8, 1};

INLINE integer row_visited(const Task *task, integer visit) {
    return task->order ? task->order[visit] : visit;
}

/* Whether the block's inputs leave out zeros: sparse ones, or dense ones with few other numbers. */
INLINE int sparse(const Team *t) { return t->task->lengths != NULL; }

/* Read this thread's rows of the block, times the scale, into the block's inputs. The cost of a
   row that cannot be predicted, for its numbers are not finite, is NaN. */
static void gather(const Team *t, integer first, integer m) {
    const Task *task = t->task;
    const char *inputs = (const char *)task->inputs;
    const number scale = (number)task->scale;
    integer n = layer_of(t, 1)[N_IN], ld = t->block[LD_X], itemsize = KIND_BYTES[task->kind];
    for (integer row = t->from; row < t->to; row++) {
        number *x = t->work + t->block[X] + row * ld;
        int32_t *columns = task->gathered + row * ld;
        integer source = row_visited(task, first + row), count = n;
        /* Rows come in no order the processor could guess: ask for the next batch's now. */
        integer ahead = task->order && first + row + m < task->n ? task->order[first + row + m] : -1;
        if (task->pointers) {
            if (ahead >= 0)
                for (integer at = task->pointers[ahead]; at < task->pointers[ahead + 1]; at += 16) {
                    __builtin_prefetch(inputs + at * itemsize, 0, 2);
                    __builtin_prefetch(task->columns + at, 0, 2);
                }
            integer start = task->pointers[source];
            count = task->pointers[source + 1] - start;
            convert(inputs, task->kind, start, count, x, scale);
            if (count) /* there may be no columns at all */
                memcpy(columns, task->columns + start, (size_t)count * sizeof(int32_t));
        } else {
            if (ahead >= 0)
                for (integer at = ahead * n * itemsize; at < (ahead + 1) * n * itemsize; at += 64)
                    __builtin_prefetch(inputs + at, 0, 2);
            if (sparse(t) && itemsize == sizeof(number))
                count = compress(n, (const number *)inputs + source * n, scale, x, columns);
            else {
                convert(inputs, task->kind, source * n, n, x, scale);
                if (sparse(t)) count = compress(n, x, 1, x, columns);
            }
        }
        if (sparse(t)) task->lengths[row] = (int32_t)count;
        if (task->task == PREDICT && !all_finite(count, x)) task->costs[row] = NAN;
    }
}

/* Write the block's targets: rows of `targets`, or a 1 in the column of each class. */
static void gather_targets(const Team *t, integer first) {
    const Task *task = t->task;
    const integer *l = layer_of(t, t->block[N_LAYERS]);
    for (integer row = t->from; row < t->to; row++) {
        number *y = t->work + t->block[Y] + row * l[LD];
        if (task->classes) {
            memset(y, 0, (size_t)l[N_OUT] * sizeof(number));
            y[task->classes[first + row]] = 1;
        } else {
            const number *source = (const number *)task->targets + (first + row) * l[N_OUT];
            memcpy(y, source, (size_t)l[N_OUT] * sizeof(number));
        }
    }
}

/* Turn each row of z into log a, and write a. */
static void softmax(const Team *t, const integer *l) {
    for (integer row = t->from; row < t->to; row++) {
        number *z = t->work + l[Z] + row * l[LD], *a = t->work + l[A] + row * l[LD];
        number largest = z[0];
        for (integer j = 1; j < l[N_OUT]; j++) largest = z[j] > largest ? z[j] : largest;
        for (integer j = 0; j < l[LD]; j++) z[j] -= largest;
        for (integer j = 0; j < l[LD]; j++) a[j] = exp_of(z[j]);
        double total = 0;
        for (integer j = 0; j < l[N_OUT]; j++) total += a[j];
        number part = (number)(1 / total), log_total = (number)log(total);
        for (integer j = 0; j < l[LD]; j++) a[j] *= part, z[j] -= log_total;
    }
}

/* Compute this thread's columns of the first layer's z for some rows. */
static void first_layer(const Team *t, integer from, integer to) {
    const integer *l = layer_of(t, 1);
    const number *w = t->first, *bias = w + l[N_IN] * t->ld_first, *x = t->work + t->block[X];
    number *z = t->work + l[Z] + t->left;
    integer ld_x = t->block[LD_X], width = t->right - t->left, vectors;
    if (!sparse(t)) {
        product(to - from, width, l[N_IN], x + from * ld_x, ld_x, 1, w, t->ld_first, bias, 0,
                z + from * l[LD], l[LD], 1, 1);
        return;
    }
    for (integer column = 0; column < width; column += vectors * LANES) {
        vectors = smaller((width - column) / LANES, MAX_SPARSE_VECTORS);
        for (integer row = from; row < to; row++)
            sparse_row(l[WIDTH] / LANES, vectors, t->task->lengths[row], x + row * ld_x,
                       t->task->gathered + row * ld_x, w + column, t->ld_first, bias + column,
                       z + row * l[LD] + column);
    }
}

/* Compute every layer's z and a for this thread's rows, from the first layer's z. */
static void forward(const Team *t) {
    integer rows = t->to - t->from;
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        const number *w = t->work + l[WEIGHTS], *bias = w + l[N_IN] * l[LD];
        number *z = t->work + l[Z] + t->from * l[LD], *a = t->work + l[A] + t->from * l[LD];
        if (i > 1)
            product(rows, l[WIDTH], l[N_IN], t->work + l[INPUT] + t->from * l[LD_IN], l[LD_IN], 1, w,
                    l[LD], bias, 0, z, l[LD], 1, 1);
        if (i == t->block[N_LAYERS] && t->block[SOFTMAX])
            softmax(t, l);
        else
            activate(l[ACTIVATION], rows * l[LD], z, a);
    }
}

/* Write the output's delta, times `factor`, and the cost of each of this thread's rows. */
static void cost_and_delta(const Team *t, double factor) {
    const integer *l = layer_of(t, t->block[N_LAYERS]);
    integer first = t->from * l[LD], size = (t->to - t->from) * l[LD], loss = t->block[LOSS];
    number *z = t->work + l[Z] + first, *a = t->work + l[A] + first;
    number *delta = t->work + l[DELTA] + first, *y = t->work + t->block[Y] + first;
    double average = loss == MSE ? 1.0 / (double)l[N_OUT] : 1.0;
    FOR(size) delta[i] = 1;
    multiply_by_slope(l[ACTIVATION], size, z, a, delta);
    output_delta(loss, size, a, y, delta, (number)(factor * average));
    for (integer row = 0; row < t->to - t->from; row++) {
        double total = 0;
        for (integer j = row * l[LD]; j < row * l[LD] + l[N_OUT]; j++)
            total += cost_of(loss, z[j], a[j], y[j]);
        t->task->costs[t->from + row] = total * average;
        for (integer j = row * l[LD] + l[N_OUT]; j < (row + 1) * l[LD]; j++) delta[j] = 0;
    }
}

/* Carry the output's delta back through the layers (Nielsen, eq. BP2). */
static void backward(const Team *t) {
    integer rows = t->to - t->from;
    for (integer i = t->block[N_LAYERS]; i > 1; i--) {
        const integer *l = layer_of(t, i), *below = layer_of(t, i - 1);
        integer first = t->from * l[LD_IN];
        number *delta = t->work + below[DELTA] + first;
        product(rows, l[WIDTH_IN], l[N_OUT], t->work + l[DELTA] + t->from * l[LD], l[LD], 1,
                t->work + l[TRANSPOSED], l[LD_IN], t->work + t->block[ZERO], 0, delta, l[LD_IN], 1, 1);
        multiply_by_slope(below[ACTIVATION], rows * l[LD_IN], t->work + below[Z] + first,
                          t->work + below[A] + first, delta);
    }
}

/* Put this thread's cursors at the first input from column `first` on. */
static void find_cursors(const Team *t, integer first, integer m) {
    const Task *task = t->task;
    int32_t *cursors = task->lengths + (1 + t->thread) * t->block[ROWS];
    for (integer row = 0; row < m; row++) {
        const int32_t *columns = task->gathered + row * t->block[LD_X];
        integer low = 0, high = first ? task->lengths[row] : 0;
        while (low < high) {
            integer middle = (low + high) / 2;
            if (columns[middle] < first) low = middle + 1;
            else high = middle;
        }
        cursors[row] = (int32_t)low;
    }
}

/* Add alpha dC/dW of the first layer's rows up to `last`, for this thread's columns, from inputs
   that are not zero. Row k of the weights is added to at target + k * ld. */
static void sparse_gradient(const Team *t, integer last, integer m, number *target, integer ld,
                            number alpha) {
    const Task *task = t->task;
    const integer *l = layer_of(t, 1);
    integer ld_x = t->block[LD_X], vectors;
    int32_t *cursors = task->lengths + (1 + t->thread) * t->block[ROWS];
    for (integer row = 0; row < m; row++) {
        const int32_t *columns = task->gathered + row * ld_x;
        integer start = cursors[row], count = task->lengths[row], stop = start;
        if (last == l[N_IN]) stop = count;
        while (stop < count && columns[stop] < last) stop++;
        cursors[row] = (int32_t)stop;
        if (start == stop) continue;
        const number *x = t->work + t->block[X] + row * ld_x + start;
        const number *delta = t->work + l[DELTA] + row * l[LD] + t->left;
        for (integer column = 0; column < t->right - t->left; column += vectors * LANES) {
            vectors = smaller((t->right - t->left - column) / LANES, MAX_TILE_VECTORS);
            scatter(vectors, stop - start, x, columns + start, delta + column, target + column, ld,
                    alpha);
        }
    }
}

/* Write beta start + alpha dC/dW, for a few rows of a layer's weights (of the first layer: this
   thread's columns), to `target`. The biases are the row after the weights: their input is always 1
   (Nielsen, eqs. BP3, BP4). */
static void gradient_rows(const Team *t, integer i, integer first, integer rows, integer m,
                          const number *start, integer ld_start, number *target, integer ld,
                          number beta, number alpha) {
    const integer *l = layer_of(t, i);
    const number *delta = t->work + l[DELTA] + (i == 1 ? t->left : 0);
    integer ld_in = i == 1 ? t->block[LD_X] : l[LD_IN];
    integer n = i == 1 ? t->right - t->left : l[WIDTH];
    if (first == l[N_IN])
        product(rows, n, m, t->work + t->block[ONE], 0, 0, delta, l[LD], start, ld_start, target,
                ld, beta, alpha);
    else
        product(rows, n, m, t->work + l[INPUT] + first, 1, ld_in, delta, l[LD], start, ld_start,
                target, ld, beta, alpha);
}

/* Update some rows of a layer as w <- shrink w - rate dC/dw, without writing the gradient
   down: for update rules that are linear, the update is a product that starts from the weights. */
static void descend(const Team *t, integer i, integer from, integer to, integer m) {
    const integer *l = layer_of(t, i);
    integer ld = i == 1 ? t->ld_first : l[LD];
    number rate = t->settings[0], shrink = 1 - rate * t->settings[1];
    number *w = (i == 1 ? t->first : t->work + l[WEIGHTS]) + from * ld;
    gradient_rows(t, i, from, to - from, m, w, ld, w, ld, shrink, -rate);
}

typedef struct {
    int fresh, keep, step; /* begins the whole gradient, is kept there, updates the parameters */
} Use;

/* Compute the gradient of rows from to to of a layer's weights, a few at a time while they are in
   cache, and use it. The biases, the row after the last, come on their own. */
static void gradient_and_update(const Team *t, integer i, integer from, integer to, integer m,
                                Use use) {
    const integer *l = layer_of(t, i);
    integer few = i == 1 && sparse(t), panel = i == 1 && t->by_columns;
    integer chunk_size = few ? SPARSE_CHUNK_SIZE : CHUNK_SIZE;
    integer chunk = l[LD] < chunk_size ? chunk_size / l[LD] : 1;
    number no_penalty[N_SETTINGS] = {t->settings[0], 0, t->settings[2], t->settings[3]};
    for (integer first = from, rows; first < to; first += rows) {
        int biases = first == l[N_IN];
        rows = biases ? 1 : smaller(chunk, smaller(to, l[N_IN]) - first);
        integer at = l[WEIGHTS] - t->block[PARAMETERS] + first * l[LD], size = rows * l[LD];
        number *g = t->work + (use.keep ? t->block[GRADIENT] + at
                                        : t->block[CHUNK] + t->thread * t->block[CHUNK_STRIDE]);
        number *w = t->work + t->block[PARAMETERS] + at;
        if (panel) w = t->first + first * t->ld_first, size = t->ld_first; /* only its biases */
        if (few && !biases) {
            if (use.fresh) memset(g, 0, (size_t)size * sizeof(number));
            sparse_gradient(t, first + rows, m, g - first * l[LD], l[LD], 1);
        } else if (use.fresh)
            gradient_rows(t, i, first, rows, m, t->work + t->block[ZERO], 0, g, l[LD], 1, 1);
        else
            gradient_rows(t, i, first, rows, m, g, l[LD], g, l[LD], 1, 1);
        if (use.step)
            apply_update(t->task->update, size, w, g, t->work + t->block[SLOTS] + at,
                         biases ? no_penalty : t->settings);
    }
}

/* Whether a layer's gradient goes straight to its weights: the update is linear, the batch whole. */
static int fused(const Team *t, integer i, integer m, int keep) {
    if (t->task->task != TRAIN || !t->task->linear || keep) return 0;
    return i > 1 || !sparse(t) || (t->settings[1] == 0 && m <= DIRECT_ROWS);
}

/* Choose how threads share the first layer. By columns each keeps its weights to itself, where by
   rows they would go from core to core in every step. */
static void share_first_layer(Team *t) {
    const Task *task = t->task;
    const integer *l = layer_of(t, 1);
    t->first = t->work + l[WEIGHTS], t->ld_first = l[LD], t->left = 0, t->right = l[WIDTH];
    t->by_columns = task->n_threads > 1 && l[WIDTH] >= PAD * task->n_threads &&
                    fused(t, 1, task->batch, task->batch > t->block[ROWS]);
    if (!t->by_columns) return;
    share(l[WIDTH], PAD, t->thread, task->n_threads, &t->left, &t->right);
    t->first = t->work + t->block[PANELS] + (l[N_IN] + 1) * t->left;
    t->ld_first = t->right - t->left;
}

/* Copy this thread's columns of the first layer to memory of their own, or back. */
static void copy_panel(const Team *t, int back) {
    const integer *l = layer_of(t, 1);
    number *w = t->work + l[WEIGHTS] + t->left;
    if (back) copy_rows(t->first, t->ld_first, w, l[LD], l[N_IN] + 1, t->ld_first);
    else copy_rows(w, l[LD], t->first, t->ld_first, l[N_IN] + 1, t->ld_first);
}

/* Do this thread's part of the block's gradient, and of the update. */
static void learn(const Team *t, integer m, Use use) {
    const Task *task = t->task;
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        integer from = 0, to = l[N_IN], few = i == 1 && sparse(t), panel = i == 1 && t->by_columns;
        if (!panel) share(l[N_IN], PAD, t->thread, task->n_threads, &from, &to);
        if (few) find_cursors(t, from, m);
        /* What is left for `gradient_and_update`: nothing, the weights, the biases, or both. */
        integer first = from, last = to;
        if (fused(t, i, m, use.keep)) {
            first = to;
            if (few) sparse_gradient(t, to, m, t->first, t->ld_first, -t->settings[0]);
            else descend(t, i, from, to, m);
        }
        if (panel || t->thread == task->n_threads - 1) last = l[N_IN] + 1;
        gradient_and_update(t, i, first, last, m, use);
        if (use.step && i > 1) transpose(t, l, from, to);
    }
}
