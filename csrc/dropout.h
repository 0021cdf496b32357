/* Dropout: the hash of fastgd/rules/dropout.py, in the same order; fastgd/kernels/dropout.py too. */

INLINE uint32_t mix(uint32_t h) {
    h ^= h >> 16;
    h *= 0x7feb352du;
    h ^= h >> 15;
    h *= 0x846ca68bu;
    return h ^ h >> 16;
}

/* The key of a layer in a step: seed, step and layer, mixed one after another. */
static uint32_t layer_key(integer seed_low, integer seed_high, integer step, integer layer) {
    uint32_t key = mix(0x9e3779b9u + (uint32_t)seed_low);
    key = mix(key + (uint32_t)seed_high);
    key = mix(key + (uint32_t)step);
    return mix(key + (uint32_t)layer);
}

/* The key of a row of the batch. */
INLINE uint32_t row_key(uint32_t key, integer row) { return mix(key + (uint32_t)row); }

INLINE number factor_of(uint32_t key, uint32_t unit, int32_t kept, number gain) {
    return (int32_t)(mix(key + unit) >> 8) < kept ? gain : (number)0;
}

/* Write a row's numbers times `gain` to `target` (which may be the source), or 0 for units left out. */
static void drop(integer n, const number *source, number *target, uint32_t key, integer kept,
                 number gain) {
    FOR(n) target[i] = source[i] * factor_of(key, (uint32_t)i, (int32_t)kept, gain);
}

/* Do the same in place for a row that leaves out zeros, whose units are `columns`. */
static void drop_columns(integer n, number *x, const int32_t *columns, uint32_t key, integer kept,
                         number gain) {
    FOR(n) x[i] *= factor_of(key, (uint32_t)columns[i], (int32_t)kept, gain);
}
