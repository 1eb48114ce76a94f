#include "copies/mirror_kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copies/mirror_choice.h"
#include "copies/mirror_entry.h"

enum { kept_path_size = 1200 };

static int         kept_compare(const void *left, const void *right);
static void        kept_save_one(struct mirror_entry *entry, const char *folder,
                                 const struct mirror_kept_saver *saver);
static const char *kept_why_not(const struct mirror_entry *entry);
static uint64_t    kept_room(const struct mirror_keeper *keeper);
static bool kept_move(const struct mirror_queue *queue, const char *folder, const uint8_t uuid[16],
                      bool is_to_folder);
static struct mirror_entry *kept_find_entry(struct mirror_keeper     *keeper,
                                            const struct mirror_kept *kept);
static enum status          kept_load(struct mirror_entry *entry, const char *folder,
                                      const struct mirror_kept *kept);

/* ---- In the end ------------------------------------------------------------------------------ */

void mirror_kept_save(struct proxy *proxy, const char *folder,
                      const struct mirror_kept_saver *saver)
{
    struct mirror_keeper *keeper = proxy->mirror;
    struct mirror_entry **entries;
    size_t                count = 0;

    if (keeper == NULL || keeper->options.mode == PROXY_MIRROR_OFF || !keeper->is_gateway ||
        keeper->wide_open > 0)
        return;
    entries = calloc(hash_map_count(keeper->by_uuid) + 1, sizeof(struct mirror_entry *));
    if (entries == NULL)
        return;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        entries[count++] = LIST_ITEM(node, struct mirror_entry, node);
    }
    qsort(entries, count, sizeof *entries, kept_compare);
    for (size_t i = 0; i < count; i++)
        if (entries[i]->state == MIRROR_ENTRY_COMPLETE &&
            saver->may(entries[i]->uuid, entries[i]->live->state.records, saver->ctx))
            kept_save_one(entries[i], folder, saver);
    free(entries);
}

/* Those that are read most come first. */
static int kept_compare(const void *left, const void *right)
{
    const struct mirror_entry *one = *(struct mirror_entry *const *)left;
    const struct mirror_entry *other = *(struct mirror_entry *const *)right;
    uint64_t                   now_us = mirror_keeper_now_us(one->keeper);
    double one_score = mirror_entry_score(one, now_us), score = mirror_entry_score(other, now_us);

    if (one->is_asked_for != other->is_asked_for)
        return one->is_asked_for ? -1 : 1;
    return (one_score < score) - (one_score > score);
}

static void kept_save_one(struct mirror_entry *entry, const char *folder,
                          const struct mirror_kept_saver *saver)
{
    struct mirror_queue *queue = entry->live;
    const char          *reason = kept_why_not(entry);
    struct mirror_kept   kept = {
          .tenant = entry->tenant,
          .database = entry->database,
          .name = entry->name,
          .space = entry->space,
          .score = mirror_entry_score(entry, mirror_keeper_now_us(entry->keeper)),
          .is_asked_for = entry->is_asked_for,
    };
    enum status status;

    memcpy(kept.uuid, entry->uuid, sizeof kept.uuid);
    if (reason == NULL && queue->is_running)
        reason = "a write was not applied";
    if (reason == NULL && entry->is_unseen) /* the next run would not ask again */
        reason = "it is not known yet how Chroma searches it";
    if (reason == NULL) {
        status = mirror_copy_save(queue->copy, kept_room(entry->keeper), &kept.seal);
        if (status != STATUS_OK)
            reason = status_text(status);
        else if (!kept_move(queue, folder, entry->uuid, true))
            reason = "its files cannot be moved";
    }
    if (reason != NULL)
        mirror_save_remove(NULL, queue->path);
    else
        entry->kept_bytes = kept.seal.size + queue->state.usage.index;
    saver->saved(&kept, reason, saver->ctx);
}

/* NULL: it holds what Chroma holds, and nothing was under way that could have changed that. */
static const char *kept_why_not(const struct mirror_entry *entry)
{
    const struct mirror_queue *queue = entry->live;

    if (!entry->is_placed || entry->name == NULL)
        return "its name is not known";
    if (!list_is_empty(&entry->open) || entry->settling != 0 || !mirror_entry_is_quiet(entry))
        return "a write is under way";
    return queue->status != STATUS_OK || queue->copy == NULL || queue->applied != queue->told ||
                   !list_is_empty(&queue->changes)
               ? "a write was not applied"
               : NULL;
}

/* Beside what all copies take now, and what was saved already. */
static uint64_t kept_room(const struct mirror_keeper *keeper)
{
    uint64_t used = 0;

    LIST_FOR_EACH(node, &keeper->queues)
    {
        used += LIST_ITEM(node, struct mirror_queue, node)->state.usage.disk;
    }
    LIST_FOR_EACH(node, &keeper->entries)
    {
        used += LIST_ITEM(node, struct mirror_entry, node)->kept_bytes;
    }
    return used >= keeper->options.disk_max ? 0 : keeper->options.disk_max - used;
}

