/* The kernels, second half: gradient, norm and update, as in fastgd/kernels/learning.py. Where the
   update is linear and nothing stands between, the gradient goes straight to the weights. */

/* Sparse inputs of batches up to this many rows may be counted one by one into the weights; of more,
   each part of a step could be too small for that. */
enum { DIRECT_ROWS = 64 };
/* How many sums of squares run side by side. */
enum { NORM_LANES = 64 };
/* What squares are taken after multiplying with, so that those of large gradients are finite. */
#define NORM_SCALE ((number)0x1p-30)
/* Where the learning rate stands in a row of a linear rule. */
enum { RATE = N_COMMON };
static const double NORM_EPSILON = 1e-6; /* fastgd.rules.update.NORM_EPSILON */

/* The first of n ascending columns that is not before a column. */
static integer first_from(const int32_t *columns, integer n, integer column) {
    integer low = 0, high = n;
    while (low < high) {
        integer middle = (low + high) / 2;
        if (columns[middle] < column) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Put this thread's cursors at the first input from column `first` on. */
static void find_cursors(const Thread *t, integer first, integer m) {
    int32_t *cursors = t->call->lengths + (1 + t->thread) * t->block[ROWS];
    for (integer row = 0; row < m; row++)
        cursors[row] = (int32_t)first_from(t->columns + t->call->places[row],
                                           first ? t->call->lengths[row] : 0, first);
}

/* Write beta start to `target`, and add alpha dC/dW of the first layer's rows from `first` on to it,
   one example after the other. */
static void scatter_rows(const Thread *t, integer first, integer rows, integer m, const number *start,
                         integer ld_start, number *target, integer ld, number beta, number alpha) {
    const Call *call = t->call;
    const integer *l = layer_of(t, 1);
    integer last = first + rows, width = t->right - t->left, vectors;
    int32_t *cursors = call->lengths + (1 + t->thread) * t->block[ROWS];
    for (integer row = 0; (start != target || beta != 1) && row < rows; row++) {
        const number *from = start + row * ld_start;
        number *to = target + row * ld;
        FOR(width) to[i] = beta * from[i];
    }
    for (integer row = 0; row < m; row++) {
        const int32_t *columns = t->columns + call->places[row];
        integer begin = cursors[row], count = call->lengths[row], stop = begin;
        if (last == l[N_IN]) stop = count;
        while (stop < count && columns[stop] < last) stop++;
        cursors[row] = (int32_t)stop;
        const number *x = t->x + call->places[row] + begin;
        const number *delta = t->work + l[DELTA] + row * l[LD] + t->left;
        for (integer column = 0; column < width; column += vectors * LANES) {
            vectors = smaller((width - column) / LANES, MAX_TILE_VECTORS);
            scatter(vectors, stop - begin, x, columns + begin, delta + column,
                    target - first * ld + column, ld, alpha);
        }
    }
}

/* Whether to sum the block's sparse inputs column by column: that costs each of them as much as some
   vectors of weights, loaded and stored, and each column a wrong guess; then weights are loaded and
   stored once a column, and not once a number. Measured over batches, widths and densities. */
static int columns_pay(const Thread *t, integer m) {
    const integer *l = layer_of(t, 1);
    integer vectors = l[WIDTH] * (integer)sizeof(number) / 64, n = 0;
    if (m > DIRECT_ROWS && l[WIDTH] > PAD) return 1; /* the other way is for few rows, or narrow ones */
    for (integer row = 0; row < m; row++) n += t->call->lengths[row];
    return (3 * vectors - 6) * n > (4 * vectors + 30) * l[N_IN];
}

/* The block's inputs in some columns, those of this thread: numbers (m, MARKED_COLUMNS), of which those
   are set that are marked, a bit for each row. */
typedef struct {
    number *x;
    uint64_t *marks;
    integer words; /* of 64 rows, for each column */
} Marked;

static Marked marked(const Thread *t) {
    integer words = (t->block[ROWS] + 63) / 64, columns = t->block[MARKED_COLUMNS];
    return (Marked){.x = t->work + t->block[MARKED] + t->thread * t->block[ROWS] * columns,
                    .marks = t->call->marks + t->thread * words * columns, .words = words};
}

/* Mark the block's inputs from column `first` to before `last`, from this thread's cursors on. */
static void mark_columns(const Thread *t, integer first, integer last, integer m) {
    const Call *call = t->call;
    Marked to = marked(t);
    int32_t *cursors = call->lengths + (1 + t->thread) * t->block[ROWS];
    memset(to.marks, 0, (size_t)((last - first) * to.words) * sizeof(uint64_t));
    for (integer row = 0; row < m; row++, to.x += t->block[MARKED_COLUMNS]) {
        const int32_t *columns = t->columns + call->places[row];
        const number *x = t->x + call->places[row];
        uint64_t *marks = to.marks + row / 64, bit = (uint64_t)1 << row % 64;
        integer at = cursors[row], count = call->lengths[row], stop = count;
        if (last < layer_of(t, 1)[N_IN]) stop = at + first_from(columns + at, count - at, last);
        cursors[row] = (int32_t)stop;
        for (; at < stop; at++) {
            integer column = columns[at] - first;
            marks[column * to.words] |= bit;
            to.x[column] = x[at];
        }
    }
}

INLINE int none(integer words, const uint64_t *marks) {
    uint64_t any = 0;
    for (integer word = 0; word < words; word++) any |= marks[word];
    return !any;
}

/* The same as `scatter_rows`, from inputs that are marked: a sum for each of the weights. */
static void sum_columns(const Thread *t, integer first, integer rows, const number *start,
                        integer ld_start, number *target, integer ld, number beta, number alpha) {
    const integer *l = layer_of(t, 1);
    Marked from = marked(t);
    integer width = t->right - t->left, vectors;
    for (integer column = 0; column < width; column += vectors * LANES) {
        vectors = smaller((width - column) / LANES, MAX_SPARSE_VECTORS);
        for (integer row = 0; row < rows; row++) {
            integer input = first - t->marked_from + row;
            const uint64_t *marks = from.marks + input * from.words;
            if (start == target && beta == 1 && none(from.words, marks)) continue;
            marked_sum(vectors, from.words, marks, from.x + input, t->block[MARKED_COLUMNS],
                       t->work + l[DELTA] + t->left + column, l[LD],
                       start + row * ld_start + column, target + row * ld + column, beta, alpha);
        }
    }
}

/* The gradient of narrow layers: see `gradient_rows`. */
static void narrow_gradient(const Thread *t, integer i, integer first, integer rows, integer m,
                            const number *start, number *target, number beta, number alpha) {
    const integer *l = layer_of(t, i);
    const number *delta = t->work + l[DELTA];
    number one = 1;
    for (integer k = 0, n; k < rows; k += n) {
        vector sums[4] = {{0}, {0}, {0}, {0}};
        number sum = 0;
        n = rows - k >= 4 * LANES ? 4 * LANES : rows - k >= LANES ? LANES : 1;
        for (integer row = 0; row < m; row++) {
            const number *x = first == l[N_IN] ? &one : input_row(t, i, row) + first + k;
            number d = delta[row * l[LD]];
            if (n == 4 * LANES)
                UNROLL for (int v = 0; v < 4; v++) sums[v] += d * load_vector(x + v * LANES);
            else if (n == LANES) sums[0] += d * load_vector(x);
            else sum += d * x[0];
        }
        for (integer v = 0; v < n / LANES; v++)
            store_vector(target + k + v * LANES,
                         beta * load_vector(start + k + v * LANES) + alpha * sums[v]);
        if (n == 1) target[k] = beta * start[k] + alpha * sum;
    }
}

/* Write beta start + alpha dC/dW, for a few rows of a layer's weights (of the first layer: this
   thread's columns), to `target`. The biases are the row after the weights: their input is always 1
   (Nielsen, eqs. BP3, BP4). */
static void gradient_rows(const Thread *t, integer i, integer first, integer rows, integer m,
                          const number *start, integer ld_start, number *target, integer ld,
                          number beta, number alpha) {
    const integer *l = layer_of(t, i);
    const number *one = t->work + t->block[ONE];
    Right delta = {t->work + l[DELTA] + (i == 1 ? t->left : 0), l[LD]};
    integer n = i == 1 ? t->right - t->left : l[WIDTH];
    if (i == 1 && sparse(t) && first < l[N_IN]) {
        if (t->marked_from >= 0) sum_columns(t, first, rows, start, ld_start, target, ld, beta, alpha);
        else scatter_rows(t, first, rows, m, start, ld_start, target, ld, beta, alpha);
        return;
    }
    if (narrow(l)) {
        narrow_gradient(t, i, first, rows, m, start, target, beta, alpha);
        return;
    }
    Left inputs = {IN_STEPS, t->work + l[INPUT] + first, 1, l[LD_IN]};
    if (first == l[N_IN]) inputs = (Left){IN_STEPS, one, 0, 0};
    else if (i == 1) inputs = (Left){DEPTHS_PLACED, t->x + first, 0, 0, t->call->places};
    product(rows, n, m, inputs, delta, start, ld_start, target, ld, beta, alpha);
}

/* Where the table has a step's settings: group 0 of weights, 1 of biases. */
INLINE const number *settings(const Thread *t, integer step, integer group) {
    return (const number *)t->call->table + (2 * step + group) * t->call->n_columns;
}

/* How many rows of a layer's weights are a chunk. */
INLINE integer rows_at_once(const integer *l) { return l[LD_W] < CHUNK_SIZE ? CHUNK_SIZE / l[LD_W] : 1; }

/* Update some rows of a layer as w <- shrink w - rate dC/dw, without writing the gradient
   down: for update rules that are linear, the update is a product that starts from the weights. */
static void descend(const Thread *t, integer i, integer step, integer start, integer stop, integer m) {
    const integer *l = layer_of(t, i);
    const number *row = settings(t, step, 0);
    integer ld = i == 1 ? t->ld_first : l[LD_W];
    number *w = (i == 1 ? t->first : t->work + l[WEIGHTS]) + start * ld;
    int by_row = i == 1 && sparse(t) && t->marked_from < 0, apart = by_row && m > DIRECT_ROWS;
    /* What shrinks first, and then is added to example by example, is in cache meanwhile. */
    integer chunk = apart || (by_row && row[SHRINK] != 1) ? rows_at_once(l) : stop - start;
    number *g = t->work + t->block[CHUNK] + t->thread * t->block[CHUNK_STRIDE];
    for (integer rows; start < stop; start += rows, w += rows * ld) {
        rows = smaller(chunk, stop - start);
        if (apart) {
            gradient_rows(t, i, start, rows, m, t->work + t->block[ZERO], 0, g, ld, 1, 1);
            FOR(rows * ld) w[i] = row[SHRINK] * w[i] - row[RATE] * g[i];
        } else
            gradient_rows(t, i, start, rows, m, w, ld, w, ld, row[SHRINK], -row[RATE]);
    }
}

/* Update `size` parameters at w, whose slots lie at `at` and whose gradient, used up, at g. */
static void update_rows(const Thread *t, number *w, integer at, number *g, integer size,
                        integer step, int biases, double factor) {
    const Call *call = t->call;
    apply_update(call->update, size, w, g, t->work + t->block[SLOTS] + at, t->block[N_PADDED],
                 settings(t, step, biases), call->n_columns - N_COMMON, (number)factor);
}

/* Compute the gradient of rows start to stop of a layer's weights, or of its biases, a few at a time
   while they are in cache, and use it: with `keep` it is added to the whole gradient (or begins it,
   with `fresh`); with `update` the parameters are updated. */
static void gradient_and_update(const Thread *t, Block b, integer i, integer start, integer stop,
                                int fresh, int keep, int update) {
    const integer *l = layer_of(t, i);
    integer panel = i == 1 && t->by_columns, chunk = rows_at_once(l);
    for (integer first = start, rows; first < stop; first += rows) {
        int biases = first == l[N_IN];
        rows = smaller(chunk, stop - first);
        integer at = l[WEIGHTS] - t->block[PARAMETERS] + first * l[LD_W], size = rows * l[LD_W];
        number *g = t->work + (keep ? t->block[GRADIENT] + at
                                    : t->block[CHUNK] + t->thread * t->block[CHUNK_STRIDE]);
        number *w = t->work + t->block[PARAMETERS] + at;
        if (panel) w = t->first + first * t->ld_first, size = t->ld_first; /* only its biases */
        if (fresh)
            gradient_rows(t, i, first, rows, b.m, t->work + t->block[ZERO], 0, g, l[LD_W], 1, 1);
        else
            gradient_rows(t, i, first, rows, b.m, g, l[LD_W], g, l[LD_W], 1, 1);
        if (update) update_rows(t, w, at, g, size, b.step, biases, 1);
    }
}

/* Whether the gradient goes straight to the weights: the update is linear, the batch whole. */
static int fused(const Call *call, int keep) {
    return call->task == TASK_TRAIN && call->linear && !keep;
}

/* Choose how threads share the first layer. By columns each keeps its weights to itself, where by
   rows they would go from core to core in every step. */
static void share_first_layer(Thread *t) {
    const Call *call = t->call;
    const integer *l = layer_of(t, 1);
    t->first = t->work + l[WEIGHTS], t->ld_first = l[LD_W], t->left = 0, t->right = l[WIDTH];
    /* Penalties read all weights in one place. */
    t->by_columns = call->n_threads > 1 && !call->penalties && l[WIDTH] >= PAD * call->n_threads &&
                    fused(call, call->batch > t->block[ROWS]);
    if (!t->by_columns) return;
    share(l[WIDTH], PAD, t->thread, call->n_threads, &t->left, &t->right);
    t->first = t->work + t->block[PANELS] + (l[N_IN] + 1) * t->left;
    t->ld_first = t->right - t->left;
}

/* Copy this thread's columns of the first layer to memory of their own, or back. */
static void copy_panel(const Thread *t, int back) {
    const integer *l = layer_of(t, 1);
    number *w = t->work + l[WEIGHTS] + t->left;
    if (back) copy_rows(t->first, t->ld_first, w, l[LD], l[N_IN] + 1, t->ld_first);
    else copy_rows(w, l[LD], t->first, t->ld_first, l[N_IN] + 1, t->ld_first);
}

/* The sum of the squares of n numbers, each times `scale`: in lanes, which vectorise and are the same
   for any vector. */
static double sum_of_squares(const number *numbers, integer n, number scale) {
    number lanes[NORM_LANES] = {0};
    integer at = 0;
    for (; at + NORM_LANES <= n; at += NORM_LANES)
        FOR(NORM_LANES) {
            number scaled = numbers[at + i] * scale;
            lanes[i] += scaled * scaled;
        }
    for (integer i = 0; at + i < n; i++) {
        number scaled = numbers[at + i] * scale;
        lanes[i] += scaled * scaled;
    }
    double total = 0;
    for (integer i = 0; i < NORM_LANES; i++) total += lanes[i];
    return total;
}

/* The sum of the squares of all weights. */
static double squared_weights(const Thread *t) {
    double total = 0;
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        const number *w = t->work + l[WEIGHTS];
        integer n = l[N_IN] * l[LD_W];
        for (integer first = 0; first < n; first += CHUNK_SIZE)
            total += sum_of_squares(w + first, smaller(CHUNK_SIZE, n - first), 1);
    }
    return total;
}

/* Write the gradient's norms over this thread's share of fixed chunks. */
static void write_norms(const Thread *t) {
    integer n = t->block[N_PADDED], start, stop;
    const number *g = t->work + t->block[GRADIENT];
    share(n, CHUNK_SIZE, t->thread, t->call->n_threads, &start, &stop);
    for (integer first = start; first < stop; first += CHUNK_SIZE) {
        double total = sum_of_squares(g + first, smaller(CHUNK_SIZE, n - first), NORM_SCALE);
        t->work[t->block[PARTIALS] + first / CHUNK_SIZE] = (number)(sqrt(total) / NORM_SCALE);
    }
}

/* What scales the gradient so that its norm is at most the limit. */
static double norm_factor(const Thread *t, double limit) {
    double total = 0;
    for (integer chunk = 0; chunk < (t->block[N_PADDED] + CHUNK_SIZE - 1) / CHUNK_SIZE; chunk++) {
        double norm = t->work[t->block[PARTIALS] + chunk];
        total += norm * norm;
    }
    double scale = limit / (sqrt(total) + NORM_EPSILON);
    return scale > 1 ? 1 : scale; /* this way round NaN stays NaN */
}

/* Update this thread's rows of every layer from the whole gradient, its norm limited. */
static void update_all(const Thread *t, integer step) {
    const Call *call = t->call;
    write_norms(t);
    wait_for_all((Call *)call);
    double factor = norm_factor(t, settings(t, step, 0)[CLIP_NORM]);
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        integer start, stop, base = l[WEIGHTS] - t->block[PARAMETERS];
        share(l[N_IN], PAD, t->thread, call->n_threads, &start, &stop);
        for (int biases = 0; biases < 2; biases++) {
            if (biases && t->thread != call->n_threads - 1) continue;
            integer at = base + (biases ? l[N_IN] : start) * l[LD_W];
            update_rows(t, t->work + t->block[PARAMETERS] + at, at,
                        t->work + t->block[GRADIENT] + at, (biases ? 1 : stop - start) * l[LD_W], step,
                        biases, factor);
        }
    }
}

