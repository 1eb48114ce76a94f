/* Keys of requests that wait, for a turn, in a lane or for another's answer: each is judged by what
 * is true when its wait is over. */
#include <stdio.h>
#include <string.h>

#include "flow/auth_world.h"
#include "support/check_main.h"

/* One read at a time, and the first hangs: the second waits for its turn. */
static struct flow_client *wait_for_turn(void)
{
    struct flow_client *second;

    world.proxy_options.reads_max = 1;
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200); /* names are known */
    delay_us = 200000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 10);
    delay_us = 1000;
    second = flow_world_client(&world);
    send_to(second, READER, "POST", C "/" UUID "/query", "{}");
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads_waiting, 1);
    return second;
}

static void rename_to(const char *name)
{
    struct flow_client *third = flow_world_client(&world);
    char                body[60];

    snprintf(body, sizeof body, "{\"new_name\":\"%s\"}", name);
    send_to(third, WRITER, "PUT", C "/" UUID, body);
    name_of_uuid = name;
    ck_assert(flow_world_run_to_answers(&world, third, 1));
    flow_world_expect(third, 200);
}

static bool was_queried(void)
{
    return strstr(flow_backend_last_head(&world.backend), "/query ") != NULL;
}

START_TEST(who_waits_for_a_turn_is_judged_by_the_name_of_then)
{
    struct flow_client *second, *third;

    world.write_options.is_gateway = _i < 4;
    second = wait_for_turn();
    rename_to(_i % 2 == 0 ? "other" : "docs-2");
    if (_i < 2) { /* who asks for it meanwhile */
        third = flow_world_client(&world);
        send_to(third, WRITER, "POST", C "/" UUID "/upsert", "{\"ids\":[\"r\"]}");
        ck_assert(flow_world_run_to_answers(&world, third, 1));
    }
    ck_assert_uint_eq(second->answer_count, 0);
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i % 2 == 0 ? 404 : 200);
    ck_assert_int_eq(was_queried(), _i % 2 == 1);
    if (_i % 2 == 0)
        ck_assert_ptr_nonnull(strstr(flow_client_body(second, 0), "[" UUID "] does not exist."));
    flow_world_run_ms(&world, 300);
    flow_world_expect(client, 200);
    ck_assert_uint_eq(ask(ADMIN, "POST", C "/" UUID "/get", "{}"), 200); /* turns are given back */
}
END_TEST

/* Nobody was told that it is done. A look at Chroma would cost him his turn, each time. */
START_TEST(who_has_his_turn_keeps_it_while_a_renaming_hangs)
{
    struct flow_client *second, *third, *fourth;
    unsigned            before;

    world.write_options.is_gateway = _i == 0;
    second = wait_for_turn();
    third = flow_world_client(&world);
    send_to(third, ADMIN, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 10);
    delay_us = 1000000;
    fourth = flow_world_client(&world);
    send_to(fourth, WRITER, "PUT", C "/" UUID, "{\"new_name\":\"other\"}");
    flow_world_run_ms(&world, 10);
    delay_us = 100000;
    before = looks;
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 200);
    ck_assert_uint_eq(looks, before);
    ck_assert_uint_eq(third->answer_count, 0);
    ck_assert_uint_eq(fourth->answer_count, 0);
    ck_assert(flow_world_run_to_answers(&world, fourth, 1));
}
END_TEST

START_TEST(who_waits_for_a_turn_while_his_key_is_revoked_is_refused)
{
    struct key_ring    *empty = key_ring_new(), *full = options.keys;
    struct flow_client *second = wait_for_turn();

    options.keys = empty;
    set_auth();
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 401);
    ck_assert(!was_queried());
    key_ring_drop(full);
}
END_TEST

/* Others may have renamed it past this proxy; within 5 s that may go unseen. */
START_TEST(in_a_sidecar_who_waits_for_long_is_judged_by_a_fresh_name)
{
    struct flow_client *second;
    unsigned            before;

    world.proxy_options.reads_max = 1;
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    flow_world_run_ms(&world, 4000);
    delay_us = _i == 0 ? 7000000 : 3000000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 10);
    delay_us = 1000;
    second = flow_world_client(&world);
    send_to(second, READER, "POST", C "/" UUID "/query", "{}");
    flow_world_run_ms(&world, 1000);
    name_of_uuid = "other";
    before = looks;
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i == 0 ? 404 : 200);
    ck_assert_uint_eq(looks, before + (_i == 0));
}
END_TEST

