#include "calls/kept_head.h"

#include "base/compiler.h"

static bool is_plain_answer_field(const struct http_field *field);
static bool is_vary_by_origin(const struct http_field *field);

/* What Chroma says of every answer; nothing else is kept of a head. Some servers in Python say each
 * time that the answer depends on the request's Origin. That is part of the identity. */
enum kept_head { KEPT_HEAD_PLAIN, KEPT_HEAD_BY_ORIGIN, KEPT_HEAD_COUNT };
static const struct http_head kept_heads[KEPT_HEAD_COUNT] = {
#define KEPT_HEAD(count)                                                                           \
    {                                                                                              \
        .status = 200, .reason = BYTES_INIT("OK"), .minor_version = 1,                             \
        .framing = HTTP_FRAMING_LENGTH, .field_count = (count), .fields = {                        \
            {.name = BYTES_INIT("content-type"),                                                   \
             .value = BYTES_INIT("application/json"),                                              \
             .id = HTTP_FIELD_CONTENT_TYPE},                                                       \
            {.name = BYTES_INIT("vary"), .value = BYTES_INIT("Origin")}                            \
        }                                                                                          \
    }
    [KEPT_HEAD_PLAIN] = KEPT_HEAD(1),
    [KEPT_HEAD_BY_ORIGIN] = KEPT_HEAD(2),
#undef KEPT_HEAD
};

const struct http_head *kept_head(uint8_t number)
{
    return &kept_heads[number];
}

bool kept_head_find(const struct http_head *head, uint64_t bytes_max, uint8_t *ret_number)
{
    const struct http_field *type = http_head_find(head, HTTP_FIELD_CONTENT_TYPE);

    if (head->status != 200 || head->framing != HTTP_FRAMING_LENGTH ||
        head->content_length > bytes_max || type == NULL ||
        !bytes_equal(type->value, kept_heads[0].fields[0].value))
        return false;
    *ret_number = KEPT_HEAD_PLAIN;
    for (size_t i = 0; i < head->field_count; i++) {
        if (is_vary_by_origin(&head->fields[i]))
            *ret_number = KEPT_HEAD_BY_ORIGIN;
        else if (!is_plain_answer_field(&head->fields[i]))
            return false;
    }
    return true;
}

static bool is_plain_answer_field(const struct http_field *field)
{
    static const struct bytes others[] = {BYTES_INIT("server"), BYTES_INIT("chroma-trace-id"),
                                          BYTES_INIT("cache-status"), BYTES_INIT("server-timing"),
                                          BYTES_INIT("x-chromabouncer-source")};

    if (field->hop_by_hop || field->id == HTTP_FIELD_CONTENT_TYPE || field->id == HTTP_FIELD_DATE ||
        field->id == HTTP_FIELD_VIA)
        return true;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (bytes_equal_nocase(field->name, others[i]))
            return true;
    return false;
}

static bool is_vary_by_origin(const struct http_field *field)
{
    return bytes_equal_nocase(field->name, BYTES_LITERAL("vary")) &&
           bytes_equal_nocase(field->value, BYTES_LITERAL("Origin"));
}
