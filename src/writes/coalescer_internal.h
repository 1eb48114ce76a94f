/* coalescer_internal - what the files of the coalescer share; nobody else includes it
 *
 *   coalescer.c           what the caller sees: events come in, actions go out
 *   coalescer_member.c    one write from its arrival to its release
 *   coalescer_lane.c      the lanes: which may send, whose turn it is, who gathers
 *   coalescer_batch.c     which members share the next call
 *   coalescer_outcome.c   what an outcome means for each member
 *   coalescer_offender.c  whose writes go alone for a while
 *
 * A member is in exactly one of: its lane's `waiting`, its lane's `redo`, a batch in flight,
 * nowhere (answered). `queue` links it in the lists of the lane and then in those of the actions.
 */
#ifndef WRITES_COALESCER_INTERNAL_H
#define WRITES_COALESCER_INTERNAL_H

#include "base/binary_heap.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "writes/batch_cost.h"
#include "writes/coalescer.h"
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
    uint64_t                number;   /* order of arrival */
    uint64_t                offender; /* hash of identity and lane */
    uint64_t                not_before_us;
    size_t                  size;
    uint32_t                record_count, dimension;
    uint32_t                records_done; /* by parts that were applied */
    uint32_t                attempts, refusals, unknowns;
    enum coalescer_op       op;
    bool                    repeatable;
    bool                    ends_segment; /* in `redo`: the last of those sent together */
    bool                    is_tainted;   /* may have been applied, in whole or in part */
    bool                    is_answered;
    enum coalescer_executed executed;
    enum status             status; /* STATUS_OK: the answer of `answer` */
    struct coalescer_batch *answer;
    uint64_t                id_hashes[];
};

enum coalescer_place {
    COALESCER_PLACE_NONE,    /* a batch is in flight */
    COALESCER_PLACE_IDLE,    /* nothing to send */
    COALESCER_PLACE_READY,   /* in the heap `ready`, by the number of its head */
    COALESCER_PLACE_ASLEEP,  /* backing off: in the heap `asleep`, by the time */
    COALESCER_PLACE_BLOCKED, /* its head came after a barrier for all lanes */
    COALESCER_PLACE_GLOBAL   /* the lane of these barriers itself, which has no place */
};

struct coalescer_lane {
    unsigned char           key[COALESCER_LANE_SIZE];
    enum coalescer_place    place;
    struct list_node        node; /* idle or blocked */
    struct binary_heap_node turn; /* ready or asleep */
    struct list             redo; /* to be sent again, before and apart from what waits */
    struct list             waiting;
    struct coalescer_batch *in_flight;
    uint64_t                waiting_members, waiting_records;
    uint32_t                dimension; /* 0: not known */

    /* Do clients come back when their batch returns? */
    uint64_t returned_us;      /* when the last batch did */
    uint64_t window_us;        /* how long they are waited for */
    uint64_t returned_members; /* its clients, */
    uint64_t come_back;        /* those who did within the window, */
    uint64_t population;       /* and with those who waited then */
    double   come_back_share;  /* of late */
    bool     is_counted;       /* in stats.gathers */
};

struct coalescer_batch {
    struct list_node         queue; /* in_flight, lent or ended */
    struct coalescer_lane   *lane;
    void                    *ctx;
    uint64_t                 id, sent_us;
    size_t                   size;
    uint32_t                 attempt, records;
    uint32_t                 part_first; /* if records < members[0]->record_count */
    bool                     is_lent, is_hung;
    size_t                   count;
    struct coalescer_member *members[];
};

struct coalescer {
    struct coalescer_options options;
    struct coalescer_stats   stats;
    struct batch_cost        cost;
    struct id_set            seen; /* by the batch that is being formed */
    uint64_t                 members_numbered, batches_numbered;

    struct hash_map      *lanes, *keys, *offenders;
    struct list           offenders_by_age;
    struct coalescer_lane all_lanes; /* the barriers for all lanes */
    struct list           idle, blocked;
    struct binary_heap    ready, asleep, deadlines;
    struct list           unanswered; /* every member without an answer, oldest first */
    struct list           in_flight;  /* batches, oldest first, */
    struct list           lent;       /* and those whose slot others may use */
    uint32_t              slots_used;
    size_t                batch_bytes_learned; /* SIZE_MAX: no limit was met */
    uint32_t              batch_records_learned;
    uint64_t              learned_until_us;
    uint64_t              gather_until_us; /* UINT64_MAX: no lane gathers */
    uint64_t              memory_retry_us; /* a send that memory lacked for; 0: none */

