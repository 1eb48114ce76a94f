/* Every bound: connections both ways, waiting requests and their bodies, descriptors, time. */
#include <string.h>

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

static struct flow_client *send_request(const char *operation, unsigned id, size_t n, size_t m)
{
    struct flow_client *client = flow_world_client(&world);

    flow_world_request(client, operation, id, n, m, NULL);
    return client;
}

static void expect(struct flow_client *client, unsigned status)
{
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert_uint_eq(client->answers[0].status, status);
}

static void expect_not_executed(struct flow_client *client, unsigned status, const char *name)
{
    expect(client, status);
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), name));
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "X-Chromabouncer-Executed: no\r\n"));
}

START_TEST(requests_beyond_the_cap_wait_in_order)
{
    struct flow_client *clients[100];

    world.pool_options.connections_max = 3;
    world.backend.plan.delay_us = 10000;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = send_request(i % 2 ? "get" : "query", i + 1, 100, 100);
        flow_world_run_ms(&world, 1);
    }
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        expect(clients[i], 200);
        ck_assert(flow_world_is_answer_of(&clients[i]->answers[0], i + 1, 100));
        ck_assert_uint_eq(world.backend.order[i], i + 1);
    }
    ck_assert_uint_eq(world.backend.busy_peak, 3);
    ck_assert_uint_eq(fake_net_backend_open_peak(), 3);
    ck_assert_uint_eq(world.backend.accepted, 3);
}
END_TEST

START_TEST(many_clients_share_eight_connections)
{
    static struct flow_client *clients[900];

    world.pool_options.connections_max = 8;
    world.backend.plan.delay_us = 1000;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_request(i % 2 ? "query" : "delete", i + 1, 100, 100);
    flow_world_run_ms(&world, 3000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        expect(clients[i], 200);
        ck_assert(flow_world_is_answer_of(&clients[i]->answers[0], i + 1, 100));
    }
    ck_assert_uint_eq(fake_net_backend_open_peak(), 6); /* of 8: 5 reads, one write */
}
END_TEST

/* Having waited for room must not count against a body that then comes fast enough. */
START_TEST(a_read_that_was_admitted_late_has_its_time)
{
    struct flow_client *big, *slow;

    world.queue_bytes_max = 200 * kib;
    world.proxy_options.deadline_read_us = world.proxy_options.queue_wait_max_us = 5 * second_us;
    flow_world_start(&world);
    world.backend.plan.delay_us = second_us;
    big = send_request("query", 1, 190 * kib, 10);
    flow_world_run_ms(&world, 50);
    slow = flow_world_client(&world);
    flow_world_request_head(slow, "query", 2, 100 * kib, 10, NULL);
    flow_world_run_ms(&world, 2000);
    expect(big, 200);
    for (unsigned i = 0; i < 10; i++) {
        flow_world_request_body(slow, 2, i * 10 * kib, (i + 1) * 10 * kib);
        flow_world_run_ms(&world, 1000);
    }
    flow_world_run_ms(&world, 3000);
    expect(slow, 200);
}
END_TEST

/* Nobody is refused: beyond the bound a request waits, and the rest of it unread in its socket. */
START_TEST(beyond_the_bound_of_requests_everybody_waits_for_admission)
{
    struct flow_client *clients[40];

    world.pool_options.connections_max = 8;
    world.proxy_options.requests_max = 4;
    world.backend.plan.delay_us = second_us / 10;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        static const char *const operations[] = {"query", "add", "count", "delete"};

        clients[i] = send_request(operations[i % 4], i + 1, i % 4 == 2 ? 0 : 100, 100);
    }
    flow_world_run_ms(&world, 10);
    ck_assert_uint_le(world.backend.busy_peak, 4);
    flow_world_run_ms(&world, 10000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        expect(clients[i], 200);
    ck_assert_uint_le(world.backend.busy_peak, 4);
}
END_TEST

