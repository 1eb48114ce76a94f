#include <assert.h>
#include <stdlib.h>

#include "writes/coalescer_internal.h"

/* Without a setting a batch has no more records than this: larger ones gain little and hold up
 * everybody behind them. */
static const uint32_t records_auto_max = 1000;
/* How far behind its head a lane is searched for members that may join: members, and records. */
static const size_t   look_members_max = 4096;
static const uint64_t look_records_max = 32768;

static size_t batch_pick(struct coalescer *coalescer, struct coalescer_lane *lane, uint64_t now_us);
static size_t batch_pick_redo(struct coalescer *coalescer, struct coalescer_lane *lane);
static size_t batch_pick_waiting(struct coalescer *coalescer, struct coalescer_lane *lane,
                                 uint64_t now_us);
static bool batch_push(struct coalescer *coalescer, size_t count, struct coalescer_member *member);
static bool batch_is_split(const struct coalescer        *coalescer,
                           const struct coalescer_member *member);
static void batch_send(struct coalescer *coalescer, struct coalescer_batch *batch, uint64_t now_us);
static void batch_count(struct coalescer_stats *stats, const struct coalescer_batch *batch);
static size_t batch_bucket(uint64_t value);

struct coalescer_batch *coalescer_batch_form(struct coalescer      *coalescer,
                                             struct coalescer_lane *lane, uint64_t now_us)
{
    size_t                  count = batch_pick(coalescer, lane, now_us);
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
    batch_send(coalescer, batch, now_us);
    return batch;
}

uint32_t coalescer_batch_records_max(const struct coalescer *coalescer, uint64_t waiting,
                                     uint64_t now_us)
{
    uint32_t most = coalescer->options.backend_records_max;
    uint32_t fixed = coalescer->options.batch_records_max;

    if (most == 0 || most > records_auto_max)
        most = records_auto_max;
    if (fixed == 0)
        fixed = batch_cost_records(&coalescer->cost, waiting, most);
    if (now_us < coalescer->learned_until_us && fixed > coalescer->batch_records_learned)
        fixed = coalescer->batch_records_learned;
    return fixed;
}

size_t coalescer_batch_bytes_max(const struct coalescer *coalescer, uint64_t now_us)
{
    size_t most = coalescer->options.batch_bytes_max;

    return now_us < coalescer->learned_until_us && coalescer->batch_bytes_learned < most
               ? coalescer->batch_bytes_learned
               : most;
}

bool coalescer_batch_is_alone(const struct coalescer        *coalescer,
                              const struct coalescer_member *member, uint64_t now_us)
{
    /* A vector of another dimension than the collection's will be refused. */
    return (member->dimension != 0 && member->dimension != member->lane->dimension) ||
           batch_is_split(coalescer, member) ||
           coalescer_offender_is(coalescer, member->offender, now_us);
}

size_t coalescer_batch_count(const struct coalescer_batch *batch)
{
    return batch->count;
}

void *coalescer_batch_member(const struct coalescer_batch *batch, size_t index)
{
    assert(index < batch->count);
    return batch->members[index]->ctx;
}

bool coalescer_batch_is_part(const struct coalescer_batch *batch, uint32_t *ret_first,
                             uint32_t *ret_count)
{
    *ret_first = batch->part_first;
    *ret_count = batch->records;
    return batch->count == 1 && batch->records < batch->members[0]->record_count;
}

uint64_t coalescer_batch_id(const struct coalescer_batch *batch)
{
    return batch->id;
}

uint32_t coalescer_batch_attempt(const struct coalescer_batch *batch)
{
    return batch->attempt;
}

void coalescer_batch_set_ctx(struct coalescer_batch *batch, void *ctx)
{
    batch->ctx = ctx;
}

void *coalescer_batch_ctx(const struct coalescer_batch *batch)
{
    return batch->ctx;
}

