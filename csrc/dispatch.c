#include "dispatch.h"

#include <stddef.h>

#define NAMES_ONLY
#include "rules.h"

#define NAME(name) #name,
const char *const ACTIVATION_NAMES[] = {ACTIVATIONS(NAME) NULL};
const char *const LOSS_NAMES[] = {LOSSES(NAME) NULL};
const char *const UPDATE_NAMES[] = {UPDATES(NAME) NULL};

void run_portable_float(Call *, integer);
void run_portable_double(Call *, integer);

#if defined(__x86_64__) || defined(_M_X64)
#define HAS_X86 1
void run_avx2_float(Call *, integer);
void run_avx2_double(Call *, integer);
void run_avx512_float(Call *, integer);
void run_avx512_double(Call *, integer);
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

#if defined(HAS_X86) && defined(_WIN32)
/* What __builtin_cpu_supports asks, from a library that Microsoft's linker does not have. */
#include <cpuid.h>

static int has(int avx512) {
    /* fma; bmi, avx2, bmi2; avx512f, dq, bw, vl; and the registers the system saves. */
    const unsigned leaf1 = 1u << 12 | 1u << 27, leaf7 = 1u << 3 | 1u << 5 | 1u << 8;
    const unsigned wide7 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    const unsigned all7 = avx512 ? leaf7 | wide7 : leaf7, saved = avx512 ? 0xe6 : 0x06;
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1) != leaf1) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & all7) != all7) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & saved) == saved;
}
#elif defined(HAS_X86)
static int has(int avx512) {
    __builtin_cpu_init();
    if (avx512 && !(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")))
        return 0;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
#endif

/* Both ask the operating system too: it must save the wide registers. */
int tier_works(int tier) {
#ifdef HAS_X86
    if (tier < 2) return has(tier == 0);
#endif
    return tier == 2;
}

Kernel kernel_of(int tier, int is_double) { return KERNELS[tier][is_double]; }
