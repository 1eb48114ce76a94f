#include "proxy/mirror_compare.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "calls/kept_head.h"
#include "chroma/same_answer.h"
#include "copies/mirror_doubt.h"
#include "proxy/exchange.h"

struct mirror_compare {
    struct proxy               *proxy;
    struct mirror_compare_stats stats;
    uint64_t                    next_us; /* not before */
    bool                        is_busy; /* all below belongs to one read */

    uint8_t                uuid[16];
    enum chroma_operation  operation;
    uint64_t               stamp;                    /* before it was sent */
    struct byte_buffer     kept;                     /* the copy's answer, */
    struct byte_buffer     said;                     /* Chroma's */
    unsigned               kept_status, said_status; /* 0: there is none that counts */
    bool                   has_kept, has_said;       /* it is over */
    bool                   is_too_large;
    size_t                 charged;
    struct answer_sink     sink;      /* takes Chroma's answer, or sees it pass */
    const struct exchange *exchange;  /* in whose chain it is to be put; else NULL */
    bool                   is_linked; /* it is in one */
    struct mirror_job     *job;
    struct call            call;
    struct byte_buffer     head, body; /* of its request */
    struct bytes           sent_body;
    struct loop_timer     *deadline;
    struct worker_job      work;
    bool                   is_same, is_margin;
};

static bool compare_may_begin(const struct mirror_compare *compare,
                              const struct exchange       *exchange);
static void compare_begin(struct mirror_compare *compare, const struct exchange *exchange);
static void compare_keep(struct mirror_compare *compare, struct byte_buffer *buffer,
                         struct bytes data);
static void compare_charge(struct mirror_compare *compare, size_t size);
static bool compare_is_answer(unsigned status);
static void compare_on_head(struct answer_sink *sink, const struct http_head *head);
static void compare_on_body(struct answer_sink *sink, struct bytes data);
static void compare_on_end(struct answer_sink *sink);
static void compare_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void compare_on_sink_free(struct answer_sink *sink);
static void compare_on_deadline(void *ctx);
static void compare_on_answer(void *ctx, const struct mirror_job_answer *answer);
static void compare_go_on(struct mirror_compare *compare);
static void compare_run(struct worker_job *work);
static void compare_on_run(struct worker_job *work);
static void compare_tell(const struct mirror_compare *compare);
static void compare_release(struct mirror_compare *compare);

static const struct answer_sink_ops compare_ops = {.on_head = compare_on_head,
                                                   .on_body = compare_on_body,
                                                   .on_end = compare_on_end,
                                                   .on_failure = compare_on_failure,
                                                   .free = compare_on_sink_free};

struct mirror_compare *mirror_compare_new(struct proxy *proxy)
{
    struct mirror_compare *compare = calloc(1, sizeof *compare);

    if (compare == NULL)
        return NULL;
    compare->deadline = loop_timer_new(proxy->loop, compare_on_deadline, compare);
    if (compare->deadline == NULL) {
        free(compare);
        return NULL;
    }
    compare->proxy = proxy;
    compare->sink.ops = &compare_ops;
    list_node_init(&compare->call.node);
    return compare;
}

void mirror_compare_free(struct mirror_compare *compare)
{
    if (compare == NULL)
        return;
    call_cancel(&compare->call);
    if (compare->job != NULL)
        mirror_job_leave(compare->job);
    compare_release(compare);
    loop_timer_free(compare->deadline);
    free(compare);
}

uint64_t mirror_compare_stamp(const struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;

    return collection_table_stamp(proxy->collections, exchange->route.uuid,
                                  loop_now_us(proxy->loop));
}

/* ---- Both are to be had --------------------------------------------------------------------- */

static bool compare_may_begin(const struct mirror_compare *compare, const struct exchange *exchange)
{
    const struct memory_account *answers =
        &exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS];

    return compare != NULL && !compare->is_busy &&
           loop_now_us(exchange->proxy->loop) >= compare->next_us && exchange->mirror.stamp != 0 &&
           !exchange->pass.is_streaming &&
           memory_account_has_room(answers, MIRROR_COMPARE_ANSWER_MAX);
}

static void compare_begin(struct mirror_compare *compare, const struct exchange *exchange)
{
    compare->is_busy = true;
    compare->next_us = loop_now_us(compare->proxy->loop) + MIRROR_COMPARE_EVERY_US;
    memcpy(compare->uuid, exchange->route.uuid, sizeof compare->uuid);
    compare->operation = exchange->route.operation;
    compare->stamp = exchange->mirror.stamp;
    compare->kept_status = compare->said_status = 0;
    compare->has_kept = compare->has_said = compare->is_too_large = false;
}

