#include "support/stub_route.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"

struct pattern {
    const char    *method;
    const char    *path; /* T, D, C as whole segments: tenant, database, collection */
    enum stub_call call;
    enum stub_op   op;
};

#define DATABASE "/api/v2/tenants/T/databases/D"

static const struct pattern patterns[] = {
    {"GET", "/bench/1k", STUB_CALL_RAW_BYTES, STUB_OP_RAW},
    {"GET", "/bench/20k", STUB_CALL_RAW_BYTES, STUB_OP_RAW},
    {"GET", "/bench/bytes/C", STUB_CALL_RAW_BYTES, STUB_OP_RAW},
    {"POST", "/bench/post", STUB_CALL_RAW_POST, STUB_OP_RAW},
    {"POST", DATABASE "/collections/C/add", STUB_CALL_WRITE, STUB_OP_ADD},
    {"POST", DATABASE "/collections/C/upsert", STUB_CALL_WRITE, STUB_OP_UPSERT},
    {"POST", DATABASE "/collections/C/update", STUB_CALL_WRITE, STUB_OP_UPDATE},
    {"POST", DATABASE "/collections/C/delete", STUB_CALL_DELETE, STUB_OP_DELETE},
    {"POST", DATABASE "/collections/C/get", STUB_CALL_GET, STUB_OP_GET},
    {"POST", DATABASE "/collections/C/query", STUB_CALL_QUERY, STUB_OP_QUERY},
    {"GET", DATABASE "/collections/C/count", STUB_CALL_COUNT, STUB_OP_COUNT},
    {"GET", DATABASE "/collections/by-id/C", STUB_CALL_COLLECTION_BY_ID, STUB_OP_COLLECTION},
    {"POST", DATABASE "/collections", STUB_CALL_COLLECTION_CREATE, STUB_OP_COLLECTION},
    {"GET", DATABASE "/collections", STUB_CALL_COLLECTION_LIST, STUB_OP_COLLECTION},
    {"GET", DATABASE "/collections_count", STUB_CALL_COLLECTION_COUNT, STUB_OP_COLLECTION},
    {"GET", DATABASE "/collections/C", STUB_CALL_COLLECTION_GET, STUB_OP_COLLECTION},
    {"DELETE", DATABASE "/collections/C", STUB_CALL_COLLECTION_DELETE, STUB_OP_COLLECTION},
    {"PUT", DATABASE "/collections/C", STUB_CALL_COLLECTION_MODIFY, STUB_OP_COLLECTION},
    {"GET", "/api/v2", STUB_CALL_HEARTBEAT, STUB_OP_ADMIN},
    {"GET", "/api/v2/heartbeat", STUB_CALL_HEARTBEAT, STUB_OP_ADMIN},
    {"GET", "/api/v2/healthcheck", STUB_CALL_HEALTHCHECK, STUB_OP_ADMIN},
    {"GET", "/api/v2/version", STUB_CALL_VERSION, STUB_OP_ADMIN},
    {"GET", "/api/v2/pre-flight-checks", STUB_CALL_PREFLIGHT, STUB_OP_ADMIN},
    {"GET", "/api/v2/auth/identity", STUB_CALL_IDENTITY, STUB_OP_ADMIN},
    {"POST", "/api/v2/reset", STUB_CALL_RESET, STUB_OP_ADMIN},
    {"POST", "/api/v2/tenants", STUB_CALL_CREATED, STUB_OP_ADMIN},
    {"GET", "/api/v2/tenants/T", STUB_CALL_TENANT_GET, STUB_OP_ADMIN},
    {"GET", "/api/v2/tenants/T/databases", STUB_CALL_DATABASE_LIST, STUB_OP_ADMIN},
    {"POST", "/api/v2/tenants/T/databases", STUB_CALL_CREATED, STUB_OP_ADMIN},
    {"GET", DATABASE, STUB_CALL_DATABASE_GET, STUB_OP_ADMIN},
    {"GET", "/stub/stats", STUB_CALL_STATS, STUB_OP_STUB},
    {"GET", "/stub/log", STUB_CALL_LOG, STUB_OP_STUB},
    {"POST", "/stub/fault", STUB_CALL_FAULT, STUB_OP_STUB},
};

