/* What must hold: an index answers as a plain list of vectors does, through any sequence of adds,
 * replacements, deletions, filters and repairs; exactly below the graph's size, and nearly so
 * above; with any data. Recall has floors. */
#include "index/vector_index.h"

#include <float.h>
#include <sys/mman.h>

#include "index/index_file.h"
#include "support/check_main.h"
#include "support/index_fixture.h"

static bool accept_even(void *ctx, uint32_t record)
{
    (void)ctx;
    return record % 2 == 0;
}

static void fill_bitmap(struct rng *rng, uint32_t bits, uint32_t one_in, uint64_t *bitmap,
                        uint32_t *ret_count)
{
    memset(bitmap, 0, (bits / 64 + 1) * sizeof *bitmap);
    *ret_count = 0;
    for (uint32_t i = 0; i < bits; i++)
        if (rng_below(rng, one_in) == 0) {
            bitmap[i / 64] |= UINT64_C(1) << (i % 64);
            (*ret_count)++;
        }
}

/* A random search; returns the share of the right hits. */
static double random_search(const struct index_model *model, struct vector_search *search,
                            struct rng *rng, bool exact)
{
    static const uint32_t      ks[] = {1, 3, 10, 50, 400};
    uint64_t                   bitmap[64];
    float                      vector[512];
    uint32_t                   wanted, good;
    struct vector_search_query query = {.vector = vector, .ef = 100, .exact = exact};

    index_fixture_point(rng, model->dim, 20, vector);
    query.k = ks[rng_below(rng, 5)];
    if (rng_below(rng, 3) == 0) {
        fill_bitmap(rng, model->records, (uint32_t)(1 + rng_below(rng, 20)), bitmap,
                    &query.bitmap_count);
        query.bitmap = bitmap;
        query.bitmap_bits = model->records;
    }
    if (rng_below(rng, 3) == 0)
        query.accept = accept_even;
    good = index_model_search(model, search, &query, &wanted);
    if (exact)
        ck_assert_uint_eq(good, wanted);
    return wanted == 0 ? 1 : (double)good / wanted;
}

/* Random operations on up to 3000 records; `graph_min` decides which tier does the work. */
static void random_life(enum vector_metric metric, uint32_t dim, enum vector_quant quant,
                        uint32_t graph_min, uint64_t seed)
{
    struct vector_index_options options = index_fixture_options(dim, metric);
    struct index_model          model = index_model_new(metric, dim, 3000);
    struct vector_index        *index;
    struct vector_search       *search;
    struct rng                  rng;
    float                       vector[512];
    double                      share = 0;
    int                         searches = 0;

    options.quant = quant;
    options.graph_min = graph_min;
    index = index_fixture_new(&options);
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    rng_init(&rng, seed);
    for (int i = 0; i < 2000 * index_fixture_times(); i++) {
        uint32_t record = (uint32_t)rng_below(&rng, model.records);

        if (rng_below(&rng, 3) > 0) {
            index_fixture_point(&rng, dim, 20, vector);
            index_model_add(&model, index, record, vector);
        } else {
            index_model_delete(&model, index, record);
        }
        if (i % 16 == 0)
            (void)vector_index_maintain(index, 200);
        if (i % 100 == 0) {
            share += random_search(&model, search, &rng, graph_min > 3000);
            searches++;
        }
    }
    ck_assert_msg(share / searches > 0.98, "%s %u: %g", "recall", dim, share / searches);
    while (vector_index_maintain(index, UINT32_MAX))
        continue;
    index_fixture_verify(index);
    vector_search_free(search);
    vector_index_free(index);
    index_model_done(&model);
}

START_TEST(small_indexes_are_exact)
{
    static const uint32_t dims[] = {1, 3, 65};

    for (int metric = VECTOR_L2; metric <= VECTOR_COSINE; metric++)
        random_life((enum vector_metric)metric, dims[metric], VECTOR_QUANT_AUTO, 0,
                    (uint64_t)metric);
}
END_TEST

START_TEST(graphs_answer_nearly_as_a_list_does)
{
    random_life(VECTOR_L2, 33, VECTOR_QUANT_Q8, 500, 11);
    random_life(VECTOR_IP, 20, VECTOR_QUANT_Q8, 500, 12);
    random_life(VECTOR_COSINE, 130, VECTOR_QUANT_Q4, 500, 13);
}
END_TEST

