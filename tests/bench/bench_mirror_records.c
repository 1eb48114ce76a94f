/* bench_mirror_records - what does a copy of a collection take, to fill, to keep and to read?
 *
 * Records with documents of 120 bytes and three metadata keys, put in pages as a fill does, with
 * the vectors of a file that index_data made (all of it, one float behind the other), and asked for
 * the nearest of those of another, or else of themselves. PAGE is how many records are in each.
 * Usage:
 * bench_mirror_records FILE.f32 DIMENSION [PAGE [DIRECTORY [QUERIES.f32]]] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/rng.h"
#include "mirror/filter.h"
#include "mirror/mirror_answer.h"
#include "mirror/mirror_records.h"

enum {
    PAGE_RECORDS = 500,
    PAGE_RECORDS_MAX = 100000,
    DOCUMENT_SIZE = 120,
    READS = 200000,
    ANSWERED = 400000, /* records in answers of each kind */
    SEARCHES = 2000,
    QUERIES = 1000,
    QUERY_PASSES = 10
};

static struct mirror_records *records;
static struct mirror_reader  *reader;
static unsigned               sink; /* so that nothing is optimised away */

/* Of processor time: other work on the machine does not count. */
static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void must(enum status status)
{
    if (status == STATUS_OK)
        return;
    fprintf(stderr, "bench_mirror_records: %s\n", status_text(status));
    exit(EXIT_FAILURE);
}

/* Anonymous memory of this process, in MiB. */
static double anonymous(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char  line[256];
    long  kib = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %ld", &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return (double)kib / 1024;
}

static void put_record(uint32_t number, uint32_t *ret_row)
{
    char                    id[40], document[DOCUMENT_SIZE + 1], json[160];
    struct mirror_value     value = {.has_document = true};
    struct mirror_metadata *metadata;
    const char             *reason;
    int                     size;

    snprintf(id, sizeof id, "%08x-1234-5678-9abc-%012x", number * 2654435761u, number);
    memset(document, 'a' + (int)(number % 26), sizeof document);
    size = snprintf(json, sizeof json, "{\"source\":\"article-%u.txt\",\"page\":%u,\"score\":%u.5}",
                    number % 1000, number % 100, number % 10);
    value.metadata = (struct bytes){json, (size_t)size};
    value.document = (struct bytes){document, DOCUMENT_SIZE};
    must(mirror_metadata_read(value.metadata, MIRROR_SOURCE_ANSWER, &metadata, &reason));
    must(mirror_records_append(records, bytes_of(id), ret_row));
    must(mirror_records_put_value(records, *ret_row, &value, metadata));
    mirror_metadata_free(metadata);
}

static void fill(FILE *file, uint32_t count, uint32_t dimension, uint32_t page_max)
{
    float          *vectors = malloc((size_t)page_max * dimension * sizeof *vectors);
    static uint32_t rows[PAGE_RECORDS_MAX];
    double          values = 0, linked = 0;

    if (vectors == NULL)
        must(STATUS_NO_MEMORY);
    for (uint32_t done = 0, page; done < count; done += page) {
        double start;

        page = count - done < page_max ? count - done : page_max;
        if (fread(vectors, dimension * sizeof *vectors, page, file) != page)
            must(STATUS_IO_FAILED);
        start = now();
        must(mirror_records_begin(records));
        for (uint32_t i = 0; i < page; i++)
            put_record(done + i, &rows[i]);
        values += now() - start;
        start = now();
        must(mirror_records_put_vectors(records, rows, vectors, page, dimension));
        if (done + page == count)
            must(mirror_records_link(records));
        linked += now() - start;
        start = now();
        must(mirror_records_commit(records));
        values += now() - start;
    }
    free(vectors);
    printf("fill          %8.2f s   in pages of %" PRIu32 "; values %.2f s, vectors %.2f s\n",
           values + linked, page_max, values, linked);
}

static void report_memory(double before)
{
    struct mirror_records_usage usage;

    mirror_records_usage(records, &usage);
    printf("memory        %8.1f MiB index %.1f, ids %.1f, columns %.1f; anonymous %.1f MiB\n",
           (double)usage.memory / (1 << 20), (double)usage.index / (1 << 20),
           (double)usage.ids / (1 << 20), (double)usage.columns / (1 << 20), anonymous() - before);
    printf("disk          %8.1f MiB\n", (double)usage.disk / (1 << 20));
}

