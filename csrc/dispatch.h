/* Which instruction tiers this binary has and this machine runs; one is chosen at import. */
#ifndef FASTGD_DISPATCH_H
#define FASTGD_DISPATCH_H

#include "call.h"

enum { N_TIERS = 3 };

/* Names of the tiers, best first. */
extern const char *const TIER_NAMES[N_TIERS];

/* Whether this processor and system run a tier. */
int tier_works(int tier);

/* The kernel of a tier, for float or double. */
Kernel kernel_of(int tier, int is_double);

/* The rules that are here, in the order of their codes, each list ended by NULL. */
extern const char *const ACTIVATION_NAMES[], *const LOSS_NAMES[], *const UPDATE_NAMES[];

#endif
