/* construct_store - what Chroma said last to clients that were being made, for while it is down
 *
 * Answers by what was asked and by whom. They are forgotten when something is sent that may change
 * them, so what is here is what Chroma would say; the caller tells. Where it asks for a description
 * anew, what was said before is void meanwhile: who was told it is told the new one then.
 *
 * Private to proxy/. Thread: event loop only. Memory: CONSTRUCT_STORE_ENTRIES_MAX answers and
 * CONSTRUCT_STORE_BYTES_MAX, charged to the account; what was noted longest ago goes first.
 */
#ifndef PROXY_CONSTRUCT_STORE_H
#define PROXY_CONSTRUCT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/memory_account.h"
#include "base/siphash.h"
#include "proxy/cache_question.h"

enum {
    CONSTRUCT_STORE_ENTRIES_MAX = 512,
    CONSTRUCT_STORE_BODY_MAX = 64 << 10,
    CONSTRUCT_STORE_BYTES_MAX = 2 << 20
};

struct construct_store; /* opaque */

/* Of `key` question and identity count for finding it, and the collection for forgetting it. */
struct construct_answer {
    struct query_cache_key key;
    enum cache_kind        kind; /* FIXED or DESCRIPTION */
    uint64_t               noted_us;
    uint64_t               reached, distrusts; /* of the proxy when it was asked for */
    struct bytes           body;
};

/* NULL when out of memory. `secret` is copied. */
struct construct_store *construct_store_new(const unsigned char    secret[SIPHASH_KEY_SIZE],
                                            struct memory_account *account);

/* NULL is a no-op. */
void construct_store_free(struct construct_store *store);

/* Copied, in place of the answer that was there. Too large or without memory: there is none then.
 */
void construct_store_put(struct construct_store *store, const struct construct_answer *answer);

/* Borrowed until the store changes. NULL: there is none. */
const struct construct_answer *construct_store_find(const struct construct_store *store,
                                                    const struct query_cache_key *key);

/* Something may change all that is FIXED; the description of one collection, or with NULL all. */
void construct_store_forget_fixed(struct construct_store *store);
void construct_store_forget_described(struct construct_store *store, const uint8_t uuid[16]);

/* Forget all that this identity was told. */
void construct_store_forget_identity(struct construct_store *store,
                                     const unsigned char     identity[16]);

/* The description of this collection may be another one: nobody finds it any more. */
void construct_store_void(struct construct_store *store, const uint8_t uuid[16]);

/* Take one construct_store_void() back: what might have changed it was not sent after all. It is
 * found again if that was the only one. */
void construct_store_take_back(struct construct_store *store, const uint8_t uuid[16]);

/* A collection whose description is void, of those that were kept under `reached` and `distrusts`:
 * the one behind `uuid` in the order of age, or the first if that is none of them. False: none is.
 */
MUST_CHECK bool construct_store_next_void(const struct construct_store *store, uint64_t reached,
                                          uint64_t distrusts, uint8_t uuid[16]);

/* It is this now: whoever was told what is void, under `reached` and `distrusts`, may have it from
 * now on, for as long as he might have had that. */
void construct_store_renew(struct construct_store *store, const uint8_t uuid[16], uint64_t reached,
                           uint64_t distrusts, struct bytes body);

/* Forget what is void of this collection. */
void construct_store_forget_void(struct construct_store *store, const uint8_t uuid[16]);

size_t construct_store_count(const struct construct_store *store);

#endif
