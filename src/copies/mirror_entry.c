#include "copies/mirror_entry.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Some 400 bytes each, and their names. */
enum { mirror_entries_max = 1024 };

/* Whose connection to a living Chroma broke so long ago is applied, or will not be: calls of ten
 * seconds count as hung, and the copy begins with a write of its own (mirror_settle.h). */
static const uint64_t lost_grace_us = 120000000;

static const uint64_t backoff_min_us = 1000000;
enum { backoff_doublings = 6 }; /* up to a minute */

/* What was complete for so long was not given up for the same reason as before. */
static const uint64_t calm_us = 60000000;

static const uint64_t half_life_us = UINT64_C(300) * 1000000;

static bool mirror_entry_make_room(struct mirror_keeper *keeper);
static void mirror_entry_look_up_name(struct mirror_entry *entry);
static bool mirror_entry_copy_text(char **to, struct bytes text);
static bool mirror_entry_is_as_kept(const struct mirror_entry *entry);
static void mirror_entry_leave_live(struct mirror_entry *entry, bool keeps);
static void mirror_entry_leave_former(struct mirror_entry *entry);
static void mirror_entry_forget_open(struct mirror_entry *entry);
static void mirror_entry_set_retry(struct mirror_entry *entry, enum mirror_reason reason);
static void mirror_entry_log(const struct mirror_entry *entry, enum log_level level,
                             const char *event);

/* ---- Entries -------------------------------------------------------------------------------- */

struct mirror_entry *mirror_entry_find(const struct mirror_keeper *keeper, const uint8_t uuid[16])
{
    return hash_map_get(keeper->by_uuid, (struct bytes){(const char *)uuid, 16});
}

struct mirror_entry *mirror_entry_new(struct mirror_keeper *keeper, const uint8_t uuid[16],
                                      struct bytes tenant, struct bytes database)
{
    struct mirror_entry *entry;

    if (hash_map_count(keeper->by_uuid) >= mirror_entries_max && !mirror_entry_make_room(keeper))
        return NULL;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->keeper = keeper;
    memcpy(entry->uuid, uuid, sizeof entry->uuid);
    list_init(&entry->open);
    if (!mirror_entry_copy_text(&entry->tenant, tenant) ||
        !mirror_entry_copy_text(&entry->database, database) ||
        hash_map_put(keeper->by_uuid, (struct bytes){(const char *)entry->uuid, sizeof entry->uuid},
                     entry) != STATUS_OK) {
        free(entry->tenant);
        free(entry->database);
        free(entry);
        return NULL;
    }
    list_push_back(&keeper->entries, &entry->node);
    mirror_entry_look_up_name(entry);
    return entry;
}

/* As the answer to its creation said, or to whoever asked for it. Beside others it may be old. */
static void mirror_entry_look_up_name(struct mirror_entry *entry)
{
    struct scope scope;
    struct bytes name;

    if (entry->keeper->is_gateway &&
        collection_table_names(entry->keeper->proxy->collections, entry->uuid, 0,
                               mirror_keeper_now_us(entry->keeper), &scope, &name) &&
        !mirror_entry_set_name(entry, name))
        mirror_entry_forget_name(entry);
}

/* Of those that have no copy and that nobody has asked for. */
static bool mirror_entry_make_room(struct mirror_keeper *keeper)
{
    uint64_t             now_us = mirror_keeper_now_us(keeper);
    struct mirror_entry *coldest = NULL;

    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (entry->live == NULL && entry->former == NULL && !entry->is_asked_for &&
            (coldest == NULL ||
             mirror_entry_score(entry, now_us) < mirror_entry_score(coldest, now_us)))
            coldest = entry;
    }
    if (coldest != NULL)
        mirror_entry_free(coldest);
    return coldest != NULL;
}

static bool mirror_entry_copy_text(char **to, struct bytes text)
{
    char *copy = malloc(text.size + 1);

    if (copy == NULL)
        return false;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    free(*to);
    *to = copy;
    return true;
}

bool mirror_entry_set_name(struct mirror_entry *entry, struct bytes name)
{
    return mirror_entry_copy_text(&entry->name, name);
}

void mirror_entry_forget_name(struct mirror_entry *entry)
{
    free(entry->name);
    entry->name = NULL;
}

void mirror_entry_free(struct mirror_entry *entry)
{
    mirror_entry_leave_live(entry, false);
    mirror_queue_leave(entry->former);
    hash_map_remove(entry->keeper->by_uuid,
                    (struct bytes){(const char *)entry->uuid, sizeof entry->uuid});
    list_remove(&entry->node);
    free(entry->tenant);
    free(entry->database);
    free(entry->name);
    free(entry);
}

void mirror_entry_note_read(struct mirror_entry *entry, uint64_t now_us)
{
    entry->score = mirror_entry_score(entry, now_us) + 1;
    entry->scored_us = now_us;
}

