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
    bool                 is_sent;
    int                  ended; /* as enum flight_end; -1: not yet */
    unsigned             times;
    const void          *answer;
} members[MEMBERS];

static bool is_sent(const struct flight_member *leader)
{
    return ((const struct member *)(const void *)leader)->is_sent;
}

static void note_end(struct flight_member *member, enum flight_end end, const void *answer)
{
    struct member *self = CONTAINER_OF(member, struct member, member);

    self->ended = (int)end;
    self->answer = answer;
    self->times++;
}

static void set_up(void)
{
    table = single_flight_new(&(struct single_flight_options){.flights_max = FLIGHTS_MAX,
                                                              .waiters_max = WAITERS_MAX,
                                                              .apart_us = APART_US,
                                                              .is_sent = is_sent,
                                                              .on_end = note_end},
                              secret);
    ck_assert_ptr_nonnull(table);
    for (size_t i = 0; i < MEMBERS; i++)
        members[i] = (struct member){.ended = -1};
}

static void tear_down(void)
{
    for (size_t i = 0; i < MEMBERS; i++)
        single_flight_leave(&members[i].member);
    single_flight_free(table);
}

static struct flight_question question_of(unsigned number, uint32_t service)
{
    struct flight_question question;

    memset(&question, 0, sizeof question);
    memcpy(question.key.digest, &number, sizeof number);
    question.service = service;
    return question;
}

/* As a request does: wait, or else ask and let others wait. True: it waits. */
static bool ask_at(unsigned number, const struct query_validity *now, bool joins_sent, size_t who,
                   uint64_t now_us)
{
    struct flight_question question = question_of(number, 0);

    if (single_flight_join(table, &question, now, joins_sent, now_us, &members[who].member))
        return true;
    single_flight_lead(table, &question, now, now_us, &members[who].member);
    return false;
}

static bool ask(unsigned number, size_t who)
{
    return ask_at(number, &first, true, who, 0);
}

static void mark(unsigned number, size_t who, uint64_t now_us)
{
    struct flight_question question = question_of(number, 0);

    single_flight_mark(table, &question, now_us, &members[who].member);
}

START_TEST(one_asks_and_all_get_the_answer)
{
    const char answer[] = "answer";

    ck_assert(!ask(1, 0));
    ck_assert_uint_eq(single_flight_waiters(&members[0].member), 0);
    ck_assert(ask(1, 1));
    ck_assert_uint_eq(single_flight_waiters(&members[0].member), 1);
    ck_assert_uint_eq(single_flight_waiters(&members[1].member), 0);
    ck_assert_ptr_eq(single_flight_leader(&members[1].member), &members[0].member);
    ck_assert(!ask(2, 2));
    members[0].is_sent = true;
    ck_assert(ask(1, 3));
    single_flight_answer(&members[1].member, "of one who does not lead");
    ck_assert_int_eq(members[3].ended, -1);
    single_flight_answer(&members[0].member, answer);
    ck_assert_int_eq(members[1].ended, FLIGHT_ANSWERED);
    ck_assert_int_eq(members[3].ended, FLIGHT_ANSWERED);
    ck_assert_ptr_eq(members[1].answer, answer);
    ck_assert_int_eq(members[0].ended, -1);
    ck_assert_int_eq(members[2].ended, -1);
    ck_assert(!ask(1, 4));
}
END_TEST

START_TEST(after_a_write_nobody_joins_what_was_sent_before)
{
    ck_assert(!ask(1, 0));
    ck_assert(ask(1, 1));
    members[0].is_sent = true;
    ck_assert(!ask_at(1, &later, true, 2, 0));
    ck_assert(ask_at(1, &later, true, 3, 0));
    members[2].is_sent = true;
    single_flight_answer(&members[0].member, "old");
    ck_assert_str_eq(members[1].answer, "old");
    ck_assert_int_eq(members[3].ended, -1);
    ck_assert(ask_at(1, &later, true, 4, 0));
    single_flight_answer(&members[2].member, "new");
    ck_assert_str_eq(members[3].answer, "new");
    ck_assert_str_eq(members[4].answer, "new");
}
END_TEST

START_TEST(what_was_not_sent_yet_is_joined_whatever_was_written)
{
    ck_assert(!ask_at(1, &first, false, 0, 0));
    ck_assert(ask_at(1, &later, false, 1, 0));
}
END_TEST

