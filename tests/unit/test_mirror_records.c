/* What must hold: whatever the order of changes, each record has its row, its place and what was
 * put last; a reader sees what was committed; memory and disk stay within their bounds; what the
 * system refuses is a status. */
#include "mirror/mirror_records.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/rng.h"
#include "index/vector_index_core.h"
#include "mirror/filter.h"
#include "mirror/mirror_records_core.h"
#include "support/check_main.h"
#include "support/index_fixture.h"
#include "support/sim_seeds.h"

enum { IDS = 120, STEPS = 1500, DIMENSION = 5, TEXT_MAX = 6000 };

static struct file_ops        ops;
static bool                   is_failing; /* writes of vectors fail */
static struct mirror_records *records;
static struct mirror_reader  *reader;

static ssize_t failing_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    errno = ENOSPC;
    return is_failing ? -1 : pwrite(fd, data, size, offset);
}

static void setup(void)
{
    index_fixture_setup();
    ops = file_ops_system;
    ops.fsync = index_fixture_fsync;
    ops.pwrite = failing_pwrite;
    is_failing = false;
}

static void close_records(void)
{
    mirror_reader_free(reader);
    mirror_records_free(records);
    reader = NULL;
    records = NULL;
}

static void teardown(void)
{
    close_records();
    /* Nothing is left behind. */
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

static struct mirror_records_options options_of(void)
{
    return (struct mirror_records_options){.path = index_fixture_path,
                                           .space = COLLECTION_SPACE_L2,
                                           .secret = "secret",
                                           .file_ops = &ops};
}

static void open_records(const struct mirror_records_options *options)
{
    struct error error = {.text = ""};

    ck_assert_msg(mirror_records_new(options, &records, &error) == STATUS_OK, "%s", error.text);
    ck_assert_int_eq(mirror_reader_new(records, &reader), STATUS_OK);
}

/* ---- What is put: all of it follows from two numbers ----------------------------------------- */

struct contents {
    char                    metadata[64], document[TEXT_MAX], uri[32];
    struct mirror_value     value;
    struct mirror_metadata *read;
};

static struct bytes id_of(unsigned number)
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

static struct contents *contents_of(unsigned id, unsigned version)
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

static const float *vector_of(unsigned id, unsigned version)
{
    static float vector[DIMENSION];

    for (unsigned i = 0; i < DIMENSION; i++)
        vector[i] = (float)((id * 31 + version * 7 + i * 3) % 97);
    return vector;
}

static bool is_same_value(const struct mirror_value *left, const struct mirror_value *right)
{
    return bytes_equal(left->metadata, right->metadata) &&
           left->has_document == right->has_document && left->has_uri == right->has_uri &&
           bytes_equal(left->document, right->document) && bytes_equal(left->uri, right->uri);
}

static uint32_t append(unsigned id)
{
    uint32_t row;

    ck_assert_int_eq(mirror_records_append(records, id_of(id), &row), STATUS_OK);
    return row;
}

static void put_value(uint32_t row, unsigned id, unsigned version)
{
    struct contents *contents = contents_of(id, version);

    ck_assert_int_eq(mirror_records_put_value(records, row, &contents->value, contents->read),
                     STATUS_OK);
}

static void begin(void)
{
    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
}

static void commit(void)
{
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
}

/* ---- One by one ------------------------------------------------------------------------------ */

START_TEST(a_record_is_hollow_until_its_value_is_put)
{
    struct mirror_records_options options = options_of();
    struct mirror_value           value;
    uint32_t                      row, found;

    open_records(&options);
    begin();
    row = append(1);
    ck_assert(mirror_records_is_hollow(records, row));
    ck_assert_uint_eq(mirror_records_mark(records, row), 0);
    ck_assert_int_eq(mirror_records_value(records, row, &value), STATUS_NOT_FOUND);
    put_value(row, 1, 5);
    ck_assert(!mirror_records_is_hollow(records, row));
    ck_assert_int_eq(mirror_records_value(records, row, &value), STATUS_OK);
    ck_assert(is_same_value(&value, &contents_of(1, 5)->value));
    mirror_records_set_mark(records, row, UINT64_MAX);
    commit();
    ck_assert_int_eq(mirror_records_find(records, id_of(1), &found), STATUS_OK);
    ck_assert_uint_eq(found, row);
    ck_assert_uint_eq(mirror_records_mark(records, row), UINT64_MAX);
    begin();
    ck_assert_int_eq(mirror_records_hollow(records, row), STATUS_OK);
    commit();
    ck_assert_uint_eq(mirror_records_hollow_count(records), 1);
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_value(reader, row, &value), STATUS_NOT_FOUND);
    mirror_reader_end(reader);
    ck_assert(bytes_equal(mirror_records_id(records, row), id_of(1)));
}
END_TEST

