#include "chroma/chroma_creation.h"

#include <jansson.h>

#include "json/json_scan.h"

/* A tree of more would hold the loop. */
enum { creation_body_max = 32 << 10, creation_description_max = 64 << 10 };

static bool creation_is_same(const json_t *asked, const json_t *found);
static bool creation_is_in(const json_t *asked, const json_t *found);

bool chroma_creation_name(struct bytes body, struct bytes *ret_name)
{
    struct json_scan   scan;
    struct json_string key, name = {0};
    bool               has_name = false;

    if (body.size > creation_body_max)
        return false;
    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return false;
    while (json_scan_member(&scan, &key)) {
        if (!json_scan_equals(key, BYTES_LITERAL("name"))) {
            json_scan_value(&scan, NULL);
            continue;
        }
        if (has_name || !json_scan_string(&scan, &name) || name.has_escapes)
            return false;
        has_name = true;
    }
    *ret_name = name.raw;
    return json_scan_end(&scan) && has_name && name.raw.size > 0;
}

bool chroma_creation_is_of(struct bytes body, struct bytes description)
{
    json_t *asked = NULL, *found = NULL;
    bool    is_of = false;

    if (body.size <= creation_body_max && description.size <= creation_description_max) {
        asked = json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
        found = json_loadb(description.data, description.size, JSON_REJECT_DUPLICATES, NULL);
    }
    if (json_is_object(asked) && json_is_object(found))
        is_of = creation_is_same(asked, found);
    json_decref(asked);
    json_decref(found);
    return is_of;
}

static bool creation_is_same(const json_t *asked, const json_t *found)
{
    const json_t *metadata = json_object_get(asked, "metadata");
    const json_t *theirs = json_object_get(found, "metadata");
    const json_t *dimension = json_object_get(found, "dimension");
    bool          has_none = metadata == NULL || json_is_null(metadata);

    return json_equal(json_object_get(asked, "name"), json_object_get(found, "name")) == 1 &&
           (has_none ? theirs == NULL || json_is_null(theirs)
                     : json_equal(metadata, theirs) == 1) &&
           (dimension == NULL || json_is_null(dimension)) &&
           creation_is_in(json_object_get(asked, "configuration"),
                          json_object_get(found, "configuration_json")) &&
           creation_is_in(json_object_get(asked, "schema"), json_object_get(found, "schema"));
}

/* Chroma fills in what is not asked for. */
static bool creation_is_in(const json_t *asked, const json_t *found)
{
    const char *key;
    json_t     *value;

    if (asked == NULL || json_is_null(asked))
        return true;
    if (json_is_number(asked))
        return json_is_number(found) && json_number_value(asked) == json_number_value(found);
    if (!json_is_object(asked))
        return found != NULL && json_equal(asked, found) == 1;
    if (!json_is_object(found))
        return false;
    json_object_foreach((json_t *)asked, key, value)
    {
        if (!creation_is_in(value, json_object_get(found, key)))
            return false;
    }
    return true;
}
