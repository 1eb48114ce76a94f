/* What must hold: the cap is exact, what a class keeps is there when it comes, nobody waits while
 * he may go, each class is served in order, reads go first and starve nobody, services get their
 * part, and nobody is forgotten.
 */
#include <signal.h>

#include "base/rng.h"
#include "limits/turn_queue.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

#define TURNS 100

static struct turn_queue *queue;
static struct turn        turns[TURNS];
static size_t             used;
static uint64_t           now_us;

static struct turn *ask(enum turn_class class, enum status expected)
{
    struct turn *turn = &turns[used++];

    turn->class = class;
    ck_assert_int_eq(turn_queue_ask(queue, turn, now_us), expected);
    return turn;
}

static void ask_many(size_t count, enum turn_class class, enum status expected)
{
    for (size_t i = 0; i < count; i++)
        ask(class, expected);
}

static void set_up_with(size_t connections_max)
{
    struct turn_queue_options options = {.connections_max = connections_max};

    turn_queue_set_options(queue, &options);
}

static void setup(void)
{
    struct turn_queue_options options = {.connections_max = 8, .services = 3};

    queue = turn_queue_new(&options);
    ck_assert_ptr_nonnull(queue);
    now_us = 1000;
}

/* Whoever waits or goes is taken out, so that turn_queue_free() can assert. */
static void teardown(void)
{
    for (size_t i = 0; i < used; i++) {
        turn_queue_leave(queue, &turns[i], now_us);
        if (turns[i].state != TURN_IDLE)
            turn_queue_done(queue, &turns[i], 0);
    }
    turn_queue_free(queue);
}

#define CK_NEXT(expected) ck_assert_ptr_eq(turn_queue_next(queue, now_us), expected)

START_TEST(while_held_only_control_goes_and_afterwards_all_in_their_order)
{
    struct turn *read, *write;

    turn_queue_hold(queue, true);
    write = ask(TURN_WRITE, STATUS_AGAIN);
    read = ask(TURN_READ, STATUS_AGAIN);
    ask(TURN_CONTROL, STATUS_OK);
    CK_NEXT(NULL);
    turn_queue_hold(queue, false);
    CK_NEXT(read);
    CK_NEXT(write);
    CK_NEXT(NULL);
}
END_TEST

START_TEST(a_class_leaves_the_others_what_they_keep)
{
    ask_many(5, TURN_READ, STATUS_OK); /* 8 less 2 for writes and 1 for control */
    ask(TURN_READ, STATUS_AGAIN);
    ask_many(2, TURN_WRITE, STATUS_OK);
    ask(TURN_WRITE, STATUS_AGAIN);
    ask(TURN_CONTROL, STATUS_OK);
    ask(TURN_CONTROL, STATUS_AGAIN);
    CK_NEXT(NULL);
}
END_TEST

START_TEST(a_reserve_of_one_class_is_not_used_up_by_what_another_has)
{
    ask_many(3, TURN_CONTROL, STATUS_OK);
    ask_many(3, TURN_READ, STATUS_OK);
    ask(TURN_READ, STATUS_AGAIN);
    ask_many(2, TURN_WRITE, STATUS_OK);
}
END_TEST

START_TEST(with_four_connections_each_class_keeps_one)
{
    set_up_with(4);
    ask_many(2, TURN_WRITE, STATUS_OK);
    ask(TURN_WRITE, STATUS_AGAIN);
    ask(TURN_READ, STATUS_OK);
    ask(TURN_CONTROL, STATUS_OK);
}
END_TEST

START_TEST(with_fewer_nothing_is_kept_and_control_goes_first)
{
    struct turn *first;
    struct turn *control;

    set_up_with(1);
    first = ask(TURN_WRITE, STATUS_OK);
    ask(TURN_READ, STATUS_AGAIN);
    control = ask(TURN_CONTROL, STATUS_AGAIN);
    CK_NEXT(NULL);
    turn_queue_done(queue, first, 0);
    CK_NEXT(control);
    CK_NEXT(NULL);
}
END_TEST

