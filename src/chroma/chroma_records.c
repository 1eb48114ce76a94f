#include "chroma/chroma_records.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "json/base64.h"
#include "json/json_scan.h"

enum {
    KEY_SIZE_MAX = 1024,     /* a metadata key with escapes above this is not looked into */
    INTEGER_DIGITS_MAX = 18, /* certainly within 64 bits, sign or not */
    /* Keys and list items of one record. Above some 5000 Chroma logs the record and then cannot
     * apply it: this write and all later ones to the collection get 500, so it must go alone. */
    METADATA_VALUES_MAX = 1000
};

struct parse {
    struct json_scan       scan;
    enum chroma_operation  operation;
    size_t                 count_max;
    struct chroma_records *records;
    size_t                 lengths[CHROMA_COLUMN_COUNT];
    bool                   seen[CHROMA_COLUMN_COUNT];
    size_t                 metadata_values; /* of the record that is being read */
    struct json_string     metadata_key;    /* of the value that is being read */
    enum status            status;
    const char            *reason;
};

/* Take one value of a column; false after refuse(). */
typedef bool take_value_fn(struct parse *parse);

static bool take_body(struct parse *parse);
static bool take_field(struct parse *parse, struct json_string key);
static bool may_be_null(enum chroma_operation operation, enum chroma_column column);
static bool take_column(struct parse *parse, enum chroma_column column);
static bool note_start(struct parse *parse, enum chroma_column column, const char *begin);
static bool take_id(struct parse *parse);
static bool take_embedding(struct parse *parse);
static bool take_text(struct parse *parse);
static bool take_metadata(struct parse *parse);
static bool take_metadata_key(struct parse *parse, struct json_string key);
static bool take_metadata_value(struct parse *parse);
static bool take_metadata_number(struct parse *parse);
static void note_number(struct parse *parse, const struct json_number *number);
static bool take_metadata_list(struct parse *parse);
static bool count_metadata_value(struct parse *parse);
static bool is_list_item(enum json_kind kind);
static bool take_list_item(struct parse *parse, enum json_kind kind, bool *ret_is_integer);
static bool check_lengths(struct parse *parse);
static bool decode_ids(struct parse *parse);
static int  compare_ids(const void *left, const void *right);
static bool take_null(struct parse *parse);
static bool refuse(struct parse *parse, const char *reason);
static bool reserve(struct parse *parse, void **array, size_t count, size_t item_size);

static const struct {
    const char    *name;
    take_value_fn *take_value;
} columns[CHROMA_COLUMN_COUNT] = {
    [CHROMA_COLUMN_IDS] = {"ids", take_id},
    [CHROMA_COLUMN_EMBEDDINGS] = {"embeddings", take_embedding},
    [CHROMA_COLUMN_METADATAS] = {"metadatas", take_metadata},
    [CHROMA_COLUMN_DOCUMENTS] = {"documents", take_text},
    [CHROMA_COLUMN_URIS] = {"uris", take_text},
};

enum status chroma_records_scan(enum chroma_operation operation, struct bytes body,
                                size_t count_max, struct chroma_records *ret_records,
                                const char **ret_reason)
{
    struct chroma_records records = {.metadata.body = body.data};
    struct parse          parse = {
                 .operation = operation, .count_max = count_max, .records = &records, .status = STATUS_OK};

    json_scan_init(&parse.scan, body);
    if (operation != CHROMA_OPERATION_ADD && operation != CHROMA_OPERATION_UPSERT &&
        operation != CHROMA_OPERATION_UPDATE)
        refuse(&parse, "not an add, upsert or update");
    else if (body.size > UINT32_MAX)
        refuse(&parse, "too large");
    else if (take_body(&parse) && check_lengths(&parse) && decode_ids(&parse))
        *ret_records = records;
    if (parse.status != STATUS_OK) {
        chroma_records_done(&records);
        *ret_reason = parse.reason;
    }
    return parse.status;
}

static bool take_body(struct parse *parse)
{
    struct json_string key;

    if (!json_scan_object(&parse->scan))
        return refuse(parse, "not a JSON object");
    while (json_scan_member(&parse->scan, &key))
        if (!take_field(parse, key))
            return false;
    return json_scan_end(&parse->scan) || refuse(parse, "not valid JSON");
}

static bool take_field(struct parse *parse, struct json_string key)
{
    enum chroma_column column = 0;

    while (column < CHROMA_COLUMN_COUNT && !json_scan_equals(key, bytes_of(columns[column].name)))
        column++;
    if (column == CHROMA_COLUMN_COUNT)
        return refuse(parse, "an unknown field");
    if (parse->seen[column])
        return refuse(parse, "a field twice");
    parse->seen[column] = true;
    if (json_scan_kind(&parse->scan) == JSON_KIND_ARRAY)
        return take_column(parse, column);
    return may_be_null(parse->operation, column) ? take_null(parse)
                                                 : refuse(parse, "a field that is not an array");
}

