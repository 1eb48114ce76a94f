#include "auth/auth_look.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/metric.h"
#include "calls/call.h"
#include "calls/request_head.h"
#include "chroma/collection_answer.h"
#include "chroma/collection_table.h"
#include "copies/mirror_names.h"

/* What is known without a look at Chroma is at most so old. */
static const uint64_t trust_us = 5000000;

/* A Chroma of our own that dies under a look-up is asked again. */
static const uint64_t again_us = 100000;

enum { missing_max = 1024, tries_max = 4 };

struct missing {
    uint64_t place, until_us;
};

struct auth_looks {
    struct proxy      *proxy;
    struct list        waiting; /* of struct auth_look_ticket */
    struct auth_look  *active[AUTH_LOOKS_MAX];
    struct loop_timer *timer; /* begins look-ups */
    struct missing     missing[missing_max];
    uint64_t           asked, failed;
};

struct auth_look {
    struct auth_looks         *looks;
    uint64_t                   place;
    uint8_t                    uuid[16];
    bool                       is_list; /* of the whole database: its server knows no other way */
    struct chroma_route        route;   /* of what is asked; its spans point into `target` */
    struct collection_question question;
    struct call                call;
    struct answer_sink         sink;
    struct byte_buffer         target, head, body;
    unsigned                   status;
    bool                       is_lost; /* the answer is too long */
};

static uint64_t place_of_route(const struct auth_looks *looks, const struct chroma_route *route,
                               const struct http_head *head);
static void     look_on_time(void *ctx);
static bool     is_active(const struct auth_looks *looks, uint64_t place);
static struct auth_look **free_place(struct auth_looks *looks);
static bool               auth_look_begin(struct auth_looks *looks, struct auth_look **at,
                                          const struct auth_look_ticket *ticket, bool is_list);
static bool auth_look_write_target(struct auth_look *look, const struct auth_look_ticket *ticket);
static void auth_look_on_head(struct answer_sink *sink, const struct http_head *head);
static void auth_look_on_body(struct answer_sink *sink, struct bytes data);
static void auth_look_on_end(struct answer_sink *sink);
static bool knows_no_such_route(const struct auth_look *look);
static bool ask_for_list(struct auth_look *look);
static void judge_answer(struct auth_look *look);
static bool find_in_answer(const struct auth_look *look, struct collection_answer *ret);
static void auth_look_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void end_look(struct auth_look *look, enum status status, const struct auth_names *names);
static void end_look_without_chroma(struct auth_look *look, enum status why);
static void give_up_look(struct auth_look *look);
static bool find_names(struct auth_looks *looks, const struct chroma_route *route,
                       const struct http_head *head, uint64_t by_us, struct auth_names *ret_names);
static void free_look(void *object);

static const struct answer_sink_ops auth_look_ops = {.on_head = auth_look_on_head,
                                                     .on_body = auth_look_on_body,
                                                     .on_end = auth_look_on_end,
                                                     .on_failure = auth_look_on_failure};

struct auth_looks *auth_look_new(struct proxy *proxy)
{
    struct auth_looks *looks = calloc(1, sizeof *looks);

    if (looks == NULL)
        return NULL;
    looks->proxy = proxy;
    list_init(&looks->waiting);
    looks->timer = loop_timer_new(proxy->loop, look_on_time, looks);
    if (looks->timer != NULL)
        return looks;
    free(looks);
    return NULL;
}

void auth_look_free(struct auth_looks *looks)
{
    if (looks == NULL)
        return;
    for (size_t i = 0; i < AUTH_LOOKS_MAX; i++)
        if (looks->active[i] != NULL)
            give_up_look(looks->active[i]);
    loop_timer_free(looks->timer);
    free(looks);
}

bool auth_look_find(struct auth_looks *looks, const struct chroma_route *route,
                    const struct http_head *head, struct auth_names *ret_names)
{
    return find_names(looks, route, head, loop_now_us(looks->proxy->loop), ret_names);
}

bool auth_look_recall(struct auth_looks *looks, const struct chroma_route *route,
                      const struct http_head *head, uint64_t judged_us,
                      struct auth_names *ret_names)
{
    uint64_t now_us = loop_now_us(looks->proxy->loop);

    return find_names(looks, route, head, now_us - judged_us < trust_us ? judged_us : now_us,
                      ret_names);
}

bool auth_look_outlasts(struct auth_looks *looks, const struct chroma_route *route,
                        uint64_t judged_us)
{
    uint64_t now_us = loop_now_us(looks->proxy->loop);

    return now_us - judged_us < trust_us &&
           collection_table_may_be_changing(looks->proxy->collections, route->uuid, now_us);
}

