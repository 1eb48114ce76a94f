/* What must hold: whatever is deleted and replaced, nobody alive is lost, recall stays, slots,
 * memory and file space are used again. */
#include "index/hnsw_repair.h"

#include "support/check_main.h"
#include "support/index_fixture.h"

enum { dim = 32 };

static struct vector_index_options options;
static struct vector_index        *index_;
static struct vector_search       *search;
static struct index_model          model;
static struct rng                  rng;

static void start(uint32_t records)
{
    index_fixture_setup();
    options = index_fixture_options(dim, VECTOR_L2);
    options.graph_min = 500;
    index_ = index_fixture_new(&options);
    ck_assert_int_eq(vector_search_new(index_, &search), STATUS_OK);
    model = index_model_new(VECTOR_L2, dim, records);
    rng_init(&rng, 31);
}

static void stop(void)
{
    vector_search_free(search);
    vector_index_free(index_);
    index_model_done(&model);
    index_fixture_teardown();
}

static void add_point(uint32_t record)
{
    float point[dim];

    index_fixture_point(&rng, dim, 40, point);
    index_model_add(&model, index_, record, point);
}

static void settle(void)
{
    while (vector_index_maintain(index_, UINT32_MAX))
        continue;
    (void)vector_index_maintain(index_, UINT32_MAX);
    index_fixture_verify(index_);
}

/* Each live record, asked for by its own vector, must come first (or an equal one). */
static void find_all(uint32_t step)
{
    for (uint32_t i = 0; i < model.records; i += step) {
        struct vector_search_query query = {
            .vector = model.vectors + (size_t)i * dim, .k = 1, .ef = 100};
        struct vector_search_hit hit;
        uint32_t                 count;

        if (!model.is_live[i])
            continue;
        ck_assert_int_eq(vector_search_run(search, &query, &hit, &count, NULL), STATUS_OK);
        ck_assert_uint_eq(count, 1);
        ck_assert_msg(hit.distance <= 1e-5f, "record %u is not found, but %u at %g", i, hit.record,
                      (double)hit.distance);
    }
}

static double mean_recall(int searches, uint32_t ef)
{
    uint32_t good = 0, wanted = 0;

    for (int i = 0; i < searches; i++) {
        float                      point[dim];
        struct vector_search_query query = {.vector = point, .k = 10, .ef = ef};
        uint32_t                   part;

        index_fixture_point(&rng, dim, 40, point);
        good += index_model_search(&model, search, &query, &part);
        wanted += part;
    }
    return (double)good / wanted;
}

/* The recipe of chroma-core/chroma issue 7758: live records could no longer be found. */
START_TEST(records_stay_findable_after_half_is_deleted_and_a_third_replaced)
{
    start(4000);
    for (uint32_t i = 0; i < 4000; i++)
        add_point(i);
    for (uint32_t i = 0; i < 4000; i += 2) {
        index_model_delete(&model, index_, i);
        (void)vector_index_maintain(index_, 8);
    }
    find_all(1);
    for (uint32_t i = 0; i < 1200; i++) {
        add_point((uint32_t)rng_below(&rng, 4000));
        (void)vector_index_maintain(index_, 8);
    }
    find_all(1);
    settle();
    find_all(1);
    stop();
}
END_TEST

START_TEST(recall_stays_through_ten_rounds_of_replacement)
{
    const uint32_t             records = index_fixture_is_slow ? 1500 : 3000;
    struct vector_index_memory memory;
    double                     before, after;

    start(records);
    for (uint32_t i = 0; i < records; i++)
        add_point(i);
    before = mean_recall(150, 64);
    for (int round = 0; round < 10; round++)
        for (uint32_t i = 0; i < records / 5; i++) {
            add_point((uint32_t)rng_below(&rng, records));
            (void)vector_index_maintain(index_, 32);
        }
    after = mean_recall(150, 64);
    ck_assert_msg(after >= before - 0.003, "%g, and before %g", after, before);
    settle();
    vector_index_memory(index_, &memory);
    ck_assert_uint_lt(memory.used, (uint64_t)records * 400 + 400000);
    find_all(1);
    stop();
}
END_TEST

START_TEST(clusters_deleted_whole_leave_the_rest_in_reach)
{
    start(4000);
    for (uint32_t i = 0; i < 4000; i++) {
        float point[dim];

        /* Records of one cluster have one residue. */
        index_fixture_point(&rng, dim, 1, point);
        for (uint32_t d = 0; d < dim; d++)
            point[d] += (float)((i % 20) * (d % 3 + 1));
        index_model_add(&model, index_, i, point);
    }
    for (uint32_t cluster = 0; cluster < 20; cluster += 2) {
        for (uint32_t i = cluster; i < 4000; i += 20)
            index_model_delete(&model, index_, i);
        find_all(37);
        while (vector_index_maintain(index_, 50))
            continue;
        find_all(11);
    }
    settle();
    find_all(1);
    stop();
}
END_TEST

START_TEST(the_entry_may_be_deleted_again_and_again)
{
    start(1500);
    for (uint32_t i = 0; i < 1500; i++)
        add_point(i);
    /* The highest levels go first: every entry is among them. */
    for (int level = 12; level >= 1; level--)
        for (uint32_t i = 0; i < 1500; i++)
            if (model.is_live[i] && hnsw_level(options.seed, i, 16) >= level) {
                index_model_delete(&model, index_, i);
                find_all(211);
                (void)vector_index_maintain(index_, 100);
            }
    settle();
    find_all(1);
    stop();
}
END_TEST

START_TEST(a_window_that_slides_uses_slots_and_file_space_again)
{
    struct vector_index_memory memory;

    start(20000);
    for (uint32_t i = 0; i < 6000; i++) {
        add_point(i);
        if (i >= 2000)
            index_model_delete(&model, index_, i - 2000);
        (void)vector_index_maintain(index_, 80);
    }
    settle();
    find_all(1);
    vector_index_memory(index_, &memory);
    ck_assert_uint_eq(memory.vectors, 2000);
    ck_assert_uint_lt(memory.used, 2000 * 400 + 400000);
    ck_assert_uint_le(memory.file_bytes, (uint64_t)5 * 4096 * 128);
    stop();
}
END_TEST

START_TEST(deleting_all_and_filling_again_begins_anew)
{
    struct vector_index_memory memory;

    start(3000);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 3000; i++)
            add_point(i);
        find_all(7);
        for (uint32_t i = 0; i < 3000; i++)
            index_model_delete(&model, index_, i);
        ck_assert_uint_eq(vector_index_count(index_), 0);
        settle();
        vector_index_memory(index_, &memory);
        ck_assert_uint_eq(memory.dead, 0);
        ck_assert_uint_lt(memory.used, 250000);
    }
    stop();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("hnsw_repair");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, records_stay_findable_after_half_is_deleted_and_a_third_replaced);
    tcase_add_test(tcase, recall_stays_through_ten_rounds_of_replacement);
    tcase_add_test(tcase, clusters_deleted_whole_leave_the_rest_in_reach);
    tcase_add_test(tcase, the_entry_may_be_deleted_again_and_again);
    tcase_add_test(tcase, a_window_that_slides_uses_slots_and_file_space_again);
    tcase_add_test(tcase, deleting_all_and_filling_again_begins_anew);
    return check_main("hnsw_repair", tcase);
}
