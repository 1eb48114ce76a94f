#include "writes/coalescer_merge.h"

#include <stdlib.h>

#include "writes/coalescer_barrier.h"
#include "writes/coalescer_lane.h"
#include "writes/coalescer_limits.h"
#include "writes/coalescer_member.h"
#include "writes/coalescer_order.h"

/* How far behind its head a lane is searched for members that may join: members, and records. */
static const size_t   look_members_max = 4096;
static const uint64_t look_records_max = 32768;
/* Flows beyond share their parts. */
enum { share_buckets = 128 };

/* The call that is being shared out. */
struct merge_part {
    uint64_t of[share_buckets], records; /* of each flow, and of all */
    uint32_t records_max;
    size_t   bytes, bytes_max;
};

static size_t merge_pick(struct coalescer *coalescer, struct coalescer_lane *lane, uint64_t now_us);
static size_t merge_pick_redo(struct coalescer *coalescer, struct coalescer_lane *lane);
static size_t merge_pick_waiting(struct coalescer *coalescer, struct coalescer_lane *lane,
                                 uint64_t now_us);
static size_t merge_pick_mixed(struct coalescer *coalescer, const struct coalescer_lane *lane,
                               uint64_t now_us);
static struct coalescer_member *merge_find_lead(struct coalescer            *coalescer,
                                                const struct coalescer_lane *lane,
                                                uint32_t dimension, uint64_t now_us);
static bool merge_may_pass(const struct coalescer_member *member, uint64_t barrier, size_t *looked,
                           uint64_t *records);
static size_t merge_share(struct coalescer *coalescer, struct coalescer_member *lead, size_t count,
                          uint32_t records_max, size_t bytes_max);
static bool   merge_has_room(const struct merge_part *part, const struct coalescer_member *member);
static void   merge_take_part(struct merge_part *part, struct coalescer_member *member);
static bool   merge_may_join(const struct coalescer *coalescer, const struct coalescer_member *head,
                             const struct coalescer_member *member, uint32_t dimension,
                             uint64_t now_us);
static bool merge_push(struct coalescer *coalescer, size_t count, struct coalescer_member *member);
static void merge_send(struct coalescer *coalescer, struct coalescer_batch *batch, uint64_t now_us);
static void merge_count(struct coalescer_stats *stats, const struct coalescer_batch *batch);
static size_t merge_bucket(uint64_t value);

struct coalescer_batch *coalescer_merge_next(struct coalescer      *coalescer,
                                             struct coalescer_lane *lane, uint64_t now_us)
{
    size_t                  count = merge_pick(coalescer, lane, now_us);
    struct coalescer_batch *batch;

    if (count == 0)
        return NULL;
    batch = calloc(1, sizeof *batch + count * sizeof batch->members[0]);
    if (batch == NULL)
        return NULL;
    list_node_init(&batch->queue);
    batch->lane = lane;
    batch->count = count;
    memcpy(batch->members, coalescer->picked, count * sizeof batch->members[0]);
    merge_send(coalescer, batch, now_us);
    return batch;
}

/* Collect the members of the next batch in `picked`; they stay where they are. 0: no memory. */
static size_t merge_pick(struct coalescer *coalescer, struct coalescer_lane *lane, uint64_t now_us)
{
    return list_is_empty(&lane->redo) ? merge_pick_waiting(coalescer, lane, now_us)
                                      : merge_pick_redo(coalescer, lane);
}

/* Those that were sent together before, or a part of them, are sent together again. */
static size_t merge_pick_redo(struct coalescer *coalescer, struct coalescer_lane *lane)
{
    size_t count = 0;

    LIST_FOR_EACH(node, &lane->redo)
    {
        struct coalescer_member *member = LIST_ITEM(node, struct coalescer_member, queue);

        /* The backend may be another one by now. */
        if (count > 0 && !coalescer_limits_may_share(coalescer, coalescer->picked[0], member))
            break;
        if (!merge_push(coalescer, count, member))
            return 0;
        count++;
        if (member->ends_segment)
            break;
    }
    return count;
}

/* The head, and later members of its key whose ids are none of those before them: neither in the
 * batch, since a batch that must be split has to be a set of independent writes, nor in what they
 * pass, since writes of one id keep their order. */
