/* lane_gates - how many bytes of writes to one collection may be held at once
 *
 * The body gate bounds what is held in all. A gate for each collection bounds what one of them
 * takes of that, so that a collection whose call hangs does not keep others from writing and
 * reading. A write passes the gate of its collection first.
 *
 * Thread: event loop only. Memory: some 200 bytes for each collection that is written to.
 */
#ifndef PROXY_LANE_GATES_H
#define PROXY_LANE_GATES_H

#include <stdint.h>

#include "io/loop.h"
#include "proxy/body_gate.h"

enum { LANE_GATES_KEY_SIZE = 16 };

struct lane_gates; /* opaque */

/* `loop` is borrowed, `secret` keys the hash. NULL when out of memory. */
struct lane_gates *lane_gates_new(struct loop *loop, const unsigned char secret[16], uint64_t max);

/* No gate may be in use. NULL is a no-op. */
void lane_gates_free(struct lane_gates *gates);

/* `max` bytes for each from now on. */
void lane_gates_set_max(struct lane_gates *gates, uint64_t max);

/* The gate of collection `key`, to be given back. NULL when out of memory: then there is no bound.
 */
struct body_gate *lane_gates_take(struct lane_gates  *gates,
                                  const unsigned char key[LANE_GATES_KEY_SIZE]);

/* Who took it holds and waits for nothing there any more. NULL is a no-op. */
void lane_gates_put(struct lane_gates *gates, struct body_gate *gate);

#endif