static bool may_be_null(enum chroma_operation operation, enum chroma_column column)
{
    return column != CHROMA_COLUMN_IDS &&
           (column != CHROMA_COLUMN_EMBEDDINGS || operation == CHROMA_OPERATION_UPDATE);
}

static bool take_column(struct parse *parse, enum chroma_column column)
{
    struct json_scan *scan = &parse->scan;
    const char       *begin;

    if (!json_scan_array(scan))
        return refuse(parse, "not valid JSON");
    begin = scan->at;
    while (json_scan_element(scan)) {
        if (parse->lengths[column] == parse->count_max)
            return refuse(parse, "too many records");
        if (!note_start(parse, column, begin) || !columns[column].take_value(parse))
            return false;
        parse->lengths[column]++;
    }
    if (scan->failed)
        return refuse(parse, "not valid JSON");
    parse->records->columns[column] =
        (struct bytes){.data = begin, .size = (size_t)(scan->at - 1 - begin)};
    parse->records->column_set |= 1U << column;
    return true;
}

/* Value 0 begins where the column does: a write of one record needs no memory for this. */
static bool note_start(struct parse *parse, enum chroma_column column, const char *begin)
{
    uint32_t **starts = &parse->records->starts[column];
    void      *array = *starts;
    size_t     index = parse->lengths[column];

    if (index == 0)
        return true;
    if (!reserve(parse, &array, index - 1, sizeof **starts))
        return false;
    *starts = array;
    (*starts)[index - 1] = (uint32_t)(parse->scan.at - begin);
    return true;
}

static bool take_id(struct parse *parse)
{
    struct chroma_records *records = parse->records;
    struct json_string     id;
    void                  *array = records->ids;

    if (!json_scan_string(&parse->scan, &id))
        return refuse(parse, "an id that is not a string");
    if (id.raw.size == 0)
        return refuse(parse, "an empty id");
    if (!reserve(parse, &array, parse->lengths[CHROMA_COLUMN_IDS], sizeof *records->ids))
        return false;
    records->ids = array;
    records->ids[parse->lengths[CHROMA_COLUMN_IDS]] = id.raw;
    return true;
}

static bool take_embedding(struct parse *parse)
{
    struct chroma_records *records = parse->records;
    struct json_scan      *scan = &parse->scan;
    struct json_string     text;
    enum chroma_encoding   encoding;
    size_t                 dimension = 0;
    bool                   is_finite = true;

    switch (json_scan_kind(scan)) {
    case JSON_KIND_ARRAY:
        encoding = CHROMA_ENCODING_ARRAYS;
        json_scan_array(scan);
        while (json_scan_element(scan))
            if (json_scan_kind(scan) != JSON_KIND_NUMBER ||
                !json_scan_numbers(scan, &dimension, &is_finite))
                return refuse(parse, "a vector that holds no number");
        break;
    case JSON_KIND_STRING:
        encoding = CHROMA_ENCODING_BASE64;
        if (!json_scan_string(scan, &text))
            return refuse(parse, "not valid JSON");
        is_finite = base64_is_finite_floats(text.raw, &dimension);
        break;
    default:
        records->traits |= CHROMA_TRAIT_NULL_VECTOR;
        return parse->operation == CHROMA_OPERATION_UPDATE
                   ? take_null(parse)
                   : refuse(parse, "an embedding that is no vector");
    }
    if (!is_finite || dimension == 0)
        return refuse(parse, "a vector that is empty, not finite or not base64");
    if (records->encoding != CHROMA_ENCODING_NONE &&
        (records->encoding != encoding || records->dimension != dimension))
        return refuse(parse, "vectors of two kinds");
    records->encoding = encoding;
    records->dimension = dimension;
    return true;
}

static bool take_text(struct parse *parse)
{
    struct json_string text;

    if (json_scan_kind(&parse->scan) == JSON_KIND_NULL)
        return take_null(parse);
    return json_scan_string(&parse->scan, &text) || refuse(parse, "a text that is no string");
}

static bool take_metadata(struct parse *parse)
{
    struct json_string key;

    if (json_scan_kind(&parse->scan) == JSON_KIND_NULL)
        return take_null(parse);
    if (!json_scan_object(&parse->scan))
        return refuse(parse, "metadata that is no object");
    parse->metadata_values = 0;
    while (json_scan_member(&parse->scan, &key))
        if (!count_metadata_value(parse) || !take_metadata_key(parse, key) ||
            !take_metadata_value(parse))
            return false;
    return !parse->scan.failed || refuse(parse, "not valid JSON");
}

