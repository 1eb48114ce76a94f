/* cache_keys - what a request asks and who asks it, as the key of its answer
 *
 * What is asked is boiled down by chroma_query.h and construct_question.h. To read the numbers of a
 * long body costs more than all else about an answer from the cache, so what a body meant is
 * remembered by a digest of its bytes: the same bytes, to the same path of the same kind of server,
 * mean the same always. Who repeats itself byte for byte, as programs do, pays for a hash. A get of
 * ids has no numbers, and is read each time for which they are.
 *
 * Who asks is request_identity.h, without what says how old the answer may be: that decides whether
 * an answer is given, not which.
 *
 * Private to proxy/. Thread: event loop only. Memory: the account's for what is remembered.
 */
#ifndef PROXY_CACHE_KEYS_H
#define PROXY_CACHE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory_account.h"
#include "base/siphash.h"
#include "reads/query_cache.h"

struct cache_keys; /* opaque */
struct exchange;

/* Keys are those of one such object only: its secrets are random. NULL: no memory, or no random
 * bytes. */
struct cache_keys *cache_keys_new(void);

/* NULL is a no-op. */
void cache_keys_free(struct cache_keys *keys);

/* For tables by such keys; SIPHASH_KEY_SIZE bytes, borrowed. */
const unsigned char *cache_keys_secret(const struct cache_keys *keys);

/* Remember what bodies mean from now on; how many bytes of the account that takes, `bytes_max` at
 * most. Not twice. Undone by cache_keys_forget(). */
size_t cache_keys_remember(struct cache_keys *keys, size_t bytes_max,
                           struct memory_account *account);
void   cache_keys_forget(struct cache_keys *keys);

/* Of the question of an exchange, whose kind is known and not NONE: its key, and its ids. False:
 * its answer may not be kept. */
bool cache_keys_make(struct cache_keys *keys, struct exchange *exchange);

#endif
