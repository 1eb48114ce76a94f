#include "http/http_field.h"

#include <stdint.h>
#include <string.h>

#include "http/http_chars.h"

static const bool hop_by_hop_table[] = {
#define HTTP_FIELD(id, name, hop_by_hop) [HTTP_FIELD_##id] = (hop_by_hop),
#include "http/http_field.def"
#undef HTTP_FIELD
    [HTTP_FIELD_OTHER] = false,
};

static inline enum http_field_id identify_of_size(const char *name, size_t size);
static inline bool is_field_name(const char *name, const char *lower_name, size_t size);

enum status http_field_parse(struct bytes line, struct http_field *ret_field, struct error *error)
{
    size_t       name_size = http_chars_span(line, HTTP_CHARS_TOKEN);
    struct bytes value;

    if (name_size == 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
        return error_set(error, STATUS_INVALID, "a field line begins with white space");
    if (name_size == 0 || name_size == line.size || line.data[name_size] != ':')
        return error_set(error, STATUS_INVALID, "a field name is not a token followed by ':'");
    value = http_field_trim(bytes_skip(line, name_size + 1));
    if (!http_chars_are_value(value))
        return error_set(error, STATUS_INVALID, "a field value holds a control character");
    ret_field->name = (struct bytes){.data = line.data, .size = name_size};
    ret_field->value = value;
    ret_field->id = http_field_identify(ret_field->name);
    ret_field->hop_by_hop = hop_by_hop_table[ret_field->id];
    return STATUS_OK;
}

struct bytes http_field_trim(struct bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = bytes_skip(text, 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* A jump by the size leaves one to four names to compare with: the compiler drops the others,
 * because in each case the size is a constant. */
enum http_field_id http_field_identify(struct bytes name)
{
#define OF_SIZE(constant)                                                                          \
    case constant:                                                                                 \
        return identify_of_size(name.data, constant);

    switch (name.size) {
        OF_SIZE(2)
        OF_SIZE(3)
        OF_SIZE(4)
        OF_SIZE(6)
        OF_SIZE(7)
        OF_SIZE(10)
        OF_SIZE(11)
        OF_SIZE(12)
        OF_SIZE(13)
        OF_SIZE(14)
        OF_SIZE(15)
        OF_SIZE(16)
        OF_SIZE(17)
        OF_SIZE(18)
        OF_SIZE(19)
        OF_SIZE(20)
        OF_SIZE(23)
        OF_SIZE(24)
        OF_SIZE(30)
    default:
        return HTTP_FIELD_OTHER;
    }
#undef OF_SIZE
}

/* One comparison, as often as the table has rows.
 * NOLINTNEXTLINE(readability-function-cognitive-complexity) */
static inline enum http_field_id identify_of_size(const char *name, size_t size)
{
#define HTTP_FIELD(id, text, hop_by_hop)                                                           \
    if (size == sizeof(text) - 1 && is_field_name(name, text, sizeof(text) - 1))                   \
        return HTTP_FIELD_##id;
#include "http/http_field.def"
#undef HTTP_FIELD
    return HTTP_FIELD_OTHER;
}

/* `lower_name` has only letters and '-', so setting the bit of lower case in a token character
 * makes two of them equal only if they are equal but for case. */
static inline bool is_field_name(const char *name, const char *lower_name, size_t size)
{
    const uint64_t lower_case = UINT64_MAX / 255 * 0x20;

    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t)) {
        uint64_t left, right;

        memcpy(&left, name, sizeof left);
        memcpy(&right, lower_name, sizeof right);
        if ((left | lower_case) != right)
            return false;
        name += sizeof left;
        lower_name += sizeof right;
    }
    for (size_t i = 0; i < size; i++)
        if ((name[i] | 0x20) != lower_name[i])
            return false;
    return true;
}

bool http_field_may_be_named(enum http_field_id id)
{
    switch (id) {
    case HTTP_FIELD_AUTHORIZATION:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_CONTENT_TYPE:
    case HTTP_FIELD_COOKIE:
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_VIA:
    case HTTP_FIELD_X_CHROMA_TOKEN:
        return false;
    default:
        return true;
    }
}
