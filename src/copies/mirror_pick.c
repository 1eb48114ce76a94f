#include "copies/mirror_pick.h"

static struct mirror_queue *pick_find_copy(const struct mirror_keeper *keeper,
                                           const struct mirror_entry *entry, bool is_fallback,
                                           struct mirror_hold *ret_hold, const char **ret_reason);
static struct mirror_queue *pick_find_old(const struct mirror_keeper *keeper,
                                          const struct mirror_entry  *entry,
                                          struct mirror_hold *ret_hold, const char **ret_reason);
static bool                 pick_is_young(const struct mirror_keeper *keeper, uint64_t since_us);
static void                 pick_on_release(struct mirror_queue *queue);
static uint32_t             pick_dimension(const struct mirror_entry *entry);

enum status mirror_pick_copy(struct mirror_hold *hold, struct mirror_entry *entry, bool is_fallback,
                             const char **ret_reason)
{
    struct mirror_queue *queue =
        pick_find_copy(entry->keeper, entry, is_fallback, hold, ret_reason);

    if (queue == NULL)
        return STATUS_NOT_FOUND;
    list_node_init(&hold->node);
    hold->loop = entry->keeper->proxy->loop;
    hold->on_release = pick_on_release;
    hold->queue = queue;
    hold->long_holds = &queue->long_holds;
    hold->copy = queue->copy;
    hold->dimension = pick_dimension(entry);
    hold->until = hold->seen = 0;
    if (queue == entry->live) {
        hold->until = queue->told;
        hold->seen = mirror_state_has_open(entry, entry->seen) ? entry->seen : 0;
    }
    hold->is_waiting =
        queue->applied < hold->until || hold->seen > 0 || (hold->is_long && queue->is_running);
    queue->long_holds += hold->is_long && !hold->is_waiting;
    list_push_back(hold->is_waiting ? &queue->waiting : &queue->holds, &hold->node);
    return hold->is_waiting ? STATUS_AGAIN : STATUS_OK;
}

/* NULL: there is none that may be read. */
static struct mirror_queue *pick_find_copy(const struct mirror_keeper *keeper,
                                           const struct mirror_entry *entry, bool is_fallback,
                                           struct mirror_hold *ret_hold, const char **ret_reason)
{
    bool is_live = entry->state == MIRROR_ENTRY_COMPLETE;

    *ret_reason = "changing";
    if (keeper->wide_open > 0 || mirror_entry_is_changing(entry))
        return NULL;
    if (is_live && keeper->is_gateway) {
        ret_hold->is_complete = true;
        ret_hold->since_us = 0;
        return entry->live;
    }
    *ret_reason = keeper->is_gateway ? mirror_entry_state_name(entry->state) : "sidecar";
    if (!is_fallback)
        return NULL;
    ret_hold->is_complete = false;
    if (is_live && pick_is_young(keeper, entry->asked_us)) {
        ret_hold->since_us = entry->asked_us;
        return entry->live;
    }
    return pick_find_old(keeper, entry, ret_hold, ret_reason);
}

/* The copy before the live one, as the options allow. */
static struct mirror_queue *pick_find_old(const struct mirror_keeper *keeper,
                                          const struct mirror_entry  *entry,
                                          struct mirror_hold *ret_hold, const char **ret_reason)
{
    *ret_reason = "doubtful";
    if (entry->former == NULL || entry->former->status != STATUS_OK ||
        (entry->former_is_doubtful && !keeper->options.allows_incomplete))
        return NULL;
    *ret_reason = "old";
    if (!keeper->is_gateway && !pick_is_young(keeper, entry->former_us))
        return NULL;
    ret_hold->since_us = entry->former_us;
    return entry->former;
}

static bool pick_is_young(const struct mirror_keeper *keeper, uint64_t since_us)
{
    return mirror_keeper_now_us(keeper) - since_us <= keeper->options.max_age_us;
}

/* As the table knows it; where it does not any more, as it was. Once fixed it never changes. */
static uint32_t pick_dimension(const struct mirror_entry *entry)
{
    uint32_t known = collection_table_dimension(entry->keeper->proxy->collections, entry->uuid);

    return known != 0 ? known : entry->dimension;
}

/* One that was left goes with its last reader; changes wait for those that take long. */
static void pick_on_release(struct mirror_queue *queue)
{
    bool has_work = !list_is_empty(&queue->changes) || queue->has_idle_work;

    if (queue->entry == NULL || (has_work && !queue->is_running && queue->long_holds == 0))
        mirror_keeper_wake(queue->keeper);
}
