#include "limits/retry_budget.h"

static const uint64_t second_us = 1000000;

static uint32_t *slot_of_now(struct retry_budget *budget, uint32_t *slots, uint64_t now_us);

void retry_budget_count(struct retry_budget *budget, uint64_t now_us)
{
    uint32_t *slot = slot_of_now(budget, budget->calls, now_us);

    if (*slot < UINT32_MAX)
        (*slot)++;
}

/* Empty the slots of the seconds that have passed; returns the one of now. */
static uint32_t *slot_of_now(struct retry_budget *budget, uint32_t *slots, uint64_t now_us)
{
    uint64_t second = now_us / second_us;

    if (budget->second + RETRY_BUDGET_WINDOW_S < second)
        budget->second = second - RETRY_BUDGET_WINDOW_S;
    while (budget->second < second) {
        budget->second++;
        budget->calls[budget->second % RETRY_BUDGET_WINDOW_S] = 0;
        budget->retries[budget->second % RETRY_BUDGET_WINDOW_S] = 0;
    }
    return &slots[second % RETRY_BUDGET_WINDOW_S];
}

bool retry_budget_take(struct retry_budget *budget, uint64_t now_us)
{
    uint32_t *slot = slot_of_now(budget, budget->retries, now_us);
    uint64_t  calls = 0, retries = 0;

    for (unsigned i = 0; i < RETRY_BUDGET_WINDOW_S; i++) {
        calls += budget->calls[i];
        retries += budget->retries[i];
    }
    if (retries >=
        calls * RETRY_BUDGET_PERCENT / 100 + RETRY_BUDGET_WINDOW_S * RETRY_BUDGET_PER_S) {
        budget->refused++;
        return false;
    }
    (*slot)++;
    budget->granted++;
    return true;
}
