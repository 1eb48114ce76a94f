#include "writes/coalescer.h"

#include <assert.h>
#include <stdlib.h>

#include "writes/coalescer_barrier.h"
#include "writes/coalescer_deadline.h"
#include "writes/coalescer_lane.h"
#include "writes/coalescer_member.h"
#include "writes/coalescer_merge.h"
#include "writes/coalescer_offender.h"
#include "writes/coalescer_outcome.h"

static const uint64_t memory_retry_us = 10000;

static bool     coalescer_init(struct coalescer *coalescer);
static void     coalescer_free_members(struct list *list);
static void     coalescer_free_batches(struct list *list);
static bool     coalescer_next_held(struct coalescer *coalescer, uint64_t now_us,
                                    struct coalescer_action *action);
static uint64_t coalescer_held_us(const struct coalescer *coalescer, const struct list_node *node);
static bool     coalescer_next_answer(struct coalescer *coalescer, struct coalescer_action *action);
static bool coalescer_next_release(struct coalescer *coalescer, struct coalescer_action *action);
static bool coalescer_next_end(struct coalescer *coalescer, struct coalescer_action *action);
static bool coalescer_next_send(struct coalescer *coalescer, uint64_t now_us,
                                struct coalescer_action *action);
static void coalescer_stats_batches(struct coalescer_stats *stats, const struct list *batches);

struct coalescer *coalescer_new(const struct coalescer_options *options)
{
    struct coalescer *coalescer = calloc(1, sizeof *coalescer);

    assert(options->backend.in_flight_max > 0 && options->lanes_max > 0 &&
           options->members_max > 0);
    if (coalescer == NULL)
        return NULL;
    coalescer->options = *options;
    if (!coalescer_init(coalescer)) {
        coalescer_free(coalescer);
        return NULL;
    }
    return coalescer;
}

void coalescer_free(struct coalescer *coalescer)
{
    size_t position = 0;

    if (coalescer == NULL)
        return;
    /* Every member is in `unanswered`, in `answers` or `releases`, or in a batch in flight. */
    coalescer_free_batches(&coalescer->in_flight);
    coalescer_free_batches(&coalescer->lent);
    coalescer_free_batches(&coalescer->undecided);
    LIST_FOR_EACH(node, &coalescer->ended)
    {
        free(LIST_ITEM(node, struct coalescer_batch, queue)); /* its members are past it */
    }
    free(coalescer->last_ended);
    coalescer_free_members(&coalescer->answers);
    coalescer_free_members(&coalescer->releases);
    LIST_FOR_EACH(node, &coalescer->unanswered)
    {
        free(LIST_ITEM(node, struct coalescer_member, all));
    }
    for (void *key; (key = hash_map_next(coalescer->keys, &position)) != NULL;)
        free(key);
    position = 0;
    for (void *lane; (lane = hash_map_next(coalescer->lanes, &position)) != NULL;)
        free(lane);
    hash_map_free(coalescer->keys);
    hash_map_free(coalescer->lanes);
    coalescer_offender_free_all(coalescer);
    binary_heap_done(&coalescer->ready);
    binary_heap_done(&coalescer->asleep);
    binary_heap_done(&coalescer->deadlines);
    id_set_done(&coalescer->seen);
    free(coalescer->picked);
    free(coalescer);
}

void coalescer_set_backend(struct coalescer *coalescer, const struct coalescer_backend *backend)
{
    assert(backend->in_flight_max > 0);
    coalescer->options.backend = *backend;
}

void coalescer_backend_ended(struct coalescer *coalescer, uint64_t now_us)
{
    assert(coalescer->options.is_supervised);
    coalescer_outcome_backend_ended(coalescer, now_us);
}

enum status coalescer_add(struct coalescer *coalescer, const struct coalescer_write *write,
                          uint64_t now_us)
{
    struct coalescer_lane   *lane = &coalescer->all_lanes;
    struct coalescer_member *member;
    enum status              status = STATUS_OVERLOADED;

    assert(write->ctx != NULL && write->op < COALESCER_OP_COUNT);
    if (coalescer->stats.unfinished < coalescer->options.members_max)
        status = write->kind == COALESCER_BARRIER_ALL
                     ? STATUS_OK
                     : coalescer_lane_get(coalescer, write->lane, now_us, &lane);
    if (status == STATUS_OK)
        status = coalescer_member_make(coalescer, write, lane, &member);
    if (status != STATUS_OK) {
        coalescer->stats.no_room++;
        return status;
    }
    coalescer_member_queue(coalescer, member, write);
    coalescer_lane_arrived(lane, now_us);
    coalescer_lane_place(coalescer, lane);
    return STATUS_OK;
}

