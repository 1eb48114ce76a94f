/* single_flight - who waits for an identical question that is under way?
 *
 * Several clients that ask the same at the same time need one answer. The first leads: it asks.
 * Others join it and wait. A question that has not been sent yet may always be joined: whatever
 * was acknowledged before somebody joined, Chroma has applied when the question comes. One that was
 * sent may be joined only where all writes come through here and nothing has come since that may
 * change the answer (query_cache.h): elsewhere another's write may have been acknowledged in
 * between.
 *
 * If the leader leaves or fails, one of those who wait leads, and the others wait for it. A
 * question that failed twice each asks for itself, and so does each for a while whose answer turned
 * out not to be for others.
 *
 * Questions of one service are joined by that service only: its place in the order of turns decides
 * about none but its own.
 *
 * Policy only: nothing is sent here. Thread: the event loop. Memory: some 200 bytes for each
 * question under way, `flights_max` at most; members are embedded in their owners.
 */
#ifndef READS_SINGLE_FLIGHT_H
#define READS_SINGLE_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/siphash.h"
#include "reads/query_cache.h"

struct single_flight; /* opaque */
struct flight;        /* opaque */

enum flight_end {
    FLIGHT_ANSWERED, /* here is the answer */
    FLIGHT_LEAD,     /* you lead now: ask */
    FLIGHT_APART     /* the answer is not for you: ask for yourself */
};

/* Embedded in who asks; zeroes at first. */
struct flight_member {
    struct flight   *flight;   /* NULL: it neither leads nor waits */
    struct list_node node;     /* while it waits */
    bool             is_apart; /* it was told so, and joins nobody any more; zeroed by its owner */
};

struct single_flight_options {
    size_t   flights_max;
    size_t   waiters_max; /* of one question; the next one to ask leads another flight */
    uint64_t apart_us;    /* so long a question is not joined whose answer was not for others */

    /* Has any byte of the question of who leads been sent? */
    bool (*is_sent)(const struct flight_member *leader);

    /* Called once for each time that it joined, unless it leaves; not from single_flight_join().
     * `answer` is what the leader handed over, borrowed for the call. */
    void (*on_end)(struct flight_member *member, enum flight_end end, const void *answer);
};

struct flight_question {
    struct query_cache_key key;
    uint32_t               service;
};

/* `options` and `secret` are copied. NULL: no memory. */
struct single_flight *single_flight_new(const struct single_flight_options *options,
                                        const unsigned char secret[SIPHASH_KEY_SIZE]);

/* NULL is fine. Who leads or waits is forgotten, and may be gone already. */
void single_flight_free(struct single_flight *table);

/* Wait for the answer to `question`, if it is under way. `now` is what holds of it at this moment;
 * `joins_sent`: all writes come through here. False: ask; who was told to lead asks at `now` from
 * then on. */
bool single_flight_join(struct single_flight *table, const struct flight_question *question,
                        const struct query_validity *now, bool joins_sent, uint64_t now_us,
                        struct flight_member *member);

/* `member` asks, and was not told to wait: others may join it from now on. `asked` is what held
 * before its question was sent. No-op where there is no room, and for who leads. */
void single_flight_lead(struct single_flight *table, const struct flight_question *question,
                        const struct query_validity *asked, uint64_t now_us,
                        struct flight_member *member);

/* Who leads the flight of this member, maybe itself. */
struct flight_member *single_flight_leader(const struct flight_member *member);

/* How many wait for what this one asks? */
size_t single_flight_waiters(const struct flight_member *member);

/* Who leads has the answer, and all who wait get it. No-op if it does not lead. */
void single_flight_answer(struct flight_member *leader, const void *answer);

/* The answer to `question` is not for others: each asks for itself, those who wait for `member`,
 * if it leads, and those who come in the next `apart_us`. */
void single_flight_mark(struct single_flight *table, const struct flight_question *question,
                        uint64_t now_us, struct flight_member *member);

/* It leads or waits no longer: its client is gone, or its deadline has passed. If it led, one of
 * those who wait leads now. No-op if it does neither. */
void single_flight_leave(struct flight_member *member);

/* The same for one that led and whose question failed after it was sent. */
void single_flight_fail(struct flight_member *member);

/* The same for one that led and was answered, without having it in hand: those who wait ask for
 * themselves. */
void single_flight_part(struct flight_member *member);

#endif
