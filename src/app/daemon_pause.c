#include "app/daemon_pause.h"

#include "base/log.h"
#include "upstream/upstream_incarnation.h"

static void on_pause_timer(void *ctx);

enum status daemon_pause(struct daemon *daemon, struct error *error)
{
    if (daemon->draining)
        return error_set(error, STATUS_SHUTTING_DOWN, "it drains: no new requests come");
    if (daemon->pause_timer == NULL)
        daemon->pause_timer = loop_timer_new(daemon->loop, on_pause_timer, daemon);
    if (daemon->pause_timer == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    loop_timer_set(daemon->pause_timer, loop_now_us(daemon->loop) + daemon->settings->pause_max_us);
    proxy_pause(daemon->proxy, true);
    log_event(LOG_INFO, "paused", NULL, NULL);
    return STATUS_OK;
}

static void on_pause_timer(void *ctx)
{
    daemon_pause_end(ctx, "pause.max has passed", true);
}

void daemon_pause_end(struct daemon *daemon, const char *reason, bool may_be_another)
{
    if (!proxy_is_paused(daemon->proxy))
        return;
    loop_timer_clear(daemon->pause_timer);
    if (may_be_another)
        upstream_incarnation_void(daemon->backend.incarnation, "it was paused");
    proxy_pause(daemon->proxy, false);
    log_event(LOG_INFO, "resumed", "reason", reason);
}
