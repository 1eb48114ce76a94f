/* write_call - one call to Chroma for one batch of writes, and its answer
 *
 * A lone write goes with its own head and its original bytes. A merged one goes with the head that
 * its members share, a trace context of its own, and a body spliced from the members' bytes.
 *
 * Private to proxy/.
 */
#ifndef PROXY_WRITE_CALL_H
#define PROXY_WRITE_CALL_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "http/http_head.h"
#include "proxy/write_member.h"
#include "upstream/upstream_transfer.h"
#include "writes/coalescer.h"

struct write_call;

/* The call is over; write_call_outcome() says how. From the loop. */
typedef void (*write_call_fn)(struct write_call *call, void *ctx);

/* Send `batch`. NULL: it could not be sent (no memory, no room in the pool's queue). */
struct write_call *write_call_start(struct proxy *proxy, struct coalescer_batch *batch,
                                    write_call_fn on_over, void *ctx);

/* For a list of calls. */
struct list_node  *write_call_node(struct write_call *call);
struct write_call *write_call_of_node(struct list_node *node);

/* Not while it is under way. NULL is a no-op. It leaves the list that it is in. */
void write_call_free(struct write_call *call);

/* What to report. */
struct coalescer_outcome write_call_outcome(const struct write_call *call);

/* Chroma's answer, if the outcome is ANSWERED. Borrowed. */
const struct http_head *write_call_answer_head(const struct write_call *call);
struct bytes            write_call_answer_body(const struct write_call *call);

struct coalescer_batch *write_call_batch(const struct write_call *call);

const struct upstream_transfer_times *write_call_times(const struct write_call *call);

#endif
