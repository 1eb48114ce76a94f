/* What must hold: rule by rule, a description of a collection is used while no write that was taken
 * may change it. test_collection_table_simulation.c tries all of it together. */
#include <stdio.h>

#include "base/compiler.h"
#include "support/check_main.h"
#include "unit/collection_table_bed.h"

static uint64_t description_stamp_of(unsigned number)
{
    return collection_table_description_stamp(table, uuid_of(number), now_us);
}

/* A write of one record with the metadata key `key`; "": none. */
static void write_key(struct request *request, unsigned number, const char *key)
{
    char                  body[200];
    struct chroma_records records;
    const char           *reason;

    snprintf(body, sizeof body, "{\"ids\":[\"r\"],\"embeddings\":[[1,2]],\"metadatas\":[{%s%s%s}]}",
             key[0] == '\0' ? "" : "\"", key, key[0] == '\0' ? "" : "\":1");
    ck_assert_int_eq(
        chroma_records_scan(CHROMA_OPERATION_UPSERT, bytes_of(body), 1, &records, &reason),
        STATUS_OK);
    *request = (struct request){.notice = {.route = &request->route, .dimension = 2}};
    snprintf(request->path, sizeof request->path,
             D "/collections/00000000-0000-0000-0000-%012x/upsert", number);
    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(request->path), &request->route);
    request->notice.leaves_description = collection_table_is_left(table, &request->route, &records);
    write_observer_sent(&observers, &request->notice, now_us);
    chroma_records_done(&records);
}

/* Chroma has applied all, and the description has key a. */
static void keep_description(unsigned number)
{
    struct request write;

    look_up(number, "a", "2");
    write_key(&write, number, "");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(number), 0);
    ck_assert(collection_table_describe(
        table, uuid_of(number),
        bytes_of("{\"id\":\"00000000-0000-0000-0000-000000000001\",\"dimension\":2,"
                 "\"schema\":{\"keys\":{\"a\":{\"int\":{}}}}}")));
}

/* Chroma may apply what a process of ours before this one had sent, with a write of ours or by
 * itself. */
START_TEST(before_it_is_settled_there_are_no_stamps)
{
    struct request write;

    stop();
    start_with(100, 1000);
    look_up(1, "a", "2");
    write_key(&write, 1, "");
    answer(&write);
    now_us = 999;
    ck_assert_uint_eq(stamp_of(1), 0);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    ck_assert_uint_eq(collection_table_tenants_stamp(table, now_us), 0);
    ck_assert_uint_eq(named("a"), 1);
    now_us = 1000;
    ck_assert_uint_ne(stamp_of(1), 0);
    ck_assert_uint_ne(collection_table_tenants_stamp(table, now_us), 0);
    ck_assert_uint_eq(description_stamp_of(1), 0); /* the write may have come before it */
    keep_description(1);
}
END_TEST

START_TEST(a_description_outlives_writes_that_leave_it)
{
    struct request write;
    uint64_t       stamp;

    keep_description(1);
    stamp = description_stamp_of(1);
    write_key(&write, 1, "a");
    ck_assert(description_stamp_of(1) == stamp && stamp_of(1) == 0);
    answer(&write);
    ck_assert(description_stamp_of(1) == stamp);
    write_key(&write, 1, "b");
    ck_assert_uint_eq(description_stamp_of(1), 0);
    answer(&write);
    ck_assert(description_stamp_of(1) > stamp);
}
END_TEST

START_TEST(what_describes_another_is_refused)
{
    look_up(2, "b", "2");
    ck_assert(!collection_table_describe(
        table, uuid_of(2),
        BYTES_LITERAL("{\"id\":\"00000000-0000-0000-0000-000000000001\",\"dimension\":2}")));
    ck_assert(!collection_table_describe(table, uuid_of(2), BYTES_LITERAL("{}")));
    ck_assert(!collection_table_describe(
        table, uuid_of(9),
        BYTES_LITERAL("{\"id\":\"00000000-0000-0000-0000-000000000009\",\"dimension\":2}")));
}
END_TEST

START_TEST(a_description_waits_until_what_was_lost_can_come_no_more)
{
    struct request write;

    keep_description(1);
    write_key(&write, 1, "b");
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    write_key(&write, 1, "a");
    ck_assert(!write.notice.leaves_description);
    answer(&write);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    now_us += LOST_US + 1;
    ck_assert_uint_eq(description_stamp_of(1), 0);
    write_key(&write, 1, "a");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(1), 0);
}
END_TEST

/* Its schema may be another: a write with a key that the old one had may bring it. */
START_TEST(another_incarnation_has_its_own_schema)
{
    struct request write;

    keep_description(1);
    collection_table_new_incarnation(table, true);
    write_key(&write, 1, "");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(1), 0);
    write_key(&write, 1, "a");
    ck_assert(!write.notice.leaves_description);
    answer(&write);
    keep_description(1);
    write_key(&write, 1, "a");
    ck_assert(write.notice.leaves_description);
    answer(&write);
}
END_TEST

