#include "copies/mirror_choice.h"

#include "limits/guard_rules.h"
#include "limits/name_pattern.h"
#include "mirror/mirror_estimate.h"

/* In the last five minutes (mirror_entry_score()). */
static const double read_once = 0.5;

/* Who takes another's place is read so many times as often, so that two do not push each other out
 * in turns. */
static const double clearly_more = 1.5;

/* What did not fit is not tried again before this. */
static const uint64_t full_pause_us = 60000000;

/* Nor is what would not fit looked at before this. */
static const uint64_t no_room_us = 5000000;

/* A copy leaves this part of what it may take to those who read it (mirror_budget.h). */
enum { mirror_choice_spare = 16 };

static bool     mirror_choice_has_room(const struct mirror_entry *entry, uint64_t now_us);
static uint64_t mirror_choice_memory_max(const struct mirror_entry *entry);
static uint64_t mirror_choice_disk_max(const struct mirror_entry *entry);
static uint64_t mirror_choice_used(const struct mirror_entry *except, bool is_disk);
static uint64_t mirror_choice_of_queue(const struct mirror_queue *queue, bool is_disk);
static bool     mirror_choice_is_out(const struct mirror_queue *queue);
static uint64_t mirror_choice_yielding(const struct mirror_entry *entry, uint64_t now_us);
static bool mirror_choice_yields(const struct mirror_entry *to, const struct mirror_entry *entry,
                                 uint64_t now_us);
static bool mirror_choice_evict(struct mirror_entry *for_whom, uint64_t now_us);
static uint64_t mirror_choice_expected(const struct mirror_entry *entry);
static void     mirror_choice_trim(struct mirror_keeper *keeper);
static void     mirror_choice_push_out(struct mirror_entry *entry, uint64_t now_us);

void mirror_choice_begin(struct mirror_keeper *keeper)
{
    uint64_t             now_us = mirror_keeper_now_us(keeper);
    struct mirror_entry *best = NULL;

    if (keeper->filling != NULL || now_us < keeper->proxy->settled_us ||
        mirror_choice_obstacle(keeper) != NULL)
        return;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (entry->state == MIRROR_ENTRY_LOADING)
            return; /* it comes first (mirror_kept.h) */
        if (!mirror_entry_is_due(entry, now_us) || !mirror_choice_is_wanted(entry, now_us) ||
            !mirror_entry_is_quiet(entry))
            continue;
        if (!mirror_choice_has_room(entry, now_us)) {
            entry->retry_us = now_us + no_room_us;
            continue;
        }
        if (best == NULL || (entry->is_asked_for && !best->is_asked_for) ||
            (entry->is_asked_for == best->is_asked_for &&
             mirror_entry_score(entry, now_us) > mirror_entry_score(best, now_us)))
            best = entry;
    }
    if (best == NULL || !mirror_entry_begin(best))
        return;
    while (best->needed > mirror_choice_memory_max(best) && mirror_choice_evict(best, now_us))
        ;
}

const char *mirror_choice_obstacle(const struct mirror_keeper *keeper)
{
    const struct proxy *proxy;

    if (keeper == NULL || keeper->options.mode == PROXY_MIRROR_OFF)
        return "mirror.mode is off";
    proxy = keeper->proxy;
    if (proxy->family == CHROMA_FAMILY_UNKNOWN)
        return "it is not known yet which Chroma answers";
    if (proxy->family != CHROMA_FAMILY_RUST || keeper->is_unproved)
        return "copies were not proved for this version of Chroma";
    if (!proxy->write_options.is_coalescing)
        return "writes.coalesce is off, so that nobody knows the order of writes";
    if (proxy_state_is_unwatched(proxy))
        return "backend.connections_max is below 4, so that nobody notices another Chroma";
    return proxy->is_single ? NULL : "Chroma has not said that it is a single node";
}

bool mirror_choice_takes_name(const struct mirror_entry *entry)
{
    const struct proxy_mirror_options *options = &entry->keeper->options;

    if (entry->name == NULL || options->collection_count == 0)
        return true;
    for (size_t i = 0; i < options->collection_count; i++) {
        struct bytes         text = bytes_of(options->collections[i]);
        struct guard_pattern pattern;

        if (guard_rules_next_pattern(&text, &pattern) &&
            (pattern.tenant.data == NULL ||
             (name_pattern_fits(pattern.tenant, bytes_of(entry->tenant)) &&
              name_pattern_fits(pattern.database, bytes_of(entry->database)))) &&
            name_pattern_fits(pattern.collection, bytes_of(entry->name)))
            return true;
    }
    return false;
}

