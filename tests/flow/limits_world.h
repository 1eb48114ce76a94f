/* limits_world - a model of Chroma under load, with the policies of limits/ in front, in simulated
 * time
 *
 * Chroma: some cores shared by all requests in flight, and slower by one percent for each request
 * beyond the cores. Requests come whether answers do or not (open loop). A client gives up after a
 * second: its turn is given back then, as the proxy does it, but what was sent is worked on to its
 * end. 80 % of the requests take 5 ms, 15 % 2 ms, 5 % 40 ms, lognormal around it; those of 5 and 40
 * ms look alike to the proxy. While a write is committed all of it takes five times as long.
 */
#ifndef FLOW_LIMITS_WORLD_H
#define FLOW_LIMITS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"

enum { LIMITS_WORLD_SERVICES = 4, LIMITS_WORLD_PROXIES_MAX = 30, LIMITS_WORLD_SECONDS = 60 };

/* What fixed means in reads_max. */
enum { LIMITS_WORLD_ADAPTIVE = 0, LIMITS_WORLD_NONE = 100000 };

struct limits_world_options {
    uint64_t seed;
    unsigned cores, proxies;
    unsigned seconds;
    size_t   reads_max; /* LIMITS_WORLD_ADAPTIVE, LIMITS_WORLD_NONE, or a fixed number */
    bool     is_shed;
    unsigned tries; /* of a client, 1 or more */

    /* In parts of Chroma's capacity, by service; and the speed of Chroma; while `seconds` run. */
    double (*load)(unsigned service, double at_s);
    double (*speed)(double at_s); /* NULL: always 1 */
    bool (*writes)(double at_s);  /* is a write under way? NULL: never */
    double (*slow)(double at_s);  /* the part that ask a collection where all take 40 ms, while the
                                     others take 5 ms; NULL: as above */
};

struct limits_world_result {
    uint64_t offered[LIMITS_WORLD_SERVICES]; /* requests, not tries */
    uint64_t good[LIMITS_WORLD_SERVICES];    /* answered within their client's second, at any try */
    uint64_t good_by_second[LIMITS_WORLD_SECONDS];
    uint64_t offered_by_second[LIMITS_WORLD_SECONDS];
    uint64_t refused, refused_late; /* by the proxy; later than 110 ms after asking */
    uint64_t in_flight_max;         /* at Chroma */
    double   capacity;              /* requests per second */
    struct histogram answered;      /* from asking to the answer, in us */
};

/* Run it to its end. Aborts the test when an invariant breaks (a cap exceeded, a request lost). */
void limits_world_run(const struct limits_world_options *options,
                      struct limits_world_result        *ret_result);

/* Requests answered in time in [from_s, to_s), per second, as a part of the capacity. */
double limits_world_goodput(const struct limits_world_result *result, unsigned from_s,
                            unsigned to_s);

#endif
