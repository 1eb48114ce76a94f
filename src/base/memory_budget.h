/* memory_budget - one bound on all bytes that are buffered
 *
 * Whoever buffers request or response bytes charges them here and gives them back. What is there
 * already is never refused: is_exceeded() tells that no more should be read.
 */
#ifndef BASE_MEMORY_BUDGET_H
#define BASE_MEMORY_BUDGET_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_budget {
    uint64_t used, max, peak;
};

static inline void memory_budget_charge(struct memory_budget *budget, size_t size)
{
    budget->used += size;
    if (budget->used > budget->peak)
        budget->peak = budget->used;
}

static inline void memory_budget_release(struct memory_budget *budget, size_t size)
{
    assert(size <= budget->used);
    budget->used -= size;
}

static inline bool memory_budget_is_exceeded(const struct memory_budget *budget)
{
    return budget->used > budget->max;
}

#endif
