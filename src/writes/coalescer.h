/* coalescer - which waiting write goes to Chroma next, and together with whom?
 *
 *   coalescer_add() --> lane of its collection --> SEND batch --> coalescer_report()
 *                                                                       |
 *          member: ANSWER or REFUSE, then RELEASE;  batch: END <--------'
 *
 * A member is one client's write, complete and scanned. The members of one collection form a
 * lane; the head of the oldest lane is sent, alone or merged with later members that give every
 * client the same answer, and leave the same state, as if each had gone alone. Nothing is decided
 * about bytes here: the caller keeps bodies and answers, splices, sends and replies.
 *
 * It is a state machine of (event, now_us) and calls nobody back: after each coalescer_add() and
 * coalescer_report(), and when the time coalescer_wake_us() comes, the caller takes actions with
 * coalescer_next() until COALESCER_NONE, from the event loop and not from within the code that
 * added a member. `now_us` is monotonic and never goes back.
 *
 * A write that was sent is never cancelled. When its deadline passes, its client is refused with
 * COALESCER_EXECUTED_MAYBE and its lane stays held until the batch is reported, so the transport
 * must have no limit of its own on the time that Chroma takes for a write. When a client leaves,
 * nothing is to be done: its member lives on, and its answer is dropped by the caller.
 *
 * Thread: event loop only. Memory: for each write that is not finished some 300 bytes and 8 for
 * each of its records; how many records and bytes wait is the caller's to bound.
 */
#ifndef WRITES_COALESCER_H
#define WRITES_COALESCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"

struct coalescer;        /* all writes of one backend */
struct coalescer_batch;  /* what one SEND sends; borrowed from SEND to END */
struct coalescer_action; /* below */

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

struct coalescer_options {
    enum coalescer_role role;
    unsigned char       secret[16]; /* random; keys the hashes, so clients cannot aim at them */
    uint32_t            in_flight_max;
    uint32_t            batch_records_max; /* 0: by measured cost */
    size_t              batch_bytes_max;
    uint32_t            backend_records_max; /* Chroma's max_batch_size, 0 while not known */
    bool                split_oversize;      /* more records than that: send in parts */
    uint64_t            patience_us;
    uint32_t            members_max; /* unfinished writes */
    uint32_t            lanes_max;   /* collections remembered, busy or idle */
};

/* One write, as coalescer_add() takes it. Everything here is borrowed for that call only. */
struct coalescer_write {
    unsigned char           lane[16]; /* the collection's UUID; ignored for BARRIER_ALL */
    enum coalescer_kind     kind;
    enum coalescer_op       op;
    enum coalescer_encoding encoding;
    uint32_t                dimension;  /* of its vectors, 0 without; read if MERGEABLE */
    bool                    repeatable; /* sent twice in a row it does what it does once */
    struct bytes            batch_key;  /* what must be equal, byte for byte, to share a call: path,
                                         * query, relevant headers, credentials. The coalescer adds
                                         * op, encoding and dimension. Read if MERGEABLE */
    struct bytes identity;              /* whose refused requests make him go alone: credential or
                                         * client address */
    const struct bytes *ids;            /* decoded, `record_count` of them; read if MERGEABLE */
    uint32_t            record_count;   /* 0 where it cannot be told */
    size_t              size;           /* bytes that it adds to a batch, at most */
    uint64_t            deadline_us;    /* when its client is refused if it has no answer; earlier,
                                         * unsent, when its answer would come later than that and
                                         * others wait behind it */
    void *ctx;                          /* names the member in actions; not NULL */
};

enum coalescer_outcome_kind {
    COALESCER_ANSWERED, /* by HTTP: see `http_status` */
    COALESCER_NOT_SENT, /* connection refused, or reset before the first byte was sent */
    COALESCER_RESET     /* the connection died, or the answer was not HTTP, after a byte was sent */
};

