/* What must hold: callbacks, then tasks, then frees in each turn; nothing after it was taken back.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

static struct loop *loop;
static char         trace[64];
static int          pair[2];

static void note(char what)
{
    size_t size = strlen(trace);

    ck_assert_uint_lt(size, sizeof trace - 1);
    trace[size] = what;
}

static void setup(void)
{
    loop = loop_new();
    ck_assert_ptr_nonnull(loop);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void teardown(void)
{
    loop_free(loop);
    close(pair[0]);
    close(pair[1]);
}

static bool has_traced(void)
{
    return trace[0] != '\0';
}

static void note_timer(void *ctx)
{
    note(*(const char *)ctx);
}

START_TEST(a_timer_fires_once_and_not_early)
{
    struct loop_timer *timer = loop_timer_new(loop, note_timer, (void *)(uintptr_t) "t");
    uint64_t           at_us = clock_now_us() + 5000;

    loop_timer_set(timer, at_us);
    loop_drive_until(loop, has_traced);
    ck_assert_uint_ge(clock_now_us(), at_us);
    loop_drive_for(loop, 7000);
    ck_assert_str_eq(trace, "t");
    loop_timer_free(timer);
}
END_TEST

START_TEST(a_timer_is_set_anew_and_cleared)
{
    struct loop_timer *moved = loop_timer_new(loop, note_timer, (void *)(uintptr_t) "m");
    struct loop_timer *cleared = loop_timer_new(loop, note_timer, (void *)(uintptr_t) "c");
    struct loop_timer *freed = loop_timer_new(loop, note_timer, (void *)(uintptr_t) "f");

    loop_timer_set(moved, clock_now_us() + 3600 * UINT64_C(1000000));
    loop_timer_set(moved, 0); /* past: soon */
    loop_timer_set(cleared, 0);
    loop_timer_clear(cleared);
    loop_timer_set(freed, 0);
    loop_timer_free(freed);
    loop_drive_for(loop, 3000);
    ck_assert_str_eq(trace, "m");
    loop_timer_free(moved);
    loop_timer_free(cleared);
    loop_timer_free(NULL);
}
END_TEST

static unsigned seen;

static void on_ready(unsigned ready, void *ctx)
{
    struct loop_watch **watch = ctx;

    seen |= ready;
    if (ready & LOOP_READ)
        loop_watch_set(*watch, 0);
}

static bool has_seen_both(void)
{
    return seen == (LOOP_READ | LOOP_WRITE);
}

START_TEST(a_watch_tells_what_was_asked_for_and_only_that)
{
    struct loop_watch *watch;

    watch = loop_watch_new(loop, pair[0], on_ready, &watch);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    loop_drive_for(loop, 2000);
    ck_assert_uint_eq(seen, 0); /* no interest at first */
    loop_watch_set(watch, LOOP_WRITE);
    loop_drive_for(loop, 2000);
    ck_assert_uint_eq(seen, LOOP_WRITE);
    loop_watch_set(watch, LOOP_READ | LOOP_WRITE);
    loop_drive_until(loop, has_seen_both);
    seen = 0; /* the callback gave up all interest */
    loop_drive_for(loop, 2000);
    ck_assert_uint_eq(seen, 0);
    loop_watch_free(watch);
    loop_watch_free(NULL);
}
END_TEST

static struct loop_task first_task, second_task;

static void run_first(void *ctx)
{
    (void)ctx;
    note('1');
    loop_later(loop, &second_task);
}

static void run_second(void *ctx)
{
    (void)ctx;
    note('2');
}

static void free_noted(void *object)
{
    note('f');
    free(object);
}

static void on_turn(void *ctx)
{
    (void)ctx;
    note('c');
    loop_free_later(loop, malloc(1), free_noted);
    loop_later(loop, &first_task);
    loop_later(loop, &first_task);
    note('c');
}

