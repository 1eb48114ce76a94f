/* How many reads Chroma gets at a time, and which are refused: the bound is exact whatever becomes
 * of a read, health checks and writes are not concerned, and what is refused was never sent, is
 * told so in time, and only where the operator wants it. */
#include <string.h>

#include "flow/flow_world.h"
#include "support/check_main.h"

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

static void start_with(size_t reads_max, bool sheds)
{
    world.proxy_options.reads_max = reads_max;
    world.proxy_options.sheds = sheds;
    flow_world_start(&world);
}

static struct flow_client *query(unsigned id)
{
    return flow_world_send(&world, "query", id, 100, 100);
}

/* The first request hangs, the others are quick. */
static void plan_first_to_hang(struct flow_backend *backend, unsigned id, struct flow_plan *plan,
                               void *ctx)
{
    (void)backend;
    plan->delay_us = id == 1 ? *(const uint64_t *)ctx : 1000;
}

static void hang_first_for(uint64_t us)
{
    static uint64_t hang_us;

    hang_us = us;
    world.backend.on_plan = plan_first_to_hang;
    world.backend.ctx = &hang_us;
}

static void expect_refused(struct flow_client *client, unsigned id, const char *text)
{
    flow_world_expect(client, 429);
    ck_assert(client->answers[0].keep_alive);
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "\r\nRetry-After: 1\r\n"));
    ck_assert_ptr_nonnull(
        strstr(flow_client_head(client, 0), "\r\nX-Chromabouncer-Executed: no\r\n"));
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "{\"error\":\"Backoff\""));
    if (strstr(flow_client_body(client, 0), text) == NULL)
        ck_abort_msg("%s is not in %s", text, flow_client_body(client, 0));
    ck_assert_uint_eq(world.backend.records[id].heads, 0);
}

/* ---- The bound ------------------------------------------------------------------------------ */

START_TEST(chroma_gets_as_many_reads_at_a_time_as_it_may_in_their_order)
{
    struct flow_client *clients[60];

    world.backend.plan.delay_us = 10000;
    start_with(3, false);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = flow_world_send(&world, i % 2 ? "get" : "query", i + 1, 100, 20000);
        flow_world_run_ms(&world, 1);
    }
    ck_assert_uint_eq(proxy_limits(world.proxy).reads, 3);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads_max, 3);
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        flow_world_expect(clients[i], 200);
        ck_assert_uint_eq(world.backend.order[i], i + 1);
    }
    ck_assert_uint_eq(world.backend.busy_peak, 3);
}
END_TEST

START_TEST(by_default_there_is_no_bound_but_connections)
{
    world.backend.plan.delay_us = second_us;
    start_with(0, false);
    for (unsigned i = 0; i < 100; i++)
        query(i + 1);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(world.backend.busy_peak, proxy_limits(world.proxy).reads_max);
    ck_assert_uint_eq(world.backend.busy_peak, 64 - 16 - 1);
    flow_world_run_ms(&world, 3000);
}
END_TEST

START_TEST(writes_and_health_checks_are_not_held_back_by_reads)
{
    struct flow_client *write, *check, *read;

    hang_first_for(10 * second_us);
    start_with(1, false);
    query(1);
    flow_world_run_ms(&world, 1);
    read = query(2);
    write = flow_world_send(&world, "add", 3, 100, 100);
    check = flow_world_client(&world);
    flow_client_printf(check, "GET /api/v2/heartbeat?id=4&n=0&m=10 HTTP/1.1\r\nHost: h\r\n\r\n");
    flow_world_run_ms(&world, 100);
    flow_world_expect(write, 200);
    flow_world_expect(check, 200);
    ck_assert_uint_eq(read->answer_count, 0);
    flow_world_run_ms(&world, 10000);
    flow_world_expect(read, 200);
}
END_TEST