/* Chroma refuses empty keys and those that begin with '#' or '$', and keeps its own under
 * "chroma:". */
static bool take_metadata_key(struct parse *parse, struct json_string key)
{
    char         buffer[KEY_SIZE_MAX];
    struct bytes text = key.raw;

    if (key.has_escapes) {
        if (key.raw.size > sizeof buffer)
            return refuse(parse, "a long metadata key with escapes");
        text = (struct bytes){.data = buffer, .size = json_scan_decode(key, buffer)};
    }
    if (text.size == 0 || text.data[0] == '#' || text.data[0] == '$' ||
        bytes_begin_with(text, BYTES_LITERAL("chroma:")))
        return refuse(parse, "a metadata key that is not the user's to choose");
    parse->metadata_key = key;
    return true;
}

static bool take_metadata_value(struct parse *parse)
{
    enum json_kind kind = json_scan_kind(&parse->scan);

    switch (kind) {
    case JSON_KIND_BOOL:
    case JSON_KIND_STRING:
        metadata_keys_add(&parse->records->metadata, parse->metadata_key,
                          kind == JSON_KIND_BOOL ? METADATA_TYPE_BOOL : METADATA_TYPE_STRING);
        return json_scan_value(&parse->scan, NULL) || refuse(parse, "not valid JSON");
    case JSON_KIND_NUMBER:
        return take_metadata_number(parse);
    case JSON_KIND_NULL: /* deletes the key; add has nothing to delete */
        return parse->operation == CHROMA_OPERATION_ADD ? refuse(parse, "a null metadata value")
                                                        : take_null(parse);
    case JSON_KIND_ARRAY:
        return take_metadata_list(parse);
    default:
        return refuse(parse, "a metadata value that is no scalar");
    }
}

static bool take_metadata_number(struct parse *parse)
{
    struct json_number number;

    if (!json_scan_number(&parse->scan, &number))
        return refuse(parse, "not valid JSON");
    if (!number.is_safe_float || (number.is_integer && number.raw.size > INTEGER_DIGITS_MAX))
        parse->records->traits |= CHROMA_TRAIT_EXTREME_NUMBER;
    note_number(parse, &number);
    return true;
}

/* An integer that may not fit 64 bits is a float for some servers, as is -0. */
static void note_number(struct parse *parse, const struct json_number *number)
{
    struct metadata_keys *keys = &parse->records->metadata;

    if (!number->is_integer)
        metadata_keys_add(keys, parse->metadata_key, METADATA_TYPE_FLOAT);
    else if (number->raw.size > INTEGER_DIGITS_MAX || bytes_equal(number->raw, BYTES_LITERAL("-0")))
        keys->is_partial = true;
    else
        metadata_keys_add(keys, parse->metadata_key, METADATA_TYPE_INT);
}

/* Items of one type; integers and floats are two. */
static bool take_metadata_list(struct parse *parse)
{
    enum json_kind kind = JSON_KIND_NONE;
    bool           is_integer, are_integers = false;

    parse->records->traits |= CHROMA_TRAIT_LIST;
    json_scan_array(&parse->scan);
    while (json_scan_element(&parse->scan)) {
        enum json_kind item = json_scan_kind(&parse->scan);

        if (!is_list_item(item) || (kind != JSON_KIND_NONE && kind != item))
            return refuse(parse, "a metadata list of mixed values");
        if (!count_metadata_value(parse) || !take_list_item(parse, item, &is_integer))
            return false;
        if (kind != JSON_KIND_NONE && is_integer != are_integers)
            return refuse(parse, "a metadata list of mixed numbers");
        kind = item;
        are_integers = is_integer;
    }
    if (parse->scan.failed)
        return refuse(parse, "not valid JSON");
    return kind != JSON_KIND_NONE || refuse(parse, "an empty metadata list");
}

static bool count_metadata_value(struct parse *parse)
{
    return ++parse->metadata_values <= METADATA_VALUES_MAX ||
           refuse(parse, "metadata of very many values");
}

static bool is_list_item(enum json_kind kind)
{
    return kind == JSON_KIND_BOOL || kind == JSON_KIND_NUMBER || kind == JSON_KIND_STRING;
}

/* Integers that might not fit 64 bits are refused: Chroma makes floats of those. */
static bool take_list_item(struct parse *parse, enum json_kind kind, bool *ret_is_integer)
{
    struct json_number number;

    *ret_is_integer = false;
    if (kind != JSON_KIND_NUMBER) {
        metadata_keys_add(&parse->records->metadata, parse->metadata_key,
                          kind == JSON_KIND_BOOL ? METADATA_TYPE_BOOL : METADATA_TYPE_STRING);
        return json_scan_value(&parse->scan, NULL) || refuse(parse, "not valid JSON");
    }
    if (!json_scan_number(&parse->scan, &number))
        return refuse(parse, "not valid JSON");
    note_number(parse, &number);
    *ret_is_integer = number.is_integer;
    return !number.is_integer || number.raw.size <= INTEGER_DIGITS_MAX ||
           refuse(parse, "a large integer in a metadata list");
}

