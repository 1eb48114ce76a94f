/* block_digest - 128 bits that stand for long texts, for keys of tables, at a small part of the
 * cost of keyed_digest
 *
 * A text is cut into blocks of 4 KiB. Of each the hash NH is taken twice under shifted keys (Black
 * and others, UMAC, CRYPTO 1999; with 64-bit words as in VMAC, 2007): a multiplication for every
 * sixteen bytes. The sums and the sizes go into a keyed_digest, which is the result. Two different
 * blocks of one size have the same two sums for one key in 2^128, whatever they are: proven, as
 * long as they were chosen without knowledge of the key. So the key must be random and secret, and
 * digests are for comparing: they are never shown.
 *
 * Thread: any. Memory: none.
 */
#ifndef BASE_BLOCK_DIGEST_H
#define BASE_BLOCK_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/keyed_digest.h"

enum { BLOCK_DIGEST_BLOCK_SIZE = 4096, BLOCK_DIGEST_WORDS = BLOCK_DIGEST_BLOCK_SIZE / 8 + 2 };

/* Random. */
struct block_digest_key {
    uint64_t      words[BLOCK_DIGEST_WORDS];
    unsigned char end[KEYED_DIGEST_KEY_SIZE];
};

/* Of several texts in their order; where one ends and the next begins counts. `key` and `texts` are
 * borrowed for the call. */
void block_digest(const struct block_digest_key *key, const struct bytes *texts, size_t count,
                  unsigned char ret_digest[KEYED_DIGEST_SIZE]);

#endif
