#include "reads/chunk_pool.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

/* The first chunk's worth of a block holds the link to the next block. */
struct chunk_block {
    struct chunk_block *next;
};

enum { BLOCK_CHUNKS = CHUNK_POOL_BLOCK_SIZE / CHUNK_SIZE - 1 };

static bool add_block(struct chunk_pool *pool);
static void free_blocks(struct chunk_pool *pool);

void chunk_pool_init(struct chunk_pool *pool, size_t bytes_max, struct memory_account *account)
{
    *pool = (struct chunk_pool){.account = account, .bytes_max = bytes_max};
}

void chunk_pool_done(struct chunk_pool *pool)
{
    assert(pool->used_count == 0);
    free_blocks(pool);
}

size_t chunk_pool_capacity(const struct chunk_pool *pool)
{
    return pool->bytes_max / CHUNK_POOL_BLOCK_SIZE * BLOCK_CHUNKS;
}

struct chunk *chunk_pool_take(struct chunk_pool *pool, size_t count)
{
    struct chunk *chain = NULL;

    assert(count > 0);
    while (pool->spare_count < count)
        if (!add_block(pool))
            return NULL;
    pool->spare_count -= count;
    pool->used_count += count;
    for (; count > 0; count--) {
        struct chunk *chunk = pool->spare;

        pool->spare = chunk->next;
        chunk->next = chain;
        chain = chunk;
    }
    return chain;
}

static bool add_block(struct chunk_pool *pool)
{
    struct chunk_block *block;

    if (pool->bytes_max - pool->bytes < CHUNK_POOL_BLOCK_SIZE ||
        !memory_account_has_room(pool->account, CHUNK_POOL_BLOCK_SIZE))
        return false;
    block = malloc(CHUNK_POOL_BLOCK_SIZE);
    if (block == NULL)
        return false;
    memory_account_charge(pool->account, CHUNK_POOL_BLOCK_SIZE);
    pool->bytes += CHUNK_POOL_BLOCK_SIZE;
    block->next = pool->blocks;
    pool->blocks = block;
    for (size_t i = 1; i <= BLOCK_CHUNKS; i++) {
        struct chunk *chunk = (struct chunk *)(void *)((char *)block + i * CHUNK_SIZE);

        chunk->next = pool->spare;
        pool->spare = chunk;
    }
    pool->spare_count += BLOCK_CHUNKS;
    return true;
}

void chunk_pool_give(struct chunk_pool *pool, struct chunk *chain)
{
    while (chain != NULL) {
        struct chunk *next = chain->next;

        assert(pool->used_count > 0);
        chain->next = pool->spare;
        pool->spare = chain;
        pool->spare_count++;
        pool->used_count--;
        chain = next;
    }
    if (pool->used_count == 0)
        free_blocks(pool);
}

static void free_blocks(struct chunk_pool *pool)
{
    while (pool->blocks != NULL) {
        struct chunk_block *block = pool->blocks;

        pool->blocks = block->next;
        free(block);
        memory_account_release(pool->account, CHUNK_POOL_BLOCK_SIZE);
    }
    pool->spare = NULL;
    pool->spare_count = pool->bytes = 0;
}
