/* keyed_digest - 128 bits that stand for a stream of numbers, for keys of tables
 *
 * Two SipHash-2-4 of the same words under independent keys. Whoever lacks the key can neither
 * compute a digest nor aim at one: all that an attacker could do is send requests until two of them
 * happen to meet, which takes some 2^64. SHA-256 would say more (that nobody who has the key can
 * make two inputs meet) but the key never leaves the process, and without instructions of its own
 * it costs four times as much.
 *
 * The words are 32-bit and taken in pairs: the digest is that of their bytes, the lowest first.
 * What is put in must be made so that different meanings are different words: this module neither
 * separates nor counts.
 *
 * Thread: any, one at a time for each digest. Memory: none.
 */
#ifndef BASE_KEYED_DIGEST_H
#define BASE_KEYED_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/siphash.h"

enum { KEYED_DIGEST_SIZE = 16, KEYED_DIGEST_KEY_SIZE = 2 * SIPHASH_KEY_SIZE };

struct keyed_digest {
    uint64_t left[4], right[4];
    uint64_t size; /* bytes taken */
};

/* `key` is borrowed for the call. */
void keyed_digest_begin(struct keyed_digest *digest,
                        const unsigned char  key[KEYED_DIGEST_KEY_SIZE]);

/* Take `count` words, an even number. */
void keyed_digest_take(struct keyed_digest *digest, const uint32_t *words, size_t count);

/* The digest of all that was taken. It must be begun again before the next take. */
void keyed_digest_end(struct keyed_digest *digest, unsigned char ret_digest[KEYED_DIGEST_SIZE]);

#endif
