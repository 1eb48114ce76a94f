/* What must hold: bytes arrive and leave complete and in order, the end is told once and after
 * them, what is buffered is charged, and nothing is told after the stream is freed. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/byte_buffer.h"
#include "io/socket_stream.h"
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "support/plain_budget.h"

#define LARGE (3u << 20)

static struct loop                 *loop;
static struct memory_account_budget budget;
static struct socket_stream        *stream;
static int                          peer; /* blocking */
static struct byte_buffer           got;
static size_t                       take; /* consumed of each piece at most */
static int                          ends, drains;
static enum status                  end;
static bool                         frees_in_data;

static size_t on_data(struct bytes data, void *ctx)
{
    ck_assert_ptr_eq(ctx, &got);
    ck_assert_int_eq(ends, 0);
    if (frees_in_data) {
        socket_stream_free(stream);
        stream = NULL;
        return 0;
    }
    if (data.size > take)
        data.size = take;
    ck_assert_int_eq(byte_buffer_append(&got, data, SIZE_MAX), STATUS_OK);
    if (take != SIZE_MAX)
        socket_stream_pause(stream);
    return data.size;
}

static void on_end(enum status status, void *ctx)
{
    (void)ctx;
    ends++;
    end = status;
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

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int)), 0);
    ck_assert_int_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    loop = loop_new();
    plain_budget_init(&budget, UINT64_MAX);
    take = SIZE_MAX;
    peer = pair[1];
    stream =
        socket_stream_new(loop, &budget.accounts[MEMORY_ACCOUNT_ANSWERS], pair[0], &events, &got);
    ck_assert_ptr_nonnull(stream);
}

static void teardown(void)
{
    socket_stream_free(stream);
    ck_assert_uint_eq(budget.used, 0);
    loop_free(loop);
    close(peer);
    byte_buffer_done(&got);
}

static bool has_ended(void)
{
    return ends > 0;
}

static bool got_hello(void)
{
    return bytes_equal(byte_buffer_bytes(&got), BYTES_LITERAL("hello"));
}

static void say_hello(void)
{
    ck_assert_int_eq(write(peer, "hello", 5), 5);
}

START_TEST(reading_is_paused_at_first)
{
    say_hello();
    loop_drive_for(loop, 2000);
    ck_assert_uint_eq(byte_buffer_size(&got), 0);
    socket_stream_resume(stream);
    loop_drive_until(loop, got_hello);
    ck_assert_uint_eq(budget.used, 0); /* a reader that takes all costs no memory */
}
END_TEST

START_TEST(what_is_not_consumed_is_kept_charged_and_offered_again)
{
    take = 2;
    say_hello();
    socket_stream_resume(stream);
    loop_drive_for(loop, 2000);
    ck_assert_uint_eq(byte_buffer_size(&got), 2);
    ck_assert_uint_gt(budget.used, 0);
    socket_stream_resume(stream);
    ck_assert_uint_eq(byte_buffer_size(&got), 2); /* never inside a call */
    take = SIZE_MAX;
    loop_drive_until(loop, got_hello);
    ck_assert_uint_eq(budget.used, 0);
}
END_TEST

START_TEST(the_end_is_told_once_and_after_the_kept_bytes)
{
    take = 2;
    say_hello();
    close(peer);
    peer = -1;
    socket_stream_resume(stream);
    loop_drive_for(loop, 2000);
    ck_assert_int_eq(ends, 0);
    take = SIZE_MAX;
    socket_stream_resume(stream);
    loop_drive_until(loop, has_ended);
    ck_assert(got_hello());
    ck_assert_int_eq(end, STATUS_CLOSED);
    loop_drive_for(loop, 2000);
    ck_assert_int_eq(ends, 1);
    ck_assert_int_eq(socket_stream_peek(stream), STATUS_CLOSED);
}
END_TEST

START_TEST(nothing_is_told_after_it_was_freed)
{
    frees_in_data = true;
    say_hello();
    close(peer);
    peer = -1;
    socket_stream_resume(stream);
    loop_drive_for(loop, 3000);
    ck_assert_ptr_null(stream);
    ck_assert_int_eq(ends, 0);
    ck_assert_int_eq(drains, 0);
}
END_TEST

static size_t received;
static char   expected_next;

/* Take from the peer's side what is there, and check that it is the pattern. */
static bool receive_pattern(void)
{
    static char   data[65536];
    struct pollfd ready = {.fd = peer, .events = POLLIN};
    ssize_t       size;

    while (poll(&ready, 1, 0) > 0 && (size = read(peer, data, sizeof data)) > 0) {
        for (ssize_t i = 0; i < size; i++) {
            if (data[i] != expected_next)
                ck_abort_msg("byte %zu is wrong", received + (size_t)i);
            expected_next = (char)(expected_next + 1);
        }
        received += (size_t)size;
    }
    return received == LARGE;
}

