#include "lanes/lane_order.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "calls/own_flows.h"
#include "lanes/write.h"
#include "limits/fair_queue.h"

/* What a call is expected to take: like those before, each of which counts for an eighth. */
static const uint64_t first_call_us = 10000, call_part = 8;

struct lane_order {
    struct fair_queue *queue;
    size_t             busy; /* flows with writes in lanes */
    uint32_t           last; /* that was taken */
    uint64_t           call_us;
    size_t             writes[OWN_FLOWS_END];
    bool               wants[OWN_FLOWS_END];
    struct fair_item   items[OWN_FLOWS_END]; /* one for each flow of which a lane may go */
};

static bool lane_order_waits(const struct lane_order *order, uint32_t flow);

struct lane_order *lane_order_new(void)
{
    struct lane_order *order = calloc(1, sizeof *order);

    if (order == NULL)
        return NULL;
    order->call_us = first_call_us;
    for (size_t i = 0; i < OWN_FLOWS_END; i++)
        list_node_init(&order->items[i].all_node);
    order->queue = fair_queue_new(OWN_FLOWS_END);
    if (order->queue != NULL)
        return order;
    free(order);
    return NULL;
}

void lane_order_free(struct lane_order *order)
{
    if (order == NULL)
        return;
    for (uint32_t flow = 0; flow < OWN_FLOWS_END; flow++)
        if (lane_order_waits(order, flow))
            fair_queue_remove(order->queue, &order->items[flow], 0);
    fair_queue_free(order->queue);
    free(order);
}

void lane_order_weigh(struct lane_order *order, const struct turn_queue *turns)
{
    turn_queue_weigh(turns, TURN_WRITE, order->queue);
}

void lane_order_enter(struct lane_order *order, uint32_t flow)
{
    assert(flow < OWN_FLOWS_END);
    order->busy += order->writes[flow]++ == 0;
}

void lane_order_leave(struct lane_order *order, uint32_t flow)
{
    assert(order->writes[flow] > 0);
    order->busy -= --order->writes[flow] == 0;
}

/* Of equals the one that went last is the last. While nobody could go all keep their places, and
 * what they have a claim to. */
uint32_t lane_order_choose(struct lane_order *order, struct coalescer *coalescer, uint64_t now_us)
{
    const struct fair_item *first;

    if (order->busy <= 1)
        return COALESCER_ANY_FLOW;
    memset(order->wants, 0, sizeof order->wants);
    if (!coalescer_mark_flows(coalescer, now_us, order->wants))
        return COALESCER_ANY_FLOW;
    for (uint32_t i = 1; i <= OWN_FLOWS_END; i++) {
        uint32_t          flow = (order->last + i) % OWN_FLOWS_END;
        struct fair_item *item = &order->items[flow];

        if (order->wants[flow] == lane_order_waits(order, flow))
            continue;
        if (order->wants[flow]) {
            *item = (struct fair_item){.flow = flow, .cost_us = order->call_us};
            fair_queue_add(order->queue, item, now_us);
        } else {
            fair_queue_remove(order->queue, item, now_us);
        }
    }
    first = fair_queue_first(order->queue, now_us);
    return first == NULL ? COALESCER_ANY_FLOW : first->flow;
}

static bool lane_order_waits(const struct lane_order *order, uint32_t flow)
{
    return list_node_is_linked(&order->items[flow].all_node);
}

void lane_order_take(struct lane_order *order, uint32_t flow, const struct coalescer_batch *batch,
                     uint64_t now_us)
{
    struct write     *first = coalescer_batch_member(batch, 0);
    struct fair_item *item = &order->items[flow];

    first->lane_charge_us = 0;
    if (!lane_order_waits(order, flow))
        return; /* nobody else wants to go */
    first->lane_charge_us = item->cost_us;
    first->lane_charge_flow = flow;
    order->last = flow;
    fair_queue_take(order->queue, item, now_us);
}

void lane_order_settle(struct lane_order *order, const struct coalescer_batch *batch,
                       uint64_t cost_us)
{
    struct write *first = coalescer_batch_member(batch, 0);
    size_t        count = coalescer_batch_count(batch);

    if (cost_us > 0)
        order->call_us += cost_us / call_part - order->call_us / call_part;
    if (first->lane_charge_us == 0)
        return;
    fair_queue_settle(order->queue, first->lane_charge_flow, first->lane_charge_us, 0);
    first->lane_charge_us = 0;
    for (size_t i = 0; i < count; i++) {
        const struct write *write = coalescer_batch_member(batch, i);

        fair_queue_settle(order->queue, write->lane_flow, 0, cost_us / count);
    }
}
