/* Writes on their way: who shares a call with whom, who is told what, and what others see of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls/proxy_state.h"
#include "chroma/collection_table.h"
#include "flow/flow_world.h"
#include "support/check_main.h"

enum { kib = 1024, mib = 1024 * 1024 };

static const uint64_t second_us = 1000000;

static struct flow_world world;

static void begin(void)
{
    flow_world_begin(&world, 1);
}

static void end(void)
{
    flow_world_end(&world);
}

/* A write of one record with this vector. */
static struct flow_client *send_vector(unsigned collection, unsigned id, const char *fields,
                                       const char *vector)
{
    struct flow_client *client = flow_world_client(&world);
    char                body[100];
    int size = snprintf(body, sizeof body, "{\"ids\":[\"w%u\"],\"embeddings\":[%s]}", id, vector);

    flow_client_printf(client,
                       "POST /api/v2/tenants/t/databases/d/collections/"
                       "%08u-2222-3333-4444-555555555555/upsert HTTP/1.1\r\n"
                       "Host: chroma\r\n%sContent-Length: %d\r\n\r\n%s",
                       collection, fields, size, body);
    return client;
}

/* A write of one record of two dimensions. */
static struct flow_client *send_record(unsigned collection, unsigned id, const char *fields)
{
    return send_vector(collection, id, fields, "[1.5,2]");
}

static void set_family(enum chroma_family family, uint64_t batch_records_max, uint64_t incarnation)
{
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = family,
                                                           .batch_records_max = batch_records_max,
                                                           .incarnation = incarnation});
}

static void set_backend(uint64_t batch_records_max, uint64_t incarnation)
{
    set_family(CHROMA_FAMILY_RUST, batch_records_max, incarnation);
}

/* Did it share its call only with ids as even or odd as its own? */
static bool has_company_of_its_kind(struct flow_client *client, unsigned id)
{
    const char *at = strstr(flow_client_head(client, 0), "X-Ids: ,");

    ck_assert_ptr_nonnull(at);
    for (at += strlen("X-Ids: ,"); *at >= '0' && *at <= '9'; at++) {
        char *after;

        if (strtoul(at, &after, 10) % 2 != id % 2)
            return false;
        at = after;
    }
    return true;
}

/* Whatever field it is that an authenticating proxy in front of Chroma goes by. */
START_TEST(who_has_other_credentials_shares_no_call)
{
    static const char *const names[] = {"Authorization", "X-Chroma-Token", "Cookie",
                                        "X-Forwarded-User", "X-Api-Key"};
    struct flow_client      *clients[40];

    world.backend.plan.delay_us = 10000;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        char fields[100];

        snprintf(fields, sizeof fields, "%s: %s\r\n", names[_i], i % 2 ? "alice" : "bob");
        clients[i] = send_record(1, i, fields);
    }
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        flow_world_expect(clients[i], 200);
        ck_assert(has_company_of_its_kind(clients[i], i));
    }
    ck_assert_uint_gt(world.backend.batch_peak, 1);
}
END_TEST

/* By itself or in its lane, waiting for its turn, or read by a worker. */
START_TEST(a_write_told_not_to_be_executed_is_never_sent)
{
    struct flow_client *write;
    bool                is_scanned = _i == 2;

    world.write_options.is_coalescing = _i > 0;
    world.pool_options.connections_max = 1;
    world.backend.plan.delay_us = 5 * second_us;
    world.proxy_options.deadline_write_us = is_scanned ? 1 : 2 * second_us;
    flow_world_start(&world);
    if (!is_scanned)
        flow_world_send(&world, "query", 1, 10, 10);
    flow_world_run_ms(&world, 10);
    write = flow_world_send(&world, "add", 2, is_scanned ? 200 * kib : 100, 10);
    flow_world_run_ms(&world, 3000);
    flow_world_expect(write, 504);
    ck_assert_ptr_nonnull(strstr(flow_client_head(write, 0), "Executed: no\r\n"));
    flow_world_run_ms(&world, 60000);
    ck_assert_uint_eq(world.backend.records[2].heads, 0);
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 0);
}
END_TEST