START_TEST(who_leaves_or_fails_gives_its_turn_back)
{
    struct flow_client *gone, *second, *third;

    hang_first_for(100 * second_us);
    world.proxy_options.deadline_read_us = 5 * second_us;
    start_with(1, false);
    gone = query(1);
    flow_world_run_ms(&world, 1);
    second = query(2);
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(second->answer_count, 0);
    flow_client_close(gone);
    flow_world_run_ms(&world, 100);
    flow_world_expect(second, 200);
    gone = query(1);
    flow_world_run_ms(&world, 1000);
    third = query(3);
    flow_world_run_ms(&world, 4010);
    flow_world_expect(gone, 504);
    flow_world_run_ms(&world, 100);
    flow_world_expect(third, 200);
    world.backend.on_plan = NULL;
    world.backend.plan = (struct flow_plan){.fault = FLOW_FAULT_RESET_BEFORE};
    flow_world_expect(flow_world_ask(&world, "query", 4, 100, 100), 502);
    world.backend.plan = (struct flow_plan){.fault = FLOW_FAULT_NONE};
    flow_world_expect(flow_world_ask(&world, "query", 5, 100, 100), 200);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads, 0);
}
END_TEST

/* A client that takes its answer slowly holds no turn. */
START_TEST(a_turn_ends_with_the_head_of_the_answer)
{
    struct flow_client *slow, *other;

    world.net_options.capacity_min = world.net_options.capacity_max = 8192;
    start_with(1, false);
    slow = flow_world_client(&world);
    slow->reads = false;
    flow_world_request(slow, "query", 1, 100, 1000000, NULL);
    flow_world_run_ms(&world, 100);
    other = query(2);
    flow_world_run_ms(&world, 100);
    flow_world_expect(other, 200);
    flow_client_go_on(slow);
    flow_world_run_ms(&world, 5000);
    flow_world_expect(slow, 200);
}
END_TEST

START_TEST(another_bound_takes_effect_at_once)
{
    struct flow_client *clients[5];

    world.backend.plan.delay_us = second_us;
    start_with(1, false);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = query(i + 1);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(world.backend.busy, 1);
    world.proxy_options.reads_max = 4;
    proxy_set_options(world.proxy, &world.proxy_options);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(world.backend.busy, 4);
    world.proxy_options.reads_max = 0;
    proxy_set_options(world.proxy, &world.proxy_options);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(world.backend.busy, 5);
    flow_world_run_ms(&world, 2000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        flow_world_expect(clients[i], 200);
}
END_TEST

/* ---- Adaptive ------------------------------------------------------------------------------- */

/* Two cores, and 5 ms of work. */
static void plan_by_load(struct flow_backend *backend, unsigned id, struct flow_plan *plan,
                         void *ctx)
{
    (void)id;
    (void)ctx;
    plan->delay_us = backend->busy <= 2 ? 5000 : 5000 * backend->busy / 2;
}

static unsigned next_id;

/* Ask again, if the load still goes on; with a new connection when this one has answered often. */
static void ask_again(struct flow_client *client, void *ctx)
{
    (void)ctx;
    if (next_id == 0)
        return;
    if (client == NULL || client->answer_count == FLOW_CLIENT_ANSWERS_MAX - 1) {
        client = flow_world_client(&world);
        client->on_answer = ask_again;
    }
    flow_world_request(client, "query", 10 + next_id++ % 1000, 100, 100, NULL);
}

/* So many clients ask all the time, for some seconds. */
static void load(unsigned clients, unsigned seconds)
{
    next_id = 1;
    for (unsigned i = 0; i < clients; i++)
        ask_again(NULL, NULL);
    flow_world_run_ms(&world, seconds * UINT64_C(1000));
    next_id = 0;
    flow_world_run_ms(&world, 1000);
}

static bool has_metric(const char *sample)
{
    struct byte_buffer page = {0};
    bool               is_there;

    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, (struct bytes){.data = "", .size = 1}, SIZE_MAX),
                     STATUS_OK);
    is_there = strstr(page.data, sample) != NULL;
    byte_buffer_done(&page);
    return is_there;
}

