#include "proxy/construct_question.h"

#include <string.h>

#include "chroma/collection_table.h"
#include "lanes/write_lanes.h"
#include "proxy/exchange.h"

/* Of clients that there are, paths have some 100 bytes, and a creation with an embedding function
 * and metadata some 1000. */
enum { question_bytes_max = 16384 };

/* Chroma's names end at 512 bytes. */
enum { name_bytes_max = 520 };

/* A name that stands decoded in `text`. */
struct plain_name {
    char         text[name_bytes_max];
    struct bytes bytes;
};

static bool decode_segment(struct bytes segment, struct plain_name *ret_name);
static bool read_creation(struct bytes body, struct plain_name *ret_name);
static bool take_name(struct json_scan *scan, struct plain_name *ret_name);

/* A distributed Chroma works on its collections, and their descriptions, by itself. */
enum cache_kind construct_question_kind(const struct exchange *exchange)
{
    const struct proxy *proxy = exchange->proxy;
    enum cache_kind kind = proxy->is_gateway ? construct_question_shape(exchange) : CACHE_KIND_NONE;

    if (kind == CACHE_KIND_DESCRIPTION &&
        (!proxy->is_single || (exchange->route.operation == CHROMA_OPERATION_COLLECTION_CREATE &&
                               !chroma_family_info(proxy->family)->create_may_read)))
        return CACHE_KIND_NONE;
    return kind;
}

enum cache_kind construct_question_shape(const struct exchange *exchange)
{
    bool has_body = byte_buffer_size(&exchange->body) > 0;
    bool has_database = exchange->route.database.size > 0;

    switch (exchange->route.operation) {
    case CHROMA_OPERATION_IDENTITY:
    case CHROMA_OPERATION_TENANT_GET:
    case CHROMA_OPERATION_DATABASE_GET:
    case CHROMA_OPERATION_PRE_FLIGHT:
    case CHROMA_OPERATION_VERSION:
        return has_body ? CACHE_KIND_NONE : CACHE_KIND_FIXED;
    case CHROMA_OPERATION_COLLECTION_GET:
    case CHROMA_OPERATION_COLLECTION_GET_ID:
        return !has_body && has_database ? CACHE_KIND_DESCRIPTION : CACHE_KIND_NONE;
    case CHROMA_OPERATION_COLLECTION_CREATE: {
        struct plain_name name;

        return has_database && read_creation(byte_buffer_bytes(&exchange->body), &name)
                   ? CACHE_KIND_DESCRIPTION
                   : CACHE_KIND_NONE;
    }
    default:
        return CACHE_KIND_NONE;
    }
}

bool construct_question_read(const struct exchange *exchange,
                             const unsigned char    digest_key[REQUEST_IDENTITY_KEY_SIZE],
                             struct byte_buffer *scratch, struct query_cache_key *ret_key)
{
    memset(ret_key->collection, 0, sizeof ret_key->collection);
    return (exchange->question.kind != CACHE_KIND_DESCRIPTION ||
            construct_question_find_collection(exchange, ret_key->collection)) &&
           construct_question_digest(exchange, digest_key, scratch, ret_key->digest);
}

/* Operation and path end where the body begins. What pre-flight-checks say is kept as we say it. */
bool construct_question_digest(const struct exchange *exchange,
                               const unsigned char    digest_key[REQUEST_IDENTITY_KEY_SIZE],
                               struct byte_buffer *scratch, unsigned char ret_digest[16])
{
    const char   head[] = {(char)exchange->route.operation,
                           (char)write_lanes_splits(exchange->proxy->lanes)};
    struct bytes parts[] = {{.data = head, .size = sizeof head},
                            exchange->head->path,
                            {.data = "", .size = 1},
                            byte_buffer_bytes(&exchange->body)};

    byte_buffer_clear(scratch);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (parts[i].size > 0 &&
            byte_buffer_append(scratch, parts[i], question_bytes_max) != STATUS_OK)
            return false;
    request_identity_digest(byte_buffer_bytes(scratch), digest_key, ret_digest);
    return true;
}

/* By name or UUID. */
bool construct_question_find_collection(const struct exchange *exchange, uint8_t ret_uuid[16])
{
    const struct chroma_route *route = &exchange->route;
    const struct proxy        *proxy = exchange->proxy;
    struct plain_name          tenant, database, name;

    if (route->operation == CHROMA_OPERATION_COLLECTION_GET_ID) {
        memcpy(ret_uuid, route->uuid, sizeof route->uuid);
        return route->has_uuid;
    }
    return (route->operation == CHROMA_OPERATION_COLLECTION_GET
                ? decode_segment(route->collection, &name)
                : read_creation(byte_buffer_bytes(&exchange->body), &name)) &&
           decode_segment(route->tenant, &tenant) && decode_segment(route->database, &database) &&
           collection_table_standing_uuid(
               proxy->collections,
               (struct scope){.tenant = tenant.bytes, .database = database.bytes}, name.bytes,
               loop_now_us(proxy->loop), ret_uuid);
}

static bool decode_segment(struct bytes segment, struct plain_name *ret_name)
{
    ret_name->bytes = (struct bytes){.data = ret_name->text};
    return segment.size > 0 && chroma_route_decode(segment, ret_name->text, sizeof ret_name->text,
                                                   &ret_name->bytes.size);
}

/* A creation that takes what is there, of what name; each said once. */
static bool read_creation(struct bytes body, struct plain_name *ret_name)
{
    struct json_scan   scan;
    struct json_string key;
    struct bytes       value;
    bool               has_name = false, has_wish = false;

    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return false;
    while (json_scan_member(&scan, &key)) {
        if (json_scan_equals(key, BYTES_LITERAL("name"))) {
            if (has_name || !take_name(&scan, ret_name))
                return false;
            has_name = true;
        } else if (json_scan_equals(key, BYTES_LITERAL("get_or_create"))) {
            if (has_wish || !json_scan_value(&scan, &value) ||
                !bytes_equal(value, BYTES_LITERAL("true")))
                return false;
            has_wish = true;
        } else {
            json_scan_value(&scan, NULL);
        }
    }
    return json_scan_end(&scan) && has_name && has_wish;
}

static bool take_name(struct json_scan *scan, struct plain_name *ret_name)
{
    struct json_string name;

    if (!json_scan_string(scan, &name) || name.raw.size > sizeof ret_name->text)
        return false;
    ret_name->bytes =
        (struct bytes){.data = ret_name->text, .size = json_scan_decode(name, ret_name->text)};
    return ret_name->bytes.size > 0;
}

uint64_t construct_question_stamp(const struct proxy *proxy, const struct cache_question *question)
{
    uint64_t now_us = loop_now_us(proxy->loop);

    if (question->kind == CACHE_KIND_FIXED)
        return collection_table_tenants_stamp(proxy->collections, now_us);
    return collection_table_description_stamp(proxy->collections, question->key.collection, now_us);
}

bool construct_question_learn(const struct exchange *exchange, struct bytes body)
{
    return exchange->question.kind != CACHE_KIND_DESCRIPTION ||
           collection_table_describe(exchange->proxy->collections,
                                     exchange->question.key.collection, body);
}
