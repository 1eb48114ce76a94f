/* What must hold: what was saved is what is loaded; a crash or a failure at any call leaves the
 * old snapshot or the new one; a damaged file is refused, never believed; without memory every
 * call fails cleanly. */
#include "index/index_file.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "support/check_main.h"
#include "support/index_fixture.h"

enum { dim = 24 };

static struct vector_index_options options;
static uint32_t                    records; /* numbers are below it */
static float                      *points;

static void setup(void)
{
    index_fixture_setup();
    options = index_fixture_options(dim, VECTOR_L2);
    options.graph_min = 300;
    records = 700;
    options.vectors_max = 20000;
    options.identity = 1; /* the same operations give the same file */
    points = index_fixture_points(41, 3000, dim, 20);
}

/* For what is done over and over. */
static void make_small(void)
{
    options.graph_min = 60;
    options.ef_construction = 20;
    records = 150;
}

static void teardown(void)
{
    free(points);
    index_fixture_teardown();
}

/* Some adds, replacements and deletions; the same for the same `salt`. */
static void change(struct vector_index *index, uint64_t salt)
{
    struct rng rng;

    rng_init(&rng, salt);
    for (uint32_t i = 0; i < records / 2; i++) {
        uint32_t record = (uint32_t)rng_below(&rng, records);

        if (rng_below(&rng, 4) == 0)
            (void)!vector_index_delete(index, record);
        else
            ck_assert_int_eq(vector_index_add(index, record, points + dim * rng_below(&rng, 3000)),
                             STATUS_OK);
        if (i % 8 == 0)
            (void)vector_index_maintain(index, 60);
    }
}

static struct vector_index *filled(void)
{
    struct vector_index *index = index_fixture_new(&options);

    for (uint32_t i = 0; i < records; i++)
        ck_assert_int_eq(vector_index_add(index, i, points + dim * i), STATUS_OK);
    change(index, 1);
    return index;
}

static struct vector_index *loaded(uint64_t sequence)
{
    struct vector_index *index;
    struct error         error = {.text = ""};
    uint64_t             got;

    ck_assert_msg(index_file_load(&options, &index, &got, &error) == STATUS_OK, "%s", error.text);
    ck_assert_uint_eq(got, sequence);
    return index;
}

/* Both hold the same vectors, bit by bit. */
static void compare(const struct vector_index *left, const struct vector_index *right)
{
    uint32_t l = 0, r = 0, left_record, right_record;
    float    left_vector[dim], right_vector[dim];

    ck_assert_uint_eq(vector_index_count(left), vector_index_count(right));
    while (vector_index_next(left, &l, &left_record)) {
        ck_assert(vector_index_next(right, &r, &right_record));
        ck_assert_uint_eq(left_record, right_record);
        ck_assert_int_eq(vector_index_get(left, left_record, left_vector), STATUS_OK);
        ck_assert_int_eq(vector_index_get(right, left_record, right_vector), STATUS_OK);
        ck_assert_mem_eq(left_vector, right_vector, sizeof left_vector);
    }
}

static char *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    char *data;

    ck_assert_ptr_nonnull(file);
    fseek(file, 0, SEEK_END);
    *ret_size = (size_t)ftell(file);
    rewind(file);
    data = malloc(*ret_size + 1);
    ck_assert_uint_eq(fread(data, 1, *ret_size, file), *ret_size);
    fclose(file);
    return data;
}

static void write_file(const char *path, const char *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    fclose(file);
}

