/* Whatever is asked, what is answered is JSON with a code that Chroma gives; white space behind the
 * question changes nothing, and cut short it is not answered; what is not answered has a reason.
 *
 * The first byte chooses the operation, the rest is the body. The copy has four records. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mirror/mirror_copy.h"
#include "json/json_scan.h"

#define COLLECTION "/api/v2/tenants/t/databases/d/collections/8ecf0f7e-e806-47f8-96a1-4732ef42359e/"

enum { ANSWER_MAX = 1 << 16, CUT_MAX = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char                directory[] = "/tmp/fuzz_mirror_answer.XXXXXX";
static struct mirror_copy *copy;

static void close_copy(void)
{
    mirror_copy_free(copy);
    rmdir(directory);
}

static void open_copy(void)
{
    static const char body[] =
        "{\"ids\":[\"a\",\"b\",\"c\",\"\\u0000\"],\"embeddings\":[[1,0],[0,1],[1,1],[-1,0.5]],"
        "\"documents\":[\"hello\",null,\"\",\"\\u4e2d\"],\"uris\":[null,\"u\",null,null],"
        "\"metadatas\":[{\"k\":1},null,{\"k\":[1.5],\"l\":true},{\"k\":\"x\"}]}";
    char                          path[64];
    struct mirror_records_options options = {.path = path, .space = COLLECTION_SPACE_L2};
    struct mirror_moments         moments = {1, 2};
    const char                   *reason;

    if (mkdtemp(directory) == NULL)
        abort();
    snprintf(path, sizeof path, "%s/copy", directory);
    if (mirror_copy_new(&options, &copy, NULL) != STATUS_OK ||
        mirror_copy_list(copy, BYTES_LITERAL("{\"ids\":[]}"), &moments, &reason) != STATUS_OK)
        abort();
    moments = (struct mirror_moments){3, 4};
    if (mirror_copy_write(copy, CHROMA_OPERATION_ADD, bytes_of(body), BYTES_LITERAL("{}"), &moments,
                          &reason) != STATUS_OK)
        abort();
    atexit(close_copy);
}

static bool ask(bool is_query, struct bytes body, struct byte_buffer *answer)
{
    struct chroma_route    route;
    struct mirror_question question = {.route = &route, .body = body, .size_max = ANSWER_MAX};
    const char            *reason = NULL;
    unsigned               code = 0;
    enum status            status;

    chroma_route_find(
        BYTES_LITERAL("POST"),
        is_query ? BYTES_LITERAL(COLLECTION "query") : BYTES_LITERAL(COLLECTION "get"), &route);
    byte_buffer_clear(answer);
    status = mirror_copy_answer(copy, &question, &code, answer, &reason);
    if (status == STATUS_OK && ((code != 200 && code != 400 && code != 500) ||
                                !json_scan_is_valid(byte_buffer_bytes(answer))))
        abort();
    if (status == STATUS_NOT_IMPLEMENTED && reason == NULL)
        abort();
    if (status != STATUS_OK && status != STATUS_NOT_IMPLEMENTED && status != STATUS_TOO_LARGE)
        abort();
    return status == STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool               is_query = size > 0 && data[0] % 2 == 0;
    struct byte_buffer answer = {.data = NULL}, other = {.data = NULL};
    char              *body;

    if (size == 0)
        return 0;
    if (copy == NULL)
        open_copy();
    size--;
    body = malloc(size + 1);
    if (body == NULL)
        return 0;
    memcpy(body, data + 1, size);
    if (ask(is_query, (struct bytes){body, size}, &answer)) {
        body[size] = ' ';
        if (!ask(is_query, (struct bytes){body, size + 1}, &other) ||
            !bytes_equal(byte_buffer_bytes(&answer), byte_buffer_bytes(&other)))
            abort();
        while (size > 0 && strchr(" \n\r\t", body[size - 1]) != NULL)
            size--;
        for (size_t cut = 0; cut < size && cut < CUT_MAX; cut++)
            if (ask(is_query, (struct bytes){body, cut}, &other))
                abort();
    }
    byte_buffer_done(&answer);
    byte_buffer_done(&other);
    free(body);
    return 0;
}
