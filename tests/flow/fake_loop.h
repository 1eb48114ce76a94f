/* fake_loop - io/loop.h in simulated time, and what drives it
 *
 * The code under test sees an ordinary loop. Everything else (network, clients, backend) puts
 * events at points of time; they run between turns. Time jumps to whatever comes next, so an hour
 * costs nothing. All that is random comes from one seed.
 */
#ifndef FLOW_FAKE_LOOP_H
#define FLOW_FAKE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"

/* Begin a new world: forget all events, restart the clock, seed the random numbers. */
void fake_loop_begin(uint64_t seed);

/* Call `fn(ctx)` at `at_us`, or as soon as possible if that is past. It cannot be taken back: `ctx`
 * must live as long as the world. */
void fake_loop_at(uint64_t at_us, void (*fn)(void *ctx), void *ctx);

/* Run turns and events until `done(ctx)` (asked after each), or until simulated `limit_us`. True
 * if it was done. */
bool fake_loop_run_until(struct loop *loop, bool (*done)(void *ctx), void *ctx, uint64_t limit_us);

/* Run for `span_us`. */
void fake_loop_run_for(struct loop *loop, uint64_t span_us);

/* A number below `bound` (> 0). */
uint32_t fake_loop_random(uint32_t bound);

/* True in `percent` of all cases. */
bool fake_loop_chance(unsigned percent);

/* Watches, timers and tasks that exist: 0 when nothing was forgotten. */
size_t fake_loop_objects(const struct loop *loop);

#endif
