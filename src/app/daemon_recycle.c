#include "app/daemon_recycle.h"

#include <stdlib.h>

#include "app/daemon_pause.h"
#include "base/log.h"

/* Requests that take longer are cut off, and sent again where that is harmless. */
static const uint64_t finish_us = 10000000;
static const uint64_t finish_look_us = 20000;

/* In the life of one Chroma. */
enum recycle_state { RECYCLE_NEW, RECYCLE_GROWS, RECYCLE_LEFT_ALONE, RECYCLE_WAITS, RECYCLE_ENDS };

struct daemon_recycle {
    struct daemon *daemon;
    void (*end)(void *ctx);
    void              *ctx;
    struct loop_timer *timer;
    enum recycle_state state;
    uint64_t           end_at_us; /* WAITS */
    bool               has_paused;
};

static void on_recycle_timer(void *ctx);

struct daemon_recycle *daemon_recycle_new(struct daemon *daemon, void (*end)(void *ctx), void *ctx)
{
    struct daemon_recycle *recycle = calloc(1, sizeof *recycle);

    if (recycle == NULL)
        return NULL;
    recycle->daemon = daemon;
    recycle->end = end;
    recycle->ctx = ctx;
    recycle->timer = loop_timer_new(daemon->loop, on_recycle_timer, recycle);
    if (recycle->timer == NULL) {
        free(recycle);
        return NULL;
    }
    return recycle;
}

void daemon_recycle_on_memory(struct daemon_recycle *recycle, uint64_t bytes)
{
    uint64_t        max_bytes = recycle->daemon->settings->exec_memory_max_bytes;
    bool            is_new = recycle->state == RECYCLE_NEW, is_large = bytes > max_bytes;
    struct log_line line;

    if (max_bytes == 0 || (!is_new && recycle->state != RECYCLE_GROWS))
        return;
    recycle->state = is_new && is_large ? RECYCLE_LEFT_ALONE : RECYCLE_GROWS;
    if (!is_large)
        return;
    log_begin(&line, is_new ? LOG_ERROR : LOG_WARNING,
              is_new ? "memory_max_of_chroma_is_too_small" : "chroma_has_grown");
    log_number(&line, "bytes", bytes);
    log_number(&line, "exec.memory_max", max_bytes);
    log_end(&line);
    if (!is_new)
        daemon_recycle_begin(recycle);
}

/* A pause that somebody else has begun is his to end. */
void daemon_recycle_begin(struct daemon_recycle *recycle)
{
    struct daemon *daemon = recycle->daemon;
    struct error   error;

    if (recycle->state == RECYCLE_WAITS || recycle->state == RECYCLE_ENDS)
        return;
    if (!proxy_is_paused(daemon->proxy))
        recycle->has_paused = daemon_pause(daemon, &error) == STATUS_OK;
    recycle->state = RECYCLE_WAITS;
    recycle->end_at_us = loop_now_us(daemon->loop) + finish_us;
    on_recycle_timer(recycle);
}

static void on_recycle_timer(void *ctx)
{
    struct daemon_recycle *recycle = ctx;
    uint64_t               now_us = loop_now_us(recycle->daemon->loop);

    if (recycle->daemon->draining) /* meanwhile */
        return;
    if (proxy_under_way(recycle->daemon->proxy) > 0 && now_us < recycle->end_at_us) {
        loop_timer_set(recycle->timer, now_us + finish_look_us);
        return;
    }
    recycle->state = RECYCLE_ENDS;
    recycle->end(recycle->ctx);
}

void daemon_recycle_on_ended(struct daemon_recycle *recycle)
{
    loop_timer_clear(recycle->timer);
    recycle->state = RECYCLE_NEW;
}

void daemon_recycle_on_ready(struct daemon_recycle *recycle)
{
    if (recycle->has_paused)
        daemon_pause_end(recycle->daemon, "Chroma was started anew", false);
    recycle->has_paused = false;
}

void daemon_recycle_free(struct daemon_recycle *recycle)
{
    if (recycle == NULL)
        return;
    loop_timer_free(recycle->timer);
    free(recycle);
}