/* One large index for several tests, made before Check forks them off. */
enum { large_dim = 384, large_queries = 300, nearest = 10 };

static struct {
    char                 path[96];
    float               *points; /* the queries follow the vectors */
    struct vector_index *index;
    uint32_t             count;
    uint32_t             truth[large_queries][nearest];
} large;

static const float *large_query(uint32_t number)
{
    return large.points + (size_t)(large.count + number) * large_dim;
}

static void build_large(void)
{
    struct vector_index_options options = index_fixture_options(large_dim, VECTOR_COSINE);
    struct vector_search       *search;
    uint32_t                   *records;

    index_fixture_setup();
    strcpy(large.path, index_fixture_path);
    large.count = index_fixture_is_slow ? 4000 : 20000;
    large.points = index_fixture_points(1, large.count + large_queries, large_dim, 200);
    records = malloc(large.count * sizeof *records);
    ck_assert_ptr_nonnull(records);
    for (uint32_t i = 0; i < large.count; i++)
        records[i] = i;
    options.graph_min = large.count / 2;
    large.index = index_fixture_new(&options);
    ck_assert_int_eq(
        vector_index_add_many(large.index, records, large.points, large.count, 1, NULL), STATUS_OK);
    free(records);
    ck_assert_int_eq(vector_search_new(large.index, &search), STATUS_OK);
    for (uint32_t q = 0; q < large_queries; q++) {
        struct vector_search_query query = {.vector = large_query(q), .k = nearest, .exact = true};
        struct vector_search_hit   hits[nearest];
        uint32_t                   n;

        ck_assert_int_eq(vector_search_run(search, &query, hits, &n, NULL), STATUS_OK);
        ck_assert_uint_eq(n, nearest);
        for (uint32_t i = 0; i < n; i++)
            large.truth[q][i] = hits[i].record;
    }
    vector_search_free(search);
}

static void remove_large(void)
{
    vector_index_free(large.index);
    free(large.points);
    strcpy(index_fixture_path, large.path);
    strcpy(index_fixture_dir, large.path);
    *strrchr(index_fixture_dir, '/') = '\0';
    index_fixture_teardown();
}

static double recall_at(struct vector_search *search, uint32_t ef, float reach,
                        uint64_t *ret_scored)
{
    uint32_t good = 0;

    *ret_scored = 0;
    for (uint32_t q = 0; q < large_queries; q++) {
        struct vector_search_hit   hits[nearest];
        struct vector_search_query query = {
            .vector = large_query(q), .k = nearest, .ef = ef, .reach = reach};
        struct vector_search_stats stats;
        uint32_t                   n;

        ck_assert_int_eq(vector_search_run(search, &query, hits, &n, &stats), STATUS_OK);
        ck_assert_uint_eq(n, nearest);
        *ret_scored += stats.scored;
        for (int i = 0; i < nearest; i++)
            for (int j = 0; j < nearest; j++)
                good += hits[i].record == large.truth[q][j];
    }
    return good / (double)(nearest * large_queries);
}

static void recall_floor(struct vector_index *index, double at_64, double at_400)
{
    struct vector_search *search;
    double                recall;
    uint64_t              scored, wide;

    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    index_fixture_verify(index);
    recall = recall_at(search, 64, 0, &scored);
    ck_assert_msg(recall >= at_64, "recall at 64: %g", recall);
    recall = recall_at(search, 400, 0, &scored);
    ck_assert_msg(recall >= at_400, "recall at 400: %g", recall);
    (void)recall_at(search, 200, 0, &wide);
    recall = recall_at(search, 200, 0.1f, &scored);
    ck_assert_msg(recall >= at_64, "recall within reach: %g", recall);
    ck_assert_msg(scored < wide / 2 || index_fixture_is_slow, "scored within reach: %g",
                  (double)scored / (double)wide); /* the few of a slow run are scanned */
    vector_search_free(search);
}

START_TEST(recall_of_one_byte_codes_has_a_floor_and_no_ceiling)
{
    recall_floor(large.index, 0.995, 0.9995);
}
END_TEST

/* The graph of the large index, its vectors coded anew, as when memory becomes short. (A graph
 * that is built from half-byte codes: random_life() above.) */
