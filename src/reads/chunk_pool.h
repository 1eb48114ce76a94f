/* chunk_pool - memory in pieces of one size, so that years of churn leave no holes
 *
 * What is kept is cut into chains of chunks of CHUNK_SIZE bytes; on average half a chunk of each
 * chain is lost, and nothing else ever. The chunks come in blocks, which are allocated when first
 * needed, up to `bytes_max` and as long as the account has room, and are given back when no chunk
 * is in use any more.
 *
 * Thread: one at a time. Memory: blocks, charged to the account.
 */
#ifndef READS_CHUNK_POOL_H
#define READS_CHUNK_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/memory_account.h"

enum {
    CHUNK_SIZE = 1024,
    CHUNK_DATA_SIZE = CHUNK_SIZE - sizeof(void *),
    CHUNK_POOL_BLOCK_SIZE = 256 << 10
};

struct chunk {
    struct chunk *next; /* NULL: the last of its chain */
    char          data[CHUNK_DATA_SIZE];
};

struct chunk_pool {
    struct memory_account *account;
    struct chunk_block    *blocks;
    struct chunk          *spare;
    size_t                 spare_count, used_count; /* chunks */
    size_t                 bytes, bytes_max;        /* of all blocks */
};

/* `account` is borrowed until chunk_pool_done(). */
void chunk_pool_init(struct chunk_pool *pool, size_t bytes_max, struct memory_account *account);

/* No chunk may be in use. */
void chunk_pool_done(struct chunk_pool *pool);

/* How many chunks could ever be in use at once. */
size_t chunk_pool_capacity(const struct chunk_pool *pool);

/* A chain of `count` > 0 chunks, their data undefined, to be given back by chunk_pool_give(). NULL:
 * so many are not free, and none was taken. */
MUST_CHECK struct chunk *chunk_pool_take(struct chunk_pool *pool, size_t count);

/* Take back a whole chain. */
void chunk_pool_give(struct chunk_pool *pool, struct chunk *chain);

#endif
