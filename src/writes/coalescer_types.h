/* coalescer_types - what the coalescer and its caller tell each other; see coalescer.h
 *
 * Plain data. Memory: the structs.
 */
#ifndef WRITES_COALESCER_TYPES_H
#define WRITES_COALESCER_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct coalescer_batch; /* what one SEND sends; borrowed from SEND to END */

/* Whoever has the oldest write. */
#define COALESCER_ANY_FLOW UINT32_MAX

enum coalescer_role {
    COALESCER_SIDECAR, /* others may write too: what may have been applied is never sent again */
    COALESCER_GATEWAY  /* every write comes through here */
};

enum coalescer_op {
    COALESCER_ADD,
    COALESCER_UPSERT,
    COALESCER_UPDATE,
    COALESCER_OTHER, /* never merged */
    COALESCER_OP_COUNT
};

enum coalescer_kind {
    COALESCER_MERGEABLE,  /* proven to pass alone, so it may share a call */
    COALESCER_BARRIER,    /* alone, in its place in its lane: what came before it is finished */
    COALESCER_BARRIER_ALL /* alone, in its place among all lanes */
};

/* How the embeddings are written; batches are of one encoding. */
enum coalescer_encoding { COALESCER_NO_VECTORS, COALESCER_ARRAYS, COALESCER_BASE64 };

/* Which columns a write has; a set of these. */
enum coalescer_columns {
    COALESCER_EMBEDDINGS = 1,
    COALESCER_METADATAS = 2,
    COALESCER_DOCUMENTS = 4,
    COALESCER_URIS = 8
};

/* What is known of the backend and may change while running. Zero, but for in_flight_max, is what
 * holds of a backend of which nothing is known: nothing is merged. */
struct coalescer_backend {
    uint32_t in_flight_max; /* calls at a time, at least 1 */
    uint32_t records_max;   /* Chroma's max_batch_size, 0 while not known */
    bool     may_merge;     /* it is proved that it takes merged writes as it takes each alone */
    bool     same_columns_only; /* null has a meaning of its own: no column may be filled up */
};

struct coalescer_options {
    enum coalescer_role role;
    unsigned char       secret[16];   /* random; keys the hashes, so clients cannot aim at them */
    struct coalescer_backend backend; /* at first */
    bool is_supervised;         /* the caller started the backend, nobody else has its address, and
                                 * coalescer_backend_ended() will be told */
    uint32_t batch_records_max; /* 0: by measured cost */
    size_t   batch_bytes_max;
    bool     split_oversize; /* more records than the backend takes: send in parts */
    uint64_t patience_us;
    uint32_t members_max; /* unfinished writes */
    uint32_t lanes_max;   /* collections remembered, busy or idle */

    /* The dimension of the collection `lane`, 0 while it is not known: its writes go alone then. A
     * look-up without effects, asked whenever a batch is formed. The caller learns it, from the
     * collection's description and from a 2xx to an add or upsert with vectors, the latter before
     * it takes the next action. A refusal teaches nothing. NULL: never known. */
    uint32_t (*dimension)(void *ctx, const unsigned char lane[16]);
    void *dimension_ctx;
};

/* One write, as coalescer_add() takes it. Everything here is borrowed for that call only. */
struct coalescer_write {
    unsigned char           lane[16]; /* the collection's UUID; ignored for BARRIER_ALL */
    enum coalescer_kind     kind;
    enum coalescer_op       op;
    enum coalescer_encoding encoding;
    uint32_t                dimension;  /* of its vectors, 0 without; read if MERGEABLE */
    unsigned                columns;    /* present in it: enum coalescer_columns */
    bool                    repeatable; /* sent twice in a row it does, and answers, what it does
                                         * once: add, upsert, update, delete by ids */
    bool         repeatable_after_end;  /* only once the backend has certainly ended */
    struct bytes batch_key;             /* what must be equal, byte for byte, to share a call: path,
                                         * query, relevant headers, credentials. The coalescer adds
                                         * op, encoding and dimension. Read if MERGEABLE */
    struct bytes sender;     /* whose writes go alone when they have cost others: its connection */
    struct bytes address;    /* the same in a wider sense, credential or client address: it counts
                              * only while more than a tenth of the calls are split. Empty: none */
    const struct bytes *ids; /* decoded, `record_count` of them; read if MERGEABLE */
    uint32_t            record_count; /* 0 where it cannot be told */
    uint32_t            records_max;  /* of a call that it shares; 0: no bound of its own */
    uint32_t            flow;         /* for whose sake it is sent: see coalescer_set_flow() */
    size_t              size;         /* bytes that it adds to a batch, at most */
    uint64_t            deadline_us;  /* when its client is refused if it has no answer; earlier,
                                       * unsent, when its answer would come later than that and
                                       * others wait behind it */
    bool is_clients;   /* the client chose the deadline: that it passes says nothing of the call */
    uint64_t slack_us; /* unsent, it is refused so much before its deadline: no call is faster */
    void    *ctx;      /* names the member in actions; not NULL */
};

