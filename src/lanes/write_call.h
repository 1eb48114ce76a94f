/* write_call - one call to Chroma for one write or one batch of writes, and its answer
 *
 * A lone write goes with its own head and its original bytes. A merged one goes with the head that
 * its members share, a trace context of its own, and a body spliced from the members' bytes.
 *
 * The answer is kept until it is complete, so that every member gets it, or the same call can be
 * made again. That of a lone write is passed on as it comes once it is longer than an error could
 * be: on_over is called then, and the answer goes to whom write_call_tell() finds waiting.
 *
 * Thread: event loop only.
 */
#ifndef LANES_WRITE_CALL_H
#define LANES_WRITE_CALL_H

#include "lanes/write.h"
#include "writes/coalescer.h"

struct write_call;

/* Chroma has answered, or will not: write_call_outcome() says how. From the loop. */
typedef void (*write_call_fn)(struct write_call *call, void *ctx);

/* Send `batch`, with the granted `turn`, which is taken. NULL: out of memory. */
struct write_call *write_call_start_batch(struct proxy *proxy, struct coalescer_batch *batch,
                                          struct turn *turn, write_call_fn on_over, void *ctx);

/* Send `write` by itself; write->call is this call until it is over. NULL: out of memory. */
struct write_call *write_call_start_one(struct write *write, write_call_fn on_over, void *ctx);

/* What to report. */
struct coalescer_outcome write_call_outcome(const struct write_call *call);

/* Why it failed, where there is no answer. */
enum status write_call_failure(const struct write_call *call);

/* Give the answer to who waits for `write`. */
void write_call_tell(struct write_call *call, struct write *write, enum front_executed executed);

/* As write_call_tell(), where the answer, 404, says that `write`, a deletion that was lost before,
 * had been applied: its client gets what it would have got then. */
void write_call_tell_deleted(struct write_call *call, struct write *write);

/* The only write of the call; NULL: there are several. */
struct write *write_call_write(const struct write_call *call);

/* Of proxy->write_calls. */
struct write_call *write_call_of_node(struct list_node *node);

/* The batch; NULL: there is none. */
struct coalescer_batch *write_call_batch(const struct write_call *call);

/* How long Chroma worked on it, as far as that is known. */
uint64_t write_call_cost_us(const struct write_call *call);

/* Has any byte of it gone to a socket? */
bool write_call_is_sent(const struct write_call *call);

/* Does a limit of its service hold it back now? Then it is refused: see call_explain_refusal(). */
bool write_call_explain_bound(const struct write_call *call, char out[READ_LIMIT_TEXT_SIZE]);

/* Take it out of the queue: it must not be sent. */
void write_call_cancel(struct write_call *call);

/* `write` (taken), which is the call's only one, is freed with it: its answer may still pass. */
void write_call_adopt(struct write_call *call, struct write *write);

/* The owner has no more use for it: it is freed when its answer has passed. */
void write_call_end(struct write_call *call);

/* Free it now, whatever is under way: at the end of the program. */
void write_call_free(struct write_call *call);

#endif