static bool match(const char *pattern, struct bytes path, struct stub_route *route);
static bool capture(char *name, struct bytes segment);
static int  hex_digit(char c);
static void finish(struct stub_route *route, struct bytes path);

void stub_route_parse(struct stub_route *route, struct bytes method, struct bytes path)
{
    route->op = STUB_OP_OTHER;
    route->call = STUB_CALL_NONE;
    route->has_uuid = false;
    route->tenant[0] = route->database[0] = route->collection[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        if (!match(patterns[i].path, path, route))
            continue;
        if (bytes_equal(method, bytes_of(patterns[i].method))) {
            route->call = patterns[i].call;
            route->op = patterns[i].op;
            finish(route, path);
            return;
        }
        route->call = STUB_CALL_WRONG_METHOD;
    }
    if (bytes_begin_with(path, BYTES_LITERAL("/api/v1/")))
        route->call =
            bytes_equal(method, BYTES_LITERAL("POST")) ? STUB_CALL_WRONG_METHOD : STUB_CALL_V1;
}

static bool match(const char *pattern, struct bytes path, struct stub_route *route)
{
    const char *at = path.data, *end = path.data + path.size;

    while (*pattern != '\0') {
        const char *stop;
        char       *name;

        if (pattern[0] != '/' || strchr("TDC", pattern[1]) == NULL || pattern[1] == '\0' ||
            (pattern[2] != '/' && pattern[2] != '\0')) {
            if (at == end || *at++ != *pattern++)
                return false;
            continue;
        }
        if (at == end || *at != '/')
            return false;
        at++;
        stop = memchr(at, '/', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        name = pattern[1] == 'T'   ? route->tenant
               : pattern[1] == 'D' ? route->database
                                   : route->collection;
        if (!capture(name, (struct bytes){.data = at, .size = (size_t)(stop - at)}))
            return false;
        at = stop;
        pattern += 2;
    }
    return at == end;
}

/* Percent-decode a segment; false when it is empty, too long or badly encoded. */
static bool capture(char *name, struct bytes segment)
{
    size_t size = 0;

    if (segment.size == 0 || segment.size > STUB_ROUTE_NAME_MAX)
        return false;
    for (size_t i = 0; i < segment.size; i++) {
        char c = segment.data[i];

        if (c == '%') {
            if (segment.size - i < 3 || hex_digit(segment.data[i + 1]) < 0 ||
                hex_digit(segment.data[i + 2]) < 0)
                return false;
            c = (char)(hex_digit(segment.data[i + 1]) * 16 + hex_digit(segment.data[i + 2]));
            i += 2;
        }
        name[size++] = c;
    }
    name[size] = '\0';
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static void finish(struct stub_route *route, struct bytes path)
{
    if (route->call == STUB_CALL_RAW_BYTES)
        route->size = bytes_equal(path, BYTES_LITERAL("/bench/1k")) ? 1024
                      : bytes_equal(path, BYTES_LITERAL("/bench/20k"))
                          ? (size_t)20 * 1024
                          : strtoul(route->collection, NULL, 10);
    else if (route->collection[0] != '\0')
        route->has_uuid = stub_route_parse_uuid(route->collection, route->uuid);
}

const char *stub_route_op_name(enum stub_op op)
{
    static const char *const names[STUB_OPS] = {"add",   "upsert", "update", "delete",
                                                "get",   "query",  "count",  "collection",
                                                "admin", "raw",    "stub",   "other"};

    return names[op];
}

bool stub_route_parse_uuid(const char *text, uint8_t ret_uuid[16])
{
    size_t digits = 0, size = strlen(text);
    bool   dashed;

    if (strncasecmp(text, "urn:uuid:", 9) == 0) {
        text += 9;
        size -= 9;
    } else if (size == 38 && text[0] == '{' && text[37] == '}') {
        text++;
        size -= 2;
    }
    if (size != 32 && size != 36)
        return false;
    dashed = size == 36;
    for (size_t i = 0; i < size; i++) {
        int digit = hex_digit(text[i]);

        if (dashed && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (text[i] != '-')
                return false;
            continue;
        }
        if (digit < 0)
            return false;
        ret_uuid[digits / 2] =
            (uint8_t)(digits % 2 == 0 ? digit << 4 : ret_uuid[digits / 2] | digit);
        digits++;
    }
    return digits == 32;
}
