#include "chroma/collection_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

enum {
    SCOPE_TEXT_MAX = 2 * COLLECTION_ANSWER_TEXT_MAX + 1,
    NAME_KEY_MAX = COLLECTION_ANSWER_TEXT_MAX + sizeof(void *),
    MAP_BYTES = 64 /* of an entry in a hash map, at most */
};

static bool   make_room(struct collection_store *store, const struct hash_map *map, size_t bytes);
static bool   forget_one(struct collection_store *store);
static void   forget(struct collection_store *store, struct collection *collection);
static void   forget_scope(struct collection_store *store, struct collection_scope *scope);
static void   leave_scope(struct collection_store *store, struct collection *collection);
static size_t description_size(const struct collection_description *description);
static bool   write_scope_key(struct scope scope, char *text, struct bytes *ret_key);
static size_t write_name_key(const struct collection_scope *scope, struct bytes name, char *text);
static struct bytes key_of_uuid(const uint8_t uuid[16]);

bool collection_store_init(struct collection_store               *store,
                           const struct collection_table_options *options,
                           const unsigned char                    secret[SIPHASH_KEY_SIZE])
{
    *store = (struct collection_store){.options = *options, .clock = 1};
    list_init(&store->used);
    list_init(&store->idle_scopes);
    store->by_uuid = hash_map_new(secret, options->collections_max);
    store->by_name = hash_map_new(secret, options->collections_max);
    store->scopes = hash_map_new(secret, options->collections_max);
    if (store->by_uuid != NULL && store->by_name != NULL && store->scopes != NULL)
        return true;
    hash_map_free(store->by_uuid);
    hash_map_free(store->by_name);
    hash_map_free(store->scopes);
    return false;
}

void collection_store_done(struct collection_store *store)
{
    while (forget_one(store))
        ;
    assert(hash_map_count(store->by_uuid) == 0 && hash_map_count(store->by_name) == 0);
    assert(hash_map_count(store->scopes) == 0 && store->bytes == 0);
    hash_map_free(store->by_uuid);
    hash_map_free(store->by_name);
    hash_map_free(store->scopes);
}

struct collection *collection_store_find(struct collection_store *store, const uint8_t uuid[16])
{
    struct collection *collection = hash_map_get(store->by_uuid, key_of_uuid(uuid));

    if (collection != NULL && collection->pins == 0) {
        list_remove(&collection->node);
        list_push_back(&store->used, &collection->node);
    }
    return collection;
}

struct collection *collection_store_get(struct collection_store *store, const uint8_t uuid[16])
{
    struct collection *collection = collection_store_find(store, uuid);
    size_t             bytes = sizeof *collection + MAP_BYTES;

    if (collection != NULL)
        return collection;
    if (!make_room(store, store->by_uuid, bytes))
        return NULL;
    collection = calloc(1, sizeof *collection);
    if (collection == NULL)
        return NULL;
    memcpy(collection->uuid, uuid, sizeof collection->uuid);
    if (hash_map_put(store->by_uuid, key_of_uuid(collection->uuid), collection) != STATUS_OK) {
        free(collection);
        return NULL;
    }
    store->bytes += bytes;
    collection->records.stamp = collection_store_tick(store);
    collection->description.stamp = collection_store_tick(store);
    collection->records.lost_until_us = store->forgotten_lost_until_us;
    collection->description.lost_until_us = store->forgotten_lost_until_us;
    collection->catch_up = store->forgotten_lags ? COLLECTION_LAGS : COLLECTION_MAY_LAG;
    collection->lags_since = store->clock;
    list_push_back(&store->used, &collection->node);
    return collection;
}

struct collection_scope *collection_store_find_scope(struct collection_store *store,
                                                     struct scope             scope)
{
    char                     text[SCOPE_TEXT_MAX];
    struct bytes             key;
    struct collection_scope *found;

    if (!write_scope_key(scope, text, &key))
        return NULL;
    found = hash_map_get(store->scopes, key);
    if (found != NULL && found->users == 0) {
        list_remove(&found->node);
        list_push_back(&store->idle_scopes, &found->node);
    }
    return found;
}

struct collection_scope *collection_store_get_scope(struct collection_store *store,
                                                    struct scope             scope)
{
    struct collection_scope *made = collection_store_find_scope(store, scope);
    char                     text[SCOPE_TEXT_MAX];
    struct bytes             key;

    if (made != NULL || !write_scope_key(scope, text, &key))
        return made;
    if (!make_room(store, store->scopes, sizeof *made + key.size + MAP_BYTES))
        return NULL;
    made = calloc(1, sizeof *made + key.size);
    if (made == NULL)
        return NULL;
    memcpy(made->text, key.data, key.size);
    made->key = (struct bytes){.data = made->text, .size = key.size};
    if (hash_map_put(store->scopes, made->key, made) != STATUS_OK) {
        free(made);
        return NULL;
    }
    store->bytes += sizeof *made + key.size + MAP_BYTES;
    made->records.stamp = made->names.stamp = made->breaks.stamp = collection_store_tick(store);
    made->records.lost_until_us = made->names.lost_until_us = made->breaks.lost_until_us =
        store->forgotten_lost_until_us;
    list_push_back(&store->idle_scopes, &made->node);
    return made;
}