/* The exchange ends with its client, who is about to be answered; it is counted by its body. */
void mirror_compare_take_call(struct mirror_compare *compare, struct exchange *exchange,
                              const struct mirror_job_answer *answer)
{
    struct exchange_pass *pass = &exchange->pass;
    struct byte_buffer    body = {0};

    if (!compare_may_begin(compare, exchange) || !call_is_sent(&pass->call) ||
        pass->call.status != 0 ||
        byte_buffer_append(&body, byte_buffer_bytes(&exchange->body), MIRROR_COMPARE_ANSWER_MAX) !=
            STATUS_OK)
        return;
    compare_begin(compare, exchange);
    compare->head = pass->head;
    compare->body = exchange->body;
    pass->head = (struct byte_buffer){0};
    exchange->body = body;
    compare_charge(compare, compare->head.capacity + compare->body.capacity);
    compare->sent_body = pass->body;
    compare->sink.next = NULL;
    call_move(&compare->call, &pass->call, &compare->sink, &compare->sent_body);
    loop_timer_set(compare->deadline,
                   loop_now_us(compare->proxy->loop) + compare->proxy->options.deadline_read_us);
    compare->kept_status = answer->status;
    compare_keep(compare, &compare->kept, answer->body);
    compare->has_kept = true;
}

void mirror_compare_take_job(struct mirror_compare *compare, struct exchange *exchange,
                             const struct http_head *head)
{
    if (!compare_is_answer(head->status) || mirror_job_waits(exchange->mirror.job) ||
        !compare_may_begin(compare, exchange))
        return;
    compare_begin(compare, exchange);
    compare->exchange = exchange;
    compare->job = exchange->mirror.job;
    exchange->mirror.job = NULL;
    mirror_job_hand_over(compare->job, compare_on_answer, compare);
}

struct answer_sink *mirror_compare_sink(struct mirror_compare *compare,
                                        const struct exchange *exchange)
{
    if (compare == NULL || compare->exchange != exchange)
        return NULL;
    compare->exchange = NULL;
    compare->is_linked = true;
    return &compare->sink;
}

static void compare_keep(struct mirror_compare *compare, struct byte_buffer *buffer,
                         struct bytes data)
{
    size_t before = buffer->capacity;

    if (compare->is_too_large)
        return;
    compare->is_too_large =
        byte_buffer_append(buffer, data, MIRROR_COMPARE_ANSWER_MAX) != STATUS_OK;
    compare_charge(compare, buffer->capacity - before);
}

static void compare_charge(struct mirror_compare *compare, size_t size)
{
    memory_account_charge(&compare->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS], size);
    compare->charged += size;
}

/* Of the question, and not of who asks or of Chroma's state. */
static bool compare_is_answer(unsigned status)
{
    return status == 200 || (status >= 400 && status <= 499 && status != 401 && status != 403 &&
                             status != 408 && status != 429);
}

/* ---- Chroma's answer ------------------------------------------------------------------------ */

static void compare_on_head(struct answer_sink *sink, const struct http_head *head)
{
    struct mirror_compare *compare = CONTAINER_OF(sink, struct mirror_compare, sink);
    uint8_t                number;

    if (compare_is_answer(head->status) &&
        (head->status != 200 || kept_head_find(head, UINT64_MAX, &number)))
        compare->said_status = head->status;
    answer_sink_head(sink->next, head);
}

static void compare_on_body(struct answer_sink *sink, struct bytes data)
{
    struct mirror_compare *compare = CONTAINER_OF(sink, struct mirror_compare, sink);

    if (compare->said_status != 0)
        compare_keep(compare, &compare->said, data);
    answer_sink_body(sink->next, data);
}

static void compare_on_end(struct answer_sink *sink)
{
    struct mirror_compare *compare = CONTAINER_OF(sink, struct mirror_compare, sink);

    compare->has_said = true;
    loop_timer_clear(compare->deadline);
    answer_sink_end(sink->next);
    compare_go_on(compare);
}

static void compare_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct mirror_compare *compare = CONTAINER_OF(sink, struct mirror_compare, sink);

    compare->said_status = 0;
    compare->has_said = true;
    loop_timer_clear(compare->deadline);
    answer_sink_failure(sink->next, why, sent);
    compare_go_on(compare);
}

/* With the exchange, or before its answer is asked for again. */
static void compare_on_sink_free(struct answer_sink *sink)
{
    struct mirror_compare *compare = CONTAINER_OF(sink, struct mirror_compare, sink);

    compare->is_linked = false;
    if (!compare->has_said) {
        compare->said_status = 0;
        compare->has_said = true;
    }
    compare_go_on(compare);
}

static void compare_on_deadline(void *ctx)
{
    struct mirror_compare *compare = ctx;

    call_cancel(&compare->call);
    compare->said_status = 0;
    compare->has_said = true;
    compare_go_on(compare);
}

