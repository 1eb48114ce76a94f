/* What must hold: whatever is deleted and replaced, nobody alive is lost, recall stays, slots,
 * memory and file space are used again. */
#include "index/hnsw_repair.h"

#include <errno.h>

#include "index/index_file.h"
#include "index/vector_index_core.h"
#include "support/check_main.h"
#include "support/index_fixture.h"

enum { dim = 32 };

static struct vector_index_options options;
static struct vector_index        *index_;
static struct vector_search       *search;
static struct index_model          model;
static struct rng                  rng;

static void set_options(uint32_t graph_min, uint32_t m)
{
    index_fixture_setup();
    options = index_fixture_options(dim, VECTOR_L2);
    options.graph_min = graph_min;
    options.m = m;
}

static void open_index(uint32_t records)
{
    index_ = index_fixture_new(&options);
    ck_assert_int_eq(vector_search_new(index_, &search), STATUS_OK);
    model = index_model_new(VECTOR_L2, dim, records);
    rng_init(&rng, 31);
}

static void start(uint32_t records)
{
    set_options(500, 16);
    open_index(records);
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

static void add_many_of(uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        add_point(i);
}

static void delete_many(uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        index_model_delete(&model, index_, i);
}

static void reload(void)
{
    struct error error = {.text = ""};
    uint64_t     sequence;

    ck_assert_int_eq(index_file_save(index_, 1, NULL), STATUS_OK);
    vector_search_free(search);
    vector_index_free(index_);
    ck_assert_msg(index_file_load(&options, &index_, &sequence, &error) == STATUS_OK, "%s",
                  error.text);
    ck_assert_int_eq(vector_search_new(index_, &search), STATUS_OK);
}

static void reach_phase(enum hnsw_repair_phase phase)
{
    for (int i = 0; i < 100000 && index_->repair.phase != phase; i++)
        (void)vector_index_maintain(index_, 1);
    ck_assert_int_eq(index_->repair.phase, phase);
}

START_TEST(what_is_saved_in_any_phase_of_a_repair_can_be_loaded)
{
    for (int phase = REPAIR_LISTS; phase <= REPAIR_FREE; phase++) {
        start(600);
        add_many_of(0, 600);
        delete_many(0, 200);
        reach_phase((enum hnsw_repair_phase)phase);
        if (phase == REPAIR_FREE)
            (void)vector_index_maintain(index_, 50);
        (void)index_fixture_verify(index_);
        reload();
        find_all(1);
        settle();
        add_many_of(0, 200);
        settle();
        find_all(1);
        stop();
    }
}
END_TEST

START_TEST(an_index_that_lost_its_graph_with_the_dead_still_there_can_be_loaded)
{
    start(1000);
    add_many_of(0, 1000);
    delete_many(0, 1000);
    reach_phase(REPAIR_LISTS);
    ck_assert(index_->graph.entry == 0 && index_->slots.dead == 1000);
    reload();
    settle();
    add_many_of(0, 1000);
    find_all(1);
    stop();
}
END_TEST

START_TEST(emptying_in_small_steps_gives_memory_back_once_the_repair_is_over)
{
    set_options(10000, 16);
    open_index(200);
    add_many_of(0, 200);
    delete_many(100, 200);
    settle();
    delete_many(0, 100); /* the repair stops at slot 99, long before the end */
    while (vector_index_maintain(index_, 1))
        if (index_->repair.phase != REPAIR_IDLE)
            ck_assert_uint_eq(index_->slots.used, 200);
    ck_assert_uint_eq(index_->slots.used, 0);
    settle();
    add_many_of(0, 200);
    find_all(1);
    stop();
}
END_TEST

/* 120 points far from all others, more than a search on the way in has in its pool. */
static void add_cluster(uint32_t first)
{
    for (uint32_t i = first; i < first + 120; i++) {
        float point[dim];

        index_fixture_point(&rng, dim, 1, point);
        for (uint32_t d = 0; d < dim; d++)
            point[d] += 5;
        index_model_add(&model, index_, i, point);
    }
}

START_TEST(a_cluster_that_was_deleted_and_comes_back_is_found)
{
    start(1120);
    add_many_of(0, 1000);
    add_cluster(1000);
    delete_many(1000, 1120);
    add_cluster(1000);
    find_all(1);
    /* While a repair takes the old one out, too. */
    delete_many(0, 300);
    delete_many(1000, 1120);
    reach_phase(REPAIR_LISTS);
    add_cluster(1000);
    (void)index_fixture_verify(index_);
    find_all(1);
    for (int i = 0; i < 40; i++) {
        (void)vector_index_maintain(index_, 40);
        add_point((uint32_t)i);
        find_all(11);
    }
    settle();
    find_all(1);
    stop();
}
END_TEST

static uint32_t without_link(void)
{
    struct vector_index_report report;
    struct error               error = {.text = ""};

    ck_assert_msg(vector_index_verify(index_, &report, &error) == STATUS_OK, "%s", error.text);
    return report.in_degree_0;
}

/* Identical vectors make lists full of last links, and circles of lists without room. */
START_TEST(no_slot_ever_loses_its_last_link)
{
    static const uint32_t ms[] = {4, 5, 6, 16};
    const float           point[dim] = {1, 2};

    for (int i = 0; i < 8; i++) {
        set_options(20, ms[i % 4]);
        options.ef_construction = 50;
        options.seed = (uint64_t)i;
        open_index(400);
        rng_init(&rng, (uint64_t)i);
        for (int round = 0; round < 2; round++) {
            for (uint32_t r = 0; r < 400; r++) {
                if (model.is_live[r])
                    continue;
                index_model_add(&model, index_, r, point);
                if (r % 8 == 0 || r > 380)
                    ck_assert_uint_eq(without_link(), 0);
            }
            for (uint32_t r = 0; r < 400; r++)
                if (rng_below(&rng, 2) == 0)
                    index_model_delete(&model, index_, r);
            while (vector_index_maintain(index_, 16))
                ck_assert_uint_eq(without_link(), 0);
            settle();
        }
        stop();
    }
}
END_TEST

/* Identical vectors, some of which cannot be reached until that is checked. */
static void make_unreachable(void)
{
    const float                point[dim] = {1, 2};
    struct vector_index_report report;
    struct error               error;

    set_options(20, 16);
    options.ef_construction = 50;
    open_index(1000);
    for (uint32_t i = 0; i < 1000; i++)
        index_model_add(&model, index_, i, point);
    for (uint32_t i = 0; i < 1000; i++)
        if (rng_below(&rng, 2) == 0)
            index_model_delete(&model, index_, i);
    settle();
    for (uint32_t i = 0; i < 1000; i++)
        if (!model.is_live[i])
            index_model_add(&model, index_, i, point);
    ck_assert_int_eq(vector_index_verify(index_, &report, &error), STATUS_OK);
    ck_assert_uint_gt(report.unreachable, 0);
}

START_TEST(what_awaits_a_check_awaits_it_after_loading_too)
{
    make_unreachable();
    reload();
    (void)vector_index_maintain(index_, 100);
    (void)index_fixture_verify(index_);
    stop();
}
END_TEST

/* The last allocation of vector_index_add_many() is that of the check. */
START_TEST(a_check_without_memory_is_made_up_for)
{
    const uint32_t count = 800;
    float         *points = index_fixture_points(33, count, dim, 10);
    uint32_t      *records = malloc(count * sizeof *records);
    int64_t        calls = 1 << 20;

    ck_assert_ptr_nonnull(records);
    for (uint32_t i = 0; i < count; i++)
        records[i] = i;
    for (int i = 0; i < 2; i++) {
        start(count);
        vector_index_fail_allocation(index_, calls);
        ck_assert_int_eq(vector_index_add_many(index_, records, points, count, 1, NULL), STATUS_OK);
        ck_assert_uint_eq(index_->linked_since_check, i == 0 ? 0 : count);
        calls = (1 << 20) - atomic_load(&index_->memory.countdown) - 1;
        vector_index_fail_allocation(index_, -1);
        (void)vector_index_maintain(index_, 1);
        ck_assert_uint_eq(index_->linked_since_check, 0);
        stop();
    }
    free(points);
    free(records);
}
END_TEST

START_TEST(who_adds_many_has_all_reached_in_the_end)
{
    for (int i = 0; i < 2; i++) {
        make_unreachable();
        index_->linked_since_check = i == 0 ? 1 : index_->linked_since_check;
        ck_assert_int_eq(vector_index_link(index_, i == 0), STATUS_OK);
        ck_assert_uint_eq(index_->linked_since_check, 0);
        (void)index_fixture_verify(index_); /* nobody is lost */
        stop();
    }
}
END_TEST

/* Before the last it is done when a 16th is new. */
START_TEST(who_adds_many_has_them_checked_now_and_then)
{
    uint32_t checks = 0, since = 0;

    start(1000);
    add_many_of(0, 800);
    ck_assert_int_eq(vector_index_link(index_, true), STATUS_OK);
    for (uint32_t i = 800; i < 1000; i++) {
        add_point(i);
        since++;
        ck_assert_int_eq(vector_index_link(index_, false), STATUS_OK);
        if (index_->linked_since_check == 0) {
            ck_assert_uint_eq(since, (i + 1) / 16 + 1);
            checks++;
            since = 0;
        }
        ck_assert_uint_eq(index_->linked_since_check, since);
    }
    ck_assert_uint_eq(checks, 3);
    stop();
}
END_TEST

/* Those that were there before there was a graph are linked a few with each add, else. */
START_TEST(who_has_added_many_has_a_graph)
{
    struct vector_index_memory memory;

    start(600);
    add_many_of(0, 510);
    ck_assert_int_eq(vector_index_link(index_, false), STATUS_OK);
    vector_index_memory(index_, &memory);
    ck_assert(!memory.is_graph && memory.waiting > 400);
    ck_assert_int_eq(vector_index_link(index_, true), STATUS_OK);
    vector_index_memory(index_, &memory);
    ck_assert(memory.is_graph && memory.waiting == 0);
    ck_assert_uint_eq(index_->linked_since_check, 0);
    find_all(1);
    stop();
    /* Fewer than a graph has wait for more. */
    start(600);
    add_many_of(0, 400);
    ck_assert_int_eq(vector_index_link(index_, true), STATUS_OK);
    vector_index_memory(index_, &memory);
    ck_assert(!memory.is_graph && memory.waiting == 400);
    find_all(1);
    stop();
}
END_TEST

START_TEST(who_has_added_many_is_told_that_they_are_not_checked)
{
    start(800);
    add_many_of(0, 800);
    ck_assert_uint_gt(index_->linked_since_check, 800 / 16);
    vector_index_fail_allocation(index_, 0);
    ck_assert_int_eq(vector_index_link(index_, false), STATUS_OK);
    ck_assert_uint_gt(index_->linked_since_check, 0);
    vector_index_fail_allocation(index_, 0);
    ck_assert_int_eq(vector_index_link(index_, true), STATUS_NO_MEMORY);
    ck_assert_uint_gt(index_->linked_since_check, 0);
    ck_assert_int_eq(vector_index_link(index_, true), STATUS_OK);
    ck_assert_uint_eq(index_->linked_since_check, 0);
    stop();
}
END_TEST

START_TEST(what_came_after_the_graph_went_is_not_searched_in_a_graph)
{
    struct vector_index_memory memory;

    start(1000);
    add_many_of(0, 600);
    settle();
    vector_index_memory(index_, &memory);
    ck_assert(memory.is_graph);
    delete_many(0, 600);
    (void)vector_index_maintain(index_, 1);
    add_many_of(0, 450); /* fewer than a graph has */
    vector_index_memory(index_, &memory);
    ck_assert(!memory.is_graph && memory.waiting == 450);
    add_many_of(450, 1000);
    settle();
    vector_index_memory(index_, &memory);
    ck_assert(memory.is_graph && memory.waiting == 0);
    find_all(1);
    stop();
}
END_TEST

START_TEST(upper_lists_are_used_again_after_loading)
{
    uint32_t most = 0;

    set_options(100, 4);
    options.ef_construction = 16;
    open_index(1200);
    add_many_of(0, 600);
    for (uint32_t cycle = 0; cycle < 6; cycle++) {
        uint32_t here = cycle % 2 * 600, there = 600 - here;

        /* Other records have other levels. */
        delete_many(here + 20, here + 600);
        settle();
        reload();
        delete_many(here, here + 20);
        add_many_of(there, there + 600);
        settle();
        if (cycle == 1)
            most = index_->graph.upper_used;
    }
    ck_assert_uint_le(index_->graph.upper_used, most + 20);
    find_all(1);
    stop();
}
END_TEST

/* Three segments of the file, of which two are sparse. */
static void make_sparse(void)
{
    set_options(100000, 16);
    open_index(3 * vector_file_segment_rows);
    for (uint32_t i = 0; i < model.records; i++)
        index_model_add(&model, index_, i, (float[dim]){(float)i});
    for (uint32_t i = 0; i < 2 * vector_file_segment_rows; i++)
        if (i % 4 != 0)
            index_model_delete(&model, index_, i);
}

START_TEST(small_steps_give_file_space_back_too)
{
    uint32_t segment;
    int      calls = 0;

    make_sparse();
    while (vector_index_maintain(index_, 63))
        ck_assert_int_lt(calls++, 1000);
    ck_assert(!vector_file_find_sparse(&index_->file, &segment));
    (void)index_fixture_verify(index_);
    stop();
}
END_TEST

static int writes_refused;

static ssize_t refuse_write(int fd, const void *data, size_t size, off_t offset)
{
    (void)fd;
    (void)data;
    (void)size;
    (void)offset;
    writes_refused++;
    return errno = ENOSPC, -1;
}

START_TEST(a_full_disk_ends_the_emptying_of_segments)
{
    uint32_t segment;

    make_sparse();
    index_fixture_ops.pwrite = refuse_write;
    writes_refused = 0;
    for (int i = 0; i < 3; i++)
        ck_assert(!vector_index_maintain(index_, 1 << 20));
    ck_assert(writes_refused > 0 && writes_refused <= 3);
    index_fixture_ops.pwrite = file_ops_system.pwrite;
    settle();
    ck_assert(!vector_file_find_sparse(&index_->file, &segment));
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
    tcase_add_test(tcase, what_is_saved_in_any_phase_of_a_repair_can_be_loaded);
    tcase_add_test(tcase, an_index_that_lost_its_graph_with_the_dead_still_there_can_be_loaded);
    tcase_add_test(tcase, emptying_in_small_steps_gives_memory_back_once_the_repair_is_over);
    tcase_add_test(tcase, a_cluster_that_was_deleted_and_comes_back_is_found);
    tcase_add_test(tcase, no_slot_ever_loses_its_last_link);
    tcase_add_test(tcase, what_awaits_a_check_awaits_it_after_loading_too);
    tcase_add_test(tcase, a_check_without_memory_is_made_up_for);
    tcase_add_test(tcase, who_adds_many_has_all_reached_in_the_end);
    tcase_add_test(tcase, who_adds_many_has_them_checked_now_and_then);
    tcase_add_test(tcase, who_has_added_many_has_a_graph);
    tcase_add_test(tcase, who_has_added_many_is_told_that_they_are_not_checked);
    tcase_add_test(tcase, what_came_after_the_graph_went_is_not_searched_in_a_graph);
    tcase_add_test(tcase, upper_lists_are_used_again_after_loading);
    tcase_add_test(tcase, small_steps_give_file_space_back_too);
    tcase_add_test(tcase, a_full_disk_ends_the_emptying_of_segments);
    return check_main("hnsw_repair", tcase);
}
