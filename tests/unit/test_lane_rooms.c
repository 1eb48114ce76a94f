/* What must hold: a collection takes at most as much of the room for writes as it leaves, so hung
 * ones never take all; one write may always go; order within a collection. */
#include "calls/lane_rooms.h"
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "support/plain_budget.h"

enum { room = 1000, count = 64 };

static const unsigned char secret[16] = "secret";

static struct loop                 *loop;
static struct memory_account_budget budget;
static struct memory_account       *account;
static struct lane_rooms           *rooms;
static struct lane_ticket           tickets[count];
static bool                         is_held[count];
static size_t                       told[count], told_count;

/* As the proxy does: what is held here is then claimed. */
static void hold(size_t i)
{
    is_held[i] = true;
    memory_account_charge(account, tickets[i].size);
}

static void on_room(struct lane_ticket *ticket)
{
    told[told_count++] = (size_t)(ticket - tickets);
    hold((size_t)(ticket - tickets));
}

static bool take(size_t i, unsigned char lane, size_t size)
{
    unsigned char key[LANE_ROOM_KEY_SIZE] = {lane};

    if (!lane_rooms_take(rooms, &tickets[i], key, size))
        return false;
    hold(i);
    return true;
}

static void leave(size_t i)
{
    if (is_held[i])
        memory_account_release(account, tickets[i].size);
    is_held[i] = false;
    lane_rooms_leave(rooms, &tickets[i]);
}

static void setup(void)
{
    loop = loop_new();
    plain_budget_init(&budget, 1 << 20);
    account = &budget.accounts[MEMORY_ACCOUNT_WRITES];
    account->max = room;
    rooms = lane_rooms_new(loop, secret, account);
    for (size_t i = 0; i < count; i++)
        lane_rooms_init_ticket(&tickets[i], on_room);
    told_count = 0;
}

static void teardown(void)
{
    for (size_t i = 0; i < count; i++)
        leave(i);
    ck_assert_uint_eq(account->used, 0);
    lane_rooms_free(rooms); /* asserts that no collection is left */
    loop_free(loop);
}

START_TEST(one_collection_takes_half_two_a_third_each_and_so_on)
{
    size_t next = 0;

    for (unsigned char lane = 1; lane <= 4; lane++)
        while (take(next++, lane, 20))
            continue;
    /* The first took half. Whoever comes later takes half of what is left. */
    ck_assert_uint_ge(account->used, 900);
    ck_assert_uint_lt(account->used, room);
    ck_assert(take(next, 5, 20));
}
END_TEST

START_TEST(a_collection_that_holds_nothing_may_always_ask_for_one_write)
{
    ck_assert(take(0, 1, 2 * room));
    ck_assert(take(1, 2, 3 * room)); /* then it waits for the account */
    ck_assert(!take(2, 1, 1));
}
END_TEST

START_TEST(who_waits_is_served_in_order_when_room_is_freed)
{
    ck_assert(take(0, 1, 400));
    ck_assert(!take(1, 1, 300));
    ck_assert(!take(2, 1, 10)); /* would fit, but goes after the one before */
    ck_assert(take(3, 2, 200));
    leave(3);
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 0);
    leave(0);
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 2);
    ck_assert_uint_eq(told[0], 1);
    ck_assert_uint_eq(told[1], 2);
}
END_TEST

START_TEST(who_left_is_not_served)
{
    ck_assert(take(0, 1, 900));
    ck_assert(!take(1, 1, 100));
    ck_assert(!take(2, 1, 100));
    leave(1);
    leave(0);
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 1);
    ck_assert_uint_eq(told[0], 2);
}
END_TEST

START_TEST(what_is_moved_is_given_back_once)
{
    struct lane_ticket moved;

    ck_assert(take(0, 1, 400));
    lane_rooms_init_ticket(&moved, NULL);
    lane_rooms_move(&moved, &tickets[0]);
    lane_rooms_add(&moved, 50);
    ck_assert(!take(1, 1, 600));
    memory_account_release(account, 400);
    is_held[0] = false;
    lane_rooms_leave(rooms, &moved);
    loop_drive_for(loop, 1000);
    ck_assert_uint_eq(told_count, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("lane_rooms");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, one_collection_takes_half_two_a_third_each_and_so_on);
    tcase_add_test(tcase, a_collection_that_holds_nothing_may_always_ask_for_one_write);
    tcase_add_test(tcase, who_waits_is_served_in_order_when_room_is_freed);
    tcase_add_test(tcase, who_left_is_not_served);
    tcase_add_test(tcase, what_is_moved_is_given_back_once);
    return check_main("lane_rooms", tcase);
}