/* Room for one more entry in `map`, of so many bytes. */
static bool make_room(struct collection_store *store, const struct hash_map *map, size_t bytes)
{
    while (hash_map_count(map) >= store->options.collections_max ||
           store->bytes + bytes > store->options.bytes_max)
        if (!forget_one(store))
            return false;
    return true;
}

/* A database goes before collections: it has none. */
static bool forget_one(struct collection_store *store)
{
    if (!list_is_empty(&store->idle_scopes))
        forget_scope(store,
                     LIST_ITEM(list_first(&store->idle_scopes), struct collection_scope, node));
    else if (!list_is_empty(&store->used))
        forget(store, LIST_ITEM(list_first(&store->used), struct collection, node));
    else
        return false;
    return true;
}

static void forget(struct collection_store *store, struct collection *collection)
{
    assert(collection->records.in_flight == 0 && collection->records.unknown == 0);
    collection_store_undescribe(store, collection);
    if (collection->by_id != NULL)
        store->bytes -= sizeof *collection->by_id;
    free(collection->by_id);
    store->forgotten_lags |= collection->catch_up == COLLECTION_LAGS;
    if (collection->records.lost_until_us > store->forgotten_lost_until_us)
        store->forgotten_lost_until_us = collection->records.lost_until_us;
    collection_store_unname(store, collection);
    leave_scope(store, collection);
    hash_map_remove(store->by_uuid, key_of_uuid(collection->uuid));
    list_remove(&collection->node);
    store->bytes -= sizeof *collection + MAP_BYTES;
    free(collection);
}

static void forget_scope(struct collection_store *store, struct collection_scope *scope)
{
    const struct change_mark *marks[] = {&scope->records, &scope->names, &scope->breaks};

    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (marks[i]->lost_until_us > store->forgotten_lost_until_us)
            store->forgotten_lost_until_us = marks[i]->lost_until_us;
    hash_map_remove(store->scopes, scope->key);
    list_remove(&scope->node);
    store->bytes -= sizeof *scope + scope->key.size + MAP_BYTES;
    free(scope);
}

static void leave_scope(struct collection_store *store, struct collection *collection)
{
    if (collection->scope != NULL)
        collection_store_unpin_scope(store, collection->scope);
    collection->scope = NULL;
}

void collection_store_pin(struct collection *collection)
{
    if (collection->pins++ == 0)
        list_remove(&collection->node);
}

void collection_store_unpin(struct collection_store *store, struct collection *collection)
{
    if (--collection->pins == 0)
        list_push_back(&store->used, &collection->node);
}

void collection_store_pin_scope(struct collection_scope *scope)
{
    if (scope->users++ == 0)
        list_remove(&scope->node);
}

void collection_store_unpin_scope(struct collection_store *store, struct collection_scope *scope)
{
    if (--scope->users == 0)
        list_push_back(&store->idle_scopes, &scope->node);
}

void collection_store_settle_in(struct collection_store *store, struct collection *collection,
                                struct collection_scope *scope)
{
    if (collection->scope == scope)
        return;
    collection_store_unname(store, collection);
    collection_store_pin_scope(scope);
    leave_scope(store, collection);
    collection->scope = scope;
    collection->records.stamp = collection_store_tick(store);
    collection->description.stamp = collection_store_tick(store);
}

/* Nothing is forgotten for it: the collections of which more is known than this come first. */
void collection_store_follow(struct collection_store *store, struct collection *collection)
{
    size_t bytes = sizeof *collection->by_id;

    if (collection->by_id != NULL || store->bytes + bytes > store->options.bytes_max / 2)
        return;
    collection->by_id = calloc(1, bytes);
    if (collection->by_id != NULL)
        store->bytes += bytes;
}

bool collection_store_describe(struct collection_store *store, struct collection *collection,
                               const struct collection_description *description)
{
    size_t                         size = description_size(description);
    struct collection_description *copy = malloc(size);

    collection_store_pin(collection);
    while (copy != NULL && store->bytes + size > store->options.bytes_max)
        if (!forget_one(store)) {
            free(copy);
            copy = NULL;
        }
    collection_store_unpin(store, collection);
    if (copy == NULL)
        return false;
    memcpy(copy, description, size);
    collection_store_undescribe(store, collection);
    collection->described = copy;
    store->bytes += size;
    return true;
}

void collection_store_undescribe(struct collection_store *store, struct collection *collection)
{
    if (collection->described != NULL)
        store->bytes -= description_size(collection->described);
    free(collection->described);
    collection->described = NULL;
}

