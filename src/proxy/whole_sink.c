#include "proxy/whole_sink.h"

#include <stdlib.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"

enum { held_bytes_max = 1 << 20 };

struct whole_sink {
    struct answer_sink      sink;
    const struct http_head *head; /* borrowed */
    struct byte_buffer      body;
};

static void whole_on_head(struct answer_sink *sink, const struct http_head *head);
static void whole_on_body(struct answer_sink *sink, struct bytes data);
static void whole_on_flush(struct answer_sink *sink);
static void whole_on_end(struct answer_sink *sink);
static void whole_free(struct answer_sink *sink);

static const struct answer_sink_ops whole_ops = {.on_head = whole_on_head,
                                                 .on_body = whole_on_body,
                                                 .on_flush = whole_on_flush,
                                                 .on_end = whole_on_end,
                                                 .free = whole_free};

bool whole_sink_wants(const struct http_head *head)
{
    return head->framing == HTTP_FRAMING_LENGTH && head->content_length <= held_bytes_max;
}

struct answer_sink *whole_sink_new(void)
{
    struct whole_sink *whole = calloc(1, sizeof *whole);

    if (whole == NULL)
        return NULL;
    whole->sink.ops = &whole_ops;
    return &whole->sink;
}

static void whole_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct whole_sink, sink)->head = head;
}

static void whole_on_body(struct answer_sink *sink, struct bytes data)
{
    struct whole_sink *whole = CONTAINER_OF(sink, struct whole_sink, sink);

    if (byte_buffer_append(&whole->body, data, held_bytes_max) != STATUS_OK)
        answer_sink_failure(sink->next, STATUS_NO_MEMORY, true);
}

static void whole_on_flush(struct answer_sink *sink)
{
    (void)sink; /* nothing is handed on yet */
}

static void whole_on_end(struct answer_sink *sink)
{
    struct whole_sink *whole = CONTAINER_OF(sink, struct whole_sink, sink);

    answer_sink_head(sink->next, whole->head);
    if (byte_buffer_size(&whole->body) > 0)
        answer_sink_body(sink->next, byte_buffer_bytes(&whole->body));
    answer_sink_end(sink->next);
}

static void whole_free(struct answer_sink *sink)
{
    struct whole_sink *whole = CONTAINER_OF(sink, struct whole_sink, sink);

    byte_buffer_done(&whole->body);
    free(whole);
}