/* A write's answer is kept whole while it is short; no answer is too long to pass. */
START_TEST(an_answer_above_64_mib_passes_whole)
{
    struct flow_client *client;

    world.write_options.is_coalescing = _i == 2;
    flow_world_start(&world);
    client = flow_world_send(&world, _i == 0 ? "get" : "add", 1, 10, 70 * mib);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 70 * mib));
    ck_assert_uint_le(world.budget.peak, 1 * mib);
}
END_TEST

/* Its limit of records is what tells it from a single node, which has one writer. */
START_TEST(distributed_chroma_works_on_several_calls_at_once)
{
    struct flow_client *clients[20];

    world.backend.plan.delay_us = 100000;
    flow_world_start(&world);
    set_backend(_i ? 1000 : 5461, 1);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_record(i, i + 1, "");
    flow_world_run_ms(&world, 5000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        flow_world_expect(clients[i], 200);
    ck_assert_uint_eq(world.backend.busy_peak, _i ? 8 : 1);
}
END_TEST

START_TEST(what_was_learned_of_collections_is_void_at_a_new_incarnation)
{
    static const unsigned char uuid[16] = {0,    0,    0,    1,    0x22, 0x22, 0x33, 0x33,
                                           0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55};

    flow_world_start(&world);
    send_record(1, 1, "");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(collection_table_dimension(world.proxy->collections, uuid), 2);
    set_backend(5461, 1);
    ck_assert_uint_eq(collection_table_dimension(world.proxy->collections, uuid), 2);
    set_backend(5461, 2);
    ck_assert_uint_eq(collection_table_dimension(world.proxy->collections, uuid), 0);
}
END_TEST

static unsigned sent_count, known_count;

static void on_sent(struct write_observer *observer, struct write_notice *notice, uint64_t now_us)
{
    const struct upstream_pool_stats *stats = upstream_pool_stats(world.pool);

    (void)observer;
    (void)notice;
    (void)now_us;
    sent_count++;
    ck_assert_uint_eq(stats->busy + stats->connecting, 0);
}

static void on_known(struct write_observer *observer, struct write_notice *notice,
                     enum write_outcome outcome, struct bytes answer, uint64_t now_us)
{
    (void)observer;
    (void)notice;
    (void)answer;
    (void)now_us;
    known_count++;
    ck_assert_int_eq(outcome, WRITE_OUTCOME_APPLIED);
    ck_assert_uint_eq(world.proxy->exchange_count, 1); /* the client has nothing yet */
}

/* Before the first byte leaves for Chroma, and before the first byte of the client's answer. */
START_TEST(observers_are_told_before_chroma_and_before_the_client)
{
    struct write_observer observer = {.on_sent = on_sent, .on_known = on_known};
    struct flow_client   *client;

    list_node_init(&observer.node);
    sent_count = known_count = 0;
    world.write_options.is_coalescing = _i % 2 == 1;
    flow_world_start(&world);
    write_observer_add(&world.proxy->observers, &observer);
    client = flow_world_send(&world, "add", 1, 10, _i < 2 ? 10 : 300 * kib);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    flow_world_run_ms(&world, 10);
    write_observer_remove(&observer);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(known_count, 1);
}
END_TEST

/* A deletion that names a collection which nobody has asked for: it may be any. */
START_TEST(a_deletion_waits_for_earlier_writes_and_later_ones_wait_for_it)
{
    struct flow_client *client[4];

    world.write_options.in_flight_max = 4;
    world.backend.plan.delay_us = 50000;
    flow_world_start(&world);
    client[0] = flow_world_send(&world, "add", 1, 10, 10);
    flow_world_run_ms(&world, 1);
    client[1] = flow_world_client(&world);
    flow_client_send(client[1],
                     "DELETE /api/v2/tenants/t/databases/d/collections/name?id=2&n=0&m=9 "
                     "HTTP/1.1\r\nHost: h\r\n\r\n");
    flow_world_run_ms(&world, 30);
    ck_assert_uint_eq(world.backend.busy, 1);
    flow_world_run_ms(&world, 30);
    client[2] = flow_world_send(&world, "add", 3, 10, 10);
    client[3] = flow_world_send(&world, "query", 4, 10, 10); /* a read waits for nobody */
    flow_world_run_ms(&world, 30);
    ck_assert_uint_eq(world.backend.busy, 2);
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(client); i++)
        flow_world_expect(client[i], 200);
    ck_assert_uint_eq(world.backend.order[0], 1);
    ck_assert_uint_eq(world.backend.order[1], 2);
    ck_assert_uint_eq(world.backend.order[2], 4);
    ck_assert_uint_eq(world.backend.order[3], 3);
}
END_TEST

