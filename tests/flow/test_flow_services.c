/* Services told apart and limited, on the way of requests: what is refused was never sent and says
 * why, what is delayed waits and no longer, what one service asks for costs no other one. All
 * clients have one address; a trusted proxy's fields tell them apart. */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "support/check_main.h"

#define CHAT  "X-Service: chat\r\n"
#define BATCH "x-service: batch\r\n"

enum { kib = 1024 };

static const uint64_t second_us = 1000000;

static struct flow_world             world;
static struct network                loopback, chat_range;
static struct proxy_service_options  services[3];
static struct proxy_services_options options;

static struct network network(const char *text)
{
    struct network ret;

    ck_assert(network_parse(bytes_of(text), &ret));
    return ret;
}

/* Two services with limits of none, known by their header, and the address of the first. */
static void begin(void)
{
    flow_world_begin(&world, 1);
    loopback = network("127.0.0.0/8");
    chat_range = network("10.1.0.0/16");
    for (size_t i = 0; i < COUNT_OF(services); i++)
        services[i] = (struct proxy_service_options){.weight = 1, .priority = 1, .burst = 1};
    services[0].name = "chat";
    services[0].field_name = bytes_of("x-service");
    services[0].field_value = bytes_of("chat");
    services[0].networks = &chat_range;
    services[0].network_count = 1;
    services[1].name = "batch";
    services[1].field_name = bytes_of("X-Service");
    services[1].field_value = bytes_of("batch");
    services[2].name = PROXY_SERVICE_DEFAULT;
    options = (struct proxy_services_options){.services = services,
                                              .count = 3,
                                              .trusted_proxies = &loopback,
                                              .trusted_count = 1,
                                              .delay_max_us = 60 * second_us};
}

static void end(void)
{
    flow_world_end(&world);
}

static void set_services(void)
{
    ck_assert_int_eq(proxy_set_services(world.proxy, &options), STATUS_OK);
}

static void start(void)
{
    flow_world_start(&world);
    set_services();
}

static struct flow_client *send_as(const char *service, const char *operation, unsigned id,
                                   size_t n, size_t m)
{
    struct flow_client *client = flow_world_client(&world);

    flow_world_request(client, operation, id, n, m, service);
    return client;
}

static unsigned status_of(const struct flow_client *client, size_t answer)
{
    ck_assert_uint_gt(client->answer_count, answer);
    return client->answers[answer].status;
}

struct wanted {
    const char          *name;
    struct service_state state;
};

static void take_state(void *ctx, const struct service_state *state)
{
    struct wanted *wanted = ctx;

    if (strcmp(state->name, wanted->name) == 0)
        wanted->state = *state;
}

static struct service_state state_of(const char *name)
{
    struct wanted wanted = {.name = name};

    proxy_each_service(world.proxy, take_state, &wanted);
    return wanted.state;
}

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

START_TEST(a_service_has_no_more_calls_under_way_than_it_may)
{
    struct flow_client *chat[10], *batch[10], *health[4];

    services[0].concurrency_max = 2;
    world.backend.plan.delay_us = 100000;
    world.pool_options.connections_max = 32;
    start();
    for (unsigned i = 0; i < COUNT_OF(chat); i++)
        chat[i] = send_as(CHAT, "query", i + 1, 100, 10);
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(world.backend.busy, 2);
    for (unsigned i = 0; i < COUNT_OF(batch); i++)
        batch[i] = send_as(BATCH, "query", i + 101, 100, 10);
    for (unsigned i = 0; i < COUNT_OF(health); i++) {
        health[i] = flow_world_client(&world);
        flow_client_send(health[i], "GET /api/v2/heartbeat HTTP/1.1\r\nHost: x\r\n" CHAT "\r\n");
    }
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(world.backend.busy, 2 + 10 + 4);
    flow_world_run_ms(&world, 110);
    for (unsigned i = 0; i < COUNT_OF(health); i++)
        ck_assert_uint_eq(status_of(health[i], 0), 200);
    for (unsigned i = 0; i < COUNT_OF(batch); i++)
        ck_assert_uint_eq(status_of(batch[i], 0), 200);
    flow_world_run_ms(&world, 500);
    for (unsigned i = 0; i < COUNT_OF(chat); i++)
        ck_assert_uint_eq(status_of(chat[i], 0), 200);
}
END_TEST

