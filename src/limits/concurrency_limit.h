/* concurrency_limit - how many reads Chroma should have at a time, found by watching it
 *
 * An answer's time is compared with what its class takes when Chroma is at ease; the median of
 * these ratios says how much slower Chroma is for what is in flight. Every 100 ms with ten answers
 * or more:
 *
 *   anything dropped (timeout, connect error, 429, 503, 504)   limit * 0.7
 *   ratio above 1.6                                            limit * max(0.7, 1.6 / ratio)
 *   else, if three quarters of the limit were in use           limit + max(1, sqrt(limit) / 2) / 2
 *
 * At first, and after a restart, it grows by half each time instead, until it has been too large
 * once: so a proxy that is started under load finds sixteen cores in half a second.
 *
 * What a class takes at ease is the least of the medians of the last six spans of 5 s: medians,
 * since the least of all times would be that of the cheapest request of the class. Collections
 * differ as much as classes do, so each class has CONCURRENCY_GROUPS of them apart. While Chroma
 * commits a write, reads stand still: what they take beside writes is an ease of its own. If the
 * limit is at its least and Chroma still seems slow three times in a row, Chroma has become slower,
 * and what it takes now is the new ease.
 *
 * At ease is a read during which no more than half of the limit was in flight. Else, under a load
 * that does not end, what is taken for ease would follow the limit, and the limit what is taken for
 * ease. Where five seconds bring no such read, half of the limit is in force for a second at most.
 *
 * The limit need not be in force: it is computed from what is seen in any case. While more are in
 * flight than it would allow, their times are no ease, and say nothing of a slower Chroma.
 *
 * It works where all requests pass one process. Many that watch one Chroma each see the others'
 * load as ease.
 *
 * Thread: event loop only. Memory: 100 KiB, fixed.
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

/* Collections in as many groups are told apart. */
enum { CONCURRENCY_GROUPS = 16 };

enum concurrency_outcome {
    CONCURRENCY_ANSWERED, /* 2xx, and 4xx that say the request is wrong: its time counts */
    CONCURRENCY_DROPPED,  /* timeout, connect error, 429, 503, 504 */
    CONCURRENCY_LEFT,     /* its client did not wait: it counts if it was slow already */
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

/* Begin again with the least, as after a breaker has closed; what is known of Chroma stays. */
void concurrency_limit_restart(struct concurrency_limit *limit);

/* A read was sent. */
void concurrency_limit_sent(struct concurrency_limit *limit);

/* A read that was sent has its answer's head, or never will. `took_us`: from its last byte to the
 * first of its answer, or until it was given up. `is_beside_write`: a write was in flight
 * meanwhile. */
struct concurrency_read {
    enum concurrency_class class;
    unsigned                 group; /* below CONCURRENCY_GROUPS; of its collection */
    enum concurrency_outcome outcome;
    uint64_t                 took_us;
    bool                     is_beside_write;
};
void concurrency_limit_ended(struct concurrency_limit *limit, const struct concurrency_read *read,
                             uint64_t now_us);

/* What a read of this class takes at ease, with no write beside it; of its groups the least. 0: not
 * known yet. */
uint64_t concurrency_limit_ease_us(const struct concurrency_limit *limit,
                                   enum concurrency_class class);

#endif
