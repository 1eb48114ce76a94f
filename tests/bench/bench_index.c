/* bench_index - build an index from a file of vectors and measure it; one JSON object per line
 *
 * See usage() for the options. Vectors are raw row-major little-endian floats, truth rows 100
 * int32 ids. Times are the minimum of the thread's CPU time over the passes, summed over batches
 * of 100 queries, so that a busy machine disturbs them little; run it pinned to a core.
 */
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "index/distance.h"
#include "index/index_file.h"
#include "index/vector_search.h"

enum { k = 10, truth_width = 100, batch = 100 };

struct bench {
    const char *base_path, *query_path, *truth_path, *write_path, *snapshot_path, *dir;
    const char *ef_list;
    struct vector_index_options options;
    unsigned                    threads, passes;
    double                      filter_fraction, churn_fraction;
    float                       reach; /* of the searches of run_efs() */
    unsigned                    churn_rounds;
    bool                        is_beside_writer;
    const float                *base, *queries;
    uint32_t                    count, query_count, limit;
    int32_t                    *truth; /* query_count rows of k */
    struct vector_index        *index;
    struct vector_search       *search;
};

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_index: %s\n", what);
    exit(1);
}

static const void *map_file(const char *path, size_t row_bytes, uint32_t *ret_rows)
{
    struct stat info;
    int         fd = open(path, O_RDONLY);
    void       *data;

    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size == 0)
        die(path);
    data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (data == MAP_FAILED)
        die(path);
    close(fd);
    *ret_rows = (uint32_t)((size_t)info.st_size / row_bytes);
    return data;
}

static void fill_index(struct bench *bench)
{
    uint32_t *records = malloc(bench->count * sizeof *records);
    uint32_t  added;

    if (records == NULL)
        die("no memory");
    for (uint32_t i = 0; i < bench->count; i++)
        records[i] = i;
    if (vector_index_add_many(bench->index, records, bench->base, bench->count, bench->threads,
                              &added) != STATUS_OK)
        die("adding failed");
    free(records);
    while (vector_index_maintain(bench->index, UINT32_MAX))
        continue;
}

static void print_memory(const struct bench *bench, double build_s, double cpu_s)
{
    struct vector_index_memory memory;

    vector_index_memory(bench->index, &memory);
    printf("{\"build_s\":%.3f,\"build_cpu_s\":%.3f,\"bytes_per_vector\":%.1f,\"vectors\":%u,"
           "\"codes\":%llu,\"links\":%llu,\"maps\":%llu,\"scratch\":%llu,\"kernel\":\"%s\"}\n",
           build_s, cpu_s, (double)memory.used / memory.vectors, memory.vectors,
           (unsigned long long)memory.codes, (unsigned long long)memory.links,
           (unsigned long long)memory.maps, (unsigned long long)memory.scratch,
           distance_kernels()->name);
    fflush(stdout);
}

static struct vector_search_query query_of(const struct bench *bench, uint32_t number, uint32_t ef)
{
    return (struct vector_search_query){
        .vector = bench->queries + (size_t)number * bench->options.dim, .k = k, .ef = ef};
}

static uint32_t run_one(const struct bench *bench, const struct vector_search_query *query,
                        int32_t *ids)
{
    struct vector_search_hit   hits[k];
    struct vector_search_stats stats;
    uint32_t                   count;

    if (vector_search_run(bench->search, query, hits, &count, &stats) != STATUS_OK)
        die("search failed");
    for (uint32_t i = 0; i < k; i++)
        ids[i] = i < count ? (int32_t)hits[i].record : -1;
    return stats.scored;
}

static void exact_truth(struct bench *bench, const uint64_t *bitmap, uint32_t bitmap_count,
                        int32_t *truth)
{
    for (uint32_t i = 0; i < bench->query_count; i++) {
        struct vector_search_query query = query_of(bench, i, 0);

        query.exact = true;
        query.bitmap = bitmap;
        query.bitmap_bits = bitmap != NULL ? bench->count : 0;
        query.bitmap_count = bitmap_count;
        (void)run_one(bench, &query, truth + (size_t)i * k);
    }
}

static void load_truth(struct bench *bench)
{
    uint32_t       rows;
    const int32_t *file;

    bench->truth = malloc((size_t)bench->query_count * k * sizeof *bench->truth);
    if (bench->truth == NULL)
        die("no memory");
    if (bench->truth_path == NULL) {
        exact_truth(bench, NULL, 0, bench->truth);
        return;
    }
    file = map_file(bench->truth_path, truth_width * sizeof *file, &rows);
    if (rows < bench->query_count)
        die("the truth is shorter than the queries");
    for (uint32_t i = 0; i < bench->query_count; i++)
        memcpy(bench->truth + (size_t)i * k, file + (size_t)i * truth_width, k * sizeof *file);
}

