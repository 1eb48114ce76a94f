#include "proxy/cache_path.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/text.h"
#include "chroma/chroma_query.h"
#include "chroma/request_identity.h"
#include "proxy/construct_question.h"
#include "proxy/exchange.h"
#include "proxy/learn_sink.h"

_Static_assert((int)REQUEST_IDENTITY_KEY_SIZE == (int)KEYED_DIGEST_KEY_SIZE, "two such keys");

/* So long a write of a process that was killed takes at most, unless Chroma's database is locked.
 */
static const uint64_t settle_us = 10000000;

/* What is digested under one key is never what is digested under another. */
enum digest_key { DIGEST_KEY_QUERY, DIGEST_KEY_IDENTITY, DIGEST_KEY_CONSTRUCT };

struct read_cache {
    struct query_cache        *cache; /* NULL while it is off */
    struct memory_account     *account;
    size_t                     bytes_max;
    struct proxy_cache_options options;
    bool                       is_gateway;
    uint64_t                   settled_us; /* what was kept before is not answered afterwards */
    struct byte_buffer         scratch;
    uint64_t                   bypassed;
    unsigned char              keys[3][KEYED_DIGEST_KEY_SIZE]; /* random, enum digest_key */
};

static bool            is_on(const struct read_cache *cache);
static bool            is_bypass(enum cache_kind kind, uint64_t age_us);
static enum cache_kind kind_of(const struct exchange *exchange);
static bool            has_plain_query(const struct exchange *exchange);
static bool     make_question_key(struct exchange *exchange, struct query_cache_key *ret_key);
static bool     read_query(const struct exchange *exchange, struct query_cache_key *ret_key);
static uint64_t age_limit(const struct read_cache *cache, const struct http_head *head);
static bool     is_plain_field(const struct http_field *field);
static uint64_t wanted_age(struct bytes cache_control);
static struct query_validity validity_now(const struct exchange *exchange);
static void                  answer(struct exchange *exchange, struct query_cache_hit *hit);
static bool                  is_plain_answer(const struct http_head *head, uint8_t *ret_kept);
static bool                  is_plain_answer_field(const struct http_field *field);
static bool                  is_vary_by_origin(const struct http_field *field);
static void                  keep_answer(void *ctx, unsigned status, struct bytes body);
static bool may_keep(const struct exchange *exchange, struct query_validity *ret_now);
static bool put(struct exchange *exchange, const struct query_validity *now, struct bytes body,
                uint64_t cost_us);

/* What Chroma says of every answer; nothing else is kept of a head. Some servers in Python say each
 * time that the answer depends on the request's Origin. That is part of the identity. */
enum kept_head { KEPT_HEAD_PLAIN, KEPT_HEAD_BY_ORIGIN, KEPT_HEAD_COUNT };
static const struct http_head kept_heads[KEPT_HEAD_COUNT] = {
#define KEPT_HEAD(count)                                                                           \
    {                                                                                              \
        .status = 200, .reason = BYTES_INIT("OK"), .minor_version = 1,                             \
        .framing = HTTP_FRAMING_LENGTH, .field_count = (count), .fields = {                        \
            {.name = BYTES_INIT("content-type"),                                                   \
             .value = BYTES_INIT("application/json"),                                              \
             .id = HTTP_FIELD_CONTENT_TYPE},                                                       \
            {.name = BYTES_INIT("vary"), .value = BYTES_INIT("Origin")}                            \
        }                                                                                          \
    }
    [KEPT_HEAD_PLAIN] = KEPT_HEAD(1),
    [KEPT_HEAD_BY_ORIGIN] = KEPT_HEAD(2),
#undef KEPT_HEAD
};

struct read_cache *cache_path_new(const struct proxy_cache_options *options,
                                  struct memory_account *account, uint64_t now_us)
{
    struct read_cache *cache;

    if (options->bytes_max == 0)
        return NULL;
    cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache->account = account;
    cache->bytes_max = options->bytes_max;
    cache->settled_us = now_us + settle_us;
    /* Keys that could be guessed are no keys: rather no cache. */
    if (getrandom(cache->keys, sizeof cache->keys, GRND_NONBLOCK) != (ssize_t)sizeof cache->keys) {
        free(cache);
        return NULL;
    }
    return cache;
}

void cache_path_free(struct read_cache *cache)
{
    if (cache == NULL)
        return;
    query_cache_free(cache->cache);
    byte_buffer_done(&cache->scratch);
    free(cache);
}

void cache_path_set(struct read_cache *cache, const struct proxy_cache_options *options,
                    bool is_gateway)
{
    struct query_cache_options sizes = {.object_bytes_max = CACHE_PATH_OBJECT_MAX};
    bool is_wanted = options->is_enabled && (is_gateway || options->max_staleness_us > 0);

    if (cache == NULL)
        return;
    if (cache->is_gateway && !is_gateway) {
        query_cache_free(cache->cache);
        cache->cache = NULL;
    }
    cache->options = *options;
    cache->is_gateway = is_gateway;
    sizes.bytes_max = cache->bytes_max;
    if (!is_wanted) {
        query_cache_free(cache->cache);
        cache->cache = NULL;
    } else if (cache->cache == NULL) {
        cache->cache = query_cache_new(&sizes, cache->account);
    }
}

