#include "reads/cache_usage.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/hash_map.h"
#include "base/list.h"

struct usage_collection {
    uint8_t          uuid[16];
    uint8_t          number;
    struct list_node node; /* in the list of use */
};

struct cache_usage {
    struct hash_map          *numbered; /* by UUID */
    struct list               used;     /* of those in it, the quietest first */
    struct usage_collection   collections[QUERY_CACHE_OWNERS_MAX]; /* [0]: not used */
    size_t                    collection_count;                    /* numbers given, 0 among them */
    char                      services[QUERY_CACHE_OWNERS_MAX][CACHE_USAGE_NAME_SIZE];
    struct cache_usage_counts counts[QUERY_CACHE_OWNER_KINDS][QUERY_CACHE_OWNERS_MAX];
};

static struct usage_collection *usage_take_number(struct cache_usage       *usage,
                                                  const struct query_cache *cache);
static struct bytes             usage_key(const uint8_t *uuid);
static int                      by_saved_time(const void *left, const void *right);

struct cache_usage *cache_usage_new(const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct cache_usage *usage = calloc(1, sizeof *usage);

    if (usage == NULL)
        return NULL;
    usage->numbered = hash_map_new(secret, QUERY_CACHE_OWNERS_MAX);
    if (usage->numbered == NULL) {
        free(usage);
        return NULL;
    }
    list_init(&usage->used);
    usage->collection_count = 1;
    return usage;
}

void cache_usage_free(struct cache_usage *usage)
{
    if (usage == NULL)
        return;
    hash_map_free(usage->numbered);
    free(usage);
}

uint8_t cache_usage_collection(struct cache_usage *usage, const struct query_cache *cache,
                               const uint8_t uuid[16])
{
    static const uint8_t     none[16];
    struct usage_collection *collection;

    if (memcmp(uuid, none, sizeof none) == 0)
        return CACHE_USAGE_OTHERS;
    collection = hash_map_get(usage->numbered, usage_key(uuid));
    if (collection != NULL) {
        list_remove(&collection->node);
        list_push_back(&usage->used, &collection->node);
        return collection->number;
    }
    collection = usage_take_number(usage, cache);
    if (collection == NULL)
        return CACHE_USAGE_OTHERS;
    memcpy(collection->uuid, uuid, sizeof collection->uuid);
    if (hash_map_put(usage->numbered, usage_key(collection->uuid), collection) != STATUS_OK) {
        memset(collection->uuid, 0, sizeof collection->uuid);
        list_push_front(&usage->used, &collection->node); /* for the next one */
        return CACHE_USAGE_OTHERS;
    }
    list_push_back(&usage->used, &collection->node);
    return collection->number;
}

/* Taken out of everything. NULL: all are in use. */
static struct usage_collection *usage_take_number(struct cache_usage       *usage,
                                                  const struct query_cache *cache)
{
    if (usage->collection_count < QUERY_CACHE_OWNERS_MAX) {
        struct usage_collection *fresh = &usage->collections[usage->collection_count];

        fresh->number = (uint8_t)usage->collection_count++;
        return fresh;
    }
    LIST_FOR_EACH(node, &usage->used)
    {
        struct usage_collection *quiet = LIST_ITEM(node, struct usage_collection, node);

        if (query_cache_get_holding(cache, QUERY_CACHE_COLLECTION, quiet->number).entries > 0)
            continue;
        hash_map_remove(usage->numbered, usage_key(quiet->uuid));
        list_remove(&quiet->node);
        usage->counts[QUERY_CACHE_COLLECTION][quiet->number] = (struct cache_usage_counts){0};
        return quiet;
    }
    return NULL;
}

static struct bytes usage_key(const uint8_t *uuid)
{
    return (struct bytes){.data = (const char *)uuid, .size = 16};
}

void cache_usage_note(struct cache_usage *usage, uint8_t collection, uint32_t service,
                      const char *name, const struct query_cache_hit *hit)
{
    struct cache_usage_counts *counts[] = {&usage->counts[QUERY_CACHE_COLLECTION][collection],
                                           &usage->counts[QUERY_CACHE_SERVICE][service]};

    if (strcmp(usage->services[service], name) != 0) {
        snprintf(usage->services[service], CACHE_USAGE_NAME_SIZE, "%s", name);
        *counts[1] = (struct cache_usage_counts){0};
    }
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        counts[i]->lookups++;
        counts[i]->hits += hit != NULL;
        counts[i]->saved_us += hit != NULL ? hit->cost_us : 0;
    }
}

size_t cache_usage_list(const struct cache_usage *usage, const struct query_cache *cache,
                        enum query_cache_owner kind, struct cache_usage_row *out)
{
    size_t count = 0;

    for (unsigned number = 0; number < QUERY_CACHE_OWNERS_MAX; number++) {
        struct cache_usage_row row = {.counts = usage->counts[kind][number]};

        if (cache != NULL)
            row.holding = query_cache_get_holding(cache, kind, (uint8_t)number);
        if (kind == QUERY_CACHE_SERVICE)
            row.service = usage->services[number];
        else if (number != CACHE_USAGE_OTHERS)
            row.collection = usage->collections[number].uuid;
        if (row.counts.lookups > 0 || row.holding.entries > 0)
            out[count++] = row;
    }
    qsort(out, count, sizeof *out, by_saved_time);
    return count;
}

static int by_saved_time(const void *left, const void *right)
{
    const struct cache_usage_row *a = left, *b = right;
    uint64_t                      of_a = a->counts.saved_us, of_b = b->counts.saved_us;

    if (of_a == of_b) {
        of_a = a->counts.lookups;
        of_b = b->counts.lookups;
    }
    return (of_a < of_b) - (of_a > of_b);
}
