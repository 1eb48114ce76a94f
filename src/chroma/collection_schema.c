#include "chroma/collection_schema.h"

#include "json/json_scan.h"

/* Whose indexes are looked at. */
enum schema_key { SCHEMA_METADATA, SCHEMA_DOCUMENT, SCHEMA_EMBEDDING };

static bool schema_take(struct json_scan *scan);
static bool take_keys(struct json_scan *scan);
static bool take_types(struct json_scan *scan, enum schema_key key);
static bool take_indexes(struct json_scan *scan, enum schema_key key);
static bool take_index(struct json_scan *scan, bool expected);
static bool find_expected(struct json_string name, enum schema_key key, bool *ret_expected);

bool collection_schema_is_default(struct bytes body)
{
    struct json_scan   scan;
    struct json_string name;
    bool               is_default = true;

    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return false;
    while (is_default && json_scan_member(&scan, &name)) {
        if (json_scan_equals(name, BYTES_LITERAL("schema")) &&
            json_scan_kind(&scan) != JSON_KIND_NULL)
            is_default = schema_take(&scan);
        else
            json_scan_value(&scan, NULL);
    }
    return is_default && json_scan_end(&scan);
}

static bool schema_take(struct json_scan *scan)
{
    struct json_string name;
    bool               is_default = json_scan_object(scan);

    while (is_default && json_scan_member(scan, &name)) {
        if (json_scan_equals(name, BYTES_LITERAL("defaults")))
            is_default = take_types(scan, SCHEMA_METADATA);
        else if (json_scan_equals(name, BYTES_LITERAL("keys")))
            is_default = take_keys(scan);
        else
            json_scan_value(scan, NULL);
    }
    return is_default;
}

static bool take_keys(struct json_scan *scan)
{
    struct json_string name;
    bool               is_default = json_scan_object(scan);

    while (is_default && json_scan_member(scan, &name)) {
        if (json_scan_equals(name, BYTES_LITERAL("#document")))
            is_default = take_types(scan, SCHEMA_DOCUMENT);
        else if (json_scan_equals(name, BYTES_LITERAL("#embedding")))
            is_default = take_types(scan, SCHEMA_EMBEDDING);
        else
            is_default = take_types(scan, SCHEMA_METADATA);
    }
    return is_default;
}

/* "string": {indexes}, "int": null, ... */
static bool take_types(struct json_scan *scan, enum schema_key key)
{
    struct json_string name;
    bool               is_default = json_scan_object(scan);

    while (is_default && json_scan_member(scan, &name)) {
        if (json_scan_kind(scan) == JSON_KIND_NULL)
            json_scan_value(scan, NULL);
        else
            is_default = take_indexes(scan, key);
    }
    return is_default;
}

static bool take_indexes(struct json_scan *scan, enum schema_key key)
{
    struct json_string name;
    bool               is_default = json_scan_object(scan), expected = false;

    while (is_default && json_scan_member(scan, &name)) {
        if (json_scan_kind(scan) == JSON_KIND_NULL)
            json_scan_value(scan, NULL);
        else
            is_default = find_expected(name, key, &expected) && take_index(scan, expected);
    }
    return is_default;
}

static bool take_index(struct json_scan *scan, bool expected)
{
    struct json_string name;
    struct bytes       value;
    bool               is_default = json_scan_object(scan), is_said = false;

    while (is_default && json_scan_member(scan, &name)) {
        if (!json_scan_value(scan, &value) || !json_scan_equals(name, BYTES_LITERAL("enabled")))
            continue;
        is_said = true;
        is_default = bytes_equal(value, expected ? BYTES_LITERAL("true") : BYTES_LITERAL("false"));
    }
    return is_default && is_said;
}

/* False: an index of which nothing is known. */
static bool find_expected(struct json_string name, enum schema_key key, bool *ret_expected)
{
    static const struct {
        struct bytes name;
        bool         of_metadata, of_document, of_embedding;
    } indexes[] = {{BYTES_INIT("string_inverted_index"), true, false, true},
                   {BYTES_INIT("int_inverted_index"), true, true, true},
                   {BYTES_INIT("float_inverted_index"), true, true, true},
                   {BYTES_INIT("bool_inverted_index"), true, true, true},
                   {BYTES_INIT("fts_index"), false, true, false},
                   {BYTES_INIT("vector_index"), false, false, true},
                   {BYTES_INIT("sparse_vector_index"), false, false, false}};

    for (size_t i = 0; i < sizeof indexes / sizeof indexes[0]; i++) {
        if (!json_scan_equals(name, indexes[i].name))
            continue;
        *ret_expected = key == SCHEMA_METADATA   ? indexes[i].of_metadata
                        : key == SCHEMA_DOCUMENT ? indexes[i].of_document
                                                 : indexes[i].of_embedding;
        return true;
    }
    return false;
}
