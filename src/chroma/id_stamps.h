/* id_stamps - when may a write last have changed these records of a collection?
 *
 * The stamp of a collection (collection_table.h) moves with every write to it. Here stands more of
 * writes that name all that they change and of which Chroma says that it has applied them: they
 * leave what is known of other ids as it is. Such a write is *followed*:
 *
 *   * while it is under way, what is known of its ids does not hold;
 *   * when Chroma has said 2xx, the stamp of its ids has moved, and that of others has not;
 *   * if Chroma says anything else, or nothing, the stamp of all has moved.
 *
 * One at a time is followed, and only if nothing else was under way, lost or of unknown outcome
 * when it was sent, nor anything sent before it was answered. The first one that is followed after
 * anything else moves the stamp of all: Chroma applies with it whatever it had taken and not
 * applied before, of any id. From then on nothing of the kind is left, until something else comes.
 *
 * Whatever else moves the collection's stamp, or a wider one, is noticed by their being others than
 * they were left at: nobody has to tell.
 *
 * Internals of collection_table. Thread: the event loop. Memory: 4 KiB for each collection.
 */
#ifndef CHROMA_ID_STAMPS_H
#define CHROMA_ID_STAMPS_H

#include <stdbool.h>
#include <stdint.h>

#include "chroma/record_ids.h"

/* The stamps of a collection's records and of all that is wider at one moment. */
struct id_stamps_moment {
    uint64_t records, around;
};

/* Zeroes at first. */
struct id_stamps {
    struct id_stamps_moment  last;      /* as the last followed write left them */
    uint64_t                 base;      /* `records`, when the first one in a row was answered */
    const struct record_ids *under_way; /* of a followed write; NULL: there is none */
    uint64_t                 answered[RECORD_IDS_PLACES]; /* `records`, when a later one was */
};

/* Of a write that is followed. */
struct id_stamps_write {
    const struct record_ids *ids;  /* borrowed until it is known */
    struct id_stamps_moment  sent; /* just after it moved the stamp */
    bool                     is_first;
};

/* The later of two moments of the table's clock. */
static inline uint64_t id_stamps_later(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

/* Is more known than the stamp of the collection? Then nothing is under way but what is followed.
 * NULL, as below: nothing is. */
bool id_stamps_hold(const struct id_stamps *stamps, struct id_stamps_moment now);

/* The stamp of these ids, or that of the collection if no more is known or `ids` is NULL; 0: a
 * followed write to one of them is under way. */
uint64_t id_stamps_get(const struct id_stamps *stamps, const struct record_ids *ids,
                       struct id_stamps_moment now);

/* A write is sent that may be followed. `before` and `after` it moved the collection's stamp. */
void id_stamps_sent(struct id_stamps *stamps, const struct record_ids *ids,
                    struct id_stamps_moment before, struct id_stamps_moment after,
                    struct id_stamps_write *ret_write);

/* It is known what became of it. `is_applied`: Chroma said 2xx. */
void id_stamps_known(struct id_stamps *stamps, const struct id_stamps_write *write, bool is_applied,
                     struct id_stamps_moment before, struct id_stamps_moment after);

#endif
