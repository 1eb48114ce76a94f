/* What must hold: records, memory and disk stay within their bounds, and what is not needed makes
 * room. */
#include "mirror/mirror_records.h"

#include <stdio.h>
#include <sys/stat.h>

#include "mirror/filter.h"
#include "support/check_main.h"
#include "unit/mirror_records_bed.h"

static uint64_t size_of(const char *ending)
{
    char        path[128];
    struct stat state;

    snprintf(path, sizeof path, "%s%s", options_of().path, ending);
    return stat(path, &state) == 0 ? (uint64_t)state.st_size : 0;
}

/* Fill until it is refused, or with so many. Returns how many records there are. */
static uint32_t fill(const struct mirror_records_options *options, bool with_values, uint32_t most)
{
    struct mirror_records_usage usage;
    enum status                 status = STATUS_OK;
    float                       vector[256] = {1};
    uint32_t                    row;

    open_records(options);
    for (unsigned i = 0; status == STATUS_OK && i < most; i++) {
        char            id[32];
        struct contents contents = {.value = {.has_document = true}};

        contents.value.document = (struct bytes){contents.document, TEXT_MAX};
        vector[1] = (float)i;
        status = mirror_records_begin(records);
        if (status == STATUS_OK)
            status = mirror_records_append(
                records, (struct bytes){id, (size_t)snprintf(id, sizeof id, "%u", i)}, &row);
        if (status == STATUS_OK && with_values)
            status = mirror_records_put_value(records, row, &contents.value, NULL);
        if (status == STATUS_OK)
            status = mirror_records_put_vector(records, row, vector, 256);
        if (status == STATUS_OK)
            status = mirror_records_commit(records);
        mirror_records_usage(records, &usage);
        ck_assert(options->memory_max == 0 || usage.memory <= options->memory_max);
        ck_assert(options->disk_max == 0 || usage.disk <= options->disk_max);
        ck_assert_uint_le(size_of(".values") + size_of(".vectors"), usage.disk + 8192);
    }
    ck_assert_int_eq(status, most == UINT32_MAX ? STATUS_LIMIT_REACHED : STATUS_OK);
    return mirror_records_count(records);
}

START_TEST(records_are_bounded)
{
    struct mirror_records_options options = options_of();

    options.records_max = 10;
    ck_assert_uint_eq(fill(&options, true, UINT32_MAX), 10);
}
END_TEST

START_TEST(memory_is_bounded)
{
    struct mirror_records_options options = options_of();
    struct mirror_records_usage   usage;
    float                         vector[256] = {1};
    struct vector_search_query    query = {.vector = vector, .k = 100};
    struct vector_search_hit      hits[100];
    uint32_t                      most, count;

    options.memory_max = 3 << 20;
    /* Half a kilobyte each, at most: mostly the codes. */
    most = fill(&options, false, UINT32_MAX);
    ck_assert_uint_gt(most, 6000);
    mirror_records_usage(records, &usage);
    ck_assert_uint_gt(usage.memory, options.memory_max * 8 / 10);
    ck_assert_uint_gt(usage.index, 0);
    ck_assert_uint_gt(usage.ids, 0);
    close_records();
    /* As full as it can be, it can be read. */
    fill(&options, false, most - 1);
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_search(reader, &query, hits, &count), STATUS_OK);
    ck_assert_uint_eq(count, 100);
    check_filter(0, &(struct plain){.count = 0}, BYTES_LITERAL("{\"n\":1}"), (struct bytes){0});
    mirror_reader_end(reader);
    mirror_records_usage(records, &usage);
    ck_assert_uint_le(usage.memory, options.memory_max);
}
END_TEST

START_TEST(one_change_keeps_to_the_memory)
{
    struct mirror_records_options options = options_of();
    struct mirror_records_usage   usage;
    enum status                   status = STATUS_OK;
    uint32_t                      row;

    options.memory_max = 1 << 20;
    open_records(&options);
    begin();
    for (unsigned i = 0; status == STATUS_OK; i++) {
        char            id[32];
        struct contents contents = {.value = {.has_document = true}};

        contents.value.document = (struct bytes){contents.document, TEXT_MAX};
        status = mirror_records_append(
            records, (struct bytes){id, (size_t)snprintf(id, sizeof id, "%u", i)}, &row);
        if (status == STATUS_OK)
            status = mirror_records_put_value(records, row, &contents.value, NULL);
        if (status == STATUS_OK)
            status = mirror_records_put_vector(records, row, vector_of(i, i), DIMENSION);
        mirror_records_usage(records, &usage);
        ck_assert_uint_le(usage.memory, options.memory_max - options.memory_max / 16);
    }
    ck_assert_int_eq(status, STATUS_LIMIT_REACHED);
    /* What waits to be written is no part of it that grows. */
    ck_assert_uint_gt(mirror_records_count(records), 1000);
}
END_TEST

