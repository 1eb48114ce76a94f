#include "mirror/mirror_columns.h"

#include <string.h>

#include "index/index_memory.h"
#include "mirror/mirror_columns_core.h"

enum { KEYS_MIN = 16, ROW_WORDS_MIN = 8 };

static enum status prepare_row(struct mirror_columns *columns, uint32_t row,
                               const struct mirror_metadata *metadata);
static enum status fit_rows(struct mirror_columns *columns, uint32_t row);
static enum status prepare_field(struct mirror_columns *columns, uint32_t row,
                                 const struct mirror_field *field);
static enum status find_or_make_column(struct mirror_columns *columns, struct bytes key,
                                       struct mirror_column **ret_column);
static enum status make_column(struct mirror_columns *columns, uint32_t key,
                               struct mirror_column **ret_column);
static enum status fit_column_table(struct mirror_columns *columns, uint32_t key);
static void        drop_if_empty(struct mirror_columns *columns, struct mirror_column *column);
static void        forget_pending(struct mirror_columns *columns);
static void        put_pending(struct mirror_columns *columns, uint32_t row);
static void        take_values(struct mirror_columns *columns, uint32_t row);
static void        take_document(struct mirror_columns *columns, uint32_t row);
static void put_document(struct mirror_columns *columns, uint32_t row, struct bytes document);
static bool has_row(const struct mirror_columns *columns, const uint64_t *bitmap, uint32_t row);

enum status mirror_columns_new(struct index_memory    *memory,
                               const unsigned char     secret[SIPHASH_KEY_SIZE],
                               struct mirror_columns **ret_columns)
{
    struct mirror_columns *columns;
    enum status            status = index_memory_alloc(memory, sizeof *columns, &columns);

    if (status != STATUS_OK)
        return status;
    columns->owner.memory = memory;
    memcpy(columns->owner.secret, secret, SIPHASH_KEY_SIZE);
    columns->has_grams = true;
    *ret_columns = columns;
    return STATUS_OK;
}

void mirror_columns_free(struct mirror_columns *columns)
{
    struct index_memory *memory;

    if (columns == NULL)
        return;
    memory = columns->owner.memory;
    for (uint32_t i = 0; i < columns->column_capacity; i++)
        if (columns->columns[i] != NULL) {
            mirror_column_done(columns->columns[i], &columns->owner);
            index_memory_free(memory, columns->columns[i], sizeof *columns->columns[i]);
        }
    index_memory_free(memory, columns->columns, columns->column_capacity * sizeof(void *));
    index_memory_free(memory, columns->filled, columns->row_words * sizeof(uint64_t));
    index_memory_free(memory, columns->documents, columns->row_words * sizeof(uint64_t));
    mirror_terms_done(&columns->keys, &columns->owner);
    mirror_grams_done(&columns->grams, memory);
    index_memory_free(memory, columns, sizeof *columns);
}

/* All that can fail comes first. Signatures are given up before anything else is. */
enum status mirror_columns_set(struct mirror_columns *columns, uint32_t row,
                               const struct filter_subject *subject)
{
    enum status status = prepare_row(columns, row, subject->metadata);

    if (status == STATUS_LIMIT_REACHED && columns->grams.capacity > 0) {
        mirror_columns_drop_signatures(columns);
        status = prepare_row(columns, row, subject->metadata);
    }
    if (status != STATUS_OK)
        return status;
    mirror_columns_clear(columns, row);
    put_pending(columns, row);
    if (subject->has_document)
        put_document(columns, row, subject->document);
    if (row >= columns->row_end)
        columns->row_end = row + 1;
    return STATUS_OK;
}

/* Room for the row, its keys and its values, and these: put_pending() does not fail. */
static enum status prepare_row(struct mirror_columns *columns, uint32_t row,
                               const struct mirror_metadata *metadata)
{
    size_t      count = metadata == NULL ? 0 : metadata->count;
    enum status status = row == UINT32_MAX ? STATUS_LIMIT_REACHED : fit_rows(columns, row);

    columns->pending_count = 0;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        if (metadata->fields[i].type != MIRROR_TYPE_NULL)
            status = prepare_field(columns, row, &metadata->fields[i]);
    if (status != STATUS_OK)
        forget_pending(columns);
    return status;
}