static size_t merge_pick_waiting(struct coalescer *coalescer, struct coalescer_lane *lane,
                                 uint64_t now_us)
{
    struct coalescer_member *head =
        LIST_ITEM(list_first(&lane->waiting), struct coalescer_member, queue);
    uint64_t records = 0, looked_records = 0, barrier = coalescer_barrier_number(coalescer);
    uint32_t records_max = coalescer_limits_records(coalescer, lane->waiting_records, now_us);
    size_t   bytes = 0, bytes_max = coalescer_limits_bytes(coalescer, now_us);
    size_t   count = 0, looked = 0;
    uint32_t dimension = coalescer_limits_dimension(coalescer, lane);

    if (lane->is_mixed)
        return merge_pick_mixed(coalescer, lane, now_us);
    if (!merge_push(coalescer, 0, head))
        return 0;
    if (coalescer_limits_is_alone(coalescer, head, dimension, now_us))
        return 1;
    id_set_clear(&coalescer->seen);
    LIST_FOR_EACH(node, &lane->waiting)
    {
        struct coalescer_member *member = LIST_ITEM(node, struct coalescer_member, queue);

        if (member->key == NULL || member->number >= barrier)
            break;
        looked_records += member->record_count;
        if (++looked > look_members_max || (looked > 1 && looked_records > look_records_max))
            break;
        if (merge_may_join(coalescer, head, member, dimension, now_us)) {
            records += member->record_count;
            bytes += member->size;
            if (records_max > member->records_max)
                records_max = member->records_max; /* it ends here, with it or without it */
            if (count > 0 &&
                (records > records_max || bytes > bytes_max ||
                 !id_set_is_disjoint(&coalescer->seen, member->id_hashes, member->record_count)))
                break;
            if (!merge_push(coalescer, count, member))
                break;
            count++;
            if (records >= records_max)
                break;
        }
        if (id_set_add(&coalescer->seen, member->id_hashes, member->record_count) != STATUS_OK)
            break;
    }
    return count;
}

/* The same for the writes of several flows, for the sake of one of them: all that may join its
 * first are found, and then each flow gets its part of the call, so that what one of them has piled
 * up stops none of the others. */
static size_t merge_pick_mixed(struct coalescer *coalescer, const struct coalescer_lane *lane,
                               uint64_t now_us)
{
    uint32_t                 dimension = coalescer_limits_dimension(coalescer, lane);
    struct coalescer_member *lead = merge_find_lead(coalescer, lane, dimension, now_us);
    uint64_t                 records = 0, barrier = coalescer_barrier_number(coalescer);
    size_t                   count = 0, looked = 0;

    if (coalescer_limits_is_alone(coalescer, lead, dimension, now_us))
        return merge_push(coalescer, 0, lead) ? 1 : 0;
    id_set_clear(&coalescer->seen);
    LIST_FOR_EACH(node, &lane->waiting)
    {
        struct coalescer_member *member = LIST_ITEM(node, struct coalescer_member, queue);

        if (!merge_may_pass(member, barrier, &looked, &records))
            break;
        if (merge_may_join(coalescer, lead, member, dimension, now_us) &&
            id_set_is_disjoint(&coalescer->seen, member->id_hashes, member->record_count)) {
            if (!merge_push(coalescer, count, member))
                break;
            count++;
        }
        if (id_set_add(&coalescer->seen, member->id_hashes, member->record_count) != STATUS_OK)
            break;
    }
    return merge_share(coalescer, lead, count,
                       coalescer_limits_records(coalescer, lane->waiting_records, now_us),
                       coalescer_limits_bytes(coalescer, now_us));
}

/* The first write of the flow whose turn it is, if it may go before those in front of it; else the
 * first of all, which is what it waits for. */
static struct coalescer_member *merge_find_lead(struct coalescer            *coalescer,
                                                const struct coalescer_lane *lane,
                                                uint32_t dimension, uint64_t now_us)
{
    struct coalescer_member *head = coalescer_member_head(lane);
    uint64_t                 records = 0, barrier = coalescer_barrier_number(coalescer);
    size_t                   looked = 0;

    if (coalescer->flow == COALESCER_ANY_FLOW || head->flow == coalescer->flow)
        return head;
    id_set_clear(&coalescer->seen);
    LIST_FOR_EACH(node, &lane->waiting)
    {
        struct coalescer_member *member = LIST_ITEM(node, struct coalescer_member, queue);

        if (!merge_may_pass(member, barrier, &looked, &records))
            break;
        if (member->flow == coalescer->flow &&
            !coalescer_limits_is_alone(coalescer, member, dimension, now_us) &&
            id_set_is_disjoint(&coalescer->seen, member->id_hashes, member->record_count))
            return member;
        if (id_set_add(&coalescer->seen, member->id_hashes, member->record_count) != STATUS_OK)
            break;
    }
    return head;
}

/* What is behind it may be looked at. */
static bool merge_may_pass(const struct coalescer_member *member, uint64_t barrier, size_t *looked,
                           uint64_t *records)
{
    *records += member->record_count;
    return member->key != NULL && member->number < barrier && ++*looked <= look_members_max &&
           (*looked == 1 || *records <= look_records_max);
}

