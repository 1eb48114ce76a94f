/* read_limit - how many reads Chroma gets at a time, and what is said to those that are refused
 *
 * Three ways (`reads.limit`): as many as connections allow, a number, or what concurrency_limit.h
 * finds. What it finds is computed and shown in any case. The bound is kept by the queue of turns,
 * which counts a read from the moment that it is sent to the head of its answer.
 *
 * With `overload: shed` a read whose turn does not come in time is refused. call.c tells here what
 * is sent and what became of it.
 *
 * Thread: event loop only. Memory: that of a concurrency_limit.
 */
#ifndef CALLS_READ_LIMIT_H
#define CALLS_READ_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/status.h"
#include "calls/limits_state.h"
#include "calls/proxy_options.h"
#include "limits/concurrency_limit.h"
#include "limits/turn_queue.h"

/* A read waits so long for its turn at most; under a standing queue, so long. */
#define READ_LIMIT_SHED_US     UINT64_C(100000)
#define READ_LIMIT_STANDING_US UINT64_C(10000)

struct read_limit; /* opaque */

/* `turns` is borrowed. NULL when out of memory. */
struct read_limit *read_limit_new(struct turn_queue *turns);

/* NULL is a no-op. */
void read_limit_free(struct read_limit *limit);

/* Set the options of the queue, after these; then call call_run_turns(). */
void read_limit_set(struct read_limit *limit, const struct proxy_options *options);

/* A read was sent. */
void read_limit_sent(struct read_limit *limit);

/* The turn of a read that was sent is over. `read` tells all but whether a write was beside it;
 * `sent_us` 0: it got no connection. Whoever may go now is found by call_run_turns(). */
void read_limit_ended(struct read_limit *limit, struct concurrency_read read, uint64_t sent_us,
                      uint64_t now_us);

/* The turn of a write is over: reads that were sent before were beside it. */
void read_limit_write_ended(struct read_limit *limit, uint64_t now_us);

/* Chroma works again after it had failed: one read at a time at first. */
void read_limit_restart(struct read_limit *limit);

/* A read that waited for `turn` is refused, early (`overload: shed`) or at its deadline, or at that
 * a write which its service held back. Counts it, and writes for its client what held it back,
 * `by`, that limit's value, and how to raise it. */
enum { READ_LIMIT_TEXT_SIZE = 480 };
void read_limit_refuse(struct read_limit *limit, const struct turn *turn, const char *service,
                       enum turn_bound by, bool is_early, char out[READ_LIMIT_TEXT_SIZE]);

/* Fill what is told of reads. */
void read_limit_state(const struct read_limit *limit, struct limits_state *ret);

/* Append the metrics; also of calls with writes, that `writes_max` bounds. Outcomes as
 * metric_print(). */
MUST_CHECK enum status read_limit_print_metrics(const struct read_limit *limit, uint64_t writes_max,
                                                struct byte_buffer *out);

#endif
