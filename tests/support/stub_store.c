#include "support/stub_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/stub_fault.h"

static void                make_uuid(struct stub_store *store, struct stub_collection *collection);
static uint64_t            hash_id(const json_t *id);
static struct stub_record *insert(struct stub_store *store, struct stub_collection *collection,
                                  json_t *id);
static bool                grow(struct stub_collection *collection);
static bool set_vector(struct stub_record *record, const float *vector, size_t dimension);
static void set_member(json_t **member, json_t *array, size_t i);
static void merge_metadata(struct stub_record *record, json_t *update);
static void record_free(struct stub_record *record);

void stub_store_init(struct stub_store *store, size_t records_max, uint64_t seed)
{
    *store = (struct stub_store){.records_max = records_max, .rng = seed};
    list_init(&store->collections);
}

void stub_store_done(struct stub_store *store)
{
    LIST_FOR_EACH(node, &store->collections)
    stub_store_delete(store, LIST_ITEM(node, struct stub_collection, node));
}

struct stub_collection *stub_store_create(struct stub_store *store, const struct stub_route *route,
                                          const char *name, const json_t *metadata,
                                          enum stub_space space)
{
    struct stub_collection *collection = calloc(1, sizeof(*collection));

    if (collection == NULL)
        return NULL;
    list_init(&collection->records);
    collection->name = strdup(name);
    collection->tenant = strdup(route->tenant);
    collection->database = strdup(route->database);
    collection->metadata = json_is_object(metadata) ? json_deep_copy(metadata) : NULL;
    collection->space = space;
    collection->bucket_count = 64;
    collection->buckets = calloc(collection->bucket_count, sizeof(struct stub_record *));
    make_uuid(store, collection);
    list_push_back(&store->collections, &collection->node);
    store->collection_count++;
    if (collection->name == NULL || collection->tenant == NULL || collection->database == NULL ||
        collection->buckets == NULL) {
        stub_store_delete(store, collection);
        return NULL;
    }
    return collection;
}

