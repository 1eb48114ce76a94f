#include "proxy/cache_path.h"

#include <stdlib.h>

#include "base/text.h"
#include "calls/kept_head.h"
#include "calls/learn_sink.h"
#include "chroma/request_identity.h"
#include "proxy/cache_join.h"
#include "proxy/cache_keys.h"
#include "proxy/construct_question.h"
#include "proxy/exchange.h"

struct read_cache {
    struct query_cache        *cache; /* NULL while it is off */
    struct cache_keys         *keys;
    struct cache_join         *join;  /* NULL: no memory */
    struct cache_usage        *usage; /* NULL before it was on, and without memory */
    struct memory_account     *account;
    size_t                     bytes_max;
    struct proxy_cache_options options;
    bool                       is_gateway;
    uint64_t                   bypassed, given_stale;
    struct query_cache_stats   unkept; /* of while it is off: what was joined */
    uint64_t                   flushes;
    cache_path_hit_fn         *on_hit; /* NULL: nobody */
};

static void                    turn_off(struct read_cache *cache);
static void                    turn_on(struct read_cache *cache);
static bool                    is_on(const struct read_cache *cache);
static bool                    joins(const struct read_cache *cache);
static bool                    is_bypass(enum cache_kind kind, uint64_t age_us);
static bool                    has_plain_query(const struct exchange *exchange);
static bool                    wait_for_other_s_turn(struct exchange *exchange);
static bool                    make_open_key(struct exchange *exchange);
static enum query_cache_result find_answer(struct exchange *exchange, uint64_t age_us,
                                           struct query_cache_hit *ret_hit);
static bool                    allows_stale(const struct exchange *exchange);
static enum query_cache_result find_stale(struct exchange *exchange, uint64_t age_us,
                                          struct query_cache_hit *ret_hit);
static struct query_validity   validity_before(const struct exchange *exchange);
static uint64_t              age_limit(const struct read_cache *cache, const struct http_head *head,
                                       uint64_t allowance_us);
static bool                  is_plain_field(const struct http_field *field);
static uint64_t              wanted_age(struct bytes cache_control);
static uint64_t              cache_epoch(const struct proxy *proxy, uint64_t epoch);
static struct query_validity validity_now(const struct exchange *exchange);
static void                  answer(struct exchange *exchange, struct query_cache_hit *hit);
static void                  keep_answer(void *ctx, unsigned status, struct bytes body);
static bool     may_keep(const struct exchange *exchange, struct query_validity *ret_now);
static uint64_t quiet_stamp(struct proxy *proxy, const struct cache_question *question);
static bool     put(struct exchange *exchange, const struct query_validity *now, struct bytes body,
                    uint64_t cost_us);
static const struct query_cache_stats *stats_of(const struct read_cache *cache);
static uint8_t                         collection_number(const struct exchange *exchange);
static void note_use(const struct exchange *exchange, const struct query_cache_hit *hit);

struct read_cache *cache_path_new(const struct proxy_cache_options *options,
                                  struct memory_account *account, struct loop *loop)
{
    struct read_cache *cache;

    if (options->bytes_max == 0)
        return NULL;
    cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache->account = account;
    cache->bytes_max = options->bytes_max;
    cache->keys = cache_keys_new();
    if (cache->keys == NULL) {
        free(cache);
        return NULL;
    }
    cache->join = cache_join_new(loop, cache_keys_secret(cache->keys));
    return cache;
}

void cache_path_free(struct read_cache *cache)
{
    if (cache == NULL)
        return;
    turn_off(cache);
    cache_keys_free(cache->keys);
    cache_join_free(cache->join);
    cache_usage_free(cache->usage);
    free(cache);
}

void cache_path_set(struct read_cache *cache, const struct proxy_cache_options *options,
                    bool is_gateway)
{
    bool is_wanted = options->is_enabled && (is_gateway || options->max_staleness_us > 0);

    if (cache == NULL)
        return;
    if (cache->is_gateway && !is_gateway)
        turn_off(cache);
    cache->options = *options;
    cache->is_gateway = is_gateway;
    if (!is_wanted)
        turn_off(cache);
    else if (cache->cache == NULL)
        turn_on(cache);
}

static void turn_off(struct read_cache *cache)
{
    query_cache_free(cache->cache);
    cache->cache = NULL;
    cache_keys_forget(cache->keys);
}