static bool is_on(const struct read_cache *cache)
{
    return cache != NULL && cache->cache != NULL;
}

bool cache_path_keeps_answers(const struct read_cache *cache)
{
    return is_on(cache);
}

bool cache_path_answer(struct exchange *exchange)
{
    struct read_cache     *cache = exchange->proxy->cache;
    struct cache_question *question = &exchange->question;
    struct query_cache_hit hit;
    uint64_t               age_us;

    question->asked = (struct query_validity){0};
    question->kind = is_on(cache) ? kind_of(exchange) : CACHE_KIND_NONE;
    if (question->kind == CACHE_KIND_NONE)
        return false;
    age_us = age_limit(cache, exchange->head);
    if (age_us == 0 || !make_question_key(exchange, &question->key)) {
        cache->bypassed += is_bypass(question->kind, age_us);
        exchange->reply.cache_status = is_bypass(question->kind, age_us)
                                           ? "chromabouncer; fwd=bypass"
                                           : "chromabouncer; fwd=miss";
        return false;
    }
    question->asked = validity_now(exchange);
    exchange->reply.cache_status = "chromabouncer; fwd=miss";
    if (query_cache_find(cache->cache, &question->key, &question->asked, age_us,
                         loop_now_us(exchange->proxy->loop), &hit) != QUERY_CACHE_HIT)
        return false;
    answer(exchange, &hit);
    return true;
}

/* Of a collection that is not known yet the first answer teaches which one it is. */
static bool is_bypass(enum cache_kind kind, uint64_t age_us)
{
    return age_us == 0 || kind != CACHE_KIND_DESCRIPTION;
}

static enum cache_kind kind_of(const struct exchange *exchange)
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

static bool make_question_key(struct exchange *exchange, struct query_cache_key *ret_key)
{
    struct read_cache *cache = exchange->proxy->cache;

    if (exchange->question.kind == CACHE_KIND_RECORDS
            ? !read_query(exchange, ret_key)
            : !construct_question_read(exchange, cache->keys[DIGEST_KEY_CONSTRUCT], &cache->scratch,
                                       ret_key))
        return false;
    byte_buffer_clear(&cache->scratch);
    if (request_identity_write(exchange->head, &cache->scratch) != STATUS_OK)
        return false;
    request_identity_digest(byte_buffer_bytes(&cache->scratch), cache->keys[DIGEST_KEY_IDENTITY],
                            ret_key->identity);
    return true;
}

static bool read_query(const struct exchange *exchange, struct query_cache_key *ret_key)
{
    const struct chroma_family_info *family = chroma_family_info(exchange->proxy->family);
    struct chroma_query              query;
    const char                      *reason;

    if (chroma_query_read(
            &exchange->route, family->null_is_default, byte_buffer_bytes(&exchange->body),
            exchange->proxy->cache->keys[DIGEST_KEY_QUERY], &query, &reason) != STATUS_OK)
        return false;
    memcpy(ret_key->collection, exchange->route.uuid, sizeof ret_key->collection);
    memcpy(ret_key->digest, query.digest, sizeof ret_key->digest);
    return true;
}

/* How old an answer may be. 0: it must be asked for. */
static uint64_t age_limit(const struct read_cache *cache, const struct http_head *head)
{
    uint64_t limit_us = cache->is_gateway ? UINT64_MAX : cache->options.max_staleness_us;

    if (cache->options.max_staleness_us > 0 && cache->options.max_staleness_us < limit_us)
        limit_us = cache->options.max_staleness_us;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        uint64_t                 field_us = UINT64_MAX;

        if (bytes_equal_nocase(field->name, BYTES_LITERAL("cache-control")))
            field_us = wanted_age(field->value);
        else if (bytes_equal_nocase(field->name, BYTES_LITERAL("pragma")))
            field_us = 0;
        else if (!field->hop_by_hop && !is_plain_field(field))
            field_us = cache->options.trust_us;
        if (field_us < limit_us)
            limit_us = field_us;
    }
    return limit_us;
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

    if (!bytes_begin_with(cache_control, max_age) ||
        !text_to_number(bytes_skip(cache_control, max_age.size), &seconds) || seconds > 1U << 30)
        return 0;
    return seconds * 1000000;
}

static struct query_validity validity_now(const struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    uint64_t      now_us = loop_now_us(proxy->loop);

    return (struct query_validity){
        .stamp = exchange->question.kind == CACHE_KIND_RECORDS
                     ? collection_table_stamp(proxy->collections, exchange->route.uuid, now_us)
                     : construct_question_stamp(exchange),
        .epoch =
            2 * collection_table_epoch(proxy->collections) + (now_us >= proxy->cache->settled_us),
        .incarnation = collection_table_incarnation(proxy->collections)};
}

