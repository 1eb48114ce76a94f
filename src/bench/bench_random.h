/* bench_random - seeded random numbers for made-up load */
#ifndef BENCH_BENCH_RANDOM_H
#define BENCH_BENCH_RANDOM_H

#include <math.h>
#include <stdint.h>

/* splitmix64: any seed is as good as any other. */
static inline uint64_t bench_random_next(uint64_t *rng)
{
    uint64_t x = *rng += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* Uniform in 0 <= x < 1. */
static inline double bench_random_fraction(uint64_t *rng)
{
    return ldexp((double)(bench_random_next(rng) >> 11), -53);
}

/* The time between two Poisson arrivals, with this mean. */
static inline double bench_random_interval(uint64_t *rng, double mean)
{
    return -log1p(-bench_random_fraction(rng)) * mean;
}

#endif
