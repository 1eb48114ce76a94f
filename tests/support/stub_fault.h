/* stub_fault - scripted misbehaviour: which request is answered how badly
 *
 * A rule is written as comma-separated words:
 *
 *   what happens
 *     stall=D              wait before anything else (D as 5s, 250ms, 40us; a bare number is ms)
 *     status=N             answer N instead; not applied
 *     body=KIND            of that answer: chroma (default), admission (Chroma's own words when it
 *                          refuses to admit), plain (its circuit breaker), empty
 *     applied-status=N     apply, then answer N
 *     early=N              answer N when the head is in, before the body; close, unannounced
 *     reset=before|after   TCP reset before or after applying; no answer
 *     close=before|after   the same, with an orderly close
 *     half-close=before|after  shut the writing side only: before: with no answer; after: behind it
 *     half-answer          apply, announce the whole body, send half of it, close
 *     long-answer          apply, send more than was announced
 *     garbage              apply, answer something that is not HTTP
 *     slow-body=N          apply, send the answer's body at N bytes per second
 *     quiet-close          answer, then close without having announced it
 *   to which requests
 *     op=NAME              add upsert update delete get query count collection admin raw other,
 *                          write (the first four), read (the next three); default: all
 *     p=F                  each with this probability; default 1
 *     from=N, every=N      from the Nth that matches on (from 1), and of those every Nth
 *     count=N              N times at most
 *
 * The first rule that fires is taken. Requests to /stub/ are spared. The request header
 * `x-stub-fault` holds one rule for that request alone.
 */
#ifndef SUPPORT_STUB_FAULT_H
#define SUPPORT_STUB_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "support/stub_route.h"

enum stub_fault_cut {
    STUB_FAULT_CUT_NONE,
    STUB_FAULT_CUT_RESET,
    STUB_FAULT_CUT_CLOSE,
    STUB_FAULT_CUT_HALF_CLOSE
};

enum stub_fault_body {
    STUB_FAULT_BODY_CHROMA,
    STUB_FAULT_BODY_ADMISSION,
    STUB_FAULT_BODY_PLAIN,
    STUB_FAULT_BODY_EMPTY
};

struct stub_fault {
    uint64_t             stall_us;
    unsigned             status; /* 0: none */
    unsigned             applied_status;
    unsigned             early_status;
    enum stub_fault_body body;
    enum stub_fault_cut  cut_before; /* before applying */
    enum stub_fault_cut  cut_after;
    bool                 half_answer, long_answer, garbage, quiet_close;
    uint64_t             slow_bytes_per_sec; /* 0: at once */
};

/* A rule: fault, filter and how often it fired. */
struct stub_fault_rule {
    struct stub_fault fault;
    uint32_t          ops; /* bit per enum stub_op */
    double            probability;
    uint64_t          from, every, count; /* count 0: no end */
    uint64_t          matched, fired;
};

enum { STUB_FAULT_RULES_MAX = 64 };

struct stub_fault_rules {
    struct stub_fault_rule rules[STUB_FAULT_RULES_MAX];
    size_t                 count;
    uint64_t               rng; /* state of the generator */
    uint64_t               fired;
};

/* Add the rule written in `text`, or NULL and its complaint in static storage. */
const char *stub_fault_add(struct stub_fault_rules *rules, struct bytes text);

/* The fault for the next request of `op`, or NULL. Borrowed until rules change. */
const struct stub_fault *stub_fault_pick(struct stub_fault_rules *rules, enum stub_op op);

/* Read one rule; NULL when well-formed, else a complaint in static storage. */
const char *stub_fault_parse(struct stub_fault_rule *rule, struct bytes text);

/* "5s", "250ms", "40us" or milliseconds; false when it is none of these. */
bool stub_fault_parse_duration(const char *text, uint64_t *ret_us);

/* The next of a seeded sequence of 64-bit numbers. */
uint64_t stub_fault_random(uint64_t *rng);

#endif
