#include "lanes/guard_look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chroma/chroma_removal.h"
#include "lanes/guard.h"
#include "lanes/write_question.h"

/* Of a list of collections so many are asked for at once, and so often. A description takes some
 * kilobytes. */
enum { list_page = 64, list_pages_max = 256, look_body_max = 4 << 20 };

enum guard_look_step { LOOK_TELLS, LOOK_BY_ID, LOOK_IN_LIST, LOOK_COUNT };

struct guard_look {
    struct write *write;
    char         *confirm; /* NULL: nothing */
    size_t        confirm_size;
    char          uuid[CHROMA_ROUTE_UUID_SIZE];

    /* What its body says; the removal borrows from it. */
    bool                  is_scanned, is_understood;
    struct chroma_removal removal;

    bool passes; /* it was found out for good */

    /* While it is asked. */
    guard_look_fn             *fn; /* NULL: it is not */
    void                      *ctx;
    bool                       is_telling;
    enum guard_look_step       step;
    unsigned                   pages;
    uint64_t                   ends; /* proxy->ends when it began */
    struct loop_task           task; /* tells that it is refused */
    struct loop_timer         *timer;
    struct guard_target        target;
    struct collection_answer   found; /* the target's names, once they are known */
    struct collection_question asked; /* what may be learned */
    struct write_question      question;
    struct byte_buffer         line;
    struct bytes               parts[CHROMA_REMOVAL_PARTS_MAX];
    char                       room[CHROMA_REMOVAL_ROOM];
    enum status                refusal; /* LOOK_TELLS */
    char                       message[GUARD_MESSAGE_SIZE];
};

static bool guard_look_is_removal(const struct guard_look *look);
static bool guard_look_is_harmless(const struct guard_look *look);
static bool guard_look_find_name(struct guard_look *look);
static bool guard_look_keep(struct collection_text *to, struct bytes text, struct bytes *ret);
static enum guard_look_answer guard_look_judge(struct guard_look *look, struct turn *turn);
static bool                   guard_look_keeps_guard(const struct guard_look *look);
static enum guard_look_answer guard_look_refuse(struct guard_look *look, enum guard_reason reason,
                                                const char *more);
static enum guard_look_answer guard_look_ask_name(struct guard_look *look, struct turn *turn);
static enum guard_look_answer guard_look_ask_list(struct guard_look *look, struct turn *turn);
static enum guard_look_answer guard_look_ask_count(struct guard_look *look, struct turn *turn);
static struct bytes           guard_look_path(const struct guard_look *look);
static enum guard_look_answer guard_look_send(struct guard_look    *look,
                                              enum chroma_operation operation, size_t part_count,
                                              struct turn *turn);
static void guard_look_on_over(struct write_question *question, enum status failure);
static enum guard_look_answer guard_look_read(struct guard_look *look, enum status failure);
static enum guard_look_answer guard_look_read_name(struct guard_look *look);
static enum guard_look_answer guard_look_read_list(struct guard_look *look);
static bool                   guard_look_take_name(struct guard_look *look);
static void                   guard_look_learn(struct guard_look *look);
static enum guard_look_answer guard_look_read_count(struct guard_look *look);
static void                   guard_look_tell_later(struct guard_look *look, enum status refusal);
static void                   guard_look_on_refused(void *ctx);
static void                   guard_look_on_time(void *ctx);
static void guard_look_end(struct guard_look *look, enum guard_look_answer answer);
static void guard_look_done(struct write *write);
static void guard_look_free(void *object);

bool guard_look_new(struct write *write, struct bytes confirm)
{
    struct guard_look *look = calloc(1, sizeof *look);

    if (look == NULL)
        return false;
    look->write = write;
    write_question_init(&look->question, write, look_body_max, guard_look_on_over);
    loop_task_init(&look->task, guard_look_on_refused, look);
    chroma_route_print_uuid(write->route.uuid, look->uuid);
    look->timer = loop_timer_new(write->proxy->loop, guard_look_on_time, look);
    if (confirm.size > 0)
        look->confirm = malloc(confirm.size);
    if (look->timer == NULL || (confirm.size > 0 && look->confirm == NULL)) {
        guard_look_free(look);
        return false;
    }
    if (confirm.size > 0)
        memcpy(look->confirm, confirm.data, confirm.size);
    look->confirm_size = confirm.size;
    write->guard = look;
    write->on_free = guard_look_done;
    write_charge(write, sizeof *look + confirm.size);
    return true;
}

