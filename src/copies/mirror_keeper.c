#include "copies/mirror_keeper.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chroma/chroma_route.h"
#include "copies/mirror_applied.h"
#include "copies/mirror_choice.h"
#include "copies/mirror_count.h"
#include "copies/mirror_fill.h"
#include "copies/mirror_kept.h"
#include "copies/mirror_lane.h"
#include "copies/mirror_observer.h"
#include "copies/mirror_pick.h"
#include "copies/mirror_settle.h"

/* What is read may be begun; it is not looked whether it can be more often than this. */
static const uint64_t look_us = 50000;

/* What could not be begun at once is looked at again after this. */
static const uint64_t wait_us = 1000000;

/* In role sidecar a copy is made anew when it is half as old as it may be, but the time that this
 * takes is a fifth at most. */
enum { renewal_rest = 4 };

static void     keeper_pump(void *ctx);
static void     keeper_renew(struct mirror_keeper *keeper);
static uint64_t keeper_renewal_us(const struct mirror_entry *entry);
static void     keeper_set_timer(struct mirror_keeper *keeper);
static bool     keeper_copy_options(struct mirror_keeper              *keeper,
                                    const struct proxy_mirror_options *options);
static void     keeper_drop_all(struct mirror_keeper *keeper, bool only_unwanted);

static void                 keeper_on_left(struct mirror_keeper *keeper);
static struct mirror_entry *keeper_add(struct mirror_keeper *keeper, const uint8_t uuid[16],
                                       enum status *ret_status);

/* ---- Life ----------------------------------------------------------------------------------- */

struct mirror_keeper *mirror_keeper_new(struct proxy *proxy)
{
    struct mirror_keeper *keeper = calloc(1, sizeof *keeper);

    if (keeper == NULL)
        return NULL;
    keeper->proxy = proxy;
    keeper->is_gateway = proxy->is_gateway;
    list_init(&keeper->entries);
    list_init(&keeper->queues);
    list_init(&keeper->settles);
    list_init(&keeper->lanes);
    loop_task_init(&keeper->pump, keeper_pump, keeper);
    mirror_observer_init(keeper);
    keeper->on_left = keeper_on_left;
    keeper->on_settled = mirror_fill_on_settled;
    keeper->on_applied = mirror_applied_take;
    keeper->by_uuid = hash_map_new(proxy->secret, SIZE_MAX / 64);
    keeper->timer = loop_timer_new(proxy->loop, keeper_pump, keeper);
    keeper->fill = mirror_fill_new(keeper);
    keeper->count = mirror_count_new(keeper);
    if (keeper->by_uuid == NULL || keeper->timer == NULL || keeper->fill == NULL ||
        keeper->count == NULL) {
        mirror_keeper_free(keeper);
        return NULL;
    }
    write_observer_add(&proxy->observers, &keeper->observer);
    proxy->on_lane = mirror_lane_on_write;
    proxy->lane_ctx = keeper;
    return keeper;
}

void mirror_keeper_free(struct mirror_keeper *keeper)
{
    struct list_node *node;

    if (keeper == NULL)
        return;
    while ((node = list_first(&keeper->entries)) != NULL)
        mirror_entry_free(LIST_ITEM(node, struct mirror_entry, node));
    while ((node = list_first(&keeper->queues)) != NULL)
        mirror_queue_free(LIST_ITEM(node, struct mirror_queue, node));
    keeper->proxy->on_lane = NULL;
    mirror_settle_free_all(keeper);
    mirror_lane_free_all(keeper);
    mirror_fill_free(keeper->fill);
    mirror_count_free(keeper->count);
    loop_task_cancel(&keeper->pump);
    loop_timer_free(keeper->timer);
    hash_map_free(keeper->by_uuid);
    write_observer_remove(&keeper->observer);
    free(keeper->texts);
    free(keeper);
}

void mirror_keeper_wake(struct mirror_keeper *keeper)
{
    loop_later(keeper->proxy->loop, &keeper->pump);
}

