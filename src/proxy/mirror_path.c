#include "proxy/mirror_path.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "auth/auth.h"
#include "chroma/request_identity.h"
#include "copies/mirror_doubt.h"
#include "copies/mirror_job.h"
#include "copies/mirror_keeper.h"
#include "copies/mirror_names.h"
#include "proxy/auth_recheck.h"
#include "proxy/cache_path.h"
#include "proxy/exchange.h"
#include "proxy/mirror_compare.h"
#include "proxy/mirror_construct.h"
#include "proxy/mirror_delay.h"
#include "proxy/mirror_trust.h"

/* What a read waits for its copy, and for all of it, before it goes on without. Where Chroma does
 * not answer there is nothing else to wait for. What goes on to Chroma while a write is under way
 * makes all that come after it wait for that write, so it is worth some patience. */
static const uint64_t prefer_wait_us = 50000, fallback_wait_us = 1000000;
static const uint64_t prefer_job_us = 1000000, fallback_job_us = 10000000;

/* While Chroma is down one read in this time goes there, and the copy is asked so much later. */
static const uint64_t probe_every_us = 250000, probe_head_start_us = 20000;

/* Reasons, of metrics: those of the keeper, of the copies and our own. */
enum { reasons_max = 64 };

struct mirror_path {
    struct proxy            *proxy;
    struct mirror_jobs       jobs;
    struct mirror_trust     *trust;
    struct mirror_construct *construct;
    struct mirror_compare   *compare;
    uint64_t                 reached;  /* which Chroma has served what is in `trust` */
    uint64_t                 probe_us; /* when the next one may go */
    struct mirror_delay      delays[CHROMA_OPERATION_COUNT_OF];
    unsigned char            key[REQUEST_IDENTITY_KEY_SIZE]; /* random */
    struct byte_buffer       scratch;
    uint64_t                 answers[MIRROR_PATH_PREFER + 1], construct_answers;
    struct mirror_refusal {
        const char *reason;
        uint64_t    count;
    } refusals[reasons_max]; /* the last is of all others */
    size_t refusal_count;
};

static struct mirror_path    *path_of(const struct exchange *exchange);
static enum proxy_mirror_mode path_mode(const struct exchange *exchange);
static bool                   path_takes(const struct exchange *exchange);
static bool                   path_is_read(enum chroma_operation operation);
static bool                   path_takes_fields(const struct exchange *exchange);
static bool                   path_is_construct(const struct exchange *exchange);
static bool                   path_is_down(const struct proxy *proxy);
static bool                   path_would_hang(const struct exchange *exchange);
static bool                   path_takes_probe(struct mirror_path *path);
static bool                   path_begin(struct exchange *exchange, enum mirror_path_mode mode,
                                         mirror_path_otherwise_fn *otherwise);
static bool                   path_tell(struct exchange *exchange);
static const char            *path_why_not_tell(const struct exchange         *exchange,
                                                const struct construct_answer *answer);
static bool                   path_is_allowed(const struct exchange *exchange);
static bool                   path_may_have(struct exchange *exchange);
static bool                   path_identify(struct exchange *exchange, bool is_plain,
                                            unsigned char ret_who[MIRROR_TRUST_DIGEST_SIZE]);
static struct mirror_trust   *path_trust(struct mirror_path *path);
static void                   path_take_refusal(struct exchange *exchange, bool is_plain);
static bool                   path_set_timer(struct exchange *exchange, uint64_t us);
static void                   path_on_time(void *ctx);
static void                   path_on_answer(void *ctx, const struct mirror_job_answer *answer);
static void                   path_fail(struct exchange *exchange, const char *reason);
static void                   path_stop(struct mirror_ticket *ticket);
static void                   path_end(struct mirror_ticket *ticket);
static void                   path_refuse(struct mirror_path *path, const char *reason);

struct mirror_path *mirror_path_new(struct proxy *proxy)
{
    struct mirror_path *path = calloc(1, sizeof *path);

