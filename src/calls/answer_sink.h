/* answer_sink - one step of an answer's way from Chroma to the client
 *
 * An answer flows through a chain of sinks. Each does one thing (asks again, learns, changes,
 * replies) and hands on what it does not keep; the last one replies to the client. A sink may hold
 * all of an answer back and hand it on, or not, once it is complete. What is handed on keeps the
 * order of the operations below.
 *
 * An operation that a sink leaves NULL is handed on to the next one as it is, so a sink that only
 * looks at bodies has no other. Every call comes from the loop. After on_end or on_failure nothing
 * follows. A sink is told nothing after the answer was given up: it is only freed.
 */
#ifndef CALLS_ANSWER_SINK_H
#define CALLS_ANSWER_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/status.h"
#include "http/http_head.h"

struct answer_sink;

struct answer_sink_ops {
    /* A 1xx head before the answer's own. Borrowed for the call. */
    void (*on_interim)(struct answer_sink *sink, const struct http_head *head);

    /* The answer's head; borrowed until on_end or on_failure returns. */
    void (*on_head)(struct answer_sink *sink, const struct http_head *head);

    /* Bytes of the body; borrowed for the call. */
    void (*on_body)(struct answer_sink *sink, struct bytes data);

    /* All that has arrived was told; more comes later. */
    void (*on_flush)(struct answer_sink *sink);

    /* The answer is complete. */
    void (*on_end)(struct answer_sink *sink);

    /* There will be no answer, or no more of it. `sent`: bytes of the request had been sent. */
    void (*on_failure)(struct answer_sink *sink, enum status why, bool sent);

    /* Free the sink; NULL: it is part of something else. */
    void (*free)(struct answer_sink *sink);
};

struct answer_sink {
    const struct answer_sink_ops *ops;
    struct answer_sink           *next; /* NULL: the last */
};

static inline void answer_sink_interim(struct answer_sink *sink, const struct http_head *head)
{
    while (sink != NULL && sink->ops->on_interim == NULL)
        sink = sink->next;
    if (sink != NULL)
        sink->ops->on_interim(sink, head);
}

static inline void answer_sink_head(struct answer_sink *sink, const struct http_head *head)
{
    while (sink != NULL && sink->ops->on_head == NULL)
        sink = sink->next;
    if (sink != NULL)
        sink->ops->on_head(sink, head);
}

static inline void answer_sink_body(struct answer_sink *sink, struct bytes data)
{
    while (sink != NULL && sink->ops->on_body == NULL)
        sink = sink->next;
    if (sink != NULL)
        sink->ops->on_body(sink, data);
}

static inline void answer_sink_flush(struct answer_sink *sink)
{
    while (sink != NULL && sink->ops->on_flush == NULL)
        sink = sink->next;
    if (sink != NULL)
        sink->ops->on_flush(sink);
}

static inline void answer_sink_end(struct answer_sink *sink)
{
    while (sink != NULL && sink->ops->on_end == NULL)
        sink = sink->next;
    if (sink != NULL)
        sink->ops->on_end(sink);
}

static inline void answer_sink_failure(struct answer_sink *sink, enum status why, bool sent)
{
    while (sink != NULL && sink->ops->on_failure == NULL)
        sink = sink->next;
    if (sink != NULL)
        sink->ops->on_failure(sink, why, sent);
}

/* Put `sink` behind `place`. */
static inline void answer_sink_insert(struct answer_sink *place, struct answer_sink *sink)
{
    sink->next = place->next;
    place->next = sink;
}

/* Free those behind `place` that are to be freed; the others form the chain. */
static inline void answer_sink_free_behind(struct answer_sink *place)
{
    while (place->next != NULL) {
        struct answer_sink *sink = place->next;

        if (sink->ops->free == NULL) {
            place = sink;
            continue;
        }
        place->next = sink->next;
        sink->ops->free(sink);
    }
}

#endif
