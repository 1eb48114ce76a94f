/* A Chroma that we run ourselves dies: who waits for it does not notice. */
#include <string.h>

#include "base/byte_buffer.h"
#include "calls/proxy_state.h"
#include "chroma/collection_table.h"
#include "flow/flow_world.h"
#include "support/check_main.h"

enum { kib = 1024, second_us = 1000000 };

static struct flow_world world;
static unsigned          deaths; /* that a request causes before it is answered */
static enum flow_fault   fault;

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    (void)ctx;
    if (backend->records[id].heads < deaths)
        ret_plan->fault = fault;
}

static void begin(void)
{
    flow_world_begin(&world, 1);
    world.write_options.is_supervised = true;
    world.backend.on_plan = plan;
    deaths = 1;
    fault = FLOW_FAULT_RESET_AFTER;
}

static void end(void)
{
    flow_world_end(&world);
}

static struct flow_client *ask(const char *operation, size_t n, size_t m)
{
    struct flow_client *client = flow_world_client(&world);

    flow_world_request(client, operation, 1, n, m, NULL);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    return client;
}

static void expect(const struct flow_client *client, unsigned status, unsigned heads)
{
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert_uint_eq(client->answers[0].status, status);
    ck_assert_uint_eq(world.backend.records[1].heads, heads);
}

START_TEST(a_read_is_asked_again_and_answered_whole)
{
    static const enum flow_fault faults[] = {FLOW_FAULT_RESET_BEFORE, FLOW_FAULT_CLOSE_AFTER,
                                             FLOW_FAULT_HALF_HEAD, FLOW_FAULT_HALF_ANSWER,
                                             FLOW_FAULT_HALF_CLOSE};
    struct flow_client          *client;

    fault = faults[_i];
    flow_world_start(&world);
    client = ask("query", 1000, 100 * kib);
    expect(client, 200, 2);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 100 * kib));
    ck_assert(!client->has_ended);
}
END_TEST

/* What kills Chroma whenever it is asked is not asked for ever. */
START_TEST(a_read_that_kills_three_times_is_refused)
{
    struct flow_client *client;

    deaths = 2 + (unsigned)_i;
    flow_world_start(&world);
    client = ask("query", 1000, 100);
    expect(client, _i == 0 ? 200 : 502, 3);
    if (_i > 0)
        ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe\r\n"));
}
END_TEST

/* A body that was not kept, an answer of which a part is with the client. */
START_TEST(what_has_passed_is_not_asked_again)
{
    struct flow_client *client = NULL;

    fault = FLOW_FAULT_HALF_ANSWER;
    flow_world_start(&world);
    client = flow_world_client(&world);
    if (_i == 0)
        flow_world_request(client, "query", 1, 300000, 100, NULL);
    else
        flow_world_request(client, "query", 1, 100, (1 << 20) + 1, NULL);
    flow_world_run_ms(&world, 2000);
    ck_assert(_i == 0 ? client->answers[0].status == 502 : client->has_ended);
    ck_assert(_i == 0 || !client->answers[0].is_complete);
    ck_assert_uint_eq(world.backend.records[1].heads, 1);
}
END_TEST

START_TEST(the_deadline_of_a_read_counts_through_a_death)
{
    struct flow_client *client;

    world.proxy_options.deadline_read_us = 3 * second_us;
    world.backend.plan.delay_us = 2 * second_us;
    flow_world_start(&world);
    client = ask("query", 1000, 100);
    expect(client, 504, 2);
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe\r\n"));
}
END_TEST

START_TEST(a_read_that_died_with_chroma_may_have_been_executed)
{
    struct flow_client *client;

    world.proxy_options.deadline_read_us = 3 * second_us;
    world.backend.plan.delay_us = 2 * second_us;
    deaths = 0;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "query", 1, 1000, 100, NULL);
    flow_world_run_ms(&world, 500);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_backend_kill(&world.backend);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 504, 1);
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe\r\n"));
}
END_TEST

START_TEST(a_held_answer_is_charged_until_it_is_passed)
{
    const struct memory_account *answers = &world.budget.accounts[MEMORY_ACCOUNT_ANSWERS];
    struct flow_client          *client;

    fault = FLOW_FAULT_LEAVES_HALF;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "query", 1, 100, 200 * kib, NULL);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(client->answer_count, 0);
    ck_assert_uint_ge(answers->used, 99 * kib);
    flow_backend_kill(&world.backend);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 200, 2);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(answers->used, 0);
}
END_TEST

/* A write that died with Chroma waits for the proof that it did; without one it is not sent again:
 * a Chroma that lives may have it yet. By itself, and in a lane. */
START_TEST(a_write_is_sent_again_only_after_a_proven_end)
{
    struct flow_client *client;
    bool                is_proved = _i % 2 == 0;

    world.write_options.is_coalescing = _i / 2 == 0;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "upsert", 1, 100, 10, NULL);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(client->answer_count, 0);
    if (is_proved)
        proxy_backend_ended(world.proxy);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, is_proved ? 200 : 502, is_proved ? 2 : 1);
    if (!is_proved)
        ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe\r\n"));
}
END_TEST

