#define TIER_PORTABLE
#define NUMBER_DOUBLE
#include "kernel.h"
