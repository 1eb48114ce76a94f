/* What must hold: a question is a repeat for a minute after it was asked last, and it is known who
 * asked; the table is bounded and forgets what was not asked for longest. */
#include "admin/repeat_table.h"
#include "support/check_main.h"

#define SECOND ((uint64_t)1000000)

enum { PLACES = REPEAT_TABLE_SIZE / REPEAT_TABLE_WAYS };

static struct repeat_table table;
static uint64_t            now_us;

static void setup(void)
{
    memset(&table, 0, sizeof table);
    now_us = 1000 * SECOND;
}

static enum repeat_table_result ask(uint64_t question, uint64_t asker)
{
    return repeat_table_note(&table, question, asker, now_us);
}

START_TEST(a_question_is_a_repeat_for_a_minute)
{
    ck_assert_int_eq(ask(7, 1), REPEAT_TABLE_NEW);
    ck_assert_int_eq(ask(8, 1), REPEAT_TABLE_NEW);
    ck_assert_int_eq(ask(7, 1), REPEAT_TABLE_OWN);
    now_us += 60 * SECOND;
    ck_assert_int_eq(ask(7, 1), REPEAT_TABLE_OWN); /* which begins another minute */
    now_us += 60 * SECOND;
    ck_assert_int_eq(ask(7, 2), REPEAT_TABLE_ANOTHER);
    ck_assert_int_eq(ask(7, 2), REPEAT_TABLE_OWN);
    now_us += 60 * SECOND + 1;
    ck_assert_int_eq(ask(7, 2), REPEAT_TABLE_NEW);
}
END_TEST

START_TEST(what_was_not_asked_for_longest_makes_room)
{
    for (uint64_t i = 1; i <= REPEAT_TABLE_WAYS; i++, now_us += SECOND)
        ck_assert_int_eq(ask(i * PLACES, 1), REPEAT_TABLE_NEW);
    ck_assert_int_eq(ask(1 * PLACES, 1), REPEAT_TABLE_OWN);
    now_us += SECOND;
    ck_assert_int_eq(ask(9 * PLACES, 1), REPEAT_TABLE_NEW); /* in the place of 2 */
    ck_assert_int_eq(ask(1 * PLACES, 1), REPEAT_TABLE_OWN);
    ck_assert_int_eq(ask(3 * PLACES, 1), REPEAT_TABLE_OWN);
    ck_assert_int_eq(ask(4 * PLACES, 1), REPEAT_TABLE_OWN);
    ck_assert_int_eq(ask(9 * PLACES, 1), REPEAT_TABLE_OWN);
    ck_assert_int_eq(ask(2 * PLACES, 1), REPEAT_TABLE_NEW);
}
END_TEST

START_TEST(as_many_as_it_says_are_known)
{
    for (uint64_t i = 1; i <= REPEAT_TABLE_SIZE; i++)
        ck_assert_int_eq(ask(i, i), REPEAT_TABLE_NEW);
    for (uint64_t i = 1; i <= REPEAT_TABLE_SIZE; i++)
        ck_assert_int_eq(ask(i, i), REPEAT_TABLE_OWN);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("repeat_table");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, a_question_is_a_repeat_for_a_minute);
    tcase_add_test(tcase, what_was_not_asked_for_longest_makes_room);
    tcase_add_test(tcase, as_many_as_it_says_are_known);
    return check_main("repeat_table", tcase);
}
