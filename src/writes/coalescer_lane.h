/* coalescer_lane - the lanes: which may send, whose turn it is, who gathers */
#ifndef WRITES_COALESCER_LANE_H
#define WRITES_COALESCER_LANE_H

#include "base/compiler.h"
#include "writes/coalescer_state.h"

void coalescer_lane_init(struct coalescer_lane *lane);

/* Find or make a lane; the one idle for longest is forgotten for it if need be.
 * STATUS_OVERLOADED, STATUS_NO_MEMORY  there is none. */
MUST_CHECK enum status coalescer_lane_get(struct coalescer *coalescer, const unsigned char *key,
                                          uint64_t now_us, struct coalescer_lane **ret_lane);

/* Put the lane where its content says that it belongs; after every change of it. */
void coalescer_lane_place(struct coalescer *coalescer, struct coalescer_lane *lane);

/* The backend ended: no lane is held for what was lost in it. */
void coalescer_lane_release_all(struct coalescer *coalescer);

/* The lane that sends next; NULL: none at `now_us`. Wakes those that slept long enough. */
struct coalescer_lane *coalescer_lane_pick(struct coalescer *coalescer, uint64_t now_us);

/* As coalescer_mark_flows(). */
void coalescer_lane_mark_flows(struct coalescer *coalescer, uint64_t now_us, bool ret_flows[]);

/* A member arrived, or a batch returned after it was applied: how the habits are learned. */
void coalescer_lane_arrived(struct coalescer_lane *lane, uint64_t now_us);
void coalescer_lane_returned(const struct coalescer *coalescer, struct coalescer_lane *lane,
                             const struct coalescer_batch *batch, uint64_t now_us);

#endif
