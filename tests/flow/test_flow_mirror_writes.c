/* What is written while a copy is filled is in it when it is complete; over a fake copy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "calls/proxy_state.h"
#include "flow/fake_mirror_copy.h"
#include "flow/mirror_world.h"
#include "io/clock.h"
#include "support/check_main.h"

START_TEST(a_list_that_a_delete_has_crossed_is_asked_again)
{
    size_t answers;

    read_delay_us = 50000;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 70); /* the list is under way */
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    do_write(0, "delete", "{\"ids\":[\"k2\"]}", 200);
    run_to_complete(0);
    ck_assert_uint_eq(lists, 2);
    expect_same(0);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    write_delay_us = 1000000; /* and none is asked while one is under way */
    answers = writer->answer_count;
    flow_world_run_ms(&world, 30); /* begun, and what it is asked */
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    send_write(writer, 0, "delete", "{\"ids\":[\"k3\"]}");
    flow_world_run_ms(&world, 900);
    ck_assert_uint_eq(lists, 2);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    run_to_complete(0);
    ck_assert_uint_eq(lists, 3);
    expect_same(0);
}
END_TEST

/* One after another, as fast as they come, so that there is no pause between them. */
START_TEST(writes_that_never_end_do_not_keep_a_copy_from_being_filled)
{
    struct flow_client *clients[2] = {flow_world_client(&world), flow_world_client(&world)};
    unsigned            sent = 0;
    char                body[200];

    flow_world_run_ms(&world, SETTLE_MS);
    note_read(0);
    while (state_of(0) != MIRROR_ENTRY_COMPLETE && sent < 2 * FLOW_CLIENT_ANSWERS_MAX) {
        snprintf(body, sizeof body,
                 "{\"ids\":[\"n%u\"],\"embeddings\":[[1,2]],\"documents\":[\"d\"]}", sent);
        send_write(clients[sent % 2], 0, "add", body); /* while the one before is under way */
        if (sent++ > 0)
            ck_assert(flow_world_run_to_answers(&world, clients[sent % 2], sent / 2));
    }
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
    ck_assert_uint_gt(look(0).writes, 10);
    ck_assert(flow_world_run_to_answers(&world, clients[0], (sent + 1) / 2));
    ck_assert(flow_world_run_to_answers(&world, clients[1], sent / 2));
    expect_same(0);
}
END_TEST

/* ---- Deletes by a filter -------------------------------------------------------------------- */

/* Of twenty records, ten of which a filter takes, some are not read yet. */
static void begin_to_fill(void)
{
    char id[20];

    for (unsigned i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "x%u", i);
        fake_records_append(&chroma[0].records, id, "first");
    }
    fake_mirror_copies.page_records = 1;
    read_delay_us = 5000;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    for (unsigned i = 0; pages < 3 && i < 1000; i++)
        flow_world_run_ms(&world, 1);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_FILLING);
    ck_assert_uint_gt(look(0).hollow, 10);
}

static const char by_filter[] = "{\"where\":{\"a\":1}}";

START_TEST(a_delete_by_a_filter_does_not_begin_a_filling_anew)
{
    begin_to_fill();
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_eq(asks, 1);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(look(0).records, 10);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_eq(fake_mirror_copies.deletes_found, 1);
    upsert(0, "x1", "again"); /* and one that is whole knows by itself */
    do_write(0, "delete", by_filter, 200);
    expect_same(0);
    ck_assert_uint_eq(asks, 1);
    ck_assert_uint_eq(look(0).fills, 1);
}
END_TEST

START_TEST(a_filter_that_a_copy_does_not_read_is_asked)
{
    upsert(0, "x1", "a");
    fill(0);
    do_write(0, "delete", "{\"where_document\":{\"$regex\":\"x\"}}", 200);
    expect_same(0);
    ck_assert_uint_eq(asks, 1);
    ck_assert_uint_eq(look(0).records, 10);
    do_write(0, "delete", "{\"ids\":[\"k1\"]}", 200);
    expect_same(0);
    ck_assert_uint_eq(asks, 1);
}
END_TEST

