#define TIER_PORTABLE
#define NUMBER_FLOAT
#include "kernel.h"