/* No older than trusted at `by_us`. */
static bool find_names(struct auth_looks *looks, const struct chroma_route *route,
                       const struct http_head *head, uint64_t by_us, struct auth_names *ret_names)
{
    const struct proxy   *proxy = looks->proxy;
    uint64_t              now_us = loop_now_us(proxy->loop), place;
    uint64_t              oldest_us = proxy->is_gateway || by_us < trust_us ? 0 : by_us - trust_us;
    const struct missing *missing;
    struct scope          scope;

    ret_names->exists = collection_table_names(proxy->collections, route->uuid, oldest_us, now_us,
                                               &scope, &ret_names->name);
    if (!ret_names->exists && proxy->is_lost)
        ret_names->exists = mirror_names_of(proxy->mirror, route->uuid, &scope, &ret_names->name);
    if (ret_names->exists) {
        ret_names->tenant = scope.tenant;
        ret_names->database = scope.database;
        return true;
    }
    place = place_of_route(looks, route, head);
    missing = &looks->missing[place % missing_max];
    return missing->place == place && now_us < missing->until_us;
}

/* As it is spelled: two spellings of one place are two. Never 0. */
static uint64_t place_of_route(const struct auth_looks *looks, const struct chroma_route *route,
                               const struct http_head *head)
{
    const unsigned char *secret = looks->proxy->secret;
    uint64_t             parts[4];

    memcpy(parts, route->uuid, sizeof route->uuid);
    parts[2] = siphash_1_3(secret, route->is_v1 ? head->query : route->tenant);
    parts[3] = siphash_1_3(secret, route->database) + route->is_v1;
    return siphash_1_3(secret, (struct bytes){(const char *)parts, sizeof parts}) | 1;
}

void auth_look_ask(struct auth_looks *looks, struct auth_look_ticket *ticket)
{
    ticket->place = place_of_route(looks, ticket->route, ticket->head);
    ticket->tries = 0;
    list_push_back(&looks->waiting, &ticket->node);
    loop_timer_set(looks->timer, loop_now_us(looks->proxy->loop));
}

/* A look-up that nobody waits for is given up. */
void auth_look_leave(struct auth_looks *looks, struct auth_look_ticket *ticket)
{
    if (!list_node_is_linked(&ticket->node))
        return;
    list_remove(&ticket->node);
    LIST_FOR_EACH(node, &looks->waiting)
    {
        if (LIST_ITEM(node, struct auth_look_ticket, node)->place == ticket->place)
            return;
    }
    for (size_t i = 0; i < AUTH_LOOKS_MAX; i++)
        if (looks->active[i] != NULL && looks->active[i]->place == ticket->place)
            give_up_look(looks->active[i]);
    auth_look_resume(looks);
}

void auth_look_resume(struct auth_looks *looks)
{
    if (!list_is_empty(&looks->waiting))
        loop_timer_set(looks->timer, loop_now_us(looks->proxy->loop));
}

/* One that cannot be begun for want of memory is tried again. */
static void look_on_time(void *ctx)
{
    struct auth_looks *looks = ctx;
    struct auth_look **at;

    if (looks->proxy->admission.is_paused)
        return;
    LIST_FOR_EACH(node, &looks->waiting)
    {
        const struct auth_look_ticket *ticket = LIST_ITEM(node, struct auth_look_ticket, node);
        enum chroma_family             family = looks->proxy->family;

        if (is_active(looks, ticket->place))
            continue;
        at = free_place(looks);
        if (at == NULL)
            return;
        if (!auth_look_begin(looks, at, ticket,
                             family == CHROMA_FAMILY_PYTHON ||
                                 family == CHROMA_FAMILY_PYTHON_OLD)) {
            loop_timer_set(looks->timer, loop_now_us(looks->proxy->loop) + again_us);
            return;
        }
    }
}

static bool is_active(const struct auth_looks *looks, uint64_t place)
{
    for (size_t i = 0; i < AUTH_LOOKS_MAX; i++)
        if (looks->active[i] != NULL && looks->active[i]->place == place)
            return true;
    return false;
}

static struct auth_look **free_place(struct auth_looks *looks)
{
    for (size_t i = 0; i < AUTH_LOOKS_MAX; i++)
        if (looks->active[i] == NULL)
            return &looks->active[i];
    return NULL;
}

/* ---- One look-up ---------------------------------------------------------------------------- */