void guard_look_scan(struct write *write)
{
    struct guard_look *look = write->guard;
    struct bytes       body = byte_buffer_bytes(&write->body);

    if (look == NULL || look->is_scanned)
        return;
    look->is_scanned = true;
    if (write->route.operation == CHROMA_OPERATION_DELETE)
        look->is_understood = chroma_removal_read(body, write->proxy->secret, &look->removal);
    else if (write->route.operation == CHROMA_OPERATION_CONDITIONAL_COMMIT)
        look->is_understood =
            chroma_removal_read_commit(body, write->proxy->secret, &look->removal);
}

enum guard_look_answer guard_look(struct write *write, struct turn *turn, guard_look_fn *fn,
                                  void *ctx)
{
    struct guard_look     *look = write->guard;
    enum guard_look_answer answer;

    if (look == NULL || look->passes || !guard_is_on(write->proxy))
        return GUARD_LOOK_PASSES;
    guard_look_scan(write);
    look->target =
        (struct guard_target){.kind = GUARD_TARGET_COLLECTION, .uuid = bytes_of(look->uuid)};
    if (guard_look_is_harmless(look))
        return GUARD_LOOK_PASSES;
    look->fn = fn;
    look->ctx = ctx;
    look->pages = 0;
    look->ends = write->proxy->ends;
    answer =
        guard_look_find_name(look) ? guard_look_judge(look, turn) : guard_look_ask_name(look, turn);
    if (answer != GUARD_LOOK_ASKS)
        look->fn = NULL;
    else if (look->step != LOOK_TELLS)
        loop_timer_set(look->timer, write->deadline_us);
    return answer;
}

/* Whatever the collection's name is. */
static bool guard_look_is_harmless(const struct guard_look *look)
{
    char         room[COLLECTION_ANSWER_TEXT_MAX];
    struct bytes name;

    if (look->write->route.operation == CHROMA_OPERATION_COLLECTION_MODIFY)
        return chroma_removal_new_name(byte_buffer_bytes(&look->write->body), room, sizeof room,
                                       &name) &&
               name.size == 0;
    return guard_look_is_removal(look) && look->is_understood && look->removal.has_ids &&
           guard_allows_records(look->write->proxy->guard, look->removal.id_count);
}

static bool guard_look_is_removal(const struct guard_look *look)
{
    enum chroma_operation operation = look->write->route.operation;

    return operation == CHROMA_OPERATION_DELETE || operation == CHROMA_OPERATION_CONDITIONAL_COMMIT;
}

/* Where others may rename collections, what is known of a name is not relied on. */
static bool guard_look_find_name(struct guard_look *look)
{
    struct proxy *proxy = look->write->proxy;
    struct scope  scope;
    struct bytes  name;

    if (!proxy->is_gateway || !collection_table_names(proxy->collections, look->write->route.uuid,
                                                      0, loop_now_us(proxy->loop), &scope, &name))
        return false;
    return guard_look_keep(&look->found.tenant, scope.tenant, &look->target.tenant) &&
           guard_look_keep(&look->found.database, scope.database, &look->target.database) &&
           guard_look_keep(&look->found.name, name, &look->target.collection);
}

/* Copy `text` to `to`, which *ret borrows. False: it is longer than any name. */
static bool guard_look_keep(struct collection_text *to, struct bytes text, struct bytes *ret)
{
    if (text.size == 0 || text.size > sizeof to->data)
        return false;
    memcpy(to->data, text.data, text.size);
    to->size = text.size;
    *ret = (struct bytes){to->data, to->size};
    return true;
}

/* All that can be known of its name is. */
static enum guard_look_answer guard_look_judge(struct guard_look *look, struct turn *turn)
{
    struct guard        *guard = look->write->proxy->guard;
    struct guard_target *target = &look->target;