START_TEST(reads_go_first_but_do_not_starve_writes)
{
    struct turn *going, *write;
    unsigned     reads = 0;

    set_up_with(1);
    going = ask(TURN_READ, STATUS_OK);
    turns[used].cost_us = 10000;
    write = ask(TURN_WRITE, STATUS_AGAIN);
    for (int i = 0; i < 20; i++) {
        turns[used].cost_us = 5000;
        ask(TURN_READ, STATUS_AGAIN);
    }
    while (going != write) {
        turn_queue_done(queue, going, 0);
        going = turn_queue_next(queue, now_us);
        reads += going->class == TURN_READ;
    }
    ck_assert_uint_eq(reads, 8); /* 40 ms of reads, then 10 ms of writes */
}
END_TEST

START_TEST(a_write_dearer_than_any_credit_goes_too)
{
    struct turn *going, *write;
    unsigned     reads = 0;

    set_up_with(1);
    going = ask(TURN_READ, STATUS_OK);
    turns[used].cost_us = 100000000;
    write = ask(TURN_WRITE, STATUS_AGAIN);
    for (int i = 0; i < 20; i++) {
        turns[used].cost_us = 400000;
        ask(TURN_READ, STATUS_AGAIN);
    }
    while (going != write) {
        turn_queue_done(queue, going, 0);
        going = turn_queue_next(queue, now_us);
        reads += going->class == TURN_READ;
    }
    ck_assert_uint_eq(reads, 10);
}
END_TEST

START_TEST(services_take_turns)
{
    struct turn *going, *flood[6], *other;

    set_up_with(1);
    going = ask(TURN_READ, STATUS_OK);
    for (int i = 0; i < 6; i++) {
        turns[used].service = 1;
        flood[i] = ask(TURN_READ, STATUS_AGAIN);
    }
    turns[used].service = 2;
    other = ask(TURN_READ, STATUS_AGAIN);
    for (int i = 0; going != other; i++) {
        ck_assert_int_lt(i, 6);
        turn_queue_done(queue, going, 0);
        going = turn_queue_next(queue, now_us);
        ck_assert(going == other || going == flood[i]);
    }
    ck_assert_uint_eq(turn_queue_stats(queue)->waiting[TURN_READ], 2); /* equal calls: 4 of 1 ms */
}
END_TEST

START_TEST(a_service_has_no_more_turns_than_it_may)
{
    struct turn_queue_service options = {.weight = 1, .priority = 1, .turns_max = 2};
    struct turn              *first, *second;

    turn_queue_set_service(queue, 1, &options);
    for (int i = 0; i < 4; i++)
        turns[used + (size_t)i].service = 1;
    first = ask(TURN_READ, STATUS_OK);
    second = ask(TURN_WRITE, STATUS_OK);
    ask(TURN_READ, STATUS_AGAIN);
    ask(TURN_WRITE, STATUS_AGAIN);
    ask(TURN_READ, STATUS_OK); /* another service */
    CK_NEXT(NULL);
    turn_queue_answered(queue, second);
    CK_NEXT(&turns[2]);
    CK_NEXT(NULL);
    turn_queue_done(queue, first, 0);
    CK_NEXT(&turns[3]);
}
END_TEST

START_TEST(a_gate_bounds_the_turns_that_share_it_and_stops_no_other)
{
    static struct fair_gate gate; /* for teardown */
    struct turn            *first;

    fair_gate_init(&gate, 1);
    for (int i = 0; i < 3; i++)
        turns[used + (size_t)i].gate = &gate;
    first = ask(TURN_WRITE, STATUS_OK);
    ask(TURN_WRITE, STATUS_AGAIN);
    ask(TURN_WRITE, STATUS_AGAIN);
    ask(TURN_WRITE, STATUS_OK);
    CK_NEXT(NULL);
    turn_queue_done(queue, first, 0);
    CK_NEXT(&turns[1]);
    CK_NEXT(NULL);
}
END_TEST

