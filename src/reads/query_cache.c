#include "reads/query_cache.h"

#include <assert.h>
#include <stdlib.h>

#include "base/list.h"
#include "reads/chunk_pool.h"

enum {
    /* Entries that go for one that comes: what is large pays for itself in a few, and no call takes
     * long. */
    EVICTIONS_MAX = 256,
    HAND_STEPS_MAX = 256 /* then the entry under the hand goes, asked for or not */
};

/* At the beginning of the first chunk of its chain; the answer follows. */
struct query_cache_entry {
    struct list_node          order; /* in that of its share, the newest first */
    struct query_cache_entry *next;  /* in its bucket */
    struct query_cache_key    key;
    struct query_validity     validity;
    uint64_t                  stored_us, cost_us;
    uint32_t                  size, service;
    uint8_t                   head;
    bool                      was_hit; /* since the hand passed */
    uint8_t                   collection;
};

/* What one service holds. */
struct share {
    struct list       order;
    struct list_node *hand; /* an entry's, or the list's own head */
    size_t            chunk_count;
};

struct query_cache {
    struct query_cache_options options;
    struct memory_account     *account;
    struct chunk_pool          chunks;
    struct query_cache_entry **buckets;
    size_t                     bucket_mask;
    size_t                     fixed_bytes; /* of all but the blocks */
    struct share              *shares;
    struct query_cache_stats   stats;
    struct query_cache_holding holdings[QUERY_CACHE_OWNER_KINDS][QUERY_CACHE_OWNERS_MAX];
};

enum { FIRST_SIZE = CHUNK_DATA_SIZE - sizeof(struct query_cache_entry) };

static struct query_cache_entry **find_kept(struct query_cache           *cache,
                                            const struct query_cache_key *key);
static void                       drop(struct query_cache *cache, struct query_cache_entry **place);
static void          drop_entry(struct query_cache *cache, struct query_cache_entry *entry);
static size_t        chunks_of(size_t size);
static struct chunk *evict_for(struct query_cache *cache, size_t chunk_count, uint32_t service);
static struct share *largest_share(struct query_cache *cache, size_t chunk_count, uint32_t service);
static bool          evict(struct query_cache *cache, struct share *share);
static struct query_cache_entry *fill(struct chunk *chain, struct bytes body);
static void charge_owners(struct query_cache *cache, const struct query_cache_entry *entry,
                          bool is_kept);

static struct chunk *chunk_of(const struct query_cache_entry *entry)
{
    return CONTAINER_OF((char *)entry, struct chunk, data);
}

const struct metric_desc query_cache_metrics[] = {
#define LOOKUPS(field, result)                                                                     \
    METRIC_LABELED(COUNTER, query_cache_stats, field, "chromabouncer_cache_lookups_total",         \
                   "result=\"" result "\"",                                                        \
                   "Reads whose answer was looked for, by what was found.")
    LOOKUPS(hits, "hit"),
    LOOKUPS(misses, "miss"),
    LOOKUPS(stale, "stale"),
    LOOKUPS(expired, "expired"),
    LOOKUPS(joined, "collapsed"),
#undef LOOKUPS
    METRIC(COUNTER, query_cache_stats, stored, "chromabouncer_cache_stored_total",
           "Answers that were kept."),
    METRIC(COUNTER, query_cache_stats, evicted, "chromabouncer_cache_evictions_total",
           "Answers that made room for others; many beside few hits: the cache is too small."),
#define NOT_STORED(field, reason)                                                                  \
    METRIC_LABELED(COUNTER, query_cache_stats, field, "chromabouncer_cache_not_stored_total",      \
                   "reason=\"" reason "\"", "Answers that could not be kept, by why.")
    NOT_STORED(too_large, "too_large"),
    NOT_STORED(no_room, "no_room"),
#undef NOT_STORED
    METRIC(GAUGE, query_cache_stats, entries, "chromabouncer_cache_entries",
           "Answers that are kept now."),
    METRIC(GAUGE, query_cache_stats, bytes, "chromabouncer_cache_bytes",
           "Memory of the cache, with all that belongs to it."),
    METRIC(DURATION_COUNTER, query_cache_stats, saved_us, "chromabouncer_cache_saved_seconds_total",
           "What the answers given from the cache had taken Chroma."),
};
const size_t query_cache_metric_count = COUNT_OF(query_cache_metrics);