START_TEST(adaptive_finds_what_chroma_takes)
{
    world.backend.on_plan = plan_by_load;
    start_with(PROXY_READS_ADAPTIVE, false);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads_max, 4);
    load(1, 5); /* it is at ease */
    load(20, 10);
    ck_assert_uint_ge(proxy_limits(world.proxy).reads_adaptive, 2);
    ck_assert_uint_le(proxy_limits(world.proxy).reads_adaptive, 6);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads_max,
                      proxy_limits(world.proxy).reads_adaptive);
}
END_TEST

START_TEST(what_it_would_find_is_known_while_it_is_off)
{
    world.backend.on_plan = plan_by_load;
    start_with(0, false);
    load(1, 5);
    load(20, 5);
    ck_assert_uint_le(proxy_limits(world.proxy).reads_adaptive, 4);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads_max, 64 - 16 - 1);
    ck_assert_uint_ge(world.backend.busy_peak, 20);
}
END_TEST

START_TEST(adaptive_gives_way_when_chroma_says_that_it_has_too_much)
{
    static const unsigned statuses[] = {429, 503, 504};

    world.backend.plan = (struct flow_plan){.status = statuses[_i], .delay_us = 5000};
    start_with(PROXY_READS_ADAPTIVE, false);
    load(4, 2);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads_adaptive, 1);
}
END_TEST

START_TEST(answers_that_say_nothing_of_the_load_do_not_move_it)
{
    static const unsigned statuses[] = {400, 404, 500};

    world.backend.plan = (struct flow_plan){.status = statuses[_i], .delay_us = 5000};
    start_with(PROXY_READS_ADAPTIVE, false);
    load(4, 2);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads_adaptive, 4);
}
END_TEST

/* Chroma commits all the time at first. */
START_TEST(what_reads_take_beside_writes_is_not_ease)
{
    static const char   unknown[] = "chromabouncer_reads_ease_seconds{kind=\"query\"} 0.000000\n";
    struct flow_client *write;

    hang_first_for(3 * second_us);
    start_with(PROXY_READS_ADAPTIVE, false);
    write = flow_world_send(&world, "add", 1, 100, 100);
    flow_world_run_ms(&world, 1);
    load(2, 1);
    ck_assert(has_metric(unknown));
    for (unsigned i = 0; i < 30; i++) { /* each write ends while a read is under way */
        query(100 + i);
        flow_world_send(&world, "add", 200 + i, 100, 100);
        flow_world_run_ms(&world, 10);
    }
    ck_assert(has_metric(unknown));
    flow_world_run_ms(&world, 3000);
    flow_world_expect(write, 200);
    load(2, 1);
    ck_assert(!has_metric(unknown));
}
END_TEST

/* Nobody waits for the answers, so none comes: that is a sign, too. */
START_TEST(reads_that_clients_give_up_move_it)
{
    world.backend.plan.delay_us = 5000;
    start_with(PROXY_READS_ADAPTIVE, false);
    load(16, 4);
    ck_assert_uint_ge(proxy_limits(world.proxy).reads_adaptive, 8);
    world.backend.plan.delay_us = 100 * second_us;
    for (unsigned i = 0; i < 20; i++) {
        struct flow_client *clients[16];

        for (unsigned j = 0; j < COUNT_OF(clients); j++)
            clients[j] = query(j + 10);
        flow_world_run_ms(&world, 300);
        for (unsigned j = 0; j < COUNT_OF(clients); j++)
            flow_client_close(clients[j]);
    }
    ck_assert_uint_le(proxy_limits(world.proxy).reads_adaptive, 4);
}
END_TEST

/* ---- Overload: shed ------------------------------------------------------------------------- */

START_TEST(by_default_nothing_is_refused)
{
    struct flow_client *client;

    hang_first_for(30 * second_us);
    start_with(1, false);
    query(1);
    flow_world_run_ms(&world, 1);
    client = query(2);
    flow_world_run_ms(&world, 29000);
    ck_assert_uint_eq(client->answer_count, 0);
    flow_world_run_ms(&world, 2000);
    flow_world_expect(client, 200);
}
END_TEST

