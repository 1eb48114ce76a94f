/* A transfer between its failure and the callback that tells of it: its owner may be woken first,
 * by a clock or by its client, in the same turn of the loop. */
#include "flow/flow_world.h"
#include "http/http_writer.h"
#include "support/check_main.h"
#include "upstream/upstream_transfer.h"

static struct flow_world         world;
static struct upstream_transfer *transfer;
static struct loop_task          task;
static bool                      sees_sent, is_over, only_looks;

/* A head, and in the same packet a chunk that is none: on_head, then the failure. */
static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";

static void on_server_event(struct fake_net_end *end, void *ctx)
{
    char byte[4096];

    (void)ctx;
    if (fake_net_read(end, byte, sizeof byte) > 0)
        fake_net_write(end, BYTES_LITERAL(answer));
}

static void on_accept(struct fake_net_end *end, void *ctx)
{
    fake_net_tell(end, on_server_event, ctx);
}

static void act(void *ctx)
{
    (void)ctx;
    ck_assert(!is_over);
    sees_sent = upstream_transfer_is_sent(transfer);
    if (!only_looks)
        upstream_transfer_send_body(transfer, &http_writer_last_chunk, 1, true);
}

static void on_interim(const struct http_head *head, void *ctx)
{
    (void)head;
    (void)ctx;
}

static void on_head(const struct http_head *head, void *ctx)
{
    (void)head;
    (void)ctx;
    loop_later(world.loop, &task);
}

static void on_body(struct bytes data, void *ctx)
{
    (void)data;
    (void)ctx;
}

static void on_moment(void *ctx)
{
    (void)ctx;
}

static void on_failure(enum status why, bool sent, void *ctx)
{
    (void)ctx;
    ck_assert_int_eq(why, STATUS_BACKEND_GARBLED);
    ck_assert(sent);
    is_over = true;
}

static const struct upstream_transfer_events events = {.on_interim = on_interim,
                                                       .on_head = on_head,
                                                       .on_body = on_body,
                                                       .on_flush = on_moment,
                                                       .on_end = on_moment,
                                                       .on_failure = on_failure,
                                                       .on_writable = on_moment};

static void begin(void)
{
    flow_world_begin(&world, 1);
    flow_world_start(&world);
    fake_net_serve(FLOW_WORLD_BACKEND_PORT, on_accept, NULL);
    loop_task_init(&task, act, NULL);
    sees_sent = is_over = false;
}

static void end(void)
{
    flow_world_end(&world);
}

static void run(bool is_write)
{
    struct upstream_request request = {.head = BYTES_INIT("POST / HTTP/1.1\r\nHost: a\r\n"
                                                          "Transfer-Encoding: chunked\r\n\r\n"),
                                       .streams_body = !is_write,
                                       .is_write = is_write};

    only_looks = is_write;
    ck_assert_int_eq(upstream_transfer_start(world.pool, &request, &events, NULL, &transfer),
                     STATUS_OK);
    flow_world_run_ms(&world, 1000);
    ck_assert(sees_sent);
}

/* The client's last chunk arrives after the backend's answer has broken. */
START_TEST(a_piece_of_a_body_for_a_failed_transfer_is_dropped)
{
    run(false);
    ck_assert(is_over);
}
END_TEST

/* The deadline ends after the connection has: `Executed: no` would be wrong. */
START_TEST(a_failed_write_that_was_sent_says_so)
{
    run(true);
    ck_assert(is_over);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("transfer");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_piece_of_a_body_for_a_failed_transfer_is_dropped);
    tcase_add_test(tests, a_failed_write_that_was_sent_says_so);
    return check_main("flow_transfer", tests);
}
