#include "chroma/chroma_route.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/text.h"

enum method {
    METHOD_OTHER,
    METHOD_GET,
    METHOD_OPTIONS,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE
};

/* How deep the path goes into /api/v2/tenants/{}/databases/{}/collections/{}, in v1 into
 * /api/v1/collections/{}. */
enum scope { SCOPE_API, SCOPE_TENANT, SCOPE_DATABASE, SCOPE_COLLECTION, SCOPE_BY_ID, SCOPE_COUNT };

enum versions { V1 = 1, V2 = 2, BOTH = V1 | V2 };

/* `tail` is the path behind its scope; '*' stands for one segment. */
struct route {
    const char           *tail;
    enum versions         versions;
    enum method           method;
    enum chroma_operation operation;
};

#define ROUTE(tail, versions, method, operation)                                                   \
    {                                                                                              \
        tail, versions, METHOD_##method, CHROMA_OPERATION_##operation                              \
    }
#define ROUTES_END                                                                                 \
    {                                                                                              \
        NULL, BOTH, METHOD_OTHER, CHROMA_OPERATION_UNKNOWN                                         \
    }

static const struct route api_routes[] = {
    ROUTE("/heartbeat", BOTH, GET, HEARTBEAT),
    ROUTE("/pre-flight-checks", BOTH, GET, PRE_FLIGHT),
    ROUTE("/auth/identity", V2, GET, IDENTITY),
    ROUTE("/version", BOTH, GET, VERSION),
    ROUTE("/healthcheck", V2, GET, HEALTHCHECK),
    ROUTE("", BOTH, GET, ROOT),
    ROUTE("/reset", BOTH, POST, RESET),
    ROUTE("/tenants", BOTH, POST, TENANT_CREATE),
    ROUTE("/collections/*", V2, GET, COLLECTION_GET),
    /* What v2 has in narrower scopes. */
    ROUTE("/tenants/*", V1, GET, TENANT_GET),
    ROUTE("/databases", V1, POST, DATABASE_CREATE),
    ROUTE("/databases/*", V1, GET, DATABASE_GET),
    ROUTE("/collections", V1, POST, COLLECTION_CREATE),
    ROUTE("/collections", V1, GET, COLLECTION_LIST),
    ROUTE("/count_collections", V1, GET, COLLECTION_COUNT),
    ROUTES_END,
};

static const struct route tenant_routes[] = {
    ROUTE("", V2, GET, TENANT_GET),
    ROUTE("", V2, PATCH, TENANT_MODIFY),
    ROUTE("/databases", V2, GET, DATABASE_LIST),
    ROUTE("/databases", V2, POST, DATABASE_CREATE),
    ROUTES_END,
};

static const struct route database_routes[] = {
    ROUTE("/collections", V2, POST, COLLECTION_CREATE),
    ROUTE("/collections", V2, GET, COLLECTION_LIST),
    ROUTE("/collections_count", V2, GET, COLLECTION_COUNT),
    ROUTE("", V2, GET, DATABASE_GET),
    ROUTE("", V2, DELETE, DATABASE_DELETE),
    ROUTES_END,
};

static const struct route collection_routes[] = {
    ROUTE("/query", BOTH, POST, QUERY),
    ROUTE("/upsert", BOTH, POST, UPSERT),
    ROUTE("/add", BOTH, POST, ADD),
    ROUTE("/get", BOTH, POST, GET),
    ROUTE("/update", BOTH, POST, UPDATE),
    ROUTE("/delete", BOTH, POST, DELETE),
    ROUTE("/count", BOTH, GET, COUNT),
    ROUTE("/search", V2, POST, SEARCH),
    ROUTE("", BOTH, GET, COLLECTION_GET),
    ROUTE("", BOTH, PUT, COLLECTION_MODIFY),
    ROUTE("", BOTH, DELETE, COLLECTION_DELETE),
    ROUTE("/indexing_status", V2, GET, INDEXING_STATUS),
    ROUTE("/fork", V2, POST, COLLECTION_FORK),
    ROUTE("/fork_count", V2, GET, FORK_COUNT),
    ROUTE("/conditional/get", V2, POST, CONDITIONAL_GET),
    ROUTE("/conditional/commit", V2, POST, CONDITIONAL_COMMIT),
    ROUTE("/functions/attach", V2, POST, FUNCTION_ATTACH),
    ROUTE("/functions/*", V2, GET, FUNCTION_GET),
    ROUTE("/attached_functions/*/detach", V2, POST, FUNCTION_DETACH),
    ROUTE("/attached_functions/*/add_input", V2, POST, FUNCTION_ADD_INPUT),
    ROUTES_END,
};

static const struct route by_id_routes[] = {
    ROUTE("", V2, GET, COLLECTION_GET_ID),
    ROUTES_END,
};