/* A bucket for each chunk: one entry in it on average at most. */
struct query_cache *query_cache_new(const struct query_cache_options *options,
                                    struct memory_account            *account)
{
    struct query_cache *cache = calloc(1, sizeof *cache);
    size_t              buckets = 1;

    if (cache == NULL)
        return NULL;
    while (buckets < options->bytes_max / CHUNK_SIZE / 2)
        buckets *= 2;
    assert(options->services <= QUERY_CACHE_OWNERS_MAX);
    cache->options = *options;
    if (cache->options.services == 0)
        cache->options.services = 1;
    cache->buckets = calloc(buckets, sizeof(struct query_cache_entry *));
    cache->shares = calloc(cache->options.services, sizeof(struct share));
    if (cache->buckets == NULL || cache->shares == NULL) {
        free(cache->buckets);
        free(cache->shares);
        free(cache);
        return NULL;
    }
    if (cache->options.object_bytes_max > UINT32_MAX)
        cache->options.object_bytes_max = UINT32_MAX;
    cache->account = account;
    for (size_t i = 0; i < cache->options.services; i++) {
        list_init(&cache->shares[i].order);
        cache->shares[i].hand = &cache->shares[i].order.head;
    }
    cache->bucket_mask = buckets - 1;
    cache->fixed_bytes = options->bytes_beside + sizeof *cache + buckets * sizeof *cache->buckets +
                         cache->options.services * sizeof *cache->shares;
    chunk_pool_init(
        &cache->chunks,
        options->bytes_max > cache->fixed_bytes ? options->bytes_max - cache->fixed_bytes : 0,
        account);
    memory_account_charge(account, cache->fixed_bytes - options->bytes_beside);
    cache->stats.bytes = cache->fixed_bytes;
    return cache;
}

void query_cache_free(struct query_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->options.services; i++) {
        struct list *order = &cache->shares[i].order;

        while (!list_is_empty(order))
            drop_entry(cache, LIST_ITEM(list_first(order), struct query_cache_entry, order));
    }
    chunk_pool_done(&cache->chunks);
    memory_account_release(cache->account, cache->fixed_bytes - cache->options.bytes_beside);
    free(cache->buckets);
    free(cache->shares);
    free(cache);
}

enum query_cache_result query_cache_find(struct query_cache           *cache,
                                         const struct query_cache_key *key,
                                         const struct query_validity *now, uint64_t max_age_us,
                                         uint64_t now_us, struct query_cache_hit *ret_hit)
{
    struct query_cache_entry **place = find_kept(cache, key);
    struct query_cache_entry  *entry = *place;

    if (entry == NULL) {
        cache->stats.misses++;
        return QUERY_CACHE_MISS;
    }
    if (!query_validity_holds(&entry->validity, now)) {
        cache->stats.stale++;
        drop(cache, place);
        return QUERY_CACHE_STALE;
    }
    if (now_us - entry->stored_us > max_age_us) {
        cache->stats.expired++;
        return QUERY_CACHE_EXPIRED;
    }
    entry->was_hit = true;
    cache->stats.hits++;
    cache->stats.saved_us += entry->cost_us;
    *ret_hit = (struct query_cache_hit){.size = entry->size,
                                        .age_us = now_us - entry->stored_us,
                                        .cost_us = entry->cost_us,
                                        .head = entry->head,
                                        .part = {.data = (const char *)(entry + 1)},
                                        .next = chunk_of(entry)->next,
                                        .left = entry->size};
    ret_hit->part.size = ret_hit->left < FIRST_SIZE ? ret_hit->left : FIRST_SIZE;
    return QUERY_CACHE_HIT;
}

bool query_cache_holds(struct query_cache *cache, const struct query_cache_key *key,
                       const struct query_validity *then)
{
    const struct query_cache_entry *entry = *find_kept(cache, key);

    return entry != NULL && query_validity_holds(&entry->validity, then);
}

