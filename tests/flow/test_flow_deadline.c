/* Deadlines that clients give: what cannot be answered in time is not sent, reads are abandoned,
 * writes that were sent never are, and without the setting nothing of it happens. */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "limits/time_floor.h"
#include "support/check_main.h"

static const uint64_t second_us = 1000000;

static struct flow_world world;

static void begin(void)
{
    flow_world_begin(&world, 1);
    world.proxy_options.takes_client_deadlines = true;
}

static void end(void)
{
    flow_world_end(&world);
}

static void expect(struct flow_client *client, unsigned status, const char *in_head,
                   const char *in_body)
{
    flow_world_expect(client, status);
    ck_assert_msg(strstr(flow_client_head(client, 0), in_head) != NULL, "%s",
                  flow_client_head(client, 0));
    ck_assert_msg(strstr(flow_client_body(client, 0), in_body) != NULL, "%s",
                  flow_client_body(client, 0));
}

static uint64_t metric(const char *name)
{
    struct byte_buffer out = {0};
    unsigned long long value = 0;
    char               line[128];
    const char        *found;

    ck_assert_int_eq(proxy_print_metrics(world.proxy, &out), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&out, (struct bytes){.data = "", .size = 1}, SIZE_MAX),
                     STATUS_OK);
    snprintf(line, sizeof line, "\nchromabouncer_client_deadlines_%s ", name);
    found = strstr(byte_buffer_bytes(&out).data, line);
    ck_assert_msg(found != NULL, "no metric %s", name);
    sscanf(found + strlen(line), "%llu", &value);
    byte_buffer_done(&out);
    return value;
}

static struct flow_client *send_with(const char *fields, const char *operation, unsigned id)
{
    struct flow_client *client = flow_world_client(&world);

    flow_world_request(client, operation, id, 100, 10, fields);
    return client;
}

/* So many that it is known how long they take at least. */
static void learn(const char *operation)
{
    for (unsigned i = 0; i < TIME_FLOOR_CALLS; i++)
        flow_world_expect(flow_world_ask(&world, operation, 20 + i, 100, 10), 200);
}

/* One record, which may share a call. */
static struct flow_client *send_record(const char *fields, unsigned id)
{
    struct flow_client *client = flow_world_client(&world);
    char                body[200];
    int                 size = snprintf(body, sizeof body,
                                        "{\"ids\":[\"w%u\"],\"embeddings\":[[1.5,%u]],\"metadatas\":null,"
                                                        "\"documents\":null,\"uris\":null}",
                                        id, id);

    flow_client_printf(client,
                       "POST /api/v2/tenants/t/databases/d/collections/"
                       "11111111-2222-3333-4444-555555555555/upsert HTTP/1.1\r\n"
                       "Host: chroma\r\nContent-Type: application/json\r\n%s"
                       "Content-Length: %d\r\n\r\n%s",
                       fields, size, body);
    return client;
}

#define MS(number) "x-request-timeout-ms: " #number "\r\n"

START_TEST(without_the_setting_the_field_only_passes)
{
    struct flow_client *client;

    world.proxy_options.takes_client_deadlines = false;
    world.backend.plan.delay_us = second_us;
    flow_world_start(&world);
    client = send_with(MS(10), "query", 1);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), MS(10)));
    ck_assert_uint_eq(metric("total"), 0);
}
END_TEST

START_TEST(a_read_is_abandoned_at_its_deadline)
{
    static const char *const fields[] = {MS(500), "grpc-timeout: 500m\r\n",
                                         "x-envoy-expected-rq-timeout-ms: 500\r\n",
                                         MS(9000) "grpc-timeout: 500m\r\n" MS(soon)};
    struct flow_client      *client;
    uint64_t                 began_us;

    world.backend.plan.delay_us = 5 * second_us;
    flow_world_start(&world);
    began_us = loop_now_us(world.loop);
    client = send_with(fields[_i], "query", 1);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 504, "X-Chromabouncer-Executed: maybe\r\n",
           "Chroma did not answer within the 500.0 ms that the client gives (");
    ck_assert_uint_ge(loop_now_us(world.loop) - began_us, 499000);
    ck_assert_uint_le(loop_now_us(world.loop) - began_us, 510000);
    ck_assert(client->answers[0].keep_alive);
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(world.backend.records[1].cancelled, 1);
    ck_assert_uint_eq(metric("total"), 1);
    ck_assert_uint_eq(metric("malformed_total"), _i == 3);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.client_deadlines, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.read_deadlines, 0);
    ck_assert_uint_eq(metric("missed_total{sent=\"yes\"}"), 1);
}
END_TEST

START_TEST(who_is_answered_in_time_notices_nothing)
{
    struct flow_client *client;

    world.backend.plan.delay_us = 100000;
    flow_world_start(&world);
    client = send_with(MS(500), "query", 1);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    client = send_with(MS(500), "upsert", 2);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    ck_assert_uint_eq(metric("total"), 2);
    ck_assert_uint_eq(metric("missed_total{sent=\"no\"}"), 0);
    flow_world_run_ms(&world, 1000);
}
END_TEST

