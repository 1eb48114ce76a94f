/* limits_state - every limit in force and how much of it is in use, to whoever lists them
 *
 * Plain data. Limits of services are in service_state.h.
 */
#ifndef CALLS_LIMITS_STATE_H
#define CALLS_LIMITS_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* Requests whose client was told that a limit is why they were refused. */
struct limits_refused {
    uint64_t requests;                /* by queue.requests_max */
    uint64_t read_bytes, write_bytes; /* by queue.bytes_max */
    uint64_t memory;                  /* by memory_max */
    uint64_t bodies;                  /* by body_max, or what Chroma takes */
    uint64_t reads, connections;      /* with `overload: shed`: by what held their turn back */
    uint64_t breaker;                 /* by breaker.reads */

    /* Answered 504, sent or not, where no limit from above held them back: by queue.wait_max (what
     * they wait for had no turn), deadline.read, deadline.write and deadline.from_client. */
    uint64_t waits, read_deadlines, write_deadlines, client_deadlines;
};

struct limits_state {
    uint64_t requests, requests_max, requests_waiting; /* admitted; wait for it */

    /* Calls to Chroma. Of reads, those that are exempt from the limit are not counted. */
    uint64_t connections, connections_max;
    uint64_t reads, reads_max; /* in force: of reads.limit, or what connections allow */
    uint64_t reads_adaptive;   /* what `adaptive` would allow, or allows */
    uint64_t reads_waiting;
    uint64_t writes, writes_max, writes_waiting;
    uint64_t body_max; /* of a write; 0: none but memory_max */
    uint64_t breakers_open,
        breakers_waiting; /* of reads and collections; reads that wait for one */

    struct limits_refused refused;
};

#endif
