/* flow_backend - a backend in a flow test: reads requests, notes them, answers as planned
 *
 * A request says in its target who it is: `?id=7&n=1000&m=2000` has 1000 bytes of body and wants
 * 2000. Bodies are made of a pattern that id and direction determine, so that every byte can be
 * checked at the other end. A write without an id carries records (`"ids":["w7",..]`), each of them
 * one client's, and its answer names them: `X-Ids: ,7,8,`.
 */
#ifndef FLOW_FLOW_BACKEND_H
#define FLOW_FLOW_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/list.h"
#include "flow/fake_net.h"
#include "http/http_reader.h"

enum { FLOW_BACKEND_RECORDS_MAX = 1024 };

enum flow_fault {
    FLOW_FAULT_NONE,
    FLOW_FAULT_RESET_AT_HEAD, /* reset as soon as the request's head is there */
    FLOW_FAULT_RESET_BEFORE,  /* reset when the request is there, nothing is applied */
    FLOW_FAULT_RESET_AFTER,   /* apply, then reset */
    FLOW_FAULT_CLOSE_AFTER,   /* apply, then close without a word */
    FLOW_FAULT_HALF_HEAD,     /* apply, half of the answer's head, then close */
    FLOW_FAULT_HALF_ANSWER,   /* apply, half of the answer, then reset */
    FLOW_FAULT_HALF_CLOSE,    /* apply, half of the answer, then close */
    FLOW_FAULT_GARBAGE,       /* apply, then an answer that is not HTTP */
    FLOW_FAULT_TOO_LONG,      /* apply, then an answer longer than declared */
    FLOW_FAULT_EARLY_CLOSE,   /* answer at the head, do not read the body, close unannounced */
    FLOW_FAULT_EARLY_DRAIN,   /* answer at the head, read the body, go on */
    FLOW_FAULT_UNANNOUNCED,   /* answer, then close without having said so */
    FLOW_FAULT_UNSOLICITED,   /* answer, later send what nobody asked for */
    FLOW_FAULT_INTERIM,       /* 100 and 103 before the answer */
    FLOW_FAULT_FINDING_ID,    /* 500 Error finding id, the first time */
    FLOW_FAULT_IN_PIECES,     /* the answer in small pieces with pauses */
    FLOW_FAULT_LEAVES_HALF,   /* half of the answer, then silence */
    FLOW_FAULT_COUNT
};

struct flow_plan {
    enum flow_fault   fault;
    unsigned          status;          /* 0: 200 */
    enum http_framing framing;         /* NONE: LENGTH */
    uint64_t          delay_us;        /* from the request to the answer */
    uint64_t          later_us;        /* from the answer to what follows it */
    bool              close;           /* says Connection: close, and does it after later_us */
    bool              only_interim;    /* INTERIM, and then a reset */
    bool              answers_halfway; /* begin to answer at the head; end it after the body */
    const char       *fields;          /* more fields; NULL: none */
    const char       *body;            /* of the answer, with a length; NULL: the pattern */
    bool              is_bare;         /* only those, as a real Chroma's */
};

struct flow_record {
    unsigned heads, complete, applied, answered; /* times */
    unsigned cancelled;                          /* the proxy closed before the answer */
    bool     is_write, body_is_wrong;
    bool     finding_id_told;
};

struct flow_backend {
    struct flow_backend_connection *connections; /* all of the world */
    struct flow_record              records[FLOW_BACKEND_RECORDS_MAX];
    struct flow_plan                plan; /* of every request, unless on_plan says otherwise */
    void (*on_plan)(struct flow_backend *backend, unsigned id, struct flow_plan *plan, void *ctx);
    /* Of requests without an id: first when one is complete, then when its answer is due, unless
     * `plan` has it end otherwise; what is appended to `answer` in either is the body. NULL: none.
     */
    void (*on_request)(struct flow_backend *backend, const char *target, struct bytes body,
                       bool is_due, struct flow_plan *plan, struct byte_buffer *answer, void *ctx);
    void              *ctx;
    size_t             batch_peak; /* the most clients that shared a call */
    size_t             request_count, busy, busy_peak, accepted;
    size_t             early_bytes;     /* of a next request before the answer */
    size_t             read_per_second; /* of each connection; 0: no limit */
    bool               reads;
    bool               swaps_bodies; /* a mutant: answers carry another request's body */
    bool               bad_http;     /* a request was not valid HTTP */
    struct byte_buffer last_head;    /* of the last request, as received */
    struct byte_buffer last_body;    /* of the last without an id, as far as it came */
    unsigned           order[FLOW_BACKEND_RECORDS_MAX]; /* ids as their heads arrived */
    uint64_t           body_bytes;
    uint64_t           idle_close_us; /* close connections idle for this long; 0: never */
};

/* Zero-initialised but for `reads`. */
void flow_backend_serve(struct flow_backend *backend, uint16_t port);
void flow_backend_done(struct flow_backend *backend);

/* Close every connection, as a process that ends does; reset them, as one that is killed may. */
void flow_backend_quit(struct flow_backend *backend);
void flow_backend_kill(struct flow_backend *backend);

/* Read again where it did not. */
void flow_backend_go_on(struct flow_backend *backend);

/* "GET /path?id=..." as text, NUL-terminated. */
const char *flow_backend_last_head(struct flow_backend *backend);

#endif
