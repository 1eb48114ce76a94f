/* Reads are answered from a copy when they should be, and only then, over a fake copy. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "copies/mirror_job.h"
#include "flow/fake_mirror_copy.h"
#include "flow/mirror_path_world.h"
#include "support/check_main.h"

/* ---- Prefer --------------------------------------------------------------------------------- */

START_TEST(prefer_answers_without_chroma)
{
    start_in(PROXY_MIRROR_PREFER);
    for (unsigned i = 0; i < 10; i++)
        expect_mirror(ask(JSON));
    ck_assert_uint_eq(reads, 0);
    ck_assert_uint_eq(answers("prefer"), 10);
    ck_assert_uint_eq(
        metric("chromabouncer_requests_total{op=\"get\",code=\"200\",source=\"mirror\"}"), 10);
}
END_TEST

START_TEST(other_modes_leave_it_to_a_chroma_that_answers)
{
    start_in(PROXY_MIRROR_FALLBACK);
    expect_chroma(ask(JSON));
    set_mode(PROXY_MIRROR_HEDGE);
    expect_chroma(ask(JSON));
    set_mode(PROXY_MIRROR_OFF);
    expect_chroma(ask(JSON));
    ck_assert_uint_eq(fake_mirror_copies.answers, 0);
}
END_TEST

START_TEST(headers_are_left_out_as_elsewhere)
{
    struct flow_client *client;

    world.proxy_options.adds_headers = false;
    flow_world_start(&world);
    set_backend(1);
    set_mode(PROXY_MIRROR_PREFER);
    flow_world_run_ms(&world, 10001);
    ask(JSON);
    run_to_complete();
    client = ask(JSON);
    flow_world_expect(client, 200);
    ck_assert_uint_eq(fake_mirror_copies.answers, 1);
    ck_assert_ptr_null(strstr(flow_client_head(client, 0), "Chromabouncer"));
}
END_TEST

START_TEST(an_error_of_the_copy_is_an_answer)
{
    static const char   error_field[] = "chroma-trace-id: 00000000000000000000000000000000\r\n";
    struct flow_client *client;

    start_in(PROXY_MIRROR_PREFER);
    fake_mirror_copies.answer_status = 400;
    client = ask(JSON);
    flow_world_expect(client, 400);
    ck_assert(is_mirrored(client));
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), error_field));
    fake_mirror_copies.answer_status = 0;
    ck_assert_ptr_null(strstr(flow_client_head(ask(JSON), 0), error_field));
}
END_TEST

START_TEST(what_the_copy_cannot_answer_is_asked_of_chroma)
{
    static const struct {
        enum status status;
        const char *reason;
    } failures[] = {{STATUS_NOT_IMPLEMENTED, "regex"},
                    {STATUS_TIMED_OUT, "timed_out"},
                    {STATUS_TOO_LARGE, "too_large"},
                    {STATUS_IO_FAILED, "io_failed"}};

    start_in(PROXY_MIRROR_PREFER);
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        fake_mirror_copies.answer_fails = failures[i].status;
        expect_chroma(ask(JSON));
        ck_assert_uint_eq(refusals(i == 0 ? "regex" : status_name(failures[i].status)), 1);
    }
    ck_assert_uint_eq(reads, COUNT_OF(failures));
}
END_TEST

/* What is damaged may be more than what was found to be. */
static void expect_given_up_for(enum status failure, unsigned times)
{
    fake_mirror_copies.answer_fails = failure;
    expect_chroma(ask(JSON));
    fake_mirror_copies.answer_fails = STATUS_OK;
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_given_up_total{reason=\"store\"}"), times);
    ck_assert(!is_complete(NULL));
    expect_chroma(ask(JSON));
}

START_TEST(a_damaged_copy_is_made_anew_after_a_growing_pause)
{
    static const enum status failures[] = {STATUS_CORRUPT, STATUS_IO_FAILED, STATUS_CORRUPT};

    start_in(PROXY_MIRROR_PREFER);
    for (unsigned i = 0; i < COUNT_OF(failures); i++) {
        expect_given_up_for(failures[i], i + 1);
        flow_world_run_ms(&world, (UINT64_C(1000) << i) - 100);
        ck_assert_uint_eq(fake_mirror_copies.made, i + 1);
        run_to_complete();
        ck_assert_uint_eq(fake_mirror_copies.made, i + 2);
        expect_mirror(ask(JSON));
    }
}
END_TEST

