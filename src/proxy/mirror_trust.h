/* mirror_trust - whom Chroma has served reads of a collection lately
 *
 * A copy of a collection must not be given to whom Chroma would refuse it. Who it is, is a digest;
 * what was noted longest ago is forgotten when there are too many, and then Chroma decides again.
 *
 * Private to proxy/. Thread: event loop only. Memory: some 150 bytes for each of
 * MIRROR_TRUST_ENTRIES_MAX at most.
 */
#ifndef PROXY_MIRROR_TRUST_H
#define PROXY_MIRROR_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/siphash.h"

enum { MIRROR_TRUST_ENTRIES_MAX = 4096, MIRROR_TRUST_DIGEST_SIZE = 16 };

struct mirror_trust; /* opaque */

/* NULL when out of memory. `secret` is copied. */
struct mirror_trust *mirror_trust_new(const unsigned char secret[SIPHASH_KEY_SIZE]);

/* NULL is a no-op. */
void mirror_trust_free(struct mirror_trust *trust);

/* Chroma serves a read of the collection to `who` now. Without memory it is not noted. */
void mirror_trust_note(struct mirror_trust *trust, const uint8_t uuid[16],
                       const unsigned char who[MIRROR_TRUST_DIGEST_SIZE], uint64_t now_us);

/* Did it within the last `within_us`? UINT64_MAX: ever. */
bool mirror_trust_holds(const struct mirror_trust *trust, const uint8_t uuid[16],
                        const unsigned char who[MIRROR_TRUST_DIGEST_SIZE], uint64_t now_us,
                        uint64_t within_us);

/* It has refused one to `who`. */
void mirror_trust_refuse(struct mirror_trust *trust, const uint8_t uuid[16],
                         const unsigned char who[MIRROR_TRUST_DIGEST_SIZE]);

/* Another Chroma may judge otherwise. */
void mirror_trust_clear(struct mirror_trust *trust);

size_t mirror_trust_count(const struct mirror_trust *trust);

#endif