/* Rows of 100 ids, for the other libraries' benchmarks. */
static void write_truth(const struct bench *bench)
{
    FILE *file = fopen(bench->write_path, "wb");

    if (file == NULL)
        die(bench->write_path);
    for (uint32_t i = 0; i < bench->query_count; i++) {
        struct vector_search_query query = query_of(bench, i, 0);
        struct vector_search_hit   hits[truth_width];
        int32_t                    ids[truth_width];
        uint32_t                   count;

        query.exact = true;
        query.k = truth_width;
        if (vector_search_run(bench->search, &query, hits, &count, NULL) != STATUS_OK)
            die("search failed");
        for (uint32_t j = 0; j < truth_width; j++)
            ids[j] = j < count ? (int32_t)hits[j].record : -1;
        if (fwrite(ids, sizeof *ids, truth_width, file) != truth_width)
            die(bench->write_path);
    }
    if (fclose(file) != 0)
        die(bench->write_path);
}

static double recall_of(const int32_t *found, const int32_t *truth, uint32_t queries)
{
    uint32_t hits = 0, wanted = 0;

    for (uint32_t q = 0; q < queries; q++)
        for (uint32_t i = 0; i < k; i++) {
            wanted += truth[q * k + i] >= 0;
            for (uint32_t j = 0; j < k; j++)
                hits += truth[q * k + i] >= 0 && found[q * k + j] == truth[q * k + i];
        }
    return wanted == 0 ? 1 : (double)hits / wanted;
}

/* Seconds per query: the minimum over passes, batch by batch. */
static double measure(const struct bench *bench, const struct vector_search_query *template,
                      int32_t *found, double *ret_scored)
{
    double total = 0, scored = 0;

    for (uint32_t first = 0; first < bench->query_count; first += batch) {
        uint32_t last = first + batch < bench->query_count ? first + batch : bench->query_count;
        double   best = INFINITY;

        for (unsigned pass = 0; pass < bench->passes; pass++) {
            double start = seconds(CLOCK_THREAD_CPUTIME_ID), took;

            for (uint32_t i = first; i < last; i++) {
                struct vector_search_query query = *template;

                query.vector = bench->queries + (size_t)i * bench->options.dim;
                scored += run_one(bench, &query, found + (size_t)i * k);
            }
            took = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
            best = took < best ? took : best;
        }
        total += best;
    }
    if (ret_scored != NULL)
        *ret_scored = scored / bench->passes / bench->query_count;
    return total / bench->query_count;
}

static void run_efs(const struct bench *bench, const char *label)
{
    int32_t *found = malloc((size_t)bench->query_count * k * sizeof *found);
    char    *list = strdup(bench->ef_list), *rest = list, *item;

    if (found == NULL || list == NULL)
        die("no memory");
    while ((item = strsep(&rest, ",")) != NULL) {
        struct vector_search_query query = {
            .k = k, .ef = (uint32_t)strtoul(item, NULL, 10), .reach = bench->reach};
        double scored, each = measure(bench, &query, found, &scored);

        printf("{%s\"ef\":%u,\"recall10\":%.4f,\"qps\":%.0f,\"us\":%.2f,\"scored\":%.0f}\n", label,
               query.ef, recall_of(found, bench->truth, bench->query_count), 1 / each, each * 1e6,
               scored);
        fflush(stdout);
    }
    free(found);
    free(list);
}

/* A mask of a share of the records: at random, or (correlated) the farthest half from the first
 * query by the order of a random projection. */
