/* finished_request - what is told of each request when it is over, to whoever counts by client
 *
 * Plain data, borrowed for the call: no field value but the User-Agent, no body. What was asked is
 * known of a sample only (read_facts.h).
 */
#ifndef CALLS_FINISHED_REQUEST_H
#define CALLS_FINISHED_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "calls/read_facts.h"
#include "chroma/chroma_route.h"
#include "io/socket.h"

struct finished_request {
    const struct chroma_route   *route;
    const struct socket_address *peer;
    struct bytes                 user_agent;         /* empty: the request had none */
    uint64_t                     began_us, ended_us; /* monotonic */
    unsigned                     code;               /* of the answer; 0: none was begun */
    uint64_t                     records;            /* written; 0: not known */
    uint64_t                     answer_bytes;       /* of its body */
    uint64_t                     call_writes;   /* writes in the last call that it was part of */
    uint64_t                     at_chroma_us;  /* of that call, or its own; 0: not sent */
    bool                         is_from_cache; /* or answered together with another */
    struct read_facts            facts;
};

typedef void finished_request_fn(void *ctx, const struct finished_request *request);

#endif
