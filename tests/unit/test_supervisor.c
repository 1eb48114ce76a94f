/* What must hold: one process at most, a death is followed by a start after a bounded wait, a stop
 * by INT and then KILL, and what never worked is given up. */
#include "base/rng.h"
#include "child/supervisor.h"
#include "support/check_main.h"

#define SECOND UINT64_C(1000000)
#define SEEDS  400

static const struct supervisor_options options = {.delay_min_us = SECOND / 5,
                                                  .delay_max_us = 10 * SECOND,
                                                  .stable_us = SECOND,
                                                  .end_timeout_us = 5 * SECOND,
                                                  .hang_timeout_us = 3 * SECOND,
                                                  .first_starts_max = 3};
static struct supervisor               supervisor;
static uint64_t                        now_us;

static void setup(void)
{
    now_us = 1000 * SECOND;
    supervisor_init(&supervisor, &options);
    supervisor_begin(&supervisor, now_us);
}

static void start(void)
{
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_START);
    supervisor_on_started(&supervisor);
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_NOTHING);
}

static void start_and_answer(void)
{
    start();
    supervisor_on_heartbeat(&supervisor, true, now_us);
    ck_assert_int_eq(supervisor.state, SUPERVISOR_READY);
}

/* How long it waits from here to its next start. */
static uint64_t wait_of_next_start(void)
{
    uint64_t began_us = now_us;

    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_NOTHING);
    now_us = supervisor_wake_us(&supervisor);
    return now_us - began_us;
}

START_TEST(the_wait_doubles_while_it_dies_at_once_and_is_short_after_a_good_time)
{
    static const uint64_t waits[] = {200000,  400000,  800000,   1600000,
                                     3200000, 6400000, 10000000, 10000000};

    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        start_and_answer();
        now_us += options.stable_us - 1;
        supervisor_on_exited(&supervisor, SUPERVISOR_SIGNALED, now_us);
        ck_assert_uint_eq(wait_of_next_start(), waits[i]);
    }
    start_and_answer();
    now_us += options.stable_us;
    supervisor_on_exited(&supervisor, SUPERVISOR_SIGNALED, now_us);
    ck_assert_uint_eq(wait_of_next_start(), options.delay_min_us);
    ck_assert_uint_eq(supervisor.stats.ends[SUPERVISOR_SIGNALED], COUNT_OF(waits) + 1);
}
END_TEST

START_TEST(what_was_never_ready_is_given_up_and_what_was_ready_once_is_not)
{
    for (unsigned i = 0; i < options.first_starts_max; i++) {
        start();
        supervisor_on_exited(&supervisor, SUPERVISOR_EXITED, now_us);
        if (supervisor.state == SUPERVISOR_WAITING)
            wait_of_next_start();
    }
    ck_assert_int_eq(supervisor.state, SUPERVISOR_FAILED);
    ck_assert_uint_eq(supervisor_wake_us(&supervisor), UINT64_MAX);

    setup();
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_START);
    supervisor_give_up(&supervisor); /* there is no such program */
    ck_assert_uint_eq(supervisor_wake_us(&supervisor), UINT64_MAX);
    supervisor_stop(&supervisor, now_us);
    ck_assert_int_eq(supervisor.state, SUPERVISOR_FAILED);

    setup();
    start_and_answer();
    for (unsigned i = 0; i < 10 * options.first_starts_max; i++) {
        supervisor_on_exited(&supervisor, SUPERVISOR_EXITED, now_us);
        wait_of_next_start();
        start();
    }
}
END_TEST

START_TEST(a_stop_is_INT_then_KILL_at_the_time_that_was_given)
{
    start_and_answer();
    supervisor_stop(&supervisor, now_us + 7 * SECOND);
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_INTERRUPT);
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_NOTHING);
    ck_assert_uint_eq(supervisor_wake_us(&supervisor), now_us + 7 * SECOND);
    now_us += 7 * SECOND;
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_KILL);
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_NOTHING);
    supervisor_on_exited(&supervisor, SUPERVISOR_SIGNALED, now_us);
    ck_assert_int_eq(supervisor.state, SUPERVISOR_STOPPED);
    ck_assert_uint_eq(supervisor.stats.ends[SUPERVISOR_SIGNALED], 0); /* no death */
}
END_TEST

START_TEST(a_stop_while_it_waits_or_is_just_being_started_works_too)
{
    supervisor_stop(&supervisor, now_us);
    ck_assert_int_eq(supervisor.state, SUPERVISOR_STOPPED);

    setup();
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_START);
    supervisor_stop(&supervisor, now_us + SECOND);
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_NOTHING);
    supervisor_on_started(&supervisor);
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_INTERRUPT);
    supervisor_on_exited(&supervisor, SUPERVISOR_EXITED, now_us);
    ck_assert_int_eq(supervisor.state, SUPERVISOR_STOPPED);
}
END_TEST

START_TEST(failing_heartbeats_are_a_hang_only_after_the_timeout_and_in_a_row)
{
    start_and_answer();
    now_us += 100 * SECOND; /* silence is no failure: no heartbeat may have been sent */
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_NOTHING);
    supervisor_on_heartbeat(&supervisor, false, now_us);
    now_us += options.hang_timeout_us - 1;
    supervisor_on_heartbeat(&supervisor, false, now_us);
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_NOTHING);
    supervisor_on_heartbeat(&supervisor, true, now_us);
    supervisor_on_heartbeat(&supervisor, false, now_us);
    ck_assert_uint_eq(supervisor_wake_us(&supervisor), now_us + options.hang_timeout_us);
    now_us += options.hang_timeout_us;
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_INTERRUPT);
    ck_assert_int_eq(supervisor_on_exited(&supervisor, SUPERVISOR_EXITED, now_us), SUPERVISOR_HUNG);
    ck_assert_uint_eq(wait_of_next_start(), options.delay_min_us);
}
END_TEST

