/* bench_json_scan - how fast are writes scanned and spliced?
 *
 * Bodies as clients send them, with each instruction set. Usage: bench_json_scan [vectors.json]; a
 * file's own body is measured instead of the built-in ones. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/compiler.h"
#include "chroma/chroma_batch.h"
#include "json/json_scan.h"
#include "json/json_simd.h"

enum { DIMENSION = 1536, LARGE_ROWS = 200, BODY_MAX = 16 << 20, DOCUMENT_SIZE = 400 };

struct body {
    const char *name;
    char       *text;
    size_t      size;
};

/* Of processor time: other work on the machine does not count. */
static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void put(struct body *body, const char *text)
{
    size_t size = strlen(text);

    if (body->size + size > BODY_MAX)
        abort();
    memcpy(body->text + body->size, text, size);
    body->size += size;
}

/* A component of a unit vector of a float model, printed as orjson and JavaScript print the double
 * that the float becomes: the shortest text that reads back as it. */
static void put_number(struct body *body, const char *separator)
{
    char  text[40];
    float value = 0;

    for (int i = 0; i < 4; i++)
        value += ((float)rand() / (float)RAND_MAX - 0.5f) * 0.05f;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtod(text, NULL) == (double)value)
            break;
    }
    put(body, text);
    put(body, separator);
}

static void put_vector(struct body *body, bool is_base64, const char *separator)
{
    if (is_base64) {
        /* Every float is below 2: the fourth character of a float's bytes decides. */
        put(body, "\"");
        for (int i = 0; i < DIMENSION / 3; i++)
            put(body, "zcxMPZqZmbzXo3A8");
        put(body, "\"");
        return;
    }
    put(body, "[");
    for (int i = 1; i < DIMENSION; i++)
        put_number(body, separator);
    put_number(body, "]");
}

static struct body make_body(const char *name, int rows, bool is_base64, const char *separator)
{
    struct body body = {.name = name, .text = malloc(BODY_MAX)};
    char        text[DOCUMENT_SIZE + 100];

    if (body.text == NULL)
        abort();
    put(&body, "{\"ids\":[");
    for (int i = 0; i < rows; i++) {
        snprintf(text, sizeof text, "%s\"%08x-0000-4000-8000-%012x\"", i == 0 ? "" : ",", rand(),
                 i);
        put(&body, text);
    }
    put(&body, "],\"embeddings\":[");
    for (int i = 0; i < rows; i++) {
        put(&body, i == 0 ? "" : ",");
        put_vector(&body, is_base64, separator);
    }
    put(&body, "],\"metadatas\":[");
    for (int i = 0; i < rows; i++) {
        snprintf(text, sizeof text, "%s{\"source\":\"page-%d\",\"chunk\":%d}", i == 0 ? "" : ",", i,
                 i);
        put(&body, text);
    }
    put(&body, "],\"documents\":[");
    for (int i = 0; i < rows; i++) {
        memset(text, 'x', DOCUMENT_SIZE);
        text[DOCUMENT_SIZE] = '\0';
        put(&body, i == 0 ? "\"" : ",\"");
        put(&body, text);
        put(&body, "\"");
    }
    put(&body, "]}");
    return body;
}

static struct body read_body(const char *name)
{
    struct body body = {.name = name, .text = malloc(BODY_MAX)};
    FILE       *file = fopen(name, "rb");

    if (file == NULL || body.text == NULL) {
        perror(name);
        exit(EXIT_FAILURE);
    }
    body.size = fread(body.text, 1, BODY_MAX, file);
    fclose(file);
    return body;
}

/* The best of several tries. */
static void measure(const struct body *body, const char *table)
{
    struct bytes          text = {.data = body->text, .size = body->size};
    struct chroma_records records;
    const char           *reason = "";
    int                   rounds = 1 + (int)((size_t)8e6 / body->size);
    double                best_json = 1e9, best_records = 1e9;

    for (int try = 0; try < 15; try++) {
        double begin = now(), middle;

        for (int i = 0; i < rounds; i++)
            if (!json_scan_is_valid(text))
                abort();
        middle = now();
        for (int i = 0; i < rounds; i++) {
            if (chroma_records_scan(CHROMA_OPERATION_UPSERT, text, 1 << 20, &records, &reason) !=
                STATUS_OK) {
                printf("%s: %s\n", body->name, reason);
                exit(EXIT_FAILURE);
            }
            chroma_records_done(&records);
        }
        best_json = middle - begin < best_json ? middle - begin : best_json;
        best_records = now() - middle < best_records ? now() - middle : best_records;
    }
    printf("%-28s %-7s %9zu %8.2f %8.2f %10.2f\n", body->name, table, body->size,
           (double)body->size * rounds / best_json * 1e-9,
           (double)body->size * rounds / best_records * 1e-9, best_records / rounds * 1e6);
}

/* 64 writes of one record. */
static void measure_splice(const struct body *body)
{
    struct chroma_batch_member members[64];
    struct chroma_records      records;
    const char                *reason;
    enum { ROUNDS = 2000 };
    double begin;

    if (chroma_records_scan(CHROMA_OPERATION_UPSERT, (struct bytes){body->text, body->size}, 1,
                            &records, &reason) != STATUS_OK)
        return;
    for (size_t i = 0; i < COUNT_OF(members); i++)
        members[i] = (struct chroma_batch_member){&records, 0, 1};
    begin = now();
    for (int i = 0; i < ROUNDS; i++)
        chroma_batch_free(chroma_batch_new(members, COUNT_OF(members)));
    printf("splicing 64 writes of one record: %.2f us\n", (now() - begin) / ROUNDS * 1e6);
    chroma_records_done(&records);
}

int main(int argc, char **argv)
{
    static const char *const tables[] = {"scalar", "avx2", "avx512"};
    struct body              bodies[5];
    size_t                   count = 0;

    if (argc > 1) {
        bodies[count++] = read_body(argv[1]);
    } else {
        bodies[count++] = make_body("1 row, arrays", 1, false, ",");
        bodies[count++] = make_body("1 row, base64", 1, true, ",");
        bodies[count++] = make_body("200 rows, arrays", LARGE_ROWS, false, ",");
        bodies[count++] = make_body("200 rows, arrays, \", \"", LARGE_ROWS, false, ", ");
        bodies[count++] = make_body("200 rows, base64", LARGE_ROWS, true, ",");
    }
    printf("%d dimensions; GB/s of json_scan alone and with chroma_records, us per body\n",
           DIMENSION);
    printf("%-28s %-7s %9s %8s %8s %10s\n", "body", "table", "bytes", "json", "records", "us");
    for (size_t i = 0; i < count; i++)
        for (size_t t = 0; t < COUNT_OF(tables); t++)
            if (json_simd_use(tables[t]))
                measure(&bodies[i], tables[t]);
    measure_splice(&bodies[0]);
    for (size_t i = 0; i < count; i++)
        free(bodies[i].text);
    return EXIT_SUCCESS;
}
