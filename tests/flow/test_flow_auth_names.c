/* Keys whose scope names collections, and requests that name them by id: what is asked of Chroma
 * before a request passes, and how long that holds. */
#include <stdio.h>
#include <string.h>

#include "flow/auth_world.h"
#include "support/check_main.h"

START_TEST(a_uuid_is_asked_about_once_and_again_after_5_s)
{
    start();
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 1);
    flow_world_run_ms(&world, 5001);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 2);
    name_of_uuid = "other"; /* somebody renamed it */
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    flow_world_run_ms(&world, 5001);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 404);
}
END_TEST

START_TEST(in_a_gateway_a_name_holds_until_it_may_have_changed)
{
    world.write_options.is_gateway = true;
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    flow_world_run_ms(&world, 60000);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 1);
    ck_assert_uint_eq(ask(WRITER, "PUT", C "/" UUID, "{\"new_name\":\"other\"}"), 200);
    name_of_uuid = "other";
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 404);
    ck_assert_uint_eq(looks, 2);
}
END_TEST

START_TEST(a_uuid_out_of_scope_is_one_that_is_not_there)
{
    char first[300];

    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" GONE "/get", "{}"), 404);
    snprintf(first, sizeof first, "%s", last_body());
    ck_assert_str_eq(first, "{\"error\":\"NotFoundError\",\"message\":\"Collection [" GONE
                            "] does not exist.\"}");
    ck_assert_uint_eq(ask(READER, "POST", C "/" OTHER "/get", "{}"), 404);
    memcpy(strchr(first, '['), "[" OTHER, strlen(OTHER) + 1);
    ck_assert_str_eq(last_body(), first);
    ck_assert_uint_eq(
        ask(READER, "POST", "/api/v2/tenants/u/databases/d/collections/" UUID "/get", "{}"), 404);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/upsert", "{}"), 403);
    ck_assert_ptr_nonnull(strstr(last_body(), "the key reader does not allow write:t/d/docs"));
    ck_assert_uint_eq(world.backend.request_count, looks);
}
END_TEST

START_TEST(that_there_is_none_is_remembered)
{
    start();
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(ask(READER, "POST", C "/" GONE "/get", "{}"), 404);
    ck_assert_uint_eq(looks, 1);
    /* Asked for in the wrong place, it is there for the others. */
    look_status = 404;
    ck_assert_uint_eq(
        ask(READER, "POST", "/api/v2/tenants/u/databases/d/collections/" UUID "/get", "{}"), 404);
    look_status = 0;
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
}
END_TEST

START_TEST(many_who_ask_wait_for_one_look)
{
    static struct flow_client *many[50];

    delay_us = 100000;
    start();
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        many[i] = flow_world_client(&world);
        send_to(many[i], READER, "POST", C "/" UUID "/get", "{}");
    }
    flow_world_run_ms(&world, 50);
    ck_assert_uint_eq(world.backend.request_count, 1);
    flow_client_reset(many[0]);
    for (size_t i = 1; i < COUNT_OF(many); i++) {
        ck_assert(flow_world_run_to_answers(&world, many[i], 1));
        flow_world_expect(many[i], 200);
    }
    ck_assert_uint_eq(looks, 1);
}
END_TEST

START_TEST(few_looks_are_under_way_at_a_time)
{
    static struct flow_client *many[40];
    char                       target[200];

    delay_us = 100000;
    start();
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        snprintf(target, sizeof target, C "/%08zx-2222-4333-8444-555555555555/get", i);
        many[i] = flow_world_client(&world);
        send_to(many[i], READER, "POST", target, "{}");
    }
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        ck_assert(flow_world_run_to_answers(&world, many[i], 1));
        flow_world_expect(many[i], 404);
    }
    ck_assert_uint_le(world.backend.busy_peak, 8);
    ck_assert_uint_eq(looks, COUNT_OF(many));
}
END_TEST

START_TEST(a_look_that_fails_lets_nobody_in)
{
    start();
    look_status = 500;
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 502);
    ck_assert_uint_eq(world.backend.request_count, 1);
    look_status = 0;
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
}
END_TEST

START_TEST(who_leaves_while_a_look_is_under_way_takes_it_along)
{
    delay_us = 10000000;
    start();
    send_to(client, READER, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(upstream_pool_stats(world.pool)->busy, 1);
    flow_client_reset(client);
    flow_world_run_ms(&world, 5000); /* one whose body waits is looked at now and then */
    ck_assert_uint_eq(upstream_pool_stats(world.pool)->busy, 0);
}
END_TEST

START_TEST(a_look_has_the_readers_deadline)
{
    delay_us = 1000000000;
    world.proxy_options.queue_wait_max_us = 2000000;
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 504);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.waits, 1);
}
END_TEST

START_TEST(a_paused_proxy_looks_nothing_up)
{
    start();
    proxy_pause(world.proxy, true);
    send_to(client, READER, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(looks, 0);
    proxy_pause(world.proxy, false);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_auth_names");

    tcase_add_checked_fixture(tcase, auth_world_begin, auth_world_end);
    tcase_add_test(tcase, a_uuid_is_asked_about_once_and_again_after_5_s);
    tcase_add_test(tcase, in_a_gateway_a_name_holds_until_it_may_have_changed);
    tcase_add_test(tcase, a_uuid_out_of_scope_is_one_that_is_not_there);
    tcase_add_test(tcase, that_there_is_none_is_remembered);
    tcase_add_test(tcase, many_who_ask_wait_for_one_look);
    tcase_add_test(tcase, few_looks_are_under_way_at_a_time);
    tcase_add_test(tcase, a_look_that_fails_lets_nobody_in);
    tcase_add_test(tcase, who_leaves_while_a_look_is_under_way_takes_it_along);
    tcase_add_test(tcase, a_look_has_the_readers_deadline);
    tcase_add_test(tcase, a_paused_proxy_looks_nothing_up);
    return check_main("flow_auth_names", tcase);
}
