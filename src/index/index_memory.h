/* index_memory - every byte of an index is taken here, counted, limited, and can be refused
 *
 * Two kinds: blocks, 64-byte aligned, and regions: address space reserved once for the largest
 * size and committed as the index grows, so that arrays never move under readers and growing
 * never needs twice the memory. `used` is exact: block sizes as asked for, regions as committed.
 *
 * Thread: any; the counters are atomic. A region belongs to one writer.
 */
#ifndef INDEX_INDEX_MEMORY_H
#define INDEX_INDEX_MEMORY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct index_memory {
    uint64_t         limit;     /* bytes; 0: none */
    _Atomic uint64_t used;      /* bytes */
    _Atomic int64_t  countdown; /* tests: this many calls succeed, the next fails; < 0: all do */
};

struct index_region {
    char  *base; /* NULL: not reserved */
    size_t reserved, committed;
};

void index_memory_init(struct index_memory *memory, uint64_t limit);

/* Give zeroed memory in *ret_data, to be freed with index_memory_free() and the same size.
 * STATUS_LIMIT_REACHED  the limit would be exceeded.
 * STATUS_NO_MEMORY      the system has none. */
MUST_CHECK enum status index_memory_alloc(struct index_memory *memory, size_t size, void *ret_data);

/* NULL is fine. */
void index_memory_free(struct index_memory *memory, void *data, size_t size);

/* Reserve address space for `size` bytes; nothing is counted yet.
 * STATUS_NO_MEMORY  there is not enough address space. */
MUST_CHECK enum status index_memory_reserve(struct index_memory *memory,
                                            struct index_region *region, size_t size);

/* Make the first `size` bytes of the region usable; new ones read as zero. At least what was
 * asked for is committed. Outcomes as index_memory_alloc(); the region is unchanged on failure. */
MUST_CHECK enum status index_memory_commit(struct index_memory *memory, struct index_region *region,
                                           size_t size);

/* Give all committed memory back but keep the address space. */
void index_memory_decommit(struct index_memory *memory, struct index_region *region);

/* Give everything back; the region may be reserved anew. */
void index_memory_release(struct index_memory *memory, struct index_region *region);

#endif
