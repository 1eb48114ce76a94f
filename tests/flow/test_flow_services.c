/* Services told apart and limited, on the way of requests: what is refused was never sent and says
 * why, what is delayed waits and no longer, what one service asks for costs no other one. */
#include <stdio.h>
#include <string.h>

#include "flow/services_world.h"
#include "support/check_main.h"

enum { kib = 1024 };

START_TEST(a_flood_of_one_service_leaves_the_other_alone)
{
    static struct flow_client *chat[200], *batch[50];
    unsigned                   passed = 0;

    services[0].rate = 20;
    services[0].burst = 20;
    world.backend.plan.delay_us = 1000;
    start();
    for (unsigned i = 0; i < COUNT_OF(chat); i++)
        chat[i] = send_as(CHAT, i % 2 ? "query" : "upsert", i + 1, 100, 100);
    for (unsigned i = 0; i < COUNT_OF(batch); i++)
        batch[i] = send_as(BATCH, i % 2 ? "query" : "upsert", i + 301, 100, 100);
    flow_world_run_ms(&world, 2000);
    for (unsigned i = 0; i < COUNT_OF(batch); i++)
        ck_assert_uint_eq(status_of(batch[i], 0), 200);
    for (unsigned i = 0; i < COUNT_OF(chat); i++) {
        bool is_passed = status_of(chat[i], 0) == 200;

        passed += is_passed;
        ck_assert_uint_eq(world.backend.records[i + 1].heads, is_passed);
        if (!is_passed)
            ck_assert_uint_eq(chat[i]->answers[0].status, 429);
    }
    ck_assert_uint_eq(passed, 20);
    ck_assert_uint_eq(state_of("chat").requests, 200);
    ck_assert_uint_eq(state_of("chat").rejected, 180);
    ck_assert_uint_eq(state_of("chat").bytes_rejected, 0);
    ck_assert_uint_eq(state_of("batch").rejected, 0);
    ck_assert_uint_gt(state_of("batch").chroma_time_us, 0);
}
END_TEST

START_TEST(a_refusal_says_why_and_keeps_the_connection)
{
    struct flow_client *client;
    const char         *head;

    services[0].rate = 2;
    services[0].burst = 2;
    start();
    client = send_as(CHAT, "upsert", 1, 100, 10);
    for (unsigned i = 2; i <= 4; i++)
        flow_world_request(client, i == 3 ? "count" : "upsert", i, i == 3 ? 0 : 100, 10, CHAT);
    ck_assert(flow_world_run_to_answers(&world, client, 4));
    ck_assert_uint_eq(status_of(client, 1), 200);
    ck_assert_uint_eq(status_of(client, 2), 429);
    ck_assert_uint_eq(status_of(client, 3), 429);
    ck_assert(client->answers[3].keep_alive);
    head = flow_client_head(client, 3);
    ck_assert_ptr_nonnull(strstr(head, "\r\nRetry-After: 1\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "\r\nX-Chromabouncer-Executed: no\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "\r\nRateLimit-Policy: \"chat\";q=2;w=1\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "\r\nRateLimit: \"chat\";r=0;t=1\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "\r\ncontent-type: application/json\r\n") != NULL
                              ? head
                              : strstr(head, "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_eq(strstr(flow_client_body(client, 3),
                            "{\"error\":\"RateLimitError\",\"message\":\"service chat is over its "
                            "limit of 2/s, burst 2 (services.chat.rate): "),
                     flow_client_body(client, 3));
    ck_assert_ptr_nonnull(
        strstr(flow_client_body(client, 3), "chromabouncer ctl set services.chat.rate=..."));
    ck_assert_uint_eq(world.backend.request_count, 2);
    flow_world_run_ms(&world, 1000);
    flow_world_request(client, "upsert", 5, 100, 10, CHAT);
    ck_assert(flow_world_run_to_answers(&world, client, 5));
    ck_assert_uint_eq(status_of(client, 4), 200);
}
END_TEST

/* It would have to be read for nothing. */
START_TEST(a_large_body_is_refused_at_its_head)
{
    struct flow_client *client, *chunked;

    services[0].rate = 1;
    start();
    ck_assert(flow_world_run_to_answers(&world, send_as(CHAT, "query", 1, 100, 10), 1));
    client = flow_world_client(&world);
    flow_world_request_head(client, "upsert", 2, 200 * kib, 10, CHAT);
    chunked = flow_world_client(&world);
    flow_world_request_head(chunked, "upsert", 3, 100, 10, CHAT "Transfer-Encoding: chunked\r\n");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(status_of(client, 0), 429);
    ck_assert(!client->answers[0].keep_alive);
    ck_assert_uint_eq(status_of(chunked, 0), 429);
    ck_assert(!chunked->answers[0].keep_alive);
    flow_world_run_ms(&world, 10000);
}
END_TEST

START_TEST(without_own_header_fields_only_the_body_tells)
{
    struct flow_client *client;

    services[0].rate = 1;
    world.proxy_options.adds_headers = false;
    start();
    client = send_as(CHAT, "query", 1, 100, 10);
    flow_world_request(client, "query", 2, 100, 10, CHAT);
    ck_assert(flow_world_run_to_answers(&world, client, 2));
    ck_assert_uint_eq(status_of(client, 1), 429);
    ck_assert_ptr_null(strstr(flow_client_head(client, 1), "RateLimit"));
    ck_assert_ptr_null(strstr(flow_client_head(client, 1), "Retry-After"));
}
END_TEST

START_TEST(a_delayed_request_goes_when_its_time_has_come)
{
    static const char *const operations[] = {"query", "upsert", "count"};
    struct flow_client      *clients[12], *other;

    services[0].rate = 10;
    services[0].over = RATE_LIMIT_DELAY;
    start();
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = send_as(CHAT, operations[i % 3], i + 1, i % 3 == 2 ? 0 : 200 * kib, 10);
        flow_world_run_ms(&world, 1);
    }
    other = send_as(BATCH, "query", 100, 100, 10);
    flow_world_run_ms(&world, 50);
    ck_assert_uint_eq(status_of(other, 0), 200);
    ck_assert_uint_eq(clients[0]->answer_count, 1);
    for (unsigned i = 1; i < COUNT_OF(clients); i++) {
        ck_assert_uint_eq(clients[i]->answer_count, 0);
        flow_world_run_ms(&world, 100);
        ck_assert_uint_eq(status_of(clients[i], 0), 200);
        ck_assert(flow_world_is_answer_of(&clients[i]->answers[0], i + 1, 10));
        ck_assert(!world.backend.records[i + 1].body_is_wrong);
    }
    ck_assert_uint_eq(state_of("chat").delayed, 11);
    ck_assert_uint_eq(state_of("chat").rejected, 0);
}
END_TEST