/* Its end may be known before its connections break, or after. And without a proof? */
START_TEST(what_died_with_chroma_leaves_its_collection_known)
{
    enum { END_FIRST, END_LAST, NO_END };
    struct flow_client *client;
    uint8_t             uuid[16];

    deaths = 0;
    world.backend.plan.delay_us = 2 * second_us;
    flow_world_start(&world);
    ck_assert(chroma_route_parse_uuid(BYTES_LITERAL("11111111-2222-3333-4444-555555555555"), uuid));
    client = flow_world_client(&world);
    flow_world_request(client, "upsert", 1, 100, 10, NULL);
    flow_world_run_ms(&world, 500);
    if (_i == END_FIRST)
        proxy_backend_ended(world.proxy);
    flow_backend_kill(&world.backend);
    flow_world_run_ms(&world, 10);
    if (_i == END_LAST)
        proxy_backend_ended(world.proxy);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, _i == NO_END ? 502 : 200, _i == NO_END ? 1 : 2);
    ck_assert_int_eq(
        collection_table_stamp(world.proxy->collections, uuid, loop_now_us(world.loop)) != 0,
        _i != NO_END);
}
END_TEST

/* Nobody knows what a deletion by a filter, sent twice, would answer. In a lane, and by itself. */
START_TEST(a_delete_by_a_filter_that_is_lost_is_not_sent_again_and_counted)
{
    struct byte_buffer  out = {0};
    struct flow_client *client;

    world.write_options.is_coalescing = _i == 0;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "delete", 1, 100, 10, NULL);
    flow_world_run_ms(&world, 100);
    proxy_backend_ended(world.proxy);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect(client, 502, 1);
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe\r\n"));
    ck_assert_int_eq(proxy_print_metrics(world.proxy, &out), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&out, (struct bytes){.data = "", .size = 1}, SIZE_MAX),
                     STATUS_OK);
    ck_assert_ptr_nonnull(
        strstr(byte_buffer_bytes(&out).data, "\nchromabouncer_deletes_lost_total 1\n"));
    byte_buffer_done(&out);
}
END_TEST

/* Chroma cannot be started: who waits for a turn, in a lane, or still sends, is told so. */
START_TEST(who_waits_for_a_chroma_that_never_comes_is_told_so)
{
    static const char  *operations[] = {"query", "upsert", "delete", "add"};
    struct flow_client *clients[COUNT_OF(operations)];

    world.write_options.is_coalescing = _i == 0;
    flow_world_start(&world);
    proxy_hold(world.proxy, true);
    for (unsigned i = 0; i < COUNT_OF(operations); i++) {
        clients[i] = flow_world_client(&world);
        flow_world_request_head(clients[i], operations[i], i + 1, 100, 10, NULL);
        flow_world_request_body(clients[i], i + 1, 0, i + 1 == COUNT_OF(operations) ? 50 : 100);
    }
    flow_world_run_ms(&world, 1000);
    proxy_refuse_all(world.proxy, "it has no teeth");
    proxy_refuse_all(world.proxy, "again");
    for (unsigned i = 0; i < COUNT_OF(operations); i++) {
        ck_assert(flow_world_run_to_answers(&world, clients[i], 1));
        ck_assert_uint_eq(clients[i]->answers[0].status, 503);
        ck_assert_ptr_nonnull(strstr(flow_client_head(clients[i], 0), "Executed: no\r\n"));
        ck_assert_ptr_nonnull(strstr(flow_client_body(clients[i], 0), "it has no teeth"));
        ck_assert_uint_eq(world.backend.records[i + 1].heads, 0);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_supervised");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, a_read_is_asked_again_and_answered_whole, 0, 5);
    tcase_add_loop_test(tcase, a_read_that_kills_three_times_is_refused, 0, 2);
    tcase_add_loop_test(tcase, what_has_passed_is_not_asked_again, 0, 2);
    tcase_add_test(tcase, the_deadline_of_a_read_counts_through_a_death);
    tcase_add_test(tcase, a_read_that_died_with_chroma_may_have_been_executed);
    tcase_add_test(tcase, a_held_answer_is_charged_until_it_is_passed);
    tcase_add_loop_test(tcase, a_write_is_sent_again_only_after_a_proven_end, 0, 4);
    tcase_add_loop_test(tcase, what_died_with_chroma_leaves_its_collection_known, 0, 3);
    tcase_add_loop_test(tcase, a_delete_by_a_filter_that_is_lost_is_not_sent_again_and_counted, 0,
                        2);
    tcase_add_loop_test(tcase, who_waits_for_a_chroma_that_never_comes_is_told_so, 0, 2);
    return check_main("flow_supervised", tcase);
}