    if (path == NULL)
        return NULL;
    path->proxy = proxy;
    path->jobs.proxy = proxy;
    path->trust = mirror_trust_new(proxy->secret);
    path->construct = mirror_construct_new(proxy);
    path->compare = mirror_compare_new(proxy);
    if (path->trust == NULL || path->construct == NULL || path->compare == NULL ||
        getrandom(path->key, sizeof path->key, GRND_NONBLOCK) != (ssize_t)sizeof path->key) {
        mirror_path_free(path);
        return NULL;
    }
    return path;
}

void mirror_path_free(struct mirror_path *path)
{
    if (path == NULL)
        return;
    mirror_trust_free(path->trust);
    mirror_construct_free(path->construct);
    mirror_compare_free(path->compare);
    byte_buffer_done(&path->scratch);
    free(path);
}

static struct mirror_path *path_of(const struct exchange *exchange)
{
    return exchange->proxy->mirror_path;
}

static enum proxy_mirror_mode path_mode(const struct exchange *exchange)
{
    const struct proxy_mirror_options *options = mirror_keeper_options(exchange->proxy->mirror);

    return options == NULL || path_of(exchange) == NULL ? PROXY_MIRROR_OFF : options->mode;
}

/* Is it a read that copies can answer? */
static bool path_takes(const struct exchange *exchange)
{
    return path_mode(exchange) != PROXY_MIRROR_OFF && exchange->route.has_uuid &&
           path_is_read(exchange->route.operation) &&
           cache_path_kind(exchange) == CACHE_KIND_RECORDS;
}

static bool path_is_read(enum chroma_operation operation)
{
    return operation == CHROMA_OPERATION_QUERY || operation == CHROMA_OPERATION_GET ||
           operation == CHROMA_OPERATION_COUNT;
}

/* Chroma reads a body of this type only, and what it says to other origins depends on its settings.
 */
static bool path_takes_fields(const struct exchange *exchange)
{
    const struct http_head  *head = exchange->head;
    const struct http_field *type = http_head_find(head, HTTP_FIELD_CONTENT_TYPE);

    for (size_t i = 0; i < head->field_count; i++)
        if (bytes_equal_nocase(head->fields[i].name, BYTES_LITERAL("origin")) ||
            bytes_equal_nocase(head->fields[i].name, BYTES_LITERAL("content-encoding")))
            return false;
    return exchange->route.operation == CHROMA_OPERATION_COUNT ||
           (path_is_construct(exchange) && byte_buffer_size(&exchange->body) == 0) ||
           (type != NULL && bytes_equal_nocase(type->value, BYTES_LITERAL("application/json")));
}

void mirror_path_note_read(struct exchange *exchange)
{
    if (path_mode(exchange) == PROXY_MIRROR_OFF || exchange->mirror.is_noted ||
        !path_is_read(exchange->route.operation))
        return;
    exchange->mirror.is_noted = true;
    mirror_keeper_note_read(exchange->proxy->mirror, &exchange->route);
}

bool mirror_path_answer(struct exchange *exchange, mirror_path_otherwise_fn *otherwise)
{
    if (path_mode(exchange) == PROXY_MIRROR_OFF ||
        (!mirror_construct_ask(path_of(exchange)->construct, exchange) && !path_takes(exchange)))
        return false;
    if (path_is_down(exchange->proxy) || path_would_hang(exchange)) {
        exchange->mirror.is_probe =
            !exchange->route.info->is_write && path_takes_probe(path_of(exchange));
        return !exchange->mirror.is_probe && path_begin(exchange, MIRROR_PATH_FALLBACK, otherwise);
    }
    return path_mode(exchange) == PROXY_MIRROR_PREFER && path_takes(exchange) &&
           path_begin(exchange, MIRROR_PATH_PREFER, otherwise);
}

/* Is it a question of a client that is being made? */
static bool path_is_construct(const struct exchange *exchange)
{
    return exchange->mirror.asked.kind != CACHE_KIND_NONE &&
           path_mode(exchange) != PROXY_MIRROR_OFF;
}

static bool path_is_down(const struct proxy *proxy)
{
    return proxy->is_lost || upstream_pool_problem(proxy->pool)[0] != '\0' ||
           turn_queue_is_held(proxy->turns) || !backend_breaker_is_calm(proxy->breaker);
}

