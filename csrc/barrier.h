/* A barrier for threads that meet many times: a counter and a generation, on two cache lines. */
#ifndef FASTGD_BARRIER_H
#define FASTGD_BARRIER_H

#include "call.h"

#if defined(_WIN32) /* windows.h itself would define near, far and INPUT */
__declspec(dllimport) int __stdcall SwitchToThread(void);
#define YIELD() SwitchToThread()
#else
#include <sched.h>
#define YIELD() sched_yield()
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define PAUSE() _mm_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ __volatile__("yield")
#else
#define PAUSE() ((void)0)
#endif

#define ADD(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* Spin this often before giving the core to somebody else. */
enum { SPINS = 500, LINE = 8 };

static inline void wait_for_all(Call *call) {
    if (call->n_threads == 1) return;
    integer *count = call->barrier, *generation = call->barrier + LINE;
    integer now = LOAD(generation);
    if (ADD(count, 1) == call->n_threads - 1) {
        STORE(count, 0);
        STORE(generation, now + 1);
        return;
    }
    /* Where thread 0 never came, it says so next to the generation: nobody is waited for then. */
    for (integer spins = 0; LOAD(generation) == now && !LOAD(generation + 1); spins++)
        if (spins < SPINS) PAUSE();
        else YIELD();
}

#endif
