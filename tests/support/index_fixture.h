/* index_fixture - what the tests of the index share: data, a place on disk, an exact judge */
#ifndef SUPPORT_INDEX_FIXTURE_H
#define SUPPORT_INDEX_FIXTURE_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "index/vector_search.h"

/* A sanitizer makes code five to fifteen times slower: less is tried then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { index_fixture_is_slow = 1 };
#else
enum { index_fixture_is_slow = 0 };
#endif

/* `make check-index-long` asks for that many times more of what is random. */
static inline int index_fixture_times(void)
{
    const char *times = getenv("CHROMABOUNCER_TEST_TIMES");

    return times != NULL && atoi(times) > 0 ? atoi(times) : 1;
}

static char index_fixture_dir[64];
static char index_fixture_path[96];

static inline void index_fixture_setup(void)
{
    /* In memory where that is possible: opening to overwrite waits for a disk. */
    strcpy(index_fixture_dir,
           access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_index.XXXXXX" : "/tmp/test_index.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(index_fixture_dir));
    snprintf(index_fixture_path, sizeof index_fixture_path, "%s/index", index_fixture_dir);
}

static inline void index_fixture_teardown(void)
{
    static const char *const suffixes[] = {"", ".vectors", ".tmp"};

    for (size_t i = 0; i < 3; i++) {
        char path[128];

        snprintf(path, sizeof path, "%s%s", index_fixture_path, suffixes[i]);
        unlink(path);
    }
    rmdir(index_fixture_dir);
}

/* Tests of logic need not wait for the disk. */
static inline int index_fixture_fsync(int fd)
{
    (void)fd;
    return 0;
}

static struct file_ops index_fixture_ops;

static inline struct vector_index_options index_fixture_options(uint32_t           dim,
                                                                enum vector_metric metric)
{
    index_fixture_ops = file_ops_system;
    index_fixture_ops.fsync = index_fixture_fsync;
    return (struct vector_index_options){.dim = dim,
                                         .file_ops = &index_fixture_ops,
                                         .metric = metric,
                                         .quant = VECTOR_QUANT_Q8,
                                         .ef_construction = 100,
                                         .vectors_max = 1 << 20,
                                         .seed = 1,
                                         .path = index_fixture_path};
}

static inline struct vector_index *index_fixture_new(const struct vector_index_options *options)
{
    struct vector_index *index;
    struct error         error = {.text = ""};

    ck_assert_msg(vector_index_new(options, &index, &error) == STATUS_OK, "%s", error.text);
    return index;
}

