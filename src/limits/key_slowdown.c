#include "limits/key_slowdown.h"

#include <stdlib.h>

enum { BUCKETS = 1024, WAYS = 4 };

static const uint64_t half_life_us = 60000000;
static const uint64_t first_us = 100000, longest_us = 5000000;

struct slot {
    uint64_t hash;      /* of the address; 0: free */
    uint64_t halved_us; /* or new then */
    uint32_t failures;
};

struct key_slowdown {
    unsigned char secret[SIPHASH_KEY_SIZE];
    struct slot   slots[BUCKETS][WAYS];
};

static struct slot *find_slot(struct key_slowdown *slowdown, uint64_t hash, uint64_t now_us);
static uint32_t     failures_at(const struct slot *slot, uint64_t now_us);

struct key_slowdown *key_slowdown_new(const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct key_slowdown *slowdown = calloc(1, sizeof *slowdown);

    if (slowdown != NULL)
        memcpy(slowdown->secret, secret, SIPHASH_KEY_SIZE);
    return slowdown;
}

void key_slowdown_free(struct key_slowdown *slowdown)
{
    free(slowdown);
}

uint64_t key_slowdown_count(struct key_slowdown *slowdown, struct bytes address, uint64_t now_us)
{
    struct slot *slot;
    uint64_t     wait_us = first_us;

    if (address.size > 8)
        address.size = 8;
    slot = find_slot(slowdown, siphash_1_3(slowdown->secret, address) | 1, now_us);
    slot->failures = failures_at(slot, now_us);
    slot->failures += slot->failures < UINT32_MAX;
    slot->halved_us += (now_us - slot->halved_us) / half_life_us * half_life_us;
    if (slot->failures <= KEY_SLOWDOWN_FREE)
        return 0;
    for (uint32_t i = KEY_SLOWDOWN_FREE + 1; i < slot->failures && wait_us < longest_us; i++)
        wait_us *= 2;
    return wait_us < longest_us ? wait_us : longest_us;
}

/* Its slot, or the one of its bucket with the fewest failures, emptied. */
static struct slot *find_slot(struct key_slowdown *slowdown, uint64_t hash, uint64_t now_us)
{
    struct slot *bucket = slowdown->slots[hash >> 32 & (BUCKETS - 1)];
    struct slot *least = &bucket[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (bucket[i].hash == hash)
            return &bucket[i];
        if (failures_at(&bucket[i], now_us) < failures_at(least, now_us))
            least = &bucket[i];
    }
    *least = (struct slot){.hash = hash, .halved_us = now_us};
    return least;
}

static uint32_t failures_at(const struct slot *slot, uint64_t now_us)
{
    uint64_t halvings = (now_us - slot->halved_us) / half_life_us;

    return halvings > 31 ? 0 : slot->failures >> halvings;
}