START_TEST(the_first_vector_fixes_the_dimension)
{
    struct mirror_records_options options = options_of();
    float                         vector[DIMENSION + 1] = {1}, found[DIMENSION];
    struct vector_search_query    query = {.vector = vector, .k = 3};
    struct vector_search_hit      hits[3];
    uint32_t                      row, count;

    open_records(&options);
    begin();
    row = append(1);
    ck_assert_uint_eq(mirror_records_dimension(records), 0);
    ck_assert_int_eq(mirror_records_put_vector(records, row, vector, 0), STATUS_INVALID);
    commit();
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_search(reader, &query, hits, &count), STATUS_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(mirror_reader_vector(reader, row, found), STATUS_NOT_FOUND);
    mirror_reader_end(reader);
    begin();
    ck_assert_int_eq(mirror_records_put_vector(records, row, vector, DIMENSION), STATUS_OK);
    ck_assert_int_eq(mirror_records_put_vector(records, row, vector, DIMENSION + 1),
                     STATUS_INVALID);
    vector[0] = INFINITY;
    ck_assert_int_eq(mirror_records_put_vector(records, row, vector, DIMENSION), STATUS_INVALID);
    vector[0] = 2;
    commit();
    ck_assert_uint_eq(mirror_records_dimension(records), DIMENSION);
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_search(reader, &query, hits, &count), STATUS_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_float_eq(hits[0].distance, 1);
    mirror_reader_end(reader);
}
END_TEST

/* ---- Against a plain model ------------------------------------------------------------------- */

struct plain_record {
    bool     is_there, is_hollow, has_vector;
    unsigned value, vector; /* versions */
    uint64_t mark;
    uint32_t row;
};

struct plain {
    struct plain_record records[IDS];
    unsigned            order[IDS], count;
};

static void plain_append(struct plain *plain, unsigned id, uint32_t row)
{
    plain->records[id] = (struct plain_record){.is_there = true, .is_hollow = true, .row = row};
    plain->order[plain->count++] = id;
}

static void plain_remove(struct plain *plain, unsigned id)
{
    unsigned place = 0;

    while (plain->order[place] != id)
        place++;
    plain->count--;
    memmove(&plain->order[place], &plain->order[place + 1],
            (plain->count - place) * sizeof plain->order[0]);
    plain->records[id].is_there = false;
}

static void check_record(uint64_t seed, unsigned id, const struct plain_record *record)
{
    struct mirror_value value;
    float               vector[DIMENSION];
    enum status         status = mirror_reader_value(reader, record->row, &value);

    SIM_CHECK(seed, mirror_records_is_hollow(records, record->row) == record->is_hollow);
    SIM_CHECK(seed, status == (record->is_hollow ? STATUS_NOT_FOUND : STATUS_OK));
    SIM_CHECK(seed,
              record->is_hollow || is_same_value(&value, &contents_of(id, record->value)->value));
    status = mirror_reader_vector(reader, record->row, vector);
    SIM_CHECK(seed, status == (record->has_vector ? STATUS_OK : STATUS_NOT_FOUND));
    SIM_CHECK(seed, !record->has_vector ||
                        memcmp(vector, vector_of(id, record->vector), sizeof vector) == 0);
    SIM_CHECK(seed, mirror_records_mark(records, record->row) == record->mark);
}

