#include "proxy/auth_permit.h"

#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "lanes/write_permit.h"
#include "proxy/auth_verdict.h"
#include "proxy/exchange.h"

enum { permit_address_max = 16 };

struct auth_permit {
    struct write_permit        base;
    const struct write        *write; /* whose it is */
    struct auth               *auth;
    struct auth_rules         *rules;     /* held */
    const struct key_ring_key *key;       /* of these */
    uint64_t                   judged_us; /* 0: its scope rests on no name that could change */
    struct auth_look_ticket    look;
    struct http_head          *head; /* of the look, while it is under way */
    char                       address[permit_address_max];
    size_t                     address_size;
};

static enum write_permission permit_judge(struct write_permit *base, struct write *write);
static enum auth_verdict     permit_find_verdict(struct auth_permit      *permit,
                                                 const struct auth_names *names,
                                                 char                     why[AUTH_JUDGE_WHY_SIZE]);
static enum write_permission permit_refuse(struct auth_permit *permit, struct write *write,
                                           const struct auth_verdict_told *told);
static void                  permit_read_line(const struct write *write, struct http_head *ret);
static void                  permit_look(struct auth_permit *permit, const struct write *write);
static void                  permit_read_fields(const struct write *write, struct http_head *head);
static void                  permit_on_known(struct auth_look_ticket *look, enum status status,
                                             const struct auth_names *names);
static void                  permit_free(struct write_permit *base);

bool auth_permit_give(struct exchange *exchange, struct write *write)
{
    const struct auth_ticket *ticket = &exchange->auth;
    struct bytes              address = socket_address_host(exchange->peer);
    struct auth_permit       *permit;

    if (ticket->key == NULL)
        return true;
    permit = calloc(1, sizeof *permit);
    if (permit == NULL)
        return false;
    permit->base = (struct write_permit){.judge = permit_judge, .free = permit_free};
    permit->write = write;
    permit->auth = exchange->proxy->auth;
    permit->rules = auth_hold_again(ticket->rules);
    permit->key = ticket->key;
    permit->judged_us = ticket->judged_us;
    list_node_init(&permit->look.node);
    permit->address_size = address.size < permit_address_max ? address.size : permit_address_max;
    if (address.size > 0)
        memcpy(permit->address, address.data, permit->address_size);
    write->permit = &permit->base;
    write_charge(write, sizeof *permit);
    return true;
}

static enum write_permission permit_judge(struct write_permit *base, struct write *write)
{
    static const struct auth_verdict_told revoked = {
        .refusal = AUTH_REFUSAL_UNKNOWN_KEY,
        .status = STATUS_UNAUTHENTICATED,
        .message = "the key was revoked while the request waited"};
    struct auth_permit      *permit = CONTAINER_OF(base, struct auth_permit, base);
    struct auth_looks       *looks = auth_looks(permit->auth);
    uint64_t                 now_us = loop_now_us(write->proxy->loop);
    struct http_head         head;
    struct auth_names        names;
    struct auth_verdict_told told;
    char                     why[AUTH_JUDGE_WHY_SIZE];
    enum auth_verdict        verdict;

    if (!auth_knows(permit->auth, permit->rules, permit->key))
        return permit_refuse(permit, write, &revoked);
    if (permit->judged_us == 0 || permit->judged_us == now_us)
        return WRITE_PERMITTED;
    permit_read_line(write, &head);
    if (!auth_look_recall(looks, &write->route, &head, permit->judged_us, &names)) {
        if (auth_look_outlasts(looks, &write->route, permit->judged_us))
            return WRITE_PERMITTED;
        permit_look(permit, write);
        return WRITE_UNDECIDED;
    }
    verdict = permit_find_verdict(permit, &names, why);
    if (verdict == AUTH_ALLOWED) {
        permit->judged_us = now_us;
        return WRITE_PERMITTED;
    }
    auth_verdict_explain(&write->route, permit->key, verdict, why, &told);
    return permit_refuse(permit, write, &told);
}