START_TEST(what_a_delete_takes_beside_what_was_found_gives_up_the_copy)
{
    begin_to_fill();
    between = "x-other";
    do_write(0, "delete", by_filter, 200);
    between = NULL;
    flow_world_run_ms(&world, 50);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 1);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* It waits for a second, and is Chroma's whatever the copy knows. */
START_TEST(a_delete_is_sent_if_nobody_says_what_it_takes)
{
    uint64_t began_us;

    begin_to_fill();
    read_delay_us = 30000000;
    began_us = clock_now_us();
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_ge(clock_now_us() - began_us, 1000000);
    ck_assert_uint_le(clock_now_us() - began_us, 1200000);
    ck_assert_uint_eq(chroma[0].records.count, 10);
    read_delay_us = 1000;
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 1);
}
END_TEST

START_TEST(a_delete_is_sent_if_chroma_does_not_say_what_it_takes)
{
    begin_to_fill();
    chroma_wants_credentials = true;
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_eq(chroma[0].records.count, 10);
}
END_TEST

/* Its client's deadline is not spent on a question. */
START_TEST(a_delete_whose_deadline_is_near_is_sent_at_once)
{
    begin_to_fill();
    world.proxy->options.deadline_write_us = 1500000;
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_eq(asks, 0);
    ck_assert_uint_eq(chroma[0].records.count, 10);
}
END_TEST

/* Many collections may have one at a time, with an answer of megabytes each. */
START_TEST(where_memory_is_short_a_delete_is_sent_at_once)
{
    struct memory_account *account = &world.proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR];
    size_t                 rest;

    begin_to_fill();
    rest = (size_t)(world.proxy->budget->max - world.proxy->budget->used) - (4 << 20);
    memory_account_charge(account, rest);
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_eq(asks, 0);
    ck_assert_uint_eq(chroma[0].records.count, 10);
    memory_account_release(account, rest);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* What comes after it stays after it. */
START_TEST(writes_behind_a_delete_wait_for_its_question)
{
    struct flow_client *other = flow_world_client(&world);

    begin_to_fill();
    read_delay_us = 50000;
    send_write(writer, 0, "delete", by_filter);
    flow_world_run_ms(&world, 10);
    send_write(other, 0, "upsert",
               "{\"ids\":[\"x1\"],\"embeddings\":[[1,2]],\"documents\":[\"after\"]}");
    ck_assert(flow_world_run_to_answers(&world, other, 1));
    ck_assert_uint_eq(writer->answer_count, 1);
    ck_assert_uint_eq(asks, 1);
    ck_assert_ptr_nonnull(fake_records_find(&chroma[0].records, "x1"));
    ck_assert_uint_eq(chroma[0].records.count, 11);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(lists, 1);
}
END_TEST

/* Without a word on what it would have taken. */
START_TEST(a_delete_that_takes_nothing_changes_nothing)
{
    begin_to_fill();
    do_write(0, "delete", by_filter, 200);
    run_to_complete(0);
    chroma_wants_credentials = true; /* it cannot be asked */
    do_write(0, "delete", "{\"where_document\":{\"$regex\":\"x\"}}", 200);
    expect_same(0);
}
END_TEST

/* Fill it anew, until its ids are being listed. */
static void begin_to_list(void)
{
    unsigned settled = settles + 1;

    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    read_delay_us = 100000;
    lists = 0;
    for (unsigned i = 0; i < 2000 && (settles < settled || world.backend.busy == 0); i++)
        flow_world_run_ms(&world, 1);
    ck_assert_uint_eq(settles, settled);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
}