START_TEST(what_was_saved_is_what_is_loaded)
{
    static const enum vector_quant quants[] = {VECTOR_QUANT_EXACT, VECTOR_QUANT_Q8,
                                               VECTOR_QUANT_Q4};

    for (size_t i = 0; i < 3; i++) {
        struct vector_index  *index, *again;
        struct vector_search *left, *right;

        options.quant = quants[i];
        index = filled();
        ck_assert_int_eq(index_file_save(index, 77, NULL), STATUS_OK);
        /* Both use the vectors file; only one may write. */
        again = loaded(77);
        compare(index, again);
        index_fixture_verify(again);
        ck_assert_int_eq(vector_search_new(index, &left), STATUS_OK);
        ck_assert_int_eq(vector_search_new(again, &right), STATUS_OK);
        for (uint32_t q = 0; q < 50; q++) {
            struct vector_search_query query = {.vector = points + dim * q, .k = 10, .ef = 50};
            struct vector_search_hit   hits[2][10];
            uint32_t                   counts[2];

            ck_assert_int_eq(vector_search_run(left, &query, hits[0], &counts[0], NULL), STATUS_OK);
            ck_assert_int_eq(vector_search_run(right, &query, hits[1], &counts[1], NULL),
                             STATUS_OK);
            ck_assert_uint_eq(counts[0], counts[1]);
            ck_assert_mem_eq(hits[0], hits[1], counts[0] * sizeof **hits);
        }
        vector_search_free(left);
        vector_search_free(right);
        vector_index_free(index);
        change(again, 5);
        (void)vector_index_maintain(again, UINT32_MAX);
        index_fixture_verify(again);
        ck_assert_int_eq(index_file_save(again, 78, NULL), STATUS_OK);
        vector_index_free(again);
        vector_index_free(loaded(78));
    }
}
END_TEST

START_TEST(the_same_operations_give_the_same_file)
{
    char  *first, *second;
    size_t first_size, second_size;

    for (int i = 0; i < 2; i++) {
        struct vector_index *index = filled();

        ck_assert_int_eq(index_file_save(index, 1, NULL), STATUS_OK);
        vector_index_free(index);
        if (i == 0)
            first = read_file(index_fixture_path, &first_size);
    }
    second = read_file(index_fixture_path, &second_size);
    ck_assert_uint_eq(first_size, second_size);
    ck_assert_mem_eq(first, second, first_size);
    free(first);
    free(second);
}
END_TEST

START_TEST(an_empty_index_can_be_saved)
{
    struct vector_index *index = index_fixture_new(&options);

    ck_assert_int_eq(index_file_save(index, 3, NULL), STATUS_OK);
    vector_index_free(index);
    index = loaded(3);
    change(index, 1);
    vector_index_free(index);
}
END_TEST

START_TEST(what_is_missing_or_of_other_options_is_refused)
{
    struct vector_index *index = filled();
    struct error         error;
    uint64_t             sequence;

    ck_assert_int_eq(index_file_load(&options, &index, &sequence, &error), STATUS_NOT_FOUND);
    ck_assert_int_eq(index_file_save(index, 3, NULL), STATUS_OK);
    vector_index_free(index);
    options.dim = dim + 1;
    ck_assert_int_eq(index_file_load(&options, &index, &sequence, &error), STATUS_CORRUPT);
    options.dim = dim;
    options.metric = VECTOR_COSINE;
    ck_assert_int_eq(index_file_load(&options, &index, &sequence, &error), STATUS_CORRUPT);
    options.metric = VECTOR_L2;
    options.vectors_max = 100;
    ck_assert_int_eq(index_file_load(&options, &index, &sequence, &error), STATUS_LIMIT_REACHED);
    options.vectors_max = 20000;
    options.memory_max = 50000;
    ck_assert_int_eq(index_file_load(&options, &index, &sequence, &error), STATUS_LIMIT_REACHED);
}
END_TEST

/* Put the checksums right again, so that the checks behind them are reached. */
static void forge(char *data, size_t size)
{
    unsigned char *bytes = (unsigned char *)data;
    uint64_t       offset, length, sums_at;
    uint32_t       crc, block = 0;

    if (size < 4096)
        return;
    memcpy(&sums_at, bytes + 128 + 16 * 10, 8);
    for (int i = 0; i < 10; i++) {
        memcpy(&offset, bytes + 128 + 16 * i, 8);
        memcpy(&length, bytes + 128 + 16 * i + 8, 8);
        for (uint64_t at = 0; at < length; at += 1 << 20) {
            uint64_t part = length - at < 1 << 20 ? length - at : 1 << 20;

            if (offset + at + part > size || sums_at + 4 * block + 4 > size)
                return;
            crc = crc32c(0, bytes + offset + at, part);
            memcpy(bytes + sums_at + 4 * block++, &crc, 4);
        }
    }
    crc = crc32c(0, bytes, 4092);
    memcpy(bytes + 4092, &crc, 4);
}

