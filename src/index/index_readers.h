/* index_readers - when has every reader that could have seen something let go of it?
 *
 * Epochs: a reader notes the epoch when it begins and 0 when it ends. The writer unlinks, moves to
 * the next epoch, and may reuse what it unlinked once no reader notes an older epoch.
 *
 * Thread: enter and leave by the reader that owns the slot; the rest by the writer; join and quit
 * by anyone.
 */
#ifndef INDEX_INDEX_READERS_H
#define INDEX_INDEX_READERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct index_readers {
    _Atomic uint64_t epoch; /* from 1 */
    pthread_mutex_t  lock;  /* of `list` */
    struct list      list;
};

struct index_reader {
    struct list_node node;
    _Atomic uint64_t epoch; /* 0: not inside */
};

static inline void index_readers_init(struct index_readers *readers)
{
    atomic_init(&readers->epoch, 1);
    pthread_mutex_init(&readers->lock, NULL);
    list_init(&readers->list);
}

static inline void index_readers_done(struct index_readers *readers)
{
    pthread_mutex_destroy(&readers->lock);
}

static inline void index_readers_join(struct index_readers *readers, struct index_reader *reader)
{
    atomic_init(&reader->epoch, 0);
    pthread_mutex_lock(&readers->lock);
    list_node_init(&reader->node);
    list_push_back(&readers->list, &reader->node);
    pthread_mutex_unlock(&readers->lock);
}

static inline void index_readers_quit(struct index_readers *readers, struct index_reader *reader)
{
    pthread_mutex_lock(&readers->lock);
    list_remove(&reader->node);
    pthread_mutex_unlock(&readers->lock);
}

/* Sequentially consistent on both sides: either the writer sees the note, or the reader sees what
 * the writer did before it looked. */
static inline void index_readers_enter(struct index_readers *readers, struct index_reader *reader)
{
    atomic_store(&reader->epoch, atomic_load(&readers->epoch));
    atomic_thread_fence(memory_order_seq_cst);
}

static inline void index_readers_leave(struct index_reader *reader)
{
    atomic_store_explicit(&reader->epoch, 0, memory_order_release);
}

/* Begin a new epoch; what was unlinked before may be reused once index_readers_passed() says so
 * for the number returned. */
static inline uint64_t index_readers_advance(struct index_readers *readers)
{
    uint64_t epoch = atomic_fetch_add(&readers->epoch, 1) + 1;

    atomic_thread_fence(memory_order_seq_cst);
    return epoch;
}

static inline bool index_readers_passed(struct index_readers *readers, uint64_t epoch)
{
    bool passed = true;

    pthread_mutex_lock(&readers->lock);
    LIST_FOR_EACH(node, &readers->list)
    {
        uint64_t noted = atomic_load(&CONTAINER_OF(node, struct index_reader, node)->epoch);

        passed = passed && (noted == 0 || noted >= epoch);
    }
    pthread_mutex_unlock(&readers->lock);
    return passed;
}

#endif
