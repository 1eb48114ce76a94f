/* fair_queue - deficit round robin between services, by what their calls are expected to cost
 *
 * Each service is a flow. As long as several flows wait, each gets Chroma's time in the proportion
 * of its weight, whatever it asks for: one that floods waits by itself. A flow that does not wait
 * leaves its part to the others (work-conserving). Priority is a factor of the weight (8 for
 * priority 0, then 4, 2 and 1), so the last one still gets its part. What a call really cost is
 * settled afterwards: who asks for much in calls that look cheap falls behind.
 *
 * Within a flow the order is that of arrival. A gate bounds what some calls of a flow have under
 * way at a time (one collection of one service); calls that their gate does not let through stop
 * no others.
 *
 * With a timeout (overload: shed) calls that have waited for long are given back to be refused. A
 * flow of which one has waited out the timeout has a standing queue, until it is short again: its
 * calls are then refused after the shorter `standing_us`, and the newest go first where that is
 * allowed, since the oldest will hardly be answered in time. A flow that asks for less than its
 * part does not get there. While a flow has calls that were held for another reason than its load
 * (a pause), none of it is given back: its queue is as long as the pause was, and stands for that.
 * When the last of those has gone, the time of who came behind them begins.
 *
 * Thread: event loop only. Memory: 150 bytes for each flow; items are embedded in their owners.
 */
#ifndef LIMITS_FAIR_QUEUE_H
#define LIMITS_FAIR_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"

struct fair_queue; /* opaque */

enum { FAIR_QUEUE_WEIGHT_MAX = 1000, FAIR_QUEUE_PRIORITY_LAST = 3 };

struct fair_queue_options {
    uint64_t timeout_us;      /* 0: nothing expires */
    uint64_t standing_us;     /* in place of it while a queue stands; at most timeout_us */
    bool     is_newest_first; /* while a queue stands */
};

/* What calls have under way that share a bound, all of one flow. `max` 0: none. Set up with
 * fair_gate_init(); outlives its items. */
struct fair_gate {
    size_t      open, max;
    struct list parked; /* items that wait for this gate */
};

/* Embedded in its owner, who sets the first part. */
struct fair_item {
    uint32_t          flow;
    uint64_t          cost_us; /* expected, charged when it is taken; at least 1 ms */
    struct fair_gate *gate;    /* or NULL */
    bool              is_held; /* it was, before it was added */

    uint64_t         since_us;
    struct list_node node;     /* in its flow or its gate */
    struct list_node all_node; /* in its flow, in the order of arrival */
};

static inline void fair_gate_init(struct fair_gate *gate, size_t max)
{
    gate->open = 0;
    gate->max = max;
    list_init(&gate->parked);
}

/* All flows have weight 1 and priority 1. NULL when out of memory. */
struct fair_queue *fair_queue_new(size_t flows);

/* Nobody may wait. NULL is a no-op. */
void fair_queue_free(struct fair_queue *queue);

void fair_queue_set_options(struct fair_queue *queue, const struct fair_queue_options *options);

/* `weight` 1..FAIR_QUEUE_WEIGHT_MAX; `priority` 0..FAIR_QUEUE_PRIORITY_LAST, 0 gets most. */
void fair_queue_set_flow(struct fair_queue *queue, uint32_t flow, unsigned weight,
                         unsigned priority);

/* Flows have the weights and priorities that they have in `other`, which has as many. */
void fair_queue_weigh(struct fair_queue *queue, const struct fair_queue *other);

/* A closed flow is passed over until it is opened, and gathers no claim meanwhile. */
void fair_queue_set_closed(struct fair_queue *queue, uint32_t flow, bool is_closed);

/* If it lets somebody through now, those who wait for it are looked at again, in their order. */
void fair_queue_set_gate(struct fair_queue *queue, struct fair_gate *gate, size_t max);

/* Wait in the order of arrival. */
void fair_queue_add(struct fair_queue *queue, struct fair_item *item, uint64_t now_us);

/* Who goes next; NULL: nobody waits who may go. The same again until something changes. */
struct fair_item *fair_queue_first(struct fair_queue *queue, uint64_t now_us);

/* It goes: it leaves the queue, is charged to its flow and counted at its gate. Anybody who waits
 * may be taken. */
void fair_queue_take(struct fair_queue *queue, struct fair_item *item, uint64_t now_us);

/* A call that was taken has ended, as far as its gate is concerned. */
void fair_queue_end(struct fair_queue *queue, struct fair_item *item);

/* It leaves without having gone. */
void fair_queue_remove(struct fair_queue *queue, struct fair_item *item, uint64_t now_us);

/* `flow` was charged `charged_us` and took `actual_us`. */
void fair_queue_settle(struct fair_queue *queue, uint32_t flow, uint64_t charged_us,
                       uint64_t actual_us);

/* All that wait were held until now; their order stays. */
void fair_queue_end_hold(struct fair_queue *queue);

/* One that has waited for too long, still in the queue; NULL: none. */
struct fair_item *fair_queue_expired(struct fair_queue *queue, uint64_t now_us);

/* When the next one will have waited for too long, if nothing changes; may be past; UINT64_MAX:
 * never. */
uint64_t fair_queue_expiry_us(const struct fair_queue *queue);

/* All that wait, and those of one flow. */
size_t fair_queue_count(const struct fair_queue *queue);
size_t fair_queue_flow_count(const struct fair_queue *queue, uint32_t flow);

#endif
