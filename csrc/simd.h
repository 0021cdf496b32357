/* Vectors, and the register tiles that all products are made of.
   `number` is float or double; VECTOR_BYTES and N_REGISTERS are those of the instruction tier.
   Included once for each pair of them. */

#define LANES ((integer)(VECTOR_BYTES / sizeof(number)))
#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef number vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(number)), may_alias));

/* Integers as wide as a number, to say which numbers a shuffle takes. */
typedef mask_number mask __attribute__((vector_size(VECTOR_BYTES)));

INLINE vector load_vector(const number *p) { return *(const vector *)p; }
INLINE void store_vector(number *p, vector v) { *(vector *)p = v; }

/* Where the left side of a product has S[r, p]: at s[r * s_row + p * s_depth], or where rows of it lie
   anywhere, s[places[r] + p], or rows of its transpose, s[places[p] + r]. */
enum { IN_STEPS, ROWS_PLACED, DEPTHS_PLACED };

/* The depth from which on a tile asks for what it adds its sums to before it makes them. */
enum { DEEP = 64 };

/* C[r, :] = beta start[r, :] + alpha sum_p S[r, p] W[p, :] for R rows and V vectors; sums run in
   the order of p, whatever the tile, so that results do not depend on how rows are grouped. */
INLINE void tile_of(const int R, const int V, const int KIND, integer depth, const number *s,
                    integer s_row, integer s_depth, const integer *places, const number *w,
                    integer ldw, const number *start, integer ld_start, number *c, integer ldc,
                    number beta, number alpha) {
    vector sums[8][4];
    const number *rows[8];
    UNROLL for (int r = 0; r < R; r++) rows[r] = KIND == ROWS_PLACED ? s + places[r] : NULL;
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < V; v++) {
            sums[r][v] = (vector){0};
            if (depth >= DEEP) __builtin_prefetch(start + r * ld_start + v * LANES, 0, 3);
        }
    for (integer p = 0; p < depth; p++) {
        vector b[4];
        UNROLL for (int v = 0; v < V; v++) b[v] = load_vector(w + p * ldw + v * LANES);
        UNROLL for (int r = 0; r < R; r++) {
            number x = KIND == IN_STEPS      ? s[r * s_row + p * s_depth]
                       : KIND == ROWS_PLACED ? rows[r][p]
                                             : s[places[p] + r];
            UNROLL for (int v = 0; v < V; v++) sums[r][v] += x * b[v];
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < V; v++)
            store_vector(c + r * ldc + v * LANES,
                         beta * load_vector(start + r * ld_start + v * LANES) + alpha * sums[r][v]);
}

#if N_REGISTERS == 32
static const int MAX_TILE_ROWS[] = {0, 8, 8, 6, 6};
#else
static const int MAX_TILE_ROWS[] = {0, 8, 5, 4, 3};
#endif
enum { MAX_TILE_VECTORS = 4, MAX_SPARSE_VECTORS = N_REGISTERS / 4 };

#define TILE(R, V)                                                                               \
    case V * 16 + R:                                                                             \
        tile_of(R, V, KIND, depth, s, s_row, s_depth, places, w, ldw, start, ld_start, c, ldc,   \
                beta, alpha);                                                                    \
        break;
#if N_REGISTERS == 32
#define LARGE_TILES TILE(6, 2) TILE(7, 2) TILE(8, 2) TILE(5, 3) TILE(6, 3) TILE(4, 4) TILE(5, 4) TILE(6, 4)
#else
#define LARGE_TILES
#endif
#define TILES(name, kind)                                                                        \
    static void name(integer rows, integer vectors, integer depth, const number *s,              \
                     integer s_row, integer s_depth, const integer *places, const number *w,     \
                     integer ldw, const number *start, integer ld_start, number *c, integer ldc, \
                     number beta, number alpha) {                                                \
        enum { KIND = kind };                                                                    \
        switch (vectors * 16 + rows) {                                                           \
            TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1)         \
            TILE(8, 1) TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2)                    \
            TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3)                                          \
            TILE(1, 4) TILE(2, 4) TILE(3, 4) LARGE_TILES                                         \
        }                                                                                        \
    }
TILES(tile_in_steps, IN_STEPS)
TILES(tile_of_rows, ROWS_PLACED)
TILES(tile_of_depths, DEPTHS_PLACED)

