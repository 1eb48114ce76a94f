#include "flow/flow_client.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/fake_loop.h"
#include "io/clock.h"

static const struct http_reader_limits limits = {
    .start_line_bytes_max = 65536, .head_bytes_max = 65536, .body_bytes_max = UINT64_MAX};

static void on_event(struct fake_net_end *end, void *ctx);
static void send_out(struct flow_client *client);
static void on_send_time(void *ctx);
static void receive(struct flow_client *client);
static void on_read_time(void *ctx);
static void read_answers(struct flow_client *client, struct bytes input);
static void keep_head(struct flow_client *client, const char *data, size_t size);
static void on_ended(struct flow_client *client);
static void append(struct byte_buffer *buffer, struct bytes data);

struct flow_client *flow_client_new(uint16_t port)
{
    struct flow_client *client = calloc(1, sizeof *client);

    assert(client != NULL);
    client->reads = client->keeps_bodies = true;
    client->reader = http_reader_new(HTTP_READER_RESPONSE, &limits);
    client->end = fake_net_connect(port, on_event, client);
    return client;
}

void flow_client_free(struct flow_client *client)
{
    for (size_t i = 0; i < FLOW_CLIENT_ANSWERS_MAX; i++) {
        byte_buffer_done(&client->answers[i].head);
        byte_buffer_done(&client->answers[i].body);
    }
    byte_buffer_done(&client->out);
    http_reader_free(client->reader);
    free(client);
}

static void append(struct byte_buffer *buffer, struct bytes data)
{
    enum status status = byte_buffer_append(buffer, data, SIZE_MAX);

    assert(status == STATUS_OK);
    (void)status;
}

void flow_client_send(struct flow_client *client, const char *text)
{
    flow_client_send_bytes(client, bytes_of(text));
}

void flow_client_send_bytes(struct flow_client *client, struct bytes data)
{
    append(&client->out, data);
    send_out(client);
}

void flow_client_printf(struct flow_client *client, const char *format, ...)
{
    char    text[4096];
    va_list args;
    int     size;

    va_start(args, format);
    size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert(size >= 0 && (size_t)size < sizeof text);
    flow_client_send(client, text);
}

static void send_out(struct flow_client *client)
{
    while (byte_buffer_size(&client->out) > 0 && !client->send_planned && !client->has_ended) {
        struct bytes data = byte_buffer_bytes(&client->out);
        size_t       sent;

        if (client->piece_max > 0 && data.size > client->piece_max)
            data.size = client->piece_max;
        sent = fake_net_write(client->end, data);
        if (sent == 0)
            return;
        byte_buffer_consume(&client->out, sent);
        if (client->piece_max > 0) {
            client->send_planned = true;
            fake_loop_at(clock_now_us() + client->piece_pause_us, on_send_time, client);
        }
    }
    if (byte_buffer_size(&client->out) == 0 && client->shuts_down && !client->has_ended)
        fake_net_shutdown(client->end);
}

static void on_send_time(void *ctx)
{
    struct flow_client *client = ctx;

    client->send_planned = false;
    send_out(client);
}

static void on_event(struct fake_net_end *end, void *ctx)
{
    struct flow_client *client = ctx;

    (void)end;
    send_out(client);
    if (!client->read_planned)
        receive(client);
}

/* All there is; or a tenth of a second's worth, every tenth of a second. */
static void receive(struct flow_client *client)
{
    static char data[65536];
    size_t      size, left = client->read_per_second > 0 ? (size_t)client->read_per_second / 10 : 0;

    if (!client->reads || client->has_ended)
        return;
    for (;;) {
        size = sizeof data;
        if (client->read_per_second > 0 && size > left)
            size = left;
        size = fake_net_read(client->end, data, size);
        if (size == 0)
            break;
        left -= client->read_per_second > 0 ? size : 0;
        read_answers(client, (struct bytes){.data = data, .size = size});
        if (client->has_ended)
            return;
    }
    if (client->read_per_second > 0) {
        client->read_planned = true;
        fake_loop_at(clock_now_us() + 100000, on_read_time, client);
    }
    if (fake_net_has_ended(client->end))
        on_ended(client);
}