    look->passes = !guard_holds(guard, target) ||
                   guard_lets(guard, target, (struct bytes){look->confirm, look->confirm_size},
                              &look->write->route) ||
                   (look->write->route.operation == CHROMA_OPERATION_COLLECTION_MODIFY &&
                    guard_look_keeps_guard(look));
    if (look->passes)
        return GUARD_LOOK_PASSES;
    if (look->write->route.operation == CHROMA_OPERATION_COLLECTION_MODIFY)
        return guard_look_refuse(look, GUARD_REASON_RENAME, "");
    if (!guard_look_is_removal(look))
        return guard_look_refuse(look, GUARD_REASON_UNKNOWN_ROUTE, "");
    if (!look->is_understood)
        return guard_look_refuse(look, GUARD_REASON_UNCOUNTED, "its body is not understood");
    if (look->removal.is_asked)
        return guard_look_ask_count(look, turn);
    return guard_look_refuse(look, GUARD_REASON_RECORDS, "");
}

/* The name that it gives the collection is guarded too, as far as all is known. */
static bool guard_look_keeps_guard(const struct guard_look *look)
{
    struct guard_target renamed = look->target;
    char                room[COLLECTION_ANSWER_TEXT_MAX];

    return renamed.tenant.data != NULL && renamed.database.data != NULL &&
           chroma_removal_new_name(byte_buffer_bytes(&look->write->body), room, sizeof room,
                                   &renamed.collection) &&
           guard_holds(look->write->proxy->guard, &renamed);
}

/* Told from the loop: who asks may still be about to wait. */
static enum guard_look_answer guard_look_refuse(struct guard_look *look, enum guard_reason reason,
                                                const char *more)
{
    static const char unknown[] = "its name could not be found out, so it counts as guarded";
    bool              has_name = look->target.collection.data != NULL;
    char              text[200];

    snprintf(text, sizeof text, "%s%s%s", more, more[0] != '\0' && !has_name ? ", and " : "",
             has_name ? "" : unknown);
    guard_refuse(look->write->proxy->guard, reason, &look->target, &look->write->route, text,
                 look->message);
    guard_look_tell_later(look, STATUS_GUARDED);
    return GUARD_LOOK_ASKS;
}

static void guard_look_tell_later(struct guard_look *look, enum status refusal)
{
    look->step = LOOK_TELLS;
    look->refusal = refusal;
    loop_timer_clear(look->timer);
    loop_later(look->write->proxy->loop, &look->task);
}

static void guard_look_on_refused(void *ctx)
{
    struct guard_look *look = ctx;
    struct write      *write = look->write;

    write_tell_refused(write, look->refusal,
                       write->losses == 0 ? FRONT_EXECUTED_NO : FRONT_EXECUTED_MAYBE,
                       look->refusal == STATUS_GUARDED ? look->message : NULL);
    guard_look_end(look, GUARD_LOOK_REFUSED);
}

/* ---- Questions ------------------------------------------------------------------------------ */

/* Servers below 1.0 have no route by the UUID, nor has v1. */
static enum guard_look_answer guard_look_ask_name(struct guard_look *look, struct turn *turn)
{
    struct bytes path = guard_look_path(look);

    if (look->write->proxy->family == CHROMA_FAMILY_PYTHON || look->write->route.is_v1)
        return guard_look_ask_list(look, turn);
    look->step = LOOK_BY_ID;
    byte_buffer_clear(&look->line);
    if (byte_buffer_printf(&look->line, SIZE_MAX, "GET %.*s/by-id/%s", (int)path.size, path.data,
                           look->uuid) != STATUS_OK)
        return GUARD_LOOK_AGAIN;
    return guard_look_send(look, CHROMA_OPERATION_COLLECTION_GET_ID, 0, turn);
}

/* The next page of it. */
static enum guard_look_answer guard_look_ask_list(struct guard_look *look, struct turn *turn)
{
    struct bytes path = guard_look_path(look);

    look->step = LOOK_IN_LIST;
    byte_buffer_clear(&look->line);
    if (byte_buffer_printf(&look->line, SIZE_MAX, "GET %.*s?limit=%d&offset=%u", (int)path.size,
                           path.data, list_page, list_page * look->pages) != STATUS_OK)
        return GUARD_LOOK_AGAIN;
    look->pages++;
    return guard_look_send(look, CHROMA_OPERATION_COLLECTION_LIST, 0, turn);
}

