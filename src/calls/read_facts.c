#include "calls/read_facts.h"

#include <string.h>

#include "chroma/chroma_extent.h"

static uint64_t question_hash(const unsigned char *key, const struct chroma_route *route,
                              struct bytes body);

struct read_facts read_facts_take(struct look_budget        *budget,
                                  const unsigned char        key[SIPHASH_KEY_SIZE],
                                  const struct chroma_route *route, struct bytes body,
                                  uint64_t now_us)
{
    struct read_facts    facts = {0};
    struct chroma_extent extent;

    if ((route->operation != CHROMA_OPERATION_GET && route->operation != CHROMA_OPERATION_QUERY) ||
        !route->has_uuid || !look_budget_take(budget, body.size, now_us) ||
        chroma_extent_read(route->operation, body, &extent) != STATUS_OK)
        return facts;
    facts.question = question_hash(key, route, body);
    facts.is_unfiltered_get = extent.is_unfiltered;
    if (route->operation == CHROMA_OPERATION_QUERY)
        facts.n_results = extent.n_results;
    return facts;
}

static uint64_t question_hash(const unsigned char *key, const struct chroma_route *route,
                              struct bytes body)
{
    struct {
        uint64_t body, operation;
        uint8_t  collection[16];
    } question = {.body = siphash_1_3(key, body), .operation = route->operation};
    uint64_t hash;

    memcpy(question.collection, route->uuid, sizeof question.collection);
    hash =
        siphash_1_3(key, (struct bytes){.data = (const char *)&question, .size = sizeof question});
    return hash == 0 ? 1 : hash;
}
