#include "base/hash_map.h"

#include <assert.h>
#include <stdlib.h>

struct hash_map_slot {
    struct bytes key;
    void        *value; /* NULL: the slot is free */
    uint64_t     hash;
};

struct hash_map {
    unsigned char         secret[SIPHASH_KEY_SIZE];
    struct hash_map_slot *slots; /* NULL until the first entry */
    size_t                mask;  /* slots less one; their number is a power of two */
    size_t                count, entries_max;
};

static const size_t first_slots = 16;

static enum status hash_map_grow(struct hash_map *map);
static size_t      hash_map_find(const struct hash_map *map, struct bytes key, uint64_t hash);

struct hash_map *hash_map_new(const unsigned char secret[SIPHASH_KEY_SIZE], size_t entries_max)
{
    struct hash_map *map = calloc(1, sizeof *map);

    if (map == NULL)
        return NULL;
    memcpy(map->secret, secret, SIPHASH_KEY_SIZE);
    map->entries_max = entries_max;
    return map;
}

void hash_map_free(struct hash_map *map)
{
    if (map == NULL)
        return;
    free(map->slots);
    free(map);
}

size_t hash_map_count(const struct hash_map *map)
{
    return map->count;
}

void *hash_map_get(const struct hash_map *map, struct bytes key)
{
    if (map->count == 0)
        return NULL;
    return map->slots[hash_map_find(map, key, siphash_1_3(map->secret, key))].value;
}

enum status hash_map_put(struct hash_map *map, struct bytes key, void *value)
{
    uint64_t hash = siphash_1_3(map->secret, key);
    size_t   at;

    assert(value != NULL);
    if (map->count >= map->entries_max)
        return STATUS_LIMIT_REACHED;
    /* Three quarters full at most: probes stay short. */
    if (map->slots == NULL || map->count >= (map->mask + 1) / 4 * 3) {
        enum status status = hash_map_grow(map);

        if (status != STATUS_OK)
            return status;
    }
    at = hash_map_find(map, key, hash);
    assert(map->slots[at].value == NULL);
    map->slots[at] = (struct hash_map_slot){.key = key, .value = value, .hash = hash};
    map->count++;
    return STATUS_OK;
}

void *hash_map_remove(struct hash_map *map, struct bytes key)
{
    size_t hole, at;
    void  *value;

    if (map->count == 0)
        return NULL;
    hole = hash_map_find(map, key, siphash_1_3(map->secret, key));
    value = map->slots[hole].value;
    if (value == NULL)
        return NULL;
    /* Move back each entry of the run that the hole would cut off from its first slot. */
    for (at = (hole + 1) & map->mask; map->slots[at].value != NULL; at = (at + 1) & map->mask) {
        size_t probes = (at - (size_t)map->slots[at].hash) & map->mask;

        if (probes >= ((at - hole) & map->mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole].value = NULL;
    map->count--;
    return value;
}

void *hash_map_next(const struct hash_map *map, size_t *position)
{
    if (map == NULL || map->slots == NULL)
        return NULL;
    while (*position <= map->mask) {
        void *value = map->slots[(*position)++].value;

        if (value != NULL)
            return value;
    }
    return NULL;
}

static enum status hash_map_grow(struct hash_map *map)
{
    size_t                slots = map->slots == NULL ? first_slots : (map->mask + 1) * 2;
    struct hash_map_slot *old = map->slots;
    size_t                old_slots = old == NULL ? 0 : map->mask + 1;
    struct hash_map_slot *new = calloc(slots, sizeof *new);

    if (new == NULL)
        return STATUS_NO_MEMORY;
    map->slots = new;
    map->mask = slots - 1;
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i].value != NULL)
            new[hash_map_find(map, old[i].key, old[i].hash)] = old[i];
    }
    free(old);
    return STATUS_OK;
}

/* The slot that holds `key`, else the free one where it belongs. */
static size_t hash_map_find(const struct hash_map *map, struct bytes key, uint64_t hash)
{
    size_t at = (size_t)hash & map->mask;

    while (map->slots[at].value != NULL &&
           (map->slots[at].hash != hash || !bytes_equal(map->slots[at].key, key)))
        at = (at + 1) & map->mask;
    return at;
}
