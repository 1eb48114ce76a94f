/* lane_order - which service's lane goes next?
 *
 * While writes of several services wait, they take turns by cost (fair_queue.h), whatever lanes
 * they wait in. A call is charged to the service whose turn it is, and when it is over each service
 * pays its writes' part.
 *
 * Flows are those of the queue of turns. Thread: event loop only. Memory: 30 KiB.
 */
#ifndef LANES_LANE_ORDER_H
#define LANES_LANE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "limits/turn_queue.h"
#include "writes/coalescer.h"

struct lane_order; /* opaque */

/* NULL when out of memory. */
struct lane_order *lane_order_new(void);

/* NULL is a no-op. */
void lane_order_free(struct lane_order *order);

/* Each flow has the weight that its writes have in `turns`. */
void lane_order_weigh(struct lane_order *order, const struct turn_queue *turns);

/* A write of this flow is in a lane; is not any more. */
void lane_order_enter(struct lane_order *order, uint32_t flow);
void lane_order_leave(struct lane_order *order, uint32_t flow);

/* The coalescer wants to send: whose lane goes? All of them if there is one flow only, then
 * COALESCER_ANY_FLOW. */
uint32_t lane_order_choose(struct lane_order *order, struct coalescer *coalescer, uint64_t now_us);

/* The batch is about to be sent, for the sake of this flow. */
void lane_order_take(struct lane_order *order, uint32_t flow, const struct coalescer_batch *batch,
                     uint64_t now_us);

/* It is over, and took so much of Chroma's time; 0: it was not sent. */
void lane_order_settle(struct lane_order *order, const struct coalescer_batch *batch,
                       uint64_t cost_us);

#endif