START_TEST(who_is_judged_anew_may_leave)
{
    struct flow_client *second = wait_for_turn();

    delay_us = 100000;
    look_status = 503; /* asked again until somebody can say */
    rename_to("other");
    flow_world_run_ms(&world, 210);
    flow_client_close(second);
    flow_world_run_ms(&world, 1000);
    ck_assert(!was_queried());
    look_status = 0;
    ck_assert_uint_eq(ask(ADMIN, "POST", C "/" UUID "/get", "{}"), 200);
}
END_TEST

/* The first write hangs; what comes now waits in its lane. */
static void occupy_lane(void)
{
    start();
    ck_assert_uint_eq(ask(EDITOR, "POST", C "/" UUID "/upsert", RECORD("1")), 200);
    delay_us = 200000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/upsert", RECORD("2"));
    flow_world_run_ms(&world, 10);
    delay_us = 1000;
}

static struct flow_client *write_as(int key, const char *body)
{
    struct flow_client *writer = flow_world_client(&world);

    send_to(writer, key, "POST", C "/" UUID "/upsert", body);
    flow_world_run_ms(&world, 1);
    return writer;
}

static struct flow_client *begin_rename_to(const char *name)
{
    struct flow_client *renamer = flow_world_client(&world);
    char                body[60];

    snprintf(body, sizeof body, "{\"new_name\":\"%s\"}", name);
    send_to(renamer, WRITER, "PUT", C "/" UUID, body);
    flow_world_run_ms(&world, 1);
    name_of_uuid = name;
    return renamer;
}

START_TEST(who_waits_in_a_lane_is_judged_by_the_name_of_then)
{
    struct flow_client *renamer, *second, *third;

    world.write_options.is_gateway = _i < 2;
    occupy_lane();
    renamer = begin_rename_to(_i % 2 == 0 ? "other" : "docs-2");
    second = write_as(EDITOR, RECORD("7"));
    third = write_as(WRITER, RECORD("8")); /* it would share the call */
    ck_assert(flow_world_run_to_answers(&world, third, 1));
    flow_world_expect(client, 200);
    flow_world_expect(renamer, 200);
    flow_world_expect(third, 200);
    flow_world_expect(second, _i % 2 == 0 ? 404 : 200);
    if (_i % 2 == 0) {
        ck_assert_ptr_nonnull(strstr(flow_client_body(second, 0), "[" UUID "] does not exist."));
        ck_assert_ptr_nonnull(strstr(flow_client_head(second, 0), "Executed: no"));
    }
    ck_assert_uint_eq(world.backend.records[7].heads, (unsigned)_i % 2);
    ck_assert_uint_eq(world.backend.records[8].heads, 1);
    ck_assert_uint_eq(ask(ADMIN, "POST", C "/" UUID "/upsert", RECORD("9")), 200);
}
END_TEST

/* What was judged lately goes on; what was not, after a look at Chroma. */
START_TEST(a_renaming_that_hangs_holds_up_no_write_to_another)
{
    static const char *const target = C "/" OTHER "/upsert";
    struct flow_client      *renamer, *second;
    unsigned                 before;

    world.write_options.is_gateway = true;
    world.write_options.patience_us = 1000000;
    start();
    ck_assert_uint_eq(ask(WRITER, "POST", C "/" UUID "/get", "{}"), 200); /* names are known */
    ck_assert_uint_eq(ask(WRITER, "POST", target, RECORD("1")), 200);
    client = flow_world_client(&world);
    second = flow_world_client(&world);
    delay_us = 20000000;
    renamer = begin_rename_to("docs-2");
    flow_world_run_ms(&world, 1500);
    delay_us = 1000;
    ck_assert_uint_eq(ask(ADMIN, "POST", target, RECORD("3")), 200);
    delay_us = _i == 0 ? 3000000 : 7000000;
    send_to(client, ADMIN, "POST", target, RECORD("2"));
    flow_world_run_ms(&world, 20);
    delay_us = 1000;
    send_to(second, WRITER, "POST", target, RECORD("7"));
    flow_world_run_ms(&world, 20);
    before = looks;
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 200);
    ck_assert_uint_eq(renamer->answer_count, 0);
    ck_assert_uint_le(looks, before + 2);
    ck_assert(flow_world_run_to_answers(&world, renamer, 1));
    flow_world_expect(renamer, 200);
}
END_TEST

