/* What passes between clients and Chroma, and how it looks on the other side. */
#include <string.h>

#include "flow/flow_world.h"
#include "support/check_main.h"

enum { mib = 1024 * 1024 };

static struct flow_world world;

static void begin(void)
{
    flow_world_begin(&world, 1);
}

static void end(void)
{
    flow_world_end(&world);
}

static void expect(struct flow_client *client, size_t index, unsigned status)
{
    ck_assert_uint_gt(client->answer_count, index);
    ck_assert_uint_eq(client->answers[index].status, status);
}

START_TEST(requests_and_answers_pass_unchanged)
{
    static const char *const operations[] = {"query", "add", "count", "get", "delete"};
    static const size_t      sizes[] = {0, 1, 1000, 70000, 300000};

    flow_world_start(&world);
    for (unsigned i = 0; i < 25; i++) {
        bool                has_body = i % 5 != 2;
        size_t              n = has_body ? sizes[i / 5] : 0, m = sizes[4 - i / 5];
        struct flow_client *client = flow_world_ask(&world, operations[i % 5], i + 1, n, m);

        expect(client, 0, 200);
        ck_assert(flow_world_is_answer_of(&client->answers[0], i + 1, m));
        ck_assert(!world.backend.records[i + 1].body_is_wrong);
        ck_assert_uint_eq(world.backend.records[i + 1].applied, 1);
        ck_assert(!client->has_ended);
    }
}
END_TEST

START_TEST(one_connection_carries_many_requests_each_way)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    for (unsigned id = 1; id <= 20; id++) {
        flow_world_request(client, id % 2 ? "add" : "query", id, 100, 100, NULL);
        ck_assert(flow_world_run_to_answers(&world, client, id));
        ck_assert(flow_world_is_answer_of(&client->answers[id - 1], id, 100));
    }
    ck_assert_uint_eq(world.backend.accepted, 1);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    struct flow_client *client;

    world.net_options.short_percent = 50;
    flow_world_start(&world);
    client = flow_world_client(&world);
    for (unsigned id = 1; id <= 30; id++)
        flow_world_request(client, id % 3 ? "query" : "add", id, id * 100, id * 50, NULL);
    ck_assert(flow_world_run_to_answers(&world, client, 30));
    for (unsigned id = 1; id <= 30; id++) {
        expect(client, id - 1, 200);
        ck_assert(flow_world_is_answer_of(&client->answers[id - 1], id, id * 50));
        ck_assert_uint_eq(world.backend.order[id - 1], id);
    }
}
END_TEST

START_TEST(hop_by_hop_fields_end_here_and_via_is_added)
{
    struct flow_client *client;
    const char         *head;

    world.backend.plan.fields = "Connection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n"
                                "Server: chroma\r\nVia: 1.1 inner\r\n";
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "query", 1, 10, 10,
                       "Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nTE: trailers\r\n"
                       "Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n"
                       "X-Chroma-Token: abc\r\nVia: 1.0 outer\r\n");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    head = flow_backend_last_head(&world.backend);
    ck_assert_ptr_nonnull(strstr(head, "X-Chroma-Token: abc\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "Via: 1.0 outer\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "Via: 1.1 chromabouncer\r\n"));
    ck_assert_ptr_null(strstr(head, "X-Secret:"));
    ck_assert_ptr_null(strstr(head, "TE:"));
    ck_assert_ptr_null(strstr(head, "Keep-Alive"));
    ck_assert_ptr_null(strstr(head, "Proxy-Connection"));
    ck_assert_ptr_null(strstr(head, "Upgrade"));
    head = flow_client_head(client, 0);
    ck_assert_ptr_nonnull(strstr(head, "chroma-trace-id: t1\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "Server: chroma\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "Via: 1.1 inner\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "Via: 1.1 chromabouncer\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "Date: "));
    ck_assert_ptr_nonnull(strstr(head, "X-Chromabouncer-Source: backend\r\n"));
    ck_assert_ptr_null(strstr(head, "X-Mine"));
    ck_assert_ptr_null(strstr(head, "Keep-Alive"));
}
END_TEST

START_TEST(without_headers_of_our_own_nothing_is_added)
{
    struct flow_client *client;

    world.proxy_options.adds_headers = false;
    world.front_options.is_plain = true;
    flow_world_start(&world);
    client = flow_world_ask(&world, "query", 1, 10, 10);
    ck_assert_ptr_null(strstr(flow_client_head(client, 0), "hromabouncer"));
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_backend_kill(&world.backend);
    flow_world_run_ms(&world, 10);
    client = flow_world_ask(&world, "query", 2, 10, 10);
    expect(client, 0, 503);
    ck_assert_ptr_null(strstr(flow_client_head(client, 0), "hromabouncer"));
}
END_TEST

