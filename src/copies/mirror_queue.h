/* mirror_queue - one copy of a collection, the changes that wait for it, and its readers
 *
 * Changes are applied on a worker, in the order in which they were told, several of them in one
 * job. Those told before the list of ids wait for it.
 *
 * It outlives its entry: when that has left it, it goes as soon as nobody reads it. Private to the
 * keeper of copies (mirror_state.h).
 */
#ifndef COPIES_MIRROR_QUEUE_H
#define COPIES_MIRROR_QUEUE_H

#include "base/byte_buffer.h"
#include "copies/mirror_state.h"
#include "io/worker_pool.h"

enum mirror_change_kind {
    MIRROR_CHANGE_LIST,    /* an answer with all ids */
    MIRROR_CHANGE_PAGE,    /* and one with records */
    MIRROR_CHANGE_NO_PAGE, /* there was no answer */
    MIRROR_CHANGE_WRITE
};

struct mirror_change {
    struct list_node        node;
    enum mirror_change_kind kind;
    enum chroma_operation   operation; /* of a write */
    struct mirror_moments   moments;
    struct byte_buffer      body, answer;
    struct byte_buffer      found; /* before a delete by a filter; empty: it was not asked */
};

/* The body of the next question for records. */
enum mirror_page {
    MIRROR_PAGE_NONE,
    MIRROR_PAGE_WANTED, /* the next job makes it, if a record is hollow */
    MIRROR_PAGE_READY,
    MIRROR_PAGE_ASKED
};

struct mirror_queue {
    struct mirror_keeper         *keeper;
    struct mirror_entry          *entry; /* NULL: it was left */
    struct list_node              node;  /* in keeper->queues */
    struct mirror_copy           *copy;  /* NULL until the first job is done */
    struct mirror_records_options options;
    char                         *path;
    struct list                   changes, running;
    struct list                   holds, waiting; /* of readers: those that may read, and not yet */
    size_t                        long_holds;     /* of those that may, who take long */
    uint64_t                      told, applied;  /* numbers of changes */
    size_t                        bytes;          /* of those that are not applied */
    enum mirror_page              page;
    struct byte_buffer            page_body;
    size_t                        page_bytes;    /* wanted */
    bool                          is_page_quiet; /* nothing was under way beside the last one, */
    uint32_t                      hollow_before; /* before which so many records were hollow */
    bool                          is_listed;
    bool                          is_kept; /* the first job opens what was saved, */
    struct mirror_save_seal       kept;    /* of which this must be true */

    /* The job, and what came of the last one. */
    struct worker_job        job;
    bool                     is_running, is_freeing, makes_page, has_idle_work;
    enum mirror_page         page_made; /* READY or NONE, if it makes one */
    uint64_t                 running_to;
    enum status              status;
    const char              *reason; /* of the status; static, or NULL */
    struct mirror_copy_state state;
    struct mirror_queue_made {
        struct mirror_copy      *copy;
        enum status              status;
        const char              *reason;
        struct mirror_copy_state state;
    } made; /* what a job that runs makes of these */
    uint64_t charged;
};

/* Of a copy that is begun with its first change. `options` are copied, but for the path, which is
 * made here. NULL: no memory. */
struct mirror_queue *mirror_queue_new(struct mirror_entry                 *entry,
                                      const struct mirror_records_options *options);

/* NULL: no memory. */
struct mirror_change *mirror_queue_new_change(enum mirror_change_kind kind,
                                              struct mirror_moments   moments);

/* One that was not told. NULL is a no-op. */
void mirror_queue_free_change(struct mirror_change *change);

/* `change` (taken) comes next; a list comes first. */
void mirror_queue_tell(struct mirror_queue *queue, struct mirror_change *change);

/* Forget what waits. */
void mirror_queue_clear(struct mirror_queue *queue);

/* Is nothing to be applied that was sent before `moment`? */
bool mirror_queue_is_past(const struct mirror_queue *queue, uint64_t moment);

/* Nobody wants it any more. NULL is a no-op. */
void mirror_queue_leave(struct mirror_queue *queue);

/* Have a worker do what is to be done. */
void mirror_queue_pump(struct mirror_queue *queue);

/* Tell the readers that waited and need not any more; those of one that was left, or of which
 * `may_read` is false, that they may not. May call back. */
void mirror_queue_serve(struct mirror_queue *queue, bool may_read);

/* Free it, at the end of the program. Nobody may read it. */
void mirror_queue_free(struct mirror_queue *queue);

#endif
