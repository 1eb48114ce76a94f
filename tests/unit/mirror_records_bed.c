#include <errno.h>
#include <stdio.h>

#include "base/rng.h"
#include "mirror/filter.h"
#include "support/index_fixture.h"
#include "support/sim_seeds.h"
#include "unit/mirror_records_bed.h"

static struct file_ops ops;
bool                   is_failing;
struct mirror_records *records;
struct mirror_reader  *reader;

static ssize_t failing_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    errno = ENOSPC;
    return is_failing ? -1 : pwrite(fd, data, size, offset);
}

void mirror_records_bed_setup(void)
{
    index_fixture_setup();
    ops = file_ops_system;
    ops.fsync = index_fixture_fsync;
    ops.pwrite = failing_pwrite;
    is_failing = false;
}

void close_records(void)
{
    mirror_reader_free(reader);
    mirror_records_free(records);
    reader = NULL;
    records = NULL;
}

void mirror_records_bed_teardown(void)
{
    close_records();
    /* Nothing is left behind. */
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

struct mirror_records_options options_of(void)
{
    return (struct mirror_records_options){.path = index_fixture_path,
                                           .space = COLLECTION_SPACE_L2,
                                           .secret = "secret",
                                           .file_ops = &ops};
}

void open_records(const struct mirror_records_options *options)
{
    struct error error = {.text = ""};

    ck_assert_msg(mirror_records_new(options, &records, &error) == STATUS_OK, "%s", error.text);
    ck_assert_int_eq(mirror_reader_new(records, &reader), STATUS_OK);
}

struct bytes id_of(unsigned number)
{
    static char text[800];
    int         size = snprintf(text, sizeof text, "id-%u", number);

    /* Some are long, and one is empty. */
    if (number == 7)
        size = 0;
    for (; number % 10 == 3 && size < (int)(number * 6); size++)
        text[size] = 'x';
    return (struct bytes){.data = text, .size = (size_t)size};
}

struct contents *contents_of(unsigned id, unsigned version)
{
    static struct contents made;
    struct mirror_value   *value = &made.value;
    const char            *reason;
    struct rng             rng;

    rng_init(&rng, id * 1000003ULL + version);
    *value = (struct mirror_value){.has_document = rng_below(&rng, 4) > 0,
                                   .has_uri = rng_below(&rng, 4) == 0};
    if (rng_below(&rng, 4) > 0)
        value->metadata = (struct bytes){
            made.metadata, (size_t)snprintf(made.metadata, sizeof made.metadata,
                                            "{\"n\":%u,\"s\":\"%u\"}", version % 3, id)};
    if (value->has_document) {
        size_t size = rng_below(&rng, rng_below(&rng, 8) == 0 ? TEXT_MAX : 60);

        for (size_t i = 0; i < size; i++)
            made.document[i] = "abcd \0\xc3"[rng_below(&rng, 7)];
        value->document = (struct bytes){made.document, size};
    }
    if (value->has_uri)
        value->uri =
            (struct bytes){made.uri, (size_t)snprintf(made.uri, sizeof made.uri, "u%u", version)};
    mirror_metadata_free(made.read);
    made.read = NULL;
    if (value->metadata.size > 0)
        ck_assert_int_eq(
            mirror_metadata_read(value->metadata, MIRROR_SOURCE_ANSWER, &made.read, &reason),
            STATUS_OK);
    return &made;
}

const float *vector_of(unsigned id, unsigned version)
{
    static float vector[DIMENSION];

    for (unsigned i = 0; i < DIMENSION; i++)
        vector[i] = (float)((id * 31 + version * 7 + i * 3) % 97);
    return vector;
}

bool is_same_value(const struct mirror_value *left, const struct mirror_value *right)
{
    return bytes_equal(left->metadata, right->metadata) &&
           left->has_document == right->has_document && left->has_uri == right->has_uri &&
           bytes_equal(left->document, right->document) && bytes_equal(left->uri, right->uri);
}

uint32_t append(unsigned id)
{
    uint32_t row;

    ck_assert_int_eq(mirror_records_append(records, id_of(id), &row), STATUS_OK);
    return row;
}

void put_value(uint32_t row, unsigned id, unsigned version)
{
    struct contents *contents = contents_of(id, version);

    ck_assert_int_eq(mirror_records_put_value(records, row, &contents->value, contents->read),
                     STATUS_OK);
}

void begin(void)
{
    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
}

void commit(void)
{
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
}

void check_filter(uint64_t seed, const struct plain *plain, struct bytes where,
                  struct bytes where_document)
{
    struct filter  *filter;
    const char     *reason;
    const uint64_t *bitmap;
    uint32_t        bits, count, wanted = 0;

    ck_assert_int_eq(filter_new(where, where_document, &filter, &reason), STATUS_OK);
    SIM_CHECK(seed, mirror_reader_filter(reader, filter, &bitmap, &bits, &count) == STATUS_OK);
    for (unsigned i = 0; i < plain->count; i++) {
        unsigned                   id = plain->order[i];
        const struct plain_record *record = &plain->records[id];
        struct filter_subject      subject = {0};
        bool                       is_wanted = false;

        if (!record->is_hollow) {
            struct contents *contents = contents_of(id, record->value);

            subject = (struct filter_subject){contents->read, contents->value.document,
                                              contents->value.has_document};
            is_wanted = filter_matches(filter, &subject);
        }
        SIM_CHECK(seed, record->row < bits);
        SIM_CHECK(seed, (bitmap[record->row / 64] >> record->row % 64 & 1) == is_wanted);
        wanted += is_wanted;
    }
    SIM_CHECK(seed, count == wanted);
    for (uint32_t row = 0; row < bits; row++)
        count -= (uint32_t)(bitmap[row / 64] >> row % 64 & 1);
    SIM_CHECK(seed, count == 0);
    filter_free(filter);
}
