/* write_alone - writes that share their call with no other, outside of lanes
 *
 *   write_alone_send -> keys and guard -> write_call -> its waiter
 *
 * What could not be sent is tried again until its deadline, every quarter of a second. What was
 * lost with a Chroma of our own is sent again where that is harmless, or settled by looking
 * (write_settle.h), once that Chroma has provably ended: three times at most.
 *
 * Thread: event loop only.
 */
#ifndef LANES_WRITE_ALONE_H
#define LANES_WRITE_ALONE_H

#include "base/compiler.h"
#include "lanes/write.h"
#include "lanes/write_call.h"

struct write_alone; /* opaque; one for each proxy */

/* NULL when out of memory. */
struct write_alone *write_alone_new(struct proxy *proxy);

/* After all its writes. NULL is a no-op. */
void write_alone_free(struct write_alone *alone);

/* `write` (taken) is complete. Its waiter is told later, from the loop; also that a key or the
 * guard refuses it. STATUS_NO_MEMORY: nothing was taken. */
MUST_CHECK enum status write_alone_send(struct write_alone *alone, struct write *write);

/* The deadline of a write that is in no lane has passed: nobody waits for it any more. What its
 * client is to be told; it is not sent after NO. */
enum front_executed write_alone_give_up(struct write *write);

/* The two below are of those in lanes, too, that have a call for themselves. */

/* The connection broke under it: counted if Chroma is our own, as it may have died of it. */
void write_alone_note_loss(struct write *write);

/* Chroma has answered: pass that on; a deletion that was lost before and is gone now was applied.
 * NULL for `call`: the guard has told its client. */
void write_alone_tell(struct write_call *call, struct write *write, enum front_executed executed);

#endif
