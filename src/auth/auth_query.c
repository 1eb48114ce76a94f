#include "auth/auth_query.h"

#include "base/text.h"

static struct bytes auth_query_cut(struct bytes *rest, char separator);
static bool         auth_query_take_text(struct bytes value, bool *has, char *text, size_t *size);
static bool         auth_query_take_number(struct bytes value, bool *has, uint64_t *number);
static int          auth_query_hex_digit(char c);

bool auth_query_read(struct bytes query, struct auth_query *ret)
{
    ret->has_tenant = ret->has_database = ret->has_limit = ret->has_offset = false;
    while (query.size > 0) {
        struct bytes value = auth_query_cut(&query, '&');
        struct bytes encoded = auth_query_cut(&value, '=');
        char         text[16];
        struct bytes name = {.data = text};
        bool         is_good = true;

        if (!auth_query_decode(encoded, true, text, sizeof text, &name.size))
            continue; /* longer than those that matter */
        if (bytes_equal(name, BYTES_LITERAL("tenant")))
            is_good = auth_query_take_text(value, &ret->has_tenant, ret->tenant, &ret->tenant_size);
        else if (bytes_equal(name, BYTES_LITERAL("database")))
            is_good =
                auth_query_take_text(value, &ret->has_database, ret->database, &ret->database_size);
        else if (bytes_equal(name, BYTES_LITERAL("limit")))
            is_good = auth_query_take_number(value, &ret->has_limit, &ret->limit);
        else if (bytes_equal(name, BYTES_LITERAL("offset")))
            is_good = auth_query_take_number(value, &ret->has_offset, &ret->offset);
        if (!is_good)
            return false;
    }
    return true;
}

/* Up to the separator, which is taken too. */
static struct bytes auth_query_cut(struct bytes *rest, char separator)
{
    const char  *at = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    struct bytes part = {rest->data, at == NULL ? rest->size : (size_t)(at - rest->data)};

    *rest = bytes_skip(*rest, part.size + (at != NULL));
    return part;
}

static bool auth_query_take_text(struct bytes value, bool *has, char *text, size_t *size)
{
    bool is_first = !*has;

    *has = true;
    return is_first && auth_query_decode(value, true, text, AUTH_QUERY_TEXT_MAX, size);
}

static bool auth_query_take_number(struct bytes value, bool *has, uint64_t *number)
{
    bool is_first = !*has;

    *has = true;
    return is_first && text_to_number(value, number) && *number <= UINT32_MAX;
}

bool auth_query_decode(struct bytes text, bool is_query, char *ret_text, size_t capacity,
                       size_t *ret_size)
{
    size_t size = 0;

    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];

        if (c == '%') {
            if (text.size - i < 3 || auth_query_hex_digit(text.data[i + 1]) < 0 ||
                auth_query_hex_digit(text.data[i + 2]) < 0)
                return false;
            c = (char)(auth_query_hex_digit(text.data[i + 1]) << 4 |
                       auth_query_hex_digit(text.data[i + 2]));
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        if (size == capacity)
            return false;
        ret_text[size++] = c;
    }
    *ret_size = size;
    return true;
}

static int auth_query_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