START_TEST(who_is_refused_for_the_service_s_bounds_is_told_and_counted_there)
{
    struct flow_client *chat[3], *batch[4];

    services[0].concurrency_max = 1;
    services[1].collection_reads_max = 2;
    world.proxy_options.sheds = true;
    world.backend.plan.delay_us = second_us;
    start();
    for (unsigned i = 0; i < COUNT_OF(chat); i++) {
        chat[i] = send_as(CHAT, "query", i + 1, 100, 10);
        flow_world_run_ms(&world, 1);
    }
    for (unsigned i = 0; i < COUNT_OF(batch); i++) {
        batch[i] = send_as(BATCH, "query", i + 11, 100, 10);
        flow_world_run_ms(&world, 1);
    }
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(state_of("chat").concurrency, 1);
    ck_assert_uint_eq(state_of("chat").waiting, 2);
    ck_assert_uint_eq(state_of("batch").waiting, 2);
    flow_world_run_ms(&world, 100);
    ck_assert_ptr_nonnull(
        strstr(flow_client_body(chat[2], 0), "concurrency_max of its service is 1"));
    ck_assert_ptr_nonnull(
        strstr(flow_client_body(batch[3], 0), "concurrency_reads_max of its service is 2"));
    ck_assert_uint_eq(state_of("chat").turns_refused, 2);
    ck_assert_uint_eq(state_of("chat").collection_reads_refused, 0);
    ck_assert_uint_eq(state_of("batch").turns_refused, 0);
    ck_assert_uint_eq(state_of("batch").collection_reads_refused, 2);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.reads, 0);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.connections, 0);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(status_of(chat[0], 0), 200);
}
END_TEST

/* The lanes of others, and its own, have no part in it. */
/* Of writes that are merged: how many calls go is for writes.in_flight_max to say. */
START_TEST(merged_writes_are_not_bounded_by_concurrency_max)
{
    struct flow_client *clients[3];
    const char         *body = "{\"ids\":[\"r\"],\"embeddings\":[[1]]}";

    services[0].concurrency_max = 1;
    world.backend.plan.delay_us = 100000;
    start();
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = CHROMA_FAMILY_RUST,
                                                           .batch_records_max = 1000,
                                                           .incarnation = 1}); /* distributed */
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = flow_world_client(&world);
        flow_client_printf(
            clients[i],
            "POST /api/v2/tenants/t/databases/d/collections/"
            "0000000%u-2222-3333-4444-555555555555/upsert HTTP/1.1\r\nHost: chroma\r\n"
            "%sContent-Length: %zu\r\n\r\n%s",
            i, CHAT, strlen(body), body);
    }
    flow_world_run_ms(&world, 2000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        ck_assert_uint_eq(status_of(clients[i], 0), 200);
    ck_assert_uint_eq(world.backend.busy_peak, COUNT_OF(clients));
}
END_TEST

START_TEST(writes_do_not_wait_behind_a_service_that_has_all_it_may)
{
    struct flow_client *reads[2], *own, *other;

    services[0].concurrency_max = services[2].concurrency_max = 1;
    world.backend.plan.delay_us = second_us;
    start();
    for (unsigned i = 0; i < COUNT_OF(reads); i++)
        reads[i] = send_as(CHAT, "query", i + 1, 100, 10);
    send_as("", "query", 9, 100, 10);
    flow_world_run_ms(&world, 10);
    world.backend.plan.delay_us = 1000;
    own = send_as(CHAT, "upsert", 10, 100, 10);
    flow_world_run_ms(&world, 10);
    other = send_as(BATCH, "upsert", 11, 100, 10);
    flow_world_run_ms(&world, 50);
    ck_assert_uint_eq(reads[0]->answer_count + reads[1]->answer_count, 0);
    ck_assert_uint_eq(status_of(own, 0), 200);
    ck_assert_uint_eq(status_of(other, 0), 200);
    flow_world_run_ms(&world, 2000);
}
END_TEST