/* What bodies meant gets a small part of the memory. */
static void turn_on(struct read_cache *cache)
{
    enum { MEANINGS_PART = 64 };
    size_t meanings =
        cache_keys_remember(cache->keys, cache->bytes_max / MEANINGS_PART, cache->account);

    cache->cache =
        query_cache_new(&(struct query_cache_options){.bytes_max = cache->bytes_max,
                                                      .bytes_beside = meanings,
                                                      .object_bytes_max = CACHE_PATH_OBJECT_MAX,
                                                      .services = SERVICES_MAX},
                        cache->account);
    if (cache->cache == NULL)
        cache_keys_forget(cache->keys);
    if (cache->usage == NULL)
        cache->usage = cache_usage_new(cache_keys_secret(cache->keys));
}

static bool is_on(const struct read_cache *cache)
{
    return cache != NULL && cache->cache != NULL;
}

bool cache_path_keeps_answers(const struct read_cache *cache)
{
    return is_on(cache);
}

static bool joins(const struct read_cache *cache)
{
    return cache != NULL && cache->join != NULL && cache->options.is_enabled;
}

bool cache_path_answer(struct exchange *exchange)
{
    struct read_cache      *cache = exchange->proxy->cache;
    struct cache_question  *question = &exchange->question;
    struct query_cache_hit  hit;
    enum query_cache_result result;
    uint64_t                age_us;

    question->asked = (struct query_validity){0};
    question->is_keyed = question->has_ids = false;
    question->kind = is_on(cache) || joins(cache) ? cache_path_kind(exchange) : CACHE_KIND_NONE;
    if (question->kind == CACHE_KIND_NONE)
        return false;
    if (!is_on(cache))
        return wait_for_other_s_turn(exchange);
    age_us = age_limit(cache, exchange->head, 0);
    if (age_us == 0 || !cache_keys_make(cache->keys, exchange)) {
        cache->bypassed += is_bypass(question->kind, age_us);
        exchange->reply.cache_status = is_bypass(question->kind, age_us)
                                           ? "chromabouncer; fwd=bypass"
                                           : "chromabouncer; fwd=miss";
        return false;
    }
    question->asked = validity_now(exchange);
    question->quiet = quiet_stamp(exchange->proxy, question);
    question->is_keyed = true;
    result = find_answer(exchange, age_us, &hit);
    if (result == QUERY_CACHE_HIT) {
        note_use(exchange, &hit);
        answer(exchange, &hit);
        return true;
    }
    note_use(exchange, NULL);
    if (!joins(cache) || !cache_join_wait(cache->join, exchange))
        return false;
    query_cache_note_join(cache->cache, result);
    return true;
}

/* Nothing is kept here. Where nobody waits for a turn nobody has yet to send what this one asks,
 * and its body is not read. */
static bool wait_for_other_s_turn(struct exchange *exchange)
{
    const struct proxy *proxy = exchange->proxy;

    if (turn_queue_stats(proxy->turns)->waiting[TURN_READ] == 0 || !make_open_key(exchange) ||
        !cache_join_wait(proxy->cache->join, exchange))
        return false;
    proxy->cache->unkept.joined++;
    return true;
}

/* Unless the client wants Chroma's own answer. */
static bool make_open_key(struct exchange *exchange)
{
    exchange->question.is_keyed = cache_path_age_wanted(exchange->head) > 0 &&
                                  cache_keys_make(exchange->proxy->cache->keys, exchange);
    return exchange->question.is_keyed;
}

uint64_t cache_path_age_wanted(const struct http_head *head)
{
    uint64_t limit_us = UINT64_MAX;

    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        uint64_t                 field_us = UINT64_MAX;

        if (bytes_equal_nocase(field->name, BYTES_LITERAL("cache-control")))
            field_us = wanted_age(field->value);
        else if (bytes_equal_nocase(field->name, BYTES_LITERAL("pragma")))
            field_us = 0;
        if (field_us < limit_us)
            limit_us = field_us;
    }
    return limit_us;
}

void cache_path_lead(struct exchange *exchange)
{
    struct read_cache *cache = exchange->proxy->cache;
    const struct call *call = &exchange->pass.call;

    if (!joins(cache) || exchange->question.kind == CACHE_KIND_NONE)
        return;
    if (exchange->route.info->is_write) {
        if (exchange->question.is_keyed)
            cache_join_lead(cache->join, exchange);
        return;
    }
    if (!call_is_active(call))
        return;
    if (exchange->proxy->options.sheds && call->transfer == NULL)
        return; /* it may be refused, and who waited for it would wait again */
    if (exchange->question.is_keyed ||
        (!is_on(cache) && call->transfer == NULL && make_open_key(exchange)))
        cache_join_lead(cache->join, exchange);
}

