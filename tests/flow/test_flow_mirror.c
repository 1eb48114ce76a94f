/* A copy of a collection is kept as Chroma has it, or given up, whatever is read and written
 * meanwhile; over a fake copy. */
#include <stdlib.h>
#include <string.h>

#include "calls/proxy_state.h"
#include "flow/fake_mirror_copy.h"
#include "flow/mirror_world.h"
#include "io/clock.h"
#include "proxy/mirror_report.h"
#include "support/check_main.h"

START_TEST(a_copy_is_filled_and_kept)
{
    expect_none(0, true, "none");
    fill(0);
    ck_assert_uint_eq(descriptions, 1);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_eq(pages, 4);
    expect_same(0);
    upsert(0, "k3", "changed");
    upsert(0, "new", "n");
    expect_same(0);
    do_write(0, "add", "{\"ids\":[\"k4\"],\"embeddings\":[[1,2]],\"documents\":[\"no\"]}", 200);
    do_write(0, "delete", "{\"ids\":[\"k5\",\"k6\",\"absent\"]}", 200);
    expect_same(0);
    ck_assert_uint_eq(look(0).records, 9);
    ck_assert_uint_eq(look(0).fills, 1);
    ck_assert_uint_eq(look(0).writes, 4);
    ck_assert_uint_eq(lists, 1);
}
END_TEST

/* Until then it is the worker's. */
START_TEST(what_a_worker_has_made_of_a_copy_is_known_when_it_is_done)
{
    fill(0);
    send_write(writer, 0, "add",
               "{\"ids\":[\"new\"],\"embeddings\":[[1,2]],\"documents\":[\"n\"]}");
    while (fake_mirror_copies.writes == 0)
        fake_loop_run_for(world.loop, 10);
    ck_assert_uint_eq(look(0).records, 10);
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(look(0).records, 11);
}
END_TEST

/* A delete by a filter is evaluated by the copy, and counted. */
START_TEST(the_count_of_a_delete_decides)
{
    upsert(0, "x1", "a");
    fill(0);
    do_write(0, "delete", "{\"limit\":9}", 200);
    expect_same(0);
    ck_assert_uint_eq(look(0).writes, 1);
    fake_records_append(&chroma[0].records, "x2", "another's");
    do_write(0, "delete", "{\"limit\":9}", 200);
    flow_world_run_ms(&world, 10);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNREADABLE);
    expect_none(0, true, "doubtful");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(a_reader_waits_for_what_was_answered_before_it_came)
{
    struct reader reader, late;

    fill(0);
    upsert(0, "k1", "second"); /* its answer has come, and a worker has it */
    arrive(&reader, 0, false);
    ck_assert_int_eq(reader.status, STATUS_AGAIN);
    arrive(&late, 0, false);
    mirror_hold_release(&late.hold);
    ck_assert(may_read(&reader));
    ck_assert(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records));
    ck_assert(!late.is_told);
    mirror_hold_release(&reader.hold);
}
END_TEST

START_TEST(who_waits_for_a_copy_that_is_given_up_is_told)
{
    struct reader reader;

    fill(0);
    fake_mirror_copies.fails = STATUS_NOT_IMPLEMENTED;
    upsert(0, "k1", "second");
    arrive(&reader, 0, false);
    ck_assert_int_eq(reader.status, STATUS_AGAIN);
    ck_assert(!may_read(&reader));
    ck_assert(reader.is_told);
    ck_assert_ptr_null(reader.hold.queue);
}
END_TEST

START_TEST(what_is_read_stays_when_its_copy_is_given_up)
{
    struct reader reader;

    fill(0);
    arrive(&reader, 0, false);
    ck_assert(may_read(&reader));
    ck_assert_int_eq(mirror_keeper_drop(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 1);
    ck_assert(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records));
    mirror_hold_release(&reader.hold);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
}
END_TEST

