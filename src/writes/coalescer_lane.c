#include "writes/coalescer_lane.h"

#include <stdlib.h>

#include "writes/coalescer_barrier.h"
#include "writes/coalescer_limits.h"
#include "writes/coalescer_member.h"

/* Clients that come back are waited for this part of the cost of a call, and no longer than that.
 */
static const uint64_t gather_part = 8, gather_max_us = 2000;
/* The share of clients that must have come back of late, and how fast "of late" moves. */
static const double gather_share = 0.5, share_step = 0.5;

static struct bytes lane_key(const struct coalescer_lane *lane);
static bool         lane_evict(struct coalescer *coalescer, uint64_t now_us);
static void         lane_unplace(struct coalescer *coalescer, struct coalescer_lane *lane);
static void         lane_wake(struct coalescer *coalescer, uint64_t now_us);
static void         lane_mark_flows(const struct coalescer_lane *lane, bool ret_flows[]);
static bool         lane_prepare(struct coalescer *coalescer, uint64_t now_us);
static bool lane_is_of_flow(const struct coalescer *coalescer, const struct coalescer_lane *lane);
static bool lane_serves_all(const struct coalescer_lane *lane);
static bool lane_is_crowded(const struct coalescer *coalescer);
static bool lane_may_go(struct coalescer *coalescer, struct coalescer_lane *lane, uint64_t now_us);
static bool lane_gathers(const struct coalescer *coalescer, const struct coalescer_lane *lane,
                         uint64_t now_us);

void coalescer_lane_init(struct coalescer_lane *lane)
{
    list_node_init(&lane->node);
    list_init(&lane->redo);
    list_init(&lane->waiting);
}

enum status coalescer_lane_get(struct coalescer *coalescer, const unsigned char *key,
                               uint64_t now_us, struct coalescer_lane **ret_lane)
{
    struct bytes           text = {.data = (const char *)key, .size = COALESCER_LANE_SIZE};
    struct coalescer_lane *lane = hash_map_get(coalescer->lanes, text);
    size_t                 lanes = hash_map_count(coalescer->lanes) + 1;

    *ret_lane = lane;
    if (lane != NULL)
        return STATUS_OK;
    if (lanes > coalescer->options.lanes_max && !lane_evict(coalescer, now_us))
        return STATUS_OVERLOADED;
    if (binary_heap_reserve(&coalescer->ready, lanes) != STATUS_OK ||
        binary_heap_reserve(&coalescer->asleep, lanes) != STATUS_OK)
        return STATUS_NO_MEMORY;
    lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return STATUS_NO_MEMORY;
    memcpy(lane->key, key, COALESCER_LANE_SIZE);
    if (hash_map_put(coalescer->lanes, lane_key(lane), lane) != STATUS_OK) {
        free(lane);
        return STATUS_NO_MEMORY;
    }
    coalescer_lane_init(lane);
    coalescer_lane_place(coalescer, lane);
    *ret_lane = lane;
    return STATUS_OK;
}

void coalescer_lane_place(struct coalescer *coalescer, struct coalescer_lane *lane)
{
    const struct coalescer_member *head = coalescer_member_head(lane);
    bool                           is_redoing = !list_is_empty(&lane->redo);

    if (lane->place == COALESCER_PLACE_GLOBAL)
        return;
    lane_unplace(coalescer, lane);
    if (lane->in_flight != NULL) {
        lane->place = COALESCER_PLACE_NONE;
    } else if (head == NULL) {
        lane->place = COALESCER_PLACE_IDLE;
        list_push_back(&coalescer->idle, &lane->node);
    } else if (head->not_before_us > 0) {
        lane->place = COALESCER_PLACE_ASLEEP;
        binary_heap_add(&coalescer->asleep, &lane->turn, head->not_before_us);
    } else if (!is_redoing && lane->held_until_us > 0) {
        lane->place = COALESCER_PLACE_HELD;
        coalescer->lanes_held++;
        binary_heap_add(&coalescer->asleep, &lane->turn, lane->held_until_us);
    } else {
        lane->place = COALESCER_PLACE_READY;
        binary_heap_add(&coalescer->ready, &lane->turn,
                        head->number + (is_redoing ? 0 : COALESCER_TURN_WAITING));
    }
    lane->is_redoing = lane->in_flight == NULL && is_redoing;
    coalescer->lanes_redoing += lane->is_redoing;
}