START_TEST(recall_of_half_byte_codes_has_a_floor_and_no_ceiling)
{
    struct vector_index_options options = index_fixture_options(large_dim, VECTOR_COSINE);
    struct vector_index        *index;
    struct vector_index_memory  memory;
    uint64_t                    sequence;

    ck_assert_int_eq(index_file_save(large.index, 1, NULL), STATUS_OK);
    options.path = large.path;
    options.graph_min = large.count / 2;
    options.quant = VECTOR_QUANT_Q4;
    ck_assert_int_eq(index_file_load(&options, &index, &sequence, NULL), STATUS_OK);
    (void)vector_index_maintain(index, 1);
    vector_index_memory(index, &memory);
    ck_assert(memory.is_q4 && memory.is_graph);
    recall_floor(index, 0.99, 0.9995);
    vector_index_free(index);
}
END_TEST

typedef void fill_fn(struct rng *rng, uint32_t dim, uint32_t number, float *vector);

static void fill_same(struct rng *rng, uint32_t dim, uint32_t number, float *vector)
{
    (void)rng;
    (void)number;
    for (uint32_t i = 0; i < dim; i++)
        vector[i] = (float)i - 3;
}

static void fill_zero(struct rng *rng, uint32_t dim, uint32_t number, float *vector)
{
    index_fixture_point(rng, dim, 5, vector);
    if (number % 3 == 0)
        memset(vector, 0, dim * sizeof *vector);
}

static void fill_heavy_tail(struct rng *rng, uint32_t dim, uint32_t number, float *vector)
{
    double scale = exp(2 * index_fixture_normal(rng));

    (void)number;
    index_fixture_point(rng, dim, 50, vector);
    for (uint32_t i = 0; i < dim; i++)
        vector[i] *= (float)scale;
}

static void fill_tiny(struct rng *rng, uint32_t dim, uint32_t number, float *vector)
{
    index_fixture_point(rng, dim, 5, vector);
    for (uint32_t i = 0; i < dim; i++)
        vector[i] *= number % 2 == 0 ? 1e-22f : 1e-38f;
}

/* Strange data: never fewer than k, right distances, everything reachable, and exact if asked. */
static void strange_data(enum vector_metric metric, uint32_t dim, uint32_t count, fill_fn *fill,
                         double floor)
{
    struct vector_index_options options = index_fixture_options(dim, metric);
    struct index_model          model = index_model_new(metric, dim, count);
    struct vector_index        *index;
    struct vector_search       *search;
    struct rng                  rng;
    float                      *vector = malloc(dim * sizeof *vector);
    uint32_t                    good = 0, wanted = 0;

    ck_assert_ptr_nonnull(vector);
    options.graph_min = count / 4;
    index = index_fixture_new(&options);
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    rng_init(&rng, 21);
    for (uint32_t i = 0; i < count; i++) {
        fill(&rng, dim, i, vector);
        index_model_add(&model, index, i, vector);
    }
    (void)vector_index_maintain(index, UINT32_MAX);
    index_fixture_verify(index);
    for (int i = 0; i < 40; i++) {
        struct vector_search_query query = {.vector = vector, .k = 10, .ef = 100};
        uint32_t                   part;

        fill(&rng, dim, (uint32_t)i, vector);
        good += index_model_search(&model, search, &query, &part);
        wanted += part;
        query.exact = true;
        ck_assert_uint_eq(index_model_search(&model, search, &query, &part), part);
    }
    ck_assert_msg(good >= floor * wanted, "%u of %u", good, wanted);
    vector_search_free(search);
    vector_index_free(index);
    index_model_done(&model);
    free(vector);
}

START_TEST(strange_data_is_searched_like_any_other)
{
    uint32_t n = index_fixture_is_slow ? 1000 : 1500;

    strange_data(VECTOR_IP, 48, n, fill_heavy_tail, 0.9);
    strange_data(VECTOR_L2, 48, n, fill_heavy_tail, 0.95);
    strange_data(VECTOR_COSINE, 16, n, fill_zero, 0.95);
    strange_data(VECTOR_L2, 16, n, fill_tiny, 0);
    strange_data(VECTOR_COSINE, 16, n, fill_tiny, 0.95);
    strange_data(VECTOR_L2, 4096, index_fixture_is_slow ? 200 : 400, fill_heavy_tail, 0.95);
    strange_data(VECTOR_L2, 1, n, fill_heavy_tail, 0.9);
}
END_TEST

