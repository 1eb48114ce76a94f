/* A write that is followed moves the stamps of its ids alone; anything else moves all. */
#include "chroma/id_stamps.h"

#include <string.h>

#include "support/check_main.h"

static struct id_stamps        stamps;
static struct id_stamps_moment now;
static const struct record_ids a = {.count = 1, .places = {1}}, b = {.count = 1, .places = {2}};

static void begin(void)
{
    memset(&stamps, 0, sizeof stamps);
    now = (struct id_stamps_moment){.records = 10, .around = 5};
}

static uint64_t stamp_of(const struct record_ids *ids)
{
    return id_stamps_get(&stamps, ids, now);
}

/* As every write does. */
static struct id_stamps_moment move(void)
{
    struct id_stamps_moment before = now;

    now.records = (now.records > now.around ? now.records : now.around) + 1;
    return before;
}

static struct id_stamps_write sent(const struct record_ids *ids)
{
    struct id_stamps_moment before = move();
    struct id_stamps_write  write;

    id_stamps_sent(&stamps, ids, before, now, &write);
    return write;
}

static void answered(const struct id_stamps_write *write, bool is_applied)
{
    struct id_stamps_moment before = move();

    id_stamps_known(&stamps, write, is_applied, before, now);
}

static void write_to(const struct record_ids *ids)
{
    struct id_stamps_write write = sent(ids);

    answered(&write, true);
}

START_TEST(the_first_write_moves_all_and_the_next_its_own)
{
    uint64_t before = stamp_of(&a), first;

    ck_assert_uint_eq(before, 10);
    ck_assert(!id_stamps_hold(&stamps, now));
    write_to(&b);
    ck_assert(id_stamps_hold(&stamps, now));
    first = stamp_of(&a);
    ck_assert(first > before && first == stamp_of(&b));
    write_to(&b);
    write_to(&b);
    ck_assert(stamp_of(&a) == first && stamp_of(&b) > first);
    ck_assert_uint_eq(stamp_of(NULL), now.records);
    write_to(&a);
    ck_assert(stamp_of(&a) > stamp_of(&b));
}
END_TEST

START_TEST(what_is_under_way_holds_its_ids_back)
{
    struct id_stamps_write write;
    uint64_t               before;

    write_to(&b);
    before = stamp_of(&a);
    write = sent(&b);
    ck_assert(id_stamps_hold(&stamps, now));
    ck_assert(stamp_of(&a) == before && stamp_of(&b) == 0);
    answered(&write, true);
    ck_assert(stamp_of(&a) == before && stamp_of(&b) > before);
}
END_TEST

/* It has another outcome, or is crossed by another write, or by something wider. */
START_TEST(whatever_else_comes_moves_all)
{
    struct id_stamps_write write;
    uint64_t               before;

    write_to(&b);
    before = stamp_of(&a);
    write = sent(&b);
    if (_i == 1)
        move();
    if (_i == 2)
        now.around = now.records + 1;
    if (_i == 3)
        write = sent(&b); /* the former one is over without a word */
    ck_assert((stamp_of(&a) == before) == (_i == 0 || _i == 3));
    if (_i == 3)
        move();
    answered(&write, _i != 0);
    ck_assert(!id_stamps_hold(&stamps, now));
    ck_assert(stamp_of(&a) > before);
    before = stamp_of(&a);
    write_to(&b);
    ck_assert(id_stamps_hold(&stamps, now) && stamp_of(&a) > before);
}
END_TEST

START_TEST(who_is_not_followed_has_the_stamp_of_all)
{
    ck_assert(!id_stamps_hold(NULL, now));
    ck_assert_uint_eq(id_stamps_get(NULL, &a, now), 10);
    now.around = 20;
    ck_assert_uint_eq(id_stamps_get(NULL, NULL, now), 20);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("id_stamps");

    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_test(tcase, the_first_write_moves_all_and_the_next_its_own);
    tcase_add_test(tcase, what_is_under_way_holds_its_ids_back);
    tcase_add_loop_test(tcase, whatever_else_comes_moves_all, 0, 4);
    tcase_add_test(tcase, who_is_not_followed_has_the_stamp_of_all);
    return check_main("id_stamps", tcase);
}