static bool check_lengths(struct parse *parse)
{
    size_t count = parse->lengths[CHROMA_COLUMN_IDS];

    if (count == 0)
        return refuse(parse, "no ids");
    if (!parse->seen[CHROMA_COLUMN_EMBEDDINGS] && parse->operation != CHROMA_OPERATION_UPDATE)
        return refuse(parse, "no embeddings");
    for (size_t i = 0; i < CHROMA_COLUMN_COUNT; i++)
        if (parse->records->columns[i].data != NULL && parse->lengths[i] != count)
            return refuse(parse, "columns of different lengths");
    parse->records->count = count;
    return true;
}

/* All ids with escapes share one piece of memory, which the first pass measures. */
static bool decode_ids(struct parse *parse)
{
    struct chroma_records *records = parse->records;
    size_t                 size = 0;
    char                  *at;

    for (size_t i = 0; i < records->count; i++)
        if (memchr(records->ids[i].data, '\\', records->ids[i].size) != NULL)
            size += records->ids[i].size;
    if (size == 0)
        return true;
    at = records->decoded = malloc(size);
    if (at == NULL) {
        parse->status = STATUS_NO_MEMORY;
        return refuse(parse, "out of memory");
    }
    for (size_t i = 0; i < records->count; i++) {
        struct json_string id = {.raw = records->ids[i], .has_escapes = true};

        if (memchr(id.raw.data, '\\', id.raw.size) == NULL)
            continue;
        records->ids[i] = (struct bytes){.data = at, .size = json_scan_decode(id, at)};
        at += records->ids[i].size;
    }
    return true;
}

static bool take_null(struct parse *parse)
{
    if (json_scan_kind(&parse->scan) == JSON_KIND_NULL && json_scan_value(&parse->scan, NULL))
        return true;
    return refuse(parse, "a value of the wrong type");
}

static bool refuse(struct parse *parse, const char *reason)
{
    if (parse->status == STATUS_OK)
        parse->status = STATUS_INVALID;
    parse->reason = reason;
    return false;
}

/* Room for one item more than `count`. The capacity is the power of two at or above the count, and
 * at least 4, so it needs not be kept. */
static bool reserve(struct parse *parse, void **array, size_t count, size_t item_size)
{
    size_t capacity = count == 0 ? 4 : 2 * count;
    void  *larger;

    if (count != 0 && (count < 4 || (count & (count - 1)) != 0))
        return true;
    larger = realloc(*array, capacity * item_size);
    if (larger == NULL) {
        parse->status = STATUS_NO_MEMORY;
        return refuse(parse, "out of memory");
    }
    *array = larger;
    return true;
}

bool chroma_records_repeat_an_id(const struct chroma_records *records)
{
    size_t        count = records->count;
    struct bytes *sorted;
    bool          repeat = false;

    if (count < 2)
        return false;
    sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL)
        return true;
    memcpy(sorted, records->ids, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_ids);
    for (size_t i = 1; i < count && !repeat; i++)
        repeat = bytes_equal(sorted[i - 1], sorted[i]);
    free(sorted);
    return repeat;
}

/* Some order; ids are not empty. */
static int compare_ids(const void *left, const void *right)
{
    const struct bytes *one = left, *other = right;

    if (one->size != other->size)
        return one->size < other->size ? -1 : 1;
    return memcmp(one->data, other->data, one->size);
}

void chroma_records_done(struct chroma_records *records)
{
    free(records->ids);
    free(records->decoded);
    for (size_t i = 0; i < CHROMA_COLUMN_COUNT; i++)
        free(records->starts[i]);
    *records = (struct chroma_records){0};
}

struct bytes chroma_records_slice(const struct chroma_records *records, enum chroma_column column,
                                  size_t first, size_t count)
{
    struct bytes    all = records->columns[column];
    const uint32_t *starts = records->starts[column];
    size_t          begin = first == 0 ? 0 : starts[first - 1];
    size_t          end = all.size;

    assert(all.data != NULL && count > 0 && first + count <= records->count);
    if (first + count == records->count)
        return bytes_skip(all, begin);
    /* Back over the comma, and white space on both sides of it. */
    end = starts[first + count - 1];
    while (strchr(" \t\r\n,", all.data[end - 1]) != NULL)
        end--;
    return (struct bytes){.data = all.data + begin, .size = end - begin};
}

const char *chroma_records_column_name(enum chroma_column column)
{
    return columns[column].name;
}
