/* What must hold: records are found by id and walked in the order in which they were put, through
 * any sequence of puts and removals. */
#include "mirror/record_set.h"

#include <stdio.h>

#include "base/rng.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

enum { IDS = 200, STEPS = 3000 };

static const unsigned char secret[SIPHASH_KEY_SIZE] = "secret";

static struct bytes id_of(size_t number)
{
    static char text[24];

    return (struct bytes){.data = text,
                          .size = (size_t)snprintf(text, sizeof text, "id-%zu", number)};
}

START_TEST(records_keep_the_order_in_which_they_were_put)
{
    struct record_set *set = record_set_new(secret, 10);
    struct record     *records[3], *record;
    size_t             position = 0;

    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(record_set_put(set, id_of(i), &records[i]), STATUS_OK);
    record_set_remove(set, records[0]);
    ck_assert_ptr_null(record_set_get(set, id_of(0)));
    ck_assert_int_eq(record_set_put(set, id_of(0), &records[0]), STATUS_OK);
    ck_assert_uint_eq(record_set_count(set), 3);
    ck_assert_ptr_eq(record_set_next(set, &position), records[1]);
    ck_assert_ptr_eq(record_set_next(set, &position), records[2]);
    record = record_set_next(set, &position);
    ck_assert_ptr_eq(record, records[0]);
    ck_assert(bytes_equal(record->id, id_of(0)));
    ck_assert_ptr_null(record_set_next(set, &position));
    record_set_free(set);
}
END_TEST

START_TEST(the_set_is_bounded)
{
    struct record_set *set = record_set_new(secret, 2);
    struct record     *record;

    ck_assert_int_eq(record_set_put(set, id_of(1), &record), STATUS_OK);
    ck_assert_int_eq(record_set_put(set, id_of(2), &record), STATUS_OK);
    ck_assert_int_eq(record_set_put(set, id_of(3), &record), STATUS_LIMIT_REACHED);
    ck_assert_uint_eq(record_set_count(set), 2);
    record_set_remove(set, record);
    ck_assert_int_eq(record_set_put(set, id_of(3), &record), STATUS_OK);
    record_set_free(set);
    record_set_free(NULL);
}
END_TEST

/* The same, the plain way. */
struct plain_set {
    size_t ids[IDS];
    size_t count;
};

static void plain_remove(struct plain_set *plain, size_t id)
{
    size_t place = 0;

    while (plain->ids[place] != id)
        place++;
    plain->count--;
    memmove(&plain->ids[place], &plain->ids[place + 1],
            (plain->count - place) * sizeof plain->ids[0]);
}

static void check_same(uint64_t seed, const struct record_set *set, const struct plain_set *plain)
{
    size_t         position = 0, place = 0;
    struct record *record;

    SIM_CHECK(seed, record_set_count(set) == plain->count);
    for (; (record = record_set_next(set, &position)) != NULL; place++)
        SIM_CHECK(seed, place < plain->count && bytes_equal(record->id, id_of(plain->ids[place])));
    SIM_CHECK(seed, place == plain->count);
}

static void simulate(uint64_t seed)
{
    struct record_set *set = record_set_new(secret, IDS);
    struct plain_set   plain = {.count = 0};
    struct rng         rng;

    rng_init(&rng, seed);
    for (size_t step = 0; step < STEPS; step++) {
        /* It fills and empties in turns. */
        bool           is_filling = step / 500 % 2 == 0;
        size_t         id = rng_below(&rng, IDS);
        struct record *record = record_set_get(set, id_of(id));

        if (record == NULL && (is_filling || rng_below(&rng, 4) == 0)) {
            SIM_CHECK(seed, record_set_put(set, id_of(id), &record) == STATUS_OK);
            plain.ids[plain.count++] = id;
        } else if (record != NULL && (!is_filling || rng_below(&rng, 4) == 0)) {
            record_set_remove(set, record);
            plain_remove(&plain, id);
        }
        if (step % 50 == 0)
            check_same(seed, set, &plain);
    }
    check_same(seed, set, &plain);
    record_set_free(set);
}

START_TEST(any_sequence_leaves_what_a_plain_list_leaves)
{
    struct sim_seeds seeds = sim_seeds_get(100);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("record_set");

    tcase_add_test(tcase, records_keep_the_order_in_which_they_were_put);
    tcase_add_test(tcase, the_set_is_bounded);
    tcase_add_test(tcase, any_sequence_leaves_what_a_plain_list_leaves);
    return check_main("record_set", tcase);
}
