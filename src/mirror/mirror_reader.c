#include "index/vector_search.h"
#include "mirror/mirror_records.h"
#include "mirror/mirror_records_core.h"
#include "mirror/mirror_vectors.h"

struct mirror_reader {
    struct mirror_records       *records;
    struct mirror_values_reader *values;
    struct vector_search        *search; /* NULL until there is an index */
    uint64_t                    *bitmap; /* of the last filter; NULL until there is one */
    size_t                       bitmap_size;
    float                       *vector; /* of a hit; NULL until there is one */
    size_t                       vector_size;
};

static enum status fit_bitmap(struct mirror_reader *reader, uint32_t rows);
static enum status document_of_row(void *ctx, uint32_t row, struct bytes *ret_document);

enum status mirror_reader_new(struct mirror_records *records, struct mirror_reader **ret_reader)
{
    struct mirror_reader *reader;
    enum status           status = index_memory_alloc(&records->memory, sizeof *reader, &reader);

    if (status != STATUS_OK)
        return status;
    reader->records = records;
    status = mirror_values_reader_new(records->values, &reader->values);
    if (status != STATUS_OK) {
        mirror_reader_free(reader);
        return status;
    }
    *ret_reader = reader;
    return STATUS_OK;
}

void mirror_reader_free(struct mirror_reader *reader)
{
    struct index_memory *memory;

    if (reader == NULL)
        return;
    memory = &reader->records->memory;
    vector_search_free(reader->search);
    mirror_values_reader_free(reader->values);
    index_memory_free(memory, reader->bitmap, reader->bitmap_size);
    index_memory_free(memory, reader->vector, reader->vector_size);
    index_memory_free(memory, reader, sizeof *reader);
}

enum status mirror_reader_begin(struct mirror_reader *reader)
{
    struct mirror_records *records = reader->records;
    enum status            status = STATUS_OK;

    if (reader->search == NULL && records->index != NULL)
        status = vector_search_new(records->index, &reader->search);
    return status;
}

void mirror_reader_end(struct mirror_reader *reader)
{
    mirror_values_reader_end(reader->values);
}

enum status mirror_reader_value(struct mirror_reader *reader, uint32_t row,
                                struct mirror_value *ret_value)
{
    struct mirror_seal seal = mirror_ids_row(reader->records->ids, row)->seal;

    return mirror_values_reader_get(reader->values, row, seal, ret_value);
}

enum status mirror_reader_vector(struct mirror_reader *reader, uint32_t row, float *ret_vector)
{
    const struct mirror_records *records = reader->records;
    uint32_t                     checksum;
    enum status                  status = STATUS_NOT_FOUND;

    if (reader->search != NULL)
        status = vector_search_get(reader->search, row, ret_vector);
    if (status != STATUS_OK)
        return status;
    checksum = mirror_vectors_checksum(row, ret_vector, records->dimension);
    if (checksum != mirror_ids_row(records->ids, row)->vector_checksum)
        return STATUS_CORRUPT;
    return STATUS_OK;
}

enum status mirror_reader_filter(struct mirror_reader *reader, const struct filter *filter,
                                 const uint64_t **ret_bitmap, uint32_t *ret_bits,
                                 uint32_t *ret_count)
{
    const struct mirror_records    *records = reader->records;
    struct mirror_columns_documents documents = {.get = document_of_row, .ctx = reader};
    uint32_t                        rows = mirror_ids_row_end(records->ids);
    enum status                     status = fit_bitmap(reader, rows);

    if (status == STATUS_OK)
        status = mirror_columns_filter(records->columns, filter, mirror_records_core_live(records),
                                       rows, &documents, reader->bitmap, ret_count);
    if (status != STATUS_OK)
        return status;
    *ret_bitmap = reader->bitmap;
    *ret_bits = rows;
    return STATUS_OK;
}

/* With room for so many bits, and at least one. */
static enum status fit_bitmap(struct mirror_reader *reader, uint32_t rows)
{
    struct index_memory *memory = &reader->records->memory;
    size_t               size = (rows / 64 + 1UL) * sizeof *reader->bitmap;
    enum status          status;

    if (size > reader->bitmap_size) {
        index_memory_free(memory, reader->bitmap, reader->bitmap_size);
        reader->bitmap = NULL;
        reader->bitmap_size = 0;
        status = index_memory_alloc(memory, size, &reader->bitmap);
        if (status != STATUS_OK)
            return status;
        reader->bitmap_size = size;
    }
    return STATUS_OK;
}

static enum status document_of_row(void *ctx, uint32_t row, struct bytes *ret_document)
{
    struct mirror_value value;
    enum status         status = mirror_reader_value(ctx, row, &value);

    if (status != STATUS_OK)
        return status;
    *ret_document = value.document;
    return STATUS_OK;
}

enum status mirror_reader_search(struct mirror_reader             *reader,
                                 const struct vector_search_query *query,
                                 struct vector_search_hit *hits, uint32_t *ret_count)
{
    enum status status = STATUS_OK;

    *ret_count = 0;
    if (reader->search == NULL)
        return STATUS_OK;
    if (reader->vector == NULL) {
        size_t size = reader->records->dimension * sizeof *reader->vector;

        status = index_memory_alloc(&reader->records->memory, size, &reader->vector);
        if (status != STATUS_OK)
            return status;
        reader->vector_size = size;
    }
    status = vector_search_run(reader->search, query, hits, ret_count, NULL);
    for (uint32_t i = 0; status == STATUS_OK && i < *ret_count; i++)
        status = mirror_reader_vector(reader, hits[i].record, reader->vector);
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
}