START_TEST(a_delete_that_takes_nothing_does_not_cross_a_list)
{
    fill(0);
    begin_to_list();
    do_write(0, "delete", "{\"limit\":9}", 200);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(lists, 1);
}
END_TEST

START_TEST(a_delete_that_ends_after_a_list_crosses_it)
{
    fill(0);
    begin_to_list();
    write_delay_us = 500000;
    do_write(0, "delete", "{\"ids\":[\"k2\"]}", 200);
    ck_assert_uint_eq(lists, 1);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(lists, 2);
}
END_TEST

/* ---- The last records ----------------------------------------------------------------------- */

/* The same records are written without a pause: two clients, of which always one has a write under
 * way. Until the copy is complete, or so many pages were asked for. The longest time that a write
 * took, and how many took longer than 200 ms. */
static struct {
    uint64_t longest_us;
    unsigned long_ones, writes;
} without_pause;

/* Until the write of `other`, its `count`th, is answered. */
static void write_one_of_two(struct flow_client *client, struct flow_client *other, size_t count)
{
    uint64_t began_us = clock_now_us();
    char     body[200];

    snprintf(
        body, sizeof body,
        "{\"ids\":[\"k2\",\"k5\"],\"embeddings\":[[1,2],[3,4]],\"documents\":[\"a%u\",\"b%u\"]}",
        without_pause.writes, without_pause.writes);
    without_pause.writes++;
    send_write(client, 0, "update", body);
    ck_assert(flow_world_run_to_answers(&world, other, count));
    if (clock_now_us() - began_us > without_pause.longest_us)
        without_pause.longest_us = clock_now_us() - began_us;
    without_pause.long_ones += clock_now_us() - began_us > 200000;
}

static void write_without_pause(unsigned pages_most, unsigned writes_most)
{
    unsigned asked = pages;

    memset(&without_pause, 0, sizeof without_pause);
    while (state_of(0) != MIRROR_ENTRY_COMPLETE && pages < asked + pages_most &&
           without_pause.writes < writes_most) {
        struct flow_client *one = flow_world_client(&world), *two = flow_world_client(&world);

        send_write(two, 0, "update",
                   "{\"ids\":[\"k2\"],\"embeddings\":[[1,2]],\"documents\":[\"first\"]}");
        for (size_t i = 1; i < FLOW_CLIENT_ANSWERS_MAX - 2; i++) {
            write_one_of_two(one, two, i);
            write_one_of_two(two, one, i);
            if (state_of(0) == MIRROR_ENTRY_COMPLETE || pages >= asked + pages_most) {
                ck_assert(flow_world_run_to_answers(&world, two, i + 1));
                break;
            }
        }
    }
}

START_TEST(writes_to_the_same_records_do_not_keep_a_copy_from_being_filled)
{
    flow_world_run_ms(&world, SETTLE_MS);
    note_read(0);
    write_without_pause(100, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
    ck_assert_uint_lt(without_pause.longest_us, 10000);
    expect_same(0);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 0);
    ck_assert_uint_eq(lists, 1);
}
END_TEST

/* Beside so many pages was a write; the next one is asked for in the lane. */
enum { PAGES_IN_VAIN = 3 };