static struct flow_client *query_other_collection(const char *service, unsigned id)
{
    struct flow_client *client = flow_world_client(&world);

    flow_client_printf(client,
                       "GET /api/v2/tenants/t/databases/d/collections/"
                       "99999999-2222-3333-4444-555555555555/count?id=%u&n=0&m=10 HTTP/1.1\r\n"
                       "Host: chroma\r\n%s\r\n",
                       id, service);
    return client;
}

START_TEST(a_collection_has_no_more_calls_of_a_service_than_it_may)
{
    struct flow_client *here[6], *there[3], *others[3];

    services[0].collection_reads_max = 2;
    world.backend.plan.delay_us = 100000;
    start();
    for (unsigned i = 0; i < COUNT_OF(here); i++) {
        here[i] = send_as(CHAT, "query", i + 1, 100, 10);
        flow_world_run_ms(&world, 1);
    }
    for (unsigned i = 0; i < COUNT_OF(there); i++)
        there[i] = query_other_collection(CHAT, i + 11);
    for (unsigned i = 0; i < COUNT_OF(others); i++)
        others[i] = send_as(BATCH, "query", i + 21, 100, 10);
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(world.backend.busy, 2 + 2 + 3);
    flow_client_reset(here[2]); /* while it waits */
    flow_world_run_ms(&world, 110);
    ck_assert_uint_eq(world.backend.busy, 2 + 1);
    for (unsigned i = 0; i < COUNT_OF(others); i++)
        ck_assert_uint_eq(status_of(others[i], 0), 200);
    services[0].collection_reads_max = 0;
    set_services();
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(status_of(there[2], 0), 200);
    ck_assert_uint_eq(status_of(here[5], 0), 200);
    ck_assert_uint_eq(world.backend.records[3].heads, 0);
}
END_TEST

START_TEST(writes_that_go_alone_are_bounded_likewise)
{
    struct flow_client *chat[4], *batch[4];

    services[0].collection_writes_max = 2;
    services[1].concurrency_max = 1;
    world.write_options.is_coalescing = false;
    world.backend.plan.delay_us = 100000;
    start();
    for (unsigned i = 0; i < COUNT_OF(chat); i++)
        chat[i] = send_as(CHAT, "upsert", i + 1, 100, 10);
    for (unsigned i = 0; i < COUNT_OF(batch); i++)
        batch[i] = send_as(BATCH, "upsert", i + 11, 100, 10);
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(world.backend.busy, 2 + 1);
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(chat); i++) {
        ck_assert_uint_eq(status_of(chat[i], 0), 200);
        ck_assert_uint_eq(status_of(batch[i], 0), 200);
    }
}
END_TEST

/* They are never refused for it before their deadline. */
START_TEST(a_write_that_its_bounds_hold_back_is_told_and_counted_there)
{
    struct flow_client *chat[2], *batch[2];

    services[0].collection_writes_max = 1;
    services[1].concurrency_max = 1;
    world.write_options.is_coalescing = false;
    world.proxy_options.sheds = true;
    world.proxy_options.deadline_write_us = second_us;
    world.backend.plan.delay_us = 10 * second_us;
    start();
    for (unsigned i = 0; i < COUNT_OF(chat); i++) {
        chat[i] = send_as(CHAT, "upsert", i + 1, 100, 10);
        batch[i] = send_as(BATCH, "upsert", i + 11, 100, 10);
        flow_world_run_ms(&world, 1);
    }
    flow_world_run_ms(&world, 900);
    ck_assert_uint_eq(chat[1]->answer_count + batch[1]->answer_count, 0);
    flow_world_run_ms(&world, 200);
    ck_assert_uint_eq(status_of(chat[1], 0), 504);
    ck_assert_ptr_nonnull(
        strstr(flow_client_body(chat[1], 0), "concurrency_writes_max of its service is 1"));
    ck_assert_ptr_nonnull(strstr(flow_client_body(chat[1], 0), "(deadline.write)"));
    ck_assert_ptr_nonnull(
        strstr(flow_client_body(batch[1], 0), "concurrency_max of its service is 1"));
    ck_assert_uint_eq(state_of("chat").collection_writes_refused, 1);
    ck_assert_uint_eq(state_of("chat").collection_reads_refused, 0);
    ck_assert_uint_eq(state_of("batch").turns_refused, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.write_deadlines, 2); /* what was sent */
    flow_world_run_ms(&world, 11000);
    ck_assert_uint_eq(world.backend.records[2].heads + world.backend.records[12].heads, 0);
}
END_TEST

