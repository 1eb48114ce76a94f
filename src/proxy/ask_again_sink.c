#include "proxy/ask_again_sink.h"

#include <stdlib.h>
#include <string.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"

enum { held_bytes_max = 4096 };

struct ask_again_sink {
    struct answer_sink      sink;
    const struct http_head *head;
    struct byte_buffer      body;
    void (*again)(void *ctx);
    void *ctx;
};

static void ask_again_on_head(struct answer_sink *sink, const struct http_head *head);
static void ask_again_on_body(struct answer_sink *sink, struct bytes data);
static void ask_again_on_flush(struct answer_sink *sink);
static void ask_again_on_end(struct answer_sink *sink);
static void ask_again_free(struct answer_sink *sink);

static const struct answer_sink_ops ask_again_ops = {.on_head = ask_again_on_head,
                                                     .on_body = ask_again_on_body,
                                                     .on_flush = ask_again_on_flush,
                                                     .on_end = ask_again_on_end,
                                                     .free = ask_again_free};

bool ask_again_sink_wants(const struct http_head *head)
{
    return head->status == 500 && head->framing == HTTP_FRAMING_LENGTH &&
           head->content_length <= held_bytes_max;
}

struct answer_sink *ask_again_sink_new(void (*again)(void *ctx), void *ctx)
{
    struct ask_again_sink *ask_again = calloc(1, sizeof *ask_again);

    if (ask_again == NULL)
        return NULL;
    ask_again->sink.ops = &ask_again_ops;
    ask_again->again = again;
    ask_again->ctx = ctx;
    return &ask_again->sink;
}

static void ask_again_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct ask_again_sink, sink)->head = head;
}

static void ask_again_on_body(struct answer_sink *sink, struct bytes data)
{
    struct ask_again_sink *ask_again = CONTAINER_OF(sink, struct ask_again_sink, sink);

    if (byte_buffer_append(&ask_again->body, data, held_bytes_max) != STATUS_OK)
        answer_sink_failure(sink->next, STATUS_NO_MEMORY, true);
}

static void ask_again_on_flush(struct answer_sink *sink)
{
    (void)sink; /* nothing is handed on yet */
}

static void ask_again_on_end(struct answer_sink *sink)
{
    static const char      transient[] = "Error finding id";
    struct ask_again_sink *ask_again = CONTAINER_OF(sink, struct ask_again_sink, sink);
    struct bytes           body = byte_buffer_bytes(&ask_again->body);

    if (body.size > 0 && memmem(body.data, body.size, transient, sizeof transient - 1) != NULL) {
        ask_again->again(ask_again->ctx);
        return;
    }
    answer_sink_head(sink->next, ask_again->head);
    if (body.size > 0)
        answer_sink_body(sink->next, body);
    answer_sink_end(sink->next);
}

static void ask_again_free(struct answer_sink *sink)
{
    struct ask_again_sink *ask_again = CONTAINER_OF(sink, struct ask_again_sink, sink);

    byte_buffer_done(&ask_again->body);
    free(ask_again);
}
