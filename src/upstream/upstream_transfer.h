/* upstream_transfer - one request to Chroma and its answer
 *
 *   upstream_transfer_start() -> connected -> sent -> on_head, on_body..., on_end
 *                                     `---- on_failure, at any point before on_end
 *
 * What is never done: a write is not sent twice and, once its first byte was sent, not cancelled:
 * Chroma drops a request whose connection closes even between its commit and making the records
 * visible.
 *
 * A read that dies on a reused connection before the first byte of its answer is sent once more on
 * a fresh one: the connection had been closed while it was idle. So is a write of which the socket
 * took no byte.
 *
 * Callbacks run from the loop, never inside a call of this module; on_end or on_failure is the
 * last one, and the transfer is gone then.
 */
#ifndef UPSTREAM_UPSTREAM_TRANSFER_H
#define UPSTREAM_UPSTREAM_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "upstream/upstream_request.h"

struct upstream_pool;
struct upstream_transfer; /* opaque */

/* Send `request` (copied; what it points to is borrowed).
 * STATUS_OK          *ret_transfer is valid until the last callback.
 * STATUS_OVERLOADED  upstream_pool_has_room() is false.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status upstream_transfer_start(struct upstream_pool                  *pool,
                                               const struct upstream_request         *request,
                                               const struct upstream_transfer_events *events,
                                               void *ctx, struct upstream_transfer **ret_transfer);

/* Send a further piece of a streamed body (framed by the caller), `last` when none follows. Before
 * there is a connection it must not be called: on_writable tells. Failures are told later. */
void upstream_transfer_send_body(struct upstream_transfer *transfer, const struct bytes *parts,
                                 size_t count, bool last);

/* Can upstream_transfer_send_body() be called now without piling up? */
bool upstream_transfer_is_writable(const struct upstream_transfer *transfer);

/* Stop and go on receiving the answer. */
void upstream_transfer_pause(struct upstream_transfer *transfer);
void upstream_transfer_resume(struct upstream_transfer *transfer);
bool upstream_transfer_is_paused(const struct upstream_transfer *transfer);

/* Has any byte of the request gone to a socket? */
bool upstream_transfer_is_sent(const struct upstream_transfer *transfer);

/* The callbacks get `ctx` from now on; what the parts of the body say stands at `body` now, and the
 * bytes of head and body are where they were. */
void upstream_transfer_move(struct upstream_transfer *transfer, const struct bytes *body,
                            void *ctx);

/* Cut its connection; no callback follows. Not for a write that is sent. */
void upstream_transfer_cancel(struct upstream_transfer *transfer);

const struct upstream_transfer_times *
upstream_transfer_times(const struct upstream_transfer *transfer);

#endif