START_TEST(who_waits_too_long_for_its_turn_is_told)
{
    struct flow_client *first, *read, *write;

    world.pool_options.connections_max = 1;
    world.backend.plan.delay_us = 100 * second_us;
    world.proxy_options.queue_wait_max_us = 2 * second_us;
    world.proxy_options.deadline_write_us = 5 * second_us;
    world.proxy_options.deadline_read_us = 200 * second_us;
    flow_world_start(&world);
    first = send_request("query", 1, 10, 10);
    flow_world_run_ms(&world, 1);
    read = send_request("query", 2, 10, 10);
    write = send_request("add", 3, 10, 10);
    flow_world_run_ms(&world, 1900);
    ck_assert_uint_eq(read->answer_count, 0);
    flow_world_run_ms(&world, 200);
    expect_not_executed(read, 504, "ChromaError");
    ck_assert_ptr_nonnull(
        strstr(flow_client_body(read, 0), "backend.connections_max (1) lets 1 reads go"));
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.connections, 1);
    ck_assert_uint_eq(write->answer_count, 0);
    flow_world_run_ms(&world, 3000);
    expect_not_executed(write, 504, "ChromaError");
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.write_deadlines, 1);
    flow_world_run_ms(&world, 100000);
    expect(first, 200);
    ck_assert_uint_eq(world.backend.records[2].heads + world.backend.records[3].heads, 0);
}
END_TEST

/* What does not fit waits unread in its socket, and costs nothing. */
START_TEST(bodies_that_do_not_fit_wait_unread)
{
    struct flow_client *clients[20];

    world.pool_options.connections_max = 1;
    world.queue_bytes_max = 1 * mib;
    world.backend.plan.delay_us = 100000;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = send_request(i % 2 ? "add" : "query", i + 1, 200 * kib, 10);
        flow_world_run_ms(&world, 1);
    }
    flow_world_run_ms(&world, 10000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        expect(clients[i], 200);
        ck_assert(!world.backend.records[i + 1].body_is_wrong);
    }
    /* The gate, and for each who waits what was received with its head. */
    ck_assert_uint_le(world.budget.peak, 1 * mib + 20 * 100 * kib);
}
END_TEST

/* One collection whose call hangs has half of the room; others write and read in the rest. */
START_TEST(a_collection_whose_call_hangs_leaves_room_for_others)
{
    struct flow_client *clients[40], *other, *reader;
    unsigned            sent = 0, applied = 0, told = 0;

    world.write_options.is_coalescing = true;
    world.queue_bytes_max = 1 * mib;
    world.proxy_options.deadline_write_us = 5 * second_us;
    world.backend.plan.delay_us = 100 * second_us;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_request("add", i + 1, 100 * kib, 10);
    flow_world_run_ms(&world, 1000);
    world.backend.plan.delay_us = 1000;
    reader = send_request("query", 100, 300 * kib, 10);
    other = flow_world_client(&world);
    flow_client_printf(other,
                       "POST /api/v2/tenants/t/databases/d/collections/"
                       "99999999-2222-3333-4444-555555555555/get?id=101&n=0&m=10 HTTP/1.1\r\n"
                       "Host: h\r\nContent-Length: 0\r\n\r\n");
    flow_world_run_ms(&world, 1000);
    expect(reader, 200);
    expect(other, 200);
    flow_world_run_ms(&world, 10000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        expect(clients[i], 504);
        sent += strstr(flow_client_head(clients[i], 0), "Executed: maybe\r\n") != NULL;
        applied += world.backend.records[i + 1].heads;
        told +=
            strstr(flow_client_body(clients[i], 0), "its part of queue.bytes_max (1MiB)") != NULL;
    }
    ck_assert_uint_eq(sent, 1);
    ck_assert_uint_eq(applied, 1);
    ck_assert_uint_gt(told, 0);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.write_bytes, told);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.write_deadlines, COUNT_OF(clients) - told);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.read_bytes, 0);
}
END_TEST

/* On servers below 1.0 a merged write can erase what others stored. */
START_TEST(for_a_backend_that_is_not_known_each_write_goes_alone)
{
    struct flow_client *clients[20];

    world.write_options.is_coalescing = true;
    world.family = _i == 0 ? CHROMA_FAMILY_UNKNOWN : CHROMA_FAMILY_RUST;
    world.backend.plan.delay_us = 10000;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = flow_world_client(&world);
        flow_world_request_record(clients[i], "add", i + 1);
    }
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        expect(clients[i], 200);
    if (_i == 0)
        ck_assert_uint_eq(world.backend.request_count, COUNT_OF(clients));
    else
        ck_assert_uint_lt(world.backend.request_count, COUNT_OF(clients) / 2);
}
END_TEST

