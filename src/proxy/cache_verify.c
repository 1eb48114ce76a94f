#include "proxy/cache_verify.h"

#include "calls/own_flows.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/rng.h"
#include "calls/request_head.h"
#include "chroma/same_answer.h"
#include "lanes/write_lanes.h"
#include "proxy/cache_path.h"
#include "proxy/exchange.h"

enum verify_verdict {
    VERIFY_COMPARE, /* both are there */
    VERIFY_SAME,
    VERIFY_DIFFERENT,
    VERIFY_CHANGED,
    VERIFY_UNANSWERED
};

struct cache_verify {
    struct proxy             *proxy;
    struct rng                rng;
    struct cache_verify_stats stats;
    bool                      is_busy; /* all below belongs to the hit that is looked at */

    const struct chroma_operation_info *info;
    struct cache_question               question;
    struct byte_buffer                  head, body; /* of the request */
    struct byte_buffer                  kept, said; /* the two answers */
    size_t                              charged;
    struct bytes                        sent_body;
    struct call                         call;
    struct answer_sink                  sink;
    struct loop_timer                  *deadline;
    unsigned                            status; /* of the second */
    bool                                is_whole;
    enum verify_verdict                 verdict;
    struct loop_task                    end_task; /* outside of the call's last callback */
    struct worker_job                   job;
};

static bool                 is_chosen(const struct exchange *exchange);
static struct cache_verify *cache_verify_new(struct proxy *proxy);
static bool verify_begin(struct cache_verify *verify, const struct exchange *exchange,
                         const struct query_cache_hit *hit);
static bool verify_copy(struct cache_verify *verify, const struct exchange *exchange,
                        struct query_cache_hit hit);
static void verify_on_head(struct answer_sink *sink, const struct http_head *head);
static void verify_on_body(struct answer_sink *sink, struct bytes data);
static void verify_on_end(struct answer_sink *sink);
static void verify_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void verify_on_deadline(void *ctx);
static enum verify_verdict verify_judge(const struct cache_verify *verify);
static void                verify_end(void *ctx);
static void                verify_compare(struct worker_job *job);
static void                verify_on_compared(struct worker_job *job);
static void                verify_finish(struct cache_verify *verify);
static void                verify_tell(const struct cache_verify *verify);
static void                verify_release(struct cache_verify *verify);

static const struct answer_sink_ops verify_ops = {.on_head = verify_on_head,
                                                  .on_body = verify_on_body,
                                                  .on_end = verify_on_end,
                                                  .on_failure = verify_on_failure};

void cache_verify_hit(struct exchange *exchange, const struct query_cache_hit *hit)
{
    struct proxy        *proxy = exchange->proxy;
    struct cache_verify *verify = proxy->verify;
    uint32_t             share = proxy->options.cache.verify_per_million;

    if (share == 0 || !is_chosen(exchange))
        return;
    if (verify == NULL)
        verify = proxy->verify = cache_verify_new(proxy);
    if (verify == NULL || verify->is_busy || rng_below(&verify->rng, 1000000) >= share)
        return;
    verify->is_busy = true;
    if (!verify_begin(verify, exchange, hit))
        verify_release(verify);
}

/* Not what creates if it has to, nor what we changed in Chroma's answer. */
static bool is_chosen(const struct exchange *exchange)
{
    return exchange->route.operation != CHROMA_OPERATION_COLLECTION_CREATE &&
           !(exchange->route.operation == CHROMA_OPERATION_PRE_FLIGHT &&
             write_lanes_splits(exchange->proxy->lanes));
}

static struct cache_verify *cache_verify_new(struct proxy *proxy)
{
    static const struct turn_queue_service last = {.weight = 1,
                                                   .priority = FAIR_QUEUE_PRIORITY_LAST};
    struct cache_verify                   *verify = calloc(1, sizeof *verify);

    if (verify == NULL)
        return NULL;
    verify->deadline = loop_timer_new(proxy->loop, verify_on_deadline, verify);
    if (verify->deadline == NULL) {
        free(verify);
        return NULL;
    }
    verify->proxy = proxy;
    rng_init(&verify->rng, proxy->trace_prefix);
    loop_task_init(&verify->end_task, verify_end, verify);
    turn_queue_set_service(proxy->turns, CACHE_VERIFY_FLOW, &last);
    return verify;
}

