#include "calls/learn_sink.h"

#include <stdlib.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"

struct learn_sink {
    struct answer_sink     sink;
    struct memory_account *account;
    size_t                 bytes_max;
    struct byte_buffer     body;
    bool                   is_lost; /* a part of the body is missing */
    unsigned               status;
    learn_sink_fn          on_complete;
    void                  *ctx;
};

static void learn_on_head(struct answer_sink *sink, const struct http_head *head);
static void learn_on_body(struct answer_sink *sink, struct bytes data);
static void learn_keep(struct learn_sink *learn, struct bytes data);
static void learn_on_end(struct answer_sink *sink);
static void learn_drop(struct learn_sink *learn);
static void learn_free(struct answer_sink *sink);

static const struct answer_sink_ops learn_ops = {
    .on_head = learn_on_head, .on_body = learn_on_body, .on_end = learn_on_end, .free = learn_free};

struct answer_sink *learn_sink_new(struct memory_account *account, size_t bytes_max,
                                   learn_sink_fn on_complete, void *ctx)
{
    struct learn_sink *learn = calloc(1, sizeof *learn);

    if (learn == NULL)
        return NULL;
    learn->sink.ops = &learn_ops;
    learn->account = account;
    learn->bytes_max = bytes_max;
    learn->on_complete = on_complete;
    learn->ctx = ctx;
    return &learn->sink;
}

static void learn_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct learn_sink, sink)->status = head->status;
    answer_sink_head(sink->next, head);
}

static void learn_on_body(struct answer_sink *sink, struct bytes data)
{
    struct learn_sink *learn = CONTAINER_OF(sink, struct learn_sink, sink);

    if (!learn->is_lost)
        learn_keep(learn, data);
    answer_sink_body(sink->next, data);
}

static void learn_keep(struct learn_sink *learn, struct bytes data)
{
    if (byte_buffer_append(&learn->body, data, learn->bytes_max) == STATUS_OK) {
        memory_account_charge(learn->account, data.size);
        return;
    }
    learn->is_lost = true;
    learn_drop(learn);
}

static void learn_on_end(struct answer_sink *sink)
{
    struct learn_sink *learn = CONTAINER_OF(sink, struct learn_sink, sink);

    if (!learn->is_lost)
        learn->on_complete(learn->ctx, learn->status, byte_buffer_bytes(&learn->body));
    answer_sink_end(sink->next);
}

static void learn_drop(struct learn_sink *learn)
{
    memory_account_release(learn->account, byte_buffer_size(&learn->body));
    byte_buffer_done(&learn->body);
}

static void learn_free(struct answer_sink *sink)
{
    struct learn_sink *learn = CONTAINER_OF(sink, struct learn_sink, sink);

    learn_drop(learn);
    free(learn);
}