/* The first teaches the collection's dimension: then the others share calls. */
static size_t records_in_a_call(size_t records_max)
{
    world.backend.batch_peak = 0;
    services[2].batch_records_max = (uint32_t)records_max;
    set_services();
    for (unsigned i = 0; i < 20; i++)
        flow_world_request_record(flow_world_client(&world), "upsert", 100 + i);
    flow_world_run_ms(&world, 1000);
    return world.backend.batch_peak;
}

START_TEST(calls_that_are_shared_have_no_more_records_than_the_service_may)
{
    world.backend.plan.delay_us = 10000;
    start();
    flow_world_request_record(flow_world_client(&world), "upsert", 1);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(records_in_a_call(3), 3);
    ck_assert_uint_gt(records_in_a_call(0), 3);
}
END_TEST

static struct flow_client *write_to(const char *service, unsigned collection, unsigned id)
{
    struct flow_client *client = flow_world_client(&world);
    char                body[120];
    int size = snprintf(body, sizeof body, "{\"ids\":[\"w%u\"],\"embeddings\":[[1.5,%u]]}", id, id);

    flow_client_printf(client,
                       "POST /api/v2/tenants/t/databases/d/collections/"
                       "%08u-2222-3333-4444-555555555555/upsert HTTP/1.1\r\nHost: chroma\r\n%s"
                       "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                       collection, service, size, body);
    return client;
}

/* Ten seconds of one service's writes, to one collection or to many, do not hold up those of
 * another, to a collection of its own or to the same one. Each call has a record or a few. */
START_TEST(a_backlog_of_writes_does_not_make_the_others_wait)
{
    enum { backlog = 100 };
    struct flow_client *batch[backlog], *chat[3];
    unsigned            collections = _i % 2 == 0 ? 1 : 10, answered = 0;
    uint64_t            began_us;

    services[1].batch_records_max = 1;
    world.backend.plan.delay_us = 100000;
    world.write_options.batch_records_max = 4;
    start();
    if (_i >= 2) { /* what is known may be merged */
        flow_client_close(write_to(CHAT, 1, 1));
        flow_world_run_ms(&world, 300);
        services[1].batch_records_max = 0;
        set_services();
    }
    for (unsigned i = 0; i < backlog; i++) {
        batch[i] = write_to(BATCH, _i >= 2 ? 1 : 2 + i % collections, i + 100);
        if (i % 10 == 0)
            flow_world_run_ms(&world, 1);
    }
    flow_world_run_ms(&world, 500);
    for (unsigned i = 0; i < COUNT_OF(chat); i++) {
        began_us = loop_now_us(world.loop);
        chat[i] = write_to(CHAT, 1, i + 10);
        ck_assert(flow_world_run_to_answers(&world, chat[i], 1));
        ck_assert_uint_eq(status_of(chat[i], 0), 200);
        ck_assert_uint_le(loop_now_us(world.loop) - began_us, 350000);
    }
    for (unsigned i = 0; i < backlog; i++)
        answered += batch[i]->answer_count == 1;
    ck_assert_uint_lt(answered, backlog); /* it waited all the while */
    ck_assert_uint_ge(answered, 5);       /* and had its part */
    flow_world_run_ms(&world, 12000);
    for (unsigned i = 0; i < backlog; i++)
        ck_assert_uint_eq(status_of(batch[i], 0), 200);
}
END_TEST

START_TEST(writes_go_by_weight_and_by_what_they_cost)
{
    struct flow_client *batch[60], *chat[60];
    unsigned            of_chat = 0, of_batch = 0;

    services[0].weight = 3;
    services[0].batch_records_max = services[1].batch_records_max = 1;
    world.backend.plan.delay_us = 100000;
    start();
    for (unsigned i = 0; i < COUNT_OF(chat); i++) {
        batch[i] = write_to(BATCH, 2 + i % 5, i + 100);
        chat[i] = write_to(CHAT, 1, i + 200);
    }
    flow_world_run_ms(&world, 4000);
    for (unsigned i = 0; i < COUNT_OF(chat); i++) {
        of_chat += (unsigned)chat[i]->answer_count;
        of_batch += (unsigned)batch[i]->answer_count;
    }
    ck_assert_uint_ge(of_chat, 25);
    ck_assert_uint_ge(of_batch, 7);
    ck_assert_uint_le(of_batch, 13);
    flow_world_run_ms(&world, 12000);
}
END_TEST

/* One call at a time: while both wait, three of the one go for one of the other. */
START_TEST(who_waits_gets_its_turn_by_weight)
{
    unsigned chat = 0;

    services[0].weight = 3;
    world.pool_options.connections_max = 1;
    world.backend.plan.delay_us = 5000;
    start();
    for (unsigned i = 0; i < 100; i++)
        send_as(BATCH, "query", i + 101, 100, 10);
    flow_world_run_ms(&world, 20);
    for (unsigned i = 0; i < 100; i++)
        send_as(CHAT, "query", i + 1, 100, 10);
    flow_world_run_ms(&world, 500);
    for (size_t i = 10; i < 70; i++)
        chat += world.backend.order[i] <= 100;
    ck_assert_uint_ge(chat, 40);
    ck_assert_uint_le(chat, 50);
    flow_world_run_ms(&world, 2000);
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

    tcase_add_checked_fixture(tcase, begin, end);
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
    tcase_add_test(tcase, a_service_has_no_more_calls_under_way_than_it_may);
    tcase_add_test(tcase, who_is_refused_for_the_service_s_bounds_is_told_and_counted_there);
    tcase_add_test(tcase, merged_writes_are_not_bounded_by_concurrency_max);
    tcase_add_test(tcase, writes_do_not_wait_behind_a_service_that_has_all_it_may);
    tcase_add_test(tcase, a_collection_has_no_more_calls_of_a_service_than_it_may);
    tcase_add_test(tcase, writes_that_go_alone_are_bounded_likewise);
    tcase_add_test(tcase, a_write_that_its_bounds_hold_back_is_told_and_counted_there);
    tcase_add_test(tcase, calls_that_are_shared_have_no_more_records_than_the_service_may);
    tcase_add_loop_test(tcase, a_backlog_of_writes_does_not_make_the_others_wait, 0, 3);
    tcase_add_test(tcase, writes_go_by_weight_and_by_what_they_cost);
    tcase_add_test(tcase, who_waits_gets_its_turn_by_weight);
    tcase_add_test(tcase, health_checks_are_never_limited);
    tcase_add_test(tcase, a_field_is_believed_from_trusted_proxies_only);
    tcase_add_loop_test(tcase, the_client_is_who_the_trusted_proxies_say, 0, COUNT_OF(forwarded));
    tcase_add_test(tcase, services_change_while_requests_are_under_way);
    tcase_add_test(tcase, metrics_tell_of_each_service);
    tcase_add_test(tcase, who_has_no_services_is_told_apart_from_nobody);
    return check_main("flow_services", tcase);
}