static void check_filter(uint64_t seed, const struct plain *plain, struct bytes where,
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

/* All that have a vector are found, nearest first. */
static void check_search(uint64_t seed, const struct plain *plain)
{
    struct vector_search_query query = {.vector = vector_of(3, 3), .k = IDS};
    struct vector_search_hit   hits[IDS];
    float                      vector[DIMENSION];
    uint32_t                   count, vectors = 0;

    memcpy(vector, query.vector, sizeof vector);
    query.vector = vector;
    for (unsigned i = 0; i < plain->count; i++)
        vectors += plain->records[plain->order[i]].has_vector;
    SIM_CHECK(seed, mirror_reader_search(reader, &query, hits, &count) == STATUS_OK);
    SIM_CHECK(seed, count == vectors);
    for (uint32_t i = 0; i < count; i++) {
        unsigned place = 0;

        while (place < plain->count && plain->records[plain->order[place]].row != hits[i].record)
            place++;
        SIM_CHECK(seed, place < plain->count && plain->records[plain->order[place]].has_vector);
        SIM_CHECK(seed, i == 0 || hits[i].distance >= hits[i - 1].distance);
    }
}

static void check_all(uint64_t seed, const struct plain *plain)
{
    size_t   position = 0;
    uint32_t row, hollow = 0, place = 0;

    SIM_CHECK(seed, mirror_records_count(records) == plain->count);
    SIM_CHECK(seed, mirror_reader_begin(reader) == STATUS_OK);
    for (; mirror_records_next(records, &position, &row); place++) {
        const struct plain_record *record = &plain->records[plain->order[place]];

        SIM_CHECK(seed, place < plain->count && record->row == row);
        SIM_CHECK(seed, bytes_equal(mirror_records_id(records, row), id_of(plain->order[place])));
        check_record(seed, plain->order[place], record);
        hollow += record->is_hollow;
    }
    SIM_CHECK(seed, place == plain->count);
    SIM_CHECK(seed, mirror_records_hollow_count(records) == hollow);
    check_filter(seed, plain, BYTES_LITERAL("{\"n\":1}"), (struct bytes){0});
    check_filter(seed, plain, BYTES_LITERAL("{\"n\":{\"$ne\":2}}"), (struct bytes){0});
    check_filter(seed, plain, (struct bytes){0}, BYTES_LITERAL("{\"$contains\":\"abc\"}"));
    check_filter(seed, plain, BYTES_LITERAL("{\"n\":{\"$gt\":0}}"),
                 BYTES_LITERAL("{\"$not_contains\":\"da\"}"));
    check_search(seed, plain);
    mirror_reader_end(reader);
}

static void change(uint64_t seed, struct rng *rng, struct plain *plain, unsigned id)
{
    struct plain_record *record = &plain->records[id];
    struct mirror_value  value;
    unsigned             version = (unsigned)rng_below(rng, 1000);

    switch (rng_below(rng, 6)) {
    case 0:
        SIM_CHECK(seed, mirror_records_hollow(records, record->row) == STATUS_OK);
        record->is_hollow = true;
        record->has_vector = false;
        break;
    case 1:
        record->mark = rng_next(rng);
        mirror_records_set_mark(records, record->row, record->mark);
        break;
    case 2:
    case 3:
        SIM_CHECK(seed, mirror_records_put_vector(records, record->row, vector_of(id, version),
                                                  DIMENSION) == STATUS_OK);
        record->has_vector = true;
        record->vector = version;
        break;
    default:
        put_value(record->row, id, version);
        record->is_hollow = false;
        record->value = version;
        SIM_CHECK(seed, mirror_records_value(records, record->row, &value) == STATUS_OK);
        SIM_CHECK(seed, is_same_value(&value, &contents_of(id, version)->value));
    }
}

static void step_once(uint64_t seed, struct rng *rng, struct plain *plain, bool is_filling)
{
    unsigned             id = (unsigned)rng_below(rng, IDS);
    struct plain_record *record = &plain->records[id];
    uint32_t             row;
    enum status          status = mirror_records_find(records, id_of(id), &row);

    SIM_CHECK(seed, status == (record->is_there ? STATUS_OK : STATUS_NOT_FOUND));
    SIM_CHECK(seed, !record->is_there || row == record->row);
    if (!record->is_there) {
        if (is_filling || rng_below(rng, 4) == 0)
            plain_append(plain, id, append(id));
    } else if (!is_filling && rng_below(rng, 2) == 0) {
        SIM_CHECK(seed, mirror_records_remove(records, row) == STATUS_OK);
        plain_remove(plain, id);
    } else {
        change(seed, rng, plain, id);
    }
}

static void simulate(uint64_t seed)
{
    struct mirror_records_options options = options_of();
    struct plain                  plain = {.count = 0};
    struct rng                    rng;

    rng_init(&rng, seed);
    open_records(&options);
    for (unsigned step = 0; step < STEPS; step += 30) {
        begin();
        for (unsigned i = 0; i < 30; i++)
            step_once(seed, &rng, &plain, step / 300 % 2 == 0);
        commit();
        if (rng_below(&rng, 4) == 0)
            mirror_records_maintain(records);
        check_all(seed, &plain);
    }
    close_records();
}

START_TEST(any_sequence_leaves_what_a_plain_list_leaves)
{
    struct sim_seeds seeds = sim_seeds_get(index_fixture_is_slow ? 2 : 8);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

START_TEST(many_vectors_at_once_are_as_one_by_one)
{
    struct mirror_records_options options = options_of();
    float                         vectors[IDS * DIMENSION], vector[DIMENSION];
    uint32_t                      rows[IDS];

    open_records(&options);
    begin();
    for (unsigned i = 0; i < IDS; i++) {
        rows[i] = append(i);
        memcpy(&vectors[i * DIMENSION], vector_of(i, 9), sizeof vector);
    }
    ck_assert_int_eq(mirror_records_put_vectors(records, rows, vectors, 0, DIMENSION), STATUS_OK);
    ck_assert_int_eq(mirror_records_put_vectors(records, rows, vectors, IDS, DIMENSION), STATUS_OK);
    commit();
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    for (unsigned i = 0; i < IDS; i++) {
        ck_assert_int_eq(mirror_reader_vector(reader, rows[i], vector), STATUS_OK);
        ck_assert_mem_eq(vector, vector_of(i, 9), sizeof vector);
    }
    mirror_reader_end(reader);
}
END_TEST

/* After some ninety the same place on disk is written again; it was read before. */
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

START_TEST(a_reading_sees_what_is_there_now)
{
    struct mirror_records_options options = options_of();
    struct contents               contents = {.value = {.has_document = true}};
    struct mirror_value           found;
    unsigned                      puts = 0;
    uint32_t                      row;

    contents.value.document = (struct bytes){contents.document, TEXT_MAX};
    open_records(&options);
    begin();
    row = append(1);
    commit();
    for (unsigned gap = 80; gap < 92; gap++)
        for (unsigned round = 0; round < 3; round++) {
            begin();
            for (unsigned i = 0; i < gap; i++) {
                contents.document[0] = (char)('a' + puts++ % 23);
                ck_assert_int_eq(mirror_records_put_value(records, row, &contents.value, NULL),
                                 STATUS_OK);
            }
            commit();
            ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
            ck_assert_int_eq(mirror_reader_value(reader, row, &found), STATUS_OK);
            ck_assert(is_same_value(&found, &contents.value));
            mirror_reader_end(reader);
        }
}
END_TEST

static void *read_everything(void *vector)
{
    struct mirror_reader      *own;
    struct vector_search_query query = {.vector = vector, .k = IDS};
    struct vector_search_hit   hits[IDS];
    struct filter             *filter;
    const char                *reason;
    const uint64_t            *bitmap;
    uint32_t                   bits, count;

    ck_assert_int_eq(mirror_reader_new(records, &own), STATUS_OK);
    ck_assert_int_eq(filter_new(BYTES_LITERAL("{\"n\":1}"), (struct bytes){0}, &filter, &reason),
                     STATUS_OK);
    for (unsigned round = 0; round < 30; round++) {
        ck_assert_int_eq(mirror_reader_begin(own), STATUS_OK);
        ck_assert_int_eq(mirror_reader_search(own, &query, hits, &count), STATUS_OK);
        ck_assert_uint_eq(count, IDS);
        for (uint32_t i = 0; i < count; i++) {
            struct mirror_value value;

            ck_assert_int_eq(mirror_reader_value(own, hits[i].record, &value), STATUS_OK);
        }
        ck_assert_int_eq(mirror_reader_filter(own, filter, &bitmap, &bits, &count), STATUS_OK);
        ck_assert_uint_gt(count, 0);
        mirror_reader_end(own);
    }
    filter_free(filter);
    mirror_reader_free(own);
    return NULL;
}

START_TEST(readers_do_not_wait_for_each_other)
{
    struct mirror_records_options options = options_of();
    struct mirror_records_usage   before, after;
    float                         vector[DIMENSION] = {1};
    pthread_t                     threads[3];

    open_records(&options);
    begin();
    for (unsigned i = 0; i < IDS; i++) {
        uint32_t row = append(i);

        put_value(row, i, i);
        ck_assert_int_eq(mirror_records_put_vector(records, row, vector_of(i, i), DIMENSION),
                         STATUS_OK);
    }
    commit();
    mirror_records_usage(records, &before);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_everything, vector), 0);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    mirror_records_usage(records, &after);
    ck_assert_uint_eq(after.memory, before.memory);
}
END_TEST

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
    snprintf(path, sizeof path, "%s.vectors", index_fixture_path);
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
    snprintf(path, sizeof path, "%s.vectors", index_fixture_path);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_uint_eq(count_damaged_vectors(), FEW);
    begin();
    row = append(FEW);
    ck_assert_int_eq(mirror_records_put_vector(records, row, vector_of(1, 1), DIMENSION),
                     STATUS_CORRUPT);
}
END_TEST

