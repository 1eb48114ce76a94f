/* Clients that leave, stall, trickle, or send what is not HTTP. */
#include <string.h>

#include "flow/flow_world.h"
#include "support/check_main.h"

enum { kib = 1024, mib = 1024 * 1024 };

static struct flow_world world;

static void begin(void)
{
    flow_world_begin(&world, 1);
}

static void end(void)
{
    flow_world_end(&world);
}

static struct flow_client *send_request(const char *operation, unsigned id, size_t n, size_t m)
{
    struct flow_client *client = flow_world_client(&world);

    flow_world_request(client, operation, id, n, m, NULL);
    return client;
}

static void expect_works(void)
{
    struct flow_client *client;

    world.backend.plan = (struct flow_plan){0};
    client = send_request("add", 900, 100, 100);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 900, 100));
    flow_client_close(client);
    flow_world_run_ms(&world, 1);
}

static void expect_quiet(void)
{
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 0);
    ck_assert_uint_eq(front_active_requests(world.front), 0);
    ck_assert_uint_eq(front_stats(world.front)->connections, 0);
    ck_assert_uint_eq(proxy_waiting(world.proxy), 0);
    ck_assert_uint_eq(upstream_pool_stats(world.pool)->busy, 0);
    ck_assert_uint_eq(world.budget.used, 0);
}

/* --- bad HTTP --- */

static const struct {
    const char *text;
    unsigned    status;
} bad[] = {
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", 501},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"\x16\x03\x01\x02", 400},
    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
};

START_TEST(what_is_not_http_is_refused_and_never_sent_on)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_client_send(client, bad[_i].text);
    flow_client_send(client, "GET /api/v2?id=1&n=0&m=0 HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert_uint_eq(client->answers[0].status, bad[_i].status);
    ck_assert(!client->was_reset);
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "{\"error\":\""));
    ck_assert_uint_eq(world.backend.request_count, 0);
    flow_world_run_ms(&world, 3000);
    expect_quiet();
}
END_TEST

START_TEST(max_forwards_ends_here_or_counts_down)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_client_send(client, "OPTIONS /api/v2 HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert_uint_eq(world.backend.request_count, 0);
    flow_client_send(client, "OPTIONS /api/v2?id=1&n=0&m=0 HTTP/1.1\r\nHost: a\r\n"
                             "Max-Forwards: 3\r\n\r\n");
    ck_assert(flow_world_run_to_answers(&world, client, 2));
    ck_assert_ptr_nonnull(
        strstr(flow_backend_last_head(&world.backend), "\r\nMax-Forwards: 2\r\n"));
    flow_client_close(client);
    flow_world_run_ms(&world, 3000);
    expect_quiet();
}
END_TEST

START_TEST(an_error_for_head_has_no_body)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_client_expect_no_body(client, 0);
    flow_client_send(client, "HEAD /api/v2/heartbeat HTTP/1.1\r\nHost: a\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeX\r\n");
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answers[0].status, 400);
    ck_assert(!client->is_garbled);
    ck_assert_uint_eq(client->body_bytes, 0);
    flow_world_run_ms(&world, 3000);
}
END_TEST

START_TEST(a_chunked_body_that_is_not_is_refused)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request_head(client, _i ? "add" : "query", 1, 0, 10,
                            "Transfer-Encoding: chunked\r\n");
    flow_client_send(client, "5\r\nabcdeX\r\n");
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answers[0].status, 400);
    ck_assert_uint_eq(world.backend.request_count, 0);
    flow_world_run_ms(&world, 3000);
    expect_quiet();
}
END_TEST

START_TEST(a_streamed_body_that_turns_bad_never_completes_upstream)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request_head(client, "query", 1, 400000, 10, "Transfer-Encoding: chunked\r\n");
    flow_client_send(client, "61a80\r\n");
    flow_world_request_body(client, 1, 0, 400000);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(world.backend.records[1].heads, 1);
    flow_client_send(client, "nonsense");
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answers[0].status, 400);
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(world.backend.records[1].complete, 0);
    expect_quiet();
}
END_TEST

/* --- too large --- */

