#include "limits/time_floor.h"

#include <stdbool.h>

static const uint64_t span_us = 60000000;

void time_floor_note(struct time_floor *floor, uint64_t took_us, uint64_t now_us)
{
    if (took_us == 0)
        took_us = 1;
    if (now_us - floor->began_us >= span_us) {
        bool is_next = now_us - floor->began_us < 2 * span_us;

        *floor = (struct time_floor){.began_us = now_us,
                                     .last_least_us = is_next ? floor->least_us : 0,
                                     .last_calls = is_next ? floor->calls : 0};
    }
    if (floor->calls < TIME_FLOOR_CALLS)
        floor->calls++;
    if (floor->least_us == 0 || took_us < floor->least_us)
        floor->least_us = took_us;
}

uint64_t time_floor_get(const struct time_floor *floor, uint64_t now_us)
{
    if (now_us - floor->began_us >= 2 * span_us ||
        floor->calls + floor->last_calls < TIME_FLOOR_CALLS)
        return 0;
    if (floor->last_least_us == 0)
        return floor->least_us;
    return floor->last_least_us < floor->least_us ? floor->last_least_us : floor->least_us;
}
