#include "front/front_last_hop.h"

#include "http/http_writer.h"

/* The connection stands for its request. */
static void *take_request(struct front_connection *connection, const struct http_head *head,
                          void *ctx)
{
    (void)head;
    (void)ctx;
    return connection;
}

static void ignore_body(void *request, struct bytes data)
{
    (void)request;
    (void)data;
}

static void answer_ok(void *request)
{
    struct front_connection   *connection = request;
    struct byte_buffer         out = {0};
    struct bytes               answer;
    struct http_writer_options options = {.framing = HTTP_FRAMING_LENGTH,
                                          .close = front_connection_will_close(connection),
                                          .date = front_connection_date(connection)};

    if (http_writer_own_response(&out, 200, (struct bytes){0}, &options) == STATUS_OK) {
        answer = byte_buffer_bytes(&out);
        front_connection_send(connection, &answer, 1);
    } else {
        front_connection_set_close(connection);
    }
    byte_buffer_done(&out);
    front_connection_finish(connection);
}

static void ignore_abort(void *request, enum status why)
{
    (void)request;
    (void)why;
}

static void ignore_drained(void *request)
{
    (void)request;
}

const struct front_handler front_last_hop_handler = {.on_request = take_request,
                                                     .on_body = ignore_body,
                                                     .on_body_end = answer_ok,
                                                     .on_abort = ignore_abort,
                                                     .on_drained = ignore_drained};
