/* What must hold: a stream needs no change for a transport that has words of its own on the wire,
 * waits to receive before it sends, and holds what its descriptor does not tell of. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/byte_buffer.h"
#include "io/socket.h"
#include "io/socket_stream.h"
#include "io/transport.h"
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "support/plain_budget.h"

/* Nothing travels before the peer's '!', which is answered with '?'. Bytes are masked, taken from
 * the socket many at a time and given three at a time. The last word is '.', said at the second
 * call. */
struct masked {
    struct transport transport;
    bool             is_greeted, has_answered, has_begun_end;
    char             held[64];
    size_t           held_at, held_size;
};

enum { mask = 0x55, piece_max = 3 };

static enum status greet(struct masked *masked)
{
    struct bytes word = BYTES_LITERAL("?");
    size_t       size;
    char         byte;

    if (!masked->is_greeted) {
        enum status status = socket_recv(masked->transport.fd, &byte, 1, &size);

        if (status != STATUS_OK)
            return status;
        ck_assert_int_eq(byte, '!');
        masked->is_greeted = true;
    }
    if (!masked->has_answered) {
        enum status status = socket_send(masked->transport.fd, &word, 1, &size);

        if (status != STATUS_OK)
            return status;
        masked->has_answered = true;
    }
    return STATUS_OK;
}

static enum status masked_recv(struct transport *transport, char *data, size_t size,
                               size_t *ret_size)
{
    struct masked *masked = CONTAINER_OF(transport, struct masked, transport);
    enum status    status = greet(masked);

    ck_assert_uint_ge(size, piece_max);
    if (status == STATUS_OK && masked->held_at == masked->held_size) {
        masked->held_at = masked->held_size = 0;
        status = socket_recv(transport->fd, masked->held, sizeof masked->held, &masked->held_size);
    }
    if (status != STATUS_OK)
        return status;
    for (*ret_size = 0; *ret_size < piece_max && masked->held_at < masked->held_size; ++*ret_size)
        data[*ret_size] = (char)(masked->held[masked->held_at++] ^ mask);
    return STATUS_OK;
}

static enum status masked_send(struct transport *transport, const struct bytes *parts, size_t count,
                               size_t *ret_size)
{
    struct masked *masked = CONTAINER_OF(transport, struct masked, transport);
    enum status    status = greet(masked);
    char           byte = (char)(parts[0].data[0] ^ mask);
    struct bytes   part = {.data = &byte, .size = 1};

    ck_assert_uint_ge(count, 1);
    return status == STATUS_OK ? socket_send(transport->fd, &part, 1, ret_size) : status;
}

static unsigned masked_wants(const struct transport *transport, enum loop_ready direction)
{
    const struct masked *masked = CONTAINER_OF(transport, const struct masked, transport);

    if (!masked->is_greeted)
        return LOOP_READ;
    if (!masked->has_answered)
        return LOOP_WRITE;
    return direction == LOOP_READ && masked->held_at < masked->held_size ? 0 : direction;
}

static enum status masked_shutdown(struct transport *transport)
{
    struct masked *masked = CONTAINER_OF(transport, struct masked, transport);
    struct bytes   word = BYTES_LITERAL(".");
    size_t         size;

    if (!masked->has_begun_end) {
        masked->has_begun_end = true;
        return STATUS_AGAIN;
    }
    ck_assert_int_eq(socket_send(transport->fd, &word, 1, &size), STATUS_OK);
    socket_shutdown_send(transport->fd);
    return STATUS_OK;
}

static enum status masked_peek(const struct transport *transport)
{
    const struct masked *masked = CONTAINER_OF(transport, const struct masked, transport);

    return masked->held_at < masked->held_size ? STATUS_OK : socket_peek(transport->fd);
}

static enum status masked_probe(const struct transport *transport)
{
    return socket_probe(transport->fd);
}

static size_t masked_unsent(const struct transport *transport)
{
    return socket_unsent(transport->fd);
}

static void masked_close(struct transport *transport, bool with_reset)
{
    (void)with_reset;
    socket_close(transport->fd);
    transport->fd = -1;
}

static const struct transport_ops masked_ops = {.recv = masked_recv,
                                                .send = masked_send,
                                                .wants = masked_wants,
                                                .shutdown = masked_shutdown,
                                                .peek = masked_peek,
                                                .probe = masked_probe,
                                                .unsent = masked_unsent,
                                                .close = masked_close};

static struct loop                 *loop;
static struct memory_account_budget budget;
static struct masked                masked;
static struct socket_stream        *stream;
static int                          peer;
static struct byte_buffer           got;
static int                          ends, drains;

