/* What must hold: the measured line is found, whatever sizes it is measured at, and followed when
 * it moves; the size of a batch keeps to its bounds. */
#include "support/check_main.h"
#include "writes/batch_cost.h"

static void measure(struct batch_cost *cost, double fixed_us, double record_us, uint32_t records,
                    int times)
{
    for (int i = 0; i < times; i++)
        batch_cost_add(cost, records, (uint64_t)(fixed_us + record_us * records));
}

START_TEST(the_line_is_found)
{
    struct batch_cost cost;

    batch_cost_init(&cost);
    for (int i = 0; i < 100; i++)
        measure(&cost, 35000, 1300, (uint32_t)(1 + i * 37 % 300), 1);
    ck_assert_double_eq_tol(cost.fixed_us, 35000, 1500);
    ck_assert_double_eq_tol(cost.record_us, 1300, 20);
    ck_assert_uint_eq(batch_cost_records(&cost, 0, 5461), 80); /* (4a - a) / b */
    ck_assert_uint_eq(batch_cost_records(&cost, 1000, 5461), 161);
    ck_assert_uint_eq(batch_cost_records(&cost, 1000, 100), 100);
}
END_TEST

START_TEST(one_size_alone_gives_its_own_cost)
{
    struct batch_cost cost;

    batch_cost_init(&cost);
    measure(&cost, 7000, 300, 64, 500);
    ck_assert_uint_ge(batch_cost_expect_us(&cost, 64), 26000);
    ck_assert_uint_le(batch_cost_expect_us(&cost, 64), 26400);
    ck_assert_double_ge(cost.fixed_us, 0);
    ck_assert_double_ge(cost.record_us, 0);
}
END_TEST

START_TEST(a_slower_backend_is_followed)
{
    struct batch_cost cost;

    batch_cost_init(&cost);
    for (int i = 0; i < 200; i++)
        measure(&cost, 10000, 500, (uint32_t)(1 + i % 100), 1);
    for (int i = 0; i < 300; i++)
        measure(&cost, 600000, 2000, (uint32_t)(1 + i % 100), 1);
    ck_assert_double_eq_tol(cost.fixed_us, 600000, 20000);
    ck_assert_uint_le(batch_cost_records(&cost, 0, 5461), 250); /* a second at most */
    ck_assert_uint_ge(batch_cost_records(&cost, 0, 5461), 150);
}
END_TEST

START_TEST(a_hiccup_changes_little)
{
    struct batch_cost cost;
    uint64_t          before_us;

    batch_cost_init(&cost);
    for (int i = 0; i < 200; i++)
        measure(&cost, 10000, 500, (uint32_t)(1 + i % 100), 1);
    before_us = batch_cost_expect_us(&cost, 50);
    batch_cost_add(&cost, 50, 30000000);
    ck_assert_uint_le(batch_cost_expect_us(&cost, 50), before_us * 11 / 10);
}
END_TEST

START_TEST(free_records_are_as_many_as_allowed)
{
    struct batch_cost cost;

    batch_cost_init(&cost);
    measure(&cost, 50000, 0, 1, 100);
    measure(&cost, 50000, 0, 500, 100);
    ck_assert_uint_eq(batch_cost_records(&cost, 0, 1000), 1000);
    batch_cost_init(&cost);
    for (uint32_t i = 0; i < 200; i++)
        measure(&cost, 0, 90000, 1 + i % 20, 1);
    ck_assert_uint_eq(batch_cost_records(&cost, 0, 1000), 16);
    ck_assert_uint_eq(batch_cost_records(&cost, 0, 3), 3);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("batch_cost");

    tcase_add_test(tcase, the_line_is_found);
    tcase_add_test(tcase, one_size_alone_gives_its_own_cost);
    tcase_add_test(tcase, a_slower_backend_is_followed);
    tcase_add_test(tcase, a_hiccup_changes_little);
    tcase_add_test(tcase, free_records_are_as_many_as_allowed);
    return check_main("batch_cost", tcase);
}
