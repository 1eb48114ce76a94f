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

static size_t merge_pick(struct coalescer *coalescer, struct coalescer_lane *lane, uint64_t now_us);
static size_t merge_pick_redo(struct coalescer *coalescer, struct coalescer_lane *lane);
static size_t merge_pick_waiting(struct coalescer *coalescer, struct coalescer_lane *lane,
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
        if (member->key == head->key && coalescer_limits_may_share(coalescer, head, member) &&
            (member == head || !coalescer_limits_is_alone(coalescer, member, dimension, now_us))) {
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
