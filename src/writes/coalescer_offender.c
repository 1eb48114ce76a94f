#include "writes/coalescer_offender.h"

#include <stdlib.h>

struct offender {
    struct list_node by_age;
    uint64_t         hash;
    uint64_t         alone_until_us;
    uint64_t         penalty_us;
};

static const uint64_t penalty_min_us = 1000000, penalty_max_us = 60000000;
static const size_t   offenders_max = 2048; /* the one longest without offence makes room */
/* Above this share of split calls an address counts too; and how fast "of late" moves. */
static const double split_share_max = 0.1, split_share_step = 1.0 / 512;

static bool offender_is_alone(const struct coalescer *coalescer, uint64_t hash, uint64_t now_us);
static void offender_note(struct coalescer *coalescer, uint64_t hash, uint64_t now_us);
static struct bytes offender_key(const uint64_t *hash);

uint64_t coalescer_offender_hash(const struct coalescer *coalescer, const unsigned char *lane,
                                 struct bytes identity)
{
    uint64_t parts[2], hash;

    if (identity.size == 0)
        return 0;
    parts[0] = siphash_1_3(coalescer->options.secret,
                           (struct bytes){.data = (const char *)lane, .size = COALESCER_LANE_SIZE});
    parts[1] = siphash_1_3(coalescer->options.secret, identity);
    hash = siphash_1_3(coalescer->options.secret,
                       (struct bytes){.data = (const char *)parts, .size = sizeof parts});
    return hash == 0 ? 1 : hash;
}

bool coalescer_offender_is(const struct coalescer *coalescer, const struct coalescer_member *member,
                           uint64_t now_us)
{
    return hash_map_count(coalescer->offenders) > 0 &&
           (offender_is_alone(coalescer, member->sender, now_us) ||
            (coalescer->split_share > split_share_max &&
             offender_is_alone(coalescer, member->address, now_us)));
}

static bool offender_is_alone(const struct coalescer *coalescer, uint64_t hash, uint64_t now_us)
{
    const struct offender *found = hash_map_get(coalescer->offenders, offender_key(&hash));

    return found != NULL && now_us < found->alone_until_us;
}

void coalescer_offender_add(struct coalescer *coalescer, const struct coalescer_member *member,
                            uint64_t now_us)
{
    coalescer->stats.offences++;
    offender_note(coalescer, member->sender, now_us);
    offender_note(coalescer, member->address, now_us);
}

static void offender_note(struct coalescer *coalescer, uint64_t hash, uint64_t now_us)
{
    struct offender *found = hash_map_get(coalescer->offenders, offender_key(&hash));

    if (hash == 0)
        return;
    if (found == NULL) {
        if (hash_map_count(coalescer->offenders) >= offenders_max) {
            found = LIST_ITEM(list_first(&coalescer->offenders_by_age), struct offender, by_age);
            hash_map_remove(coalescer->offenders, offender_key(&found->hash));
            list_remove(&found->by_age);
            free(found);
        }
        found = calloc(1, sizeof *found);
        if (found == NULL)
            return; /* his next refusal costs another split, no more */
        found->hash = hash;
        list_node_init(&found->by_age);
        if (hash_map_put(coalescer->offenders, offender_key(&found->hash), found) != STATUS_OK) {
            free(found);
            return;
        }
    }
    /* Twice as long as the last time, unless he was good for as long as the longest. */
    if (found->penalty_us == 0 || now_us >= found->alone_until_us + penalty_max_us)
        found->penalty_us = penalty_min_us;
    else if (now_us >= found->alone_until_us)
        found->penalty_us *= 2;
    if (found->penalty_us > penalty_max_us)
        found->penalty_us = penalty_max_us;
    found->alone_until_us = now_us + found->penalty_us;
    list_remove(&found->by_age);
    list_push_back(&coalescer->offenders_by_age, &found->by_age);
}

void coalescer_offender_count(struct coalescer *coalescer, bool is_split)
{
    coalescer->split_share += split_share_step * ((is_split ? 1 : 0) - coalescer->split_share);
}

void coalescer_offender_free_all(struct coalescer *coalescer)
{
    LIST_FOR_EACH(node, &coalescer->offenders_by_age)
    {
        free(LIST_ITEM(node, struct offender, by_age));
    }
    hash_map_free(coalescer->offenders);
}

static struct bytes offender_key(const uint64_t *hash)
{
    return (struct bytes){.data = (const char *)hash, .size = sizeof *hash};
}