    struct list               answers, releases, ended; /* actions to be taken */
    struct coalescer_batch   *last_ended;               /* freed with the next action */
    struct coalescer_member **picked;                   /* for the batch that is being formed */
    size_t                    picked_capacity;
};

/* coalescer_member.c */

/* As coalescer_add(), which has found that there is room. */
MUST_CHECK enum status coalescer_member_make(struct coalescer             *coalescer,
                                             const struct coalescer_write *write,
                                             struct coalescer_lane        *lane,
                                             struct coalescer_member     **ret_member);

/* It takes its place at the end of its lane. */
void coalescer_member_queue(struct coalescer *coalescer, struct coalescer_member *member,
                            const struct coalescer_write *write, uint64_t now_us);

/* It leaves the lane's `waiting`: to be sent, or because it expired. */
void coalescer_member_unqueue(struct coalescer *coalescer, struct coalescer_member *member);

/* It is done: its answer is that of `answer`, or our own `status` if that is not OK. */
void coalescer_member_answer(struct coalescer *coalescer, struct coalescer_member *member,
                             struct coalescer_batch *answer, enum status status,
                             enum coalescer_executed executed);

/* Refuse those whose deadline has passed, wherever they are. */
void coalescer_member_expire(struct coalescer *coalescer, uint64_t now_us);

/* Refuse the first of those that wait in `lane` and whose deadline passes before `answer_us`, when
 * the call that is to be sent is likely to be answered: all but the last. With more writes than
 * Chroma can take, every one would else be sent when its time is just over, and none succeed. */
void coalescer_member_refuse_late(struct coalescer *coalescer, struct coalescer_lane *lane,
                                  uint64_t answer_us);

void coalescer_member_free(struct coalescer *coalescer, struct coalescer_member *member);

/* coalescer_lane.c */

void coalescer_lane_init(struct coalescer_lane *lane);

/* NULL: it is not known. */
struct coalescer_lane *coalescer_lane_find(const struct coalescer *coalescer,
                                           const unsigned char    *key);

/* Find or make a lane; an idle one is forgotten for it if need be.
 * STATUS_OVERLOADED, STATUS_NO_MEMORY  there is none. */
MUST_CHECK enum status coalescer_lane_get(struct coalescer *coalescer, const unsigned char *key,
                                          struct coalescer_lane **ret_lane);

/* Put the lane where its content says that it belongs; after every change of it. */
void coalescer_lane_place(struct coalescer *coalescer, struct coalescer_lane *lane);

/* Members whose number is not below this must wait for a barrier. */
uint64_t coalescer_lane_barrier(const struct coalescer *coalescer);

/* A barrier for all lanes is done: those that it held may go on. */
void coalescer_lane_unblock(struct coalescer *coalescer);

/* The lane that sends next; NULL: none at `now_us`. Wakes those that slept long enough. */
struct coalescer_lane *coalescer_lane_pick(struct coalescer *coalescer, uint64_t now_us);

/* A member arrived, or a batch returned after it was applied: how the habits are learned. */
void coalescer_lane_arrived(struct coalescer_lane *lane, uint64_t now_us);
void coalescer_lane_returned(const struct coalescer *coalescer, struct coalescer_lane *lane,
                             const struct coalescer_batch *batch, uint64_t now_us);

/* coalescer_batch.c */

/* Form the next batch of a lane that may send and put it in flight. NULL: no memory. */
struct coalescer_batch *coalescer_batch_form(struct coalescer      *coalescer,
                                             struct coalescer_lane *lane, uint64_t now_us);

/* The most records and bytes of a batch now. */
uint32_t coalescer_batch_records_max(const struct coalescer *coalescer, uint64_t waiting,
                                     uint64_t now_us);
size_t   coalescer_batch_bytes_max(const struct coalescer *coalescer, uint64_t now_us);

/* Must the member go alone, though it could be merged? */
bool coalescer_batch_is_alone(const struct coalescer        *coalescer,
                              const struct coalescer_member *member, uint64_t now_us);

/* coalescer_outcome.c */
void coalescer_outcome_apply(struct coalescer *coalescer, struct coalescer_batch *batch,
                             const struct coalescer_outcome *outcome, uint64_t now_us);

/* coalescer_offender.c */

uint64_t coalescer_offender_hash(const struct coalescer *coalescer, const unsigned char *lane,
                                 struct bytes identity);
bool coalescer_offender_is(const struct coalescer *coalescer, uint64_t offender, uint64_t now_us);

/* A write of his was refused when it went alone. */
void coalescer_offender_add(struct coalescer *coalescer, uint64_t offender, uint64_t now_us);

void coalescer_offender_free_all(struct coalescer *coalescer);

#endif
