/* Those collections are copied that are read and wanted and can be, as far as they fit; over a fake
 * copy. */
#include "calls/proxy_state.h"
#include "flow/fake_mirror_copy.h"
#include "flow/mirror_world.h"
#include "mirror/mirror_estimate.h"
#include "support/check_main.h"

/* Of a collection that an old Chroma made, the new one may say l2 and search otherwise. */
START_TEST(only_a_collection_that_is_searched_as_it_says_is_copied)
{
    space = "l2";
    distance = "0.7126";
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNFIT);
    ck_assert_uint_eq(lists, 0);
    distance = "6.3125"; /* from 0.75, -2.5 */
    fill(1);
}
END_TEST

/* One that was emptied, and is filled again. */
START_TEST(the_space_of_an_empty_collection_is_asked_when_it_has_records)
{
    space = "l2";
    distance = NULL; /* nothing is found */
    chroma[0].records.count = 0;
    fill(0);
    expect_same(0);
    distance = "0.7126"; /* it is another space */
    upsert(0, "k1", "first");
    flow_world_run_ms(&world, 10);
    expect_none(0, false, "waiting");
    flow_world_run_ms(&world, 2000);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNFIT);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    distance = NULL;
    chroma[0].records.count = 0;
    run_to_complete(0);
    distance = "6.3125"; /* it is not */
    upsert(0, "k1", "again");
    flow_world_run_ms(&world, 10);
    run_to_complete(0);
    expect_same(0);
    upsert(0, "k1", "and again");
    expect_same(0);
}
END_TEST

/* Each write goes by itself then, and two to a collection may be answered in any order. */
START_TEST(without_lanes_nothing_is_copied)
{
    end();
    start_as(1, true, false);
    world.proxy->write_options.is_coalescing = false;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_uint_eq(descriptions, 0);
    ck_assert_ptr_nonnull(mirror_keeper_obstacle(world.proxy->mirror));
}
END_TEST

static uint64_t memory_of_copy(size_t collection)
{
    return 1000 + chroma[collection].records.count * fake_mirror_copies.record_memory;
}

START_TEST(what_does_not_fit_is_stopped)
{
    options.memory_max = 1500;
    set_options();
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 2000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_TOO_LARGE);
    ck_assert_uint_eq(look(0).expected_records, chroma[0].records.count);
    ck_assert_uint_eq(look(0).expected_memory, memory_of_copy(0));
    ck_assert_uint_eq(lists, 1);
    expect_none(0, true, "doubtful");
    note_read(0);
    flow_world_run_ms(&world, 200000);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    options.memory_max = 1 << 20;
    set_options();
    fill(0);
    expect_same(0);
    ck_assert_uint_eq(look(0).expected_memory, 0); /* what it takes is there to see */
}
END_TEST

/* What dimension it has Chroma is asked only where nobody knows. */
START_TEST(what_would_be_taken_is_known_before_it_is_begun)
{
    options.memory_max = 0; /* nothing fits, so that it waits */
    set_options();
    if (_i == 1)
        upsert(0, "k0", "this says it");
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
    ck_assert_uint_eq(look(0).expected_records, 10);
    ck_assert_uint_eq(look(0).expected_memory, mirror_estimate_of_size(10, 2));
    ck_assert_uint_eq(look(0).expected_vectors, mirror_estimate_of_vectors(10, 2));
    ck_assert_uint_gt(look(0).expected_vectors, 0);
    ck_assert_uint_eq(descriptions, _i == 1 ? 0 : 1);
    ck_assert_uint_eq(lists + settles, 0);
    options.memory_max = 1 << 20;
    set_options();
    run_to_complete(0);
    ck_assert_uint_eq(counts, 1);
    ck_assert_uint_eq(look(0).expected_vectors, 0);
}
END_TEST

