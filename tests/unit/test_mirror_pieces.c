/* What must hold: whatever the order of changes, the run of a row is what was put last; the file
 * stays within twice of what lives and some, and within what it may have, of which most can be
 * used; what the system refuses is a status, and every byte of memory is given back. */
#include "mirror/mirror_pieces.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/rng.h"
#include "support/check_main.h"
#include "support/index_fixture.h"
#include "support/sim_seeds.h"

enum { ROWS = 300, STEPS = 4000, RUN_MAX = 700000, SLACK = 1 << 20 };

static struct file_ops       ops;
static struct index_memory   memory;
static struct mirror_pieces *pieces;

static struct mirror_pieces_reader reader;

static long calls_left = -1; /* of the system, before it refuses all; < 0: it does not */
static bool is_short;        /* it transfers a part only, and is interrupted */

static bool is_refused(void)
{
    if (calls_left < 0)
        return false;
    calls_left -= calls_left > 0;
    errno = ENOSPC;
    return calls_left == 0;
}

static bool is_interrupted(void)
{
    static unsigned count;

    errno = EINTR;
    return is_short && ++count % 3 == 0;
}

static ssize_t test_pread(int fd, void *data, size_t size, off_t offset)
{
    if (is_refused() || is_interrupted())
        return -1;
    return pread(fd, data, is_short ? (size + 1) / 2 : size, offset);
}

static ssize_t test_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (is_refused() || is_interrupted())
        return -1;
    return pwrite(fd, data, is_short ? (size + 1) / 2 : size, offset);
}

static int test_ftruncate(int fd, off_t size)
{
    return is_refused() ? -1 : ftruncate(fd, size);
}

static int test_open(const char *path, int flags, mode_t mode)
{
    return is_refused() ? -1 : file_ops_system.open(path, flags, mode);
}

static enum status try_to_open(void)
{
    enum status status =
        mirror_pieces_new(&memory, &ops, index_fixture_path, 1 << 20, &pieces, NULL);

    if (status == STATUS_OK)
        mirror_pieces_set_disk_max(pieces, UINT64_MAX);
    else
        pieces = NULL;
    return status;
}

static void close_pieces(void)
{
    if (pieces != NULL)
        mirror_pieces_reader_done(pieces, &reader);
    mirror_pieces_free(pieces);
    pieces = NULL;
    ck_assert_uint_eq(memory.used, 0);
    ck_assert_int_ne(access(index_fixture_path, F_OK), 0);
}

static void setup(void)
{
    index_fixture_setup();
    ops = file_ops_system;
    ops.open = test_open;
    ops.pread = test_pread;
    ops.pwrite = test_pwrite;
    ops.ftruncate = test_ftruncate;
    calls_left = -1;
    is_short = false;
    index_memory_init(&memory, 0);
    ck_assert_int_eq(try_to_open(), STATUS_OK);
}