void cache_path_leave(struct exchange *exchange)
{
    cache_join_leave(exchange);
}

/* Of a collection that is not known yet the first answer teaches which one it is. */
static bool is_bypass(enum cache_kind kind, uint64_t age_us)
{
    return age_us == 0 || kind != CACHE_KIND_DESCRIPTION;
}

enum cache_kind cache_path_kind(const struct exchange *exchange)
{
    enum chroma_operation operation = exchange->route.operation;

    if (exchange->route.is_v1 || exchange->head->is_head || !exchange->body_ended ||
        exchange->pass.is_streaming || !has_plain_query(exchange))
        return CACHE_KIND_NONE;
    if (operation == CHROMA_OPERATION_QUERY || operation == CHROMA_OPERATION_GET ||
        operation == CHROMA_OPERATION_COUNT)
        return CACHE_KIND_RECORDS;
    return construct_question_kind(exchange);
}

/* The newest clients state the level of reading that is the default. */
static bool has_plain_query(const struct exchange *exchange)
{
    struct bytes query = exchange->head->query;

    return query.size == 0 ? exchange->head->target.size == exchange->head->path.size
                           : exchange->route.operation == CHROMA_OPERATION_COUNT &&
                                 bytes_equal(query, BYTES_LITERAL("read_level=index_and_wal"));
}

static enum query_cache_result find_answer(struct exchange *exchange, uint64_t age_us,
                                           struct query_cache_hit *ret_hit)
{
    struct read_cache      *cache = exchange->proxy->cache;
    struct cache_question  *question = &exchange->question;
    enum query_cache_result result;

    exchange->reply.cache_status = "chromabouncer; fwd=miss";
    if (allows_stale(exchange))
        return find_stale(exchange, age_us, ret_hit);
    result = query_cache_find(cache->cache, &question->key, &question->asked, age_us,
                              loop_now_us(exchange->proxy->loop), ret_hit);
    if (result == QUERY_CACHE_HIT)
        exchange->reply.cache_status = "chromabouncer; hit";
    return result;
}

static bool allows_stale(const struct exchange *exchange)
{
    const struct read_cache *cache = exchange->proxy->cache;

    return cache->options.stale_if_error_us > 0 && !cache->is_gateway &&
           exchange->question.kind == CACHE_KIND_RECORDS;
}

/* What was kept before Chroma was lost counts while it is down, if nothing was sent since. Whether
 * it is down the next one to ask may know. */
static enum query_cache_result find_stale(struct exchange *exchange, uint64_t age_us,
                                          struct query_cache_hit *ret_hit)
{
    struct read_cache      *cache = exchange->proxy->cache;
    struct cache_question  *question = &exchange->question;
    struct query_validity   before = validity_before(exchange);
    bool                    is_lost = query_cache_holds(cache->cache, &question->key, &before);
    uint64_t                limit_us = age_us;
    enum query_cache_result result;

    if (upstream_pool_problem(exchange->proxy->pool)[0] != '\0' ||
        call_has_hung_read(exchange->proxy))
        limit_us = age_limit(cache, exchange->head, cache->options.stale_if_error_us);
    else if (is_lost)
        return query_cache_pass_over(cache->cache);
    result = query_cache_find(cache->cache, &question->key, is_lost ? &before : &question->asked,
                              limit_us, loop_now_us(exchange->proxy->loop), ret_hit);
    if (result != QUERY_CACHE_HIT)
        return result;
    exchange->reply.cache_status = "chromabouncer; hit";
    if (is_lost || ret_hit->age_us > age_us) {
        exchange->reply.cache_status = "chromabouncer; hit; detail=stale-if-error";
        cache->given_stale++;
    }
    return result;
}

static struct query_validity validity_before(const struct exchange *exchange)
{
    const struct proxy      *proxy = exchange->proxy;
    uint64_t                 now_us = loop_now_us(proxy->loop);
    struct collection_former former = collection_table_former(
        proxy->collections, exchange->route.uuid,
        exchange->question.has_ids ? &exchange->question.ids : NULL, now_us);

    return (struct query_validity){.stamp = former.stamp,
                                   .epoch = cache_epoch(proxy, former.epoch),
                                   .incarnation = former.incarnation};
}

