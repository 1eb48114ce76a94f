/* What must hold: rule by rule, a name, a dimension and an existence are told as Chroma has them,
 * and not while a write may change them. test_collection_table_simulation.c tries all of it
 * together. */
#include "chroma/collection_table.h"

#include <stdio.h>
#include <string.h>

#include "support/check_main.h"
#include "unit/collection_table_bed.h"

/* Whatever else is being created. */
static unsigned standing(const char *name)
{
    uint8_t uuid[16];

    return collection_table_standing_uuid(table, scope_d, bytes_of(name), now_us, uuid) ? uuid[15]
                                                                                        : 0;
}

START_TEST(a_description_is_learned)
{
    struct collection_facts facts;

    ck_assert(!collection_table_facts(table, uuid_of(1), &facts));
    ck_assert_uint_eq(named("a"), 0);
    look_up(1, "a", "null");
    ck_assert_uint_eq(named("a"), 1);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 0);
    look_up(1, "a", "7");
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 7);
    look_up(1, "a", "null"); /* an answer that was late */
    ck_assert(collection_table_facts(table, uuid_of(1), &facts));
    ck_assert_uint_eq(facts.dimension, 7);
    ck_assert_int_eq(facts.space, COLLECTION_SPACE_IP);
    ck_assert_int_eq(facts.existence, COLLECTION_EXISTS);
    ck_assert_uint_eq(named("A"), 0);
    ck_assert(!collection_table_uuid(table, (struct scope){scope_d.tenant, BYTES_LITERAL("e")},
                                     BYTES_LITERAL("a"), now_us, (uint8_t[16]){0}));
}
END_TEST

START_TEST(a_list_and_a_creation_are_learned)
{
    struct chroma_route route;
    struct request      create;
    char                list[1000];

    snprintf(list, sizeof list, "[%s,", describe(1, "a", "d", "3"));
    strcat(list, describe(2, "b", "d", "null"));
    strcat(list, "]");
    chroma_route_find(BYTES_LITERAL("GET"), BYTES_LITERAL(D "/collections"), &route);
    collection_table_learn(table, &route, collection_table_ask(table, &route, now_us),
                           bytes_of(list), now_us);
    ck_assert(named("a") == 1 && named("b") == 2);
    send_to(&create, "POST", D "/collections", 0);
    answer_with(&create, WRITE_OUTCOME_APPLIED, describe(3, "c", "d", "null"));
    ck_assert(named("a") == 1 && named("c") == 3);
    send_to(&create, "POST", D "/collections", 0);
    answer_with(&create, WRITE_OUTCOME_REFUSED, describe(4, "e", "d", "null"));
    ck_assert(named("e") == 0 && existence(3) == COLLECTION_EXISTS);
}
END_TEST

START_TEST(a_dimension_is_learned_from_what_was_applied_and_had_vectors)
{
    static const struct {
        const char        *tail;
        enum write_outcome outcome;
        uint32_t           dimension, learned;
    } cases[] = {
        {"/add", WRITE_OUTCOME_APPLIED, 3, 3},    {"/upsert", WRITE_OUTCOME_APPLIED, 3, 3},
        {"/add", WRITE_OUTCOME_REFUSED, 3, 0},    {"/add", WRITE_OUTCOME_UNKNOWN, 3, 0},
        {"/update", WRITE_OUTCOME_APPLIED, 3, 0}, {"/upsert", WRITE_OUTCOME_APPLIED, 0, 0}};

    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        struct request write;
        char           path[100];

        snprintf(path, sizeof path, D "/collections/@%s", cases[i].tail);
        send_to(&write, "POST", path, i + 1);
        write.notice.dimension = cases[i].dimension;
        ck_assert_uint_eq(collection_table_dimension(table, uuid_of(i + 1)), 0);
        answer_with(&write, cases[i].outcome, "{}");
        if (cases[i].outcome == WRITE_OUTCOME_UNKNOWN)
            write_observer_settled(&observers, &write.notice, now_us);
        ck_assert_uint_eq(collection_table_dimension(table, uuid_of(i + 1)), cases[i].learned);
    }
}
END_TEST

START_TEST(a_creation_hides_names_and_leaves_records_alone)
{
    struct request create;
    uint64_t       stamp;

    look_up(1, "a", "3");
    stamp = stamp_of(1);
    send_to(&create, "POST", D "/collections", 0);
    ck_assert(named("a") == 0 && stamp_of(1) == stamp && standing("a") == 1);
    ck_assert_uint_eq(standing("b"), 0);
    answer_with(&create, WRITE_OUTCOME_REFUSED, "");
    ck_assert(named("a") == 1 && stamp_of(1) == stamp);
    send_to(&create, "POST", D "/collections", 0);
    answer_with(&create, WRITE_OUTCOME_UNKNOWN, "");
    ck_assert_int_eq(create.notice.change.reach, CHROMA_REACH_SCOPE);
    ck_assert(named("a") == 0 && stamp_of(1) == 0 && standing("a") == 0);
    write_observer_settled(&observers, &create.notice, now_us);
    ck_assert(named("a") == 0 && stamp_of(1) > stamp);
    look_up(1, "a", "3");
    ck_assert(named("a") == 1);
}
END_TEST

