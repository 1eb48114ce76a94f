#include "proxy/mirror_construct.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "calls/kept_head.h"
#include "calls/learn_sink.h"
#include "chroma/request_identity.h"
#include "chroma/write_observer.h"
#include "copies/mirror_describe.h"
#include "copies/mirror_keeper.h"
#include "proxy/construct_question.h"
#include "proxy/exchange.h"

/* What writes have ended is asked for anew when they are over, but no more often than this. */
static const uint64_t renew_us = 250000;

/* What is digested under one key is never what is digested under another. */
enum { KEY_QUESTION, KEY_IDENTITY, KEY_COUNT };

struct mirror_construct {
    struct proxy           *proxy;
    struct construct_store *store;
    struct write_observer   observer;
    struct byte_buffer      scratch;
    unsigned char           keys[KEY_COUNT][REQUEST_IDENTITY_KEY_SIZE]; /* random */

    /* What a write has ended. */
    struct mirror_describe *describe;
    struct loop_timer      *timer; /* to ask for it anew */
    bool                    is_timer_set, may_be_void;
    uint64_t                renews_us; /* not before */
    uint8_t                 uuid[16];  /* that is asked for, or was last; */
    uint64_t                stamp, reached, distrusts;
};

static enum cache_kind construct_kind(const struct exchange *exchange);
static bool construct_identify(struct mirror_construct *construct, const struct exchange *exchange,
                               struct query_cache_key *ret_key);
static uint64_t construct_stamp(const struct exchange *exchange);
static void construct_take_refusal(const struct exchange *exchange, const struct http_head *head);
static bool construct_may_keep(const struct exchange *exchange);
static void construct_on_answer(void *ctx, unsigned status, struct bytes body);
static void construct_on_sent(struct write_observer *observer, struct write_notice *notice,
                              uint64_t now_us);
static void construct_on_known(struct write_observer *observer, struct write_notice *notice,
                               enum write_outcome outcome, struct bytes answer, uint64_t now_us);
static bool construct_is_of_records(const struct write_notice *notice);
static void construct_note_change(struct mirror_construct   *construct,
                                  const struct write_notice *notice);
static void construct_void(struct mirror_construct *construct, const uint8_t uuid[16]);
static void construct_set_timer(struct mirror_construct *construct);
static void construct_on_timer(void *ctx);
static void construct_on_described(void *ctx, struct bytes body);
static uint64_t construct_stamp_of(const struct mirror_construct *construct);

struct mirror_construct *mirror_construct_new(struct proxy *proxy)
{
    struct mirror_construct *construct = calloc(1, sizeof *construct);

    if (construct == NULL)
        return NULL;
    construct->proxy = proxy;
    construct->observer =
        (struct write_observer){.on_sent = construct_on_sent, .on_known = construct_on_known};
    list_node_init(&construct->observer.node);
    construct->store =
        construct_store_new(proxy->secret, &proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR]);
    construct->describe = mirror_describe_new(proxy, construct_on_described, construct);
    construct->timer = loop_timer_new(proxy->loop, construct_on_timer, construct);
    if (construct->store == NULL || construct->describe == NULL || construct->timer == NULL ||
        getrandom(construct->keys, sizeof construct->keys, GRND_NONBLOCK) !=
            (ssize_t)sizeof construct->keys) {
        mirror_construct_free(construct);
        return NULL;
    }
    write_observer_add(&proxy->observers, &construct->observer);
    return construct;
}

void mirror_construct_free(struct mirror_construct *construct)
{
    if (construct == NULL)
        return;
    write_observer_remove(&construct->observer);
    mirror_describe_free(construct->describe);
    loop_timer_free(construct->timer);
    construct_store_free(construct->store);
    byte_buffer_done(&construct->scratch);
    free(construct);
}

bool mirror_construct_ask(struct mirror_construct *construct, struct exchange *exchange)
{
    struct mirror_asked *asked = &exchange->mirror.asked;

    *asked = (struct mirror_asked){.construct = construct, .kind = construct_kind(exchange)};
    if (asked->kind == CACHE_KIND_NONE)
        return false;
    if (!construct_question_digest(exchange, construct->keys[KEY_QUESTION], &construct->scratch,
                                   asked->key.digest) ||
        !construct_identify(construct, exchange, &asked->key)) {
        asked->kind = CACHE_KIND_NONE;
        return false;
    }
    if (asked->kind == CACHE_KIND_FIXED ||
        construct_question_find_collection(exchange, asked->key.collection))
        asked->stamp = construct_stamp(exchange);
    asked->reached = construct->proxy->reached;
    asked->distrusts = construct->proxy->distrusts;
    return true;
}