START_TEST(a_recycled_one_starts_again_at_once)
{
    start_and_answer();
    supervisor_recycle(&supervisor, now_us);
    ck_assert_int_eq(supervisor_next(&supervisor, now_us), SUPERVISOR_INTERRUPT);
    ck_assert_int_eq(supervisor_on_exited(&supervisor, SUPERVISOR_EXITED, now_us),
                     SUPERVISOR_RECYCLED);
    start_and_answer();
}
END_TEST

/* A world in which a process does what it likes; the policy is driven by events and its own alarm
 * only. */
struct world {
    struct rng rng;
    bool       has_process, is_deaf; /* to INT */
    bool       was_told;
    uint64_t   event_us; /* the next thing that the process does */
    uint64_t   told_us, died_us;
};

static void carry_out(struct world *world, enum supervisor_action action)
{
    switch (action) {
    case SUPERVISOR_START:
        ck_assert(!world->has_process);
        ck_assert_uint_le(now_us - world->died_us, options.delay_max_us);
        world->has_process = true;
        world->was_told = false;
        world->is_deaf = rng_below(&world->rng, 4) == 0;
        world->event_us = now_us + rng_below(&world->rng, 2 * SECOND);
        supervisor_on_started(&supervisor);
        break;
    case SUPERVISOR_INTERRUPT:
        ck_assert(world->has_process && !world->was_told);
        world->was_told = true;
        world->told_us = now_us;
        world->event_us = world->is_deaf ? UINT64_MAX : now_us + rng_below(&world->rng, SECOND);
        break;
    case SUPERVISOR_KILL:
        ck_assert(world->has_process && world->was_told);
        world->is_deaf = false;
        world->event_us = now_us;
        break;
    default:
        break;
    }
}

static void do_as_it_likes(struct world *world)
{
    bool dies = world->was_told || rng_below(&world->rng, 3) == 0;

    if (dies) {
        world->has_process = false;
        world->event_us = UINT64_MAX;
        world->died_us = now_us;
        supervisor_on_exited(&supervisor, SUPERVISOR_SIGNALED, now_us);
    } else {
        supervisor_on_heartbeat(&supervisor, rng_below(&world->rng, 3) != 0, now_us);
        world->event_us = now_us + rng_below(&world->rng, 4 * SECOND);
    }
}

static void simulate(uint64_t seed)
{
    struct world world = {.event_us = UINT64_MAX};
    bool         stopping = false;

    rng_init(&world.rng, seed);
    setup();
    world.died_us = now_us;
    for (int step = 0; step < 300 && supervisor.state != SUPERVISOR_FAILED; step++) {
        enum supervisor_action action;
        uint64_t               wake_us;

        while ((action = supervisor_next(&supervisor, now_us)) != SUPERVISOR_NOTHING)
            carry_out(&world, action);
        if (supervisor.state == SUPERVISOR_STOPPED)
            break;
        if (step == 250 || (!stopping && rng_below(&world.rng, 200) == 0)) {
            stopping = true;
            supervisor_stop(&supervisor, now_us + rng_below(&world.rng, 3 * SECOND));
        } else if (rng_below(&world.rng, 20) == 0) {
            supervisor_recycle(&supervisor, now_us);
        }
        wake_us = supervisor_wake_us(&supervisor);
        if (world.event_us < wake_us)
            wake_us = world.event_us;
        if (supervisor.state == SUPERVISOR_STOPPED)
            break;
        ck_assert_msg(wake_us != UINT64_MAX, "seed %llu: asleep for ever",
                      (unsigned long long)seed);
        if (wake_us > now_us)
            now_us = wake_us;
        if (world.has_process && now_us >= world.event_us)
            do_as_it_likes(&world);
        ck_assert_uint_eq(supervisor.has_process, world.has_process);
    }
    ck_assert_msg(supervisor.state == SUPERVISOR_FAILED || supervisor.state == SUPERVISOR_STOPPED,
                  "seed %llu: no end", (unsigned long long)seed);
    ck_assert(!world.has_process);
}

START_TEST(whatever_a_process_does_there_is_one_at_most_and_it_comes_back)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        simulate(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("supervisor");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, the_wait_doubles_while_it_dies_at_once_and_is_short_after_a_good_time);
    tcase_add_test(tcase, what_was_never_ready_is_given_up_and_what_was_ready_once_is_not);
    tcase_add_test(tcase, a_stop_is_INT_then_KILL_at_the_time_that_was_given);
    tcase_add_test(tcase, a_stop_while_it_waits_or_is_just_being_started_works_too);
    tcase_add_test(tcase, failing_heartbeats_are_a_hang_only_after_the_timeout_and_in_a_row);
    tcase_add_test(tcase, a_recycled_one_starts_again_at_once);
    tcase_add_test(tcase, whatever_a_process_does_there_is_one_at_most_and_it_comes_back);
    return check_main("supervisor", tcase);
}
