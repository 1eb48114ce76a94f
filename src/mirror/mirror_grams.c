#include "mirror/mirror_grams.h"

#include <string.h>

#include "index/index_memory.h"

/* Of a longer text so many trigrams are looked at, spread over it. */
enum { GRAMS_TAKEN_MAX = 24 };

static enum status fit_blocks(struct mirror_grams *grams, struct index_memory *memory,
                              uint32_t block);
static uint32_t    gram_slice(const char *at);
static uint32_t    take_slices(struct bytes needle, uint32_t slices[GRAMS_TAKEN_MAX]);
static void        narrow_block(const struct mirror_grams_block *block, const uint32_t *slices,
                                uint32_t slice_count, uint64_t *bitmap, uint32_t words);

void mirror_grams_done(struct mirror_grams *grams, struct index_memory *memory)
{
    for (uint32_t i = 0; i < grams->capacity; i++)
        index_memory_free(memory, grams->blocks[i], sizeof *grams->blocks[i]);
    index_memory_free(memory, grams->blocks, grams->capacity * sizeof(void *));
    *grams = (struct mirror_grams){.blocks = NULL};
}

enum status mirror_grams_add(struct mirror_grams *grams, struct index_memory *memory, uint32_t row,
                             struct bytes text)
{
    uint32_t                   place = row / MIRROR_GRAMS_BLOCK_ROWS;
    uint32_t                   word = row / 64 % MIRROR_GRAMS_BLOCK_WORDS;
    uint64_t                   bit = (uint64_t)1 << row % 64;
    struct mirror_grams_block *block;
    enum status                status = fit_blocks(grams, memory, place);

    if (status == STATUS_OK && grams->blocks[place] == NULL) {
        status = index_memory_alloc(memory, sizeof *block, &grams->blocks[place]);
        grams->block_count += status == STATUS_OK;
    }
    if (status != STATUS_OK)
        return status;
    block = grams->blocks[place];
    for (size_t at = 0; at + MIRROR_GRAMS_SIZE_MIN <= text.size; at++)
        block->slices[gram_slice(text.data + at)][word] |= bit;
    return STATUS_OK;
}

static enum status fit_blocks(struct mirror_grams *grams, struct index_memory *memory,
                              uint32_t block)
{
    struct mirror_grams_block **blocks;
    uint32_t                    capacity = block + block / 2 + 8;
    enum status                 status;

    if (block < grams->capacity)
        return STATUS_OK;
    status = index_memory_alloc(memory, capacity * sizeof(void *), &blocks);
    if (status != STATUS_OK)
        return status;
    if (grams->capacity > 0)
        memcpy(blocks, grams->blocks, grams->capacity * sizeof(void *));
    index_memory_free(memory, grams->blocks, grams->capacity * sizeof(void *));
    grams->blocks = blocks;
    grams->capacity = capacity;
    return STATUS_OK;
}

/* The upper bits of a product with an odd number: close to the golden ratio of 2^32. */
static uint32_t gram_slice(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    uint32_t             gram = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;

    return gram * 2654435769U >> (32 - MIRROR_GRAMS_SLICES_BITS);
}

void mirror_grams_remove(struct mirror_grams *grams, uint32_t row)
{
    uint32_t                   place = row / MIRROR_GRAMS_BLOCK_ROWS;
    uint32_t                   word = row / 64 % MIRROR_GRAMS_BLOCK_WORDS;
    uint64_t                   bit = (uint64_t)1 << row % 64;
    struct mirror_grams_block *block = place < grams->capacity ? grams->blocks[place] : NULL;

    if (block == NULL)
        return;
    for (uint32_t i = 0; i < MIRROR_GRAMS_SLICES; i++)
        block->slices[i][word] &= ~bit;
}

void mirror_grams_narrow(const struct mirror_grams *grams, struct bytes needle, uint64_t *bitmap,
                         uint32_t words)
{
    uint32_t slices[GRAMS_TAKEN_MAX];
    uint32_t slice_count = take_slices(needle, slices);

    for (uint32_t i = 0; i < grams->capacity && i * MIRROR_GRAMS_BLOCK_WORDS < words; i++) {
        uint32_t first = i * MIRROR_GRAMS_BLOCK_WORDS;
        uint32_t count =
            words - first < MIRROR_GRAMS_BLOCK_WORDS ? words - first : MIRROR_GRAMS_BLOCK_WORDS;

        if (grams->blocks[i] != NULL)
            narrow_block(grams->blocks[i], slices, slice_count, bitmap + first, count);
    }
}

static uint32_t take_slices(struct bytes needle, uint32_t slices[GRAMS_TAKEN_MAX])
{
    size_t   gram_count = needle.size - MIRROR_GRAMS_SIZE_MIN + 1;
    uint32_t count = gram_count < GRAMS_TAKEN_MAX ? (uint32_t)gram_count : GRAMS_TAKEN_MAX;

    for (uint32_t i = 0; i < count; i++)
        slices[i] = gram_slice(needle.data + gram_count * i / count);
    return count;
}

static void narrow_block(const struct mirror_grams_block *block, const uint32_t *slices,
                         uint32_t slice_count, uint64_t *bitmap, uint32_t words)
{
    for (uint32_t i = 0; i < slice_count; i++) {
        const uint64_t *slice = block->slices[slices[i]];
        uint64_t        left = 0;

        for (uint32_t word = 0; word < words; word++)
            left |= bitmap[word] &= slice[word];
        if (left == 0)
            return;
    }
}

uint64_t mirror_grams_memory(const struct mirror_grams *grams)
{
    return grams->capacity * sizeof(void *) +
           grams->block_count * (uint64_t)sizeof(struct mirror_grams_block);
}

uint64_t mirror_grams_estimate(const struct mirror_grams *grams, uint64_t row_end, uint64_t rows)
{
    uint64_t blocks = row_end / MIRROR_GRAMS_BLOCK_ROWS + 1;
    uint64_t blocks_then = rows / MIRROR_GRAMS_BLOCK_ROWS + 1;

    return grams->block_count * blocks_then / blocks *
           (sizeof(struct mirror_grams_block) + sizeof(void *));
}
