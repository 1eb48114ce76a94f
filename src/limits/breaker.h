/* breaker - is it worth asking Chroma now?
 *
 * One for reads, one for writes, one for each collection that fails (breaker_table.h). Closed, it
 * lets all pass and counts; after BREAKER_CONNECTS_MAX connect failures in a row, or when half of
 * at least BREAKER_CALLS_MIN calls in ten seconds failed, it opens. After a while (a second,
 * doubling to 30, a fifth more or less) it asks for a heartbeat; if that is answered, calls try it,
 * one at a time, and when BREAKER_TRIES of them have succeeded it closes. Being slow is no failure,
 * and neither is a refusal of the caller's mistakes.
 *
 * It only advises: whoever asks decides whether the request goes all the same, waits, or is
 * refused. So outcomes are also reported of calls that never asked whether they may pass. Writes
 * are never refused for it.
 *
 * Thread: event loop only. Memory: the struct.
 */
#ifndef LIMITS_BREAKER_H
#define LIMITS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

enum { BREAKER_CONNECTS_MAX = 5, BREAKER_CALLS_MIN = 20, BREAKER_WINDOW_S = 10, BREAKER_TRIES = 3 };

enum breaker_state {
    BREAKER_CLOSED, /* all pass */
    BREAKER_OPEN,   /* none pass until a heartbeat is answered */
    BREAKER_TRYING  /* one passes at a time */
};

enum breaker_outcome {
    BREAKER_SUCCESS,         /* any answer that shows that Chroma works, 4xx too */
    BREAKER_FAILURE,         /* 5xx but 501, a timeout, a reset */
    BREAKER_CONNECT_FAILURE, /* not even connected */
    BREAKER_NOTHING          /* the call ended without showing anything */
};

/* Zero-initialised means closed. */
struct breaker {
    enum breaker_state state;
    uint64_t           changed_us; /* when it took this state */
    uint64_t           next_us;    /* BREAKER_OPEN: when a heartbeat is due */
    unsigned           reopened;   /* times in a row that trying failed */
    unsigned           connect_failures;
    bool               is_tried;                   /* BREAKER_TRYING: a call is under way */
    unsigned           successes;                  /* BREAKER_TRYING */
    uint64_t           second;                     /* that the newest slot is for */
    uint32_t           calls[BREAKER_WINDOW_S];    /* by second, modulo the window */
    uint32_t           failures[BREAKER_WINDOW_S]; /* the same */

    /* Why it opened last: so many of so many calls failed; no calls: connect failures in a row. */
    uint64_t cause_failures, cause_calls;
    uint64_t opened; /* times, ever */
};

/* Would a call pass now? */
bool breaker_may_pass(const struct breaker *breaker);

/* The same, and it does: the outcome is to be reported. */
bool breaker_pass(struct breaker *breaker);

/* A call that began at `passed_us` has ended. True: the breaker closes with it, so the limit on
 * concurrency should begin anew. */
bool breaker_report(struct breaker *breaker, enum breaker_outcome outcome, uint64_t passed_us,
                    uint64_t now_us, struct rng *rng);

/* A heartbeat was answered, or not. Heartbeats that were sent for other reasons count too. */
void breaker_heartbeat(struct breaker *breaker, bool is_answered, uint64_t now_us, struct rng *rng);

/* Did any call of the last ten seconds fail, as far as it was closed then? */
bool breaker_has_failures(const struct breaker *breaker, uint64_t now_us);

/* While it is closed, what was counted is void: it may be another Chroma. */
void breaker_forget(struct breaker *breaker);

#endif
