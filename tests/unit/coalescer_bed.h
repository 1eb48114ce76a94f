/* coalescer_bed - what the tests of the coalescer share: one with options of theirs, and its clock
 *
 * Its names are as short as they were in one file: only tests of the coalescer include it.
 */
#ifndef UNIT_COALESCER_BED_H
#define UNIT_COALESCER_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "writes/coalescer.h"

extern struct coalescer        *coalescer;
extern struct coalescer_options options; /* a change counts after renew() */
extern uint64_t                 now_us, seen_answers, seen_refusals;
extern enum coalescer_executed  seen_executed; /* of the last that was answered or refused */

extern const unsigned char lane_a[16], lane_b[16];

/* A gateway with one call at a time. */
void coalescer_bed_setup(void);
void coalescer_bed_teardown(void);

/* A new one, with the options as they are now. */
void renew(void);

/* A one-record upsert of an id of its own; the caller changes what matters to him. */
struct coalescer_write upsert(const unsigned char *lane, const struct bytes *id);

/* The same, and it is taken. */
void add(const unsigned char *lane, uint32_t id);
void add_of(const unsigned char *lane, uint32_t id, void *ctx);

/* Take actions; the batch to be sent, NULL if none. */
struct coalescer_batch *pump(void);

/* The batch that is sent now, or when its clients were waited for. */
struct coalescer_batch *next_batch(void);

void report(struct coalescer_batch *batch, int http_status);

#endif
