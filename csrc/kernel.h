/* The one kernel all tasks are made of, for one `number` and instruction tier. Every thread of a
   team runs it whole: a thread has its own rows of the block in the forward and backward pass, and
   its own rows of each layer's weights in the gradient, so that no sum is shared and results are
   the same to the last bit for any number of threads. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "barrier.h"
#include "plan.h"
#include "call.h"

/* Code from here on may use the tier's instructions. */
#if defined(TIER_AVX512)
#define VECTOR_BYTES 64
#define N_REGISTERS 32
#define TIER avx512
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")
#endif
#elif defined(TIER_AVX2)
#define VECTOR_BYTES 32
#define N_REGISTERS 16
#define TIER avx2
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,bmi,bmi2")
#endif
#else
#define VECTOR_BYTES 16
#define TIER portable
#if defined(__aarch64__)
#define N_REGISTERS 32
#else
#define N_REGISTERS 16
#endif
#endif

#if defined(NUMBER_DOUBLE)
#define number double
#define mask_number int64_t
#define EXPONENT 0x7ff0000000000000
#define sqrt_of sqrt
#define SUFFIX _double
#else
#define number float
#define mask_number int32_t
#define EXPONENT 0x7f800000
#define sqrt_of sqrtf
#define SUFFIX _float
#endif

#define JOIN_(a, b, c) a##b##c
#define JOIN(a, b, c) JOIN_(a, b, c)
#define RUN JOIN(run_, TIER, SUFFIX)

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Numbers too small to be normal count as 0 in products, where the processor has a switch for that:
   each would cost 100 cycles. Returns what to restore: nobody else's numbers are changed by it. */
static unsigned flush_subnormals(void) {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
#else
    return 0;
#endif
}

static void restore_subnormals(unsigned before) {
#if defined(__x86_64__)
    _mm_setcsr(before);
#else
    (void)before;
#endif
}

#include "simd.h"
#include "functions.h"
#include "rules.h"
#include "dropout.h"
#include "steps.h"
#include "learning.h"
#include "small.h"

/* What the sum of a batch's gradients is multiplied by. */
static double batch_factor(const Call *call, integer begin, integer end) {
    if (!call->average) return 1;
    if (!call->weights) return 1.0 / (double)(end - begin);
    double total = 0;
    for (integer visit = begin; visit < end; visit++) total += ((const number *)call->weights)[visit];
    return total > 0 ? 1 / total : 0;
}

/* A sum and what rounding has left out of it (Knuth's TwoSum): of many equal numbers it is right to
   the last bit. As fastgd.rules.scalar.add. */
typedef struct { double sum, rest; } Sum;

INLINE Sum add(Sum s, double x) {
    double sum = s.sum + x, part = sum - s.sum;
    return (Sum){sum, s.rest + ((s.sum - (sum - part)) + (x - part))};
}

/* One batch, in blocks of rows. Returns its cost; no step is made where it is not finite. */
static Sum run_batch(Thread *t, integer step, integer begin, integer end) {
    Call *call = (Call *)t->call;
    integer block = t->block[ROWS];
    Sum cost = {0, 0};
    double factor = batch_factor(call, begin, end);
    for (integer first = begin; first < end; first += block) {
        integer m = smaller(block, end - first);
        Block b = {.step = step, .first = first, .row = first - begin, .m = m};
        /* Predictions do not wait between blocks: a thread keeps to its rows of all of them. */
        share(call->task == TASK_PREDICT ? block : m, 1, t->thread, call->n_threads, &b.start,
              &b.stop);
        b.start = smaller(b.start, m), b.stop = smaller(b.stop, m);
        gather(t, b);
        unsigned before = flush_subnormals();
        if (t->by_columns) wait_for_all(call);
        first_layer(t, t->by_columns ? 0 : b.start, t->by_columns ? m : b.stop);
        if (t->by_columns) wait_for_all(call);
        forward(t, b, before);
        if (call->task == TASK_PREDICT) {
            copy_outputs(t, b);
            continue;
        }
        gather_targets(t, b);
        cost_and_delta(t, b, factor);
        before = flush_subnormals();
        if (call->task != TASK_COST) backward(t, b);
        if (call->task == TASK_COST || call->exact) restore_subnormals(before);
        wait_for_all(call);
        for (integer row = 0; row < m; row++) cost = add(cost, call->costs[row]);
        if (call->task == TASK_TRAIN && !isfinite(cost.sum)) {
            restore_subnormals(before);
            return cost;
        }
        if (call->task != TASK_COST) {
            int whole = end - begin <= block, training = call->task == TASK_TRAIN;
            learn(t, b, training && first == begin, !training || !whole,
                  training && first + m == end);
            restore_subnormals(before);
        }
        wait_for_all(call);
    }
    return cost;
}

void RUN(Call *call, integer thread) {
    Thread t = {.call = call, .block = call->plan, .work = call->work, .thread = thread};
    integer steps = 0;
    Sum total = {call->sums[0], call->sums[1]};
    /* However many threads there are: they must not change how a sum is made. */
    if (call->task == TASK_PREDICT && call->n <= SMALL_ROWS && !call->pointers) {
        if (thread) return;
        call->costs[0] = 0;
        small_predict(&t);
        call->total = call->costs[0];
        return;
    }
    share_first_layer(&t);
    t.x = call->in_place ? call->inputs : t.work + t.block[X];
    t.columns = call->in_place ? call->columns : call->gathered;
    if (thread == 0) load(&t);
    wait_for_all(call);
    if (t.by_columns) copy_panel(&t, 0);
    for (integer start = 0; start < call->n; start += call->batch) {
        double penalty = call->penalties && !thread ? call->penalties[steps] * squared_weights(&t) : 0;
        Sum cost = run_batch(&t, steps, start, smaller(start + call->batch, call->n));
        if (call->task == TASK_TRAIN && !isfinite(cost.sum)) break;
        total = add(total, cost.sum + penalty);
        total.rest += cost.rest;
        steps++;
    }
    if (t.by_columns) copy_panel(&t, 1);
    wait_for_all(call);
    if (thread) return;
    call->finite = all_finite(t.block[N_PADDED], t.work + t.block[PARAMETERS]);
    /* The caller's parameters are still those before: they stay where the only step spoils them. */
    if (call->task == TASK_TRAIN && !call->finite && steps <= 1)
        steps = 0;
    else
        store(&t);
    if (call->task == TASK_PREDICT)
        for (integer row = 0; row < t.block[ROWS]; row++) total.sum += call->costs[row];
    call->steps = steps;
    call->sums[0] = total.sum, call->sums[1] = total.rest;
    call->total = isfinite(total.sum) ? total.sum + total.rest : total.sum;
}

#if defined(__clang__) && !defined(TIER_PORTABLE)
#pragma clang attribute pop
#endif
