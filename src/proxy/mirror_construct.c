#include "proxy/mirror_construct.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "calls/kept_head.h"
#include "calls/learn_sink.h"
#include "chroma/request_identity.h"
#include "chroma/write_observer.h"
#include "copies/mirror_keeper.h"
#include "proxy/construct_question.h"
#include "proxy/exchange.h"

/* What is digested under one key is never what is digested under another. */
enum { KEY_QUESTION, KEY_IDENTITY, KEY_COUNT };

struct mirror_construct {
    struct proxy           *proxy;
    struct construct_store *store;
    struct write_observer   observer;
    struct byte_buffer      scratch;
    unsigned char           keys[KEY_COUNT][REQUEST_IDENTITY_KEY_SIZE]; /* random */
};

static enum cache_kind construct_kind(const struct exchange *exchange);
static bool construct_identify(struct mirror_construct *construct, const struct exchange *exchange,
                               struct query_cache_key *ret_key);
static uint64_t construct_stamp(const struct exchange *exchange);
static bool     construct_may_keep(const struct exchange *exchange);
static void     construct_on_answer(void *ctx, unsigned status, struct bytes body);
static void     construct_on_sent(struct write_observer *observer, struct write_notice *notice,
                                  uint64_t now_us);
static void     construct_on_known(struct write_observer *observer, struct write_notice *notice,
                                   enum write_outcome outcome, struct bytes answer, uint64_t now_us);
static void     construct_note_change(struct mirror_construct   *construct,
                                      const struct write_notice *notice);

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
    if (construct->store == NULL || getrandom(construct->keys, sizeof construct->keys,
                                              GRND_NONBLOCK) != (ssize_t)sizeof construct->keys) {
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

    if (!construct_may_keep(exchange) || !kept_head_find(head, CONSTRUCT_STORE_BODY_MAX, &number))
        return NULL;
    return learn_sink_new(&exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                          CONSTRUCT_STORE_BODY_MAX, construct_on_answer, exchange);
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
    (void)answer;
    (void)now_us;
    if (outcome != WRITE_OUTCOME_REFUSED)
        construct_note_change(CONTAINER_OF(observer, struct mirror_construct, observer), notice);
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
        if (change->reach == CHROMA_REACH_COLLECTION || !notice->leaves_description)
            construct_store_forget_described(construct->store, change->uuid);
    } else {
        mirror_construct_forget(construct);
    }
}

void mirror_construct_forget(struct mirror_construct *construct)
{
    construct_store_forget_fixed(construct->store);
    construct_store_forget_described(construct->store, NULL);
}
