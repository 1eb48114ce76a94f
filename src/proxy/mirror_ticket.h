/* mirror_ticket - what a request has of a copy that may answer it (mirror_path.h); part of an
 * exchange
 *
 * Private to proxy/. Thread: event loop only. Memory: a timer, and mirror_job.h, while it has them.
 */
#ifndef PROXY_MIRROR_TICKET_H
#define PROXY_MIRROR_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/loop.h"
#include "proxy/cache_question.h"

struct exchange;
struct mirror_construct;
struct mirror_job;

/* How the exchange goes on where the copy has no answer. */
typedef void mirror_path_otherwise_fn(struct exchange *exchange);

enum mirror_path_mode { MIRROR_PATH_FALLBACK, MIRROR_PATH_HEDGE, MIRROR_PATH_PREFER };

/* What a client asks that is being made (mirror_construct.h). Zeroes: something else. */
struct mirror_asked {
    struct mirror_construct *construct;
    enum cache_kind          kind;
    struct query_cache_key   key;
    uint64_t                 stamp; /* of its answer when it was asked; 0: do not keep that */
    uint64_t                 reached, distrusts; /* of the proxy, then */
};

/* Zeroes: it has nothing. */
struct mirror_ticket {
    struct mirror_job        *job;       /* that is under way */
    struct loop_timer        *timer;     /* until it is asked, then until it is not waited for */
    mirror_path_otherwise_fn *otherwise; /* NULL: it waits for Chroma too */
    void (*end)(struct mirror_ticket *ticket); /* NULL: there is nothing to be ended */
    enum mirror_path_mode mode;
    unsigned              tried; /* modes, by bit: not again */
    uint64_t              job_ends_us;
    uint64_t              stamp; /* mirror_compare_stamp() when it was sent */
    bool                  is_noted, is_probe;
    struct mirror_asked   asked;
};

/* The exchange is over: nothing is waited for any more. */
static inline void mirror_ticket_end(struct mirror_ticket *ticket)
{
    if (ticket->end != NULL)
        ticket->end(ticket);
}

#endif
