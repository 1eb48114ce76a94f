#include "proxy/mirror_delay.h"

/* Steps up and down balance where one time in twenty is above. The first ones are larger. */
static const double up = 0.95, down = 0.05, step = 0.1, first_step = 0.5;

void mirror_delay_note(struct mirror_delay *delay, uint64_t took_us)
{
    double size = delay->count < MIRROR_DELAY_COUNT_MIN ? first_step : step;

    if (delay->count++ == 0)
        delay->estimate_us = (double)took_us;
    else if ((double)took_us > delay->estimate_us)
        delay->estimate_us *= 1 + up * size;
    else
        delay->estimate_us *= 1 - down * size;
    if (delay->estimate_us < MIRROR_DELAY_MIN_US)
        delay->estimate_us = MIRROR_DELAY_MIN_US;
    if (delay->estimate_us > MIRROR_DELAY_MAX_US)
        delay->estimate_us = MIRROR_DELAY_MAX_US;
}

uint64_t mirror_delay_us(const struct mirror_delay *delay)
{
    return delay->count < MIRROR_DELAY_COUNT_MIN ? MIRROR_DELAY_MAX_US
                                                 : (uint64_t)delay->estimate_us;
}
