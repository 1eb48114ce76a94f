/* exchange - one request, from its head to the last byte of its answer
 *
 *   on_request -> pass_path or write_path -> answer -> finished: counted and logged
 *
 * The path decides when and how the request goes to Chroma; answer.h brings Chroma's answer, or an
 * error of our own, to the client. A write whose client is gone becomes DETACHED: it goes on until
 * Chroma has answered.
 *
 * Private to proxy/.
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "chroma/chroma_route.h"
#include "front/front_connection.h"
#include "front/front_error.h"
#include "http/http_head.h"
#include "proxy/proxy_state.h"
#include "upstream/upstream_transfer.h"

enum exchange_state {
#define STATE(name, successors) EXCHANGE_##name,
#include "proxy/exchange_state.def"
#undef STATE
    EXCHANGE_STATES
};

struct exchange;
struct write_member;
struct write_lanes;

/* Who still needs the exchange; it is freed when nobody does. */
enum exchange_hold {
    EXCHANGE_HOLD_CLIENT = 1,   /* waits for its answer */
    EXCHANGE_HOLD_TRANSFER = 2, /* a write that goes on without its client */
    EXCHANGE_HOLD_SCAN = 4,     /* a worker reads the body */
    EXCHANGE_HOLD_LANE = 8      /* the coalescer may yet send it */
};

/* How a kind of request is brought to Chroma. */
struct exchange_path {
    void (*begin)(struct exchange *exchange);
    void (*on_body)(struct exchange *exchange, struct bytes data);
    void (*on_body_end)(struct exchange *exchange);
    void (*on_admitted)(struct exchange *exchange); /* the body may be read now */
    void (*on_deadline)(struct exchange *exchange); /* for the answer, or the turn */
    void (*on_client_gone)(struct exchange *exchange);
};

/* Why the body of an answer is kept beside, or instead of, being passed on as it comes. */
enum answer_keep {
    ANSWER_KEEP_NOT,
    ANSWER_KEEP_TO_LEARN,  /* a collection's dimension; passed on as it comes */
    ANSWER_KEEP_TO_RETRY,  /* it may be an error that goes away when asked again */
    ANSWER_KEEP_TO_REWRITE /* the limit on batches, where larger ones are split */
};

/* Who ended the exchange, for the log. */
enum exchange_end {
    EXCHANGE_END_OK,
    EXCHANGE_END_CLIENT,  /* it left, or sent what is not HTTP, or was too slow */
    EXCHANGE_END_BACKEND, /* it failed before or while answering */
    EXCHANGE_END_PROXY,   /* refused or given up by us */
};

struct exchange {
    struct proxy                *proxy;
    struct front_connection     *connection; /* NULL once the client is gone or answered */
    const struct http_head      *head;       /* valid until exchange_finish() */
    const struct socket_address *peer;       /* likewise */
    const struct exchange_path  *path;
    struct chroma_route          route; /* its spans are valid as long as `head` */
    enum exchange_state          state;
    unsigned                     holds; /* of enum exchange_hold */
    struct list_node             node;  /* in the proxy's list of these, or of spare ones */

    /* The request. */
    struct body_ticket        ticket;       /* the room reserved for `body` */
    struct body_gate         *lane_gate;    /* of a write's collection, or NULL, */
    struct body_ticket        lane_ticket;  /* and the room there */
    struct byte_buffer        body;         /* as far as it is kept */
    struct bytes              body_part;    /* `body`, as the transfer borrows it */
    struct byte_buffer        request_head; /* as sent to Chroma */
    struct upstream_transfer *transfer;     /* NULL before and after */
    struct timeout            deadline, wait_limit;
    bool                      is_streaming; /* the body goes to Chroma as it arrives */
    struct write_member      *member;       /* of a write that has a place in a lane */
    bool                      body_ended, was_retried, is_head;
    bool                      is_given_up; /* told that nothing is executed */

    /* The answer. */
    struct byte_buffer      answer;         /* its head, not sent yet */
    enum http_framing       answer_framing; /* towards the client */
    enum answer_keep        keep;           /* why its body is looked at */
    struct byte_buffer      kept;           /* the body, for that */
    const struct http_head *kept_head; /* of an answer that is not sent before it is complete */

    /* For counting and the log. Microseconds, monotonic; 0: did not happen. */
    uint64_t began_us, body_ended_us, started_us, connected_us, first_byte_us, answered_us;
    uint64_t overhead_us;                 /* spent in our own code */
    uint64_t request_bytes, answer_bytes; /* of the bodies */
    unsigned code;
    enum request_metrics_source source;
    enum front_executed         executed; /* to be said with Chroma's answer */
    enum exchange_end           end;
};

/* What a front calls; its context is the proxy. */
extern const struct front_handler exchange_handler;

/* Move to `state`; the move must be in the table. */
void exchange_move(struct exchange *exchange, enum exchange_state state);

/* Free it now, whoever holds it: at the end of the program. */
void exchange_free(struct exchange *exchange);

/* Write the head for Chroma into request_head, framed as `framing` says. False: out of memory. */
bool exchange_write_head(struct exchange *exchange, enum http_framing framing,
                         uint64_t content_length);

/* Reserve room for what may arrive next of a body of which at most `size_max` bytes are kept.
 * False: reading it is paused, and the path's on_admitted is called when there is room. */
bool exchange_reserve_body(struct exchange *exchange, uint64_t size_max);

/* Give up all reserved room. */
void exchange_free_room(struct exchange *exchange);

/* Keep `data` of the request's body. False: out of memory. */
bool exchange_keep_body(struct exchange *exchange, struct bytes data);

/* Send the request: head, and `body` as far as it is there. `streams`: more of it follows.
 * Otherwise as upstream_transfer_start(). */
MUST_CHECK enum status exchange_start_transfer(struct exchange *exchange, bool streams);

/* Has Chroma got it, as far as can be told? */
bool exchange_is_sent(const struct exchange *exchange);

/* (Re)start the deadline for Chroma's next sign of life; stop both clocks. */
void exchange_start_deadline(struct exchange *exchange);
void exchange_stop_clocks(struct exchange *exchange);

/* The client has its answer, or is gone: count, log, let go of the connection. Once. */
void exchange_finish(struct exchange *exchange);

/* The transfer goes on without the client. */
void exchange_detach(struct exchange *exchange);

/* `hold` does not need it any more. */
void exchange_let_go(struct exchange *exchange, enum exchange_hold hold);

#endif
