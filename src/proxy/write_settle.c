#include "proxy/write_settle.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "chroma/chroma_creation.h"
#include "chroma/chroma_repeat.h"

/* Descriptions take 2 KiB and the metadata. */
enum { look_answer_max = 64 << 10 };

struct write_look {
    struct write      *write;
    write_settle_fn    on_settled;
    struct call        call;
    struct answer_sink sink;
    struct byte_buffer request;
    struct http_head   head;
    struct byte_buffer head_bytes, body;
    size_t             charged; /* to the account of answers */
    bool               is_whole;
};

static bool     settle_is_of_names(const struct write *write);
static uint64_t settle_name(const struct write *write);
static bool     settle_write_request(const struct write *write, struct byte_buffer *out);
static bool     settle_is_of_body(struct bytes line);
static void     look_on_head(struct answer_sink *sink, const struct http_head *head);
static void     look_on_body(struct answer_sink *sink, struct bytes data);
static void     look_on_end(struct answer_sink *sink);
static void     look_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void     look_end(struct write_look *look, enum write_settled settled);
static void     look_free(void *object);

static const struct answer_sink_ops look_ops = {.on_head = look_on_head,
                                                .on_body = look_on_body,
                                                .on_end = look_on_end,
                                                .on_failure = look_on_failure};

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
    struct write_look      *look = calloc(1, sizeof *look);
    struct upstream_request request = {0};

    if (look == NULL)
        return false;
    look->write = write;
    look->on_settled = on_settled;
    look->sink.ops = &look_ops;
    look->is_whole = true;
    list_node_init(&look->call.node);
    if (settle_write_request(write, &look->request)) {
        request.head = byte_buffer_bytes(&look->request);
        if (call_start(&look->call, write->proxy,
                       chroma_route_info(CHROMA_OPERATION_COLLECTION_GET), &request, &look->sink,
                       NULL) == STATUS_OK) {
            write->look = look;
            return true;
        }
    }
    look_free(look);
    return false;
}

/* The client's own head, with its credentials, but for what tells of the body. */
static bool settle_write_request(const struct write *write, struct byte_buffer *out)
{
    struct bytes rest = byte_buffer_bytes(&write->head), name;
    const char  *path = memchr(rest.data, ' ', rest.size);
    const char  *end = memmem(rest.data, rest.size, "\r\n", 2);
    size_t       size = 0;
    enum status  status;

    if (path == NULL || end == NULL ||
        !chroma_creation_name(byte_buffer_bytes(&write->body), &name))
        return false;
    while (path + 1 + size < end && memchr("? ", path[1 + size], 2) == NULL)
        size++;
    while (size > 0 && path[size] == '/')
        size--;
    status = byte_buffer_printf(out, SIZE_MAX, "GET %.*s/%.*s%.*s\r\n", (int)size, path + 1,
                                (int)name.size, name.data, (int)(end - path - 1 - (ptrdiff_t)size),
                                path + 1 + size);
    while (status == STATUS_OK && end != NULL) {
        struct bytes line;

        rest.size -= (size_t)(end + 2 - rest.data);
        rest.data = end + 2;
        end = memmem(rest.data, rest.size, "\r\n", 2);
        line = (struct bytes){rest.data, end == NULL ? rest.size : (size_t)(end + 2 - rest.data)};
        if (!settle_is_of_body(line))
            status = byte_buffer_append(out, line, SIZE_MAX);
    }
    return status == STATUS_OK;
}

static bool settle_is_of_body(struct bytes line)
{
    static const char prefix[] = "content-";

    return line.size >= sizeof prefix - 1 && strncasecmp(line.data, prefix, sizeof prefix - 1) == 0;
}

static void look_on_head(struct answer_sink *sink, const struct http_head *head)
{
    struct write_look *look = CONTAINER_OF(sink, struct write_look, sink);

    look->is_whole = http_head_copy(&look->head, head, &look->head_bytes);
}

static void look_on_body(struct answer_sink *sink, struct bytes data)
{
    struct write_look *look = CONTAINER_OF(sink, struct write_look, sink);

    if (!look->is_whole)
        return;
    look->is_whole = byte_buffer_append(&look->body, data, look_answer_max) == STATUS_OK;
    memory_account_charge(&look->write->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS], data.size);
    look->charged += data.size;
}

static void look_on_end(struct answer_sink *sink)
{
    struct write_look *look = CONTAINER_OF(sink, struct write_look, sink);
    struct bytes       asked = byte_buffer_bytes(&look->write->body);

    if (!write_settle_may(look->write) || !look->is_whole)
        look_end(look, WRITE_SETTLED_UNKNOWN);
    else if (look->head.status == 404)
        look_end(look, WRITE_SETTLED_ABSENT);
    else if (look->head.status == 200 &&
             chroma_creation_is_of(asked, byte_buffer_bytes(&look->body)))
        look_end(look, WRITE_SETTLED_DONE);
    else
        look_end(look, WRITE_SETTLED_UNKNOWN);
}

static void look_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct write_look *look = CONTAINER_OF(sink, struct write_look, sink);

    (void)sent; /* it changes nothing */
    look_end(look, why == STATUS_SHUTTING_DOWN ? WRITE_SETTLED_UNKNOWN : WRITE_SETTLED_AGAIN);
}

static void look_end(struct write_look *look, enum write_settled settled)
{
    struct loop *loop = look->write->proxy->loop;

    look->write->look = NULL;
    memory_account_release(&look->write->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                           look->charged);
    look->charged = 0;
    look->on_settled(look->write, settled, &look->head, byte_buffer_bytes(&look->body));
    loop_free_later(loop, look, look_free); /* its call still returns through it */
}

static void look_free(void *object)
{
    struct write_look *look = object;

    byte_buffer_done(&look->request);
    byte_buffer_done(&look->head_bytes);
    byte_buffer_done(&look->body);
    free(look);
}

void write_settle_cancel(struct write *write)
{
    struct write_look *look = write->look;

    if (look == NULL)
        return;
    write->look = NULL;
    call_cancel(&look->call);
    memory_account_release(&write->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS], look->charged);
    look_free(look);
}

bool write_settle_is_deleted(const struct write *write, int status)
{
    return write->can_settle && write->losses > 0 && status == 404 &&
           write->route.operation == CHROMA_OPERATION_COLLECTION_DELETE;
}
