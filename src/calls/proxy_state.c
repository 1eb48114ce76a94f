#include "calls/proxy_state.h"

uint64_t proxy_state_body_max(const struct proxy *proxy)
{
    return proxy->options.body_bytes_max != 0 ? proxy->options.body_bytes_max
                                              : chroma_family_info(proxy->family)->body_max;
}

void proxy_state_note_reached(struct proxy *proxy)
{
    proxy->is_lost = false;
    proxy->reached++;
    proxy->on_reached(proxy);
}

bool proxy_state_is_unwatched(const struct proxy *proxy)
{
    return !proxy->is_supervised && proxy->options.is_unwatched;
}
