#include "chroma/chroma_removal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "json/json_scan.h"

/* Hashes of ids. */
struct hashes {
    uint64_t *items;
    size_t    count, room;
};

static bool   read_deletion(struct bytes body, const unsigned char *key, struct hashes *hashes,
                            struct chroma_removal *ret);
static bool   take_span(struct json_scan *scan, enum json_kind wanted, bool *was_seen,
                        struct bytes *ret_span);
static bool   is_empty_list(struct bytes value);
static bool   add_ids(struct bytes list, const unsigned char *key, struct hashes *hashes);
static bool   add_id(struct json_string id, const unsigned char *key, struct hashes *hashes);
static bool   add_hash(struct hashes *hashes, uint64_t hash);
static size_t count_different(struct hashes *hashes);
static int    order_hashes(const void *left, const void *right);
static bool   take_operations(struct json_scan *scan, const unsigned char *key,
                              struct hashes *hashes);
static bool take_operation(struct json_scan *scan, const unsigned char *key, struct hashes *hashes);

bool chroma_removal_read(struct bytes body, const unsigned char key[SIPHASH_KEY_SIZE],
                         struct chroma_removal *ret)
{
    struct hashes hashes = {0};
    bool          is_read = read_deletion(body, key, &hashes, ret);

    if (is_read)
        ret->id_count = count_different(&hashes);
    free(hashes.items);
    return is_read;
}

static bool read_deletion(struct bytes body, const unsigned char *key, struct hashes *hashes,
                          struct chroma_removal *ret)
{
    struct json_scan   scan;
    struct json_string name;
    bool               has_ids = false, has_where = false, has_document = false;

    *ret = (struct chroma_removal){0};
    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return false;
    while (json_scan_member(&scan, &name)) {
        bool is_fine;

        if (json_scan_equals(name, BYTES_LITERAL("ids")))
            is_fine = take_span(&scan, JSON_KIND_ARRAY, &has_ids, &ret->ids);
        else if (json_scan_equals(name, BYTES_LITERAL("where")))
            is_fine = take_span(&scan, JSON_KIND_OBJECT, &has_where, &ret->where);
        else if (json_scan_equals(name, BYTES_LITERAL("where_document")))
            is_fine = take_span(&scan, JSON_KIND_OBJECT, &has_document, &ret->where_document);
        else
            is_fine = json_scan_value(&scan, NULL);
        if (!is_fine)
            return false;
        ret->has_limit = ret->has_limit || json_scan_equals(name, BYTES_LITERAL("limit"));
    }
    if (is_empty_list(ret->ids))
        ret->ids = (struct bytes){0};
    ret->has_ids = ret->ids.size > 0;
    ret->is_asked = !ret->has_ids || ret->where.size > 0 || ret->where_document.size > 0;
    return json_scan_end(&scan) && (!ret->has_ids || add_ids(ret->ids, key, hashes));
}

/* Null is nothing. False: the member is there a second time, or of another kind. */
static bool take_span(struct json_scan *scan, enum json_kind wanted, bool *was_seen,
                      struct bytes *ret_span)
{
    enum json_kind kind = json_scan_kind(scan);

    if (*was_seen || (kind != wanted && kind != JSON_KIND_NULL) || !json_scan_value(scan, ret_span))
        return false;
    *was_seen = true;
    if (kind == JSON_KIND_NULL)
        *ret_span = (struct bytes){0};
    return true;
}

/* A list of nothing, or no list. */
static bool is_empty_list(struct bytes value)
{
    struct json_scan scan;

    json_scan_init(&scan, value);
    return !json_scan_array(&scan) || !json_scan_element(&scan);
}

static bool add_ids(struct bytes list, const unsigned char *key, struct hashes *hashes)
{
    struct json_scan   scan;
    struct json_string id;

    json_scan_init(&scan, list);
    if (!json_scan_array(&scan))
        return false;
    while (json_scan_element(&scan))
        if (!json_scan_string(&scan, &id) || !add_id(id, key, hashes))
            return false;
    return json_scan_end(&scan);
}

/* Two spellings of one id are one. */
static bool add_id(struct json_string id, const unsigned char *key, struct hashes *hashes)
{
    char  *decoded;
    size_t size;
    bool   is_added;

    if (!id.has_escapes)
        return add_hash(hashes, siphash_1_3(key, id.raw));
    decoded = malloc(id.raw.size);
    if (decoded == NULL)
        return false;
    size = json_scan_decode(id, decoded);
    is_added = add_hash(hashes, siphash_1_3(key, (struct bytes){.data = decoded, .size = size}));
    free(decoded);
    return is_added;
}

static bool add_hash(struct hashes *hashes, uint64_t hash)
{
    if (hashes->count == hashes->room) {
        size_t    room = hashes->room == 0 ? 64 : 2 * hashes->room;
        uint64_t *items = realloc(hashes->items, room * sizeof *items);

        if (items == NULL)
            return false;
        hashes->items = items;
        hashes->room = room;
    }
    hashes->items[hashes->count++] = hash;
    return true;
}

static size_t count_different(struct hashes *hashes)
{
    size_t count = hashes->count > 0;

    if (count > 0)
        qsort(hashes->items, hashes->count, sizeof *hashes->items, order_hashes);
    for (size_t i = 1; i < hashes->count; i++)
        count += hashes->items[i] != hashes->items[i - 1];
    return count;
}

static int order_hashes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

bool chroma_removal_read_commit(struct bytes body, const unsigned char key[SIPHASH_KEY_SIZE],
                                struct chroma_removal *ret)
{
    struct hashes      hashes = {0};
    struct json_scan   scan;
    struct json_string name;
    bool               is_seen = false, is_read;

