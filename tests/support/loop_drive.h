/* loop_drive - run a loop until something has happened, never for long */
#ifndef SUPPORT_LOOP_DRIVE_H
#define SUPPORT_LOOP_DRIVE_H

#include <check.h>
#include <stdbool.h>

#include "io/clock.h"
#include "io/loop.h"

/* What takes longer has failed; far above any time that a test waits for. */
static const uint64_t loop_drive_max_us = 5000000;

struct loop_drive {
    struct loop       *loop;
    struct loop_timer *timer;
    bool (*is_done)(void);
    uint64_t began_us;
    bool     in_time;
};

static inline void loop_drive_check(void *ctx)
{
    struct loop_drive *drive = ctx;
    uint64_t           now_us = clock_now_us();

    drive->in_time = drive->is_done();
    if (drive->in_time || now_us - drive->began_us > loop_drive_max_us)
        loop_stop(drive->loop);
    else
        loop_timer_set(drive->timer, now_us + 500);
}

/* Run turns until is_done(); the test fails when that takes too long. */
static inline void loop_drive_until(struct loop *loop, bool (*is_done)(void))
{
    struct loop_drive drive = {.loop = loop, .is_done = is_done, .began_us = clock_now_us()};

    drive.timer = loop_timer_new(loop, loop_drive_check, &drive);
    ck_assert_ptr_nonnull(drive.timer);
    loop_timer_set(drive.timer, 0);
    loop_run(loop);
    loop_timer_free(drive.timer);
    ck_assert_msg(drive.in_time, "it does not happen");
}

static uint64_t loop_drive_end_us;

static inline bool loop_drive_is_over(void)
{
    return clock_now_us() >= loop_drive_end_us;
}

/* Run turns for `duration_us`: to see that something does not happen. */
static inline void loop_drive_for(struct loop *loop, uint64_t duration_us)
{
    loop_drive_end_us = clock_now_us() + duration_us;
    loop_drive_until(loop, loop_drive_is_over);
}

#endif