START_TEST(creations_at_the_same_time_are_both_learned)
{
    struct request first, second;

    send_to(&first, "POST", D "/collections", 0);
    send_to(&second, "POST", D "/collections", 0);
    answer_with(&first, WRITE_OUTCOME_APPLIED, describe(1, "a", "d", "null"));
    ck_assert_uint_eq(named("a"), 0);
    answer_with(&second, WRITE_OUTCOME_APPLIED, describe(2, "b", "d", "null"));
    ck_assert(named("a") == 1 && named("b") == 2);
}
END_TEST

START_TEST(a_deletion_by_a_known_name_is_one_of_its_collection)
{
    struct request delete;
    uint64_t other;

    look_up(1, "a", "3");
    look_up(2, "b", "3");
    other = stamp_of(2);
    send_to(&delete, "DELETE", D "/collections/%61", 0);
    ck_assert_int_eq(delete.notice.change.reach, CHROMA_REACH_COLLECTION);
    ck_assert(delete.notice.change.has_uuid && delete.notice.change.uuid[15] == 1);
    ck_assert(stamp_of(1) == 0 && stamp_of(2) == other && named("b") == 0);
    answer(&delete);
    ck_assert(stamp_of(2) == other && named("a") == 0 && named("b") == 2);
    ck_assert_int_eq(existence(1), COLLECTION_GONE);
    ck_assert_int_eq(existence(2), COLLECTION_EXISTS);
}
END_TEST

START_TEST(a_refused_deletion_leaves_everything)
{
    struct request delete;

    look_up(1, "a", "3");
    send_to(&delete, "DELETE", D "/collections/a", 0);
    answer_with(&delete, WRITE_OUTCOME_REFUSED, "");
    ck_assert(named("a") == 1 && existence(1) == COLLECTION_EXISTS && stamp_of(1) != 0);
}
END_TEST

START_TEST(a_deletion_that_crosses_a_renaming_may_have_met_another)
{
    struct request delete, rename;
    uint64_t other;

    look_up(1, "a", "3");
    look_up(2, "b", "3");
    send_to(&delete, "DELETE", D "/collections/a", 0);
    send_to(&rename, "PUT", D "/collections/@", 2);
    ck_assert_int_eq(rename.notice.change.reach, CHROMA_REACH_COLLECTION);
    answer(&rename);
    other = stamp_of(2);
    answer(&delete);
    ck_assert_int_eq(delete.notice.change.reach, CHROMA_REACH_SCOPE);
    ck_assert(stamp_of(2) != other && existence(1) != COLLECTION_GONE);
}
END_TEST

static bool is_called(unsigned number, const char *name, uint64_t oldest_us)
{
    struct scope where;
    struct bytes found;

    return collection_table_names(table, uuid_of(number), oldest_us, now_us, &where, &found) &&
           bytes_equal(where.tenant, scope_d.tenant) &&
           bytes_equal(where.database, scope_d.database) && bytes_equal(found, bytes_of(name));
}

START_TEST(whose_uuid_it_is_holds_until_it_may_have_changed)
{
    struct request request;
    uint64_t       first_us = now_us;

    ck_assert(!is_called(1, "a", 0));
    look_up(1, "a", "3");
    look_up(2, "b", "3");
    ck_assert(is_called(1, "a", 0) && is_called(2, "b", 0));
    now_us += 5000000;
    ck_assert(is_called(1, "a", first_us));
    ck_assert(!is_called(1, "a", first_us + 1));
    send_to(&request, "POST", D "/collections", 0); /* creates another one */
    ck_assert(is_called(1, "a", 0));
    answer(&request);
    ck_assert(is_called(1, "a", 0));
    send_to(&request, "PUT", D "/collections/@", 1);
    ck_assert(!is_called(1, "a", 0));
    answer(&request);
    ck_assert(!is_called(1, "a", 0));
    look_up(1, "c", "3");
    ck_assert(is_called(1, "c", now_us) && is_called(2, "b", 0));
    send_to(&request, "DELETE", D "/collections/c", 0);
    answer(&request);
    ck_assert(!is_called(1, "c", 0));
    collection_table_new_incarnation(table, true);
    ck_assert(!is_called(2, "b", 0));
}
END_TEST

START_TEST(a_renamed_collection_has_no_name_until_it_is_seen_again)
{
    struct request rename;

    look_up(1, "a", "3");
    look_up(2, "b", "3");
    send_to(&rename, "PUT", D "/collections/@", 1);
    answer(&rename);
    ck_assert(named("a") == 0 && named("b") == 2);
    look_up(1, "c", "3");
    ck_assert(named("a") == 0 && named("c") == 1);
    look_up(3, "c", "3"); /* somebody else's change */
    ck_assert(named("c") == 3);
}
END_TEST

