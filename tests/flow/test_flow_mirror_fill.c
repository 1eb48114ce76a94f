/* A copy is filled with all that Chroma holds, also if something fails, and is not in the way of
 * others; over a fake copy. */
#include <stdlib.h>

#include "calls/backend_breaker.h"
#include "calls/proxy_state.h"
#include "flow/fake_mirror_copy.h"
#include "flow/mirror_world.h"
#include "io/clock.h"
#include "proxy/mirror_report.h"
#include "support/check_main.h"

/* ---- Before it begins ------------------------------------------------------------------------ */

/* What Chroma says that the collection is cannot change with the next write any more. */
static bool has_shown_all(size_t collection)
{
    return collection_table_description_stamp(world.proxy->collections, route_of(collection).uuid,
                                              clock_now_us()) != 0;
}

/* A write of a process before this one, which Chroma has and shows to nobody. */
START_TEST(what_only_the_next_write_shows_is_in_a_copy)
{
    chroma[0].unseen = "unseen";
    fill(0);
    ck_assert_uint_eq(settles, 1);
    ck_assert(has_shown_all(0));
    ck_assert_uint_eq(look(0).records, 11);
    upsert(0, "new", "n");
    expect_same(0);
}
END_TEST

START_TEST(a_write_that_settles_and_is_refused_has_shown_nothing)
{
    write_status = 500;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_ANSWER);
    ck_assert(!has_shown_all(0));
    write_status = 200;
    run_to_complete(0);
    ck_assert(has_shown_all(0));
}
END_TEST

START_TEST(a_copy_waits_for_the_write_that_settles)
{
    write_fault = FLOW_FAULT_RESET_AFTER;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_uint_eq(lists, 0);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNKNOWN_OUTCOME);
}
END_TEST

START_TEST(a_write_that_settles_and_hangs_is_not_waited_for)
{
    write_delay_us = UINT64_C(86400) * 1000000;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    flow_world_run_ms(&world, 130 * 1000); /* deadline.write, and some turns more */
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNANSWERED], 1);
    ck_assert_uint_eq(world.backend.request_count - descriptions - counts, 1);
    ck_assert_uint_eq(lists, 0);
}
END_TEST

/* Else nothing would be answered from the cache while Chroma is busiest. */
START_TEST(a_write_that_settles_is_none_before_its_turn)
{
    end();
    world_connections = 4; /* of which two are left to writes */
    start(1, true);
    world_connections = 0;
    flow_world_run_ms(&world, SETTLE_MS - 100);
    write_delay_us = 5000000;
    for (size_t i = 1; i <= 2; i++)
        flow_client_printf(flow_world_client(&world),
                           "POST /api/v2/tenants/t/databases/d/collections HTTP/1.1\r\nHost: "
                           "chroma\r\nContent-Type: application/json\r\nContent-Length: "
                           "12\r\n\r\n{\"name\":\"%zu\"}",
                           i);
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(turn_queue_stats(world.proxy->turns)->turns[TURN_WRITE], 2);
    write_delay_us = 1000;
    note_read(0);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(descriptions, 1);
    ck_assert_uint_eq(settles, 0);
    ck_assert(
        collection_table_is_quiet(world.proxy->collections, route_of(0).uuid, 0, clock_now_us()));
    run_to_complete(0);
    ck_assert_uint_eq(settles, 1);
    expect_same(0);
}
END_TEST

START_TEST(where_others_write_nothing_is_settled)
{
    end();
    start(1, false);
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_uint_gt(pages, 0);
    ck_assert_uint_eq(settles, 0);
}
END_TEST

START_TEST(nothing_is_begun_while_writes_of_a_process_before_may_come)
{
    note_read(0);
    flow_world_run_ms(&world, 9900);
    ck_assert_uint_eq(world.backend.request_count, 0);
    flow_world_run_ms(&world, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
}
END_TEST

START_TEST(nothing_is_asked_in_a_pause)
{
    proxy_pause(world.proxy, true);
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 5000);
    ck_assert_uint_eq(world.backend.request_count, 0);
    proxy_pause(world.proxy, false);
    run_to_complete(0);
}
END_TEST

/* ---- What fails ------------------------------------------------------------------------------ */

/* 1 s, 2 s, 4 s, ... */
START_TEST(beginning_again_backs_off)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    for (unsigned i = 0; i < 60; i++) {
        fake_mirror_copies.fails = STATUS_IO_FAILED;
        flow_world_run_ms(&world, 1000);
        note_read(0);
    }
    ck_assert_uint_ge(lists, 5);
    ck_assert_uint_le(lists, 7);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_STORE);
    fake_mirror_copies.fails = STATUS_OK;
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(a_page_without_an_answer_is_asked_again)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 2);
    read_delay_us = 20000;
    while (pages < 2)
        flow_world_run_ms(&world, 5);
    read_fault = FLOW_FAULT_RESET_AFTER;
    flow_world_run_ms(&world, 100);
    read_fault = FLOW_FAULT_NONE;
    run_to_complete(0);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_ge(fake_mirror_copies.pages_failed, 1);
    expect_same(0);
}
END_TEST