/* Load what may be anything. If it is believed, it must be usable. */
static bool load_and_use(void)
{
    struct vector_index       *index;
    struct vector_search      *search;
    struct vector_search_hit   hits[10];
    struct vector_search_query query = {.vector = points, .k = 10, .ef = 50};
    struct error               error = {.text = ""};
    uint64_t                   sequence;
    uint32_t                   count;
    enum status                status = index_file_load(&options, &index, &sequence, &error);

    if (status != STATUS_OK) {
        ck_assert_str_ne(error.text, "");
        return false;
    }
    ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
    ck_assert_int_eq(vector_search_run(search, &query, hits, &count, NULL), STATUS_OK);
    vector_search_free(search);
    for (uint32_t i = 0; i < 40; i++) {
        (void)!vector_index_delete(index, i);
        ck_assert_int_eq(vector_index_add(index, i + 20, points + dim * i), STATUS_OK);
    }
    while (vector_index_maintain(index, 10000))
        continue;
    vector_index_free(index);
    return true;
}

START_TEST(damaged_files_are_refused)
{
    struct vector_index *index;
    struct rng           rng;
    char                *data, *copy;
    size_t               size;

    make_small();
    index = filled();
    ck_assert_int_eq(index_file_save(index, 1, NULL), STATUS_OK);
    vector_index_free(index);
    data = read_file(index_fixture_path, &size);
    copy = malloc(size);
    rng_init(&rng, 51);
    for (int i = 0; i < 60 * index_fixture_times(); i++) {
        size_t at = rng_below(&rng, size);

        memcpy(copy, data, size);
        copy[at] = (char)(copy[at] ^ (1 << rng_below(&rng, 8)));
        write_file(index_fixture_path, copy, size);
        /* What lies between the sections does not count. */
        ck_assert(!load_and_use() || data[at] == 0);
        write_file(index_fixture_path, data, rng_below(&rng, size));
        ck_assert(!load_and_use());
    }
    free(data);
    free(copy);
}
END_TEST

START_TEST(files_with_forged_checksums_do_no_harm)
{
    static const uint32_t values[] = {
        0, 1, 2, 0x7f, 0x80, 149, 150, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x7f800000};
    struct vector_index *index;
    struct rng           rng;
    char                *data, *copy;
    size_t               size;

    make_small();
    index = filled();
    ck_assert_int_eq(index_file_save(index, 1, NULL), STATUS_OK);
    vector_index_free(index);
    data = read_file(index_fixture_path, &size);
    copy = malloc(size);
    rng_init(&rng, 52);
    for (int i = 0; i < (index_fixture_is_slow ? 60 : 250) * index_fixture_times(); i++) {
        size_t at = rng_below(&rng, 3) == 0 ? rng_below(&rng, 320) : rng_below(&rng, size);

        memcpy(copy, data, size);
        for (uint64_t n = 1 + rng_below(&rng, 4); n > 0; n--, at = rng_below(&rng, size)) {
            uint32_t value = values[rng_below(&rng, sizeof values / sizeof *values)];

            at = at / 4 * 4 < size - 4 ? at / 4 * 4 : 0;
            memcpy(copy + at, &value, rng_below(&rng, 2) == 0 ? 4 : 1);
        }
        forge(copy, size);
        write_file(index_fixture_path, copy, size);
        (void)load_and_use();
    }
    free(data);
    free(copy);
}
END_TEST

/* Whatever is computed of them must stay finite. */
START_TEST(numbers_that_no_vector_has_are_refused)
{
    static const float   numbers[] = {FLT_MAX, FLT_MAX / 7, INFINITY, NAN, -1};
    struct vector_index *index = index_fixture_new(&options);
    char                *data, *copy;
    size_t               size;
    uint64_t             headers, errors;

    for (uint32_t i = 0; i < 20; i++)
        ck_assert_int_eq(vector_index_add(index, i, points + dim * i), STATUS_OK);
    ck_assert_int_eq(index_file_save(index, 1, NULL), STATUS_OK);
    vector_index_free(index);
    data = read_file(index_fixture_path, &size);
    copy = malloc(size);
    memcpy(&headers, data + 128 + 16 * 1, 8);
    memcpy(&errors, data + 128 + 16 * 2, 8);
    for (int i = 0; i < 15; i++) {
        uint64_t at = i % 3 == 0 ? headers : i % 3 == 1 ? headers + 4 : errors;

        memcpy(copy, data, size);
        memcpy(copy + at, &numbers[i / 3], 4);
        forge(copy, size);
        write_file(index_fixture_path, copy, size);
        ck_assert(!load_and_use());
    }
    forge(data, size);
    write_file(index_fixture_path, data, size);
    ck_assert(load_and_use());
    free(data);
    free(copy);
}
END_TEST