static void read_values(uint32_t count)
{
    struct mirror_value value;
    struct rng          rng;
    double              start = now();

    rng_init(&rng, 2);
    for (int i = 0; i < READS; i++) {
        must(mirror_reader_value(reader, (uint32_t)rng_below(&rng, count), &value));
        sink += (unsigned)value.document.size;
    }
    printf("value         %8.2f us  of a random row\n", (now() - start) / READS * 1e6);
}

/* `each` ids at random, or so many behind an offset. */
static struct bytes get_body(struct rng *rng, uint32_t count, uint32_t each, bool by_ids)
{
    static char text[1 << 16];
    size_t      size = (size_t)sprintf(text, "{\"ids\":[");

    if (!by_ids)
        size = (size_t)sprintf(text, "{\"limit\":%" PRIu32 ",\"offset\":%u}", each,
                               (unsigned)rng_below(rng, count - each));
    for (uint32_t i = 0; by_ids && i < each; i++) {
        struct bytes id = mirror_records_id(records, (uint32_t)rng_below(rng, count));

        size += (size_t)sprintf(text + size, "%s\"%.*s\"%s", i == 0 ? "" : ",", (int)id.size,
                                id.data, i + 1 == each ? "]}" : "");
    }
    return (struct bytes){text, size};
}

static void get_answers(uint32_t count, uint32_t each, bool by_ids)
{
    static const char      path[] = "/api/v2/tenants/t/databases/d/collections/"
                                    "11111111-2222-3333-4444-555555555555/get";
    struct chroma_route    route;
    struct byte_buffer     body = {.data = NULL};
    struct mirror_question question = {.route = &route, .size_max = SIZE_MAX};
    const char            *reason;
    unsigned               code;
    double                 spent = 0;
    struct rng             rng;

    rng_init(&rng, 4);
    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(path), &route);
    for (uint32_t i = 0; i < ANSWERED; i += each) {
        double start;

        question.body = get_body(&rng, count, each, by_ids);
        byte_buffer_clear(&body);
        start = now();
        must(mirror_answer(records, reader, &question, &code, &body, &reason));
        spent += now() - start;
        sink += (unsigned)byte_buffer_size(&body);
    }
    byte_buffer_done(&body);
    printf("get           %8.2f us  of %" PRIu32 "%s, its answer\n", spent / ANSWERED * each * 1e6,
           each, by_ids ? " ids" : " in order");
}

static void search(uint32_t count, uint32_t dimension)
{
    float                     *vector = malloc(dimension * sizeof *vector);
    struct vector_search_hit   hits[10];
    struct vector_search_query query = {.vector = vector, .k = 10};
    struct mirror_value        value;
    double                     spent = 0;
    uint32_t                   found;
    struct rng                 rng;

    rng_init(&rng, 3);
    for (int i = 0; i < SEARCHES; i++) {
        double start;

        must(mirror_reader_vector(reader, (uint32_t)rng_below(&rng, count), vector));
        start = now();
        must(mirror_reader_search(reader, &query, hits, &found));
        for (uint32_t h = 0; h < found; h++) {
            must(mirror_reader_value(reader, hits[h].record, &value));
            sink += (unsigned)value.document.size;
        }
        spent += now() - start;
    }
    free(vector);
    printf("search        %8.2f us  of 10, with their values\n", spent / SEARCHES * 1e6);
}

/* The body of a query with the vector as the next one of `queries`, or a random record's. */
static struct bytes query_body(struct rng *rng, FILE *queries, uint32_t count, uint32_t dimension,
                               const char *where)
{
    static char  text[1 << 16];
    static float vector[1 << 12];
    size_t       size = (size_t)sprintf(text, "{%s\"n_results\":4,\"query_embeddings\":[[", where);

    if (queries == NULL || fread(vector, dimension * sizeof *vector, 1, queries) != 1)
        must(mirror_reader_vector(reader, (uint32_t)rng_below(rng, count), vector));
    for (uint32_t i = 0; i < dimension; i++)
        size += (size_t)sprintf(text + size, "%s%.9g", i == 0 ? "" : ",", (double)vector[i]);
    size += (size_t)sprintf(text + size, "]],\"include\":[\"documents\",\"metadatas\"]}");
    return (struct bytes){text, size};
}

