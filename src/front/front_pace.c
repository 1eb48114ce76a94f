#include "front/front_pace.h"

#include "front/front_options.h"

static uint64_t share(uint64_t span_us)
{
    return span_us * FRONT_BYTES_PER_SECOND_MIN / 1000000u;
}

void front_pace_start(struct front_pace *pace, uint64_t bytes, uint64_t span_us, unsigned advance)
{
    pace->seen = bytes;
    pace->credit = advance * share(span_us);
}

bool front_pace_is_kept(struct front_pace *pace, uint64_t bytes, uint64_t span_us, unsigned advance)
{
    uint64_t wanted = share(span_us);

    /* What the system says of bytes under way may be a little less than before. */
    if (bytes > pace->seen) {
        pace->credit += bytes - pace->seen;
        pace->seen = bytes;
    }
    if (pace->credit < wanted)
        return false;
    pace->credit -= wanted;
    if (pace->credit > advance * wanted)
        pace->credit = advance * wanted;
    return true;
}