static char *pattern(void)
{
    char *data = malloc(LARGE);

    for (size_t i = 0; i < LARGE; i++)
        data[i] = (char)i;
    return data;
}

START_TEST(what_the_socket_does_not_take_is_queued_charged_and_sent_in_order)
{
    char        *data = pattern();
    struct bytes parts[] = {{.data = data, .size = 1000},
                            {.data = data + 1000, .size = 1 << 20},
                            {.data = data + 1000 + (1 << 20), .size = LARGE - 1000 - (1 << 20)}};

    ck_assert_int_eq(socket_stream_send(stream, parts, 3), STATUS_OK);
    free(data); /* borrowed for the call only */
    ck_assert(socket_stream_is_full(stream));
    ck_assert_uint_ge(budget.used, socket_stream_queued(stream));
    ck_assert_uint_eq(socket_stream_sent(stream) + socket_stream_queued(stream), LARGE);
    loop_drive_until(loop, receive_pattern);
    ck_assert(!socket_stream_is_full(stream));
    ck_assert_uint_eq(socket_stream_sent(stream), LARGE);
    ck_assert_uint_eq(budget.used, 0);
    loop_drive_for(loop, 1000);
    ck_assert_int_ge(drains, 1);
    ck_assert_int_le(drains, 2); /* at the low mark, and when empty */
}
END_TEST

START_TEST(a_fast_peer_costs_no_memory_and_no_event)
{
    struct bytes word = BYTES_LITERAL("word");

    ck_assert_int_eq(socket_stream_send(stream, &word, 1), STATUS_OK);
    ck_assert_uint_eq(socket_stream_sent(stream), 4);
    ck_assert_uint_eq(budget.peak, 0);
    loop_drive_for(loop, 1000);
    ck_assert_int_eq(drains, 0);
}
END_TEST

START_TEST(anything_queued_is_too_much_while_the_budget_is_exceeded)
{
    char        *data = pattern();
    struct bytes part = {.data = data, .size = 300000};

    ck_assert_int_eq(socket_stream_send(stream, &part, 1), STATUS_OK);
    while (socket_stream_queued(stream) > SOCKET_STREAM_HIGH) {
        loop_drive_for(loop, 100);
        (void)receive_pattern();
    }
    if (socket_stream_queued(stream) > 0) {
        ck_assert(!socket_stream_is_full(stream));
        budget.shared_max = 0;
        ck_assert(socket_stream_is_full(stream));
    }
    free(data);
}
END_TEST

START_TEST(fin_follows_the_queue_and_receiving_goes_on)
{
    char        *data = pattern();
    struct bytes part = {.data = data, .size = LARGE};
    char         byte;

    ck_assert_int_eq(socket_stream_send(stream, &part, 1), STATUS_OK);
    free(data);
    socket_stream_shutdown(stream);
    loop_drive_until(loop, receive_pattern);
    loop_drive_for(loop, 1000);
    ck_assert_int_eq(read(peer, &byte, 1), 0);
    say_hello();
    socket_stream_resume(stream);
    loop_drive_until(loop, got_hello);
}
END_TEST

START_TEST(the_last_words_of_a_peer_that_left_are_heard)
{
    struct bytes word = BYTES_LITERAL("word");

    say_hello();
    close(peer);
    peer = -1;
    /* Even though reading is paused and sending fails. */
    ck_assert_int_eq(socket_stream_send(stream, &word, 1), STATUS_RESET);
    ck_assert_int_eq(socket_stream_send(stream, &word, 1), STATUS_RESET);
    loop_drive_until(loop, has_ended);
    ck_assert(got_hello());
}
END_TEST

START_TEST(peeking_tells_fit_from_unfit)
{
    ck_assert_int_eq(socket_stream_peek(stream), STATUS_AGAIN);
    say_hello();
    ck_assert_int_eq(socket_stream_peek(stream), STATUS_OK);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("socket_stream");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, reading_is_paused_at_first);
    tcase_add_test(tcase, what_is_not_consumed_is_kept_charged_and_offered_again);
    tcase_add_test(tcase, the_end_is_told_once_and_after_the_kept_bytes);
    tcase_add_test(tcase, nothing_is_told_after_it_was_freed);
    tcase_add_test(tcase, what_the_socket_does_not_take_is_queued_charged_and_sent_in_order);
    tcase_add_test(tcase, a_fast_peer_costs_no_memory_and_no_event);
    tcase_add_test(tcase, anything_queued_is_too_much_while_the_budget_is_exceeded);
    tcase_add_test(tcase, fin_follows_the_queue_and_receiving_goes_on);
    tcase_add_test(tcase, the_last_words_of_a_peer_that_left_are_heard);
    tcase_add_test(tcase, peeking_tells_fit_from_unfit);
    return check_main("socket_stream", tcase);
}
