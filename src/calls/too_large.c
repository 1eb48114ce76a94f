#include "calls/too_large.h"

static const struct bytes     too_large_plain = BYTES_INIT("Payload too large");
static const struct http_head too_large_plain_head = {
    .status = 413,
    .reason = BYTES_INIT("Payload Too Large"),
    .field_count = 2,
    .fields = {{.name = BYTES_INIT("chroma-trace-id"),
                .value = BYTES_INIT("00000000000000000000000000000000"),
                .id = HTTP_FIELD_CHROMA_TRACE_ID},
               {.name = BYTES_INIT("content-length"),
                .value = BYTES_INIT("17"),
                .id = HTTP_FIELD_CONTENT_LENGTH,
                .hop_by_hop = true}}};
static const struct bytes too_large_json =
    BYTES_INIT("{\"error\":\"ChromaError\",\"message\":\"Failed to buffer the request body: length "
               "limit exceeded\"}");
static const struct http_head too_large_json_head = {
    .status = 413,
    .reason = BYTES_INIT("Payload Too Large"),
    .field_count = 3,
    .fields = {{.name = BYTES_INIT("content-type"),
                .value = BYTES_INIT("application/json"),
                .id = HTTP_FIELD_CONTENT_TYPE},
               {.name = BYTES_INIT("chroma-trace-id"),
                .value = BYTES_INIT("00000000000000000000000000000000"),
                .id = HTTP_FIELD_CHROMA_TRACE_ID},
               {.name = BYTES_INIT("content-length"),
                .value = BYTES_INIT("96"),
                .id = HTTP_FIELD_CONTENT_LENGTH,
                .hop_by_hop = true}}};

const struct http_head *too_large_head(bool is_plain)
{
    return is_plain ? &too_large_plain_head : &too_large_json_head;
}

struct bytes too_large_body(bool is_plain)
{
    return is_plain ? too_large_plain : too_large_json;
}