void cache_verify_free(struct cache_verify *verify)
{
    if (verify == NULL)
        return;
    call_cancel(&verify->call);
    loop_task_cancel(&verify->end_task);
    loop_timer_free(verify->deadline);
    verify_release(verify);
    free(verify);
}

static bool verify_begin(struct cache_verify *verify, const struct exchange *exchange,
                         const struct query_cache_hit *hit)
{
    struct proxy           *proxy = verify->proxy;
    struct upstream_request request = {.body = &verify->sent_body,
                                       .body_is_odd = request_head_is_bodiless(exchange->head)};

    if (!verify_copy(verify, exchange, *hit))
        return false;
    verify->info = exchange->route.info;
    verify->question = (struct cache_question){.kind = exchange->question.kind,
                                               .key = exchange->question.key,
                                               .has_ids = exchange->question.has_ids,
                                               .ids = exchange->question.ids,
                                               .asked = exchange->question.asked,
                                               .quiet = exchange->question.quiet};
    verify->status = 0;
    verify->is_whole = true;
    verify->sent_body = byte_buffer_bytes(&verify->body);
    verify->sink.ops = &verify_ops;
    verify->call.origin = (struct call_origin){.flow = CACHE_VERIFY_FLOW, .cost_us = hit->cost_us};
    request.head = byte_buffer_bytes(&verify->head);
    request.body_parts = verify->sent_body.size > 0;
    if (call_start(&verify->call, proxy, verify->info, &request, &verify->sink, NULL) != STATUS_OK)
        return false;
    loop_timer_set(verify->deadline, loop_now_us(proxy->loop) + proxy->options.deadline_read_us);
    return true;
}

/* The request ends with its client, and the answer may be evicted. False: there is no room. */
static bool verify_copy(struct cache_verify *verify, const struct exchange *exchange,
                        struct query_cache_hit hit)
{
    struct memory_account *answers = &verify->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS];
    struct bytes           body = byte_buffer_bytes(&exchange->body), part;
    size_t                 size = body.size + 2 * hit.size;
    bool                   has_body = exchange->head->framing != HTTP_FRAMING_NONE;

    if (!memory_account_has_room(answers, size))
        return false;
    memory_account_charge(answers, size);
    verify->charged = size;
    if (!request_head_write(exchange->head, has_body ? HTTP_FRAMING_LENGTH : HTTP_FRAMING_NONE,
                            body.size, &verify->head) ||
        (body.size > 0 && byte_buffer_append(&verify->body, body, body.size) != STATUS_OK))
        return false;
    while (query_cache_read(&hit, &part))
        if (byte_buffer_append(&verify->kept, part, CACHE_PATH_OBJECT_MAX) != STATUS_OK)
            return false;
    return true;
}

static void verify_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct cache_verify, sink)->status = head->status;
}

/* One that is much longer is not kept, and different. */
static void verify_on_body(struct answer_sink *sink, struct bytes data)
{
    struct cache_verify *verify = CONTAINER_OF(sink, struct cache_verify, sink);
    size_t               max = byte_buffer_size(&verify->kept) + 4096;

    if (verify->is_whole && byte_buffer_append(&verify->said, data, max) != STATUS_OK)
        verify->is_whole = false;
}

static void verify_on_end(struct answer_sink *sink)
{
    struct cache_verify *verify = CONTAINER_OF(sink, struct cache_verify, sink);

    verify->verdict = verify_judge(verify);
    loop_later(verify->proxy->loop, &verify->end_task);
}

static void verify_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct cache_verify *verify = CONTAINER_OF(sink, struct cache_verify, sink);

    (void)why;
    (void)sent;
    verify->verdict = VERIFY_UNANSWERED;
    loop_later(verify->proxy->loop, &verify->end_task);
}

static void verify_on_deadline(void *ctx)
{
    struct cache_verify *verify = ctx;

    if (!call_is_active(&verify->call))
        return;
    call_cancel(&verify->call);
    verify->verdict = VERIFY_UNANSWERED;
    verify_finish(verify);
}

/* Now, when its last byte has come: what is sent later does not count. */
static enum verify_verdict verify_judge(const struct cache_verify *verify)
{
    struct query_validity now = cache_path_validity(verify->proxy, &verify->question);

