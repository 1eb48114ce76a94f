/* coalescer_state - the data that the modules of the coalescer work on; nobody else includes it,
 * but for the test of one of them
 *
 * From the bottom to the top, each calls only those above it in this list:
 *
 *   coalescer_offender  whose writes go alone for a while
 *   coalescer_member    one write from its arrival to its release
 *   coalescer_limits    how much a batch may take, and who must go alone
 *   coalescer_barrier   when a barrier for all lanes goes, and whom it stops
 *   coalescer_lane      the lanes: which may send, whose turn it is, who gathers
 *   coalescer_deadline  whose time is over, or will be
 *   coalescer_order     dies where a batch would break the order of writes
 *   coalescer_merge     which members share the next call
 *   coalescer_outcome   what an outcome means for each member
 *   coalescer           what the caller sees: events come in, actions go out
 *
 * Words: a lane is *held* while a call of it that nobody waits for may yet be applied; a barrier
 * *stops* lanes; bytes are *kept*.
 *
 * A member is in exactly one of: its lane's `waiting`, its lane's `redo`, a batch in flight,
 * nowhere (answered). `queue` links it in the lists of the lane and then in those of the actions.
 */
#ifndef WRITES_COALESCER_STATE_H
#define WRITES_COALESCER_STATE_H

#include "base/binary_heap.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "writes/batch_cost.h"
#include "writes/coalescer_types.h"
#include "writes/id_set.h"

#define COALESCER_LANE_SIZE 16

/* One text of batch key, shared by the members that have it: equal keys are equal pointers. */
struct coalescer_key {
    size_t users, size;
    char   text[]; /* op, encoding, dimension, then the caller's batch_key */
};

struct coalescer_member {
    struct list_node        queue;
    struct list_node        all; /* coalescer->unanswered, in order of arrival */
    struct binary_heap_node deadline;
    struct coalescer_lane  *lane;
    struct coalescer_batch *batch; /* in flight with it, else NULL */
    struct coalescer_key   *key;   /* NULL: goes alone, in its place */
    void                   *ctx;
    uint64_t                number;          /* order of arrival */
    uint64_t                sender, address; /* hashes of these and the lane; 0: none */
    uint64_t                not_before_us;
    uint64_t                slack_us; /* between `deadline` and its end, if it is sent in time */
    size_t                  size;
    uint32_t                record_count, dimension;
    uint32_t                records_max; /* of a call that it shares */
    uint32_t                flow;
    uint32_t                records_done; /* by parts that were applied */
    uint32_t                attempts, refusals, unknowns;
    uint32_t                ends; /* of the backend, while it was in flight */
    unsigned                columns;
    enum coalescer_op       op;
    bool                    repeatable, repeatable_after_end;
    bool                    ends_segment; /* in `redo`: the last of those sent together */
    bool                    was_split;    /* from others, when their batch was refused */
    bool                    is_tainted;   /* may have been applied, in whole or in part */
    bool                    is_answered;
    bool                    is_clients; /* its deadline */
    bool                    is_picked;  /* for the batch that is being formed */
    enum coalescer_executed executed;
    enum status             status; /* STATUS_OK: the answer of `answer` */
    struct coalescer_batch *answer;
    uint64_t                id_hashes[];
};

enum coalescer_place {
    COALESCER_PLACE_NONE,   /* a batch is in flight */
    COALESCER_PLACE_IDLE,   /* nothing to send */
    COALESCER_PLACE_READY,  /* in the heap `ready`, by its turn */
    COALESCER_PLACE_ASLEEP, /* backing off: in the heap `asleep`, by the time */
    COALESCER_PLACE_HELD,   /* after a lost connection: likewise */
    COALESCER_PLACE_GLOBAL  /* the lane of barriers for all lanes, which has no place */
};

/* Turns go by the number of a lane's head. What is sent again comes before what never was. */
#define COALESCER_TURN_WAITING (UINT64_C(1) << 62)

struct coalescer_lane {
    unsigned char           key[COALESCER_LANE_SIZE];
    enum coalescer_place    place;
    struct list_node        node; /* idle */
    struct binary_heap_node turn; /* ready, asleep or held */
    struct list             redo; /* to be sent again, before and apart from what waits */
    struct list             waiting;
    struct coalescer_batch *in_flight;
    uint64_t                waiting_members, waiting_records;
    uint64_t                held_until_us; /* what waits is not sent before, 0: it may be */
    bool                    is_redoing;    /* counted in coalescer->lanes_redoing */

    /* Do clients come back when their batch returns? */
    uint64_t returned_us;      /* when the last batch did */
    uint64_t window_us;        /* how long they are waited for */
    uint64_t returned_members; /* its clients, */
    uint64_t come_back;        /* those who did within the window, */
    uint64_t population;       /* and with those who waited then */
    double   come_back_share;  /* of late */
    bool     is_counted;       /* in stats.gathers */
    bool     is_mixed;         /* writes of several flows waited since it was empty */
};

struct coalescer_batch {
    struct list_node       queue; /* in_flight, lent, undecided or ended */
    struct coalescer_lane *lane;
    void                  *ctx;
    uint64_t               id, sent_us;
    size_t                 size;
    uint32_t               attempt, records;
    uint32_t               part_first; /* if records < members[0]->record_count */
    uint64_t               decide_us;  /* undecided: until when an end of the backend explains it */
    bool                   is_lent, is_hung;
    bool                   has_ended; /* the backend, under it */
    size_t                 count;
    struct coalescer_member *members[];
};

struct coalescer {
    struct coalescer_options options;
    struct coalescer_stats   stats;
    struct batch_cost        cost;
    struct id_set            seen; /* by the batch that is being formed, and by its check */
    uint64_t                 members_numbered, batches_numbered;

    struct hash_map      *lanes, *keys, *offenders;
    struct list           offenders_by_age;
    double                split_share; /* of the calls of late */
    struct coalescer_lane all_lanes;   /* the barriers for all lanes */
    struct list           idle;
    struct binary_heap    ready, asleep, deadlines;
    size_t                lanes_redoing; /* not in flight, with something to be sent again */
    size_t                lanes_held;    /* after a lost connection, with somebody who waits */
    bool                  may_not_send;
    uint32_t              flow;     /* whose lanes send */
    uint64_t              turn_max; /* lanes with a turn below it could; as it was last looked at */

    /* The barrier for all lanes that is next. */
    uint64_t barrier_number;   /* 0: none that could go */
    uint64_t barrier_until_us; /* when it begins or ceases to stop the lanes, else UINT64_MAX */
    uint64_t barrier_open_us;  /* how long it does not */
    bool     barrier_stops;

    struct list unanswered; /* every member without an answer, oldest first */
    struct list in_flight;  /* batches, oldest first, */
    struct list lent;       /* those whose slot others may use, */
    struct list undecided;  /* and lost ones: did the backend end? */
    uint32_t    slots_used;
    size_t      batch_bytes_learned; /* SIZE_MAX: no limit was met */
    uint32_t    batch_records_learned;
    uint64_t    learned_until_us;
    uint64_t    gather_until_us; /* UINT64_MAX: no lane gathers */
    uint64_t    memory_retry_us; /* a send that memory lacked for; 0: none */

    struct list               answers, releases, ended; /* actions to be taken */
    struct coalescer_batch   *last_ended;               /* freed with the next action */
    struct coalescer_member **picked;                   /* for the batch that is being formed */
    size_t                    picked_capacity;
};

#endif
