#if defined(__x86_64__) || defined(_M_X64)
#define TIER_AVX512
#define NUMBER_FLOAT
#include "kernel.h"
#endif