/* ---- Bounds ---------------------------------------------------------------------------------- */

static uint64_t size_of(const char *ending)
{
    char        path[128];
    struct stat state;

    snprintf(path, sizeof path, "%s%s", index_fixture_path, ending);
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
    TCase *tcase = tcase_create("mirror_records");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_record_is_hollow_until_its_value_is_put);
    tcase_add_test(tcase, the_first_vector_fixes_the_dimension);
    tcase_add_test(tcase, any_sequence_leaves_what_a_plain_list_leaves);
    tcase_add_test(tcase, many_vectors_at_once_are_as_one_by_one);
    tcase_add_test(tcase, pages_have_the_graph_looked_at_now_and_then);
    tcase_add_test(tcase, a_reading_sees_what_is_there_now);
    tcase_add_test(tcase, readers_do_not_wait_for_each_other);
    tcase_add_test(tcase, a_damaged_byte_of_vectors_is_told);
    tcase_add_test(tcase, vectors_that_were_cut_short_are_told);
    tcase_add_test(tcase, records_are_bounded);
    tcase_add_test(tcase, memory_is_bounded);
    tcase_add_test(tcase, one_change_keeps_to_the_memory);
    tcase_add_test(tcase, what_is_as_full_as_it_can_be_is_linked);
    tcase_add_test(tcase, what_cannot_be_looked_at_is_told);
    tcase_add_test(tcase, what_is_replaced_makes_room);
    tcase_add_test(tcase, what_is_only_fast_makes_room);
    tcase_add_test(tcase, disk_is_bounded);
    tcase_add_test(tcase, space_of_removed_records_is_used_again);
    tcase_add_test(tcase, a_folder_that_is_not_there_is_told);
    tcase_add_test(tcase, vectors_that_cannot_be_written_are_told);
    tcase_add_test(tcase, values_that_cannot_be_written_are_told);
    return check_main("mirror_records", tcase);
}