/* ---- The copy's, and what comes of them ----------------------------------------------------- */

static void compare_on_answer(void *ctx, const struct mirror_job_answer *answer)
{
    struct mirror_compare *compare = ctx;

    compare->job = NULL;
    compare->has_kept = true;
    if (answer->reason == NULL) {
        compare->kept_status = answer->status;
        compare_keep(compare, &compare->kept, answer->body);
    }
    compare_go_on(compare);
}

/* When both are over, and the sink is nobody's any more. */
static void compare_go_on(struct mirror_compare *compare)
{
    struct proxy *proxy = compare->proxy;
    uint64_t      stamp;

    if (!compare->has_kept || !compare->has_said || compare->is_linked || compare->work.run != NULL)
        return;
    stamp = collection_table_stamp(proxy->collections, compare->uuid, loop_now_us(proxy->loop));
    if (compare->kept_status == 0 || compare->said_status == 0) {
        compare->stats.unanswered++;
    } else if (stamp != compare->stamp) {
        compare->stats.changed++;
    } else if (compare->is_too_large) {
        compare->stats.too_large++;
    } else {
        compare->work = (struct worker_job){
            .kind = WORKER_POOL_SCAN, .run = compare_run, .done = compare_on_run};
        worker_pool_submit(proxy->workers, &compare->work);
        return;
    }
    compare_release(compare);
}

static void compare_run(struct worker_job *work)
{
    struct mirror_compare *compare = CONTAINER_OF(work, struct mirror_compare, work);
    struct bytes           kept = byte_buffer_bytes(&compare->kept);
    struct bytes           said = byte_buffer_bytes(&compare->said);
    bool                   are_alike = compare->kept_status == compare->said_status;

    compare->is_same = are_alike && same_answer(kept, said);
    compare->is_margin = are_alike && !compare->is_same && compare->said_status == 200 &&
                         compare->operation == CHROMA_OPERATION_QUERY &&
                         same_answer_but_for_neighbours(kept, said);
}

static void compare_on_run(struct worker_job *work)
{
    struct mirror_compare *compare = CONTAINER_OF(work, struct mirror_compare, work);

    compare->stats.same += compare->is_same;
    compare->stats.margin += compare->is_margin;
    if (!compare->is_same && !compare->is_margin) {
        compare->stats.different++;
        compare_tell(compare);
    }
    compare_release(compare);
}

/* Wrong answers may have been given. */
static void compare_tell(const struct mirror_compare *compare)
{
    char            uuid[CHROMA_ROUTE_UUID_SIZE];
    struct log_line line;

    chroma_route_print_uuid(compare->uuid, uuid);
    log_begin(&line, LOG_ERROR, "mirror_differs");
    log_text(&line, "collection", uuid);
    log_text(&line, "op", chroma_route_info(compare->operation)->metric_op);
    log_number(&line, "status", compare->said_status);
    log_number(&line, "mirror_status", compare->kept_status);
    log_number(&line, "bytes", byte_buffer_size(&compare->said));
    log_number(&line, "mirror_bytes", byte_buffer_size(&compare->kept));
    log_end(&line);
    mirror_doubt_collection(compare->proxy->mirror, compare->uuid, MIRROR_REASON_DIFFERS, NULL);
}

static void compare_release(struct mirror_compare *compare)
{
    struct byte_buffer *buffers[] = {&compare->head, &compare->body, &compare->kept,
                                     &compare->said};

    for (size_t i = 0; i < COUNT_OF(buffers); i++)
        byte_buffer_done(buffers[i]);
    memory_account_release(&compare->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                           compare->charged);
    compare->charged = 0;
    compare->work = (struct worker_job){0};
    compare->is_busy = false;
}

bool mirror_compare_is_asking(const struct mirror_compare *compare)
{
    return compare != NULL && call_is_active(&compare->call);
}

struct mirror_compare_stats mirror_compare_get_stats(const struct mirror_compare *compare)
{
    return compare == NULL ? (struct mirror_compare_stats){0} : compare->stats;
}

enum status mirror_compare_print_metrics(const struct mirror_compare *compare,
                                         struct byte_buffer          *out)
{
    static const struct metric_desc metrics[] = {
#define COMPARED(field)                                                                            \
    METRIC_LABELED(COUNTER, mirror_compare_stats, field, "chromabouncer_mirror_compared_total",    \
                   "result=\"" #field "\"",                                                        \
                   "Reads of which both Chroma's answer and a copy's were looked at.")
        COMPARED(same),       COMPARED(margin),   COMPARED(different), COMPARED(changed),
        COMPARED(unanswered), COMPARED(too_large)
#undef COMPARED
    };

    return compare == NULL ? STATUS_OK
                           : metric_print(out, metrics, COUNT_OF(metrics), &compare->stats);
}
