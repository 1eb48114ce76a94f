/* What must hold: rule by rule, what a write may change is not used while it may change it, and
 * nothing else is lost. test_collection_table_simulation.c tries all of it together. */
#include <string.h>

#include "base/compiler.h"
#include "support/check_main.h"
#include "unit/collection_table_bed.h"

START_TEST(a_write_moves_the_stamp_of_its_collection_alone)
{
    uint64_t                before = stamp_of(1), other = stamp_of(2);
    struct request          first, second;
    struct collection_facts facts;

    ck_assert(before != 0 && before == stamp_of(1));
    send_to(&first, "POST", D "/collections/@/upsert", 1);
    ck_assert_int_eq(first.notice.change.reach, CHROMA_REACH_RECORDS);
    ck_assert(stamp_of(1) == 0 && stamp_of(2) == other);
    send_to(&second, "POST", D "/collections/@/delete", 1);
    answer(&first);
    ck_assert(stamp_of(1) == 0);
    ck_assert(collection_table_facts(table, uuid_of(1), &facts) && facts.writes_in_flight == 1);
    answer_with(&second, WRITE_OUTCOME_REFUSED, "");
    ck_assert(stamp_of(1) > before && stamp_of(2) == other);
}
END_TEST

START_TEST(an_unknown_outcome_lasts_until_it_is_settled_or_the_time_of_the_lost)
{
    struct request write;
    uint64_t       before = stamp_of(1), late;

    for (int is_lost = 0; is_lost < 2; is_lost++) {
        send_to(&write, "POST", D "/collections/@/add", 1);
        answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
        ck_assert_int_eq(write.notice.state, WRITE_NOTICE_UNKNOWN);
        now_us += 10 * LOST_US;
        ck_assert(stamp_of(1) == 0 && stamp_of(2) != 0);
        if (is_lost == 0) {
            write_observer_settled(&observers, &write.notice, now_us);
        } else {
            write_observer_lost(&observers, &write.notice, now_us);
            now_us += LOST_US - 1;
            ck_assert(stamp_of(1) == 0);
            now_us++;
        }
        late = stamp_of(1);
        ck_assert(late > before);
        before = late;
    }
    send_to(&write, "POST", D "/collections/@/add", 1);
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    collection_table_new_incarnation(table, false);
    ck_assert(stamp_of(1) == 0);
    collection_table_new_incarnation(table, true);
    ck_assert(stamp_of(1) > before);
}
END_TEST

static const struct {
    const char       *method, *path;
    enum chroma_reach reach;
} wide[] = {
    {"POST", "/api/v2/reset", CHROMA_REACH_EVERYTHING},
    {"POST", "/api/v1/reset", CHROMA_REACH_EVERYTHING},
    {"POST", "/something/new", CHROMA_REACH_EVERYTHING},
    {"PATCH", D "/collections/00000000-0000-0000-0000-000000000001", CHROMA_REACH_EVERYTHING},
    {"POST", D "/collections/not-a-uuid/upsert", CHROMA_REACH_EVERYTHING},
    {"PUT", "/api/v1/collections/00000000-0000-0000-0000-000000000001", CHROMA_REACH_EVERYTHING},
    {"DELETE", "/api/v1/collections/a", CHROMA_REACH_EVERYTHING},
    {"POST", "/api/v1/collections", CHROMA_REACH_EVERYTHING},
    {"PUT", OTHER "/collections/00000000-0000-0000-0000-000000000001", CHROMA_REACH_EVERYTHING},
    {"PUT", D "/collections/00000000-0000-0000-0000-000000000003", CHROMA_REACH_EVERYTHING},
    {"DELETE", D, CHROMA_REACH_SCOPE},
    {"DELETE", D "/collections/unknown", CHROMA_REACH_SCOPE},
};

