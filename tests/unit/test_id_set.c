/* What must hold: exactly the ids added since it was last cleared are in the set. */
#include "support/check_main.h"
#include "writes/id_set.h"

START_TEST(it_knows_what_was_added_and_forgets_when_cleared)
{
    struct id_set set = {0};

    for (uint64_t round = 0; round < 5; round++) {
        uint64_t first = round * 100000;

        id_set_clear(&set);
        for (uint64_t i = 0; i < 3000; i += 3) {
            uint64_t ids[3] = {first + i, first + i + 1, first + i + 2};

            ck_assert(id_set_is_disjoint(&set, ids, 3));
            ck_assert_int_eq(id_set_add(&set, ids, 3), STATUS_OK);
            ck_assert(!id_set_is_disjoint(&set, &ids[2], 1));
        }
        for (uint64_t i = 0; i < 3000; i++) {
            uint64_t now = first + i, before = first + i - 100000, strange[2] = {~i, now};

            ck_assert(!id_set_is_disjoint(&set, &now, 1));
            ck_assert(id_set_is_disjoint(&set, &before, 1));
            ck_assert(!id_set_is_disjoint(&set, strange, 2));
        }
        ck_assert_uint_eq(set.count, 3000);
    }
    id_set_done(&set);
}
END_TEST

START_TEST(an_empty_set_is_disjoint)
{
    struct id_set  set = {0};
    const uint64_t zero = 0;

    ck_assert(id_set_is_disjoint(&set, &zero, 1));
    ck_assert_int_eq(id_set_add(&set, &zero, 0), STATUS_OK);
    ck_assert(id_set_is_disjoint(&set, &zero, 1));
    ck_assert_int_eq(id_set_add(&set, &zero, 1), STATUS_OK);
    ck_assert(!id_set_is_disjoint(&set, &zero, 1));
    id_set_clear(&set);
    ck_assert(id_set_is_disjoint(&set, &zero, 1));
    id_set_done(&set);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("id_set");

    tcase_add_test(tcase, it_knows_what_was_added_and_forgets_when_cleared);
    tcase_add_test(tcase, an_empty_set_is_disjoint);
    return check_main("id_set", tcase);
}
