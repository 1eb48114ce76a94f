/* front_connection - one client's connection: requests are read, answers written, in order
 *
 *   idle -> head -> body -> waiting -> (answer finished) -> idle
 *                     `-> closing: the answer is sent, then what still comes is read for a while
 *
 * One request at a time goes to the handler; pipelined ones wait in the socket. Bad HTTP, slow
 * clients and clients that leave are dealt with here; the handler is told once, by on_abort.
 *
 * Thread: event loop only.
 */
#ifndef FRONT_FRONT_CONNECTION_H
#define FRONT_FRONT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"
#include "http/http_head.h"
#include "io/socket.h"

struct front_connection; /* opaque */

/* Who answers requests. Callbacks run from the loop; `request` is what on_request returned. */
struct front_handler {
    /* A head is complete. It stays valid until the answer is finished or on_abort returns. The
     * answer may be given within the call. Returns the handler's object, told by later calls.
     * NULL: out of memory; the client is answered 503 then. */
    void *(*on_request)(struct front_connection *connection, const struct http_head *head,
                        void *ctx);

    /* Body bytes, borrowed for the call. Not called after the answer is finished. */
    void (*on_body)(void *request, struct bytes data);

    /* The request is complete. */
    void (*on_body_end)(void *request);

    /* The answer must not be finished any more. `why`: CLOSED or RESET (the client left), INVALID
     * and the like (the body is not valid HTTP), REQUEST_TIMEOUT (it came too slowly),
     * CLIENT_TOO_SLOW (the answer was taken too slowly), CANCELLED (the front ends). If no byte of
     * an answer was sent and a client is there, it gets the error. The request is forgotten. */
    void (*on_abort)(void *request, enum status why);

    /* More of the answer may be sent. */
    void (*on_drained)(void *request);

    /* Something that never became a request was refused; for log and metrics. */
    void (*on_refused)(const struct front_connection *connection, const struct error *error,
                       void *ctx);
};

/* Send a piece of the answer. Failures are told later, by on_abort. */
void front_connection_send(struct front_connection *connection, const struct bytes *parts,
                           size_t count);

/* Send a 1xx head, which is no part of the answer: an error can still be given after it. */
void front_connection_send_interim(struct front_connection *connection, struct bytes head);

/* Should the sender wait for on_drained? */
bool front_connection_is_full(const struct front_connection *connection);

/* The answer is complete: the handler hears no more of the request. The connection serves the next
 * request unless the request's body is not complete or the answer was to say `close`. */
void front_connection_finish(struct front_connection *connection);

/* The answer cannot be completed: cut the connection. The handler hears no more of the request. */
void front_connection_cut(struct front_connection *connection);

/* Must the answer say `Connection: close`? True also while the request's body is not complete, so
 * heads are written as late as possible. True is a promise: the connection is closed then. */
bool front_connection_will_close(struct front_connection *connection);

/* Has a byte of the answer been given to send? */
bool front_connection_has_answered(const struct front_connection *connection);

/* When the first byte of the request arrived, monotonic microseconds. */
uint64_t front_connection_began_us(const struct front_connection *connection);

/* Close after this answer. */
void front_connection_set_close(struct front_connection *connection);

/* Only the end of the connection tells the end of this answer (RFC 9112 section 6.3, 8.): should it
 * end early, the client gets a reset, so that it does not take a part for the whole. */
void front_connection_set_until_close(struct front_connection *connection);

/* Stop and go on reading the body. */
void front_connection_pause_body(struct front_connection *connection);
void front_connection_resume_body(struct front_connection *connection);

/* Tell a client that waits for it (Expect: 100-continue) to send its body. */
void front_connection_continue(struct front_connection *connection);

/* Chroma answered the request with `answer`, whose fields say who may read such answers; see
 * front_cors.h. A request that says no origin costs a look at its fields. */
void front_connection_learn_cors(struct front_connection *connection,
                                 const struct http_head  *answer);

/* The fields that let the page that asked read an error of our own; empty where that is not known
 * to be allowed. For front_error; borrowed for this turn. */
struct bytes front_connection_cors(const struct front_connection *connection);

/* The value of a Date field for an answer now. Borrowed for this turn. */
struct bytes front_connection_date(struct front_connection *connection);

/* The client's address; empty (size 0) if unknown. Borrowed. */
const struct socket_address *front_connection_peer(const struct front_connection *connection);

/* The user of a client that came by a unix socket, as it was when it connected. False: it did not,
 * or it is not known. */
bool front_connection_peer_uid(const struct front_connection *connection, uint32_t *ret_uid);

/* The field at `index` of the request's head was for us: it is not forwarded. */
void front_connection_drop_field(struct front_connection *connection, size_t index);

/* The request is forwarded with one field more, borrowed as long as its head. False: it has too
 * many already. */
MUST_CHECK bool front_connection_add_field(struct front_connection *connection, struct bytes name,
                                           struct bytes value);

#endif