/* How old an answer may be, with an allowance where others write. 0: it must be asked for. */
static uint64_t age_limit(const struct read_cache *cache, const struct http_head *head,
                          uint64_t allowance_us)
{
    uint64_t limit_us = cache->is_gateway ? UINT64_MAX : cache->options.max_staleness_us;

    if (cache->options.max_staleness_us > 0 && cache->options.max_staleness_us < limit_us)
        limit_us = cache->options.max_staleness_us;
    if (!cache->is_gateway)
        limit_us += allowance_us;
    if (cache_path_age_wanted(head) < limit_us)
        limit_us = cache_path_age_wanted(head);
    if (!cache_path_is_plain(head) && cache->options.trust_us < limit_us)
        limit_us = cache->options.trust_us;
    return limit_us;
}

/* But for what says how old an answer may be. */
bool cache_path_is_plain(const struct http_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];

        if (!field->hop_by_hop && !is_plain_field(field) && !request_identity_is_of_age(field))
            return false;
    }
    return true;
}

/* Does this field say nothing that an authenticating proxy might go by? */
static bool is_plain_field(const struct http_field *field)
{
    return field->id == HTTP_FIELD_HOST || field->id == HTTP_FIELD_CONTENT_TYPE ||
           request_identity_is_ignored(field);
}

/* Of one directive `max-age`; all others and lists of them are too rare to be taken apart: they ask
 * for an answer of Chroma. */
static uint64_t wanted_age(struct bytes cache_control)
{
    const struct bytes max_age = BYTES_LITERAL("max-age=");
    uint64_t           seconds;

    if (cache_control.size < max_age.size ||
        !bytes_equal_nocase((struct bytes){cache_control.data, max_age.size}, max_age) ||
        !text_to_number(bytes_skip(cache_control, max_age.size), &seconds) || seconds > 1U << 30)
        return 0;
    return seconds * 1000000;
}

/* What was kept before a flush has another one. */
static uint64_t cache_epoch(const struct proxy *proxy, uint64_t epoch)
{
    return epoch + proxy->cache->flushes;
}

static struct query_validity validity_now(const struct exchange *exchange)
{
    return cache_path_validity(exchange->proxy, &exchange->question);
}

struct query_validity cache_path_validity(struct proxy                *proxy,
                                          const struct cache_question *question)
{
    uint64_t now_us = loop_now_us(proxy->loop);

    return (struct query_validity){
        .stamp = question->kind == CACHE_KIND_RECORDS
                     ? collection_table_stamp_of(proxy->collections, question->key.collection,
                                                 question->has_ids ? &question->ids : NULL, now_us)
                     : construct_question_stamp(proxy, question),
        .epoch = cache_epoch(proxy, collection_table_epoch(proxy->collections)),
        .incarnation = collection_table_incarnation(proxy->collections)};
}

static void answer(struct exchange *exchange, struct query_cache_hit *hit)
{
    if (exchange->proxy->cache->on_hit != NULL)
        exchange->proxy->cache->on_hit(exchange, hit);
    reply_hit(&exchange->reply, kept_head(hit->head), hit);
}

struct answer_sink *cache_path_sink(struct exchange *exchange, const struct http_head *head)
{
    struct query_validity now;
    struct answer_sink   *sink;
    bool                  keeps = may_keep(exchange, &now);

    if (!keeps && exchange->question.join == NULL)
        return NULL;
    if (!kept_head_find(head, CACHE_PATH_OBJECT_MAX, &exchange->question.head)) {
        if (exchange->question.join != NULL)
            cache_join_refuse(exchange->question.join, exchange);
        return NULL;
    }
    if (!cache_join_is_awaited(exchange) && !keeps)
        return NULL;
    sink = learn_sink_new(&exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                          CACHE_PATH_OBJECT_MAX, keep_answer, exchange);
    if (sink != NULL && keeps)
        exchange->reply.cache_status = "chromabouncer; fwd=miss; stored";
    return sink;
}

/* The answer is complete, before its last byte goes on. */
static void keep_answer(void *ctx, unsigned status, struct bytes body)
{
    struct exchange      *exchange = ctx;
    const struct call    *call = &exchange->pass.call;
    struct query_validity now;

    (void)status;
    if (may_keep(exchange, &now))
        (void)put(exchange, &now, body, call->first_byte_us - call->connected_us);
    cache_join_answer(exchange, kept_head(exchange->question.head), body);
}

void cache_path_keep(struct exchange *exchange, const struct http_head *head, struct bytes body)
{
    const struct access_record *record = &exchange->record;
    struct query_validity       now;

    if (may_keep(exchange, &now) && body.size <= CACHE_PATH_OBJECT_MAX &&
        kept_head_find(head, CACHE_PATH_OBJECT_MAX, &exchange->question.head) &&
        put(exchange, &now, body, record->first_byte_us - record->connected_us)) {
        exchange->reply.cache_status = "chromabouncer; fwd=miss; stored";
        cache_join_answer(exchange, kept_head(exchange->question.head), body);
    } else if (exchange->question.join != NULL) {
        cache_join_refuse(exchange->question.join, exchange);
    }
}

