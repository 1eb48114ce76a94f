#include "mirror/mirror_metadata.h"

#include <stdlib.h>
#include <string.h>

#include "json/json_scan.h"

/* The first pass counts, the second fills what was allocated between them. */
struct metadata_read {
    struct json_scan        scan;
    enum mirror_source      source;
    size_t                  field_count, value_count, text_size;
    struct mirror_metadata *metadata; /* NULL in the first pass */
    union mirror_scalar    *values;   /* where the next one goes */
    char                   *text;     /* likewise */
    const char             *reason;
};

static bool         read_metadata_fields(struct metadata_read *read);
static bool         read_metadata_field(struct metadata_read *read, struct json_string key);
static bool         read_scalar_list(struct metadata_read *read, struct mirror_field *field);
static bool         read_scalar(struct metadata_read *read, enum mirror_type *ret_type);
static bool         read_scalar_string(struct metadata_read *read, union mirror_scalar *value);
static bool         read_scalar_number(struct metadata_read *read, enum mirror_type *ret_type,
                                       union mirror_scalar *value);
static double       as_stored(double value);
static double       exact_value(struct bytes text);
static bool         add_value(struct metadata_read *read, union mirror_scalar value);
static struct bytes keep_decoded(struct metadata_read *read, struct json_string string);
static bool         allocate_fields(struct metadata_read *read);
static void         place_field(struct mirror_metadata *metadata, struct mirror_field field);
static size_t       field_place(const struct mirror_metadata *metadata, struct bytes key);
static bool         leave_unread(struct metadata_read *read, const char *reason);

enum status mirror_metadata_read(struct bytes json, enum mirror_source source,
                                 struct mirror_metadata **ret_metadata, const char **ret_reason)
{
    struct metadata_read read = {.source = source};

    json_scan_init(&read.scan, json);
    if (read_metadata_fields(&read)) {
        if (!allocate_fields(&read))
            return STATUS_NO_MEMORY;
        json_scan_init(&read.scan, json);
        read_metadata_fields(&read);
    }
    if (read.reason != NULL) {
        mirror_metadata_free(read.metadata);
        *ret_reason = read.reason;
        return STATUS_NOT_IMPLEMENTED;
    }
    *ret_metadata = read.metadata;
    return STATUS_OK;
}

static bool read_metadata_fields(struct metadata_read *read)
{
    struct json_string key;

    if (json_scan_kind(&read->scan) == JSON_KIND_NULL) {
        json_scan_value(&read->scan, NULL);
    } else {
        if (!json_scan_object(&read->scan))
            return leave_unread(read, "metadata that is no object");
        while (json_scan_member(&read->scan, &key))
            if (!read_metadata_field(read, key))
                return false;
    }
    return json_scan_end(&read->scan) || leave_unread(read, "not valid JSON");
}

static bool read_metadata_field(struct metadata_read *read, struct json_string key)
{
    struct mirror_field field = {.key = keep_decoded(read, key), .items = read->values, .count = 1};

    /* With escapes it is told in the second pass. */
    if (bytes_begin_with(field.key, BYTES_LITERAL("chroma:")))
        return leave_unread(read, "a metadata key that is Chroma's own");
    if (json_scan_kind(&read->scan) == JSON_KIND_ARRAY ? !read_scalar_list(read, &field)
                                                       : !read_scalar(read, &field.type))
        return false;
    read->field_count++;
    if (read->metadata != NULL)
        place_field(read->metadata, field);
    return true;
}

static bool read_scalar_list(struct metadata_read *read, struct mirror_field *field)
{
    uint32_t         count = 0;
    enum mirror_type type;

    json_scan_array(&read->scan);
    for (; json_scan_element(&read->scan); count++) {
        if (!read_scalar(read, &type))
            return false;
        if (type == MIRROR_TYPE_NULL || (count > 0 && type != field->type))
            return leave_unread(read, "a list of values of several types");
        field->type = type;
    }
    if (read->scan.failed)
        return leave_unread(read, "not valid JSON");
    field->is_list = true;
    field->count = count;
    return count > 0 || leave_unread(read, "an empty list");
}

static bool read_scalar(struct metadata_read *read, enum mirror_type *ret_type)
{
    union mirror_scalar value = {.integer = 0};

    switch (json_scan_kind(&read->scan)) {
    case JSON_KIND_NULL:
        *ret_type = MIRROR_TYPE_NULL;
        json_scan_value(&read->scan, NULL);
        break;
    case JSON_KIND_BOOL:
        *ret_type = MIRROR_TYPE_BOOL;
        value.flag = *read->scan.at == 't';
        json_scan_value(&read->scan, NULL);
        break;
    case JSON_KIND_NUMBER:
        if (!read_scalar_number(read, ret_type, &value))
            return false;
        break;
    case JSON_KIND_STRING:
        *ret_type = MIRROR_TYPE_STRING;
        if (!read_scalar_string(read, &value))
            return false;
        break;
    default:
        return leave_unread(read, "a value that is no scalar and no list of scalars");
    }
    return add_value(read, value);
}