double mirror_entry_score(const struct mirror_entry *entry, uint64_t now_us)
{
    uint64_t age_us = now_us - entry->scored_us;
    double   score = entry->score;

    for (; age_us >= half_life_us && score > 0.001; age_us -= half_life_us)
        score /= 2;
    return score > 0.001 ? score * (1 - (double)age_us / (2 * (double)half_life_us)) : 0;
}

bool mirror_entry_is_changing(const struct mirror_entry *entry)
{
    LIST_FOR_EACH(node, &entry->open)
    {
        const struct write_notice *notice = LIST_ITEM(node, struct write_notice, mirror_node);

        if (notice->change.reach != CHROMA_REACH_RECORDS)
            return true;
    }
    return false;
}

/* ---- States --------------------------------------------------------------------------------- */

bool mirror_entry_is_due(const struct mirror_entry *entry, uint64_t now_us)
{
    return entry->state == MIRROR_ENTRY_WAITING && !entry->is_refused && now_us >= entry->retry_us;
}

bool mirror_entry_is_quiet(const struct mirror_entry *entry)
{
    return collection_table_is_quiet(entry->keeper->proxy->collections, entry->uuid, lost_grace_us,
                                     mirror_keeper_now_us(entry->keeper));
}

bool mirror_entry_begin(struct mirror_entry *entry)
{
    struct mirror_keeper *keeper = entry->keeper;
    uint64_t              now_us = mirror_keeper_now_us(keeper);

    if (!mirror_entry_is_quiet(entry))
        return false;
    entry->state = MIRROR_ENTRY_LISTING;
    entry->is_described = entry->is_settled = entry->is_probed = entry->is_listed = false;
    entry->is_unseen = false;
    entry->list_sent = entry->last_known = entry->seen = 0;
    entry->crossings = entry->failures = entry->last_pages = entry->lane_asks = 0;
    entry->begun_us = entry->asked_us = now_us;
    keeper->filling = entry;
    mirror_keeper_wake(keeper);
    return true;
}

/* No record is hollow, no page is under way, and no write is that was sent before the last answer
 * was complete. While the Chroma that was asked is lost, some answers may be of the next one: when
 * that is reached the copy is begun anew. */
void mirror_entry_try_complete(struct mirror_entry *entry)
{
    struct mirror_queue *queue = entry->live;

    if (entry->keeper->proxy->is_lost)
        return;
    if (entry->state != MIRROR_ENTRY_FILLING || queue->page != MIRROR_PAGE_NONE ||
        queue->applied == 0 || queue->status != STATUS_OK || queue->state.hollow > 0 ||
        !mirror_queue_is_past(queue, entry->last_known) ||
        mirror_state_has_open(entry, entry->last_known) || !entry->is_described ||
        queue->copy == NULL)
        return;
    if (queue->is_kept && !mirror_entry_is_as_kept(entry)) {
        mirror_entry_give_up(entry, MIRROR_REASON_KEPT, "it is described otherwise");
        return;
    }
    entry->state = MIRROR_ENTRY_COMPLETE;
    entry->filled_us = mirror_keeper_now_us(entry->keeper);
    entry->fill_us = entry->filled_us - entry->begun_us;
    entry->needed = queue->state.usage.memory;
    entry->fills += !queue->is_kept;
    entry->keeper->stats.completed += !queue->is_kept;
    entry->keeper->stats.kept += queue->is_kept;
    entry->keeper->filling = NULL;
    mirror_entry_leave_former(entry);
    mirror_entry_log(entry, LOG_INFO, "mirror_complete");
}

/* Is the collection what its kept copy was made of, as Chroma has described it now? */
static bool mirror_entry_is_as_kept(const struct mirror_entry *entry)
{
    const struct mirror_queue *queue = entry->live;

    return entry->space == queue->options.space &&
           (queue->state.dimension == 0 || entry->dimension == queue->state.dimension);
}

void mirror_entry_renew(struct mirror_entry *entry)
{
    mirror_queue_leave(entry->former);
    entry->former = entry->live;
    entry->former_us = entry->asked_us;
    entry->former_is_doubtful = false;
    entry->live = NULL;
    mirror_entry_forget_open(entry);
    entry->state = MIRROR_ENTRY_WAITING;
    entry->reason = MIRROR_REASON_AGE;
    entry->detail = NULL;
    entry->retry_us = 0;
    mirror_keeper_wake(entry->keeper);
}

