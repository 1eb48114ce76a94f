/* What must hold: one asks and all who may get its answer; who may not asks for itself; nobody is
 * forgotten. */
#include "reads/single_flight.h"

#include "base/compiler.h"
#include "support/check_main.h"

enum { MEMBERS = 8, WAITERS_MAX = 5, FLIGHTS_MAX = 4, APART_US = 100 };

static const unsigned char         secret[SIPHASH_KEY_SIZE] = "secret";
static const struct query_validity first = {.stamp = 5, .epoch = 1, .incarnation = 1};
static const struct query_validity later = {.stamp = 6, .epoch = 1, .incarnation = 1};
static struct single_flight       *table;
static struct member {
    struct flight_member member;
    int                  ended; /* as enum flight_end; -1: not yet */
    unsigned             times;
    const void          *answer;
} members[MEMBERS];

static void note_end(struct flight_member *member, enum flight_end end, const void *answer)
{
    struct member *self = CONTAINER_OF(member, struct member, member);

    self->ended = (int)end;
    self->answer = answer;
    self->times++;
}

static void make_table(bool joins_sent)
{
    table = single_flight_new(&(struct single_flight_options){.joins_sent = joins_sent,
                                                              .flights_max = FLIGHTS_MAX,
                                                              .waiters_max = WAITERS_MAX,
                                                              .apart_us = APART_US},
                              secret);
    ck_assert_ptr_nonnull(table);
    for (size_t i = 0; i < MEMBERS; i++)
        members[i] = (struct member){.member = {.on_end = note_end}, .ended = -1};
}

static void set_up(void)
{
    make_table(true);
}

static void tear_down(void)
{
    for (size_t i = 0; i < MEMBERS; i++)
        single_flight_leave(&members[i].member);
    single_flight_free(table);
}

static enum flight_role join_at(unsigned question, const struct query_validity *now, size_t who,
                                uint64_t now_us)
{
    struct query_cache_key key;

    memset(&key, 0, sizeof key);
    memcpy(key.digest, &question, sizeof question);
    return single_flight_join(table, &key, now, now_us, &members[who].member);
}

static enum flight_role join(unsigned question, size_t who)
{
    return join_at(question, &first, who, 0);
}

START_TEST(one_asks_and_all_get_the_answer)
{
    const char answer[] = "answer";

    ck_assert(join(1, 0) == FLIGHT_LEADS);
    ck_assert(!single_flight_is_awaited(&members[0].member));
    ck_assert(join(1, 1) == FLIGHT_JOINED);
    ck_assert(single_flight_is_awaited(&members[0].member));
    ck_assert(join(2, 2) == FLIGHT_LEADS);
    single_flight_sent(&members[0].member, &first);
    ck_assert(join(1, 3) == FLIGHT_JOINED);
    single_flight_answer(&members[0].member, answer);
    ck_assert_int_eq(members[1].ended, FLIGHT_ANSWERED);
    ck_assert_int_eq(members[3].ended, FLIGHT_ANSWERED);
    ck_assert_ptr_eq(members[1].answer, answer);
    ck_assert_int_eq(members[0].ended, -1);
    ck_assert_int_eq(members[2].ended, -1);
    ck_assert(join(1, 4) == FLIGHT_LEADS);
}
END_TEST

START_TEST(after_a_write_was_sent_nobody_joins_what_was_asked_before)
{
    ck_assert(join(1, 0) == FLIGHT_LEADS);
    ck_assert(join(1, 1) == FLIGHT_JOINED);
    single_flight_sent(&members[0].member, &first);
    ck_assert(join_at(1, &later, 2, 0) == FLIGHT_LEADS);
    ck_assert(join_at(1, &later, 3, 0) == FLIGHT_JOINED);
    single_flight_sent(&members[2].member, &later);
    single_flight_answer(&members[0].member, "old");
    ck_assert_int_eq(members[1].ended, FLIGHT_ANSWERED);
    ck_assert_int_eq(members[3].ended, -1);
    ck_assert(join_at(1, &later, 4, 0) == FLIGHT_JOINED);
    single_flight_answer(&members[2].member, "new");
    ck_assert_str_eq(members[3].answer, "new");
    ck_assert_str_eq(members[4].answer, "new");
}
END_TEST