START_TEST(a_chroma_that_is_down_is_left_alone)
{
    size_t asked;

    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_backend_kill(&world.backend);
    flow_world_run_ms(&world, 120000);
    fake_net_set_mode(FAKE_NET_ACCEPT);
    proxy_heartbeat(world.proxy, true);
    note_read(0);
    for (unsigned i = 0; i < 5; i++) /* the breaker is closed by them */
        flow_world_ask(&world, "query", 1 + i, 100, 100);
    run_to_complete(0);
    expect_same(0);
    asked = world.backend.accepted;
    ck_assert_uint_le(asked, 20);
}
END_TEST

/* Where all that people ask is answered from the cache, or nobody asks anything. */
START_TEST(a_chroma_that_answers_again_is_asked_although_nobody_does)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_backend_kill(&world.backend);
    for (unsigned i = 0; i < 10; i++)
        flow_world_ask(&world, "query", 1 + i, 100, 100);
    flow_world_run_ms(&world, 30000);
    ck_assert(backend_breaker_is_open(world.proxy->breaker));
    fake_net_set_mode(FAKE_NET_ACCEPT);
    proxy_heartbeat(world.proxy, true);
    run_to_complete(0);
    expect_same(0);
    ck_assert(backend_breaker_is_calm(world.proxy->breaker));
}
END_TEST

START_TEST(a_chroma_that_fails_is_left_alone)
{
    flow_world_run_ms(&world, SETTLE_MS);
    world.backend.plan.status = 500;
    for (unsigned i = 0; i < 60; i++)
        flow_world_ask(&world, "query", 1 + i, 100, 100);
    descriptions = 0; /* of the collection that those asked */
    note_read(0);
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(descriptions, 0);
    world.backend.plan.status = 200;
    proxy_heartbeat(world.proxy, true);
    for (unsigned i = 0; i < 5; i++)
        flow_world_ask(&world, "query", 101 + i, 100, 100);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* What others delete while it is filled is listed and never there. */
START_TEST(what_was_listed_and_is_gone_ends_the_filling)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    while (lists == 0)
        fake_loop_run_for(world.loop, 100);
    fake_records_remove(&chroma[0].records, fake_records_find(&chroma[0].records, "k9"));
    flow_world_run_ms(&world, 500);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_ANSWER);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_le(pages, 6);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* A sanitizer has its own malloc, as has another C library. */
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_FAILS 0
#elif defined(__has_feature)
#define MALLOC_FAILS (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define MALLOC_FAILS 1
#endif

/* While it is set nobody gets so much at once. */
static size_t denied_size = SIZE_MAX;

#if MALLOC_FAILS
void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    return size < denied_size ? __libc_malloc(size) : NULL;
}
#endif

static bool is_answer_coming(void *ctx)
{
    (void)ctx;
    return world.budget.accounts[MEMORY_ACCOUNT_MIRROR].used > 2000;
}

/* Once is no reason not to ask again. */
START_TEST(an_answer_for_which_memory_is_out_is_asked_for_again)
{
    padding = 20000;
    read_fault = FLOW_FAULT_IN_PIECES;
    note_read(0);
    ck_assert(fake_loop_run_until(world.loop, is_answer_coming, NULL,
                                  clock_now_us() + 60 * UINT64_C(1000000)));
    denied_size = padding / 2;
    flow_world_run_ms(&world, 200);
    denied_size = SIZE_MAX;
    ck_assert_int_ne(state_of(0), MIRROR_ENTRY_STOPPED);
    run_to_complete(0);
    ck_assert_uint_ge(lists, 1 + MALLOC_FAILS);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_TOO_LARGE], 0);
    expect_same(0);
}
END_TEST

/* ---- A pause --------------------------------------------------------------------------------- */

static size_t under_way(void)
{
    return proxy_under_way(world.proxy);
}

static bool is_asking(void *ctx)
{
    (void)ctx;
    return under_way() > 0;
}