    *ret = (struct chroma_removal){.has_ids = true};
    json_scan_init(&scan, body);
    is_read = json_scan_object(&scan);
    while (is_read && json_scan_member(&scan, &name)) {
        if (!json_scan_equals(name, BYTES_LITERAL("operations"))) {
            is_read = json_scan_value(&scan, NULL);
            continue;
        }
        is_read = !is_seen && take_operations(&scan, key, &hashes);
        is_seen = true;
    }
    is_read = is_read && json_scan_end(&scan);
    if (is_read)
        ret->id_count = count_different(&hashes);
    free(hashes.items);
    return is_read;
}

static bool take_operations(struct json_scan *scan, const unsigned char *key, struct hashes *hashes)
{
    if (!json_scan_array(scan))
        return false;
    while (json_scan_element(scan))
        if (!take_operation(scan, key, hashes))
            return false;
    return !scan->failed;
}

/* {"operation":"delete","payload":{...}}, in either order. */
static bool take_operation(struct json_scan *scan, const unsigned char *key, struct hashes *hashes)
{
    struct json_string    name, kind = {0};
    struct bytes          payload = {0};
    struct chroma_removal removal;
    bool                  has_kind = false, has_payload = false;

    if (!json_scan_object(scan))
        return false;
    while (json_scan_member(scan, &name)) {
        bool is_kind = json_scan_equals(name, BYTES_LITERAL("operation"));
        bool is_payload = json_scan_equals(name, BYTES_LITERAL("payload"));

        if ((is_kind && has_kind) || (is_payload && has_payload))
            return false;
        has_kind = has_kind || is_kind;
        has_payload = has_payload || is_payload;
        if (is_kind ? !json_scan_string(scan, &kind)
                    : !json_scan_value(scan, is_payload ? &payload : NULL))
            return false;
    }
    if (!has_kind || scan->failed)
        return false;
    return !json_scan_equals(kind, BYTES_LITERAL("delete")) ||
           (read_deletion(payload, key, hashes, &removal) && !removal.is_asked);
}

size_t chroma_removal_question(const struct chroma_removal *removal, uint64_t records_max,
                               char         room[CHROMA_REMOVAL_ROOM],
                               struct bytes ret_parts[CHROMA_REMOVAL_PARTS_MAX])
{
    const struct {
        struct bytes name, value;
    } members[] = {{BYTES_INIT(",\"ids\":"), removal->ids},
                   {BYTES_INIT(",\"where\":"), removal->where},
                   {BYTES_INIT(",\"where_document\":"), removal->where_document}};
    size_t count = 0;
    int    size = snprintf(room, CHROMA_REMOVAL_ROOM, "{\"limit\":1,\"offset\":%llu,\"include\":[]",
                           (unsigned long long)records_max);

    ret_parts[count++] = (struct bytes){.data = room, .size = (size_t)size};
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (members[i].value.size == 0)
            continue;
        ret_parts[count++] = members[i].name;
        ret_parts[count++] = members[i].value;
    }
    ret_parts[count++] = BYTES_LITERAL("}");
    return count;
}

enum chroma_removal_answer chroma_removal_read_answer(struct bytes body)
{
    enum chroma_removal_answer answer = CHROMA_REMOVAL_NOT_SAID;
    struct json_scan           scan;
    struct json_string         name;

    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return CHROMA_REMOVAL_NOT_SAID;
    while (json_scan_member(&scan, &name)) {
        if (!json_scan_equals(name, BYTES_LITERAL("ids"))) {
            json_scan_value(&scan, NULL);
            continue;
        }
        if (answer != CHROMA_REMOVAL_NOT_SAID || !json_scan_array(&scan))
            return CHROMA_REMOVAL_NOT_SAID;
        answer = CHROMA_REMOVAL_NO_MORE;
        while (json_scan_element(&scan) && json_scan_string(&scan, &name))
            answer = CHROMA_REMOVAL_MORE;
    }
    return json_scan_end(&scan) ? answer : CHROMA_REMOVAL_NOT_SAID;
}

bool chroma_removal_new_name(struct bytes body, char *room, size_t size, struct bytes *ret_name)
{
    struct json_scan   scan;
    struct json_string key, name = {0};
    bool               has_name = false;

    *ret_name = (struct bytes){0};
    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return false;
    while (json_scan_member(&scan, &key)) {
        if (!json_scan_equals(key, BYTES_LITERAL("new_name"))) {
            json_scan_value(&scan, NULL);
            continue;
        }
        if (has_name || (json_scan_kind(&scan) == JSON_KIND_NULL ? !json_scan_value(&scan, NULL)
                                                                 : !json_scan_string(&scan, &name)))
            return false;
        has_name = true;
    }
    if (!json_scan_end(&scan) || name.raw.size > size)
        return false;
    if (name.has_escapes)
        name.raw = (struct bytes){.data = room, .size = json_scan_decode(name, room)};
    *ret_name = name.raw;
    return true;
}

bool chroma_removal_leaves_output(struct bytes body)
{
    struct json_scan   scan;
    struct json_string key;
    struct bytes       value;
    bool               leaves = true, is_seen = false;

    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return false;
    while (json_scan_member(&scan, &key)) {
        if (!json_scan_value(&scan, &value))
            return false;
        if (!json_scan_equals(key, BYTES_LITERAL("delete_output")))
            continue;
        leaves = !is_seen && (bytes_equal(value, BYTES_LITERAL("false")) ||
                              bytes_equal(value, BYTES_LITERAL("null")));
        is_seen = true;
        if (!leaves)
            return false;
    }
    return json_scan_end(&scan);
}
