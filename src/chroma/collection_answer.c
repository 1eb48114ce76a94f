#include "chroma/collection_answer.h"

#include "base/compiler.h"
#include "base/text.h"
#include "chroma/chroma_route.h"

/* Where a space is said, the later ones overrule the former: servers in Python go by the metadata
 * and leave the default in the configuration; later ones say what holds in the configuration. */
enum source { SOURCE_NONE, SOURCE_PYTHON_CONFIGURATION, SOURCE_METADATA, SOURCE_CONFIGURATION };

struct reading {
    struct json_scan         *scan;
    struct collection_answer *answer;
    enum source               source;
    bool                      has_id;
};

static bool take_member(struct reading *reading, struct json_string key);
static bool answer_take_id(struct reading *reading);
static bool answer_take_text(struct json_scan *scan, struct collection_text *text);
static bool take_dimension(struct reading *reading);
static bool take_configuration(struct reading *reading);
static bool take_space(struct reading *reading, const char *name, enum source source);

bool collection_answer_take(struct json_scan *scan, struct collection_answer *ret_answer)
{
    struct reading     reading = {.scan = scan, .answer = ret_answer};
    struct json_string key;

    ret_answer->name.size = ret_answer->tenant.size = ret_answer->database.size = 0;
    ret_answer->dimension = 0;
    ret_answer->space = COLLECTION_SPACE_UNKNOWN;
    if (!json_scan_object(scan))
        return false;
    while (json_scan_member(scan, &key))
        if (!take_member(&reading, key))
            return false;
    return !scan->failed && reading.has_id && ret_answer->name.size > 0;
}

static bool take_member(struct reading *reading, struct json_string key)
{
    struct json_scan         *scan = reading->scan;
    struct collection_answer *answer = reading->answer;

    if (json_scan_equals(key, BYTES_LITERAL("id")))
        return answer_take_id(reading);
    if (json_scan_equals(key, BYTES_LITERAL("name")))
        return answer_take_text(scan, &answer->name);
    if (json_scan_equals(key, BYTES_LITERAL("tenant")))
        return answer_take_text(scan, &answer->tenant);
    if (json_scan_equals(key, BYTES_LITERAL("database")))
        return answer_take_text(scan, &answer->database);
    if (json_scan_equals(key, BYTES_LITERAL("dimension")))
        return take_dimension(reading);
    if (json_scan_equals(key, BYTES_LITERAL("metadata")))
        return take_space(reading, "hnsw:space", SOURCE_METADATA);
    if (json_scan_equals(key, BYTES_LITERAL("configuration_json")))
        return take_configuration(reading);
    return json_scan_value(scan, NULL);
}

static bool answer_take_id(struct reading *reading)
{
    struct json_string id;

    reading->has_id = json_scan_string(reading->scan, &id) && !id.has_escapes &&
                      chroma_route_parse_uuid(id.raw, reading->answer->uuid);
    return reading->has_id;
}

static bool answer_take_text(struct json_scan *scan, struct collection_text *text)
{
    struct json_string string;

    if (json_scan_kind(scan) == JSON_KIND_NULL)
        return json_scan_value(scan, NULL);
    if (!json_scan_string(scan, &string) || string.raw.size > sizeof text->data)
        return false;
    text->size = json_scan_decode(string, text->data);
    return true;
}

static bool take_dimension(struct reading *reading)
{
    struct json_number number;
    uint64_t           dimension;

    if (json_scan_kind(reading->scan) == JSON_KIND_NULL)
        return json_scan_value(reading->scan, NULL);
    if (!json_scan_number(reading->scan, &number) || !text_to_number(number.raw, &dimension) ||
        dimension > UINT32_MAX)
        return false;
    reading->answer->dimension = (uint32_t)dimension;
    return true;
}

static bool take_configuration(struct reading *reading)
{
    struct json_scan  *scan = reading->scan;
    struct json_string key;
    bool               ok = true;

    if (json_scan_kind(scan) != JSON_KIND_OBJECT)
        return json_scan_value(scan, NULL);
    json_scan_object(scan);
    while (ok && json_scan_member(scan, &key)) {
        if (json_scan_equals(key, BYTES_LITERAL("hnsw")) ||
            json_scan_equals(key, BYTES_LITERAL("spann")))
            ok = take_space(reading, "space", SOURCE_CONFIGURATION);
        else if (json_scan_equals(key, BYTES_LITERAL("hnsw_configuration")))
            ok = take_space(reading, "space", SOURCE_PYTHON_CONFIGURATION);
        else
            ok = json_scan_value(scan, NULL);
    }
    return ok && !scan->failed;
}

/* From the member `name` of an object, which may be missing, or from no object. */
static bool take_space(struct reading *reading, const char *name, enum source source)
{
    static const struct bytes names[] = {[COLLECTION_SPACE_L2] = BYTES_INIT("l2"),
                                         [COLLECTION_SPACE_COSINE] = BYTES_INIT("cosine"),
                                         [COLLECTION_SPACE_IP] = BYTES_INIT("ip")};
    struct json_scan         *scan = reading->scan;
    struct json_string        key, value;

    if (json_scan_kind(scan) != JSON_KIND_OBJECT)
        return json_scan_value(scan, NULL);
    json_scan_object(scan);
    while (json_scan_member(scan, &key)) {
        if (json_scan_kind(scan) != JSON_KIND_STRING || !json_scan_equals(key, bytes_of(name))) {
            json_scan_value(scan, NULL);
            continue;
        }
        json_scan_string(scan, &value);
        if (scan->failed || source < reading->source)
            continue;
        reading->source = source;
        reading->answer->space = COLLECTION_SPACE_UNKNOWN;
        for (enum collection_space space = COLLECTION_SPACE_L2; space < COUNT_OF(names); space++)
            if (json_scan_equals(value, names[space]))
                reading->answer->space = space;
    }
    return !scan->failed;
}
