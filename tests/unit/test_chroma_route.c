/* What must hold: every route of Chroma's API is recognised, one UUID has one value however it is
 * spelled, and what is not recognised and might change something counts as a write. */
#include "chroma/chroma_route.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "support/check_main.h"

#define T    "/api/v2/tenants/default_tenant"
#define D    T "/databases/default_database"
#define UUID "0ab1c2d3-e4f5-4677-8899-aabbccddeeff"
#define C    D "/collections/" UUID
#define V1   "/api/v1/collections/"

static struct chroma_route find(const char *method, const char *path)
{
    struct chroma_route route;

    chroma_route_find(bytes_of(method), bytes_of(path), &route);
    return route;
}

START_TEST(every_route_is_recognised)
{
    static const struct {
        const char           *method, *path;
        enum chroma_operation operation;
    } cases[] = {
        {"GET", "/api/v2", CHROMA_OPERATION_ROOT},
        {"GET", "/api/v2/heartbeat", CHROMA_OPERATION_HEARTBEAT},
        {"HEAD", "/api/v2/heartbeat", CHROMA_OPERATION_HEARTBEAT},
        {"GET", "/api/v2/healthcheck", CHROMA_OPERATION_HEALTHCHECK},
        {"GET", "/api/v2/version", CHROMA_OPERATION_VERSION},
        {"GET", "/api/v2/pre-flight-checks", CHROMA_OPERATION_PRE_FLIGHT},
        {"GET", "/api/v2/auth/identity", CHROMA_OPERATION_IDENTITY},
        {"POST", "/api/v2/reset", CHROMA_OPERATION_RESET},
        {"POST", "/api/v2/tenants", CHROMA_OPERATION_TENANT_CREATE},
        {"GET", T, CHROMA_OPERATION_TENANT_GET},
        {"PATCH", T, CHROMA_OPERATION_TENANT_MODIFY},
        {"GET", T "/databases", CHROMA_OPERATION_DATABASE_LIST},
        {"POST", T "/databases", CHROMA_OPERATION_DATABASE_CREATE},
        {"GET", D, CHROMA_OPERATION_DATABASE_GET},
        {"DELETE", D, CHROMA_OPERATION_DATABASE_DELETE},
        {"GET", D "/collections", CHROMA_OPERATION_COLLECTION_LIST},
        {"POST", D "/collections", CHROMA_OPERATION_COLLECTION_CREATE},
        {"GET", D "/collections_count", CHROMA_OPERATION_COLLECTION_COUNT},
        {"GET", D "/collections/name", CHROMA_OPERATION_COLLECTION_GET},
        {"GET", D "/collections/by-id", CHROMA_OPERATION_COLLECTION_GET},
        {"GET", D "/collections/by-id/" UUID, CHROMA_OPERATION_COLLECTION_GET_ID},
        {"GET", "/api/v2/collections/t:d:name", CHROMA_OPERATION_COLLECTION_GET},
        {"PUT", C, CHROMA_OPERATION_COLLECTION_MODIFY},
        {"DELETE", D "/collections/name", CHROMA_OPERATION_COLLECTION_DELETE},
        {"POST", C "/fork", CHROMA_OPERATION_COLLECTION_FORK},
        {"GET", C "/fork_count", CHROMA_OPERATION_FORK_COUNT},
        {"POST", C "/add", CHROMA_OPERATION_ADD},
        {"POST", C "/upsert", CHROMA_OPERATION_UPSERT},
        {"POST", C "/update", CHROMA_OPERATION_UPDATE},
        {"POST", C "/delete", CHROMA_OPERATION_DELETE},
        {"POST", C "/get", CHROMA_OPERATION_GET},
        {"POST", C "/query", CHROMA_OPERATION_QUERY},
        {"POST", C "/search", CHROMA_OPERATION_SEARCH},
        {"GET", C "/count", CHROMA_OPERATION_COUNT},
        {"HEAD", C "/count", CHROMA_OPERATION_COUNT},
        {"GET", C "/indexing_status", CHROMA_OPERATION_INDEXING_STATUS},
        {"POST", C "/conditional/get", CHROMA_OPERATION_CONDITIONAL_GET},
        {"POST", C "/conditional/commit", CHROMA_OPERATION_CONDITIONAL_COMMIT},
        {"POST", C "/functions/attach", CHROMA_OPERATION_FUNCTION_ATTACH},
        {"GET", C "/functions/f", CHROMA_OPERATION_FUNCTION_GET},
        {"POST", C "/attached_functions/f/detach", CHROMA_OPERATION_FUNCTION_DETACH},
        {"POST", C "/attached_functions/f/add_input", CHROMA_OPERATION_FUNCTION_ADD_INPUT},
        {"GET", "/openapi.json", CHROMA_OPERATION_DOCS},
        {"GET", "/docs/", CHROMA_OPERATION_DOCS},
        {"GET", "/api/v1", CHROMA_OPERATION_ROOT},
        {"GET", "/api/v1/heartbeat", CHROMA_OPERATION_HEARTBEAT},
        {"GET", "/api/v1/version", CHROMA_OPERATION_VERSION},
        {"GET", "/api/v1/pre-flight-checks", CHROMA_OPERATION_PRE_FLIGHT},
        {"POST", "/api/v1/reset", CHROMA_OPERATION_RESET},
        {"POST", "/api/v1/tenants", CHROMA_OPERATION_TENANT_CREATE},
        {"GET", "/api/v1/tenants/t", CHROMA_OPERATION_TENANT_GET},
        {"POST", "/api/v1/databases", CHROMA_OPERATION_DATABASE_CREATE},
        {"GET", "/api/v1/databases/d", CHROMA_OPERATION_DATABASE_GET},
        {"GET", "/api/v1/collections", CHROMA_OPERATION_COLLECTION_LIST},
        {"POST", "/api/v1/collections", CHROMA_OPERATION_COLLECTION_CREATE},
        {"GET", "/api/v1/count_collections", CHROMA_OPERATION_COLLECTION_COUNT},
        {"GET", "/api/v1/collections/name", CHROMA_OPERATION_COLLECTION_GET},
        {"DELETE", "/api/v1/collections/name", CHROMA_OPERATION_COLLECTION_DELETE},
        {"PUT", V1 UUID, CHROMA_OPERATION_COLLECTION_MODIFY},
        {"POST", V1 UUID "/add", CHROMA_OPERATION_ADD},
        {"POST", V1 UUID "/upsert", CHROMA_OPERATION_UPSERT},
        {"POST", V1 UUID "/update", CHROMA_OPERATION_UPDATE},
        {"POST", V1 UUID "/delete", CHROMA_OPERATION_DELETE},
        {"POST", V1 UUID "/get", CHROMA_OPERATION_GET},
        {"POST", V1 UUID "/query", CHROMA_OPERATION_QUERY},
        {"GET", V1 UUID "/count", CHROMA_OPERATION_COUNT},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        ck_assert_msg(find(cases[i].method, cases[i].path).operation == cases[i].operation,
                      "%s %s is %s", cases[i].method, cases[i].path,
                      find(cases[i].method, cases[i].path).info->name);
}
END_TEST

START_TEST(what_is_not_recognised_is_a_write_unless_its_method_is_safe)
{
    static const char *const paths[] = {"",
                                        "/",
                                        "*",
                                        "/api/v2/",
                                        "/api/v2x",
                                        "/api/v3/reset",
                                        C "/",
                                        C "//add",
                                        C "/add/",
                                        C "/addx",
                                        C "/ad",
                                        C "/%61dd",
                                        C "/count",
                                        T "//add",
                                        D "/by-id/x",
                                        D "/",
                                        C "/ADD",
                                        "/api/v2/reset/",
                                        "/api/v",
                                        C "/unknown",
                                        "/API/V2/add",
                                        D "/collections/by-id/" UUID "/add",
                                        D "/collections/by-id/add",
                                        "/api/v1/",
                                        V1,
                                        V1 "/add",
                                        V1 UUID "/search",
                                        V1 UUID "/add/",
                                        V1 UUID "/fork",
                                        V1 "by-id/" UUID,
                                        "/api/v1/collections_count",
                                        D "/count_collections",
                                        "/api/v2/databases",
                                        "/api/v2/collections",
                                        "/api/v1" D};
    static const char *const methods[] = {"POST", "TRACE", "post", "DELETE", "LOCK", ""};

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        for (size_t k = 0; k < COUNT_OF(methods); k++) {
            struct chroma_route route = find(methods[k], paths[i]);

            ck_assert_msg(route.operation == CHROMA_OPERATION_UNKNOWN_WRITE, "%s %s is %s",
                          methods[k], paths[i], route.info->name);
            ck_assert(route.info->is_write && !route.info->is_retry_safe);
        }
        ck_assert(!find("OPTIONS", paths[i]).info->is_write);
    }
    ck_assert_int_eq(find("GET", C "/add").operation, CHROMA_OPERATION_UNKNOWN);
    ck_assert(find("POST", C "/unknown").has_uuid);
}
END_TEST

