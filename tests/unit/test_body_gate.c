/* What must hold: what is held stays within the bound but for the rest of one body, nobody waits
 * for ever, those who announce much and send little stop nobody. */
#include "proxy/body_gate.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

#define BODIES   8
#define GATE_MAX 1000

static struct loop         *loop;
static struct memory_budget budget;
static struct body_gate     gate;
static struct body_ticket   tickets[BODIES];
static int                  admitted[BODIES], order[BODIES * 100], admissions;

static void on_admitted(struct body_ticket *ticket)
{
    admitted[ticket - tickets]++;
    order[admissions++] = (int)(ticket - tickets);
}

static void setup(void)
{
    loop = loop_new();
    ck_assert_ptr_nonnull(loop);
    budget.max = 100000;
    ck_assert(body_gate_init(&gate, loop, &budget, GATE_MAX));
    for (size_t i = 0; i < BODIES; i++)
        body_gate_init_ticket(&tickets[i], on_admitted);
}

static void teardown(void)
{
    for (size_t i = 0; i < BODIES; i++)
        body_gate_leave(&gate, &tickets[i]);
    ck_assert_uint_eq(gate.held, 0);
    ck_assert_uint_eq(budget.used, 0);
    body_gate_done(&gate);
    loop_free(loop);
}

static bool anybody_admitted(void)
{
    return admissions > 0;
}

START_TEST(what_fits_is_held_at_once_and_charged)
{
    ck_assert(body_gate_reserve(&gate, &tickets[0], 600));
    ck_assert(body_gate_reserve(&gate, &tickets[1], 400));
    ck_assert_uint_eq(budget.used, 1000);
    body_gate_leave(&gate, &tickets[0]);
    body_gate_leave(&gate, &tickets[0]);
    ck_assert_uint_eq(budget.used, 400);
}
END_TEST

START_TEST(what_does_not_fit_waits_in_order)
{
    ck_assert(body_gate_reserve(&gate, &tickets[0], 900));
    ck_assert(!body_gate_reserve(&gate, &tickets[1], 500));
    ck_assert(!body_gate_reserve(&gate, &tickets[2], 50)); /* would fit: no overtaking */
    ck_assert_uint_eq(gate.held, 900);
    body_gate_leave(&gate, &tickets[0]);
    ck_assert_int_eq(admissions, 0); /* never inside a call */
    loop_drive_until(loop, anybody_admitted);
    ck_assert_int_eq(order[0], 1);
    ck_assert_int_eq(order[1], 2);
    ck_assert_uint_eq(gate.held, 550);
}
END_TEST

START_TEST(one_larger_than_the_gate_enters_when_nothing_is_held)
{
    ck_assert(body_gate_reserve(&gate, &tickets[0], 5000));
    ck_assert(!body_gate_reserve(&gate, &tickets[1], 5000));
    body_gate_leave(&gate, &tickets[0]);
    loop_drive_until(loop, anybody_admitted);
    ck_assert_int_eq(order[0], 1);
}
END_TEST

START_TEST(the_memory_budget_bounds_too)
{
    ck_assert(body_gate_reserve(&gate, &tickets[0], 10));
    memory_budget_charge(&budget, 99900);
    ck_assert(!body_gate_reserve(&gate, &tickets[1], 100));
    memory_budget_release(&budget, 99900);
    body_gate_leave(&gate, &tickets[0]);
    loop_drive_until(loop, anybody_admitted);
}
END_TEST

START_TEST(one_body_that_has_begun_grows_beyond_the_bound_the_others_wait_for_it)
{
    for (size_t i = 0; i < 4; i++)
        ck_assert(body_gate_reserve(&gate, &tickets[i], 250));
    ck_assert(body_gate_reserve(&gate, &tickets[2], 300)); /* the first to ask */
    ck_assert(body_gate_reserve(&gate, &tickets[2], 900));
    ck_assert(!body_gate_reserve(&gate, &tickets[0], 300));
    ck_assert(!body_gate_reserve(&gate, &tickets[0], 310)); /* more came with the last read */
    ck_assert(!body_gate_reserve(&gate, &tickets[1], 300));
    ck_assert(!body_gate_reserve(&gate, &tickets[5], 1));
    ck_assert_uint_eq(gate.held, 1650);
    body_gate_leave(&gate, &tickets[2]);
    loop_drive_until(loop, anybody_admitted);
    ck_assert_int_eq(admissions, 3); /* before those that have not begun */
    ck_assert_int_eq(order[0], 0);
    ck_assert_int_eq(order[1], 1);
    ck_assert_int_eq(order[2], 5);
    ck_assert_uint_eq(tickets[0].size, 310);
}
END_TEST

START_TEST(who_leaves_while_waiting_is_not_admitted)
{
    ck_assert(body_gate_reserve(&gate, &tickets[0], 900));
    ck_assert(!body_gate_reserve(&gate, &tickets[1], 500));
    ck_assert(!body_gate_reserve(&gate, &tickets[2], 500));
    body_gate_leave(&gate, &tickets[1]);
    body_gate_leave(&gate, &tickets[0]);
    loop_drive_until(loop, anybody_admitted);
    ck_assert_int_eq(admitted[1], 0);
    ck_assert_int_eq(admitted[2], 1);
}
END_TEST

/* Bodies of random length that arrive in steps, in a random order: all end, and what is held stays
 * within the bound but for one of them. */
START_TEST(all_bodies_end_whatever_their_order)
{
    enum { step = 100, longest = 3000 };
    size_t   length[BODIES];
    uint32_t rng = (uint32_t)_i + 1;

    for (size_t i = 0; i < BODIES; i++)
        length[i] = (rng = rng * 1664525u + 1013904223u) % longest + 1;
    for (int left = BODIES, idle = 0; left > 0; idle++) {
        size_t i = (rng = rng * 1664525u + 1013904223u) >> 16 & (BODIES - 1);
        size_t next = tickets[i].size + step;

        ck_assert_int_lt(idle, 20000);
        ck_assert_uint_le(gate.held, GATE_MAX + longest);
        if (length[i] == 0 || list_node_is_linked(&tickets[i].node)) {
            loop_drive_for(loop, 0); /* those that wait may be admitted */
        } else if (tickets[i].size >= length[i]) {
            body_gate_leave(&gate, &tickets[i]);
            length[i] = 0;
            left--;
        } else {
            (void)!body_gate_reserve(&gate, &tickets[i], next < length[i] ? next : length[i]);
        }
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("body_gate");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_fits_is_held_at_once_and_charged);
    tcase_add_test(tcase, what_does_not_fit_waits_in_order);
    tcase_add_test(tcase, one_larger_than_the_gate_enters_when_nothing_is_held);
    tcase_add_test(tcase, the_memory_budget_bounds_too);
    tcase_add_test(tcase, one_body_that_has_begun_grows_beyond_the_bound_the_others_wait_for_it);
    tcase_add_test(tcase, who_leaves_while_waiting_is_not_admitted);
    tcase_add_loop_test(tcase, all_bodies_end_whatever_their_order, 0, 20);
    return check_main("body_gate", tcase);
}