START_TEST(ten_thousand_identical_vectors_are_no_trouble)
{
    strange_data(VECTOR_L2, 24, index_fixture_is_slow ? 2000 : 10000, fill_same, 1);
}
END_TEST

START_TEST(bounds_are_held)
{
    struct vector_index_options options = index_fixture_options(3, VECTOR_L2);
    struct vector_index        *index;
    struct vector_search       *search;
    struct vector_search_hit    hits[10];
    struct vector_search_query  query = {.k = 10};
    float                       vector[3] = {1, 2, 3}, bad[3] = {1, NAN, 2}, out[3];
    uint32_t                    count;

    options.vectors_max = 5;
    options.records_max = 8;
    for (options.m = 1; options.m < 4; options.m++) /* too few to keep all in reach */
        ck_assert_int_eq(vector_index_new(&options, &index, NULL), STATUS_INVALID);
    options.m = 33;
    ck_assert_int_eq(vector_index_new(&options, &index, NULL), STATUS_INVALID);
    options.m = 4;
    index = index_fixture_new(&options);
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    ck_assert_int_eq(vector_index_add(index, 0, bad), STATUS_INVALID);
    bad[1] = -INFINITY;
    ck_assert_int_eq(vector_index_add(index, 0, bad), STATUS_INVALID);
    ck_assert_int_eq(vector_index_add(index, 8, vector), STATUS_LIMIT_REACHED);
    query.vector = vector;
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_OK);
    ck_assert_uint_eq(count, 0);
    for (uint32_t i = 0; i < 5; i++)
        ck_assert_int_eq(vector_index_add(index, i, vector), STATUS_OK);
    ck_assert_int_eq(vector_index_add(index, 5, vector), STATUS_LIMIT_REACHED);
    ck_assert_uint_eq(vector_index_count(index), 5);
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_OK);
    ck_assert_uint_eq(count, 5);
    query.vector = bad;
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_INVALID);
    query.vector = vector;
    query.k = vector_search_k_max + 1;
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_INVALID);
    query.k = 0;
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(vector_index_delete(index, 7), STATUS_NOT_FOUND);
    ck_assert_int_eq(vector_index_get(index, 7, out), STATUS_NOT_FOUND);
    ck_assert_int_eq(vector_search_get(search, 3, out), STATUS_OK);
    ck_assert_mem_eq(out, vector, sizeof out);
    vector_search_free(search);
    vector_index_free(index);
}
END_TEST

static uint64_t ticking(void *ctx)
{
    return ++*(uint64_t *)ctx;
}

START_TEST(a_passed_deadline_is_said_and_what_was_found_is_given)
{
    struct vector_index_options options = index_fixture_options(16, VECTOR_L2);
    float                      *points = index_fixture_points(5, 3000, 16, 10);
    struct vector_index        *index;
    struct vector_search       *search;
    struct vector_search_hit    hits[10];
    uint64_t                    now = 0;
    struct vector_search_query  query = {
         .vector = points, .k = 10, .exact = true, .now_us = ticking, .now_ctx = &now};
    uint32_t count;

    index = index_fixture_new(&options);
    for (uint32_t i = 0; i < 3000; i++)
        ck_assert_int_eq(vector_index_add(index, i, points + 16 * i), STATUS_OK);
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    query.deadline_us = 5;
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_TIMED_OUT);
    ck_assert_uint_eq(count, 10);
    ck_assert_uint_eq(hits[0].record, 0);
    now = 0;
    query.deadline_us = 1000;
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_OK);
    vector_search_free(search);
    vector_index_free(index);
    free(points);
}
END_TEST

static bool accept_none(void *ctx, uint32_t record)
{
    (void)record;
    ++*(uint64_t *)ctx;
    return false;
}

START_TEST(the_deadline_is_looked_at_where_nothing_matches)
{
    struct vector_index_options options = index_fixture_options(2, VECTOR_L2);
    float                       vector[2] = {1, 2};
    struct vector_index        *index = index_fixture_new(&options);
    struct vector_search       *search;
    struct vector_search_hit    hit;
    uint64_t                    now = 0;
    struct vector_search_query  query = {.vector = vector,
                                         .k = 1,
                                         .accept = accept_none,
                                         .accept_ctx = &now,
                                         .now_us = ticking,
                                         .now_ctx = &now,
                                         .deadline_us = 100};
    uint32_t                    count;

    for (uint32_t i = 0; i < 9000; i++)
        ck_assert_int_eq(vector_index_add(index, i, vector), STATUS_OK);
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    ck_assert_int_eq(vector_search_run(search, &query, &hit, &count, NULL), STATUS_TIMED_OUT);
    ck_assert_uint_eq(count, 0);
    ck_assert_uint_lt(now, 2000);
    vector_search_free(search);
    vector_index_free(index);
}
END_TEST

