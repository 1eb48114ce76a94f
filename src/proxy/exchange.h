/* exchange - one request of a client, from its head to the last byte of its answer
 *
 * Data and lifetime; what happens to the request is the path's (pass_path.h, write_path.h), what
 * the client gets the reply's. An exchange ends with its client: a write that goes on without one
 * is an object of its own (write.h).
 *
 * Its path begins when its service lets it (service_admission.h). Before its body is read, a
 * request takes in this order: admission, its collection's part of the room for writes, room for
 * its body as it arrives. Who waits for one of these holds nothing that comes after it; the rest of
 * the request is unread in its socket.
 *
 * Private to proxy/. Thread: event loop only.
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth_ticket.h"
#include "base/byte_buffer.h"
#include "base/memory_account.h"
#include "calls/access_log.h"
#include "calls/admission.h"
#include "calls/backend_breaker.h"
#include "calls/call.h"
#include "calls/client_deadline.h"
#include "calls/lane_rooms.h"
#include "calls/proxy_state.h"
#include "calls/reply.h"
#include "calls/service_ticket.h"
#include "chroma/chroma_route.h"
#include "front/front_connection.h"
#include "http/http_head.h"
#include "lanes/write.h"
#include "proxy/cache_question.h"
#include "proxy/mirror_ticket.h"

enum exchange_state {
#define STATE(name, successors) EXCHANGE_##name,
#include "proxy/exchange_state.def"
#undef STATE
    EXCHANGE_STATES
};

struct exchange;

/* How a kind of request is brought to Chroma. */
struct exchange_path {
    void (*begin)(struct exchange *exchange);
    void (*on_room)(struct exchange *exchange); /* the body may be read now */
    void (*on_body)(struct exchange *exchange, struct bytes data);
    void (*on_body_end)(struct exchange *exchange);
    void (*on_deadline)(struct exchange *exchange);
    void (*on_client_gone)(struct exchange *exchange);
    void (*on_finished)(struct exchange *exchange); /* the client has its answer, or is gone */
};

struct exchange {
    struct proxy                *proxy;
    struct list_node             node; /* in the proxy's list of these, or of spare ones */
    enum exchange_state          state;
    const struct exchange_path  *path;
    const struct http_head      *head;  /* valid until exchange_finish() */
    const struct socket_address *peer;  /* likewise */
    struct chroma_route          route; /* its spans are valid as long as `head` */
    struct access_record         record;
    struct auth_ticket           auth;
    struct service_ticket        service;
    struct bytes                 confirm; /* X-Chromabouncer-Confirm; empty: none. As `head` */
    struct timeout               deadline, wait_limit;
    struct client_deadline       client_deadline;

    /* The request's body, and room for it. */
    struct admission_ticket admission;
    struct lane_ticket      lane_room;
    struct memory_claim     room;
    size_t                  room_wanted;
    struct lane_rooms      *rooms; /* of which it takes a part; NULL: of none */
    bool                    body_ended;
    uint64_t                wait_began_us; /* for one of these three; 0: it does not wait */
    struct byte_buffer      body;          /* as far as it is kept */

    /* What goes to Chroma: of a read, its own call; of a write, the write that somebody sends. */
    struct exchange_pass {
        struct call                call;
        struct byte_buffer         head;     /* as sent */
        struct bytes               body;     /* as sent, what is kept of it */
        struct answer_sink         entry;    /* the chain begins here and ends in `reply` */
        struct collection_question question; /* what its answer may teach */
        struct breaker_ticket      breaker;
        struct timeout             repeat;   /* until it is asked again after Chroma died */
        unsigned                   deaths;   /* of Chroma, under it */
        enum status                why;      /* it failed last */
        bool                       was_sent; /* then */
        bool                       is_ours;  /* the deadline that it missed */
        struct byte_buffer         raised;   /* an answer that was changed */
        bool                       was_held; /* by a breaker, before it asked for its turn */
        bool is_held;        /* nothing of the answer is passed before it is complete */
        bool is_streaming;   /* the body goes to Chroma as it arrives */
        bool keeps_deadline; /* the answer may be asked for again, within the time of the first */
    } pass;
    struct cache_question question; /* of one that may be answered without asking */
    struct mirror_ticket  mirror;
    struct write         *write; /* NULL before its body is complete */
    struct write_waiter   waiter;

    struct reply reply;
};

/* NULL when out of memory. The request's head and connection are borrowed until it is finished. */
struct exchange *exchange_new(struct proxy *proxy, struct front_connection *connection,
                              const struct http_head *head);

/* Free it now: at the end of the program. */
void exchange_free(struct exchange *exchange);

/* Move to `state`; the move must be in the table. */
void exchange_move(struct exchange *exchange, enum exchange_state state);

/* Wait for admission and for `size` bytes of room in account `id` (0: none is needed; at most
 * 256 KiB, which fit into every account), then call the path's on_room, possibly from within.
 * `takes_lane_room`: as a write to the collection of its route; a read takes that of its service.
 * The body is not read meanwhile. */
void exchange_claim_room(struct exchange *exchange, enum memory_account_id id, size_t size,
                         bool takes_lane_room);

/* The body needs `size` bytes in all. False: it waits, unread, for on_room. */
bool exchange_grow_room(struct exchange *exchange, uint64_t size);

/* The body is complete: what is held beyond it is given back. */
void exchange_trim_room(struct exchange *exchange);

/* For admission, or for room to read its body? */
bool exchange_waits(const struct exchange *exchange);

/* It waits and is refused: after `before`, what held it all the time, and that limit's value.
 * Counted, unless the client's own deadline is why. */
enum { EXCHANGE_WAIT_TEXT_SIZE = 400 };
void exchange_explain_wait(struct exchange *exchange, const char *before,
                           char out[EXCHANGE_WAIT_TEXT_SIZE]);

/* Keep `data` of the request's body. False: out of memory. */
bool exchange_keep_body(struct exchange *exchange, struct bytes data);

/* (Re)start the deadline for Chroma's next sign of life; stop both clocks. */
void exchange_start_deadline(struct exchange *exchange);
void exchange_stop_clocks(struct exchange *exchange);

/* The client is gone: count, log, let go. Once, and not after the reply has finished. */
void exchange_finish(struct exchange *exchange);

#endif
