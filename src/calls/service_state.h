/* service_state - what is told of each service, to whoever lists them
 *
 * Plain data, borrowed for the call.
 */
#ifndef CALLS_SERVICE_STATE_H
#define CALLS_SERVICE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "limits/rate_limit.h"

struct service_state {
    const char *name;
    uint64_t    requests;       /* that began, refused ones too */
    uint64_t    rejected;       /* with 429, by its rates */
    uint64_t    bytes_rejected; /* of those by bytes_rate */
    /* For their turn did not come: by concurrency_max, and by collection.concurrency_reads_max and
     * collection.concurrency_writes_max. */
    uint64_t turns_refused, collection_reads_refused, collection_writes_refused;
    uint64_t delayed;        /* by `over: delay` */
    uint64_t shadowed;       /* that `over: shadow` let pass */
    uint64_t chroma_time_us; /* that they took */
    uint64_t bytes;          /* of their bodies and answers */

    /* Its limits; 0: none. Times in microseconds. */
    uint64_t             rate, burst, remaining;
    bool                 is_rate_in_time;
    uint64_t             bytes_rate;
    enum rate_limit_over over;
    uint64_t             concurrency_max, concurrency; /* calls at a time; now */
    uint64_t             waiting;                      /* for a turn */
    uint64_t             collection_reads_max, collection_writes_max, batch_records_max;
    unsigned             weight, priority;
};

typedef void service_state_fn(void *ctx, const struct service_state *state);

#endif
