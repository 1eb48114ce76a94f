/* What must hold: rows are dense and used again; ids of any size are kept; what finds no memory
 * changes nothing; all memory is counted and given back. (Order and ids under random changes are
 * in test_mirror_records.) */
#include "mirror/mirror_ids.h"

#include <stdio.h>

#include "support/check_main.h"

enum { IDS = 3000 };

static const unsigned char secret[SIPHASH_KEY_SIZE] = "secret";
static struct index_memory memory;
static struct mirror_ids  *ids;
static char                text[5000];

static void setup(void)
{
    index_memory_init(&memory, 0);
    ck_assert_int_eq(mirror_ids_new(&memory, IDS, 4 << 20, secret, &ids), STATUS_OK);
}

static void teardown(void)
{
    mirror_ids_free(ids);
    ck_assert_uint_eq(memory.used, 0);
}

/* Of any size up to 5000. */
static struct bytes id_of(unsigned number)
{
    size_t size = (size_t)sprintf(text, "%u-", number);
    size_t wanted = number % 50 == 0 ? number % sizeof text : number % 60;

    for (; size < wanted; size++)
        text[size] = 'x';
    return (struct bytes){.data = text, .size = size};
}

static void check_those(unsigned from, unsigned to)
{
    size_t   position = 0;
    uint32_t row;

    for (unsigned i = from; i < to; i++) {
        ck_assert_int_eq(mirror_ids_find(ids, id_of(i), &row), STATUS_OK);
        ck_assert(mirror_ids_has(ids, row));
        ck_assert_uint_eq(mirror_ids_row(ids, row)->mark, i);
    }
    for (unsigned i = from; i < to; i++) {
        ck_assert(mirror_ids_next(ids, &position, &row));
        ck_assert(bytes_equal(mirror_ids_id(ids, row), id_of(i)));
    }
    ck_assert(!mirror_ids_next(ids, &position, &row));
    ck_assert_uint_eq(mirror_ids_count(ids), to - from);
}

static void put(unsigned number)
{
    uint32_t row;

    ck_assert_int_eq(mirror_ids_put(ids, id_of(number), &row), STATUS_OK);
    mirror_ids_row(ids, row)->mark = number;
}

START_TEST(many_come_and_go)
{
    uint64_t used;
    uint32_t row;

    ck_assert_int_eq(mirror_ids_find(ids, id_of(1), &row), STATUS_NOT_FOUND);
    for (unsigned i = 0; i < IDS; i++)
        put(i);
    ck_assert_int_eq(mirror_ids_put(ids, id_of(IDS), &row), STATUS_LIMIT_REACHED);
    check_those(0, IDS);
    used = memory.used;
    /* As many again, one for one: no more memory, and no more rows. */
    for (unsigned i = 0; i < IDS; i++) {
        ck_assert_int_eq(mirror_ids_find(ids, id_of(i), &row), STATUS_OK);
        mirror_ids_remove(ids, row);
        ck_assert(!mirror_ids_has(ids, row));
        put(i + IDS * 50);
    }
    check_those(IDS * 50, IDS * 51);
    ck_assert_uint_eq(mirror_ids_row_end(ids), IDS);
    ck_assert_uint_le(memory.used, used + used / 8);
}
END_TEST

START_TEST(gaps_of_the_order_are_closed)
{
    size_t   position = 0;
    uint64_t used;
    uint32_t row;

    for (unsigned i = 1; i <= 10; i++)
        put(i);
    used = memory.used;
    for (unsigned round = 0; round < 20000; round++) {
        unsigned id = 1 + round % 10;

        ck_assert_int_eq(mirror_ids_find(ids, id_of(id), &row), STATUS_OK);
        mirror_ids_remove(ids, row);
        put(id);
    }
    for (unsigned i = 1; i <= 10; i++) {
        ck_assert(mirror_ids_next(ids, &position, &row));
        ck_assert(bytes_equal(mirror_ids_id(ids, row), id_of(i)));
    }
    ck_assert_uint_eq(memory.used, used);
}
END_TEST

START_TEST(an_empty_id_is_one)
{
    struct bytes empty = {.data = NULL, .size = 0};
    uint32_t     row, found;

    ck_assert_int_eq(mirror_ids_put(ids, empty, &row), STATUS_OK);
    ck_assert_int_eq(mirror_ids_find(ids, empty, &found), STATUS_OK);
    ck_assert_uint_eq(found, row);
    mirror_ids_remove(ids, row);
    ck_assert_int_eq(mirror_ids_find(ids, empty, &found), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(without_memory_nothing_changes)
{
    unsigned refused = 0;

    for (unsigned i = 0; i < IDS; i++) {
        enum status status;
        uint32_t    row, found;

        atomic_store(&memory.countdown, i % 2);
        status = mirror_ids_put(ids, id_of(i), &row);
        atomic_store(&memory.countdown, -1);
        if (status != STATUS_OK) {
            ck_assert_int_eq(status, STATUS_NO_MEMORY);
            ck_assert_int_eq(mirror_ids_find(ids, id_of(i), &found), STATUS_NOT_FOUND);
            refused++;
            ck_assert_int_eq(mirror_ids_put(ids, id_of(i), &row), STATUS_OK);
        }
        mirror_ids_row(ids, row)->mark = i;
    }
    check_those(0, IDS);
    ck_assert_uint_gt(refused, 10);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_ids");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, many_come_and_go);
    tcase_add_test(tcase, gaps_of_the_order_are_closed);
    tcase_add_test(tcase, an_empty_id_is_one);
    tcase_add_test(tcase, without_memory_nothing_changes);
    return check_main("mirror_ids", tcase);
}
