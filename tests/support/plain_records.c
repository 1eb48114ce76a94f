/* mirror/mirror_records.h in plain memory, for simulations of what stands on it: the few records
 * that these need, in a microsecond. Linked before the library, whose own is then left out. */
#include <stdio.h>
#include <stdlib.h>

#include "mirror/filter.h"
#include "mirror/mirror_records.h"

/* As ck_assert(), but free of cost where it holds. */
#define MUST_HOLD(condition)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "plain_records: %s\n", #condition);                                    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { ROWS_MAX = 64, PLACES_MAX = 2 * ROWS_MAX, TEXT_SIZE = 64, DIMENSION_MAX = 4, NO_ROW = -1 };

struct plain_row {
    bool     is_there, is_hollow, has_vector, has_document, has_uri;
    char     id[TEXT_SIZE], metadata[TEXT_SIZE], document[TEXT_SIZE], uri[TEXT_SIZE];
    size_t   id_size, metadata_size, document_size, uri_size;
    float    vector[DIMENSION_MAX];
    uint64_t mark;
};

struct mirror_records {
    struct plain_row rows[ROWS_MAX];
    int              places[PLACES_MAX];
    size_t           place_end;
    uint32_t         count, hollow_count, dimension;
    bool             is_changing;
    bool             is_unlinked; /* searches may miss a record */
    int              readers_in, readers;
};

struct mirror_reader {
    struct mirror_records *records;
    uint64_t               bitmap;
};

