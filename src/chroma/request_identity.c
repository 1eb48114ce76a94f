#include "chroma/request_identity.h"

#include <string.h>

static enum status write_identity_fields(const struct http_head *head, bool with_age,
                                         struct byte_buffer *out);
static void        write_lower_case(char *to, struct bytes from);

bool request_identity_is_ignored(const struct http_field *field)
{
    if (field->hop_by_hop)
        return true;
    switch (field->id) {
    case HTTP_FIELD_ACCEPT:
    case HTTP_FIELD_ACCEPT_ENCODING:
    case HTTP_FIELD_ACCEPT_LANGUAGE:
    case HTTP_FIELD_CHROMA_TRACE_ID:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_GRPC_TIMEOUT:
    case HTTP_FIELD_TRACEPARENT:
    case HTTP_FIELD_TRACESTATE:
    case HTTP_FIELD_USER_AGENT:
    case HTTP_FIELD_VIA:
    case HTTP_FIELD_X_ENVOY_TIMEOUT_MS:
    case HTTP_FIELD_X_REQUEST_ID:
    case HTTP_FIELD_X_REQUEST_TIMEOUT_MS:
        return true;
    default:
        return false;
    }
}

bool request_identity_is_of_age(const struct http_field *field)
{
    return bytes_equal_nocase(field->name, BYTES_LITERAL("cache-control")) ||
           bytes_equal_nocase(field->name, BYTES_LITERAL("pragma"));
}

enum status request_identity_write(const struct http_head *head, struct byte_buffer *out)
{
    return write_identity_fields(head, true, out);
}

enum status request_identity_write_ageless(const struct http_head *head, struct byte_buffer *out)
{
    return write_identity_fields(head, false, out);
}

static enum status write_identity_fields(const struct http_head *head, bool with_age,
                                         struct byte_buffer *out)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < head->field_count && status == STATUS_OK; i++) {
        const struct http_field *field = &head->fields[i];
        size_t                   name_at;
        struct bytes parts[] = {field->name, BYTES_INIT(": "), field->value, BYTES_INIT("\r\n")};

        if (request_identity_is_ignored(field) || (!with_age && request_identity_is_of_age(field)))
            continue;
        name_at = byte_buffer_size(out);
        for (size_t j = 0; j < COUNT_OF(parts) && status == STATUS_OK; j++)
            status = byte_buffer_append(out, parts[j], SIZE_MAX);
        if (status == STATUS_OK)
            write_lower_case(out->data + out->start + name_at, field->name);
    }
    return status;
}

static void write_lower_case(char *to, struct bytes from)
{
    for (size_t i = 0; i < from.size; i++)
        to[i] =
            (char)(from.data[i] >= 'A' && from.data[i] <= 'Z' ? from.data[i] | 0x20 : from.data[i]);
}

/* Two independent keys make 128 bits of two hashes of 64. */
void request_identity_digest(struct bytes        identity,
                             const unsigned char key[REQUEST_IDENTITY_KEY_SIZE],
                             unsigned char       ret_digest[REQUEST_IDENTITY_DIGEST_SIZE])
{
    uint64_t halves[] = {siphash_2_4(key, identity), siphash_2_4(key + SIPHASH_KEY_SIZE, identity)};

    memcpy(ret_digest, halves, sizeof halves);
}