enum query_cache_result query_cache_pass_over(struct query_cache *cache)
{
    cache->stats.expired++;
    return QUERY_CACHE_EXPIRED;
}

void query_cache_note_join(struct query_cache *cache, enum query_cache_result result)
{
    struct query_cache_stats *stats = &cache->stats;

    stats->misses -= result == QUERY_CACHE_MISS;
    stats->stale -= result == QUERY_CACHE_STALE;
    stats->expired -= result == QUERY_CACHE_EXPIRED;
    stats->joined++;
}

/* Where the pointer to the entry of `key` is, or would be. */
static struct query_cache_entry **find_kept(struct query_cache           *cache,
                                            const struct query_cache_key *key)
{
    struct query_cache_entry **place;
    size_t                     hash;

    memcpy(&hash, key->digest, sizeof hash);
    place = &cache->buckets[hash & cache->bucket_mask];
    while (*place != NULL && memcmp(&(*place)->key, key, sizeof *key) != 0)
        place = &(*place)->next;
    return place;
}

bool query_cache_read(struct query_cache_hit *hit, struct bytes *ret_part)
{
    if (hit->left == 0)
        return false;
    *ret_part = hit->part;
    hit->left -= hit->part.size;
    if (hit->left > 0) {
        hit->part =
            (struct bytes){.data = hit->next->data,
                           .size = hit->left < CHUNK_DATA_SIZE ? hit->left : CHUNK_DATA_SIZE};
        hit->next = hit->next->next;
    }
    return true;
}

/* Take an entry out of everything. */
static void drop(struct query_cache *cache, struct query_cache_entry **place)
{
    struct query_cache_entry *entry = *place;
    struct share             *share = &cache->shares[entry->service];

    *place = entry->next;
    if (share->hand == &entry->order)
        share->hand = entry->order.prev;
    list_remove(&entry->order);
    share->chunk_count -= chunks_of(entry->size);
    charge_owners(cache, entry, false);
    chunk_pool_give(&cache->chunks, chunk_of(entry));
    cache->stats.entries--;
    cache->stats.bytes = cache->fixed_bytes + cache->chunks.bytes;
}

static void drop_entry(struct query_cache *cache, struct query_cache_entry *entry)
{
    drop(cache, find_kept(cache, &entry->key));
}

enum status query_cache_put(struct query_cache *cache, const struct query_cache_key *key,
                            const struct query_validity     *validity,
                            const struct query_cache_answer *answer, uint64_t now_us)
{
    struct query_cache_entry **place = find_kept(cache, key), *entry;
    struct chunk              *chain;
    size_t                     size = answer->body.size;
    struct share              *share = &cache->shares[answer->service];

    assert(validity->stamp != 0 && answer->service < cache->options.services);
    if (*place != NULL)
        drop(cache, place);
    if (size > cache->options.object_bytes_max) {
        cache->stats.too_large++;
        return STATUS_TOO_LARGE;
    }
    chain = evict_for(cache, chunks_of(size), answer->service);
    if (chain == NULL) {
        cache->stats.no_room++;
        cache->stats.bytes = cache->fixed_bytes + cache->chunks.bytes;
        return STATUS_NO_MEMORY;
    }
    entry = fill(chain, answer->body);
    *entry = (struct query_cache_entry){.key = *key,
                                        .validity = *validity,
                                        .stored_us = now_us,
                                        .cost_us = answer->cost_us,
                                        .size = (uint32_t)size,
                                        .service = answer->service,
                                        .head = answer->head,
                                        .collection = answer->collection};
    charge_owners(cache, entry, true);
    place = find_kept(cache, key); /* evictions may have changed the bucket */
    *place = entry;
    list_push_front(&share->order, &entry->order);
    share->chunk_count += chunks_of(size);
    cache->stats.stored++;
    cache->stats.entries++;
    cache->stats.bytes = cache->fixed_bytes + cache->chunks.bytes;
    return STATUS_OK;
}

static size_t chunks_of(size_t size)
{
    return size <= FIRST_SIZE ? 1 : 1 + (size - FIRST_SIZE + CHUNK_DATA_SIZE - 1) / CHUNK_DATA_SIZE;
}

