/* What must hold: readers run beside a writer that adds, replaces, deletes, repairs and saves.
 * They never see what was deleted before they began, never see a record twice, never miss one that
 * is being replaced, and always get as many results as there are. Run under the thread sanitizer it
 * shows data races. */
#include "index/vector_search.h"

#include <pthread.h>
#include <stdatomic.h>

#include "index/index_file.h"
#include "support/check_main.h"
#include "support/index_fixture.h"

enum { dim = 16, records = 3000, kept = 500, few = 30, readers = 3 };

static struct vector_index *index_;
static float               *points;
static _Atomic uint32_t     gone; /* records kept .. gone-1 were deleted, for good */
static _Atomic bool         finished;

static bool accept_few(void *ctx, uint32_t record)
{
    (void)ctx;
    return record < few;
}

/* The first few records are replaced again and again: each must be found, once. */
static const char *find_few(struct vector_search *search, const float *vector, uint64_t choice)
{
    const uint64_t             bitmap = (UINT64_C(1) << few) - 1;
    struct vector_search_query query = {.vector = vector, .k = few + 10, .exact = choice % 2 != 0};
    struct vector_search_hit   hits[few + 10];
    uint32_t                   count, seen = 0;

    if (choice % 4 < 2) {
        query.accept = accept_few;
    } else {
        query.bitmap = &bitmap;
        query.bitmap_bits = query.bitmap_count = few;
    }
    if (vector_search_run(search, &query, hits, &count, NULL) != STATUS_OK)
        return "a filtered search failed";
    for (uint32_t i = 0; i < count; i++)
        seen |= hits[i].record < few ? UINT32_C(1) << hits[i].record : 0;
    return count == few && seen == bitmap ? NULL : "a record that is replaced is missing";
}

static void *read_on(void *argument)
{
    struct vector_search    *search;
    struct vector_search_hit hits[20];
    struct rng               rng;
    float                    vector[dim];
    const char              *complaint;

    rng_init(&rng, (uint64_t)(uintptr_t)argument);
    if (vector_search_new(index_, &search) != STATUS_OK)
        return (void *)(uintptr_t) "no reader";
    while (!finished) {
        struct vector_search_query query = {.vector = points + dim * rng_below(&rng, records),
                                            .k = 20,
                                            .ef = 40,
                                            .reach = rng_below(&rng, 2) == 0 ? 0.1f : 0,
                                            .exact = rng_below(&rng, 4) == 0};
        uint32_t                   gone_before = gone, count;

        if (vector_search_run(search, &query, hits, &count, NULL) != STATUS_OK)
            return (void *)(uintptr_t) "a search failed";
        if (count != query.k)
            return (void *)(uintptr_t) "too few results";
        for (uint32_t i = 0; i < count; i++) {
            if (hits[i].record >= kept && hits[i].record < gone_before)
                return (void *)(uintptr_t) "a deleted record was returned";
            if (i > 0 && hits[i].distance < hits[i - 1].distance)
                return (void *)(uintptr_t) "the order is wrong";
            for (uint32_t j = 0; j < i; j++)
                if (hits[j].record == hits[i].record)
                    return (void *)(uintptr_t) "a record was returned twice";
        }
        complaint = find_few(search, query.vector, rng_next(&rng));
        if (complaint != NULL)
            return (void *)(uintptr_t)complaint;
        if (vector_search_get(search, (uint32_t)rng_below(&rng, kept), vector) != STATUS_OK)
            return (void *)(uintptr_t) "a record that is never deleted is missing";
    }
    vector_search_free(search);
    return NULL;
}

static void write_for_a_while(int rounds)
{
    struct rng rng;

    rng_init(&rng, 61);
    for (int i = 0; i < rounds; i++) {
        uint32_t kept_record = (uint32_t)rng_below(&rng, i % 2 == 0 ? few : kept);

        ck_assert_int_eq(
            vector_index_add(index_, kept_record, points + dim * rng_below(&rng, records)),
            STATUS_OK);
        if (i % 3 == 0 && gone < records - 100) {
            ck_assert_int_eq(vector_index_delete(index_, gone), STATUS_OK);
            gone++;
        }
        (void)vector_index_maintain(index_, 40);
        if (i % 500 == 499)
            ck_assert_int_eq(index_file_save(index_, (uint64_t)i, NULL), STATUS_OK);
    }
}