START_TEST(what_was_sent_while_a_write_was_under_way_is_joined_by_nobody)
{
    static const struct query_validity none = {.stamp = 0, .epoch = 1, .incarnation = 1};

    ck_assert(!ask_at(1, &none, true, 0, 0));
    ck_assert(ask_at(1, &none, true, 1, 0));
    members[0].is_sent = true;
    ck_assert(!ask_at(1, &none, true, 2, 0));
}
END_TEST

START_TEST(where_others_write_nobody_joins_what_is_sent)
{
    ck_assert(!ask(1, 0));
    members[0].is_sent = true;
    ck_assert(!ask_at(1, &first, false, 1, 0));
}
END_TEST

START_TEST(services_do_not_wait_for_each_other)
{
    struct flight_question mine = question_of(1, 0), other = question_of(1, 7);

    single_flight_lead(table, &mine, &first, 0, &members[0].member);
    ck_assert(!single_flight_join(table, &other, &first, true, 0, &members[1].member));
    ck_assert(single_flight_join(table, &mine, &first, true, 0, &members[1].member));
}
END_TEST

START_TEST(if_the_leader_leaves_one_leads_and_the_others_wait_for_it)
{
    ck_assert(!ask(1, 0));
    ck_assert(ask(1, 1));
    ck_assert(ask(1, 2));
    members[0].is_sent = true;
    single_flight_leave(&members[0].member);
    ck_assert_int_eq(members[1].ended, FLIGHT_LEAD);
    ck_assert_int_eq(members[2].ended, -1);
    /* Not sent any more: to be joined whatever was written. */
    ck_assert(ask_at(1, &later, false, 3, 0));
    ck_assert(!ask_at(1, &later, true, 1, 0)); /* it asks, at another validity */
    members[1].is_sent = true;
    ck_assert(!ask_at(1, &first, true, 4, 0));
    single_flight_answer(&members[1].member, "answer");
    ck_assert_int_eq(members[2].ended, FLIGHT_ANSWERED);
    ck_assert_int_eq(members[3].ended, FLIGHT_ANSWERED);
    ck_assert_uint_eq(members[1].times, 1);
}
END_TEST

START_TEST(who_asks_instead_is_joined_at_what_holds_then)
{
    ck_assert(!ask(1, 0));
    ck_assert(ask(1, 1));
    single_flight_leave(&members[0].member);
    ck_assert(!ask_at(1, &later, true, 1, 0));
    members[1].is_sent = true;
    ck_assert(ask_at(1, &later, true, 2, 0));
}
END_TEST

START_TEST(what_failed_twice_each_asks_for_itself)
{
    for (size_t i = 0; i < 5; i++)
        ck_assert(ask(1, i) == (i > 0));
    single_flight_fail(&members[4].member); /* one that waits: it leaves */
    ck_assert_int_eq(members[1].ended, -1);
    single_flight_fail(&members[0].member);
    ck_assert_int_eq(members[1].ended, FLIGHT_LEAD);
    ck_assert_int_eq(members[2].ended, -1);
    single_flight_fail(&members[1].member);
    ck_assert_int_eq(members[2].ended, FLIGHT_APART);
    ck_assert_int_eq(members[3].ended, FLIGHT_APART);
    ck_assert_int_eq(members[4].ended, -1);
    ck_assert(!ask(1, 2));
    ck_assert(!ask(1, 3)); /* though somebody may ask it by now */
    ck_assert(!ask(1, 5));
    ck_assert(ask(1, 6));
}
END_TEST

START_TEST(who_leaves_is_told_nothing)
{
    ck_assert(!ask(1, 0));
    ck_assert(ask(1, 1));
    single_flight_leave(&members[1].member);
    single_flight_leave(&members[1].member);
    ck_assert_uint_eq(single_flight_waiters(&members[0].member), 0);
    single_flight_leave(&members[0].member);
    ck_assert_int_eq(members[1].ended, -1);
    ck_assert(!ask(1, 1));
}
END_TEST