/* So many chunks for a service, others evicted for them. NULL: not even so. */
static struct chunk *evict_for(struct query_cache *cache, size_t chunk_count, uint32_t service)
{
    struct chunk *chain = NULL;

    if (chunk_count > chunk_pool_capacity(&cache->chunks))
        return NULL;
    for (unsigned evictions = 0; evictions <= EVICTIONS_MAX; evictions++) {
        chain = chunk_pool_take(&cache->chunks, chunk_count);
        if (chain != NULL || !evict(cache, largest_share(cache, chunk_count, service)))
            break;
    }
    return chain;
}

/* Of those that hold something: the one that would hold most, if the new entry were there. */
static struct share *largest_share(struct query_cache *cache, size_t chunk_count, uint32_t service)
{
    struct share *largest = &cache->shares[service];
    size_t        most = largest->chunk_count == 0 ? 0 : largest->chunk_count + chunk_count;

    for (size_t i = 0; i < cache->options.services; i++)
        if (cache->shares[i].chunk_count > most) {
            largest = &cache->shares[i];
            most = largest->chunk_count;
        }
    return largest;
}

/* SIEVE's hand goes from the oldest to the newest and begins again. False: there is no entry. */
static bool evict(struct query_cache *cache, struct share *share)
{
    struct query_cache_entry *entry;

    if (list_is_empty(&share->order))
        return false;
    for (unsigned steps = 0;; steps++) {
        if (share->hand == &share->order.head)
            share->hand = share->order.head.prev;
        entry = LIST_ITEM(share->hand, struct query_cache_entry, order);
        if (!entry->was_hit || steps == HAND_STEPS_MAX)
            break;
        entry->was_hit = false;
        share->hand = entry->order.prev;
    }
    drop_entry(cache, entry); /* moves the hand on */
    cache->stats.evicted++;
    return true;
}

/* Write the body behind where the entry of `chain` will stand. */
static struct query_cache_entry *fill(struct chunk *chain, struct bytes body)
{
    struct query_cache_entry *entry = (struct query_cache_entry *)(void *)chain->data;
    char                     *at = (char *)(entry + 1);
    size_t                    room = FIRST_SIZE;

    while (body.size > room) {
        memcpy(at, body.data, room);
        body = bytes_skip(body, room);
        chain = chain->next;
        at = chain->data;
        room = CHUNK_DATA_SIZE;
    }
    if (body.size > 0)
        memcpy(at, body.data, body.size);
    return entry;
}

const struct query_cache_stats *query_cache_get_stats(const struct query_cache *cache)
{
    return &cache->stats;
}

static void charge_owners(struct query_cache *cache, const struct query_cache_entry *entry,
                          bool is_kept)
{
    struct query_cache_holding *holdings[] = {
        &cache->holdings[QUERY_CACHE_COLLECTION][entry->collection],
        &cache->holdings[QUERY_CACHE_SERVICE][entry->service]};
    size_t bytes = chunks_of(entry->size) * CHUNK_SIZE;

    for (size_t i = 0; i < COUNT_OF(holdings); i++) {
        holdings[i]->entries += is_kept ? 1 : (uint64_t)-1;
        holdings[i]->bytes += is_kept ? bytes : -bytes;
    }
}

struct query_cache_holding query_cache_get_holding(const struct query_cache *cache,
                                                   enum query_cache_owner kind, uint8_t owner)
{
    return cache->holdings[kind][owner];
}

void query_cache_drop_collection(struct query_cache *cache, const uint8_t collection[16])
{
    for (size_t i = 0; i <= cache->bucket_mask; i++) {
        struct query_cache_entry **place = &cache->buckets[i];

        while (*place != NULL)
            if (memcmp((*place)->key.collection, collection, sizeof(*place)->key.collection) == 0)
                drop(cache, place);
            else
                place = &(*place)->next;
    }
}

void query_cache_clear(struct query_cache *cache)
{
    for (size_t i = 0; i <= cache->bucket_mask; i++)
        while (cache->buckets[i] != NULL)
            drop(cache, &cache->buckets[i]);
}
