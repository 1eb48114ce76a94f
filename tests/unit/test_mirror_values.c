/* What must hold: a value is what was put, to the bit, or the file is said to be damaged, whatever
 * byte of it changed; the file and what is in memory for it have bounds. */
#include "mirror/mirror_values.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/check_main.h"
#include "support/index_fixture.h"

enum { VALUES = 60, LARGE = 9000, STEP = 97 };

static struct mirror_values *values;
static struct mirror_seal    seals[VALUES];
static char                  texts[LARGE];

static void setup(void)
{
    index_fixture_setup();
    for (size_t i = 0; i < sizeof texts; i++)
        texts[i] = (char)('a' + i % 23);
}

static void teardown(void)
{
    mirror_values_free(values);
    values = NULL;
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

static void open_values(uint64_t disk_max)
{
    struct error error = {.text = ""};

    ck_assert_msg(mirror_values_new(index_fixture_path, disk_max, &values, &error) == STATUS_OK,
                  "%s", error.text);
}

/* Some do not fit a page. */
static struct mirror_value value_of(uint32_t row)
{
    size_t size = row % 20 == 11 ? LARGE - row : row * 13 % 150;

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

    open_values(64 << 20);
    put_all();
    before = seals[3];
    ck_assert_int_eq(mirror_values_put(values, 3, &other, &seals[3]), STATUS_OK);
    ck_assert_int_eq(mirror_values_get(values, 3, seals[3], &value), STATUS_OK);
    ck_assert(is_value_of(7, &value));
    ck_assert_int_eq(mirror_values_get(values, 3, before, &value), STATUS_CORRUPT);
    /* The same value in another row. */
    ck_assert_int_eq(mirror_values_get(values, 3, seals[7], &value), STATUS_CORRUPT);
    ck_assert_int_eq(mirror_values_remove(values, 4), STATUS_OK);
    ck_assert_int_eq(mirror_values_commit(values), STATUS_OK);
    ck_assert_int_eq(mirror_values_reader_new(values, &reader), STATUS_OK);
    ck_assert_int_eq(mirror_values_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_values_reader_get(reader, 3, seals[3], &value), STATUS_OK);
    ck_assert(is_value_of(7, &value));
    ck_assert_int_eq(mirror_values_reader_get(reader, 4, seals[4], &value), STATUS_CORRUPT);
    ck_assert_int_eq(mirror_values_reader_get(reader, 4, (struct mirror_seal){0}, &value),
                     STATUS_NOT_FOUND);
    mirror_values_reader_end(reader);
    mirror_values_reader_free(reader);
}
END_TEST

START_TEST(what_waits_to_be_written_is_bounded)
{
    struct mirror_value value = {.document = {texts, LARGE}, .has_document = true}, found;
    struct mirror_seal  seal;

    open_values(64 << 20);
    for (uint32_t row = 0; row < 1000; row++)
        ck_assert_int_eq(mirror_values_put(values, row, &value, &seal), STATUS_OK);
    /* Nothing was committed, and yet most of it is in the file. */
    ck_assert_uint_gt(mirror_values_disk(values), 8 << 20);
    ck_assert_uint_le(mirror_values_memory(values), MIRROR_VALUES_DIRTY_MAX + (16 << 10));
    ck_assert_int_eq(mirror_values_commit(values), STATUS_OK);
    ck_assert_int_eq(mirror_values_get(values, 999, seal, &found), STATUS_OK);
    ck_assert(bytes_equal(found.document, value.document));
}
END_TEST

START_TEST(the_file_is_bounded)
{
    struct mirror_value value = {.document = {texts, LARGE}, .has_document = true};
    struct mirror_seal  seal;
    struct stat         state;
    enum status         status = STATUS_OK;
    uint32_t            row = 0;

    open_values(1 << 20);
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

enum { ALL_RIGHT = 0, SOME_CORRUPT = 10, WRONG = 11 };

static int read_all(void)
{
    struct mirror_values_reader *reader;
    int                          outcome = ALL_RIGHT;

    if (mirror_values_reader_new(values, &reader) != STATUS_OK)
        return SOME_CORRUPT;
    if (mirror_values_reader_begin(reader) != STATUS_OK)
        outcome = SOME_CORRUPT;
    for (uint32_t row = 0; row < VALUES && outcome != WRONG; row++) {
        struct mirror_value value;
        enum status         status = mirror_values_reader_get(reader, row, seals[row], &value);

        if (status != STATUS_OK)
            outcome = SOME_CORRUPT;
        else if (!is_value_of(row, &value))
            outcome = WRONG;
    }
    mirror_values_reader_free(reader);
    return outcome;
}

/* In a process of its own, which LMDB may end. */
static int outcome_apart(void)
{
    int   state;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);

        dup2(nowhere, STDERR_FILENO);
        alarm(10);
        _exit(read_all());
    }
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

START_TEST(a_damaged_byte_gives_no_wrong_value)
{
    int         file, step = STEP / index_fixture_times() + 1;
    unsigned    tried = 0, corrupt = 0, killed = 0;
    char        byte, damaged;
    struct stat state;

    open_values(64 << 20);
    put_all();
    put_all();
    ck_assert_int_eq(read_all(), ALL_RIGHT);
    file = open(index_fixture_path, O_RDWR);
    ck_assert(file >= 0 && fstat(file, &state) == 0);
    for (off_t at = 0; at < state.st_size; at += step, tried++) {
        static const char masks[] = {(char)0xff, 0x01, (char)0x80, 0x10};
        int               outcome;

        ck_assert_int_eq(pread(file, &byte, 1, at), 1);
        damaged = (char)(byte ^ masks[tried % 4]);
        ck_assert_int_eq(pwrite(file, &damaged, 1, at), 1);
        outcome = outcome_apart();
        ck_assert_msg(outcome != WRONG, "byte %jd", (intmax_t)at);
        corrupt += outcome == SOME_CORRUPT;
        killed += outcome != SOME_CORRUPT && outcome != ALL_RIGHT;
        ck_assert_int_eq(pwrite(file, &byte, 1, at), 1);
    }
    close(file);
    ck_assert_int_eq(read_all(), ALL_RIGHT);
    ck_assert_uint_gt(corrupt, tried / 5);
    /* LMDB itself believes what its pages say about themselves: see mirror_values.c. */
    ck_assert_msg(killed <= tried / 100, "%u of %u", killed, tried);
    if (getenv("CHROMABOUNCER_TEST_TIMES") != NULL)
        printf("%u bytes damaged: %u told, %u deadly\n", tried, corrupt, killed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_values");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, only_its_own_seal_gives_a_value);
    tcase_add_test(tcase, what_waits_to_be_written_is_bounded);
    tcase_add_test(tcase, the_file_is_bounded);
    tcase_add_test(tcase, a_damaged_byte_gives_no_wrong_value);
    return check_main("mirror_values", tcase);
}
