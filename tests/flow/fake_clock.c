#include "flow/fake_clock.h"

#include <assert.h>

#include "io/clock.h"

/* Not 0: code that takes 0 for "never" must not work by chance. */
static const uint64_t beginning_us = 1000000000;
static const uint64_t beginning_wall_us = 1767225600000000; /* 2026-01-01 */

static uint64_t clock_us = 1000000000;

void fake_clock_set(uint64_t now_us)
{
    assert(now_us >= clock_us);
    clock_us = now_us;
}

void fake_clock_reset(void)
{
    clock_us = beginning_us;
}

uint64_t clock_now_us(void)
{
    return clock_us;
}

uint64_t clock_wall_us(void)
{
    return beginning_wall_us + clock_us - beginning_us;
}