/* From where the copy has its files to the folder, or back. Without vectors there are fewer. */
static bool kept_move(const struct mirror_queue *queue, const char *folder, const uint8_t uuid[16],
                      bool is_to_folder)
{
    char name[CHROMA_ROUTE_UUID_SIZE], here[kept_path_size], there[kept_path_size];

    chroma_route_print_uuid(uuid, name);
    for (size_t i = 0; mirror_save_endings[i] != NULL; i++) {
        const char *ending = mirror_save_endings[i];

        if ((size_t)snprintf(here, sizeof here, "%s%s", queue->path, ending) >= sizeof here ||
            (size_t)snprintf(there, sizeof there, "%s/%s%s", folder, name, ending) >= sizeof there)
            return false;
        if (rename(is_to_folder ? here : there, is_to_folder ? there : here) != 0 &&
            (errno != ENOENT || i == 0))
            return false;
    }
    return true;
}

/* ---- In the beginning ------------------------------------------------------------------------ */

enum status mirror_kept_open(struct proxy *proxy, const char *folder,
                             const struct mirror_kept *kept)
{
    struct mirror_keeper *keeper = proxy->mirror;
    struct mirror_entry  *entry;
    enum status           status;

    if (keeper == NULL || keeper->options.mode == PROXY_MIRROR_OFF || !keeper->is_gateway ||
        keeper->was_reached)
        return STATUS_NOT_FOUND;
    entry = kept_find_entry(keeper, kept);
    if (entry == NULL)
        return STATUS_NO_MEMORY;
    if (entry->state != MIRROR_ENTRY_WAITING || entry->live != NULL ||
        (!kept->is_asked_for && !mirror_choice_takes_name(entry)))
        return STATUS_NOT_FOUND;
    status = kept_load(entry, folder, kept);
    if (status == STATUS_OK)
        mirror_keeper_wake(keeper);
    return status;
}

/* Somebody may read it already. */
static struct mirror_entry *kept_find_entry(struct mirror_keeper     *keeper,
                                            const struct mirror_kept *kept)
{
    struct mirror_entry *entry = mirror_entry_find(keeper, kept->uuid);

    if (entry == NULL)
        entry =
            mirror_entry_new(keeper, kept->uuid, bytes_of(kept->tenant), bytes_of(kept->database));
    if (entry == NULL || !mirror_entry_set_name(entry, bytes_of(kept->name)))
        return NULL;
    return entry;
}

static enum status kept_load(struct mirror_entry *entry, const char *folder,
                             const struct mirror_kept *kept)
{
    struct mirror_keeper *keeper = entry->keeper;

    entry->space = kept->space;
    if (mirror_choice_make_queue(entry) != STATUS_OK)
        return STATUS_NO_MEMORY;
    if (!kept_move(entry->live, folder, kept->uuid, false)) {
        mirror_queue_leave(entry->live);
        entry->live = NULL;
        return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO_FAILED;
    }
    entry->live->kept = kept->seal;
    entry->live->is_kept = entry->live->is_listed = entry->live->has_idle_work = true;
    entry->live->told = entry->live->applied = 1; /* as if that were a change */
    entry->state = MIRROR_ENTRY_LOADING;
    entry->list_sent = ++keeper->clock;
    entry->score = kept->score;
    entry->scored_us = mirror_keeper_now_us(keeper);
    entry->is_asked_for = kept->is_asked_for;
    return STATUS_OK;
}

void mirror_kept_let(struct proxy *proxy, bool is_let)
{
    struct mirror_keeper *keeper = proxy->mirror;

    if (keeper == NULL)
        return;
    keeper->is_kept_let = is_let;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (!is_let && entry->state == MIRROR_ENTRY_LOADING)
            mirror_entry_give_up(entry, MIRROR_REASON_INCARNATION, NULL);
    }
    mirror_keeper_wake(keeper);
}

void mirror_kept_carry(struct proxy *proxy, bool is_in_order)
{
    struct mirror_keeper *keeper = proxy->mirror;

    if (keeper == NULL)
        return;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        entry->is_carried = is_in_order && keeper->is_gateway && keeper->wide_open == 0 &&
                            entry->state == MIRROR_ENTRY_COMPLETE && kept_why_not(entry) == NULL;
    }
}

bool mirror_kept_outlives_reaching(struct mirror_entry *entry)
{
    bool is_carried = entry->is_carried && entry->state == MIRROR_ENTRY_COMPLETE;

    entry->is_carried = false;
    if (!is_carried)
        return entry->state == MIRROR_ENTRY_LOADING && !entry->keeper->was_reached;
    entry->state = MIRROR_ENTRY_LOADING;
    entry->live->is_kept = true;
    return true;
}

/* As if it had been listed; what it is, Chroma is still asked. */
void mirror_kept_begin(struct mirror_keeper *keeper)
{
    if (!keeper->is_kept_let || !keeper->was_reached || keeper->filling != NULL ||
        mirror_choice_obstacle(keeper) != NULL)
        return;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (entry->state != MIRROR_ENTRY_LOADING)
            continue;
        entry->state = MIRROR_ENTRY_FILLING;
        entry->is_described = false;
        entry->is_settled = entry->is_probed = entry->is_listed = true;
        entry->last_known = entry->seen = 0;
        entry->crossings = entry->failures = 0;
        entry->begun_us = entry->asked_us = mirror_keeper_now_us(keeper);
        keeper->filling = entry;
        return;
    }
}
