#include "calls/hold_sink.h"

#include <stdlib.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"

struct hold_sink {
    struct answer_sink      sink;
    struct memory_account  *account;
    size_t                  bytes_max;
    const struct http_head *head; /* borrowed */
    struct byte_buffer      body;
    hold_sink_fn            on_complete;
    void                   *ctx;
};

static void hold_on_head(struct answer_sink *sink, const struct http_head *head);
static void hold_on_body(struct answer_sink *sink, struct bytes data);
static void hold_on_flush(struct answer_sink *sink);
static void hold_on_end(struct answer_sink *sink);
static void hold_free(struct answer_sink *sink);

static const struct answer_sink_ops hold_ops = {.on_head = hold_on_head,
                                                .on_body = hold_on_body,
                                                .on_flush = hold_on_flush,
                                                .on_end = hold_on_end,
                                                .free = hold_free};

bool hold_sink_fits(const struct http_head *head, size_t bytes_max)
{
    return head->framing == HTTP_FRAMING_LENGTH && head->content_length <= bytes_max;
}

struct answer_sink *hold_sink_new(struct memory_account *account, size_t bytes_max,
                                  hold_sink_fn on_complete, void *ctx)
{
    struct hold_sink *hold = calloc(1, sizeof *hold);

    if (hold == NULL)
        return NULL;
    hold->sink.ops = &hold_ops;
    hold->account = account;
    hold->bytes_max = bytes_max;
    hold->on_complete = on_complete;
    hold->ctx = ctx;
    return &hold->sink;
}

static void hold_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct hold_sink, sink)->head = head;
}

static void hold_on_body(struct answer_sink *sink, struct bytes data)
{
    struct hold_sink *hold = CONTAINER_OF(sink, struct hold_sink, sink);

    if (byte_buffer_append(&hold->body, data, hold->bytes_max) == STATUS_OK)
        memory_account_charge(hold->account, data.size);
    else
        answer_sink_failure(sink->next, STATUS_NO_MEMORY, true);
}

static void hold_on_flush(struct answer_sink *sink)
{
    (void)sink; /* nothing is handed on yet */
}

static void hold_on_end(struct answer_sink *sink)
{
    struct hold_sink *hold = CONTAINER_OF(sink, struct hold_sink, sink);
    struct bytes      body = byte_buffer_bytes(&hold->body);
    struct http_head  head;

    if (hold->on_complete != NULL && hold->on_complete(hold->ctx, hold->head, &body))
        return;
    if (body.size == byte_buffer_size(&hold->body)) {
        answer_sink_head(sink->next, hold->head);
    } else {
        head = *hold->head;
        head.content_length = body.size;
        answer_sink_head(sink->next, &head);
    }
    if (body.size > 0)
        answer_sink_body(sink->next, body);
    answer_sink_end(sink->next);
}

static void hold_free(struct answer_sink *sink)
{
    struct hold_sink *hold = CONTAINER_OF(sink, struct hold_sink, sink);

    memory_account_release(hold->account, byte_buffer_size(&hold->body));
    byte_buffer_done(&hold->body);
    free(hold);
}
