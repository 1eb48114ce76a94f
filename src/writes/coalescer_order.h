/* coalescer_order - dies where a batch would break the order of writes
 *
 * Whatever chose it, a batch keeps to this:
 *
 *   - a lane has one call at a time, and what is to be sent again goes before what waits;
 *   - what is sent again passes nothing;
 *   - of what waits the head goes. Others join it past writes that have none of their ids, and
 *     nothing joins or passes a barrier.
 *
 * So writes that share an id reach Chroma in the order in which they arrived. Those of one
 * connection do anyway: its next request is read when the last one has its answer.
 *
 * A step for each member that goes or is passed; ids are looked at only where one is passed.
 */
#ifndef WRITES_COALESCER_ORDER_H
#define WRITES_COALESCER_ORDER_H

#include "writes/coalescer_state.h"

/* `batch` is about to leave its lane, and its members are still there. Uses coalescer->seen. */
void coalescer_order_check(struct coalescer *coalescer, const struct coalescer_batch *batch);

#endif