START_TEST(a_delay_is_bounded)
{
    struct flow_client *clients[10];
    unsigned            passed = 0;

    services[0].rate = 10;
    services[0].over = RATE_LIMIT_DELAY;
    options.delay_max_us = second_us / 2;
    start();
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_as(CHAT, "query", i + 1, 100, 10);
    flow_world_run_ms(&world, 20);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        passed += clients[i]->answer_count == 0 || clients[i]->answers[0].status == 200;
    ck_assert_uint_eq(passed, 6); /* at once, and after 0.1 to 0.5 s */
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        passed -= status_of(clients[i], 0) == 200;
    ck_assert_uint_eq(passed, 0);
}
END_TEST

/* What it had not used yet it gives back. */
START_TEST(who_leaves_while_delayed_is_forgotten)
{
    struct flow_client *clients[9], *late;
    unsigned            complete = 0;

    services[0].rate = 1;
    services[0].over = RATE_LIMIT_DELAY;
    start();
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = send_as(CHAT, i % 2 ? "query" : "upsert", i + 1, 100, 10);
        flow_world_run_ms(&world, 1);
    }
    flow_world_run_ms(&world, 100);
    for (unsigned i = 1; i < COUNT_OF(clients); i++)
        flow_client_reset(clients[i]);
    flow_world_run_ms(&world, 1500); /* a connection that is not read is probed each second */
    late = send_as(CHAT, "query", 20, 100, 10);
    flow_world_run_ms(&world, 1500);
    ck_assert_uint_eq(status_of(late, 0), 200);
    flow_world_run_ms(&world, 20000);
    for (unsigned i = 1; i <= COUNT_OF(clients); i++)
        complete += world.backend.records[i].complete;
    ck_assert_uint_le(complete, 2); /* the first, and one that was due before the probe */
}
END_TEST

/* The world ends while requests are delayed, and bodies of refused ones arrive. */
START_TEST(the_end_finds_nobody)
{
    services[0].rate = services[1].rate = 1;
    services[0].over = RATE_LIMIT_DELAY;
    start();
    for (unsigned i = 0; i < 10; i++)
        send_as(CHAT, i % 2 ? "query" : "count", i + 1, i % 2 ? 100 : 0, 10);
    send_as(BATCH, "query", 20, 100, 10);
    flow_world_run_ms(&world, 1);
    flow_world_request_head(flow_world_client(&world), "upsert", 21, 100, 10, BATCH);
    flow_world_run_ms(&world, 100);
}
END_TEST

