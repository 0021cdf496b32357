/* The table of offsets in the working memory: fastgd/backends/plan.py says what each column is.
   A test reads both files and holds them equal. */
#ifndef FASTGD_PLAN_H
#define FASTGD_PLAN_H

enum { PAD = 16, CHUNK_SIZE = 2048, DEPTH = 128, PANEL_WIDTH = 64, N_COLUMNS = 23 };

/* Row 0: the block. */
enum {
    N_LAYERS, ROWS, LOSS, ROW_WISE, X, LD_X, Y, ZERO, ONE, CHUNK, CHUNK_STRIDE,
    PARAMETERS, N_PADDED, SLOTS, GRADIENT, PANELS, LOSS_NUMBERS, INPUT_KEPT, INPUT_GAIN, PARTIALS,
    PACKED, MARKED, MARKED_COLUMNS
};

/* Row l: layer l. */
enum {
    N_IN, N_OUT, WIDTH_IN, WIDTH, LD_IN, LD, LD_W, FLAT, WEIGHTS, ACTIVATION, INPUT, Z, A,
    DELTA, NUMBERS, KEPT, GAIN, DROPPED
};

#endif
