#include "proxy/write_call.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chroma/chroma_batch.h"

/* Answers to writes are some bytes, errors some hundred. */
enum { answer_bytes_max = 64 << 20 };

struct write_call {
    struct list_node               node; /* the owner's */
    struct proxy                  *proxy;
    struct coalescer_batch        *batch;
    write_call_fn                  on_over;
    void                          *ctx;
    struct upstream_transfer      *transfer;
    struct byte_buffer             head;
    struct chroma_batch           *splice; /* NULL: a lone write as it came */
    struct bytes                   body;   /* of a lone write */
    struct http_head               answer_head;
    struct byte_buffer             answer_head_bytes, answer_body;
    struct upstream_transfer_times times;
    struct coalescer_outcome       outcome;
};

static bool is_sent_as_it_came(const struct coalescer_batch *batch);
static bool splice_body(struct write_call *call);
static bool write_merged_head(struct write_call *call);
static bool start(struct write_call *call);
static void on_interim(const struct http_head *head, void *ctx);
static void on_head(const struct http_head *head, void *ctx);
static void on_body(struct bytes data, void *ctx);
static void on_flush(void *ctx);
static void on_end(void *ctx);
static bool is_admission_refusal(const struct write_call *call);
static bool says(struct bytes text, const char *part);
static void on_failure(enum status why, bool sent, void *ctx);
static void on_writable(void *ctx);
static void finish(struct write_call *call);

static const struct upstream_transfer_events call_events = {.on_interim = on_interim,
                                                            .on_head = on_head,
                                                            .on_body = on_body,
                                                            .on_flush = on_flush,
                                                            .on_end = on_end,
                                                            .on_failure = on_failure,
                                                            .on_writable = on_writable};

static struct exchange *member_exchange(const struct coalescer_batch *batch, size_t index)
{
    return coalescer_batch_member(batch, index);
}

struct write_call *write_call_start(struct proxy *proxy, struct coalescer_batch *batch,
                                    write_call_fn on_over, void *ctx)
{
    struct write_call *call = calloc(1, sizeof *call);
    struct exchange   *first = member_exchange(batch, 0);

    if (call == NULL)
        return NULL;
    list_node_init(&call->node);
    call->proxy = proxy;
    call->batch = batch;
    call->on_over = on_over;
    call->ctx = ctx;
    if (is_sent_as_it_came(batch)) {
        call->body = byte_buffer_bytes(&first->body);
        if (start(call))
            return call;
    } else if (splice_body(call) && write_merged_head(call) && start(call)) {
        return call;
    }
    write_call_free(call);
    return NULL;
}

static bool is_sent_as_it_came(const struct coalescer_batch *batch)
{
    uint32_t first, count;

    return coalescer_batch_count(batch) == 1 && !coalescer_batch_is_part(batch, &first, &count);
}

static bool splice_body(struct write_call *call)
{
    size_t                      count = coalescer_batch_count(call->batch);
    struct chroma_batch_member *members = calloc(count, sizeof *members);
    uint32_t                    part_first, part_count;

    if (members == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct chroma_records *records = &member_exchange(call->batch, i)->member->records;

        members[i] = (struct chroma_batch_member){.records = records, .count = records->count};
    }
    if (coalescer_batch_is_part(call->batch, &part_first, &part_count)) {
        members[0].first = part_first;
        members[0].count = part_count;
    }
    call->splice = chroma_batch_new(members, count);
    free(members);
    return call->splice != NULL;
}

/* A trace context of its own: the members' differ, and the call belongs to none of them. */
static bool write_merged_head(struct write_call *call)
{
    const struct write_member *first = member_exchange(call->batch, 0)->member;
    uint64_t                   id = coalescer_batch_id(call->batch);

    return byte_buffer_append(&call->head, byte_buffer_bytes(&first->shared_head), SIZE_MAX) ==
               STATUS_OK &&
           byte_buffer_printf(&call->head, SIZE_MAX,
                              "User-Agent: chromabouncer\r\nVia: 1.1 chromabouncer\r\n"
                              "traceparent: 00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-00\r\n"
                              "Content-Length: %zu\r\n\r\n",
                              call->proxy->trace_prefix, id, id, call->splice->size) == STATUS_OK;
}

