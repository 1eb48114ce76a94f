#include "index/index_memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { block_align = 64 };

static const size_t page_bytes = 4096;
static const size_t huge_bytes = (size_t)2 << 20;

static bool        take_turn(struct index_memory *memory);
static enum status charge(struct index_memory *memory, size_t size);
static size_t      index_memory_round_up(size_t size, size_t unit);
static size_t      next_commit(const struct index_region *region, size_t size);

void index_memory_init(struct index_memory *memory, uint64_t limit)
{
    memory->limit = limit;
    atomic_init(&memory->used, 0);
    atomic_init(&memory->countdown, -1);
}

enum status index_memory_alloc(struct index_memory *memory, size_t size, void *ret_data)
{
    enum status status;
    void       *data;

    assert(size > 0);
    if (!take_turn(memory))
        return STATUS_NO_MEMORY;
    status = charge(memory, size);
    if (status != STATUS_OK)
        return status;
    data = aligned_alloc(block_align, index_memory_round_up(size, block_align));
    if (data == NULL) {
        atomic_fetch_sub(&memory->used, size);
        return STATUS_NO_MEMORY;
    }
    memset(data, 0, size);
    memcpy(ret_data, &data, sizeof data); /* into a pointer of any type */
    return STATUS_OK;
}

static bool take_turn(struct index_memory *memory)
{
    if (atomic_load_explicit(&memory->countdown, memory_order_relaxed) < 0)
        return true;
    return atomic_fetch_sub(&memory->countdown, 1) != 0;
}

static enum status charge(struct index_memory *memory, size_t size)
{
    uint64_t used = atomic_fetch_add(&memory->used, size) + size;

    if (memory->limit == 0 || used <= memory->limit)
        return STATUS_OK;
    atomic_fetch_sub(&memory->used, size);
    return STATUS_LIMIT_REACHED;
}

static size_t index_memory_round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

void index_memory_free(struct index_memory *memory, void *data, size_t size)
{
    if (data == NULL)
        return;
    free(data);
    atomic_fetch_sub(&memory->used, size);
}

enum status index_memory_reserve(struct index_memory *memory, struct index_region *region,
                                 size_t size)
{
    void *base;

    if (!take_turn(memory))
        return STATUS_NO_MEMORY;
    size = index_memory_round_up(size, huge_bytes);
    base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return STATUS_NO_MEMORY;
    /* Random reads over many megabytes miss the TLB with small pages. A refusal is no error. */
    (void)madvise(base, size, MADV_HUGEPAGE);
    *region = (struct index_region){.base = base, .reserved = size};
    return STATUS_OK;
}

enum status index_memory_commit(struct index_memory *memory, struct index_region *region,
                                size_t size)
{
    enum status status;
    size_t      wanted;

    if (size <= region->committed)
        return STATUS_OK;
    if (size > region->reserved)
        return STATUS_LIMIT_REACHED;
    if (!take_turn(memory))
        return STATUS_NO_MEMORY;
    wanted = next_commit(region, size);
    status = charge(memory, wanted - region->committed);
    if (status != STATUS_OK) {
        wanted = index_memory_round_up(size, page_bytes); /* no headroom, then */
        status = charge(memory, wanted - region->committed);
    }
    if (status != STATUS_OK)
        return status;
    if (mprotect(region->base + region->committed, wanted - region->committed,
                 PROT_READ | PROT_WRITE) != 0) {
        atomic_fetch_sub(&memory->used, wanted - region->committed);
        return STATUS_NO_MEMORY;
    }
    region->committed = wanted;
    return STATUS_OK;
}

/* Small regions grow by a 32nd, large ones by whole huge pages: few system calls, little
 * slack. */
static size_t next_commit(const struct index_region *region, size_t size)
{
    size_t wanted = index_memory_round_up(size + size / 32, page_bytes);

    if (wanted > 2 * huge_bytes)
        wanted = index_memory_round_up(size, huge_bytes);
    return wanted < region->reserved ? wanted : region->reserved;
}

void index_memory_decommit(struct index_memory *memory, struct index_region *region)
{
    if (region->committed == 0)
        return;
    /* Mapping anew drops the pages and the permission in one step. */
    if (mmap(region->base, region->committed, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        return;
    (void)madvise(region->base, region->committed, MADV_HUGEPAGE);
    atomic_fetch_sub(&memory->used, region->committed);
    region->committed = 0;
}

void index_memory_release(struct index_memory *memory, struct index_region *region)
{
    if (region->base == NULL)
        return;
    munmap(region->base, region->reserved);
    atomic_fetch_sub(&memory->used, region->committed);
    *region = (struct index_region){0};
}
