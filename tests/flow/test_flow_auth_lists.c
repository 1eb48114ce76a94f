/* Lists of collections, of which each key is shown what it may read. */
#include <string.h>

#include "flow/auth_world.h"
#include "support/check_main.h"

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;

    while ((text = strstr(text, what)) != NULL) {
        count++;
        text++;
    }
    return count;
}

START_TEST(a_list_holds_what_the_key_may_read)
{
    start();
    ck_assert_uint_eq(ask(READER, "GET", C, ""), 200);
    ck_assert_uint_eq(count_of(last_body(), "\"docs-"), 50);
    ck_assert_uint_eq(count_of(last_body(), "\"other-"), 0);
    ck_assert_uint_eq(lists, 2);
    ck_assert_uint_eq(ask(READER, "GET", C "?limit=2&offset=1", ""), 200);
    ck_assert_str_eq(last_body(),
                     "[{\"id\":\"00000003-2222-4333-8444-555555555555\",\"name\":\"docs-3\"},"
                     "{\"id\":\"00000006-2222-4333-8444-555555555555\",\"name\":\"docs-6\"}]");
    ck_assert_uint_eq(lists, 3);
    ck_assert_uint_eq(ask(READER, "GET", C "?offset=50", ""), 200);
    ck_assert_str_eq(last_body(), "[]");
    ck_assert_uint_eq(ask(READER, "GET", D "/collections_count", ""), 200);
    ck_assert_str_eq(last_body(), "50");
    ck_assert_uint_eq(ask(READER, "GET", C "?limit=1&limit=2", ""), 400);
    ck_assert_uint_eq(ask(WRITER, "GET", C "?limit=1", ""), 200);
    ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), C "?limit=1 "));
}
END_TEST

/* A part of a list would be taken for all of it. */
START_TEST(a_list_of_too_many_is_refused_and_not_cut)
{
    listed = 100050;
    start();
    ck_assert_uint_eq(ask(READER, "GET", D "/collections_count", ""), 503);
    ck_assert_ptr_nonnull(strstr(last_body(), "too many collections"));
    ck_assert_uint_eq(lists, 1000);
    ck_assert_uint_eq(ask(READER, "GET", C "?limit=5", ""), 200);
    ck_assert_uint_eq(count_of(last_body(), "\"docs-"), 5);
    listed = 99950;
    ck_assert_uint_eq(ask(READER, "GET", D "/collections_count", ""), 200);
    ck_assert_str_eq(last_body(), "33317");
}
END_TEST

START_TEST(what_a_chroma_of_our_own_dies_under_is_asked_again)
{
    world.write_options.is_supervised = true;
    start();
    first_fault = FLOW_FAULT_RESET_BEFORE;
    ck_assert_uint_eq(ask(READER, "GET", C, ""), 200);
    ck_assert_uint_eq(count_of(last_body(), "\"docs-"), 50);
    ck_assert_uint_eq(lists, 3);
    first_fault = FLOW_FAULT_RESET_BEFORE;
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 2);
    /* But not for ever. */
    every_fault = FLOW_FAULT_RESET_BEFORE;
    ck_assert_uint_eq(ask(READER, "GET", C, ""), 502);
    ck_assert_uint_le(lists, 7); /* one of them for a kept connection that had broken */
    flow_world_run_ms(&world, 6000);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 502);
}
END_TEST

START_TEST(who_leaves_a_list_leaves_nothing)
{
    delay_us = 100000;
    start();
    send_to(client, READER, "GET", C, "");
    flow_world_run_ms(&world, 150);
    flow_client_reset(client);
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(upstream_pool_stats(world.pool)->busy, 0);
}
END_TEST

START_TEST(a_list_that_was_not_sent_in_time_is_told_from_one_without_an_answer)
{
    struct flow_client *second;

    delay_us = 1000000000;
    world.proxy_options.reads_max = 1;
    world.proxy_options.queue_wait_max_us = 2000000;
    world.proxy_options.deadline_read_us = 5000000;
    start();
    send_to(client, READER, "GET", C, "");
    flow_world_run_ms(&world, 10);
    second = flow_world_client(&world);
    send_to(second, READER, "GET", C, "");
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 504);
    ck_assert_ptr_nonnull(strstr(flow_client_body(second, 0), "no turn came"));
    ck_assert_ptr_nonnull(strstr(flow_client_head(second, 0), "Executed: no"));
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.waits, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.read_deadlines, 0);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 504);
    ck_assert_ptr_nonnull(strstr(last_body(), "within deadline.read"));
    ck_assert_ptr_nonnull(strstr(last_body(), "raise queue.wait_max, which is "));
    ck_assert_ptr_nonnull(strstr(last_body(), "and deadline.read, which is 5s"));
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe"));
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.waits, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.read_deadlines, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_auth_lists");

    tcase_add_checked_fixture(tcase, auth_world_begin, auth_world_end);
    tcase_add_test(tcase, a_list_holds_what_the_key_may_read);
    tcase_add_test(tcase, a_list_of_too_many_is_refused_and_not_cut);
    tcase_add_test(tcase, what_a_chroma_of_our_own_dies_under_is_asked_again);
    tcase_add_test(tcase, who_leaves_a_list_leaves_nothing);
    tcase_add_test(tcase, a_list_that_was_not_sent_in_time_is_told_from_one_without_an_answer);
    return check_main("flow_auth_lists", tcase);
}