/* Two gates in a row: half-read bodies must not wait for each other across them. */
START_TEST(bodies_of_several_collections_never_wait_for_each_other_for_ever)
{
    struct flow_client *clients[24];

    for (int i = 0; i < _i; i++)
        (void)fake_loop_random(1); /* another world each time */
    world.write_options.is_coalescing = true;
    world.queue_bytes_max = 1 * mib;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        size_t size = fake_loop_random(900 * kib) + 1;

        clients[i] = flow_world_client(&world);
        clients[i]->piece_max = 1 + fake_loop_random(100 * kib);
        clients[i]->piece_pause_us = fake_loop_random(3000);
        flow_client_printf(clients[i],
                           "POST /api/v2/tenants/t/databases/d/collections/"
                           "%u1111111-2222-3333-4444-555555555555/add?id=%u&n=%zu&m=10 HTTP/1.1\r\n"
                           "Host: h\r\nContent-Length: %zu\r\n\r\n",
                           (unsigned)fake_loop_random(4), i + 1, size, size);
        flow_world_request_body(clients[i], i + 1, 0, size);
    }
    flow_world_run_ms(&world, 30000); /* well below deadline.write */
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        expect(clients[i], 200);
}
END_TEST

START_TEST(a_chunked_write_is_charged_as_it_comes)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request_head(client, "add", 1, 3 * mib, 10, "Transfer-Encoding: chunked\r\n");
    flow_client_printf(client, "%x\r\n", 3 * mib);
    for (size_t i = 0; i < 3; i++) {
        flow_world_request_body(client, 1, i * mib, (i + 1) * mib);
        flow_world_run_ms(&world, 100);
        ck_assert_uint_ge(world.budget.used, (i + 1) * mib);
    }
    flow_client_send(client, "\r\n0\r\n\r\n");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 200);
    ck_assert_uint_lt(world.budget.used, mib);
}
END_TEST

/* Without a length nobody knows how much room is needed; half-read bodies must not wait for each
 * other. */
START_TEST(chunked_uploads_of_more_than_all_the_room_all_finish)
{
    struct flow_client *clients[8];

    flow_world_start(&world); /* room for 64 MiB */
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = flow_world_client(&world);
        flow_world_request_chunked(clients[i], "add", i + 1, 12 * mib, 10, NULL);
    }
    flow_world_run_ms(&world, 60000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        expect(clients[i], 200);
        ck_assert(!world.backend.records[i + 1].body_is_wrong);
    }
    ck_assert_uint_le(world.budget.peak, 80 * mib);
}
END_TEST

/* Hung collections hold all the room that writes can have: reads have their own. */
START_TEST(reads_do_not_wait_for_the_room_of_hung_writes)
{
    struct flow_client *clients[60], *reader;

    world.queue_bytes_max = 4 * mib;
    world.memory_max = 6 * mib;
    world.backend.plan.delay_us = 100 * second_us;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = flow_world_client(&world);
        flow_client_printf(clients[i],
                           "POST /api/v2/tenants/t/databases/d/collections/"
                           "%u1111111-2222-3333-4444-555555555555/add?id=%u&n=%u&m=10 HTTP/1.1\r\n"
                           "Host: h\r\nContent-Length: %u\r\n\r\n",
                           i % 3, i + 1, 300 * kib, 300 * kib);
        flow_world_request_body(clients[i], i + 1, 0, 300 * kib);
    }
    flow_world_run_ms(&world, 1000);
    world.backend.plan.delay_us = 1000;
    reader = send_request("query", 100, 100 * kib, 10);
    flow_world_run_ms(&world, 100);
    expect(reader, 200);
}
END_TEST

