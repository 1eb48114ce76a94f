/* read_facts - what is told of a finished read beside what its head says: how much was asked for,
 * and a hash by which the same question is known again
 *
 * Read from the body when the request is over, so that nobody waits for it, and only as often as
 * look_budget.h allows. The hash is of the bytes as they came, under a key of this process: the
 * same question in another spelling counts as another one. A digest of chroma_query.h would know
 * better, at more than three times the time (bench_chroma_query).
 *
 * Thread: event loop only. Memory: none.
 */
#ifndef CALLS_READ_FACTS_H
#define CALLS_READ_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/siphash.h"
#include "calls/look_budget.h"
#include "chroma/chroma_route.h"

/* Of a get or query that was answered; all 0 if its body was not looked at. */
struct read_facts {
    uint64_t question;  /* a hash of what was asked, which is never 0 */
    uint64_t n_results; /* of a query */
    bool     is_unfiltered_get;
};

/* `body` is whole, or empty if nobody may look at it, and like `key`, borrowed for the call. */
struct read_facts read_facts_take(struct look_budget        *budget,
                                  const unsigned char        key[SIPHASH_KEY_SIZE],
                                  const struct chroma_route *route, struct bytes body,
                                  uint64_t now_us);

#endif
