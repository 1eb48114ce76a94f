/* proxy_state - what all requests share: the struct behind proxy.h
 *
 * Nothing is done here: each part has a module of its own.
 */
#ifndef CALLS_PROXY_STATE_H
#define CALLS_PROXY_STATE_H

#include "base/list.h"
#include "base/memory_account.h"
#include "calls/admission.h"
#include "calls/client_deadline.h"
#include "calls/finished_request.h"
#include "calls/lane_rooms.h"
#include "calls/limits_state.h"
#include "calls/proxy_options.h"
#include "calls/read_repeats.h"
#include "calls/request_metrics.h"
#include "chroma/chroma_family.h"
#include "chroma/collection_table.h"
#include "chroma/write_observer.h"
#include "io/loop.h"
#include "io/timeout_queue.h"
#include "io/worker_pool.h"
#include "limits/turn_queue.h"
#include "upstream/upstream_pool.h"

struct auth;
struct backend_breaker;
struct cache_verify;
struct guard;
struct lane_stay;
struct mirror_keeper;
struct mirror_lookup;
struct mirror_verify;
struct mirror_path;
struct read_cache;
struct read_limit;
struct services;
struct write_alone;
struct write_lanes;

/* How many records a distributed Chroma takes at once; others take more. */
enum { PROXY_DISTRIBUTED_BATCH_RECORDS = 1000 };

struct proxy {
    struct loop                  *loop;
    struct worker_pool           *workers;
    struct memory_account_budget *budget;
    struct upstream_pool         *pool;
    struct proxy_options          options;
    struct proxy_write_options    write_options;
    unsigned char                 secret[16];   /* random; keys hashes of what clients choose */
    uint64_t                      trace_prefix; /* random; of the trace contexts of merged calls */

    /* What is known of the backend. */
    enum chroma_family family;
    uint64_t           incarnation;          /* of which it is known */
    bool               is_lost;              /* and no other was reached since */
    uint64_t           lost_us;              /* when that was known last; 0: never */
    uint64_t           reached;              /* moves when another one was */
    void (*on_reached)(struct proxy *proxy); /* what the folders above do then */
    bool     is_supervised;                  /* we run it, and hear of its end */
    uint64_t settled_us;                     /* before that, unless it is supervised, a write that
                                                a process before this one sent may be applied yet */
    bool                     is_single;      /* certainly one process, not a distributed Chroma */
    uint64_t                 ends;           /* of Chromas that we ran: a proof for what they had */
    uint64_t                 ended_us;       /* when we heard of the last of them; 0: of none */
    uint64_t                 distrusts;      /* moves when something was changed unseen, they say */
    struct collection_table *collections;
    void (*on_write_answer)(void *ctx, enum chroma_operation operation, unsigned status,
                            struct bytes body); /* NULL: nobody */
    void *write_answer_ctx;
    /* Who may ask Chroma something before a write is sent, while its lane is held
     * (lanes/lane_stay.h). NULL: nobody. True: it stays until lane_stay_end(). */
    bool (*on_lane)(void *ctx, struct lane_stay *stay, struct turn *turn);
    void                  *lane_ctx;
    struct write_observers observers; /* of whatever may change something; the table is first */

    struct guard         *guard;         /* NULL: nothing was ever guarded */
    struct read_cache    *cache;         /* NULL: none */
    struct cache_verify  *verify;        /* NULL: nothing was verified yet */
    struct mirror_keeper *mirror;        /* NULL: nothing was ever copied */
    struct mirror_lookup *mirror_lookup; /* NULL: no name was ever looked up for a copy */
    struct mirror_verify *mirror_verify; /* NULL: no copy was ever verified */
    struct mirror_path   *mirror_path;   /* NULL: nothing was ever copied */
    bool                  is_gateway;

    /* Who waits for what, in the order in which it is taken. */
    struct admission    admission;  /* of requests */
    struct lane_rooms  *lane_rooms; /* a collection's part of the room for writes, */
    struct lane_rooms  *read_rooms; /* a service's of that for reads */
    struct write_lanes *lanes;
    struct write_alone *alone;        /* writes that are in none */
    uint64_t            deletes_lost; /* by a filter, with a Chroma that we ran */
    struct turn_queue  *turns;
    struct read_limit  *read_limit; /* how many reads get one */
    struct loop_timer  *shed_timer; /* when the next one has waited for too long */
    uint64_t            shed_us;    /* for which it is set */
    struct auth        *auth;       /* NULL: nobody ever needed a key */
    struct services    *services;   /* NULL: they were never told apart */

    struct backend_breaker *breaker;
    struct read_repeats     repeats_made;
    struct client_deadlines client_deadlines;

    struct turn           control_turns[2]; /* of the proxy's own calls */
    bool                  control_is_taken[2];
    struct turn           lanes_turn; /* for the next batch of writes, */
    struct loop_task     *lanes_task; /* which runs when it is granted */
    struct loop_task      room_task;  /* serves those who wait for room */
    struct loop_timer    *hung_timer;
    struct list           calls; /* sent and without an answer, the oldest first */
    struct timeout_queue *read_deadlines, *write_deadlines, *wait_limits;
    struct timeout_queue *shed_waits; /* in place of wait_limits where reads are refused early */
    struct timeout_queue *repeats;    /* of reads that a dead Chroma did not answer */
    struct list           exchanges, spare_exchanges; /* requests with a client, and for the next */
    size_t                exchange_count, spare_count;
    struct list           writes; /* with a client or without */
    struct list           write_calls;
    struct request_metrics metrics;
    struct limits_refused  refused;     /* but for what read_limit.h counts */
    finished_request_fn   *on_finished; /* NULL: nobody wants to know */
    void                  *on_finished_ctx;
    struct look_budget     looks; /* at bodies, for on_finished */
};

/* Bytes that the body of a write may have, by body_max or what Chroma takes; 0: by memory_max only.
 */
uint64_t proxy_state_body_max(const struct proxy *proxy);

/* Another Chroma than the one that was lost has answered: copies and trust of before are void. */
void proxy_state_note_reached(struct proxy *proxy);

/* May Chroma be another one without anybody noticing, until the next check? We do not run it, and
 * no connection is kept to hear of its end (decision 0019). */
bool proxy_state_is_unwatched(const struct proxy *proxy);

#endif