START_TEST(a_body_larger_than_the_room_for_bodies_passes_alone)
{
    struct flow_client *clients[4];

    world.queue_bytes_max = 1 * mib;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_request("add", i + 1, 3 * mib, 10);
    flow_world_run_ms(&world, 10000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        expect(clients[i], 200);
    ck_assert_uint_le(world.budget.peak, 4 * mib);
}
END_TEST

START_TEST(who_waits_for_room_with_expect_is_asked_for_its_body_later)
{
    struct flow_client *slow, *client;

    world.queue_bytes_max = 256 * kib; /* taken by what a body begins with */
    flow_world_start(&world);
    slow = flow_world_client(&world);
    flow_world_request_head(slow, "add", 1, 1 * mib, 10, NULL);
    flow_world_run_ms(&world, 1);
    client = flow_world_client(&world);
    flow_world_request_head(client, "add", 2, 1000, 10, "Expect: 100-continue\r\n");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(client->interims[0], 0);
    flow_world_request_body(slow, 1, 0, 1 * mib);
    flow_world_run_ms(&world, 100);
    expect(slow, 200);
    ck_assert_uint_eq(client->interims[0], 1);
    flow_world_request_body(client, 2, 0, 1000);
    flow_world_run_ms(&world, 100);
    expect(client, 200);
}
END_TEST

START_TEST(connections_beyond_the_limit_are_told)
{
    struct flow_client *clients[12];

    world.front_options.connections_max = 8;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = send_request("query", i + 1, 10, 10);
        flow_world_run_ms(&world, 1);
    }
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        if (i >= 8)
            expect_not_executed(clients[i], 503, "ChromaError");
        else
            expect(clients[i], 200);
        if (i >= 8)
            ck_assert_ptr_nonnull(strstr(flow_client_head(clients[i], 0), "Retry-After: 1\r\n"));
        ck_assert_uint_eq(clients[i]->has_ended, i >= 8);
        ck_assert(!clients[i]->was_reset);
    }
    ck_assert_uint_eq(front_stats(world.front)->refused_limit, 4);
    flow_client_close(clients[0]);
    flow_world_run_ms(&world, 1);
    clients[0] = send_request("query", 100, 10, 10);
    flow_world_run_ms(&world, 1);
    expect(clients[0], 200);
}
END_TEST

START_TEST(idle_connections_do_not_lock_new_ones_out)
{
    struct flow_client *busy, *idle[8], *late;

    world.front_options.connections_max = 8;
    world.front_options.reclaim_after_us = FRONT_RECLAIM_AFTER_US;
    world.backend.reads = false; /* the busy one waits for long */
    flow_world_start(&world);
    busy = send_request("query", 1, 10, 10);
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 1; i < COUNT_OF(idle); i++) {
        idle[i] = flow_world_client(&world);
        flow_world_run_ms(&world, 1000);
    }
    flow_world_run_ms(&world, 30000);
    late = send_request("query", 2, 10, 10);
    flow_world_run_ms(&world, 10);
    expect_not_executed(late, 503, "ChromaError"); /* none has been idle for 40 s */
    flow_world_run_ms(&world, 4500);
    world.backend.reads = true;
    late = send_request("query", 3, 10, 10);
    flow_world_run_ms(&world, 100);
    ck_assert(idle[1]->has_ended && !idle[1]->was_reset);
    ck_assert(!idle[2]->has_ended && !busy->has_ended);
    ck_assert(!late->has_ended);
    ck_assert_uint_eq(front_stats(world.front)->reclaimed, 1);
    ck_assert_uint_eq(front_stats(world.front)->refused_limit, 1);
}
END_TEST

START_TEST(one_address_cannot_take_all_connections)
{
    struct flow_client *clients[3];

    world.front_options.connections_per_address_max = 2;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = send_request("query", i + 1, 10, 10);
        flow_world_run_ms(&world, 1);
    }
    expect(clients[0], 200);
    expect(clients[1], 200);
    expect_not_executed(clients[2], 503, "connections_per_address_max");
    ck_assert_uint_eq(front_stats(world.front)->refused_address, 1);
    flow_client_close(clients[0]);
    flow_world_run_ms(&world, 10);
    clients[0] = send_request("query", 9, 10, 10);
    flow_world_run_ms(&world, 10);
    expect(clients[0], 200);
}
END_TEST

START_TEST(a_flood_of_connections_to_a_limit_leave_nothing)
{
    world.front_options.connections_max = 100;
    world.net_options.descriptors_max = 500;
    flow_world_start(&world);
    for (unsigned i = 0; i < 3000; i++) {
        flow_world_client(&world);
        if (i % 64 == 0)
            flow_world_run_ms(&world, 1);
    }
    flow_world_run_ms(&world, 10000);
    ck_assert_uint_eq(front_stats(world.front)->connections, 100);
    ck_assert_uint_le(fake_net_descriptors(), 102);
    ck_assert_uint_eq(front_stats(world.front)->refused_limit +
                          front_stats(world.front)->refused_descriptors,
                      2900);
}
END_TEST

START_TEST(out_of_descriptors_new_clients_are_told_and_the_others_served)
{
    struct flow_client *clients[10], *late;

    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_request("count", i + 1, 0, 10);
    flow_world_run_ms(&world, 10);
    fake_net_set_descriptors_max(fake_net_descriptors());
    late = flow_world_client(&world);
    flow_world_run_ms(&world, 10);
    expect_not_executed(late, 503, "ChromaError");
    ck_assert(late->has_ended);
    flow_world_request(clients[0], "count", 100, 0, 10, NULL);
    ck_assert(flow_world_run_to_answers(&world, clients[0], 2));
    ck_assert_uint_eq(clients[0]->answers[1].status, 200);
    late = send_request("count", 101, 0, 10);
    flow_client_close(clients[1]);
    flow_world_run_ms(&world, 1000);
    expect(late, 200);
}
END_TEST