START_TEST(a_bitmap_may_be_as_long_as_its_length_can_say)
{
    struct vector_index_options options = index_fixture_options(2, VECTOR_L2);
    const size_t                size = (size_t)1 << 29;
    float                       vector[2] = {1, 2};
    struct vector_index        *index = index_fixture_new(&options);
    struct vector_search       *search;
    struct vector_search_hit    hits[3];
    uint64_t                   *bits = mmap(NULL, size, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct vector_search_query  query = {
         .vector = vector, .k = 3, .bitmap = bits, .bitmap_bits = UINT32_MAX, .bitmap_count = 2};
    uint32_t count;

    ck_assert(bits != MAP_FAILED);
    bits[0] = UINT64_C(1) << 7;
    bits[size / 8 - 1] = 1; /* no such record */
    for (uint32_t i = 0; i < 100; i++)
        ck_assert_int_eq(vector_index_add(index, i, vector), STATUS_OK);
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_OK);
    ck_assert(count == 1 && hits[0].record == 7);
    vector_search_free(search);
    vector_index_free(index);
    munmap(bits, size);
}
END_TEST

/* The kernels lose the ones behind the large component, and take the farther vector for the nearer:
 * an exact search finds what they say, not what codes make of it. */
START_TEST(exact_searches_know_how_floats_round)
{
    enum { dim = 16384, lanes = 32 };
    struct vector_index_options options = index_fixture_options(dim, VECTOR_L2);
    float                      *points = calloc((size_t)3 * dim, sizeof *points);
    struct vector_search_query  query = {.vector = points, .k = 1, .exact = true};
    struct vector_index        *index = index_fixture_new(&options);
    struct vector_search       *search;
    struct vector_search_hit    hit;
    uint32_t                    count;

    ck_assert_ptr_nonnull(points);
    for (uint32_t i = 0; i < dim; i += lanes)
        points[dim + i] = i == 0 ? 4096 : 1;
    points[2 * dim] = 4096.03f;
    for (uint32_t i = 0; i < 2; i++)
        ck_assert_int_eq(vector_index_add(index, i, points + (i + 1) * dim), STATUS_OK);
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    ck_assert_int_eq(vector_search_run(search, &query, &hit, &count, NULL), STATUS_OK);
    for (uint32_t i = 0; i < 2; i++)
        ck_assert(distance_kernels()->l2_f32(points, points + (i + 1) * dim, dim) >= hit.distance);
    vector_search_free(search);
    vector_index_free(index);
    free(points);
}
END_TEST

START_TEST(iterating_and_batches_see_every_live_record)
{
    struct vector_index_options options = index_fixture_options(8, VECTOR_IP);
    float                      *points = index_fixture_points(6, 500, 8, 5);
    struct vector_index        *index = index_fixture_new(&options);
    struct vector_search       *search;
    struct vector_search_hit    hits[20 * 3];
    struct vector_search_query  query = {.k = 3};
    uint32_t                    cursor = 0, record, counts[20], seen = 0;

    for (uint32_t i = 0; i < 500; i++)
        ck_assert_int_eq(vector_index_add(index, i, points + 8 * i), STATUS_OK);
    for (uint32_t i = 0; i < 500; i += 5)
        ck_assert_int_eq(vector_index_delete(index, i), STATUS_OK);
    while (vector_index_next(index, &cursor, &record)) {
        ck_assert_uint_ne(record % 5, 0);
        seen++;
    }
    ck_assert_uint_eq(seen, 400);
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    ck_assert_int_eq(vector_search_batch(search, &query, points, 20, hits, counts), STATUS_OK);
    for (int i = 0; i < 20; i++)
        ck_assert_uint_eq(counts[i], 3);
    vector_search_free(search);
    vector_index_free(index);
    free(points);
}
END_TEST