START_TEST(a_write_above_the_limit_gets_chromas_answer)
{
    static const char *const operations[] = {"add", "delete"};
    struct flow_client      *client;
    const char              *body;

    flow_world_start(&world);
    client = flow_world_client(&world);
    client->piece_max = 64 * kib;
    client->piece_pause_us = 1000; /* some seconds in all: longer than a short linger */
    if (_i < 2) {
        flow_world_request(client, operations[_i % 2], 1, 41 * mib, 10, NULL);
    } else {
        flow_world_request_head(client, operations[_i % 2], 1, 41 * mib, 10,
                                "Transfer-Encoding: chunked\r\n");
        flow_client_printf(client, "%x\r\n", 41 * mib);
        flow_world_request_body(client, 1, 0, 41 * mib);
        flow_client_send(client, "\r\n0\r\n\r\n");
    }
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answers[0].status, 413);
    body = flow_client_body(client, 0);
    if (_i % 2 == 0)
        ck_assert_str_eq(body, "Payload too large");
    else
        ck_assert_ptr_nonnull(strstr(body, "length limit exceeded"));
    ck_assert(!client->was_reset);
    ck_assert_uint_eq(world.backend.request_count, 0);
    expect_works();
}
END_TEST

/* By the operator's limit, with Chroma's answer; by memory_max where Chroma has no limit, which
 * says so; beyond Chroma's only where it has one. */
START_TEST(a_write_is_too_large_for_who_takes_it)
{
    static const struct {
        enum chroma_family family;
        uint64_t           body_max;
        unsigned           size, status;
        const char        *body;
    } cases[] = {
        {CHROMA_FAMILY_RUST, 0, 40 * mib, 200, NULL},
        {CHROMA_FAMILY_RUST, 0, 40 * mib + 1, 413, "Payload too large"},
        {CHROMA_FAMILY_PYTHON, 0, 48 * mib, 200, NULL},
        {CHROMA_FAMILY_PYTHON, 0, 48 * mib + 1, 413, "larger than memory_max"},
        {CHROMA_FAMILY_UNKNOWN, 0, 41 * mib, 200, NULL},
        {CHROMA_FAMILY_PYTHON, kib, kib, 200, NULL},
        {CHROMA_FAMILY_PYTHON, kib, kib + 1, 413, "Payload too large"},
        {CHROMA_FAMILY_RUST, 42 * mib, 41 * mib, 200, NULL},
    };
    struct flow_client   *client;
    struct limits_refused refused;

    world.family = cases[_i].family;
    world.proxy_options.body_bytes_max = cases[_i].body_max;
    world.memory_max = 48 * mib;
    world.queue_bytes_max = 16 * mib;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "add", 1, cases[_i].size, 10, NULL);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, cases[_i].status);
    ck_assert_uint_eq(world.backend.request_count, cases[_i].status == 200);
    refused = proxy_limits(world.proxy).refused;
    ck_assert_uint_eq(refused.bodies + refused.memory, cases[_i].status == 413);
    ck_assert_uint_eq(refused.memory,
                      cases[_i].body != NULL && strstr(cases[_i].body, "memory_max") != NULL);
    if (cases[_i].body != NULL)
        ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), cases[_i].body));
}
END_TEST

START_TEST(a_client_that_sends_for_seconds_after_a_refusal_still_gets_it)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    client->piece_max = 64 * kib;
    client->piece_pause_us = 10000; /* 6 MiB/s */
    flow_world_request(client, "add", 1, 41 * mib, 10, NULL);
    client->reads = false; /* as clients that read only when all is sent */
    flow_world_run_ms(&world, 10000);
    flow_client_go_on(client);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert_uint_eq(client->answers[0].status, 413);
    ck_assert(!client->was_reset);
}
END_TEST

/* --- slow --- */

START_TEST(a_head_that_trickles_is_refused_in_time)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    client->piece_max = 1;
    client->piece_pause_us = 900000;
    flow_world_request(client, "query", 1, 10, 10, NULL);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answers[0].status, 408);
    flow_world_run_ms(&world, 60000);
    expect_quiet();
}
END_TEST

