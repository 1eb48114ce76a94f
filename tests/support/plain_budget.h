/* plain_budget - a memory budget without shares, for tests of what charges it */
#ifndef SUPPORT_PLAIN_BUDGET_H
#define SUPPORT_PLAIN_BUDGET_H

#include "base/memory_account.h"

static inline void plain_budget_on_wake(void *ctx)
{
    (void)ctx;
}

/* All accounts share `max` bytes. */
static inline void plain_budget_init(struct memory_account_budget *budget, uint64_t max)
{
    struct memory_account_options options[MEMORY_ACCOUNT_COUNT];

    for (size_t i = 0; i < MEMORY_ACCOUNT_COUNT; i++)
        options[i] = (struct memory_account_options){.max = UINT64_MAX};
    memory_account_budget_init(budget, max, options, plain_budget_on_wake, NULL);
}

#endif
