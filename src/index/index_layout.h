/* index_layout - the header and the sections of a snapshot, shared by its writer and its reader */
#ifndef INDEX_INDEX_LAYOUT_H
#define INDEX_INDEX_LAYOUT_H

#include "index/vector_index_core.h"

enum {
    index_layout_header = 4096,
    index_layout_align = 4096,
    index_layout_block = 1 << 20,
    index_layout_version = 1,
    index_layout_crc_at = 4092,
    index_layout_table_at = 128,
};

enum index_section {
    SECTION_CODES,
    SECTION_HEADERS,
    SECTION_ERRORS,
    SECTION_RECORDS,
    SECTION_ROWS,
    SECTION_LEVELS,
    SECTION_STATES,
    SECTION_LINKS0,
    SECTION_UPPER_ROWS,
    SECTION_UPPER,
    SECTION_SUMS,
    SECTION_COUNT
};

/* The fields of the header, in host form. */
struct index_layout {
    uint64_t sequence, identity, seed, entry, file_size;
    uint32_t dim, metric, coding, m, slots, upper_used, segments, known;
    uint64_t offsets[SECTION_COUNT], sizes[SECTION_COUNT];
    uint32_t blocks; /* of all sections but the sums */
};

extern const unsigned char index_layout_magic[8];

/* Fill in offsets, sizes, blocks and file_size from the other fields. */
void index_layout_sections(struct index_layout *layout);

/* Write the header; `header` has index_layout_header bytes. */
void index_layout_encode(const struct index_layout *layout, unsigned char *header);

/* Read a header.
 * STATUS_CORRUPT  `error` says why. */
MUST_CHECK enum status index_layout_decode(struct index_layout *layout, const unsigned char *header,
                                           struct error *error);

/* Where the arrays of the sections are in memory, the sums excepted (NULL). */
void index_layout_arrays(const struct vector_index *index, char *ret_arrays[SECTION_COUNT]);

/* The blocks that a section of `size` bytes has. */
static inline uint32_t index_layout_blocks(uint64_t size)
{
    return (uint32_t)((size + index_layout_block - 1) / index_layout_block);
}

#endif
