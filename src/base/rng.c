#include "base/rng.h"

#include <assert.h>

static uint64_t rotate_left(uint64_t value, int count);

void rng_init(struct rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        rng->state[i] = rng_mix(seed);
    }
}

uint64_t rng_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t  result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t  shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

static uint64_t rotate_left(uint64_t value, int count)
{
    return (value << count) | (value >> (64 - count));
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    uint64_t unfair; /* values below it would favour small results */
    uint64_t value;

    assert(bound > 0);
    unfair = (0 - bound) % bound;
    do
        value = rng_next(rng);
    while (value < unfair);
    return value % bound;
}

double rng_double(struct rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1.0p-53;
}
