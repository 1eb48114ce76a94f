/* What must hold: a value is what was put, to the bit, or the file is said to be damaged, whatever
 * byte of it changed; the file and what is in memory for it have bounds. */
#include "mirror/mirror_values.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "support/check_main.h"
#include "support/index_fixture.h"

enum { VALUES = 60, LARGE = 9000 };

static struct index_memory   memory;
static struct mirror_values *values;
static struct mirror_seal    seals[VALUES];
static char                  texts[LARGE];

static void setup(void)
{
    index_fixture_setup();
    index_memory_init(&memory, 0);
    for (size_t i = 0; i < sizeof texts; i++)
        texts[i] = (char)('a' + i % 23);
}

static void teardown(void)
{
    mirror_values_free(values);
    values = NULL;
    ck_assert_uint_eq(memory.used, 0);
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

static void open_values(void)
{
    struct error error = {.text = ""};

    ck_assert_msg(mirror_values_new(&memory, &file_ops_system, index_fixture_path, 1000, &values,
                                    &error) == STATUS_OK,
                  "%s", error.text);
    mirror_values_set_disk_max(values, 64 << 20);
}

/* Some are large, and some are nothing. */
static struct mirror_value value_of(uint32_t row)
{
    size_t size = row % 20 == 11 ? LARGE / 4 - row : row * 13 % 150;

    return (struct mirror_value){.metadata = {texts + row, row % 3 == 0 ? 0 : 20},
                                 .document = {texts + row % 10, row % 4 == 0 ? 0 : size},
                                 .uri = {texts, row % 5 == 0 ? 3 : 0},
                                 .has_document = row % 4 != 0,
                                 .has_uri = row % 5 == 0};
}

static bool is_value_of(uint32_t row, const struct mirror_value *found)
{
    struct mirror_value wanted = value_of(row);

    return found->has_document == wanted.has_document && found->has_uri == wanted.has_uri &&
           bytes_equal(found->metadata, wanted.metadata) &&
           bytes_equal(found->document, wanted.document) && bytes_equal(found->uri, wanted.uri);
}

static void put_all(void)
{
    for (uint32_t row = 0; row < VALUES; row++) {
        struct mirror_value value = value_of(row);

        ck_assert_int_eq(mirror_values_put(values, row, &value, &seals[row]), STATUS_OK);
    }
    ck_assert_int_eq(mirror_values_commit(values), STATUS_OK);
}

START_TEST(only_its_own_seal_gives_a_value)
{
    struct mirror_value          value, other = value_of(7);
    struct mirror_seal           before;
    struct mirror_values_reader *reader;

    open_values();
    put_all();
    before = seals[3];
    ck_assert_int_eq(mirror_values_put(values, 3, &other, &seals[3]), STATUS_OK);
    ck_assert_int_eq(mirror_values_get(values, 3, seals[3], &value), STATUS_OK);
    ck_assert(is_value_of(7, &value));
    ck_assert_int_eq(mirror_values_get(values, 3, before, &value), STATUS_CORRUPT);
    /* The same value in another row. */
    ck_assert_int_eq(mirror_values_get(values, 3, seals[7], &value), STATUS_CORRUPT);
    mirror_values_remove(values, 4);
    ck_assert_int_eq(mirror_values_commit(values), STATUS_OK);
    ck_assert_int_eq(mirror_values_reader_new(values, &reader), STATUS_OK);
    ck_assert_int_eq(mirror_values_reader_get(reader, 3, seals[3], &value), STATUS_OK);
    ck_assert(is_value_of(7, &value));
    ck_assert_int_eq(mirror_values_reader_get(reader, 4, seals[4], &value), STATUS_CORRUPT);
    ck_assert_int_eq(mirror_values_reader_get(reader, 4, (struct mirror_seal){0}, &value),
                     STATUS_NOT_FOUND);
    mirror_values_reader_end(reader);
    mirror_values_reader_free(reader);
}
END_TEST

/* After some sixty the same place is written again; it was read before. */
START_TEST(the_writer_reads_what_is_there_now)
{
    struct mirror_value value = {.has_document = true}, found;
    unsigned            puts = 0;

    open_values();
    for (unsigned gap = 50; gap < 70; gap++)
        for (unsigned round = 0; round < 3; round++) {
            for (unsigned i = 0; i < gap; i++) {
                value.document = (struct bytes){texts + puts++ % 23, LARGE - 23};
                ck_assert_int_eq(mirror_values_put(values, 1, &value, &seals[1]), STATUS_OK);
            }
            ck_assert_int_eq(mirror_values_get(values, 1, seals[1], &found), STATUS_OK);
            ck_assert(bytes_equal(found.document, value.document));
        }
}
END_TEST

START_TEST(the_file_is_bounded)
{
    struct mirror_value value = {.document = {texts, LARGE}, .has_document = true};
    struct mirror_seal  seal;
    struct stat         state;
    enum status         status = STATUS_OK;
    uint32_t            row = 0;

    open_values();
    mirror_values_set_disk_max(values, 1 << 20);
    for (; row < 50; row++)
        ck_assert_int_eq(mirror_values_put(values, row, &value, &seal), STATUS_OK);
    ck_assert_int_eq(mirror_values_commit(values), STATUS_OK);
    mirror_values_set_disk_max(values, 2 << 20);
    for (; status == STATUS_OK; row++) {
        status = mirror_values_put(values, row, &value, &seal);
        if (status == STATUS_OK)
            status = mirror_values_commit(values);
    }
    ck_assert_int_eq(status, STATUS_LIMIT_REACHED);
    ck_assert_uint_gt(row, 120);
    ck_assert_int_eq(stat(index_fixture_path, &state), 0);
    ck_assert_int_le(state.st_size, 2 << 20);
}
END_TEST

/* ---- Damage ---------------------------------------------------------------------------------- */

/* How many are said to be damaged; others are right. */
static unsigned count_corrupt(void)
{
    struct mirror_values_reader *reader;
    unsigned                     corrupt = 0;

    ck_assert_int_eq(mirror_values_reader_new(values, &reader), STATUS_OK);
    for (uint32_t row = 0; row < VALUES; row++) {
        struct mirror_value value;
        enum status         status = mirror_values_reader_get(reader, row, seals[row], &value);

        if (status == STATUS_OK)
            ck_assert_msg(is_value_of(row, &value), "row %u", (unsigned)row);
        else
            ck_assert_int_eq(status, STATUS_CORRUPT);
        corrupt += status == STATUS_CORRUPT;
    }
    mirror_values_reader_end(reader);
    mirror_values_reader_free(reader);
    return corrupt;
}

/* There are no holes: each byte is of one value, and of no other. */
START_TEST(a_damaged_byte_is_told_and_nothing_else)
{
    static const unsigned char masks[] = {0xff, 0x01, 0x80, 0x10};

    int           file, step = index_fixture_is_slow ? 11 : 1;
    struct stat   state;
    unsigned char byte, damaged;

    open_values();
    put_all();
    ck_assert_uint_eq(count_corrupt(), 0);
    file = open(index_fixture_path, O_RDWR);
    ck_assert(file >= 0 && fstat(file, &state) == 0 && state.st_size > LARGE);
    for (off_t at = 0; at < state.st_size; at += step)
        for (int i = 0; i < (index_fixture_times() > 1 ? 4 : 1); i++) {
            ck_assert_int_eq(pread(file, &byte, 1, at), 1);
            damaged = byte ^ masks[(at + i) % 4];
            ck_assert_int_eq(pwrite(file, &damaged, 1, at), 1);
            ck_assert_msg(count_corrupt() == 1, "byte %jd", (intmax_t)at);
            ck_assert_int_eq(pwrite(file, &byte, 1, at), 1);
        }
    close(file);
    ck_assert_uint_eq(count_corrupt(), 0);
}
END_TEST

START_TEST(a_file_that_ends_before_is_told)
{
    struct stat state;
    unsigned    before = 0;

    open_values();
    put_all();
    ck_assert_int_eq(stat(index_fixture_path, &state), 0);
    for (off_t size = state.st_size - 1; size >= 0; size -= 101) {
        unsigned corrupt;

        ck_assert_int_eq(truncate(index_fixture_path, size), 0);
        corrupt = count_corrupt();
        ck_assert_uint_ge(corrupt, before);
        ck_assert_uint_gt(corrupt, 0);
        before = corrupt;
    }
    ck_assert_int_eq(truncate(index_fixture_path, 0), 0);
    ck_assert_uint_eq(count_corrupt(), VALUES);
    /* As long again, of zeros: that is what four have, which are nothing. */
    ck_assert_int_eq(truncate(index_fixture_path, state.st_size), 0);
    ck_assert_uint_eq(count_corrupt(), VALUES - 4);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_values");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, only_its_own_seal_gives_a_value);
    tcase_add_test(tcase, the_writer_reads_what_is_there_now);
    tcase_add_test(tcase, the_file_is_bounded);
    tcase_add_test(tcase, a_damaged_byte_is_told_and_nothing_else);
    tcase_add_test(tcase, a_file_that_ends_before_is_told);
    return check_main("mirror_values", tcase);
}
