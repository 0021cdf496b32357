/* The kernels: gather, forward and backpropagate, over one block of rows; learning.h goes on.
   The same steps, in the same order and under the same names, as fastgd/kernels/steps.py.
   Included once for each `number` and instruction tier. */

/* One thread's part in a call: the call, the plan and memory of it, and what part is its own. */
typedef struct {
    const Call *call;
    const integer *block;  /* row 0 of the plan */
    number *work;
    integer thread;
    int by_columns;        /* whether it has columns of the first layer, for all rows */
    integer left, right;   /* those columns: else all */
    integer marked_from;   /* the first of the columns whose inputs are marked; -1: none are */
    number *first;         /* the first layer's weights, from column `left` on; then biases */
    integer ld_first;
    const number *x;       /* where the block's inputs lie: row r from x + places[r] on */
    const int32_t *columns; /* the same, of sparse ones' columns */
} Thread;

/* A block of m visits from `first` on, which begin at row `row` of batch number `step`; of them the
   thread has `start` to `stop`. */
typedef struct {
    integer step, first, row, m, start, stop;
} Block;

INLINE const integer *layer_of(const Thread *t, integer layer) { return t->block + layer * N_COLUMNS; }

INLINE integer smaller(integer a, integer b) { return a < b ? a : b; }

/* This thread's part of n things, in whole units. */
static void share(integer n, integer unit, integer thread, integer n_threads, integer *start,
                  integer *stop) {
    if (n_threads == 1) { /* divisions cost as much as a small layer's update */
        *start = 0, *stop = n;
        return;
    }
    integer units = (n + unit - 1) / unit;
    *start = smaller(n, units * thread / n_threads * unit);
    *stop = smaller(n, units * (thread + 1) / n_threads * unit);
}

/* Write a part of W transposed, vectors wide and some deep, to `panel`: column j of it is row
   `first` + j of W; of `n` rows in all, those beyond are zero. */
static void pack_transposed(const number *w, integer ldw, integer n, integer first, integer width,
                            integer depth, const number *zero, number *panel) {
    for (integer j = 0; j < width; j += LANES)
        for (integer p = 0; p < depth; p += LANES)
            transpose_block(w + (first + j) * ldw + p, ldw, n - first - j, zero,
                            panel + p * width + j, width);
}

/* The sides of a product. S (m, depth) lies as `tile_of` says. W is (depth, n); or, where `panel` has
   room for it, the transpose of W (n_rows, depth), a part at a time. */
typedef struct {
    int kind;
    const number *at;
    integer row, depth;
    const integer *places;
} Left;

typedef struct {
    const number *at;
    integer ld, n_rows;
    const number *zero;
    number *panel;
} Right;

/* C (m, n) = beta start + alpha S (m, depth) W (depth, n); n is a multiple of PAD. As many as DEPTH
   numbers of a sum are added at once: 128 rows of 4 vectors are 32 KiB, a small L1 cache. */
