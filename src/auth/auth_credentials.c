#include "auth/auth_credentials.h"

#include <stddef.h>

static struct bytes credential_of(const struct http_field *field, char *room, size_t capacity);
static bool         take_scheme(struct bytes value, struct bytes scheme, struct bytes *ret_rest);
static struct bytes password_of(struct bytes encoded, char *room, size_t capacity);
static int          base64_digit(char c);

void auth_credentials_read(const struct http_head *head, struct auth_credentials *ret)
{
    ret->text = ret->other = (struct bytes){0};
    ret->are_two = false;
    for (size_t i = 0; i < head->field_count && !ret->are_two; i++) {
        struct bytes text;

        if (!auth_credentials_is_field(&head->fields[i]))
            continue;
        text = credential_of(&head->fields[i], ret->room[ret->text.size > 0], sizeof ret->room[0]);
        if (ret->text.size == 0) {
            ret->text = text;
        } else if (text.size > 0 && !bytes_equal(text, ret->text)) {
            ret->are_two = true;
            ret->other = text;
        }
    }
}

bool auth_credentials_is_field(const struct http_field *field)
{
    return (field->id == HTTP_FIELD_AUTHORIZATION || field->id == HTTP_FIELD_X_CHROMA_TOKEN) &&
           !field->hop_by_hop;
}

/* What is of another scheme, or no base64, stands for itself: it is no key, but it is shown. */
static struct bytes credential_of(const struct http_field *field, char *room, size_t capacity)
{
    struct bytes rest;

    if (field->id == HTTP_FIELD_AUTHORIZATION) {
        if (take_scheme(field->value, BYTES_LITERAL("bearer"), &rest))
            return rest;
        if (take_scheme(field->value, BYTES_LITERAL("basic"), &rest)) {
            rest = password_of(rest, room, capacity);
            return rest.size > 0 ? rest : field->value;
        }
    }
    return field->value;
}

static bool take_scheme(struct bytes value, struct bytes scheme, struct bytes *ret_rest)
{
    if (value.size <= scheme.size || value.data[scheme.size] != ' ' ||
        !bytes_equal_nocase((struct bytes){value.data, scheme.size}, scheme))
        return false;
    *ret_rest = bytes_skip(value, scheme.size);
    while (ret_rest->size > 0 && ret_rest->data[0] == ' ')
        *ret_rest = bytes_skip(*ret_rest, 1);
    return true;
}

/* Behind the first colon of `encoded`; empty: there is none, or it is too long for a key. */
static struct bytes password_of(struct bytes encoded, char *room, size_t capacity)
{
    unsigned    bits = 0, count = 0;
    size_t      size = 0;
    const char *colon;

    while (encoded.size > 0 && encoded.data[encoded.size - 1] == '=')
        encoded.size--;
    for (size_t i = 0; i < encoded.size; i++) {
        int digit = base64_digit(encoded.data[i]);

        if (digit < 0)
            return (struct bytes){0};
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        if (size == capacity)
            return (struct bytes){0};
        room[size++] = (char)(bits >> count & 0xff);
    }
    colon = size == 0 ? NULL : memchr(room, ':', size);
    if (colon == NULL)
        return (struct bytes){0};
    return (struct bytes){colon + 1, (size_t)(room + size - colon - 1)};
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}