/* The least of some passes over the same questions. */
static void query_answers(FILE *queries, uint32_t count, uint32_t dimension, const char *where)
{
    static const char      path[] = "/api/v2/tenants/t/databases/d/collections/"
                                    "11111111-2222-3333-4444-555555555555/query";
    struct chroma_route    route;
    struct byte_buffer     body = {.data = NULL};
    struct mirror_question question = {.route = &route, .size_max = SIZE_MAX};
    const char            *reason;
    unsigned               code;
    double                 least[QUERIES] = {0}, sum = 0;

    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(path), &route);
    for (int pass = 0; pass < QUERY_PASSES; pass++) {
        struct rng rng;

        rng_init(&rng, 5);
        if (queries != NULL)
            rewind(queries);
        for (int i = 0; i < QUERIES; i++) {
            double start;

            question.body = query_body(&rng, queries, count, dimension, where);
            byte_buffer_clear(&body);
            start = now();
            must(mirror_answer(records, reader, &question, &code, &body, &reason));
            start = now() - start;
            least[i] = pass == 0 || start < least[i] ? start : least[i];
            sink += (unsigned)byte_buffer_size(&body);
        }
    }
    for (int i = 0; i < QUERIES; i++)
        sum += least[i];
    byte_buffer_done(&body);
    printf("query         %8.2f us  of 4%s, its answer\n", sum / QUERIES * 1e6,
           where[0] == '\0' ? "" : " of a tenth");
}

/* The share of the ten nearest that a search of this width gives, of a scan of all. */
static void recall(FILE *queries, uint32_t dimension, uint32_t ef)
{
    static float               vector[1 << 12];
    struct vector_search_hit   hits[10], nearest[10];
    struct vector_search_query query = {.vector = vector, .k = 10};
    uint32_t                   found, wanted = 0, common = 0, count;

    rewind(queries);
    while (fread(vector, dimension * sizeof *vector, 1, queries) == 1) {
        query.exact = true;
        must(mirror_reader_search(reader, &query, nearest, &count));
        query.exact = false;
        query.ef = ef;
        must(mirror_reader_search(reader, &query, hits, &found));
        wanted += count;
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t h = 0; h < found; h++)
                common += nearest[i].record == hits[h].record;
    }
    printf("recall        %8.4f     of 10, ef %" PRIu32 "\n", (double)common / wanted, ef);
}

static void filter_all(const char *where)
{
    struct filter  *filter;
    const char     *reason;
    const uint64_t *bitmap;
    uint32_t        bits, matches;
    double          start;

    must(filter_new(bytes_of(where), (struct bytes){0}, &filter, &reason));
    start = now();
    must(mirror_reader_filter(reader, filter, &bitmap, &bits, &matches));
    printf("filter        %8.2f ms  %s: %" PRIu32 "\n", (now() - start) * 1e3, where, matches);
    filter_free(filter);
}

int main(int argc, char **argv)
{
    FILE                         *file = argc > 2 ? fopen(argv[1], "rb") : NULL;
    FILE                         *queries = argc > 5 ? fopen(argv[5], "rb") : NULL;
    uint32_t                      dimension = argc > 2 ? (uint32_t)atoi(argv[2]) : 0, count;
    uint32_t                      page = argc > 3 ? (uint32_t)atoi(argv[3]) : PAGE_RECORDS;
    char                          path[256];
    struct stat                   state;
    double                        before = anonymous();
    struct mirror_records_options options = {
        .path = path, .space = COLLECTION_SPACE_COSINE, .secret = "secret"};

    if (file == NULL || dimension == 0 || dimension > 1 << 12 || page == 0 ||
        page > PAGE_RECORDS_MAX || fstat(fileno(file), &state) != 0) {
        fprintf(stderr, "usage: bench_mirror_records FILE.f32 DIMENSION [PAGE [DIRECTORY "
                        "[QUERIES.f32]]]\n");
        return EXIT_FAILURE;
    }
    count = (uint32_t)((size_t)state.st_size / (dimension * sizeof(float)));
    snprintf(path, sizeof path, "%s/bench_mirror_records", argc > 4 ? argv[4] : "/tmp");
    must(mirror_records_new(&options, &records, NULL));
    fill(file, count, dimension, page);
    fclose(file);
    report_memory(before);
    must(mirror_reader_new(records, &reader));
    must(mirror_reader_begin(reader));
    read_values(count);
    get_answers(count, 1, true);
    get_answers(count, 100, true);
    get_answers(count, 100, false);
    get_answers(count, count / 2, false);
    search(count, dimension);
    query_answers(queries, count, dimension, "");
    query_answers(queries, count, dimension, "\"where\":{\"page\":{\"$lt\":10}},");
    if (queries != NULL) {
        recall(queries, dimension, 64);
        recall(queries, dimension, 200);
        fclose(queries);
    }
    filter_all("{\"page\":7}");
    filter_all("{\"page\":{\"$gte\":50}}");
    filter_all("{\"source\":\"article-12.txt\"}");
    mirror_reader_end(reader);
    mirror_reader_free(reader);
    mirror_records_free(records);
    return sink == 0;
}