/* Leave in `picked` the lead and what fits beside it: of each flow the first ones, up to a number
 * of records that is doubled until the call is full. */
static size_t merge_share(struct coalescer *coalescer, struct coalescer_member *lead, size_t count,
                          uint32_t records_max, size_t bytes_max)
{
    struct merge_part part = {.records_max = records_max, .bytes_max = bytes_max};
    size_t            kept = 0;

    for (size_t i = 0; i < count; i++)
        coalescer->picked[i]->is_picked = false;
    merge_take_part(&part, lead);
    for (uint64_t each = 1; each <= records_max; each *= 2) {
        bool is_over[share_buckets] = {false}; /* in this round: each flow in its order */

        for (size_t i = 0; i < count; i++) {
            struct coalescer_member *member = coalescer->picked[i];
            size_t                   bucket = member->flow % share_buckets;

            if (member->is_picked || is_over[bucket])
                continue;
            is_over[bucket] =
                part.of[bucket] + member->record_count > each || !merge_has_room(&part, member);
            if (!is_over[bucket])
                merge_take_part(&part, member);
        }
    }
    for (size_t i = 0; i < count; i++)
        if (coalescer->picked[i]->is_picked)
            coalescer->picked[kept++] = coalescer->picked[i];
    return kept;
}

static bool merge_has_room(const struct merge_part *part, const struct coalescer_member *member)
{
    uint64_t records = part->records + member->record_count;

    return records <= part->records_max && records <= member->records_max &&
           part->bytes + member->size <= part->bytes_max;
}

static void merge_take_part(struct merge_part *part, struct coalescer_member *member)
{
    member->is_picked = true;
    part->of[member->flow % share_buckets] += member->record_count;
    part->records += member->record_count;
    part->bytes += member->size;
    if (part->records_max > member->records_max)
        part->records_max = member->records_max;
}

/* But for its ids and its size. */
static bool merge_may_join(const struct coalescer *coalescer, const struct coalescer_member *head,
                           const struct coalescer_member *member, uint32_t dimension,
                           uint64_t now_us)
{
    return member->key == head->key && coalescer_limits_may_share(coalescer, head, member) &&
           (member == head || !coalescer_limits_is_alone(coalescer, member, dimension, now_us));
}

static bool merge_push(struct coalescer *coalescer, size_t count, struct coalescer_member *member)
{
    if (count == coalescer->picked_capacity) {
        size_t capacity = count == 0 ? 64 : count * 2;
        void  *picked = realloc(coalescer->picked, capacity * sizeof(struct coalescer_member *));

        if (picked == NULL)
            return false;
        coalescer->picked = picked;
        coalescer->picked_capacity = capacity;
    }
    coalescer->picked[count] = member;
    return true;
}

/* Move the picked members from their lane into the batch. */
static void merge_send(struct coalescer *coalescer, struct coalescer_batch *batch, uint64_t now_us)
{
    bool is_redo = !list_is_empty(&batch->lane->redo);

    coalescer_order_check(coalescer, batch);
    for (size_t i = 0; i < batch->count; i++) {
        struct coalescer_member *member = batch->members[i];

        if (is_redo)
            list_remove(&member->queue);
        else
            coalescer_member_unqueue(coalescer, member);
        batch->records += member->record_count;
        batch->size += member->size;
        if (member->attempts > batch->attempt)
            batch->attempt = member->attempts;
        member->attempts++;
        member->batch = batch;
    }
    if (batch->count == 1) {
        /* What is done stays done, whatever Chroma's limit has become meanwhile. */
        batch->part_first = batch->members[0]->records_done;
        batch->records -= batch->part_first;
        if (coalescer_limits_is_parted(coalescer, batch->members[0]) &&
            batch->records > coalescer->options.backend.records_max)
            batch->records = coalescer->options.backend.records_max;
    }
    batch->id = ++coalescer->batches_numbered;
    batch->sent_us = now_us;
    batch->lane->in_flight = batch;
    list_push_back(&coalescer->in_flight, &batch->queue);
    coalescer->slots_used++;
    coalescer_lane_place(coalescer, batch->lane);
    merge_count(&coalescer->stats, batch);
}

static void merge_count(struct coalescer_stats *stats, const struct coalescer_batch *batch)
{
    enum coalescer_op op = batch->members[0]->op;

    stats->batch_requests[op][merge_bucket(batch->count)]++;
    stats->batch_records[op][merge_bucket(batch->records)]++;
    stats->batch_requests_sum[op] += batch->count;
    stats->batch_records_sum[op] += batch->records;
}

static size_t merge_bucket(uint64_t value)
{
    size_t bucket = 0;

    while (bucket < COALESCER_BUCKETS - 1 && value > UINT64_C(1) << bucket)
        bucket++;
    return bucket;
}