bool mirror_choice_is_wanted(const struct mirror_entry *entry, uint64_t now_us)
{
    if (entry->is_asked_for)
        return true;
    return mirror_choice_takes_name(entry) && mirror_entry_score(entry, now_us) >= read_once;
}

static bool mirror_choice_has_room(const struct mirror_entry *entry, uint64_t now_us)
{
    uint64_t room = mirror_choice_memory_max(entry);

    return room > entry->needed || mirror_choice_yielding(entry, now_us) + room > entry->needed;
}

/* How much a copy of it may take, beside those that are there. */
static uint64_t mirror_choice_memory_max(const struct mirror_entry *entry)
{
    uint64_t used = mirror_choice_used(entry, false), max = entry->keeper->options.memory_max;

    return used >= max ? 0 : max - used;
}

static uint64_t mirror_choice_disk_max(const struct mirror_entry *entry)
{
    uint64_t used = mirror_choice_used(entry, true), max = entry->keeper->options.disk_max;

    return used >= max ? 0 : max - used;
}

/* By all copies, those that are left and still read among them, but for the live one of `except`
 * and for those on their way out. */
static uint64_t mirror_choice_used(const struct mirror_entry *except, bool is_disk)
{
    uint64_t used = 0;

    LIST_FOR_EACH(node, &except->keeper->queues)
    {
        const struct mirror_queue *queue = LIST_ITEM(node, struct mirror_queue, node);

        if (queue != except->live && !mirror_choice_is_out(queue))
            used += mirror_choice_of_queue(queue, is_disk);
    }
    return used;
}

static uint64_t mirror_choice_of_queue(const struct mirror_queue *queue, bool is_disk)
{
    if (queue == NULL)
        return 0;
    return is_disk ? queue->state.usage.disk : queue->state.usage.memory;
}

/* What would become free if all went that may go for it. */
static uint64_t mirror_choice_yielding(const struct mirror_entry *to, uint64_t now_us)
{
    uint64_t sum = 0;

    LIST_FOR_EACH(node, &to->keeper->entries)
    {
        const struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (mirror_choice_yields(to, entry, now_us))
            sum += mirror_choice_of_queue(entry->live, false) +
                   mirror_choice_of_queue(entry->former, false);
    }
    return sum;
}

static bool mirror_choice_yields(const struct mirror_entry *to, const struct mirror_entry *entry,
                                 uint64_t now_us)
{
    return entry != to && (entry->live != NULL || entry->former != NULL) && !entry->is_asked_for &&
           (to->is_asked_for ||
            mirror_entry_score(entry, now_us) * clearly_more < mirror_entry_score(to, now_us));
}

/* The coldest of those that may go for it, its own former copy first. */
static bool mirror_choice_evict(struct mirror_entry *for_whom, uint64_t now_us)
{
    struct mirror_entry *coldest = NULL;

    if (for_whom->former != NULL) {
        mirror_queue_leave(for_whom->former);
        for_whom->former = NULL;
        return true;
    }
    LIST_FOR_EACH(node, &for_whom->keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (mirror_choice_yields(for_whom, entry, now_us) &&
            (coldest == NULL ||
             mirror_entry_score(entry, now_us) < mirror_entry_score(coldest, now_us)))
            coldest = entry;
    }
    if (coldest == NULL)
        return false;
    mirror_choice_push_out(coldest, now_us);
    return true;
}

/* What it must be allowed in all, to be filled. */
static uint64_t mirror_choice_expected(const struct mirror_entry *entry)
{
    const struct mirror_records_usage *usage;
    uint64_t                           bytes;

    if (entry->live == NULL)
        return entry->needed;
    usage = &entry->live->state.usage;
    bytes = usage->expected > usage->memory ? usage->expected : usage->memory;
    return bytes + bytes / (mirror_choice_spare - 1);
}

uint64_t mirror_choice_estimate(const struct mirror_entry *entry)
{
    if (entry->live != NULL && entry->live->state.is_listed)
        return entry->live->state.usage.expected;
    if (entry->needed > 0)
        return entry->needed - entry->needed / mirror_choice_spare;
    return mirror_estimate_of_size(entry->records, entry->dimension);
}