static void run_beside_readers(enum vector_quant quant, int rounds)
{
    struct vector_index_options options = index_fixture_options(dim, VECTOR_L2);
    pthread_t                   threads[readers];
    uint32_t                    numbers[records];
    void                       *complaint;

    points = index_fixture_points(62, records, dim, 20);
    for (uint32_t i = 0; i < records; i++)
        numbers[i] = i;
    options.graph_min = 1000;
    options.quant = quant;
    index_ = index_fixture_new(&options);
    gone = kept;
    finished = false;
    ck_assert_int_eq(vector_index_add_many(index_, numbers, points, 1500, 2, NULL), STATUS_OK);
    for (uintptr_t i = 0; i < readers; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, (void *)(i + 1)), 0);
    ck_assert_int_eq(
        vector_index_add_many(index_, numbers + 1500, points + 1500 * dim, 1500, 3, NULL),
        STATUS_OK);
    write_for_a_while(rounds);
    finished = true;
    for (int i = 0; i < readers; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &complaint), 0);
        ck_assert_msg(complaint == NULL, "%s", (const char *)complaint);
    }
    while (vector_index_maintain(index_, UINT32_MAX))
        continue;
    (void)vector_index_maintain(index_, UINT32_MAX);
    index_fixture_verify(index_);
    vector_index_free(index_);
    free(points);
}

START_TEST(readers_and_a_writer_do_not_disturb_each_other)
{
    run_beside_readers(VECTOR_QUANT_Q8,
                       (index_fixture_is_slow ? 120 : 2000) * index_fixture_times());
    run_beside_readers(VECTOR_QUANT_Q4, index_fixture_is_slow ? 40 : 700);
}
END_TEST

START_TEST(a_parallel_build_is_as_good)
{
    struct vector_index_options options = index_fixture_options(dim, VECTOR_L2);
    struct vector_search       *search;
    struct vector_search_hit    hit;
    uint32_t                    numbers[records], count;

    points = index_fixture_points(63, records, dim, 20);
    for (uint32_t i = 0; i < records; i++)
        numbers[i] = i;
    options.graph_min = 1000;
    index_ = index_fixture_new(&options);
    ck_assert_int_eq(vector_index_add_many(index_, numbers, points, records, 4, NULL), STATUS_OK);
    index_fixture_verify(index_);
    ck_assert_int_eq(vector_search_new(index_, &search), STATUS_OK);
    for (uint32_t i = 0; i < records; i++) {
        struct vector_search_query query = {.vector = points + dim * i, .k = 1, .ef = 64};

        ck_assert_int_eq(vector_search_run(search, &query, &hit, &count, NULL), STATUS_OK);
        ck_assert(count == 1 && hit.distance <= 1e-6f);
    }
    vector_search_free(search);
    vector_index_free(index_);
    free(points);
}
END_TEST

/* Copies around the query, as many as are measured by, that are dead: the reach is that of the
 * living, so the graph is enough. */
START_TEST(the_dead_shorten_no_reach)
{
    enum { copies = 20, k = 10 };
    struct vector_index_options options = index_fixture_options(dim, VECTOR_L2);
    struct vector_search       *search;

    points = index_fixture_points(64, records, dim, 20);
    options.graph_min = 1000;
    index_ = index_fixture_new(&options);
    for (uint32_t i = 0; i < records - copies; i++)
        ck_assert_int_eq(vector_index_add(index_, i, points + (size_t)i * dim), STATUS_OK);
    for (uint32_t i = records - copies; i < records; i++)
        ck_assert_int_eq(vector_index_add(index_, i, points), STATUS_OK);
    ck_assert_int_eq(vector_search_new(index_, &search), STATUS_OK);
    for (int round = 0; round < 2; round++) {
        struct vector_search_query query = {.vector = points, .k = k, .ef = 45, .reach = 0.1f};
        struct vector_search_hit   hits[k], truth[k];
        struct vector_search_stats stats;
        uint32_t                   count;

        ck_assert_int_eq(vector_search_run(search, &query, hits, &count, &stats), STATUS_OK);
        ck_assert_uint_eq(count, k);
        ck_assert(!stats.scanned);
        query.exact = true;
        ck_assert_int_eq(vector_search_run(search, &query, truth, &count, NULL), STATUS_OK);
        for (int i = 0; i < k; i++)
            ck_assert_float_eq_tol(hits[i].distance, truth[i].distance, 1e-5F);
        for (uint32_t i = records - copies; i < records && round == 0; i++)
            ck_assert_int_eq(vector_index_delete(index_, i), STATUS_OK);
    }
    vector_search_free(search);
    vector_index_free(index_);
    free(points);
}
END_TEST