static void product(integer m, integer n, integer depth, Left s, Right w, const number *start,
                    integer ld_start, number *c, integer ldc, number beta, number alpha) {
    for (integer first = 0; m && first < depth; first += DEPTH) {
        integer some = smaller(DEPTH, depth - first), vectors;
        for (integer column = 0; column < n; column += vectors * LANES) {
            integer left = (n - column) / LANES;
            integer tiles = (left + MAX_TILE_VECTORS - 1) / MAX_TILE_VECTORS;
            vectors = (left + tiles - 1) / tiles;
            integer most = MAX_TILE_ROWS[vectors], rows, ld = w.panel ? vectors * LANES : w.ld;
            const number *part = w.panel ? w.panel : w.at + first * ld + column;
            if (w.panel)
                pack_transposed(w.at + first, w.ld, w.n_rows, column, ld, some, w.zero, w.panel);
            for (integer row = 0; row < m; row += rows) {
                tiles = (m - row + most - 1) / most;
                rows = (m - row + tiles - 1) / tiles;
                if (some >= 64 && column + vectors * LANES < n) { /* the next part */
                    if (w.panel) {
                        integer lo = row * vectors * LANES / m, hi = (row + rows) * vectors * LANES / m;
                        for (integer j = lo; j < hi; j++)
                            for (integer p = 0; p < some; p += LANES)
                                __builtin_prefetch(w.at + first + (column + vectors * LANES + j) * w.ld + p, 0, 2);
                    } else {
                        integer lo = row * some / m, hi = (row + rows) * some / m;
                        for (integer j = lo; j < hi; j++)
                            for (integer v = 0; v < vectors; v++)
                                __builtin_prefetch(part + j * ld + (vectors + v) * LANES, 0, 2);
                    }
                }
#define PART rows, vectors, some
#define REST part, ld, start + row * ld_start + column, ld_start, c + row * ldc + column, ldc, beta, alpha
                if (s.kind == IN_STEPS)
                    tile_in_steps(PART, s.at + row * s.row + first * s.depth, s.row, s.depth, NULL, REST);
                else if (s.kind == ROWS_PLACED)
                    tile_of_rows(PART, s.at + first, 0, 0, s.places + row, REST);
                else
                    tile_of_depths(PART, s.at + row, 0, 0, s.places + first, REST);
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
static void pack(const Thread *t, const number *flat, integer base) {
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        copy_rows(flat + l[FLAT], l[N_OUT], t->work + base + l[WEIGHTS] - t->block[PARAMETERS],
                  l[LD_W], l[N_IN] + 1, l[N_OUT]);
    }
}

/* Copy padded rows back into a flat vector. */
static void unpack(const Thread *t, integer base, number *flat) {
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        copy_rows(t->work + base + l[WEIGHTS] - t->block[PARAMETERS], l[LD_W], flat + l[FLAT],
                  l[N_OUT], l[N_IN] + 1, l[N_OUT]);
    }
}

/* Copy parameters and the optimizer's state into the working memory. */
static void load(const Thread *t) {
    const Call *call = t->call;
    pack(t, call->flat, t->block[PARAMETERS]);
    memset(call->costs, 0, (size_t)t->block[ROWS] * sizeof(double));
    for (integer slot = 0; slot < call->n_slots; slot++)
        pack(t, (const number *)call->slots + slot * call->n_parameters,
             t->block[SLOTS] + slot * t->block[N_PADDED]);
    if (call->task == TASK_GRADIENT) pack(t, call->outputs, t->block[GRADIENT]);
}

/* Copy parameters and the optimizer's state back from the working memory. */
static void store(const Thread *t) {
    const Call *call = t->call;
    if (call->task == TASK_GRADIENT) unpack(t, t->block[GRADIENT], call->outputs);
    if (call->task != TASK_TRAIN) return;
    unpack(t, t->block[PARAMETERS], call->flat);
    for (integer slot = 0; slot < call->n_slots; slot++)
        unpack(t, t->block[SLOTS] + slot * t->block[N_PADDED],
               (number *)call->slots + slot * call->n_parameters);
}

static void convert(const void *source, integer kind, integer first, integer n, number *x,
                    number scale) {
    switch (kind) {
        case FLOAT32: { const float *p = (const float *)source + first; FOR(n) x[i] = (number)p[i] * scale; break; }
        case FLOAT64: { const double *p = (const double *)source + first; FOR(n) x[i] = (number)p[i] * scale; break; }
        default: { const uint8_t *p = (const uint8_t *)source + first; FOR(n) x[i] = (number)p[i] * scale; }
    }
}

/* The same, where columns are shifted and scaled each by its own: in double, rounded once. `columns`
   are those of the numbers; null: all in their order. */
#define CONVERT_BY_COLUMN(type) do { \
    const type *p = (const type *)source + first; \
    if (columns) { \
        FOR(n) x[i] = (number)(((double)p[i] - shifts[columns[i]]) * scales[columns[i]]); \
    } else { \
        FOR(n) x[i] = (number)(((double)p[i] - shifts[i]) * scales[i]); \
    } \
} while (0)

__attribute__((noinline)) static void convert_by_column(
    const void *source, integer kind, integer first, integer n, number *x,
    const double *shifts, const double *scales, const int32_t *columns) {
    switch (kind) {
        case FLOAT32: CONVERT_BY_COLUMN(float); break;
        case FLOAT64: CONVERT_BY_COLUMN(double); break;
        default: CONVERT_BY_COLUMN(uint8_t);
    }
}

/* Read n numbers of the inputs, from number `first` on, as the network sees them. */
INLINE void read_inputs(const Call *call, integer first, integer n, number *x,
                        const int32_t *columns, number scale) {
    if (__builtin_expect(call->scales != NULL, 0))
        convert_by_column(call->inputs, call->kind, first, n, x, call->shifts, call->scales, columns);
    else convert(call->inputs, call->kind, first, n, x, scale);
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

INLINE integer row_visited(const Call *call, integer visit) {
    return call->order ? call->order[visit] : visit;
}

/* Whether the block's inputs leave out zeros: sparse ones, or dense ones with few other numbers. */
INLINE int sparse(const Thread *t) { return t->call->lengths != NULL; }

/* Leave out some inputs of this thread's rows. */
static void drop_inputs(const Thread *t, Block b) {
    const Call *call = t->call;
    const number gain = t->work[t->block[INPUT_GAIN]];
    integer kept = t->block[INPUT_KEPT], ld = t->block[LD_X];
    uint32_t layer = layer_key(call->seed_low, call->seed_high, call->first_step + b.step, 0);
    for (integer row = b.start; row < b.stop; row++) {
        uint32_t key = row_key(layer, call->first_row + b.row + row);
        number *x = t->work + t->block[X] + row * ld;
        if (sparse(t)) drop_columns(call->lengths[row], x, call->gathered + row * ld, key, kept, gain);
        else drop(layer_of(t, 1)[N_IN], x, x, key, kept, gain);
    }
}

/* Leave out some units of a layer, for this thread's rows of `source`. */
static void drop_units(const Thread *t, Block b, integer i, const number *source, number *target) {
    const Call *call = t->call;
    const integer *l = layer_of(t, i);
    uint32_t layer = layer_key(call->seed_low, call->seed_high, call->first_step + b.step, i);
    for (integer row = b.start; row < b.stop; row++)
        drop(l[LD], source + row * l[LD], target + row * l[LD],
             row_key(layer, call->first_row + b.row + row), l[KEPT], t->work[l[GAIN]]);
}

/* Read this thread's rows of the block, shifted and scaled, into the block's inputs; those that are
   as the network sees them are read where they lie. */
static void gather(const Thread *t, Block b) {
    const Call *call = t->call;
    const char *inputs = (const char *)call->inputs;
    const number scale = (number)call->scale;
    integer n = layer_of(t, 1)[N_IN], ld = t->block[LD_X], itemsize = KIND_BYTES[call->kind];
    for (integer row = b.start; row < b.stop; row++) {
        number *x = t->work + t->block[X] + row * ld;
        int32_t *columns = call->gathered + row * ld;
        integer source = row_visited(call, b.first + row), next = b.first + row + b.m;
        integer begin = call->pointers ? call->pointers[source] : source * n;
        integer count = call->pointers ? call->pointers[source + 1] - begin : n;
        /* Rows come in no order the processor could guess: ask for the next batch's now. */
        integer ahead = call->order && next < call->n ? call->order[next] : -1;
        if (call->pointers) {
            if (ahead >= 0)
                for (integer at = call->pointers[ahead]; at < call->pointers[ahead + 1]; at += 16) {
                    __builtin_prefetch(inputs + at * itemsize, 0, 2);
                    __builtin_prefetch(call->columns + at, 0, 2);
                }
        } else if (ahead >= 0 && !call->in_place) /* those the processor guesses once a row has begun */
            for (integer at = ahead * n * itemsize; at < (ahead + 1) * n * itemsize; at += 64)
                __builtin_prefetch(inputs + at, 0, 2);
        call->places[row] = call->in_place ? begin : row * ld;
        if (call->in_place) {
            if (sparse(t)) call->lengths[row] = (int32_t)count;
            continue;
        }
        if (call->pointers) {
            read_inputs(call, begin, count, x, call->columns + begin, scale);
            if (count) /* there may be no columns at all */
                memcpy(columns, call->columns + begin, (size_t)count * sizeof(int32_t));
        } else if (sparse(t) && itemsize == sizeof(number) && !call->scales)
            count = compress(n, (const number *)inputs + begin, scale, x, columns);
        else {
            read_inputs(call, begin, n, x, NULL, scale);
            if (sparse(t)) count = compress(n, x, 1, x, columns);
        }
        if (sparse(t)) call->lengths[row] = (int32_t)count;
    }
    if (t->block[INPUT_KEPT]) drop_inputs(t, b);
}

/* Write the targets of this thread's rows: numbers, or a 1 in the column of each class. */
static void gather_targets(const Thread *t, Block b) {
    const Call *call = t->call;
    const integer *l = layer_of(t, t->block[N_LAYERS]);
    for (integer row = b.start; row < b.stop; row++) {
        number *y = t->work + t->block[Y] + row * l[LD];
        if (call->classes) {
            memset(y, 0, (size_t)l[N_OUT] * sizeof(number));
            y[call->classes[b.first + row]] = 1;
        } else {
            const number *source = (const number *)call->targets + (b.first + row) * l[N_OUT];
            memcpy(y, source, (size_t)l[N_OUT] * sizeof(number));
        }
    }
}

/* Turn each row of z into log a, and write a. */
static void softmax(const Thread *t, const integer *l, integer start, integer stop) {
    for (integer row = start; row < stop; row++) {
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

/* A row that a layer reads. */
INLINE const number *input_row(const Thread *t, integer i, integer row) {
    const integer *l = layer_of(t, i);
    return i == 1 ? t->x + t->call->places[row] : t->work + l[INPUT] + row * l[LD_IN];
}

/* Layers of one output, whose weights are one row: vectors run along the inputs. */
INLINE int narrow(const integer *l) { return l[LD_W] == 1; }

/* How many sums of a dot product run side by side: the same for any vector. */
enum { DOT_LANES = 64 };

static number dot(integer n, const number *x, const number *w) {
    enum { V = DOT_LANES * sizeof(number) / VECTOR_BYTES };
    vector sums[V];
    number lanes[DOT_LANES];
    integer k = 0;
    UNROLL for (int v = 0; v < V; v++) sums[v] = (vector){0};
    for (; k + DOT_LANES <= n; k += DOT_LANES)
        UNROLL for (int v = 0; v < V; v++)
            sums[v] += load_vector(x + k + v * LANES) * load_vector(w + k + v * LANES);
    UNROLL for (int v = 0; v < V; v++) store_vector(lanes + v * LANES, sums[v]);
    FOR(n - k) lanes[i] += x[k + i] * w[k + i];
    for (integer half = DOT_LANES / 2; half; half /= 2) FOR(half) lanes[i] += lanes[i + half];
    return lanes[0];
}

/* How many rows before it is read a row is asked for, where rows lie anywhere. */
enum { ROWS_AHEAD = 2 };

/* Compute a narrow layer's z. */
static void narrow_forward(const Thread *t, integer i, integer start, integer stop) {
    const integer *l = layer_of(t, i);
    const number *w = t->work + l[WEIGHTS];
    for (integer row = start; row < stop; row++) {
        number *z = t->work + l[Z] + row * l[LD];
        const number *ahead = input_row(t, i, smaller(row + ROWS_AHEAD, stop - 1));
        for (integer k = 0; i == 1 && k < l[N_IN]; k += 64 / (integer)sizeof(number))
            __builtin_prefetch(ahead + k, 0, 2);
        for (integer j = 1; j < l[LD]; j++) z[j] = 0;
        z[0] = w[l[N_IN]] + dot(l[N_IN], input_row(t, i, row), w);
    }
}

/* Carry a narrow layer's delta to the outputs below. */
static void narrow_backward(const Thread *t, integer i, integer start, integer stop) {
    const integer *l = layer_of(t, i);
    const number *w = t->work + l[WEIGHTS];
    for (integer row = start; row < stop; row++) {
        number delta = t->work[l[DELTA] + row * l[LD]];
        number *below = t->work + layer_of(t, i - 1)[DELTA] + row * l[LD_IN];
        FOR(l[N_IN]) below[i] = delta * w[i];
    }
}

/* Compute this thread's columns of the first layer's z for some rows. The cost of a row that cannot be
   predicted is NaN: where an input is not finite, neither is z. */
static void first_layer(const Thread *t, integer start, integer stop) {
    const integer *l = layer_of(t, 1);
    const number *w = t->first, *bias = w + l[N_IN] * t->ld_first;
    const integer *places = t->call->places;
    number *z = t->work + l[Z] + t->left;
    integer width = t->right - t->left, vectors;
    if (narrow(l)) narrow_forward(t, 1, start, stop);
    else if (!sparse(t))
        product(stop - start, width, l[N_IN], (Left){ROWS_PLACED, t->x, 0, 0, places + start},
                (Right){w, t->ld_first}, bias, 0, z + start * l[LD], l[LD], 1, 1);
    for (integer column = 0; sparse(t) && column < width; column += vectors * LANES) {
        vectors = smaller((width - column) / LANES, MAX_SPARSE_VECTORS);
        for (integer row = start; row < stop; row++)
            sparse_row(l[WIDTH] / LANES, vectors, t->call->lengths[row], t->x + places[row],
                       t->columns + places[row], w + column, t->ld_first, bias + column,
                       z + row * l[LD] + column, 1, 1);
    }
    for (integer row = start; t->call->task == TASK_PREDICT && row < stop; row++)
        if (!all_finite(width, z + row * l[LD])) t->call->costs[row] = NAN;
}

/* Compute every layer's z and a for this thread's rows, from the first layer's z. Small outputs are
   not flushed: `settings` are the processor's for them. */
static void forward(const Thread *t, Block b, unsigned settings) {
    integer rows = b.stop - b.start;
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        const number *w = t->work + l[WEIGHTS], *bias = w + l[N_IN] * l[LD_W];
        number *z = t->work + l[Z] + b.start * l[LD], *a = t->work + l[A] + b.start * l[LD];
        if (i > 1 && narrow(l)) narrow_forward(t, i, b.start, b.stop);
        else if (i > 1)
            product(rows, l[WIDTH], l[N_IN],
                    (Left){IN_STEPS, t->work + l[INPUT] + b.start * l[LD_IN], l[LD_IN], 1},
                    (Right){w, l[LD]}, bias, 0, z, l[LD], 1, 1);
        if (i == t->block[N_LAYERS]) restore_subnormals(settings);
        if (i == t->block[N_LAYERS] && t->block[ROW_WISE])
            softmax(t, l, b.start, b.stop);
        else
            activate(l[ACTIVATION], rows * l[LD], z, a, t->work + l[NUMBERS]);
        if (l[KEPT]) drop_units(t, b, i, t->work + l[A], t->work + l[DROPPED]);
    }
}

/* Write the outputs of this thread's rows. */
static void copy_outputs(const Thread *t, Block b) {
    const integer *l = layer_of(t, t->block[N_LAYERS]);
    copy_rows(t->work + l[A] + b.start * l[LD], l[LD],
              (number *)t->call->outputs + (b.first + b.start) * l[N_OUT], l[N_OUT],
              b.stop - b.start, l[N_OUT]);
}

/* Write the output's delta, times `factor`, and the cost of each of this thread's rows. */
static void cost_and_delta(const Thread *t, Block b, double factor) {
    const Call *call = t->call;
    const integer *l = layer_of(t, t->block[N_LAYERS]);
    integer first = b.start * l[LD], rows = b.stop - b.start, size = rows * l[LD], n = l[N_OUT];
    number *z = t->work + l[Z] + first, *a = t->work + l[A] + first;
    number *delta = t->work + l[DELTA] + first, *y = t->work + t->block[Y] + first;
    const number *p = t->work + t->block[LOSS_NUMBERS];
    const number *weights = (const number *)call->weights;
    FOR(size) delta[i] = 1;
    multiply_by_slope(l[ACTIVATION], size, z, a, delta, t->work + l[NUMBERS]);
    output_delta(t->block[LOSS], size, z, a, y, delta, p, (number)(factor * call->share));
    for (integer row = 0; row < rows; row++) {
        integer at = row * l[LD];
        double cost = 0;
        for (integer j = at; j < at + n; j++) cost += z[j];
        cost *= call->share;
        for (integer j = at + n; j < at + l[LD]; j++) delta[j] = 0;
        if (weights) {
            number weight = weights[b.first + b.start + row];
            cost *= weight;
            for (integer j = at; j < at + n; j++) delta[j] *= weight;
        }
        call->costs[b.start + row] = cost;
    }
}

/* Carry the output's delta back through the layers (Nielsen, eq. BP2). */
__attribute__((noinline)) static void backward(const Thread *t, Block b) {
    integer rows = b.stop - b.start;
    const number *zero = t->work + t->block[ZERO];
    number *panel = t->work + t->block[PACKED] + t->thread * DEPTH * PANEL_WIDTH;
    for (integer i = t->block[N_LAYERS]; i > 1; i--) {
        const integer *l = layer_of(t, i), *below = layer_of(t, i - 1);
        integer first = b.start * l[LD_IN];
        number *delta = t->work + below[DELTA] + first;
        if (narrow(l)) narrow_backward(t, i, b.start, b.stop);
        else product(rows, l[WIDTH_IN], l[N_OUT],
                (Left){IN_STEPS, t->work + l[DELTA] + b.start * l[LD], l[LD], 1},
                (Right){t->work + l[WEIGHTS], l[LD], l[N_IN], zero, panel}, zero, 0, delta,
                l[LD_IN], 1, 1);
        multiply_by_slope(below[ACTIVATION], rows * l[LD_IN], t->work + below[Z] + first,
                          t->work + below[A] + first, delta, t->work + below[NUMBERS]);
        if (below[KEPT])
            drop_units(t, b, i - 1, t->work + below[DELTA], t->work + below[DELTA]);
    }
}