/* An entry has left its copy while it was filled. */
static void keeper_on_left(struct mirror_keeper *keeper)
{
    if (keeper->fill != NULL)
        mirror_fill_cancel(keeper->fill);
}

static void keeper_pump(void *ctx)
{
    struct mirror_keeper *keeper = ctx;

    keeper->is_look_set = false;
    if (keeper->filling != NULL && keeper->filling->live != NULL)
        mirror_entry_try_complete(keeper->filling);
    keeper_renew(keeper);
    mirror_kept_begin(keeper);
    mirror_choice_begin(keeper);
    if (keeper->filling != NULL && keeper->filling->state == MIRROR_ENTRY_FILLING &&
        keeper->filling->live->page == MIRROR_PAGE_NONE && keeper->filling->live->state.hollow > 0)
        keeper->filling->live->page = MIRROR_PAGE_WANTED;
    mirror_fill_pump(keeper->fill);
    mirror_count_pump(keeper->count);
    LIST_FOR_EACH(node, &keeper->queues)
    {
        struct mirror_queue *queue = LIST_ITEM(node, struct mirror_queue, node);

        mirror_queue_serve(queue, queue->entry != NULL && queue == queue->entry->live &&
                                      queue->entry->state == MIRROR_ENTRY_COMPLETE &&
                                      keeper->wide_open == 0);
        mirror_queue_pump(queue);
    }
    keeper_set_timer(keeper);
    keeper->looks_us = mirror_keeper_now_us(keeper) + look_us;
}

static void keeper_renew(struct mirror_keeper *keeper)
{
    uint64_t now_us = mirror_keeper_now_us(keeper);

    if (keeper->is_gateway)
        return;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (entry->state == MIRROR_ENTRY_COMPLETE && now_us >= keeper_renewal_us(entry) &&
            mirror_choice_is_wanted(entry, now_us))
            mirror_entry_renew(entry);
    }
}

static uint64_t keeper_renewal_us(const struct mirror_entry *entry)
{
    uint64_t by_age_us = entry->asked_us + entry->keeper->options.max_age_us / 2;
    uint64_t by_cost_us = entry->filled_us + entry->fill_us * renewal_rest;

    return by_age_us > by_cost_us ? by_age_us : by_cost_us;
}

/* For what is due although nothing happens. */
static void keeper_set_timer(struct mirror_keeper *keeper)
{
    uint64_t now_us = mirror_keeper_now_us(keeper);
    uint64_t wake_us = mirror_fill_wake_us(keeper->fill);

    LIST_FOR_EACH(node, &keeper->entries)
    {
        const struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);
        uint64_t                   due_us = UINT64_MAX;

        if (entry->state == MIRROR_ENTRY_WAITING && !entry->is_refused)
            due_us = entry->retry_us > keeper->proxy->settled_us ? entry->retry_us
                                                                 : keeper->proxy->settled_us;
        else if (entry->state == MIRROR_ENTRY_COMPLETE && !keeper->is_gateway)
            due_us = keeper_renewal_us(entry);
        if (due_us <= now_us) /* it waits for something else, of which it may not be told */
            due_us = keeper->filling == NULL ? now_us + wait_us : UINT64_MAX;
        if (due_us < wake_us)
            wake_us = due_us;
    }
    if (wake_us == UINT64_MAX)
        loop_timer_clear(keeper->timer);
    else
        loop_timer_set(keeper->timer, wake_us);
}

enum status mirror_keeper_set(struct mirror_keeper              *keeper,
                              const struct proxy_mirror_options *options)
{
    if (keeper == NULL)
        return STATUS_OK;
    if (!keeper_copy_options(keeper, options))
        return STATUS_NO_MEMORY;
    keeper_drop_all(keeper, options->mode != PROXY_MIRROR_OFF);
    mirror_keeper_wake(keeper);
    return STATUS_OK;
}