START_TEST(a_body_that_trickles_is_refused_in_time)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request_head(client, _i ? "add" : "query", 1, 100000, 10, NULL);
    client->piece_max = 100;
    client->piece_pause_us = 1000000;
    flow_world_request_body(client, 1, 0, 100000);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answers[0].status, 408);
    ck_assert_uint_eq(world.backend.request_count, 0);
    flow_world_run_ms(&world, 60000);
    expect_quiet();
}
END_TEST

/* 2 KiB/s is slow, but it is progress: no deadline bounds the transfer of a body. */
START_TEST(a_slow_body_passes)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    client->piece_max = 2048;
    client->piece_pause_us = 1000000;
    flow_world_request(client, _i ? "add" : "query", 1, 400000, 10, NULL);
    flow_world_run_ms(&world, 220000);
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert(!world.backend.records[1].body_is_wrong);
}
END_TEST

START_TEST(a_slow_reader_gets_all_of_its_answer)
{
    struct flow_client *client;

    world.net_options.capacity_min = world.net_options.capacity_max = 16 * kib;
    world.backend.plan.framing = _i % 2 ? HTTP_FRAMING_CHUNKED : HTTP_FRAMING_LENGTH;
    world.write_options.is_coalescing = _i < 4;
    world.proxy_options.deadline_read_us = world.proxy_options.deadline_write_us = 20000000;
    flow_world_start(&world);
    client = flow_world_client(&world);
    client->read_per_second = 1800;
    flow_world_request(client, _i < 2 ? "query" : "add", 1, 10, 500000, NULL);
    flow_world_run_ms(&world, 500000);
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 500000));
    flow_client_close(client);
    flow_world_run_ms(&world, 10);
    expect_quiet();
}
END_TEST

START_TEST(a_reader_that_stalls_is_cut_off)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    client->reads = false;
    flow_world_request(client, _i ? "upsert" : "query", 1, 10, 5 * mib, NULL);
    flow_world_run_ms(&world, 100000);
    expect_quiet();
    ck_assert_uint_eq(front_stats(world.front)->timeouts, 1);
    ck_assert_uint_le(world.budget.peak, 1 * mib);
    expect_works();
}
END_TEST

/* Answers to requests that were sent ahead must not pile up for who does not read them. */
START_TEST(answers_do_not_pile_up_for_a_client_that_does_not_read)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    client->reads = false;
    for (unsigned id = 1; id <= 60; id++)
        flow_world_request(client, "count", id, 0, 60000, NULL);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_le(world.budget.peak, 512 * kib);
    flow_client_go_on(client);
    ck_assert(flow_world_run_to_answers(&world, client, 60));
    for (unsigned id = 1; id <= 60; id++)
        ck_assert(flow_world_is_answer_of(&client->answers[id - 1], id, 60000));
}
END_TEST

START_TEST(idle_clients_are_closed_in_time)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_client_send(client, "\r\n");
    flow_world_run_ms(&world, 74000);
    ck_assert(!client->has_ended);
    flow_world_run_ms(&world, 2000);
    ck_assert(client->has_ended);
    ck_assert_uint_eq(client->answer_count, 0);
}
END_TEST

/* --- gone --- */

enum phase { IN_HEAD, IN_BODY, IN_STREAM, IN_QUEUE, SENT, IN_ANSWER, PHASES };

static struct flow_client *reach(enum phase phase, const char *operation)
{
    struct flow_client *client;
    size_t              size = phase == IN_STREAM ? 1000000 : 10000;

    world.pool_options.connections_max = 1;
    world.backend.plan.delay_us = phase >= IN_QUEUE ? 1000000 : 0;
    flow_world_start(&world);
    if (phase == IN_QUEUE) {
        send_request("upsert", 1, 0, 10);
        flow_world_run_ms(&world, 1);
    }
    client = flow_world_client(&world);
    switch (phase) {
    case IN_HEAD:
        flow_client_send(client, "POST /api/v2 HTTP/1.1\r\nHo");
        break;
    case IN_BODY:
    case IN_STREAM:
        flow_world_request_head(client, operation, 2, size, 10, NULL);
        flow_world_request_body(client, 2, 0, size / 2);
        break;
    default:
        client->read_per_second = 10000;
        flow_world_request(client, operation, 2, size, 3000000, NULL);
        break;
    }
    flow_world_run_ms(&world, phase == IN_ANSWER ? 2000 : 100);
    return client;
}

