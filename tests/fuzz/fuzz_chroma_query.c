/* A body that is understood is JSON, and white space behind it changes nothing; cut short it is not
 * understood.
 *
 * The first byte chooses the operation, the rest is the body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chroma/chroma_query.h"
#include "json/json_scan.h"

#define PATH "/api/v2/tenants/t/databases/d/collections/8ecf0f7e-e806-47f8-96a1-4732ef42359e/"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_body(bool is_query, const char *body, size_t size, struct chroma_query *ret_query)
{
    static const unsigned char key[KEYED_DIGEST_KEY_SIZE] = "key";
    struct chroma_route        route;
    const char                *reason;

    chroma_route_find(BYTES_LITERAL("POST"),
                      is_query ? BYTES_LITERAL(PATH "query") : BYTES_LITERAL(PATH "get"), &route);
    return chroma_query_read(&route, true, (struct bytes){.data = body, .size = size}, key,
                             ret_query, &reason) == STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool                is_query = size > 0 && data[0] % 2 == 0;
    struct chroma_query query, other;
    char               *body;

    if (size == 0)
        return 0;
    size--;
    body = malloc(size + 1);
    if (body == NULL)
        return 0;
    memcpy(body, data + 1, size);
    if (read_body(is_query, body, size, &query)) {
        if (!json_scan_is_valid((struct bytes){.data = body, .size = size}))
            abort();
        body[size] = ' ';
        if (!read_body(is_query, body, size + 1, &other) ||
            memcmp(query.digest, other.digest, sizeof query.digest) != 0)
            abort();
        while (size > 0 && strchr(" \n\r\t", body[size - 1]) != NULL)
            size--;
        for (size_t cut = 0; cut < size && size < 4096; cut++)
            if (read_body(is_query, body, cut, &other))
                abort();
    }
    free(body);
    return 0;
}
