/* siphash - a keyed 64-bit hash that nobody without the key can aim at
 *
 * SipHash-2-4 as its authors propose it (Aumasson and Bernstein, 2012), and SipHash-1-3, the
 * faster variant that hash tables commonly use. Not a digest: equal hashes do not prove equal
 * input to anyone who knows the key.
 *
 * Thread: any. Memory: none.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stdint.h>

#include "base/bytes.h"

#define SIPHASH_KEY_SIZE 16

/* For what leaves the process or is kept. */
uint64_t siphash_2_4(const unsigned char key[SIPHASH_KEY_SIZE], struct bytes input);

/* For tables in memory. */
uint64_t siphash_1_3(const unsigned char key[SIPHASH_KEY_SIZE], struct bytes input);

#endif
