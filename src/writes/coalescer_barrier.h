/* coalescer_barrier - when a barrier for all lanes goes, and whom it stops
 *
 * It goes when every older write is done and no call is in flight, but for those of held lanes: for
 * a call that hangs, or was lost, nobody waits here. Until then younger writes pass it. If calls
 * overlap so that this never comes, it stops them after a second, for the time of two calls; then
 * not for twice as long as before, and so on.
 */
#ifndef WRITES_COALESCER_BARRIER_H
#define WRITES_COALESCER_BARRIER_H

#include "writes/coalescer_state.h"

/* Time goes on. Before the other functions are asked. */
void coalescer_barrier_tick(struct coalescer *coalescer, uint64_t now_us);

/* May the first barrier go now? */
bool coalescer_barrier_is_next(const struct coalescer *coalescer);

/* Waiting members from this number on must not go; UINT64_MAX: all may. */
uint64_t coalescer_barrier_number(const struct coalescer *coalescer);

/* Lanes of this turn or a later one must not go. */
uint64_t coalescer_barrier_turn(const struct coalescer *coalescer);

/* When the next barrier may have to be looked at; UINT64_MAX: only after an event. */
uint64_t coalescer_barrier_wake_us(const struct coalescer *coalescer);

#endif