START_TEST(a_damaged_copy_is_not_kept_for_bad_times)
{
    options.allows_incomplete = true;
    start_in(PROXY_MIRROR_PREFER);
    expect_given_up_for(STATUS_CORRUPT, 1);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_world_expect(ask(JSON), 503);
}
END_TEST

START_TEST(a_damaged_copy_that_was_left_is_given_up_once)
{
    start_in(PROXY_MIRROR_PREFER);
    fake_mirror_copies.answer_fails = STATUS_CORRUPT;
    for (size_t i = 0; i < 5; i++)
        send_get(flow_world_client(&world), JSON);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_ge(refusals(status_name(STATUS_CORRUPT)), 2);
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_given_up_total{reason=\"store\"}"), 1);
}
END_TEST

START_TEST(what_cannot_be_answered_is_no_damage)
{
    static const enum status failures[] = {STATUS_NOT_IMPLEMENTED, STATUS_TIMED_OUT,
                                           STATUS_TOO_LARGE, STATUS_NO_MEMORY,
                                           STATUS_LIMIT_REACHED};

    start_in(PROXY_MIRROR_PREFER);
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        fake_mirror_copies.answer_fails = failures[i];
        expect_chroma(ask(JSON));
    }
    fake_mirror_copies.answer_fails = STATUS_OK;
    expect_mirror(ask(JSON));
}
END_TEST

START_TEST(the_cache_answers_first)
{
    flow_world_keep_answers(&world);
    start_in(PROXY_MIRROR_PREFER);
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(strstr(flow_client_head(ask(JSON), 0), "Source: cache") != NULL ||
                  fake_mirror_copies.answers > 0);
}
END_TEST

START_TEST(what_a_copy_answers_is_not_kept)
{
    flow_world_keep_answers(&world);
    start_in(PROXY_MIRROR_PREFER);
    for (unsigned i = 0; i < 3; i++)
        expect_mirror(ask(JSON));
}
END_TEST

START_TEST(a_client_can_forbid_it)
{
    start_in(PROXY_MIRROR_PREFER);
    expect_chroma(ask(JSON "Cache-Control: no-store\r\n"));
    expect_chroma(ask(JSON "Cache-Control: no-cache\r\n"));
    expect_chroma(ask(JSON "Pragma: no-cache\r\n"));
    ck_assert_uint_eq(refusals("forbidden"), 3);
    expect_mirror(ask(JSON "Cache-Control: max-age=60\r\n"));
}
END_TEST

START_TEST(what_chroma_reads_by_other_fields_is_chroma_s)
{
    start_in(PROXY_MIRROR_PREFER);
    ask("Content-Type: text/plain\r\n");
    ask("");
    ask(JSON "Origin: http://elsewhere\r\n");
    ask(JSON "Content-Encoding: gzip\r\n");
    ck_assert_uint_eq(reads, 4);
    ck_assert_uint_eq(refusals("fields"), 4);
    ck_assert_uint_eq(fake_mirror_copies.answers, 0);
}
END_TEST

/* ---- Trust ---------------------------------------------------------------------------------- */

START_TEST(credentials_must_have_been_served_by_chroma_lately)
{
    start_in(PROXY_MIRROR_PREFER);
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON TOKEN));
    expect_chroma(ask(JSON "X-Chroma-Token: of-b\r\n"));
    flow_world_run_ms(&world, 299000);
    expect_mirror(ask(JSON TOKEN));
    flow_world_run_ms(&world, 2000);
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON TOKEN));
    expect_mirror(ask(JSON));                    /* to who shows nothing Chroma said yes once */
    ck_assert_uint_eq(refusals("trust"), 1 + 3); /* the first read of all */
}
END_TEST

START_TEST(who_was_refused_gets_nothing)
{
    start_in(PROXY_MIRROR_PREFER);
    read_status = 401;
    flow_world_expect(ask(JSON TOKEN), 401);
    flow_world_expect(ask(JSON TOKEN), 401);
    ck_assert_uint_eq(fake_mirror_copies.answers, 0);
}
END_TEST

/* By a read that no copy may answer. */
START_TEST(who_is_refused_is_trusted_no_more)
{
    start_in(PROXY_MIRROR_PREFER);
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON TOKEN));
    read_status = _i == 0 ? 401 : 403;
    fake_mirror_copies.answer_fails = STATUS_NOT_IMPLEMENTED;
    flow_world_expect(ask(JSON TOKEN), read_status);
    fake_mirror_copies.answer_fails = STATUS_OK;
    flow_world_expect(ask(JSON TOKEN), read_status);
    expect_mirror(ask(JSON)); /* another one */
    read_status = 200;
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON TOKEN));
}
END_TEST