enum status mirror_records_new(const struct mirror_records_options *options,
                               struct mirror_records **ret_records, struct error *error)
{
    (void)options;
    (void)error;
    *ret_records = calloc(1, sizeof **ret_records);
    return *ret_records == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

void mirror_records_free(struct mirror_records *records)
{
    MUST_HOLD(records == NULL || records->readers == 0);
    free(records);
}

uint32_t mirror_records_count(const struct mirror_records *records)
{
    return records->count;
}

uint32_t mirror_records_hollow_count(const struct mirror_records *records)
{
    return records->hollow_count;
}

enum collection_space mirror_records_space(const struct mirror_records *records)
{
    (void)records;
    return COLLECTION_SPACE_L2;
}

uint32_t mirror_records_dimension(const struct mirror_records *records)
{
    return records->dimension;
}

enum status mirror_records_find(const struct mirror_records *records, struct bytes id,
                                uint32_t *ret_row)
{
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        const struct plain_row *row = &records->rows[i];

        if (row->is_there && bytes_equal((struct bytes){row->id, row->id_size}, id)) {
            *ret_row = i;
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}

struct bytes mirror_records_id(const struct mirror_records *records, uint32_t row)
{
    return (struct bytes){records->rows[row].id, records->rows[row].id_size};
}

bool mirror_records_is_hollow(const struct mirror_records *records, uint32_t row)
{
    MUST_HOLD(records->rows[row].is_there);
    return records->rows[row].is_hollow;
}

uint64_t mirror_records_mark(const struct mirror_records *records, uint32_t row)
{
    return records->rows[row].mark;
}

void mirror_records_set_mark(struct mirror_records *records, uint32_t row, uint64_t mark)
{
    records->rows[row].mark = mark;
}

uint32_t mirror_records_place(const struct mirror_records *records, uint32_t row)
{
    uint32_t place = 0;

    while (place < records->place_end && records->places[place] != (int)row)
        place++;
    return place;
}

bool mirror_records_next(const struct mirror_records *records, size_t *position, uint32_t *ret_row)
{
    while (*position < records->place_end) {
        int row = records->places[(*position)++];

        if (row != NO_ROW) {
            *ret_row = (uint32_t)row;
            return true;
        }
    }
    return false;
}

enum status mirror_records_begin(struct mirror_records *records)
{
    MUST_HOLD(!records->is_changing && records->readers_in == 0);
    records->is_changing = true;
    return STATUS_OK;
}

enum status mirror_records_commit(struct mirror_records *records)
{
    MUST_HOLD(records->is_changing);
    MUST_HOLD(records->hollow_count > 0 || !records->is_unlinked);
    records->is_changing = false;
    return STATUS_OK;
}

/* Gaps are closed at once: a position does not outlive it. */
enum status mirror_records_append(struct mirror_records *records, struct bytes id,
                                  uint32_t *ret_row)
{
    uint32_t row = 0;
    size_t   end = 0;

    MUST_HOLD(records->is_changing && id.size <= TEXT_SIZE && records->count < ROWS_MAX);
    for (size_t i = 0; i < records->place_end; i++)
        if (records->places[i] != NO_ROW)
            records->places[end++] = records->places[i];
    while (records->rows[row].is_there)
        row++;
    records->rows[row] = (struct plain_row){.is_there = true, .is_hollow = true};
    memcpy(records->rows[row].id, id.data, id.size);
    records->rows[row].id_size = id.size;
    records->places[end] = (int)row;
    records->place_end = end + 1;
    records->count++;
    records->hollow_count++;
    *ret_row = row;
    return STATUS_OK;
}

enum status mirror_records_remove(struct mirror_records *records, uint32_t row)
{
    MUST_HOLD(records->is_changing && records->rows[row].is_there);
    records->hollow_count -= records->rows[row].is_hollow;
    records->count--;
    records->rows[row].is_there = false;
    for (size_t i = 0; i < records->place_end; i++)
        if (records->places[i] == (int)row)
            records->places[i] = NO_ROW;
    return STATUS_OK;
}

static size_t copy_text(char *text, struct bytes from)
{
    char copy[TEXT_SIZE];

    MUST_HOLD(from.size <= TEXT_SIZE);
    if (from.size == 0)
        return 0;
    memcpy(copy, from.data, from.size); /* it may be what is there */
    memcpy(text, copy, from.size);
    return from.size;
}

enum status mirror_records_put_value(struct mirror_records *records, uint32_t number,
                                     const struct mirror_value    *value,
                                     const struct mirror_metadata *metadata)
{
    struct plain_row *row = &records->rows[number];

    MUST_HOLD(records->is_changing && row->is_there);
    MUST_HOLD((value->metadata.size == 0) == (metadata == NULL || metadata->count == 0));
    records->hollow_count -= row->is_hollow;
    row->is_hollow = false;
    row->metadata_size = copy_text(row->metadata, value->metadata);
    row->document_size = copy_text(row->document, value->document);
    row->uri_size = copy_text(row->uri, value->uri);
    row->has_document = value->has_document;
    row->has_uri = value->has_uri;
    return STATUS_OK;
}

enum status mirror_records_hollow(struct mirror_records *records, uint32_t row)
{
    MUST_HOLD(records->is_changing && records->rows[row].is_there);
    records->hollow_count += !records->rows[row].is_hollow;
    records->rows[row].is_hollow = true;
    records->rows[row].has_vector = false;
    return STATUS_OK;
}

enum status mirror_records_put_vector(struct mirror_records *records, uint32_t row,
                                      const float *vector, uint32_t dimension)
{
    MUST_HOLD(records->is_changing && records->rows[row].is_there && dimension <= DIMENSION_MAX);
    if (records->dimension == 0)
        records->dimension = dimension;
    if (dimension != records->dimension)
        return STATUS_INVALID;
    memcpy(records->rows[row].vector, vector, dimension * sizeof *vector);
    records->rows[row].has_vector = true;
    return STATUS_OK;
}

enum status mirror_records_put_vectors(struct mirror_records *records, const uint32_t *rows,
                                       const float *vectors, uint32_t count, uint32_t dimension)
{
    enum status status = STATUS_OK;

    records->is_unlinked = true;
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++)
        status =
            mirror_records_put_vector(records, rows[i], vectors + (size_t)i * dimension, dimension);
    return status;
}

enum status mirror_records_link(struct mirror_records *records)
{
    MUST_HOLD(records->is_changing);
    records->is_unlinked = false;
    return STATUS_OK;
}

static enum status give_value(const struct plain_row *row, struct mirror_value *ret_value)
{
    if (row->is_hollow)
        return STATUS_NOT_FOUND;
    *ret_value = (struct mirror_value){.metadata = {row->metadata, row->metadata_size},
                                       .document = {row->document, row->document_size},
                                       .uri = {row->uri, row->uri_size},
                                       .has_document = row->has_document,
                                       .has_uri = row->has_uri};
    return STATUS_OK;
}

enum status mirror_records_value(struct mirror_records *records, uint32_t row,
                                 struct mirror_value *ret_value)
{
    MUST_HOLD(records->is_changing && records->rows[row].is_there);
    return give_value(&records->rows[row], ret_value);
}

bool mirror_records_maintain(struct mirror_records *records)
{
    (void)records;
    return false;
}

enum status mirror_reader_new(struct mirror_records *records, struct mirror_reader **ret_reader)
{
    MUST_HOLD(!records->is_changing);
    *ret_reader = calloc(1, sizeof **ret_reader);
    MUST_HOLD(*ret_reader != NULL);
    (*ret_reader)->records = records;
    records->readers++;
    return STATUS_OK;
}

void mirror_reader_free(struct mirror_reader *reader)
{
    if (reader != NULL)
        reader->records->readers--;
    free(reader);
}

enum status mirror_reader_begin(struct mirror_reader *reader)
{
    MUST_HOLD(!reader->records->is_changing);
    reader->records->readers_in++;
    return STATUS_OK;
}

void mirror_reader_end(struct mirror_reader *reader)
{
    reader->records->readers_in--;
}

enum status mirror_reader_value(struct mirror_reader *reader, uint32_t row,
                                struct mirror_value *ret_value)
{
    MUST_HOLD(reader->records->rows[row].is_there);
    return give_value(&reader->records->rows[row], ret_value);
}

enum status mirror_reader_vector(struct mirror_reader *reader, uint32_t row, float *ret_vector)
{
    const struct plain_row *found = &reader->records->rows[row];

