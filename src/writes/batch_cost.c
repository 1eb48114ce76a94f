#include "writes/batch_cost.h"

/* What is believed before anything is measured: Chroma on a quiet machine. */
static const double first_fixed_us = 10000, first_record_us = 500;
static const double keep = 0.98;
static const double outlier = 4; /* times the expected cost */
/* The imagined calls: this much weight at each of two sizes. */
static const double imagined_weight = 0.1, imagined_small = 1, imagined_large = 200;

static const uint32_t records_min = 16;
static const double   time_min_us = 100000, time_max_us = 1000000;

static void   batch_cost_fit(struct batch_cost *cost);
static double batch_cost_at(const struct batch_cost *cost, double records);

void batch_cost_init(struct batch_cost *cost)
{
    *cost = (struct batch_cost){.fixed_us = first_fixed_us, .record_us = first_record_us};
}

void batch_cost_add(struct batch_cost *cost, uint32_t records, uint64_t elapsed_us)
{
    double n = records, y = (double)elapsed_us;
    double most = outlier * batch_cost_at(cost, n);

    if (y > most)
        y = most;
    cost->weight = keep * cost->weight + 1;
    cost->n = keep * cost->n + n;
    cost->nn = keep * cost->nn + n * n;
    cost->cost = keep * cost->cost + y;
    cost->n_cost = keep * cost->n_cost + n * y;
    batch_cost_fit(cost);
}

uint64_t batch_cost_expect_us(const struct batch_cost *cost, uint32_t records)
{
    return (uint64_t)batch_cost_at(cost, records);
}

uint32_t batch_cost_records(const struct batch_cost *cost, uint64_t waiting, uint32_t records_max)
{
    double time_us = 4 * cost->fixed_us;
    double records;

    if (time_us < time_min_us)
        time_us = time_min_us;
    if (time_us > time_max_us)
        time_us = time_max_us;
    records = cost->record_us <= 0 ? records_max : (time_us - cost->fixed_us) / cost->record_us;
    if (records < records_min)
        records = records_min;
    if ((double)waiting > 2 * records)
        records *= 2;
    return records > records_max ? records_max : (uint32_t)records;
}

static void batch_cost_fit(struct batch_cost *cost)
{
    double       w = cost->weight, n = cost->n, nn = cost->nn, y = cost->cost, ny = cost->n_cost;
    const double sizes[2] = {imagined_small, imagined_large};
    double       determinant;

    /* The imagined calls cost what is believed now, so they hold the line still where real calls
     * say nothing and do not pull it back to the first guess. */
    for (int i = 0; i < 2; i++) {
        double imagined = batch_cost_at(cost, sizes[i]);

        w += imagined_weight;
        n += imagined_weight * sizes[i];
        nn += imagined_weight * sizes[i] * sizes[i];
        y += imagined_weight * imagined;
        ny += imagined_weight * sizes[i] * imagined;
    }
    determinant = w * nn - n * n; /* > 0: the imagined sizes differ */
    cost->record_us = (w * ny - n * y) / determinant;
    if (cost->record_us < 0)
        cost->record_us = 0;
    cost->fixed_us = (y - cost->record_us * n) / w;
    if (cost->fixed_us < 0) { /* then the best line through the origin */
        cost->fixed_us = 0;
        cost->record_us = ny / nn;
    }
}

static double batch_cost_at(const struct batch_cost *cost, double records)
{
    return cost->fixed_us + cost->record_us * records;
}
