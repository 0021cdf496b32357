/* How fast the tiles are, alone: the products of the benchmarks' workloads in a loop, over the multiply-adds
   this core does with nothing else to do. From the checkout:

       gcc -O3 -std=gnu11 -ffp-contract=fast -fno-math-errno -Icsrc bench/products.c -o products -lm
       taskset -c 1 ./products            # -DNUMBER_DOUBLE for float64, -DTIER_AVX2 for less

   Each line: the product, rows x columns x depth, microseconds (best of 15), GFLOP/s. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if !defined(TIER_AVX2) && !defined(TIER_PORTABLE)
#define TIER_AVX512
#endif
#include "kernel.h"

/* Forward, backward, and the gradient of weights. */
enum { THERE, BACK, SLOPE };

typedef struct {
    const char *name;
    int kind;
    integer m, n, depth;
} Product;

static const Product PRODUCTS[] = {
    {"nielsen, layer 1", THERE, 10, 32, 784},       {"nielsen, its gradient", SLOPE, 784, 32, 10},
    {"table, layer 2", THERE, 32, 64, 64},          {"table, back", BACK, 32, 64, 64},
    {"table, its gradient", SLOPE, 64, 64, 32},    {"dense-100, layer 1", THERE, 32, 112, 100},
    {"dense-100, its gradient", SLOPE, 100, 112, 32}, {"hundred, layer 1", THERE, 32, 112, 784},
    {"hundred, its gradient", SLOPE, 784, 112, 32}, {"wide, layer 1", THERE, 128, 512, 784},
    {"wide, its gradient", SLOPE, 784, 512, 128},  {"wide, layer 2", THERE, 128, 512, 512},
    {"wide, back", BACK, 128, 512, 512},          {"wide, its gradient", SLOPE, 512, 512, 128},
    {"big, layer 2", THERE, 256, 1024, 1024},       {"big, back", BACK, 256, 1024, 1024},
    {"big, its gradient", SLOPE, 1024, 1024, 256},
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Rows lie as in a plan: a power of two apart they would compete for places in the cache. */
static integer spaced(integer n) { return n % 256 ? n : n + PAD; }

static number *numbers(size_t n, number value) {
    number *p = aligned_alloc(64, n * sizeof(number));
    for (size_t i = 0; i < n; i++) p[i] = value * (number)(i % 7);
    return p;
}

static void once(const Product *p, number *s, number *w, number *c, number *zero, number *panel) {
    integer ld = spaced(p->n), ld_s = spaced(p->kind == SLOPE ? p->m : p->depth);
    if (p->kind == THERE)
        product(p->m, p->n, p->depth, (Left){IN_STEPS, s, ld_s, 1}, (Right){w, ld}, zero, 0, c, ld, 1, 1);
    else if (p->kind == BACK)
        product(p->m, p->n, p->depth, (Left){IN_STEPS, s, ld_s, 1},
                (Right){w, ld_s, p->n, zero, panel}, zero, 0, c, ld, 1, 1);
    else
        product(p->m, p->n, p->depth, (Left){IN_STEPS, s, 1, ld_s}, (Right){w, ld}, c, ld, c, ld, 1,
                (number)-1e-6);
}

/* The most multiply-adds: twelve sums in registers, more than their latency needs. */
static double peak(void) {
    vector sums[12] = {{0}}, a = {1}, b = {1};
    double best = 0;
    enum { ROUNDS = 1000000 };
    for (int repeat = 0; repeat < 15; repeat++) {
        double start = seconds();
        for (int i = 0; i < ROUNDS; i++)
            UNROLL for (int k = 0; k < 12; k++) {
                sums[k] += a * b;
                __asm__ volatile("" : "+v"(sums[k]));
            }
        double rate = 2.0 * ROUNDS * 12 * LANES / (seconds() - start);
        best = rate > best ? rate : best;
    }
    return best / 1e9;
}

int main(void) {
    size_t most = 1100 * 1100;
    number *s = numbers(most, (number)1e-3), *w = numbers(most, (number)1e-3), *c = numbers(most, 0);
    number *zero = numbers(1100, 0), *panel = numbers(DEPTH * PANEL_WIDTH, 0);
    printf("multiply-adds alone %*.1f GFLOP/s\n", 41, peak());
    for (size_t i = 0; i < sizeof PRODUCTS / sizeof *PRODUCTS; i++) {
        const Product *p = PRODUCTS + i;
        double flops = 2.0 * (double)(p->m * p->n * p->depth), best = 1;
        int repeats = 1 + (int)(1e8 / flops);
        for (int round = 0; round < 15; round++) {
            double start = seconds();
            for (int k = 0; k < repeats; k++) once(p, s, w, c, zero, panel);
            double took = (seconds() - start) / repeats;
            best = took < best ? took : best;
        }
        printf("%-24s %5ld x %4ld x %4ld %9.2f us %7.1f GFLOP/s\n", p->name, (long)p->m, (long)p->n,
               (long)p->depth, best * 1e6, flops / best / 1e9);
    }
}
