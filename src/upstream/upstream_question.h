/* upstream_question - something the proxy itself asks of Chroma, and how that ended
 *
 * Thread: event loop only. Memory: embedded in its owner.
 */
#ifndef UPSTREAM_UPSTREAM_QUESTION_H
#define UPSTREAM_UPSTREAM_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/status.h"

/* How a question ended.
 *   OK             Chroma answered, with whatever status.
 *   AGAIN          there was no place for a connection all the time.
 *   BACKEND_DOWN   no address could be connected to.
 *   BACKEND_RESET  the connection broke, or the answer made no sense.
 *   TIMED_OUT      no answer in time, or one before it is still missing.
 *   NO_MEMORY */
struct upstream_answer {
    enum status  status;
    unsigned     code;              /* HTTP status; 0 without an answer */
    struct bytes body;              /* borrowed for the call */
    bool         is_cut;            /* the body is longer */
    bool         is_new_connection; /* it was set up for this question */
    uint64_t     began_us;          /* when it was sent; 0: it was not */
    const char  *problem;           /* for people, "" when OK; borrowed for the call */
};

typedef void (*upstream_answer_fn)(const struct upstream_answer *answer, void *ctx);

/* Zero-initialised; what it points to is borrowed until the answer. */
struct upstream_question {
    struct bytes       path;   /* "/api/..." with its query string; sent as it is */
    struct bytes       fields; /* header fields of a request, each with its CRLF; or none */
    struct bytes       body;   /* of a POST; none: GET */
    uint64_t           timeout_us;
    size_t             answer_bytes_max; /* what is beyond is dropped */
    bool               is_light;         /* may go on the kept connection, before others */
    bool               is_fresh;         /* rather on a new connection */
    upstream_answer_fn on_answer;
    void              *ctx;

    /* Private to upstream_control. */
    struct list_node node;
    uint64_t         deadline_us;
    bool             is_asked;
};

#endif