void coalescer_report(struct coalescer *coalescer, struct coalescer_batch *batch,
                      const struct coalescer_outcome *outcome, uint64_t now_us)
{
    coalescer_outcome_apply(coalescer, batch, outcome, now_us);
}

void coalescer_next(struct coalescer *coalescer, uint64_t now_us,
                    struct coalescer_action *ret_action)
{
    *ret_action = (struct coalescer_action){.kind = COALESCER_NONE};
    free(coalescer->last_ended);
    coalescer->last_ended = NULL;
    coalescer_deadline_expire(coalescer, now_us);
    coalescer_outcome_decide(coalescer, now_us);
    /* Answers name their batch, so its end comes after them. */
    (void)(coalescer_next_held(coalescer, now_us, ret_action) ||
           coalescer_next_answer(coalescer, ret_action) ||
           coalescer_next_release(coalescer, ret_action) ||
           coalescer_next_end(coalescer, ret_action) ||
           coalescer_next_send(coalescer, now_us, ret_action));
}

uint64_t coalescer_wake_us(const struct coalescer *coalescer)
{
    const struct list_node *sent = list_first(&coalescer->in_flight);
    const struct list_node *lost = list_first(&coalescer->undecided);
    uint64_t                times[] = {
                       binary_heap_first_key(&coalescer->deadlines),
                       binary_heap_first_key(&coalescer->asleep),
                       coalescer->gather_until_us,
                       coalescer->memory_retry_us,
                       coalescer_barrier_wake_us(coalescer),
        sent == NULL ? 0 : coalescer_held_us(coalescer, sent),
        lost == NULL ? 0 : LIST_ITEM(lost, struct coalescer_batch, queue)->decide_us,
    };
    uint64_t wake_us = UINT64_MAX;

    if (!list_is_empty(&coalescer->answers) || !list_is_empty(&coalescer->releases) ||
        !list_is_empty(&coalescer->ended))
        return 0;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        if (times[i] > 0 && times[i] < wake_us)
            wake_us = times[i];
    }
    return wake_us;
}

const struct coalescer_stats *coalescer_stats(struct coalescer *coalescer)
{
    struct coalescer_stats *stats = &coalescer->stats;

    stats->in_flight = stats->hung = stats->oldest_sent_us = 0;
    stats->held_lanes = coalescer->lanes_held;
    coalescer_stats_batches(stats, &coalescer->lent);
    coalescer_stats_batches(stats, &coalescer->in_flight);
    stats->lanes = hash_map_count(coalescer->lanes);
    return stats;
}

static bool coalescer_init(struct coalescer *coalescer)
{
    const struct coalescer_options *options = &coalescer->options;

    batch_cost_init(&coalescer->cost);
    list_init(&coalescer->offenders_by_age);
    list_init(&coalescer->idle);
    list_init(&coalescer->unanswered);
    list_init(&coalescer->in_flight);
    list_init(&coalescer->lent);
    list_init(&coalescer->undecided);
    list_init(&coalescer->answers);
    list_init(&coalescer->releases);
    list_init(&coalescer->ended);
    coalescer_lane_init(&coalescer->all_lanes);
    coalescer->all_lanes.place = COALESCER_PLACE_GLOBAL;
    coalescer->flow = COALESCER_ANY_FLOW;
    coalescer->gather_until_us = UINT64_MAX;
    coalescer->barrier_until_us = UINT64_MAX;
    coalescer->lanes = hash_map_new(options->secret, options->lanes_max);
    coalescer->keys = hash_map_new(options->secret, options->members_max);
    coalescer->offenders = hash_map_new(options->secret, SIZE_MAX);
    return coalescer->lanes != NULL && coalescer->keys != NULL && coalescer->offenders != NULL;
}

/* Free the batches and those of their members that are nowhere else. */
static void coalescer_free_batches(struct list *list)
{
    LIST_FOR_EACH(node, list)
    {
        struct coalescer_batch *batch = LIST_ITEM(node, struct coalescer_batch, queue);

        for (size_t i = 0; i < batch->count; i++) {
            struct coalescer_member *member = batch->members[i];

            if (member->is_answered && !list_node_is_linked(&member->queue))
                free(member);
        }
        free(batch);
    }
}

static void coalescer_free_members(struct list *list)
{
    LIST_FOR_EACH(node, list)
    {
        free(LIST_ITEM(node, struct coalescer_member, queue));
    }
}

/* A batch without answer for so long that its slot is lent to others. */
static bool coalescer_next_held(struct coalescer *coalescer, uint64_t now_us,
                                struct coalescer_action *action)
{
    struct list_node       *node = list_first(&coalescer->in_flight);
    struct coalescer_batch *batch;