struct coalescer_outcome {
    enum coalescer_outcome_kind kind;
    int                         http_status;       /* 100..599 if ANSWERED */
    bool                        admission_refusal; /* 429 or above that is known to be said before
                                                    * anything is applied */
    bool quota_refusal; /* the body says that there are too many records */
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
    uint64_t batch_splits;   /* batches cut in two, or into single writes, after a refusal */
    uint64_t resends;        /* the same batch again after an unknown outcome */
    uint64_t retries;        /* the same batch again after a refusal of admission */
    uint64_t unknown;        /* outcomes that may or may not have been applied */
    uint64_t expired_unsent; /* members refused at their deadline, certainly not applied */
    uint64_t expired_sent;   /* members refused at their deadline, perhaps applied */
    uint64_t no_room;        /* coalescer_add() that said OVERLOADED */
    uint64_t gathers;        /* sends put off for clients that come back */
    uint64_t offences;       /* refusals that make an identity go alone */
    /* now */
    uint64_t waiting_members, waiting_records, waiting_bytes;
    uint64_t in_flight;      /* batches sent and not reported */
    uint64_t hung;           /* of these, without answer at a deadline or beyond the patience */
    uint64_t held_lanes;     /* lanes with waiting members behind a hung batch */
    uint64_t lanes;          /* known collections */
    uint64_t unfinished;     /* members not released */
    uint64_t oldest_sent_us; /* when the oldest batch in flight was sent, 0 without one */
};

/* `options` is borrowed. NULL: no memory. */
struct coalescer *coalescer_new(const struct coalescer_options *options);

/* Forget everything at once; no actions follow. */
void coalescer_free(struct coalescer *coalescer);

/* Limits that became known or changed while running; the rest of the options stays. */
void coalescer_set_backend(struct coalescer *coalescer, uint32_t in_flight_max,
                           uint32_t backend_records_max);

/* The dimension of a collection was read from Chroma's own answer (create, get, list): its writes
 * may be merged from now on. 0 is ignored. A 2xx to add or upsert teaches by itself. */
void coalescer_learn_dimension(struct coalescer *coalescer, const unsigned char lane[16],
                               uint32_t dimension);

/* A write arrived. Its place in its lane is taken now.
 *
 * STATUS_OK          its ctx gets ANSWER or REFUSE once, then RELEASE once, from coalescer_next().
 *                    Until RELEASE the caller keeps what it needs to send and to answer it.
 * STATUS_OVERLOADED  there is no room for so many writes or collections, nothing was taken.
 * STATUS_NO_MEMORY   nothing was taken. */
MUST_CHECK enum status coalescer_add(struct coalescer             *coalescer,
                                     const struct coalescer_write *write, uint64_t now_us);

/* The outcome of a batch that was sent: exactly once for each SEND, however late. */
void coalescer_report(struct coalescer *coalescer, struct coalescer_batch *batch,
                      const struct coalescer_outcome *outcome, uint64_t now_us);

/* The next thing to do at `now_us`. */
void coalescer_next(struct coalescer *coalescer, uint64_t now_us,
                    struct coalescer_action *ret_action);

/* When coalescer_next() must be called although nothing happened; UINT64_MAX: never. */
uint64_t coalescer_wake_us(const struct coalescer *coalescer);

/* Nothing waits, is in flight or has an action to be taken: drained. */
bool coalescer_is_idle(const struct coalescer *coalescer);

/* Brought up to date and borrowed until the next call. */
const struct coalescer_stats *coalescer_stats(struct coalescer *coalescer);

/* The members of a batch in the order in which they are to be spliced: their ctx. */
size_t coalescer_batch_count(const struct coalescer_batch *batch);
void  *coalescer_batch_member(const struct coalescer_batch *batch, size_t index);

/* True where the batch is a part of its one member: the records from *ret_first on,
 * *ret_count of them. Each part is sent as a request of its own. */
bool coalescer_batch_is_part(const struct coalescer_batch *batch, uint32_t *ret_first,
                             uint32_t *ret_count);

/* For the log: a number that no other batch has, and how often these members were sent before. */
uint64_t coalescer_batch_id(const struct coalescer_batch *batch);
uint32_t coalescer_batch_attempt(const struct coalescer_batch *batch);

/* The caller's own pointer, NULL at first: its transfer, the answer it keeps. */
void  coalescer_batch_set_ctx(struct coalescer_batch *batch, void *ctx);
void *coalescer_batch_ctx(const struct coalescer_batch *batch);

#endif
