/* mirror_save_core - what the writer and the reader of saved records share; private to them */
#ifndef MIRROR_MIRROR_SAVE_CORE_H
#define MIRROR_MIRROR_SAVE_CORE_H

#include <stdint.h>

enum {
    MIRROR_SAVE_MAGIC_SIZE = 8,
    MIRROR_SAVE_HEAD_SIZE = 24,
    MIRROR_SAVE_ENTRY_SIZE = 32,
    MIRROR_SAVE_SUMMED = 28, /* bytes of an entry in front of its checksum */

    MIRROR_SAVE_DOCUMENT = 1,
    MIRROR_SAVE_URI = 2,
    MIRROR_SAVE_VECTOR = 4
};

static const char mirror_save_magic[MIRROR_SAVE_MAGIC_SIZE] = {'C', 'B', 'C',  'O',
                                                               'P', 'Y', '\n', 1};

/* Behind the magic. */
struct mirror_save_head {
    uint32_t space, dimension, records, vectors;
};

struct mirror_save_entry {
    uint32_t row, flags;
    uint32_t id, metadata, document, uri; /* sizes */
    uint32_t vector_checksum;
    uint32_t checksum;
};

_Static_assert(sizeof(struct mirror_save_head) == MIRROR_SAVE_HEAD_SIZE - MIRROR_SAVE_MAGIC_SIZE,
               "it is written as it is");
_Static_assert(sizeof(struct mirror_save_entry) == MIRROR_SAVE_ENTRY_SIZE, "likewise");

/* What the snapshot of the index has of its records. */
static inline uint64_t mirror_save_sequence(uint32_t checksum, uint32_t records)
{
    return (uint64_t)checksum << 32 | records;
}

#endif