START_TEST(a_client_of_http_1_0_gets_what_it_understands)
{
    struct flow_client *client;

    world.backend.plan.framing = HTTP_FRAMING_CHUNKED;
    world.backend.plan.fault = FLOW_FAULT_INTERIM;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_client_send(client, "GET /api/v2?id=1&n=0&m=5000 HTTP/1.0\r\n\r\n");
    ck_assert(flow_world_run_to_end(&world, client));
    expect(client, 0, 200);
    ck_assert_uint_eq(client->interims[0], 0);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 5000));
    ck_assert_ptr_null(strstr(flow_client_head(client, 0), "chunked"));
    ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), "Host: "));
    ck_assert_ptr_nonnull(
        strstr(flow_backend_last_head(&world.backend), "\r\nVia: 1.0 chromabouncer\r\n"));

    world.backend.plan.framing = HTTP_FRAMING_LENGTH;
    client = flow_world_client(&world);
    for (unsigned id = 1; id <= 2; id++) {
        flow_client_printf(client,
                           "GET /api/v2?id=%u&n=0&m=50 HTTP/1.0\r\n"
                           "Connection: keep-alive\r\n\r\n",
                           id);
        ck_assert(flow_world_run_to_answers(&world, client, id));
        ck_assert(flow_world_is_answer_of(&client->answers[id - 1], id, 50));
    }
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 1), "Connection: keep-alive"));
}
END_TEST

START_TEST(who_asks_for_close_is_closed)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "query", 1, 10, 10, "Connection: close\r\n");
    ck_assert(flow_world_run_to_end(&world, client));
    expect(client, 0, 200);
    ck_assert(!client->answers[0].keep_alive);
    ck_assert(!client->was_reset);
}
END_TEST

START_TEST(answers_without_a_body_have_none)
{
    static const unsigned statuses[] = {204, 304, 200};
    struct flow_client   *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    for (unsigned i = 0; i < 3; i++) {
        world.backend.plan.status = statuses[i];
        if (statuses[i] == 200)
            flow_client_expect_no_body(client, 0);
        flow_client_printf(client, "%s /api/v2?id=%u&n=0&m=77 HTTP/1.1\r\nHost: x\r\n\r\n",
                           statuses[i] == 200 ? "HEAD" : "GET", i + 1);
        ck_assert(flow_world_run_to_answers(&world, client, i + 1));
        expect(client, i, statuses[i]);
    }
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 2), "Content-Length: 77\r\n"));
    ck_assert_ptr_null(strstr(flow_client_head(client, 0), "Content-Length"));
    ck_assert_uint_eq(client->body_bytes, 0);
    flow_world_request(client, "count", 4, 0, 5, NULL); /* nobody waits for a body after HEAD */
    ck_assert(flow_world_run_to_answers(&world, client, 4));
    ck_assert(flow_world_is_answer_of(&client->answers[3], 4, 5));
    ck_assert_uint_eq(world.backend.accepted, 1);
}
END_TEST

START_TEST(chunked_bodies_pass_both_ways)
{
    struct flow_client *client;

    world.backend.plan.framing = HTTP_FRAMING_CHUNKED;
    world.net_options.short_percent = 30;
    flow_world_start(&world);
    client = flow_world_client(&world);
    for (unsigned id = 1; id <= 4; id++) {
        flow_world_request_head(client, id % 2 ? "add" : "query", id, 8000, 9000,
                                "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n");
        for (size_t at = 0; at < 8000; at += 1000) {
            flow_client_printf(client, "3e8;ext=1\r\n");
            flow_world_request_body(client, id, at, at + 1000);
            flow_client_send(client, "\r\n");
        }
        flow_client_send(client, "0\r\nX-T: 1\r\n\r\n");
        ck_assert(flow_world_run_to_answers(&world, client, id));
        expect(client, id - 1, 200);
        ck_assert(flow_world_is_answer_of(&client->answers[id - 1], id, 9000));
        ck_assert(!world.backend.records[id].body_is_wrong);
        ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), "X-T"));
    }
}
END_TEST

START_TEST(an_answer_until_close_is_complete)
{
    struct flow_client *client;

    world.backend.plan.framing = HTTP_FRAMING_UNTIL_CLOSE;
    flow_world_start(&world);
    client = flow_world_ask(&world, "query", 1, 10, 100000);
    expect(client, 0, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 100000));
    ck_assert(!client->has_ended);
    flow_world_request(client, "query", 2, 10, 10, NULL);
    ck_assert(flow_world_run_to_answers(&world, client, 2));
    ck_assert_uint_eq(world.backend.accepted, 2);
}
END_TEST