static void teardown(void)
{
    close_pieces();
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

static uint64_t file_now(void)
{
    struct stat state;

    ck_assert_int_eq(stat(index_fixture_path, &state), 0);
    return (uint64_t)state.st_size;
}

/* ---- What is put: all of it follows from two numbers ----------------------------------------- */

static const char *text_of(uint32_t row, uint32_t version)
{
    static char text[RUN_MAX + 4096];

    for (size_t i = 0; text[4095] == '\0' && i < sizeof text; i++)
        text[i] = (char)(i * 2654435761U >> 13 | 1);
    return text + (row * 31 + version * 7) % 4096;
}

static enum status try_to_put(uint32_t row, uint32_t version, size_t size)
{
    const char  *text = text_of(row, version);
    size_t       half = size / 3;
    struct bytes parts[] = {{NULL, 0}, {text, half}, {text, 0}, {text + half, size - half}};

    return mirror_pieces_put(pieces, row, parts, 4);
}

static void put(uint32_t row, uint32_t version, size_t size)
{
    ck_assert_int_eq(try_to_put(row, version, size), STATUS_OK);
}

static void commit(void)
{
    ck_assert_int_eq(mirror_pieces_commit(pieces), STATUS_OK);
}

static bool is_there(uint32_t row, uint32_t version, size_t size)
{
    struct bytes run;

    return mirror_pieces_size(pieces, row) == size &&
           mirror_pieces_read(pieces, &reader, row, &run) == STATUS_OK && run.size == size &&
           memcmp(run.data, text_of(row, version), size) == 0;
}

START_TEST(runs_are_read_as_they_were_put)
{
    static const size_t sizes[] = {1, 5, 16383, 16384, 16385, 70000, 262144, RUN_MAX};

    for (uint32_t i = 0; i < 8; i++)
        put(i * 50, i, sizes[i]);
    ck_assert_uint_eq(mirror_pieces_size(pieces, 49), 0);
    ck_assert_uint_eq(mirror_pieces_size(pieces, 1 << 19), 0);
    /* Before the end of the change, too. */
    ck_assert_int_eq(mirror_pieces_flush(pieces), STATUS_OK);
    for (uint32_t i = 0; i < 8; i++)
        ck_assert(is_there(i * 50, i, sizes[i]));
    mirror_pieces_reader_rest(pieces, &reader);
    ck_assert_uint_le(reader.room, 16 << 10); /* what the long ones took is given back */
    put(0, 9, 3);
    mirror_pieces_remove(pieces, 50);
    mirror_pieces_remove(pieces, 50);
    commit();
    ck_assert(is_there(0, 9, 3));
    ck_assert_uint_eq(mirror_pieces_size(pieces, 50), 0);
    is_short = true;
    put(50, 3, 80000);
    commit();
    mirror_pieces_reader_rest(pieces, &reader);
    for (uint32_t i = 2; i < 8; i++)
        ck_assert(is_there(i * 50, i, sizes[i]));
    ck_assert(is_there(50, 3, 80000));
}
END_TEST

START_TEST(rows_are_bounded)
{
    put((1 << 20) - 1, 0, 1);
    ck_assert_int_eq(try_to_put(1 << 20, 0, 1), STATUS_LIMIT_REACHED);
}
END_TEST

/* One who reads on reads ahead, and sees no byte of what was there before. */
START_TEST(what_is_read_ahead_is_of_this_reading)
{
    for (uint32_t row = 0; row < 100; row++)
        put(row, 0, 100);
    commit();
    calls_left = 6;
    for (uint32_t row = 0; row < 100; row++)
        ck_assert(is_there(row, 0, 100));
    calls_left = -1;
    /* The same places, with others in them. */
    for (uint32_t row = 100; row < 4000; row++)
        put(row, 0, 100);
    commit();
    mirror_pieces_reader_rest(pieces, &reader);
    ck_assert(is_there(0, 0, 100) && is_there(1, 0, 100));
    mirror_pieces_reader_rest(pieces, &reader);
    for (uint32_t row = 0; row < 4000; row++)
        mirror_pieces_remove(pieces, row);
    for (uint32_t row = 0; row < 4000; row++)
        put(row, 1, 100);
    commit();
    for (uint32_t row = 0; row < 4000; row++)
        ck_assert(is_there((row + 2500) % 4000, 1, 100));
}
END_TEST

/* ---- Against a plain model ------------------------------------------------------------------- */

struct plain {
    size_t   sizes[ROWS];
    uint32_t versions[ROWS];
    uint64_t live;
};

static size_t draw_size(struct rng *rng)
{
    switch (rng_below(rng, 12)) {
    case 0:
        return 1 + rng_below(rng, 60000);
    case 1:
        return rng_below(rng, 10) == 0 ? 1 + rng_below(rng, RUN_MAX) : 1 + rng_below(rng, 16384);
    default:
        return 1 + rng_below(rng, 2000);
    }
}

static void change_one(uint64_t seed, struct rng *rng, struct plain *plain, uint32_t version)
{
    uint32_t row = (uint32_t)rng_below(rng, ROWS);
    size_t   size = rng_below(rng, 4) == 0 ? 0 : draw_size(rng);

    if (size == 0)
        mirror_pieces_remove(pieces, row);
    else
        SIM_CHECK(seed, try_to_put(row, version, size) == STATUS_OK);
    plain->live += size - plain->sizes[row];
    plain->sizes[row] = size;
    plain->versions[row] = version;
}

static void check_all(uint64_t seed, const struct plain *plain)
{
    SIM_CHECK(seed, file_now() <= 2 * plain->live + SLACK);
    SIM_CHECK(seed, file_now() <= mirror_pieces_disk(pieces));
    for (uint32_t row = 0; row < ROWS; row++)
        SIM_CHECK(seed, plain->sizes[row] == 0
                            ? mirror_pieces_size(pieces, row) == 0
                            : is_there(row, plain->versions[row], plain->sizes[row]));
    mirror_pieces_reader_rest(pieces, &reader);
}

static void simulate(uint64_t seed)
{
    struct plain plain = {.live = 0};
    struct rng   rng;

    rng_init(&rng, seed);
    close_pieces();
    ck_assert_int_eq(try_to_open(), STATUS_OK);
    for (uint32_t step = 0; step < STEPS; step++) {
        change_one(seed, &rng, &plain, step);
        if (rng_below(&rng, 500) == 0) /* many go at once */
            for (uint32_t row = 0; row < ROWS; row++) {
                if (row % 16 == 0)
                    continue;
                mirror_pieces_remove(pieces, row);
                plain.live -= plain.sizes[row];
                plain.sizes[row] = 0;
            }
        if (rng_below(&rng, 20) > 0)
            continue;
        SIM_CHECK(seed, mirror_pieces_commit(pieces) == STATUS_OK);
        if (rng_below(&rng, 5) == 0)
            check_all(seed, &plain);
    }
    SIM_CHECK(seed, mirror_pieces_commit(pieces) == STATUS_OK);
    check_all(seed, &plain);
    for (uint32_t row = 0; row < ROWS; row++)
        mirror_pieces_remove(pieces, row);
    SIM_CHECK(seed, mirror_pieces_commit(pieces) == STATUS_OK);
    SIM_CHECK(seed, file_now() <= SLACK);
}

START_TEST(any_sequence_leaves_what_a_plain_list_leaves)
{
    struct sim_seeds seeds = sim_seeds_get(index_fixture_is_slow ? 1 : 6);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

/* ---- Bounds ---------------------------------------------------------------------------------- */

START_TEST(a_full_disk_takes_what_replaces)
{
    enum { MEBIBYTE = 1 << 20, SIZE = 5000 };
    uint32_t    rows = 0;
    enum status status = STATUS_OK;
    struct rng  rng;

    rng_init(&rng, 1);
    mirror_pieces_set_disk_max(pieces, 4 * MEBIBYTE);
    while (status == STATUS_OK) {
        status = try_to_put(rows, 0, SIZE);
        rows += status == STATUS_OK;
    }
    ck_assert_int_eq(status, STATUS_LIMIT_REACHED);
    ck_assert_uint_le(file_now(), 4 * MEBIBYTE);
    /* One segment is held back. */
    ck_assert_uint_gt((uint64_t)rows * SIZE, 4 * MEBIBYTE - 2 * (256 << 10));

    close_pieces();
    ck_assert_int_eq(try_to_open(), STATUS_OK);
    mirror_pieces_set_disk_max(pieces, 4 * MEBIBYTE);
    rows = rows * 3 / 4 - 30;
    for (uint32_t row = 0; row < rows; row++)
        put(row, 0, SIZE);
    for (uint32_t i = 1; i < 20000; i++) {
        put((uint32_t)rng_below(&rng, rows), i, SIZE);
        ck_assert_uint_le(mirror_pieces_disk(pieces), 4 * MEBIBYTE);
        if (i % 100 == 0)
            commit();
    }
    ck_assert_uint_le(file_now(), 4 * MEBIBYTE);
}
END_TEST

/* It has holes, but nothing can be moved into them. */
START_TEST(a_disk_that_becomes_smaller_is_told)
{
    enum status status = STATUS_OK;
    uint64_t    before;

    for (uint32_t row = 0; row < 400; row++)
        put(row, 1, 5000);
    commit();
    for (uint32_t row = 0; row < 400; row += 2)
        mirror_pieces_remove(pieces, row);
    before = mirror_pieces_disk(pieces);
    mirror_pieces_set_disk_max(pieces, 0);
    for (uint32_t row = 0; status == STATUS_OK && row < 400; row += 2)
        status = try_to_put(row, 1, 5000);
    ck_assert_int_eq(status, STATUS_LIMIT_REACHED);
    ck_assert_uint_le(mirror_pieces_disk(pieces), before);
}
END_TEST

START_TEST(what_waits_to_be_written_is_bounded)
{
    uint64_t before;

    put(999, 0, 1);
    commit();
    before = memory.used;
    for (uint32_t row = 0; row < 1000; row++)
        put(row, 0, 9000);
    /* Nothing was committed, and yet most of it is in the file. */
    ck_assert_uint_gt(file_now(), 8 << 20);
    ck_assert_uint_le(memory.used, before + (64 << 10) + 4096);
    commit();
    ck_assert_uint_le(memory.used, before + 4096);
    ck_assert(is_there(500, 0, 9000));
    mirror_pieces_reader_done(pieces, &reader);
    /* What a long one takes is used again. */
    for (uint32_t i = 0; i < 200; i++)
        put(0, i, 600000);
    commit();
    ck_assert_uint_le(memory.used, before + 8192);
}
END_TEST

/* ---- What the system refuses ----------------------------------------------------------------- */

/* All that there is, to the first refusal. */
static enum status live(void)
{
    enum status  status = try_to_open();
    struct bytes run;

    for (uint32_t row = 0; status == STATUS_OK && row < 60; row++)
        status = try_to_put(row, 0, 40000);
    if (status == STATUS_OK)
        status = mirror_pieces_commit(pieces);
    for (uint32_t row = 0; status == STATUS_OK && row < 60; row++)
        if (row % 4 > 0)
            mirror_pieces_remove(pieces, row);
    if (status == STATUS_OK)
        status = mirror_pieces_commit(pieces);
    if (status == STATUS_OK)
        status = mirror_pieces_read(pieces, &reader, 0, &run);
    if (status == STATUS_OK)
        status = try_to_put(5, 0, 10);
    if (status == STATUS_OK)
        status = mirror_pieces_flush(pieces);
    return status;
}

START_TEST(whatever_the_system_refuses_is_told)
{
    enum status status = STATUS_OK;
    long        calls = 0;

    close_pieces();
    do {
        calls_left = ++calls;
        status = live();
        ck_assert(status == STATUS_OK || status == STATUS_IO_FAILED);
        calls_left = -1;
        close_pieces();
    } while (status != STATUS_OK);
    ck_assert_int_gt(calls, 40); /* and so many were failed */
}
END_TEST

START_TEST(whatever_memory_there_is_not_is_told)
{
    enum status status = STATUS_OK;
    long        calls = 0;

    close_pieces();
    do {
        memory.countdown = calls++;
        status = live();
        ck_assert(status == STATUS_OK || status == STATUS_NO_MEMORY);
        memory.countdown = -1;
        close_pieces();
    } while (status != STATUS_OK);
    ck_assert_int_gt(calls, 8);
    memory.limit = 60 << 10; /* a buffer is larger */
    ck_assert_int_eq(live(), STATUS_LIMIT_REACHED);
    close_pieces();
    memory.limit = 0;
}
END_TEST

/* Those who read and clean it notice, and nothing else happens. */
START_TEST(a_file_that_was_cut_short_is_told)
{
    struct bytes run;

    for (uint32_t row = 0; row < 60; row++)
        put(row, 0, 40000);
    commit();
    ck_assert_int_eq(truncate(index_fixture_path, 100000), 0);
    ck_assert(is_there(0, 0, 40000));
    ck_assert_int_eq(mirror_pieces_read(pieces, &reader, 59, &run), STATUS_CORRUPT);
    mirror_pieces_reader_rest(pieces, &reader);
    for (uint32_t row = 0; row < 60; row++)
        if (row % 8 > 0)
            mirror_pieces_remove(pieces, row);
    ck_assert_int_eq(mirror_pieces_commit(pieces), STATUS_CORRUPT);
}
END_TEST

static void *read_all(void *own)
{
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t     row = i * 7 % 100;
        struct bytes run;

        if (mirror_pieces_read(pieces, own, row, &run) != STATUS_OK ||
            memcmp(run.data, text_of(row, 0), 200 + row * 300) != 0)
            return NULL;
    }
    return own;
}

START_TEST(readers_do_not_wait_for_each_other)
{
    struct mirror_pieces_reader readers[3] = {{.data = NULL}};
    pthread_t                   threads[3];

    for (uint32_t row = 0; row < 100; row++)
        put(row, 0, 200 + row * 300);
    commit();
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    for (unsigned i = 0; i < 3; i++) {
        void *done;

        ck_assert_int_eq(pthread_join(threads[i], &done), 0);
        ck_assert_ptr_eq(done, &readers[i]);
        mirror_pieces_reader_done(pieces, &readers[i]);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_pieces");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, runs_are_read_as_they_were_put);
    tcase_add_test(tcase, rows_are_bounded);
    tcase_add_test(tcase, what_is_read_ahead_is_of_this_reading);
    tcase_add_test(tcase, any_sequence_leaves_what_a_plain_list_leaves);
    tcase_add_test(tcase, a_full_disk_takes_what_replaces);
    tcase_add_test(tcase, a_disk_that_becomes_smaller_is_told);
    tcase_add_test(tcase, what_waits_to_be_written_is_bounded);
    tcase_add_test(tcase, whatever_the_system_refuses_is_told);
    tcase_add_test(tcase, whatever_memory_there_is_not_is_told);
    tcase_add_test(tcase, a_file_that_was_cut_short_is_told);
    tcase_add_test(tcase, readers_do_not_wait_for_each_other);
    return check_main("mirror_pieces", tcase);
}