/* Without idle work the dead would take all of it. */
START_TEST(what_is_replaced_makes_room)
{
    struct mirror_records_options options = options_of();
    float                         vector[256] = {1};

    options.memory_max = 3 << 20;
    fill(&options, false, 300);
    for (unsigned round = 0; round < 100; round++) {
        begin();
        for (uint32_t row = 0; row < 300; row++) {
            vector[0] = (float)(row + round);
            ck_assert_int_eq(mirror_records_put_vector(records, row, vector, 256), STATUS_OK);
        }
        commit();
    }
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_vector(reader, 299, vector), STATUS_OK);
    ck_assert_float_eq(vector[0], 299 + 99);
    mirror_reader_end(reader);
}
END_TEST

/* What columns keep of documents for speed goes before records are refused. */
START_TEST(what_is_only_fast_makes_room)
{
    struct mirror_records_options options = options_of();
    struct mirror_records_usage   usage = {0};
    uint64_t                      before = 0;
    unsigned                      count = 0;
    const char                   *reason;
    struct filter                *filter;
    const uint64_t               *bitmap;
    uint32_t                      bits, matches;

    options.memory_max = 2 << 20;
    open_records(&options);
    while (usage.columns >= before / 2) {
        struct contents contents = {.value = {.has_document = true}};
        char            id[32];
        float           vector[256] = {(float)count};
        uint32_t        row;

        before = usage.columns;
        contents.value.document = count % 3 == 0 ? BYTES_LITERAL("this one has it")
                                                 : BYTES_LITERAL("and this one has not");
        begin();
        ck_assert_int_eq(
            mirror_records_append(
                records, (struct bytes){id, (size_t)snprintf(id, sizeof id, "%u", count)}, &row),
            STATUS_OK);
        ck_assert_int_eq(mirror_records_put_value(records, row, &contents.value, NULL), STATUS_OK);
        ck_assert_int_eq(mirror_records_put_vector(records, row, vector, 256), STATUS_OK);
        commit();
        count++;
        mirror_records_usage(records, &usage);
        ck_assert_uint_le(usage.memory, options.memory_max);
    }
    ck_assert_uint_gt(count, 1000);
    ck_assert_int_eq(filter_new((struct bytes){0}, BYTES_LITERAL("{\"$contains\":\"has it\"}"),
                                &filter, &reason),
                     STATUS_OK);
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_filter(reader, filter, &bitmap, &bits, &matches), STATUS_OK);
    ck_assert_uint_eq(matches, (count + 2) / 3);
    mirror_reader_end(reader);
    filter_free(filter);
}
END_TEST

START_TEST(disk_is_bounded)
{
    struct mirror_records_options options = options_of();

    options.disk_max = 16 << 20;
    /* One segment of vectors takes 4 MiB. */
    ck_assert_uint_gt(fill(&options, true, UINT32_MAX), 1200);
    close_records();
    /* There is room for one of them, and some. */
    options.disk_max = 6 << 20;
    ck_assert_uint_eq(fill(&options, false, UINT32_MAX), 4097);
}
END_TEST

START_TEST(space_of_removed_records_is_used_again)
{
    struct mirror_records_options options = options_of();
    struct mirror_records_usage   usage;
    uint64_t                      memory = 0, disk = 0;
    uint32_t                      row;

    open_records(&options);
    for (unsigned round = 0; round < 60; round++) {
        begin();
        for (unsigned i = 0; i < 50; i++)
            put_value(append(i), i, round);
        commit();
        begin();
        for (unsigned i = 0; i < 50; i++) {
            ck_assert_int_eq(mirror_records_find(records, id_of(i), &row), STATUS_OK);
            ck_assert_uint_lt(row, 50);
            ck_assert_int_eq(mirror_records_remove(records, row), STATUS_OK);
        }
        commit();
        mirror_records_usage(records, &usage);
        if (round == 20) {
            memory = usage.memory;
            disk = usage.disk;
        }
    }
    ck_assert_uint_le(usage.disk, disk + disk / 2);
    ck_assert_uint_le(usage.memory, memory + memory / 4);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_records_limits");

    tcase_add_checked_fixture(tcase, mirror_records_bed_setup, mirror_records_bed_teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, records_are_bounded);
    tcase_add_test(tcase, memory_is_bounded);
    tcase_add_test(tcase, one_change_keeps_to_the_memory);
    tcase_add_test(tcase, what_is_replaced_makes_room);
    tcase_add_test(tcase, what_is_only_fast_makes_room);
    tcase_add_test(tcase, disk_is_bounded);
    tcase_add_test(tcase, space_of_removed_records_is_used_again);
    return check_main("mirror_records_limits", tcase);
}
