/* cost_predictor - how long a call will keep Chroma busy, from what it asks for
 *
 * A call is so many units of its kind, and what a unit of each kind takes is learned from the calls
 * that were answered. For the fair order and for rates in milliseconds of Chroma's time: counting
 * requests would take a look-up of one record and a query for a thousand neighbours as the same.
 *
 * Thread: event loop only. Memory: the struct.
 */
#ifndef LIMITS_COST_PREDICTOR_H
#define LIMITS_COST_PREDICTOR_H

#include <stddef.h>
#include <stdint.h>

enum cost_kind {
    COST_GET,
    COST_QUERY,
    COST_FILTERED, /* query or get with a filter */
    COST_WRITE,
    COST_OTHER,
    COST_KINDS
};

struct cost_predictor {
    double unit_us[COST_KINDS];
};

/* Begin with what a small Chroma needs. */
void cost_predictor_init(struct cost_predictor *predictor);

/* How many units a call is: `count` embeddings of a query or records of a write, `results` asked
 * for of each; 0 where there is no such number. */
double cost_predictor_units(enum cost_kind kind, size_t count, size_t results);

/* Expected time at Chroma, 1 ms or more. */
uint64_t cost_predictor_expect(const struct cost_predictor *predictor, enum cost_kind kind,
                               double units);

/* A call of so many units took `took_us`. One that took far longer than expected, as behind a lock,
 * counts as eight times that. */
void cost_predictor_learn(struct cost_predictor *predictor, enum cost_kind kind, double units,
                          uint64_t took_us);

#endif
