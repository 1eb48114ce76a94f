/* What must hold: timeouts end in their order and not early, whatever was stopped, restarted or
 * shortened meanwhile. */
#include "io/timeout_queue.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

#define COUNT 4

static const uint64_t ms = 1000;

static struct loop          *loop;
static struct timeout_queue *queue;
static struct timeout        timeouts[COUNT];
static int                   ended[COUNT * 4], ended_count;
static uint64_t              ended_us[COUNT * 4];

static void on_timeout(struct timeout *timeout)
{
    ended[ended_count] = (int)(timeout - timeouts);
    ended_us[ended_count++] = clock_now_us();
}

static void setup(void)
{
    loop = loop_new();
    queue = timeout_queue_new(loop, 20 * ms, on_timeout);
    ck_assert_ptr_nonnull(queue);
    for (size_t i = 0; i < COUNT; i++)
        timeout_queue_init_node(&timeouts[i]);
}

static void teardown(void)
{
    for (size_t i = 0; i < COUNT; i++)
        timeout_queue_stop(&timeouts[i]);
    timeout_queue_free(queue);
    loop_free(loop);
}

static bool all_ended(void)
{
    for (size_t i = 0; i < COUNT; i++)
        if (timeout_queue_is_running(&timeouts[i]))
            return false;
    return true;
}

/* Who moves to a queue that never ends must not be ended by the one that it was in. */
START_TEST(a_timeout_that_is_started_in_a_queue_without_end_ends_nowhere)
{
    struct timeout_queue *never = timeout_queue_new(loop, 0, on_timeout);

    timeout_queue_start(queue, &timeouts[0]);
    timeout_queue_start(never, &timeouts[0]);
    ck_assert(!timeout_queue_is_running(&timeouts[0]));
    timeout_queue_free(never);
}
END_TEST

START_TEST(timeouts_end_in_their_order_and_not_early)
{
    uint64_t began_us = loop_now_us(loop);

    for (size_t i = 0; i < COUNT; i++) {
        ck_assert(!timeout_queue_is_running(&timeouts[i]));
        timeout_queue_start(queue, &timeouts[i]);
        ck_assert(timeout_queue_is_running(&timeouts[i]));
    }
    loop_drive_until(loop, all_ended);
    ck_assert_int_eq(ended_count, COUNT);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(ended[i], i);
    ck_assert_uint_ge(ended_us[0], began_us + 20 * ms);
}
END_TEST

START_TEST(a_stopped_timeout_does_not_end)
{
    for (size_t i = 0; i < COUNT; i++)
        timeout_queue_start(queue, &timeouts[i]);
    timeout_queue_stop(&timeouts[0]);
    timeout_queue_stop(&timeouts[2]);
    timeout_queue_stop(&timeouts[2]);
    loop_drive_until(loop, all_ended);
    ck_assert_int_eq(ended_count, 2);
    ck_assert_int_eq(ended[0], 1);
    ck_assert_int_eq(ended[1], 3);
}
END_TEST

START_TEST(a_restarted_timeout_begins_anew)
{
    timeout_queue_start(queue, &timeouts[0]);
    timeout_queue_start(queue, &timeouts[1]);
    timeout_queue_start(queue, &timeouts[0]);
    loop_drive_until(loop, all_ended);
    ck_assert_int_eq(ended_count, 2);
    ck_assert_int_eq(ended[0], 1);
    ck_assert_int_eq(ended[1], 0);
}
END_TEST

static int again_count;

static void on_timeout_again(struct timeout *timeout)
{
    if (++again_count < 3)
        timeout_queue_start(queue, timeout);
}

START_TEST(a_timeout_may_be_started_again_when_it_ends)
{
    timeout_queue_free(queue);
    queue = timeout_queue_new(loop, 1 * ms, on_timeout_again);
    timeout_queue_start(queue, &timeouts[0]);
    loop_drive_until(loop, all_ended);
    ck_assert_int_eq(again_count, 3);
}
END_TEST

START_TEST(a_shorter_duration_holds_at_once_and_running_ones_keep_their_end)
{
    uint64_t began_us = clock_now_us();

    timeout_queue_set_duration(queue, 60000 * ms);
    timeout_queue_start(queue, &timeouts[0]);
    timeout_queue_stop(&timeouts[0]); /* the loop's timer stays set for it */
    timeout_queue_set_duration(queue, 100 * ms);
    timeout_queue_start(queue, &timeouts[1]);
    timeout_queue_set_duration(queue, 10 * ms);
    timeout_queue_start(queue, &timeouts[2]);
    loop_drive_until(loop, all_ended);
    ck_assert_int_eq(ended_count, 2);
    ck_assert_int_eq(ended[0], 2);
    ck_assert_int_eq(ended[1], 1);
    ck_assert_uint_lt(ended_us[0], began_us + 90 * ms);
    ck_assert_uint_ge(ended_us[1], began_us + 99 * ms);
}
END_TEST

START_TEST(no_duration_is_never)
{
    timeout_queue_set_duration(queue, 0);
    timeout_queue_start(queue, &timeouts[0]);
    ck_assert(!timeout_queue_is_running(&timeouts[0]));
    loop_drive_for(loop, 5 * ms);
    ck_assert_int_eq(ended_count, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("timeout_queue");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_timeout_that_is_started_in_a_queue_without_end_ends_nowhere);
    tcase_add_test(tcase, timeouts_end_in_their_order_and_not_early);
    tcase_add_test(tcase, a_stopped_timeout_does_not_end);
    tcase_add_test(tcase, a_restarted_timeout_begins_anew);
    tcase_add_test(tcase, a_timeout_may_be_started_again_when_it_ends);
    tcase_add_test(tcase, a_shorter_duration_holds_at_once_and_running_ones_keep_their_end);
    tcase_add_test(tcase, no_duration_is_never);
    return check_main("timeout_queue", tcase);
}