static void lane_unplace(struct coalescer *coalescer, struct coalescer_lane *lane)
{
    list_remove(&lane->node);
    if (lane->place == COALESCER_PLACE_READY)
        binary_heap_remove(&coalescer->ready, &lane->turn);
    else
        binary_heap_remove(&coalescer->asleep, &lane->turn);
    coalescer->lanes_held -= lane->place == COALESCER_PLACE_HELD;
    coalescer->lanes_redoing -= lane->is_redoing;
}

void coalescer_lane_release_all(struct coalescer *coalescer)
{
    size_t position = 0;

    for (struct coalescer_lane *lane;
         (lane = hash_map_next(coalescer->lanes, &position)) != NULL;) {
        lane->held_until_us = 0;
        if (lane->place == COALESCER_PLACE_HELD)
            coalescer_lane_place(coalescer, lane);
    }
}

struct coalescer_lane *coalescer_lane_pick(struct coalescer *coalescer, uint64_t now_us)
{
    struct coalescer_lane *best = NULL;

    if (lane_prepare(coalescer, now_us))
        return lane_is_of_flow(coalescer, &coalescer->all_lanes) ? &coalescer->all_lanes : NULL;
    if (coalescer->turn_max == 0)
        return NULL;
    if (coalescer->flow == COALESCER_ANY_FLOW && lane_is_crowded(coalescer))
        return CONTAINER_OF(binary_heap_first(&coalescer->ready), struct coalescer_lane, turn);
    for (size_t i = 0; i < coalescer->ready.count; i++) {
        struct coalescer_lane *lane =
            CONTAINER_OF(coalescer->ready.nodes[i], struct coalescer_lane, turn);

        if (lane_may_go(coalescer, lane, now_us) && lane_is_of_flow(coalescer, lane) &&
            (best == NULL || lane->turn.key < best->turn.key))
            best = lane;
    }
    return best;
}

void coalescer_lane_mark_flows(struct coalescer *coalescer, uint64_t now_us, bool ret_flows[])
{
    if (lane_prepare(coalescer, now_us)) {
        ret_flows[coalescer_member_head(&coalescer->all_lanes)->flow] = true;
        return;
    }
    for (size_t i = 0; i < coalescer->ready.count && coalescer->turn_max > 0; i++) {
        struct coalescer_lane *lane =
            CONTAINER_OF(coalescer->ready.nodes[i], struct coalescer_lane, turn);

        if (lane_may_go(coalescer, lane, now_us))
            lane_mark_flows(lane, ret_flows);
    }
}

static void lane_mark_flows(const struct coalescer_lane *lane, bool ret_flows[])
{
    ret_flows[coalescer_member_head(lane)->flow] = true;
    if (!lane_serves_all(lane))
        return;
    LIST_FOR_EACH(node, &lane->waiting)
    {
        ret_flows[LIST_ITEM(node, struct coalescer_member, queue)->flow] = true;
    }
}

/* Find out which lanes could send: those with turns below turn_max. True: it is the barrier for all
 * of them that could, and nothing else. */
static bool lane_prepare(struct coalescer *coalescer, uint64_t now_us)
{
    coalescer->gather_until_us = UINT64_MAX;
    lane_wake(coalescer, now_us);
    coalescer_barrier_tick(coalescer, now_us);
    coalescer->turn_max = coalescer_barrier_turn(coalescer);
    if (coalescer->slots_used >= coalescer->options.backend.in_flight_max ||
        binary_heap_first_key(&coalescer->ready) >= coalescer->turn_max)
        coalescer->turn_max = 0;
    return coalescer_barrier_is_next(coalescer);
}

static bool lane_is_of_flow(const struct coalescer *coalescer, const struct coalescer_lane *lane)
{
    if (coalescer->flow == COALESCER_ANY_FLOW ||
        coalescer_member_head(lane)->flow == coalescer->flow)
        return true;
    if (!lane_serves_all(lane))
        return false;
    LIST_FOR_EACH(node, &lane->waiting)
    {
        if (LIST_ITEM(node, struct coalescer_member, queue)->flow == coalescer->flow)
            return true;
    }
    return false;
}

