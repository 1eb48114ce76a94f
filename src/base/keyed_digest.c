#include "base/keyed_digest.h"

#include <assert.h>
#include <string.h>

static uint64_t read_word(const unsigned char *data);
static void     begin_half(uint64_t state[4], const unsigned char *key);

static inline uint64_t rotate_word(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

static inline void mix_round(uint64_t state[4])
{
    state[0] += state[1];
    state[2] += state[3];
    state[1] = rotate_word(state[1], 13) ^ state[0];
    state[3] = rotate_word(state[3], 16) ^ state[2];
    state[0] = rotate_word(state[0], 32);
    state[2] += state[1];
    state[0] += state[3];
    state[1] = rotate_word(state[1], 17) ^ state[2];
    state[3] = rotate_word(state[3], 21) ^ state[0];
    state[2] = rotate_word(state[2], 32);
}

/* The halves do not wait for each other, so a processor does both in little more than the time of
 * one. */
static inline void take_word(uint64_t left[4], uint64_t right[4], uint64_t word)
{
    left[3] ^= word;
    right[3] ^= word;
    mix_round(left);
    mix_round(right);
    mix_round(left);
    mix_round(right);
    left[0] ^= word;
    right[0] ^= word;
}

void keyed_digest_begin(struct keyed_digest *digest, const unsigned char key[KEYED_DIGEST_KEY_SIZE])
{
    begin_half(digest->left, key);
    begin_half(digest->right, key + SIPHASH_KEY_SIZE);
    digest->size = 0;
}

static void begin_half(uint64_t state[4], const unsigned char *key)
{
    uint64_t k0 = read_word(key), k1 = read_word(key + 8);

    /* "somepseudorandomlygeneratedbytes" */
    state[0] = k0 ^ UINT64_C(0x736f6d6570736575);
    state[1] = k1 ^ UINT64_C(0x646f72616e646f6d);
    state[2] = k0 ^ UINT64_C(0x6c7967656e657261);
    state[3] = k1 ^ UINT64_C(0x7465646279746573);
}

static uint64_t read_word(const unsigned char *data)
{
    uint64_t word = 0;

    for (int i = 0; i < 8; i++)
        word |= (uint64_t)data[i] << (8 * i);
    return word;
}

void keyed_digest_take(struct keyed_digest *digest, const uint32_t *words, size_t count)
{
    uint64_t left[4], right[4];

    assert(count % 2 == 0);
    memcpy(left, digest->left, sizeof left);
    memcpy(right, digest->right, sizeof right);
    for (size_t i = 0; i < count; i += 2)
        take_word(left, right, words[i] | (uint64_t)words[i + 1] << 32);
    memcpy(digest->left, left, sizeof left);
    memcpy(digest->right, right, sizeof right);
    digest->size += count * sizeof *words;
}

void keyed_digest_end(struct keyed_digest *digest, unsigned char ret_digest[KEYED_DIGEST_SIZE])
{
    uint64_t *halves[] = {digest->left, digest->right};
    uint64_t  results[2];

    take_word(digest->left, digest->right, digest->size << 56);
    for (size_t i = 0; i < 2; i++) {
        halves[i][2] ^= 0xff;
        for (int round = 0; round < 4; round++)
            mix_round(halves[i]);
        results[i] = halves[i][0] ^ halves[i][1] ^ halves[i][2] ^ halves[i][3];
    }
    memcpy(ret_digest, results, sizeof results);
}