    if (!query_validity_holds(&verify->question.asked, &now) ||
        !cache_path_is_undisturbed(verify->proxy, &verify->question))
        return VERIFY_CHANGED;
    if (verify->status == 200)
        return verify->is_whole ? VERIFY_COMPARE : VERIFY_DIFFERENT;
    return verify->status >= 400 && verify->status < 500 && verify->status != 408 &&
                   verify->status != 429
               ? VERIFY_DIFFERENT
               : VERIFY_UNANSWERED;
}

static void verify_end(void *ctx)
{
    struct cache_verify *verify = ctx;

    if (verify->verdict != VERIFY_COMPARE) {
        verify_finish(verify);
        return;
    }
    verify->job = (struct worker_job){
        .kind = WORKER_POOL_SCAN, .run = verify_compare, .done = verify_on_compared};
    worker_pool_submit(verify->proxy->workers, &verify->job);
}

static void verify_compare(struct worker_job *job)
{
    struct cache_verify *verify = CONTAINER_OF(job, struct cache_verify, job);

    verify->verdict =
        same_answer(byte_buffer_bytes(&verify->kept), byte_buffer_bytes(&verify->said))
            ? VERIFY_SAME
            : VERIFY_DIFFERENT;
}

static void verify_on_compared(struct worker_job *job)
{
    verify_finish(CONTAINER_OF(job, struct cache_verify, job));
}

static void verify_finish(struct cache_verify *verify)
{
    loop_timer_clear(verify->deadline);
    verify->stats.same += verify->verdict == VERIFY_SAME;
    verify->stats.different += verify->verdict == VERIFY_DIFFERENT;
    verify->stats.changed += verify->verdict == VERIFY_CHANGED;
    verify->stats.unanswered += verify->verdict == VERIFY_UNANSWERED;
    if (verify->verdict == VERIFY_DIFFERENT)
        verify_tell(verify);
    verify_release(verify);
}

/* Wrong answers may have been given. What belongs to no collection goes with all the rest. */
static void verify_tell(const struct cache_verify *verify)
{
    const uint8_t  *uuid = verify->question.key.collection;
    char            text[CHROMA_ROUTE_UUID_SIZE] = "";
    struct log_line line;

    if (verify->question.kind != CACHE_KIND_FIXED)
        chroma_route_print_uuid(uuid, text);
    log_begin(&line, LOG_ERROR, "cache_differs");
    log_text(&line, "op", verify->info->metric_op);
    log_text(&line, "collection", text);
    log_number(&line, "status", verify->status);
    log_number(&line, "kept_bytes", byte_buffer_size(&verify->kept));
    log_number(&line, "said_bytes", byte_buffer_size(&verify->said));
    log_end(&line);
    verify->proxy->distrusts++;
    if (verify->question.kind == CACHE_KIND_FIXED) {
        cache_path_flush(verify->proxy->cache);
        return;
    }
    collection_table_distrust(verify->proxy->collections, uuid);
    cache_path_flush_collection(verify->proxy->cache, uuid);
}

static void verify_release(struct cache_verify *verify)
{
    struct byte_buffer *buffers[] = {&verify->head, &verify->body, &verify->kept, &verify->said};

    for (size_t i = 0; i < COUNT_OF(buffers); i++)
        byte_buffer_done(buffers[i]);
    memory_account_release(&verify->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                           verify->charged);
    verify->charged = 0;
    verify->is_busy = false;
}

struct cache_verify_stats cache_verify_get_stats(const struct cache_verify *verify)
{
    return verify == NULL ? (struct cache_verify_stats){0} : verify->stats;
}

enum status cache_verify_print_metrics(const struct cache_verify *verify, struct byte_buffer *out)
{
    static const struct metric_desc metrics[] = {
#define VERIFIED(field)                                                                            \
    METRIC_LABELED(COUNTER, cache_verify_stats, field, "chromabouncer_cache_verified_total",       \
                   "result=\"" #field "\"",                                                        \
                   "Answers from the cache that Chroma was asked for as well (cache.verify).")
        VERIFIED(same), VERIFIED(different), VERIFIED(changed), VERIFIED(unanswered)
#undef VERIFIED
    };

    return verify == NULL ? STATUS_OK
                          : metric_print(out, metrics, COUNT_OF(metrics), &verify->stats);
}