START_TEST(a_turn_is_callbacks_then_tasks_then_frees)
{
    struct loop_timer *timer = loop_timer_new(loop, on_turn, NULL);

    loop_task_init(&first_task, run_first, NULL);
    loop_task_init(&second_task, run_second, NULL);
    loop_timer_set(timer, 0);
    loop_drive_until(loop, has_traced);
    ck_assert_str_eq(trace, "cc12f");
    loop_timer_free(timer);
}
END_TEST

START_TEST(a_cancelled_task_does_not_run)
{
    loop_task_init(&first_task, run_first, NULL);
    loop_task_init(&second_task, run_second, NULL);
    loop_later(loop, &first_task);
    loop_later(loop, &second_task);
    loop_task_cancel(&first_task);
    loop_task_cancel(&first_task);
    loop_drive_for(loop, 1000);
    ck_assert_str_eq(trace, "2");
}
END_TEST

START_TEST(what_is_put_off_is_done_before_the_loop_is_gone)
{
    loop_task_init(&second_task, run_second, NULL);
    loop_later(loop, &second_task);
    loop_free_later(loop, malloc(1), free_noted);
    loop_free(loop);
    ck_assert_str_eq(trace, "2f");
    loop = loop_new();
}
END_TEST

START_TEST(many_frees_are_all_done)
{
    for (int i = 0; i < 1000; i++)
        loop_free_later(loop, malloc(16), free);
    loop_free_pending(loop);
}
END_TEST

static int got_signal;

static void on_signal(int signal_number, void *ctx)
{
    ck_assert_ptr_eq(ctx, &got_signal);
    got_signal = signal_number;
}

static bool has_signal(void)
{
    return got_signal != 0;
}

START_TEST(a_signal_runs_on_the_loop)
{
    ck_assert_int_eq(loop_on_signal(loop, SIGUSR2, on_signal, &got_signal), STATUS_OK);
    ck_assert_int_eq(raise(SIGUSR2), 0);
    ck_assert_int_eq(got_signal, 0);
    loop_drive_until(loop, has_signal);
    ck_assert_int_eq(got_signal, SIGUSR2);
}
END_TEST

static uint64_t now_in_callback;

static void busy(void *ctx)
{
    uint64_t end_us = clock_now_us() + 3000;

    (void)ctx;
    now_in_callback = loop_now_us(loop);
    while (clock_now_us() < end_us)
        continue;
    ck_assert_uint_eq(loop_now_us(loop), now_in_callback);
    note('b');
}

START_TEST(a_long_turn_is_seen_in_the_lag)
{
    const struct metric_histogram *lag = loop_lag(loop);
    struct loop_timer             *timer = loop_timer_new(loop, busy, NULL);
    uint64_t                       long_turns = 0;

    loop_timer_set(timer, 0);
    loop_drive_until(loop, has_traced);
    for (size_t i = 0; i <= METRIC_BUCKETS; i++)
        if (i == METRIC_BUCKETS || metric_bucket_bounds_us[i] > 2500)
            long_turns += lag->buckets[i];
    ck_assert_uint_ge(long_turns, 1);
    ck_assert_uint_ge(lag->sum_us, 3000);
    loop_timer_free(timer);
}
END_TEST

START_TEST(the_scratch_buffer_is_large)
{
    struct loop_scratch scratch = loop_scratch(loop);

    ck_assert_uint_ge(scratch.size, 16384);
    memset(scratch.data, 1, scratch.size);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("loop");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_timer_fires_once_and_not_early);
    tcase_add_test(tcase, a_timer_is_set_anew_and_cleared);
    tcase_add_test(tcase, a_watch_tells_what_was_asked_for_and_only_that);
    tcase_add_test(tcase, a_turn_is_callbacks_then_tasks_then_frees);
    tcase_add_test(tcase, a_cancelled_task_does_not_run);
    tcase_add_test(tcase, what_is_put_off_is_done_before_the_loop_is_gone);
    tcase_add_test(tcase, many_frees_are_all_done);
    tcase_add_test(tcase, a_signal_runs_on_the_loop);
    tcase_add_test(tcase, a_long_turn_is_seen_in_the_lag);
    tcase_add_test(tcase, the_scratch_buffer_is_large);
    return check_main("loop", tcase);
}