START_TEST(a_write_waits_for_the_last_records_for_a_moment)
{
    flow_world_run_ms(&world, SETTLE_MS);
    note_read(0);
    write_without_pause(PAGES_IN_VAIN, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_FILLING);
    read_delay_us = 5000000;
    write_without_pause(100, 2000);
    ck_assert_uint_ge(without_pause.longest_us, 250000);
    ck_assert_uint_le(without_pause.longest_us, 300000);
    ck_assert_uint_eq(without_pause.long_ones, 1);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_FILLING);
    read_delay_us = 1000;
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(the_last_records_do_not_wait_for_a_write)
{
    flow_world_run_ms(&world, SETTLE_MS);
    note_read(0);
    write_without_pause(PAGES_IN_VAIN, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_FILLING);
    flow_world_run_ms(&world, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
    expect_same(0);
}
END_TEST

/* ---- Writes while it is filled -------------------------------------------------------------- */

enum { WRITERS = 4, writes_before = 40, writes_after = 20 };

static struct writing {
    struct flow_client *client;
    size_t              sent, number;
} writings[WRITERS];

/* Ids of each writer, so that it knows what it has written. */
static void write_at_random(struct writing *writing)
{
    static const char *const operations[] = {"add", "upsert", "upsert", "update", "delete"};
    const char              *operation = operations[fake_loop_random(COUNT_OF(operations))];
    char                     body[200];
    unsigned                 id = fake_loop_random(6);

    writing->number = (size_t)(writing - writings);
    if (strcmp(operation, "delete") == 0 && fake_loop_chance(50))
        snprintf(body, sizeof body, "%s", by_filter);
    else if (strcmp(operation, "delete") == 0)
        snprintf(body, sizeof body, "{\"ids\":[\"k%u\",\"c%zu-%u\"]}", fake_loop_random(10),
                 writing->number, id);
    else
        snprintf(body, sizeof body,
                 "{\"ids\":[\"%c%zu-%u\",\"k%u\"],\"embeddings\":[[1,2],[3,4]],\"documents\":"
                 "[\"v%u\",\"v%u\"]}",
                 fake_loop_chance(30) ? 'x' : 'c', writing->number, id, fake_loop_random(10),
                 fake_loop_random(1000000), fake_loop_random(1000000));
    send_write(writing->client, 0, operation, body);
    writing->sent++;
}

static void random_run(uint64_t seed)
{
    struct reader reader;

    start(seed, true);
    fake_mirror_copies.page_records = 1 + fake_loop_random(4);
    delay_random_us = 1 + fake_loop_random(8000);
    reads_at_arrival = fake_loop_chance(50);
    if (fake_loop_chance(50))
        world.proxy->options.deadline_read_us = 2000000;
    flow_world_run_ms(&world, SETTLE_MS);
    for (size_t i = 0; i < WRITERS; i++)
        writings[i] = (struct writing){.client = flow_world_client(&world)};
    for (unsigned i = 0; i < 400; i++) {
        struct writing *writing = &writings[fake_loop_random(WRITERS)];

        if (i % 10 == 0)
            note_read(0);
        if (writing->client->answer_count == writing->sent && writing->sent < writes_before)
            write_at_random(writing);
        flow_world_run_ms(&world, fake_loop_random(8));
        if (fake_loop_chance(5))
            mirror_keeper_note_answer(world.proxy->mirror, route_of(0).uuid);
    }
    for (size_t i = 0; i < WRITERS; i++)
        ck_assert(flow_world_run_to_answers(&world, writings[i].client, writings[i].sent));
    run_to_complete(0);
    arrive(&reader, 0, false);
    ck_assert(may_read(&reader));
    ck_assert_msg(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records),
                  "seed %llu", (unsigned long long)seed);
    mirror_hold_release(&reader.hold);
    for (unsigned i = 0; i < writes_after; i++) { /* and as it is kept */
        struct writing *writing = &writings[i % WRITERS];

        write_at_random(writing);
        ck_assert(flow_world_run_to_answers(&world, writing->client, writing->sent));
        arrive(&reader, 0, false);
        ck_assert(may_read(&reader));
        ck_assert_msg(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records),
                      "seed %llu", (unsigned long long)seed);
        mirror_hold_release(&reader.hold);
    }
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 0);
    end();
}

