/* single_flight - who waits for an identical question that is under way?
 *
 * Several clients that ask the same at the same time need one answer. The first leads: it asks.
 * Others join it and wait. A question that has not been sent yet may always be joined: whatever
 * was acknowledged before somebody joined, Chroma has applied when the question comes. One that was
 * sent may be joined only if all writes come through here and none was sent since (`joins_sent`,
 * and its validity holds): elsewhere another's write may have been acknowledged in between.
 *
 * If the leader fails or leaves, one of those who wait leads, and the others wait for it. Questions
 * whose answers turned out not to be shared are not joined for a while.
 *
 * Policy only: nothing is sent here. Thread: the event loop. Memory: some 200 bytes for each
 * question under way, `flights_max` at most; members are embedded in their owners.
 */
#ifndef READS_SINGLE_FLIGHT_H
#define READS_SINGLE_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/siphash.h"
#include "reads/query_cache.h"

struct single_flight;
struct flight;

struct single_flight_options {
    bool     joins_sent;
    size_t   flights_max;
    size_t   waiters_max; /* of one flight */
    uint64_t apart_us;    /* so long a question is not joined whose answer was not shared */
};

enum flight_role {
    FLIGHT_LEADS,  /* ask, and tell of it: single_flight_sent(), then _end() or _leave() */
    FLIGHT_JOINED, /* wait for on_end */
    FLIGHT_ALONE   /* ask, and tell nobody */
};

enum flight_end {
    FLIGHT_ANSWERED, /* here is the answer */
    FLIGHT_LEAD,     /* you lead now */
    FLIGHT_APART     /* the answer is not for you: ask alone */
};

/* Embedded in who asks; zeroes at first, and again whenever it leads or waits no longer. */
struct flight_member {
    struct flight   *flight; /* NULL: it neither leads nor waits */
    struct list_node node;   /* while it waits */

    /* Called once for each time that it joined or was told to lead, unless it leaves; not from
     * single_flight_join(). `answer` is what the leader handed over, borrowed for the call. It may
     * join again at once, but not make others leave. */
    void (*on_end)(struct flight_member *member, enum flight_end end, const void *answer);
};

/* `options` and `secret` are borrowed for the call. NULL: no memory. */
struct single_flight *single_flight_new(const struct single_flight_options *options,
                                        const unsigned char secret[SIPHASH_KEY_SIZE]);

/* NULL is fine. Nobody may lead or wait. */
void single_flight_free(struct single_flight *table);

/* Ask `key`; `now` is the validity of its collection at this moment. */
enum flight_role single_flight_join(struct single_flight *table, const struct query_cache_key *key,
                                    const struct query_validity *now, uint64_t now_us,
                                    struct flight_member *member);

/* Is somebody waiting for what this one, who leads, asks? */
bool single_flight_is_awaited(const struct flight_member *leader);

/* The question of who leads is sent, at validity `sent`. */
void single_flight_sent(struct flight_member *leader, const struct query_validity *sent);

/* Who leads has the answer, and all who wait get it. */
void single_flight_answer(struct flight_member *leader, const void *answer);

/* Who leads has an answer that is not for others; they ask alone. */
void single_flight_part(struct flight_member *leader, uint64_t now_us);

/* It leads or waits no longer: its client is gone, its deadline passed, its question failed. If it
 * led, one of those who wait leads now. No-op if it does neither. */
void single_flight_leave(struct flight_member *member);

#endif