static enum guard_look_answer guard_look_ask_count(struct guard_look *look, struct turn *turn)
{
    uint64_t     records_max = guard_records_max(look->write->proxy->guard);
    struct bytes path = guard_look_path(look);

    look->step = LOOK_COUNT;
    byte_buffer_clear(&look->line);
    if (byte_buffer_printf(&look->line, SIZE_MAX, "POST %.*s/%s/get", (int)path.size, path.data,
                           look->uuid) != STATUS_OK)
        return GUARD_LOOK_AGAIN;
    return guard_look_send(
        look, CHROMA_OPERATION_GET,
        chroma_removal_question(&look->removal, records_max, look->room, look->parts), turn);
}

/* That of the collections: the write's, up to the UUID. */
static struct bytes guard_look_path(const struct guard_look *look)
{
    const struct write *write = look->write;
    struct bytes        head = byte_buffer_bytes(&write->head);
    const char         *path = (const char *)memchr(head.data, ' ', head.size) + 1;

    return (struct bytes){path, (size_t)(write->route.collection.data - path) - 1};
}

static enum guard_look_answer guard_look_send(struct guard_look    *look,
                                              enum chroma_operation operation, size_t part_count,
                                              struct turn *turn)
{
    struct proxy *proxy = look->write->proxy;

    look->asked =
        collection_table_ask(proxy->collections, &look->write->route, loop_now_us(proxy->loop));
    return write_question_send(&look->question, byte_buffer_bytes(&look->line), operation,
                               look->parts, part_count, turn)
               ? GUARD_LOOK_ASKS
               : GUARD_LOOK_AGAIN;
}

/* ---- Answers -------------------------------------------------------------------------------- */

static void guard_look_on_over(struct write_question *question, enum status failure)
{
    struct guard_look     *look = CONTAINER_OF(question, struct guard_look, question);
    enum guard_look_answer answer = guard_look_read(look, failure);

    if (answer != GUARD_LOOK_ASKS)
        guard_look_end(look, answer);
}

/* Who has no time for a question now may have it later. */
static enum guard_look_answer guard_look_read(struct guard_look *look, enum status failure)
{
    unsigned status = look->question.head.status;

    if (failure == STATUS_SHUTTING_DOWN) {
        guard_look_tell_later(look, failure);
        return GUARD_LOOK_ASKS;
    }
    if (failure != STATUS_OK || status == 429 || (status >= 502 && status <= 504))
        return GUARD_LOOK_AGAIN;
    switch (look->step) {
    case LOOK_BY_ID:
        return guard_look_read_name(look);
    case LOOK_IN_LIST:
        return guard_look_read_list(look);
    default:
        return guard_look_read_count(look);
    }
}

/* Where it has no such route, or not in this database, the list may know it. */
static enum guard_look_answer guard_look_read_name(struct guard_look *look)
{
    struct json_scan scan;

    if (look->question.head.status != 200)
        return guard_look_ask_list(look, NULL);
    json_scan_init(&scan, byte_buffer_bytes(&look->question.body));
    if (look->question.is_whole && collection_answer_take(&scan, &look->found) &&
        json_scan_end(&scan))
        (void)guard_look_take_name(look);
    return guard_look_judge(look, NULL);
}

static enum guard_look_answer guard_look_read_list(struct guard_look *look)
{
    const struct write_question *question = &look->question;
    bool                         is_found = false;
    unsigned                     count = 0;
    struct json_scan             scan;

    json_scan_init(&scan, byte_buffer_bytes(&question->body));
    if (question->head.status != 200 || !question->is_whole || !json_scan_array(&scan))
        return guard_look_judge(look, NULL);
    while (!is_found && json_scan_element(&scan) && collection_answer_take(&scan, &look->found)) {
        is_found = guard_look_take_name(look);
        count++;
    }
    return !is_found && json_scan_end(&scan) && count >= list_page && look->pages < list_pages_max
               ? guard_look_ask_list(look, NULL)
               : guard_look_judge(look, NULL);
}