static enum status fit_rows(struct mirror_columns *columns, uint32_t row)
{
    struct index_memory *memory = columns->owner.memory;
    uint32_t             words = row / 64 + row / 512 + ROW_WORDS_MIN;
    size_t               used = columns->row_words * sizeof(uint64_t);
    uint64_t            *filled, *documents;
    enum status          status;

    if (row / 64 < columns->row_words)
        return STATUS_OK;
    status = index_memory_alloc(memory, words * sizeof *filled, &filled);
    if (status != STATUS_OK)
        return status;
    status = index_memory_alloc(memory, words * sizeof *documents, &documents);
    if (status != STATUS_OK) {
        index_memory_free(memory, filled, words * sizeof *filled);
        return status;
    }
    if (used > 0) {
        memcpy(filled, columns->filled, used);
        memcpy(documents, columns->documents, used);
    }
    index_memory_free(memory, columns->filled, used);
    index_memory_free(memory, columns->documents, used);
    columns->filled = filled;
    columns->documents = documents;
    columns->row_words = words;
    return STATUS_OK;
}

static enum status prepare_field(struct mirror_columns *columns, uint32_t row,
                                 const struct mirror_field *field)
{
    uint32_t              rows = row < columns->row_end ? columns->row_end : row + 1, number;
    struct mirror_column *column = NULL;
    enum status           status;

    if (columns->pending_count == COUNT_OF(columns->pending))
        return STATUS_LIMIT_REACHED;
    status = find_or_make_column(columns, field->key, &column);
    if (status != STATUS_OK)
        return status;
    status = mirror_column_fit(column, &columns->owner, row, rows);
    if (status == STATUS_OK)
        status = mirror_terms_intern(&column->values, &columns->owner, field, &number);
    if (status != STATUS_OK) {
        drop_if_empty(columns, column);
        return status;
    }
    columns->pending[columns->pending_count++] =
        (struct columns_pending){.column = column, .number = number};
    return STATUS_OK;
}

static enum status find_or_make_column(struct mirror_columns *columns, struct bytes key,
                                       struct mirror_column **ret_column)
{
    union mirror_scalar text = {.text = key};
    struct mirror_field field = {.type = MIRROR_TYPE_STRING, .count = 1, .items = &text};
    uint32_t            number;
    enum status         status;

    number = mirror_terms_find(&columns->keys, &columns->owner, MIRROR_TYPE_STRING, &text);
    if (number != 0) {
        *ret_column = columns->columns[number];
        return STATUS_OK;
    }
    if (columns->keys.count == MIRROR_COLUMNS_KEYS_MAX)
        return STATUS_LIMIT_REACHED;
    status = mirror_terms_intern(&columns->keys, &columns->owner, &field, &number);
    if (status != STATUS_OK)
        return status;
    status = make_column(columns, number, ret_column);
    if (status != STATUS_OK)
        mirror_terms_release(&columns->keys, &columns->owner, number);
    return status;
}

static enum status make_column(struct mirror_columns *columns, uint32_t key,
                               struct mirror_column **ret_column)
{
    struct mirror_column *column;
    enum status           status = fit_column_table(columns, key);

    if (status == STATUS_OK)
        status = index_memory_alloc(columns->owner.memory, sizeof *column, &column);
    if (status != STATUS_OK)
        return status;
    column->key = key;
    columns->columns[key] = column;
    *ret_column = column;
    return STATUS_OK;
}

static enum status fit_column_table(struct mirror_columns *columns, uint32_t key)
{
    struct index_memory   *memory = columns->owner.memory;
    uint32_t               capacity = key + key / 2 + KEYS_MIN;
    struct mirror_column **table;
    enum status            status;

    if (key < columns->column_capacity)
        return STATUS_OK;
    status = index_memory_alloc(memory, capacity * sizeof(void *), &table);
    if (status != STATUS_OK)
        return status;
    if (columns->column_capacity > 0)
        memcpy(table, columns->columns, columns->column_capacity * sizeof(void *));
    index_memory_free(memory, columns->columns, columns->column_capacity * sizeof(void *));
    columns->columns = table;
    columns->column_capacity = capacity;
    return STATUS_OK;
}