static bool auth_look_begin(struct auth_looks *looks, struct auth_look **at,
                            const struct auth_look_ticket *ticket, bool is_list)
{
    struct proxy           *proxy = looks->proxy;
    struct auth_look       *look = calloc(1, sizeof *look);
    struct upstream_request request = {0};

    if (look == NULL)
        return false;
    look->looks = looks;
    look->place = ticket->place;
    look->is_list = is_list;
    memcpy(look->uuid, ticket->route->uuid, sizeof look->uuid);
    look->sink.ops = &auth_look_ops;
    list_node_init(&look->call.node);
    if (!auth_look_write_target(look, ticket) ||
        !request_head_write_get(ticket->head, byte_buffer_bytes(&look->target), &look->head)) {
        free_look(look);
        return false;
    }
    look->question =
        collection_table_ask(proxy->collections, &look->route, loop_now_us(proxy->loop));
    request.head = byte_buffer_bytes(&look->head);
    look->call.origin.is_exempt = true; /* writes need its answer, too */
    if (call_start(&look->call, proxy, look->route.info, &request, &look->sink, NULL) !=
        STATUS_OK) {
        free_look(look);
        return false;
    }
    looks->asked++;
    *at = look;
    return true;
}

/* In the place of the ticket's request. */
static bool auth_look_write_target(struct auth_look *look, const struct auth_look_ticket *ticket)
{
    struct auth_place place;
    char              uuid[CHROMA_ROUTE_UUID_SIZE];
    enum status       status = STATUS_NO_MEMORY;

    chroma_route_print_uuid(ticket->route->uuid, uuid);
    if (auth_judge_place(ticket->head, ticket->route, &place))
        status = auth_judge_write_path(&place, (struct bytes){0}, &look->target);
    if (status == STATUS_OK && !look->is_list)
        status = byte_buffer_printf(&look->target, SIZE_MAX, "/by-id/%s", uuid);
    if (status == STATUS_OK)
        chroma_route_find(BYTES_LITERAL("GET"), byte_buffer_bytes(&look->target), &look->route);
    return status == STATUS_OK;
}

static void auth_look_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct auth_look, sink)->status = head->status;
}

static void auth_look_on_body(struct answer_sink *sink, struct bytes data)
{
    struct auth_look *look = CONTAINER_OF(sink, struct auth_look, sink);

    if (look->is_lost)
        return;
    look->is_lost =
        byte_buffer_append(&look->body, data, (size_t)AUTH_LOOK_ANSWER_MAX) != STATUS_OK;
    if (!look->is_lost)
        memory_account_charge(&look->looks->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                              data.size);
}

static void auth_look_on_end(struct answer_sink *sink)
{
    struct auth_look *look = CONTAINER_OF(sink, struct auth_look, sink);

    if (!look->is_list && knows_no_such_route(look) && ask_for_list(look))
        return;
    judge_answer(look);
}

/* Chroma's own 404 names its error; that of a router does not. */
static bool knows_no_such_route(const struct auth_look *look)
{
    static const char not_found[] = "NotFoundError";
    struct bytes      body = byte_buffer_bytes(&look->body);

    return look->status == 405 ||
           (look->status == 404 && (body.size == 0 || memmem(body.data, body.size, not_found,
                                                             sizeof not_found - 1) == NULL));
}

/* The first who waits for it asks anew. */
static bool ask_for_list(struct auth_look *look)
{
    struct auth_looks *looks = look->looks;

    LIST_FOR_EACH(node, &looks->waiting)
    {
        const struct auth_look_ticket *ticket = LIST_ITEM(node, struct auth_look_ticket, node);

        if (ticket->place != look->place)
            continue;
        for (size_t i = 0; i < AUTH_LOOKS_MAX; i++)
            if (looks->active[i] == look &&
                auth_look_begin(looks, &looks->active[i], ticket, true)) {
                loop_free_later(looks->proxy->loop, look, free_look);
                return true;
            }
    }
    return false;
}

static void judge_answer(struct auth_look *look)
{
    struct proxy            *proxy = look->looks->proxy;
    uint64_t                 now_us = loop_now_us(proxy->loop);
    struct auth_names        names = {0};
    struct collection_answer answer;

    if (look->is_lost || (look->status != 200 && look->status != 404)) {
        end_look(look, look->is_lost ? STATUS_LIMIT_REACHED : STATUS_BACKEND_GARBLED, NULL);
        return;
    }
    if (look->status == 200) {
        collection_table_learn(proxy->collections, &look->route, look->question,
                               byte_buffer_bytes(&look->body), now_us);
        names.exists = find_in_answer(look, &answer);
    }
    if (names.exists) {
        names.tenant = (struct bytes){answer.tenant.data, answer.tenant.size};
        names.database = (struct bytes){answer.database.data, answer.database.size};
        names.name = (struct bytes){answer.name.data, answer.name.size};
    } else {
        look->looks->missing[look->place % missing_max] =
            (struct missing){.place = look->place, .until_us = now_us + trust_us};
    }
    end_look(look, STATUS_OK, &names);
}