/* Whether its client waits for the answer or not; those who would share its call are sent. */
START_TEST(who_waits_in_a_lane_while_his_key_is_revoked_is_never_sent)
{
    struct flow_client *second, *others[3];
    struct key_ring    *before;

    occupy_lane();
    others[0] = write_as(WRITER, RECORD("6"));
    second = write_as(EDITOR, RECORD("7"));
    others[1] = write_as(WRITER, RECORD("8"));
    others[2] = write_as(ADMIN, RECORD("9"));
    if (_i == 1)
        flow_client_close(second);
    flow_world_run_ms(&world, 10);
    before = revoke(EDITOR);
    flow_world_run_ms(&world, 1000);
    if (_i == 0) {
        flow_world_expect(second, 401);
        ck_assert_ptr_nonnull(strstr(flow_client_body(second, 0), "revoked"));
    }
    for (size_t i = 0; i < COUNT_OF(others); i++)
        flow_world_expect(others[i], 200);
    ck_assert_uint_eq(world.backend.records[7].heads, 0);
    ck_assert_uint_eq(world.backend.records[6].heads + world.backend.records[8].heads +
                          world.backend.records[9].heads,
                      3);
    key_ring_drop(before);
}
END_TEST

/* What a call was made for goes on: it may have been applied. */
START_TEST(a_write_that_was_sent_is_not_judged_again)
{
    struct key_ring *before;

    world.write_options.is_gateway = true;
    start();
    ck_assert_uint_eq(ask(EDITOR, "POST", C "/" UUID "/upsert", RECORD("1")), 200);
    every_fault = FLOW_FAULT_RESET_BEFORE;
    is_fault_of_writes = true;
    send_to(client, EDITOR, "POST", C "/" UUID "/upsert", RECORD("7"));
    flow_world_run_ms(&world, 5);
    ck_assert_uint_eq(world.backend.records[7].heads, 1);
    before = revoke(EDITOR);
    is_fault_of_writes = false;
    ck_assert(flow_world_run_to_answers(&world, client, 2));
    ck_assert_uint_eq(client->answers[1].status, 200);
    key_ring_drop(before);
}
END_TEST

/* Creations, and all where nothing is merged. */
START_TEST(a_write_that_goes_alone_is_judged_when_its_turn_comes)
{
    static const char *const targets[] = {C, C "/" UUID "/upsert", C "/" UUID "/upsert"};
    static const char *const bodies[] = {"{\"name\":\"w7\"}", RECORD("7"), RECORD("7")};
    struct flow_client      *second;
    struct key_ring         *before = NULL;

    world.pool_options.connections_max = 1;
    world.write_options.is_coalescing = _i == 0;
    occupy_lane();
    if (_i == 2)
        begin_rename_to("other");
    second = flow_world_client(&world);
    send_to(second, _i == 0 ? WRITER : EDITOR, "POST", targets[_i], bodies[_i]);
    flow_world_run_ms(&world, 10);
    if (_i < 2)
        before = revoke(_i == 0 ? WRITER : EDITOR);
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i < 2 ? 401 : 404);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(world.backend.records[7].heads, 0);
    ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), "POST " C " "));
    key_ring_drop(before);
}
END_TEST