START_TEST(what_may_change_more_moves_the_stamps_of_all_of_it)
{
    uint64_t       known, unscoped, epoch = collection_table_epoch(table);
    struct request write;

    look_up(1, "a", "3");
    known = stamp_of(1);
    unscoped = stamp_of(2);
    send_to(&write, wide[_i].method, wide[_i].path, 0);
    ck_assert_msg(write.notice.change.reach == wide[_i].reach, "%s", wide[_i].path);
    ck_assert(stamp_of(1) == 0 && stamp_of(2) == 0 && named("a") == 0);
    ck_assert_int_ne(existence(1), COLLECTION_EXISTS);
    ck_assert_int_eq(collection_table_epoch(table) > epoch,
                     wide[_i].reach == CHROMA_REACH_EVERYTHING);
    epoch = collection_table_epoch(table);
    answer(&write);
    ck_assert(stamp_of(1) > known && stamp_of(2) > unscoped && named("a") == 0);
    ck_assert_int_ne(existence(1), COLLECTION_EXISTS);
    ck_assert_int_eq(collection_table_epoch(table) > epoch,
                     wide[_i].reach == CHROMA_REACH_EVERYTHING);
}
END_TEST

START_TEST(another_database_is_not_touched)
{
    struct request write;
    uint64_t       stamp;

    look_up(1, "a", "3");
    stamp = stamp_of(1);
    send_to(&write, "DELETE", OTHER, 0);
    ck_assert(stamp_of(1) == stamp && named("a") == 1 && stamp_of(2) == 0);
    answer(&write);
    send_to(&write, "POST", "/api/v2/tenants", 0);
    ck_assert_int_eq(write.notice.change.reach, CHROMA_REACH_TENANTS);
    send_to(&write, "POST", T "/databases", 0);
    ck_assert(stamp_of(1) == stamp && named("a") == 1);
}
END_TEST

static struct collection_former held_now(unsigned number)
{
    return (struct collection_former){.stamp = stamp_of(number),
                                      .epoch = collection_table_epoch(table),
                                      .incarnation = collection_table_incarnation(table)};
}

static bool is_former(unsigned number, struct collection_former held)
{
    struct collection_former former = collection_table_former(table, uuid_of(number), NULL, now_us);

    return former.stamp != 0 && memcmp(&former, &held, sizeof held) == 0;
}

/* Of a collection in a database that is known, and of one of which it is not known where it is. */
START_TEST(what_held_when_a_chroma_was_lost_is_known_until_something_is_sent)
{
    static const char *const others[] = {D, "/api/v2/reset"};
    struct collection_former known, unknown;
    struct request           write;

    look_up(1, "a", "3");
    send_to(&write, "POST", D "/collections/@/add", 1);
    answer(&write);
    stamp_of(2);
    send_to(&write, "POST", D "/collections/@/add", 2);
    answer(&write);
    for (size_t i = 0; i <= COUNT_OF(others); i++) {
        known = held_now(1);
        unknown = held_now(2);
        ck_assert(!is_former(1, known));
        collection_table_new_incarnation(table, false);
        ck_assert(is_former(1, known) && is_former(2, unknown));
        if (i == COUNT_OF(others)) {
            send_to(&write, "POST", D "/collections/@/add", 1);
            ck_assert(!is_former(1, known) && is_former(2, unknown));
            ck_assert_uint_eq(collection_table_former(table, uuid_of(1), NULL, now_us).stamp, 0);
        } else {
            send_to(&write, i == 0 ? "DELETE" : "POST", others[i], 0);
            ck_assert(!is_former(1, known) && !is_former(2, unknown));
        }
        answer_with(&write, WRITE_OUTCOME_REFUSED, "");
        ck_assert(!is_former(1, known));
        look_up(1, "a", "3");
    }
    collection_table_new_incarnation(table, false); /* of the one before only */
    ck_assert(!is_former(2, unknown));
    ck_assert_uint_eq(collection_table_former(table, uuid_of(77), NULL, now_us).stamp, 0);
}
END_TEST

static uint64_t stamp_of_a(unsigned number)
{
    return collection_table_stamp_of(table, uuid_of(number), &id_a, now_us);
}

static void write_b(unsigned number)
{
    struct request write;

    names_b = true;
    send_to(&write, "POST", D "/collections/@/upsert", number);
    answer(&write);
    names_b = false;
}

