#include "index/index_layout.h"

#include <string.h>

#include "base/crc32c.h"

const unsigned char index_layout_magic[8] = {'C', 'B', 'I', 'N', 'D', 'E', 'X', '\n'};

static void     put32(unsigned char *at, uint32_t value);
static void     put64(unsigned char *at, uint64_t value);
static uint32_t get32(const unsigned char *at);
static uint64_t get64(const unsigned char *at);

/* The numbers are written as the processor has them; all it runs on are little-endian. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the files are little-endian");

void index_layout_sections(struct index_layout *layout)
{
    const uint64_t   slots = layout->slots;
    struct quantizer quantizer;
    uint64_t         offset = index_layout_header;

    quantizer_init(&quantizer, (enum quantizer_kind)layout->coding, VECTOR_L2, layout->dim, 0);
    layout->sizes[SECTION_CODES] = slots * quantizer.code_bytes;
    layout->sizes[SECTION_HEADERS] = slots * sizeof(struct code_header);
    layout->sizes[SECTION_ERRORS] = slots * sizeof(float);
    layout->sizes[SECTION_RECORDS] = slots * sizeof(uint32_t);
    layout->sizes[SECTION_ROWS] = slots * sizeof(uint32_t);
    layout->sizes[SECTION_LEVELS] = slots;
    layout->sizes[SECTION_STATES] = slots;
    /* Without an entry there is no graph, and its arrays are not there. */
    layout->sizes[SECTION_LINKS0] =
        layout->entry == 0 ? 0 : slots * 2 * layout->m * sizeof(uint32_t);
    layout->sizes[SECTION_UPPER_ROWS] = layout->entry == 0 ? 0 : slots * sizeof(uint32_t);
    layout->sizes[SECTION_UPPER] =
        layout->entry == 0 ? 0 : (uint64_t)layout->upper_used * layout->m * sizeof(uint32_t);
    layout->blocks = 0;
    for (int i = 0; i < SECTION_SUMS; i++)
        layout->blocks += index_layout_blocks(layout->sizes[i]);
    layout->sizes[SECTION_SUMS] = layout->blocks * sizeof(uint32_t);
    for (int i = 0; i < SECTION_COUNT; i++) {
        layout->offsets[i] = offset;
        offset +=
            (layout->sizes[i] + index_layout_align - 1) / index_layout_align * index_layout_align;
    }
    layout->file_size = offset;
}

void index_layout_encode(const struct index_layout *layout, unsigned char *header)
{
    memset(header, 0, index_layout_header);
    memcpy(header, index_layout_magic, sizeof index_layout_magic);
    put32(header + 8, index_layout_version);
    put32(header + 12, index_layout_header);
    put64(header + 16, layout->sequence);
    put64(header + 24, layout->identity);
    put64(header + 32, layout->seed);
    put32(header + 40, layout->dim);
    put32(header + 44, layout->metric);
    put32(header + 48, layout->coding);
    put32(header + 52, layout->m);
    put32(header + 56, layout->slots);
    put32(header + 60, layout->upper_used);
    put64(header + 64, layout->entry);
    put32(header + 72, layout->segments);
    put32(header + 76, layout->known);
    put32(header + 80, SECTION_COUNT);
    put32(header + 84, index_layout_block);
    put64(header + 88, layout->file_size);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        put64(header + index_layout_table_at + 16 * i, layout->offsets[i]);
        put64(header + index_layout_table_at + 16 * i + 8, layout->sizes[i]);
    }
    put32(header + index_layout_crc_at, crc32c(0, header, index_layout_crc_at));
}

static void put32(unsigned char *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

static void put64(unsigned char *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

enum status index_layout_decode(struct index_layout *layout, const unsigned char *header,
                                struct error *error)
{
    unsigned char again[index_layout_header];

    if (memcmp(header, index_layout_magic, sizeof index_layout_magic) != 0)
        return error_set(error, STATUS_CORRUPT, "not an index");
    if (get32(header + index_layout_crc_at) != crc32c(0, header, index_layout_crc_at))
        return error_set(error, STATUS_CORRUPT, "the header does not have its checksum");
    if (get32(header + 8) != index_layout_version)
        return error_set(error, STATUS_CORRUPT, "version %u of the format is not known",
                         get32(header + 8));
    *layout = (struct index_layout){
        .sequence = get64(header + 16),
        .identity = get64(header + 24),
        .seed = get64(header + 32),
        .dim = get32(header + 40),
        .metric = get32(header + 44),
        .coding = get32(header + 48),
        .m = get32(header + 52),
        .slots = get32(header + 56),
        .upper_used = get32(header + 60),
        .entry = get64(header + 64),
        .segments = get32(header + 72),
        .known = get32(header + 76),
    };
    if (layout->dim < 1 || layout->dim > quantizer_dim_max || layout->metric > VECTOR_COSINE ||
        layout->coding > QUANTIZER_Q4 || layout->m < hnsw_m_min || layout->m > hnsw_m_max ||
        layout->slots > UINT32_MAX / 4 || layout->known > UINT32_MAX / 4 ||
        layout->upper_used > layout->slots * 2 + 1024)
        return error_set(error, STATUS_CORRUPT, "a number in the header is out of bounds");
    /* The layout follows from these fields: a header that says otherwise is not ours. */
    index_layout_sections(layout);
    index_layout_encode(layout, again);
    if (memcmp(again, header, sizeof again) != 0)
        return error_set(error, STATUS_CORRUPT, "the sections are not where they belong");
    return STATUS_OK;
}

static uint32_t get32(const unsigned char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t get64(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

void index_layout_arrays(const struct vector_index *index, char *ret_arrays[SECTION_COUNT])
{
    const struct code_table *codes = vector_index_core_codes(index);

    ret_arrays[SECTION_CODES] = codes->codes.base;
    ret_arrays[SECTION_HEADERS] = codes->headers.base;
    ret_arrays[SECTION_ERRORS] = codes->errors.base;
    ret_arrays[SECTION_RECORDS] = index->slots.records.base;
    ret_arrays[SECTION_ROWS] = index->slots.rows.base;
    ret_arrays[SECTION_LEVELS] = index->slots.levels.base;
    ret_arrays[SECTION_STATES] = index->slots.states.base;
    ret_arrays[SECTION_LINKS0] = index->graph.links0.base;
    ret_arrays[SECTION_UPPER_ROWS] = index->graph.upper_rows.base;
    ret_arrays[SECTION_UPPER] = index->graph.upper.base;
    ret_arrays[SECTION_SUMS] = NULL;
}