/* Write a square block of W, a vector wide, transposed to T; rows from n_rows on are zero. Each
   pass interleaves the halves of the block. */
static void transpose_block(const number *w, integer ldw, integer n_rows, const number *zero,
                            number *t, integer ldt) {
#if defined(__clang__)
    for (integer r = 0; r < LANES; r++)
        for (integer c = 0; c < LANES; c++) t[c * ldt + r] = r < n_rows ? w[r * ldw + c] : zero[0];
#else
    enum { N = VECTOR_BYTES / sizeof(number) };
    vector rows[N], mixed[N];
    mask low, high;
    UNROLL for (int k = 0; k < N; k++) low[k] = k / 2 + N * (k % 2), high[k] = low[k] + N / 2;
    UNROLL for (int r = 0; r < N; r++) rows[r] = load_vector(r < n_rows ? w + r * ldw : zero);
    UNROLL for (int width = 1; width < N; width *= 2) {
        UNROLL for (int r = 0; r < N / 2; r++) {
            mixed[2 * r] = __builtin_shuffle(rows[r], rows[r + N / 2], low);
            mixed[2 * r + 1] = __builtin_shuffle(rows[r], rows[r + N / 2], high);
        }
        UNROLL for (int r = 0; r < N; r++) rows[r] = mixed[r];
    }
    UNROLL for (int r = 0; r < N; r++) store_vector(t + r * ldt, rows[r]);
#endif
}

/* C[:] = beta start[:] + alpha sum_p x[p] W[places[p], :] for V vectors; U sums at a time hide the
   multiplication's latency. U comes from the whole width, so that results do not depend on which
   columns a thread has. */
INLINE void sparse_row_of(const int V, const int U, integer n, const number *x,
                          const int32_t *places, const number *w, integer ldw,
                          const number *start, number *c, number beta, number alpha) {
    vector sums[4][MAX_SPARSE_VECTORS];
    UNROLL for (int u = 0; u < U; u++)
        UNROLL for (int v = 0; v < V; v++) sums[u][v] = (vector){0};
    integer p = 0;
    for (; p + U <= n; p += U)
        UNROLL for (int u = 0; u < U; u++) {
            const number *row = w + places[p + u] * ldw;
            UNROLL for (int v = 0; v < V; v++) sums[u][v] += x[p + u] * load_vector(row + v * LANES);
        }
    for (; p < n; p++) {
        const number *row = w + places[p] * ldw;
        UNROLL for (int v = 0; v < V; v++) sums[0][v] += x[p] * load_vector(row + v * LANES);
    }
    UNROLL for (int u = 1; u < U; u++)
        UNROLL for (int v = 0; v < V; v++) sums[0][v] += sums[u][v];
    UNROLL for (int v = 0; v < V; v++)
        store_vector(c + v * LANES, beta * load_vector(start + v * LANES) + alpha * sums[0][v]);
}

#define SPARSE_ROW(V, U)                                                  \
    case U * 16 + V:                                                      \
        sparse_row_of(V, U, n, x, places, w, ldw, start, c, beta, alpha); \
        break;

static void sparse_row(integer width, integer vectors, integer n, const number *x,
                       const int32_t *places, const number *w, integer ldw, const number *start,
                       number *c, number beta, number alpha) {
    integer sums = width <= 2 ? 4 : 2;
    switch (sums * 16 + vectors) {
        SPARSE_ROW(1, 4) SPARSE_ROW(2, 4)
        SPARSE_ROW(1, 2) SPARSE_ROW(2, 2) SPARSE_ROW(3, 2) SPARSE_ROW(4, 2)
#if N_REGISTERS == 32
        SPARSE_ROW(5, 2) SPARSE_ROW(6, 2) SPARSE_ROW(7, 2) SPARSE_ROW(8, 2)
#endif
    }
}

/* C[:] = beta start[:] + alpha sum_r x[r ldx] D[r, :] for V vectors, over the rows that are marked: a
   bit each, 64 a word. */
INLINE void marked_sum_of(const int V, integer words, const uint64_t *marks, const number *x,
                          integer ldx, const number *d, integer ldd, const number *start, number *c,
                          number beta, number alpha) {
    vector sums[MAX_SPARSE_VECTORS];
    UNROLL for (int v = 0; v < V; v++) sums[v] = (vector){0};
    for (integer word = 0; word < words; word++, x += 64 * ldx, d += 64 * ldd)
        for (uint64_t left = marks[word]; left; left &= left - 1) {
            integer r = __builtin_ctzll(left);
            UNROLL for (int v = 0; v < V; v++)
                sums[v] += x[r * ldx] * load_vector(d + r * ldd + v * LANES);
        }
    UNROLL for (int v = 0; v < V; v++)
        store_vector(c + v * LANES, beta * load_vector(start + v * LANES) + alpha * sums[v]);
}