/* Who has seen a write in Chroma's answer does not miss it in the copy's. */
START_TEST(no_reader_sees_the_new_and_then_the_old)
{
    struct reader early, reader;
    size_t        answers;

    fill(0);
    write_delay_us = 100000;
    answers = writer->answer_count;
    send_write(writer, 0, "upsert",
               "{\"ids\":[\"k1\"],\"embeddings\":[[1,2]],\"documents\":[\"second\"]}");
    flow_world_run_ms(&world, 20);
    arrive(&early, 0, false);
    ck_assert_int_eq(early.status, STATUS_OK);
    mirror_hold_release(&early.hold);
    mirror_keeper_note_answer(world.proxy->mirror, route_of(0).uuid);
    arrive(&reader, 0, false);
    ck_assert_int_eq(reader.status, STATUS_AGAIN);
    ck_assert(!may_read(&reader)); /* 50 ms later */
    ck_assert(!reader.is_told);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert(!reader.is_told);
    ck_assert(may_read(&reader));
    ck_assert(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records));
    mirror_hold_release(&reader.hold);
    arrive(&early, 0, false);
    ck_assert_int_eq(early.status, STATUS_OK);
    mirror_hold_release(&early.hold);
}
END_TEST

START_TEST(an_unknown_outcome_gives_up_the_copy_until_it_is_settled)
{
    fill(0);
    write_fault = FLOW_FAULT_RESET_AFTER;
    do_write(0, "update", "{\"ids\":[\"k1\"],\"documents\":[\"maybe\"]}", 502);
    write_fault = FLOW_FAULT_NONE;
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNKNOWN_OUTCOME);
    expect_none(0, false, "waiting");
    expect_none(0, true, "doubtful");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    flow_world_run_ms(&world, 100000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING); /* it may yet be applied */
    ck_assert_uint_eq(lists, 1);
    flow_world_run_ms(&world, 21000); /* after two minutes */
    note_read(0);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(what_may_lack_something_answers_only_where_that_is_allowed)
{
    struct reader reader;

    options.allows_incomplete = true;
    set_options();
    fill(0);
    write_fault = FLOW_FAULT_RESET_BEFORE;
    do_write(0, "update", "{\"ids\":[\"k1\"],\"documents\":[\"maybe\"]}", 502);
    expect_none(0, false, "waiting");
    flow_world_run_ms(&world, 2000);
    arrive(&reader, 0, true);
    ck_assert_int_eq(reader.status, STATUS_OK);
    ck_assert(!mirror_hold_is_complete(&reader.hold));
    ck_assert_uint_ge(mirror_hold_age_us(&reader.hold), 1900000);
    mirror_hold_release(&reader.hold);
}
END_TEST

/* It may have another database, and has been written to. */
START_TEST(nothing_of_another_chroma_answers_although_it_may_lack_something)
{
    options.allows_incomplete = true;
    set_options();
    fill(0);
    set_backend(2);
    expect_none(0, true, "doubtful");
    run_to_complete(0);
    write_fault = FLOW_FAULT_RESET_BEFORE;
    do_write(0, "update", "{\"ids\":[\"k1\"],\"documents\":[\"maybe\"]}", 502);
    set_backend(3);
    expect_none(0, true, "doubtful");
}
END_TEST

/* It may have been made, or not: either way no record of another is another. */
START_TEST(a_creation_of_unknown_outcome_leaves_the_copies)
{
    static const char head[] =
        "POST /api/v2/tenants/t/databases/d/collections HTTP/1.1\r\nHost: chroma\r\nContent-Type: "
        "application/json\r\nContent-Length: 14\r\n\r\n{\"name\":\"new\"}";

    fill(0);
    write_fault = FLOW_FAULT_RESET_AFTER;
    flow_client_send(writer, head);
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert_uint_eq(writer->answers[0].status, 502);
    expect_same(0);
}
END_TEST