static void on_read_time(void *ctx)
{
    struct flow_client *client = ctx;

    client->read_planned = false;
    receive(client);
}

static void read_answers(struct flow_client *client, struct bytes input)
{
    while (!client->is_garbled && !client->has_ended) {
        struct flow_answer     *answer = &client->answers[client->answer_count];
        const struct http_head *head = http_reader_head(client->reader);
        struct bytes            body, before = input;
        enum http_reader_event  event;

        assert(client->answer_count < FLOW_CLIENT_ANSWERS_MAX);
        event = http_reader_feed(client->reader, &input, &body);
        switch (event) {
        case HTTP_READER_MORE:
            keep_head(client, before.data, before.size - input.size);
            return;
        case HTTP_READER_HEAD:
            keep_head(client, before.data, before.size - input.size);
            answer->status = head->status;
            answer->keep_alive = head->keep_alive;
            break;
        case HTTP_READER_BODY:
            client->body_bytes += body.size;
            if (client->keeps_bodies)
                append(&answer->body, body);
            break;
        case HTTP_READER_END:
            if (answer->status < 200) {
                client->interims[client->answer_count]++;
                client->interim_count++;
                answer->status = 0;
            } else {
                answer->is_complete = true;
                client->answer_count++;
            }
            http_reader_reset(client->reader, client->answer_count < FLOW_CLIENT_ANSWERS_MAX &&
                                                  client->expects_no_body[client->answer_count]);
            if (answer->is_complete && client->on_answer != NULL)
                client->on_answer(client, client->ctx);
            break;
        case HTTP_READER_ERROR:
            client->is_garbled = true;
            break;
        }
    }
}

/* Bytes of the head; those of a body are consumed only by BODY events. */
static void keep_head(struct flow_client *client, const char *data, size_t size)
{
    struct flow_answer *answer = &client->answers[client->answer_count];

    if (answer->status < 200 && size > 0)
        append(&answer->head, (struct bytes){.data = data, .size = size});
}

static void on_ended(struct flow_client *client)
{
    struct flow_answer *answer;

    assert(!client->has_ended);
    client->was_reset = fake_net_is_reset(client->end);
    client->has_ended = true;
    if (client->answer_count < FLOW_CLIENT_ANSWERS_MAX && !client->is_garbled) {
        answer = &client->answers[client->answer_count];
        if (answer->status >= 200 && !client->was_reset &&
            http_reader_end_of_input(client->reader) == HTTP_READER_END) {
            answer->is_complete = true;
            client->answer_count++;
        } else if (byte_buffer_size(&answer->head) > 0) {
            answer->was_cut = true;
        }
    }
    fake_net_close(client->end);
    if (client->on_answer != NULL)
        client->on_answer(client, client->ctx);
}

void flow_client_expect_no_body(struct flow_client *client, size_t later)
{
    client->expects_no_body[client->answer_count + later] = true;
    if (later == 0)
        http_reader_reset(client->reader, true);
}

void flow_client_shutdown(struct flow_client *client)
{
    client->shuts_down = true;
    send_out(client);
}

void flow_client_close(struct flow_client *client)
{
    if (!client->has_ended)
        fake_net_close(client->end);
    client->has_ended = true;
}

void flow_client_reset(struct flow_client *client)
{
    if (!client->has_ended)
        fake_net_reset(client->end);
    client->has_ended = true;
}

void flow_client_go_on(struct flow_client *client)
{
    client->reads = true;
    if (!client->read_planned)
        receive(client);
}

static const char *as_text(struct byte_buffer *buffer)
{
    append(buffer, (struct bytes){.data = "", .size = 1});
    buffer->end--;
    return byte_buffer_bytes(buffer).data;
}

const char *flow_client_head(struct flow_client *client, size_t answer)
{
    return as_text(&client->answers[answer].head);
}

const char *flow_client_body(struct flow_client *client, size_t answer)
{
    return as_text(&client->answers[answer].body);
}
