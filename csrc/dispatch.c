#include "dispatch.h"

#include <stddef.h>

void run_portable_float(Task *, integer);
void run_portable_double(Task *, integer);

#if defined(__x86_64__) || defined(_M_X64)
#define HAS_X86 1
void run_avx2_float(Task *, integer);
void run_avx2_double(Task *, integer);
void run_avx512_float(Task *, integer);
void run_avx512_double(Task *, integer);
#endif

#if defined(__aarch64__) || defined(_M_ARM64)
const char *const TIER_NAMES[N_TIERS] = {"avx512", "avx2", "neon"};
#else
const char *const TIER_NAMES[N_TIERS] = {"avx512", "avx2", "portable"};
#endif

static const Kernel KERNELS[N_TIERS][2] = {
#ifdef HAS_X86
    {run_avx512_float, run_avx512_double},
    {run_avx2_float, run_avx2_double},
#else
    {NULL, NULL},
    {NULL, NULL},
#endif
    {run_portable_float, run_portable_double},
};

int tier_works(int tier) {
#ifdef HAS_X86
    /* These ask the operating system too: it must save the wide registers. */
    __builtin_cpu_init();
    if (tier == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    if (tier == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#endif
    return tier == 2;
}

Kernel kernel_of(int tier, int is_double) { return KERNELS[tier][is_double]; }
