/* One call from Python: the fields of fastgd.backends.compiled.Call, which says what each is, in the
   same order, each 8 bytes. A null pointer stands for an array that is absent. */
#ifndef FASTGD_CALL_H
#define FASTGD_CALL_H

#include <stdint.h>

enum { TASK_PREDICT, TASK_COST, TASK_GRADIENT, TASK_TRAIN };
enum { FLOAT32, FLOAT64, UINT8 };
/* What every row of settings begins with: fastgd/rules/update.py. */
enum { SHRINK, L1, L2, CLIP_VALUE, CLIP_NORM, MAX_NORM, N_COMMON };

typedef int64_t integer;

typedef struct {
    integer task;
    const integer *plan;
    void *work;
    void *flat;
    integer n_parameters;
    void *slots;
    integer n_slots;
    const void *inputs;
    const integer *pointers;
    const int32_t *columns;
    int32_t *gathered;
    int32_t *lengths;
    uint64_t *marks;
    integer *places;
    integer in_place;
    integer kind;
    double scale;
    const double *shifts;
    const double *scales;
    const integer *order;
    integer n;
    integer batch;
    const integer *classes;
    const void *targets;
    const void *weights;
    void *outputs;
    integer average;
    double share;
    const double *penalties;
    double *sums;
    integer exact;
    integer update;
    integer linear;
    integer by_norm;
    integer limited;
    const void *table;
    integer n_columns;
    integer seed_low;
    integer seed_high;
    integer first_step;
    integer first_row;
    double *costs;
    integer n_threads;
    integer *barrier;
    /* Out: */
    integer steps;  /* steps made */
    integer finite; /* whether the parameters after them are; a single step that spoils them is not made */
    double total;   /* the sum of the rows' costs; NaN for predictions of what is not finite */
} Call;

typedef void (*Kernel)(Call *call, integer thread);

#endif
