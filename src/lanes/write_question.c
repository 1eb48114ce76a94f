#include "lanes/write_question.h"

#include <stdio.h>
#include <string.h>

static bool write_question_head(struct write_question *question, struct bytes line,
                                const struct bytes *parts, size_t part_count);
static bool write_question_is_of_body(struct bytes line);
static void write_question_on_head(struct answer_sink *sink, const struct http_head *head);
static void write_question_on_body(struct answer_sink *sink, struct bytes data);
static void write_question_on_end(struct answer_sink *sink);
static void write_question_on_failure(struct answer_sink *sink, enum status why, bool sent);

static const struct answer_sink_ops write_question_ops = {.on_head = write_question_on_head,
                                                          .on_body = write_question_on_body,
                                                          .on_end = write_question_on_end,
                                                          .on_failure = write_question_on_failure};

void write_question_init(struct write_question *question, struct write *write, size_t body_max,
                         write_question_fn on_over)
{
    *question = (struct write_question){.proxy = write->proxy,
                                        .write = write,
                                        .on_over = on_over,
                                        .body_max = body_max,
                                        .sink = {.ops = &write_question_ops}};
    list_node_init(&question->call.node);
}

bool write_question_send(struct write_question *question, struct bytes line,
                         enum chroma_operation operation, const struct bytes *parts,
                         size_t part_count, struct turn *turn)
{
    struct proxy                       *proxy = question->proxy;
    const struct chroma_operation_info *info = chroma_route_info(operation);
    struct upstream_request             request = {.body = parts, .body_parts = part_count};

    write_question_clear(question);
    question->is_whole = true;
    if (!write_question_head(question, line, parts, part_count))
        return false;
    request.head = byte_buffer_bytes(&question->request);
    if (turn != NULL)
        return call_start_with_turn(&question->call, proxy, info, &request, &question->sink,
                                    turn) == STATUS_OK;
    question->call.origin = question->write->origin;
    question->call.origin.is_exempt = true;
    return call_start(&question->call, proxy, info, &request, &question->sink, NULL) == STATUS_OK;
}

static bool write_question_head(struct write_question *question, struct bytes line,
                                const struct bytes *parts, size_t part_count)
{
    struct byte_buffer *out = &question->request;
    struct bytes        rest = byte_buffer_bytes(&question->write->head);
    const char         *end = memmem(rest.data, rest.size, "\r\n", 2);
    size_t              size = 0;
    enum status         status;

    for (size_t i = 0; i < part_count; i++)
        size += parts[i].size;
    byte_buffer_clear(out);
    status = byte_buffer_append(out, line, SIZE_MAX);
    if (status == STATUS_OK)
        status = byte_buffer_append(out, BYTES_LITERAL(" HTTP/1.1\r\n"), SIZE_MAX);
    if (status == STATUS_OK && part_count > 0)
        status = byte_buffer_printf(
            out, SIZE_MAX, "Content-Type: application/json\r\nContent-Length: %zu\r\n", size);
    while (status == STATUS_OK && end != NULL) {
        struct bytes field;

        rest = bytes_skip(rest, (size_t)(end + 2 - rest.data));
        end = memmem(rest.data, rest.size, "\r\n", 2);
        field = (struct bytes){rest.data, end == NULL ? rest.size : (size_t)(end + 2 - rest.data)};
        if (!write_question_is_of_body(field))
            status = byte_buffer_append(out, field, SIZE_MAX);
    }
    return status == STATUS_OK;
}

static bool write_question_is_of_body(struct bytes line)
{
    static const char prefix[] = "content-";

    return line.size >= sizeof prefix - 1 && strncasecmp(line.data, prefix, sizeof prefix - 1) == 0;
}

static void write_question_on_head(struct answer_sink *sink, const struct http_head *head)
{
    struct write_question *question = CONTAINER_OF(sink, struct write_question, sink);

    question->is_whole = http_head_copy(&question->head, head, &question->head_bytes);
}

static void write_question_on_body(struct answer_sink *sink, struct bytes data)
{
    struct write_question *question = CONTAINER_OF(sink, struct write_question, sink);

    question->is_whole = question->is_whole &&
                         byte_buffer_append(&question->body, data, question->body_max) == STATUS_OK;
    if (!question->is_whole)
        return;
    memory_account_charge(&question->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS], data.size);
    question->charged += data.size;
}

static void write_question_on_end(struct answer_sink *sink)
{
    struct write_question *question = CONTAINER_OF(sink, struct write_question, sink);

    question->on_over(question, STATUS_OK);
}

static void write_question_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct write_question *question = CONTAINER_OF(sink, struct write_question, sink);

    (void)sent; /* it changes nothing */
    question->on_over(question, why);
}

void write_question_cancel(struct write_question *question)
{
    call_cancel(&question->call);
}

void write_question_clear(struct write_question *question)
{
    memory_account_release(&question->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                           question->charged);
    question->charged = 0;
    byte_buffer_clear(&question->head_bytes);
    byte_buffer_done(&question->body);
}

void write_question_done(struct write_question *question)
{
    write_question_cancel(question);
    write_question_clear(question);
    byte_buffer_done(&question->request);
    byte_buffer_done(&question->head_bytes);
}