START_TEST(who_has_waited_for_long_is_given_back_where_asked_for)
{
    struct turn_queue_options options = {
        .connections_max = 1, .shed_us = {[TURN_READ] = 100}, .standing_us = 10};
    struct turn *first, *read;

    turn_queue_set_options(queue, &options);
    first = ask(TURN_WRITE, STATUS_OK);
    ask(TURN_WRITE, STATUS_AGAIN);
    ck_assert_uint_eq(turn_queue_wake_us(queue), UINT64_MAX);
    read = ask(TURN_READ, STATUS_AGAIN);
    ck_assert_uint_eq(turn_queue_wake_us(queue), now_us + 100);
    now_us += 99;
    ck_assert_ptr_null(turn_queue_shed(queue, now_us));
    now_us++;
    ck_assert_ptr_eq(turn_queue_shed(queue, now_us), read);
    ck_assert_int_eq(read->state, TURN_IDLE);
    ck_assert_ptr_null(turn_queue_shed(queue, now_us));
    ck_assert_uint_eq(turn_queue_stats(queue)->shed[TURN_READ], 1);
    turn_queue_done(queue, first, 0);
    CK_NEXT(&turns[1]);
}
END_TEST

START_TEST(what_was_held_is_not_given_back)
{
    struct turn_queue_options options = {
        .connections_max = 1, .shed_us = {[TURN_READ] = 100}, .standing_us = 10};
    struct turn *first, *read;

    turn_queue_set_options(queue, &options);
    first = ask(TURN_WRITE, STATUS_OK);
    turn_queue_hold(queue, true);
    read = ask(TURN_READ, STATUS_AGAIN);
    now_us += 500;
    ck_assert_uint_eq(turn_queue_wake_us(queue), UINT64_MAX);
    ck_assert_ptr_null(turn_queue_shed(queue, now_us));
    turn_queue_hold(queue, false);
    ck_assert_uint_eq(turn_queue_wake_us(queue), UINT64_MAX);
    ck_assert_ptr_null(turn_queue_shed(queue, now_us + 1000));
    turn_queue_leave(queue, read, now_us); /* it was the only one */
    now_us += 200;
    read = ask(TURN_READ, STATUS_AGAIN);
    turn_queue_hold(queue, false); /* it is not held, so nothing changes */
    ck_assert_ptr_null(turn_queue_shed(queue, now_us + 99));
    ck_assert_ptr_eq(turn_queue_shed(queue, now_us + 100), read);
    turn_queue_done(queue, first, 0);
}
END_TEST

static struct turn *ask_exempt(enum status expected)
{
    turns[used].is_exempt = true;
    return ask(TURN_READ, expected);
}

START_TEST(exempt_reads_are_bounded_by_connections_only)
{
    struct turn_queue_options options = {
        .connections_max = 8, .turns_max = {[TURN_READ] = 1}, .shed_us = {[TURN_READ] = 100}};
    struct turn *first, *exempt;

    turn_queue_set_options(queue, &options);
    exempt = ask_exempt(STATUS_OK);
    first = ask(TURN_READ, STATUS_OK);
    ask(TURN_READ, STATUS_AGAIN);
    ask_exempt(STATUS_OK);
    ck_assert_uint_eq(turn_queue_stats(queue)->exempt_turns, 2);
    turn_queue_done(queue, exempt, 1000);
    CK_NEXT(NULL); /* its turn was none of those that are bounded */
    turn_queue_answered(queue, first);
    CK_NEXT(&turns[2]);
    ask_exempt(STATUS_OK);
    ask_exempt(STATUS_OK);
    exempt = ask_exempt(STATUS_AGAIN); /* five connections, of which one only transfers */
    ask(TURN_READ, STATUS_AGAIN);
    now_us += 100;
    ck_assert_ptr_eq(turn_queue_shed(queue, now_us), &turns[7]);
    ck_assert_ptr_null(turn_queue_shed(queue, now_us));
    turn_queue_done(queue, first, 0);
    CK_NEXT(exempt);
}
END_TEST

START_TEST(exempt_reads_are_held_and_may_leave)
{
    struct turn *exempt;

    turn_queue_hold(queue, true);
    exempt = ask_exempt(STATUS_AGAIN);
    ask_exempt(STATUS_AGAIN);
    turn_queue_leave(queue, exempt, now_us);
    CK_NEXT(NULL);
    turn_queue_hold(queue, false);
    CK_NEXT(&turns[1]);
    CK_NEXT(NULL);
}
END_TEST

