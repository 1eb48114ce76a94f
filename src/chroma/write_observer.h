/* write_observer - who wants to know that something may have changed in Chroma
 *
 * Every request that may change anything has a notice, unknown routes included, whichever way it
 * takes; a batch of writes is one request and has one. The notice goes through
 *
 *   write_observer_sent()     before the first byte leaves. From now on reads may see the change.
 *   write_observer_known()    before the first byte of any client's answer: its next read may come
 *                              on another connection at once.
 *   write_observer_settled()  only after UNKNOWN: nothing can change any more, for its answer has
 *                              come after all or the Chroma that had it is known to have ended. A
 *                              connection that broke proves nothing: its write may yet be applied.
 *   write_observer_lost()     only after UNKNOWN: nobody will ever know.
 *
 * A request that was not sent needs no notice. One that is sent again (the whole batch once more,
 * or its members one by one) goes through a notice of its own; the first is settled or lost.
 *
 * The collection table is the first observer: it finds out what may change and fills `change` for
 * those behind it. They are called in the order in which they were added.
 *
 * Thread: the event loop. Memory: none; observers and notices are their owners'.
 */
#ifndef CHROMA_WRITE_OBSERVER_H
#define CHROMA_WRITE_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/list.h"
#include "chroma/chroma_route.h"
#include "chroma/id_stamps.h"

enum write_outcome {
    WRITE_OUTCOME_APPLIED, /* 2xx */
    WRITE_OUTCOME_REFUSED, /* certainly nothing was applied */
    WRITE_OUTCOME_UNKNOWN  /* all else: no answer, an unexplained 5xx */
};

/* What this write may change: what its operation may (chroma_operation.def), or more. */
struct write_change {
    enum chroma_reach reach;
    bool              has_uuid; /* COLLECTION and RECORDS have one */
    uint8_t           uuid[16];
};

/* Marks of the table that a notice has touched (collection_store.h). */
enum { WRITE_NOTICE_MARKS_MAX = 8 };

enum write_notice_state {
    WRITE_NOTICE_UNSENT,
    WRITE_NOTICE_SENT,
    WRITE_NOTICE_UNKNOWN,
    WRITE_NOTICE_OVER
};

/* Zeroed but for the first nine, which the caller fills. Lives in the object of the request and
 * must stay where it is until it is over. */
struct write_notice {
    const struct chroma_route *route;     /* borrowed, with what it points to, until it is over */
    uint32_t                   dimension; /* of the vectors of an add or upsert; 0: it has none */
    bool                       leaves_description; /* collection_table_is_left() said so */
    bool                       names_ids; /* it changes no records but `ids`, and it is certain */
    struct record_ids          ids;       /* from the body alone that it may not be refused */
    const struct bytes *body; /* as it is sent, in parts; borrowed until its outcome is known */
    size_t              body_parts;
    struct byte_buffer *spare_body; /* all of it when it is known, if nobody needs it any
                                     * more: an observer may take it; else NULL */

    struct byte_buffer *found; /* of a delete: what a `get` of its filter said just
                                * before, with nothing else on its way: an observer
                                * may take it. NULL, or empty: it was not asked */

    /* For observers to read. */
    bool                    is_unsent; /* when it is known to be REFUSED: nobody had it */
    struct write_change     change; /* from write_observer_sent() on; may widen when it is known */
    enum write_notice_state state;

    /* The table's. */
    struct collection       *collection; /* pinned, as long as it is not over */
    struct collection_scope *scope;      /* pinned */
    struct change_mark      *marks[WRITE_NOTICE_MARKS_MAX];
    unsigned                 mark_count;
    uint64_t                 incarnation, names_stamp, names_seen; /* when it was sent */
    uint64_t                 sent_at;                              /* by the clock */
    bool                     may_catch_up; /* nothing older may be applied after it */
    bool                     is_followed;  /* id_stamps.h */
    struct id_stamps_write   followed;

    /* The mirror's, if there is one. */
    struct list_node mirror_node;        /* among the writes under way to what is copied */
    uint64_t         mirror_sent;        /* a moment of its clock; 0: it was not told */
    bool             mirror_is_wide;     /* it may change more than one collection */
    bool             mirror_is_harmless; /* it changes no record, nor how one is found */
};

/* `answer` is the body of a 2xx to a request that answers with a description of a collection, if
 * it is at hand, else empty. Any callback may be NULL. None may send or free a notice. */
struct write_observer {
    void (*on_sent)(struct write_observer *observer, struct write_notice *notice, uint64_t now_us);
    void (*on_known)(struct write_observer *observer, struct write_notice *notice,
                     enum write_outcome outcome, struct bytes answer, uint64_t now_us);
    /* `is_lost`: by write_observer_lost(). */
    void (*on_settled)(struct write_observer *observer, struct write_notice *notice, bool is_lost,
                       uint64_t now_us);
    struct list_node node;
};

struct write_observers {
    struct list list;
};

void write_observer_init(struct write_observers *observers);

/* Behind those that are there. Borrowed until it is removed, which none may do while a notice that
 * it was told of is not over. */
void write_observer_add(struct write_observers *observers, struct write_observer *observer);
void write_observer_remove(struct write_observer *observer);

/* UNSENT to SENT. */
void write_observer_sent(struct write_observers *observers, struct write_notice *notice,
                         uint64_t now_us);

/* SENT to OVER, or to UNKNOWN if that is the outcome. */
void write_observer_known(struct write_observers *observers, struct write_notice *notice,
                          enum write_outcome outcome, struct bytes answer, uint64_t now_us);

/* UNKNOWN to OVER. */
void write_observer_settled(struct write_observers *observers, struct write_notice *notice,
                            uint64_t now_us);
void write_observer_lost(struct write_observers *observers, struct write_notice *notice,
                         uint64_t now_us);

#endif