START_TEST(the_vectors_of_another_index_are_refused)
{
    struct vector_index *index;
    struct error         error;
    uint64_t             sequence;
    char                 kept[112];

    options.identity = 0; /* the same options otherwise */
    snprintf(kept, sizeof kept, "%s.kept", index_fixture_path);
    for (int i = 0; i < 2; i++) {
        index = filled();
        ck_assert_int_eq(index_file_save(index, 1, NULL), STATUS_OK);
        vector_index_free(index);
        vector_index_free(loaded(1));
        ck_assert_int_eq(
            i == 0 ? rename(index_fixture_path, kept) : rename(kept, index_fixture_path), 0);
    }
    ck_assert_int_eq(index_file_load(&options, &index, &sequence, &error), STATUS_CORRUPT);
}
END_TEST

/* An index whose owner now wants exact searches only. */
START_TEST(a_graph_that_is_not_searched_is_kept_up)
{
    struct vector_index       *index = filled();
    struct vector_search      *search;
    struct vector_search_stats stats;
    struct vector_search_hit   hit;

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(index_file_save(index, 1, NULL), STATUS_OK);
        vector_index_free(index);
        options.quant = VECTOR_QUANT_EXACT;
        index = loaded(1);
        ck_assert_int_eq(vector_search_new(index, &search), STATUS_OK);
        for (uint32_t r = 0; r < 400; r++) {
            uint32_t                   record = 1000 + 400 * (uint32_t)i + r, count;
            struct vector_search_query query = {.vector = points + dim * record, .k = 1, .ef = 1};

            ck_assert_int_eq(vector_index_add(index, record, query.vector), STATUS_OK);
            ck_assert_int_eq(vector_search_run(search, &query, &hit, &count, &stats), STATUS_OK);
            ck_assert(stats.scanned && count == 1 && hit.distance <= 0);
        }
        vector_search_free(search);
        (void)vector_index_maintain(index, UINT32_MAX);
        index_fixture_verify(index);
    }
    vector_index_free(index);
}
END_TEST

START_TEST(a_vector_damaged_on_disk_is_found)
{
    struct vector_index       *index = filled();
    struct vector_index_report report;
    struct error               error;
    char                       path[128];
    float                      wrong = 12345;
    int                        fd;

    ck_assert_int_eq(index_file_save(index, 1, NULL), STATUS_OK);
    snprintf(path, sizeof path, "%s.vectors", index_fixture_path);
    fd = open(path, O_RDWR);
    for (int row = 0; row < 800; row++)
        ck_assert_int_eq(pwrite(fd, &wrong, sizeof wrong, 4096 + 128 * row + 8), sizeof wrong);
    close(fd);
    ck_assert_int_eq(vector_index_verify(index, &report, &error), STATUS_CORRUPT);
    vector_index_free(index);
}
END_TEST

/* Calls that change the disk are counted; from the n-th on, all fail as after a crash. */
static long calls_left;
static int  short_writes;

static bool call_fails(void)
{
    return calls_left-- <= 0;
}

static int fail_open(const char *path, int flags, mode_t mode)
{
    if ((flags & O_ACCMODE) != O_RDONLY && call_fails())
        return errno = EIO, -1;
    return file_ops_system.open(path, flags, mode);
}

static ssize_t fail_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (call_fails()) {
        if (short_writes && size > 1) /* the crash came in the middle */
            (void)!file_ops_system.pwrite(fd, data, size / 2, offset);
        return errno = ENOSPC, -1;
    }
    return file_ops_system.pwrite(fd, data, short_writes ? (size + 1) / 2 : size, offset);
}

static int fail_fsync(int fd)
{
    (void)fd;
    return call_fails() ? (errno = EIO, -1) : 0;
}