/* Not each read has to wait for its deadline to find that out. And a client that is made begins
 * with a question that may be a write, which is not asked twice: once sent it waits for as long as
 * Chroma hangs, with whatever. */
static bool path_would_hang(const struct exchange *exchange)
{
    return path_is_construct(exchange) ? call_count_hung(exchange->proxy) > 0
                                       : call_has_hung_read(exchange->proxy);
}

static bool path_takes_probe(struct mirror_path *path)
{
    uint64_t now_us = loop_now_us(path->proxy->loop);

    if (now_us < path->probe_us)
        return false;
    path->probe_us = now_us + probe_every_us;
    return true;
}

void mirror_path_hedge(struct exchange *exchange)
{
    uint64_t delay_us = UINT64_MAX;

    if ((!path_takes(exchange) && !path_is_construct(exchange)) || exchange->mirror.job != NULL)
        return;
    if (exchange->mirror.is_probe)
        delay_us = probe_head_start_us;
    else if (path_mode(exchange) >= PROXY_MIRROR_HEDGE && !path_is_construct(exchange))
        delay_us = mirror_delay_us(&path_of(exchange)->delays[exchange->route.operation]);
    exchange->mirror.stamp = delay_us == UINT64_MAX ? 0 : mirror_compare_stamp(exchange);
    if (delay_us != UINT64_MAX)
        (void)path_set_timer(exchange, delay_us);
}

bool mirror_path_stand_in(struct exchange *exchange, mirror_path_otherwise_fn *otherwise)
{
    struct mirror_ticket *ticket = &exchange->mirror;

    if ((!path_takes(exchange) && !path_is_construct(exchange)) || exchange->wait_began_us != 0 ||
        exchange->reply.connection == NULL)
        return false;
    if (ticket->job == NULL)
        return path_begin(exchange, MIRROR_PATH_FALLBACK, otherwise);
    ticket->otherwise = otherwise;
    return true;
}

/* Ask the copy. False: it may not answer. */
static bool path_begin(struct exchange *exchange, enum mirror_path_mode mode,
                       mirror_path_otherwise_fn *otherwise)
{
    struct mirror_path        *path = path_of(exchange);
    struct mirror_ticket      *ticket = &exchange->mirror;
    bool                       is_fallback = mode == MIRROR_PATH_FALLBACK;
    struct mirror_job_question question = {.head = exchange->head,
                                           .uuid = exchange->route.uuid,
                                           .body = byte_buffer_bytes(&exchange->body),
                                           .is_fallback = is_fallback,
                                           .job_us = mode == MIRROR_PATH_PREFER ? prefer_job_us
                                                                                : fallback_job_us,
                                           .age_max_us = cache_path_age_wanted(exchange->head)};
    const char                *reason = NULL;

    if (ticket->tried & 1U << mode)
        return false;
    ticket->tried |= 1U << mode;
    if (path_is_construct(exchange))
        return path_tell(exchange);
    if (!auth_recheck_holds(exchange))
        reason = "key";
    else if (question.age_max_us == 0)
        reason = "forbidden";
    else if (!path_takes_fields(exchange))
        reason = "fields";
    else if (!path_may_have(exchange))
        reason = "trust";
    else if (!path_set_timer(exchange,
                             mode == MIRROR_PATH_PREFER ? prefer_wait_us : fallback_wait_us) ||
             mirror_job_begin(&path->jobs, &question, path_on_answer, exchange, &ticket->job,
                              &reason) != STATUS_OK)
        reason = reason == NULL ? "no_memory" : reason;
    else
        reason = NULL;
    if (reason != NULL) {
        path_stop(&exchange->mirror);
        path_refuse(path, reason);
        return false;
    }
    ticket->mode = mode;
    ticket->otherwise = otherwise;
    ticket->job_ends_us = loop_now_us(path->proxy->loop) + question.job_us;
    return true;
}