START_TEST(shadow_only_counts)
{
    struct flow_client *clients[20];

    services[0].rate = 5;
    services[0].over = RATE_LIMIT_SHADOW;
    start();
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_as(CHAT, "query", i + 1, 100, 10);
    flow_world_run_ms(&world, 100);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        ck_assert_uint_eq(status_of(clients[i], 0), 200);
    ck_assert_uint_eq(state_of("chat").shadowed, 19);
    ck_assert_uint_eq(state_of("chat").rejected + state_of("chat").delayed, 0);
}
END_TEST

START_TEST(bytes_of_requests_and_answers_are_limited)
{
    struct flow_client *client;

    services[0].bytes_rate = 100 * kib;
    start();
    client = send_as(CHAT, "query", 1, 60 * kib, 10);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_request(client, "query", 2, 60 * kib, 10, CHAT);
    ck_assert(flow_world_run_to_answers(&world, client, 2));
    ck_assert_uint_eq(status_of(client, 0), 200);
    ck_assert_uint_eq(status_of(client, 1), 429);
    ck_assert_ptr_nonnull(
        strstr(flow_client_body(client, 1), "100KiB/s (services.chat.bytes_rate)"));
    ck_assert_uint_eq(state_of("chat").bytes_rejected, 1);
    ck_assert_ptr_null(strstr(flow_client_head(client, 1), "RateLimit"));
    flow_world_run_ms(&world, 1000);
    flow_world_request(client, "query", 3, 100, 150 * kib, CHAT); /* owes 50 KiB now */
    ck_assert(flow_world_run_to_answers(&world, client, 3));
    flow_world_run_ms(&world, 300);
    flow_world_request(client, "query", 4, 100, 10, CHAT);
    ck_assert(flow_world_run_to_answers(&world, client, 4));
    ck_assert_uint_eq(status_of(client, 2), 200);
    ck_assert_uint_eq(status_of(client, 3), 429);
    flow_world_run_ms(&world, 400);
    flow_world_request(client, "query", 5, 100, 10, CHAT);
    ck_assert(flow_world_run_to_answers(&world, client, 5));
    ck_assert_uint_eq(status_of(client, 4), 200);
}
END_TEST

/* Expected at 5 ms, settled at the 100 ms that each takes. */
START_TEST(a_rate_of_time_is_settled_with_what_it_took)
{
    struct flow_client *client;
    unsigned            passed = 0;

    services[0].rate = services[0].burst = 200000;
    services[0].is_rate_in_time = true;
    world.backend.plan.delay_us = 100000;
    start();
    client = flow_world_client(&world);
    for (unsigned i = 0; i < 50; i++) {
        flow_world_request(client, "query", i + 1, 100, 10, CHAT);
        ck_assert(flow_world_run_to_answers(&world, client, i + 1));
        passed += status_of(client, i) == 200;
        if (status_of(client, i) == 429)
            ck_assert_ptr_nonnull(strstr(flow_client_head(client, i),
                                         "\r\nRateLimit-Policy: \"chat\";q=200;w=1;"
                                         "qu=\"milliseconds\"\r\n"));
        flow_world_run_ms(&world, status_of(client, i) == 200 ? 1 : 98);
    }
    /* 5 s: the burst of two, and two more for each second. */
    ck_assert_uint_ge(passed, 11);
    ck_assert_uint_le(passed, 14);
}
END_TEST

/* So many of `count` queries, one every `every_ms`, are not refused; each client leaves after
 * `stay_ms`, long before its answer. */
static unsigned count_passed(unsigned count, unsigned every_ms, unsigned stay_ms)
{
    unsigned passed = 0;

    for (unsigned i = 0; i < count; i++) {
        struct flow_client *client = send_as(CHAT, "query", i + 1, 100, 10);

        flow_world_run_ms(&world, stay_ms);
        passed += client->answer_count == 0;
        flow_client_reset(client);
        flow_world_run_ms(&world, every_ms - stay_ms);
    }
    return passed;
}

/* What Chroma had a query for is had, and what it does with one that nobody waits for is not known.
 */
