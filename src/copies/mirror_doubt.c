#include "copies/mirror_doubt.h"

#include "copies/mirror_entry.h"

static void doubt_copy(struct mirror_entry *entry, struct mirror_queue *queue,
                       enum mirror_reason reason, const char *detail);

void mirror_doubt_held(const struct mirror_hold *hold, enum mirror_reason reason,
                       const char *detail)
{
    if (hold->queue->entry != NULL) /* else it was left meanwhile */
        doubt_copy(hold->queue->entry, hold->queue, reason, detail);
}

void mirror_doubt_collection(struct mirror_keeper *keeper, const uint8_t uuid[16],
                             enum mirror_reason reason, const char *detail)
{
    struct mirror_entry *entry = mirror_entry_find(keeper, uuid);

    if (entry != NULL && entry->state == MIRROR_ENTRY_COMPLETE)
        doubt_copy(entry, entry->live, reason, detail);
}

void mirror_doubt_on_read(const struct mirror_hold *hold, enum status status)
{
    if (status == STATUS_CORRUPT || status == STATUS_IO_FAILED)
        mirror_doubt_held(hold, MIRROR_REASON_STORE, status_text(status));
}

/* Giving up may keep it as one that lacks something, which is not what is wrong with it. */
static void doubt_copy(struct mirror_entry *entry, struct mirror_queue *queue,
                       enum mirror_reason reason, const char *detail)
{
    if (queue == entry->live)
        mirror_entry_give_up(entry, reason, detail);
    if (queue != entry->former)
        return;
    mirror_queue_leave(entry->former);
    entry->former = NULL;
}