/* Scale the columns left to right of a layer's weights back to at most a length. */
static void limit_lengths(const integer *l, number *w, integer left, integer right, number limit,
                          number *restrict sums) {
    integer n = right - left;
    memset(sums, 0, (size_t)n * sizeof(number));
    for (integer row = 0; row < l[N_IN]; row++) {
        const number *numbers = w + row * l[LD_W] + left;
        FOR(n) sums[i] += numbers[i] * numbers[i];
    }
    FOR(n) {
        number length = sqrt_of(sums[i]);
        sums[i] = length > limit ? limit / length : 1;
    }
    for (integer row = 0; row < l[N_IN]; row++) {
        number *numbers = w + row * l[LD_W] + left;
        FOR(n) numbers[i] *= sums[i];
    }
}

/* Limit the lengths of this thread's columns of every layer, all threads having updated. */
static void limit_weights(const Thread *t, integer step) {
    Call *call = (Call *)t->call;
    number *sums = t->work + t->block[CHUNK] + t->thread * t->block[CHUNK_STRIDE];
    wait_for_all(call);
    for (integer i = 1; i <= t->block[N_LAYERS]; i++) {
        const integer *l = layer_of(t, i);
        integer left, right;
        share(narrow(l) ? 1 : l[WIDTH], PAD, t->thread, call->n_threads, &left, &right);
        limit_lengths(l, t->work + l[WEIGHTS], left, right, settings(t, step, 0)[MAX_NORM], sums);
    }
    wait_for_all(call);
}

