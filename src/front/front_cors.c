#include "front/front_cors.h"

#include <stdbool.h>

static struct bytes allowed_origin(const struct http_head *answer);
static size_t       find_origin(const struct front_cors *cors, struct bytes origin);
static bool         copy_fields(struct front_cors_entry *entry, const struct http_head *answer);
static bool         is_of_cors(struct bytes name);
static bool         append_bytes(struct front_cors_entry *entry, struct bytes bytes);

void front_cors_learn(struct front_cors *cors, struct bytes origin, const struct http_head *answer)
{
    struct bytes             allowed = allowed_origin(answer);
    size_t                   at = find_origin(cors, origin);
    struct front_cors_entry *entry = &cors->any;

    if (origin.size > FRONT_CORS_ORIGIN_BYTES_MAX)
        return;
    if (at < FRONT_CORS_ORIGINS_MAX)
        cors->origins[at].fields_size = 0;
    if (!bytes_equal(allowed, BYTES_LITERAL("*"))) {
        cors->any.fields_size = 0;
        if (allowed.size == 0)
            return;
        entry = &cors->origins[at < FRONT_CORS_ORIGINS_MAX ? at
                                                           : cors->next++ % FRONT_CORS_ORIGINS_MAX];
        memcpy(entry->origin, origin.data, origin.size);
        entry->origin_size = origin.size;
    }
    if (!copy_fields(entry, answer))
        entry->fields_size = 0;
}

static struct bytes allowed_origin(const struct http_head *answer)
{
    for (size_t i = 0; i < answer->field_count; i++)
        if (bytes_equal_nocase(answer->fields[i].name,
                               BYTES_LITERAL("access-control-allow-origin")))
            return answer->fields[i].value;
    return (struct bytes){0};
}

/* FRONT_CORS_ORIGINS_MAX: it is not there. */
static size_t find_origin(const struct front_cors *cors, struct bytes origin)
{
    size_t at = 0;

    while (at < FRONT_CORS_ORIGINS_MAX &&
           (origin.size == 0 || cors->origins[at].origin_size != origin.size ||
            memcmp(cors->origins[at].origin, origin.data, origin.size) != 0))
        at++;
    return at;
}

static bool copy_fields(struct front_cors_entry *entry, const struct http_head *answer)
{
    bool fits = true;

    entry->fields_size = 0;
    for (size_t i = 0; i < answer->field_count && fits; i++) {
        const struct http_field *field = &answer->fields[i];

        if (is_of_cors(field->name))
            fits = append_bytes(entry, field->name) && append_bytes(entry, BYTES_LITERAL(": ")) &&
                   append_bytes(entry, field->value) && append_bytes(entry, BYTES_LITERAL("\r\n"));
    }
    return fits;
}

/* Not those that only answer a preflight, nor those that say what may be read of the answer: an
 * error has other fields. */
static bool is_of_cors(struct bytes name)
{
    return bytes_equal_nocase(name, BYTES_LITERAL("access-control-allow-origin")) ||
           bytes_equal_nocase(name, BYTES_LITERAL("access-control-allow-credentials")) ||
           bytes_equal_nocase(name, BYTES_LITERAL("vary"));
}

static bool append_bytes(struct front_cors_entry *entry, struct bytes bytes)
{
    if (bytes.size > sizeof entry->fields - entry->fields_size)
        return false;
    if (bytes.size > 0)
        memcpy(entry->fields + entry->fields_size, bytes.data, bytes.size);
    entry->fields_size += bytes.size;
    return true;
}

struct bytes front_cors_fields(const struct front_cors *cors, struct bytes origin)
{
    size_t                         at = find_origin(cors, origin);
    const struct front_cors_entry *entry = &cors->any;

    if (at < FRONT_CORS_ORIGINS_MAX && cors->origins[at].fields_size > 0)
        entry = &cors->origins[at];
    return (struct bytes){.data = entry->fields, .size = entry->fields_size};
}