START_TEST(a_write_beside_the_lost_one_does_not_bring_it)
{
    struct request lost, beside, after;

    keep_description(1);
    write_key(&lost, 1, "b");
    write_key(&beside, 1, "a");
    answer_with(&lost, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_settled(&observers, &lost.notice, now_us); /* a 500 */
    answer(&beside);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    write_key(&after, 1, "a");
    answer(&after);
    ck_assert_uint_ne(description_stamp_of(1), 0);
}
END_TEST

START_TEST(what_was_lost_with_a_chroma_comes_with_the_next_write_to_another)
{
    struct request write;

    keep_description(1);
    write_key(&write, 1, "b");
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    collection_table_new_incarnation(table, true);
    collection_table_note_read(table, uuid_of(1));
    ck_assert_uint_eq(description_stamp_of(1), 0);
    write_key(&write, 1, "");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(1), 0);
}
END_TEST

/* It makes visible what was taken, but where there is no dimension: then nothing is applied. */
START_TEST(an_update_brings_what_was_left)
{
    bool           is_empty = _i == 0;
    struct request update;

    look_up(1, "a", is_empty ? "null" : "2");
    send_to(&update, "POST", D "/collections/@/update", 1);
    answer(&update);
    ck_assert((description_stamp_of(1) != 0) == !is_empty);
    collection_table_note_read(table, uuid_of(1));
    ck_assert(collection_table_describe(
        table, uuid_of(1),
        bytes_of("{\"id\":\"00000000-0000-0000-0000-000000000001\",\"dimension\":2,"
                 "\"schema\":{\"keys\":{\"a\":{\"int\":{}}}}}")));
    write_key(&update, 1, "a");
    ck_assert(update.notice.leaves_description == !is_empty);
    answer(&update);
}
END_TEST

START_TEST(another_process_must_be_seen_to_read_or_write)
{
    uint64_t stamp;

    look_up(1, "a", "2");
    ck_assert_uint_eq(description_stamp_of(1), 0);
    collection_table_note_read(table, uuid_of(1));
    stamp = description_stamp_of(1);
    ck_assert_uint_ne(stamp, 0);
    collection_table_new_incarnation(table, true);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    keep_description(1);
    ck_assert(description_stamp_of(1) > stamp);
    collection_table_new_incarnation(table, true);
    ck_assert_uint_eq(description_stamp_of(1), 0);
}
END_TEST

START_TEST(a_deletion_of_records_leaves_a_description)
{
    static const struct {
        const char *path;
        bool        is_left;
    } writes[] = {{D "/collections/00000000-0000-0000-0000-000000000001/delete", true},
                  {D "/collections/00000000-0000-0000-0000-000000000001/conditional/commit", false},
                  {D "/collections/00000000-0000-0000-0000-000000000001/upsert", false},
                  {D "/collections/00000000-0000-0000-0000-000000000001/fork", false},
                  {D "/collections/00000000-0000-0000-0000-000000000002/delete", false},
                  {D "/collections", false}};
    struct chroma_route route;

    keep_description(1);
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        chroma_route_find(BYTES_LITERAL("POST"), bytes_of(writes[i].path), &route);
        ck_assert(collection_table_is_left(table, &route, NULL) == writes[i].is_left);
    }
}
END_TEST

START_TEST(a_forgotten_description_is_not_trusted)
{
    struct request write;
    uint64_t       stamp;

    stop();
    start_with(2, 0);
    keep_description(1);
    stamp = description_stamp_of(1);
    look_up(2, "b", "2");
    look_up(3, "c", "2"); /* now the first is forgotten */
    ck_assert_uint_eq(description_stamp_of(1), 0);
    collection_table_note_read(table, uuid_of(1));
    ck_assert(description_stamp_of(1) > stamp);
    write_key(&write, 1, "b");
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    look_up(2, "b", "2");
    look_up(3, "c", "2");
    look_up(1, "a", "2");
    write_key(&write, 1, "");
    answer(&write);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    now_us += LOST_US + 1;
    collection_table_note_read(table, uuid_of(1));
    ck_assert_uint_eq(description_stamp_of(1), 0);
    write_key(&write, 1, "");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(1), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("collection_table_descriptions");

    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, a_description_outlives_writes_that_leave_it);
    tcase_add_test(tcase, before_it_is_settled_there_are_no_stamps);
    tcase_add_test(tcase, what_describes_another_is_refused);
    tcase_add_test(tcase, a_description_waits_until_what_was_lost_can_come_no_more);
    tcase_add_test(tcase, another_incarnation_has_its_own_schema);
    tcase_add_test(tcase, a_write_beside_the_lost_one_does_not_bring_it);
    tcase_add_test(tcase, what_was_lost_with_a_chroma_comes_with_the_next_write_to_another);
    tcase_add_loop_test(tcase, an_update_brings_what_was_left, 0, 2);
    tcase_add_test(tcase, another_process_must_be_seen_to_read_or_write);
    tcase_add_test(tcase, a_deletion_of_records_leaves_a_description);
    tcase_add_test(tcase, a_forgotten_description_is_not_trusted);
    return check_main("collection_table_descriptions", tcase);
}