enum status mirror_choice_make_queue(struct mirror_entry *entry)
{
    struct mirror_records_options options = {.space = entry->space,
                                             .memory_max = mirror_choice_memory_max(entry),
                                             .disk_max = mirror_choice_disk_max(entry)};

    /* 0 stands for no limit. */
    options.memory_max += options.memory_max == 0;
    options.disk_max += options.disk_max == 0;
    memcpy(options.secret, entry->keeper->proxy->secret, sizeof options.secret);
    entry->live = mirror_queue_new(entry, &options);
    return entry->live == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

bool mirror_choice_is_freeing(const struct mirror_keeper *keeper)
{
    LIST_FOR_EACH(node, &keeper->queues)
    {
        const struct mirror_queue *queue = LIST_ITEM(node, struct mirror_queue, node);

        if (mirror_choice_is_out(queue))
            return true;
    }
    return false;
}

static bool mirror_choice_is_out(const struct mirror_queue *queue)
{
    return queue->entry == NULL && list_is_empty(&queue->holds) && list_is_empty(&queue->waiting);
}

void mirror_choice_check_size(struct mirror_entry *entry)
{
    uint64_t max = entry->live->options.memory_max;

    /* What seems to be a little too large is read until that is certain. */
    if (!entry->live->state.usage.is_sampled)
        max += max / 2;
    if (entry->state == MIRROR_ENTRY_FILLING && mirror_choice_expected(entry) > max)
        mirror_choice_on_full(entry);
    else
        mirror_choice_trim(entry->keeper);
}

void mirror_choice_on_full(struct mirror_entry *entry)
{
    struct mirror_keeper *keeper = entry->keeper;
    uint64_t              now_us = mirror_keeper_now_us(keeper);
    uint64_t              expected = mirror_choice_expected(entry);
    uint64_t              max = entry->live->options.memory_max;
    bool                  had_all = max >= keeper->options.memory_max &&
                   entry->live->options.disk_max >= keeper->options.disk_max;

    if (expected <= max) /* more than it was allowed, if not by how much */
        expected = max + max / 4;
    entry->needed = expected;
    if (expected > keeper->options.memory_max || had_all) {
        mirror_entry_give_up(entry, MIRROR_REASON_TOO_LARGE, NULL);
        return;
    }
    mirror_entry_give_up(entry, MIRROR_REASON_COLD, NULL);
    if (!mirror_choice_has_room(entry, now_us))
        entry->retry_us = now_us + full_pause_us;
}

/* Copies grow with writes. The coldest goes when all together take too much. */
static void mirror_choice_trim(struct mirror_keeper *keeper)
{
    uint64_t now_us = mirror_keeper_now_us(keeper);

    for (;;) {
        struct mirror_entry *coldest = NULL;
        uint64_t             memory = 0, disk = 0;

        LIST_FOR_EACH(node, &keeper->entries)
        {
            struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

            memory += mirror_choice_of_queue(entry->live, false) +
                      mirror_choice_of_queue(entry->former, false);
            disk += mirror_choice_of_queue(entry->live, true) +
                    mirror_choice_of_queue(entry->former, true);
            if ((entry->live != NULL || entry->former != NULL) &&
                (coldest == NULL || coldest->is_asked_for > entry->is_asked_for ||
                 (coldest->is_asked_for == entry->is_asked_for &&
                  mirror_entry_score(entry, now_us) < mirror_entry_score(coldest, now_us))))
                coldest = entry;
        }
        if (coldest == NULL ||
            (memory <= keeper->options.memory_max && disk <= keeper->options.disk_max))
            return;
        mirror_choice_push_out(coldest, now_us);
    }
}

static void mirror_choice_push_out(struct mirror_entry *entry, uint64_t now_us)
{
    entry->needed = mirror_choice_expected(entry);
    mirror_entry_give_up(entry,
                         entry->needed > entry->keeper->options.memory_max ? MIRROR_REASON_TOO_LARGE
                                                                           : MIRROR_REASON_COLD,
                         NULL);
    mirror_queue_leave(entry->former);
    entry->former = NULL;
    entry->retry_us = now_us + full_pause_us;
}
