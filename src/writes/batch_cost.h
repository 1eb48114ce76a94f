/* batch_cost - what does a batch of n records cost, and so how many should share a call?
 *
 * Fits S(n) = a + b*n to measured calls by least squares; old calls are forgotten by a fiftieth
 * with each new one. A few imagined calls that never fade keep the fit defined while all real ones
 * have one size.
 *
 * Thread: event loop only. Memory: the struct.
 */
#ifndef WRITES_BATCH_COST_H
#define WRITES_BATCH_COST_H

#include <stdint.h>

struct batch_cost {
    double weight, n, nn, cost, n_cost; /* decayed sums over the calls */
    double fixed_us, record_us;         /* a and b; never negative */
};

void batch_cost_init(struct batch_cost *cost);

/* A call that wrote `records` took `elapsed_us`. A call many times longer than expected counts as
 * that many times: Chroma persists its index now and then, which no size of batch avoids. */
void batch_cost_add(struct batch_cost *cost, uint32_t records, uint64_t elapsed_us);

/* The expected cost of a batch. */
uint64_t batch_cost_expect_us(const struct batch_cost *cost, uint32_t records);

/* How many records to put into a batch at most, from 16 to `records_max`, while `waiting` records
 * wait: as many as take four times the fixed cost (but 100 ms to 1 s), twice that under backlog. */
uint32_t batch_cost_records(const struct batch_cost *cost, uint64_t waiting, uint32_t records_max);

#endif
