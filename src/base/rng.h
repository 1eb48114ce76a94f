/* rng - a seeded generator of pseudo-random numbers: same seed, same sequence, everywhere
 *
 * xoshiro256++ filled by splitmix64. Not for secrets. State lives in the caller's struct, so that
 * policies and tests are functions of their seed.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_init(struct rng *rng, uint64_t seed);

/* 64 uniform bits. */
uint64_t rng_next(struct rng *rng);

/* Uniform in 0 .. bound-1; `bound` > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* Uniform in [0, 1). */
double rng_double(struct rng *rng);

/* A fixed, well mixed function of `value` (the finaliser of splitmix64). */
uint64_t rng_mix(uint64_t value);

#endif