/* Each question of a filling is waited for, the write that settles among them, and none begun. */
START_TEST(a_pause_waits_for_the_questions_of_a_filling)
{
    unsigned paused = 0;

    read_delay_us = write_delay_us = 300000;
    note_read(0);
    while (
        state_of(0) != MIRROR_ENTRY_COMPLETE &&
        fake_loop_run_until(world.loop, is_asking, NULL, clock_now_us() + 10 * UINT64_C(1000000))) {
        ck_assert_uint_eq(under_way(), 1);
        proxy_pause(world.proxy, true);
        flow_world_run_ms(&world, 250);
        ck_assert_uint_eq(under_way(), 1);
        flow_world_run_ms(&world, 100);
        for (unsigned i = 0; i < 20; i++) {
            ck_assert_uint_eq(under_way(), 0);
            flow_world_run_ms(&world, 100);
        }
        proxy_pause(world.proxy, false);
        paused++;
    }
    ck_assert_uint_ge(paused, 4); /* what it is, what settles it, the list, the records */
    ck_assert_uint_eq(settles, 1);
    expect_same(0);
}
END_TEST

START_TEST(a_pause_waits_for_a_page_that_is_verified)
{
    uint8_t uuid[16];

    fill(0);
    read_delay_us = 300000;
    ck_assert(chroma_route_parse_uuid(bytes_of(chroma[0].uuid), uuid));
    world.proxy->mirror_verify = mirror_verify_new(world.proxy->mirror);
    ck_assert_int_eq(mirror_verify_begin(world.proxy->mirror_verify, uuid, NULL), STATUS_OK);
    flow_world_run_ms(&world, 100);
    proxy_pause(world.proxy, true);
    ck_assert_uint_eq(under_way(), 1);
    flow_world_run_ms(&world, 400);
    ck_assert_uint_eq(under_way(), 0);
    ck_assert_int_eq(mirror_report_verified(world.proxy).state, MIRROR_VERIFY_SAME);
    ck_assert_int_eq(mirror_verify_begin(world.proxy->mirror_verify, uuid, NULL), STATUS_OK);
    for (unsigned i = 0; i < 700; i++) {
        flow_world_run_ms(&world, 100);
        ck_assert_uint_eq(under_way(), 0);
    }
    ck_assert_int_eq(mirror_report_verified(world.proxy).state, MIRROR_VERIFY_RUNNING);
    proxy_pause(world.proxy, false);
    flow_world_run_ms(&world, 1000);
    ck_assert_int_eq(mirror_report_verified(world.proxy).state, MIRROR_VERIFY_SAME);
}
END_TEST

/* ---- Beside others --------------------------------------------------------------------------- */

/* Milliseconds that a filling of twelve questions of 10 ms takes beside a reader that rests 20 ms
 * after each question, of others_us. */
static uint64_t fill_beside(uint64_t others_us)
{
    static const char *const names[] = {"docs-0"};
    struct flow_client      *reader = flow_world_client(&world);
    uint64_t                 began_us;

    options.collections = names;
    set_options();
    create();
    note_read(1); /* which is not copied */
    read_delay_us = 10000;
    write_delay_us = others_us; /* of what is no get, too */
    fake_mirror_copies.page_records = 1;
    flow_world_run_ms(&world, 60000);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    began_us = clock_now_us();
    lists = pages = descriptions = 0;
    while (state_of(0) != MIRROR_ENTRY_COMPLETE) {
        size_t answers = reader->answer_count;

        flow_client_printf(reader, "GET " PATH "%s/count HTTP/1.1\r\nHost: chroma\r\n\r\n",
                           chroma[1].uuid);
        ck_assert(flow_world_run_to_answers(&world, reader, answers + 1));
        flow_world_run_ms(&world, 20);
        if (clock_now_us() - began_us < 200000) /* it is not known yet how much others do */
            ck_assert_uint_le(lists + pages + descriptions, 3);
    }
    return (clock_now_us() - began_us) / 1000;
}

/* All of its time where nobody uses it. */
START_TEST(filling_takes_no_rest_where_chroma_is_idle)
{
    uint64_t began_us;

    read_delay_us = 10000;
    note_read(0);
    began_us = clock_now_us() + SETTLE_MS * UINT64_C(1000);
    run_to_complete(0);
    ck_assert_uint_lt(clock_now_us() - began_us, 200000);
}
END_TEST

/* A tenth where others use it much. */
START_TEST(filling_leaves_chroma_to_others)
{
    ck_assert_uint_ge(fill_beside(20000), 1100);
    ck_assert_uint_le(fill_beside(20000), 1600);
}
END_TEST

START_TEST(filling_takes_half_of_what_others_leave_idle)
{
    ck_assert_uint_le(fill_beside(1000), 550);
}
END_TEST

