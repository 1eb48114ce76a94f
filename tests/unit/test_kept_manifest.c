/* What must hold: a manifest is read once, as it was written, and never when a byte of it is
 * another. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/kept_manifest.h"
#include "support/check_main.h"

enum { COPIES = 3 };

static char folder[40], path[64];

/* In memory where there is such a place: each take waits for the disk. */
static void setup(void)
{
    snprintf(folder, sizeof folder, "%s/kept_manifest.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/manifest", folder);
}

static void teardown(void)
{
    ck_assert_int_eq(rmdir(folder), 0); /* nothing is left in it */
}

static struct mirror_kept kept_of(unsigned number)
{
    static const char *const names[COPIES] = {"docs", "\xe4\xb8\xad \"x\"\n", ""};

    return (struct mirror_kept){.uuid = {1, 2, 0xff, (uint8_t)number},
                                .tenant = "default_tenant",
                                .database = "a%20b",
                                .name = names[number],
                                .space = COLLECTION_SPACE_COSINE,
                                .score = 1.5 * number,
                                .is_asked_for = number == 1,
                                .seal = {.size = UINT64_C(1) << (40 + number),
                                         .checksum = UINT32_MAX - number,
                                         .records = 7 * number}};
}

static void write_manifest(void)
{
    struct kept_manifest *manifest = kept_manifest_new("file=1 size=2", "1 1.0.0 5461");
    struct error          error;

    ck_assert_ptr_nonnull(manifest);
    for (unsigned i = 0; i < COPIES; i++) {
        struct mirror_kept kept = kept_of(i);

        ck_assert_int_eq(kept_manifest_add(manifest, &kept), STATUS_OK);
    }
    ck_assert_int_eq(kept_manifest_write(manifest, folder, &error), STATUS_OK);
    kept_manifest_free(manifest);
}

static enum status take(struct kept_manifest **ret_manifest)
{
    struct error error;

    return kept_manifest_take(folder, ret_manifest, &error);
}

START_TEST(it_is_read_as_it_was_written_and_once)
{
    struct kept_manifest *manifest;

    ck_assert_int_eq(take(&manifest), STATUS_NOT_FOUND);
    write_manifest();
    ck_assert_int_eq(take(&manifest), STATUS_OK);
    ck_assert_str_eq(kept_manifest_database(manifest), "file=1 size=2");
    ck_assert_str_eq(kept_manifest_chroma(manifest), "1 1.0.0 5461");
    ck_assert_uint_eq(kept_manifest_count(manifest), COPIES);
    for (unsigned i = 0; i < COPIES; i++) {
        struct mirror_kept was = kept_of(i), is;

        ck_assert_int_eq(kept_manifest_at(manifest, i, &is), STATUS_OK);
        ck_assert_mem_eq(is.uuid, was.uuid, sizeof is.uuid);
        ck_assert_str_eq(is.tenant, was.tenant);
        ck_assert_str_eq(is.database, was.database);
        ck_assert_str_eq(is.name, was.name);
        ck_assert_int_eq(is.space, was.space);
        ck_assert_double_eq(is.score, was.score);
        ck_assert_int_eq(is.is_asked_for, was.is_asked_for);
        ck_assert_uint_eq(is.seal.size, was.seal.size);
        ck_assert_uint_eq(is.seal.checksum, was.seal.checksum);
        ck_assert_uint_eq(is.seal.records, was.seal.records);
    }
    kept_manifest_free(manifest);
    ck_assert_int_eq(take(&manifest), STATUS_NOT_FOUND);
}
END_TEST

static void put_back(const char *text, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_eq(pwrite(fd, text, size, 0), (ssize_t)size);
    close(fd);
}

START_TEST(a_byte_that_was_changed_or_is_missing_is_refused)
{
    struct kept_manifest *manifest;
    char                  text[4096];
    ssize_t               size;
    int                   fd;

    write_manifest();
    fd = open(path, O_RDONLY);
    size = read(fd, text, sizeof text);
    close(fd);
    ck_assert_int_gt(size, 500);
    for (ssize_t at = 0; at < size; at++) {
        char was = text[at];

        text[at] = (char)(was ^ (1 + at % 255));
        put_back(text, (size_t)size);
        text[at] = was;
        ck_assert_int_eq(take(&manifest), STATUS_CORRUPT);
        ck_assert_int_eq(access(path, F_OK), -1); /* whatever it says, it is gone */
        put_back(text, (size_t)at);
        ck_assert_int_eq(take(&manifest), STATUS_CORRUPT);
    }
    put_back(text, (size_t)size);
    ck_assert_int_eq(take(&manifest), STATUS_OK);
    kept_manifest_free(manifest);
}
END_TEST

START_TEST(one_that_cannot_be_removed_is_not_used)
{
    struct kept_manifest *manifest;

    if (geteuid() == 0) /* may do everything */
        return;
    write_manifest();
    ck_assert_int_eq(chmod(folder, 0500), 0);
    ck_assert_int_ne(take(&manifest), STATUS_OK);
    ck_assert_int_eq(chmod(folder, 0700), 0);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_name_that_is_no_text_is_refused)
{
    struct kept_manifest *manifest = kept_manifest_new("file=1", "1");
    struct mirror_kept    kept = kept_of(0);

    kept.name = "\xff";
    ck_assert_int_eq(kept_manifest_add(manifest, &kept), STATUS_INVALID);
    ck_assert_uint_eq(kept_manifest_count(manifest), 0);
    kept_manifest_free(manifest);
    ck_assert_ptr_null(kept_manifest_new("\xff", "1"));
}
END_TEST

START_TEST(where_it_cannot_be_written_there_is_none)
{
    struct kept_manifest *manifest = kept_manifest_new("file=1", "1");
    struct error          error;

    ck_assert_int_ne(kept_manifest_write(manifest, "/nowhere", &error), STATUS_OK);
    ck_assert_int_eq(mkdir(path, 0700), 0); /* in its place */
    ck_assert_int_ne(kept_manifest_write(manifest, folder, &error), STATUS_OK);
    ck_assert_int_eq(rmdir(path), 0);
    kept_manifest_free(manifest);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("kept_manifest");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, it_is_read_as_it_was_written_and_once);
    tcase_add_test(tcase, a_byte_that_was_changed_or_is_missing_is_refused);
    tcase_add_test(tcase, one_that_cannot_be_removed_is_not_used);
    tcase_add_test(tcase, a_name_that_is_no_text_is_refused);
    tcase_add_test(tcase, where_it_cannot_be_written_there_is_none);
    return check_main("kept_manifest", tcase);
}
