/* What must hold: records that were saved and opened again are what they were, and go on as if they
 * had never been away; whatever became of the files meanwhile is refused, or nobody can tell. */
#include "mirror/mirror_save.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/byte_buffer.h"
#include "base/crc32c.h"
#include "base/rng.h"
#include "mirror/filter.h"
#include "mirror/mirror_copy.h"
#include "mirror/mirror_records_core.h"
#include "support/check_main.h"
#include "support/index_fixture.h"
#include "support/sim_seeds.h"

enum { DIMENSION = 5, IDS = 60, STEPS = 400, SMALL = 9, TEXT_MAX = 40000 };

static struct file_ops ops;
static int             calls_left; /* until a call of the file system fails; < 0: none does */

static bool fails(void)
{
    errno = EIO;
    return calls_left >= 0 && calls_left-- == 0;
}

static ssize_t failing_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return fails() ? -1 : pwrite(fd, data, size, offset);
}

static ssize_t failing_pread(int fd, void *data, size_t size, off_t offset)
{
    return fails() ? -1 : pread(fd, data, size, offset);
}

static int failing_fsync(int fd)
{
    (void)fd;
    return fails() ? -1 : 0;
}

static int failing_open(const char *path, int flags, mode_t mode)
{
    return fails() ? -1 : open(path, flags, mode);
}

static void setup(void)
{
    index_fixture_setup();
    ops = file_ops_system;
    ops.pwrite = failing_pwrite;
    ops.pread = failing_pread;
    ops.fsync = failing_fsync;
    ops.open = failing_open;
    calls_left = -1;
}