    if (!found->is_there || !found->has_vector)
        return STATUS_NOT_FOUND;
    memcpy(ret_vector, found->vector, reader->records->dimension * sizeof *ret_vector);
    return STATUS_OK;
}

enum status mirror_reader_filter(struct mirror_reader *reader, const struct filter *filter,
                                 const uint64_t **ret_bitmap, uint32_t *ret_bits,
                                 uint32_t *ret_count)
{
    reader->bitmap = 0;
    *ret_count = 0;
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        struct mirror_metadata *metadata = NULL;
        struct mirror_value     value;
        struct filter_subject   subject;
        const char             *reason;

        if (!reader->records->rows[i].is_there ||
            give_value(&reader->records->rows[i], &value) != STATUS_OK)
            continue;
        if (value.metadata.size > 0)
            MUST_HOLD(mirror_metadata_read(value.metadata, MIRROR_SOURCE_ANSWER, &metadata,
                                           &reason) == STATUS_OK);
        subject = (struct filter_subject){metadata, value.document, value.has_document};
        if (filter_matches(filter, &subject)) {
            reader->bitmap |= UINT64_C(1) << i;
            ++*ret_count;
        }
        mirror_metadata_free(metadata);
    }
    *ret_bitmap = &reader->bitmap;
    *ret_bits = ROWS_MAX;
    return STATUS_OK;
}

enum status mirror_reader_search(struct mirror_reader             *reader,
                                 const struct vector_search_query *query,
                                 struct vector_search_hit *hits, uint32_t *ret_count)
{
    (void)reader;
    (void)query;
    (void)hits;
    *ret_count = 0;
    return STATUS_NOT_IMPLEMENTED;
}

void mirror_records_usage(const struct mirror_records *records,
                          struct mirror_records_usage *ret_usage)
{
    *ret_usage = (struct mirror_records_usage){.memory = sizeof *records};
}