START_TEST(in_a_sidecar_a_write_that_waits_for_long_is_judged_by_a_fresh_name)
{
    struct flow_client *second;

    start();
    ck_assert_uint_eq(ask(EDITOR, "POST", C "/" UUID "/upsert", RECORD("1")), 200);
    flow_world_run_ms(&world, 4000);
    delay_us = _i == 0 ? 7000000 : 3000000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/upsert", RECORD("2"));
    flow_world_run_ms(&world, 10);
    delay_us = 1000;
    second = write_as(EDITOR, RECORD("7"));
    name_of_uuid = "other"; /* by another */
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i == 0 ? 404 : 200);
    ck_assert_uint_eq(world.backend.records[7].heads, (unsigned)_i);
}
END_TEST

/* Until its deadline, and then it is not sent either. */
START_TEST(a_write_whose_name_cannot_be_found_out_is_not_sent)
{
    struct flow_client *second;

    world.proxy_options.deadline_write_us = 3000000;
    occupy_lane();
    look_status = 500;
    begin_rename_to("docs-2");
    second = write_as(EDITOR, RECORD("7"));
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(second->answer_count, 0);
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 504);
    ck_assert_uint_eq(world.backend.records[7].heads, 0);
}
END_TEST

START_TEST(who_joined_another_is_not_answered_once_his_key_is_revoked)
{
    struct flow_client *second;
    struct key_ring    *before;

    flow_world_keep_answers(&world);
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200); /* names are known */
    delay_us = 200000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/query", "{\"query_embeddings\":[[1.0,2.0]]}");
    flow_world_run_ms(&world, 10);
    second = flow_world_client(&world);
    send_to(second, READER, "POST", C "/" UUID "/query", "{\"query_embeddings\":[[1.0,2.0]]}");
    flow_world_run_ms(&world, 10);
    before = revoke(_i == 0 ? READER : NOBODY);
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i == 0 ? 401 : 200);
    flow_world_expect(client, 200);
    ck_assert_uint_eq(world.backend.request_count, looks + 2);
    key_ring_drop(before);
}
END_TEST

START_TEST(a_list_that_waits_for_its_turn_is_not_given_once_its_key_is_revoked)
{
    struct flow_client *second = wait_for_turn(), *third = flow_world_client(&world);
    struct key_ring    *before;

    send_to(third, READER, "GET", C, "");
    flow_world_run_ms(&world, 10);
    before = revoke(READER);
    ck_assert(flow_world_run_to_answers(&world, third, 1));
    flow_world_expect(third, 401);
    flow_world_expect(second, 401);
    ck_assert_uint_eq(lists, 0);
    key_ring_drop(before);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_auth_waits");

    tcase_add_checked_fixture(tcase, auth_world_begin, auth_world_end);
    tcase_add_loop_test(tcase, who_waits_for_a_turn_is_judged_by_the_name_of_then, 0, 6);
    tcase_add_loop_test(tcase, who_has_his_turn_keeps_it_while_a_renaming_hangs, 0, 2);
    tcase_add_test(tcase, who_waits_for_a_turn_while_his_key_is_revoked_is_refused);
    tcase_add_loop_test(tcase, in_a_sidecar_who_waits_for_long_is_judged_by_a_fresh_name, 0, 2);
    tcase_add_test(tcase, who_is_judged_anew_may_leave);
    tcase_add_loop_test(tcase, who_waits_in_a_lane_is_judged_by_the_name_of_then, 0, 4);
    tcase_add_loop_test(tcase, a_renaming_that_hangs_holds_up_no_write_to_another, 0, 2);
    tcase_add_loop_test(tcase, who_waits_in_a_lane_while_his_key_is_revoked_is_never_sent, 0, 2);
    tcase_add_test(tcase, a_write_that_was_sent_is_not_judged_again);
    tcase_add_loop_test(tcase, a_write_that_goes_alone_is_judged_when_its_turn_comes, 0, 3);
    tcase_add_loop_test(tcase, in_a_sidecar_a_write_that_waits_for_long_is_judged_by_a_fresh_name,
                        0, 2);
    tcase_add_test(tcase, a_write_whose_name_cannot_be_found_out_is_not_sent);
    tcase_add_loop_test(tcase, who_joined_another_is_not_answered_once_his_key_is_revoked, 0, 2);
    tcase_add_test(tcase, a_list_that_waits_for_its_turn_is_not_given_once_its_key_is_revoked);
    return check_main("flow_auth_waits", tcase);
}