/* Nothing is left behind. */
static void teardown(void)
{
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

static struct mirror_records_options options_at(const char *name)
{
    static char paths[4][128];
    static int  used;
    char       *path = paths[used++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", index_fixture_dir, name);
    return (struct mirror_records_options){.path = path,
                                           .records_max = 4096,
                                           .space = COLLECTION_SPACE_L2,
                                           .secret = "secret",
                                           .file_ops = &ops};
}

static struct mirror_records *open_new(const char *name)
{
    struct mirror_records_options options = options_at(name);
    struct mirror_records        *records;

    ck_assert_int_eq(mirror_records_new(&options, &records, NULL), STATUS_OK);
    return records;
}

/* ---- What is put: it follows from two numbers ------------------------------------------------ */

static struct bytes id_of(unsigned number)
{
    static char text[16];

    /* One is empty. */
    return (struct bytes){text,
                          number == 3 ? 0 : (size_t)snprintf(text, sizeof text, "id-%u", number)};
}

static void put(struct mirror_records *records, uint32_t row, unsigned id, unsigned version)
{
    static char             document[TEXT_MAX];
    char                    metadata[64], uri[32];
    struct mirror_value     value = {.has_document = version % 3 > 0, .has_uri = version % 4 == 0};
    struct mirror_metadata *read = NULL;
    const char             *reason;
    float                   vector[DIMENSION];

    if (version % 5 > 0)
        value.metadata =
            (struct bytes){metadata, (size_t)snprintf(metadata, sizeof metadata,
                                                      "{\"n\":%u,\"s\":\"%u\"}", version % 3, id)};
    if (value.has_document) {
        size_t size = version % 16 == 7 ? TEXT_MAX : version % 30; /* some are empty */

        for (size_t i = 0; i < size; i++)
            document[i] = "abcd \0\xc3"[(i * i + version) % 7];
        value.document = (struct bytes){document, size};
    }
    if (value.has_uri)
        value.uri = (struct bytes){uri, (size_t)snprintf(uri, sizeof uri, "u%u", version)};
    if (value.metadata.size > 0)
        ck_assert_int_eq(mirror_metadata_read(value.metadata, MIRROR_SOURCE_ANSWER, &read, &reason),
                         STATUS_OK);
    ck_assert_int_eq(mirror_records_put_value(records, row, &value, read), STATUS_OK);
    mirror_metadata_free(read);
    for (unsigned i = 0; i < DIMENSION; i++)
        vector[i] = (float)((id * 31 + version * 7 + i * 3) % 97);
    ck_assert_int_eq(mirror_records_put_vector(records, row, vector, DIMENSION), STATUS_OK);
}

/* Put it, put another one in its place, or remove it. */
static void change(struct mirror_records *records, unsigned id, unsigned version, bool removes)
{
    uint32_t    row;
    enum status status = mirror_records_find(records, id_of(id), &row);

    if (status == STATUS_OK && removes) {
        ck_assert_int_eq(mirror_records_remove(records, row), STATUS_OK);
        return;
    }
    if (status == STATUS_NOT_FOUND)
        ck_assert_int_eq(mirror_records_append(records, id_of(id), &row), STATUS_OK);
    put(records, row, id, version);
}

/* ---- What they hold, in words ---------------------------------------------------------------- */

static void add(struct byte_buffer *out, struct bytes bytes)
{
    ck_assert_int_eq(byte_buffer_printf(out, SIZE_MAX, "[%zu:", bytes.size), STATUS_OK);
    if (bytes.size > 0)
        ck_assert_int_eq(byte_buffer_append(out, bytes, SIZE_MAX), STATUS_OK);
}

static void print_filter(struct mirror_records *records, struct mirror_reader *reader,
                         struct bytes where, struct bytes where_document, struct byte_buffer *out)
{
    struct filter  *filter;
    const char     *reason;
    const uint64_t *bitmap;
    uint32_t        bits, count, row;
    size_t          position = 0;

    ck_assert_int_eq(filter_new(where, where_document, &filter, &reason), STATUS_OK);
    ck_assert_int_eq(mirror_reader_filter(reader, filter, &bitmap, &bits, &count), STATUS_OK);
    while (mirror_records_next(records, &position, &row))
        if ((bitmap[row / 64] >> row % 64 & 1) != 0)
            add(out, mirror_records_id(records, row));
    filter_free(filter);
}

/* STATUS_CORRUPT: some of it is not what was put. */
static enum status print(struct mirror_records *records, struct byte_buffer *out)
{
    float                      vector[DIMENSION] = {3, 1, 4, 1, 5};
    struct vector_search_query query = {.vector = vector, .k = 12, .ef = IDS};
    struct vector_search_hit   hits[12];
    struct mirror_reader      *reader;
    struct mirror_value        value;
    uint32_t                   row, count;
    size_t                     position = 0;
    enum status                status;

    byte_buffer_clear(out);
    ck_assert_int_eq(mirror_reader_new(records, &reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    status = mirror_reader_search(reader, &query, hits, &count);
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++)
        add(out, (struct bytes){(const char *)&hits[i].distance, sizeof hits[i].distance});
    print_filter(records, reader, BYTES_LITERAL("{\"n\":{\"$gte\":1}}"), (struct bytes){0}, out);
    print_filter(records, reader, (struct bytes){0}, BYTES_LITERAL("{\"$contains\":\"bcd\"}"), out);
    while (status == STATUS_OK && mirror_records_next(records, &position, &row)) {
        add(out, mirror_records_id(records, row));
        status = mirror_reader_value(reader, row, &value);
        if (status != STATUS_OK)
            break;
        add(out, value.metadata);
        add(out, value.has_document ? value.document : BYTES_LITERAL("none"));
        add(out, value.has_uri ? value.uri : BYTES_LITERAL("none"));
        status = mirror_reader_vector(reader, row, vector);
        if (status == STATUS_OK)
            add(out, (struct bytes){(const char *)vector, sizeof vector});
        else if (status == STATUS_NOT_FOUND)
            status = STATUS_OK;
    }
    mirror_reader_end(reader);
    mirror_reader_free(reader);
    return status;
}

static bool is_same(uint64_t seed, struct mirror_records *left, struct mirror_records *right)
{
    struct byte_buffer texts[2] = {{0}, {0}};
    bool               same;

    SIM_CHECK(seed, print(left, &texts[0]) == STATUS_OK);
    SIM_CHECK(seed, print(right, &texts[1]) == STATUS_OK);
    same = bytes_equal(byte_buffer_bytes(&texts[0]), byte_buffer_bytes(&texts[1]));
    byte_buffer_done(&texts[0]);
    byte_buffer_done(&texts[1]);
    return same;
}

/* ---- Saved and opened ------------------------------------------------------------------------ */

static void rename_files(const char *from, const char *to)
{
    for (size_t i = 0; mirror_save_endings[i] != NULL; i++) {
        char paths[2][128];

        snprintf(paths[0], sizeof paths[0], "%s/%s%s", index_fixture_dir, from,
                 mirror_save_endings[i]);
        snprintf(paths[1], sizeof paths[1], "%s/%s%s", index_fixture_dir, to,
                 mirror_save_endings[i]);
        (void)!rename(paths[0], paths[1]); /* without vectors there are fewer */
    }
}

/* Another process has them. */
static struct mirror_records *move(uint64_t seed, struct mirror_records *records, unsigned number)
{
    char                          names[2][16];
    struct mirror_records_options options;
    struct mirror_save_seal       seal;

    snprintf(names[0], sizeof names[0], "%u", number);
    snprintf(names[1], sizeof names[1], "%u", number + 1);
    SIM_CHECK(seed, mirror_save_write(records, UINT64_MAX, &seal) == STATUS_OK);
    rename_files(names[0], names[1]);
    mirror_records_free(records);
    options = options_at(names[1]);
    SIM_CHECK(seed, mirror_save_read(&options, &seal, &records) == STATUS_OK);
    return records;
}

START_TEST(what_was_saved_goes_on_as_if_it_had_not_been)
{
    struct sim_seeds seeds = sim_seeds_get(index_fixture_is_slow ? 5 : 30);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        struct mirror_records *stays = open_new("stays"), *moves = open_new("0");
        unsigned               number = 0;
        struct rng             rng;

        rng_init(&rng, seed);
        for (unsigned step = 0; step < STEPS; step++) {
            unsigned id = (unsigned)rng_below(&rng, IDS);
            bool     removes = rng_below(&rng, 3) == 0;

            SIM_CHECK(seed, mirror_records_begin(stays) == STATUS_OK);
            SIM_CHECK(seed, mirror_records_begin(moves) == STATUS_OK);
            change(stays, id, step, removes);
            change(moves, id, step, removes);
            SIM_CHECK(seed, mirror_records_commit(stays) == STATUS_OK);
            SIM_CHECK(seed, mirror_records_commit(moves) == STATUS_OK);
            if (rng_below(&rng, 4) == 0)
                mirror_records_maintain(moves);
            if (rng_below(&rng, 80) == 0 || step == STEPS - 1) {
                moves = move(seed, moves, number++);
                SIM_CHECK(seed, is_same(seed, stays, moves));
            }
        }
        mirror_records_free(stays);
        mirror_records_free(moves);
    }
}
END_TEST

START_TEST(nothing_is_saved_and_opened_too)
{
    struct mirror_records *records = open_new("0"), *empty = open_new("empty");

    records = move(0, records, 0);
    ck_assert(is_same(0, records, empty));
    ck_assert_uint_eq(mirror_records_dimension(records), 0);
    /* And what has become empty, whose dimension stays. */
    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    change(records, 1, 1, false);
    change(records, 1, 1, true);
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
    records = move(0, records, 1);
    ck_assert(is_same(0, records, empty));
    ck_assert_uint_eq(mirror_records_dimension(records), DIMENSION);
    mirror_records_free(empty);
    mirror_records_free(records);
}
END_TEST

/* A few, the third of them removed, so that a row is free. */
static struct mirror_records *make_small(const char *name)
{
    struct mirror_records *records = open_new(name);

    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    for (unsigned i = 0; i < SMALL; i++)
        change(records, i, i + 24, false);
    change(records, 2, 0, true);
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
    return records;
}

/* ---- Damaged --------------------------------------------------------------------------------- */

/* The files of a small copy, to be put back for each try. */
struct saved_files {
    struct mirror_save_seal seal;
    unsigned char          *data[3];
    size_t                  size[3];
    struct byte_buffer      text; /* what it is */
};

static void write_file(size_t file, const struct saved_files *saved, size_t size)
{
    char   path[128];
    size_t filled = size;
    int    fd;

    snprintf(path, sizeof path, "%s/try%s", index_fixture_dir, mirror_save_endings[file]);
    while (filled > 0 && saved->data[file][filled - 1] == 0)
        filled--;
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(pwrite(fd, saved->data[file], filled, 0), (ssize_t)filled);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

static struct saved_files save_small(void)
{
    struct mirror_records *records = make_small("small");
    struct saved_files     saved = {.text = {0}};

    ck_assert_int_eq(print(records, &saved.text), STATUS_OK);
    ck_assert_int_eq(mirror_save_write(records, UINT64_MAX, &saved.seal), STATUS_OK);
    for (size_t i = 0; i < 3; i++) {
        char        path[128];
        struct stat status;
        int         fd;

        snprintf(path, sizeof path, "%s/small%s", index_fixture_dir, mirror_save_endings[i]);
        fd = open(path, O_RDONLY);
        ck_assert_int_eq(fstat(fd, &status), 0);
        saved.size[i] = (size_t)status.st_size;
        saved.data[i] = malloc(saved.size[i]);
        ck_assert_int_eq(pread(fd, saved.data[i], saved.size[i], 0), status.st_size);
        close(fd);
    }
    mirror_records_free(records);
    mirror_save_remove(&ops, options_at("small").path);
    return saved;
}

static void done_saved(struct saved_files *saved)
{
    for (size_t i = 0; i < 3; i++)
        free(saved->data[i]);
    byte_buffer_done(&saved->text);
    mirror_save_remove(&ops, options_at("try").path);
}

/* Refused, or what was saved. Returns whether it was refused. */
static bool try_open(const struct saved_files *saved)
{
    struct mirror_records_options options = options_at("try");
    struct mirror_records        *records;
    struct byte_buffer            text = {0};
    enum status                   status = mirror_save_read(&options, &saved->seal, &records);

    if (status != STATUS_OK) {
        ck_assert_msg(status == STATUS_CORRUPT || status == STATUS_NOT_FOUND, "%s",
                      status_text(status));
        return true;
    }
    ck_assert_int_eq(print(records, &text), STATUS_OK);
    ck_assert(bytes_equal(byte_buffer_bytes(&text), byte_buffer_bytes(&saved->text)));
    byte_buffer_done(&text);
    mirror_records_free(records);
    return false;
}

static void put_back(const struct saved_files *saved)
{
    for (size_t i = 0; i < 3; i++)
        write_file(i, saved, saved->size[i]);
}

/* Of long runs of zeros, which nobody reads, some. */
static bool is_tried(const struct saved_files *saved, size_t file, size_t at)
{
    static const unsigned char zeros[64];
    size_t                     begin = at / 64 * 64;
    size_t zeros_each = (index_fixture_is_slow ? 40009 : 4001) / (size_t)index_fixture_times() + 1;
    bool   is_zero = begin + 64 <= saved->size[file] &&
                   memcmp(saved->data[file] + begin, zeros, sizeof zeros) == 0;
    size_t each = is_zero ? zeros_each : file == 1 && index_fixture_times() == 1 ? 5 : 1;

    return at % each == 0;
}

START_TEST(a_byte_that_was_changed_is_refused_or_harmless)
{
    struct saved_files saved = save_small();
    size_t             refused[3] = {0};

    put_back(&saved);
    ck_assert(!try_open(&saved));
    for (size_t file = 0; file < 3; file++)
        for (size_t at = 0; at < saved.size[file]; at++) {
            unsigned char was = saved.data[file][at];

            if (!is_tried(&saved, file, at))
                continue;
            saved.data[file][at] ^= (unsigned char)(1 + at % 255);
            put_back(&saved);
            refused[file] += try_open(&saved);
            saved.data[file][at] = was;
        }
    ck_assert_uint_eq(refused[0], saved.size[0]); /* of records nothing is harmless */
    ck_assert_uint_gt(refused[1], 100);
    ck_assert_uint_gt(refused[2], (SMALL - 1) * DIMENSION * sizeof(float));
    done_saved(&saved);
}
END_TEST

START_TEST(a_file_that_was_cut_is_refused)
{
    struct saved_files saved = save_small();

    for (size_t file = 0; file < 3; file++)
        for (size_t size = 0; size < saved.size[file]; size += file == 0 ? 1 : 997) {
            put_back(&saved);
            write_file(file, &saved, size);
            ck_assert(try_open(&saved));
        }
    for (size_t file = 0; file < 3; file++) {
        char path[128];

        put_back(&saved);
        snprintf(path, sizeof path, "%s/try%s", index_fixture_dir, mirror_save_endings[file]);
        unlink(path);
        ck_assert(try_open(&saved));
    }
    done_saved(&saved);
}
END_TEST

/* Each file is sound, but they do not belong together: the snapshot is of the moment before. */
START_TEST(files_of_different_moments_are_refused)
{
    struct mirror_records        *records = make_small("0");
    struct mirror_records_options options = options_at("0");
    struct mirror_save_seal       seal;
    char                          old[128];

    snprintf(old, sizeof old, "%s/old", index_fixture_dir);
    ck_assert_int_eq(mirror_save_write(records, UINT64_MAX, &seal), STATUS_OK);
    ck_assert_int_eq(rename(options.path, old), 0);
    /* The text of a document, and nothing else: vectors are as they were. */
    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    change(records, 4, 28 + 30 * 97, false);
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
    ck_assert_int_eq(mirror_save_write(records, UINT64_MAX, &seal), STATUS_OK);
    ck_assert_int_eq(rename(old, options.path), 0);
    rename_files("0", "1");
    mirror_records_free(records);
    options = options_at("1");
    ck_assert_int_eq(mirror_save_read(&options, &seal, &records), STATUS_CORRUPT);
    mirror_save_remove(&ops, options.path);
}
END_TEST

START_TEST(another_space_and_another_seal_are_refused)
{
    struct saved_files            saved = save_small();
    struct mirror_records_options options = options_at("try");
    struct mirror_save_seal       seal = saved.seal;
    struct mirror_records        *records;

    put_back(&saved);
    options.space = COLLECTION_SPACE_COSINE;
    ck_assert_int_eq(mirror_save_read(&options, &seal, &records), STATUS_CORRUPT);
    options.space = COLLECTION_SPACE_L2;
    seal.checksum++;
    put_back(&saved);
    ck_assert_int_eq(mirror_save_read(&options, &seal, &records), STATUS_CORRUPT);
    seal = saved.seal;
    seal.records--;
    put_back(&saved);
    ck_assert_int_eq(mirror_save_read(&options, &seal, &records), STATUS_CORRUPT);
    put_back(&saved);
    options.memory_max = 20000;
    ck_assert_int_eq(mirror_save_read(&options, &saved.seal, &records), STATUS_LIMIT_REACHED);
    done_saved(&saved);
}
END_TEST

/* Of a collection without vectors there is no index that knows better. */
START_TEST(without_vectors_the_seal_decides)
{
    struct mirror_records        *records = open_new("0");
    struct mirror_value           value = {.has_document = true, .document = BYTES_LITERAL("text")};
    struct mirror_records_options options = options_at("0");
    struct mirror_save_seal       seal, other;
    uint32_t                      row;

    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    ck_assert_int_eq(mirror_records_append(records, id_of(1), &row), STATUS_OK);
    ck_assert_int_eq(mirror_records_put_value(records, row, &value, NULL), STATUS_OK);
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
    ck_assert_int_eq(mirror_save_write(records, UINT64_MAX, &seal), STATUS_OK);
    ck_assert_int_eq(mirror_save_write(records, seal.size, &other), STATUS_OK);
    ck_assert_uint_eq(other.checksum, seal.checksum);
    ck_assert_int_eq(mirror_save_write(records, seal.size - 1, &other), STATUS_LIMIT_REACHED);
    ck_assert_int_eq(mirror_save_write(records, seal.size, &seal), STATUS_OK);
    mirror_records_free(records);
    other = seal;
    other.checksum++;
    ck_assert_int_eq(mirror_save_read(&options, &other, &records), STATUS_CORRUPT);
    options.space = COLLECTION_SPACE_IP;
    ck_assert_int_eq(mirror_save_read(&options, &seal, &records), STATUS_CORRUPT);
    options.space = COLLECTION_SPACE_L2;
    ck_assert_int_eq(mirror_save_read(&options, &seal, &records), STATUS_OK);
    mirror_records_free(records);
}
END_TEST

START_TEST(rows_that_were_free_are_taken_again)
{
    struct mirror_records *records = make_small("0");
    uint32_t               row;

    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    change(records, 5, 0, true);
    change(records, 7, 0, true); /* with the one that is free already, three */
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
    records = move(0, records, 0);
    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(mirror_records_append(records, id_of(50 + i), &row), STATUS_OK);
        ck_assert(i < 3 ? row < SMALL : row == SMALL);
        put(records, row, 50 + i, 1);
    }
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
    mirror_records_free(records);
}
END_TEST

/* ---- What cannot be saved -------------------------------------------------------------------- */

START_TEST(a_hollow_record_is_not_saved)
{
    struct mirror_records  *records = make_small("0");
    struct mirror_save_seal seal;
    uint32_t                row;

    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    ck_assert_int_eq(mirror_records_append(records, BYTES_LITERAL("hollow"), &row), STATUS_OK);
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
    ck_assert_int_eq(mirror_save_write(records, UINT64_MAX, &seal), STATUS_NOT_IMPLEMENTED);
    mirror_records_free(records);
}
END_TEST

START_TEST(it_takes_no_more_room_than_it_may)
{
    struct mirror_records  *records = make_small("0");
    struct mirror_save_seal seal;
    struct stat             status;
    char                    path[128];

    ck_assert_int_eq(mirror_save_write(records, UINT64_MAX, &seal), STATUS_OK);
    snprintf(path, sizeof path, "%s/0.records", index_fixture_dir);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq((uint64_t)status.st_size, seal.size);
    ck_assert_int_eq(mirror_save_write(records, 1000, &seal), STATUS_LIMIT_REACHED);
    ck_assert_int_eq(mirror_save_write(records, seal.size - 1, &seal), STATUS_LIMIT_REACHED);
    mirror_save_remove(&ops, options_at("0").path);
    mirror_records_free(records);
}
END_TEST

START_TEST(what_the_system_refuses_is_a_status)
{
    int tries = 0;

    for (int fail_at = 0; tries == fail_at && fail_at < 200; fail_at++) {
        struct mirror_records        *records = make_small("0");
        struct mirror_records_options options = options_at("0");
        struct mirror_save_seal       seal;
        enum status                   status;

        calls_left = fail_at;
        status = mirror_save_write(records, UINT64_MAX, &seal);
        if (calls_left >= 0) { /* none failed: then one does when they are read */
            rename_files("0", "1");
            options = options_at("1");
            mirror_records_free(records);
            status = mirror_save_read(&options, &seal, &records);
            if (status != STATUS_OK)
                records = NULL;
        }
        tries += calls_left < 0;
        ck_assert(status == STATUS_OK || calls_left < 0);
        ck_assert(status != STATUS_OK || calls_left >= 0);
        calls_left = -1;
        mirror_records_free(records);
        mirror_save_remove(&ops, options.path);
    }
    ck_assert_int_gt(tries, 20);
}
END_TEST

/* Their bytes would count for nobody. */
START_TEST(files_that_cannot_be_opened_are_removed)
{
    struct saved_files            saved = save_small();
    struct mirror_records_options options = options_at("try");
    struct mirror_copy           *copy;

    saved.data[0][saved.size[0] - 1] ^= 1;
    put_back(&saved);
    ck_assert_int_eq(mirror_copy_open(&options, &saved.seal, &copy), STATUS_CORRUPT);
    for (size_t i = 0; i < 3; i++) {
        char path[128];

        snprintf(path, sizeof path, "%s/try%s", index_fixture_dir, mirror_save_endings[i]);
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    done_saved(&saved);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_save");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, what_was_saved_goes_on_as_if_it_had_not_been);
    tcase_add_test(tcase, nothing_is_saved_and_opened_too);
    tcase_add_test(tcase, a_byte_that_was_changed_is_refused_or_harmless);
    tcase_add_test(tcase, a_file_that_was_cut_is_refused);
    tcase_add_test(tcase, files_of_different_moments_are_refused);
    tcase_add_test(tcase, another_space_and_another_seal_are_refused);
    tcase_add_test(tcase, without_vectors_the_seal_decides);
    tcase_add_test(tcase, rows_that_were_free_are_taken_again);
    tcase_add_test(tcase, a_hollow_record_is_not_saved);
    tcase_add_test(tcase, it_takes_no_more_room_than_it_may);
    tcase_add_test(tcase, what_the_system_refuses_is_a_status);
    tcase_add_test(tcase, files_that_cannot_be_opened_are_removed);
    return check_main("mirror_save", tcase);
}
