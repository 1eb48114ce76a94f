/* What must hold: what is there is charged in any case, and what is too much is told. */
#include <signal.h>

#include "base/memory_budget.h"
#include "support/check_main.h"

static struct memory_budget budget;

static void setup(void)
{
    budget = (struct memory_budget){.max = 100};
}

START_TEST(too_much_is_what_is_beyond_the_bound)
{
    memory_budget_charge(&budget, 60);
    memory_budget_charge(&budget, 40);
    ck_assert(!memory_budget_is_exceeded(&budget));
    memory_budget_charge(&budget, 1);
    ck_assert(memory_budget_is_exceeded(&budget));
    memory_budget_release(&budget, 1);
    ck_assert(!memory_budget_is_exceeded(&budget));
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
    tcase_add_test(tcase, too_much_is_what_is_beyond_the_bound);
    tcase_add_test(tcase, the_peak_stays);
    tcase_add_test_raise_signal(tcase, giving_back_more_than_was_charged_is_our_bug, SIGABRT);
    return check_main("memory_budget", tcase);
}
