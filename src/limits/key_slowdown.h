/* key_slowdown - who keeps trying wrong keys is answered later and later
 *
 * After KEY_SLOWDOWN_FREE wrong keys from one address the answer to each further one waits: 100 ms,
 * doubling to 5 s. Half of the failures are forgotten every minute. Callers with a right key are
 * not slowed, whatever their neighbours behind the same address do. An IPv6 address counts by its
 * first 64 bits.
 *
 * Thread: event loop only. Memory: 96 KiB, fixed; when it is full, the address that is nearest to
 * being forgotten is.
 */
#ifndef LIMITS_KEY_SLOWDOWN_H
#define LIMITS_KEY_SLOWDOWN_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/siphash.h"

enum { KEY_SLOWDOWN_FREE = 5 };

struct key_slowdown; /* opaque */

/* `secret` is copied: addresses cannot be chosen to push out others. NULL when out of memory. */
struct key_slowdown *key_slowdown_new(const unsigned char secret[SIPHASH_KEY_SIZE]);

/* NULL is a no-op. */
void key_slowdown_free(struct key_slowdown *slowdown);

/* A wrong key came from `address` (4 or 16 bytes). Returns how long its answer is to wait. */
uint64_t key_slowdown_count(struct key_slowdown *slowdown, struct bytes address, uint64_t now_us);

#endif
