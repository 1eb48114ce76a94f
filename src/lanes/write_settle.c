#include "lanes/write_settle.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "chroma/chroma_creation.h"
#include "chroma/chroma_repeat.h"
#include "lanes/write_question.h"

/* Descriptions take 2 KiB and the metadata. */
enum { look_answer_max = 64 << 10 };

struct write_look {
    struct write         *write;
    write_settle_fn       on_settled;
    struct write_question question;
};

static bool     settle_is_of_names(const struct write *write);
static uint64_t settle_name(const struct write *write);
static bool     settle_write_line(const struct write *write, struct byte_buffer *out);
static void     look_on_over(struct write_question *question, enum status failure);
static void     look_end(struct write_look *look, enum write_settled settled);
static void     look_free(void *object);

void write_settle_enter(struct write *write)
{
    struct proxy         *proxy = write->proxy;
    enum chroma_operation operation = write->route.operation;

    if (!proxy->is_supervised || !settle_is_of_names(write))
        return;
    write->name = settle_name(write);
    write->can_settle = write->name != 0 && proxy->family == CHROMA_FAMILY_RUST &&
                        !write->route.is_v1 &&
                        !chroma_repeat_is_harmless(operation, byte_buffer_bytes(&write->body));
    LIST_FOR_EACH(node, &proxy->writes)
    {
        struct write *other = LIST_ITEM(node, struct write, node);

        if (other == write || !settle_is_of_names(other) ||
            (other->name != write->name && other->name != 0 && write->name != 0))
            continue;
        other->is_contested = write->is_contested = true;
    }
}

static bool settle_is_of_names(const struct write *write)
{
    return write->route.info->reach <= CHROMA_REACH_COLLECTION;
}

/* Of the name alone, whatever the database. 0: it may be any. */
static uint64_t settle_name(const struct write *write)
{
    struct bytes name = write->route.collection;

    if (write->route.operation == CHROMA_OPERATION_COLLECTION_CREATE) {
        if (!chroma_creation_name(byte_buffer_bytes(&write->body), &name))
            return 0;
    } else if (write->route.operation != CHROMA_OPERATION_COLLECTION_DELETE || name.size == 0 ||
               memchr(name.data, '%', name.size) != NULL) {
        return 0;
    }
    return siphash_1_3(write->proxy->secret, name) | 1;
}

bool write_settle_may(const struct write *write)
{
    return write->can_settle && !write->is_contested && write->proxy->is_gateway;
}

bool write_settle_look(struct write *write, write_settle_fn on_settled)
{
    struct write_look *look = calloc(1, sizeof *look);
    struct byte_buffer line = {0};

    if (look == NULL)
        return false;
    look->write = write;
    look->on_settled = on_settled;
    write_question_init(&look->question, write, look_answer_max, look_on_over);
    if (settle_write_line(write, &line) &&
        write_question_send(&look->question, byte_buffer_bytes(&line),
                            CHROMA_OPERATION_COLLECTION_GET, NULL, 0, NULL))
        write->look = look;
    else
        look_free(look);
    byte_buffer_done(&line);
    return write->look != NULL;
}

/* In the path of the creation, behind its name. */
static bool settle_write_line(const struct write *write, struct byte_buffer *out)
{
    struct bytes head = byte_buffer_bytes(&write->head), name;
    const char  *path = memchr(head.data, ' ', head.size);
    size_t       size = 0, query;

    if (path == NULL || !chroma_creation_name(byte_buffer_bytes(&write->body), &name))
        return false;
    path++;
    while (memchr("? ", path[size], 2) == NULL) /* a blank is there: " HTTP/1.1" */
        size++;
    query = strcspn(path + size, " ");
    return byte_buffer_printf(out, SIZE_MAX, "GET %.*s/%.*s%.*s",
                              (int)(size - (path[size - 1] == '/')), path, (int)name.size,
                              name.data, (int)query, path + size) == STATUS_OK;
}

static void look_on_over(struct write_question *question, enum status failure)
{
    struct write_look *look = CONTAINER_OF(question, struct write_look, question);
    struct bytes       asked = byte_buffer_bytes(&look->write->body);

    if (failure != STATUS_OK)
        look_end(look,
                 failure == STATUS_SHUTTING_DOWN ? WRITE_SETTLED_UNKNOWN : WRITE_SETTLED_AGAIN);
    else if (!write_settle_may(look->write) || !question->is_whole)
        look_end(look, WRITE_SETTLED_UNKNOWN);
    else if (question->head.status == 404)
        look_end(look, WRITE_SETTLED_ABSENT);
    else if (question->head.status == 200 &&
             chroma_creation_is_of(asked, byte_buffer_bytes(&question->body)))
        look_end(look, WRITE_SETTLED_DONE);
    else
        look_end(look, WRITE_SETTLED_UNKNOWN);
}

static void look_end(struct write_look *look, enum write_settled settled)
{
    struct loop *loop = look->write->proxy->loop;

    look->write->look = NULL;
    look->on_settled(look->write, settled, &look->question.head,
                     byte_buffer_bytes(&look->question.body));
    loop_free_later(loop, look, look_free); /* its call still returns through it */
}

static void look_free(void *object)
{
    struct write_look *look = object;

    write_question_done(&look->question);
    free(look);
}

void write_settle_cancel(struct write *write)
{
    if (write->look != NULL)
        look_free(write->look);
    write->look = NULL;
}

bool write_settle_is_deleted(const struct write *write, int status)
{
    return write->can_settle && write->losses > 0 && status == 404 &&
           write->route.operation == CHROMA_OPERATION_COLLECTION_DELETE;
}