static const struct route *const routes_of[SCOPE_COUNT] = {
    [SCOPE_API] = api_routes,           [SCOPE_TENANT] = tenant_routes,
    [SCOPE_DATABASE] = database_routes, [SCOPE_COLLECTION] = collection_routes,
    [SCOPE_BY_ID] = by_id_routes,
};

static const struct chroma_operation_info infos[CHROMA_OPERATION_COUNT_OF] = {
#define OPERATION(id, metric_op, class, is_write, is_retry_safe, has_plain_413, reach)             \
    {#id,           metric_op,     CHROMA_CLASS_##class, is_write,                                 \
     is_retry_safe, has_plain_413, CHROMA_REACH_##reach},
#include "chroma/chroma_operation.def"
#undef OPERATION
};

static enum method           method_of(struct bytes method);
static bool                  is_safe_method(enum method method);
static enum scope            take_scope(struct bytes *path, struct chroma_route *route);
static bool                  take_segment(struct bytes *path, struct bytes *ret_segment);
static enum chroma_operation find_operation(enum versions version, enum scope scope,
                                            enum method method, struct bytes tail);
static bool                  tail_matches(const char *pattern, struct bytes tail);
static bool                  is_name(enum chroma_operation operation);
static bool                  is_docs(struct bytes path);
static bool                  is_v1(struct bytes path);
static int                   hex_value(char c);

const struct chroma_operation_info *chroma_route_info(enum chroma_operation operation)
{
    return &infos[operation];
}

void chroma_route_find(struct bytes method_name, struct bytes path, struct chroma_route *ret_route)
{
    enum method           method = method_of(method_name);
    enum chroma_operation operation = CHROMA_OPERATION_UNKNOWN;
    enum scope            scope;

    *ret_route = (struct chroma_route){.is_v1 = is_v1(path)};
    if (ret_route->is_v1 || bytes_begin_with(path, BYTES_LITERAL("/api/v2"))) {
        path = bytes_skip(path, strlen("/api/v2"));
        scope = take_scope(&path, ret_route);
        operation = find_operation(ret_route->is_v1 ? V1 : V2, scope, method, path);
        if (ret_route->collection.size > 0 && !is_name(operation))
            ret_route->has_uuid = chroma_route_parse_uuid(ret_route->collection, ret_route->uuid);
    } else if (method == METHOD_GET && is_docs(path)) {
        operation = CHROMA_OPERATION_DOCS;
    }
    if (operation == CHROMA_OPERATION_UNKNOWN && !is_safe_method(method))
        operation = CHROMA_OPERATION_UNKNOWN_WRITE;
    ret_route->operation = operation;
    ret_route->info = &infos[operation];
}

/* Chroma routes HEAD as GET. */
static enum method method_of(struct bytes method)
{
    static const struct {
        const char *name;
        enum method method;
    } methods[] = {
        {"POST", METHOD_POST},       {"GET", METHOD_GET},       {"PUT", METHOD_PUT},
        {"PATCH", METHOD_PATCH},     {"DELETE", METHOD_DELETE}, {"HEAD", METHOD_GET},
        {"OPTIONS", METHOD_OPTIONS},
    };

    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (bytes_equal(method, bytes_of(methods[i].name)))
            return methods[i].method;
    return METHOD_OTHER;
}

static bool is_safe_method(enum method method)
{
    return method == METHOD_GET || method == METHOD_OPTIONS;
}

/* Take /tenants/{}, /databases/{} and /collections/{} off the front of `path`, as far as they go;
 * of v1 the last alone. */
static enum scope take_scope(struct bytes *path, struct chroma_route *route)
{
    static const char *const names[] = {"/tenants/", "/databases/", "/collections/"};
    struct bytes *const      segments[] = {&route->tenant, &route->database, &route->collection};
    enum scope               scope = SCOPE_API;
    struct bytes             rest;

    for (size_t i = route->is_v1 ? 2 : 0; i < COUNT_OF(names); i++) {
        if (!bytes_begin_with(*path, bytes_of(names[i])))
            return scope;
        rest = bytes_skip(*path, strlen(names[i]));
        if (!take_segment(&rest, segments[i]))
            return scope;
        *path = rest;
        scope = SCOPE_TENANT + (enum scope)i;
    }
    rest = bytes_skip(*path, path->size > 0);
    if (!route->is_v1 && bytes_equal(route->collection, BYTES_LITERAL("by-id")) &&
        take_segment(&rest, &route->collection)) {
        *path = rest;
        return SCOPE_BY_ID;
    }
    return scope;
}

/* Up to the next '/'. False, and nothing taken, if that is nothing. */
static bool take_segment(struct bytes *path, struct bytes *ret_segment)
{
    const char *slash = path->size == 0 ? NULL : memchr(path->data, '/', path->size);
    size_t      size = slash == NULL ? path->size : (size_t)(slash - path->data);

    if (size == 0)
        return false;
    *ret_segment = (struct bytes){.data = path->data, .size = size};
    *path = bytes_skip(*path, size);
    return true;
}

static enum chroma_operation find_operation(enum versions version, enum scope scope,
                                            enum method method, struct bytes tail)
{
    for (const struct route *route = routes_of[scope]; route->tail != NULL; route++)
        if (route->method == method && (route->versions & version) != 0 &&
            tail_matches(route->tail, tail))
            return route->operation;
    return CHROMA_OPERATION_UNKNOWN;
}

static bool tail_matches(const char *pattern, struct bytes tail)
{
    struct bytes segment;

    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '*') {
            if (!take_segment(&tail, &segment))
                return false;
        } else if (tail.size > 0 && tail.data[0] == *pattern) {
            tail = bytes_skip(tail, 1);
        } else {
            return false;
        }
    }
    return tail.size == 0;
}