static int fail_ftruncate(int fd, off_t size)
{
    return call_fails() ? (errno = ENOSPC, -1) : file_ops_system.ftruncate(fd, size);
}

static int fail_rename(const char *from, const char *to)
{
    return call_fails() ? (errno = EIO, -1) : file_ops_system.rename(from, to);
}

static int rename_and_crash(const char *from, const char *to)
{
    calls_left = 0;
    return file_ops_system.rename(from, to);
}

static int fail_unlink(const char *path)
{
    return call_fails() ? (errno = EIO, -1) : file_ops_system.unlink(path);
}

static int fail_punch(int fd, off_t offset, off_t size)
{
    return call_fails() ? (errno = EIO, -1) : file_ops_system.punch(fd, offset, size);
}

static struct file_ops failing_ops(void)
{
    struct file_ops ops = file_ops_system;

    ops.open = fail_open;
    ops.pwrite = fail_pwrite;
    ops.fsync = fail_fsync;
    ops.ftruncate = fail_ftruncate;
    ops.rename = fail_rename;
    ops.unlink = fail_unlink;
    ops.punch = fail_punch;
    return ops;
}

/* Adds until one fails, and what becomes of a snapshot then. Returns whether it was saved. */
static bool live_until_crash(struct file_ops *ops, long crash_at)
{
    struct vector_index *index;
    bool                 saved;

    calls_left = LONG_MAX;
    options.file_ops = ops;
    index = filled();
    ck_assert_int_eq(index_file_save(index, 1, NULL), STATUS_OK);
    calls_left = crash_at;
    for (uint32_t i = 0; i < 30; i++) {
        (void)!vector_index_add(index, i * 7 % records, points + dim * (1000 + i));
        (void)vector_index_maintain(index, 400);
    }
    saved = index_file_save(index, 2, NULL) == STATUS_OK;
    vector_index_free(index);
    options.file_ops = &index_fixture_ops;
    return saved;
}

static void crash_everywhere(void)
{
    struct file_ops ops = failing_ops();
    bool            saved = false;

    for (long n = 0; !saved; n++) {
        struct vector_index *index;
        struct error         error = {.text = ""};
        uint64_t             sequence;

        saved = live_until_crash(&ops, n);
        ck_assert_msg(index_file_load(&options, &index, &sequence, &error) == STATUS_OK,
                      "after call %ld: %s", n, error.text);
        ck_assert(saved ? sequence == 2 : sequence == 1 || sequence == 2);
        index_fixture_verify(index); /* all vectors are those of their codes */
        vector_index_free(index);
        ck_assert_int_lt(n, 500);
    }
}

START_TEST(a_crash_at_any_call_leaves_a_whole_snapshot)
{
    make_small();
    crash_everywhere();
    short_writes = 1;
    crash_everywhere();
    short_writes = 0;
}
END_TEST

/* The rename is done, and nobody knows whether it will last. */
START_TEST(what_a_save_that_failed_at_the_end_refers_to_is_not_overwritten)
{
    enum { rows = 4096 + 10 };
    struct file_ops      ops = failing_ops();
    struct vector_index *index;
    float                vector[dim];

    options.graph_min = 100000;
    options.file_ops = &ops;
    calls_left = LONG_MAX;
    index = index_fixture_new(&options);
    for (uint32_t i = 0; i < rows; i++)
        ck_assert_int_eq(vector_index_add(index, i, points + dim * (i % 3000)), STATUS_OK);
    ops.rename = rename_and_crash;
    ck_assert_int_ne(index_file_save(index, 1, NULL), STATUS_OK);
    calls_left = LONG_MAX;
    for (uint32_t i = 0; i < rows; i++)
        ck_assert_int_eq(vector_index_delete(index, i), STATUS_OK);
    while (vector_index_maintain(index, UINT32_MAX))
        continue;
    (void)vector_index_maintain(index, UINT32_MAX);
    for (uint32_t i = 0; i < 2 * 4096; i++)
        ck_assert_int_eq(vector_index_add(index, i, points), STATUS_OK);
    vector_index_free(index);
    options.file_ops = &index_fixture_ops;
    index = loaded(1);
    ck_assert_uint_eq(vector_index_count(index), rows);
    for (uint32_t i = 0; i < rows; i++) {
        ck_assert_int_eq(vector_index_get(index, i, vector), STATUS_OK);
        ck_assert_mem_eq(vector, points + dim * (i % 3000), sizeof vector);
    }
    vector_index_free(index);
}
END_TEST