/* Do this thread's part of the block's gradient; where it is the batch's last, of the update. */
__attribute__((noinline)) static void learn(Thread *t, Block b, int fresh, int keep, int step_now) {
    Call *call = (Call *)t->call;
    int late = step_now && call->by_norm;
    keep = keep || (call->task == TASK_TRAIN && call->by_norm);
    for (integer i = t->block[N_LAYERS]; i; i--) { /* the first is in cache for the next batch then */
        const integer *l = layer_of(t, i);
        integer start, stop, panel = i == 1 && t->by_columns, few = i == 1 && sparse(t);
        share(l[N_IN], PAD, t->thread, call->n_threads, &start, &stop);
        if (panel) start = 0, stop = l[N_IN];
        if (few) find_cursors(t, start, b.m);
        integer by_column = few && columns_pay(t, b.m), biases = panel || t->thread == call->n_threads - 1;
        integer part = by_column ? t->block[MARKED_COLUMNS] : stop - start;
        for (integer first = start, last; first < stop + biases; first = last) {
            last = first == l[N_IN] ? first + 1 : smaller(first + part, stop);
            t->marked_from = by_column ? first : -1;
            if (by_column && first < l[N_IN]) mark_columns(t, first, last, b.m);
            if (fused(call, keep) && first < l[N_IN]) descend(t, i, b.step, first, last, b.m);
            else gradient_and_update(t, b, i, first, last, fresh, keep, step_now && !late);
        }
    }
    if (late) {
        wait_for_all(call);
        update_all(t, b.step);
    }
    if (step_now && call->limited) limit_weights(t, b.step);
}