/* For a connection to the backend there is none: said, and the next one works. */
START_TEST(out_of_descriptors_for_the_backend_is_told)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_run_ms(&world, 1);
    fake_net_set_descriptors_max(fake_net_descriptors());
    flow_world_request(client, "get", 1, 10, 10, NULL);
    flow_world_run_ms(&world, 10);
    expect_not_executed(client, 503, "descriptors");
    fake_net_set_descriptors_max(100);
    flow_world_request(client, "add", 2, 10, 10, NULL);
    ck_assert(flow_world_run_to_answers(&world, client, 2));
    ck_assert_uint_eq(client->answers[1].status, 200);
}
END_TEST

START_TEST(draining_finishes_what_is_under_way_and_serves_new_connections)
{
    struct flow_client *before, *after, *idle;

    world.backend.plan.delay_us = second_us;
    flow_world_start(&world);
    idle = flow_world_client(&world);
    before = send_request("add", 1, 10, 200000);
    flow_world_run_ms(&world, 100);
    front_drain(world.front);
    after = send_request("query", 2, 10, 10);
    flow_world_request(idle, "query", 3, 10, 10, NULL);
    flow_world_run_ms(&world, 1500);
    expect(before, 200);
    expect(after, 200);
    expect(idle, 200);
    ck_assert(!before->answers[0].keep_alive);
    ck_assert(before->has_ended && after->has_ended && idle->has_ended);
    ck_assert(!before->was_reset && !after->was_reset);
    ck_assert_uint_eq(front_active_requests(world.front), 0);
}
END_TEST

/* The head has promised that the connection stays; a request sent on it must be served. */
START_TEST(draining_keeps_the_promises_of_heads_already_sent)
{
    struct flow_client *client;

    world.backend.plan = (struct flow_plan){.fault = FLOW_FAULT_IN_PIECES};
    flow_world_start(&world);
    client = send_request("query", 1, 10, 3000);
    while (client->answers[0].status == 0)
        flow_world_run_ms(&world, 1);
    ck_assert_uint_eq(client->answer_count, 0);
    front_drain(world.front);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert(client->answers[0].keep_alive);
    flow_world_request(client, "query", 2, 10, 10, NULL);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 2);
    ck_assert_uint_eq(client->answers[1].status, 200);
    ck_assert(!client->answers[1].keep_alive);
}
END_TEST

START_TEST(a_drain_waits_for_answers_that_are_still_being_taken)
{
    struct flow_client *client;

    world.net_options.capacity_min = world.net_options.capacity_max = 8 * kib;
    flow_world_start(&world);
    client = flow_world_client(&world);
    client->read_per_second = 50000;
    flow_world_request(client, "query", 1, 10, 100000, NULL);
    flow_world_run_ms(&world, 500);
    front_drain(world.front);
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 0);
    while (front_active_requests(world.front) > 0)
        flow_world_run_ms(&world, 10);
    flow_world_run_ms(&world, 500);
    expect(client, 200);
}
END_TEST

/* However many requests wait, the proxy's own calls find a place, and only one. */
START_TEST(hung_requests_leave_a_place_for_the_proxys_own_calls)
{
    world.pool_options.connections_max = 8;
    world.backend.plan.delay_us = 100 * second_us;
    flow_world_start(&world);
    for (unsigned i = 0; i < 40; i++)
        send_request(i % 2 ? "query" : "add", i + 1, 10, 10);
    flow_world_run_ms(&world, 100);
    ck_assert(upstream_pool_take_place(world.pool));
    flow_world_run_ms(&world, 100);
    ck_assert_uint_le(fake_net_backend_open_peak(), 7);
    upstream_pool_give_place(world.pool);
}
END_TEST