START_TEST(a_read_whose_turn_does_not_come_in_time_is_refused_and_told_why)
{
    struct flow_client *first, *client;

    hang_first_for(30 * second_us);
    start_with(1, true);
    first = query(1);
    flow_world_run_ms(&world, 1);
    client = query(2);
    flow_world_run_ms(&world, 99);
    ck_assert_uint_eq(client->answer_count, 0);
    flow_world_run_ms(&world, 5);
    expect_refused(client, 2, "reads.limit is 1 now");
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "overload: wait"));
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.reads, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.connections, 0);
    flow_world_run_ms(&world, 31000);
    flow_world_expect(first, 200); /* what was sent is waited for */
}
END_TEST

/* Those that Chroma has, and those that wait, are over by one deadline. */
START_TEST(who_waits_until_its_deadline_is_told_what_held_it_back)
{
    struct flow_client *clients[8];

    world.proxy_options.deadline_read_us = 300000;
    start_with(2, false);
    world.backend.plan.delay_us = second_us;
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = query((unsigned)i + 1);
    flow_world_run_ms(&world, 400);
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        flow_world_expect(clients[i], 504);
        ck_assert_ptr_nonnull(strstr(flow_client_body(clients[i], 0),
                                     i < 2 ? "deadline.read" : "reads.limit is 2 now"));
    }
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.reads, 6);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.waits, 0);
}
END_TEST

START_TEST(without_a_limit_connections_are_what_is_named)
{
    struct flow_client *clients[10];

    world.pool_options.connections_max = 4;
    world.backend.plan.delay_us = second_us;
    start_with(0, true);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = query(i + 1);
        flow_world_run_ms(&world, 1);
    }
    flow_world_run_ms(&world, 105);
    for (unsigned i = 2; i < COUNT_OF(clients); i++)
        expect_refused(clients[i], i + 1, "backend.connections_max (4) lets 2 reads go");
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.connections, COUNT_OF(clients) - 2);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.reads, 0);
    flow_world_run_ms(&world, 1000);
    flow_world_expect(clients[0], 200);
    flow_world_expect(clients[1], 200);
}
END_TEST

/* The oldest will hardly be answered in time. */
START_TEST(under_a_standing_queue_refusals_come_sooner_and_the_newest_go_first)
{
    struct flow_client *clients[300];
    unsigned            refused = 0;

    hang_first_for(204500);
    start_with(1, true);
    query(1);
    for (unsigned i = 0; i < 204; i++) {
        flow_world_run_ms(&world, 1);
        clients[i] = query(i + 2);
    }
    for (unsigned i = 0; i < 204 - 15; i++) /* the queue stands since 100 ms */
        refused += clients[i]->answer_count == 1;
    ck_assert_uint_eq(refused, 204 - 15);
    flow_world_run_ms(&world, 2);
    ck_assert_uint_ge(world.backend.order[1], 203); /* the last or the one before it */
    flow_world_run_ms(&world, 200);
    for (unsigned i = 0; i < 204; i++)
        ck_assert_uint_eq(clients[i]->answer_count, 1);
}
END_TEST

START_TEST(writes_and_health_checks_are_never_refused)
{
    struct flow_client *write, *check;

    world.pool_options.connections_max = 1;
    hang_first_for(2 * second_us);
    start_with(1, true);
    query(1);
    flow_world_run_ms(&world, 1);
    write = flow_world_send(&world, "add", 2, 100, 100);
    check = flow_world_client(&world);
    flow_client_printf(check, "GET /api/v2/heartbeat?id=3&n=0&m=10 HTTP/1.1\r\nHost: h\r\n\r\n");
    flow_world_run_ms(&world, 1900);
    ck_assert_uint_eq(write->answer_count + check->answer_count, 0);
    flow_world_run_ms(&world, 200);
    flow_world_expect(write, 200);
    flow_world_expect(check, 200);
}
END_TEST