START_TEST(what_holds_a_turn_back_can_be_told)
{
    static struct fair_gate   gate;
    struct turn_queue_options options = {.connections_max = 8, .turns_max = {[TURN_READ] = 2}};
    struct turn_queue_service service = {.weight = 1, .priority = 1, .turns_max = 1};
    struct turn              *turn;

    turn_queue_set_options(queue, &options);
    turn_queue_set_service(queue, 1, &service);
    ck_assert_uint_eq(turn_queue_turns_max(queue, TURN_READ), 2);
    ck_assert_uint_eq(turn_queue_turns_max(queue, TURN_WRITE), 5); /* less 2 reads and control */
    fair_gate_init(&gate, 1);
    turns[0].gate = turns[1].gate = &gate;
    ask(TURN_READ, STATUS_OK);
    turn = ask(TURN_READ, STATUS_AGAIN);
    ck_assert_int_eq(turn_queue_bound(queue, turn), TURN_BOUND_GATE);
    turns[2].service = turns[3].service = 1;
    ask(TURN_READ, STATUS_OK);
    turn = ask(TURN_READ, STATUS_AGAIN);
    ck_assert_int_eq(turn_queue_bound(queue, turn), TURN_BOUND_SERVICE);
    turn = ask(TURN_READ, STATUS_AGAIN);
    ck_assert_int_eq(turn_queue_bound(queue, turn), TURN_BOUND_CLASS);
    turn_queue_set_turns_max(queue, TURN_READ, 3); /* as if one had been given back just now */
    ck_assert_int_eq(turn_queue_bound(queue, turn), TURN_BOUND_CLASS);
    turn_queue_set_turns_max(queue, TURN_READ, 0);
    ck_assert_int_eq(turn_queue_bound(queue, turn), TURN_BOUND_CONNECTIONS);
    ck_assert_uint_eq(turn_queue_turns_max(queue, TURN_READ), 5);
}
END_TEST

START_TEST(who_may_not_go_stops_nobody_else)
{
    struct turn *write;

    turn_queue_set_turns_max(queue, TURN_READ, 1);
    ask(TURN_READ, STATUS_OK);
    ask(TURN_READ, STATUS_AGAIN);
    write = ask(TURN_WRITE, STATUS_OK);
    turn_queue_done(queue, write, 0);
    ask(TURN_WRITE, STATUS_OK);
}
END_TEST

START_TEST(the_answer_ends_the_turn_and_keeps_the_connection)
{
    struct turn *first, *second;

    turn_queue_set_turns_max(queue, TURN_READ, 1);
    first = ask(TURN_READ, STATUS_OK);
    second = ask(TURN_READ, STATUS_AGAIN);
    turn_queue_answered(queue, first);
    turn_queue_answered(queue, first);
    ck_assert_uint_eq(turn_queue_stats(queue)->turns[TURN_READ], 0);
    CK_NEXT(second);
    ck_assert_uint_eq(turn_queue_stats(queue)->connections[TURN_READ], 2);
    turn_queue_done(queue, first, 700);
    ck_assert_uint_eq(turn_queue_stats(queue)->connections[TURN_READ], 1);
    ck_assert_uint_eq(turn_queue_stats(queue)->turns[TURN_READ], 1);
    ck_assert_uint_eq(turn_queue_stats(queue)->cost_us[TURN_READ], 700);
}
END_TEST

START_TEST(a_granted_turn_can_change_its_owner)
{
    struct turn *granted, *next, *owner = &turns[used++];

    turn_queue_set_turns_max(queue, TURN_WRITE, 1);
    granted = ask(TURN_WRITE, STATUS_OK);
    next = ask(TURN_WRITE, STATUS_AGAIN);
    turn_queue_move(owner, granted);
    ck_assert_int_eq(granted->state, TURN_IDLE);
    CK_NEXT(NULL);
    turn_queue_answered(queue, owner);
    CK_NEXT(next);
    turn_queue_done(queue, owner, 0);
    ck_assert_uint_eq(turn_queue_stats(queue)->connections[TURN_WRITE], 1);
}
END_TEST

