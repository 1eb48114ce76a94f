#include "proxy/construct_question.h"

#include <string.h>

#include "chroma/collection_table.h"
#include "proxy/exchange.h"
#include "proxy/write_lanes.h"

/* Paths of the clients that there are have some 100 bytes. */
enum { question_bytes_max = 4096 };

enum cache_kind construct_question_kind(const struct exchange *exchange)
{
    if (!exchange->proxy->is_gateway)
        return CACHE_KIND_NONE;
    switch (exchange->route.operation) {
    case CHROMA_OPERATION_IDENTITY:
    case CHROMA_OPERATION_TENANT_GET:
    case CHROMA_OPERATION_DATABASE_GET:
    case CHROMA_OPERATION_PRE_FLIGHT:
    case CHROMA_OPERATION_VERSION:
        return byte_buffer_size(&exchange->body) == 0 ? CACHE_KIND_FIXED : CACHE_KIND_NONE;
    default:
        return CACHE_KIND_NONE;
    }
}

/* Operation and path end where the body begins. What pre-flight-checks say is kept as we say it. */
bool construct_question_read(const struct exchange *exchange,
                             const unsigned char    digest_key[REQUEST_IDENTITY_KEY_SIZE],
                             struct byte_buffer *scratch, struct query_cache_key *ret_key)
{
    const char   head[] = {(char)exchange->route.operation,
                           (char)write_lanes_splits(exchange->proxy->lanes)};
    struct bytes parts[] = {{.data = head, .size = sizeof head},
                            exchange->head->path,
                            {.data = "", .size = 1},
                            byte_buffer_bytes(&exchange->body)};

    memset(ret_key->collection, 0, sizeof ret_key->collection);
    byte_buffer_clear(scratch);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (parts[i].size > 0 &&
            byte_buffer_append(scratch, parts[i], question_bytes_max) != STATUS_OK)
            return false;
    request_identity_digest(byte_buffer_bytes(scratch), digest_key, ret_key->digest);
    return true;
}

uint64_t construct_question_stamp(const struct exchange *exchange)
{
    const struct proxy *proxy = exchange->proxy;

    return collection_table_tenants_stamp(proxy->collections, loop_now_us(proxy->loop));
}
