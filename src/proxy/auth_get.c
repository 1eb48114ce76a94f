#include "proxy/auth_get.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/auth_judge.h"
#include "limits/key_ring.h"
#include "proxy/exchange.h"
#include "proxy/pass_path.h"

struct auth_get {
    struct answer_sink sink;
    struct exchange   *exchange;
    struct http_head   head; /* its spans point into that of the client, or into `target` */
    struct byte_buffer target;
};

static bool make_head(struct auth_get *get, const struct http_head *from,
                      const struct chroma_route *route, struct bytes name);
static void get_on_head(struct answer_sink *sink, const struct http_head *head);
static void auth_get_free(void *state);

static const struct answer_sink_ops get_ops = {.on_head = get_on_head};

void auth_get_begin(struct exchange *exchange)
{
    struct auth_get *get = calloc(1, sizeof *get);
    char             room[AUTH_JUDGE_NAME_MAX];
    struct bytes     name = {0};

    exchange->auth.state = get;
    exchange->auth.free_state = auth_get_free;
    if (get == NULL || !auth_judge_read_name(byte_buffer_bytes(&exchange->body), room, &name) ||
        !make_head(get, exchange->head, &exchange->route, name)) {
        reply_error(&exchange->reply, STATUS_NO_MEMORY, FRONT_EXECUTED_NO, NULL);
        return;
    }
    get->exchange = exchange;
    get->sink = (struct answer_sink){.ops = &get_ops, .next = &exchange->reply.sink};
    exchange->head = &get->head;
    chroma_route_find(get->head.method, get->head.path, &exchange->route);
    byte_buffer_clear(&exchange->body);
    exchange->auth.needs_body = false;
    exchange_stop_clocks(exchange);
    exchange->path = &pass_path;
    pass_path_take_over(exchange, &get->sink);
}

/* In v2, which works in all versions that have both; without what tells of the body. */
static bool make_head(struct auth_get *get, const struct http_head *from,
                      const struct chroma_route *route, struct bytes name)
{
    struct auth_place place;

    if (!auth_judge_place(from, route, &place) ||
        auth_judge_write_path(&place, name, &get->target) != STATUS_OK)
        return false;
    get->head = *from;
    get->head.method = BYTES_LITERAL("GET");
    get->head.target = get->head.path = byte_buffer_bytes(&get->target);
    get->head.query = (struct bytes){0};
    get->head.framing = HTTP_FRAMING_NONE;
    get->head.has_content_length = false;
    get->head.content_length = 0;
    for (size_t i = 0; i < get->head.field_count; i++)
        get->head.fields[i].hop_by_hop |= get->head.fields[i].id == HTTP_FIELD_CONTENT_TYPE ||
                                          get->head.fields[i].id == HTTP_FIELD_CONTENT_ENCODING;
    return true;
}

static void get_on_head(struct answer_sink *sink, const struct http_head *head)
{
    struct auth_get *get = CONTAINER_OF(sink, struct auth_get, sink);
    struct exchange *exchange = get->exchange;
    char             message[200];

    if (head->status != 404) {
        answer_sink_head(sink->next, head);
        return;
    }
    snprintf(message, sizeof message,
             "there is no such collection, and the key %s does not allow creating it (create)",
             exchange->auth.key->name);
    reply_error(&exchange->reply, STATUS_FORBIDDEN, FRONT_EXECUTED_NO, message);
}

static void auth_get_free(void *state)
{
    struct auth_get *get = state;

    byte_buffer_done(&get->target);
    free(get);
}