START_TEST(who_leaves_is_not_granted)
{
    struct turn *first, *second, *third;

    set_up_with(1);
    first = ask(TURN_READ, STATUS_OK);
    second = ask(TURN_READ, STATUS_AGAIN);
    third = ask(TURN_READ, STATUS_AGAIN);
    turn_queue_leave(queue, second, now_us);
    turn_queue_leave(queue, second, now_us);
    turn_queue_leave(queue, first, now_us); /* has its turn: nothing happens */
    turn_queue_done(queue, first, 0);
    CK_NEXT(third);
    ck_assert_uint_eq(turn_queue_stats(queue)->left[TURN_READ], 1);
}
END_TEST

START_TEST(only_a_bound_refuses_and_never_control)
{
    struct turn_queue_options options = {.connections_max = 1, .waiting_max = 2};

    turn_queue_set_options(queue, &options);
    ask(TURN_READ, STATUS_OK);
    ask(TURN_READ, STATUS_AGAIN);
    ask(TURN_WRITE, STATUS_AGAIN);
    ask(TURN_WRITE, STATUS_OVERLOADED);
    ask(TURN_READ, STATUS_OVERLOADED);
    ask(TURN_CONTROL, STATUS_AGAIN);
    ck_assert_uint_eq(turn_queue_stats(queue)->refused[TURN_WRITE], 1);
    ck_assert_int_eq(turns[used - 2].state, TURN_IDLE);
}
END_TEST

START_TEST(a_smaller_cap_waits_until_enough_is_done)
{
    ask_many(5, TURN_READ, STATUS_OK);
    set_up_with(3);
    ask(TURN_WRITE, STATUS_AGAIN);
    for (size_t i = 0; i < 2; i++) {
        turn_queue_done(queue, &turns[i], 0);
        CK_NEXT(NULL);
    }
    turn_queue_done(queue, &turns[2], 0);
    CK_NEXT(&turns[5]);
}
END_TEST

START_TEST(a_larger_cap_lets_those_go_who_wait)
{
    set_up_with(1);
    ask(TURN_READ, STATUS_OK);
    ask_many(3, TURN_READ, STATUS_AGAIN);
    set_up_with(3);
    CK_NEXT(&turns[1]);
    CK_NEXT(&turns[2]);
    CK_NEXT(NULL);
}
END_TEST

START_TEST(waits_and_late_grants_are_counted)
{
    struct turn *first;

    set_up_with(1);
    first = ask(TURN_READ, STATUS_OK);
    turns[used].deadline_us = now_us + 10;
    ask(TURN_READ, STATUS_AGAIN);
    now_us += 50;
    turn_queue_done(queue, first, 0);
    CK_NEXT(&turns[1]);
    ck_assert_uint_eq(turn_queue_stats(queue)->late[TURN_READ], 1);
    ck_assert_uint_eq(turn_queue_stats(queue)->waits[TURN_READ].sum_us, 50);
    ck_assert_uint_eq(turn_queue_wake_us(queue), UINT64_MAX);
}
END_TEST

START_TEST(asking_twice_is_our_bug)
{
    turns[used].class = TURN_READ;
    ck_assert_int_eq(turn_queue_ask(queue, &turns[used], now_us), STATUS_OK);
    ck_assert_int_eq(turn_queue_ask(queue, &turns[used], now_us), STATUS_OK);
}
END_TEST

/* ---- Random calls ----------------------------------------------------------------------------
 *
 * Calls come, are answered, end and leave at random, and the bounds change. After each step
 * the model below says whether somebody waits who may go, or goes who may not.
 */

#define CALLS 64

static struct turn               calls[CALLS];
static uint64_t                  arrivals[CALLS], next_arrival, credit_us;
static struct turn_queue_options bounds;
static uint64_t                  sim_seed, last_granted[TURN_CLASSES];
static size_t                    grants[TURN_CLASSES];
static struct rng                rng;

static void draw_bounds(void)
{
    bounds = (struct turn_queue_options){.connections_max = 1 + rng_below(&rng, 12),
                                         .waiting_max = rng_below(&rng, 3) == 0 ? 20 : 0};
    bounds.turns_max[TURN_READ] = rng_below(&rng, 2) == 0 ? 0 : 1 + rng_below(&rng, 6);
    bounds.turns_max[TURN_WRITE] = rng_below(&rng, 2) == 0 ? 0 : 1 + rng_below(&rng, 3);
    turn_queue_set_options(queue, &bounds);
}

