/* What must hold: what was damaged on disk is told and never given, and what the system refuses is
 * a status. */
#include "mirror/mirror_records.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/check_main.h"
#include "unit/mirror_records_bed.h"

/* ---- Damage ---------------------------------------------------------------------------------- */

enum { FEW = 20 };

static void fill_few(void)
{
    struct mirror_records_options options = options_of();

    open_records(&options);
    begin();
    for (unsigned i = 0; i < FEW; i++) {
        uint32_t row = append(i);

        put_value(row, i, 0);
        ck_assert_int_eq(mirror_records_put_vector(records, row, vector_of(i, 0), DIMENSION),
                         STATUS_OK);
    }
    commit();
}

/* How many vectors are said to be damaged; others are right, and so are those that are found. */
static unsigned count_damaged_vectors(void)
{
    float                      vector[DIMENSION], asked[DIMENSION] = {50, 50, 50, 50, 50};
    struct vector_search_query query = {.vector = asked, .k = 3};
    struct vector_search_hit   hits[3];
    unsigned                   damaged = 0;
    uint32_t                   count;
    enum status                status;

    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    for (uint32_t row = 0; row < FEW; row++) {
        status = mirror_reader_vector(reader, row, vector);
        if (status == STATUS_OK)
            ck_assert_mem_eq(vector, vector_of(row, 0), sizeof vector);
        else
            ck_assert_int_eq(status, STATUS_CORRUPT);
        damaged += status != STATUS_OK;
    }
    status = mirror_reader_search(reader, &query, hits, &count);
    ck_assert(status == STATUS_OK || (status == STATUS_CORRUPT && damaged > 0));
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        const float *put = vector_of(hits[i].record, 0);
        float        distance = 0;

        for (unsigned j = 0; j < DIMENSION; j++)
            distance += (put[j] - 50) * (put[j] - 50);
        ck_assert_float_eq(hits[i].distance, distance);
    }
    mirror_reader_end(reader);
    return damaged;
}

START_TEST(a_damaged_byte_of_vectors_is_told)
{
    enum { HEAD = 4096, STRIDE = 64 };
    char path[128];
    int  file;

    fill_few();
    snprintf(path, sizeof path, "%s.vectors", options_of().path);
    file = open(path, O_RDWR);
    ck_assert_int_ge(file, 0);
    for (off_t at = HEAD - 8; at < HEAD + FEW * STRIDE; at++) {
        bool is_used = at >= HEAD && (size_t)(at - HEAD) % STRIDE < sizeof(float[DIMENSION]);
        unsigned char byte, damaged;

        ck_assert_int_eq(pread(file, &byte, 1, at), 1);
        damaged = byte ^ (unsigned char)(1 << at % 8);
        ck_assert_int_eq(pwrite(file, &damaged, 1, at), 1);
        ck_assert_uint_eq(count_damaged_vectors(), is_used);
        ck_assert_int_eq(pwrite(file, &byte, 1, at), 1);
    }
    close(file);
    ck_assert_uint_eq(count_damaged_vectors(), 0);
}
END_TEST

/* It is mapped. */
START_TEST(vectors_that_were_cut_short_are_told)
{
    char     path[128];
    uint32_t row;

    fill_few();
    snprintf(path, sizeof path, "%s.vectors", options_of().path);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_uint_eq(count_damaged_vectors(), FEW);
    begin();
    row = append(FEW);
    ck_assert_int_eq(mirror_records_put_vector(records, row, vector_of(1, 1), DIMENSION),
                     STATUS_CORRUPT);
}
END_TEST

/* ---- What the system refuses ----------------------------------------------------------------- */

START_TEST(a_folder_that_is_not_there_is_told)
{
    struct mirror_records_options options = options_of();
    struct error                  error = {.text = ""};

    options.path = "/nowhere/at/all";
    ck_assert_int_eq(mirror_records_new(&options, &records, &error), STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.text, "/nowhere/at/all.values"));
    records = NULL;
}
END_TEST

START_TEST(vectors_that_cannot_be_written_are_told)
{
    struct mirror_records_options options = options_of();
    uint32_t                      row;

    open_records(&options);
    begin();
    row = append(1);
    ck_assert_int_eq(mirror_records_put_vector(records, row, vector_of(1, 1), DIMENSION),
                     STATUS_OK);
    is_failing = true;
    ck_assert_int_eq(mirror_records_put_vector(records, row, vector_of(1, 2), DIMENSION),
                     STATUS_IO_FAILED);
    is_failing = false;
}
END_TEST

/* As on a disk that is full. */
START_TEST(values_that_cannot_be_written_are_told)
{
    struct mirror_records_options options = options_of();
    struct rlimit                 limit = {.rlim_cur = 200 << 10, .rlim_max = RLIM_INFINITY};
    enum status                   status = STATUS_OK;
    struct contents               contents = {.value = {.has_document = true}};
    uint32_t                      row;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 200 << 10;
    signal(SIGXFSZ, SIG_IGN);
    open_records(&options);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    contents.value.document = (struct bytes){contents.document, TEXT_MAX};
    for (unsigned i = 0; i < 100 && status == STATUS_OK; i++) {
        begin();
        row = append(i);
        ck_assert_int_eq(mirror_records_put_value(records, row, &contents.value, NULL), STATUS_OK);
        status = mirror_records_commit(records);
    }
    ck_assert_int_eq(status, STATUS_IO_FAILED);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_records_damage");

    tcase_add_checked_fixture(tcase, mirror_records_bed_setup, mirror_records_bed_teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_damaged_byte_of_vectors_is_told);
    tcase_add_test(tcase, vectors_that_were_cut_short_are_told);
    tcase_add_test(tcase, a_folder_that_is_not_there_is_told);
    tcase_add_test(tcase, vectors_that_cannot_be_written_are_told);
    tcase_add_test(tcase, values_that_cannot_be_written_are_told);
    return check_main("mirror_records_damage", tcase);
}
