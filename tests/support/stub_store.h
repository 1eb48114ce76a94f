/* stub_store - collections and their records, with Chroma's rules for ids
 *
 * add ignores ids that exist; upsert replaces the embedding, keeps document and uri where the new
 * one is null, and merges metadata key by key (null deletes); update ignores ids that do not exist;
 * records keep the order in which they were first added.
 */
#ifndef SUPPORT_STUB_STORE_H
#define SUPPORT_STUB_STORE_H

#include <jansson.h>
#include <stdint.h>

#include "base/list.h"
#include "support/stub_payload.h"

struct stub_record {
    struct list_node    node;           /* in stub_collection.records */
    struct stub_record *next_in_bucket; /* of stub_collection.buckets */
    uint64_t            hash;
    json_t             *id;       /* string */
    json_t             *document; /* string or NULL */
    json_t             *uri;      /* string or NULL */
    json_t             *metadata; /* object or NULL */
    float              *vector;   /* dimension of the collection, or NULL */
    uint64_t            asked;    /* the last question that names it; see stub_read.c */
};

enum stub_space { STUB_SPACE_L2, STUB_SPACE_COSINE, STUB_SPACE_IP };

struct stub_collection {
    struct list_node     node;
    char                 uuid_text[37];
    uint8_t              uuid[16];
    char                *name, *tenant, *database;
    json_t              *metadata; /* object or NULL */
    enum stub_space      space;
    size_t               dimension; /* 0: not fixed yet */
    struct list          records;
    size_t               record_count;
    struct stub_record **buckets;
    size_t               bucket_count;
    unsigned             writes_in_flight; /* requests being handled, kept by the server */
};

struct stub_store {
    struct list collections;
    size_t      collection_count;
    size_t      record_count;
    size_t      records_max; /* in all; beyond it writes are refused with 500 */
    uint64_t    rng;         /* for UUIDs */
};

void stub_store_init(struct stub_store *store, size_t records_max, uint64_t seed);

/* Free all that is stored. */
void stub_store_done(struct stub_store *store);

/* Create a collection; `metadata` may be NULL and is copied. NULL when out of memory. Borrowed. */
struct stub_collection *stub_store_create(struct stub_store *store, const struct stub_route *route,
                                          const char *name, const json_t *metadata,
                                          enum stub_space space);

/* NULL when there is none. Borrowed until it is deleted. */
struct stub_collection *stub_store_find(struct stub_store *store, const uint8_t uuid[16]);
struct stub_collection *stub_store_find_name(struct stub_store       *store,
                                             const struct stub_route *route, const char *name);

/* Delete `collection` and its records. */
void stub_store_delete(struct stub_store *store, struct stub_collection *collection);

/* The record with this id, or NULL. */
struct stub_record *stub_store_record(const struct stub_collection *collection, const json_t *id);

/* Apply a checked add, upsert or update. False: no room. */
bool stub_store_write(struct stub_store *store, struct stub_collection *collection, enum stub_op op,
                      const struct stub_payload *payload);

/* Remove one record. */
void stub_store_remove(struct stub_store *store, struct stub_collection *collection,
                       struct stub_record *record);

#endif
