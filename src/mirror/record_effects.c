#include "mirror/record_effects.h"

#include <stdlib.h>
#include <string.h>

#include "chroma/chroma_records.h"
#include "mirror/metadata_merge.h"
#include "json/base64.h"
#include "json/json_scan.h"

/* What a write says of one record: NULL is nothing. */
struct record_change {
    struct mirror_metadata *metadata;
    char                   *document;
    size_t                  document_size;
    char                   *uri;
    size_t                  uri_size;
    float                  *vector;
};

static enum status read_changes(const struct chroma_records *records, struct record_change *changes,
                                const char **ret_reason);
static enum status read_change(const struct chroma_records *records, size_t number,
                               struct record_change *change, const char **ret_reason);
static bool        read_text(struct bytes json, char **ret_text, size_t *ret_size);
static bool        read_vector(struct bytes json, size_t dimension, float **ret_vector);
static enum status apply_change(struct record_set *set, enum chroma_operation operation,
                                struct bytes id, struct record_change *change, size_t dimension);
static enum status merge_metadata(struct record *record, const struct mirror_metadata *change);
static void        replace_text(char **text, size_t *size, char **change, size_t change_size);
static void        free_changes(struct record_change *changes, size_t count);

enum status record_effects_write(struct record_set *set, enum chroma_operation operation,
                                 struct bytes body, const char **ret_reason)
{
    struct chroma_records records = {.count = 0};
    struct record_change *changes;
    enum status status = chroma_records_scan(operation, body, body.size, &records, ret_reason);

    if (status != STATUS_OK)
        return status == STATUS_INVALID ? STATUS_NOT_IMPLEMENTED : status;
    changes = calloc(records.count, sizeof *changes);
    status = changes == NULL ? STATUS_NO_MEMORY : read_changes(&records, changes, ret_reason);
    for (size_t i = 0; status == STATUS_OK && i < records.count; i++)
        status = apply_change(set, operation, records.ids[i], &changes[i], records.dimension);
    free_changes(changes, records.count);
    chroma_records_done(&records);
    return status;
}

static enum status read_changes(const struct chroma_records *records, struct record_change *changes,
                                const char **ret_reason)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < records->count; i++)
        status = read_change(records, i, &changes[i], ret_reason);
    return status;
}

static enum status read_change(const struct chroma_records *records, size_t number,
                               struct record_change *change, const char **ret_reason)
{
    struct bytes values[CHROMA_COLUMN_COUNT];

    for (enum chroma_column i = 0; i < CHROMA_COLUMN_COUNT; i++) {
        values[i] = BYTES_LITERAL("null");
        if (records->columns[i].data != NULL)
            values[i] = chroma_records_slice(records, i, number, 1);
    }
    if (!read_text(values[CHROMA_COLUMN_DOCUMENTS], &change->document, &change->document_size) ||
        !read_text(values[CHROMA_COLUMN_URIS], &change->uri, &change->uri_size) ||
        !read_vector(values[CHROMA_COLUMN_EMBEDDINGS], records->dimension, &change->vector))
        return STATUS_NO_MEMORY;
    return mirror_metadata_read(values[CHROMA_COLUMN_METADATAS], MIRROR_SOURCE_WRITE,
                                &change->metadata, ret_reason);
}

/* False: no memory. Of null there is no text. */
static bool read_text(struct bytes json, char **ret_text, size_t *ret_size)
{
    struct json_scan   scan;
    struct json_string string;

    json_scan_init(&scan, json);
    if (json_scan_kind(&scan) != JSON_KIND_STRING)
        return true;
    json_scan_string(&scan, &string);
    *ret_text = malloc(string.raw.size + 1); /* never nothing */
    if (*ret_text == NULL)
        return false;
    *ret_size = json_scan_decode(string, *ret_text);
    return true;
}

/* Numbers become 32-bit floats in one step from what serde_json has made of them. */
static bool read_vector(struct bytes json, size_t dimension, float **ret_vector)
{
    struct json_scan   scan;
    struct json_string text;
    struct json_number number;
    float             *vector;
    int64_t            integer;
    double             real;

    json_scan_init(&scan, json);
    if (json_scan_kind(&scan) == JSON_KIND_NULL)
        return true;
    vector = *ret_vector = malloc(dimension * sizeof *vector);
    if (vector == NULL)
        return false;
    if (json_scan_kind(&scan) == JSON_KIND_STRING) {
        json_scan_string(&scan, &text);
        base64_floats(text.raw, vector);
        return true;
    }
    json_scan_array(&scan);
    while (json_scan_element(&scan) && json_scan_number(&scan, &number))
        *vector++ = json_number_read(number, &integer, &real) == JSON_NUMBER_INTEGER
                        ? (float)integer
                        : (float)real;
    return true;
}

static enum status apply_change(struct record_set *set, enum chroma_operation operation,
                                struct bytes id, struct record_change *change, size_t dimension)
{
    struct record *record = record_set_get(set, id);
    enum status    status = STATUS_OK;

    if (operation == CHROMA_OPERATION_ADD ? record != NULL
                                          : operation == CHROMA_OPERATION_UPDATE && record == NULL)
        return STATUS_OK;
    if (record == NULL)
        status = record_set_put(set, id, &record);
    if (status == STATUS_OK && change->metadata->count > 0)
        status = merge_metadata(record, change->metadata);
    if (status != STATUS_OK)
        return status;
    replace_text(&record->document, &record->document_size, &change->document,
                 change->document_size);
    replace_text(&record->uri, &record->uri_size, &change->uri, change->uri_size);
    if (change->vector != NULL) {
        free(record->vector);
        record->vector = change->vector;
        record->dimension = dimension;
        change->vector = NULL;
    }
    return STATUS_OK;
}

static enum status merge_metadata(struct record *record, const struct mirror_metadata *change)
{
    struct mirror_metadata *merged;
    enum status             status = metadata_merge(record->metadata, change, &merged);

    if (status != STATUS_OK)
        return status;
    mirror_metadata_free(record->metadata);
    record->metadata = merged;
    return STATUS_OK;
}

static void replace_text(char **text, size_t *size, char **change, size_t change_size)
{
    if (*change == NULL)
        return;
    free(*text);
    *text = *change;
    *size = change_size;
    *change = NULL;
}

static void free_changes(struct record_change *changes, size_t count)
{
    for (size_t i = 0; changes != NULL && i < count; i++) {
        mirror_metadata_free(changes[i].metadata);
        free(changes[i].document);
        free(changes[i].uri);
        free(changes[i].vector);
    }
    free(changes);
}