static void run_filter(const struct bench *bench, bool correlated)
{
    size_t                     words = bench->count / 64 + 1;
    uint64_t                  *bitmap = calloc(words, sizeof *bitmap);
    int32_t                   *found = malloc((size_t)bench->query_count * k * sizeof *found);
    int32_t                   *truth = malloc((size_t)bench->query_count * k * sizeof *truth);
    struct vector_search_query query = {.k = k, .ef = 100};
    struct rng                 rng;
    uint32_t                   marked = 0;
    double                     each;

    if (bitmap == NULL || found == NULL || truth == NULL)
        die("no memory");
    rng_init(&rng, 7);
    for (uint32_t i = 0; i < bench->count; i++) {
        /* Correlated: only what has a negative product with the mean of the queries' first. */
        bool eligible = true;

        if (correlated) {
            double product = 0;

            for (uint32_t d = 0; d < bench->options.dim; d++)
                product += (double)bench->base[(size_t)i * bench->options.dim + d] *
                           (double)bench->queries[d];
            eligible = product < 0;
        }
        if (eligible && rng_double(&rng) < bench->filter_fraction * (correlated ? 2 : 1)) {
            bitmap[i / 64] |= UINT64_C(1) << (i % 64);
            marked++;
        }
    }
    query.bitmap = bitmap;
    query.bitmap_bits = bench->count;
    query.bitmap_count = marked;
    exact_truth((struct bench *)(uintptr_t)bench, bitmap, marked, truth);
    each = measure(bench, &query, found, NULL);
    printf("{\"filter\":\"%s\",\"fraction\":%.4f,\"matches\":%u,\"recall10\":%.4f,\"us\":%.2f}\n",
           correlated ? "correlated" : "random", bench->filter_fraction, marked,
           recall_of(found, truth, bench->query_count), each * 1e6);
    fflush(stdout);
    free(bitmap);
    free(found);
    free(truth);
}

/* Replace a share of the records, chosen at random, by the vectors of others, chosen at random. */
static void run_churn(struct bench *bench)
{
    uint32_t                   each_round = (uint32_t)(bench->churn_fraction * bench->count);
    struct rng                 rng;
    double                     start = seconds(CLOCK_THREAD_CPUTIME_ID), took;
    float                     *vector = malloc(bench->options.dim * sizeof *vector);
    char                       label[64];
    struct vector_index_report report;
    struct vector_index_memory memory;

    rng_init(&rng, 11);
    for (unsigned round = 0; round < bench->churn_rounds; round++)
        for (uint32_t i = 0; i < each_round; i++) {
            uint32_t     record = (uint32_t)rng_below(&rng, bench->count);
            const float *left =
                bench->base + (size_t)rng_below(&rng, bench->count) * bench->options.dim;

            /* A new vector of the same kind: another one, with a little of the old. */
            if (vector_index_get(bench->index, record, vector) != STATUS_OK)
                die("a record is gone");
            for (uint32_t d = 0; d < bench->options.dim; d++)
                vector[d] = 0.85f * left[d] + 0.15f * vector[d];
            if (vector_index_add(bench->index, record, vector) != STATUS_OK)
                die("replacing failed");
            if (i % 64 == 0)
                (void)vector_index_maintain(bench->index, 1024);
        }
    while (vector_index_maintain(bench->index, UINT32_MAX))
        continue;
    took = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    (void)vector_index_maintain(bench->index, UINT32_MAX); /* the last check of reachability */
    if (vector_index_verify(bench->index, &report, NULL) != STATUS_OK)
        die("verify failed");
    vector_index_memory(bench->index, &memory);
    printf("{\"churn_rounds\":%u,\"replaced\":%u,\"ms_per_replaced\":%.4f,\"unreachable\":%u,"
           "\"in_degree_0\":%u,\"one_way\":%.3f,\"links_per_vector\":%.2f,\"bytes_per_vector\":%."
           "1f}\n",
           bench->churn_rounds, bench->churn_rounds * each_round,
           took * 1e3 / (bench->churn_rounds * each_round), report.unreachable, report.in_degree_0,
           (double)report.one_way / (double)report.links, (double)report.links / report.linked,
           (double)memory.used / memory.vectors);
    exact_truth(bench, NULL, 0, bench->truth);
    snprintf(label, sizeof label, "\"after_churn\":%u,", bench->churn_rounds);
    run_efs(bench, label);
    free(vector);
}

/* Searches beside a writer that replaces records by themselves as fast as it can. */
static _Atomic bool writing;

static void *write_on(void *argument)
{
    const struct bench *bench = argument;
    struct rng          rng;

    rng_init(&rng, 13);
    while (writing) {
        uint32_t record = (uint32_t)rng_below(&rng, bench->count);

        if (vector_index_add(bench->index, record,
                             bench->base + (size_t)record * bench->options.dim) != STATUS_OK)
            die("replacing failed");
        (void)vector_index_maintain(bench->index, 16);
    }
    return NULL;
}