/* Else its head goes. */
static bool lane_serves_all(const struct coalescer_lane *lane)
{
    return lane->is_mixed && list_is_empty(&lane->redo);
}

/* Gathering is for slots that nobody else wants: else the oldest goes. */
static bool lane_is_crowded(const struct coalescer *coalescer)
{
    return coalescer->ready.count >
           coalescer->options.backend.in_flight_max - coalescer->slots_used;
}

static bool lane_may_go(struct coalescer *coalescer, struct coalescer_lane *lane, uint64_t now_us)
{
    uint64_t until_us = lane->returned_us + lane->window_us;

    if (lane->turn.key >= coalescer->turn_max)
        return false;
    if (lane_is_crowded(coalescer) || !lane_gathers(coalescer, lane, now_us))
        return true;
    coalescer->stats.gathers += !lane->is_counted;
    lane->is_counted = true;
    if (until_us < coalescer->gather_until_us)
        coalescer->gather_until_us = until_us;
    return false;
}

void coalescer_lane_arrived(struct coalescer_lane *lane, uint64_t now_us)
{
    if (lane->returned_members > 0 && now_us < lane->returned_us + lane->window_us)
        lane->come_back++;
}

void coalescer_lane_returned(const struct coalescer *coalescer, struct coalescer_lane *lane,
                             const struct coalescer_batch *batch, uint64_t now_us)
{
    if (lane->returned_members > 0) {
        double share = (double)lane->come_back / (double)lane->returned_members;

        lane->come_back_share += share_step * ((share > 1 ? 1 : share) - lane->come_back_share);
    }
    lane->returned_us = now_us;
    lane->window_us = batch_cost_expect_us(&coalescer->cost, batch->records) / gather_part;
    if (lane->window_us > gather_max_us)
        lane->window_us = gather_max_us;
    lane->returned_members = batch->count;
    lane->come_back = 0;
    lane->is_counted = false;
    lane->population = batch->count + lane->waiting_members;
}

static struct bytes lane_key(const struct coalescer_lane *lane)
{
    return (struct bytes){.data = (const char *)lane->key, .size = COALESCER_LANE_SIZE};
}

/* Forget the collection that was idle for longest and is not held. */
static bool lane_evict(struct coalescer *coalescer, uint64_t now_us)
{
    LIST_FOR_EACH(node, &coalescer->idle)
    {
        struct coalescer_lane *lane = LIST_ITEM(node, struct coalescer_lane, node);

        if (lane->held_until_us > now_us)
            continue;
        hash_map_remove(coalescer->lanes, lane_key(lane));
        list_remove(node);
        free(lane);
        return true;
    }
    return false;
}

static void lane_wake(struct coalescer *coalescer, uint64_t now_us)
{
    while (binary_heap_first_key(&coalescer->asleep) <= now_us) {
        struct coalescer_lane *lane =
            CONTAINER_OF(binary_heap_first(&coalescer->asleep), struct coalescer_lane, turn);

        if (lane->place == COALESCER_PLACE_HELD)
            lane->held_until_us = 0;
        else
            coalescer_member_head(lane)->not_before_us = 0;
        coalescer_lane_place(coalescer, lane);
    }
}

/* Is it worth waiting for the clients of the batch that just returned? */
static bool lane_gathers(const struct coalescer *coalescer, const struct coalescer_lane *lane,
                         uint64_t now_us)
{
    const struct coalescer_member *head = coalescer_member_head(lane);

    return now_us < lane->returned_us + lane->window_us && lane->population > 1 &&
           lane->come_back < lane->returned_members && lane->come_back_share >= gather_share &&
           list_is_empty(&lane->redo) &&
           lane->waiting_records <
               coalescer_limits_records(coalescer, lane->waiting_records, now_us) &&
           !coalescer_limits_is_alone(coalescer, head, coalescer_limits_dimension(coalescer, lane),
                                      now_us);
}
