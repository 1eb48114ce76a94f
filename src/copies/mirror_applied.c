#include "copies/mirror_applied.h"

#include "copies/mirror_choice.h"

static void applied_check(struct mirror_entry *entry, struct mirror_queue *queue);

void mirror_applied_take(struct mirror_queue *queue)
{
    struct mirror_entry *entry = queue->entry;

    if (entry == NULL || queue != entry->live)
        return;
    if (queue->state.dimension != 0)
        entry->dimension = queue->state.dimension;
    if (queue->state.is_listed) {
        entry->is_counted = true;
        entry->records = queue->state.records;
    }
    switch (queue->status) {
    case STATUS_OK:
        applied_check(entry, queue);
        break;
    case STATUS_NOT_IMPLEMENTED:
    case STATUS_INVALID:
        mirror_entry_give_up(entry, MIRROR_REASON_UNREADABLE, queue->reason);
        break;
    case STATUS_LIMIT_REACHED:
        mirror_choice_on_full(entry);
        break;
    default:
        mirror_entry_give_up(
            entry, queue->copy == NULL && queue->is_kept ? MIRROR_REASON_KEPT : MIRROR_REASON_STORE,
            status_text(queue->status));
        break;
    }
}

/* A page that fills nothing although no write passed: what was listed is not there, for others have
 * deleted it. */
static void applied_check(struct mirror_entry *entry, struct mirror_queue *queue)
{
    bool is_in_vain = queue->is_page_quiet && queue->state.hollow >= queue->hollow_before;

    queue->is_page_quiet = false;
    if (entry->is_unseen && queue->state.records > 0)
        mirror_entry_give_up(entry, MIRROR_REASON_CHANGED, "now its space can be told");
    else if (entry->state == MIRROR_ENTRY_COMPLETE && queue->state.hollow > 0)
        mirror_entry_give_up(entry, MIRROR_REASON_UNREADABLE, "a record is not known any more");
    else if (entry->state == MIRROR_ENTRY_FILLING && is_in_vain)
        mirror_entry_give_up(entry, MIRROR_REASON_ANSWER, "records that were listed are gone");
    else
        mirror_choice_check_size(entry);
}