static void leave(struct flow_client *client, int how)
{
    switch (how) {
    case 0:
        flow_client_reset(client);
        break;
    case 1:
        flow_client_close(client);
        break;
    default:
        flow_client_shutdown(client);
        break;
    }
}

START_TEST(a_client_may_leave_at_any_time)
{
    enum phase          phase = (enum phase)(_i / 6);
    bool                is_write = _i % 2 == 1;
    struct flow_client *client = reach(phase, is_write ? "add" : "query");
    struct flow_record *record = &world.backend.records[2];
    bool                must_apply = is_write && phase >= IN_QUEUE;

    leave(client, _i / 2 % 3);
    flow_world_run_ms(&world, 10000);
    ck_assert_uint_eq(record->applied, must_apply || phase == IN_ANSWER ? 1 : 0);
    if (is_write) {
        ck_assert_uint_eq(record->cancelled, 0);
        ck_assert_uint_eq(record->heads, must_apply);
    }
    for (struct flow_client *other = world.clients; other != NULL; other = other->next_of_world)
        flow_client_close(other);
    flow_world_run_ms(&world, 100);
    expect_quiet();
    expect_works();
}
END_TEST

/* Nothing is read from it, so its end does not arrive by itself. */
START_TEST(a_client_that_leaves_while_its_body_waits_for_room_is_noticed)
{
    static const char *const operations[] = {"query", "add"};
    struct flow_client      *first, *client;

    world.pool_options.connections_max = 1;
    world.queue_bytes_max = 256 * kib;
    world.backend.plan.delay_us = 20000000;
    flow_world_start(&world);
    first = send_request("add", 1, 250 * kib, 10);
    flow_world_run_ms(&world, 100);
    client = send_request(operations[_i % 2], 2, 100 * kib, 10);
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 2);
    leave(client, _i / 2);
    flow_world_run_ms(&world, 1100);
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 1);
    ck_assert_uint_eq(front_stats(world.front)->connections, 1);
    ck_assert(flow_world_run_to_answers(&world, first, 1));
    ck_assert_uint_eq(world.backend.records[2].heads, 0);
}
END_TEST

/* As with the server behind us: its first answer still comes, unless the connection is gone. */
START_TEST(a_client_that_has_sent_ahead_leaves_only_when_it_is_gone)
{
    struct flow_client *client;

    world.backend.plan.delay_us = 5000000;
    flow_world_start(&world);
    client = send_request("query", 1, 10, 100);
    flow_world_request(client, "query", 2, 10, 100, NULL);
    flow_world_run_ms(&world, 100);
    if (_i) {
        flow_client_reset(client);
        flow_world_run_ms(&world, 1100);
        expect_quiet();
        return;
    }
    flow_client_shutdown(client);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 100));
}
END_TEST

/* As a half answer from Chroma: it must not look whole to who has only the end to go by. */
START_TEST(an_answer_cut_for_a_slow_body_does_not_look_whole)
{
    struct flow_client *client;

    world.backend.plan =
        (struct flow_plan){.answers_halfway = true, .framing = HTTP_FRAMING_CHUNKED};
    world.front_options.body_timeout_us = 2000000;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_client_printf(client,
                       "POST /api/v2/tenants/t/databases/d/collections/"
                       "11111111-2222-3333-4444-555555555555/query?id=1&n=2000000&m=100000 "
                       "HTTP/1.%d\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n",
                       _i);
    flow_world_request_body(client, 1, 0, 1500000);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 0);
    ck_assert(client->was_reset == (_i == 0));
}
END_TEST

/* Chroma is done, the client is not: what it has not taken yet is not lost. */
START_TEST(who_ends_its_side_after_the_answer_began_still_gets_it)
{
    struct flow_client *client;

    world.net_options.capacity_min = world.net_options.capacity_max = 8 * kib;
    flow_world_start(&world);
    client = flow_world_client(&world);
    client->read_per_second = 50000;
    flow_world_request(client, "query", 1, 10, 100000, _i ? "Connection: close\r\n" : NULL);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 0);
    flow_client_shutdown(client);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 100000));
    flow_world_run_ms(&world, 10);
    expect_quiet();
}
END_TEST

