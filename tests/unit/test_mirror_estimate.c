/* What must hold: what a copy takes when it is filled is known, within 15 percent, from the first
 * sixteenth on, whatever its records are made of; ids, which are all there from the beginning, do
 * not count for more than they take. */
#include "mirror/mirror_estimate.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "mirror/mirror_budget.h"
#include "mirror/mirror_records.h"
#include "support/check_main.h"
#include "support/index_fixture.h"

enum { PAGE = 100, DIMENSION_MAX = 1536, DOCUMENT_MAX = 400, KEYS_TEXT = 800 };

static const double tolerance = 0.15;

struct shape {
    uint32_t count, dimension;
    size_t   document;   /* bytes; 0: none */
    bool     is_keyed;   /* has much metadata, else little or none */
    bool     is_typical; /* so that its size tells enough */
};

static const struct shape shapes[] = {
    {.count = 20000, .dimension = 32, .document = 120, .is_typical = true}, /* with a graph */
    {.count = 6000, .dimension = 384, .document = DOCUMENT_MAX, .is_typical = true},
    {.count = 4000, .dimension = 1536},
    {.count = 20000, .dimension = 8, .is_keyed = true},
    {.count = 1500, .dimension = 8, .document = 60, .is_keyed = true},
};

static struct mirror_records *records;
static struct rng             rng;

static void setup(void)
{
    struct mirror_records_options options = {
        .path = NULL, .space = COLLECTION_SPACE_L2, .secret = "secret"};

    index_fixture_setup();
    rng_init(&rng, 1);
    options.path = index_fixture_path;
    ck_assert_int_eq(mirror_records_new(&options, &records, NULL), STATUS_OK);
}

static void teardown(void)
{
    mirror_records_free(records);
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

static void list_ids(uint32_t count)
{
    char     id[40];
    uint32_t row;

    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(id, sizeof id, "%08x-1234-5678-9abc-%012x", i * 2654435761U, i);
        ck_assert_int_eq(mirror_records_append(records, bytes_of(id), &row), STATUS_OK);
        ck_assert_uint_eq(row, i);
    }
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
}

/* Values that are always new, often, seldom and hardly ever; some keys that few records have. */
static void print_keys(uint32_t number, bool is_keyed, char out[KEYS_TEXT])
{
    int size = snprintf(out, KEYS_TEXT, "{\"source\":\"article-%u.txt\",\"page\":%u",
                        (unsigned)rng_below(&rng, 300), (unsigned)rng_below(&rng, 100));

    if (is_keyed)
        size += snprintf(out + size, KEYS_TEXT - (size_t)size,
                         ",\"url\":\"https://example.com/articles/%08x\",\"time\":%u,\"score\":%u."
                         "5,\"class\":\"%c\",\"is_old\":%s,\"author\":\"author %u\",\"words\":%u",
                         number * 2654435761U, 1700000000 + number * 7, number,
                         'a' + (int)rng_below(&rng, 5), number % 3 == 0 ? "true" : "false",
                         (unsigned)rng_below(&rng, 700), (unsigned)rng_below(&rng, 3000));
    if (is_keyed && number % 10 == 0)
        size += snprintf(out + size, KEYS_TEXT - (size_t)size, ",\"note\":\"rare %u\"", number);
    snprintf(out + size, KEYS_TEXT - (size_t)size, "}");
}

static void fill_page(const struct shape *shape, uint32_t first)
{
    static float        vectors[PAGE * DIMENSION_MAX];
    static char         keys[KEYS_TEXT], document[DOCUMENT_MAX];
    uint32_t            rows[PAGE];
    struct mirror_value value = {.has_document = shape->document > 0,
                                 .document = {.data = document, .size = shape->document}};

    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    for (uint32_t i = 0; i < PAGE; i++) {
        struct mirror_metadata *metadata;
        const char             *reason;

        rows[i] = first + i;
        for (size_t at = 0; at < shape->document; at++)
            document[at] = (char)('a' + rng_below(&rng, 26));
        print_keys(first + i, shape->is_keyed, keys);
        value.metadata = bytes_of(keys);
        ck_assert_int_eq(
            mirror_metadata_read(value.metadata, MIRROR_SOURCE_ANSWER, &metadata, &reason),
            STATUS_OK);
        ck_assert_int_eq(mirror_records_put_value(records, rows[i], &value, metadata), STATUS_OK);
        mirror_metadata_free(metadata);
        for (uint32_t at = 0; at < shape->dimension; at++)
            vectors[i * shape->dimension + at] = (float)rng_below(&rng, 1000) / 1000;
    }
    ck_assert_int_eq(mirror_records_put_vectors(records, rows, vectors, PAGE, shape->dimension),
                     STATUS_OK);
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
}

static void expect_about(uint64_t estimate, uint64_t memory, double most, const char *when)
{
    double wrong = (double)estimate / (double)memory - 1;

    ck_assert_msg(wrong > -most && wrong < most, "%s: %llu are expected, and it takes %llu", when,
                  (unsigned long long)estimate, (unsigned long long)memory);
}

START_TEST(what_it_will_take_is_known_early)
{
    const struct shape         *shape = &shapes[_i];
    uint32_t                    early = shape->count / 16 < 1000 ? 1000 : shape->count / 16 + PAGE;
    uint64_t                    of_ids, first = 0, half = 0;
    struct mirror_records_usage usage;

    list_ids(shape->count);
    mirror_records_usage(records, &usage);
    of_ids = usage.memory;
    ck_assert_uint_eq(usage.expected, of_ids);
    for (uint32_t done = 0; done < shape->count; done += PAGE) {
        mirror_records_usage(records, &usage);
        if (done >= early && first == 0)
            first = usage.expected;
        if (done >= shape->count / 2 && half == 0)
            half = usage.expected;
        fill_page(shape, done);
    }
    mirror_records_usage(records, &usage);
    ck_assert_uint_eq(usage.expected, usage.memory);
    expect_about(first, usage.memory, tolerance, "early");
    expect_about(half, usage.memory, tolerance, "half");
    ck_assert_uint_eq(mirror_estimate_of_vectors(shape->count, shape->dimension),
                      mirror_budget_index(records).file_bytes);
    if (shape->is_typical)
        expect_about(mirror_estimate_of_size(shape->count, shape->dimension), usage.memory, 0.3,
                     "before");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_estimate");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, what_it_will_take_is_known_early, 0,
                        sizeof shapes / sizeof shapes[0]);
    return check_main("mirror_estimate", tcase);
}