/* Give what Chroma said last. */
static bool path_tell(struct exchange *exchange)
{
    struct mirror_path            *path = path_of(exchange);
    const struct construct_answer *answer = mirror_construct_find(path->construct, exchange);
    const char                    *reason = path_why_not_tell(exchange, answer);
    bool                           is_gateway = path->proxy->is_gateway;

    if (reason != NULL) {
        path_refuse(path, reason);
        return false;
    }
    path->construct_answers++;
    reply_mirrored(&exchange->reply, 200, answer->body,
                   is_gateway ? 0 : loop_now_us(path->proxy->loop) - answer->noted_us, is_gateway);
    return true;
}

/* What nobody can have changed unseen is as old as the question. */
static const char *path_why_not_tell(const struct exchange         *exchange,
                                     const struct construct_answer *answer)
{
    const struct proxy                *proxy = exchange->proxy;
    const struct proxy_mirror_options *options = mirror_keeper_options(proxy->mirror);
    uint64_t                           wanted_us = cache_path_age_wanted(exchange->head), age_us;

    if (!auth_recheck_holds(exchange))
        return "key";
    if (wanted_us == 0)
        return "forbidden";
    if (!path_takes_fields(exchange))
        return "fields";
    if (answer == NULL)
        return "never_said";
    age_us = loop_now_us(proxy->loop) - answer->noted_us;
    if (!path_is_allowed(exchange) && !cache_path_is_plain(exchange->head) &&
        age_us >= options->trust_us)
        return "trust";
    return !proxy->is_gateway && (age_us > options->max_age_us || age_us > wanted_us) ? "old"
                                                                                      : NULL;
}

/* By a key of ours. One that nobody has to show tells services apart, and is not asked for its
 * scope. */
static bool path_is_allowed(const struct exchange *exchange)
{
    return exchange->auth.key != NULL && exchange->auth.rules->is_required;
}

static bool path_may_have(struct exchange *exchange)
{
    struct mirror_path *path = path_of(exchange);
    bool                is_plain = cache_path_is_plain(exchange->head);
    unsigned char       who[MIRROR_TRUST_DIGEST_SIZE];
    uint64_t            trust_us = mirror_keeper_options(exchange->proxy->mirror)->trust_us;

    if (path_is_allowed(exchange) ||
        (is_plain && mirror_names_was_read(exchange->proxy->mirror, &exchange->route)))
        return true;
    if ((!is_plain && trust_us == 0) || !path_identify(exchange, is_plain, who))
        return false;
    return mirror_trust_holds(path_trust(path), exchange->route.uuid, who,
                              loop_now_us(path->proxy->loop), is_plain ? UINT64_MAX : trust_us);
}

/* By what is shown, and to what: what stands in front of Chroma may go by the path. */
static bool path_identify(struct exchange *exchange, bool is_plain,
                          unsigned char ret_who[MIRROR_TRUST_DIGEST_SIZE])
{
    struct mirror_path *path = path_of(exchange);
    struct bytes        parts[] = {BYTES_LITERAL("\n"), exchange->route.tenant, BYTES_LITERAL("/"),
                                   exchange->route.database};

    byte_buffer_clear(&path->scratch);
    if (!is_plain && request_identity_write(exchange->head, &path->scratch) != STATUS_OK)
        return false;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (byte_buffer_append(&path->scratch, parts[i], SIZE_MAX) != STATUS_OK)
            return false;
    request_identity_digest(byte_buffer_bytes(&path->scratch), path->key, ret_who);
    return true;
}

/* Another Chroma may refuse whom the one before it has served. */
static struct mirror_trust *path_trust(struct mirror_path *path)
{
    if (path->reached != path->proxy->reached)
        mirror_trust_clear(path->trust);
    path->reached = path->proxy->reached;
    return path->trust;
}

static bool path_set_timer(struct exchange *exchange, uint64_t us)
{
    struct loop *loop = exchange->proxy->loop;

    if (exchange->mirror.timer == NULL)
        exchange->mirror.timer = loop_timer_new(loop, path_on_time, exchange);
    if (exchange->mirror.timer == NULL)
        return false;
    exchange->mirror.end = path_end;
    loop_timer_set(exchange->mirror.timer, loop_now_us(loop) + us);
    return true;
}