START_TEST(who_leaves_is_charged_what_it_had_and_no_less_than_was_expected)
{
    unsigned passed;

    services[0].rate = services[0].burst = 200000;
    services[0].is_rate_in_time = true;
    world.backend.plan.delay_us = 10 * second_us;
    start();
    passed = count_passed(50, 100, 90); /* in 5 s: 1.2 s of 90 ms each */
    ck_assert_uint_ge(passed, 12);
    ck_assert_uint_le(passed, 16);
    ck_assert_uint_ge(state_of("chat").chroma_time_us, passed * 85000);
    flow_world_run_ms(&world, 2000);
    passed = count_passed(300, 10, 2); /* in 3 s: 0.8 s of 5 ms each */
    ck_assert_uint_ge(passed, 130);
    ck_assert_uint_le(passed, 190);
}
END_TEST

START_TEST(health_checks_are_never_limited)
{
    static const char *const checks[] = {"GET /api/v2/heartbeat", "GET /api/v2/healthcheck",
                                         "GET /api/v2/version", "OPTIONS /api/v2/tenants"};
    struct flow_client      *client, *other;

    services[0].rate = 1;
    start();
    ck_assert(flow_world_run_to_answers(&world, send_as(CHAT, "query", 1, 100, 10), 1));
    client = flow_world_client(&world);
    for (unsigned i = 0; i < 40; i++) {
        flow_client_printf(client, "%s HTTP/1.1\r\nHost: x\r\n" CHAT "\r\n", checks[i % 4]);
        ck_assert(flow_world_run_to_answers(&world, client, i + 1));
        ck_assert_uint_eq(status_of(client, i), 200);
    }
    other = send_as(CHAT, "query", 2, 100, 10);
    ck_assert(flow_world_run_to_answers(&world, other, 1));
    ck_assert_uint_eq(status_of(other, 0), 429);
    ck_assert_uint_eq(state_of("chat").requests, 2);
}
END_TEST

START_TEST(a_field_is_believed_from_trusted_proxies_only)
{
    struct flow_client *client;

    services[0].rate = 1;
    start();
    client = send_as(CHAT "X-Other: 1\r\n", "query", 1, 100, 10);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), CHAT));
    ck_assert_uint_eq(state_of("chat").requests, 1);
    options.trusted_count = 0;
    set_services();
    for (unsigned i = 2; i <= 5; i++) {
        flow_world_request(client, i % 2 ? "query" : "upsert", i, 100, 10, CHAT "X-Other: 1\r\n");
        ck_assert(flow_world_run_to_answers(&world, client, i));
        ck_assert_uint_eq(status_of(client, i - 1), 200);
        ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), "X-Service"));
        ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), "X-Other: 1\r\n"));
    }
    ck_assert_uint_eq(state_of("chat").requests, 1);
    ck_assert_uint_eq(state_of(PROXY_SERVICE_DEFAULT).requests, 4);
}
END_TEST

