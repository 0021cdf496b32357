/* A barrier for threads that meet many times: a counter and a generation, on two cache lines. */
#ifndef FASTGD_BARRIER_H
#define FASTGD_BARRIER_H

#include "task.h"

#if defined(_WIN32)
#include <windows.h>
#define YIELD() SwitchToThread()
#else
#include <sched.h>
#define YIELD() sched_yield()
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define PAUSE() _mm_pause()
#elif defined(__aarch64__) && !defined(_MSC_VER)
#define PAUSE() __asm__ __volatile__("yield")
#else
#define PAUSE() ((void)0)
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#define ADD(p, v) (_InterlockedExchangeAdd64((volatile __int64 *)(p), (v)))
#define LOAD(p) (_InterlockedOr64((volatile __int64 *)(p), 0))
#define STORE(p, v) (_InterlockedExchange64((volatile __int64 *)(p), (v)))
#else
#define ADD(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#endif

/* Spin this often before giving the core to somebody else. */
enum { SPINS = 2000, LINE = 8 };

static inline void wait_for_all(Task *task) {
    if (task->n_threads == 1) return;
    integer *count = task->barrier, *generation = task->barrier + LINE;
    integer now = LOAD(generation);
    if (ADD(count, 1) == task->n_threads - 1) {
        STORE(count, 0);
        STORE(generation, now + 1);
        return;
    }
    for (integer spins = 0; LOAD(generation) == now; spins++)
        if (spins < SPINS) PAUSE();
        else YIELD();
}

#endif