void mirror_entry_give_up(struct mirror_entry *entry, enum mirror_reason reason, const char *detail)
{
    struct mirror_keeper *keeper = entry->keeper;
    bool                  was_complete = entry->state == MIRROR_ENTRY_COMPLETE,
         is_final = mirror_reason_is_final(reason), is_void = reason == MIRROR_REASON_INCARNATION;

    if (is_void)
        mirror_entry_leave_former(entry);
    else
        mirror_entry_doubt_former(entry);
    if (reason == MIRROR_REASON_CHANGED || reason == MIRROR_REASON_INCARNATION)
        entry->is_refused = false; /* it may have another name */
    if (entry->state == MIRROR_ENTRY_STOPPED && !is_final)
        return;
    if (entry->state == MIRROR_ENTRY_WAITING && !is_final)
        return;
    mirror_entry_set_retry(entry, reason);
    mirror_entry_leave_live(entry, was_complete && !is_final && !is_void);
    entry->state = is_final ? MIRROR_ENTRY_STOPPED : MIRROR_ENTRY_WAITING;
    entry->reason = reason;
    entry->detail = detail;
    entry->refills[reason]++;
    keeper->stats.refills[reason]++;
    mirror_entry_log(
        entry, is_final || was_complete || reason == MIRROR_REASON_KEPT ? LOG_WARNING : LOG_INFO,
        "mirror_given_up");
    mirror_keeper_wake(keeper);
}

/* 1 s, 2 s, ... 64 s, for what may happen again. That a collection was changed does not make it
 * more likely that it cannot be filled. */
static void mirror_entry_set_retry(struct mirror_entry *entry, enum mirror_reason reason)
{
    uint64_t now_us = mirror_keeper_now_us(entry->keeper);

    if (entry->state == MIRROR_ENTRY_COMPLETE && now_us - entry->filled_us >= calm_us)
        entry->backoff = 0;
    if (reason == MIRROR_REASON_ASKED || reason == MIRROR_REASON_ROLE ||
        reason == MIRROR_REASON_INCARNATION || reason == MIRROR_REASON_KEPT) {
        entry->backoff = 0;
        entry->retry_us = 0;
        return;
    }
    if (reason == MIRROR_REASON_CHANGED) {
        entry->retry_us = now_us + backoff_min_us;
        return;
    }
    entry->retry_us = now_us + (backoff_min_us << entry->backoff);
    if (entry->backoff < backoff_doublings)
        entry->backoff++;
}

/* `keeps`: as one that may lack something. */
static void mirror_entry_leave_live(struct mirror_entry *entry, bool keeps)
{
    struct mirror_keeper *keeper = entry->keeper;

    if (keeper->filling == entry) {
        keeper->filling = NULL;
        keeper->on_left(keeper);
    }
    entry->settling = 0;
    mirror_entry_forget_open(entry);
    if (entry->live == NULL)
        return;
    if (keeps && keeper->options.allows_incomplete) {
        mirror_queue_leave(entry->former);
        entry->former = entry->live;
        entry->former_us = keeper->is_gateway ? mirror_keeper_now_us(keeper) : entry->asked_us;
        entry->former_is_doubtful = true;
        mirror_queue_clear(entry->former);
    } else {
        mirror_queue_leave(entry->live);
    }
    entry->live = NULL;
}

/* Those under way are another copy's now, or nobody's: the next is begun when none is. */
static void mirror_entry_forget_open(struct mirror_entry *entry)
{
    struct list_node *node;

    while ((node = list_first(&entry->open)) != NULL)
        list_remove(node);
}

void mirror_entry_doubt_former(struct mirror_entry *entry)
{
    entry->former_is_doubtful = true;
    if (!entry->keeper->options.allows_incomplete)
        mirror_entry_leave_former(entry);
}

static void mirror_entry_leave_former(struct mirror_entry *entry)
{
    mirror_queue_leave(entry->former);
    entry->former = NULL;
}

static void mirror_entry_log(const struct mirror_entry *entry, enum log_level level,
                             const char *event)
{
    char            uuid[CHROMA_ROUTE_UUID_SIZE];
    struct log_line line;

    chroma_route_print_uuid(entry->uuid, uuid);
    log_begin(&line, level, event);
    log_text(&line, "collection", uuid);
    if (entry->name != NULL)
        log_text(&line, "name", entry->name);
    if (entry->state == MIRROR_ENTRY_COMPLETE) {
        log_number(&line, "records", entry->live->state.records);
        log_number(&line, "memory_bytes", entry->live->state.usage.memory);
        log_number(&line, "disk_bytes", entry->live->state.usage.disk);
        log_ms(&line, "took_ms", entry->fill_us);
        log_flag(&line, "kept", entry->live->is_kept);
    } else {
        log_text(&line, "reason", mirror_reason_label(entry->reason));
        if (entry->detail != NULL)
            log_text(&line, "detail", entry->detail);
        log_flag(&line, "stopped", entry->state == MIRROR_ENTRY_STOPPED);
    }
    log_end(&line);
}
