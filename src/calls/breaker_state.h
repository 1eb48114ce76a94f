/* breaker_state - one breaker, for who looks at it */
#ifndef CALLS_BREAKER_STATE_H
#define CALLS_BREAKER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "chroma/chroma_route.h"

/* Borrowed for the call that gives it. */
struct breaker_state_view {
    const char *of;                                 /* "reads", "writes" or "collection" */
    char        collection[CHROMA_ROUTE_UUID_SIZE]; /* "" but for the last */
    const char *state;                              /* "closed", "open" or "trying" */
    bool        is_closed;
    char        reason[160]; /* why it is not closed, for people; "" if it is */
    uint64_t    next_us;     /* until Chroma's heartbeat is asked for; 0: soon, or not open */
};

typedef void breaker_state_fn(void *ctx, const struct breaker_state_view *view);

#endif