START_TEST(if_nobody_is_served_any_more_the_copy_goes)
{
    start_in(PROXY_MIRROR_PREFER);
    expect_mirror(ask(JSON));
    read_status = 403;
    fake_mirror_copies.answer_fails = STATUS_NOT_IMPLEMENTED;
    flow_world_expect(ask(JSON), 403);
    fake_mirror_copies.answer_fails = STATUS_OK;
    flow_world_expect(ask(JSON), 403);
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_given_up_total{reason=\"answer\"}"), 1);
}
END_TEST

START_TEST(without_trust_credentials_always_ask_chroma)
{
    options.trust_us = 0;
    start_in(PROXY_MIRROR_PREFER);
    expect_chroma(ask(JSON TOKEN));
    flow_world_run_ms(&world, 1);
    expect_chroma(ask(JSON TOKEN));
    expect_mirror(ask(JSON));
}
END_TEST

START_TEST(another_path_is_another_question_of_trust)
{
    struct flow_client *client;

    start_in(PROXY_MIRROR_PREFER);
    client = flow_world_client(&world);
    flow_client_printf(client, "POST /api/v2/tenants/other/databases/d/collections/" UUID
                               "/get HTTP/1.1\r\nHost: chroma\r\n" JSON
                               "Content-Length: 12\r\n\r\n{\"client\":1}");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert(!is_mirrored(client));
    ck_assert_uint_eq(refusals("trust"), 1 + 1);
}
END_TEST

/* ---- Order ---------------------------------------------------------------------------------- */

START_TEST(a_read_after_a_write_sees_it)
{
    unsigned mirrored = 0;

    start_in(PROXY_MIRROR_PREFER);
    for (unsigned i = 0; i < 40; i++) {
        struct flow_client *writer = flow_world_client(&world), *reader;
        char                document[FAKE_RECORDS_TEXT];

        snprintf(document, sizeof document, "told-%u", i);
        send_upsert(writer, document);
        ck_assert(flow_world_run_to_answers(&world, writer, 1));
        flow_world_expect(writer, 200);
        reader = ask(JSON);
        flow_world_expect(reader, 200);
        ck_assert_ptr_nonnull(strstr(flow_client_body(reader, 0), document));
        mirrored += is_mirrored(reader);
    }
    ck_assert_uint_ge(mirrored, 10);
}
END_TEST

/* Chroma has shown what a write that is under way does: the copy, which lacks it, must not answer.
 */
START_TEST(no_reader_sees_the_new_and_then_the_old)
{
    struct flow_client *writer, *reader;

    start_in(PROXY_MIRROR_PREFER);
    writer = flow_world_client(&world);
    write_delay_us = 200000;
    send_upsert(writer, "new");
    flow_world_run_ms(&world, 50);
    expect_mirror(ask(JSON)); /* nobody has seen more */
    strcpy(chroma.list[1].document, "new");
    reader = ask(JSON "Cache-Control: no-store\r\n");
    expect_chroma(reader);
    ck_assert_ptr_nonnull(strstr(flow_client_body(reader, 0), "\"new\""));
    reader = ask(JSON);
    expect_chroma(reader);
    ck_assert_ptr_nonnull(strstr(flow_client_body(reader, 0), "\"new\""));
    ck_assert_uint_eq(refusals("waited"), 1);
    flow_world_run_ms(&world, 300);
    expect_mirror(ask(JSON));
}
END_TEST

/* ---- Bounds and ends ------------------------------------------------------------------------ */

START_TEST(a_flood_is_bounded_and_all_are_answered)
{
    enum { count = MIRROR_JOBS_MAX + 40 };
    static struct flow_client *clients[count];
    unsigned                   mirrored = 0;

    start_in(PROXY_MIRROR_PREFER);
    for (size_t i = 0; i < count; i++)
        clients[i] = flow_world_client(&world);
    flow_world_run_ms(&world, 10);
    for (size_t i = 0; i < count; i++)
        send_get(clients[i], JSON);
    for (size_t i = 0; i < count; i++) {
        ck_assert(flow_world_run_to_answers(&world, clients[i], 1));
        flow_world_expect(clients[i], 200);
        mirrored += is_mirrored(clients[i]);
    }
    ck_assert_uint_ge(mirrored, MIRROR_JOBS_MAX);
    ck_assert_uint_eq(refusals("busy"), count - mirrored);
    ck_assert_uint_ge(refusals("busy"), 1);
}
END_TEST

