#include "copies/mirror_observer.h"

#include <stdlib.h>
#include <string.h>

#include "copies/mirror_choice.h"
#include "copies/mirror_fill.h"
#include "copies/mirror_modify.h"
#include "mirror/record_delete.h"

/* Bodies that wait to be applied: half of what the copies may take, but one of the largest that
 * Chroma takes. */
enum { observer_bytes_min = 48 << 20 };

static void observer_on_sent(struct write_observer *observer, struct write_notice *notice,
                             uint64_t now_us);
static void observer_on_known(struct write_observer *observer, struct write_notice *notice,
                              enum write_outcome outcome, struct bytes answer, uint64_t now_us);
static void observer_on_settled(struct write_observer *observer, struct write_notice *notice,
                                bool is_lost, uint64_t now_us);
static bool observer_is_wide(const struct write_notice *notice);
static bool observer_is_of_one(const struct write_notice *notice);
static bool observer_took_nothing(const struct write_notice *notice, struct bytes answer);
static void observer_give_up_all(struct mirror_keeper *keeper, const struct write_notice *notice,
                                 enum write_outcome outcome);
static bool observer_is_in_scope(const struct mirror_entry *entry,
                                 const struct write_notice *notice);
static bool observer_segments_equal(struct bytes left, struct bytes right);
static void observer_take(struct mirror_entry *entry, const struct write_notice *notice,
                          bool was_open, enum write_outcome outcome, struct bytes answer);
static bool observer_is_of_records(enum chroma_operation operation);
static void observer_tell(struct mirror_entry *entry, const struct write_notice *notice,
                          struct bytes answer);
static enum status observer_copy(struct mirror_change *change, const struct write_notice *notice,
                                 struct bytes answer);

void mirror_observer_init(struct mirror_keeper *keeper)
{
    keeper->observer = (struct write_observer){.on_sent = observer_on_sent,
                                               .on_known = observer_on_known,
                                               .on_settled = observer_on_settled};
    list_node_init(&keeper->observer.node);
}

static void observer_on_sent(struct write_observer *observer, struct write_notice *notice,
                             uint64_t now_us)
{
    struct mirror_keeper *keeper = CONTAINER_OF(observer, struct mirror_keeper, observer);
    struct mirror_entry  *entry = NULL;

    (void)now_us;
    notice->mirror_sent = ++keeper->clock;
    notice->mirror_is_wide = observer_is_wide(notice);
    notice->mirror_is_harmless = mirror_modify_is_harmless(notice);
    list_node_init(&notice->mirror_node);
    keeper->wide_open += notice->mirror_is_wide;
    if (observer_is_of_one(notice) && !notice->mirror_is_harmless)
        entry = mirror_entry_find(keeper, notice->change.uuid);
    if (entry == NULL || (entry->live == NULL && keeper->filling != entry))
        return;
    list_push_back(&entry->open, &notice->mirror_node);
}

/* More than one collection, and not only their names? What creates one changes no other, whatever
 * became of it. */
static bool observer_is_wide(const struct write_notice *notice)
{
    return !observer_is_of_one(notice) && notice->route->info->reach != CHROMA_REACH_NAMES &&
           (notice->change.reach == CHROMA_REACH_EVERYTHING ||
            notice->change.reach == CHROMA_REACH_SCOPE);
}

/* To whoever goes by names a change of a collection by its UUID may reach further. */
static bool observer_is_of_one(const struct write_notice *notice)
{
    return notice->change.has_uuid &&
           (notice->change.reach == CHROMA_REACH_COLLECTION ||
            notice->change.reach == CHROMA_REACH_RECORDS || mirror_modify_is_one(notice));
}

static void observer_on_known(struct write_observer *observer, struct write_notice *notice,
                              enum write_outcome outcome, struct bytes answer, uint64_t now_us)
{
    struct mirror_keeper *keeper = CONTAINER_OF(observer, struct mirror_keeper, observer);
    bool                  is_told = notice->mirror_sent != 0;
    bool                  was_open = is_told && list_node_is_linked(&notice->mirror_node);
    struct mirror_entry  *entry = NULL;

    (void)now_us;
    if (observer_is_of_one(notice))
        entry = mirror_entry_find(keeper, notice->change.uuid);
    if (entry != NULL && was_open && mirror_state_may_delete(notice) &&
        outcome != WRITE_OUTCOME_REFUSED && !observer_took_nothing(notice, answer))
        mirror_fill_cross(keeper->fill, entry);
    if (is_told) {
        list_remove(&notice->mirror_node);
        keeper->wide_open -= notice->mirror_is_wide;
    }
    if (observer_is_wide(notice)) {
        if (outcome != WRITE_OUTCOME_REFUSED)
            observer_give_up_all(keeper, notice, outcome);
    } else if (entry != NULL) {
        if (is_told && notice->mirror_is_harmless)
            mirror_modify_take_name(entry, notice, outcome);
        else
            observer_take(entry, notice, was_open, outcome, answer);
    } else {
        return;
    }
    mirror_choice_begin(keeper); /* now nothing is under way; at the end of the turn the next is */
    mirror_keeper_wake(keeper);
}

/* A delete, as its answer says. */
static bool observer_took_nothing(const struct write_notice *notice, struct bytes answer)
{
    uint64_t count;

    return notice->route->operation == CHROMA_OPERATION_DELETE &&
           record_delete_read_count(answer, &count) && count == 0;
}