enum coalescer_outcome_kind {
    COALESCER_ANSWERED, /* by HTTP: see `http_status` */
    COALESCER_NOT_SENT, /* connection refused, or reset before the first byte was sent */
    COALESCER_RESET,    /* the connection died, or the answer was not HTTP, after a byte was sent */
    COALESCER_APART     /* not sent, as its members may not share a call: take it apart */
};

struct coalescer_outcome {
    enum coalescer_outcome_kind kind;
    int                         http_status;       /* 100..599 if ANSWERED */
    bool                        admission_refusal; /* 429 or above that is known to be said before
                                                    * anything is applied */
    bool     is_refusal;    /* the write was refused, so nothing was applied, whatever the status */
    bool     quota_refusal; /* the body says that there are too many records */
    bool     is_passing;    /* the client of a lone write is being given it: it is the last word */
    uint64_t retry_at_us;   /* the backend asks for no repeat before; past: it does not */
};

enum coalescer_action_kind {
    COALESCER_NONE,    /* nothing to do until coalescer_wake_us() or the next event */
    COALESCER_SEND,    /* send `batch`, report its outcome exactly once */
    COALESCER_ANSWER,  /* `member` gets the answer that was reported for `batch` */
    COALESCER_REFUSE,  /* `member` gets an error of our own: `status` */
    COALESCER_RELEASE, /* `member` was answered and its bytes are read no more: free them */
    COALESCER_END,     /* `batch` was reported and its answers were given: free its answer */
    COALESCER_HELD     /* `batch` has no answer for so long that others may pass; for the log */
};

/* X-Chromabouncer-Executed. UNSAID where the answer itself tells. */
enum coalescer_executed {
    COALESCER_EXECUTED_UNSAID,
    COALESCER_EXECUTED_NO,
    COALESCER_EXECUTED_MAYBE
};

struct coalescer_action {
    enum coalescer_action_kind kind;
    void                      *member;   /* its ctx: ANSWER, REFUSE, RELEASE */
    struct coalescer_batch    *batch;    /* SEND, ANSWER, END, HELD */
    enum status                status;   /* REFUSE: TIMED_OUT or BACKEND_RESET */
    enum coalescer_executed    executed; /* ANSWER, REFUSE */
};

/* Upper bounds of the buckets of batch_requests and batch_records: 1, 2, 4, .. 4096, infinite. */
#define COALESCER_BUCKETS 14

struct coalescer_stats {
    uint64_t batch_requests[COALESCER_OP_COUNT][COALESCER_BUCKETS]; /* not cumulated */
    uint64_t batch_records[COALESCER_OP_COUNT][COALESCER_BUCKETS];
    uint64_t batch_requests_sum[COALESCER_OP_COUNT];
    uint64_t batch_records_sum[COALESCER_OP_COUNT];
    uint64_t batch_splits; /* batches cut in two, or into single writes, after a refusal */
    uint64_t resends;      /* a batch again after an unknown outcome, or after the backend ended */
    uint64_t retries;      /* the same batch again after a refusal of admission */
    uint64_t unknown;      /* outcomes that may or may not have been applied */
    uint64_t expired_unsent; /* members refused at their deadline, certainly not applied */
    uint64_t expired_sent;   /* members refused at their deadline, perhaps applied */
    uint64_t no_room;        /* coalescer_add() that said OVERLOADED */
    uint64_t gathers;        /* sends put off for clients that come back */
    uint64_t offences; /* refusals that cost others a split, so that their sender goes alone */
    /* now */
    uint64_t waiting_members, waiting_records, waiting_bytes;
    uint64_t in_flight;      /* batches sent and not reported */
    uint64_t hung;           /* of these, without answer at a deadline or beyond the patience */
    uint64_t held_lanes;     /* lanes whose members wait behind a hung or lost batch */
    uint64_t lanes;          /* known collections */
    uint64_t unfinished;     /* members not released */
    uint64_t oldest_sent_us; /* when the oldest batch in flight was sent, 0 without one */
};

#endif