START_TEST(what_was_sent_while_a_write_was_under_way_is_joined_by_nobody)
{
    static const struct query_validity none = {.stamp = 0, .epoch = 1, .incarnation = 1};

    ck_assert(join_at(1, &none, 0, 0) == FLIGHT_LEADS);
    ck_assert(join_at(1, &none, 1, 0) == FLIGHT_JOINED);
    single_flight_sent(&members[0].member, &none);
    ck_assert(join_at(1, &none, 2, 0) == FLIGHT_LEADS);
}
END_TEST

START_TEST(where_others_write_nobody_joins_what_is_sent)
{
    tear_down();
    make_table(false);
    ck_assert(join(1, 0) == FLIGHT_LEADS);
    ck_assert(join(1, 1) == FLIGHT_JOINED);
    single_flight_sent(&members[0].member, &first);
    ck_assert(join(1, 2) == FLIGHT_LEADS);
}
END_TEST

START_TEST(if_the_leader_fails_one_leads_and_the_others_wait_for_it)
{
    ck_assert(join(1, 0) == FLIGHT_LEADS);
    ck_assert(join(1, 1) == FLIGHT_JOINED);
    ck_assert(join(1, 2) == FLIGHT_JOINED);
    single_flight_sent(&members[0].member, &first);
    single_flight_leave(&members[0].member);
    ck_assert_int_eq(members[1].ended, FLIGHT_LEAD);
    ck_assert_int_eq(members[2].ended, -1);
    /* Not sent any more: to be joined whatever was written. */
    ck_assert(join_at(1, &later, 3, 0) == FLIGHT_JOINED);
    single_flight_sent(&members[1].member, &later);
    single_flight_answer(&members[1].member, "answer");
    ck_assert_int_eq(members[2].ended, FLIGHT_ANSWERED);
    ck_assert_int_eq(members[3].ended, FLIGHT_ANSWERED);
    ck_assert_uint_eq(members[1].times, 1);
}
END_TEST

START_TEST(who_leaves_is_told_nothing)
{
    ck_assert(join(1, 0) == FLIGHT_LEADS);
    ck_assert(join(1, 1) == FLIGHT_JOINED);
    single_flight_leave(&members[1].member);
    single_flight_leave(&members[1].member);
    ck_assert(!single_flight_is_awaited(&members[0].member));
    single_flight_leave(&members[0].member);
    ck_assert_int_eq(members[1].ended, -1);
    ck_assert(join(1, 1) == FLIGHT_LEADS);
}
END_TEST

START_TEST(an_answer_that_is_not_shared_sets_the_question_apart_for_a_while)
{
    ck_assert(join(1, 0) == FLIGHT_LEADS);
    ck_assert(join(1, 1) == FLIGHT_JOINED);
    single_flight_part(&members[0].member, 50);
    ck_assert_int_eq(members[1].ended, FLIGHT_APART);
    ck_assert(join_at(1, &first, 2, 50 + APART_US - 1) == FLIGHT_ALONE);
    ck_assert(join_at(2, &first, 3, 50 + APART_US - 1) == FLIGHT_LEADS);
    ck_assert(join_at(1, &first, 2, 50 + APART_US) == FLIGHT_LEADS);
}
END_TEST

START_TEST(there_are_bounds)
{
    ck_assert(join(1, 0) == FLIGHT_LEADS);
    for (size_t i = 1; i <= WAITERS_MAX; i++)
        ck_assert(join(1, i) == FLIGHT_JOINED);
    ck_assert(join(1, 6) == FLIGHT_ALONE);
    tear_down();
    make_table(true);
    for (unsigned i = 0; i < FLIGHTS_MAX; i++)
        ck_assert(join(i, i) == FLIGHT_LEADS);
    ck_assert(join(99, FLIGHTS_MAX) == FLIGHT_ALONE);
    ck_assert(join(1, FLIGHTS_MAX) == FLIGHT_JOINED);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("single_flight");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, one_asks_and_all_get_the_answer);
    tcase_add_test(tcase, after_a_write_was_sent_nobody_joins_what_was_asked_before);
    tcase_add_test(tcase, what_was_sent_while_a_write_was_under_way_is_joined_by_nobody);
    tcase_add_test(tcase, where_others_write_nobody_joins_what_is_sent);
    tcase_add_test(tcase, if_the_leader_fails_one_leads_and_the_others_wait_for_it);
    tcase_add_test(tcase, who_leaves_is_told_nothing);
    tcase_add_test(tcase, an_answer_that_is_not_shared_sets_the_question_apart_for_a_while);
    tcase_add_test(tcase, there_are_bounds);
    return check_main("single_flight", tcase);
}