/* The speed alone and beside the writer, in turn, so that both have the same minutes. */
static void run_beside_writer(struct bench *bench)
{
    int32_t *found = malloc((size_t)bench->query_count * k * sizeof *found);
    char    *list = strdup(bench->ef_list), *rest = list, *item;

    if (found == NULL || list == NULL)
        die("no memory");
    while ((item = strsep(&rest, ",")) != NULL) {
        struct vector_search_query query = {.k = k, .ef = (uint32_t)strtoul(item, NULL, 10)};
        double                     alone = measure(bench, &query, found, NULL), beside;
        pthread_t                  thread;

        writing = true;
        if (pthread_create(&thread, NULL, write_on, bench) != 0)
            die("no thread");
        beside = measure(bench, &query, found, NULL);
        writing = false;
        pthread_join(thread, NULL);
        printf("{\"writer\":true,\"ef\":%u,\"recall10\":%.4f,\"us\":%.2f,\"us_alone\":%.2f,"
               "\"share_of_speed\":%.3f}\n",
               query.ef, recall_of(found, bench->truth, bench->query_count), beside * 1e6,
               alone * 1e6, alone / beside);
        fflush(stdout);
    }
    free(found);
    free(list);
}

/* Save, then load again and again: the least wall time of each. */
static void run_snapshot(struct bench *bench)
{
    double   save = seconds(CLOCK_MONOTONIC), best = INFINITY, best_cpu = INFINITY;
    uint64_t sequence;

    if (index_file_save(bench->index, 1, NULL) != STATUS_OK)
        die("saving failed");
    save = seconds(CLOCK_MONOTONIC) - save;
    for (unsigned pass = 0; pass < 10; pass++) {
        struct vector_index *again;
        double               wall = seconds(CLOCK_MONOTONIC), took;
        double               cpu = seconds(CLOCK_THREAD_CPUTIME_ID);

        if (index_file_load(&bench->options, &again, &sequence, NULL) != STATUS_OK)
            die("loading failed");
        took = seconds(CLOCK_MONOTONIC) - wall;
        best = took < best ? took : best;
        took = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
        best_cpu = took < best_cpu ? took : best_cpu;
        vector_index_free(again);
    }
    printf("{\"save_ms\":%.1f,\"load_ms\":%.1f,\"load_cpu_ms\":%.1f}\n", save * 1e3, best * 1e3,
           best_cpu * 1e3);
    fflush(stdout);
}

static int compare_doubles(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;

    return (l > r) - (l < r);
}

static void time_each(const struct bench *bench, const char *label)
{
    double *times = malloc(bench->query_count * sizeof *times), sum = 0;
    int32_t ids[k];

    if (times == NULL)
        die("no memory");
    for (uint32_t i = 0; i < bench->query_count; i++) {
        struct vector_search_query query = query_of(bench, i, 64);

        times[i] = seconds(CLOCK_MONOTONIC);
        (void)run_one(bench, &query, ids);
        times[i] = seconds(CLOCK_MONOTONIC) - times[i];
        sum += times[i];
    }
    qsort(times, bench->query_count, sizeof *times, compare_doubles);
    printf("{\"originals\":\"%s\",\"ef\":64,\"mean_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
           label, sum / bench->query_count * 1e6, times[bench->query_count / 2] * 1e6,
           times[bench->query_count * 99 / 100] * 1e6);
    fflush(stdout);
    free(times);
}

/* Wall time of single searches with no vector in the page cache, and once more. */
static void run_originals(struct bench *bench, const char *vectors_path)
{
    uint64_t sequence;
    int      fd;

    vector_search_free(bench->search);
    vector_index_free(bench->index);
    fd = open(vectors_path, O_RDONLY);
    if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        die(vectors_path);
    close(fd);
    if (index_file_load(&bench->options, &bench->index, &sequence, NULL) != STATUS_OK ||
        vector_search_new(bench->index, &bench->search) != STATUS_OK)
        die("loading failed");
    time_each(bench, "cold");
    time_each(bench, "warm");
}

static void usage(void)
{
    fprintf(stderr, "bench_index --base F.f32 --queries F.f32 [--truth F.i32] --dim D\n"
                    "    --metric ip|l2|cosine [--quant auto|exact|q8|q4] [--M 16]\n"
                    "    [--ef-construction 100] [--ef 16,32,48,64,100,200] [--threads 1]\n"
                    "    [--kernel auto|vnni|avx2|scalar] [--filter-fraction 0.01]\n"
                    "    [--churn ROUNDS,FRACTION] [--snapshot FILE] [--passes 5] [--dir DIR]\n"
                    "    [--limit VECTORS] [--write-truth F.i32] [--writer] [--reach 0.08]\n");
    exit(2);
}

static void set_metric(struct bench *bench, const char *name)
{
    if (strcmp(name, "ip") == 0)
        bench->options.metric = VECTOR_IP;
    else if (strcmp(name, "cosine") == 0)
        bench->options.metric = VECTOR_COSINE;
    else if (strcmp(name, "l2") != 0)
        usage();
}

static void set_quant(struct bench *bench, const char *name)
{
    static const char *const names[] = {"auto", "exact", "q8", "q4"};

    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            bench->options.quant = (enum vector_quant)i;
            return;
        }
    usage();
}