START_TEST(a_long_answer_that_breaks_is_cut)
{
    struct flow_client *client;

    world.write_options.is_coalescing = _i;
    world.backend.plan.fault = FLOW_FAULT_HALF_ANSWER;
    flow_world_start(&world);
    client = flow_world_send(&world, "add", 1, 10, 400 * kib);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 0);
    ck_assert(client->answers[0].was_cut);
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 0);
    ck_assert_uint_eq(world.backend.records[1].heads, 1);
}
END_TEST

/* Of a gateway, which repeats what it was answered with a short 500. */
START_TEST(a_long_500_passes_and_is_not_repeated)
{
    size_t              size = _i ? 400 * kib : 10;
    struct flow_client *client;

    world.write_options.is_gateway = true;
    world.backend.plan.status = 500;
    flow_world_start(&world);
    client = flow_world_send(&world, "upsert", 1, 10, size);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 500);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, size));
    ck_assert_uint_eq(world.backend.records[1].heads, _i ? 1 : 2);
}
END_TEST

/* A proxy of our kind behind this one refuses, and says whether Chroma had the write. */
START_TEST(a_refusal_is_repeated_only_where_it_says_that_nothing_was_executed)
{
    struct flow_client *client;

    world.backend.plan = (struct flow_plan){.status = 503,
                                            .fields = _i ? "X-Chromabouncer-Executed: no\r\n"
                                                         : "X-Chromabouncer-Executed: maybe\r\n"};
    flow_world_start(&world);
    client = flow_world_send(&world, "add", 1, 10, 10);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(world.backend.records[1].heads > 1, (unsigned)_i);
    world.backend.plan = (struct flow_plan){0};
    flow_world_run_ms(&world, 5000);
    flow_world_expect(client, _i ? 200 : 503);
    ck_assert_uint_eq(world.backend.records[1].applied, (unsigned)_i);
}
END_TEST

/* Python servers take no vectors in base64, which is known of each write only when it is there. */
START_TEST(what_waited_for_another_family_goes_apart_if_it_must)
{
    struct flow_client *clients[8];

    world.backend.plan.delay_us = 10000;
    flow_world_start(&world);
    send_record(1, 100, "");
    flow_world_run_ms(&world, 5);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_vector(1, i + 1, "", _i == 1 ? "\"AADAPwAAAEA=\"" : "[1.5,2]");
    flow_world_run_ms(&world, 1);
    set_family(_i == 2 ? CHROMA_FAMILY_RUST : CHROMA_FAMILY_PYTHON, 5461, 1);
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        flow_world_expect(clients[i], 200);
        ck_assert_uint_eq(world.backend.records[i + 1].applied, 1);
    }
    ck_assert_uint_eq(world.backend.batch_peak, _i == 1 ? 1 : COUNT_OF(clients));
}
END_TEST