/* Collect the members of the next batch in `picked`; they stay where they are. 0: no memory. */
static size_t batch_pick(struct coalescer *coalescer, struct coalescer_lane *lane, uint64_t now_us)
{
    return list_is_empty(&lane->redo) ? batch_pick_waiting(coalescer, lane, now_us)
                                      : batch_pick_redo(coalescer, lane);
}

static size_t batch_pick_redo(struct coalescer *coalescer, struct coalescer_lane *lane)
{
    size_t count = 0;

    LIST_FOR_EACH(node, &lane->redo)
    {
        struct coalescer_member *member = LIST_ITEM(node, struct coalescer_member, queue);

        if (!batch_push(coalescer, count, member))
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
static size_t batch_pick_waiting(struct coalescer *coalescer, struct coalescer_lane *lane,
                                 uint64_t now_us)
{
    struct coalescer_member *head =
        LIST_ITEM(list_first(&lane->waiting), struct coalescer_member, queue);
    uint64_t records = 0, looked_records = 0, barrier = coalescer_lane_barrier(coalescer);
    uint32_t records_max = coalescer_batch_records_max(coalescer, lane->waiting_records, now_us);
    size_t   bytes = 0, bytes_max = coalescer_batch_bytes_max(coalescer, now_us);
    size_t   count = 0, looked = 0;

    if (!batch_push(coalescer, 0, head))
        return 0;
    if (head->key == NULL || lane->dimension == 0 ||
        coalescer_batch_is_alone(coalescer, head, now_us))
        return 1;
    id_set_clear(&coalescer->seen);
    LIST_FOR_EACH(node, &lane->waiting)
    {
        struct coalescer_member *member = LIST_ITEM(node, struct coalescer_member, queue);

        if (member->key == NULL || member->number > barrier)
            break;
        looked_records += member->record_count;
        if (++looked > look_members_max || (looked > 1 && looked_records > look_records_max))
            break;
        if (member->key == head->key &&
            (member == head || !coalescer_batch_is_alone(coalescer, member, now_us))) {
            records += member->record_count;
            bytes += member->size;
            if (count > 0 &&
                (records > records_max || bytes > bytes_max ||
                 !id_set_is_disjoint(&coalescer->seen, member->id_hashes, member->record_count)))
                break;
            if (!batch_push(coalescer, count, member))
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

static bool batch_push(struct coalescer *coalescer, size_t count, struct coalescer_member *member)
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

static bool batch_is_split(const struct coalescer *coalescer, const struct coalescer_member *member)
{
    return coalescer->options.split_oversize && member->key != NULL &&
           coalescer->options.backend_records_max > 0 &&
           member->record_count > coalescer->options.backend_records_max;
}

/* Move the picked members from their lane into the batch. */
static void batch_send(struct coalescer *coalescer, struct coalescer_batch *batch, uint64_t now_us)
{
    bool is_redo = !list_is_empty(&batch->lane->redo);

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
        if (batch_is_split(coalescer, batch->members[0]) &&
            batch->records > coalescer->options.backend_records_max)
            batch->records = coalescer->options.backend_records_max;
    }
    batch->id = ++coalescer->batches_numbered;
    batch->sent_us = now_us;
    batch->lane->in_flight = batch;
    list_push_back(&coalescer->in_flight, &batch->queue);
    coalescer->slots_used++;
    coalescer_lane_place(coalescer, batch->lane);
    batch_count(&coalescer->stats, batch);
}

static void batch_count(struct coalescer_stats *stats, const struct coalescer_batch *batch)
{
    enum coalescer_op op = batch->members[0]->op;

    stats->batch_requests[op][batch_bucket(batch->count)]++;
    stats->batch_records[op][batch_bucket(batch->records)]++;
    stats->batch_requests_sum[op] += batch->count;
    stats->batch_records_sum[op] += batch->records;
}

static size_t batch_bucket(uint64_t value)
{
    size_t bucket = 0;

    while (bucket < COALESCER_BUCKETS - 1 && value > UINT64_C(1) << bucket)
        bucket++;
    return bucket;
}
