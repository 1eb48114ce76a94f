/* front_connection_internal - what a connection is, how it is made and ended; private to front/ */
#ifndef FRONT_FRONT_CONNECTION_INTERNAL_H
#define FRONT_FRONT_CONNECTION_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/status.h"
#include "front/front_pace.h"
#include "front/front_shared.h"
#include "http/http_reader.h"
#include "io/socket.h"
#include "io/socket_stream.h"
#include "io/timeout_queue.h"

enum front_connection_state {
    FRONT_IDLE,    /* no byte of a request yet */
    FRONT_HEAD,    /* reading a head */
    FRONT_BODY,    /* the handler has the request, its body is being read */
    FRONT_WAITING, /* the request is complete, the answer is not */
    FRONT_CLOSING, /* the answer is sent, then what comes is read for a while; nothing is served */
    FRONT_CLOSED   /* freed at the end of the turn */
};

struct front_connection {
    struct front_shared        *shared;
    struct list_node            node, idle_node;
    struct socket_stream       *stream;
    struct http_reader         *reader;  /* NULL while idle */
    const struct front_handler *handler; /* of the request */
    void                       *request; /* the handler's, in FRONT_BODY and FRONT_WAITING */
    enum front_connection_state state;
    struct timeout              timeout;      /* of the state */
    struct timeout              send_timeout; /* while bytes of an answer are queued */
    struct front_pace           body_pace, send_pace;
    uint64_t                    began_us; /* the request's first byte */
    uint64_t                    idle_us;  /* since when, in the list of idle ones */
    uint64_t                    received_bytes;
    uint64_t                    linger_bytes; /* thrown away since FRONT_CLOSING */
    uint64_t                    linger_seen;  /* of them, when the linger timeout was started */
    unsigned                    linger_rounds;
    bool                  is_in_hand; /* a request was given to the handler, and not finished */
    bool                  is_active;  /* counted in active_count */
    bool                  is_body_paused, close_after, answer_begun, is_beyond_limit, has_ended;
    bool                  is_until_close; /* see front_connection_set_until_close() */
    struct socket_address peer;
    bool                  has_uid;
    uint32_t              uid; /* of a client by a unix socket */
};

/* Serve `fd` (taken also on failure). A `refusal` is why it is not to be served: it is told so. */
void front_connection_open(struct front_shared *shared, int fd, const struct socket_address *peer,
                           const char *refusal);

/* The request, or what should become one, is bad or too slow: its client gets `error` if it has got
 * nothing yet, then the connection is closed. */
void front_connection_refuse(struct front_connection *connection, const struct error *error);

/* Close now; its handler is told of a request with `why`. It is freed at the end of the turn. */
void front_connection_end(struct front_connection *connection, enum status why);

/* Close the connection that has been idle for longest, if any has been for long enough. A system
 * call or two, however many there are. */
bool front_connection_reclaim(struct front_shared *shared);

/* Close all at once; handlers are told of their requests with `why`. */
void front_connection_close_all(struct front_shared *shared, enum status why);

#endif
