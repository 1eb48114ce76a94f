/* collection_core - the collection table itself, for the files that make it up
 *
 * Internals of collection_table: its data, and the few steps that both its questions
 * (collection_table.c) and its observer of writes (collection_change.c) take.
 *
 * Thread: one at a time. Memory: bounded by the options of the table.
 */
#ifndef CHROMA_COLLECTION_CORE_H
#define CHROMA_COLLECTION_CORE_H

#include "chroma/chroma_route.h"
#include "chroma/collection_store.h"

struct collection_table {
    struct collection_store store;
    struct write_observer   observer;
    uint64_t                incarnation;
    struct change_mark      records, names, breaks; /* of everything */
    struct change_mark      tenants;                /* and databases, but not what is in them */
    struct change_mark      any_records; /* of a whole database, for collections of which it is not
                                            known where they are */
    struct collection_former former;     /* of everything; the stamp is that of `any_records` */
    uint64_t                 names_void; /* as in struct collection_scope, for all */
    unsigned char            secret[SIPHASH_KEY_SIZE];
};

/* Text of a path segment as it stands for a name. */
struct collection_core_text {
    size_t size;
    char   data[COLLECTION_ANSWER_TEXT_MAX];
};

/* False: the route names no database, or one that Chroma cannot have. `ret_scope` points into
 * `tenant` and `database`. */
bool collection_core_read_scope(const struct chroma_route   *route,
                                struct collection_core_text *tenant,
                                struct collection_core_text *database, struct scope *ret_scope);

/* Of a mark of the collection and of all that is wider; 0: one of them is moving. */
uint64_t collection_core_stamp(const struct collection_table *table,
                               const struct collection *collection, const struct change_mark *mark,
                               uint64_t now_us);

/* Of what may make a known name of this database untrue; 0: it may be untrue, or `scope` is NULL.
 */
uint64_t collection_core_breaks_stamp(const struct collection_table *table,
                                      const struct collection_scope *scope, uint64_t now_us);

/* When the records of a collection were last changed, by itself or with others; NULL: zeroes. */
struct id_stamps_moment collection_core_moment(const struct collection_table *table,
                                               const struct collection       *collection);

/* What never changes is learned always; its name and that it is there only if nothing that might
 * have changed that was under way since `names_stamp`, when it was asked for in `asked`. */
void collection_core_learn(struct collection_table *table, const struct collection_answer *answer,
                           const struct collection_scope *asked, uint64_t names_stamp,
                           uint64_t now_us);

/* The collection that bears this name, unless something is under way that may change that. */
bool collection_core_uuid(struct collection_table *table, struct scope scope, struct bytes name,
                          uint64_t now_us, uint8_t ret_uuid[16]);

/* Likewise in a database that is known, whatever is under way. */
bool collection_core_find_uuid(struct collection_table *table, const struct collection_scope *scope,
                               struct bytes name, uint8_t ret_uuid[16]);

#endif
