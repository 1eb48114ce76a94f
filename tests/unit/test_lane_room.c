/* What must hold: a collection holds no more than its bound but for one write larger than that, its
 * writes enter in order, and another collection never waits for it. */
#include "proxy/lane_room.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

#define TICKETS  8
#define LANE_MAX 1000

static struct loop            *loop;
static struct lane_room       *room;
static struct lane_room_ticket tickets[TICKETS];
static int                     order[TICKETS], admissions;
static bool                    leaves_at_once;

static const unsigned char secret[16] = {1}, lane_a[16] = {10}, lane_b[16] = {11};

static void on_admitted(struct lane_room_ticket *ticket)
{
    order[admissions++] = (int)(ticket - tickets);
    if (leaves_at_once)
        lane_room_leave(room, ticket);
}

static void setup(void)
{
    loop = loop_new();
    ck_assert_ptr_nonnull(loop);
    room = lane_room_new(loop, secret, LANE_MAX);
    ck_assert_ptr_nonnull(room);
    for (size_t i = 0; i < TICKETS; i++)
        lane_room_init_ticket(&tickets[i], on_admitted);
}

static void teardown(void)
{
    for (size_t i = 0; i < TICKETS; i++)
        lane_room_leave(room, &tickets[i]);
    lane_room_free(room); /* asserts that no lane is left */
    loop_free(loop);
}

static bool anybody_admitted(void)
{
    return admissions > 0;
}

static bool all_waiting_admitted(void)
{
    return admissions == 3;
}

START_TEST(what_fits_enters_at_once)
{
    ck_assert(lane_room_enter(room, &tickets[0], lane_a, 600));
    ck_assert(lane_room_enter(room, &tickets[1], lane_a, 400));
    ck_assert(!lane_room_enter(room, &tickets[2], lane_a, 1));
    lane_room_leave(room, &tickets[0]);
    lane_room_leave(room, &tickets[0]);
    ck_assert_int_eq(admissions, 0); /* never inside a call */
    loop_drive_until(loop, anybody_admitted);
    ck_assert_int_eq(order[0], 2);
}
END_TEST

START_TEST(a_full_collection_stops_no_other)
{
    ck_assert(lane_room_enter(room, &tickets[0], lane_a, LANE_MAX));
    ck_assert(!lane_room_enter(room, &tickets[1], lane_a, 1));
    ck_assert(lane_room_enter(room, &tickets[2], lane_b, LANE_MAX));
}
END_TEST

START_TEST(nobody_overtakes)
{
    ck_assert(lane_room_enter(room, &tickets[0], lane_a, 900));
    ck_assert(!lane_room_enter(room, &tickets[1], lane_a, 500));
    ck_assert(!lane_room_enter(room, &tickets[2], lane_a, 50)); /* would fit */
    ck_assert(!lane_room_enter(room, &tickets[3], lane_a, 400));
    lane_room_leave(room, &tickets[0]);
    loop_drive_until(loop, all_waiting_admitted);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(order[i], i + 1);
}
END_TEST

START_TEST(one_larger_than_the_bound_enters_an_empty_collection)
{
    ck_assert(lane_room_enter(room, &tickets[0], lane_a, 5 * LANE_MAX));
    ck_assert(!lane_room_enter(room, &tickets[1], lane_a, 5 * LANE_MAX));
    lane_room_leave(room, &tickets[0]);
    loop_drive_until(loop, anybody_admitted);
    ck_assert(!lane_room_enter(room, &tickets[2], lane_a, 1));
}
END_TEST

START_TEST(a_size_that_was_not_said_counts_as_it_grows)
{
    ck_assert(lane_room_enter(room, &tickets[0], lane_a, 0));
    lane_room_grow(&tickets[0], LANE_MAX - 1);
    lane_room_grow(&tickets[0], 5); /* it does not shrink */
    ck_assert(lane_room_enter(room, &tickets[1], lane_a, 0));
    lane_room_grow(&tickets[1], 10);
    ck_assert(!lane_room_enter(room, &tickets[2], lane_a, 0));
    lane_room_grow(&tickets[2], 10); /* it waits: a no-op */
    lane_room_leave(room, &tickets[1]);
    loop_drive_until(loop, anybody_admitted);
    ck_assert_int_eq(order[0], 2);
}
END_TEST

START_TEST(who_waits_may_give_up)
{
    ck_assert(lane_room_enter(room, &tickets[0], lane_a, LANE_MAX));
    ck_assert(!lane_room_enter(room, &tickets[1], lane_a, LANE_MAX));
    ck_assert(!lane_room_enter(room, &tickets[2], lane_a, 10));
    lane_room_leave(room, &tickets[0]);
    lane_room_leave(room, &tickets[1]); /* before the loop has told it */
    loop_drive_until(loop, anybody_admitted);
    ck_assert_int_eq(order[0], 2);
}
END_TEST

START_TEST(who_is_admitted_may_leave_at_once)
{
    leaves_at_once = true;
    ck_assert(lane_room_enter(room, &tickets[0], lane_a, LANE_MAX));
    for (int i = 1; i < 4; i++)
        ck_assert(!lane_room_enter(room, &tickets[i], lane_a, LANE_MAX));
    lane_room_leave(room, &tickets[0]);
    loop_drive_until(loop, all_waiting_admitted);
    leaves_at_once = false;
}
END_TEST

START_TEST(a_larger_bound_admits)
{
    ck_assert(lane_room_enter(room, &tickets[0], lane_a, LANE_MAX));
    ck_assert(!lane_room_enter(room, &tickets[1], lane_a, LANE_MAX));
    lane_room_set_max(room, 2 * LANE_MAX);
    loop_drive_until(loop, anybody_admitted);
    ck_assert_int_eq(order[0], 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("lane_room");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_fits_enters_at_once);
    tcase_add_test(tcase, a_full_collection_stops_no_other);
    tcase_add_test(tcase, nobody_overtakes);
    tcase_add_test(tcase, one_larger_than_the_bound_enters_an_empty_collection);
    tcase_add_test(tcase, a_size_that_was_not_said_counts_as_it_grows);
    tcase_add_test(tcase, who_waits_may_give_up);
    tcase_add_test(tcase, who_is_admitted_may_leave_at_once);
    tcase_add_test(tcase, a_larger_bound_admits);
    return check_main("lane_room", tcase);
}