static enum auth_verdict permit_find_verdict(struct auth_permit      *permit,
                                             const struct auth_names *names,
                                             char                     why[AUTH_JUDGE_WHY_SIZE])
{
    const struct write  *write = permit->write;
    struct bytes         body = byte_buffer_bytes(&write->body);
    struct http_head     head;
    struct auth_question question = {.head = &head,
                                     .route = &write->route,
                                     .scopes = permit->key->scopes,
                                     .scope_count = permit->key->scope_count,
                                     .names = names,
                                     .body = &body};

    permit_read_line(write, &head);
    return auth_judge(&question, why);
}

/* At once: its key was known. */
static enum write_permission permit_refuse(struct auth_permit *permit, struct write *write,
                                           const struct auth_verdict_told *told)
{
    (void)auth_count(permit->auth, told->refusal,
                     (struct bytes){permit->address, permit->address_size},
                     loop_now_us(write->proxy->loop));
    write_tell_refused(write, told->status, FRONT_EXECUTED_NO, told->message);
    return WRITE_REFUSED;
}

/* What a scope is judged by: no fields. The head is the write's own, "METHOD TARGET HTTP/1.1". */
static void permit_read_line(const struct write *write, struct http_head *ret)
{
    struct bytes text = byte_buffer_bytes(&write->head);
    const char  *space = memchr(text.data, ' ', text.size), *end, *mark;

    ret->method = (struct bytes){text.data, (size_t)(space - text.data)};
    text = bytes_skip(text, ret->method.size + 1);
    end = memchr(text.data, ' ', text.size);
    ret->target = ret->path = (struct bytes){text.data, (size_t)(end - text.data)};
    ret->query = (struct bytes){end, 0};
    mark = memchr(ret->target.data, '?', ret->target.size);
    if (mark != NULL) {
        ret->path.size = (size_t)(mark - ret->target.data);
        ret->query = bytes_skip(ret->target, ret->path.size + 1);
    }
    ret->is_head = false;
    ret->field_count = 0;
}

/* On behalf of its client, with the fields that the write has. Without memory it is tried again. */
static void permit_look(struct auth_permit *permit, const struct write *write)
{
    if (permit->head != NULL)
        return;
    permit->head = calloc(1, sizeof *permit->head);
    if (permit->head == NULL)
        return;
    permit_read_line(write, permit->head);
    permit->head->minor_version = 1;
    permit_read_fields(write, permit->head);
    permit->look.head = permit->head;
    permit->look.route = &write->route;
    permit->look.on_known = permit_on_known;
    auth_look_ask(auth_looks(permit->auth), &permit->look);
}

static void permit_read_fields(const struct write *write, struct http_head *head)
{
    struct bytes rest = byte_buffer_bytes(&write->head);
    const char  *end = memmem(rest.data, rest.size, "\r\n", 2);
    struct error error;

    while (end != NULL && head->field_count < HTTP_FIELDS_MAX) {
        struct bytes line;

        rest = bytes_skip(rest, (size_t)(end + 2 - rest.data));
        end = memmem(rest.data, rest.size, "\r\n", 2);
        line = (struct bytes){rest.data, end == NULL ? 0 : (size_t)(end - rest.data)};
        if (line.size == 0)
            return;
        if (http_field_parse(line, &head->fields[head->field_count], &error) == STATUS_OK)
            head->field_count++;
    }
}

/* The table of collections has it now, or nothing is kept of it while a renaming is under way. Who
 * may not, or could not be judged, is told by the next who asks. */
static void permit_on_known(struct auth_look_ticket *look, enum status status,
                            const struct auth_names *names)
{
    struct auth_permit *permit = CONTAINER_OF(look, struct auth_permit, look);
    char                why[AUTH_JUDGE_WHY_SIZE];

    if (status == STATUS_OK && permit_find_verdict(permit, names, why) == AUTH_ALLOWED)
        permit->judged_us = loop_now_us(permit->write->proxy->loop);
    free(permit->head);
    permit->head = NULL;
}

static void permit_free(struct write_permit *base)
{
    struct auth_permit *permit = CONTAINER_OF(base, struct auth_permit, base);

    auth_look_leave(auth_looks(permit->auth), &permit->look);
    free(permit->head);
    auth_drop_rules(permit->rules);
    free(permit);
}