/* While its job runs, while it waits for the copy, while both are asked. */
START_TEST(a_client_may_leave_at_any_time)
{
    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    for (unsigned i = 0; i < 300; i++) {
        struct flow_client *client = flow_world_client(&world), *writer = NULL;

        set_mode(i % 2 == 0 ? PROXY_MIRROR_PREFER : PROXY_MIRROR_HEDGE);
        read_delay_us = fake_loop_random(20000);
        if (i % 3 == 0) {
            writer = flow_world_client(&world);
            write_delay_us = fake_loop_random(2000);
            send_upsert(writer, "told");
        }
        send_get(client, JSON);
        fake_loop_run_for(world.loop, fake_loop_random(12000));
        flow_client_reset(client);
        if (writer != NULL)
            ck_assert(flow_world_run_to_answers(&world, writer, 1));
    }
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_jobs"), 0);
    read_delay_us = 1000;
    set_mode(PROXY_MIRROR_PREFER);
    flow_world_expect(ask(JSON), 200);
}
END_TEST

START_TEST(the_proxy_may_end_at_any_time)
{
    for (unsigned i = 0; i < 20; i++) {
        start_in(PROXY_MIRROR_PREFER);
        for (unsigned j = 0; j < 5; j++)
            send_get(flow_world_client(&world), JSON);
        fake_loop_run_for(world.loop, 200 + fake_loop_random(3000));
        end();
        prepare();
        world.seed = i;
    }
    start_in(PROXY_MIRROR_PREFER);
}
END_TEST

/* A query among ids of which one is gone is answered 500, which shows a delete that is under way.
 */
START_TEST(no_reader_is_told_that_something_is_gone_and_then_sees_it)
{
    struct flow_client *writer;

    start_in(PROXY_MIRROR_PREFER);
    writer = flow_world_client(&world);
    write_delay_us = 200000;
    send_upsert(writer, "new");
    flow_world_run_ms(&world, 50);
    expect_mirror(ask(JSON)); /* nobody has seen more */
    read_status = 500;
    flow_world_expect(ask(JSON "Cache-Control: no-store\r\n"), 500);
    read_status = 0;
    expect_chroma(ask(JSON));
    ck_assert_uint_eq(refusals("waited"), 1);
    flow_world_run_ms(&world, 300);
    expect_mirror(ask(JSON));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_path");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, prepare, end);
    tcase_add_test(tcase, prefer_answers_without_chroma);
    tcase_add_test(tcase, other_modes_leave_it_to_a_chroma_that_answers);
    tcase_add_test(tcase, headers_are_left_out_as_elsewhere);
    tcase_add_test(tcase, an_error_of_the_copy_is_an_answer);
    tcase_add_test(tcase, what_the_copy_cannot_answer_is_asked_of_chroma);
    tcase_add_test(tcase, a_damaged_copy_is_made_anew_after_a_growing_pause);
    tcase_add_test(tcase, a_damaged_copy_is_not_kept_for_bad_times);
    tcase_add_test(tcase, a_damaged_copy_that_was_left_is_given_up_once);
    tcase_add_test(tcase, what_cannot_be_answered_is_no_damage);
    tcase_add_test(tcase, the_cache_answers_first);
    tcase_add_test(tcase, what_a_copy_answers_is_not_kept);
    tcase_add_test(tcase, a_client_can_forbid_it);
    tcase_add_test(tcase, what_chroma_reads_by_other_fields_is_chroma_s);
    tcase_add_test(tcase, credentials_must_have_been_served_by_chroma_lately);
    tcase_add_test(tcase, who_was_refused_gets_nothing);
    tcase_add_loop_test(tcase, who_is_refused_is_trusted_no_more, 0, 2);
    tcase_add_test(tcase, if_nobody_is_served_any_more_the_copy_goes);
    tcase_add_test(tcase, without_trust_credentials_always_ask_chroma);
    tcase_add_test(tcase, another_path_is_another_question_of_trust);
    tcase_add_test(tcase, a_read_after_a_write_sees_it);
    tcase_add_test(tcase, no_reader_sees_the_new_and_then_the_old);
    tcase_add_test(tcase, a_flood_is_bounded_and_all_are_answered);
    tcase_add_test(tcase, a_client_may_leave_at_any_time);
    tcase_add_test(tcase, the_proxy_may_end_at_any_time);
    tcase_add_test(tcase, no_reader_is_told_that_something_is_gone_and_then_sees_it);
    return check_main("flow_mirror_path", tcase);
}