START_TEST(segments_are_found_as_they_were_sent)
{
    struct chroma_route route =
        find("POST", "/api/v2/tenants/a%20b/databases/d/collections/" UUID "/add");

    ck_assert(bytes_equal(route.tenant, BYTES_LITERAL("a%20b")));
    ck_assert(bytes_equal(route.database, BYTES_LITERAL("d")));
    ck_assert(bytes_equal(route.collection, BYTES_LITERAL(UUID)));
    route = find("GET", D "/collections/by-id/" UUID);
    ck_assert(bytes_equal(route.collection, BYTES_LITERAL(UUID)) && route.has_uuid);
}
END_TEST

START_TEST(the_api_of_a_route_is_told)
{
    struct chroma_route route = find("POST", V1 UUID "/query");

    ck_assert(route.is_v1 && route.has_uuid && route.uuid[0] == 0x0a);
    ck_assert(route.tenant.size == 0 && route.database.size == 0);
    ck_assert(!route.info->is_write && route.info->is_retry_safe);
    ck_assert(bytes_equal(route.collection, BYTES_LITERAL(UUID)));
    ck_assert(!find("POST", C "/query").is_v1 && !find("GET", "/api/v10/version").is_v1);
    ck_assert(find("POST", V1 UUID "/nothing").has_uuid);
    ck_assert_int_eq(find("GET", "/api/v1/auth/identity").operation, CHROMA_OPERATION_UNKNOWN);
    ck_assert_int_eq(find("GET", "/api/v1/healthcheck").operation, CHROMA_OPERATION_UNKNOWN);
    ck_assert_int_eq(find("GET", "/api/v2/tenants/t/tenants/t").operation,
                     CHROMA_OPERATION_UNKNOWN);
}
END_TEST

