#include "chroma/chroma_answer.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chroma/chroma_route.h"
#include "json/json_scan.h"

static struct bytes find_batch_limit(struct bytes body);

bool chroma_answer_collection(struct bytes body, uint8_t ret_uuid[16], uint32_t *ret_dimension)
{
    json_t       *root = json_loadb(body.data, body.size, 0, NULL);
    const char   *id = json_string_value(json_object_get(root, "id"));
    const json_t *dimension = json_object_get(root, "dimension");
    bool ok = id != NULL && json_is_integer(dimension) && json_integer_value(dimension) > 0 &&
              json_integer_value(dimension) <= UINT32_MAX &&
              chroma_route_parse_uuid(bytes_of(id), ret_uuid);

    if (ok)
        *ret_dimension = (uint32_t)json_integer_value(dimension);
    json_decref(root);
    return ok;
}

bool chroma_answer_raise_batch_limit(struct bytes body, uint64_t records, struct byte_buffer *out)
{
    struct bytes number = find_batch_limit(body);
    char         text[24], old[24];
    size_t       before, after;

    if (number.size == 0 || number.size >= sizeof old)
        return false;
    memcpy(old, number.data, number.size);
    old[number.size] = '\0';
    if (strtoull(old, NULL, 10) >= records)
        return false;
    snprintf(text, sizeof text, "%" PRIu64, records);
    before = (size_t)(number.data - body.data);
    after = before + number.size;
    if (byte_buffer_reserve(out, body.size + sizeof text, SIZE_MAX) != STATUS_OK)
        return false;
    return byte_buffer_append(out, (struct bytes){.data = body.data, .size = before}, SIZE_MAX) ==
               STATUS_OK &&
           byte_buffer_append(out, bytes_of(text), SIZE_MAX) == STATUS_OK &&
           byte_buffer_append(out, bytes_skip(body, after), SIZE_MAX) == STATUS_OK;
}

/* The digits of the top-level member; empty if there is none or it is not a whole number. */
static struct bytes find_batch_limit(struct bytes body)
{
    struct json_scan   scan;
    struct json_string key;
    struct bytes       value, found = {0};

    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return found;
    while (json_scan_member(&scan, &key)) {
        if (!json_scan_value(&scan, &value))
            break;
        if (json_scan_equals(key, BYTES_LITERAL("max_batch_size")))
            found = value;
    }
    if (!json_scan_end(&scan))
        return (struct bytes){0};
    for (size_t i = 0; i < found.size; i++)
        if (found.data[i] < '0' || found.data[i] > '9')
            return (struct bytes){0};
    return found;
}