static bool start(struct write_call *call)
{
    const struct exchange  *first = member_exchange(call->batch, 0);
    struct upstream_request request = {.is_write = true, .is_head = first->is_head};

    if (call->splice != NULL) {
        request.head = byte_buffer_bytes(&call->head);
        request.body = call->splice->parts;
        request.body_parts = call->splice->part_count;
    } else {
        request.head = byte_buffer_bytes(&first->request_head);
        request.body = &call->body;
        request.body_parts = call->body.size > 0;
    }
    return upstream_transfer_start(call->proxy->pool, &request, &call_events, call,
                                   &call->transfer) == STATUS_OK;
}

static void on_interim(const struct http_head *head, void *ctx)
{
    (void)head; /* whose would it be? */
    (void)ctx;
}

static void on_head(const struct http_head *head, void *ctx)
{
    struct write_call *call = ctx;

    call->outcome.kind = http_head_copy(&call->answer_head, head, &call->answer_head_bytes)
                             ? COALESCER_ANSWERED
                             : COALESCER_RESET;
}

static void on_body(struct bytes data, void *ctx)
{
    struct write_call *call = ctx;

    /* What cannot be kept cannot be given to the client: the outcome is then unknown to it. */
    if (byte_buffer_append(&call->answer_body, data, answer_bytes_max) != STATUS_OK)
        call->outcome.kind = COALESCER_RESET;
}

static void on_flush(void *ctx)
{
    (void)ctx;
}

static void on_end(void *ctx)
{
    struct write_call *call = ctx;
    struct bytes       body = byte_buffer_bytes(&call->answer_body);

    call->outcome.http_status = (int)call->answer_head.status;
    call->outcome.admission_refusal = is_admission_refusal(call);
    call->outcome.quota_refusal = call->answer_head.status == 422 && says(body, "uota exceeded");
    finish(call);
}

/* Refusals that are known to be given before anything is applied: Chroma's circuit breaker and
 * its limit of concurrent requests, and a proxy of our kind that says so. */
static bool is_admission_refusal(const struct write_call *call)
{
    struct bytes             body = byte_buffer_bytes(&call->answer_body);
    const struct http_field *executed =
        http_head_find(&call->answer_head, HTTP_FIELD_X_CHROMABOUNCER_EXECUTED);

    if (call->answer_head.status < 429 || call->answer_head.status == 500)
        return false;
    if (executed != NULL)
        return bytes_equal(executed->value, BYTES_LITERAL("no"));
    return says(body, "You have been rate limited.") ||
           says(body, "Too many requests; backoff and try again");
}

static bool says(struct bytes text, const char *part)
{
    return text.size > 0 && memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static void on_failure(enum status why, bool sent, void *ctx)
{
    struct write_call *call = ctx;

    (void)why;
    call->outcome.kind = sent ? COALESCER_RESET : COALESCER_NOT_SENT;
    finish(call);
}

static void on_writable(void *ctx)
{
    (void)ctx;
}

static void finish(struct write_call *call)
{
    call->times = *upstream_transfer_times(call->transfer);
    call->transfer = NULL;
    call->on_over(call, call->ctx);
}

void write_call_free(struct write_call *call)
{
    if (call == NULL)
        return;
    list_remove(&call->node);
    byte_buffer_done(&call->head);
    byte_buffer_done(&call->answer_head_bytes);
    byte_buffer_done(&call->answer_body);
    chroma_batch_free(call->splice);
    free(call);
}

struct list_node *write_call_node(struct write_call *call)
{
    return &call->node;
}

struct write_call *write_call_of_node(struct list_node *node)
{
    return LIST_ITEM(node, struct write_call, node);
}

struct coalescer_outcome write_call_outcome(const struct write_call *call)
{
    return call->outcome;
}

const struct http_head *write_call_answer_head(const struct write_call *call)
{
    return &call->answer_head;
}

struct bytes write_call_answer_body(const struct write_call *call)
{
    return byte_buffer_bytes(&call->answer_body);
}

struct coalescer_batch *write_call_batch(const struct write_call *call)
{
    return call->batch;
}

const struct upstream_transfer_times *write_call_times(const struct write_call *call)
{
    return &call->times;
}