START_TEST(an_answer_that_is_not_for_others_sets_the_question_apart_for_a_while)
{
    ck_assert(!ask(1, 0));
    ck_assert(ask(1, 1));
    mark(1, 0, 50);
    ck_assert_int_eq(members[1].ended, FLIGHT_APART);
    ck_assert(!ask_at(1, &first, true, 2, 50 + APART_US - 1));
    ck_assert(!ask_at(1, &first, true, 3, 50 + APART_US - 1));
    ck_assert(!ask_at(2, &first, true, 4, 50 + APART_US - 1));
    ck_assert(ask_at(2, &first, true, 5, 50 + APART_US - 1));
    mark(1, 2, 50 + APART_US - 1);
    ck_assert(!ask_at(1, &first, true, 3, 50 + APART_US));
    ck_assert(!ask_at(1, &first, true, 6, 50 + APART_US + APART_US));
    ck_assert(ask_at(1, &first, true, 7, 50 + APART_US + APART_US));
}
END_TEST

START_TEST(each_mark_ends_by_itself)
{
    mark(1, 0, 50);
    mark(2, 0, 100);
    ck_assert(!ask_at(2, &first, true, 0, 50 + APART_US));
    ck_assert(!ask_at(2, &first, true, 1, 50 + APART_US));
    ck_assert(!ask_at(1, &first, true, 2, 50 + APART_US));
    ck_assert(ask_at(1, &first, true, 3, 50 + APART_US));
}
END_TEST

START_TEST(what_was_not_in_hand_is_asked_by_each_and_joined_again)
{
    ck_assert(!ask(1, 0));
    ck_assert(ask(1, 1));
    single_flight_part(&members[0].member);
    ck_assert_int_eq(members[1].ended, FLIGHT_APART);
    ck_assert(!ask(1, 2));
    ck_assert(ask(1, 3));
}
END_TEST

START_TEST(there_are_bounds)
{
    ck_assert(!ask(1, 0));
    for (size_t i = 1; i <= WAITERS_MAX; i++)
        ck_assert(ask(1, i));
    ck_assert(!ask(1, 6)); /* and leads those who come after it */
    ck_assert(ask(1, 7));
    ck_assert_ptr_eq(single_flight_leader(&members[7].member), &members[6].member);
    tear_down();
    set_up();
    for (unsigned i = 0; i < FLIGHTS_MAX; i++)
        ck_assert(!ask(i, i));
    ck_assert(!ask(99, FLIGHTS_MAX));
    ck_assert_ptr_null(members[FLIGHTS_MAX].member.flight);
    ck_assert(ask(1, FLIGHTS_MAX));
    tear_down();
    set_up();
    for (size_t i = 0; i <= FLIGHTS_MAX; i++) { /* those that nobody may join count as well */
        ck_assert(!ask_at(1, &first, false, i, 0));
        members[i].is_sent = true;
    }
    ck_assert_ptr_null(members[FLIGHTS_MAX].member.flight);
}
END_TEST

START_TEST(the_table_goes_before_its_members)
{
    ck_assert(!ask(1, 0));
    ck_assert(ask(1, 1));
    single_flight_free(table);
    set_up();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("single_flight");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, one_asks_and_all_get_the_answer);
    tcase_add_test(tcase, after_a_write_nobody_joins_what_was_sent_before);
    tcase_add_test(tcase, what_was_not_sent_yet_is_joined_whatever_was_written);
    tcase_add_test(tcase, what_was_sent_while_a_write_was_under_way_is_joined_by_nobody);
    tcase_add_test(tcase, where_others_write_nobody_joins_what_is_sent);
    tcase_add_test(tcase, services_do_not_wait_for_each_other);
    tcase_add_test(tcase, if_the_leader_leaves_one_leads_and_the_others_wait_for_it);
    tcase_add_test(tcase, who_asks_instead_is_joined_at_what_holds_then);
    tcase_add_test(tcase, what_failed_twice_each_asks_for_itself);
    tcase_add_test(tcase, who_leaves_is_told_nothing);
    tcase_add_test(tcase, an_answer_that_is_not_for_others_sets_the_question_apart_for_a_while);
    tcase_add_test(tcase, each_mark_ends_by_itself);
    tcase_add_test(tcase, what_was_not_in_hand_is_asked_by_each_and_joined_again);
    tcase_add_test(tcase, there_are_bounds);
    tcase_add_test(tcase, the_table_goes_before_its_members);
    return check_main("single_flight", tcase);
}
