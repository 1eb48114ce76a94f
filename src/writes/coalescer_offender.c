#include <stdlib.h>

#include "writes/coalescer_internal.h"

struct offender {
    struct list_node by_age;
    uint64_t         hash;
    uint64_t         alone_until_us;
    uint64_t         penalty_us;
};

static const uint64_t penalty_min_us = 1000000, penalty_max_us = 60000000;
static const size_t   offenders_max = 1024; /* the one longest without offence makes room */

static struct bytes offender_key(const uint64_t *hash);

uint64_t coalescer_offender_hash(const struct coalescer *coalescer, const unsigned char *lane,
                                 struct bytes identity)
{
    uint64_t parts[2];

    parts[0] = siphash_1_3(coalescer->options.secret,
                           (struct bytes){.data = (const char *)lane, .size = COALESCER_LANE_SIZE});
    parts[1] = siphash_1_3(coalescer->options.secret, identity);
    return siphash_1_3(coalescer->options.secret,
                       (struct bytes){.data = (const char *)parts, .size = sizeof parts});
}

bool coalescer_offender_is(const struct coalescer *coalescer, uint64_t offender, uint64_t now_us)
{
    const struct offender *found = hash_map_get(coalescer->offenders, offender_key(&offender));

    return found != NULL && now_us < found->alone_until_us;
}

void coalescer_offender_add(struct coalescer *coalescer, uint64_t offender, uint64_t now_us)
{
    struct offender *found = hash_map_get(coalescer->offenders, offender_key(&offender));

    coalescer->stats.offences++;
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
        found->hash = offender;
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