static void answer(struct exchange *exchange, struct query_cache_hit *hit)
{
    exchange->reply.cache_status = "chromabouncer; hit";
    reply_hit(&exchange->reply, &kept_heads[hit->head], hit);
}

struct answer_sink *cache_path_sink(struct exchange *exchange, const struct http_head *head)
{
    struct query_validity now;
    struct answer_sink   *sink;

    if (!may_keep(exchange, &now) || !is_plain_answer(head, &exchange->question.head))
        return NULL;
    sink = learn_sink_new(&exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                          CACHE_PATH_OBJECT_MAX, keep_answer, exchange);
    if (sink != NULL)
        exchange->reply.cache_status = "chromabouncer; fwd=miss; stored";
    return sink;
}

/* A 200 of a length that is known, with nothing in its head but what Chroma says every time: what
 * is in front of it may have put in what is for this client only. */
static bool is_plain_answer(const struct http_head *head, uint8_t *ret_kept)
{
    const struct http_field *type = http_head_find(head, HTTP_FIELD_CONTENT_TYPE);

    if (head->status != 200 || head->framing != HTTP_FRAMING_LENGTH ||
        head->content_length > CACHE_PATH_OBJECT_MAX || type == NULL ||
        !bytes_equal(type->value, kept_heads[0].fields[0].value))
        return false;
    *ret_kept = KEPT_HEAD_PLAIN;
    for (size_t i = 0; i < head->field_count; i++) {
        if (is_vary_by_origin(&head->fields[i]))
            *ret_kept = KEPT_HEAD_BY_ORIGIN;
        else if (!is_plain_answer_field(&head->fields[i]))
            return false;
    }
    return true;
}

static bool is_plain_answer_field(const struct http_field *field)
{
    static const struct bytes others[] = {BYTES_INIT("server"), BYTES_INIT("chroma-trace-id"),
                                          BYTES_INIT("cache-status"), BYTES_INIT("server-timing"),
                                          BYTES_INIT("x-chromabouncer-source")};

    if (field->hop_by_hop || field->id == HTTP_FIELD_CONTENT_TYPE || field->id == HTTP_FIELD_DATE ||
        field->id == HTTP_FIELD_VIA)
        return true;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (bytes_equal_nocase(field->name, others[i]))
            return true;
    return false;
}

static bool is_vary_by_origin(const struct http_field *field)
{
    return bytes_equal_nocase(field->name, BYTES_LITERAL("vary")) &&
           bytes_equal_nocase(field->value, BYTES_LITERAL("Origin"));
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
}

void cache_path_keep(struct exchange *exchange, const struct http_head *head, struct bytes body)
{
    const struct access_record *record = &exchange->record;
    struct query_validity       now;

    if (!may_keep(exchange, &now) || body.size > CACHE_PATH_OBJECT_MAX ||
        !is_plain_answer(head, &exchange->question.head) ||
        !put(exchange, &now, body, record->first_byte_us - record->connected_us))
        return;
    exchange->reply.cache_status = "chromabouncer; fwd=miss; stored";
}

/* Has nothing come that may have changed the answer? */
static bool may_keep(const struct exchange *exchange, struct query_validity *ret_now)
{
    if (exchange->question.asked.stamp == 0 || !is_on(exchange->proxy->cache) ||
        (exchange->question.kind != CACHE_KIND_RECORDS && !exchange->proxy->is_gateway))
        return false;
    *ret_now = validity_now(exchange);
    return query_validity_holds(&exchange->question.asked, ret_now);
}

static bool put(struct exchange *exchange, const struct query_validity *now, struct bytes body,
                uint64_t cost_us)
{
    const struct cache_question    *question = &exchange->question;
    const struct query_cache_answer answer = {
        .body = body, .cost_us = cost_us, .head = question->head};

    return construct_question_learn(exchange, body) &&
           query_cache_put(exchange->proxy->cache->cache, &question->key, now, &answer,
                           loop_now_us(exchange->proxy->loop)) == STATUS_OK;
}

enum status cache_path_print_metrics(const struct read_cache *cache, struct byte_buffer *out)
{
    static const struct metric_desc bypassed[] = {
        METRIC(COUNTER, read_cache, bypassed, "chromabouncer_cache_bypassed_total",
               "Reads whose answer was not looked for: the client wants Chroma's, or their body is "
               "not understood.")};
    enum status status;

    if (!is_on(cache))
        return STATUS_OK;
    status = metric_print(out, query_cache_metrics, query_cache_metric_count,
                          query_cache_get_stats(cache->cache));
    return status == STATUS_OK ? metric_print(out, bypassed, 1, cache) : status;
}
