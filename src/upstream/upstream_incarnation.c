#include "upstream/upstream_incarnation.h"

#include <stdio.h>
#include <stdlib.h>

struct upstream_incarnation {
    struct loop     *loop;
    struct list      watchers;
    struct loop_task tell_task;
    uint64_t         number;
    char             reason[128];
};

static void tell(void *ctx);

struct upstream_incarnation *upstream_incarnation_new(struct loop *loop)
{
    struct upstream_incarnation *incarnation = calloc(1, sizeof *incarnation);

    if (incarnation == NULL)
        return NULL;
    incarnation->loop = loop;
    incarnation->number = 1;
    list_init(&incarnation->watchers);
    loop_task_init(&incarnation->tell_task, tell, incarnation);
    return incarnation;
}

void upstream_incarnation_free(struct upstream_incarnation *incarnation)
{
    if (incarnation == NULL)
        return;
    loop_task_cancel(&incarnation->tell_task);
    free(incarnation);
}

uint64_t upstream_incarnation_number(const struct upstream_incarnation *incarnation)
{
    return incarnation->number;
}

const char *upstream_incarnation_reason(const struct upstream_incarnation *incarnation)
{
    return incarnation->reason;
}

void upstream_incarnation_void(struct upstream_incarnation *incarnation, const char *reason)
{
    incarnation->number++;
    snprintf(incarnation->reason, sizeof incarnation->reason, "%s", reason);
    loop_later(incarnation->loop, &incarnation->tell_task);
}

void upstream_incarnation_watch(struct upstream_incarnation         *incarnation,
                                struct upstream_incarnation_watcher *watcher)
{
    list_push_back(&incarnation->watchers, &watcher->node);
}

void upstream_incarnation_unwatch(struct upstream_incarnation_watcher *watcher)
{
    list_remove(&watcher->node);
}

static void tell(void *ctx)
{
    struct upstream_incarnation *incarnation = ctx;

    LIST_FOR_EACH(node, &incarnation->watchers)
    {
        struct upstream_incarnation_watcher *watcher =
            LIST_ITEM(node, struct upstream_incarnation_watcher, node);

        watcher->on_move(watcher->ctx);
    }
}