static inline double index_fixture_normal(struct rng *rng)
{
    double u = 1 - rng_double(rng), v = rng_double(rng);

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* What points are made of: centres and, for each of seven kinds of cluster, 16 directions. */
enum { index_fixture_rank = 16, index_fixture_kinds = 7, index_fixture_clusters_max = 200 };

static inline const float *index_fixture_basis(uint32_t dim, uint32_t number, uint64_t seed)
{
    enum { most = index_fixture_clusters_max + index_fixture_kinds * index_fixture_rank };
    static float   *made[most];
    static uint32_t made_dim;
    struct rng      rng;

    ck_assert_uint_lt(number, most);
    for (int i = 0; i < most && dim != made_dim; i++) {
        free(made[i]);
        made[i] = NULL;
    }
    made_dim = dim;
    if (made[number] == NULL) {
        made[number] = malloc(dim * sizeof(float));
        ck_assert_ptr_nonnull(made[number]);
        rng_init(&rng, seed);
        for (uint32_t i = 0; i < dim; i++)
            made[number][i] = (float)((rng_double(&rng) - 0.5) * sqrt(12.0 / dim));
    }
    return made[number];
}

/* A point of a mixture of `clusters` Gaussians of rank 16 around centres of length 1: points of
 * one cluster differ as much as the centres do. */
static inline void index_fixture_point(struct rng *rng, uint32_t dim, uint32_t clusters,
                                       float *point)
{
    uint32_t cluster = (uint32_t)rng_below(rng, clusters);

    memcpy(point, index_fixture_basis(dim, cluster, 1000 + cluster), dim * sizeof *point);
    for (uint32_t j = 0; j < index_fixture_rank; j++) {
        float        factor = (float)(index_fixture_normal(rng) * 0.2);
        uint32_t     number = j + index_fixture_rank * (cluster % index_fixture_kinds);
        const float *basis =
            index_fixture_basis(dim, index_fixture_clusters_max + number, 5000 + number);

        for (uint32_t i = 0; i < dim; i++)
            point[i] += factor * basis[i];
    }
    for (uint32_t i = 0; i < dim; i++)
        point[i] += (float)(index_fixture_normal(rng) * 0.1 / sqrt(dim));
}

static inline float *index_fixture_points(uint64_t seed, uint32_t count, uint32_t dim,
                                          uint32_t clusters)
{
    float     *points = malloc((size_t)count * dim * sizeof *points);
    struct rng rng;

    ck_assert_ptr_nonnull(points);
    rng_init(&rng, seed);
    for (uint32_t i = 0; i < count; i++)
        index_fixture_point(&rng, dim, clusters, points + (size_t)i * dim);
    return points;
}

/* The distance as Chroma defines it, in double. */
static inline double index_fixture_distance(enum vector_metric metric, const float *left,
                                            const float *right, uint32_t dim)
{
    double product = 0, l = 0, r = 0, squares = 0;

    for (uint32_t i = 0; i < dim; i++) {
        product += (double)left[i] * (double)right[i];
        l += (double)left[i] * (double)left[i];
        r += (double)right[i] * (double)right[i];
        squares += ((double)left[i] - (double)right[i]) * ((double)left[i] - (double)right[i]);
    }
    if (metric == VECTOR_L2)
        return squares;
    if (metric == VECTOR_IP)
        return 1 - product;
    return l > 0 && r > 0 ? 1 - product / sqrt(l * r) : 1;
}

/* The model: what an index must hold, record by record. */
struct index_model {
    enum vector_metric metric;
    uint32_t           dim, records;
    float             *vectors;
    bool              *is_live;
};

static inline struct index_model index_model_new(enum vector_metric metric, uint32_t dim,
                                                 uint32_t records)
{
    struct index_model model = {.metric = metric, .dim = dim, .records = records};

    model.vectors = calloc((size_t)records * dim, sizeof(float));
    model.is_live = calloc(records, sizeof(bool));
    ck_assert(model.vectors != NULL && model.is_live != NULL);
    return model;
}

static inline void index_model_done(struct index_model *model)
{
    free(model->vectors);
    free(model->is_live);
}

static inline void index_model_add(struct index_model *model, struct vector_index *index,
                                   uint32_t record, const float *vector)
{
    ck_assert_int_eq(vector_index_add(index, record, vector), STATUS_OK);
    memcpy(model->vectors + (size_t)record * model->dim, vector, model->dim * sizeof *vector);
    model->is_live[record] = true;
}

static inline void index_model_delete(struct index_model *model, struct vector_index *index,
                                      uint32_t record)
{
    ck_assert_int_eq(vector_index_delete(index, record),
                     model->is_live[record] ? STATUS_OK : STATUS_NOT_FOUND);
    model->is_live[record] = false;
}

static inline int index_fixture_compare(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;

    return (l > r) - (l < r);
}

static inline bool index_fixture_matches(const struct vector_search_query *query, uint32_t record)
{
    if (query->bitmap != NULL &&
        (record >= query->bitmap_bits || (query->bitmap[record / 64] >> (record % 64) & 1) == 0))
        return false;
    return query->accept == NULL || query->accept(query->accept_ctx, record);
}

/* Search, check everything that must always hold, and return how many of the k nearest were
 * found, counted by distance (equal ones are as good); *ret_wanted is min(k, live matches). */
static inline uint32_t index_model_search(const struct index_model         *model,
                                          struct vector_search             *search,
                                          const struct vector_search_query *query,
                                          uint32_t                         *ret_wanted)
{
    double                   *all = malloc((model->records + 1) * sizeof *all);
    struct vector_search_hit *hits = malloc((query->k + 1) * sizeof *hits);
    uint32_t                  live = 0, count, wanted, good = 0;

    for (uint32_t i = 0; i < model->records; i++)
        if (model->is_live[i] && index_fixture_matches(query, i))
            all[live++] = index_fixture_distance(
                model->metric, query->vector, model->vectors + (size_t)i * model->dim, model->dim);
    qsort(all, live, sizeof *all, index_fixture_compare);
    wanted = live < query->k ? live : query->k;
    ck_assert_int_eq(vector_search_run(search, query, hits, &count, NULL), STATUS_OK);
    ck_assert_uint_eq(count, wanted);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t record = hits[i].record;
        double   truth;

        ck_assert(record < model->records && model->is_live[record]);
        ck_assert(index_fixture_matches(query, record));
        truth = index_fixture_distance(model->metric, query->vector,
                                       model->vectors + (size_t)record * model->dim, model->dim);
        ck_assert_msg(fabs((double)hits[i].distance - truth) <=
                          1e-5 * (1 + fabs(truth)) + 1e-6 * fabs(all[live - 1]),
                      "%.9g is not %.9g", (double)hits[i].distance, truth);
        ck_assert(i == 0 || hits[i].distance >= hits[i - 1].distance);
        for (uint32_t j = 0; j < i; j++)
            ck_assert_uint_ne(hits[j].record, record);
        good += truth <= all[wanted - 1] + 1e-6 * (1 + fabs(all[wanted - 1]));
    }
    free(all);
    free(hits);
    if (ret_wanted != NULL)
        *ret_wanted = wanted;
    return good;
}

/* Everything must hold and every live record be reachable. */
static inline struct vector_index_report index_fixture_verify(struct vector_index *index)
{
    struct vector_index_report report;
    struct error               error = {.text = ""};

    ck_assert_msg(vector_index_verify(index, &report, &error) == STATUS_OK, "%s", error.text);
    ck_assert_uint_eq(report.unreachable, 0);
    ck_assert_uint_eq(report.in_degree_0, 0);
    return report;
}

#endif
