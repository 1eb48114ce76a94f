#include "chroma/chroma_repeat.h"

#include <jansson.h>

/* A tree of more would hold the loop. */
enum { body_max = 32 << 10 };

static bool repeat_is_get_or_create(const json_t *body);
static bool repeat_is_delete_of_ids(const json_t *body);
static bool repeat_is_absent(const json_t *body, const char *name);

bool chroma_repeat_is_harmless(enum chroma_operation operation, struct bytes body)
{
    json_t *tree;
    bool    is_harmless;

    switch (operation) {
    case CHROMA_OPERATION_ADD:
    case CHROMA_OPERATION_UPSERT:
    case CHROMA_OPERATION_UPDATE:
    case CHROMA_OPERATION_COLLECTION_MODIFY:
        return true;
    case CHROMA_OPERATION_COLLECTION_CREATE:
    case CHROMA_OPERATION_DELETE:
        break;
    default:
        return false;
    }
    if (body.size == 0 || body.size > body_max)
        return false;
    tree = json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
    is_harmless = operation == CHROMA_OPERATION_DELETE ? repeat_is_delete_of_ids(tree)
                                                       : repeat_is_get_or_create(tree);
    json_decref(tree);
    return is_harmless;
}

static bool repeat_is_get_or_create(const json_t *body)
{
    return json_is_true(json_object_get(body, "get_or_create"));
}

static bool repeat_is_delete_of_ids(const json_t *body)
{
    return json_array_size(json_object_get(body, "ids")) > 0 && repeat_is_absent(body, "where") &&
           repeat_is_absent(body, "where_document") && repeat_is_absent(body, "limit");
}

static bool repeat_is_absent(const json_t *body, const char *name)
{
    const json_t *value = json_object_get(body, name);

    return value == NULL || json_is_null(value);
}