/* One life, with the n-th allocation failing. Every failure must leave a whole index. */
static bool live_without_memory(int64_t n)
{
    struct vector_index       *index = index_fixture_new(&options);
    struct vector_search      *search = NULL;
    struct vector_search_hit   hits[10];
    struct vector_search_query query = {.vector = points, .k = 10, .ef = 50};
    struct vector_index_memory memory;
    uint32_t                   count, stored[150];
    bool                       failed = false;

    for (uint32_t i = 0; i < 150; i++)
        stored[i] = i;
    vector_index_fail_allocation(index, n);
    failed |= vector_search_new(index, &search) != STATUS_OK;
    failed |= vector_index_add_many(index, stored, points, 150, 2, NULL) != STATUS_OK;
    for (uint32_t i = 100; i < 170; i++)
        failed |= vector_index_add(index, i, points + dim * i) != STATUS_OK;
    for (uint32_t i = 0; i < 80; i++)
        (void)!vector_index_delete(index, i);
    while (vector_index_maintain(index, 2000))
        continue;
    if (search != NULL)
        failed |= vector_search_run(search, &query, hits, &count, NULL) != STATUS_OK;
    failed |= index_file_save(index, 1, NULL) != STATUS_OK;
    vector_index_fail_allocation(index, -1);
    (void)vector_index_maintain(index, UINT32_MAX);
    (void)vector_index_maintain(index, UINT32_MAX);
    index_fixture_verify(index);
    vector_index_memory(index, &memory);
    ck_assert_uint_eq(memory.waiting, 0);
    vector_search_free(search);
    vector_index_free(index); /* asserts that every byte was given back */
    return failed;
}

START_TEST(without_memory_every_call_fails_cleanly)
{
    int64_t n = 0;
    int     successes = 0;

    make_small();
    /* Where an optional allocation fails, nothing else does: some in a row are the end. */
    for (; successes < 12; n++)
        successes = live_without_memory(n) ? 0 : successes + 1;
    ck_assert_int_gt(n, 40);
}
END_TEST

START_TEST(loading_without_memory_fails_cleanly)
{
    struct vector_index *index = filled();
    struct error         error;
    uint64_t             sequence;
    enum status          status = STATUS_LIMIT_REACHED;

    ck_assert_int_eq(index_file_save(index, 1, NULL), STATUS_OK);
    vector_index_free(index);
    for (options.memory_max = 4096; status != STATUS_OK; options.memory_max += 8192) {
        status = index_file_load(&options, &index, &sequence, &error);
        ck_assert(status == STATUS_OK || status == STATUS_LIMIT_REACHED);
    }
    vector_index_free(index);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("index_file");

    tcase_set_timeout(tcase, 180 * index_fixture_times());
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_saved_is_what_is_loaded);
    tcase_add_test(tcase, the_same_operations_give_the_same_file);
    tcase_add_test(tcase, an_empty_index_can_be_saved);
    tcase_add_test(tcase, what_is_missing_or_of_other_options_is_refused);
    tcase_add_test(tcase, damaged_files_are_refused);
    tcase_add_test(tcase, files_with_forged_checksums_do_no_harm);
    tcase_add_test(tcase, numbers_that_no_vector_has_are_refused);
    tcase_add_test(tcase, the_vectors_of_another_index_are_refused);
    tcase_add_test(tcase, a_graph_that_is_not_searched_is_kept_up);
    tcase_add_test(tcase, a_vector_damaged_on_disk_is_found);
    tcase_add_test(tcase, a_crash_at_any_call_leaves_a_whole_snapshot);
    tcase_add_test(tcase, what_a_save_that_failed_at_the_end_refers_to_is_not_overwritten);
    tcase_add_test(tcase, without_memory_every_call_fails_cleanly);
    tcase_add_test(tcase, loading_without_memory_fails_cleanly);
    return check_main("index_file", tcase);
}