/* Chroma is late, or the copy is. */
static void path_on_time(void *ctx)
{
    struct exchange      *exchange = ctx;
    struct mirror_ticket *ticket = &exchange->mirror;

    if (ticket->job == NULL) {
        if (call_is_active(&exchange->pass.call) && exchange->state != EXCHANGE_ANSWERING)
            (void)path_begin(exchange, ticket->is_probe ? MIRROR_PATH_FALLBACK : MIRROR_PATH_HEDGE,
                             NULL);
        return;
    }
    if (mirror_job_waits(ticket->job))
        path_fail(exchange, "waited");
    else if (loop_now_us(exchange->proxy->loop) >= ticket->job_ends_us)
        path_fail(exchange, "late");
    else
        loop_timer_set(ticket->timer, ticket->job_ends_us);
}

static void path_on_answer(void *ctx, const struct mirror_job_answer *answer)
{
    struct exchange      *exchange = ctx;
    struct mirror_path   *path = path_of(exchange);
    struct mirror_ticket *ticket = &exchange->mirror;
    const struct call    *call = &exchange->pass.call;

    ticket->job = NULL;
    if (answer->reason != NULL || !auth_recheck_holds(exchange)) { /* it may have waited */
        path_fail(exchange, answer->reason != NULL ? answer->reason : "key");
        return;
    }
    if (call_is_active(call)) /* as much at least */
        mirror_delay_note(&path->delays[exchange->route.operation],
                          loop_now_us(path->proxy->loop) - call->asked_us);
    path->answers[ticket->mode]++;
    if (ticket->mode == MIRROR_PATH_HEDGE)
        mirror_compare_take_call(path->compare, exchange, answer);
    reply_mirrored(&exchange->reply, answer->status, answer->body, answer->age_us,
                   answer->is_complete);
}

/* The copy does not answer. What it is not sure of while Chroma answers, it may say when that does
 * not. */
static void path_fail(struct exchange *exchange, const char *reason)
{
    mirror_path_otherwise_fn *otherwise = exchange->mirror.otherwise;
    enum mirror_path_mode     mode = exchange->mirror.mode;

    path_stop(&exchange->mirror);
    path_refuse(path_of(exchange), reason);
    if (otherwise == NULL ||
        (mode == MIRROR_PATH_HEDGE && path_begin(exchange, MIRROR_PATH_FALLBACK, otherwise)))
        return;
    otherwise(exchange);
}

/* Neither waited for nor asked. */
static void path_stop(struct mirror_ticket *ticket)
{
    if (ticket->job != NULL)
        mirror_job_leave(ticket->job);
    ticket->job = NULL;
    ticket->otherwise = NULL;
    if (ticket->timer != NULL)
        loop_timer_clear(ticket->timer);
}

void mirror_path_on_head(struct exchange *exchange, const struct http_head *head)
{
    struct mirror_path *path = path_of(exchange);
    const struct call  *call = &exchange->pass.call;
    bool                is_plain = cache_path_is_plain(exchange->head);
    bool                is_success = head->status >= 200 && head->status <= 299;
    unsigned char       who[MIRROR_TRUST_DIGEST_SIZE];

    if (exchange->mirror.job != NULL && exchange->mirror.mode == MIRROR_PATH_HEDGE)
        mirror_compare_take_job(path->compare, exchange, head);
    path_stop(&exchange->mirror);
    call_note_answer(call, head->status); /* whatever was asked */
    if (path_mode(exchange) == PROXY_MIRROR_OFF || !exchange->route.has_uuid)
        return;
    if (head->status == 401 || head->status == 403)
        path_take_refusal(exchange, is_plain);
    /* With 500 Chroma says that a record is gone (`Error finding id`), which shows a delete. */
    if (is_success || head->status == 500)
        mirror_keeper_note_answer(exchange->proxy->mirror, exchange->route.uuid);
    if (!is_success || !path_is_read(exchange->route.operation))
        return;
    mirror_delay_note(&path->delays[exchange->route.operation],
                      call->first_byte_us - call->asked_us);
    if (path_identify(exchange, is_plain, who))
        mirror_trust_note(path_trust(path), exchange->route.uuid, who,
                          loop_now_us(path->proxy->loop));
}

