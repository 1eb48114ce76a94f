/* cache_verify - of the answers given from the cache, a share is asked of Chroma too, and compared
 *
 * The client has its answer and does not wait. What it asked is sent once more, behind all that
 * waits for Chroma, and never more than one such call at a time: while one is under way, no other
 * hit is chosen. Only if no write was under way from the sending of the first question to the last
 * byte of the second answer do the two have to say the same (same_answer.h); if they do not, that
 * is logged, and what is kept of the collection is forgotten.
 *
 * Only what is no write by its method and route is asked again, so no `get_or_create`.
 *
 * Private to proxy/. Thread: event loop, and a worker that compares. Memory: one request with its
 * two answers, charged to MEMORY_ACCOUNT_ANSWERS; where there is no room nothing is asked.
 */
#ifndef PROXY_CACHE_VERIFY_H
#define PROXY_CACHE_VERIFY_H

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "reads/query_cache.h"

struct cache_verify;
struct exchange;
struct proxy;

struct cache_verify_stats {
    uint64_t same, different;
    uint64_t changed;    /* a write came in between: nothing can be said */
    uint64_t unanswered; /* Chroma did not answer in time, or said that it cannot */
};

/* The request is about to be answered with `hit` (borrowed). */
void cache_verify_hit(struct exchange *exchange, const struct query_cache_hit *hit);

/* What is under way is given up. NULL is a no-op. */
void cache_verify_free(struct cache_verify *verify);

/* Zeroes for NULL. */
struct cache_verify_stats cache_verify_get_stats(const struct cache_verify *verify);

/* Append the metrics; none for NULL. Outcomes as metric_print(). */
MUST_CHECK enum status cache_verify_print_metrics(const struct cache_verify *verify,
                                                  struct byte_buffer        *out);

#endif
