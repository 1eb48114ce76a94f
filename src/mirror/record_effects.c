#include "mirror/record_effects.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_buffer.h"
#include "chroma/chroma_records.h"
#include "mirror/metadata_merge.h"
#include "mirror/mirror_metadata_write.h"
#include "json/base64.h"
#include "json/json_scan.h"

/* What a write says of one record. */
struct record_change {
    struct mirror_metadata *metadata;
    char                   *document, *uri; /* NULL: nothing */
    size_t                  document_size, uri_size;
    float                  *vector; /* NULL: nothing */
};

struct record_effects {
    enum chroma_operation operation;
    struct chroma_records records;
    struct record_change *changes;
    struct byte_buffer    metadata, texts; /* of the record that is changed */
    const char           *reason;
};

static enum status read_changes(struct record_effects *effects, const char **ret_reason);
static enum status read_change(const struct chroma_records *records, size_t number,
                               struct record_change *change, const char **ret_reason);
static bool        read_text(struct bytes json, char **ret_text, size_t *ret_size);
static bool        read_vector(struct bytes json, size_t dimension, float **ret_vector);
static enum status apply_change(struct record_effects *effects, struct mirror_records *records,
                                size_t number, const struct mirror_moments *moments);
static enum status touch_unread(struct mirror_records *records, uint32_t row, uint64_t known);
static enum status put_new(struct record_effects *effects, struct mirror_records *records,
                           size_t number);
static enum status change_kept(struct record_effects *effects, struct mirror_records *records,
                               uint32_t row, size_t number);
static enum status merge_kept(struct record_effects *effects, struct bytes old_json,
                              const struct mirror_metadata *change, struct mirror_value *value,
                              struct mirror_metadata **ret_merged);
static enum status put_contents(struct record_effects *effects, struct mirror_records *records,
                                uint32_t row, const struct mirror_value *value,
                                const struct mirror_metadata *metadata);
static enum status keep_texts(struct record_effects *effects, const struct record_change *change,
                              struct mirror_value *value);
static void        set_texts(const struct record_change *change, struct mirror_value *value);
static enum status put_vector(struct record_effects *effects, struct mirror_records *records,
                              uint32_t row, float *vector);
static void        normalize_twice(float *vector, size_t dimension);

enum status record_effects_read(enum chroma_operation operation, struct bytes body,
                                struct record_effects **ret_effects, const char **ret_reason)
{
    struct record_effects *effects = calloc(1, sizeof *effects);
    enum status            status;

    if (effects == NULL)
        return STATUS_NO_MEMORY;
    effects->operation = operation;
    status = chroma_records_scan(operation, body, body.size, &effects->records, ret_reason);
    if (status == STATUS_INVALID)
        status = STATUS_NOT_IMPLEMENTED;
    if (status == STATUS_OK)
        status = read_changes(effects, ret_reason);
    if (status != STATUS_OK) {
        record_effects_free(effects);
        return status;
    }
    *ret_effects = effects;
    return STATUS_OK;
}

void record_effects_free(struct record_effects *effects)
{
    if (effects == NULL)
        return;
    for (size_t i = 0; effects->changes != NULL && i < effects->records.count; i++) {
        struct record_change *change = &effects->changes[i];

        mirror_metadata_free(change->metadata);
        free(change->document);
        free(change->uri);
        free(change->vector);
    }
    free(effects->changes);
    chroma_records_done(&effects->records);
    byte_buffer_done(&effects->metadata);
    byte_buffer_done(&effects->texts);
    free(effects);
}

/* ---- Reading -------------------------------------------------------------------------------- */

static enum status read_changes(struct record_effects *effects, const char **ret_reason)
{
    size_t      count = effects->records.count;
    enum status status = STATUS_OK;

    effects->changes = calloc(count, sizeof *effects->changes);
    if (effects->changes == NULL)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = read_change(&effects->records, i, &effects->changes[i], ret_reason);
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

/* ---- Applying ------------------------------------------------------------------------------- */

enum status record_effects_apply(struct record_effects *effects, struct mirror_records *records,
                                 const struct mirror_moments *moments, const char **ret_reason)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < effects->records.count; i++)
        status = apply_change(effects, records, i, moments);
    if (status == STATUS_NOT_IMPLEMENTED)
        *ret_reason = effects->reason;
    return status;
}

static enum status apply_change(struct record_effects *effects, struct mirror_records *records,
                                size_t number, const struct mirror_moments *moments)
{
    struct bytes id = effects->records.ids[number];
    uint32_t     row;

    if (mirror_records_find(records, id, &row) != STATUS_OK)
        return effects->operation == CHROMA_OPERATION_UPDATE ? STATUS_OK
                                                             : put_new(effects, records, number);
    if (mirror_records_is_hollow(records, row) || mirror_records_mark(records, row) > moments->sent)
        return touch_unread(records, row, moments->known);
    return effects->operation == CHROMA_OPERATION_ADD ? STATUS_OK
                                                      : change_kept(effects, records, row, number);
}

static enum status touch_unread(struct mirror_records *records, uint32_t row, uint64_t known)
{
    mirror_records_set_mark(records, row, known);
    return mirror_records_is_hollow(records, row) ? STATUS_OK : mirror_records_hollow(records, row);
}