/* A value that is about to be put keeps its column. */
static void drop_if_empty(struct mirror_columns *columns, struct mirror_column *column)
{
    uint32_t key = column->key;

    if (column->values.count > 0)
        return;
    columns->columns[key] = NULL;
    mirror_column_done(column, &columns->owner);
    index_memory_free(columns->owner.memory, column, sizeof *column);
    mirror_terms_release(&columns->keys, &columns->owner, key);
}

static void forget_pending(struct mirror_columns *columns)
{
    for (uint32_t i = 0; i < columns->pending_count; i++) {
        const struct columns_pending *pending = &columns->pending[i];

        mirror_terms_release(&pending->column->values, &columns->owner, pending->number);
        drop_if_empty(columns, pending->column);
    }
    columns->pending_count = 0;
}

void mirror_columns_clear(struct mirror_columns *columns, uint32_t row)
{
    if (has_row(columns, columns->filled, row))
        take_values(columns, row);
    if (has_row(columns, columns->documents, row))
        take_document(columns, row);
}

static bool has_row(const struct mirror_columns *columns, const uint64_t *bitmap, uint32_t row)
{
    return row / 64 < columns->row_words && (bitmap[row / 64] >> row % 64 & 1) != 0;
}

static void take_values(struct mirror_columns *columns, uint32_t row)
{
    columns->filled[row / 64] &= ~((uint64_t)1 << row % 64);
    for (uint32_t key = 1; key < columns->keys.end; key++) {
        struct mirror_column *column = columns->columns[key];
        uint32_t              number = column == NULL ? 0 : mirror_column_take(column, row);

        if (number == 0)
            continue;
        mirror_terms_release(&column->values, &columns->owner, number);
        drop_if_empty(columns, column);
    }
}

static void take_document(struct mirror_columns *columns, uint32_t row)
{
    columns->documents[row / 64] &= ~((uint64_t)1 << row % 64);
    mirror_grams_remove(&columns->grams, row);
}

static void put_pending(struct mirror_columns *columns, uint32_t row)
{
    for (uint32_t i = 0; i < columns->pending_count; i++)
        mirror_column_put(columns->pending[i].column, row, columns->pending[i].number);
    if (columns->pending_count > 0)
        columns->filled[row / 64] |= (uint64_t)1 << row % 64;
    columns->pending_count = 0;
}

static void put_document(struct mirror_columns *columns, uint32_t row, struct bytes document)
{
    columns->documents[row / 64] |= (uint64_t)1 << row % 64;
    if (columns->has_grams && mirror_grams_add(&columns->grams, columns->owner.memory, row,
                                               mirror_columns_searched(document)) != STATUS_OK)
        mirror_columns_drop_signatures(columns);
}

void mirror_columns_drop_signatures(struct mirror_columns *columns)
{
    mirror_grams_done(&columns->grams, columns->owner.memory);
    columns->has_grams = false;
}

void mirror_columns_usage(const struct mirror_columns *columns,
                          struct mirror_columns_usage *ret_usage)
{
    uint64_t memory = sizeof *columns + columns->column_capacity * sizeof(void *) +
                      2 * columns->row_words * sizeof(uint64_t) +
                      mirror_terms_memory(&columns->keys);

    for (uint32_t i = 0; i < columns->column_capacity; i++)
        if (columns->columns[i] != NULL)
            memory += sizeof *columns->columns[i] + mirror_column_memory(columns->columns[i]);
    ret_usage->signatures = mirror_grams_memory(&columns->grams);
    ret_usage->memory = memory + ret_usage->signatures;
    ret_usage->keys = columns->keys.count;
}

uint64_t mirror_columns_estimate(const struct mirror_columns *columns, uint64_t filled,
                                 uint64_t rows, bool counts_new)
{
    uint64_t bytes = sizeof *columns + columns->column_capacity * sizeof(void *) + rows / 4 +
                     mirror_terms_memory(&columns->keys);

    for (uint32_t i = 0; i < columns->column_capacity; i++)
        if (columns->columns[i] != NULL)
            bytes += sizeof *columns->columns[i] +
                     mirror_column_estimate(columns->columns[i], filled, rows, counts_new);
    return bytes + mirror_grams_estimate(&columns->grams, columns->row_end, rows);
}