static uint32_t scored_of(struct vector_search *search, struct vector_search_query query)
{
    struct vector_search_hit   hits[10];
    struct vector_search_stats stats;
    uint32_t                   count;

    query.vector = points;
    query.k = 10;
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, &stats), STATUS_OK);
    ck_assert(!stats.scanned && count == 10);
    return stats.scored;
}

START_TEST(only_a_search_with_a_reach_has_its_width)
{
    struct vector_index_options options = index_fixture_options(dim, VECTOR_L2);
    struct vector_search       *search;
    uint64_t                    all[records / 64 + 1];
    struct vector_search_query  filtered = {
         .ef = 15, .bitmap = all, .bitmap_bits = records, .bitmap_count = records};
    uint32_t narrow, wide;

    memset(all, 0xff, sizeof all);
    options.graph_min = 1000;
    points = index_fixture_points(64, records, dim, 20);
    index_ = index_fixture_new(&options);
    for (uint32_t i = 0; i < records; i++)
        ck_assert_int_eq(vector_index_add(index_, i, points + (size_t)i * dim), STATUS_OK);
    ck_assert_int_eq(vector_search_new(index_, &search), STATUS_OK);
    narrow = scored_of(search, (struct vector_search_query){.ef = 15, .reach = 1000});
    wide = scored_of(search, (struct vector_search_query){.ef = 30, .reach = 1000});
    ck_assert_uint_lt(narrow, wide);
    ck_assert_uint_eq(
        scored_of(search, (struct vector_search_query){.ef = 15, .reach = 1000, .reach_ef = 30}),
        wide);
    ck_assert_uint_eq(
        scored_of(search, (struct vector_search_query){.ef = 30, .reach = 1000, .reach_ef = 15}),
        wide);
    narrow = scored_of(search, filtered);
    filtered.reach = 0.1f;
    filtered.reach_ef = 30;
    ck_assert_uint_eq(scored_of(search, filtered), narrow);
    vector_search_free(search);
    vector_index_free(index_);
    free(points);
}
END_TEST

START_TEST(vectors_that_were_cut_short_are_told)
{
    struct vector_index_options options = index_fixture_options(dim, VECTOR_L2);
    float                       found[dim];
    struct vector_search_query  query = {.vector = found, .k = 10};
    struct vector_search_hit    hits[10];
    struct vector_search       *search;
    uint32_t                    count;
    char                        path[128];

    points = index_fixture_points(1, few, dim, 5);
    index_ = index_fixture_new(&options);
    ck_assert_int_eq(vector_search_new(index_, &search), STATUS_OK);
    for (uint32_t i = 0; i < few; i++)
        ck_assert_int_eq(vector_index_add(index_, i, points + (size_t)i * dim), STATUS_OK);
    memcpy(found, points, sizeof found);
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_OK);
    ck_assert_uint_eq(count, 10);
    snprintf(path, sizeof path, "%s.vectors", index_fixture_path);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_CORRUPT);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(vector_search_get(search, 3, found), STATUS_CORRUPT);
    ck_assert_int_eq(vector_index_add(index_, few, points), STATUS_CORRUPT);
    vector_search_free(search);
    vector_index_free(index_);
    free(points);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("vector_search");

    tcase_set_timeout(tcase, 600);
    tcase_add_checked_fixture(tcase, index_fixture_setup, index_fixture_teardown);
    tcase_add_test(tcase, readers_and_a_writer_do_not_disturb_each_other);
    tcase_add_test(tcase, a_parallel_build_is_as_good);
    tcase_add_test(tcase, the_dead_shorten_no_reach);
    tcase_add_test(tcase, only_a_search_with_a_reach_has_its_width);
    tcase_add_test(tcase, vectors_that_were_cut_short_are_told);
    return check_main("vector_search", tcase);
}