/* A read, a write by itself, and one in a lane. */
static const char *const kinds[] = {"query", "upsert", "delete"};

START_TEST(what_cannot_be_answered_in_time_is_not_sent)
{
    struct flow_client *client;

    world.write_options.is_coalescing = _i == 1;
    world.backend.plan.delay_us = 200000;
    flow_world_start(&world);
    learn(kinds[_i]);
    client = send_with(MS(150), kinds[_i], 2);
    flow_world_run_ms(&world, 5); /* it need not wait for that */
    expect(client, 504, "X-Chromabouncer-Executed: no\r\n",
           "ms are left, and no such request was answered in less than 200.");
    ck_assert_uint_eq(world.backend.records[2].heads, 0);
    client = send_with(MS(250), kinds[_i], 3);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    ck_assert_uint_eq(metric("missed_total{sent=\"no\"}"), 1);
}
END_TEST

START_TEST(who_waits_for_a_turn_is_refused_when_it_comes_too_late)
{
    struct flow_client *client;
    uint64_t            began_us;

    world.pool_options.connections_max = 1;
    world.backend.plan.delay_us = 200000;
    flow_world_start(&world);
    learn("query");
    world.backend.plan.delay_us = 10 * second_us;
    flow_world_send(&world, "query", 2, 100, 10);
    flow_world_run_ms(&world, 10);
    began_us = loop_now_us(world.loop);
    client = send_with(MS(1000), "query", 3);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 504, "X-Chromabouncer-Executed: no\r\n", "not sent: of the 1000.0 ms");
    ck_assert_uint_ge(loop_now_us(world.loop) - began_us, 790000);
    ck_assert_uint_le(loop_now_us(world.loop) - began_us, 810000);
    ck_assert_uint_eq(world.backend.records[3].heads, 0);
}
END_TEST

/* In a lane behind a call, and by itself behind all connections. */
START_TEST(a_write_that_waits_is_refused_when_it_comes_too_late)
{
    struct flow_client *client;
    uint64_t            began_us;

    world.backend.plan.delay_us = 200000;
    flow_world_start(&world);
    for (unsigned i = 0; i < TIME_FLOOR_CALLS; i++)
        ck_assert(flow_world_run_to_answers(&world, send_record("", 20 + i), 1));
    world.backend.plan.delay_us = 3 * second_us;
    send_record("", 2);
    flow_world_run_ms(&world, 10);
    began_us = loop_now_us(world.loop);
    client = send_record(MS(1000), 3);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 504, "X-Chromabouncer-Executed: no\r\n", "not sent: of the 1000.0 ms");
    ck_assert_uint_ge(loop_now_us(world.loop) - began_us, 790000);
    ck_assert_uint_le(loop_now_us(world.loop) - began_us, 810000);
    flow_world_run_ms(&world, 5000);
    ck_assert_uint_eq(world.backend.records[3].heads, 0);
    ck_assert_uint_eq(world.backend.records[2].applied, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.client_deadlines, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.write_deadlines, 0);
}
END_TEST

START_TEST(a_write_that_was_sent_is_never_cancelled)
{
    struct flow_client *client;
    uint64_t            began_us;

    world.write_options.is_coalescing = _i == 0;
    world.backend.plan.delay_us = 3 * second_us;
    flow_world_start(&world);
    began_us = loop_now_us(world.loop);
    client = send_record(MS(500), 1);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 504, "X-Chromabouncer-Executed: maybe\r\n", "the write may yet be applied");
    ck_assert_uint_le(loop_now_us(world.loop) - began_us, 510000);
    flow_world_run_ms(&world, 5000);
    ck_assert_uint_eq(world.backend.records[1].applied, 1);
    ck_assert_uint_eq(world.backend.records[1].heads, 1);
    ck_assert_uint_eq(world.backend.records[1].cancelled, 0);
    ck_assert_uint_eq(metric("missed_total{sent=\"yes\"}"), 1);
}
END_TEST

/* The field is no part of what tells clients apart. */
START_TEST(writes_with_other_deadlines_share_a_call)
{
    struct flow_client *clients[3];

    world.backend.plan.delay_us = 100000;
    flow_world_start(&world);
    ck_assert(flow_world_run_to_answers(&world, send_record("", 1), 1)); /* the dimension */
    send_record("", 2);
    flow_world_run_ms(&world, 10);
    clients[0] = send_record(MS(5000), 3);
    clients[1] = send_record("grpc-timeout: 7S\r\n", 4);
    clients[2] = send_record("", 5);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        ck_assert(flow_world_run_to_answers(&world, clients[i], 1));
        flow_world_expect(clients[i], 200);
    }
    ck_assert_uint_eq(world.backend.batch_peak, 3);
}
END_TEST

START_TEST(a_body_that_comes_too_late_is_not_waited_for)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request_head(client, kinds[_i], 1, 100, 10, MS(300));
    flow_world_request_body(client, 1, 0, 50);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 504, "X-Chromabouncer-Executed: no\r\n", "not sent within the 300.0 ms");
    ck_assert_uint_eq(world.backend.records[1].heads, 0);
}
END_TEST