START_TEST(a_place_of_the_proxys_own_is_given_back_to_who_waits)
{
    struct flow_client *client;

    world.pool_options.connections_max = 1;
    world.backend.plan.delay_us = 10000;
    flow_world_start(&world);
    for (unsigned i = 0; i < 3; i++) {
        client = send_request("query", 2 * i + 1, 10, 10);
        flow_world_run_ms(&world, 5);
        ck_assert(!upstream_pool_take_place(world.pool)); /* it is next */
        flow_world_run_ms(&world, 100);
        expect(client, 200);
        ck_assert(upstream_pool_take_place(world.pool));
        client = send_request("query", 2 * i + 2, 10, 10);
        flow_world_run_ms(&world, 100);
        ck_assert_uint_eq(client->answer_count, 0);
        upstream_pool_give_place(world.pool);
        flow_world_run_ms(&world, 100);
        expect(client, 200);
    }
}
END_TEST

START_TEST(a_smaller_cap_is_reached_as_connections_become_idle)
{
    struct flow_client *clients[10];

    world.backend.plan.delay_us = 10000;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = send_request("query", i + 1, 10, 10);
    flow_world_run_ms(&world, 5);
    ck_assert_uint_eq(fake_net_backend_open(), 10);
    world.pool_options.connections_max = 4;
    upstream_pool_set_options(world.pool, &world.pool_options);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_le(fake_net_backend_open(), 4);
    world.pool_options.connections_max = 64;
}
END_TEST

/* Of two requests over one connection, one is with the backend and one waits. */
START_TEST(metrics_tell_who_waits_from_who_is_served)
{
    struct byte_buffer page = {0};

    world.pool_options.connections_max = 1;
    world.backend.plan.delay_us = 1000000;
    flow_world_start(&world);
    flow_world_request(flow_world_client(&world), "query", 1, 10, 10, NULL);
    flow_world_request(flow_world_client(&world), "query", 2, 10, 10, NULL);
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, (struct bytes){.data = "", .size = 1}, SIZE_MAX),
                     STATUS_OK);
    ck_assert_ptr_nonnull(strstr(page.data, "chromabouncer_queue_requests{class=\"read\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(page.data, "chromabouncer_inflight_requests{class=\"read\"} 1\n"));
    byte_buffer_done(&page);
    flow_world_run_ms(&world, 5000);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("test_flow_limits");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_read_that_was_admitted_late_has_its_time);
    tcase_add_test(tcase, requests_beyond_the_cap_wait_in_order);
    tcase_add_test(tcase, many_clients_share_eight_connections);
    tcase_add_test(tcase, beyond_the_bound_of_requests_everybody_waits_for_admission);
    tcase_add_test(tcase, who_waits_too_long_for_its_turn_is_told);
    tcase_add_test(tcase, bodies_that_do_not_fit_wait_unread);
    tcase_add_test(tcase, a_collection_whose_call_hangs_leaves_room_for_others);
    tcase_add_loop_test(tcase, for_a_backend_that_is_not_known_each_write_goes_alone, 0, 2);
    tcase_add_loop_test(tcase, bodies_of_several_collections_never_wait_for_each_other_for_ever, 0,
                        50);
    tcase_add_test(tcase, a_chunked_write_is_charged_as_it_comes);
    tcase_add_test(tcase, chunked_uploads_of_more_than_all_the_room_all_finish);
    tcase_add_test(tcase, reads_do_not_wait_for_the_room_of_hung_writes);
    tcase_add_test(tcase, a_body_larger_than_the_room_for_bodies_passes_alone);
    tcase_add_test(tcase, who_waits_for_room_with_expect_is_asked_for_its_body_later);
    tcase_add_test(tcase, connections_beyond_the_limit_are_told);
    tcase_add_test(tcase, idle_connections_do_not_lock_new_ones_out);
    tcase_add_test(tcase, one_address_cannot_take_all_connections);
    tcase_add_test(tcase, a_flood_of_connections_to_a_limit_leave_nothing);
    tcase_add_test(tcase, out_of_descriptors_new_clients_are_told_and_the_others_served);
    tcase_add_test(tcase, out_of_descriptors_for_the_backend_is_told);
    tcase_add_test(tcase, draining_finishes_what_is_under_way_and_serves_new_connections);
    tcase_add_test(tcase, draining_keeps_the_promises_of_heads_already_sent);
    tcase_add_test(tcase, a_drain_waits_for_answers_that_are_still_being_taken);
    tcase_add_test(tcase, hung_requests_leave_a_place_for_the_proxys_own_calls);
    tcase_add_test(tcase, a_place_of_the_proxys_own_is_given_back_to_who_waits);
    tcase_add_test(tcase, a_smaller_cap_is_reached_as_connections_become_idle);
    tcase_add_test(tcase, metrics_tell_who_waits_from_who_is_served);
    return check_main("test_flow_limits", tcase);
}
