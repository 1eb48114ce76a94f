/* What must hold: reserve() never exceeds the budget, charge() may and tells. */
#include <signal.h>

#include "base/memory_budget.h"
#include "support/check_main.h"

static struct memory_budget budget;

static void setup(void)
{
    budget = (struct memory_budget){.max = 100};
}

START_TEST(what_fits_exactly_is_reserved)
{
    ck_assert(memory_budget_reserve(&budget, 60));
    ck_assert(memory_budget_reserve(&budget, 40));
    ck_assert(!memory_budget_is_exceeded(&budget));
    ck_assert_uint_eq(budget.used, 100);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_and_not_charged)
{
    ck_assert(memory_budget_reserve(&budget, 60));
    ck_assert(!memory_budget_reserve(&budget, 41));
    ck_assert(!memory_budget_reserve(&budget, SIZE_MAX));
    ck_assert_uint_eq(budget.used, 60);
}
END_TEST

START_TEST(what_is_there_already_is_charged_in_any_case)
{
    memory_budget_charge(&budget, 150);
    ck_assert(memory_budget_is_exceeded(&budget));
    ck_assert(!memory_budget_reserve(&budget, 0));
    memory_budget_release(&budget, 50);
    ck_assert(!memory_budget_is_exceeded(&budget));
    ck_assert(memory_budget_reserve(&budget, 0));
    ck_assert_uint_eq(budget.used, 100);
}
END_TEST

START_TEST(the_peak_stays)
{
    memory_budget_charge(&budget, 70);
    memory_budget_release(&budget, 70);
    memory_budget_charge(&budget, 10);
    ck_assert_uint_eq(budget.peak, 70);
}
END_TEST

START_TEST(giving_back_more_than_was_charged_is_our_bug)
{
    memory_budget_charge(&budget, 10);
    memory_budget_release(&budget, 11);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("memory_budget");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, what_fits_exactly_is_reserved);
    tcase_add_test(tcase, what_does_not_fit_is_refused_and_not_charged);
    tcase_add_test(tcase, what_is_there_already_is_charged_in_any_case);
    tcase_add_test(tcase, the_peak_stays);
    tcase_add_test_raise_signal(tcase, giving_back_more_than_was_charged_is_our_bug, SIGABRT);
    return check_main("memory_budget", tcase);
}
