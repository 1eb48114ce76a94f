#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct siphash_state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t siphash_run(const unsigned char *key, struct bytes input, int word_rounds,
                                   int end_rounds);
static inline uint64_t siphash_read(const unsigned char *data, size_t size);
static inline void     siphash_mix(struct siphash_state *state, int rounds);
static inline uint64_t siphash_rotate(uint64_t value, int by);

uint64_t siphash_2_4(const unsigned char key[SIPHASH_KEY_SIZE], struct bytes input)
{
    return siphash_run(key, input, 2, 4);
}

uint64_t siphash_1_3(const unsigned char key[SIPHASH_KEY_SIZE], struct bytes input)
{
    return siphash_run(key, input, 1, 3);
}

static inline uint64_t siphash_run(const unsigned char *key, struct bytes input, int word_rounds,
                                   int end_rounds)
{
    const unsigned char *data = (const unsigned char *)input.data;
    size_t               left = input.size;
    uint64_t             k0 = siphash_read(key, 8), k1 = siphash_read(key + 8, 8);
    struct siphash_state state = {
        /* "somepseudorandomlygeneratedbytes" */
        .v0 = k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = k1 ^ UINT64_C(0x7465646279746573),
    };
    uint64_t word;

    for (; left >= 8; data += 8, left -= 8) {
        memcpy(&word, data, sizeof word); /* gcc makes a loop over bytes of siphash_read() */
        word = le64toh(word);
        state.v3 ^= word;
        siphash_mix(&state, word_rounds);
        state.v0 ^= word;
    }
    word = (uint64_t)input.size << 56 | siphash_read(data, left);
    state.v3 ^= word;
    siphash_mix(&state, word_rounds);
    state.v0 ^= word;
    state.v2 ^= 0xff;
    siphash_mix(&state, end_rounds);
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

/* `size` bytes, 8 at most, as a little-endian number. */
static inline uint64_t siphash_read(const unsigned char *data, size_t size)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)data[i] << (8 * i);
    return word;
}

static inline void siphash_mix(struct siphash_state *state, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        state->v0 += state->v1;
        state->v2 += state->v3;
        state->v1 = siphash_rotate(state->v1, 13) ^ state->v0;
        state->v3 = siphash_rotate(state->v3, 16) ^ state->v2;
        state->v0 = siphash_rotate(state->v0, 32);
        state->v2 += state->v1;
        state->v0 += state->v3;
        state->v1 = siphash_rotate(state->v1, 17) ^ state->v2;
        state->v3 = siphash_rotate(state->v3, 21) ^ state->v0;
        state->v2 = siphash_rotate(state->v2, 32);
    }
}

static inline uint64_t siphash_rotate(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}
