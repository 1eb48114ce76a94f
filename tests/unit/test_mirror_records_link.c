/* What must hold: whoever adds many vectors page by page has them linked, now and then while they
 * come and for certain in the end. */
#include "mirror/mirror_records.h"

#include <stdio.h>
#include <string.h>

#include "index/vector_index_core.h"
#include "mirror/mirror_records_core.h"
#include "support/check_main.h"
#include "support/index_fixture.h"
#include "unit/mirror_records_bed.h"

/* Records `first` and on, as one page puts them. */
static void put_page(unsigned first, unsigned count)
{
    uint32_t rows[64];
    float    vectors[64 * DIMENSION];

    ck_assert_uint_le(count, 64);
    begin();
    for (unsigned i = 0; i < count; i++) {
        char         id[32];
        struct bytes bytes = {id, (size_t)snprintf(id, sizeof id, "%u", first + i)};

        ck_assert_int_eq(mirror_records_append(records, bytes, &rows[i]), STATUS_OK);
        memcpy(&vectors[i * DIMENSION], vector_of(first + i, 1), DIMENSION * sizeof *vectors);
    }
    ck_assert_int_eq(mirror_records_put_vectors(records, rows, vectors, count, DIMENSION),
                     STATUS_OK);
    commit();
}

/* To look at the whole graph after each page would take longer than all that is put. */
START_TEST(pages_have_the_graph_looked_at_now_and_then)
{
    enum { RECORDS = vector_index_graph_min + 4000, PAGE = 16 };

    struct mirror_records_options options = options_of();
    struct vector_index_memory    memory;
    struct vector_index_report    report;
    unsigned                      checks = 0;
    uint32_t                      since = 0;

    open_records(&options);
    for (unsigned first = 0; first < RECORDS; first += PAGE) {
        put_page(first, PAGE);
        if (records->index->linked_since_check < since)
            checks++;
        since = records->index->linked_since_check;
        ck_assert_uint_le(since, (first + PAGE) / 16);
    }
    ck_assert_uint_gt(checks, 5);
    ck_assert_uint_lt(checks, 50);
    put_page(RECORDS, 1);
    ck_assert_uint_gt(records->index->linked_since_check, 0);
    begin();
    ck_assert_int_eq(mirror_records_link(records), STATUS_OK);
    commit();
    ck_assert_uint_eq(records->index->linked_since_check, 0);
    vector_index_memory(records->index, &memory);
    ck_assert(memory.is_graph && memory.waiting == 0);
    ck_assert_int_eq(vector_index_verify(records->index, &report, NULL), STATUS_OK);
    ck_assert_uint_eq(report.unreachable, 0);
}
END_TEST

/* Fill with vectors until it is refused, or so many. Returns how many records there are. */
static uint32_t fill_vectors(const struct mirror_records_options *options, uint32_t most)
{
    enum status status = STATUS_OK;
    uint32_t    row;

    open_records(options);
    for (unsigned i = 0; status == STATUS_OK && i < most; i++) {
        char         id[32];
        struct bytes bytes = {id, (size_t)snprintf(id, sizeof id, "%u", i)};
        float        vector[4] = {(float)i, (float)(i % 100), (float)(i % 7), 1};

        status = mirror_records_begin(records);
        if (status == STATUS_OK)
            status = mirror_records_append(records, bytes, &row);
        if (status == STATUS_OK)
            status = mirror_records_put_vectors(records, &row, vector, 1, 4);
        if (status == STATUS_OK)
            status = mirror_records_commit(records);
    }
    return mirror_records_count(records);
}

/* What looking at the graph takes may be of what is kept for readers. */
START_TEST(what_is_as_full_as_it_can_be_is_linked)
{
    struct mirror_records_options options = options_of();
    struct mirror_records_usage   usage;
    uint32_t                      most;

    options.memory_max = 4 << 20;
    most = fill_vectors(&options, UINT32_MAX);
    ck_assert_uint_gt(most, vector_index_graph_min);
    close_records();
    fill_vectors(&options, most - 1);
    records->index->linked_since_check = 1;
    begin();
    ck_assert_int_eq(mirror_records_link(records), STATUS_OK);
    ck_assert_uint_eq(records->index->linked_since_check, 0);
    commit();
    mirror_records_usage(records, &usage);
    ck_assert_uint_le(usage.memory, options.memory_max);
}
END_TEST

START_TEST(what_cannot_be_looked_at_is_told)
{
    struct mirror_records_options options = options_of();

    ck_assert_uint_eq(fill_vectors(&options, vector_index_graph_min), vector_index_graph_min);
    begin();
    ck_assert_int_eq(mirror_records_link(records), STATUS_OK);
    records->index->linked_since_check = 1;
    vector_index_fail_allocation(records->index, 0);
    ck_assert_int_eq(mirror_records_link(records), STATUS_NO_MEMORY);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_records_link");

    tcase_add_checked_fixture(tcase, mirror_records_bed_setup, mirror_records_bed_teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, pages_have_the_graph_looked_at_now_and_then);
    tcase_add_test(tcase, what_is_as_full_as_it_can_be_is_linked);
    tcase_add_test(tcase, what_cannot_be_looked_at_is_told);
    return check_main("mirror_records_link", tcase);
}
