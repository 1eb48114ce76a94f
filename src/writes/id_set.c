#include "writes/id_set.h"

#include <stdlib.h>

static enum status id_set_reserve(struct id_set *set, size_t count);
static size_t      id_set_find(const struct id_set *set, uint64_t hash);

void id_set_done(struct id_set *set)
{
    free(set->slots);
    *set = (struct id_set){0};
}

void id_set_clear(struct id_set *set)
{
    set->round++;
    set->count = 0;
}

bool id_set_is_disjoint(const struct id_set *set, const uint64_t *hashes, size_t count)
{
    if (set->count == 0)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (set->slots[id_set_find(set, hashes[i])].round == set->round)
            return false;
    }
    return true;
}

enum status id_set_add(struct id_set *set, const uint64_t *hashes, size_t count)
{
    enum status status = id_set_reserve(set, set->count + count);

    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct id_set_slot *slot = &set->slots[id_set_find(set, hashes[i])];

        set->count += slot->round != set->round;
        *slot = (struct id_set_slot){.hash = hashes[i], .round = set->round};
    }
    return status;
}

/* Make room for `count` ids, half of the slots at most. */
static enum status id_set_reserve(struct id_set *set, size_t count)
{
    struct id_set old = *set;
    size_t        slots = set->slots == NULL ? 64 : set->mask + 1;

    if (set->slots != NULL && count <= slots / 2)
        return STATUS_OK;
    while (count > slots / 2)
        slots *= 2;
    set->slots = calloc(slots, sizeof *set->slots);
    if (set->slots == NULL) {
        *set = old;
        return STATUS_NO_MEMORY;
    }
    set->mask = slots - 1;
    if (set->round == 0) /* what calloc() gave must be free */
        set->round = 1;
    for (size_t i = 0; old.slots != NULL && i <= old.mask; i++) {
        if (old.slots[i].round == old.round)
            set->slots[id_set_find(set, old.slots[i].hash)] = old.slots[i];
    }
    free(old.slots);
    return STATUS_OK;
}

/* The slot that holds `hash`, else the free one where it belongs. */
static size_t id_set_find(const struct id_set *set, uint64_t hash)
{
    size_t at = (size_t)hash & set->mask;

    while (set->slots[at].round == set->round && set->slots[at].hash != hash)
        at = (at + 1) & set->mask;
    return at;
}