/* The array of patterns, and behind it all texts. */
static bool keeper_copy_options(struct mirror_keeper              *keeper,
                                const struct proxy_mirror_options *options)
{
    const char  *directory = options->directory == NULL ? "" : options->directory;
    size_t       count = options->collection_count;
    size_t       size = count * sizeof(char *) + strlen(directory) + 1;
    char        *texts, *at;
    const char **patterns;

    for (size_t i = 0; i < count; i++)
        size += strlen(options->collections[i]) + 1;
    texts = malloc(size);
    if (texts == NULL)
        return false;
    patterns = (const char **)(void *)texts;
    at = texts + count * sizeof(char *);
    for (size_t i = 0; i < count; i++) {
        patterns[i] = at;
        at = stpcpy(at, options->collections[i]) + 1;
    }
    strcpy(at, directory);
    free(keeper->texts);
    keeper->texts = texts;
    keeper->options = *options;
    keeper->options.collections = patterns;
    keeper->options.directory = at;
    return true;
}

/* Those that stay are looked at again: what they were stopped for may be past. */
static void keeper_drop_all(struct mirror_keeper *keeper, bool only_unwanted)
{
    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        entry->is_refused = false;
        if (!only_unwanted || (!entry->is_asked_for && !mirror_choice_takes_name(entry)))
            mirror_entry_free(entry);
        else if (entry->state == MIRROR_ENTRY_STOPPED)
            entry->state = MIRROR_ENTRY_WAITING;
    }
}

const struct proxy_mirror_options *mirror_keeper_options(const struct mirror_keeper *keeper)
{
    return keeper == NULL ? NULL : &keeper->options;
}

void mirror_keeper_new_incarnation(struct mirror_keeper *keeper)
{
    if (keeper == NULL)
        return;
    keeper->is_unproved = false;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (mirror_kept_outlives_reaching(entry))
            continue;
        mirror_entry_give_up(entry, MIRROR_REASON_INCARNATION, NULL);
        if (entry->state == MIRROR_ENTRY_STOPPED) {
            entry->state = MIRROR_ENTRY_WAITING;
            entry->retry_us = 0;
        }
    }
    keeper->was_reached = true;
    mirror_keeper_wake(keeper);
}

void mirror_keeper_set_gateway(struct mirror_keeper *keeper, bool is_gateway)
{
    if (keeper == NULL || keeper->is_gateway == is_gateway)
        return;
    keeper->is_gateway = is_gateway;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        mirror_entry_give_up(LIST_ITEM(node, struct mirror_entry, node), MIRROR_REASON_ROLE, NULL);
    }
    mirror_keeper_wake(keeper);
}

/* ---- Readers -------------------------------------------------------------------------------- */

void mirror_keeper_note_read(struct mirror_keeper *keeper, const struct chroma_route *route)
{
    struct mirror_entry *entry;

    if (keeper == NULL || keeper->options.mode == PROXY_MIRROR_OFF || !route->has_uuid ||
        route->is_v1)
        return;
    entry = mirror_entry_find(keeper, route->uuid);
    if (entry == NULL)
        entry = mirror_entry_new(keeper, route->uuid, route->tenant, route->database);
    if (entry == NULL)
        return;
    mirror_entry_note_read(entry, mirror_keeper_now_us(keeper));
    if (keeper->filling != NULL || keeper->is_look_set ||
        !mirror_entry_is_due(entry, mirror_keeper_now_us(keeper)))
        return;
    keeper->is_look_set = true;
    loop_timer_set(keeper->timer, keeper->looks_us);
}

void mirror_keeper_note_answer(struct mirror_keeper *keeper, const uint8_t uuid[16])
{
    struct mirror_entry *entry = keeper == NULL ? NULL : mirror_entry_find(keeper, uuid);

    if (entry != NULL && !list_is_empty(&entry->open))
        entry->seen = keeper->clock;
}

enum status mirror_keeper_hold(struct mirror_keeper *keeper, const uint8_t uuid[16],
                               bool is_fallback, struct mirror_hold *hold, const char **ret_reason)
{
    struct mirror_entry *entry = keeper == NULL ? NULL : mirror_entry_find(keeper, uuid);

    *ret_reason = "none";
    return entry == NULL ? STATUS_NOT_FOUND
                         : mirror_pick_copy(hold, entry, is_fallback, ret_reason);
}

/* ---- For people ----------------------------------------------------------------------------- */