/* Whom Chroma refuses gets nothing from a copy any more. If that is who shows nothing, the copy is
 * made anew: it is read so. */
static void path_take_refusal(struct exchange *exchange, bool is_plain)
{
    struct mirror_path *path = path_of(exchange);
    unsigned char       who[MIRROR_TRUST_DIGEST_SIZE];

    if (!path_is_read(exchange->route.operation))
        return;
    if (path_identify(exchange, is_plain, who))
        mirror_trust_refuse(path_trust(path), exchange->route.uuid, who);
    if (is_plain)
        mirror_doubt_collection(exchange->proxy->mirror, exchange->route.uuid, MIRROR_REASON_ANSWER,
                                "who shows no credentials was refused");
}

struct answer_sink *mirror_path_sink(struct exchange *exchange, const struct http_head *head)
{
    struct mirror_path *path = path_of(exchange);

    if (path == NULL)
        return NULL;
    return path_is_construct(exchange) ? mirror_construct_sink(exchange, head)
                                       : mirror_compare_sink(path->compare, exchange);
}

void mirror_path_keep(struct exchange *exchange, const struct http_head *head, struct bytes body)
{
    if (path_is_construct(exchange))
        mirror_construct_keep(exchange, head, body);
}

void mirror_path_forget(struct mirror_path *path)
{
    if (path != NULL)
        mirror_construct_forget(path->construct);
}

bool mirror_path_is_asking(const struct mirror_path *path)
{
    return path != NULL && mirror_compare_is_asking(path->compare);
}

struct mirror_compare_stats mirror_path_compared(const struct mirror_path *path)
{
    return mirror_compare_get_stats(path == NULL ? NULL : path->compare);
}

static void path_end(struct mirror_ticket *ticket)
{
    path_stop(ticket);
    loop_timer_free(ticket->timer);
    ticket->timer = NULL;
}

static void path_refuse(struct mirror_path *path, const char *reason)
{
    size_t i = 0;

    while (i < path->refusal_count && strcmp(path->refusals[i].reason, reason) != 0)
        i++;
    if (i == path->refusal_count && i < reasons_max)
        path->refusals[path->refusal_count++] =
            (struct mirror_refusal){.reason = i == reasons_max - 1 ? "others" : reason};
    path->refusals[i < reasons_max ? i : reasons_max - 1].count++;
}

enum status mirror_path_print_metrics(const struct mirror_path *path, struct byte_buffer *out)
{
#define ANSWERS(mode, label)                                                                       \
    METRIC_LABELED(COUNTER, mirror_path, answers[MIRROR_PATH_##mode],                              \
                   "chromabouncer_mirror_answers_total", "mode=\"" label "\"",                     \
                   "Reads that were answered from a copy of their collection, by why.")
    static const struct metric_desc own[] = {
        ANSWERS(FALLBACK, "fallback"),
        ANSWERS(HEDGE, "hedge"),
        ANSWERS(PREFER, "prefer"),
        METRIC(COUNTER, mirror_path, construct_answers,
               "chromabouncer_mirror_construct_answers_total",
               "Questions of clients that were being made, answered while Chroma did not."),
        METRIC(GAUGE, mirror_path, jobs.running, "chromabouncer_mirror_jobs",
               "Reads that are being answered from copies, or wait for a worker."),
    };
#undef ANSWERS
    enum status status;

    if (path == NULL)
        return STATUS_OK;
    status = metric_print(out, own, COUNT_OF(own), path);
    if (status == STATUS_OK)
        status = mirror_compare_print_metrics(path->compare, out);
    if (status == STATUS_OK)
        status = metric_print_header(out, "chromabouncer_mirror_refusals_total", "counter",
                                     "Reads that a copy might have answered and did not, by why.");
    for (size_t i = 0; i < path->refusal_count && status == STATUS_OK; i++)
        status =
            byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                               "chromabouncer_mirror_refusals_total{reason=\"%s\"} %" PRIu64 "\n",
                               path->refusals[i].reason, path->refusals[i].count);
    return status;
}