START_TEST(all_spellings_of_a_uuid_are_one)
{
    static const uint8_t     uuid[16] = {0x0a, 0xb1, 0xc2, 0xd3, 0xe4, 0xf5, 0x46, 0x77,
                                         0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    static const char *const spellings[] = {UUID,
                                            "0AB1C2D3-E4F5-4677-8899-AABBCCDDEEFF",
                                            "0ab1c2d3e4f546778899aabbccddeeff",
                                            "{" UUID "}",
                                            "%7B" UUID "%7d",
                                            ("urn:uuid:" UUID),
                                            "0%61b1c2d3-e4f5-4677-8899%2daabbccddeeff"};
    static const char *const others[] = {"name",
                                         UUID "0",
                                         ("URN:UUID:" UUID),
                                         "{0ab1c2d3e4f546778899aabbccddeeff}",
                                         "0ab1c2d3e-4f5-4677-8899-aabbccddeeff",
                                         "0ab1c2d3-e4f5-4677-8899-aabbccddeefg",
                                         "0ab1c2d3-e4f5-4677-8899-aabbccddeef%"};
    char                     path[300];

    for (size_t i = 0; i < COUNT_OF(spellings); i++) {
        struct chroma_route route;

        snprintf(path, sizeof path, D "/collections/%s/upsert", spellings[i]);
        route = find("POST", path);
        ck_assert_msg(route.has_uuid, "%s", spellings[i]);
        ck_assert_mem_eq(route.uuid, uuid, sizeof uuid);
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        snprintf(path, sizeof path, D "/collections/%s/upsert", others[i]);
        ck_assert_msg(!find("POST", path).has_uuid, "%s", others[i]);
        ck_assert_int_eq(find("POST", path).operation, CHROMA_OPERATION_UPSERT);
    }
}
END_TEST

START_TEST(a_uuid_is_printed_as_chroma_writes_it)
{
    struct chroma_route route = find("POST", C "/add");
    char                text[CHROMA_ROUTE_UUID_SIZE];

    chroma_route_print_uuid(route.uuid, text);
    ck_assert_str_eq(text, UUID);
}
END_TEST

START_TEST(a_name_that_looks_like_a_uuid_is_a_name)
{
    ck_assert(!find("DELETE", C).has_uuid);
    ck_assert(!find("GET", C).has_uuid);
    ck_assert(find("PUT", C).has_uuid);
}
END_TEST

START_TEST(what_is_encoded_is_one_segment_and_decodes_to_the_same)
{
    struct byte_buffer encoded = {0};
    char               text[255], decoded[255], safe[sizeof text * 3 + 1] = {0};
    size_t             size;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i + 1);
    ck_assert_int_eq(chroma_route_encode((struct bytes){text, sizeof text}, &encoded), STATUS_OK);
    memcpy(safe, byte_buffer_bytes(&encoded).data, byte_buffer_size(&encoded));
    ck_assert_uint_eq(strspn(safe, "%-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstu"
                                   "vwxyz"),
                      byte_buffer_size(&encoded));
    ck_assert_ptr_nonnull(strstr(safe, "%25%26"));
    ck_assert_ptr_nonnull(strstr(safe, "yz%7B%7C%7D~%7F%80"));
    ck_assert(chroma_route_decode(byte_buffer_bytes(&encoded), decoded, sizeof decoded, &size));
    ck_assert_uint_eq(size, sizeof text);
    ck_assert_int_eq(memcmp(decoded, text, size), 0);
    byte_buffer_done(&encoded);
}
END_TEST