START_TEST(a_record_keeps_its_stamp_under_writes_of_others)
{
    struct request first, second;
    uint64_t       before = stamp_of_a(1), held;

    write_b(1);
    ck_assert(stamp_of_a(1) > before);
    before = stamp_of_a(1);
    names_b = true;
    send_to(&first, "POST", D "/collections/@/upsert", 1);
    ck_assert(stamp_of_a(1) == before && stamp_of(1) == 0);
    answer(&first);
    ck_assert(stamp_of_a(1) == before && stamp_of(1) > before);
    send_to(&first, "POST", D "/collections/@/upsert", 1);
    send_to(&second, "POST", D "/collections/@/upsert", 1);
    ck_assert(stamp_of_a(1) == 0);
    answer(&second);
    ck_assert(stamp_of_a(1) == 0);
    answer(&first);
    held = stamp_of_a(1);
    ck_assert(held > before && held == stamp_of(1));
    write_b(1);
    held = stamp_of_a(1);
    write_b(1);
    collection_table_new_incarnation(table, false);
    ck_assert(stamp_of_a(1) > held);
    ck_assert_uint_eq(collection_table_former(table, uuid_of(1), &id_a, now_us).stamp, held);
}
END_TEST

/* Chroma may take it yet, and hide it until the write after next. */
START_TEST(beside_a_lost_write_no_other_shows_all)
{
    struct request lost;
    uint64_t       before;

    stamp_of_a(1);
    send_to(&lost, "POST", D "/collections/@/upsert", 1);
    answer_with(&lost, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &lost.notice, now_us);
    write_b(1);
    now_us += LOST_US;
    before = stamp_of_a(1);
    ck_assert_uint_ne(before, 0);
    write_b(1);
    ck_assert(stamp_of_a(1) > before);
    before = stamp_of_a(1);
    write_b(1);
    ck_assert_uint_eq(stamp_of_a(1), before);
}
END_TEST

START_TEST(of_very_many_collections_some_are_told_by_id)
{
    unsigned kept = 0;

    stop();
    start_with(250, 0);
    for (unsigned i = 1; i <= 250; i++) {
        uint64_t before;

        stamp_of_a(i);
        write_b(i);
        before = stamp_of_a(i);
        write_b(i);
        kept += stamp_of_a(i) == before;
    }
    ck_assert(kept > 64 && kept < 128);
}
END_TEST

START_TEST(what_is_distrusted_has_another_stamp)
{
    uint64_t first = stamp_of(1), other = stamp_of(2), description;

    collection_table_note_read(table, uuid_of(1));
    description = collection_table_description_stamp(table, uuid_of(1), now_us);
    collection_table_distrust(table, uuid_of(1));
    collection_table_distrust(table, uuid_of(3));
    ck_assert_uint_ne(stamp_of(1), 0);
    ck_assert_uint_ne(stamp_of(1), first);
    ck_assert_uint_ne(collection_table_description_stamp(table, uuid_of(1), now_us), description);
    ck_assert_uint_eq(stamp_of(2), other);
}
END_TEST

START_TEST(what_was_lost_is_quiet_before_it_has_a_stamp)
{
    struct request write;

    stamp_of(1);
    ck_assert(collection_table_is_quiet(table, uuid_of(1), LOST_US / 4, now_us));
    send_to(&write, "POST", D "/collections/@/add", 1);
    ck_assert(!collection_table_is_quiet(table, uuid_of(1), 0, now_us));
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    ck_assert(!collection_table_is_quiet(table, uuid_of(1), 0, now_us));
    write_observer_lost(&observers, &write.notice, now_us);
    now_us += LOST_US / 4 - 1;
    ck_assert(!collection_table_is_quiet(table, uuid_of(1), LOST_US / 4, now_us));
    now_us++;
    ck_assert(collection_table_is_quiet(table, uuid_of(1), LOST_US / 4, now_us));
    ck_assert_uint_eq(stamp_of(1), 0);
}
END_TEST

START_TEST(a_forgotten_collection_has_another_stamp)
{
    uint64_t       stamp;
    struct request write;

    stop();
    start_with(3, 0);
    stamp = stamp_of(1);
    for (unsigned number = 2; number < 9; number++)
        ck_assert(stamp_of(number) > stamp);
    ck_assert(stamp_of(1) > stamp);
    send_to(&write, "POST", D "/collections/@/add", 1);
    for (unsigned number = 2; number < 9; number++)
        stamp_of(number);
    ck_assert_uint_eq(stamp_of(1), 0); /* in flight: not forgotten */
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    for (unsigned number = 2; number < 9; number++)
        stamp_of(number);
    ck_assert_uint_eq(stamp_of(1), 0); /* lost: forgotten, but not that */
    now_us += LOST_US;
    ck_assert_uint_ne(stamp_of(1), 0);
}
END_TEST