/* It was sent after the list, and is known when the page is under way, or is applied, or is. */
START_TEST(a_write_beside_the_last_page_is_in_the_copy_before_it_is_complete)
{
    for (uint64_t write_us = 500; write_us < 20000; write_us += 500) {
        end();
        start(write_us, true);
        fake_mirror_copies.page_records = 10;
        note_read(0);
        flow_world_run_ms(&world, SETTLE_MS - 10);
        while (lists == 0)
            fake_loop_run_for(world.loop, 100);
        write_delay_us = write_us;
        send_write(writer, 0, "update",
                   "{\"ids\":[\"k9\"],\"embeddings\":[[1,2]],\"documents\":[\"second\"]}");
        run_to_complete(0);
        ck_assert(flow_world_run_to_answers(&world, writer, 1));
        expect_same(0);
        ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 0);
        ck_assert_uint_eq(look(0).refills[MIRROR_REASON_ANSWER], 0);
        ck_assert_uint_eq(lists, 1);
    }
}
END_TEST

START_TEST(a_copy_that_is_filled_while_writes_pass_is_what_chroma_holds)
{
    const char *more = getenv("FLOW_MIRROR_SEEDS");
    unsigned    seeds = more == NULL ? 30 : (unsigned)atoi(more);

    end();
    for (unsigned seed = 1; seed <= seeds; seed++)
        random_run(seed);
    begin();
}
END_TEST

/* Wherever it is, nothing is left. */
START_TEST(the_end_comes_at_any_time)
{
    for (uint64_t seed = 1; seed < 80; seed++) {
        end();
        start(seed, true);
        delay_random_us = 5000;
        note_read(0);
        flow_world_run_ms(&world, SETTLE_MS);
        send_write(writer, 0, "upsert",
                   "{\"ids\":[\"k1\"],\"embeddings\":[[1,2]],\"documents\":[\"second\"]}");
        fake_loop_run_for(world.loop, fake_loop_random(40000));
    }
}
END_TEST

/* As a single node answers to what only a distributed Chroma has. */
START_TEST(what_chroma_does_not_have_changes_nothing)
{
    fill(0);
    write_status = 501;
    do_write(1, "attached_functions/f/detach", "{}", 501);
    write_status = 200;
    expect_same(0);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNKNOWN_OUTCOME], 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_writes");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_list_that_a_delete_has_crossed_is_asked_again);
    tcase_add_test(tcase, writes_that_never_end_do_not_keep_a_copy_from_being_filled);
    tcase_add_test(tcase, a_delete_by_a_filter_does_not_begin_a_filling_anew);
    tcase_add_test(tcase, a_filter_that_a_copy_does_not_read_is_asked);
    tcase_add_test(tcase, what_a_delete_takes_beside_what_was_found_gives_up_the_copy);
    tcase_add_test(tcase, a_delete_is_sent_if_nobody_says_what_it_takes);
    tcase_add_test(tcase, a_delete_is_sent_if_chroma_does_not_say_what_it_takes);
    tcase_add_test(tcase, a_delete_whose_deadline_is_near_is_sent_at_once);
    tcase_add_test(tcase, where_memory_is_short_a_delete_is_sent_at_once);
    tcase_add_test(tcase, writes_behind_a_delete_wait_for_its_question);
    tcase_add_test(tcase, a_delete_that_takes_nothing_changes_nothing);
    tcase_add_test(tcase, a_delete_that_takes_nothing_does_not_cross_a_list);
    tcase_add_test(tcase, a_delete_that_ends_after_a_list_crosses_it);
    tcase_add_test(tcase, writes_to_the_same_records_do_not_keep_a_copy_from_being_filled);
    tcase_add_test(tcase, a_write_waits_for_the_last_records_for_a_moment);
    tcase_add_test(tcase, the_last_records_do_not_wait_for_a_write);
    tcase_add_test(tcase, a_write_beside_the_last_page_is_in_the_copy_before_it_is_complete);
    tcase_add_test(tcase, a_copy_that_is_filled_while_writes_pass_is_what_chroma_holds);
    tcase_add_test(tcase, the_end_comes_at_any_time);
    tcase_add_test(tcase, what_chroma_does_not_have_changes_nothing);
    return check_main("flow_mirror_writes", tcase);
}