/* Chroma is not asked about it all the time if it does not say. */
START_TEST(what_is_not_known_is_asked_again_a_minute_later)
{
    options.memory_max = 0;
    set_options();
    chroma_wants_credentials = true;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 50000);
    ck_assert_uint_eq(look(0).expected_records, 0);
    ck_assert_uint_eq(world.backend.request_count, 2);
    chroma_wants_credentials = false;
    flow_world_run_ms(&world, 20000);
    ck_assert_uint_eq(look(0).expected_records, 10);
    ck_assert_uint_eq(world.backend.request_count, 4);
    flow_world_run_ms(&world, 200000);
    ck_assert_uint_eq(world.backend.request_count, 4);
}
END_TEST

/* A sixteenth of what it may take is for those who read it. */
START_TEST(what_will_not_fit_is_not_filled)
{
    static const struct {
        uint64_t expected;
        bool     is_unsampled, fits;
    } cases[] = {{16000, false, false},
                 {15100, false, false},
                 {14900, false, true},
                 {16000, true, true}, /* it may be less */
                 {25000, true, false}};

    options.memory_max = 16000;
    fake_mirror_copies.expected = cases[_i].expected;
    fake_mirror_copies.is_unsampled = cases[_i].is_unsampled;
    set_options();
    note_read(0);
    if (cases[_i].fits) {
        run_to_complete(0);
        return;
    }
    flow_world_run_ms(&world, SETTLE_MS + 2000);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_TOO_LARGE);
    ck_assert_uint_eq(look(0).expected_records, chroma[0].records.count);
    ck_assert_uint_eq(look(0).expected_memory, cases[_i].expected);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_eq(pages, 0);
}
END_TEST

static void read_often(size_t collection, unsigned times)
{
    while (times-- > 0)
        note_read(collection);
}

START_TEST(the_coldest_goes_when_not_all_fit)
{
    options.collection_count = 0;
    options.memory_max = 3500;
    set_options();
    chroma[1].records = chroma[2].records = chroma[0].records; /* 2000 bytes each */
    flow_world_run_ms(&world, SETTLE_MS + 2000);
    ck_assert_uint_eq(lists, 0); /* nobody has read it */
    read_often(0, 1);
    run_to_complete(0); /* there is room */
    read_often(0, 9);
    read_often(1, 11); /* hotter, but not clearly */
    flow_world_run_ms(&world, 5000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
    ck_assert_int_eq(state_of(1), MIRROR_ENTRY_WAITING);
    ck_assert_int_eq(look(1).reason, MIRROR_REASON_COLD);
    ck_assert_uint_le(lists, 2);
    flow_world_run_ms(&world, 100000);
    ck_assert_uint_le(lists, 2); /* it is not tried again in vain */
    read_often(1, 30);
    flow_world_run_ms(&world, 70000);
    ck_assert_int_eq(state_of(1), MIRROR_ENTRY_COMPLETE);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
    ck_assert_uint_le(fake_mirror_copies.alive, 1);
    ck_assert_uint_le(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].used, 3500);
    expect_same(1);
}
END_TEST

START_TEST(several_are_kept_side_by_side)
{
    fake_records_append(&chroma[1].records, "a", "b");
    note_read(0);
    note_read(1);
    run_to_complete(0);
    run_to_complete(1);
    upsert(1, "c", "d");
    expect_same(0);
    expect_same(1);
    ck_assert_uint_eq(mirror_keeper_usage(world.proxy->mirror).complete, 2);
}
END_TEST

