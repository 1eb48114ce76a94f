#include "chroma/collection_description.h"

#include "base/compiler.h"

/* The four types that metadata may have here; what else a key can have is for vectors. */
static const struct {
    const char        *name;
    enum metadata_type type;
} types[] = {{"bool", METADATA_TYPE_BOOL},
             {"int", METADATA_TYPE_INT},
             {"float", METADATA_TYPE_FLOAT},
             {"string", METADATA_TYPE_STRING}};

struct description_reading {
    struct json_scan               scan;
    const unsigned char           *key;
    struct collection_description *description;
    bool                           has_id, has_dimension; /* such members */
    bool                           changes_by_itself;
};

static bool take_description_member(struct description_reading *reading, struct json_string name);
static bool take_uuid(struct description_reading *reading);
static bool take_fixed_dimension(struct description_reading *reading);
static bool take_counter(struct description_reading *reading);
static bool take_schema(struct description_reading *reading);
static bool take_schema_keys(struct description_reading *reading);
static bool take_schema_types(struct description_reading *reading, struct json_string name);
static void add_pair(struct description_reading *reading, struct json_string name,
                     enum metadata_type type);
static uint64_t pair_of(const unsigned char *key, struct bytes name, enum metadata_type type);
static bool     has_pair(const struct collection_description *description, uint64_t pair);

bool collection_description_read(struct bytes body, const unsigned char key[SIPHASH_KEY_SIZE],
                                 struct collection_description *ret_description)
{
    struct description_reading reading = {.key = key, .description = ret_description};
    struct json_string         name;

    ret_description->schema = COLLECTION_SCHEMA_NONE;
    ret_description->pair_count = 0;
    json_scan_init(&reading.scan, body);
    if (!json_scan_object(&reading.scan))
        return false;
    while (json_scan_member(&reading.scan, &name))
        if (!take_description_member(&reading, name))
            return false;
    return json_scan_end(&reading.scan) && reading.has_id && reading.has_dimension &&
           !reading.changes_by_itself;
}

static bool take_description_member(struct description_reading *reading, struct json_string name)
{
    if (json_scan_equals(name, BYTES_LITERAL("id")))
        return take_uuid(reading);
    if (json_scan_equals(name, BYTES_LITERAL("dimension")))
        return take_fixed_dimension(reading);
    if (json_scan_equals(name, BYTES_LITERAL("version")) ||
        json_scan_equals(name, BYTES_LITERAL("log_position")))
        return take_counter(reading);
    if (json_scan_equals(name, BYTES_LITERAL("schema")))
        return take_schema(reading);
    return json_scan_value(&reading->scan, NULL);
}

static bool take_uuid(struct description_reading *reading)
{
    struct json_string id;

    reading->has_id = json_scan_string(&reading->scan, &id) && !id.has_escapes &&
                      chroma_route_parse_uuid(id.raw, reading->description->uuid);
    return reading->has_id;
}

static bool take_fixed_dimension(struct description_reading *reading)
{
    reading->has_dimension = true;
    reading->description->has_dimension = json_scan_kind(&reading->scan) == JSON_KIND_NUMBER;
    return json_scan_value(&reading->scan, NULL);
}

static bool take_counter(struct description_reading *reading)
{
    struct bytes value;

    if (!json_scan_value(&reading->scan, &value))
        return false;
    reading->changes_by_itself |= !bytes_equal(value, BYTES_LITERAL("0"));
    return true;
}

static bool take_schema(struct description_reading *reading)
{
    struct json_string name;

    reading->description->schema = COLLECTION_SCHEMA_UNKNOWN;
    if (json_scan_kind(&reading->scan) != JSON_KIND_OBJECT)
        return json_scan_value(&reading->scan, NULL);
    json_scan_object(&reading->scan);
    while (json_scan_member(&reading->scan, &name)) {
        if (json_scan_equals(name, BYTES_LITERAL("keys")) &&
            json_scan_kind(&reading->scan) == JSON_KIND_OBJECT)
            take_schema_keys(reading);
        else
            json_scan_value(&reading->scan, NULL);
    }
    return !reading->scan.failed;
}

static bool take_schema_keys(struct description_reading *reading)
{
    struct json_string name;

    reading->description->schema = COLLECTION_SCHEMA_KNOWN;
    json_scan_object(&reading->scan);
    while (json_scan_member(&reading->scan, &name))
        if (!take_schema_types(reading, name))
            return false;
    return !reading->scan.failed;
}

/* A type is there if something is said of it. */
static bool take_schema_types(struct description_reading *reading, struct json_string name)
{
    struct json_scan  *scan = &reading->scan;
    struct json_string type;

    if (json_scan_kind(scan) != JSON_KIND_OBJECT)
        return json_scan_value(scan, NULL);
    json_scan_object(scan);
    while (json_scan_member(scan, &type)) {
        for (size_t i = 0; i < COUNT_OF(types); i++)
            if (json_scan_kind(scan) == JSON_KIND_OBJECT &&
                json_scan_equals(type, bytes_of(types[i].name)))
                add_pair(reading, name, types[i].type);
        json_scan_value(scan, NULL);
    }
    return !scan->failed;
}

static void add_pair(struct description_reading *reading, struct json_string name,
                     enum metadata_type type)
{
    struct collection_description *description = reading->description;
    char                           text[UINT8_MAX];
    struct bytes                   decoded = {.data = text};

    if (name.raw.size > sizeof text || description->pair_count == COLLECTION_DESCRIPTION_PAIRS_MAX)
        return;
    decoded.size = json_scan_decode(name, text);
    description->pairs[description->pair_count++] = pair_of(reading->key, decoded, type);
}

static uint64_t pair_of(const unsigned char *key, struct bytes name, enum metadata_type type)
{
    char text[1 + UINT8_MAX];

    text[0] = (char)type;
    memcpy(text + 1, name.data, name.size);
    return siphash_2_4(key, (struct bytes){.data = text, .size = 1 + name.size});
}

bool collection_description_covers(const struct collection_description *description,
                                   const unsigned char                  key[SIPHASH_KEY_SIZE],
                                   const struct chroma_records         *records)
{
    const struct metadata_keys *used = &records->metadata;

    if (!description->has_dimension && records->encoding != CHROMA_ENCODING_NONE)
        return false;
    if (description->schema == COLLECTION_SCHEMA_NONE)
        return true;
    if (description->schema == COLLECTION_SCHEMA_UNKNOWN || used->is_partial)
        return false;
    for (unsigned i = 0; i < used->count; i++) {
        struct bytes name = metadata_keys_text(used, &used->keys[i]);

        for (size_t k = 0; k < COUNT_OF(types); k++)
            if ((used->keys[i].types & types[k].type) != 0 &&
                !has_pair(description, pair_of(key, name, types[k].type)))
                return false;
    }
    return true;
}

static bool has_pair(const struct collection_description *description, uint64_t pair)
{
    for (unsigned i = 0; i < description->pair_count; i++)
        if (description->pairs[i] == pair)
            return true;
    return false;
}