START_TEST(without_room_a_write_may_change_everything)
{
    struct request writes[3];
    uint64_t       stamp;

    stop();
    start_with(2, 0);
    for (unsigned i = 0; i < 3; i++)
        send_to(&writes[i], "POST", D "/collections/@/add", i + 1);
    ck_assert_int_eq(writes[1].notice.change.reach, CHROMA_REACH_RECORDS);
    ck_assert_int_eq(writes[2].notice.change.reach, CHROMA_REACH_EVERYTHING);
    answer(&writes[0]);
    ck_assert_uint_eq(stamp_of(1), 0);
    answer(&writes[2]);
    stamp = stamp_of(1);
    ck_assert(stamp != 0);
    answer(&writes[1]);
    ck_assert(stamp_of(1) == stamp);
}
END_TEST

START_TEST(a_function_makes_its_database_unfit_for_good)
{
    struct request attach;

    look_up(1, "a", "3");
    send_to(&attach, "POST", D "/collections/@/functions/attach", 1);
    answer(&attach);
    now_us += 100 * LOST_US;
    ck_assert(stamp_of(1) == 0 && stamp_of(2) == 0);
    look_up(1, "a", "3");
    ck_assert_uint_eq(named("a"), 1);
}
END_TEST

static const struct {
    const char *method, *path;
    bool        reaches_tenants;
} catalogue[] = {{"POST", "/api/v2/tenants", true},
                 {"PATCH", T, true},
                 {"POST", T "/databases", true},
                 {"DELETE", D, true},
                 {"POST", "/api/v2/reset", true},
                 {"DELETE", "/api/v2/unknown", true},
                 {"POST", D "/collections", false},
                 {"DELETE", D "/collections/a", true}, /* of whatever is called so */
                 {"POST", D "/collections/@/upsert", false}};

START_TEST(what_changes_tenants_moves_their_stamp)
{
    uint64_t       before = collection_table_tenants_stamp(table, now_us), at_send, after;
    struct request write;

    ck_assert_uint_ne(before, 0);
    send_to(&write, catalogue[_i].method, catalogue[_i].path, 1);
    at_send = collection_table_tenants_stamp(table, now_us);
    answer(&write);
    after = collection_table_tenants_stamp(table, now_us);
    ck_assert_uint_eq(at_send, catalogue[_i].reaches_tenants ? 0 : before);
    ck_assert((after > before) == catalogue[_i].reaches_tenants);
    send_to(&write, catalogue[_i].method, catalogue[_i].path, 1);
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    if (catalogue[_i].reaches_tenants)
        ck_assert_uint_eq(collection_table_tenants_stamp(table, now_us), 0);
    collection_table_new_incarnation(table, true);
    ck_assert(collection_table_tenants_stamp(table, now_us) > after);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("collection_table_stamps");

    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, a_write_moves_the_stamp_of_its_collection_alone);
    tcase_add_test(tcase, an_unknown_outcome_lasts_until_it_is_settled_or_the_time_of_the_lost);
    tcase_add_loop_test(tcase, what_may_change_more_moves_the_stamps_of_all_of_it, 0,
                        COUNT_OF(wide));
    tcase_add_test(tcase, another_database_is_not_touched);
    tcase_add_test(tcase, what_held_when_a_chroma_was_lost_is_known_until_something_is_sent);
    tcase_add_test(tcase, a_record_keeps_its_stamp_under_writes_of_others);
    tcase_add_test(tcase, beside_a_lost_write_no_other_shows_all);
    tcase_add_test(tcase, of_very_many_collections_some_are_told_by_id);
    tcase_add_test(tcase, what_is_distrusted_has_another_stamp);
    tcase_add_test(tcase, what_was_lost_is_quiet_before_it_has_a_stamp);
    tcase_add_test(tcase, a_forgotten_collection_has_another_stamp);
    tcase_add_test(tcase, without_room_a_write_may_change_everything);
    tcase_add_test(tcase, a_function_makes_its_database_unfit_for_good);
    tcase_add_loop_test(tcase, what_changes_tenants_moves_their_stamp, 0, COUNT_OF(catalogue));
    return check_main("collection_table_stamps", tcase);
}
