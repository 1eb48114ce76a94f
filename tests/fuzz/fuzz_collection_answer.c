/* Whatever the body: nothing is read beyond it, what is learned is within its bounds, and a table
 * that was told of it says so. The first byte chooses the request that is answered. */
#include <stdint.h>
#include <stdlib.h>

#include "chroma/collection_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

#define DATABASE "/api/v2/tenants/default_tenant/databases/default_database"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const   paths[] = {DATABASE "/collections/name", DATABASE "/collections",
                                          "/api/v1/collections/name"};
    static const unsigned char secret[SIPHASH_KEY_SIZE] = {1};
    static const struct collection_table_options options = {.collections_max = 4,
                                                            .bytes_max = 1 << 16};
    struct collection_table                     *table = collection_table_new(&options, secret);
    struct bytes               body = {.data = (const char *)data + 1, .size = size - 1};
    struct chroma_route        route;
    struct collection_question question;
    struct collection_answer   answer;
    struct json_scan           scan;

    if (size == 0 || table == NULL) {
        collection_table_free(table);
        return 0;
    }
    chroma_route_find(BYTES_LITERAL("GET"), bytes_of(paths[data[0] % 3]), &route);
    question = collection_table_ask(table, &route, 1);
    collection_table_learn(table, &route, question, body, 2);
    json_scan_init(&scan, body);
    if (route.operation == CHROMA_OPERATION_COLLECTION_GET &&
        collection_answer_take(&scan, &answer) && json_scan_end(&scan)) {
        require(answer.name.size > 0 && answer.name.size <= COLLECTION_ANSWER_TEXT_MAX);
        require(collection_table_dimension(table, answer.uuid) == answer.dimension);
    }
    collection_table_free(table);
    return 0;
}
