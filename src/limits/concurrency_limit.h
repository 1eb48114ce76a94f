/* concurrency_limit - how many reads Chroma should have at a time, found by watching it
 *
 * An answer's time is compared with what its class takes when Chroma is at ease; the median of
 * these ratios says how much slower Chroma is for what is in flight. Every 100 ms with ten answers
 * or more:
 *
 *   anything dropped (timeout, connect error, 429, 503, 504)   limit * 0.7
 *   ratio above 1.6                                            limit * max(0.7, 1.6 / ratio)
 *   else, if three quarters of the limit were in use           limit + 0.5 * max(1, sqrt(limit) /
 * 2)
 *
 * What a class takes at ease is the least of the medians of the last six spans of 5 s: medians,
 * since the least of all times would be that of the cheapest request of the class. If the limit is
 * at its least and Chroma still seems slow three times in a row, Chroma has become slower, and what
 * it takes now is the new ease.
 *
 * It works where all requests pass one process. Many that watch one Chroma each see the others'
 * load as ease.
 *
 * Thread: event loop only. Memory: 9 KiB, fixed.
 */
#ifndef LIMITS_CONCURRENCY_LIMIT_H
#define LIMITS_CONCURRENCY_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum concurrency_class {
    CONCURRENCY_GET,
    CONCURRENCY_QUERY,
    CONCURRENCY_FILTERED, /* query with a filter */
    CONCURRENCY_LARGE,    /* more than 100 results or 4 embeddings */
    CONCURRENCY_CLASSES
};

enum concurrency_outcome {
    CONCURRENCY_ANSWERED, /* 2xx, and 4xx that say the request is wrong: its time counts */
    CONCURRENCY_DROPPED,  /* timeout, connect error, 429, 503, 504 */
    CONCURRENCY_NOTHING   /* all else: says nothing about the load */
};

struct concurrency_limit_options {
    size_t start, min, max; /* 1 <= min <= start <= max */
};

struct concurrency_limit; /* opaque */

/* `options` is copied. NULL when out of memory. */
struct concurrency_limit *concurrency_limit_new(const struct concurrency_limit_options *options);

/* NULL is a no-op. */
void concurrency_limit_free(struct concurrency_limit *limit);

/* Reads that may be in flight. Changes only in concurrency_limit_ended() and _restart(). */
size_t concurrency_limit_value(const struct concurrency_limit *limit);

/* Begin again with one at a time, as after a breaker has closed; what is known of Chroma stays. */
void concurrency_limit_restart(struct concurrency_limit *limit);

/* A read was sent. */
void concurrency_limit_sent(struct concurrency_limit *limit);

/* A read that was sent has its answer's head, or never will. `took_us`: from its last byte to the
 * first of its answer. `is_beside_write`: a write was in flight meanwhile, so its time says
 * nothing about ease. */
void concurrency_limit_ended(struct concurrency_limit *limit, enum concurrency_class class,
                             enum concurrency_outcome outcome, uint64_t took_us,
                             bool is_beside_write, uint64_t now_us);

/* What a read of this class takes at ease; 0: not known yet. */
uint64_t concurrency_limit_ease_us(const struct concurrency_limit *limit,
                                   enum concurrency_class class);

#endif