static void parse(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"base", 1, NULL, 'b'},   {"queries", 1, NULL, 'q'},
        {"truth", 1, NULL, 't'},  {"dim", 1, NULL, 'd'},
        {"metric", 1, NULL, 'm'}, {"quant", 1, NULL, 'Q'},
        {"M", 1, NULL, 'M'},      {"ef-construction", 1, NULL, 'c'},
        {"ef", 1, NULL, 'e'},     {"threads", 1, NULL, 'T'},
        {"kernel", 1, NULL, 'K'}, {"filter-fraction", 1, NULL, 'f'},
        {"churn", 1, NULL, 'C'},  {"snapshot", 1, NULL, 's'},
        {"passes", 1, NULL, 'p'}, {"dir", 1, NULL, 'D'},
        {"limit", 1, NULL, 'l'},  {"write-truth", 1, NULL, 'w'},
        {"writer", 0, NULL, 'W'}, {"reach", 1, NULL, 'r'},
        {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
        switch (option) {
        case 'b':
            bench->base_path = optarg;
            break;
        case 'q':
            bench->query_path = optarg;
            break;
        case 't':
            bench->truth_path = optarg;
            break;
        case 'd':
            bench->options.dim = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'm':
            set_metric(bench, optarg);
            break;
        case 'Q':
            set_quant(bench, optarg);
            break;
        case 'M':
            bench->options.m = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            bench->options.ef_construction = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'e':
            bench->ef_list = optarg;
            break;
        case 'T':
            bench->threads = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'K':
            if (strcmp(optarg, "auto") != 0)
                setenv("CHROMABOUNCER_KERNEL", optarg, 1);
            break;
        case 'f':
            bench->filter_fraction = strtod(optarg, NULL);
            break;
        case 'C':
            if (sscanf(optarg, "%u,%lf", &bench->churn_rounds, &bench->churn_fraction) != 2)
                usage();
            break;
        case 's':
            bench->snapshot_path = optarg;
            break;
        case 'p':
            bench->passes = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'D':
            bench->dir = optarg;
            break;
        case 'r':
            bench->reach = strtof(optarg, NULL);
            break;
        case 'W':
            bench->is_beside_writer = true;
            break;
        case 'w':
            bench->write_path = optarg;
            break;
        case 'l':
            bench->limit = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        default:
            usage();
        }
    if (bench->base_path == NULL || bench->query_path == NULL || bench->options.dim == 0)
        usage();
}

int main(int argc, char **argv)
{
    struct bench bench = {.ef_list = "16,32,48,64,100,200",
                          .threads = 1,
                          .passes = 5,
                          .dir = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
                          .options = {.m = 16, .ef_construction = 100, .seed = 1}};
    char         path[4096], vectors_path[4200];
    struct error error = {.text = ""};
    double       wall, cpu;

    parse(&bench, argc, argv);
    bench.base = map_file(bench.base_path, bench.options.dim * sizeof(float), &bench.count);
    bench.queries =
        map_file(bench.query_path, bench.options.dim * sizeof(float), &bench.query_count);
    if (bench.limit > 0 && bench.limit < bench.count)
        bench.count = bench.limit;
    snprintf(path, sizeof path, "%s/bench_index.%ld", bench.dir, (long)getpid());
    snprintf(vectors_path, sizeof vectors_path, "%s.vectors",
             bench.snapshot_path ? bench.snapshot_path : path);
    bench.options.path = bench.snapshot_path ? bench.snapshot_path : path;
    if (vector_index_new(&bench.options, &bench.index, &error) != STATUS_OK)
        die(error.text);
    wall = seconds(CLOCK_MONOTONIC);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    fill_index(&bench);
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (vector_search_new(bench.index, &bench.search) != STATUS_OK)
        die("no reader");
    print_memory(&bench, wall, cpu);
    load_truth(&bench);
    if (bench.write_path != NULL)
        write_truth(&bench);
    run_efs(&bench, "");
    if (bench.filter_fraction > 0) {
        run_filter(&bench, false);
        run_filter(&bench, true);
    }
    if (bench.snapshot_path != NULL) {
        run_snapshot(&bench);
        run_originals(&bench, vectors_path);
    }
    if (bench.is_beside_writer)
        run_beside_writer(&bench);
    if (bench.churn_rounds > 0)
        run_churn(&bench);
    vector_search_free(bench.search);
    vector_index_free(bench.index);
    if (bench.snapshot_path == NULL)
        unlink(vectors_path);
    free(bench.truth);
    return 0;
}
