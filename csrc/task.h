/* One call from Python: what to do, and over which arrays. See fastgd/backends/__init__.py. */
#ifndef FASTGD_TASK_H
#define FASTGD_TASK_H

#include <stdint.h>

enum { PREDICT, COST_OF, GRADIENT_OF, TRAIN };
enum { FLOAT32, FLOAT64, UINT8 };
enum { N_SETTINGS = 4 };

typedef int64_t integer;

typedef struct {
    integer task;
    const integer *plan;      /* (N_LAYERS + 1, N_COLUMNS) */
    void *work;               /* the working memory */
    void *flat;               /* parameters */
    void *slots;              /* (n_slots, n_parameters) */
    integer n_slots, n_parameters;
    const void *inputs;       /* (any, n_in) of `kind`; or, sparse, the values */
    const integer *pointers;  /* sparse: where each row begins and the last ends; else NULL */
    const int32_t *columns;   /* sparse: the column of each value, ascending in a row */
    int32_t *gathered;        /* sparse: columns of the block's rows, (ROWS, LD_X) */
    int32_t *lengths;         /* sparse: how many each row has; then each thread's cursors, (1 + n_threads, ROWS) */
    integer kind;
    double scale;
    const integer *order;     /* rows visited, or NULL for all in their order */
    integer n, batch;
    const integer *classes;   /* one for each visit; or NULL */
    const void *targets;      /* (n, n_out) */
    void *outputs;            /* predictions, or the gradient */
    integer average, linear, update;
    double settings[N_SETTINGS];
    double *costs;            /* (ROWS,) the cost of each row of the block; for predictions 0 or NaN */
    integer n_threads;
    integer *barrier;         /* two counters, each on a cache line of its own */
    integer steps;            /* out: steps made */
    integer finite;           /* out: whether the parameters after them are finite */
    double total;             /* out: the sum of the rows' costs; NaN for predictions of what is not finite */
} Task;

typedef void (*Kernel)(Task *task, integer thread);

#endif