static bool read_scalar_string(struct metadata_read *read, union mirror_scalar *value)
{
    struct json_string string;

    if (!json_scan_string(&read->scan, &string))
        return leave_unread(read, "not valid JSON");
    value->text = keep_decoded(read, string);
    return true;
}

static bool read_scalar_number(struct metadata_read *read, enum mirror_type *ret_type,
                               union mirror_scalar *value)
{
    struct json_number number;
    int64_t            integer;
    double             real;

    if (!json_scan_number(&read->scan, &number))
        return leave_unread(read, "not valid JSON");
    if (json_number_read(number, &integer, &real) == JSON_NUMBER_INTEGER) {
        *ret_type = MIRROR_TYPE_INTEGER;
        value->integer = integer;
    } else {
        *ret_type = MIRROR_TYPE_DOUBLE;
        value->real =
            read->source == MIRROR_SOURCE_WRITE ? as_stored(real) : exact_value(number.raw);
    }
    return true;
}

/* Chroma reads it once more from its log; SQLite then keeps no sign of a zero. */
static double as_stored(double value)
{
    double stored = json_number_reread(value);

    return stored == 0 ? 0 : stored;
}

/* The nearest float. Chroma writes no text that is longer than the buffer. */
static double exact_value(struct bytes text)
{
    char   buffer[64];
    size_t size = text.size < sizeof buffer ? text.size : sizeof buffer - 1;

    memcpy(buffer, text.data, size);
    buffer[size] = '\0';
    return strtod(buffer, NULL);
}

static bool add_value(struct metadata_read *read, union mirror_scalar value)
{
    if (read->scan.failed)
        return leave_unread(read, "not valid JSON");
    if (read->metadata != NULL)
        *read->values++ = value;
    return ++read->value_count <= MIRROR_METADATA_VALUES_MAX ||
           leave_unread(read, "metadata of very many values");
}

/* In the first pass the text as it is written. */
static struct bytes keep_decoded(struct metadata_read *read, struct json_string string)
{
    struct bytes kept = string.raw;

    if (read->metadata == NULL) {
        read->text_size += string.raw.size;
        return kept;
    }
    kept = (struct bytes){.data = read->text, .size = json_scan_decode(string, read->text)};
    read->text += kept.size;
    return kept;
}

/* The header, the fields, the values, the texts: in the order of their alignment. */
static bool allocate_fields(struct metadata_read *read)
{
    size_t fields_size = read->field_count * sizeof *read->metadata->fields;
    size_t values_size = read->value_count * sizeof *read->values;

    read->metadata = malloc(sizeof *read->metadata + fields_size + values_size + read->text_size);
    if (read->metadata == NULL)
        return false;
    read->metadata->count = 0;
    read->metadata->fields = (struct mirror_field *)(void *)(read->metadata + 1);
    read->values = (union mirror_scalar *)(void *)(read->metadata->fields + read->field_count);
    read->text = (char *)(read->values + read->value_count);
    read->field_count = read->value_count = 0;
    return true;
}

/* The fields stay sorted; a later value takes the place of an earlier one. */
static void place_field(struct mirror_metadata *metadata, struct mirror_field field)
{
    size_t               place = field_place(metadata, field.key);
    struct mirror_field *found = &metadata->fields[place];

    if (place < metadata->count && bytes_equal(found->key, field.key)) {
        *found = field;
        return;
    }
    memmove(found + 1, found, (metadata->count - place) * sizeof *found);
    *found = field;
    metadata->count++;
}

/* The first field whose key is not less. */
static size_t field_place(const struct mirror_metadata *metadata, struct bytes key)
{
    size_t low = 0, high = metadata->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (mirror_metadata_compare(metadata->fields[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool leave_unread(struct metadata_read *read, const char *reason)
{
    read->reason = reason;
    return false;
}

void mirror_metadata_free(struct mirror_metadata *metadata)
{
    free(metadata);
}

const struct mirror_field *mirror_metadata_find(const struct mirror_metadata *metadata,
                                                struct bytes                  key)
{
    size_t place;

    if (metadata == NULL)
        return NULL;
    place = field_place(metadata, key);
    return place < metadata->count && bytes_equal(metadata->fields[place].key, key)
               ? &metadata->fields[place]
               : NULL;
}

int mirror_metadata_compare(struct bytes left, struct bytes right)
{
    size_t size = left.size < right.size ? left.size : right.size;
    int    order = size == 0 ? 0 : memcmp(left.data, right.data, size);

    return order != 0 ? order : (left.size > right.size) - (left.size < right.size);
}
