#include <assert.h>
#include <stdlib.h>

#include "writes/coalescer_internal.h"

/* Clients that come back are waited for this part of the cost of a call, and no longer than that.
 */
static const uint64_t gather_part = 8, gather_max_us = 2000;
/* The share of clients that must have come back of late, and how fast "of late" moves. */
static const double gather_share = 0.5, share_step = 0.5;

static struct bytes             lane_key(const struct coalescer_lane *lane);
static bool                     lane_evict(struct coalescer *coalescer);
static struct coalescer_member *lane_head(const struct coalescer_lane *lane);
static void                     lane_wake(struct coalescer *coalescer, uint64_t now_us);
static bool lane_all_is_next(const struct coalescer *coalescer, uint64_t now_us);
static bool lane_gathers(const struct coalescer *coalescer, const struct coalescer_lane *lane,
                         uint64_t now_us);

void coalescer_lane_init(struct coalescer_lane *lane)
{
    list_node_init(&lane->node);
    list_init(&lane->redo);
    list_init(&lane->waiting);
}

struct coalescer_lane *coalescer_lane_find(const struct coalescer *coalescer,
                                           const unsigned char    *key)
{
    return hash_map_get(coalescer->lanes,
                        (struct bytes){.data = (const char *)key, .size = COALESCER_LANE_SIZE});
}

enum status coalescer_lane_get(struct coalescer *coalescer, const unsigned char *key,
                               struct coalescer_lane **ret_lane)
{
    struct coalescer_lane *lane = coalescer_lane_find(coalescer, key);
    size_t                 lanes = hash_map_count(coalescer->lanes) + 1;

    *ret_lane = lane;
    if (lane != NULL)
        return STATUS_OK;
    if (lanes > coalescer->options.lanes_max && !lane_evict(coalescer))
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
    const struct coalescer_member *head = lane_head(lane);

    if (lane->place == COALESCER_PLACE_GLOBAL)
        return;
    list_remove(&lane->node);
    if (lane->place == COALESCER_PLACE_READY)
        binary_heap_remove(&coalescer->ready, &lane->turn);
    else if (lane->place == COALESCER_PLACE_ASLEEP)
        binary_heap_remove(&coalescer->asleep, &lane->turn);

    if (lane->in_flight != NULL) {
        lane->place = COALESCER_PLACE_NONE;
    } else if (head == NULL) {
        lane->place = COALESCER_PLACE_IDLE;
        list_push_back(&coalescer->idle, &lane->node);
    } else if (head->not_before_us > 0) {
        lane->place = COALESCER_PLACE_ASLEEP;
        binary_heap_add(&coalescer->asleep, &lane->turn, head->not_before_us);
    } else if (head->number >= coalescer_lane_barrier(coalescer)) {
        lane->place = COALESCER_PLACE_BLOCKED;
        list_push_back(&coalescer->blocked, &lane->node);
    } else {
        lane->place = COALESCER_PLACE_READY;
        binary_heap_add(&coalescer->ready, &lane->turn, head->number);
    }
}

uint64_t coalescer_lane_barrier(const struct coalescer *coalescer)
{
    const struct coalescer_member *head = lane_head(&coalescer->all_lanes);

    if (coalescer->all_lanes.in_flight != NULL)
        return coalescer->all_lanes.in_flight->members[0]->number;
    return head == NULL ? UINT64_MAX : head->number;
}

void coalescer_lane_unblock(struct coalescer *coalescer)
{
    LIST_FOR_EACH(node, &coalescer->blocked)
    {
        struct coalescer_lane *lane = LIST_ITEM(node, struct coalescer_lane, node);

        if (lane_head(lane)->number < coalescer_lane_barrier(coalescer))
            coalescer_lane_place(coalescer, lane);
    }
}

struct coalescer_lane *coalescer_lane_pick(struct coalescer *coalescer, uint64_t now_us)
{
    struct coalescer_lane *best = NULL;
    uint32_t               slots = coalescer->options.in_flight_max;
    size_t                 ready;

    coalescer->gather_until_us = UINT64_MAX;
    lane_wake(coalescer, now_us);
    if (lane_all_is_next(coalescer, now_us))
        return &coalescer->all_lanes;
    ready = coalescer->ready.count;
    if (ready == 0 || coalescer->slots_used >= slots)
        return NULL;
    /* Gathering is for slots that nobody else wants: else the oldest goes. */
    if (ready > slots - coalescer->slots_used)
        return CONTAINER_OF(binary_heap_first(&coalescer->ready), struct coalescer_lane, turn);
    for (size_t i = 0; i < ready; i++) {
        struct coalescer_lane *lane =
            CONTAINER_OF(coalescer->ready.nodes[i], struct coalescer_lane, turn);
        uint64_t until_us = lane->returned_us + lane->window_us;

        if (lane_gathers(coalescer, lane, now_us)) {
            coalescer->stats.gathers += !lane->is_counted;
            lane->is_counted = true;
            if (until_us < coalescer->gather_until_us)
                coalescer->gather_until_us = until_us;
        } else if (best == NULL || lane->turn.key < best->turn.key) {
            best = lane;
        }
    }
    return best;
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

/* Forget the collection that was idle for longest. */
static bool lane_evict(struct coalescer *coalescer)
{
    struct list_node      *node = list_first(&coalescer->idle);
    struct coalescer_lane *lane;

    if (node == NULL)
        return false;
    lane = LIST_ITEM(node, struct coalescer_lane, node);
    hash_map_remove(coalescer->lanes, lane_key(lane));
    list_remove(node);
    free(lane);
    return true;
}

/* The member that goes next, NULL if there is none. */
static struct coalescer_member *lane_head(const struct coalescer_lane *lane)
{
    struct list_node *node = list_first(&lane->redo);

    if (node == NULL)
        node = list_first(&lane->waiting);
    return node == NULL ? NULL : LIST_ITEM(node, struct coalescer_member, queue);
}

static void lane_wake(struct coalescer *coalescer, uint64_t now_us)
{
    while (binary_heap_first_key(&coalescer->asleep) <= now_us) {
        struct coalescer_lane *lane =
            CONTAINER_OF(binary_heap_first(&coalescer->asleep), struct coalescer_lane, turn);

        lane_head(lane)->not_before_us = 0;
        coalescer_lane_place(coalescer, lane);
    }
}

/* May the first barrier for all lanes go? Not before every older write is done, and the calls of
 * those that were given up have ended. */
static bool lane_all_is_next(const struct coalescer *coalescer, uint64_t now_us)
{
    struct coalescer_member *head = lane_head(&coalescer->all_lanes);

    if (head == NULL || head->not_before_us > now_us)
        return false;
    head->not_before_us = 0;
    return list_first(&coalescer->unanswered) == &head->all &&
           list_is_empty(&coalescer->in_flight) && list_is_empty(&coalescer->lent);
}

/* Is it worth waiting for the clients of the batch that just returned? */
static bool lane_gathers(const struct coalescer *coalescer, const struct coalescer_lane *lane,
                         uint64_t now_us)
{
    const struct coalescer_member *head = lane_head(lane);

    return now_us < lane->returned_us + lane->window_us && lane->population > 1 &&
           lane->come_back < lane->returned_members && lane->come_back_share >= gather_share &&
           list_is_empty(&lane->redo) && head->key != NULL && lane->dimension != 0 &&
           lane->waiting_records <
               coalescer_batch_records_max(coalescer, lane->waiting_records, now_us) &&
           !coalescer_batch_is_alone(coalescer, head, now_us);
}