START_TEST(only_names_that_are_wanted_are_copied)
{
    static const char *const names[] = {"elsewhere/*/*", "t/d*/docs-1"};

    options.collections = names;
    options.collection_count = 2;
    set_options();
    read_often(0, 50);
    flow_world_run_ms(&world, SETTLE_MS + 2000);
    ck_assert_uint_eq(descriptions, 1);
    ck_assert_uint_eq(lists, 0);
    ck_assert_uint_eq(mirror_keeper_usage(world.proxy->mirror).entries, 0);
    read_often(0, 50);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(descriptions, 1);
    fill(1);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* It writes to a collection of its own in that database, which one its body says, whenever it
 * likes. */
START_TEST(where_a_function_is_attached_nothing_is_copied)
{
    fill(0);
    do_write(1, "functions/attach", "{\"name\":\"f\",\"output_collection\":\"docs-0\"}", 200);
    for (unsigned i = 0; i < 100; i++) {
        note_read(0);
        note_read(1);
        flow_world_run_ms(&world, 60000);
        ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
        ck_assert_int_ne(state_of(1), MIRROR_ENTRY_COMPLETE);
    }
}
END_TEST

START_TEST(credentials_and_other_chromas_stop_it)
{
    chroma_wants_credentials = true;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_CREDENTIALS);
    chroma_wants_credentials = false;
    chroma_is_old = true;
    set_backend(2);
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNFIT);
    ck_assert_ptr_nonnull(mirror_keeper_obstacle(world.proxy->mirror));
    note_read(1);
    flow_world_run_ms(&world, 5000);
    ck_assert_uint_eq(descriptions, 0);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(1).uuid),
                     STATUS_NOT_IMPLEMENTED);
    chroma_is_old = false;
    set_backend(3);
    ck_assert_ptr_null(mirror_keeper_obstacle(world.proxy->mirror));
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(a_schema_of_the_user_s_is_not_copied)
{
    schema = "{\"defaults\":{\"int\":{\"int_inverted_index\":{\"enabled\":false}}}}";
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNFIT);
    ck_assert_ptr_null(mirror_keeper_obstacle(world.proxy->mirror)); /* others are */
    ck_assert_uint_eq(lists, 0);
}
END_TEST

START_TEST(what_nobody_reads_any_more_is_not_made_anew_beside_others)
{
    unsigned filled;

    end();
    start(1, false);
    fill(0);
    flow_world_run_ms(&world, 200 * 1000);
    ck_assert_uint_gt(lists, 5);
    flow_world_run_ms(&world, 200 * 1000); /* now it was read half a time in five minutes */
    filled = lists;
    flow_world_run_ms(&world, 200 * 1000);
    ck_assert_uint_eq(lists, filled);
    note_read(0);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(lists, filled + 1);
}
END_TEST

/* None is kept for the questions that would notice it, and between two checks it may be another. */
START_TEST(where_nobody_notices_another_chroma_nothing_is_copied)
{
    struct proxy_options scarce = world.proxy->options;

    scarce.is_unwatched = true;
    proxy_set_options(world.proxy, &scarce);
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 2000);
    ck_assert_uint_eq(world.backend.request_count, 0);
    ck_assert_ptr_nonnull(
        strstr(mirror_keeper_obstacle(world.proxy->mirror), "backend.connections_max"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_choice");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, only_a_collection_that_is_searched_as_it_says_is_copied);
    tcase_add_test(tcase, the_space_of_an_empty_collection_is_asked_when_it_has_records);
    tcase_add_test(tcase, without_lanes_nothing_is_copied);
    tcase_add_test(tcase, what_does_not_fit_is_stopped);
    tcase_add_loop_test(tcase, what_would_be_taken_is_known_before_it_is_begun, 0, 2);
    tcase_add_test(tcase, what_is_not_known_is_asked_again_a_minute_later);
    tcase_add_loop_test(tcase, what_will_not_fit_is_not_filled, 0, 5);
    tcase_add_test(tcase, the_coldest_goes_when_not_all_fit);
    tcase_add_test(tcase, several_are_kept_side_by_side);
    tcase_add_test(tcase, only_names_that_are_wanted_are_copied);
    tcase_add_test(tcase, where_a_function_is_attached_nothing_is_copied);
    tcase_add_test(tcase, credentials_and_other_chromas_stop_it);
    tcase_add_test(tcase, a_schema_of_the_user_s_is_not_copied);
    tcase_add_test(tcase, what_nobody_reads_any_more_is_not_made_anew_beside_others);
    tcase_add_test(tcase, where_nobody_notices_another_chroma_nothing_is_copied);
    return check_main("flow_mirror_choice", tcase);
}