/* Nothing can change while Chroma is down; another one may hold anything. */
START_TEST(a_complete_copy_outlives_its_chroma)
{
    uint64_t began_us;

    end();
    start_as(1, true, true);
    began_us = clock_now_us();
    fill(0);
    ck_assert_uint_lt(clock_now_us() - began_us, 1000000); /* it needs not settle */
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    proxy_backend_ended(world.proxy);
    flow_world_run_ms(&world, 5000);
    expect_same(0);
    ck_assert(is_named(0, "docs-0"));
    fake_net_set_mode(FAKE_NET_ACCEPT);
    strcpy(chroma[0].records.list[2].document, "of another one");
    set_backend(2);
    ck_assert(!is_named(0, "docs-0"));
    expect_none(0, false, "waiting");
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_INCARNATION);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* One of our own is known again while all still waits for it. */
START_TEST(a_chroma_that_was_started_again_is_another_one_before_it_answers)
{
    end();
    start_as(1, true, true);
    fill(0);
    flow_backend_kill(&world.backend);
    proxy_hold(world.proxy, true);
    proxy_backend_ended(world.proxy);
    set_backend(2);
    set_backend(3);
    expect_same(0);
    strcpy(chroma[0].records.list[2].document, "of another one");
    proxy_hold(world.proxy, false);
    expect_none(0, false, "waiting");
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_INCARNATION);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_INCARNATION], 1);
}
END_TEST

START_TEST(off_costs_nothing)
{
    struct chroma_route route = route_of(0);
    struct reader       reader;

    end();
    flow_world_begin(&world, 1);
    world.backend.on_request = on_request;
    flow_world_start(&world);
    writer = flow_world_client(&world);
    options.mode = PROXY_MIRROR_OFF;
    set_options();
    ck_assert_ptr_null(world.proxy->mirror);
    mirror_keeper_note_read(NULL, &route);
    mirror_keeper_note_answer(NULL, route.uuid);
    arrive(&reader, 0, true);
    ck_assert_int_eq(reader.status, STATUS_NOT_FOUND);
    do_write(0, "update", "{\"ids\":[\"k1\"],\"documents\":[\"x\"]}", 200);
    ck_assert_uint_eq(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].peak, 0);
    ck_assert_uint_eq(fake_mirror_copies.made, 0);
}
END_TEST

START_TEST(turned_off_all_copies_go)
{
    fill(0);
    options.mode = PROXY_MIRROR_OFF;
    set_options();
    upsert(0, "k1", "unseen");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    ck_assert_uint_eq(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].used, 0);
    note_read(0);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(lists, 1);
    options.mode = PROXY_MIRROR_FALLBACK;
    set_options();
    fill(0);
    expect_same(0);
}
END_TEST

START_TEST(a_long_write_is_taken_over_and_not_copied)
{
    static const char start_of[] = "{\"ids\":[\"k1\"],\"documents\":[\"long\"]";
    size_t            size = 1 << 20, answers = writer->answer_count;
    char             *body = malloc(size);

    ck_assert_ptr_nonnull(body);
    fill(0);
    memset(body, ' ', size);
    memcpy(body, start_of, sizeof start_of - 1);
    strcpy(body + size - 2, "}");
    send_write(writer, 0, "update", body);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    expect_same(0);
    ck_assert_str_eq(fake_records_find(&chroma[0].records, "k1")->document, "long");
    ck_assert_uint_ge(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].peak, size);
    ck_assert_uint_le(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].used, 4096);
    ck_assert_uint_lt(world.budget.peak, 3 * size); /* it is there once, and as it comes */
    free(body);
}
END_TEST