START_TEST(memory_is_counted_bounded_and_given_back)
{
    struct vector_index_options options = index_fixture_options(64, VECTOR_L2);
    float                      *points = index_fixture_points(7, 9000, 64, 30);
    struct vector_index        *index;
    struct vector_index_memory  memory;
    uint32_t                    added = 0;
    enum status                 status = STATUS_OK;

    options.memory_max = 1 << 20;
    options.quant = VECTOR_QUANT_Q8;
    options.graph_min = 1000;
    index = index_fixture_new(&options);
    while (status == STATUS_OK && added < 9000) {
        status = vector_index_add(index, added, points + 64 * added);
        added += status == STATUS_OK;
        vector_index_memory(index, &memory);
        ck_assert_uint_le(memory.used, options.memory_max);
    }
    ck_assert_int_eq(status, STATUS_LIMIT_REACHED);
    ck_assert_uint_gt(added, 2500);
    ck_assert_uint_eq(vector_index_count(index), added);
    for (uint32_t i = 0; i < added; i++)
        ck_assert_int_eq(vector_index_delete(index, i), STATUS_OK);
    while (vector_index_maintain(index, UINT32_MAX))
        continue;
    (void)vector_index_maintain(index, 1);
    vector_index_memory(index, &memory);
    ck_assert_uint_eq(memory.vectors + memory.dead, 0);
    ck_assert_uint_lt(memory.used, 100000);
    ck_assert_int_eq(vector_index_add(index, 3, points), STATUS_OK);
    index_fixture_verify(index);
    vector_index_free(index);
    free(points);
}
END_TEST

START_TEST(codes_become_smaller_before_memory_runs_out)
{
    struct vector_index_options options = index_fixture_options(256, VECTOR_COSINE);
    const uint32_t              count = 4000;
    float                      *points = index_fixture_points(8, count, 256, 30);
    struct vector_index        *index;
    struct vector_search       *search;
    struct vector_search_hit    hit;
    struct vector_index_memory  memory;
    uint32_t                    n, found = 0;

    options.quant = VECTOR_QUANT_AUTO;
    options.graph_min = 1000;
    options.memory_max = (uint64_t)count * (128 + 190) + 300000;
    index = index_fixture_new(&options);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_int_eq(vector_index_add(index, i, points + (size_t)256 * i), STATUS_OK);
    (void)vector_index_maintain(index, UINT32_MAX);
    vector_index_memory(index, &memory);
    ck_assert(memory.is_q4 && memory.is_graph);
    index_fixture_verify(index);
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct vector_search_query query = {.vector = points + (size_t)256 * i, .k = 1, .ef = 64};

        ck_assert_int_eq(vector_search_run(search, &query, &hit, &n, NULL), STATUS_OK);
        found += n == 1 && hit.record == i;
    }
    ck_assert_uint_ge(found, count * 99 / 100);
    vector_search_free(search);
    vector_index_free(index);
    free(points);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("vector_index");

    tcase_set_timeout(tcase, 120 * index_fixture_times());
    tcase_add_unchecked_fixture(tcase, build_large, remove_large);
    tcase_add_checked_fixture(tcase, index_fixture_setup, index_fixture_teardown);
    tcase_add_test(tcase, small_indexes_are_exact);
    tcase_add_test(tcase, graphs_answer_nearly_as_a_list_does);
    tcase_add_test(tcase, recall_of_one_byte_codes_has_a_floor_and_no_ceiling);
    tcase_add_test(tcase, recall_of_half_byte_codes_has_a_floor_and_no_ceiling);
    tcase_add_test(tcase, strange_data_is_searched_like_any_other);
    tcase_add_test(tcase, ten_thousand_identical_vectors_are_no_trouble);
    tcase_add_test(tcase, bounds_are_held);
    tcase_add_test(tcase, a_passed_deadline_is_said_and_what_was_found_is_given);
    tcase_add_test(tcase, the_deadline_is_looked_at_where_nothing_matches);
    tcase_add_test(tcase, a_bitmap_may_be_as_long_as_its_length_can_say);
    tcase_add_test(tcase, exact_searches_know_how_floats_round);
    tcase_add_test(tcase, iterating_and_batches_see_every_live_record);
    tcase_add_test(tcase, memory_is_counted_bounded_and_given_back);
    tcase_add_test(tcase, codes_become_smaller_before_memory_runs_out);
    return check_main("vector_index", tcase);
}
