/* What must hold: a collection has one gate while anybody uses it, and no other's. */
#include "proxy/lane_gates.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

#define LANE_MAX 1000

static struct loop       *loop;
static struct lane_gates *gates;
static struct body_ticket tickets[3];
static int                admissions;
static struct body_gate  *gate_a;

static const unsigned char secret[16] = {1}, lane_a[16] = {10}, lane_b[16] = {11};

static void on_admitted(struct body_ticket *ticket)
{
    admissions++;
    body_gate_leave(gate_a, ticket);
    lane_gates_put(gates, gate_a);
}

static void setup(void)
{
    loop = loop_new();
    ck_assert_ptr_nonnull(loop);
    gates = lane_gates_new(loop, secret, LANE_MAX);
    ck_assert_ptr_nonnull(gates);
    for (size_t i = 0; i < sizeof tickets / sizeof *tickets; i++)
        body_gate_init_ticket(&tickets[i], on_admitted);
}

static void teardown(void)
{
    lane_gates_free(gates); /* asserts that none is in use */
    loop_free(loop);
}

static bool two_are_admitted(void)
{
    return admissions == 2;
}

START_TEST(a_collection_has_one_gate_and_another_has_another)
{
    struct body_gate *b = lane_gates_take(gates, lane_b);

    gate_a = lane_gates_take(gates, lane_a);
    ck_assert_ptr_nonnull(gate_a);
    ck_assert_ptr_nonnull(b);
    ck_assert_ptr_ne(gate_a, b);
    ck_assert_ptr_eq(lane_gates_take(gates, lane_a), gate_a);
    ck_assert(body_gate_reserve(gate_a, &tickets[0], LANE_MAX));
    ck_assert(body_gate_reserve(b, &tickets[1], LANE_MAX));
    body_gate_leave(gate_a, &tickets[0]);
    body_gate_leave(b, &tickets[1]);
    lane_gates_put(gates, gate_a);
    lane_gates_put(gates, gate_a);
    lane_gates_put(gates, b);
    lane_gates_put(gates, NULL);
}
END_TEST

START_TEST(who_is_admitted_may_be_the_last_to_leave)
{
    gate_a = lane_gates_take(gates, lane_a);
    for (int i = 1; i < 3; i++)
        ck_assert_ptr_eq(lane_gates_take(gates, lane_a), gate_a);
    ck_assert(body_gate_reserve(gate_a, &tickets[0], LANE_MAX));
    ck_assert(!body_gate_reserve(gate_a, &tickets[1], LANE_MAX));
    ck_assert(!body_gate_reserve(gate_a, &tickets[2], LANE_MAX));
    body_gate_leave(gate_a, &tickets[0]);
    lane_gates_put(gates, gate_a);
    loop_drive_until(loop, two_are_admitted);
}
END_TEST

START_TEST(a_new_bound_holds_for_gates_in_use)
{
    gate_a = lane_gates_take(gates, lane_a);
    for (int i = 1; i < 3; i++)
        ck_assert_ptr_eq(lane_gates_take(gates, lane_a), gate_a);
    ck_assert(body_gate_reserve(gate_a, &tickets[0], LANE_MAX));
    ck_assert(!body_gate_reserve(gate_a, &tickets[1], LANE_MAX));
    ck_assert(!body_gate_reserve(gate_a, &tickets[2], LANE_MAX));
    lane_gates_set_max(gates, 2 * LANE_MAX);
    loop_drive_until(loop, two_are_admitted);
    body_gate_leave(gate_a, &tickets[0]);
    lane_gates_put(gates, gate_a);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("lane_gates");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_collection_has_one_gate_and_another_has_another);
    tcase_add_test(tcase, who_is_admitted_may_be_the_last_to_leave);
    tcase_add_test(tcase, a_new_bound_holds_for_gates_in_use);
    return check_main("lane_gates", tcase);
}