/* Its mark is 0: nobody but this write has said what it holds. */
static enum status put_new(struct record_effects *effects, struct mirror_records *records,
                           size_t number)
{
    struct record_change   *change = &effects->changes[number];
    struct mirror_value     value = {.has_document = false};
    struct mirror_metadata *metadata;
    uint32_t                row;
    enum status             status;

    status = mirror_records_append(records, effects->records.ids[number], &row);
    if (status == STATUS_OK)
        status = merge_kept(effects, (struct bytes){0}, change->metadata, &value, &metadata);
    if (status != STATUS_OK)
        return status;
    set_texts(change, &value);
    status = put_contents(effects, records, row, &value, metadata);
    mirror_metadata_free(metadata);
    return status == STATUS_OK ? put_vector(effects, records, row, change->vector) : status;
}

static enum status change_kept(struct record_effects *effects, struct mirror_records *records,
                               uint32_t row, size_t number)
{
    struct record_change   *change = &effects->changes[number];
    struct mirror_value     value;
    struct mirror_metadata *metadata;
    enum status             status = put_vector(effects, records, row, change->vector);

    if (status != STATUS_OK ||
        (change->metadata->count == 0 && change->document == NULL && change->uri == NULL))
        return status;
    status = mirror_records_value(records, row, &value);
    if (status == STATUS_OK)
        status = merge_kept(effects, value.metadata, change->metadata, &value, &metadata);
    if (status != STATUS_OK)
        return status;
    status = keep_texts(effects, change, &value);
    if (status == STATUS_OK)
        status = put_contents(effects, records, row, &value, metadata);
    mirror_metadata_free(metadata);
    return status;
}

/* Both what is kept of the metadata and its text, which is effects->metadata. */
static enum status merge_kept(struct record_effects *effects, struct bytes old_json,
                              const struct mirror_metadata *change, struct mirror_value *value,
                              struct mirror_metadata **ret_merged)
{
    struct mirror_metadata *old = NULL, *merged;
    const char             *reason;
    enum status             status = STATUS_OK;

    if (old_json.size > 0)
        status = mirror_metadata_read(old_json, MIRROR_SOURCE_ANSWER, &old, &reason);
    if (status != STATUS_OK)
        return status == STATUS_NOT_IMPLEMENTED ? STATUS_CORRUPT : status;
    status = metadata_merge(old, change, &merged);
    mirror_metadata_free(old);
    if (status != STATUS_OK)
        return status;
    byte_buffer_clear(&effects->metadata);
    if (merged != NULL)
        status = mirror_metadata_write(merged, &effects->metadata);
    if (status != STATUS_OK) {
        mirror_metadata_free(merged);
        return status;
    }
    value->metadata = byte_buffer_bytes(&effects->metadata);
    *ret_merged = merged;
    return STATUS_OK;
}

/* A merged one may have more values than can be read again. */
static enum status put_contents(struct record_effects *effects, struct mirror_records *records,
                                uint32_t row, const struct mirror_value *value,
                                const struct mirror_metadata *metadata)
{
    size_t values = 0;

    for (size_t i = 0; metadata != NULL && i < metadata->count; i++)
        values += metadata->fields[i].count;
    if (values > MIRROR_METADATA_VALUES_MAX) {
        effects->reason = "metadata of very many values";
        return STATUS_NOT_IMPLEMENTED;
    }
    return mirror_records_put_value(records, row, value, metadata);
}

/* Those that stay are borrowed from the records only until these change. */
static enum status keep_texts(struct record_effects *effects, const struct record_change *change,
                              struct mirror_value *value)
{
    struct bytes document = value->document, uri = value->uri;
    const char  *kept;
    enum status  status = STATUS_OK;

    byte_buffer_clear(&effects->texts);
    if (change->document == NULL)
        status = byte_buffer_append(&effects->texts, document, SIZE_MAX);
    if (status == STATUS_OK && change->uri == NULL)
        status = byte_buffer_append(&effects->texts, uri, SIZE_MAX);
    if (status != STATUS_OK)
        return status;
    kept = byte_buffer_bytes(&effects->texts).data;
    if (change->document == NULL) {
        value->document.data = kept;
        kept = document.size == 0 ? kept : kept + document.size;
    }
    if (change->uri == NULL)
        value->uri.data = kept;
    set_texts(change, value);
    return STATUS_OK;
}

static void set_texts(const struct record_change *change, struct mirror_value *value)
{
    if (change->document != NULL) {
        value->has_document = true;
        value->document = (struct bytes){.data = change->document, .size = change->document_size};
    }
    if (change->uri != NULL) {
        value->has_uri = true;
        value->uri = (struct bytes){.data = change->uri, .size = change->uri_size};
    }
}

static enum status put_vector(struct record_effects *effects, struct mirror_records *records,
                              uint32_t row, float *vector)
{
    enum status status;

    if (vector == NULL)
        return STATUS_OK;
    if (mirror_records_space(records) == COLLECTION_SPACE_COSINE)
        normalize_twice(vector, effects->records.dimension);
    status = mirror_records_put_vector(records, row, vector, (uint32_t)effects->records.dimension);
    if (status != STATUS_INVALID)
        return status;
    effects->reason = "a vector that the index does not take";
    return STATUS_NOT_IMPLEMENTED;
}

/* What Chroma says of a vector in a collection with space cosine: it keeps it normalised, and
 * multiplies it again when it is asked for. As its hnswlib does it, one addition after another in
 * 32 bits, so that the last bit agrees. Not for what Chroma has said already. */
static void normalize_twice(float *vector, size_t dimension)
{
    float sum = 0, norm, inverse;

    for (size_t i = 0; i < dimension; i++)
        sum += vector[i] * vector[i];
    norm = sqrtf(sum);
    inverse = 1.0f / (norm + 1e-30f);
    for (size_t i = 0; i < dimension; i++)
        vector[i] = vector[i] * inverse * norm;
}
