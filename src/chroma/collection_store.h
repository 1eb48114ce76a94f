/* collection_store - the entries behind the collection table: collections, databases, their marks
 *
 * Internals of collection_table, in a file of their own: finding, making, naming and forgetting of
 * entries, and the marks that say whether something may have changed. What moves which mark is
 * decided in collection_change.c.
 *
 * Thread: one at a time. Memory: bounded by the options of the table.
 */
#ifndef CHROMA_COLLECTION_STORE_H
#define CHROMA_COLLECTION_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "chroma/collection_description.h"
#include "chroma/collection_facts.h"
#include "chroma/id_stamps.h"
#include "chroma/write_observer.h"

/* Something that writes may change. */
struct change_mark {
    uint64_t stamp; /* of the clock, when it last may have changed */
    uint32_t in_flight, unknown;
    uint64_t lost_until_us; /* a write that nobody will hear of may change it until then */
};

/* A database. */
struct collection_scope {
    struct change_mark records;    /* of all collections in it */
    struct change_mark names;      /* any change of names */
    struct change_mark breaks;     /* one that may make a known name untrue: no creation */
    uint64_t           names_void; /* names learned before this moment of the clock do not hold */
    size_t             users;      /* collections in it, and pins */
    struct list_node   node;       /* in the idle list while it has no users */
    struct bytes       key;        /* tenant, NUL, database */
    char               text[];
};

/* What Chroma has taken but not applied, when it was killed or its client went, it applies with the
 * next write, or in a new process with the first read. May there be such a thing, which would
 * change the description then? */
enum collection_catch_up {
    COLLECTION_MAY_LAG, /* from before our time */
    COLLECTION_LAGS,    /* a write that may change the description was lost */
    COLLECTION_CAUGHT_UP
};

struct collection {
    uint8_t                        uuid[16];
    struct change_mark             records;
    struct change_mark             description;
    enum collection_catch_up       catch_up;
    bool                           was_read;   /* in this incarnation */
    uint64_t                       lags_since; /* moment of the clock */
    struct collection_description *described;  /* as it was last kept; NULL: it was not */
    struct id_stamps              *by_id;      /* NULL: nobody asked for records by id */
    enum collection_existence      existence;
    enum collection_space          space;
    uint32_t                       dimension;
    struct collection_scope       *scope; /* NULL: not known */
    char                          *name;  /* its key among the names; NULL: none */
    size_t                         name_size;
    uint64_t                       named_at, seen_at; /* moments of the clock */
    uint64_t                       named_us;          /* monotonic time */
    unsigned                       pins;
    struct list_node               node; /* in the list of use while it is not pinned */
};

struct collection_store {
    struct collection_table_options options;
    struct hash_map                *by_uuid, *by_name, *scopes;
    struct list                     used, idle_scopes; /* the least recently used first */
    size_t                          bytes;
    uint64_t                        clock;
    uint64_t                        forgotten_lost_until_us; /* of the collections forgotten */
    bool                            forgotten_lags;          /* one of them did */
};

/* False: no memory; nothing to be done. */
MUST_CHECK bool collection_store_init(struct collection_store               *store,
                                      const struct collection_table_options *options,
                                      const unsigned char secret[SIPHASH_KEY_SIZE]);
void            collection_store_done(struct collection_store *store);

/* Find, as most recently used; NULL: there is none. */
struct collection *collection_store_find(struct collection_store *store, const uint8_t uuid[16]);

/* Find or make. NULL: no memory, or all that could be forgotten is in use. */
struct collection *collection_store_get(struct collection_store *store, const uint8_t uuid[16]);

/* Likewise a database. NULL also for one that has a NUL in it, or is empty. */
struct collection_scope *collection_store_find_scope(struct collection_store *store,
                                                     struct scope             scope);
struct collection_scope *collection_store_get_scope(struct collection_store *store,
                                                    struct scope             scope);

/* Keep it from being forgotten. */
void collection_store_pin(struct collection *collection);
void collection_store_unpin(struct collection_store *store, struct collection *collection);
void collection_store_pin_scope(struct collection_scope *scope);
void collection_store_unpin_scope(struct collection_store *store, struct collection_scope *scope);

/* Say in which database a collection is. Its stamp moves if that was not known. */
void collection_store_settle_in(struct collection_store *store, struct collection *collection,
                                struct collection_scope *scope);

/* The collection that was last given this name, and holds it yet; NULL: none. */
struct collection *collection_store_named(struct collection_store       *store,
                                          const struct collection_scope *scope, struct bytes name);

/* Keep what it is described as (copied). False: no memory; the former description stays. */
MUST_CHECK bool collection_store_describe(struct collection_store             *store,
                                          struct collection                   *collection,
                                          const struct collection_description *description);

/* From now on it is told by id what writes may have changed, if there is memory: half of all that
 * the table may have. */
void collection_store_follow(struct collection_store *store, struct collection *collection);

/* Forget what described it, if anything did. */
void collection_store_undescribe(struct collection_store *store, struct collection *collection);

/* Give it a name in its database; it loses the one that it had, and so does who had this one.
 * Without memory it has none. */
void collection_store_name(struct collection_store *store, struct collection *collection,
                           struct bytes name);

/* What it is called, and where; borrowed. False: it has no name. */
bool collection_store_names(const struct collection *collection, struct scope *ret_scope,
                            struct bytes *ret_name);

/* Take its name away, if it has one. */
void collection_store_unname(struct collection_store *store, struct collection *collection);

/* The next moment of the clock, which never comes again. */
uint64_t collection_store_tick(struct collection_store *store);

/* The Chroma that had them has ended: what was lost cannot be applied any more. */
void collection_store_clear_all_lost(struct collection_store *store);

/* Nothing in flight, nothing unknown, nothing lost that may yet be applied. */
static inline bool collection_store_is_quiet(const struct change_mark *mark, uint64_t now_us)
{
    return mark->in_flight == 0 && mark->unknown == 0 && now_us >= mark->lost_until_us;
}

/* What lasts for ever (UINT64_MAX) is no write that was lost. */
static inline void collection_store_clear_lost(struct change_mark *mark)
{
    if (mark->lost_until_us != UINT64_MAX)
        mark->lost_until_us = 0;
}

#endif
