/* bench_chroma_query - what does the key of a query cost, beside reading its floats at all?
 *
 * Queries as the clients send them; what it costs to look at one for `advice`, and to know again
 * one that was read before (digest). The floor: json_scan alone (validation), strtof for each
 * number, and json_floats alone. Usage: bench_chroma_query */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/block_digest.h"
#include "base/compiler.h"
#include "base/siphash.h"
#include "chroma/chroma_extent.h"
#include "chroma/chroma_query.h"
#include "json/json_floats.h"
#include "json/json_scan.h"

enum { BODY_MAX = 256 << 10, DIMENSION_MAX = 4096 };

#define PATH "/api/v2/tenants/t/databases/d/collections/8ecf0f7e-e806-47f8-96a1-4732ef42359e/query"

static char         text[BODY_MAX];
static struct bytes body;
static unsigned     sink; /* so that nothing is optimised away */

/* Of processor time: other work on the machine does not count. */
static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* `is_double`: printed as the double that a float becomes (NumPy's tolist, 17 digits), else as
 * short as a float may be. */
static void make_body(unsigned dimension, bool is_double)
{
    size_t size = (size_t)sprintf(text, "{\"query_embeddings\":[[");

    for (unsigned i = 0; i < dimension; i++) {
        float value = ((float)rand() / (float)RAND_MAX - 0.5f) * 0.2f;

        size += (size_t)sprintf(text + size, "%s%.*g", i == 0 ? "" : ",", is_double ? 17 : 8,
                                (double)value);
    }
    size += (size_t)sprintf(text + size, "]],\"n_results\":10,\"ids\":null,\"where\":null,"
                                         "\"where_document\":null,\"include\":[\"metadatas\","
                                         "\"documents\",\"distances\"]}");
    body = (struct bytes){.data = text, .size = size};
}

static void validate(void)
{
    sink += json_scan_is_valid(body);
}

static void read_strtof(void)
{
    const char *at = strchr(text, '[') + 2;

    while (*at != ']') {
        char *end;

        sink += strtof(at, &end) > 0;
        at = *end == ',' ? end + 1 : end;
    }
}

static void read_floats(void)
{
    static float     floats[DIMENSION_MAX];
    struct json_scan scan;

    json_scan_init(&scan, bytes_skip(body, (size_t)(strchr(text, '[') - text)));
    if (json_scan_array(&scan) && json_scan_element(&scan) && json_scan_array(&scan))
        while (json_scan_element(&scan))
            sink += (unsigned)json_floats_take(&scan, floats, DIMENSION_MAX);
}

static void read_key(void)
{
    static const unsigned char key[KEYED_DIGEST_KEY_SIZE] = "key";
    struct chroma_query        query;
    struct chroma_route        route;
    const char                *reason;

    chroma_route_find(BYTES_LITERAL("POST"), BYTES_LITERAL(PATH), &route);
    if (chroma_query_read(&route, true, body, key, &query, &reason) != STATUS_OK)
        abort();
    sink += query.digest[0];
}

static void read_extent(void)
{
    struct chroma_extent extent;

    if (chroma_extent_read(CHROMA_OPERATION_QUERY, body, &extent) != STATUS_OK)
        abort();
    sink += (unsigned)extent.n_results;
}

static void hash_body(void)
{
    static const unsigned char key[SIPHASH_KEY_SIZE] = "key";

    sink += (unsigned)siphash_1_3(key, body);
}

static void digest_body(void)
{
    static struct block_digest_key key;
    unsigned char                  digest[KEYED_DIGEST_SIZE];

    block_digest(&key, &body, 1, digest);
    sink += digest[0];
}

/* Microseconds for one run: the best of some series. */
static double measure(void (*run)(void))
{
    double best = 1e9;

    for (int series = 0; series < 10; series++) {
        double   begin = now(), end;
        unsigned count = 0;

        do {
            for (int i = 0; i < 20; i++, count++)
                run();
            end = now();
        } while (end - begin < 0.01);
        if ((end - begin) / count < best)
            best = (end - begin) / count;
    }
    return best * 1e6;
}

int main(void)
{
    static const struct {
        unsigned dimension;
        bool     is_double;
    } rows[] = {{4, true}, {384, false}, {384, true}, {1536, false}, {1536, true}};

    printf("%-10s %-7s %8s %9s %8s %8s %8s %8s %8s %8s   us each\n", "dimension", "digits", "bytes",
           "validate", "strtof", "floats", "key", "extent", "hash", "digest");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make_body(rows[i].dimension, rows[i].is_double);
        printf("%-10u %-7s %8zu %9.2f %8.2f %8.2f %8.2f %8.2f %8.2f %8.2f\n", rows[i].dimension,
               rows[i].is_double ? "17" : "8", body.size, measure(validate), measure(read_strtof),
               measure(read_floats), measure(read_key), measure(read_extent), measure(hash_body),
               measure(digest_body));
    }
    return sink == 0;
}