/* Of a complete request of version 2 that says no more than its path and body. */
static enum cache_kind construct_kind(const struct exchange *exchange)
{
    const struct http_head *head = exchange->head;

    return exchange->route.is_v1 || head->is_head || !exchange->body_ended ||
                   exchange->pass.is_streaming || head->target.size != head->path.size
               ? CACHE_KIND_NONE
               : construct_question_shape(exchange);
}

static bool construct_identify(struct mirror_construct *construct, const struct exchange *exchange,
                               struct query_cache_key *ret_key)
{
    byte_buffer_clear(&construct->scratch);
    if (request_identity_write(exchange->head, &construct->scratch) != STATUS_OK)
        return false;
    request_identity_digest(byte_buffer_bytes(&construct->scratch), construct->keys[KEY_IDENTITY],
                            ret_key->identity);
    return true;
}

static uint64_t construct_stamp(const struct exchange *exchange)
{
    const struct mirror_asked  *asked = &exchange->mirror.asked;
    const struct cache_question question = {.kind = asked->kind, .key = asked->key};

    return construct_question_stamp(exchange->proxy, &question);
}

const struct construct_answer *mirror_construct_find(const struct mirror_construct *construct,
                                                     const struct exchange         *exchange)
{
    const struct construct_answer *answer =
        construct_store_find(construct->store, &exchange->mirror.asked.key);

    return answer != NULL && answer->reached == construct->proxy->reached &&
                   answer->distrusts == construct->proxy->distrusts
               ? answer
               : NULL;
}

struct answer_sink *mirror_construct_sink(struct exchange *exchange, const struct http_head *head)
{
    uint8_t number;

    construct_take_refusal(exchange, head);
    if (!construct_may_keep(exchange) || !kept_head_find(head, CONSTRUCT_STORE_BODY_MAX, &number))
        return NULL;
    return learn_sink_new(&exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                          CONSTRUCT_STORE_BODY_MAX, construct_on_answer, exchange);
}

/* Whom Chroma, or what stands before it, refuses is told nothing until he is served again. */
static void construct_take_refusal(const struct exchange *exchange, const struct http_head *head)
{
    const struct mirror_asked *asked = &exchange->mirror.asked;

    if (head->status == 401 || head->status == 403)
        construct_store_forget_identity(asked->construct->store, asked->key.identity);
}

/* Has nothing come that may have changed it, and is it still the same Chroma? */
static bool construct_may_keep(const struct exchange *exchange)
{
    const struct mirror_asked *asked = &exchange->mirror.asked;
    const struct proxy        *proxy = exchange->proxy;

    return asked->kind != CACHE_KIND_NONE && asked->stamp != 0 && !proxy->is_lost &&
           asked->reached == proxy->reached && mirror_keeper_obstacle(proxy->mirror) == NULL &&
           asked->stamp == construct_stamp(exchange);
}

static void construct_on_answer(void *ctx, unsigned status, struct bytes body)
{
    struct exchange           *exchange = ctx;
    struct proxy              *proxy = exchange->proxy;
    const struct mirror_asked *asked = &exchange->mirror.asked;

    (void)status;
    if (!construct_may_keep(exchange) ||
        (asked->kind == CACHE_KIND_DESCRIPTION &&
         !collection_table_describe(proxy->collections, asked->key.collection, body)))
        return;
    construct_store_put(asked->construct->store,
                        &(struct construct_answer){.key = asked->key,
                                                   .kind = asked->kind,
                                                   .noted_us = loop_now_us(proxy->loop),
                                                   .reached = asked->reached,
                                                   .distrusts = asked->distrusts,
                                                   .body = body});
}

void mirror_construct_keep(struct exchange *exchange, const struct http_head *head,
                           struct bytes body)
{
    uint8_t number;

    construct_take_refusal(exchange, head);
    if (kept_head_find(head, CONSTRUCT_STORE_BODY_MAX, &number))
        construct_on_answer(exchange, head->status, body);
}

static void construct_on_sent(struct write_observer *observer, struct write_notice *notice,
                              uint64_t now_us)
{
    (void)now_us;
    construct_note_change(CONTAINER_OF(observer, struct mirror_construct, observer), notice);
}

/* It may have met more than it was meant to. */
static void construct_on_known(struct write_observer *observer, struct write_notice *notice,
                               enum write_outcome outcome, struct bytes answer, uint64_t now_us)
{
    struct mirror_construct *construct = CONTAINER_OF(observer, struct mirror_construct, observer);

