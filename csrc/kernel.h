/* The one kernel all tasks are made of, for one `number` and instruction tier. Every thread of a
   team runs it whole: a thread has its own rows of the block in the forward and backward pass, and
   its own rows of each layer's weights in the gradient, so that no sum is shared and results are
   the same to the last bit for any number of threads. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "barrier.h"
#include "plan.h"
#include "task.h"

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
#define exp_of exp
#define tanh_of tanh
#define LOG1P log1p
#define SUFFIX _double
#else
#define number float
#define mask_number int32_t
#define EXPONENT 0x7f800000
#define exp_of exp_float
#define tanh_of tanh_float
#define LOG1P log1pf
#define SUFFIX _float
#endif

#define JOIN_(a, b, c) a##b##c
#define JOIN(a, b, c) JOIN_(a, b, c)
#define RUN JOIN(run_, TIER, SUFFIX)

#include "functions.h"
#include "simd.h"
#include "rules.h"
#include "steps.h"
#include "small.h"

/* One batch, in blocks of rows. Returns its cost; no step is made where it is not finite. */
static double run_batch(Team *t, integer start, integer stop) {
    Task *task = (Task *)t->task;
    integer block = t->block[ROWS];
    double cost = 0, factor = task->average ? 1.0 / (double)(stop - start) : 1.0;
    for (integer first = start; first < stop; first += block) {
        integer m = smaller(block, stop - first);
        /* Predictions do not wait between blocks: a thread keeps to its rows of all of them. */
        share(task->task == PREDICT ? block : m, 1, t->thread, task->n_threads, &t->from, &t->to);
        t->from = smaller(t->from, m), t->to = smaller(t->to, m);
        gather(t, first, m);
        if (t->by_columns) wait_for_all(task);
        first_layer(t, t->by_columns ? 0 : t->from, t->by_columns ? m : t->to);
        if (t->by_columns) wait_for_all(task);
        forward(t);
        if (task->task == PREDICT) {
            const integer *l = layer_of(t, t->block[N_LAYERS]);
            copy_rows(t->work + l[A] + t->from * l[LD], l[LD],
                      (number *)task->outputs + (first + t->from) * l[N_OUT], l[N_OUT],
                      t->to - t->from, l[N_OUT]);
            continue;
        }
        gather_targets(t, first);
        cost_and_delta(t, factor);
        if (task->task != COST_OF) backward(t);
        wait_for_all(task);
        for (integer row = 0; row < m; row++) cost += task->costs[row];
        if (task->task == TRAIN && !isfinite(cost)) return cost;
        if (task->task != COST_OF) {
            int whole = stop - start <= block, training = task->task == TRAIN;
            Use use = {training && first == start, !training || !whole,
                       training && first + m == stop};
            learn(t, m, use);
        }
        wait_for_all(task);
    }
    return cost;
}

void RUN(Task *task, integer thread) {
    Team team = {.task = task, .block = task->plan, .work = task->work, .thread = thread};
    integer steps = 0;
    double total = 0;
    for (int i = 0; i < N_SETTINGS; i++) team.settings[i] = (number)task->settings[i];
    if (task->task == PREDICT && task->n <= SMALL_ROWS && task->n_threads == 1 && !task->pointers) {
        task->costs[0] = 0;
        small_predict(&team);
        task->total = task->costs[0];
        return;
    }
    share_first_layer(&team);
    if (thread == 0) load(&team);
    wait_for_all(task);
    if (team.by_columns) copy_panel(&team, 0);
    for (integer start = 0; start < task->n; start += task->batch) {
        double cost = run_batch(&team, start, smaller(start + task->batch, task->n));
        if (task->task == TRAIN && !isfinite(cost)) break;
        total += cost;
        steps++;
    }
    if (team.by_columns) copy_panel(&team, 1);
    wait_for_all(task);
    if (thread) return;
    store(&team);
    if (task->task == PREDICT)
        for (integer row = 0; row < team.block[ROWS]; row++) total += task->costs[row];
    task->steps = steps;
    task->total = total;
    task->finite = all_finite(team.block[N_PADDED], team.work + team.block[PARAMETERS]);
}

#if defined(__clang__) && !defined(TIER_PORTABLE)
#pragma clang attribute pop
#endif