static size_t on_data(struct bytes data, void *ctx)
{
    (void)ctx;
    ck_assert_int_eq(byte_buffer_append(&got, data, SIZE_MAX), STATUS_OK);
    return data.size;
}

static void on_end(enum status status, void *ctx)
{
    (void)ctx;
    ck_assert_int_eq(status, STATUS_CLOSED);
    ends++;
}

static void on_drained(void *ctx)
{
    (void)ctx;
    drains++;
}

static const struct socket_stream_events events = {
    .on_data = on_data, .on_end = on_end, .on_drained = on_drained};

static void setup(void)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    plain_budget_init(&budget, 1 << 30);
    loop = loop_new();
    peer = pair[1];
    masked = (struct masked){.transport = {.ops = &masked_ops, .fd = pair[0]}};
    stream = socket_stream_new_over(loop, &budget.accounts[MEMORY_ACCOUNT_ANSWERS],
                                    &masked.transport, &events, NULL);
    ck_assert_ptr_nonnull(stream);
}

static void teardown(void)
{
    socket_stream_free(stream);
    ck_assert_int_eq(masked.transport.fd, -1);
    ck_assert_uint_eq(budget.used, 0);
    loop_free(loop);
    close(peer);
    byte_buffer_done(&got);
}

/* What the peer says. */
static void say(const char *text, char masked_with)
{
    for (; *text != '\0'; text++) {
        char byte = (char)(*text ^ masked_with);

        ck_assert_int_eq(write(peer, &byte, 1), 1);
    }
}

static struct byte_buffer heard; /* by the peer */

static bool peer_has_heard_all(void)
{
    char    data[64];
    ssize_t size;

    while ((size = read(peer, data, sizeof data)) > 0)
        ck_assert_int_eq(byte_buffer_append(
                             &heard, (struct bytes){.data = data, .size = (size_t)size}, SIZE_MAX),
                         STATUS_OK);
    return size == 0;
}

static bool has_got_the_sentence(void)
{
    return bytes_equal(byte_buffer_bytes(&got), BYTES_LITERAL("ten bytes."));
}

START_TEST(what_the_transport_holds_is_received_without_the_descriptor)
{
    say("!", 0);
    say("ten bytes.", mask);
    socket_stream_resume(stream);
    loop_drive_until(loop, has_got_the_sentence);
    socket_stream_pause(stream);
    ck_assert_int_eq(socket_stream_peek(stream), STATUS_AGAIN);
    ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
    socket_stream_resume(stream);
    loop_drive_for(loop, 2000);
    ck_assert_int_eq(ends, 1);
}
END_TEST

START_TEST(sending_waits_for_what_must_be_received_first_and_counts_its_own_bytes_only)
{
    struct bytes part = BYTES_LITERAL("hello");

    ck_assert_int_eq(socket_stream_send(stream, &part, 1), STATUS_OK);
    socket_stream_shutdown(stream);
    loop_drive_for(loop, 2000);
    ck_assert_uint_eq(socket_stream_sent(stream), 0);
    ck_assert_uint_eq(socket_stream_queued(stream), 5);
    say("!", 0); /* reading is paused all the same */
    loop_drive_until(loop, peer_has_heard_all);
    ck_assert_uint_eq(socket_stream_sent(stream), 5);
    ck_assert_uint_eq(byte_buffer_size(&got), 0);
    ck_assert_int_eq(drains, 1);
    ck_assert(bytes_equal(byte_buffer_bytes(&heard), BYTES_LITERAL("?=099:.")));
    byte_buffer_done(&heard);
}
END_TEST

START_TEST(what_the_peer_has_not_taken_has_not_arrived)
{
    struct bytes part = BYTES_LITERAL("hello");

    say("!", 0);
    ck_assert_int_eq(socket_stream_send(stream, &part, 1), STATUS_OK);
    socket_stream_shutdown(stream);
    ck_assert_uint_eq(socket_stream_arrived(stream), 0);
    loop_drive_until(loop, peer_has_heard_all);
    ck_assert_uint_eq(socket_stream_arrived(stream), 5);
    byte_buffer_done(&heard);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("transport");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_the_transport_holds_is_received_without_the_descriptor);
    tcase_add_test(tcase,
                   sending_waits_for_what_must_be_received_first_and_counts_its_own_bytes_only);
    tcase_add_test(tcase, what_the_peer_has_not_taken_has_not_arrived);
    return check_main("transport", tcase);
}