#define MARKED_SUM(V) \
    case V: marked_sum_of(V, words, marks, x, ldx, d, ldd, start, c, beta, alpha); break;

static void marked_sum(integer vectors, integer words, const uint64_t *marks, const number *x,
                       integer ldx, const number *d, integer ldd, const number *start, number *c,
                       number beta, number alpha) {
    switch (vectors) {
        MARKED_SUM(1) MARKED_SUM(2) MARKED_SUM(3) MARKED_SUM(4)
#if N_REGISTERS == 32
        MARKED_SUM(5) MARKED_SUM(6) MARKED_SUM(7) MARKED_SUM(8)
#endif
    }
}

/* G[columns[p], :] += x[p] alpha D[:] for V vectors. */
INLINE void scatter_of(const int V, integer n, const number *x, const int32_t *columns,
                       const number *d, number *g, integer ldg, number alpha) {
    vector delta[4];
    UNROLL for (int v = 0; v < V; v++) delta[v] = alpha * load_vector(d + v * LANES);
    for (integer p = 0; p < n; p++) {
        number *row = g + columns[p] * ldg;
        UNROLL for (int v = 0; v < V; v++)
            store_vector(row + v * LANES, load_vector(row + v * LANES) + x[p] * delta[v]);
    }
}

static void scatter(integer vectors, integer n, const number *x, const int32_t *columns,
                    const number *d, number *g, integer ldg, number alpha) {
    switch (vectors) {
        case 1: scatter_of(1, n, x, columns, d, g, ldg, alpha); break;
        case 2: scatter_of(2, n, x, columns, d, g, ldg, alpha); break;
        case 3: scatter_of(3, n, x, columns, d, g, ldg, alpha); break;
        case 4: scatter_of(4, n, x, columns, d, g, ldg, alpha); break;
    }
}

/* Write the numbers of `source` that are not zero, times the scale, to the front of x (which may be
   the source) and their columns; return how many. Whole vectors are written: x and columns have
   room for n rounded up to one. */
enum { AHEAD = 8192 / sizeof(number) }; /* measured: rows come one after the other */

static int32_t compress(integer n, const number *source, number scale, number *x,
                        int32_t *columns) {
    int32_t count = 0;
    integer i = 0;
#if defined(TIER_AVX512)
    integer whole = n / LANES * LANES;
#if defined(NUMBER_DOUBLE)
    __m256i column = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), step = _mm256_set1_epi32(8);
    for (; i < whole; i += LANES, column = _mm256_add_epi32(column, step)) {
        __builtin_prefetch(source + i + AHEAD, 0, 3);
        __m512d v = _mm512_loadu_pd(source + i);
        __mmask8 kept = _mm512_cmp_pd_mask(v, _mm512_setzero_pd(), _CMP_NEQ_UQ);
        v = _mm512_mul_pd(v, _mm512_set1_pd(scale));
        _mm512_storeu_pd(x + count, _mm512_maskz_compress_pd(kept, v));
        _mm256_storeu_si256((__m256i *)(columns + count),
                            _mm256_maskz_compress_epi32(kept, column));
        count += __builtin_popcount(kept);
    }
#else
    __m512i column = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i step = _mm512_set1_epi32(16);
    for (; i < whole; i += LANES, column = _mm512_add_epi32(column, step)) {
        __builtin_prefetch(source + i + AHEAD, 0, 3);
        __m512 v = _mm512_loadu_ps(source + i);
        __mmask16 kept = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        v = _mm512_mul_ps(v, _mm512_set1_ps(scale));
        _mm512_storeu_ps(x + count, _mm512_maskz_compress_ps(kept, v));
        _mm512_storeu_si512(columns + count, _mm512_maskz_compress_epi32(kept, column));
        count += __builtin_popcount(kept);
    }
#endif
#endif
    for (; i < n; i++) { /* no branch: which numbers are zero cannot be guessed */
        number value = source[i];
        x[count] = value * scale, columns[count] = (int32_t)i;
        count += value != 0;
    }
    return count;
}