static bool find_in_answer(const struct auth_look *look, struct collection_answer *ret)
{
    struct json_scan scan;

    json_scan_init(&scan, byte_buffer_bytes(&look->body));
    if (!look->is_list)
        return collection_answer_take(&scan, ret) &&
               memcmp(ret->uuid, look->uuid, sizeof look->uuid) == 0;
    if (!json_scan_array(&scan))
        return false;
    while (json_scan_element(&scan) && collection_answer_take(&scan, ret))
        if (memcmp(ret->uuid, look->uuid, sizeof look->uuid) == 0)
            return true;
    return false;
}

static void auth_look_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct auth_look  *look = CONTAINER_OF(sink, struct auth_look, sink);
    struct auth_looks *looks = look->looks;
    bool               may_repeat =
        looks->proxy->is_supervised && (why == STATUS_BACKEND_RESET || why == STATUS_BACKEND_DOWN);

    (void)sent; /* it changes nothing */
    LIST_FOR_EACH(node, &looks->waiting)
    {
        struct auth_look_ticket *ticket = LIST_ITEM(node, struct auth_look_ticket, node);

        if (ticket->place == look->place && ++ticket->tries >= tries_max)
            may_repeat = false;
    }
    if (!may_repeat) {
        end_look_without_chroma(look, why);
        return;
    }
    for (size_t i = 0; i < AUTH_LOOKS_MAX; i++)
        if (looks->active[i] == look)
            looks->active[i] = NULL;
    loop_free_later(looks->proxy->loop, look, free_look);
    loop_timer_set(looks->timer, loop_now_us(looks->proxy->loop) + again_us);
}

static void end_look_without_chroma(struct auth_look *look, enum status why)
{
    struct auth_names names = {.exists = true};
    struct scope      scope;

    if (mirror_names_of(look->looks->proxy->mirror, look->uuid, &scope, &names.name)) {
        names.tenant = scope.tenant;
        names.database = scope.database;
        end_look(look, STATUS_OK, &names);
    } else {
        end_look(look, why, NULL);
    }
}

/* Tell all who wait for it. What they do then may add others, at the end, but not for this. */
static void end_look(struct auth_look *look, enum status status, const struct auth_names *names)
{
    struct auth_looks *looks = look->looks;
    struct list        told;
    struct list_node  *node, *next;

    list_init(&told);
    looks->failed += status != STATUS_OK;
    for (size_t i = 0; i < AUTH_LOOKS_MAX; i++)
        if (looks->active[i] == look)
            looks->active[i] = NULL;
    for (node = looks->waiting.head.next; node != &looks->waiting.head; node = next) {
        next = node->next;
        if (LIST_ITEM(node, struct auth_look_ticket, node)->place != look->place)
            continue;
        list_remove(node);
        list_push_back(&told, node);
    }
    while ((node = list_first(&told)) != NULL) {
        struct auth_look_ticket *ticket = LIST_ITEM(node, struct auth_look_ticket, node);

        list_remove(node);
        ticket->on_known(ticket, status, names);
    }
    auth_look_resume(looks);
    loop_free_later(looks->proxy->loop, look, free_look); /* its call still returns through it */
}

static void give_up_look(struct auth_look *look)
{
    struct auth_looks *looks = look->looks;

    for (size_t i = 0; i < AUTH_LOOKS_MAX; i++)
        if (looks->active[i] == look)
            looks->active[i] = NULL;
    call_cancel(&look->call);
    free_look(look);
}

static void free_look(void *object)
{
    struct auth_look *look = object;

    memory_account_release(&look->looks->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                           byte_buffer_size(&look->body));
    byte_buffer_done(&look->target);
    byte_buffer_done(&look->head);
    byte_buffer_done(&look->body);
    free(look);
}

enum status auth_look_print_metrics(const struct auth_looks *looks, struct byte_buffer *out)
{
    static const struct metric_desc table[] = {
        METRIC(COUNTER, auth_looks, asked, "chromabouncer_auth_lookups_total",
               "Questions to Chroma which collection a UUID is, for the scope of a key."),
        METRIC(COUNTER, auth_looks, failed, "chromabouncer_auth_lookups_failed_total",
               "Of these, without an answer.")};

    return metric_print(out, table, COUNT_OF(table), looks);
}