void mirror_keeper_each(const struct mirror_keeper *keeper, mirror_entry_fn *fn, void *ctx)
{
    uint64_t now_us;

    if (keeper == NULL)
        return;
    now_us = mirror_keeper_now_us(keeper);
    LIST_FOR_EACH(node, &keeper->entries)
    {
        const struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);
        struct mirror_entry_info   info;

        if (!mirror_info_is_shown(entry, now_us))
            continue;
        mirror_info_describe(entry, now_us, &info);
        fn(&info, ctx);
    }
}

struct mirror_keeper_usage mirror_keeper_usage(const struct mirror_keeper *keeper)
{
    struct mirror_keeper_usage usage = {0};

    if (keeper == NULL)
        return usage;
    usage.memory = keeper->waiting_bytes;
    LIST_FOR_EACH(node, &keeper->queues)
    {
        const struct mirror_queue *queue = LIST_ITEM(node, struct mirror_queue, node);

        usage.memory += queue->state.usage.memory;
        usage.disk += queue->state.usage.disk;
    }
    LIST_FOR_EACH(node, &keeper->entries)
    {
        const struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        usage.entries += mirror_info_is_shown(entry, mirror_keeper_now_us(keeper));
        usage.complete += entry->state == MIRROR_ENTRY_COMPLETE;
    }
    return usage;
}

enum status mirror_keeper_fill(struct mirror_keeper *keeper, const uint8_t uuid[16])
{
    struct mirror_entry *entry;
    enum status          status;

    if (mirror_keeper_obstacle(keeper) != NULL)
        return STATUS_NOT_IMPLEMENTED;
    entry = mirror_entry_find(keeper, uuid);
    if (entry == NULL)
        entry = keeper_add(keeper, uuid, &status);
    if (entry == NULL)
        return status;
    entry->is_asked_for = true;
    entry->is_refused = false;
    if (entry->state != MIRROR_ENTRY_WAITING && entry->state != MIRROR_ENTRY_STOPPED)
        mirror_entry_give_up(entry, MIRROR_REASON_ASKED, NULL);
    entry->state = MIRROR_ENTRY_WAITING;
    entry->retry_us = 0;
    entry->needed = 0;
    mirror_keeper_wake(keeper);
    return STATUS_OK;
}

/* One that nobody has read yet, if its names are known. NULL: *ret_status says why. */
static struct mirror_entry *keeper_add(struct mirror_keeper *keeper, const uint8_t uuid[16],
                                       enum status *ret_status)
{
    struct byte_buffer   path[2] = {{0}, {0}};
    struct mirror_entry *entry = NULL;
    struct scope         scope;
    struct bytes         name;

    *ret_status = STATUS_NOT_FOUND;
    if (!collection_table_names(keeper->proxy->collections, uuid, 0, mirror_keeper_now_us(keeper),
                                &scope, &name))
        return NULL;
    *ret_status = STATUS_NO_MEMORY;
    if (chroma_route_encode(scope.tenant, &path[0]) == STATUS_OK &&
        chroma_route_encode(scope.database, &path[1]) == STATUS_OK)
        entry = mirror_entry_new(keeper, uuid, byte_buffer_bytes(&path[0]),
                                 byte_buffer_bytes(&path[1]));
    byte_buffer_done(&path[0]);
    byte_buffer_done(&path[1]);
    return entry;
}

enum status mirror_keeper_drop(struct mirror_keeper *keeper, const uint8_t uuid[16])
{
    struct mirror_entry *entry = keeper == NULL ? NULL : mirror_entry_find(keeper, uuid);

    if (entry == NULL)
        return STATUS_NOT_FOUND;
    mirror_entry_free(entry);
    return STATUS_OK;
}

const char *mirror_keeper_obstacle(const struct mirror_keeper *keeper)
{
    return mirror_choice_obstacle(keeper);
}

enum status mirror_keeper_print_metrics(struct mirror_keeper *keeper, struct byte_buffer *out)
{
    return keeper == NULL ? STATUS_OK : mirror_info_print_metrics(keeper, out);
}
