#include "base/block_digest.h"

#include <string.h>

__extension__ typedef unsigned __int128 product;

enum { PAIR_SIZE = 16 };

/* Two words of 128 bits, as keyed_digest takes them. */
union block_sums {
    product  sums[2];
    uint32_t words[8];
};

static void digest_one_text(struct keyed_digest *digest, const struct block_digest_key *key,
                            struct bytes text);
static union block_sums sum_block(const uint64_t *key, struct bytes block);

void block_digest(const struct block_digest_key *key, const struct bytes *texts, size_t count,
                  unsigned char ret_digest[KEYED_DIGEST_SIZE])
{
    struct keyed_digest digest;

    keyed_digest_begin(&digest, key->end);
    for (size_t i = 0; i < count; i++)
        digest_one_text(&digest, key, texts[i]);
    keyed_digest_end(&digest, ret_digest);
}

/* Its size says how many blocks follow, and how long the last one is. */
static void digest_one_text(struct keyed_digest *digest, const struct block_digest_key *key,
                            struct bytes text)
{
    const uint32_t size[] = {(uint32_t)text.size, (uint32_t)((uint64_t)text.size >> 32)};

    keyed_digest_take(digest, size, 2);
    while (text.size > 0) {
        struct bytes     block = {.data = text.data,
                                  .size = text.size < BLOCK_DIGEST_BLOCK_SIZE
                                              ? text.size
                                              : (size_t)BLOCK_DIGEST_BLOCK_SIZE};
        union block_sums sums = sum_block(key->words, block);

        keyed_digest_take(digest, sums.words, 8);
        text = bytes_skip(text, block.size);
    }
}

static inline void add_words(product sums[2], const uint64_t *key, const char *at)
{
    uint64_t words[2];

    memcpy(words, at, sizeof words);
    sums[0] += (product)(words[0] + key[0]) * (words[1] + key[1]);
    sums[1] += (product)(words[0] + key[2]) * (words[1] + key[3]);
}

/* What the last pair lacks is zeros. */
static union block_sums sum_block(const uint64_t *key, struct bytes block)
{
    union block_sums sums = {.sums = {0, 0}};
    char             rest[PAIR_SIZE] = {0};
    size_t           at = 0;

    for (; at + PAIR_SIZE <= block.size; at += PAIR_SIZE, key += 2)
        add_words(sums.sums, key, block.data + at);
    if (at < block.size) {
        memcpy(rest, block.data + at, block.size - at);
        add_words(sums.sums, key, rest);
    }
    return sums;
}