START_TEST(who_is_not_admitted_in_time_is_refused_too)
{
    struct flow_client *first, *read, *write;

    world.proxy_options.requests_max = 1;
    hang_first_for(2 * second_us);
    start_with(0, true);
    first = query(1);
    flow_world_run_ms(&world, 1);
    read = flow_world_send(&world, "count", 2, 0, 100);
    write = flow_world_send(&world, "add", 3, 100, 100);
    flow_world_run_ms(&world, 99);
    ck_assert_uint_eq(read->answer_count, 0);
    flow_world_run_ms(&world, 5);
    expect_refused(read, 2, "queue.requests_max (1) requests");
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.requests, 1);
    flow_world_run_ms(&world, 2000);
    flow_world_expect(first, 200);
    flow_world_expect(write, 200);
}
END_TEST

/* Its restart, or a pause, is no overload. */
START_TEST(while_chroma_is_known_not_to_run_reads_wait)
{
    struct flow_client *client;

    start_with(0, true);
    proxy_hold(world.proxy, true);
    client = query(1);
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(client->answer_count, 0);
    proxy_hold(world.proxy, false);
    flow_world_run_ms(&world, 100);
    flow_world_expect(client, 200);
    proxy_pause(world.proxy, true);
    client = query(2);
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(client->answer_count, 0);
    proxy_pause(world.proxy, false);
    flow_world_run_ms(&world, 100);
    flow_world_expect(client, 200);
}
END_TEST

static void hold(int how, bool is_held)
{
    if (how == 0)
        proxy_pause(world.proxy, is_held);
    else
        proxy_hold(world.proxy, is_held);
}

/* Half a second of work waits when it ends, and who comes meanwhile waits behind it. */
START_TEST(what_was_held_is_not_refused_afterwards_nor_who_came_behind_it)
{
    struct flow_client *clients[110];

    world.backend.plan.delay_us = 10000;
    start_with(2, true);
    hold(_i, true);
    for (unsigned i = 0; i < 100; i++)
        clients[i] = query(i + 1);
    flow_world_run_ms(&world, 1000);
    hold(_i, false);
    flow_world_run_ms(&world, 300);
    for (unsigned i = 100; i < COUNT_OF(clients); i++)
        clients[i] = query(i + 1);
    flow_world_run_ms(&world, 400);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        flow_world_expect(clients[i], 200);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.reads, 0);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_le(world.backend.order[i], 100);

    /* Then the load is looked at again. */
    for (unsigned i = 0; i < 100; i++)
        clients[i] = query(i + 200);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_gt(proxy_limits(world.proxy).refused.reads, 50);
}
END_TEST

/* Its turn, or the end of its client: then the time of those behind it begins. */
START_TEST(behind_the_last_that_was_held_a_read_waits_for_no_longer_than_ever)
{
    struct flow_client *held, *behind;

    hang_first_for(30 * second_us);
    start_with(1, true);
    proxy_hold(world.proxy, true);
    query(1);
    flow_world_run_ms(&world, 1);
    held = query(2);
    flow_world_run_ms(&world, 1);
    proxy_hold(world.proxy, false);
    flow_world_run_ms(&world, 1);
    behind = query(3);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(held->answer_count + behind->answer_count, 0);
    flow_client_close(held);
    flow_world_run_ms(&world, 99);
    ck_assert_uint_eq(behind->answer_count, 0);
    flow_world_run_ms(&world, 5);
    expect_refused(behind, 3, "reads.limit is 1 now");
    flow_world_run_ms(&world, 31000);
}
END_TEST

START_TEST(what_a_pause_held_waits_for_admission_as_long_as_it_may)
{
    struct flow_client *clients[40];

    world.proxy_options.requests_max = 5;
    world.backend.plan.delay_us = 50000;
    start_with(0, true);
    proxy_pause(world.proxy, true);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = query(i + 1);
    flow_world_run_ms(&world, 1000);
    proxy_pause(world.proxy, false);
    flow_world_run_ms(&world, 500);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        flow_world_expect(clients[i], 200);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.requests, 0);
}
END_TEST