static size_t connections_of(enum turn_class class)
{
    size_t count = 0;

    for (size_t i = 0; i < CALLS; i++)
        count += calls[i].class == class && calls[i].state >= TURN_OPEN;
    return count;
}

static size_t turns_of(enum turn_class class)
{
    size_t count = 0;

    for (size_t i = 0; i < CALLS; i++)
        count += calls[i].class == class && calls[i].state == TURN_OPEN;
    return count;
}

static bool model_may_go(enum turn_class class)
{
    size_t max = bounds.connections_max, quarter = max < 4 ? 0 : max / 4;
    size_t kept[TURN_CLASSES] = {max < 4 ? 0 : 1, quarter, quarter};
    size_t reserved = 0, total = 0;

    if (bounds.turns_max[class] != 0 && turns_of(class) >= bounds.turns_max[class])
        return false;
    for (enum turn_class each = 0; each < TURN_CLASSES; each++) {
        size_t count = connections_of(each);

        total += count;
        if (each != class && count < kept[each])
            reserved += kept[each] - count;
    }
    return total + reserved < max;
}

static struct turn *oldest_waiting(enum turn_class class)
{
    struct turn *oldest = NULL;

    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].class == class && calls[i].state == TURN_WAITING &&
            (oldest == NULL || arrivals[i] < arrivals[oldest - calls]))
            oldest = &calls[i];
    return oldest;
}

/* Whom the model lets go next. All calls cost the same. */
static struct turn *model_next(void)
{
    struct turn *next[TURN_CLASSES];

    for (enum turn_class each = 0; each < TURN_CLASSES; each++)
        next[each] = model_may_go(each) ? oldest_waiting(each) : NULL;
    if (next[TURN_CONTROL] != NULL)
        return next[TURN_CONTROL];
    if (next[TURN_READ] == NULL || (next[TURN_WRITE] != NULL && credit_us >= 1000))
        return next[TURN_WRITE];
    return next[TURN_READ];
}

static void model_granted(const struct turn *turn)
{
    if (oldest_waiting(TURN_WRITE) == NULL)
        credit_us = 0;
    else if (turn->class == TURN_READ)
        credit_us = credit_us + 250 > 1000000 ? 1000000 : credit_us + 250;
    else if (turn->class == TURN_WRITE)
        credit_us -= credit_us < 1000 ? credit_us : 1000;
}

static void check_granted(const struct turn *turn)
{
    size_t total = 0;

    for (enum turn_class each = 0; each < TURN_CLASSES; each++) {
        const struct turn_queue_stats *stats = turn_queue_stats(queue);

        total += connections_of(each);
        SIM_CHECK(sim_seed, stats->connections[each] == connections_of(each));
        SIM_CHECK(sim_seed, stats->turns[each] == turns_of(each));
    }
    SIM_CHECK(sim_seed, total <= bounds.connections_max);
    SIM_CHECK(sim_seed, arrivals[turn - calls] >= last_granted[turn->class]);
    last_granted[turn->class] = arrivals[turn - calls];
    grants[turn->class]++;
    model_granted(turn);
}

static void take_all(void)
{
    for (;;) {
        struct turn *expected = model_next(), *turn = turn_queue_next(queue, now_us);

        SIM_CHECK(sim_seed, turn == expected);
        if (turn == NULL)
            return;
        check_granted(turn);
    }
}

static void ask_at_random(struct turn *turn)
{
    enum status status;
    bool        may_go;

    *turn = (struct turn){.class = rng_below(&rng, 2) == 0 ? TURN_READ : TURN_WRITE};
    if (rng_below(&rng, 20) == 0) /* rare: with few connections it starves the others */
        turn->class = TURN_CONTROL;
    may_go = model_may_go(turn->class);
    arrivals[turn - calls] = next_arrival++;
    status = turn_queue_ask(queue, turn, now_us);
    SIM_CHECK(sim_seed, (status == STATUS_OK) == may_go); /* nobody who may go waits */
    if (status == STATUS_OK)
        check_granted(turn);
    SIM_CHECK(sim_seed, status != STATUS_OVERLOADED || bounds.waiting_max != 0);
}

