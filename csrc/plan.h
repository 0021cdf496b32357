/* The table of offsets in the working memory: fastgd/backends/plan.py says what each column is.
   A test reads both files and holds them equal. */
#ifndef FASTGD_PLAN_H
#define FASTGD_PLAN_H

enum { PAD = 16, CHUNK_SIZE = 4096, SPARSE_CHUNK_SIZE = 32768, N_COLUMNS = 20 };

/* Row 0: the block. Prefixed, for tasks have some of the names. */
enum {
    P_N_LAYERS, P_ROWS, P_LOSS, P_SOFTMAX, P_X, P_LD_X, P_Y, P_ZERO, P_ONE, P_CHUNK, P_CHUNK_STRIDE,
    P_PARAMETERS, P_N_PADDED, P_SLOTS, P_GRADIENT, P_PANELS, P_LOSS_NUMBERS, P_INPUT_KEPT,
    P_INPUT_GAIN, P_PARTIALS
};

/* Row l: layer l. */
enum {
    P_N_IN, P_N_OUT, P_WIDTH_IN, P_WIDTH, P_LD_IN, P_LD, P_FLAT, P_WEIGHTS, P_TRANSPOSED,
    P_ACTIVATION, P_INPUT, P_Z, P_A, P_DELTA, P_NUMBERS, P_KEPT, P_GAIN, P_DROPPED
};

#endif