/* Its body is not even read then. */
START_TEST(who_waits_for_the_limit_of_its_service_has_it_too)
{
    struct proxy_service_options  service = {.name = PROXY_SERVICE_DEFAULT,
                                             .weight = 1,
                                             .priority = 1,
                                             .rate = 1,
                                             .burst = 1,
                                             .over = RATE_LIMIT_DELAY};
    struct proxy_services_options options = {
        .services = &service, .count = 1, .delay_max_us = 60 * second_us};
    struct flow_client *client;

    flow_world_start(&world);
    learn(kinds[_i]);
    ck_assert_int_eq(proxy_set_services(world.proxy, &options), STATUS_OK);
    flow_world_expect(flow_world_ask(&world, kinds[_i], 1, 100, 10), 200);
    client = send_with(MS(300), kinds[_i], 2);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 504, "X-Chromabouncer-Executed: no\r\n", "not sent: of the 300.0 ms");
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(world.backend.records[2].heads, 0);
}
END_TEST

static struct flow_client *send_count(const char *fields)
{
    struct flow_client *client = flow_world_client(&world);

    flow_client_printf(client,
                       "GET /api/v2/tenants/t/databases/d/collections/"
                       "11111111-2222-3333-4444-555555555555/count HTTP/1.1\r\n"
                       "Host: chroma\r\n%s\r\n",
                       fields);
    return client;
}

/* It takes no call. */
START_TEST(what_is_known_already_is_answered_however_little_time_is_left)
{
    struct flow_client *client;

    flow_world_keep_answers(&world);
    world.backend.plan = (struct flow_plan){.delay_us = 200000,
                                            .fields = "Content-Type: application/json\r\n",
                                            .body = "5",
                                            .is_bare = true};
    flow_world_start(&world);
    for (unsigned i = 0; i < 2; i++) {
        client = send_count(i == 0 ? "" : MS(20));
        ck_assert(flow_world_run_to_answers(&world, client, 1));
        flow_world_expect(client, 200);
    }
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "X-Chromabouncer-Source: cache\r\n"));
}
END_TEST

/* It has no call of its own, but a deadline. */
START_TEST(who_waits_for_anothers_answer_has_it_too)
{
    struct flow_client *first, *second;
    uint64_t            began_us;

    flow_world_keep_answers(&world);
    world.backend.plan = (struct flow_plan){.delay_us = 2 * second_us,
                                            .fields = "Content-Type: application/json\r\n",
                                            .body = "5",
                                            .is_bare = true};
    flow_world_start(&world);
    began_us = loop_now_us(world.loop);
    first = send_count("");
    flow_world_run_ms(&world, 10);
    second = send_count(MS(500));
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    expect(second, 504, "X-Chromabouncer-Executed: no\r\n", "not sent within the 500.0 ms");
    ck_assert_uint_le(loop_now_us(world.loop) - began_us, 520000);
    ck_assert(flow_world_run_to_answers(&world, first, 1));
    flow_world_expect(first, 200);
    ck_assert_uint_eq(world.backend.request_count, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.client_deadlines, 1);
}
END_TEST

START_TEST(an_answer_that_is_too_long_in_coming_is_cut)
{
    struct flow_client *client;

    world.backend.plan.fault = FLOW_FAULT_LEAVES_HALF;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "query", 1, 100, 100000, MS(500));
    flow_world_run_ms(&world, 400);
    ck_assert(!client->has_ended);
    flow_world_run_ms(&world, 200);
    ck_assert(client->has_ended);
    ck_assert(client->answers[0].was_cut || client->was_reset);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_deadline");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, without_the_setting_the_field_only_passes);
    tcase_add_loop_test(tcase, a_read_is_abandoned_at_its_deadline, 0, 4);
    tcase_add_test(tcase, who_is_answered_in_time_notices_nothing);
    tcase_add_loop_test(tcase, what_cannot_be_answered_in_time_is_not_sent, 0, COUNT_OF(kinds));
    tcase_add_test(tcase, who_waits_for_a_turn_is_refused_when_it_comes_too_late);
    tcase_add_test(tcase, a_write_that_waits_is_refused_when_it_comes_too_late);
    tcase_add_loop_test(tcase, a_write_that_was_sent_is_never_cancelled, 0, 2);
    tcase_add_test(tcase, writes_with_other_deadlines_share_a_call);
    tcase_add_loop_test(tcase, a_body_that_comes_too_late_is_not_waited_for, 0, 2);
    tcase_add_loop_test(tcase, who_waits_for_the_limit_of_its_service_has_it_too, 0, 2);
    tcase_add_test(tcase, what_is_known_already_is_answered_however_little_time_is_left);
    tcase_add_test(tcase, who_waits_for_anothers_answer_has_it_too);
    tcase_add_test(tcase, an_answer_that_is_too_long_in_coming_is_cut);
    return check_main("flow_deadline", tcase);
}