static void step(void)
{
    struct turn *turn = &calls[rng_below(&rng, CALLS)];

    for (int i = 0; i < 8 && turn->state == TURN_WAITING; i++)
        turn = &calls[rng_below(&rng, CALLS)]; /* those that go are few with a small cap */
    now_us += rng_below(&rng, 100);
    switch (turn->state) {
    case TURN_IDLE:
        ask_at_random(turn);
        break;
    case TURN_WAITING:
        if (rng_below(&rng, 4) == 0)
            turn_queue_leave(queue, turn, now_us);
        break;
    case TURN_OPEN:
        if (rng_below(&rng, 2) == 0)
            turn_queue_answered(queue, turn);
        break;
    case TURN_ANSWERED:
        turn_queue_done(queue, turn, rng_below(&rng, 1000));
    }
    if (rng_below(&rng, 500) == 0)
        draw_bounds();
    take_all();
}

static void simulate(uint64_t seed)
{
    sim_seed = seed;
    rng_init(&rng, seed);
    for (size_t each = 0; each < TURN_CLASSES; each++)
        grants[each] = last_granted[each] = 0;
    credit_us = 0;
    for (size_t i = 0; i < CALLS; i++)
        calls[i] = (struct turn){0};
    turn_queue_free(queue);
    setup();
    draw_bounds();
    for (int i = 0; i < 2000; i++)
        step();
    if (grants[TURN_READ] + grants[TURN_WRITE] > 50)
        SIM_CHECK(sim_seed, grants[TURN_READ] > 0 && grants[TURN_WRITE] > 0);
    for (size_t i = 0; i < CALLS * CALLS; i++) { /* everybody is served when all others end */
        struct turn *turn = &calls[i % CALLS];

        if (turn->state >= TURN_OPEN) {
            turn_queue_done(queue, turn, 0);
            take_all();
        }
    }
    for (size_t i = 0; i < CALLS; i++) {
        SIM_CHECK(sim_seed, calls[i].state != TURN_WAITING);
        if (calls[i].state != TURN_IDLE)
            turn_queue_done(queue, &calls[i], 0);
    }
}

START_TEST(random_calls_are_served_as_the_model_says)
{
    struct sim_seeds seeds = sim_seeds_get(100);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("turn_queue");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, while_held_only_control_goes_and_afterwards_all_in_their_order);
    tcase_add_test(tcase, a_class_leaves_the_others_what_they_keep);
    tcase_add_test(tcase, a_reserve_of_one_class_is_not_used_up_by_what_another_has);
    tcase_add_test(tcase, with_four_connections_each_class_keeps_one);
    tcase_add_test(tcase, with_fewer_nothing_is_kept_and_control_goes_first);
    tcase_add_test(tcase, reads_go_first_but_do_not_starve_writes);
    tcase_add_test(tcase, a_write_dearer_than_any_credit_goes_too);
    tcase_add_test(tcase, services_take_turns);
    tcase_add_test(tcase, a_service_has_no_more_turns_than_it_may);
    tcase_add_test(tcase, a_gate_bounds_the_turns_that_share_it_and_stops_no_other);
    tcase_add_test(tcase, who_has_waited_for_long_is_given_back_where_asked_for);
    tcase_add_test(tcase, what_was_held_is_not_given_back);
    tcase_add_test(tcase, exempt_reads_are_bounded_by_connections_only);
    tcase_add_test(tcase, exempt_reads_are_held_and_may_leave);
    tcase_add_test(tcase, what_holds_a_turn_back_can_be_told);
    tcase_add_test(tcase, who_may_not_go_stops_nobody_else);
    tcase_add_test(tcase, the_answer_ends_the_turn_and_keeps_the_connection);
    tcase_add_test(tcase, a_granted_turn_can_change_its_owner);
    tcase_add_test(tcase, who_leaves_is_not_granted);
    tcase_add_test(tcase, only_a_bound_refuses_and_never_control);
    tcase_add_test(tcase, a_smaller_cap_waits_until_enough_is_done);
    tcase_add_test(tcase, a_larger_cap_lets_those_go_who_wait);
    tcase_add_test(tcase, waits_and_late_grants_are_counted);
    tcase_add_test(tcase, random_calls_are_served_as_the_model_says);
    tcase_add_test_raise_signal(tcase, asking_twice_is_our_bug, SIGABRT);
    return check_main("turn_queue", tcase);
}
