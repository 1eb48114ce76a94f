#include "lanes/lane_stay.h"

#include "calls/proxy_state.h"

bool lane_stay_begin(struct lane_stay *stay, struct proxy *proxy, struct turn *turn,
                     lane_stay_fn *fn, void *ctx)
{
    byte_buffer_clear(&stay->found);
    if (proxy->on_lane == NULL ||
        stay->deadline_us < loop_now_us(proxy->loop) + 2 * LANE_STAY_MAX_US)
        return false;
    stay->proxy = proxy;
    stay->fn = fn;
    stay->ctx = ctx;
    stay->ends = proxy->ends;
    if (proxy->on_lane(proxy->lane_ctx, stay, turn))
        return true;
    stay->fn = NULL;
    return false;
}

void lane_stay_end(struct lane_stay *stay)
{
    lane_stay_fn *fn = stay->fn;

    stay->fn = NULL;
    fn(stay, stay->ends != stay->proxy->ends, stay->ctx);
}
