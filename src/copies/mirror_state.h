/* mirror_state - what the parts of the keeper of copies share; private to them
 *
 *   mirror_queue       one copy, the changes that wait for it, and its readers
 *   mirror_entry       a collection and the state of its copies
 *   mirror_choice      which collections have one
 *   mirror_ask         one question to Chroma
 *   mirror_count       how much there is of what waits
 *   mirror_settle      a write that makes visible what Chroma holds
 *   mirror_lane        questions that a write waits for
 *   mirror_fill        which questions, when, and what the answers mean
 *   mirror_observer    writes on their way to the copies
 *   mirror_modify      which of them change a name only
 *   mirror_applied     what becomes of a copy that a worker has changed
 *   mirror_pick        which copy a reader gets
 *   mirror_doubt       copies that were wrong
 *   mirror_kept        copies that outlast their process
 *   mirror_names       names of what is copied, while Chroma cannot be asked
 *   mirror_lookup      names that Chroma is asked for
 *   mirror_describe    descriptions that a write has ended
 *   mirror_info        what people are told
 *   mirror_keeper      its life, and what is done next
 *
 * Things are done where they are found out; what may call back, or needs a worker, waits for the
 * end of the loop's turn: mirror_keeper_pump().
 */
#ifndef COPIES_MIRROR_STATE_H
#define COPIES_MIRROR_STATE_H

#include "base/compiler.h"
#include "base/hash_map.h"
#include "calls/proxy_state.h"
#include "copies/mirror_entry_state.h"
#include "copies/mirror_hold.h"
#include "copies/mirror_reason.h"
#include "io/loop.h"

struct mirror_count;
struct mirror_fill;
struct mirror_queue;

struct mirror_stats {
    uint64_t refills[MIRROR_REASON_COUNT];
    uint64_t completed, kept, writes, lists, lists_crossed, pages, page_bytes;
};

struct mirror_keeper {
    struct proxy               *proxy;
    struct proxy_mirror_options options; /* with texts of its own, */
    char                       *texts;   /* here */
    struct write_observer       observer;
    uint64_t                    clock;     /* of moments; never goes back */
    size_t                      wide_open; /* changes under way that are not of one collection */
    bool                        is_gateway;
    bool                        is_unproved; /* Chroma does not describe collections by UUID */
    bool                        was_reached; /* a Chroma was, in this process */
    bool                        is_kept_let; /* mirror_kept_let() */

    struct hash_map     *by_uuid;
    struct list          entries;
    struct list          queues;  /* all copies, those among them that are left */
    struct mirror_entry *filling; /* one is filled at a time; NULL: none */
    struct mirror_fill  *fill;
    struct mirror_count *count;
    struct list          settles;                                    /* those under way */
    struct list          lanes;                                      /* questions in lanes */
    void (*on_left)(struct mirror_keeper *keeper);                   /* nobody is filled any more */
    void (*on_settled)(struct mirror_entry *entry, unsigned status); /* 0: no answer */
    void (*on_applied)(struct mirror_queue *queue);                  /* a worker has */
    uint64_t copies_made;                                            /* numbers their files */
    size_t   waiting_bytes; /* of all changes that are not applied */

    uint64_t            looks_us;    /* for what reads may begin, not before */
    bool                is_look_set; /* the timer is, to this or earlier */
    struct loop_task    pump;
    struct loop_timer  *timer;
    struct mirror_stats stats;
};

/* A collection. */
struct mirror_entry {
    struct mirror_keeper   *keeper;
    struct list_node        node;
    uint8_t                 uuid[16];
    char                   *tenant, *database; /* as in a path */
    bool                    is_placed;         /* Chroma said that it is in these, spelled so */
    char                   *name;              /* NULL: not known */
    uint64_t                named;             /* when a renaming was known last */
    enum mirror_entry_state state;
    enum mirror_reason      reason;
    const char             *detail;       /* of the reason; static, or NULL */
    bool                    is_asked_for; /* by somebody, whatever the options say */
    bool                    is_refused;   /* its name is not wanted */
    bool                    is_carried;   /* to the next Chroma: mirror_kept_carry() */

    /* Its copies: what is filled and kept, and the one before it, which is only answered from. */
    struct mirror_queue *live, *former; /* NULL: there is none */
    bool                 former_is_doubtful;
    uint64_t             former_us; /* when it was last certain */

    /* Writes under way since the live copy was begun, the oldest first (mirror_node). */
    struct list open;
    uint64_t    seen; /* the moment of the last answer to a reader while some were */

    /* Filling. */
    bool                  is_described, is_settled, is_probed, is_listed, is_crossed;
    uint64_t              settling;   /* the mirror_settle that it waits for; 0: none */
    bool                  is_doubted; /* its metadata says another space than it does */
    bool                  is_unseen;  /* there was no record to tell its space by */
    enum collection_space space;
    uint32_t              dimension;
    bool                  is_sized; /* Chroma was asked for its dimension, to tell how much it is */
    bool                  is_counted; /* it had so many when Chroma said so last: */
    uint32_t              records;
    uint64_t              count_us;                      /* they are not counted before */
    uint64_t              list_sent;                     /* its moment; 0: it was not asked for */
    uint64_t              last_known;                    /* of its last answer */
    uint64_t              written;                       /* when a write to it was known last */
    uint64_t              asked_us, begun_us, filled_us; /* filled_us: 0: never */
    unsigned              crossings, failures;
    unsigned              last_pages, lane_asks; /* see mirror_fill.c */

    /* Giving up and beginning again. */
    unsigned backoff;
    uint64_t retry_us;
    uint64_t needed; /* memory that its copy must be allowed; 0: not known */

    /* Reads, decayed. */
    double   score;
    uint64_t scored_us;

    uint64_t fills, fill_us, refills[MIRROR_REASON_COUNT], writes;
    uint64_t kept_bytes; /* of files that were saved, in the end */
};

/* Have mirror_keeper.c look at everything at the end of this turn. */
void mirror_keeper_wake(struct mirror_keeper *keeper);

static inline uint64_t mirror_keeper_now_us(const struct mirror_keeper *keeper)
{
    return loop_now_us(keeper->proxy->loop);
}

/* May this write take records away? */
static inline bool mirror_state_may_delete(const struct write_notice *notice)
{
    enum chroma_operation operation = notice->route->operation;

    return operation != CHROMA_OPERATION_ADD && operation != CHROMA_OPERATION_UPSERT &&
           operation != CHROMA_OPERATION_UPDATE;
}

/* Is a write under way that was sent at this moment or before? */
static inline bool mirror_state_has_open(const struct mirror_entry *entry, uint64_t moment)
{
    const struct list_node *first = list_first(&entry->open);

    return first != NULL &&
           LIST_ITEM(first, struct write_notice, mirror_node)->mirror_sent <= moment;
}

#endif