START_TEST(the_end_follows_a_last_answer_that_was_taken_slowly)
{
    struct flow_client *client;

    world.net_options.capacity_min = world.net_options.capacity_max = 8 * kib;
    flow_world_start(&world);
    client = flow_world_client(&world);
    client->read_per_second = 50000;
    flow_world_request(client, "query", 1, 10, 60000, "Connection: close\r\n");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_run_ms(&world, 150);
    ck_assert(client->has_ended);
    ck_assert(!client->was_reset);
}
END_TEST

START_TEST(a_proxy_that_stops_lets_go_of_everything)
{
    enum phase          phase = (enum phase)(_i / 2 % PHASES);
    struct flow_client *client;

    world.write_options.is_coalescing = _i < 2 * PHASES;
    client = reach(phase, _i % 2 ? "add" : "query");
    if (phase == IN_QUEUE || phase == SENT) { /* and a write nobody waits for */
        flow_client_reset(client);
        flow_world_run_ms(&world, 1);
    }
}
END_TEST

/* The backend is done, the client ends its side and only then reads. */
START_TEST(who_ends_its_side_after_the_answer_can_still_read_it)
{
    struct flow_client *client;

    world.net_options.capacity_min = world.net_options.capacity_max = 16384;
    flow_world_start(&world);
    client = flow_world_client(&world);
    client->reads = false;
    flow_world_request(client, "query", 1, 10, 60000, NULL);
    flow_world_run_ms(&world, 1000);
    flow_client_shutdown(client);
    flow_world_run_ms(&world, 1000);
    flow_client_go_on(client);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 60000));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("test_flow_clients");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, max_forwards_ends_here_or_counts_down);
    tcase_add_test(tcase, an_error_for_head_has_no_body);
    tcase_add_loop_test(tcase, what_is_not_http_is_refused_and_never_sent_on, 0, COUNT_OF(bad));
    tcase_add_loop_test(tcase, a_chunked_body_that_is_not_is_refused, 0, 2);
    tcase_add_test(tcase, a_streamed_body_that_turns_bad_never_completes_upstream);
    tcase_add_loop_test(tcase, a_write_above_the_limit_gets_chromas_answer, 0, 4);
    tcase_add_loop_test(tcase, a_write_is_too_large_for_who_takes_it, 0, 8);
    tcase_add_test(tcase, a_client_that_sends_for_seconds_after_a_refusal_still_gets_it);
    tcase_add_test(tcase, a_head_that_trickles_is_refused_in_time);
    tcase_add_loop_test(tcase, a_body_that_trickles_is_refused_in_time, 0, 2);
    tcase_add_loop_test(tcase, a_slow_body_passes, 0, 2);
    tcase_add_loop_test(tcase, a_slow_reader_gets_all_of_its_answer, 0, 6);
    tcase_add_loop_test(tcase, a_reader_that_stalls_is_cut_off, 0, 2);
    tcase_add_test(tcase, answers_do_not_pile_up_for_a_client_that_does_not_read);
    tcase_add_test(tcase, idle_clients_are_closed_in_time);
    tcase_add_loop_test(tcase, a_client_may_leave_at_any_time, 0, PHASES * 6);
    tcase_add_loop_test(tcase, a_client_that_leaves_while_its_body_waits_for_room_is_noticed, 0, 6);
    tcase_add_loop_test(tcase, a_client_that_has_sent_ahead_leaves_only_when_it_is_gone, 0, 2);
    tcase_add_loop_test(tcase, an_answer_cut_for_a_slow_body_does_not_look_whole, 0, 2);
    tcase_add_loop_test(tcase, who_ends_its_side_after_the_answer_began_still_gets_it, 0, 2);
    tcase_add_test(tcase, the_end_follows_a_last_answer_that_was_taken_slowly);
    tcase_add_loop_test(tcase, a_proxy_that_stops_lets_go_of_everything, 0, PHASES * 4);
    tcase_add_test(tcase, who_ends_its_side_after_the_answer_can_still_read_it);
    return check_main("test_flow_clients", tcase);
}