    (void)answer;
    (void)now_us;
    if (outcome != WRITE_OUTCOME_REFUSED)
        construct_note_change(construct, notice);
    else if (notice->is_unsent && construct_is_of_records(notice))
        construct_store_take_back(construct->store, notice->change.uuid);
    construct_set_timer(construct);
}

/* What the description of a collection follows from. A refusal may have given it its dimension. */
static bool construct_is_of_records(const struct write_notice *notice)
{
    return notice->change.reach == CHROMA_REACH_RECORDS && notice->change.has_uuid &&
           !notice->leaves_description;
}

/* What is created, of whatever outcome, changes nothing that is there. */
static void construct_note_change(struct mirror_construct   *construct,
                                  const struct write_notice *notice)
{
    const struct write_change *change = &notice->change;

    if (change->reach == CHROMA_REACH_NOTHING || notice->route->info->reach == CHROMA_REACH_NAMES)
        return;
    if (change->reach == CHROMA_REACH_TENANTS) {
        construct_store_forget_fixed(construct->store);
    } else if ((change->reach == CHROMA_REACH_RECORDS ||
                change->reach == CHROMA_REACH_COLLECTION) &&
               change->has_uuid) {
        if (change->reach == CHROMA_REACH_COLLECTION)
            construct_store_forget_described(construct->store, change->uuid);
        else if (construct_is_of_records(notice))
            construct_void(construct, change->uuid);
    } else {
        mirror_construct_forget(construct);
    }
}

/* What was said of a collection with a copy is asked for anew, so that who was told it can be made
 * if Chroma goes down before he asks again. */
static void construct_void(struct mirror_construct *construct, const uint8_t uuid[16])
{
    if (mirror_describe_may(construct->describe, uuid)) {
        construct_store_void(construct->store, uuid);
        construct->may_be_void = true;
    } else {
        construct_store_forget_described(construct->store, uuid);
    }
}

static void construct_set_timer(struct mirror_construct *construct)
{
    uint64_t now_us = loop_now_us(construct->proxy->loop);

    if (!construct->may_be_void || construct->is_timer_set ||
        mirror_describe_is_asking(construct->describe))
        return;
    construct->is_timer_set = true;
    loop_timer_set(construct->timer, now_us > construct->renews_us ? now_us : construct->renews_us);
}

/* Not while it may be changing; then one after the other has its turn. */
static void construct_on_timer(void *ctx)
{
    struct mirror_construct *construct = ctx;
    struct proxy            *proxy = construct->proxy;

    construct->is_timer_set = false;
    construct->renews_us = loop_now_us(proxy->loop) + renew_us;
    construct->may_be_void = construct_store_next_void(construct->store, proxy->reached,
                                                       proxy->distrusts, construct->uuid);
    if (!construct->may_be_void)
        return;
    construct->reached = proxy->reached;
    construct->distrusts = proxy->distrusts;
    construct->stamp = construct_stamp_of(construct);
    if (construct->stamp != 0 &&
        mirror_describe_ask(construct->describe, construct->uuid) == STATUS_OK)
        return;
    if (!mirror_describe_may(construct->describe, construct->uuid))
        construct_store_forget_void(construct->store, construct->uuid);
    construct_set_timer(construct);
}

static uint64_t construct_stamp_of(const struct mirror_construct *construct)
{
    return collection_table_description_stamp(construct->proxy->collections, construct->uuid,
                                              loop_now_us(construct->proxy->loop));
}

/* What was not described is not asked for again. */
static void construct_on_described(void *ctx, struct bytes body)
{
    struct mirror_construct *construct = ctx;
    struct proxy            *proxy = construct->proxy;

    if (construct->reached == proxy->reached && construct->distrusts == proxy->distrusts &&
        !proxy->is_lost && construct->stamp == construct_stamp_of(construct) &&
        mirror_describe_may(construct->describe, construct->uuid)) {
        if (body.size > 0 && body.size <= CONSTRUCT_STORE_BODY_MAX &&
            collection_table_describe(proxy->collections, construct->uuid, body))
            construct_store_renew(construct->store, construct->uuid, construct->reached,
                                  construct->distrusts, body);
        else
            construct_store_forget_void(construct->store, construct->uuid);
    }
    construct_set_timer(construct);
}

void mirror_construct_forget(struct mirror_construct *construct)
{
    construct_store_forget_fixed(construct->store);
    construct_store_forget_described(construct->store, NULL);
}
