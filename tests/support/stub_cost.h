/* stub_cost - when would Chroma be done? Writes are serial, reads run on some cores
 *
 * A write of n records takes a + b*n, one after the other whatever the collection. A read takes c
 * on the first of k cores that is free.
 */
#ifndef SUPPORT_STUB_COST_H
#define SUPPORT_STUB_COST_H

#include <stddef.h>
#include <stdint.h>

enum { STUB_COST_CORES_MAX = 64 };

struct stub_cost {
    uint64_t write_a_us, write_b_us, read_c_us;
    size_t   cores;
    uint64_t write_free_us; /* when the writer has done all that it was given */
    uint64_t core_free_us[STUB_COST_CORES_MAX];
};

/* When a write of `records` that comes at `now_us` is applied. */
uint64_t stub_cost_write(struct stub_cost *cost, uint64_t now_us, size_t records);

/* When a read that comes at `now_us` is done. */
uint64_t stub_cost_read(struct stub_cost *cost, uint64_t now_us);

#endif