/* Which take 10 ms each, whatever they hold: too long beside others, and just right without. */
START_TEST(pages_are_short_beside_others)
{
    (void)fill_beside(1000);
    ck_assert_uint_eq(fake_mirror_copies.page_bytes, 64 << 10);
    ck_assert_int_eq(mirror_keeper_drop(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    flow_world_run_ms(&world, 60000);
    read_delay_us = _i == 0 ? 10000 : 9000;
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    run_to_complete(0);
    ck_assert_uint_eq(fake_mirror_copies.page_bytes, _i == 0 ? 64 << 10 : 1 << 20);
}
END_TEST

/* Nobody knows how long it will be. */
START_TEST(filling_leaves_chroma_to_a_long_call)
{
    struct flow_client *client = flow_world_client(&world);
    uint64_t            began_us;

    read_delay_us = 10000;
    fake_mirror_copies.page_records = 1;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS - 200);
    write_delay_us = 20000000;
    flow_client_printf(client,
                       "GET " PATH "%s/count HTTP/1.1\r\nHost: chroma\r\n"
                       "Cache-Control: no-store\r\n\r\n", /* no copy overtakes it */
                       chroma[1].uuid);
    flow_world_run_ms(&world, 100);
    write_delay_us = 1000;
    began_us = clock_now_us();
    run_to_complete(0);
    ck_assert_uint_eq(client->answer_count, 0);
    ck_assert_uint_ge(clock_now_us() - began_us, 1100000);
}
END_TEST

/* The first pages are of one, the last ones of another that has the same collection. */
START_TEST(a_copy_of_two_chromas_is_not_complete)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS - 10);
    while (pages < 2)
        fake_loop_run_for(world.loop, 100);
    flow_world_lose(&world, 2);
    for (size_t i = 0; i < chroma[0].records.count; i++)
        strcpy(chroma[0].records.list[i].document, "of another one");
    flow_world_run_ms(&world, 5000);
    expect_none(0, true, "doubtful");
    set_backend(3);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_INCARNATION], 1);
}
END_TEST

static bool metrics_have(const char *line)
{
    struct byte_buffer out = {0};
    bool               found;

    ck_assert_int_eq(mirror_keeper_print_metrics(world.proxy->mirror, &out), STATUS_OK);
    found =
        memmem(byte_buffer_bytes(&out).data, byte_buffer_size(&out), line, strlen(line)) != NULL;
    byte_buffer_done(&out);
    return found;
}

START_TEST(how_long_a_filling_takes_is_told)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS - 10);
    ck_assert(metrics_have("\nchromabouncer_mirror_left_seconds 0\n"));
    while (look(0).left_us == 0)
        fake_loop_run_for(world.loop, 100);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_FILLING);
    ck_assert(metrics_have("\nchromabouncer_mirror_left_seconds 1\n")); /* rounded up */
    run_to_complete(0);
    ck_assert_uint_eq(look(0).left_us, 0);
    ck_assert(metrics_have("\nchromabouncer_mirror_left_seconds 0\n"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_fill");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, what_only_the_next_write_shows_is_in_a_copy);
    tcase_add_test(tcase, a_write_that_settles_and_is_refused_has_shown_nothing);
    tcase_add_test(tcase, a_copy_waits_for_the_write_that_settles);
    tcase_add_test(tcase, a_write_that_settles_and_hangs_is_not_waited_for);
    tcase_add_test(tcase, a_write_that_settles_is_none_before_its_turn);
    tcase_add_test(tcase, where_others_write_nothing_is_settled);
    tcase_add_test(tcase, nothing_is_begun_while_writes_of_a_process_before_may_come);
    tcase_add_test(tcase, nothing_is_asked_in_a_pause);
    tcase_add_test(tcase, beginning_again_backs_off);
    tcase_add_test(tcase, a_page_without_an_answer_is_asked_again);
    tcase_add_test(tcase, a_chroma_that_is_down_is_left_alone);
    tcase_add_test(tcase, a_chroma_that_answers_again_is_asked_although_nobody_does);
    tcase_add_test(tcase, a_chroma_that_fails_is_left_alone);
    tcase_add_test(tcase, what_was_listed_and_is_gone_ends_the_filling);
    tcase_add_test(tcase, an_answer_for_which_memory_is_out_is_asked_for_again);
    tcase_add_test(tcase, a_pause_waits_for_the_questions_of_a_filling);
    tcase_add_test(tcase, a_pause_waits_for_a_page_that_is_verified);
    tcase_add_test(tcase, filling_takes_no_rest_where_chroma_is_idle);
    tcase_add_test(tcase, filling_leaves_chroma_to_others);
    tcase_add_test(tcase, filling_takes_half_of_what_others_leave_idle);
    tcase_add_loop_test(tcase, pages_are_short_beside_others, 0, 2);
    tcase_add_test(tcase, filling_leaves_chroma_to_a_long_call);
    tcase_add_test(tcase, a_copy_of_two_chromas_is_not_complete);
    tcase_add_test(tcase, how_long_a_filling_takes_is_told);
    return check_main("flow_mirror_fill", tcase);
}