START_TEST(an_answer_that_crossed_a_deletion_teaches_no_name)
{
    struct chroma_route        route;
    struct collection_question before, between, after;
    struct request delete;

    chroma_route_find(BYTES_LITERAL("GET"), BYTES_LITERAL(D "/collections/a"), &route);
    before = collection_table_ask(table, &route, now_us);
    send_to(&delete, "DELETE", D "/collections/a", 0);
    between = collection_table_ask(table, &route, now_us);
    collection_table_learn(table, &route, before, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_int_ne(existence(1), COLLECTION_EXISTS);
    answer(&delete);
    after = collection_table_ask(table, &route, now_us);
    collection_table_learn(table, &route, before, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_uint_eq(named("a"), 0);
    collection_table_learn(table, &route, between, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_uint_eq(named("a"), 0);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 3); /* that never changes */
    collection_table_learn(table, &route, after, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_uint_eq(named("a"), 1);
}
END_TEST

START_TEST(another_incarnation_voids_everything)
{
    uint64_t                   incarnation = collection_table_incarnation(table), stamp;
    struct collection_question question;
    struct chroma_route        route;
    struct request             write;

    look_up(1, "a", "3");
    stamp = stamp_of(1);
    chroma_route_find(BYTES_LITERAL("GET"), BYTES_LITERAL(D "/collections/a"), &route);
    question = collection_table_ask(table, &route, now_us);
    send_to(&write, "POST", D "/collections/@/add", 2);
    write.notice.dimension = 5;
    collection_table_new_incarnation(table, false);
    ck_assert(collection_table_incarnation(table) > incarnation);
    ck_assert(stamp_of(1) > stamp && stamp_of(2) == 0 && named("a") == 0);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 0);
    ck_assert_int_eq(existence(1), COLLECTION_EXISTENCE_UNKNOWN);
    collection_table_learn(table, &route, question, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 0);
    answer(&write);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(2)), 0);
    ck_assert(stamp_of(2) != 0);
}
END_TEST

static unsigned seen[3];

static void count_sent(struct write_observer *observer, struct write_notice *notice, uint64_t at_us)
{
    (void)observer;
    (void)at_us;
    ck_assert_int_eq(notice->change.reach, CHROMA_REACH_RECORDS); /* the table was first */
    seen[0]++;
}

static void count_known(struct write_observer *observer, struct write_notice *notice,
                        enum write_outcome outcome, struct bytes body, uint64_t at_us)
{
    (void)observer;
    (void)at_us;
    ck_assert_int_eq(outcome, WRITE_OUTCOME_UNKNOWN);
    ck_assert(bytes_equal(body, BYTES_LITERAL("x")) && notice->state == WRITE_NOTICE_UNKNOWN);
    seen[1]++;
}

static void count_settled(struct write_observer *observer, struct write_notice *notice,
                          bool is_lost, uint64_t at_us)
{
    (void)observer;
    (void)at_us;
    ck_assert(is_lost && notice->state == WRITE_NOTICE_OVER);
    seen[2]++;
}

START_TEST(those_behind_the_table_are_told)
{
    struct write_observer counter = {
        .on_sent = count_sent, .on_known = count_known, .on_settled = count_settled};
    struct write_observer deaf = {0};
    struct request        write;

    write_observer_add(&observers, &deaf);
    write_observer_add(&observers, &counter);
    send_to(&write, "POST", D "/collections/@/add", 1);
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "x");
    write_observer_lost(&observers, &write.notice, now_us);
    write_observer_remove(&counter);
    send_to(&write, "POST", D "/collections/@/add", 1);
    answer(&write);
    ck_assert(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("collection_table");

    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, a_description_is_learned);
    tcase_add_test(tcase, a_list_and_a_creation_are_learned);
    tcase_add_test(tcase, a_dimension_is_learned_from_what_was_applied_and_had_vectors);
    tcase_add_test(tcase, a_creation_hides_names_and_leaves_records_alone);
    tcase_add_test(tcase, creations_at_the_same_time_are_both_learned);
    tcase_add_test(tcase, a_deletion_by_a_known_name_is_one_of_its_collection);
    tcase_add_test(tcase, a_refused_deletion_leaves_everything);
    tcase_add_test(tcase, a_deletion_that_crosses_a_renaming_may_have_met_another);
    tcase_add_test(tcase, whose_uuid_it_is_holds_until_it_may_have_changed);
    tcase_add_test(tcase, a_renamed_collection_has_no_name_until_it_is_seen_again);
    tcase_add_test(tcase, an_answer_that_crossed_a_deletion_teaches_no_name);
    tcase_add_test(tcase, another_incarnation_voids_everything);
    tcase_add_test(tcase, those_behind_the_table_are_told);
    return check_main("collection_table", tcase);
}
