#include "proxy/mirror_trust.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/hash_map.h"
#include "base/list.h"

enum { key_size = 16 + MIRROR_TRUST_DIGEST_SIZE };

struct trust_entry {
    struct list_node node;
    unsigned char    key[key_size];
    uint64_t         noted_us;
};

struct mirror_trust {
    struct hash_map *entries;
    struct list      by_age; /* noted longest ago first */
};

static void trust_key(const uint8_t uuid[16], const unsigned char who[MIRROR_TRUST_DIGEST_SIZE],
                      unsigned char ret_key[key_size]);
static struct trust_entry *trust_find(const struct mirror_trust *trust,
                                      const unsigned char        key[key_size]);
static void                trust_forget(struct mirror_trust *trust, struct trust_entry *entry);

struct mirror_trust *mirror_trust_new(const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct mirror_trust *trust = calloc(1, sizeof *trust);

    if (trust == NULL)
        return NULL;
    list_init(&trust->by_age);
    trust->entries = hash_map_new(secret, MIRROR_TRUST_ENTRIES_MAX);
    if (trust->entries == NULL) {
        free(trust);
        return NULL;
    }
    return trust;
}

void mirror_trust_free(struct mirror_trust *trust)
{
    if (trust == NULL)
        return;
    mirror_trust_clear(trust);
    hash_map_free(trust->entries);
    free(trust);
}

void mirror_trust_note(struct mirror_trust *trust, const uint8_t uuid[16],
                       const unsigned char who[MIRROR_TRUST_DIGEST_SIZE], uint64_t now_us)
{
    unsigned char       key[key_size];
    struct trust_entry *entry;

    trust_key(uuid, who, key);
    entry = trust_find(trust, key);
    if (entry != NULL) {
        list_remove(&entry->node);
    } else {
        if (hash_map_count(trust->entries) >= MIRROR_TRUST_ENTRIES_MAX)
            trust_forget(trust, LIST_ITEM(list_first(&trust->by_age), struct trust_entry, node));
        entry = calloc(1, sizeof *entry);
        if (entry == NULL)
            return;
        memcpy(entry->key, key, sizeof key);
        if (hash_map_put(trust->entries,
                         (struct bytes){.data = (char *)entry->key, .size = key_size},
                         entry) != STATUS_OK) {
            free(entry);
            return;
        }
    }
    entry->noted_us = now_us;
    list_push_back(&trust->by_age, &entry->node);
}

static void trust_key(const uint8_t uuid[16], const unsigned char who[MIRROR_TRUST_DIGEST_SIZE],
                      unsigned char ret_key[key_size])
{
    memcpy(ret_key, uuid, 16);
    memcpy(ret_key + 16, who, MIRROR_TRUST_DIGEST_SIZE);
}

static struct trust_entry *trust_find(const struct mirror_trust *trust,
                                      const unsigned char        key[key_size])
{
    return hash_map_get(trust->entries,
                        (struct bytes){.data = (const char *)key, .size = key_size});
}

static void trust_forget(struct mirror_trust *trust, struct trust_entry *entry)
{
    (void)hash_map_remove(trust->entries,
                          (struct bytes){.data = (char *)entry->key, .size = key_size});
    list_remove(&entry->node);
    free(entry);
}

void mirror_trust_refuse(struct mirror_trust *trust, const uint8_t uuid[16],
                         const unsigned char who[MIRROR_TRUST_DIGEST_SIZE])
{
    unsigned char       key[key_size];
    struct trust_entry *entry;

    trust_key(uuid, who, key);
    entry = trust_find(trust, key);
    if (entry != NULL)
        trust_forget(trust, entry);
}

bool mirror_trust_holds(const struct mirror_trust *trust, const uint8_t uuid[16],
                        const unsigned char who[MIRROR_TRUST_DIGEST_SIZE], uint64_t now_us,
                        uint64_t within_us)
{
    unsigned char             key[key_size];
    const struct trust_entry *entry;

    trust_key(uuid, who, key);
    entry = trust_find(trust, key);
    return entry != NULL && now_us - entry->noted_us <= within_us;
}

void mirror_trust_clear(struct mirror_trust *trust)
{
    struct list_node *node;

    while ((node = list_first(&trust->by_age)) != NULL)
        trust_forget(trust, LIST_ITEM(node, struct trust_entry, node));
}

size_t mirror_trust_count(const struct mirror_trust *trust)
{
    return hash_map_count(trust->entries);
}