START_TEST(the_columns_fit_together)
{
    for (int i = 0; i < CHROMA_OPERATION_COUNT_OF; i++) {
        const struct chroma_operation_info *info = chroma_route_info((enum chroma_operation)i);

        ck_assert_msg(!(info->is_write && info->is_retry_safe), "%s", info->name);
        ck_assert_msg((info->class == CHROMA_CLASS_WRITE) <= info->is_write, "%s", info->name);
        ck_assert_msg((info->class == CHROMA_CLASS_READ) <= info->is_retry_safe, "%s", info->name);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_route");

    tcase_add_test(tcase, every_route_is_recognised);
    tcase_add_test(tcase, what_is_not_recognised_is_a_write_unless_its_method_is_safe);
    tcase_add_test(tcase, segments_are_found_as_they_were_sent);
    tcase_add_test(tcase, the_api_of_a_route_is_told);
    tcase_add_test(tcase, all_spellings_of_a_uuid_are_one);
    tcase_add_test(tcase, a_uuid_is_printed_as_chroma_writes_it);
    tcase_add_test(tcase, a_name_that_looks_like_a_uuid_is_a_name);
    tcase_add_test(tcase, what_is_encoded_is_one_segment_and_decodes_to_the_same);
    tcase_add_test(tcase, the_columns_fit_together);
    return check_main("chroma_route", tcase);
}