static bool is_name(enum chroma_operation operation)
{
    return operation == CHROMA_OPERATION_COLLECTION_GET ||
           operation == CHROMA_OPERATION_COLLECTION_DELETE;
}

/* The spellings that Chroma's parser takes, of either case: simple (32 digits), hyphenated, and the
 * latter in braces or behind `urn:uuid:`. */
bool chroma_route_parse_uuid(struct bytes segment, uint8_t ret_uuid[16])
{
    enum { SIMPLE = 32, HYPHENATED = 36, BRACED = 38, URN = 45 };
    char         text[URN];
    struct bytes uuid = segment;
    uint8_t      parsed[16];
    size_t       at = 0;

    if (memchr(segment.data, '%', segment.size) != NULL) {
        uuid.data = text;
        if (!chroma_route_decode(segment, text, sizeof text, &uuid.size))
            return false;
    }
    if (uuid.size == BRACED && uuid.data[0] == '{' && uuid.data[BRACED - 1] == '}')
        uuid = (struct bytes){.data = uuid.data + 1, .size = HYPHENATED};
    else if (uuid.size == URN && bytes_begin_with(uuid, BYTES_LITERAL("urn:uuid:")))
        uuid = bytes_skip(uuid, URN - HYPHENATED);
    if (uuid.size != SIMPLE && uuid.size != HYPHENATED)
        return false;
    for (size_t i = 0; i < sizeof parsed; i++) {
        int high, low;

        if (uuid.size == HYPHENATED && (i == 4 || i == 6 || i == 8 || i == 10) &&
            uuid.data[at++] != '-')
            return false;
        high = hex_value(uuid.data[at++]);
        low = hex_value(uuid.data[at++]);
        if (high < 0 || low < 0)
            return false;
        parsed[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_uuid, parsed, sizeof parsed);
    return true;
}

void chroma_route_print_uuid(const uint8_t uuid[16], char out[CHROMA_ROUTE_UUID_SIZE])
{
    size_t used = 0;

    for (size_t i = 0; i < 16; i++)
        used += (size_t)snprintf(out + used, CHROMA_ROUTE_UUID_SIZE - used, "%s%02x",
                                 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

bool chroma_route_decode(struct bytes segment, char *ret_text, size_t capacity, size_t *ret_size)
{
    size_t size = 0;

    for (size_t i = 0; i < segment.size; i++) {
        char c = segment.data[i];

        if (c == '%' && segment.size - i > 2 && hex_value(segment.data[i + 1]) >= 0 &&
            hex_value(segment.data[i + 2]) >= 0) {
            c = (char)(hex_value(segment.data[i + 1]) << 4 | hex_value(segment.data[i + 2]));
            i += 2;
        }
        if (size == capacity)
            return false;
        ret_text[size++] = c;
    }
    *ret_size = size;
    return true;
}

enum status chroma_route_encode(struct bytes text, struct byte_buffer *out)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < text.size && status == STATUS_OK; i++)
        status = text_is_alnum(text.data[i]) || memchr("-._~", text.data[i], 4) != NULL
                     ? byte_buffer_append(out, (struct bytes){text.data + i, 1}, SIZE_MAX)
                     : byte_buffer_printf(out, SIZE_MAX, "%%%02X", (unsigned char)text.data[i]);
    return status;
}

static bool is_v1(struct bytes path)
{
    return bytes_equal(path, BYTES_LITERAL("/api/v1")) ||
           bytes_begin_with(path, BYTES_LITERAL("/api/v1/"));
}

static bool is_docs(struct bytes path)
{
    return bytes_equal(path, BYTES_LITERAL("/openapi.json")) ||
           bytes_equal(path, BYTES_LITERAL("/docs")) ||
           bytes_begin_with(path, BYTES_LITERAL("/docs/"));
}

/* 0..15, or -1. A table: the digits of a UUID are random, branches on them are mispredicted. */
static int hex_value(char c)
{
    static const int8_t values_plus_one[256] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
        ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
        ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
        ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

    return values_plus_one[(uint8_t)c] - 1;
}
