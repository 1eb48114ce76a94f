/* The turns of services: none has more calls under way than it may, nor larger ones, and who waits
 * goes by weight, whatever others have piled up. */
#include <stdio.h>
#include <string.h>

#include "flow/services_world.h"
#include "support/check_main.h"

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
    ck_assert_ptr_nonnull(strstr(flow_client_body(chat[2], 0), "chat.concurrency_max is 1"));
    ck_assert_ptr_nonnull(strstr(flow_client_body(batch[3], 0),
                                 "services.batch.collection.concurrency_reads_max is 2"));
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

/* There is always somebody who waits for the same. */
START_TEST(a_bound_of_calls_in_a_collection_changes_while_some_wait)
{
    struct flow_client *here[12];

    services[0].collection_reads_max = 1;
    world.backend.plan.delay_us = 100000;
    start();
    for (unsigned i = 0; i < COUNT_OF(here); i++) {
        here[i] = send_as(CHAT, "query", i + 1, 100, 10);
        flow_world_run_ms(&world, 1);
    }
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(world.backend.busy, 1);
    services[0].collection_reads_max = 4;
    set_services();
    flow_world_run_ms(&world, 20);
    ck_assert_uint_eq(world.backend.busy, 4);
    for (size_t i = 0; i < 4; i++) /* those that came first */
        ck_assert_uint_le(world.backend.order[i], 4);
    services[0].collection_reads_max = 2;
    set_services();
    flow_world_run_ms(&world, 150);
    ck_assert_uint_eq(world.backend.busy, 2);
    services[0].collection_reads_max = 0;
    set_services();
    flow_world_run_ms(&world, 5);
    ck_assert_uint_gt(world.backend.busy, 4);
    flow_world_run_ms(&world, 200);
    for (unsigned i = 0; i < COUNT_OF(here); i++)
        ck_assert_uint_eq(status_of(here[i], 0), 200);
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
    ck_assert_ptr_nonnull(strstr(flow_client_body(chat[1], 0),
                                 "services.chat.collection.concurrency_writes_max is 1"));
    ck_assert_ptr_nonnull(strstr(flow_client_body(chat[1], 0), "(deadline.write)"));
    ck_assert_ptr_nonnull(
        strstr(flow_client_body(batch[1], 0), "services.batch.concurrency_max is 1"));
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

enum { kib = 1024, mib = 1024 * kib };

static struct flow_client *write_much_to(const char *service, unsigned collection, unsigned id)
{
    static char         text[100 * kib];
    struct flow_client *client = flow_world_client(&world);

    memset(text, 'x', sizeof text - 1);
    flow_client_printf(client,
                       "POST /api/v2/tenants/t/databases/d/collections/"
                       "%08u-2222-3333-4444-555555555555/upsert HTTP/1.1\r\nHost: chroma\r\n%s"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
                       "{\"ids\":[\"w%03u\"],\"embeddings\":[[1.5,1]],\"documents\":[\"",
                       collection, service, sizeof text - 1 + 56, id);
    flow_client_send(client, text);
    flow_client_send(client, "\"]}");
    return client;
}

/* What one service sends fills the room for bodies. Those of another, to the same collection, find
 * some all the same, reads and writes. */
START_TEST(a_backlog_of_bodies_leaves_room_to_others)
{
    struct flow_client *batch[60], *chat[2];

    world.queue_bytes_max = mib;
    world.pool_options.connections_max = 4;
    world.backend.plan.delay_us = 100000;
    start();
    flow_client_close(write_to(CHAT, 1, 1)); /* what is known may be merged */
    flow_world_run_ms(&world, 300);
    for (unsigned i = 0; i < COUNT_OF(batch); i++) {
        batch[i] = i % 2 == 0 ? send_as(BATCH, "query", i + 101, 100 * kib, 10)
                              : write_much_to(BATCH, 1, i + 101);
        flow_world_run_ms(&world, 1);
    }
    chat[0] = send_as(CHAT, "query", 10, 100 * kib, 10);
    chat[1] = write_much_to(CHAT, 1, 11);
    flow_world_run_ms(&world, 450);
    for (unsigned i = 0; i < COUNT_OF(chat); i++)
        ck_assert_uint_eq(status_of(chat[i], 0), 200);
    ck_assert_uint_eq(batch[58]->answer_count + batch[59]->answer_count, 0);
    flow_world_run_ms(&world, 12000);
    for (unsigned i = 0; i < COUNT_OF(batch); i++)
        ck_assert_uint_eq(status_of(batch[i], 0), 200);
}
END_TEST

/* And who waits for its service's part is told so. */
START_TEST(who_waits_for_the_room_of_its_service_is_told)
{
    struct flow_client *batch[20];
    unsigned            told[2] = {0};

    world.queue_bytes_max = mib;
    world.proxy_options.queue_wait_max_us = world.proxy_options.deadline_write_us = second_us;
    world.backend.plan.delay_us = 100 * second_us;
    start();
    for (unsigned i = 0; i < COUNT_OF(batch); i++)
        batch[i] = send_as(BATCH, i % 2 == 0 ? "query" : "upsert", i + 101, 200 * kib, 10);
    flow_world_run_ms(&world, 1500);
    for (unsigned i = 0; i < COUNT_OF(batch); i++) {
        if (batch[i]->answer_count == 0)
            continue;
        told[0] +=
            strstr(flow_client_body(batch[i], 0), "the bodies of the reads of its service "
                                                  "held its part of queue.bytes_max") != NULL;
        told[1] += strstr(flow_client_body(batch[i], 0), "the writes of its service that wait for "
                                                         "this collection held its part") != NULL;
    }
    ck_assert_uint_gt(told[0], 0);
    ck_assert_uint_gt(told[1], 0);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.read_bytes, told[0]);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.write_bytes, told[1]);
    flow_world_run_ms(&world, 200000);
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

int main(void)
{
    TCase *tcase = tcase_create("services_turns");

    tcase_add_checked_fixture(tcase, services_world_begin, services_world_end);
    tcase_add_test(tcase, a_service_has_no_more_calls_under_way_than_it_may);
    tcase_add_test(tcase, who_is_refused_for_the_service_s_bounds_is_told_and_counted_there);
    tcase_add_test(tcase, merged_writes_are_not_bounded_by_concurrency_max);
    tcase_add_test(tcase, writes_do_not_wait_behind_a_service_that_has_all_it_may);
    tcase_add_test(tcase, a_collection_has_no_more_calls_of_a_service_than_it_may);
    tcase_add_test(tcase, a_bound_of_calls_in_a_collection_changes_while_some_wait);
    tcase_add_test(tcase, writes_that_go_alone_are_bounded_likewise);
    tcase_add_test(tcase, a_write_that_its_bounds_hold_back_is_told_and_counted_there);
    tcase_add_test(tcase, calls_that_are_shared_have_no_more_records_than_the_service_may);
    tcase_add_loop_test(tcase, a_backlog_of_writes_does_not_make_the_others_wait, 0, 3);
    tcase_add_test(tcase, a_backlog_of_bodies_leaves_room_to_others);
    tcase_add_test(tcase, who_waits_for_the_room_of_its_service_is_told);
    tcase_add_test(tcase, writes_go_by_weight_and_by_what_they_cost);
    tcase_add_test(tcase, who_waits_gets_its_turn_by_weight);
    return check_main("services_turns", tcase);
}
