#include "limits/cost_predictor.h"

/* Measured on two cores with 20 000 records of 384 dimensions; only the first calls rely on it. */
static const double start_us[COST_KINDS] = {[COST_GET] = 2000,
                                            [COST_QUERY] = 5000,
                                            [COST_FILTERED] = 10000,
                                            [COST_WRITE] = 35000,
                                            [COST_OTHER] = 5000};
/* A call with so many records takes about twice as long as one with a single record. */
static const double   records_per_unit = 27;
static const double   results_per_unit = 100;
static const double   weight = 1.0 / 16; /* of the newest call */
static const double   far = 8;
static const uint64_t least_us = 1000, most_us = UINT64_C(600000000);

void cost_predictor_init(struct cost_predictor *predictor)
{
    for (size_t i = 0; i < COST_KINDS; i++)
        predictor->unit_us[i] = start_us[i];
}

double cost_predictor_units(enum cost_kind kind, size_t count, size_t results)
{
    double calls = count == 0 ? 1 : (double)count;

    switch (kind) {
    case COST_WRITE:
        return 1 + (double)count / records_per_unit;
    case COST_GET:
    case COST_QUERY:
    case COST_FILTERED:
        return calls * (1 + (double)results / results_per_unit);
    default:
        return 1;
    }
}

uint64_t cost_predictor_expect(const struct cost_predictor *predictor, enum cost_kind kind,
                               double units)
{
    double expected_us = predictor->unit_us[kind] * units;

    if (expected_us < (double)least_us)
        return least_us;
    return expected_us > (double)most_us ? most_us : (uint64_t)expected_us;
}

void cost_predictor_learn(struct cost_predictor *predictor, enum cost_kind kind, double units,
                          uint64_t took_us)
{
    double *unit_us = &predictor->unit_us[kind];
    double  sample = (double)took_us / units;

    if (sample > *unit_us * far)
        sample = *unit_us * far;
    *unit_us += (sample - *unit_us) * weight;
    if (*unit_us < 1)
        *unit_us = 1;
}
