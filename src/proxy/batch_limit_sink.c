#include "proxy/batch_limit_sink.h"

#include <stdlib.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "chroma/chroma_answer.h"

enum { held_bytes_max = 4096 };

/* The number that Chroma itself told clients up to version 0.4, and that libraries have built in.
 */
enum { records_told = 41666 };

struct batch_limit_sink {
    struct answer_sink sink;
    struct http_head   head; /* a copy: its length changes. Its spans are borrowed */
    struct byte_buffer body;
};

static void batch_limit_on_head(struct answer_sink *sink, const struct http_head *head);
static void batch_limit_on_body(struct answer_sink *sink, struct bytes data);
static void batch_limit_on_flush(struct answer_sink *sink);
static void batch_limit_on_end(struct answer_sink *sink);
static void batch_limit_free(struct answer_sink *sink);

static const struct answer_sink_ops batch_limit_ops = {.on_head = batch_limit_on_head,
                                                       .on_body = batch_limit_on_body,
                                                       .on_flush = batch_limit_on_flush,
                                                       .on_end = batch_limit_on_end,
                                                       .free = batch_limit_free};

bool batch_limit_sink_wants(const struct http_head *head)
{
    return head->status == 200 && head->framing == HTTP_FRAMING_LENGTH &&
           head->content_length <= held_bytes_max;
}

struct answer_sink *batch_limit_sink_new(void)
{
    struct batch_limit_sink *limit = calloc(1, sizeof *limit);

    if (limit == NULL)
        return NULL;
    limit->sink.ops = &batch_limit_ops;
    return &limit->sink;
}

static void batch_limit_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct batch_limit_sink, sink)->head = *head;
}

static void batch_limit_on_body(struct answer_sink *sink, struct bytes data)
{
    struct batch_limit_sink *limit = CONTAINER_OF(sink, struct batch_limit_sink, sink);

    if (byte_buffer_append(&limit->body, data, held_bytes_max) != STATUS_OK)
        answer_sink_failure(sink->next, STATUS_NO_MEMORY, true);
}

static void batch_limit_on_flush(struct answer_sink *sink)
{
    (void)sink; /* nothing is handed on yet */
}

static void batch_limit_on_end(struct answer_sink *sink)
{
    struct batch_limit_sink *limit = CONTAINER_OF(sink, struct batch_limit_sink, sink);
    struct bytes             body = byte_buffer_bytes(&limit->body);
    struct byte_buffer       raised = {0};

    if (chroma_answer_raise_batch_limit(body, records_told, &raised))
        body = byte_buffer_bytes(&raised);
    limit->head.content_length = body.size;
    answer_sink_head(sink->next, &limit->head);
    answer_sink_body(sink->next, body);
    answer_sink_end(sink->next);
    byte_buffer_done(&raised);
}

static void batch_limit_free(struct answer_sink *sink)
{
    struct batch_limit_sink *limit = CONTAINER_OF(sink, struct batch_limit_sink, sink);

    byte_buffer_done(&limit->body);
    free(limit);
}