/* From the description that was read. False: it is another collection's. */
static bool guard_look_take_name(struct guard_look *look)
{
    const struct collection_answer *found = &look->found;
    struct guard_target            *target = &look->target;

    if (memcmp(found->uuid, look->write->route.uuid, sizeof found->uuid) != 0)
        return false;
    if (found->tenant.size > 0)
        target->tenant = (struct bytes){found->tenant.data, found->tenant.size};
    if (found->database.size > 0)
        target->database = (struct bytes){found->database.data, found->database.size};
    target->collection = (struct bytes){found->name.data, found->name.size};
    guard_look_learn(look);
    return true;
}

/* The table does too, so that it is not asked again. */
static void guard_look_learn(struct guard_look *look)
{
    struct proxy       *proxy = look->write->proxy;
    struct chroma_route route = look->write->route;

    route.operation = look->step == LOOK_BY_ID ? CHROMA_OPERATION_COLLECTION_GET_ID
                                               : CHROMA_OPERATION_COLLECTION_LIST;
    route.info = chroma_route_info(route.operation);
    collection_table_learn(proxy->collections, &route, look->asked,
                           byte_buffer_bytes(&look->question.body), loop_now_us(proxy->loop));
}

/* What Chroma says to the filter, or to the client, it would say to the deletion. */
static enum guard_look_answer guard_look_read_count(struct guard_look *look)
{
    const struct write_question *question = &look->question;
    unsigned                     status = question->head.status;
    struct bytes                 body = byte_buffer_bytes(&question->body);
    char                         more[60];

    if (status >= 400 && status <= 499 && status != 408 && question->is_whole) {
        write_tell_answer(look->write, &question->head, body, FRONT_EXECUTED_NO);
        return GUARD_LOOK_REFUSED;
    }
    snprintf(more, sizeof more, "Chroma's answer, %u, is not understood", status);
    if (status != 200 || !question->is_whole)
        return guard_look_refuse(look, GUARD_REASON_UNCOUNTED, more);
    switch (chroma_removal_read_answer(body)) {
    case CHROMA_REMOVAL_NO_MORE:
        return GUARD_LOOK_PASSES;
    case CHROMA_REMOVAL_MORE:
        return guard_look_refuse(look, GUARD_REASON_RECORDS,
                                 look->removal.has_limit
                                     ? "its limit counts for nothing, as older servers ignore it"
                                     : "");
    case CHROMA_REMOVAL_NOT_SAID:
        break;
    }
    return guard_look_refuse(look, GUARD_REASON_UNCOUNTED, more);
}

/* ---- The end -------------------------------------------------------------------------------- */

/* The write's deadline: who minds it says so. */
static void guard_look_on_time(void *ctx)
{
    struct guard_look *look = ctx;

    write_question_cancel(&look->question);
    guard_look_end(look, GUARD_LOOK_AGAIN);
}

static void guard_look_end(struct guard_look *look, enum guard_look_answer answer)
{
    guard_look_fn *fn = look->fn;

    /* Who sends it takes the end of a Chroma for that of its own call. */
    if (answer == GUARD_LOOK_PASSES && look->ends != look->write->proxy->ends)
        answer = GUARD_LOOK_AGAIN;
    loop_timer_clear(look->timer);
    loop_task_cancel(&look->task);
    write_question_clear(&look->question);
    look->fn = NULL;
    look->is_telling = true;
    fn(look->write, answer, look->ctx);
    look->is_telling = false;
}

bool guard_look_is_asking(const struct write *write)
{
    return write->guard != NULL && write->guard->fn != NULL;
}

/* The write goes: nothing is asked any more. */
static void guard_look_done(struct write *write)
{
    struct guard_look *look = write->guard;

    write->guard = NULL;
    loop_task_cancel(&look->task);
    if (look->is_telling) /* its callers still return through it */
        loop_free_later(write->proxy->loop, look, guard_look_free);
    else
        guard_look_free(look);
}

static void guard_look_free(void *object)
{
    struct guard_look *look = object;

    loop_timer_free(look->timer);
    write_question_done(&look->question);
    byte_buffer_done(&look->line);
    free(look->confirm);
    free(look);
}
