#include "proxy/construct_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/hash_map.h"
#include "base/list.h"

struct store_entry {
    struct list_node        node;
    struct construct_answer answer;
    unsigned                voids; /* more than were taken back; 0: it is what Chroma says */
    char                    body[];
};

struct construct_store {
    struct hash_map       *entries;
    struct list            by_age; /* noted longest ago first */
    struct memory_account *account;
    size_t                 bytes;
};

static struct bytes        store_key(const struct query_cache_key *key);
static size_t              store_size(const struct store_entry *entry);
static void                store_forget(struct construct_store *store, struct store_entry *entry);
static bool                store_describes(const struct store_entry *entry, const uint8_t uuid[16]);
static struct store_entry *store_find_void(struct construct_store *store, const uint8_t uuid[16]);

struct construct_store *construct_store_new(const unsigned char    secret[SIPHASH_KEY_SIZE],
                                            struct memory_account *account)
{
    struct construct_store *store = calloc(1, sizeof *store);

    if (store == NULL)
        return NULL;
    list_init(&store->by_age);
    store->account = account;
    store->entries = hash_map_new(secret, CONSTRUCT_STORE_ENTRIES_MAX);
    if (store->entries == NULL) {
        free(store);
        return NULL;
    }
    return store;
}

void construct_store_free(struct construct_store *store)
{
    if (store == NULL)
        return;
    construct_store_forget_fixed(store);
    construct_store_forget_described(store, NULL);
    hash_map_free(store->entries);
    free(store);
}

void construct_store_put(struct construct_store *store, const struct construct_answer *answer)
{
    struct store_entry *entry = hash_map_get(store->entries, store_key(&answer->key));

    if (entry != NULL)
        store_forget(store, entry);
    if (answer->body.size > CONSTRUCT_STORE_BODY_MAX ||
        (entry = calloc(1, sizeof *entry + answer->body.size)) == NULL)
        return;
    entry->answer = *answer;
    if (answer->body.size > 0)
        memcpy(entry->body, answer->body.data, answer->body.size);
    entry->answer.body.data = entry->body;
    while (hash_map_count(store->entries) >= CONSTRUCT_STORE_ENTRIES_MAX ||
           store->bytes + store_size(entry) > CONSTRUCT_STORE_BYTES_MAX)
        store_forget(store, LIST_ITEM(list_first(&store->by_age), struct store_entry, node));
    if (hash_map_put(store->entries, store_key(&entry->answer.key), entry) != STATUS_OK) {
        free(entry);
        return;
    }
    list_push_back(&store->by_age, &entry->node);
    store->bytes += store_size(entry);
    memory_account_charge(store->account, store_size(entry));
}

/* Question and identity, which stand one behind the other. */
static struct bytes store_key(const struct query_cache_key *key)
{
    const size_t before = offsetof(struct query_cache_key, identity);

    return (struct bytes){.data = (const char *)key + before, .size = sizeof *key - before};
}

static size_t store_size(const struct store_entry *entry)
{
    return sizeof *entry + entry->answer.body.size;
}

static void store_forget(struct construct_store *store, struct store_entry *entry)
{
    size_t size = store_size(entry);

    (void)hash_map_remove(store->entries, store_key(&entry->answer.key));
    list_remove(&entry->node);
    store->bytes -= size;
    memory_account_release(store->account, size);
    free(entry);
}

const struct construct_answer *construct_store_find(const struct construct_store *store,
                                                    const struct query_cache_key *key)
{
    const struct store_entry *entry = hash_map_get(store->entries, store_key(key));

    return entry == NULL || entry->voids > 0 ? NULL : &entry->answer;
}

void construct_store_forget_fixed(struct construct_store *store)
{
    LIST_FOR_EACH(node, &store->by_age)
    {
        struct store_entry *entry = LIST_ITEM(node, struct store_entry, node);

        if (entry->answer.kind == CACHE_KIND_FIXED)
            store_forget(store, entry);
    }
}

void construct_store_forget_described(struct construct_store *store, const uint8_t uuid[16])
{
    LIST_FOR_EACH(node, &store->by_age)
    {
        struct store_entry *entry = LIST_ITEM(node, struct store_entry, node);

        if (uuid == NULL ? entry->answer.kind == CACHE_KIND_DESCRIPTION
                         : store_describes(entry, uuid))
            store_forget(store, entry);
    }
}

static bool store_describes(const struct store_entry *entry, const uint8_t uuid[16])
{
    return entry->answer.kind == CACHE_KIND_DESCRIPTION &&
           memcmp(entry->answer.key.collection, uuid, sizeof entry->answer.key.collection) == 0;
}

void construct_store_forget_identity(struct construct_store *store,
                                     const unsigned char     identity[16])
{
    LIST_FOR_EACH(node, &store->by_age)
    {
        struct store_entry *entry = LIST_ITEM(node, struct store_entry, node);

        if (memcmp(entry->answer.key.identity, identity, sizeof entry->answer.key.identity) == 0)
            store_forget(store, entry);
    }
}

void construct_store_void(struct construct_store *store, const uint8_t uuid[16])
{
    LIST_FOR_EACH(node, &store->by_age)
    {
        struct store_entry *entry = LIST_ITEM(node, struct store_entry, node);

        entry->voids += store_describes(entry, uuid);
    }
}

void construct_store_take_back(struct construct_store *store, const uint8_t uuid[16])
{
    LIST_FOR_EACH(node, &store->by_age)
    {
        struct store_entry *entry = LIST_ITEM(node, struct store_entry, node);

        entry->voids -= entry->voids > 0 && store_describes(entry, uuid);
    }
}

bool construct_store_next_void(const struct construct_store *store, uint64_t reached,
                               uint64_t distrusts, uint8_t uuid[16])
{
    const struct store_entry *first = NULL;
    bool                      is_behind = false;

    LIST_FOR_EACH(node, &store->by_age)
    {
        const struct store_entry *entry = LIST_ITEM(node, struct store_entry, node);

        if (entry->voids == 0 || entry->answer.reached != reached ||
            entry->answer.distrusts != distrusts)
            continue;
        if (store_describes(entry, uuid)) {
            is_behind = true;
        } else if (is_behind) {
            first = entry;
            break;
        }
        if (first == NULL)
            first = entry;
    }
    if (first != NULL)
        memcpy(uuid, first->answer.key.collection, sizeof first->answer.key.collection);
    return first != NULL;
}

/* To put one may make others go. */
void construct_store_renew(struct construct_store *store, const uint8_t uuid[16], uint64_t reached,
                           uint64_t distrusts, struct bytes body)
{
    struct store_entry *entry;

    while ((entry = store_find_void(store, uuid)) != NULL) {
        struct construct_answer answer = entry->answer;

        answer.body = body;
        if (answer.reached == reached && answer.distrusts == distrusts)
            construct_store_put(store, &answer);
        else
            store_forget(store, entry);
    }
}

static struct store_entry *store_find_void(struct construct_store *store, const uint8_t uuid[16])
{
    LIST_FOR_EACH(node, &store->by_age)
    {
        struct store_entry *entry = LIST_ITEM(node, struct store_entry, node);

        if (entry->voids > 0 && store_describes(entry, uuid))
            return entry;
    }
    return NULL;
}

void construct_store_forget_void(struct construct_store *store, const uint8_t uuid[16])
{
    struct store_entry *entry;

    while ((entry = store_find_void(store, uuid)) != NULL)
        store_forget(store, entry);
}

size_t construct_store_count(const struct construct_store *store)
{
    return hash_map_count(store->entries);
}