/* Also if nobody reads it: somebody has asked for it. */
START_TEST(a_copy_that_differs_is_made_anew)
{
    struct chroma_route route = route_of(0);

    flow_world_run_ms(&world, SETTLE_MS);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route.uuid), STATUS_NOT_FOUND);
    note_read(0); /* now it is known where it is */
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route.uuid), STATUS_OK);
    run_to_complete(0);
    flow_world_run_ms(&world, 3600000); /* that read is long ago */
    fake_records_append(&chroma[0].records, "past", "the proxy");
    world.proxy->mirror_verify = mirror_verify_new(world.proxy->mirror);
    ck_assert_int_eq(mirror_verify_begin(world.proxy->mirror_verify, route.uuid, NULL), STATUS_OK);
    flow_world_run_ms(&world, 500);
    ck_assert_int_eq(mirror_report_verified(world.proxy).state, MIRROR_VERIFY_DIFFERENT);
    ck_assert_uint_eq(mirror_report_verified(world.proxy).records, 11);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_DIFFERS);
    expect_none(0, true, "doubtful");
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(others_may_have_written_beside_a_sidecar)
{
    struct reader reader;
    uint64_t      age_us;

    end();
    start(1, false);
    fill(0);
    expect_none(0, false, "sidecar");
    arrive(&reader, 0, true);
    ck_assert_int_eq(reader.status, STATUS_OK);
    ck_assert(!mirror_hold_is_complete(&reader.hold));
    age_us = mirror_hold_age_us(&reader.hold);
    ck_assert_uint_gt(age_us, 0);
    mirror_hold_release(&reader.hold);
    strcpy(chroma[0].records.list[2].document, "another's");
    for (unsigned i = 0; i < 20; i++) { /* it is made anew while it is read */
        flow_world_run_ms(&world, 1000);
        note_read(0);
        arrive(&reader, 0, true);
        ck_assert_int_eq(reader.status, STATUS_OK);
        ck_assert_uint_le(mirror_hold_age_us(&reader.hold), 17000000);
        if (i == 19)
            ck_assert(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records));
        mirror_hold_release(&reader.hold);
    }
    ck_assert_uint_le(fake_mirror_copies.alive_peak, 2);
    read_fault = FLOW_FAULT_RESET_BEFORE; /* now it cannot be */
    flow_world_run_ms(&world, 31000);
    expect_none(0, true, "old");
}
END_TEST

/* Else a worker would wait for him, and all other readers for that worker. */
START_TEST(changes_wait_for_who_reads_for_long)
{
    struct reader reader, late;

    fill(0);
    flow_world_run_ms(&world, 100);
    arrive_for_long(&reader);
    ck_assert_int_eq(reader.status, STATUS_OK);
    upsert(0, "k1", "second");
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(fake_mirror_copies.writes, 0);
    arrive(&late, 0, false);
    ck_assert_int_eq(late.status, STATUS_AGAIN);
    mirror_hold_release(&reader.hold);
    while (!late.is_told)
        fake_loop_run_for(world.loop, 10);
    ck_assert(late.may_read);
    ck_assert(fake_mirror_copy_is(mirror_hold_copy(&late.hold), &chroma[0].records));
    arrive_for_long(&reader); /* what is still done beside it is waited for */
    ck_assert_int_eq(reader.status, STATUS_AGAIN);
    mirror_hold_release(&late.hold);
    ck_assert(may_read(&reader));
    mirror_hold_release(&reader.hold);
    arrive_for_long(&reader);
    ck_assert_int_eq(reader.status, STATUS_OK);
    mirror_hold_release(&reader.hold);
    upsert(0, "k1", "third");
    expect_same(0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_copy_is_filled_and_kept);
    tcase_add_test(tcase, what_a_worker_has_made_of_a_copy_is_known_when_it_is_done);
    tcase_add_test(tcase, the_count_of_a_delete_decides);
    tcase_add_test(tcase, a_reader_waits_for_what_was_answered_before_it_came);
    tcase_add_test(tcase, who_waits_for_a_copy_that_is_given_up_is_told);
    tcase_add_test(tcase, what_is_read_stays_when_its_copy_is_given_up);
    tcase_add_test(tcase, no_reader_sees_the_new_and_then_the_old);
    tcase_add_test(tcase, an_unknown_outcome_gives_up_the_copy_until_it_is_settled);
    tcase_add_test(tcase, what_may_lack_something_answers_only_where_that_is_allowed);
    tcase_add_test(tcase, nothing_of_another_chroma_answers_although_it_may_lack_something);
    tcase_add_test(tcase, a_creation_of_unknown_outcome_leaves_the_copies);
    tcase_add_test(tcase, a_complete_copy_outlives_its_chroma);
    tcase_add_test(tcase, a_chroma_that_was_started_again_is_another_one_before_it_answers);
    tcase_add_test(tcase, off_costs_nothing);
    tcase_add_test(tcase, turned_off_all_copies_go);
    tcase_add_test(tcase, a_long_write_is_taken_over_and_not_copied);
    tcase_add_test(tcase, a_copy_that_differs_is_made_anew);
    tcase_add_test(tcase, others_may_have_written_beside_a_sidecar);
    tcase_add_test(tcase, changes_wait_for_who_reads_for_long);
    return check_main("flow_mirror", tcase);
}
