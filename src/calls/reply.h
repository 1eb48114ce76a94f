/* reply - what the client gets: Chroma's answer as it arrives, or an error of our own
 *
 * The last sink of an answer's chain. A slow client holds the call whose answer it takes
 * (`source`). Each reply ends once: on_finished is called then, possibly from within the function
 * that ended it.
 *
 * Thread: event loop only.
 */
#ifndef CALLS_REPLY_H
#define CALLS_REPLY_H

#include <stdbool.h>

#include "base/byte_buffer.h"
#include "base/status.h"
#include "calls/access_log.h"
#include "calls/answer_sink.h"
#include "calls/call.h"
#include "front/front_connection.h"
#include "front/front_error.h"
#include "http/http_head.h"
#include "reads/query_cache.h"

/* Embedded in its owner, who sets all before `sink` that apply. */
struct reply {
    struct proxy            *proxy;
    struct front_connection *connection; /* NULL: the client is gone or answered */
    const struct http_head  *request;
    struct access_record    *record;   /* times are read, what was answered is written */
    struct call             *source;   /* whose answer passes; NULL: nobody needs to wait */
    enum front_executed      executed; /* to be said with Chroma's answer */
    void (*on_finished)(struct reply *reply);
    const char *cache_status; /* what Cache-Status says, static storage; NULL: nothing */
    uint64_t    age_us;       /* of an answer that was kept, or of the copy that it is from */
    bool        is_complete;  /* that copy */

    struct answer_sink sink;
    struct byte_buffer out; /* the head, not sent yet */
    enum http_framing  framing;
};

/* Make `sink` ready; the rest is set by the owner. */
void reply_init(struct reply *reply);

/* Answer with an error and finish. If a part of an answer is out already, the connection is cut
 * instead: that is how a client learns that it will not be completed. `message` is borrowed; NULL:
 * the status' own text. */
void reply_error(struct reply *reply, enum status status, enum front_executed executed,
                 const char *message);

/* Answer 429, and finish: the service is over its limit. `fields` are further field lines. All is
 * borrowed. */
void reply_rate_limited(struct reply *reply, const char *message, unsigned retry_after_s,
                        const char *fields);

/* Answer with what Chroma answered, all of it at once, and finish. */
void reply_whole(struct reply *reply, const struct http_head *head, struct bytes body);

/* The same with what Chroma answered to another who asked the same. */
void reply_collapsed(struct reply *reply, const struct http_head *head, struct bytes body);

/* Answer with what was kept, and finish. `hit` is borrowed and read. */
void reply_hit(struct reply *reply, const struct http_head *head, struct query_cache_hit *hit);

/* Answer with what a copy of the collection says, in JSON, and finish. `age_us`: of the copy. */
void reply_mirrored(struct reply *reply, unsigned status, struct bytes body, uint64_t age_us,
                    bool is_complete);

/* Answer 413 as Chroma does on this route, and finish. */
void reply_too_large(struct reply *reply, bool is_plain);

/* The client takes bytes again. */
void reply_on_drained(struct reply *reply);

#endif