START_TEST(who_leaves_before_is_not_refused)
{
    hang_first_for(second_us);
    start_with(1, true);
    query(1);
    flow_world_run_ms(&world, 1);
    flow_client_close(query(2));
    flow_world_run_ms(&world, 50);
    flow_client_close(query(3));
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.reads, 0);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads_waiting, 0);
}
END_TEST

START_TEST(metrics_tell_the_limit_and_what_was_refused)
{
    static const char *const wanted[] = {"chromabouncer_inflight_limit{class=\"read\"} 1\n",
                                         "chromabouncer_inflight_limit{class=\"write\"} 1\n",
                                         "chromabouncer_reads_adaptive_limit 4\n",
                                         "chromabouncer_reads_ease_seconds{kind=\"query\"} 0.0",
                                         "chromabouncer_shed_total{reason=\"OVERLOADED\"} 1\n",
                                         "chromabouncer_turn_shed_total{class=\"read\"} 1\n"};

    hang_first_for(second_us);
    start_with(1, true);
    query(1);
    flow_world_run_ms(&world, 1);
    query(2);
    flow_world_run_ms(&world, 200);
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        if (!has_metric(wanted[i]))
            ck_abort_msg("%s is missing", wanted[i]);
    flow_world_run_ms(&world, 2000);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("test_flow_reads");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, chroma_gets_as_many_reads_at_a_time_as_it_may_in_their_order);
    tcase_add_test(tcase, by_default_there_is_no_bound_but_connections);
    tcase_add_test(tcase, writes_and_health_checks_are_not_held_back_by_reads);
    tcase_add_test(tcase, who_leaves_or_fails_gives_its_turn_back);
    tcase_add_test(tcase, a_turn_ends_with_the_head_of_the_answer);
    tcase_add_test(tcase, another_bound_takes_effect_at_once);
    tcase_add_test(tcase, adaptive_finds_what_chroma_takes);
    tcase_add_test(tcase, what_it_would_find_is_known_while_it_is_off);
    tcase_add_loop_test(tcase, adaptive_gives_way_when_chroma_says_that_it_has_too_much, 0, 3);
    tcase_add_loop_test(tcase, answers_that_say_nothing_of_the_load_do_not_move_it, 0, 3);
    tcase_add_test(tcase, what_reads_take_beside_writes_is_not_ease);
    tcase_add_test(tcase, reads_that_clients_give_up_move_it);
    tcase_add_test(tcase, by_default_nothing_is_refused);
    tcase_add_test(tcase, a_read_whose_turn_does_not_come_in_time_is_refused_and_told_why);
    tcase_add_test(tcase, who_waits_until_its_deadline_is_told_what_held_it_back);
    tcase_add_test(tcase, without_a_limit_connections_are_what_is_named);
    tcase_add_test(tcase, under_a_standing_queue_refusals_come_sooner_and_the_newest_go_first);
    tcase_add_test(tcase, writes_and_health_checks_are_never_refused);
    tcase_add_test(tcase, who_is_not_admitted_in_time_is_refused_too);
    tcase_add_test(tcase, while_chroma_is_known_not_to_run_reads_wait);
    tcase_add_loop_test(tcase, what_was_held_is_not_refused_afterwards_nor_who_came_behind_it, 0,
                        2);
    tcase_add_test(tcase, behind_the_last_that_was_held_a_read_waits_for_no_longer_than_ever);
    tcase_add_test(tcase, what_a_pause_held_waits_for_admission_as_long_as_it_may);
    tcase_add_test(tcase, who_leaves_before_is_not_refused);
    tcase_add_test(tcase, metrics_tell_the_limit_and_what_was_refused);
    return check_main("test_flow_reads", tcase);
}
