#include "calls/request_head.h"

#include <string.h>

#include "http/http_writer.h"

/* A request that has passed this many proxies of our name goes in a circle. Two tiers are usual. */
enum { hops_max = 4 };

static unsigned request_head_count_name(struct bytes value);

bool request_head_write(const struct http_head *request, enum http_framing framing,
                        uint64_t content_length, struct byte_buffer *out)
{
    struct http_writer_options options = {.framing = framing, .content_length = content_length};

    if (request->field_count < HTTP_FIELDS_MAX) /* Chroma takes no more either */
        options.received_by = BYTES_LITERAL("chromabouncer");
    byte_buffer_clear(out);
    return http_writer_request(out, request, BYTES_LITERAL("localhost"), &options) == STATUS_OK;
}

bool request_head_write_get(const struct http_head *request, struct bytes target,
                            struct byte_buffer *out)
{
    struct http_head get = *request;

    get.method = BYTES_LITERAL("GET");
    get.target = target;
    get.is_head = get.has_forwards_left = false;
    for (size_t i = 0; i < get.field_count; i++)
        get.fields[i].hop_by_hop |= get.fields[i].id == HTTP_FIELD_CONTENT_TYPE ||
                                    get.fields[i].id == HTTP_FIELD_CONTENT_ENCODING ||
                                    get.fields[i].id == HTTP_FIELD_ACCEPT_ENCODING;
    return request_head_write(&get, HTTP_FRAMING_NONE, 0, out);
}

bool request_head_is_bodiless(const struct http_head *request)
{
    return request->is_head || bytes_equal(request->method, BYTES_LITERAL("GET"));
}

bool request_head_is_loop(const struct http_head *request)
{
    unsigned hops = 0;

    if (http_head_find(request, HTTP_FIELD_VIA) == NULL)
        return false;
    for (size_t i = 0; i < request->field_count; i++) {
        if (request->fields[i].id == HTTP_FIELD_VIA)
            hops += request_head_count_name(request->fields[i].value);
    }
    return hops >= hops_max;
}

/* Proxies between may have joined several Via fields into one. */
static unsigned request_head_count_name(struct bytes value)
{
    static const struct bytes name = BYTES_INIT("chromabouncer");
    unsigned                  count = 0;
    const char               *found;

    while ((found = memmem(value.data, value.size, name.data, name.size)) != NULL) {
        value = bytes_skip(value, (size_t)(found - value.data) + name.size);
        count++;
    }
    return count;
}
