/* What must hold: whatever the order of changes, each record has its row, its place and what was
 * put last; a reader sees what was committed, and waits for no other. */
#include "mirror/mirror_records.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/rng.h"
#include "mirror/filter.h"
#include "support/check_main.h"
#include "support/index_fixture.h"
#include "support/sim_seeds.h"
#include "unit/mirror_records_bed.h"

enum { STEPS = 1500 };

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

int main(void)
{
    TCase *tcase = tcase_create("mirror_records");

    tcase_add_checked_fixture(tcase, mirror_records_bed_setup, mirror_records_bed_teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_record_is_hollow_until_its_value_is_put);
    tcase_add_test(tcase, the_first_vector_fixes_the_dimension);
    tcase_add_test(tcase, any_sequence_leaves_what_a_plain_list_leaves);
    tcase_add_test(tcase, many_vectors_at_once_are_as_one_by_one);
    tcase_add_test(tcase, a_reading_sees_what_is_there_now);
    tcase_add_test(tcase, readers_do_not_wait_for_each_other);
    return check_main("mirror_records", tcase);
}
