#include "copies/mirror_hold.h"

void mirror_hold_release(struct mirror_hold *hold)
{
    struct mirror_queue *queue = hold->queue;

    if (queue == NULL)
        return;
    list_remove(&hold->node);
    *hold->long_holds -= hold->is_long && !hold->is_waiting;
    hold->queue = NULL;
    hold->is_waiting = false;
    hold->on_release(queue);
}

uint64_t mirror_hold_age_us(const struct mirror_hold *hold)
{
    return hold->since_us == 0 ? 0 : loop_now_us(hold->loop) - hold->since_us;
}