static const struct {
    const char *fields;
    bool        is_chat;
} forwarded[] = {
    {"X-Forwarded-For: 10.1.2.3\r\n", true},
    {"X-Forwarded-For: 10.1.2.3:4711\r\n", true},
    {"X-Forwarded-For: [::ffff:10.1.2.3]:80\r\n", true},
    {"X-Forwarded-For: 192.0.2.1, 10.1.2.3 , 127.0.0.9\r\n", true},
    {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.1.2.3\r\n", true},
    {"X-Forwarded-For: 10.1.2.3, 192.0.2.1\r\n", false}, /* who wrote the first? */
    {"X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-For: 192.0.2.1\r\n", false},
    {"X-Forwarded-For: 10.1.2.3, unknown\r\n", false},
    {"X-Forwarded-For:\r\n", false},
    {"X-Forwarded-For: 10.1.2.3,\r\n", false},
    {"X-Forwarded-For: 127.0.0.3, 127.0.0.2\r\n", false},
    {"", false},
    {"X-Forwarded-For: 192.0.2.1\r\n" CHAT, true}, /* the field goes before the address */
    {"X-Forwarded-For: 10.1.2.3\r\nx-service: nobody\r\n", true},
    {BATCH CHAT, true}, /* whoever wrote the first, the proxy wrote the last */
    {CHAT BATCH, false},
    {CHAT "x-service: nobody\r\n", false},
};

START_TEST(the_client_is_who_the_trusted_proxies_say)
{
    start();
    ck_assert(
        flow_world_run_to_answers(&world, send_as(forwarded[_i].fields, "query", 1, 100, 10), 1));
    ck_assert_uint_eq(state_of("chat").requests, forwarded[_i].is_chat);
    options.trusted_count = 0;
    set_services();
    ck_assert(
        flow_world_run_to_answers(&world, send_as(forwarded[_i].fields, "query", 2, 100, 10), 1));
    ck_assert_uint_eq(state_of("chat").requests, forwarded[_i].is_chat);
}
END_TEST

/* A number that was used stays used, and numbers follow names. */
START_TEST(services_change_while_requests_are_under_way)
{
    struct flow_client          *delayed, *running, *late;
    struct proxy_service_options chat = services[0];

    services[0].rate = services[0].burst = 1;
    services[0].over = RATE_LIMIT_DELAY;
    world.backend.plan.delay_us = second_us / 2;
    start();
    running = send_as(CHAT, "query", 1, 100, 10);
    flow_world_run_ms(&world, 10);
    delayed = send_as(CHAT, "query", 2, 100, 10);
    flow_world_run_ms(&world, 10);
    chat.rate = chat.burst = 1;
    services[0] = services[1];
    services[1] = chat;
    set_services();
    late = send_as(CHAT, "query", 3, 100, 10);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(status_of(late, 0), 429);
    options.count = 0;
    set_services();
    late = send_as(CHAT, "query", 4, 100, 10);
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(status_of(running, 0), 200);
    ck_assert_uint_eq(status_of(delayed, 0), 200);
    ck_assert_uint_eq(status_of(late, 0), 200);
    options.count = 1; /* another one, under a number of its own */
    services[0].name = "new";
    set_services();
    ck_assert_uint_eq(state_of("new").requests, 0);
    ck_assert_ptr_null(state_of("chat").name);
}
END_TEST

START_TEST(metrics_tell_of_each_service)
{
    struct byte_buffer page = {0};

    services[0].rate = 1;
    start();
    for (unsigned i = 0; i < 5; i++)
        send_as(CHAT, "query", i + 1, 100, 10);
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, (struct bytes){"", 1}, SIZE_MAX), STATUS_OK);
    ck_assert_ptr_nonnull(strstr(byte_buffer_bytes(&page).data,
                                 "\nchromabouncer_ratelimit_rejected_total{service=\"chat\"} 4\n"));
    ck_assert_ptr_nonnull(strstr(byte_buffer_bytes(&page).data,
                                 "\nchromabouncer_service_requests_total{service=\"chat\"} 5\n"));
    ck_assert_ptr_nonnull(
        strstr(byte_buffer_bytes(&page).data,
               "\nchromabouncer_ratelimit_rejected_total{service=\"default\"} 0\n"));
    byte_buffer_done(&page);
}
END_TEST

START_TEST(who_has_no_services_is_told_apart_from_nobody)
{
    struct byte_buffer  page = {0};
    struct flow_client *client;

    options.count = 0;
    start();
    client = send_as(CHAT, "query", 1, 100, 10);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), CHAT));
    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, (struct bytes){"", 1}, SIZE_MAX), STATUS_OK);
    ck_assert_ptr_null(strstr(byte_buffer_bytes(&page).data, "service="));
    byte_buffer_done(&page);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("services");

    tcase_add_checked_fixture(tcase, services_world_begin, services_world_end);
    tcase_add_test(tcase, a_flood_of_one_service_leaves_the_other_alone);
    tcase_add_test(tcase, a_refusal_says_why_and_keeps_the_connection);
    tcase_add_test(tcase, a_large_body_is_refused_at_its_head);
    tcase_add_test(tcase, without_own_header_fields_only_the_body_tells);
    tcase_add_test(tcase, a_delayed_request_goes_when_its_time_has_come);
    tcase_add_test(tcase, a_delay_is_bounded);
    tcase_add_test(tcase, who_leaves_while_delayed_is_forgotten);
    tcase_add_test(tcase, the_end_finds_nobody);
    tcase_add_test(tcase, shadow_only_counts);
    tcase_add_test(tcase, bytes_of_requests_and_answers_are_limited);
    tcase_add_test(tcase, a_rate_of_time_is_settled_with_what_it_took);
    tcase_add_test(tcase, who_leaves_is_charged_what_it_had_and_no_less_than_was_expected);
    tcase_add_test(tcase, health_checks_are_never_limited);
    tcase_add_test(tcase, a_field_is_believed_from_trusted_proxies_only);
    tcase_add_loop_test(tcase, the_client_is_who_the_trusted_proxies_say, 0, COUNT_OF(forwarded));
    tcase_add_test(tcase, services_change_while_requests_are_under_way);
    tcase_add_test(tcase, metrics_tell_of_each_service);
    tcase_add_test(tcase, who_has_no_services_is_told_apart_from_nobody);
    return check_main("services", tcase);
}