/* As Python servers refuse a wrong dimension; any other 500 says nothing. */
START_TEST(a_refusal_with_500_is_for_each_write_alone)
{
    struct flow_client *clients[8];

    world.backend.plan.delay_us = 10000;
    flow_world_start(&world);
    set_family(CHROMA_FAMILY_PYTHON, 5461, 1);
    send_record(1, 100, "");
    flow_world_run_ms(&world, 5);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_record(1, i + 1, "");
    world.backend.plan.status = 500;
    world.backend.plan.body =
        _i == 0 ? "{\"error\":\"IndexError('list index out of range')\"}" : "{\"error\":\"\"}";
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        bool is_maybe = strstr(flow_client_head(clients[i], 0), "Executed: maybe\r\n") != NULL;

        flow_world_expect(clients[i], 500);
        ck_assert_str_eq(flow_client_body(clients[i], 0), world.backend.plan.body);
        ck_assert_int_eq(is_maybe, _i != 0);
    }
    /* A batch is halved down to single writes, or nobody can tell what became of it. */
    ck_assert_uint_eq(world.backend.request_count, _i == 0 ? 1 + 15 : 1 + 1);
}
END_TEST

/* A gateway would send it again, but not before its client has gone. */
START_TEST(who_cannot_wait_for_chroma_is_told_what_it_said)
{
    struct flow_client *clients[4];

    world.write_options.is_gateway = true;
    world.proxy_options.deadline_write_us = 5000000;
    world.backend.plan.delay_us = 10000;
    flow_world_start(&world);
    send_record(1, 100, "");
    flow_world_run_ms(&world, 5);
    world.backend.plan.status = 503;
    world.backend.plan.body = "{\"error\":\"busy\"}";
    world.backend.plan.fields = _i ? "Retry-After: 60\r\n" : "";
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_record(1, i + 1, "");
    flow_world_run_ms(&world, _i ? 1000 : 4900);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        flow_world_expect(clients[i], 503);
        ck_assert_str_eq(flow_client_body(clients[i], 0), world.backend.plan.body);
        ck_assert_ptr_nonnull(strstr(flow_client_head(clients[i], 0), "Executed: maybe\r\n"));
    }
    if (_i == 0)
        ck_assert_uint_gt(world.backend.request_count, 2); /* the first one, the four, again */
    else
        ck_assert_uint_eq(world.backend.request_count, 2);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("test_flow_writes");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, who_has_other_credentials_shares_no_call, 0, 5);
    tcase_add_loop_test(tcase, a_write_told_not_to_be_executed_is_never_sent, 0, 3);
    tcase_add_loop_test(tcase, an_answer_above_64_mib_passes_whole, 0, 3);
    tcase_add_loop_test(tcase, distributed_chroma_works_on_several_calls_at_once, 0, 2);
    tcase_add_test(tcase, what_was_learned_of_collections_is_void_at_a_new_incarnation);
    tcase_add_loop_test(tcase, observers_are_told_before_chroma_and_before_the_client, 0, 4);
    tcase_add_test(tcase, a_deletion_waits_for_earlier_writes_and_later_ones_wait_for_it);
    tcase_add_loop_test(tcase, a_long_answer_that_breaks_is_cut, 0, 2);
    tcase_add_loop_test(tcase, a_long_500_passes_and_is_not_repeated, 0, 2);
    tcase_add_loop_test(tcase, a_refusal_is_repeated_only_where_it_says_that_nothing_was_executed,
                        0, 2);
    tcase_add_loop_test(tcase, what_waited_for_another_family_goes_apart_if_it_must, 0, 3);
    tcase_add_loop_test(tcase, a_refusal_with_500_is_for_each_write_alone, 0, 2);
    tcase_add_loop_test(tcase, who_cannot_wait_for_chroma_is_told_what_it_said, 0, 2);
    return check_main("test_flow_writes", tcase);
}