START_TEST(interim_answers_pass_but_for_100)
{
    struct flow_client *client;

    world.backend.plan.fault = FLOW_FAULT_INTERIM;
    flow_world_start(&world);
    client = flow_world_ask(&world, "query", 1, 10, 100);
    expect(client, 0, 200);
    ck_assert_uint_eq(client->interims[0], 1);
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "HTTP/1.1 103"));
}
END_TEST

START_TEST(who_expects_100_is_told_to_go_on)
{
    struct flow_client *client;

    flow_world_start(&world);
    for (unsigned id = 1; id <= 2; id++) {
        client = flow_world_client(&world);
        flow_world_request_head(client, id == 1 ? "add" : "query", id, 100, 100,
                                "Expect: 100-continue\r\n");
        flow_world_run_ms(&world, 5);
        ck_assert_uint_eq(client->interims[0], 1);
        flow_world_request_body(client, id, 0, 100);
        ck_assert(flow_world_run_to_answers(&world, client, 1));
        ck_assert(flow_world_is_answer_of(&client->answers[0], id, 100));
        ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), "Expect"));
    }
}
END_TEST

/* Streamed, since it is larger than what is kept. */
START_TEST(a_read_of_40_mib_passes_in_bounded_memory)
{
    struct flow_client *client = NULL;

    world.net_options.short_percent = 5;
    world.backend.read_per_second = 20 * mib;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "query", 1, 40 * mib, 10, NULL);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 0, 200);
    ck_assert(!world.backend.records[1].body_is_wrong);
    ck_assert_uint_eq(world.backend.body_bytes, 40 * mib);
    ck_assert_uint_le(world.budget.peak, 1 * mib);
}
END_TEST

START_TEST(an_answer_of_40_mib_passes_in_bounded_memory)
{
    struct flow_client *client;

    world.net_options.short_percent = 5;
    flow_world_start(&world);
    client = flow_world_client(&world);
    client->read_per_second = 2 * mib;
    flow_world_request(client, "get", 1, 10, 40 * mib, NULL);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 0, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 40 * mib));
    ck_assert_uint_le(world.budget.peak, 1 * mib);
}
END_TEST

START_TEST(a_write_goes_upstream_only_when_it_is_complete)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request_head(client, "upsert", 1, 2 * mib, 10, NULL);
    flow_world_request_body(client, 1, 0, 2 * mib - 1);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(world.backend.request_count, 0);
    ck_assert_uint_eq(world.backend.accepted, 0);
    flow_world_request_body(client, 1, 2 * mib - 1, 2 * mib);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert(!world.backend.records[1].body_is_wrong);
}
END_TEST

START_TEST(a_request_that_goes_in_a_circle_is_stopped)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "count", 1, 0, 0,
                       "Via: 1.1 chromabouncer, 1.1 chromabouncer\r\nVia: 1.1 chromabouncer\r\n"
                       "Via: 1.1 chromabouncer\r\n");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 0, 508);
    ck_assert_uint_eq(world.backend.request_count, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("test_flow_passing");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, requests_and_answers_pass_unchanged);
    tcase_add_test(tcase, one_connection_carries_many_requests_each_way);
    tcase_add_test(tcase, pipelined_requests_are_answered_in_order);
    tcase_add_test(tcase, hop_by_hop_fields_end_here_and_via_is_added);
    tcase_add_test(tcase, without_headers_of_our_own_nothing_is_added);
    tcase_add_test(tcase, a_client_of_http_1_0_gets_what_it_understands);
    tcase_add_test(tcase, who_asks_for_close_is_closed);
    tcase_add_test(tcase, answers_without_a_body_have_none);
    tcase_add_test(tcase, chunked_bodies_pass_both_ways);
    tcase_add_test(tcase, an_answer_until_close_is_complete);
    tcase_add_test(tcase, interim_answers_pass_but_for_100);
    tcase_add_test(tcase, who_expects_100_is_told_to_go_on);
    tcase_add_test(tcase, a_read_of_40_mib_passes_in_bounded_memory);
    tcase_add_test(tcase, an_answer_of_40_mib_passes_in_bounded_memory);
    tcase_add_test(tcase, a_write_goes_upstream_only_when_it_is_complete);
    tcase_add_test(tcase, a_request_that_goes_in_a_circle_is_stopped);
    return check_main("test_flow_passing", tcase);
}