/* Another copy may be begun. */
static void observer_on_settled(struct write_observer *observer, struct write_notice *notice,
                                bool is_lost, uint64_t now_us)
{
    (void)notice;
    (void)is_lost;
    (void)now_us;
    mirror_keeper_wake(CONTAINER_OF(observer, struct mirror_keeper, observer));
}

static void observer_give_up_all(struct mirror_keeper *keeper, const struct write_notice *notice,
                                 enum write_outcome outcome)
{
    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (notice->change.reach == CHROMA_REACH_EVERYTHING || observer_is_in_scope(entry, notice))
            mirror_entry_give_up(entry,
                                 outcome == WRITE_OUTCOME_UNKNOWN ? MIRROR_REASON_UNKNOWN_OUTCOME
                                                                  : MIRROR_REASON_CHANGED,
                                 NULL);
    }
}

/* What cannot be told is. */
static bool observer_is_in_scope(const struct mirror_entry *entry,
                                 const struct write_notice *notice)
{
    const struct chroma_route *route = notice->route;

    if (route->is_v1 || route->tenant.size == 0 || route->database.size == 0)
        return true;
    return observer_segments_equal(bytes_of(entry->tenant), route->tenant) &&
           observer_segments_equal(bytes_of(entry->database), route->database);
}

/* Of a path, however they are encoded. */
static bool observer_segments_equal(struct bytes left, struct bytes right)
{
    char   text[2][COLLECTION_ANSWER_TEXT_MAX];
    size_t size[2];

    return !chroma_route_decode(left, text[0], sizeof text[0], &size[0]) ||
           !chroma_route_decode(right, text[1], sizeof text[1], &size[1]) ||
           bytes_equal((struct bytes){text[0], size[0]}, (struct bytes){text[1], size[1]});
}

/* Of one collection. */
static void observer_take(struct mirror_entry *entry, const struct write_notice *notice,
                          bool was_open, enum write_outcome outcome, struct bytes answer)
{
    enum chroma_operation operation = notice->route->operation;

    if (outcome == WRITE_OUTCOME_REFUSED)
        return;
    if (outcome == WRITE_OUTCOME_UNKNOWN) {
        mirror_entry_give_up(entry, MIRROR_REASON_UNKNOWN_OUTCOME, NULL);
    } else if (operation == CHROMA_OPERATION_COLLECTION_DELETE) {
        mirror_entry_free(entry); /* its UUID never comes again */
    } else if (notice->change.reach != CHROMA_REACH_RECORDS) {
        mirror_entry_give_up(entry, MIRROR_REASON_CHANGED, NULL);
    } else if (!observer_is_of_records(operation)) {
        mirror_entry_give_up(entry, MIRROR_REASON_UNREADABLE, "a write of another kind");
    } else {
        mirror_entry_doubt_former(entry);
        if (was_open)
            observer_tell(entry, notice, answer);
    }
}

static bool observer_is_of_records(enum chroma_operation operation)
{
    return operation == CHROMA_OPERATION_ADD || operation == CHROMA_OPERATION_UPSERT ||
           operation == CHROMA_OPERATION_UPDATE || operation == CHROMA_OPERATION_DELETE;
}

/* What was known before the list is asked for is in it. */
static void observer_tell(struct mirror_entry *entry, const struct write_notice *notice,
                          struct bytes answer)
{
    struct mirror_keeper *keeper = entry->keeper;
    size_t                max = (size_t)keeper->options.memory_max / 2;
    struct mirror_change *change;

    entry->written = keeper->clock;
    if (entry->list_sent == 0)
        return;
    if (max < observer_bytes_min)
        max = observer_bytes_min;
    change = mirror_queue_new_change(
        MIRROR_CHANGE_WRITE,
        (struct mirror_moments){.sent = notice->mirror_sent, .known = ++keeper->clock});
    if (change == NULL || observer_copy(change, notice, answer) != STATUS_OK) {
        mirror_queue_free_change(change);
        mirror_entry_give_up(entry, MIRROR_REASON_STORE, status_text(STATUS_NO_MEMORY));
        return;
    }
    entry->writes++;
    keeper->stats.writes++;
    mirror_queue_tell(entry->live, change);
    if (keeper->waiting_bytes > max)
        mirror_entry_give_up(entry, MIRROR_REASON_BEHIND, NULL);
}

/* Only the answer to a delete says more than that it is one. A body that nobody needs any more is
 * not copied: it may be long. */
static enum status observer_copy(struct mirror_change *change, const struct write_notice *notice,
                                 struct bytes answer)
{
    enum status status = STATUS_OK;
    size_t      size = 0;

    change->operation = notice->route->operation;
    if (notice->spare_body != NULL) {
        change->body = *notice->spare_body;
        *notice->spare_body = (struct byte_buffer){0};
    }
    if (notice->found != NULL) {
        change->found = *notice->found;
        *notice->found = (struct byte_buffer){0};
    }
    for (size_t i = 0; i < notice->body_parts && notice->spare_body == NULL; i++)
        size += notice->body[i].size;
    if (size > 0)
        status = byte_buffer_reserve(&change->body, size, SIZE_MAX);
    for (size_t i = 0; i < notice->body_parts && size > 0 && status == STATUS_OK; i++) {
        if (notice->body[i].size > 0)
            status = byte_buffer_append(&change->body, notice->body[i], SIZE_MAX);
    }
    if (status == STATUS_OK && change->operation == CHROMA_OPERATION_DELETE && answer.size > 0)
        status = byte_buffer_append(&change->answer, answer, SIZE_MAX);
    return status;
}