/* Without the pairs that it does not have. */
static size_t description_size(const struct collection_description *description)
{
    return offsetof(struct collection_description, pairs) +
           description->pair_count * sizeof description->pairs[0];
}

struct collection *collection_store_named(struct collection_store       *store,
                                          const struct collection_scope *scope, struct bytes name)
{
    char               text[NAME_KEY_MAX];
    struct collection *collection;

    if (name.size > COLLECTION_ANSWER_TEXT_MAX)
        return NULL;
    collection = hash_map_get(
        store->by_name, (struct bytes){.data = text, .size = write_name_key(scope, name, text)});
    return collection != NULL && collection->named_at > scope->names_void ? collection : NULL;
}

void collection_store_name(struct collection_store *store, struct collection *collection,
                           struct bytes name)
{
    char               text[NAME_KEY_MAX];
    struct bytes       key = {.data = text};
    struct collection *former;

    collection_store_unname(store, collection);
    if (collection->scope == NULL || name.size == 0 || name.size > COLLECTION_ANSWER_TEXT_MAX)
        return;
    key.size = write_name_key(collection->scope, name, text);
    former = hash_map_get(store->by_name, key);
    if (former != NULL)
        collection_store_unname(store, former);
    if (!make_room(store, store->by_name, key.size + MAP_BYTES))
        return;
    collection->name = malloc(key.size);
    if (collection->name == NULL)
        return;
    memcpy(collection->name, text, key.size);
    key.data = collection->name;
    if (hash_map_put(store->by_name, key, collection) != STATUS_OK) {
        free(collection->name);
        collection->name = NULL;
        return;
    }
    collection->name_size = key.size;
    collection->named_at = collection_store_tick(store);
    store->bytes += key.size + MAP_BYTES;
}

bool collection_store_names(const struct collection *collection, struct scope *ret_scope,
                            struct bytes *ret_name)
{
    struct bytes key;

    if (collection->name == NULL || collection->scope == NULL)
        return false;
    key = collection->scope->key;
    ret_scope->tenant = (struct bytes){key.data, strnlen(key.data, key.size)};
    ret_scope->database = bytes_skip(key, ret_scope->tenant.size + 1);
    *ret_name = (struct bytes){collection->name, collection->name_size};
    *ret_name = bytes_skip(*ret_name, sizeof collection->scope); /* as write_name_key() wrote it */
    return true;
}

void collection_store_unname(struct collection_store *store, struct collection *collection)
{
    struct bytes key = {.data = collection->name, .size = collection->name_size};

    if (collection->name == NULL)
        return;
    hash_map_remove(store->by_name, key);
    store->bytes -= key.size + MAP_BYTES;
    free(collection->name);
    collection->name = NULL;
}

uint64_t collection_store_tick(struct collection_store *store)
{
    return ++store->clock;
}

void collection_store_clear_all_lost(struct collection_store *store)
{
    struct collection       *collection;
    struct collection_scope *scope;
    size_t                   position = 0;

    while ((collection = hash_map_next(store->by_uuid, &position)) != NULL) {
        collection_store_clear_lost(&collection->records);
        collection_store_clear_lost(&collection->description);
    }
    position = 0;
    while ((scope = hash_map_next(store->scopes, &position)) != NULL) {
        collection_store_clear_lost(&scope->records);
        collection_store_clear_lost(&scope->names);
        collection_store_clear_lost(&scope->breaks);
    }
    if (store->forgotten_lost_until_us != UINT64_MAX)
        store->forgotten_lost_until_us = 0;
}

/* Neither part of a database can hold a NUL in Chroma, so it parts them. */
static bool write_scope_key(struct scope scope, char *text, struct bytes *ret_key)
{
    if (scope.tenant.size == 0 || scope.tenant.size > COLLECTION_ANSWER_TEXT_MAX ||
        scope.database.size == 0 || scope.database.size > COLLECTION_ANSWER_TEXT_MAX ||
        memchr(scope.tenant.data, '\0', scope.tenant.size) != NULL ||
        memchr(scope.database.data, '\0', scope.database.size) != NULL)
        return false;
    memcpy(text, scope.tenant.data, scope.tenant.size);
    text[scope.tenant.size] = '\0';
    memcpy(text + scope.tenant.size + 1, scope.database.data, scope.database.size);
    *ret_key = (struct bytes){.data = text, .size = scope.tenant.size + 1 + scope.database.size};
    return true;
}

/* The database's address stands for it: a collection with a name keeps its database. */
static size_t write_name_key(const struct collection_scope *scope, struct bytes name, char *text)
{
    memcpy(text, &scope, sizeof scope);
    if (name.size > 0)
        memcpy(text + sizeof scope, name.data, name.size);
    return sizeof scope + name.size;
}

static struct bytes key_of_uuid(const uint8_t uuid[16])
{
    return (struct bytes){.data = (const char *)uuid, .size = 16};
}
