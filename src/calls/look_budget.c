#include "calls/look_budget.h"

static const uint64_t us_per_byte = 4;

bool look_budget_take(struct look_budget *budget, size_t size, uint64_t now_us)
{
    uint64_t earned = now_us > budget->earned_us ? (now_us - budget->earned_us) / us_per_byte : 0;

    if (size <= LOOK_BUDGET_FREE_SIZE)
        return true;
    if (size > LOOK_BUDGET_SIZE_MAX)
        return false;
    budget->earned_us += earned * us_per_byte;
    if (earned >= (uint64_t)(LOOK_BUDGET_CREDIT_MAX - budget->credit))
        budget->credit = LOOK_BUDGET_CREDIT_MAX;
    else
        budget->credit += (int64_t)earned;
    if (budget->credit <= 0)
        return false;
    budget->credit -= (int64_t)size;
    return true;
}