static void make_uuid(struct stub_store *store, struct stub_collection *collection)
{
    uint64_t high = stub_fault_random(&store->rng), low = stub_fault_random(&store->rng);

    high = (high & ~UINT64_C(0xf000)) | 0x4000;             /* version 4 */
    low = (low & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63; /* variant */
    for (size_t i = 0; i < 8; i++) {
        collection->uuid[i] = (uint8_t)(high >> (56 - 8 * i));
        collection->uuid[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    snprintf(collection->uuid_text, sizeof(collection->uuid_text), "%08x-%04x-%04x-%04x-%012llx",
             (unsigned)(high >> 32), (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff),
             (unsigned)(low >> 48), (unsigned long long)(low & 0xffffffffffff));
}

struct stub_collection *stub_store_find(struct stub_store *store, const uint8_t uuid[16])
{
    LIST_FOR_EACH(node, &store->collections)
    {
        struct stub_collection *collection = LIST_ITEM(node, struct stub_collection, node);

        if (memcmp(collection->uuid, uuid, sizeof(collection->uuid)) == 0)
            return collection;
    }
    return NULL;
}

struct stub_collection *stub_store_find_name(struct stub_store       *store,
                                             const struct stub_route *route, const char *name)
{
    LIST_FOR_EACH(node, &store->collections)
    {
        struct stub_collection *collection = LIST_ITEM(node, struct stub_collection, node);

        if (strcmp(collection->name, name) == 0 && strcmp(collection->tenant, route->tenant) == 0 &&
            strcmp(collection->database, route->database) == 0)
            return collection;
    }
    return NULL;
}

void stub_store_delete(struct stub_store *store, struct stub_collection *collection)
{
    LIST_FOR_EACH(node, &collection->records)
    stub_store_remove(store, collection, LIST_ITEM(node, struct stub_record, node));
    list_remove(&collection->node);
    store->collection_count--;
    free(collection->name);
    free(collection->tenant);
    free(collection->database);
    free(collection->buckets);
    json_decref(collection->metadata);
    free(collection);
}

struct stub_record *stub_store_record(const struct stub_collection *collection, const json_t *id)
{
    uint64_t            hash = hash_id(id);
    struct stub_record *record = collection->buckets[hash % collection->bucket_count];

    while (record != NULL && (record->hash != hash || !json_equal(record->id, id)))
        record = record->next_in_bucket;
    return record;
}

/* FNV-1a */
static uint64_t hash_id(const json_t *id)
{
    const char *text = json_string_value(id);
    uint64_t    hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < json_string_length(id); i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
    return hash;
}

bool stub_store_write(struct stub_store *store, struct stub_collection *collection, enum stub_op op,
                      const struct stub_payload *payload)
{
    if (store->record_count + payload->count > store->records_max)
        return false;
    for (size_t i = 0; i < payload->count; i++) {
        json_t             *id = json_array_get(payload->ids, i);
        struct stub_record *record = stub_store_record(collection, id);

        if (record == NULL ? op == STUB_OP_UPDATE : op == STUB_OP_ADD)
            continue;
        if (record == NULL)
            record = insert(store, collection, id);
        if (record == NULL)
            return false;
        if (payload->vectors != NULL && payload->has_vector[i] &&
            !set_vector(record, payload->vectors + i * payload->dimension, payload->dimension))
            return false;
        set_member(&record->document, payload->documents, i);
        set_member(&record->uri, payload->uris, i);
        merge_metadata(record, json_array_get(payload->metadatas, i));
    }
    return true;
}

static struct stub_record *insert(struct stub_store *store, struct stub_collection *collection,
                                  json_t *id)
{
    struct stub_record  *record = calloc(1, sizeof(*record));
    struct stub_record **bucket;

    if (record == NULL || !grow(collection)) {
        free(record);
        return NULL;
    }
    record->id = json_incref(id);
    record->hash = hash_id(id);
    bucket = &collection->buckets[record->hash % collection->bucket_count];
    record->next_in_bucket = *bucket;
    *bucket = record;
    list_push_back(&collection->records, &record->node);
    collection->record_count++;
    store->record_count++;
    return record;
}

/* Keep the buckets short: twice as many when there is more than one record for each. */
static bool grow(struct stub_collection *collection)
{
    size_t               count = collection->bucket_count * 2;
    struct stub_record **buckets;

    if (collection->record_count < collection->bucket_count)
        return true;
    buckets = calloc(count, sizeof(struct stub_record *));
    if (buckets == NULL)
        return false;
    LIST_FOR_EACH(node, &collection->records)
    {
        struct stub_record *record = LIST_ITEM(node, struct stub_record, node);

        record->next_in_bucket = buckets[record->hash % count];
        buckets[record->hash % count] = record;
    }
    free(collection->buckets);
    collection->buckets = buckets;
    collection->bucket_count = count;
    return true;
}

static bool set_vector(struct stub_record *record, const float *vector, size_t dimension)
{
    if (record->vector == NULL)
        record->vector = malloc(dimension * sizeof(float));
    if (record->vector == NULL)
        return false;
    memcpy(record->vector, vector, dimension * sizeof(float));
    return true;
}

/* Take item `i` of `array`, unless that is null or absent. */
static void set_member(json_t **member, json_t *array, size_t i)
{
    json_t *value = json_array_get(array, i);

    if (value == NULL || json_is_null(value))
        return;
    json_decref(*member);
    *member = json_incref(value);
}

static void merge_metadata(struct stub_record *record, json_t *update)
{
    const char *key;
    json_t     *value;

    if (!json_is_object(update))
        return;
    if (record->metadata == NULL)
        record->metadata = json_object();
    json_object_foreach(update, key, value)
    {
        if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
            json_object_del(record->metadata, key);
        else
            json_object_set(record->metadata, key, value);
    }
}

void stub_store_remove(struct stub_store *store, struct stub_collection *collection,
                       struct stub_record *record)
{
    struct stub_record **link = &collection->buckets[record->hash % collection->bucket_count];

    while (*link != record)
        link = &(*link)->next_in_bucket;
    *link = record->next_in_bucket;
    list_remove(&record->node);
    collection->record_count--;
    store->record_count--;
    record_free(record);
}

static void record_free(struct stub_record *record)
{
    json_decref(record->id);
    json_decref(record->document);
    json_decref(record->uri);
    json_decref(record->metadata);
    free(record->vector);
    free(record);
}