/* Has nothing come that may have changed the answer? */
static bool may_keep(const struct exchange *exchange, struct query_validity *ret_now)
{
    if (exchange->question.asked.stamp == 0 || !is_on(exchange->proxy->cache) ||
        (exchange->question.kind != CACHE_KIND_RECORDS && !exchange->proxy->is_gateway))
        return false;
    *ret_now = validity_now(exchange);
    return query_validity_holds(&exchange->question.asked, ret_now) &&
           cache_path_is_undisturbed(exchange->proxy, &exchange->question);
}

bool cache_path_is_undisturbed(struct proxy *proxy, const struct cache_question *question)
{
    return question->quiet != 0 && question->quiet == quiet_stamp(proxy, question);
}

static uint64_t quiet_stamp(struct proxy *proxy, const struct cache_question *question)
{
    return question->has_ids ? collection_table_stamp(proxy->collections, question->key.collection,
                                                      loop_now_us(proxy->loop))
                             : 1;
}

static bool put(struct exchange *exchange, const struct query_validity *now, struct bytes body,
                uint64_t cost_us)
{
    const struct cache_question    *question = &exchange->question;
    const struct query_cache_answer answer = {.body = body,
                                              .cost_us = cost_us,
                                              .service = exchange->service.service,
                                              .head = question->head,
                                              .collection = collection_number(exchange)};

    return construct_question_learn(exchange, body) &&
           query_cache_put(exchange->proxy->cache->cache, &question->key, now, &answer,
                           loop_now_us(exchange->proxy->loop)) == STATUS_OK;
}

enum status cache_path_print_metrics(const struct read_cache *cache, struct byte_buffer *out)
{
    static const struct metric_desc own[] = {
        METRIC(COUNTER, read_cache, bypassed, "chromabouncer_cache_bypassed_total",
               "Reads whose answer was not looked for: the client wants Chroma's, or their body is "
               "not understood."),
        METRIC(COUNTER, read_cache, given_stale, "chromabouncer_cache_stale_if_error_total",
               "Answers that were given while Chroma was down and that would not have been else "
               "(cache.stale_if_error).")};
    enum status status;

    if (cache == NULL)
        return STATUS_OK;
    status = metric_print(out, query_cache_metrics, query_cache_metric_count, stats_of(cache));
    return status == STATUS_OK ? metric_print(out, own, COUNT_OF(own), cache) : status;
}

static const struct query_cache_stats *stats_of(const struct read_cache *cache)
{
    return is_on(cache) ? query_cache_get_stats(cache->cache) : &cache->unkept;
}

/* Under which number the cache keeps answers of the question's collection. */
static uint8_t collection_number(const struct exchange *exchange)
{
    const struct read_cache *cache = exchange->proxy->cache;

    return cache->usage == NULL ? CACHE_USAGE_OTHERS
                                : cache_usage_collection(cache->usage, cache->cache,
                                                         exchange->question.key.collection);
}

static void note_use(const struct exchange *exchange, const struct query_cache_hit *hit)
{
    const char *service = exchange->record.service;

    if (exchange->proxy->cache->usage != NULL)
        cache_usage_note(exchange->proxy->cache->usage, collection_number(exchange),
                         exchange->service.service,
                         service == NULL ? PROXY_SERVICE_DEFAULT : service, hit);
}

void cache_path_read_state(const struct read_cache *cache, struct cache_path_state *ret_state)
{
    *ret_state = (struct cache_path_state){0};
    if (cache == NULL)
        return;
    *ret_state = (struct cache_path_state){.answers = cache->cache,
                                           .stats = stats_of(cache),
                                           .usage = cache->usage,
                                           .bytes_max = cache->bytes_max};
}

void cache_path_on_hit(struct read_cache *cache, cache_path_hit_fn *fn)
{
    if (cache != NULL)
        cache->on_hit = fn;
}

void cache_path_flush(struct read_cache *cache)
{
    if (!is_on(cache))
        return;
    cache->flushes++; /* what is under way is not kept either */
    query_cache_clear(cache->cache);
}

void cache_path_flush_collection(struct read_cache *cache, const uint8_t uuid[16])
{
    if (is_on(cache))
        query_cache_drop_collection(cache->cache, uuid);
}