    if (node == NULL)
        return false;
    batch = LIST_ITEM(node, struct coalescer_batch, queue);
    if (now_us < coalescer_held_us(coalescer, node))
        return false;
    batch->is_lent = batch->is_hung = true;
    list_remove(node);
    list_push_back(&coalescer->lent, node);
    coalescer->slots_used--;
    *action = (struct coalescer_action){.kind = COALESCER_HELD, .batch = batch};
    return true;
}

/* When the slot of a batch in flight is lent to others. */
static uint64_t coalescer_held_us(const struct coalescer *coalescer, const struct list_node *node)
{
    const struct coalescer_batch *batch = LIST_ITEM(node, struct coalescer_batch, queue);

    return batch->sent_us + coalescer->options.patience_us;
}

static bool coalescer_next_answer(struct coalescer *coalescer, struct coalescer_action *action)
{
    struct list_node        *node = list_first(&coalescer->answers);
    struct coalescer_member *member;

    if (node == NULL)
        return false;
    member = LIST_ITEM(node, struct coalescer_member, queue);
    *action = (struct coalescer_action){
        .kind = member->status == STATUS_OK ? COALESCER_ANSWER : COALESCER_REFUSE,
        .member = member->ctx,
        .batch = member->answer,
        .status = member->status,
        .executed = member->executed,
    };
    list_remove(node);
    if (member->batch == NULL)
        list_push_back(&coalescer->releases, node);
    return true;
}

static bool coalescer_next_release(struct coalescer *coalescer, struct coalescer_action *action)
{
    struct list_node        *node = list_first(&coalescer->releases);
    struct coalescer_member *member;

    if (node == NULL)
        return false;
    member = LIST_ITEM(node, struct coalescer_member, queue);
    *action = (struct coalescer_action){.kind = COALESCER_RELEASE, .member = member->ctx};
    list_remove(node);
    coalescer_member_free(coalescer, member);
    return true;
}

static bool coalescer_next_end(struct coalescer *coalescer, struct coalescer_action *action)
{
    struct list_node *node = list_first(&coalescer->ended);

    if (node == NULL)
        return false;
    list_remove(node);
    coalescer->last_ended = LIST_ITEM(node, struct coalescer_batch, queue);
    *action = (struct coalescer_action){.kind = COALESCER_END, .batch = coalescer->last_ended};
    return true;
}

void coalescer_set_role(struct coalescer *coalescer, enum coalescer_role role)
{
    coalescer->options.role = role;
}

void coalescer_set_may_send(struct coalescer *coalescer, bool may_send)
{
    coalescer->may_not_send = !may_send;
}

void coalescer_set_flow(struct coalescer *coalescer, uint32_t flow)
{
    coalescer->flow = flow;
}

bool coalescer_mark_flows(struct coalescer *coalescer, uint64_t now_us, bool ret_flows[])
{
    if (coalescer->slots_used >= coalescer->options.backend.in_flight_max)
        return false;
    coalescer_lane_mark_flows(coalescer, now_us, ret_flows);
    return true;
}

void *coalescer_wants_to_send(struct coalescer *coalescer, uint64_t now_us)
{
    const struct coalescer_lane *lane = coalescer_lane_pick(coalescer, now_us);

    return lane == NULL ? NULL : coalescer_member_head(lane)->ctx;
}

static bool coalescer_next_send(struct coalescer *coalescer, uint64_t now_us,
                                struct coalescer_action *action)
{
    struct coalescer_lane  *lane;
    struct coalescer_batch *batch;

    if (coalescer->may_not_send)
        return false;
    lane = coalescer_lane_pick(coalescer, now_us);

    coalescer->memory_retry_us = 0;
    if (lane == NULL)
        return false;
    if (lane != &coalescer->all_lanes && list_is_empty(&lane->redo))
        coalescer_deadline_refuse_late(coalescer, lane, now_us);
    if (coalescer_next_answer(coalescer, action))
        return true; /* then those who are left */
    batch = coalescer_merge_next(coalescer, lane, now_us);
    if (batch == NULL) {
        coalescer->memory_retry_us = now_us + memory_retry_us;
        return false;
    }
    *action = (struct coalescer_action){.kind = COALESCER_SEND, .batch = batch};
    return true;
}

static void coalescer_stats_batches(struct coalescer_stats *stats, const struct list *batches)
{
    LIST_FOR_EACH(node, batches)
    {
        const struct coalescer_batch *batch = LIST_ITEM(node, struct coalescer_batch, queue);

        stats->in_flight++;
        stats->hung += batch->is_hung;
        stats->held_lanes += batch->is_hung && !list_is_empty(&batch->lane->waiting);
        if (stats->oldest_sent_us == 0 || batch->sent_us < stats->oldest_sent_us)
            stats->oldest_sent_us = batch->sent_us;
    }
}
