/* upstream_call - one question at a time to one address of Chroma, by libcurl
 *
 * Names are not resolved here: the caller says where to connect. Redirects are not followed,
 * proxies of the environment not used. An answer is bounded.
 *
 * Thread: event loop only. Callbacks run from the loop, never inside a call of this module, but for
 * on_open and on_close.
 */
#ifndef UPSTREAM_UPSTREAM_CALL_H
#define UPSTREAM_UPSTREAM_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/compiler.h"
#include "io/loop.h"
#include "io/socket.h"
#include "upstream/upstream_question.h"

struct upstream_call; /* opaque */

/* Bytes of an answer beyond what is kept. */
enum { UPSTREAM_CALL_DROPPED_MAX = 1024 * 1024 };

struct upstream_call_events {
    /* The address refused, or did not answer in the time for that; `problem` is borrowed. */
    void (*on_unreachable)(const char *problem, void *ctx);

    /* There is an answer, or there will be none. */
    void (*on_answer)(const struct upstream_answer *answer, void *ctx);

    /* A connection is about to be set up on `fd`; it is about to be closed, or was just now if it
     * never stood: its number may soon be another's. */
    void (*on_open)(int fd, void *ctx);
    void (*on_close)(int fd, void *ctx);
};

/* `backend` is copied, `events` and `ctx` are borrowed. NULL when out of memory. */
struct upstream_call *upstream_call_new(struct loop *loop, const struct address *backend,
                                        const struct upstream_call_events *events, void *ctx);

/* A running call is cancelled, a connection that was kept is closed. NULL is a no-op. */
void upstream_call_free(struct upstream_call *call);

/* Make the request of `question`. `keeps_connection`: leave it open for the next one. False when
 * out of memory. */
MUST_CHECK bool upstream_call_prepare(struct upstream_call           *call,
                                      const struct upstream_question *question,
                                      bool keeps_connection, uint64_t connect_timeout_us);

/* Send it to `address`, on the connection that was kept if that goes there. It is given up after
 * `patience_us`. False when out of memory. */
MUST_CHECK bool upstream_call_start(struct upstream_call        *call,
                                    const struct socket_address *address, uint64_t patience_us);

/* Nobody will read the answer: drop what comes. */
void upstream_call_ignore_answer(struct upstream_call *call);

/* Close the connection of a running call; no further callback but on_close. */
void upstream_call_cancel(struct upstream_call *call);

#endif
