/* write - one write of one client, from its last byte to Chroma's word on it
 *
 * A write lives by itself: it owns its route, heads, identity, body, records and room. Who waits
 * for its answer may leave at any time; a complete write is sent all the same, as its client cannot
 * know whether it was.
 *
 *   write_new() -> write_scan() -> [lane] -> sent -> waiter: on_answer, on_stream or on_refused
 *                                                         -> write_free()
 *
 * Thread: event loop only, but for write_scan().
 */
#ifndef LANES_WRITE_H
#define LANES_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/list.h"
#include "base/memory_account.h"
#include "base/status.h"
#include "calls/access_log.h"
#include "calls/answer_sink.h"
#include "calls/call.h"
#include "calls/lane_rooms.h"
#include "calls/proxy_state.h"
#include "chroma/chroma_records.h"
#include "chroma/chroma_route.h"
#include "front/front_error.h"
#include "http/http_head.h"
#include "io/timeout_queue.h"
#include "io/worker_pool.h"
#include "lanes/lane_stay.h"
#include "writes/coalescer.h"

struct guard_look;
struct write;
struct write_waiter;

/* May it be sent, when it has waited? See write_permit.h. */
enum write_permission {
    WRITE_PERMITTED,
    WRITE_REFUSED,  /* who waits was told; it must never be sent */
    WRITE_UNDECIDED /* Chroma is being asked: try again later */
};

/* Embedded in what its owner knows; freed with the write. */
struct write_permit {
    enum write_permission (*judge)(struct write_permit *permit, struct write *write);
    void (*free)(struct write_permit *permit);
};

/* Whom a write's end is told: exactly one of on_answer, on_stream and on_refused, once, from the
 * loop, and nothing after write_leave(). */
struct write_waiter_ops {
    /* A 1xx head, of a write that went alone. Borrowed. */
    void (*on_interim)(struct write_waiter *waiter, const struct http_head *head);

    /* Chroma has answered, this. Borrowed for the call. */
    void (*on_answer)(struct write_waiter *waiter, const struct http_head *head, struct bytes body,
                      enum front_executed executed);

    /* Chroma answers, and the answer is long: it is given to the returned sink, head first, as it
     * comes from `source`, which a slow client pauses, until its end or write_leave(). */
    struct answer_sink *(*on_stream)(struct write_waiter *waiter, struct call *source,
                                     enum front_executed executed);

    /* There is no answer. `message` is borrowed; NULL: the status' own text. */
    void (*on_refused)(struct write_waiter *waiter, enum status status,
                       enum front_executed executed, const char *message);
};

/* Embedded in who waits. */
struct write_waiter {
    const struct write_waiter_ops *ops;
    struct access_record          *record; /* where times are noted */
};

/* The head of the request and its body, as they are handed over. */
struct write_request {
    const struct http_head      *head;        /* borrowed for the call */
    const struct chroma_route   *route;       /* likewise */
    const struct socket_address *peer;        /* likewise */
    const void                  *sender;      /* the connection: only compared, it may be gone */
    struct byte_buffer          *body;        /* taken */
    struct memory_claim         *room;        /* taken */
    struct lane_ticket          *lane_room;   /* taken */
    struct call_origin           origin;      /* if it goes alone; */
    uint32_t                     lane_flow;   /* if its lane goes for its sake */
    uint32_t                     records_max; /* of a call that it shares; 0: none of its own */
    uint64_t                     arrived_us;
    uint64_t                     deadline_us;
    bool                         is_clients_deadline;
    uint64_t                     slack_us; /* no such call is faster */
};

struct write {
    struct proxy       *proxy;
    struct list_node    node;   /* in proxy->writes */
    struct chroma_route route;  /* its spans point into `head` */
    struct byte_buffer  head;   /* as sent alone */
    const void         *sender; /* its connection; only compared */
    struct byte_buffer  body;
    struct bytes        body_part; /* `body`, as a call borrows it */

    /* Of one that may share a call. */
    struct byte_buffer shared_head; /* as sent with others, up to what a call adds of its own;
                                     * compared byte for byte to find those others */
    struct byte_buffer identity;    /* credentials, else the client's address */

    struct chroma_records records;
    bool                  is_eligible; /* proven to pass alone; `records` is filled */
    struct worker_job     scan_job;

    struct memory_claim room;
    struct lane_ticket  lane_room;
    uint64_t            arrived_us, deadline_us, slack_us;
    bool                is_clients_deadline;
    bool                is_in_lane;  /* the coalescer has it, and minds its deadline */
    bool                is_given_up; /* its client was told that nothing is executed */

    /* May it be sent, when it has waited? NULL: yes. See write_permit.h. */
    struct write_permit *permit;
    bool                 was_sent, is_refused;

    struct call_origin origin;
    uint32_t           lane_flow, records_max;
    uint64_t           lane_charge_us; /* of its batch, whose first it is: see lane_order.h */
    uint32_t           lane_charge_flow;

    struct write_waiter *waiter;    /* NULL: nobody waits */
    struct answer_sink  *stream_to; /* where a long answer goes; NULL: nowhere */
    struct write_call   *call;      /* of one that goes alone; NULL before and after */
    struct access_batch  batch;     /* the last call that it was part of */
    unsigned             losses;    /* calls to a Chroma of our own whose connection broke */

    /* Of one that changes names: write_settle.h. */
    uint64_t           name; /* its hash; 0: it may be any */
    bool               can_settle, is_contested;
    struct write_look *look; /* under way; else NULL */

    /* Of one that may take something from what is guarded: guard_look.h; else NULL. */
    struct guard_look *guard;
    void (*on_free)(struct write *write);

    struct lane_stay stay;

    /* Of one that goes by itself. */
    bool           is_lost; /* with its last call, and it may be sent again if Chroma ended */
    uint64_t       ends;    /* proxy->ends when it was sent */
    uint64_t       lost_us;
    struct timeout again; /* of one that goes by itself, while Chroma is down */
};

/* Take over a complete request. NULL when out of memory: then nothing was taken. */
struct write *write_new(struct proxy *proxy, const struct write_request *request,
                        struct write_waiter *waiter);

/* Free it and give its room back; nobody may wait. NULL is a no-op. */
void write_free(struct write *write);

/* It holds `more` bytes more, which are there already: they are charged with its body. */
void write_charge(struct write *write, size_t more);

/* Has a call begun that it is part of? */
bool write_is_sent(const struct write *write);

/* Nobody waits any more, or takes its long answer. */
void write_leave(struct write *write);

/* Scan the body: sets is_eligible. On any thread, if nobody else touches the write meanwhile. */
void write_scan(struct write *write);

/* Describe the write to the coalescer; `ret_write` borrows from it. */
void write_describe(const struct write *write, uint64_t now_us, struct coalescer_write *ret_write);

/* Tell who waits, if anybody does, and that he need not wait any more. */
void write_tell_answer(struct write *write, const struct http_head *head, struct bytes body,
                       enum front_executed executed);
void write_tell_stream(struct write *write, struct call *source, enum front_executed executed);
void write_tell_refused(struct write *write, enum status status, enum front_executed executed,
                        const char *message);

#endif
