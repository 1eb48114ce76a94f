/* What must hold: no more than `max` are admitted at once, the others in order, and who leaves is
 * not told. */
#include "calls/admission.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

enum { count = 6 };

static struct loop             *loop;
static struct admission         admission;
static struct admission_ticket  tickets[count];
static struct admission_ticket *told[count];
static size_t                   told_count;

static void on_admitted(struct admission_ticket *ticket)
{
    told[told_count++] = ticket;
}

static void setup(void)
{
    loop = loop_new();
    admission_init(&admission, loop, 2);
    for (size_t i = 0; i < count; i++)
        admission_init_ticket(&tickets[i], on_admitted);
    told_count = 0;
}

static void teardown(void)
{
    for (size_t i = 0; i < count; i++)
        admission_leave(&admission, &tickets[i]);
    ck_assert_uint_eq(admission.held + admission.waiting_count, 0);
    admission_done(&admission);
    loop_free(loop);
}

START_TEST(who_is_beyond_the_bound_is_admitted_later_and_in_order)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(admission_ask(&admission, &tickets[i]), i < 2);
    admission_leave(&admission, &tickets[0]);
    admission_leave(&admission, &tickets[1]);
    ck_assert_uint_eq(told_count, 0); /* never inside a call */
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 2);
    ck_assert_ptr_eq(told[0], &tickets[2]);
    ck_assert_ptr_eq(told[1], &tickets[3]);
}
END_TEST

START_TEST(nobody_goes_past_one_who_waits)
{
    for (size_t i = 0; i < 3; i++)
        (void)admission_ask(&admission, &tickets[i]);
    admission_leave(&admission, &tickets[0]);
    ck_assert(!admission_ask(&admission, &tickets[3]));
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 1);
    ck_assert_ptr_eq(told[0], &tickets[2]);
}
END_TEST

START_TEST(who_left_is_not_told)
{
    for (size_t i = 0; i < 4; i++)
        (void)admission_ask(&admission, &tickets[i]);
    admission_leave(&admission, &tickets[2]);
    admission_leave(&admission, &tickets[0]);
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 1);
    ck_assert_ptr_eq(told[0], &tickets[3]);
}
END_TEST

START_TEST(a_raised_bound_admits_those_who_wait)
{
    for (size_t i = 0; i < count; i++)
        (void)admission_ask(&admission, &tickets[i]);
    admission_set_max(&admission, 5);
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 3);
}
END_TEST

START_TEST(pause_admits_nobody_and_its_end_all_in_order)
{
    ck_assert(admission_ask(&admission, &tickets[0]));
    admission_pause(&admission, true);
    for (size_t i = 1; i < count; i++)
        ck_assert(!admission_ask(&admission, &tickets[i]));
    admission_leave(&admission, &tickets[0]); /* who was in may end */
    admission_set_max(&admission, 3);
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 0);
    admission_pause(&admission, false);
    ck_assert_uint_eq(told_count, 0); /* never inside a call */
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_ptr_eq(told[i], &tickets[i + 1]);
}
END_TEST

START_TEST(only_a_pause_that_ends_has_held_somebody)
{
    admission_set_max(&admission, 1);
    ck_assert(admission_ask(&admission, &tickets[0]));
    ck_assert(!admission_ask(&admission, &tickets[1]));
    admission_pause(&admission, false); /* there was none */
    ck_assert(!tickets[1].was_paused);
    admission_pause(&admission, true);
    admission_pause(&admission, false);
    ck_assert(tickets[1].was_paused);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("admission");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, who_is_beyond_the_bound_is_admitted_later_and_in_order);
    tcase_add_test(tcase, nobody_goes_past_one_who_waits);
    tcase_add_test(tcase, who_left_is_not_told);
    tcase_add_test(tcase, a_raised_bound_admits_those_who_wait);
    tcase_add_test(tcase, pause_admits_nobody_and_its_end_all_in_order);
    tcase_add_test(tcase, only_a_pause_that_ends_has_held_somebody);
    return check_main("admission", tcase);
}
